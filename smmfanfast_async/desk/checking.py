"""What the checks of orders and of refills have in common."""

import logging
from collections.abc import Callable, Sequence

from .._engine.limiter import Clock
from .._engine.policy import RetryPolicy
from ..client import Client
from ..errors import RateLimitError
from ..results import Status
from .backoff import Backoff
from .rate_limit import AccountRateLimit, wait_after

__all__ = ["IN_WORK", "back_off", "checking_client"]

CHECK_TIMEOUT_S = 60.0
"""Seconds for one status call with all its retries, whatever the client's own limit is: a claim
must outlast it."""

CHECK_ATTEMPTS = 2
"""Attempts of a status call, whatever the client's own limit is. What fails for longer is left to
the next check, and so is every failure under a rate limit: each attempt needs a turn of its own."""

IN_WORK = frozenset({Status.PROCESSING, Status.IN_PROGRESS, Status.ACTIVE})
"""Statuses of orders and refills that are about to change."""

_LOG = logging.getLogger("smmfanfast_async")


def checking_client(client: Client, rate_limit: AccountRateLimit, *, is_single: bool) -> Client:
    """Return the client for a status call; one for a single id is not retried."""
    attempts = 1 if is_single or rate_limit.calls_per_minute is not None else CHECK_ATTEMPTS
    return client.with_options(timeout_s=CHECK_TIMEOUT_S, retry=RetryPolicy(max_attempts=attempts))


async def back_off(
    backoff: Backoff,
    errors: Sequence[object],
    rate_limit: AccountRateLimit,
    *,
    started_s: float,
    clock: Clock,
    rng: Callable[[], float],
    left_out: str,
) -> float:
    """Back off after a call that failed as a whole; return for how many seconds.

    If the panel asked for a pause, all desks of the account pause. `left_out` says what is not done
    meanwhile.
    """
    wait_s = backoff.on_failure(started_s, clock.now_s())
    limited = next((each for each in errors if isinstance(each, RateLimitError)), None)
    if limited is not None:
        wait_s = wait_after(limited, wait_s)
        await rate_limit.pause(wait_s)
    _LOG.warning("%s; no %s for %.0f s", errors[0], left_out, wait_s)
    backoff.pause(wait_s, clock.now_s(), rng())
    return wait_s
