"""One value, fetched for all who ask, kept for a while, and kept longer while fetching fails."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, TypeVar

from attrs import frozen

from ..errors import AuthenticationError, ClosedError, PanelError

__all__ = ["SingleFlightCache", "CachedValue"]

RETRY_AFTER_S = 30.0
"""Seconds for which a value stands after a fetch that failed: each caller trying anew would wait
for a panel that is down, one after the other."""

T = TypeVar("T")


@frozen
class CachedValue(Generic[T]):
    """A value, and whether it is older than it should be."""

    value: T
    is_stale: bool
    """Whether fetching it anew failed."""


class _Fetch(Generic[T]):
    """A fetch that is under way, and how many wait for it."""

    __slots__ = ("task", "waiter_count")

    def __init__(self, fetch: Coroutine[Any, Any, T]) -> None:
        self.task = asyncio.ensure_future(fetch)
        # Its error is looked at here too, since all who wait for it may be gone.
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        self.waiter_count = 0


class SingleFlightCache(Generic[T]):
    """A value that is fetched at most once at a time.

    `now_s` is a clock that never goes back, in seconds. A caller who is cancelled leaves the fetch
    to the others; when the last one is gone it is cancelled.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], now_s: Callable[[], float]) -> None:
        self._fetch = fetch
        self._now_s = now_s
        self._value: tuple[T, float] | None = None
        self._failed_at_s: float | None = None
        self._in_flight: _Fetch[T] | None = None

    async def get(self, max_age_s: float, timeout_s: float | None = None) -> CachedValue[T]:
        """Give the value, fetched anew if it is older than `max_age_s`.

        A value that can't be fetched anew, or not within `timeout_s`, is given as stale. Raises
        what the fetch raises, in an object of its own, or `TimeoutError`, where there is no value,
        and for a key that is refused.
        """
        if self._value is not None:
            value, fetched_at_s = self._value
            now_s = self._now_s()
            if now_s - fetched_at_s < max_age_s:
                return CachedValue(value, is_stale=False)
            if self._failed_at_s is not None and now_s - self._failed_at_s < RETRY_AFTER_S:
                return CachedValue(value, is_stale=True)
        try:
            async with asyncio.timeout(timeout_s):
                return CachedValue(await self.refresh(), is_stale=False)
        except (PanelError, TimeoutError) as error:
            if self._value is None or isinstance(error, AuthenticationError | ClosedError):
                raise
            self._failed_at_s = self._now_s()
            return CachedValue(self._value[0], is_stale=True)

    async def refresh(self) -> T:
        """Fetch the value, or join a fetch that is under way; raise what it raises."""
        fetch = self._in_flight
        if fetch is None or fetch.task.done():
            fetch = self._in_flight = _Fetch(self._fetch_and_store())
        fetch.waiter_count += 1
        try:
            await asyncio.wait({fetch.task})
        finally:
            fetch.waiter_count -= 1
            if fetch.waiter_count == 0:
                fetch.task.cancel()
                if self._in_flight is fetch:
                    self._in_flight = None
        if fetch.task.cancelled():
            raise ClosedError("the fetch was ended")
        error = fetch.task.exception()
        if error is not None:
            # Each caller raises an object of its own.
            raise copy.copy(error) from error
        return fetch.task.result()

    async def close(self) -> None:
        """End the fetch that is under way; who waits for it gets `ClosedError`."""
        if self._in_flight is not None:
            self._in_flight.task.cancel()
            await asyncio.wait({self._in_flight.task})

    async def _fetch_and_store(self) -> T:
        value = await self._fetch()
        self._value = value, self._now_s()
        self._failed_at_s = None
        return value
