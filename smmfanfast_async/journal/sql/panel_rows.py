"""The panels of an account: their rows, the rate of calls to them, and their attempts in flight."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from .. import DEFAULT_PANEL, CallReservation
from . import schema, statements
from .settling import AccountSettling
from .transaction import transaction

__all__ = ["MAX_AHEAD", "PanelRows"]

MAX_AHEAD = timedelta(minutes=30)
"""How far ahead a reserved call and the end of a pause or a lease may be: no call waits that
long, and a later time was written before the clock was set back."""


class PanelRows(AccountSettling):
    """What `SQLJournal` keeps of each panel."""

    async def _insert_panel(self, connection: AsyncConnection, panel: str) -> None:
        insert = statements.insert_or_ignore(schema.panels, is_sqlite=self._database.is_sqlite)
        await connection.execute(insert.values(account=self._account, panel=panel))

    @transaction(reads=True)
    async def open_panels(self, connection: AsyncConnection) -> list[str]:
        """Read the account's panels, and look for an open order at each."""
        return list((await connection.execute(statements.OPEN_PANELS, self._params())).scalars())

    @transaction(reads=True)
    async def count_in_flight(self, connection: AsyncConnection, panel: str = DEFAULT_PANEL) -> int:
        """Count the slots in use."""
        taken = await connection.execute(statements.TAKEN_SLOTS, self._params(panel=panel))
        return len(taken.all())

    @transaction(reads=True)
    async def paused_panels(self, connection: AsyncConnection) -> dict[str, datetime]:
        """Read the rows of the account's panels."""
        now = await self._database.exact_now(connection)
        params = self._params(now=now, far=now + MAX_AHEAD)
        rows = await connection.execute(statements.PAUSED_PANELS, params)
        return {row.panel: row.paused_until for row in rows}

    @transaction()
    async def reserve_call(
        self, connection: AsyncConnection, interval: timedelta, *, panel: str = DEFAULT_PANEL
    ) -> CallReservation:
        """Move the time of the panel's next call by `interval`, in whole microseconds."""
        now = await self._database.exact_now(connection)
        params = self._params(
            now=now, far=now + MAX_AHEAD, interval=interval // timedelta(microseconds=1),
            panel=panel,
        )  # fmt: skip
        found = (await connection.execute(statements.RESERVE_CALL, params)).scalar()
        if found is None:  # the panel was not named when the journal was opened
            await self._insert_panel(connection, panel)
            found = (await connection.execute(statements.RESERVE_CALL, params)).scalar_one()
        reserved: datetime = found
        call_at = reserved - interval
        wait = max(call_at - now, timedelta(0))
        return CallReservation(wait=wait, call_at=call_at, next_call_at=reserved, panel=panel)

    async def cancel_call(self, reservation: CallReservation) -> None:
        """Set the time of the panel's next call back, if it is still the one reserved then.

        A failed transaction is not repeated: it may have been committed, and another call may have
        been reserved for the same time since.
        """
        params = self._params(
            call_at=reservation.call_at, next_call_at=reservation.next_call_at,
            panel=reservation.panel,
        )  # fmt: skip
        is_first_try = True

        async def cancel(connection: AsyncConnection) -> None:
            nonlocal is_first_try
            if is_first_try:
                is_first_try = False
                await connection.execute(statements.CANCEL_CALL, params)

        await self._database.run(cancel)

    @transaction()
    async def pause(
        self, connection: AsyncConnection, until: datetime, *, panel: str = DEFAULT_PANEL
    ) -> None:
        """Set the panel's `paused_until`, unless it is later already."""
        far = await self._database.exact_now(connection) + MAX_AHEAD
        params = self._params(until=min(until, far), far=far, panel=panel)
        await connection.execute(statements.PAUSE, params)
