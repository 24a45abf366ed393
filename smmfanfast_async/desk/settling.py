"""Settling unknown orders by the balance, if that was asked for (`settle_by_balance`).

How this works. While all unknown orders of an account are such that the balance may settle them, a
desk that follows reads it every two minutes. The first reading that does not fit leaves an order to
a person for good, in the journal. Once the balance has stood still for `SETTLE_AFTER_S` and every
accepted order was checked after that and not canceled, the orders are refused, in one transaction.
`settling_rules` has the rules. Two desks may do this at the same time: the journal lets one of them
settle, and only what is still unknown.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from attrs import define, frozen

from .._engine.limiter import Clock
from .._engine.policy import RetryPolicy
from ..client import Client
from ..errors import PanelError
from ..journal import Activity, Journal, Settlement
from .rate_limit import AccountRateLimit
from .settling_rules import (
    MAX_UNKNOWN,
    SETTLE_AFTER_S,
    Account,
    Reading,
    describe,
    judge,
    may_settle_all,
    read_window,
)
from .timing import Timing

__all__ = ["READ_EVERY_S", "Settler"]

READ_EVERY_S = 120.0
"""Seconds between two readings of the balance: a charge and a deposit of the same amount hide each
other only between the same two, and a panel that is asked for a pause gets few calls."""

MAX_EVENTS = 500
"""How many events before a reading are looked at, and as many after it: a busy quarter of an hour.
If more happened, the orders are left to a person."""

CHECKED_AFTER = timedelta(seconds=300)
"""How long after a reading the check of an order must be recorded to have been answered after it: a
status call takes a minute, and recording its result takes longer only while the database is slow.
"""

_LOG = logging.getLogger("smmfanfast_async")


@frozen(kw_only=True)
class _Still:
    """Since when nothing has changed."""

    state: object
    """What must not change: balance, currency, the unknown orders and the last attempt."""
    first: Reading
    """The first reading with it."""
    last: Reading | None = None
    """The first reading at least `SETTLE_AFTER_S` later; None before that."""


@define(kw_only=True)
class Settler:
    """Settles the unknown orders of one account."""

    client: Client
    journal: Journal
    rate_limit: AccountRateLimit
    on_events: Callable[[], None]
    """Called when there are new events."""
    timing: Timing
    clock: Clock
    _still: _Still | None = None
    _obstacle: str | None = None
    """Why the orders were not settled when that was last logged."""

    async def run(self) -> None:
        """Read the balance and settle orders until cancelled; errors are logged."""
        while True:
            try:
                await self.step()
            except PanelError as error:
                _LOG.warning("unknown orders cannot be settled by the balance now: %s", error)
            await self.clock.sleep(READ_EVERY_S)

    async def step(self) -> None:
        """Read the balance if there are orders to settle, and settle them if it allows that.

        Raises `PanelError` if the balance or the journal cannot be read; nothing was changed.
        """
        activity = await self.journal.activity(MAX_UNKNOWN + 1)
        if not may_settle_all(activity):
            self._give_up(None)
            return
        reading = await self._read(activity)
        if reading is None:
            return
        still = self._still
        is_long = still is not None and (reading.asked_s - still.first.read_s >= SETTLE_AFTER_S)
        last = still.last if still is not None and still.last is not None else reading
        # Before the events: an order that was checked after `last` has an event if it was canceled.
        is_checked = is_long and not await self.journal.has_unchecked(last.at + CHECKED_AFTER)
        account = await self._read_account(activity, reading)
        if isinstance(account, str):
            self._give_up(account)
            return
        state = reading.balance, reading.currency, account.window
        if still is None or still.state != state:
            self._still = still = _Still(state=state, first=reading)
            is_long = is_checked = False
        elif is_long:
            self._still = still = _Still(state=state, first=still.first, last=last)
        obstacle, misfits = judge(account, reading, is_long=is_long)
        if obstacle is None and is_checked:
            await self._settle(account, still.first, last)
        for entry in misfits:
            await self.journal.stop_settling(entry.ref, entry.attempt)
        self._log(obstacle)

    async def _read(self, before: Activity) -> Reading | None:
        """Return the balance; None if something of the account was on its way meanwhile."""
        if before.in_flight:
            return None
        timeout_s = self.timing.balance_timeout_s
        once = self.client.with_options(timeout_s=timeout_s, retry=RetryPolicy(max_attempts=1))
        async with self.rate_limit.turn(timeout_s) as turn:
            if turn.wait_s:
                return None
            asked_s = self.clock.now_s()
            balance = await once.balance()
        read_s = self.clock.now_s()
        after = await self.journal.activity(MAX_UNKNOWN + 1)
        if after.in_flight or after.unknown != before.unknown:
            return None
        return Reading(
            balance=balance.balance, currency=balance.currency, at=after.at,
            position=after.position, asked_s=asked_s, read_s=read_s,
        )  # fmt: skip

    async def _read_account(self, activity: Activity, reading: Reading) -> Account | str:
        """Return what the orders are judged by, or why they cannot be settled."""
        after = max(reading.position - MAX_EVENTS, 0)
        events = await self.journal.events(after, 2 * MAX_EVENTS)
        if len(events) == 2 * MAX_EVENTS:
            return "too much happened since"
        window = read_window(activity.unknown, events, reading, is_complete=after == 0)
        if isinstance(window, str):
            return window
        accepted = {each.ref: await self.journal.find(each.ref) for each in window.accepted}
        return Account(unknown=activity.unknown, window=window, accepted=accepted)

    async def _settle(self, account: Account, first: Reading, last: Reading) -> None:
        settlements = [
            Settlement(
                ref=entry.ref,
                attempt=entry.attempt,
                reason=describe(entry, account, first, last),
            )
            for entry in account.unknown
        ]
        for entry in await self.journal.settle(settlements):
            _LOG.info("%r is refused: %s", entry.ref, entry.reason)
            self.on_events()

    def _give_up(self, obstacle: str | None) -> None:
        self._still = None
        self._log(obstacle)

    def _log(self, obstacle: str | None) -> None:
        if obstacle is not None and obstacle != self._obstacle:
            _LOG.info("unknown orders cannot be settled by the balance: %s", obstacle)
        self._obstacle = obstacle
