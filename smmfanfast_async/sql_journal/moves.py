"""What a transaction about orders is made of: find a row, move it, tell of it, hold its price.

Rows are locked in one order everywhere, so that no two transactions wait for each other: the day's
budget, then orders, then the account's row, under which events are numbered.
"""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import ErrorKind, JournalError, RefConflictError, SpendingLimitError
from ..journal import MOVES, Entry, EntryState, EventKind, Outcome
from . import statements
from .rows import entry_of, event_row, outcome_values, told_of_move
from .schema import budgets

__all__ = ["Moves", "may_settle"]

_S = EntryState


class Moves:
    """Pieces of transactions about the orders of one account."""

    def __init__(self, account: str, *, is_sqlite: bool) -> None:
        self._account = account
        self._is_sqlite = is_sqlite

    async def row(self, connection: AsyncConnection, statement: Any, ref: str) -> RowMapping | None:
        """Give the row of a ref by one of the statements for that, None where there is none."""
        found = await connection.execute(statement, {"of_account": self._account, "of_ref": ref})
        return found.mappings().one_or_none()

    async def sure_row(
        self, connection: AsyncConnection, ref: str, *, lock: bool = False
    ) -> RowMapping:
        """Give the row of a ref that has to be there; `lock` holds it to the end."""
        statement = statements.BY_REF_LOCKED if lock else statements.BY_REF
        row = await self.row(connection, statement, ref)
        if row is None:
            raise JournalError(f"has no entry {ref!r}")
        return row

    async def hold_against(
        self,
        connection: AsyncConnection,
        price: Decimal | None,
        day: str,
        budget: Decimal | None,
    ) -> None:
        """Raise where the day's budget does not hold one more price; nobody books meanwhile."""
        if budget is None or price is None:
            return
        await self.lock_budget(connection, day)
        about = {"of_account": self._account, "day": day}
        booked = await connection.execute(statements.BOOKED, about)
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
            raise RefConflictError(text, None, None, None, "add", order)

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

    async def move(
        self,
        connection: AsyncConnection,
        row: RowMapping,
        outcome: Outcome,
        now: datetime,
        **values: Any,
    ) -> Entry:
        """Carry out a move of a row that this transaction holds, and tell of it."""
        since = _S(row["state"])
        if outcome.state is not since and outcome.state not in MOVES[since]:
            raise JournalError(f"knows no move from {since} to {outcome.state}")
        statement = statements.move(since, outcome_values(outcome, now) | values)
        about = {"key": row["id"], "of_attempt": row["attempt"]}
        moved = (await connection.execute(statement, about)).mappings().one()
        kind, text = told_of_move(outcome)
        await self.tell(connection, [event_row(moved, kind, now) | {"text": text}])
        if outcome.state in (_S.WITHDRAWN, _S.REFUSED) and row["link"]:
            await self.free(connection, [row["link"]], now)
        return entry_of(moved)

    async def free(
        self, connection: AsyncConnection, links: Collection[str], now: datetime
    ) -> None:
        """Let orders be tried again that are held for these links."""
        if links:
            about = {"of_account": self._account, "links": sorted(set(links)), "now": now}
            await connection.execute(statements.FREE_LINK, about)

    async def tell(self, connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
        """Append events; the account's row is the last that a transaction locks."""
        if not rows:
            return
        about = {"of_account": self._account, "many": len(rows)}
        last = (await connection.execute(statements.NUMBER_EVENTS, about)).scalar_one()
        for position, row in enumerate(rows, last - len(rows) + 1):
            row["position"] = position
        await connection.execute(statements.INSERT_EVENT, rows)

    def event_of_entry(self, entry: Entry, kind: EventKind, now: datetime) -> dict[str, Any]:
        """Give the row of an event about an order that was followed."""
        return event_row({
            "account": self._account, "ref": entry.ref, "attempt": entry.attempt,
            "panel_order": entry.order, "raw_status": entry.raw_status, "charge": entry.charge,
            "remains": entry.remains, "reason": None,
        }, kind, now)  # fmt: skip


def may_settle(since: EntryState, to: EntryState) -> bool:
    """Whether an attempt's own outcome may still move the entry that it belongs to."""
    if since is _S.SENDING:
        return to in MOVES[since]
    # What was given up is lifted by the panel's word alone.
    said = {_S.UNKNOWN: {_S.ACCEPTED, _S.REFUSED}, _S.WITHDRAWN: {_S.ACCEPTED}}
    return to in said.get(since, set())
