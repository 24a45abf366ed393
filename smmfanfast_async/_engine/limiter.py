"""Request slots of an account, granted first come, first served.

`RateLimiter` decides when a request may start; this module only waits for that moment.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from .._clock import elapsed_s
from ..errors import PanelError, PausedError
from .policy import RateLimiter

__all__ = ["Clock", "Limiter", "Slot"]


class Clock(NamedTuple):
    """A source of time and a way to sleep; tests use one whose sleeps return at once."""

    now_s: Callable[[], float] = elapsed_s
    """Return the elapsed time in seconds, including that in which the machine was suspended."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Sleep for a number of seconds."""


class Slot:
    """The permission for one request."""

    __slots__ = ("is_unused", "started_s")

    def __init__(self, started_s: float) -> None:
        self.started_s = started_s
        """When it was granted, by the clock."""
        self.is_unused = False
        """Whether it is proved that nothing was sent: then it does not count for the rate."""

    def on_error(self, error: PanelError) -> None:
        """Record how the request failed."""
        self.is_unused = self.is_unused or not error.maybe_sent


class Limiter:
    """Grants request slots in the order of arrival, as many at once as the rate limiter allows."""

    def __init__(self, rate_limiter: RateLimiter, clock: Clock) -> None:
        self.rate_limiter = rate_limiter
        self._clock = clock
        self._in_flight = 0
        self._waiting = 0
        # The holder of the lock gets the next slot; the lock queues the other callers in order.
        self._head_of_queue = asyncio.Lock()
        self._released = asyncio.Event()
        # The sleep of the head of the queue; a slot that is released unused ends it.
        self._sleeping: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def slot(self, action: str, max_pause_s: float) -> AsyncGenerator[Slot, None]:
        """Hold a slot for the duration of the block; arguments and errors as for `acquire`."""
        slot = await self.acquire(action, max_pause_s)
        try:
            yield slot
        except PanelError as error:
            slot.on_error(error)
            raise
        finally:
            self.release(slot)

    def try_acquire(self) -> Slot | None:
        """Acquire a slot without waiting if one is free and no caller is queued: the fast path."""
        now_s = self._clock.now_s()
        if (
            self._waiting
            or self._in_flight >= self.rate_limiter.concurrency
            or self.rate_limiter.wait_s(now_s) > 0
        ):
            return None
        return self._grant(now_s)

    async def acquire(self, action: str, max_pause_s: float) -> Slot:
        """Wait for a slot, to be returned by `release`. The caller bounds the waiting time.

        Raises `PausedError` if the panel asks for a pause longer than `max_pause_s` seconds, also
        if it does so while this call is already waiting.
        """
        self._check_pause(action, max_pause_s)
        self._waiting += 1
        try:
            async with self._head_of_queue:
                await self._wait_until_allowed(action, max_pause_s)
                return self._grant(self._clock.now_s())
        finally:
            self._waiting -= 1

    def _grant(self, now_s: float) -> Slot:
        self._in_flight += 1
        self.rate_limiter.on_request(now_s)
        return Slot(now_s)

    def release(self, slot: Slot) -> None:
        """Return a slot; one that is unused does not count for the rate."""
        self._in_flight -= 1
        self._released.set()
        if slot.is_unused:
            self.rate_limiter.on_not_sent(slot.started_s)
            if self._sleeping is not None:
                self._sleeping.cancel()

    def on_rate_limited(self, asked_s: float | None) -> float:
        """Pause all calls after a rate limit response. Return the pause in seconds."""
        now_s = self._clock.now_s()
        self.rate_limiter.on_rate_limited(now_s, asked_s)
        return self.rate_limiter.pause_s(now_s)

    def _check_pause(self, action: str, max_pause_s: float) -> None:
        pause_s = self.rate_limiter.pause_s(self._clock.now_s())
        if pause_s > max_pause_s:
            text = f"all calls wait another {pause_s:.0f} s, as the panel asked"
            raise PausedError(text, retry_after_s=pause_s, action=action)

    async def _wait_until_allowed(self, action: str, max_pause_s: float) -> None:
        while True:
            self._check_pause(action, max_pause_s)
            wait_s = self.rate_limiter.wait_s(self._clock.now_s())
            if wait_s > 0:
                await self._sleep(wait_s)
            elif self._in_flight < self.rate_limiter.concurrency:
                return
            else:
                self._released.clear()
                await self._released.wait()

    async def _sleep(self, wait_s: float) -> None:
        """Sleep for `wait_s` seconds, or until a slot is released unused."""
        sleeping = self._sleeping = asyncio.ensure_future(self._clock.sleep(wait_s))
        try:
            await asyncio.wait({sleeping})
        finally:
            self._sleeping = None
            sleeping.cancel()
