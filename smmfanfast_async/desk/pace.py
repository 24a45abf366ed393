"""The account's pace, kept in the journal so that it holds over all machines.

A row of the journal's own is asked for each place. A limiter library on the same database would
bring a second pool of connections and a clock of each machine's own; the row costs one short
transaction a call, by the clock and the connections that are there, and a panel's "too often"
stands in it too.
"""

import asyncio
from datetime import timedelta

from attrs import frozen

from ..journal import Journal

__all__ = ["Pace"]

MINUTE = timedelta(minutes=1)

MAX_WAIT_S = 900.0
"""Seconds that one call waits for its place at most, the longest pause a panel is granted."""


@frozen
class Pace:
    """Hands out places, one after the other."""

    journal: Journal
    calls_per_minute: int | None
    """None for no pace: nothing is asked."""

    async def wait(self) -> None:
        """Wait for a place."""
        if self.calls_per_minute is None:
            return
        wait = await self.journal.permit(MINUTE / self.calls_per_minute)
        await asyncio.sleep(min(wait.total_seconds(), MAX_WAIT_S))
