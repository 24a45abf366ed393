"""The parts of a desk: one sender and one follower for each panel, and how they run together."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

from .._engine.limiter import Clock
from .._engine.policy import PollPolicy, RetryPolicy
from ..errors import AuthenticationError, ClosedError
from ..journal import DeskHealth, Journal
from .following import Follower, first_error
from .health import HealthHook, HealthReports
from .panels import DeskPanel
from .replaying import Replayer
from .sending import Sender
from .timing import Timing

__all__ = ["close_all", "create_followers", "create_senders", "follow_all"]

_LOG = logging.getLogger("smmfanfast_async")


def create_senders(
    panels: Mapping[str, DeskPanel],
    journal: Journal,
    *,
    retry: RetryPolicy | None,
    poll: PollPolicy,
    settle_by_replay: bool,
    check_open: Callable[[], None],
    timing: Timing,
    clock: Clock,
    **options: Any,
) -> dict[str, Sender]:
    """Return the sender of each panel; `options` are fields of `Sender` that all share.

    With `settle_by_replay`, those of the panels that repeat orders settle unknown ones.
    """

    def create_replayer(panel: DeskPanel) -> Replayer | None:
        window_s = panel.client.profile.replay_window_s
        if not settle_by_replay or window_s is None:
            return None
        return Replayer(
            client=panel.client, journal=journal, rate_limit=panel.rate_limit,
            breaker=panel.breaker, panel=panel.name, window_s=window_s, check_open=check_open,
            timing=timing, clock=clock,
        )  # fmt: skip

    return {
        name: Sender(
            client=each.client, journal=journal, pricing=each.pricing, rate_limit=each.rate_limit,
            retry=retry or RetryPolicy(), first_check_s=poll.min_interval_s, slots=each.slots,
            local_slots=asyncio.Semaphore(each.slots), panel=name, on_currency=each.see_currency,
            breaker=each.breaker, replayer=create_replayer(each), timing=timing, clock=clock,
            **options,
        )
        for name, each in panels.items()
    }  # fmt: skip


def create_followers(
    panels: Mapping[str, DeskPanel],
    journal: Journal,
    *,
    read_health: Callable[[], Awaitable[DeskHealth]],
    on_health: HealthHook | None,
    settle: Callable[[], Coroutine[Any, Any, None]] | None,
    timing: Timing,
    clock: Clock,
    **options: Any,
) -> list[Follower]:
    """Return the follower of each panel; `options` are fields of `Follower` that all share.

    The first one also does what concerns all panels: sending, refills, and the report to the hook.
    """
    followers: list[Follower] = []
    for each in panels.values():
        is_first = not followers
        reports = HealthReports(
            breaker=each.breaker, read=read_health, hook=on_health if is_first else None,
            interval_s=timing.health_s, clock=clock,
        )  # fmt: skip
        follower = Follower(
            client=each.client, journal=journal, rate_limit=each.rate_limit, panel=each.name,
            is_first=is_first, is_only=len(panels) == 1, breaker=each.breaker, reports=reports,
            settle=settle if is_first else None, timing=timing, clock=clock,
            **options,
        )  # fmt: skip
        followers.append(follower)
    return followers


async def follow_all(followers: Sequence[Follower]) -> None:
    """Run the followers of a desk until one ends; raises as `Follower.run` does."""
    if len(followers) == 1:
        await followers[0].run()
    else:
        try:
            async with asyncio.TaskGroup() as group:
                for each in followers:
                    group.create_task(_run_beside_others(each))
        except* ClosedError as errors:
            raise first_error(errors) from None


async def close_all(followers: Collection[Follower], timeout_s: float) -> None:
    """Close the followers of a desk; see `Follower.close`."""
    await asyncio.gather(*(each.close(timeout_s) for each in followers))


async def _run_beside_others(follower: Follower) -> None:
    """Run as one of several panels: a rejected key stops its checks alone, for a while."""
    while True:
        try:
            await follower.run()
        except AuthenticationError as error:
            _LOG.error("the panel %r rejects the key: %s", follower.panel, error)
        await follower.clock.sleep(follower.timing.max_backoff_s)
