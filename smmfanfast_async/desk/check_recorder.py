"""Recording what status calls returned, as many of them in one transaction as have landed.

How this works. While one transaction is written, what other calls return waits, and the next
transaction records all of it: the slower the database, the fewer and larger the transactions. If
such a transaction fails, what each call returned is recorded by itself, so that a value that the
database cannot store costs no other call its results.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import define, field, frozen

from ..errors import JournalError
from ..journal import Claim, Journal, Observation

__all__ = ["CheckRecorder", "CheckedOrders"]

MAX_CALLS = 10
"""Calls whose results are recorded in one transaction: a thousand orders take some tens of
milliseconds of database time."""

_LOG = logging.getLogger("smmfanfast_async")


@frozen(eq=False)
class CheckedOrders:
    """What one call returned."""

    observations: Sequence[Observation]
    """The orders that it returned something about."""
    unanswered: Sequence[tuple[Claim, datetime | None]]
    """The claims of the others, and when each is due again; None for never."""


@define(kw_only=True)
class CheckRecorder:
    """Records the checks of one follower."""

    journal: Journal
    on_events: Callable[[], None]
    """Called when there are new events."""
    _waiting: list[CheckedOrders] = field(factory=list)
    _writing: asyncio.Lock = field(factory=asyncio.Lock)

    async def record(self, checked: CheckedOrders) -> None:
        """Record what a call returned, and release the claims of orders without a result.

        If the database is unavailable, the orders are due again once their claims expire.
        """
        self._waiting.append(checked)
        async with self._writing:
            if checked not in self._waiting:
                return  # recorded with the results of an earlier call
            landed, self._waiting = self._waiting[:MAX_CALLS], self._waiting[MAX_CALLS:]
            await self._write_or_divide(landed)

    async def _write_or_divide(self, landed: Sequence[CheckedOrders]) -> None:
        """Write what calls returned together, and each by itself if that fails."""
        try:
            await self._write(landed)
        except JournalError as error:
            if len(landed) == 1:
                _LOG.warning("%s", error)
            else:
                await asyncio.gather(*(self._write_or_divide([each]) for each in landed))

    async def _write(self, landed: Sequence[CheckedOrders]) -> None:
        observations = [each for checked in landed for each in checked.observations]
        if await self.journal.record_statuses(observations):
            self.on_events()
        await self.journal.release([each for checked in landed for each in checked.unanswered])
