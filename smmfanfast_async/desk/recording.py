"""Recording what the panel answered, however long the database takes to come back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from .._engine.limiter import Clock
from ..errors import JournalError, PanelError
from .timing import Timing

__all__ = ["record_patiently"]

MAX_TRY_S = 60.0
"""Seconds that one try to record an outcome counts at most: it takes half of that, and more only if
the machine was suspended, which must not leave the network without time to come back."""

_LOG = logging.getLogger("smmfanfast_async")

T = TypeVar("T")


async def record_patiently(
    record: Callable[[], Awaitable[T]],
    text: str,
    *,
    on_failure: Callable[[str], PanelError],
    timing: Timing,
    clock: Clock,
) -> T:
    """Record an outcome, retrying while the database is unavailable; `text` says which.

    Raises the error that `on_failure` returns for a text if it cannot be recorded in time.
    """
    left_s, last_s = timing.outcome_wait_s, clock.now_s()
    while True:
        try:
            return await record()
        except asyncio.CancelledError:
            _LOG.error("%s, and the desk was closed before the journal recorded it", text)
            raise
        except JournalError as error:
            _LOG.error("%s, and the journal cannot record it yet: %s", text, error)
            now_s = clock.now_s()
            left_s -= min(now_s - last_s, MAX_TRY_S)
            last_s = now_s
            if left_s <= 0:
                failure = f"{text}, and the journal could not record it: {error.text}"
                raise on_failure(failure) from error
        await clock.sleep(timing.max_poll_s)
