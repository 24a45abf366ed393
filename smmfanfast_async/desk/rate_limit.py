"""The account's rate limit, kept in the journal so that it holds across machines.

Each call reserves its time in a row of the journal. A rate limiter library on the same database
would bring a second connection pool and use each machine's own clock; the row costs one short
transaction per call, on the journal's clock and connections, and it also holds the pause after a
panel's "too many requests".
"""

import logging
from datetime import timedelta

from attrs import field, frozen

from .._engine.limiter import Clock
from ..errors import JournalError
from ..journal import DEFAULT_PANEL, Journal

__all__ = ["MAX_WAIT_S", "AccountRateLimit"]

MINUTE = timedelta(minutes=1)

MAX_WAIT_S = 900.0
"""The longest pause that a panel is granted, and the longest wait of one call for its turn, in
seconds: a panel that asks for more is called again after that, in case it was a mistake."""

_LOG = logging.getLogger("smmfanfast_async")


@frozen
class AccountRateLimit:
    """Spaces the calls to one panel."""

    journal: Journal
    calls_per_minute: int | None
    """None for no limit: nothing is reserved."""
    clock: Clock = field(factory=Clock)
    panel: str = DEFAULT_PANEL

    async def wait(self, max_wait_s: float = MAX_WAIT_S) -> float:
        """Wait until the next call is allowed; return 0.

        If that would take longer than `max_wait_s`, return the seconds at once instead.
        """
        if self.calls_per_minute is None:
            return 0.0
        wait = await self.journal.reserve_call(MINUTE / self.calls_per_minute, panel=self.panel)
        wait_s = min(wait.total_seconds(), MAX_WAIT_S)
        if wait_s > max_wait_s:
            return wait_s
        await self.clock.sleep(wait_s)
        return 0.0

    async def pause(self, pause_s: float) -> None:
        """Delay all calls of the account, on every machine, for `pause_s` seconds."""
        span = timedelta(seconds=min(pause_s, MAX_WAIT_S))
        try:
            await self.journal.pause(await self.journal.now() + span, panel=self.panel)
        except JournalError as error:
            _LOG.warning("%s", error)
