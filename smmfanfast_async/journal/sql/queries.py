"""The queries of one account's orders and events, each a transaction of named statements."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Executable, func
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ...errors import InvalidSettingsError, StaleEventError
from .. import (
    ConsumerClaim,
    Entry,
    EntryState,
    JournalEvent,
    StreamKind,
    Summary,
    UnknownOrder,
)
from . import statements
from .database import Database, journal_error
from .rows import (
    build_summary,
    build_unknown_order,
    entry_from_row,
    event_from_row,
    evidence_by_link,
)
from .schema import consumers, has_state, orders
from .transaction import timed_transaction, transaction

__all__ = ["PAGE_ROWS", "AccountQueries", "Overdue", "read_pages", "require_connection"]

T = TypeVar("T")

PAGE_ROWS = 500
"""How many rows `entries` reads, and `unknown` builds, at a time."""

MAX_CONSUMER_CHARACTERS = 200
"""The longest name of a consumer of events."""


async def read_pages(
    read: Callable[[int], Awaitable[Sequence[tuple[int, T]]]], size: int
) -> AsyncIterator[T]:
    """Yield what pages of up to `size` rows contain, each read by the id it starts after."""
    after = 0
    while True:
        page = await read(after)
        for after, each in page:  # noqa: B007  # the next page starts after the last id
            yield each
        if len(page) < size:
            return


class Overdue(NamedTuple):
    """The orders of an account that a running desk would have sent or checked already."""

    orders: int
    """How many are overdue, to be sent or to be checked."""
    checked_at: datetime | None
    """When the panel last answered a check of an accepted order; None if it never did."""


class AccountQueries:
    """What `SQLJournal` reads, and the positions of its consumers."""

    _database: Database
    _account: str

    async def now(self) -> datetime:
        """Return the time of the constructor's `clock`, or else of the database."""
        return await self._database.now()

    async def entries(
        self,
        *,
        states: Collection[EntryState] = (),
        statuses: Collection[str] = (),
        panels: Collection[str] = (),
        ref_prefix: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Entry]:
        """Read pages of 500 rows by id, each in a transaction of its own."""
        c = orders.c
        conditions: list[ColumnElement[bool]] = []
        if states:
            # As literals, for the partial indexes: of a million orders, few may be in a state.
            conditions.append(has_state(*map(EntryState, states)))
        if statuses:
            conditions.append(c.status.in_(statuses))
        if panels:
            conditions.append(c.panel.in_(panels))
        if ref_prefix:
            conditions.append(func.substr(c.ref, 1, len(ref_prefix)) == ref_prefix)
        if since is not None:
            conditions.append(c.created_at >= since)
        if until is not None:
            conditions.append(c.created_at < until)
        statement = statements.entries_page(conditions, PAGE_ROWS)
        async for entry in read_pages(lambda after: self._page(statement, after), PAGE_ROWS):
            yield entry

    @transaction(reads=True)
    async def _page(
        self, connection: AsyncConnection, statement: Executable, after: int
    ) -> list[tuple[int, Entry]]:
        rows = (await connection.execute(statement, self._params(after=after))).mappings()
        return [(row["id"], entry_from_row(row)) for row in rows]

    @transaction(reads=True)
    async def unknown(self, connection: AsyncConnection) -> list[UnknownOrder]:
        """Read them, and then all orders with their links."""
        params = self._params()
        rows = (await connection.execute(statements.UNKNOWN_ORDERS, params)).mappings().all()
        related = await connection.execute(statements.SAME_LINK_AS_UNKNOWN, params)
        evidence = evidence_by_link(related.mappings())
        unknown: list[UnknownOrder] = []
        for row in rows:
            unknown.append(build_unknown_order(entry_from_row(row), evidence))
            if len(unknown) % PAGE_ROWS == 0:
                await asyncio.sleep(0)  # other tasks do not wait for thousands of orders
        return unknown

    @transaction(reads=True)
    async def summary(self, connection: AsyncConnection) -> Summary:
        """Count in the database, and add up money exactly in Python."""
        return build_summary(await connection.execute(statements.ORDER_COUNTS, self._params()))

    # --- the journal as a whole ------------------------------------------------------------------

    @transaction(reads=True)
    async def accounts(self, connection: AsyncConnection, ref: str | None = None) -> dict[str, int]:
        """Return how many orders each account of the database has; with `ref`, of that ref.

        Raises `JournalError` if the database cannot be reached or understood.
        """
        rows = await connection.execute(statements.orders_by_account(ref))
        return {row.account: row.orders for row in rows}

    @transaction(reads=True)
    async def overdue(self, connection: AsyncConnection, before: datetime) -> Overdue:
        """Return how many orders of the account were due before a time, and the last check.

        Raises `JournalError` if the database cannot be reached or understood.
        """
        found = await connection.execute(statements.OVERDUE, self._params(before=before))
        row = found.one()
        return Overdue(row.to_check + row.to_send, row.checked_at)

    # --- events ----------------------------------------------------------------------------------

    @transaction(reads=True)
    async def events(
        self, connection: AsyncConnection, after: int, limit: int
    ) -> list[JournalEvent]:
        """Read a page of events."""
        params = self._params(after=after, limit=limit)
        rows = (await connection.execute(statements.EVENTS_AFTER, params)).mappings()
        return [event_from_row(row) for row in rows]

    async def position(self, consumer: str, *, stream: StreamKind = StreamKind.ORDERS) -> int:
        """Read the row of a consumer; a name has 1 to 200 characters."""
        return await self._position(_require_consumer(consumer), stream)

    @transaction(reads=True)
    async def _position(
        self, connection: AsyncConnection, consumer: str, stream: StreamKind
    ) -> int:
        params = self._params(consumer=consumer, stream=stream.value)
        return (await connection.execute(statements.CONSUMER, params)).scalar() or 0

    async def claim_consumer(
        self,
        consumer: str,
        owner: str,
        *,
        lease: timedelta,
        stream: StreamKind = StreamKind.ORDERS,
    ) -> ConsumerClaim | None:
        """Insert or update the row of a consumer; a name has 1 to 200 characters."""
        return await self._claim_consumer(_require_consumer(consumer), owner, lease, stream)

    @timed_transaction
    async def _claim_consumer(
        self,
        connection: AsyncConnection,
        now: datetime,
        consumer: str,
        owner: str,
        lease: timedelta,
        stream: StreamKind,
    ) -> ConsumerClaim | None:
        params = self._params(
            consumer=consumer, owner=owner, now=now, until=now + lease, stream=stream.value
        )
        row = (await connection.execute(statements.CLAIM_CONSUMER, params)).one_or_none()
        if row is None:
            row = (await connection.execute(statements.CONSUMER, params)).one_or_none()
            if row is None:
                insert = statements.insert_or_ignore(consumers, is_sqlite=self._database.is_sqlite)
                await connection.execute(insert.values(
                    account=self._account, stream=stream.value, consumer=consumer, position=0,
                    claim_version=1, owner=owner, leased_at=now, lease_until=now + lease,
                ))  # fmt: skip
                row = (await connection.execute(statements.CONSUMER, params)).one()
            if row.owner != owner:
                return None
            # New, or locked by the transaction in which this very owner acknowledges.
        return ConsumerClaim(
            consumer=consumer, position=row.position, version=row.claim_version, stream=stream
        )

    @transaction()
    async def release_consumer(self, connection: AsyncConnection, claim: ConsumerClaim) -> None:
        """Update the row of a consumer, if the claim is its latest."""
        params = self._params(
            consumer=claim.consumer, version=claim.version, stream=claim.stream.value
        )
        await connection.execute(statements.RELEASE_CONSUMER, params)

    async def acknowledge(
        self,
        claim: ConsumerClaim,
        position: int,
        *,
        lease: timedelta,
        connection: object | None = None,
    ) -> None:
        """Update the row of a consumer; `connection` is as for `create`, and has begun."""
        if connection is None:
            await self._acknowledge(claim, position, lease)
            return
        core_connection = await require_connection(connection, is_begun=True)
        now = await self.now()
        try:
            await self._move(
                core_connection, statements.ACKNOWLEDGE_ONCE, claim, position, now, lease
            )
        except SQLAlchemyError as error:
            raise journal_error(error) from error

    @timed_transaction
    async def _acknowledge(
        self,
        connection: AsyncConnection,
        now: datetime,
        claim: ConsumerClaim,
        position: int,
        lease: timedelta,
    ) -> None:
        await self._move(connection, statements.ACKNOWLEDGE, claim, position, now, lease)

    async def _move(
        self,
        connection: AsyncConnection,
        statement: Executable,
        claim: ConsumerClaim,
        position: int,
        now: datetime,
        lease: timedelta,
    ) -> None:
        params = self._params(
            consumer=claim.consumer, version=claim.version, position=position,
            now=now, until=now + lease, stream=claim.stream.value,
        )  # fmt: skip
        if (await connection.execute(statement, params)).one_or_none() is None:
            text = (
                f"event {position} is not this worker's to acknowledge: another one has, or had, it"
            )
            raise StaleEventError(text)

    def _params(self, **values: Any) -> dict[str, Any]:
        """Return bind parameters (`p_…`) with the account among them."""
        return {"p_account": self._account} | {f"p_{name}": value for name, value in values.items()}


def _require_consumer(name: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_CONSUMER_CHARACTERS:
        reason = f"{name!r} is not a string of 1 to {MAX_CONSUMER_CHARACTERS} characters"
        raise InvalidSettingsError("consumer", reason)
    return name


async def require_connection(connection: object, *, is_begun: bool = False) -> AsyncConnection:
    """Return the connection of a caller's transaction, also of an `AsyncSession`.

    With `is_begun`, a transaction must have begun: what would be committed at once is refused.
    """
    if not isinstance(connection, AsyncConnection | AsyncSession):
        name = type(connection).__name__
        reason = f"{name} is not an AsyncConnection or AsyncSession of SQLAlchemy"
        raise InvalidSettingsError("connection", reason)
    if is_begun and not connection.in_transaction():
        raise InvalidSettingsError("connection", "has no open transaction")
    if isinstance(connection, AsyncSession):
        return await connection.connection()
    return connection
