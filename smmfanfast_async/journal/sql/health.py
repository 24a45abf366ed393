"""The circuits of an account's panels, and its state in numbers, each a transaction."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs
from sqlalchemy.ext.asyncio import AsyncConnection

from ..._amounts import EXACT, total
from ...errors import ErrorKind
from .. import Circuit, ConsumerHealth, DeskHealth, PanelHealth
from . import statements
from .panel_rows import PanelRows
from .transaction import timed_transaction, transaction

__all__ = ["HealthQueries"]

MAX_BUDGET_CHANGES = 100_000
"""How many amounts of a day are added up to tell what is left of its budget: a desk with a budget
keeps fewer than a hundred, and those of desks without one are read in some 100 ms."""

_CIRCUIT_COLUMNS = tuple(each.name for each in attrs.fields(Circuit))
_Row = Mapping[Any, Any]


class HealthQueries(PanelRows):
    """What `SQLJournal` knows of panels and of an account as a whole."""

    @transaction(reads=True)
    async def circuit(self, connection: AsyncConnection, panel: str) -> Circuit:
        """Read the row of a panel."""
        found = await connection.execute(statements.CIRCUIT, self._params(panel=panel))
        row = found.mappings().one_or_none()
        return Circuit() if row is None else _circuit_from_row(row)

    @transaction()
    async def change_circuit(
        self,
        connection: AsyncConnection,
        panel: str,
        change: Callable[[Circuit, datetime], Circuit],
    ) -> tuple[Circuit, Circuit]:
        """Lock the row of a panel, inserting it if there is none, and update it."""
        params = self._params(panel=panel)
        await self._insert_panel(connection, panel)
        locked = await connection.execute(statements.CIRCUIT.with_for_update(), params)
        before = _circuit_from_row(locked.mappings().one())
        # Read with the row locked, since it is compared with times that other machines have set.
        after = change(before, await self._database.exact_now(connection))
        if after != before:
            values = attrs.asdict(after) | {"reason": after.reason and after.reason.value}
            await connection.execute(statements.UPDATE_PANEL.values(values), params)
        return before, after

    @timed_transaction
    async def make_due(
        self, connection: AsyncConnection, now: datetime, postponed_until: datetime
    ) -> None:
        """Update them with one statement."""
        await connection.execute(statements.MAKE_DUE, self._params(now=now, until=postponed_until))

    async def health(self, *, budget: Decimal | None = None) -> DeskHealth:
        """Count by the partial indexes of the states, in one transaction."""
        return await self._health(await self.now(), budget)

    @transaction(reads=True)
    async def _health(
        self, connection: AsyncConnection, now: datetime, budget: Decimal | None
    ) -> DeskHealth:
        params = self._params()
        counts = (await connection.execute(statements.COUNTS, params)).mappings().one()
        consumers = (await connection.execute(statements.CONSUMERS, params)).mappings().all()
        service_consumers = await connection.execute(statements.SERVICE_CONSUMERS, params)
        rows = (await connection.execute(statements.PANELS, params)).mappings().all()
        left = None
        if budget is not None:
            day = self._params(day=now.date().isoformat(), limit=MAX_BUDGET_CHANGES)
            amounts = await connection.execute(statements.BUDGET_CHANGES, day)
            left = EXACT.subtract(budget, total(amounts.scalars()))
        return DeskHealth(
            at=now,
            budget_left=left,
            consumers={row["consumer"]: ConsumerHealth(**row) for row in consumers},
            service_consumers={
                row["consumer"]: ConsumerHealth(**row) for row in service_consumers.mappings()
            },
            panels={row["panel"]: _panel_from_row(row, now) for row in rows},
            **counts,
        )


def _circuit_from_row(row: _Row) -> Circuit:
    values: dict[str, Any] = {name: row[name] for name in _CIRCUIT_COLUMNS}
    values["reason"] = row["reason"] and ErrorKind(row["reason"])
    return Circuit(**values)


def _panel_from_row(row: _Row, now: datetime) -> PanelHealth:
    circuit = _circuit_from_row(row)
    return PanelHealth(
        panel=row["panel"],
        circuit=circuit.state(now),
        reason=circuit.reason,
        failure_count=circuit.failure_count,
        open_until=circuit.open_until,
        paused_until=row["paused_until"],
        balance=circuit.balance,
        currency=circuit.currency,
        balance_at=circuit.balance_at,
        services_at=row["services_at"],
        services_reason=row["services_reason"],
    )
