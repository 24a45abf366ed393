"""A place among the requests of an account: first come, first served, at the pace that is allowed.

When a request may leave is decided by `RateLimiter`; here is only the waiting for it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from attrs import field, frozen

from ..errors import PausedError
from .policy import RateLimiter

__all__ = ["Clock", "Limiter"]


@frozen
class Clock:
    """The time and how to pass it; a test gives one that passes at once."""

    now_s: Callable[[], float] = time.monotonic
    """Seconds on a clock that never goes back."""
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)
    """Wait so many seconds."""


class Limiter:
    """Lets as many requests through at once as the pacer allows, in the order of their coming."""

    def __init__(self, rate_limiter: RateLimiter, clock: Clock) -> None:
        self.rate_limiter = rate_limiter
        self._clock = clock
        self._under_way = 0
        self._queued = 0
        # Whoever holds the turn is the next to leave; the lock queues the others in their order.
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    @asynccontextmanager
    async def slot(self, action: str, max_pause_s: float) -> AsyncGenerator[None, None]:
        """Wait for a place and hold it; otherwise as `enter`."""
        await self.acquire(action, max_pause_s)
        try:
            yield
        finally:
            self.release()

    def try_acquire(self) -> bool:
        """Take a place if one is free and nobody waits: the common case, for little."""
        now_s = self._clock.now_s()
        if (
            self._queued
            or self._under_way >= self.rate_limiter.concurrency
            or self.rate_limiter.wait_s(now_s) > 0
        ):
            return False
        self._under_way += 1
        self.rate_limiter.on_request(now_s)
        return True

    async def acquire(self, action: str, max_pause_s: float) -> None:
        """Wait for a place, to be given back by `leave`; the caller bounds the waiting.

        Raises `PausedError` where the panel asks for a longer pause than `longest_pause_s`, also if
        it does so while this call waits already.
        """
        self._check_pause(action, max_pause_s)
        self._queued += 1
        try:
            async with self._turn:
                await self._may_leave(action, max_pause_s)
                self._under_way += 1
                self.rate_limiter.on_request(self._clock.now_s())
        finally:
            self._queued -= 1

    def release(self) -> None:
        """Give a place back."""
        self._under_way -= 1
        self._freed.set()

    def on_rate_limited(self, asked_s: float | None) -> float:
        """Pause all, after the panel said that it was asked too often; give for how long."""
        now_s = self._clock.now_s()
        self.rate_limiter.on_rate_limited(now_s, asked_s)
        return self.rate_limiter.pause_s(now_s)

    def _check_pause(self, action: str, longest_s: float) -> None:
        pause_s = self.rate_limiter.pause_s(self._clock.now_s())
        if pause_s > longest_s:
            text = f"all calls wait another {pause_s:.0f} s, as the panel asked"
            raise PausedError(text, retry_after_s=pause_s, action=action)

    async def _may_leave(self, action: str, longest_pause_s: float) -> None:
        while True:
            self._check_pause(action, longest_pause_s)
            wait_s = self.rate_limiter.wait_s(self._clock.now_s())
            if wait_s > 0:
                await self._clock.sleep(wait_s)
            elif self._under_way < self.rate_limiter.concurrency:
                return
            else:
                self._freed.clear()
                await self._freed.wait()
