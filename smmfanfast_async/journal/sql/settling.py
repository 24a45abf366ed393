"""What `SQLJournal` does for a desk that settles unknown orders."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from .. import DEFAULT_PANEL, Activity, Entry, Settlement
from . import statements
from .queries import AccountQueries
from .rows import entry_from_row, text_digest
from .transaction import eventful_transaction, transaction
from .transitions import Transitions

__all__ = ["AccountSettling"]


class AccountSettling(AccountQueries):
    """The evidence by which unknown orders of an account are settled, and settling them."""

    async def activity(self, limit: int) -> Activity:
        """Read slots, unknown orders and the last position in one transaction."""
        return await self._activity(await self.now(), limit)

    @transaction(reads=True)
    async def _activity(self, connection: AsyncConnection, at: datetime, limit: int) -> Activity:
        params = self._params(limit=limit, panel=DEFAULT_PANEL)
        # In this order: PostgreSQL shows each statement what was committed before it, and an
        # attempt that ends in between must be counted, or have an event up to the position.
        taken = (await connection.execute(statements.SLOTS_OF_ACCOUNT, params)).all()
        position = (await connection.execute(statements.LAST_EVENT, params)).scalar_one()
        unknown = (await connection.execute(statements.SOME_UNKNOWN, params)).mappings()
        return Activity(
            at=at,
            in_flight=len(taken),
            unknown=tuple(entry_from_row(row) for row in unknown),
            position=position,
        )

    @transaction(reads=True)
    async def same_link(
        self, connection: AsyncConnection, entry: Entry, *, since: datetime, limit: int
    ) -> list[Entry]:
        """Find them by the digest of the link."""
        if entry.link is None:
            return []
        params = self._params(
            link_digest=text_digest(entry.link), ref=entry.ref, since=since, limit=limit
        )
        rows = await connection.execute(statements.SAME_LINK, params)
        return [entry_from_row(row) for row in rows.mappings()]

    @transaction(reads=True)
    async def has_unchecked(self, connection: AsyncConnection, since: datetime) -> bool:
        """Read the accepted orders until one of them is found."""
        found = await connection.execute(statements.SOME_UNCHECKED, self._params(since=since))
        return found.first() is not None

    @eventful_transaction
    async def settle(
        self,
        transitions: Transitions,
        connection: AsyncConnection,
        now: datetime,
        settlements: Sequence[Settlement],
    ) -> list[Entry]:
        """Lock the rows, then apply the transitions."""
        return await transitions.settle(connection, settlements, now)

    @transaction()
    async def stop_settling(self, connection: AsyncConnection, ref: str, attempt: int) -> None:
        """Update the row if it still is in that attempt."""
        params = self._params(ref=ref, attempt=attempt)
        await connection.execute(statements.STOP_SETTLING, params)
