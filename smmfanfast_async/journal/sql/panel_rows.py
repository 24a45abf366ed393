"""The panels of an account: their rows, the rate of calls to them, and their attempts in flight."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from .. import DEFAULT_PANEL, CallReservation
from . import schema, statements
from .queries import AccountQueries
from .transaction import transaction

__all__ = ["MAX_AHEAD", "PanelRows"]

MAX_AHEAD = timedelta(minutes=30)
"""How far ahead a reserved call and the end of a pause or a lease may be: no call waits that
long, and a later time was written before the clock was set back."""


class PanelRows(AccountQueries):
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
        next_call_at = (await connection.execute(statements.RESERVE_CALL, params)).scalar()
        if next_call_at is None:  # the panel was not named when the journal was opened
            await self._insert_panel(connection, panel)
            next_call_at = (await connection.execute(statements.RESERVE_CALL, params)).scalar_one()
        call_at: datetime = next_call_at - interval
        wait = max(call_at - now, timedelta(0))
        return CallReservation(panel=panel, wait=wait, call_at=call_at, next_call_at=next_call_at)

    async def cancel_call(self, reservation: CallReservation) -> None:
        """Set the time of the panel's next call back, if it is still the one reserved then.

        A failed transaction is not repeated: it may have been committed, and another call may have
        been reserved for the same time since.
        """
        params = self._params(
            panel=reservation.panel, call_at=reservation.call_at,
            next_call_at=reservation.next_call_at,
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
