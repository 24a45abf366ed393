"""What the orders of a day cost together, checked against the day's budget.

How this works. An order counts against the day in its row while its state is one of
`SPENDING_STATES` and its price is known. What a day's orders cost is the sum of the amounts in
`budget_changes`: each transaction that changes an order's price, day or state adds an amount for
what it changes. That needs no lock, so no outcome waits for one, and it is undone with the
transaction. A check holds the day's lock; it reads a bounded number of amounts, since it replaces
more than `MAX_CHANGES` of them by their sum. Amounts of up to 40 digits before and 40 after the
point are added exactly (`_amounts.EXACT`); what has more is an error.
"""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ..._amounts import EXACT, total
from ...errors import SpendingLimitError
from .. import SPENDING_STATES
from . import statements
from .schema import budget_changes, budgets

__all__ = ["DayBudget"]

MAX_CHANGES = 50
"""How many amounts of a day a check leaves as they are: reading them takes a fraction of a
millisecond, replacing them by their sum takes two more statements."""

FOLD_ROWS = 10_000
"""How many amounts are replaced by their sum at a time: some tens of milliseconds."""

Row = Mapping[Any, Any]
"""The row of an order as a mapping from column names."""


class DayBudget:
    """Parts of transactions on the budgets of one account."""

    def __init__(self, account: str, *, is_sqlite: bool) -> None:
        self._account = account
        self._is_sqlite = is_sqlite

    async def lock(self, connection: AsyncConnection, day: str) -> None:
        """Lock a day's budget until the end of the transaction."""
        params = {"p_account": self._account, "p_day": day}
        if (await connection.execute(statements.LOCK_BUDGET, params)).one_or_none() is None:
            insert = statements.insert_or_ignore(budgets, is_sqlite=self._is_sqlite)
            await connection.execute(insert.values(account=self._account, day=day, checks=0))
            await connection.execute(statements.LOCK_BUDGET, params)

    async def check(
        self,
        connection: AsyncConnection,
        price: Decimal | None,
        day: str,
        budget: Decimal | None,
        *,
        row: Row | None = None,
    ) -> None:
        """Raise `SpendingLimitError` if one more price exceeds the day's locked budget.

        `row` is the order's row if it has one: what it counts already is not counted twice.
        """
        if budget is None or price is None:
            return
        spent = await self._spent(connection, day)
        counted_day, counted = _counted(row)
        if counted_day == day:
            spent = EXACT.subtract(spent, counted)
        if EXACT.add(spent, price) > budget:
            raise SpendingLimitError("budget_per_day", price, budget, spent)

    async def record(self, connection: AsyncConnection, before: Row | None, after: Row) -> None:
        """Add what changed with an order's row in this transaction; `before` is None for a new one.

        The transaction has the row locked, or has inserted it.
        """
        changes: defaultdict[str, Decimal] = defaultdict(Decimal)
        for row, sign in ((before, -1), (after, 1)):
            day, price = _counted(row)
            changes[day] = EXACT.fma(price, Decimal(sign), changes[day])
        rows = [
            {"account": self._account, "day": day, "amount": amount}
            for day, amount in changes.items()
            if amount
        ]
        if rows:
            await connection.execute(budget_changes.insert(), rows)

    async def fold_before(self, connection: AsyncConnection, day: str) -> bool:
        """Replace amounts of a day before this one by their sum; return False if none is left."""
        params = {"p_account": self._account, "p_day": day}
        old_day = (await connection.execute(statements.DAY_WITH_BUDGET_CHANGES, params)).scalar()
        if old_day is None:
            return False
        await self.lock(connection, old_day)
        await self._fold(connection, old_day)
        return True

    async def _spent(self, connection: AsyncConnection, day: str) -> Decimal:
        """Return what the orders of a locked day cost together."""
        params = {"p_account": self._account, "p_day": day, "p_limit": MAX_CHANGES + 1}
        while True:
            amounts = (await connection.execute(statements.BUDGET_CHANGES, params)).scalars().all()
            if len(amounts) <= MAX_CHANGES:
                return total(amounts)
            await self._fold(connection, day)

    async def _fold(self, connection: AsyncConnection, day: str) -> None:
        """Replace amounts of a locked day by their sum."""
        params = {"p_account": self._account, "p_day": day, "p_limit": FOLD_ROWS}
        taken = await connection.execute(statements.TAKE_BUDGET_CHANGES, params)
        values = {"account": self._account, "day": day, "amount": total(taken.scalars())}
        await connection.execute(budget_changes.insert(), values)


def _counted(row: Row | None) -> tuple[str, Decimal]:
    """Return the day against which an order counts, and with which amount."""
    if row is None or row["price"] is None or row["state"] not in SPENDING_STATES:
        return "", Decimal(0)
    return row["budget_day"], row["price"]
