"""The moves of an order, each a piece of a transaction: find the row, move it, tell of it.

A piece may be carried out twice, where the answer to a commit was lost or another machine was a
moment earlier; it looks first, and what is done already it does not do again. Rows are locked in
one order everywhere, so that no two transactions wait for each other: the day's budget, then
orders, then the account's row, under which events are numbered.
"""

import random
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from ...errors import ErrorKind, JournalError, RefConflictError, SpendingLimitError
from .. import TRANSITIONS, Entry, EntryState, EventKind, NewEntry, Outcome
from . import statements
from .rows import (
    digest_of,
    entry_of,
    event_row,
    late_row,
    new_row,
    outcome_values,
    told_of_move,
    told_of_state,
)
from .schema import budgets, orders

__all__ = ["Transitions"]

_S = EntryState


class Transitions:
    """Pieces of transactions about the orders of one account."""

    def __init__(self, account: str, *, is_sqlite: bool) -> None:
        self._account = account
        self._is_sqlite = is_sqlite
        self._last_event: dict[str, Any] | None = None

    # --- the moves -------------------------------------------------------------------------------

    async def create(
        self, connection: AsyncConnection, new: NewEntry, budget: Decimal | None, now: datetime
    ) -> Entry:
        """Write an order down, or give the entry that has its ref already."""
        found = await self.row(connection, statements.BY_REF, new.ref)
        if found is None and budget is not None and new.price is not None:
            await self.lock_budget(connection, new.budget_day)
            # Looked for again: who held the budget may have written down this very ref.
            found = await self.row(connection, statements.BY_REF, new.ref)
            if found is None:
                await self.check_budget(connection, new.price, new.budget_day, budget)
        if found is None:
            insert = statements.insert_unless_there(orders, is_sqlite=self._is_sqlite)
            row = new_row(self._account, new, now)
            made = await connection.execute(insert.values(row).returning(orders))
            found = made.mappings().one_or_none()
        if found is None:  # somebody else was a moment earlier
            found = await self.require_row(connection, new.ref)
        if found["digest"] != digest_of(new.form):
            text = f"ref {new.ref!r} names an order of other content already"
            raise RefConflictError(text, action="add", order=found["panel_order"])
        return entry_of(found)

    async def start_attempt(
        self,
        connection: AsyncConnection,
        ref: str,
        attempt: int,
        *,
        owner: str,
        until: datetime,
        max_in_flight: int,
        balance: Decimal | None,
        now: datetime,
    ) -> Entry | None:
        """Move PREPARED to SENDING for an owner; None where that can't be now."""
        row = await self.row(connection, statements.BY_REF, ref)
        if row is not None and row["owner"] == owner:
            # Begun already: the answer to the commit was lost. It may have lapsed since.
            return entry_of(row) if row["state"] == _S.SENDING else None
        taken = await connection.execute(statements.SLOTS_TAKEN, {"of_account": self._account})
        busy = set(taken.scalars())
        if len(busy) >= max_in_flight:
            return None
        # Any of them: two machines that begin at once rarely want the same.
        slot = random.choice(sorted(set(range(max_in_flight)) - busy))  # noqa: S311  # no secret
        begun = await connection.execute(statements.START_ATTEMPT, {
            "of_account": self._account, "of_ref": ref, "of_attempt": attempt, "now": now,
            "at_slot": slot, "by_owner": owner, "until": until, "balance": balance,
        })  # fmt: skip
        found = begun.mappings().one_or_none()
        return None if found is None else entry_of(found)

    async def record_outcome(
        self, connection: AsyncConnection, ref: str, attempt: int, outcome: Outcome, now: datetime
    ) -> Entry:
        """Write what became of an attempt: a move, an event where it is too late for one."""
        row = await self.require_row(connection, ref, lock=True)
        since = _S(row["state"])
        kept = (None, row["panel_order"], row["suspected_order"])
        if row["attempt"] == attempt and _may_settle(since, outcome.state):
            outcome = await self.unless_claimed(connection, ref, outcome)
            is_news = since is _S.UNKNOWN and outcome.order not in kept
            if outcome.state in TRANSITIONS[since] or is_news:
                return await self.apply(connection, row, outcome, now)
        if outcome.order not in kept:
            # It can't move the entry, and must not be lost.
            await self.append_events(connection, [late_row(row, attempt, outcome, now)])
        return entry_of(row)

    async def apply_decision(
        self,
        connection: AsyncConnection,
        ref: str,
        from_states: Collection[EntryState],
        outcome: Outcome,
        now: datetime,
        *,
        budget_day: str | None,
        budget: Decimal | None,
    ) -> Entry | None:
        """Carry out a person's move; None where the entry is in none of the states `since`."""
        if budget is not None and budget_day is not None:
            # Before the order's own row: whoever needs both locks them in this order.
            await self.lock_budget(connection, budget_day)
        row = await self.row(connection, statements.BY_REF_LOCKED, ref)
        if row is None or row["state"] not in from_states:
            return None
        _check_decision(row, outcome)
        await self.check_unclaimed(connection, ref, outcome.order)
        values: dict[str, Any] = {"settled_at": row["settled_at"]}
        if budget_day is not None:
            await self.check_budget(connection, row["price"], budget_day, budget)
            values["budget_day"] = budget_day
        if row["state"] == _S.UNKNOWN and outcome.state is _S.WITHDRAWN:
            values["was_unknown"] = True
        return await self.apply(connection, row, outcome, now, **values)

    # --- their parts -----------------------------------------------------------------------------

    async def row(self, connection: AsyncConnection, statement: Any, ref: str) -> RowMapping | None:
        """Give the row of a ref by one of the statements for that, None where there is none."""
        found = await connection.execute(statement, {"of_account": self._account, "of_ref": ref})
        return found.mappings().one_or_none()

    async def require_row(
        self, connection: AsyncConnection, ref: str, *, lock: bool = False
    ) -> RowMapping:
        """Give the row of a ref that has to be there; `lock` holds it to the end."""
        statement = statements.BY_REF_LOCKED if lock else statements.BY_REF
        row = await self.row(connection, statement, ref)
        if row is None:
            raise JournalError(f"has no entry {ref!r}")
        return row

    async def check_budget(
        self,
        connection: AsyncConnection,
        price: Decimal | None,
        day: str,
        budget: Decimal | None,
    ) -> None:
        """Raise where the day's budget, which is locked, does not hold one more price."""
        if budget is None or price is None:
            return
        about = {"of_account": self._account, "day": day}
        booked = await connection.execute(statements.BUDGET_SPENT, about)
        spent = sum((each * count for each, count in booked), Decimal(0))
        if spent + price > budget:
            raise SpendingLimitError("budget_per_day", price, budget, spent)

    async def lock_budget(self, connection: AsyncConnection, day: str) -> None:
        """Hold a day's budget to the end of the transaction."""
        insert = statements.insert_unless_there(budgets, is_sqlite=self._is_sqlite)
        await connection.execute(insert.values(account=self._account, day=day, checks=0))
        about = {"of_account": self._account, "of_day": day}
        await connection.execute(statements.LOCK_BUDGET, about)

    async def check_unclaimed(
        self, connection: AsyncConnection, ref: str, order: str | None
    ) -> None:
        """Raise `RefConflictError` where an order of the panel is another ref's."""
        about = {"of_account": self._account, "of_order": order}
        owner = (await connection.execute(statements.BY_PANEL_ORDER, about)).scalar()
        if order is not None and owner not in (None, ref):
            text = f"order {order} is that of ref {owner!r} already"
            raise RefConflictError(text, action="add", order=order)

    async def unless_claimed(
        self, connection: AsyncConnection, ref: str, outcome: Outcome
    ) -> Outcome:
        """Give the outcome; an id that is another ref's already makes it unknown."""
        try:
            if outcome.state is _S.ACCEPTED:
                await self.check_unclaimed(connection, ref, outcome.order)
        except RefConflictError as error:
            return attrs.evolve(
                outcome, state=_S.UNKNOWN, kind=ErrorKind.CONFLICT, reason=error.text, due_at=None
            )
        return outcome

    async def apply(
        self,
        connection: AsyncConnection,
        row: RowMapping,
        outcome: Outcome,
        now: datetime,
        **values: Any,
    ) -> Entry:
        """Carry out a move of a row that this transaction holds, and tell of it."""
        statement = statements.transition(_S(row["state"]), outcome_values(outcome, now) | values)
        about = {"key": row["id"], "of_attempt": row["attempt"]}
        moved = (await connection.execute(statement, about)).mappings().one()
        if outcome.state in (_S.WITHDRAWN, _S.REFUSED) and row["link"]:
            await self.release_held(connection, [row["link"]], now)
        kind, text = told_of_move(outcome)
        await self.append_events(connection, [event_row(moved, kind, now) | {"text": text}])
        return entry_of(moved)

    async def release_held(
        self, connection: AsyncConnection, links: Collection[str], now: datetime
    ) -> None:
        """Let orders be tried again that are held for these links."""
        if links:
            about = {"of_account": self._account, "links": sorted(set(links)), "now": now}
            await connection.execute(statements.FREE_LINK, about)

    async def append_events(self, connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
        """Append events; the account's row is the last that a transaction locks."""
        if not rows:
            return
        about = {"of_account": self._account, "many": len(rows)}
        last = (await connection.execute(statements.NUMBER_EVENTS, about)).scalar_one()
        for position, row in enumerate(rows, last - len(rows) + 1):
            row["position"] = position
        await connection.execute(statements.INSERT_EVENT, rows)
        self._last_event = rows[-1]

    async def already_committed(self, connection: AsyncConnection) -> bool:
        """Whether what was appended last is there: the commit happened, its answer was lost."""
        if self._last_event is None:
            return False
        about = {"of_account": self._account, "at_position": self._last_event["position"]}
        found = (await connection.execute(statements.EVENT_AT, about)).one_or_none()
        # Another transaction may have taken the position of one that was rolled back.
        told = self._last_event
        return found is not None and tuple(found) == (told["at"], told["ref"], told["kind"])

    def event_of_entry(self, entry: Entry, kind: EventKind, now: datetime) -> dict[str, Any]:
        """Give the row of an event about an order that was followed."""
        return event_row({
            "account": self._account, "ref": entry.ref, "attempt": entry.attempt,
            "panel_order": entry.order, "raw_status": entry.raw_status, "charge": entry.charge,
            "remains": entry.remains, "reason": None,
        }, kind, now)  # fmt: skip


def _may_settle(since: EntryState, to: EntryState) -> bool:
    """Whether an attempt's own outcome may still move the entry that it belongs to."""
    if since is _S.SENDING:
        return to in TRANSITIONS[since]
    # What was given up is lifted by the panel's word alone.
    said = {_S.UNKNOWN: {_S.ACCEPTED, _S.REFUSED}, _S.WITHDRAWN: {_S.ACCEPTED}}
    return to in said.get(since, set())


def _check_decision(row: RowMapping, outcome: Outcome) -> None:
    """Raise `JournalError` for what is no move, or not a person's."""
    since = _S(row["state"])
    if outcome.state not in TRANSITIONS[since] or not told_of_state(outcome.state):
        raise JournalError(f"knows no move from {since} to {outcome.state} by a person")
    if outcome.state is _S.PREPARED and row["form"] is None:
        raise JournalError(f"the form of ref {row['ref']!r} is forgotten: it can't be sent again")
