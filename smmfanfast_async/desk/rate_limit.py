"""The account's rate limit, kept in the journal so that it holds across machines.

Each call reserves its time in a row of the journal. A rate limiter library on the same database
would bring a second connection pool and use each machine's own clock; the row costs one short
transaction per call, on the journal's clock and connections, and it also holds the pause after a
panel's "too many requests". A call of which nothing was sent gives its time back.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from attrs import field, frozen

from .._engine.limiter import Clock
from ..errors import JournalError, PanelError, RateLimitError
from ..journal import DEFAULT_PANEL, CallReservation, Journal

__all__ = ["MAX_WAIT_S", "AccountRateLimit", "Turn", "wait_after"]

MINUTE = timedelta(minutes=1)

MAX_WAIT_S = 900.0
"""The longest pause that a panel is granted, and the longest wait of one call for its turn, in
seconds: a panel that asks for more is called again after that, in case it was a mistake."""

GIVE_BACK_S = 5.0
"""Seconds that giving back the time of a call may take: it must not delay what comes after it."""

_LOG = logging.getLogger("smmfanfast_async")


def wait_after(error: PanelError, least_s: float) -> float:
    """Return for how many seconds to wait after an error: at least `least_s`, and as it asks."""
    return min(max(least_s, error.retry_after_s or 0.0), MAX_WAIT_S)


@frozen
class Turn:
    """The turn of one call."""

    wait_s: float = 0.0
    """0 if the call may be made. Otherwise it may not: its turn is that many seconds away."""
    reservation: CallReservation | None = None
    """What the journal has reserved for it; None for nothing."""


@frozen
class AccountRateLimit:
    """Spaces the calls to one panel."""

    journal: Journal
    calls_per_minute: int | None
    """None for no limit: nothing is reserved."""
    clock: Clock = field(factory=Clock)
    panel: str = DEFAULT_PANEL

    @asynccontextmanager
    async def turn(self, max_wait_s: float = MAX_WAIT_S) -> AsyncGenerator[Turn, None]:
        """Wait for the turn of one call, which is made in the block.

        It is given back if the call raises an error that proves that nothing was sent.
        """
        turn = await self.wait(max_wait_s)
        try:
            yield turn
        except Exception as error:
            if not getattr(error, "maybe_sent", True):
                await self.give_back(turn)
            raise

    async def wait(self, max_wait_s: float = MAX_WAIT_S) -> Turn:
        """Wait for the turn of the next call.

        If that would take longer than `max_wait_s`, return how long at once, and reserve nothing.
        """
        if self.calls_per_minute is None:
            return Turn()
        reserved = await self.journal.reserve_call(MINUTE / self.calls_per_minute, panel=self.panel)
        turn = Turn(min(reserved.wait.total_seconds(), MAX_WAIT_S), reserved)
        if turn.wait_s > max_wait_s:
            await self.give_back(turn)
            return Turn(turn.wait_s)
        try:
            await self.clock.sleep(turn.wait_s)
        except BaseException:
            await self.give_back(turn)
            raise
        return Turn(0.0, reserved)

    async def give_back(self, turn: Turn) -> None:
        """Free the time of a call of which nothing was sent, if no other call is reserved after it.

        Call it once at most. If the journal is unavailable, the time is lost, which is harmless.
        """
        if turn.reservation is None:
            return
        try:
            async with asyncio.timeout(GIVE_BACK_S):
                await self.journal.cancel_call(turn.reservation)
        except (TimeoutError, JournalError) as error:
            _LOG.info("the time of a call could not be given back: %s", error)

    async def pause_after(self, error: Exception) -> None:
        """Delay all calls of the account as long as an error of the panel asks for."""
        if isinstance(error, RateLimitError) and error.retry_after_s:
            await self.pause(error.retry_after_s)

    async def pause(self, pause_s: float) -> None:
        """Delay all calls of the account, on every machine, for `pause_s` seconds."""
        span = timedelta(seconds=min(pause_s, MAX_WAIT_S))
        try:
            await self.journal.pause(await self.journal.now() + span, panel=self.panel)
        except JournalError as error:
            _LOG.warning("%s", error)
