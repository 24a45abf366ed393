"""Cache one value with a shared fetch; serve the stale value while fetching fails."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, NamedTuple, TypeVar

from ..errors import AuthenticationError, ClosedError, PanelError

__all__ = ["CachedValue", "SingleFlightCache"]

RETRY_AFTER_S = 30.0
"""Seconds for which the stale value is served after a failed fetch. If each caller tried again,
they would all wait for a panel that is down."""

T = TypeVar("T")


class CachedValue(NamedTuple, Generic[T]):
    """A value and whether it is stale."""

    value: T
    is_stale: bool
    """Whether the value is older than requested because fetching it again failed."""


class _Fetch(Generic[T]):
    """A fetch in flight and the number of its waiters."""

    __slots__ = ("task", "waiter_count")

    def __init__(self, fetch: Coroutine[Any, Any, T]) -> None:
        self.task = asyncio.ensure_future(fetch)
        # Retrieve the error: all waiters may be gone, and asyncio would report it as unhandled.
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        self.waiter_count = 0


class SingleFlightCache(Generic[T]):
    """A cached value with at most one fetch in flight.

    `now_s` is a monotonic clock, in seconds. Cancelling a caller does not affect the other waiters;
    the fetch is cancelled with its last waiter.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], now_s: Callable[[], float]) -> None:
        self._fetch = fetch
        self._now_s = now_s
        self._value: tuple[T, float] | None = None
        self._failed_at_s: float | None = None
        self._in_flight: _Fetch[T] | None = None

    async def get(self, max_age_s: float, timeout_s: float | None = None) -> CachedValue[T]:
        """Return the value, fetched again if it is older than `max_age_s`.

        If fetching fails or takes longer than `timeout_s`, the old value is returned as stale.
        Without an old value the error of the fetch (a separate object for each caller) or
        `TimeoutError` is raised. A rejected key and a closed client are always raised.
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
        """Fetch the value, or join the fetch in flight. Raises the error of the fetch."""
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
            raise ClosedError("the fetch was cancelled")
        error = fetch.task.exception()
        if error is not None:
            # Each caller raises a separate object.
            raise copy.copy(error) from error
        return fetch.task.result()

    async def close(self) -> None:
        """Cancel the fetch in flight; its waiters get `ClosedError`."""
        if self._in_flight is not None:
            self._in_flight.task.cancel()
            await asyncio.wait({self._in_flight.task})

    async def _fetch_and_store(self) -> T:
        value = await self._fetch()
        self._value = value, self._now_s()
        self._failed_at_s = None
        return value
