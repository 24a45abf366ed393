"""The account's pace, kept in the journal so that it holds over all machines.

A row of the journal's own is asked for each place. A limiter library on the same database would
bring a second pool of connections and a clock of each machine's own; the row costs one short
transaction a call, by the clock and the connections that are there, and a panel's "too often"
stands in it too.
"""

import asyncio
import logging
from datetime import timedelta

from attrs import frozen

from ..errors import JournalError
from ..journal import Journal

__all__ = ["MAX_WAIT_S", "AccountRateLimit"]

MINUTE = timedelta(minutes=1)

MAX_WAIT_S = 900.0
"""The longest pause that a panel is granted, and the longest wait of one call for its place, in
seconds: a panel that asks for more is asked again after that, should it have been a mistake."""

_LOG = logging.getLogger("smmfanfast_async")


@frozen
class AccountRateLimit:
    """Hands out places, one after the other."""

    journal: Journal
    calls_per_minute: int | None
    """None for no pace: nothing is asked."""

    async def wait(self, longest_s: float = MAX_WAIT_S) -> float:
        """Wait for a place; give 0.

        Where that would take more than `longest_s` nothing is waited for, and its seconds given.
        """
        if self.calls_per_minute is None:
            return 0.0
        wait = await self.journal.reserve_call(MINUTE / self.calls_per_minute)
        wait_s = min(wait.total_seconds(), MAX_WAIT_S)
        if wait_s > longest_s:
            return wait_s
        await asyncio.sleep(wait_s)
        return 0.0

    async def pause(self, asked_s: float) -> None:
        """Let no call of the account out for some time, on any machine."""
        span = timedelta(seconds=min(asked_s, MAX_WAIT_S))
        try:
            await self.journal.pause(await self.journal.now() + span)
        except JournalError as error:
            _LOG.warning("%s", error)
