"""`SQLJournal`: the methods of the journal, each one transaction of named statements."""

import secrets
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from sqlalchemy import ColumnElement, Executable, func
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ...errors import ErrorKind, InvalidSettingsError
from .. import (
    Claim,
    Entry,
    EntryState,
    EventKind,
    JournalEvent,
    NewEntry,
    Observation,
    Outcome,
    Summary,
    UnknownOrder,
)
from . import statements
from .connecting import parse_url
from .database import Database, journal_error
from .polling import Polling
from .rows import (
    build_summary,
    build_unknown_order,
    entry_from_row,
    event_from_row,
    event_row,
)
from .schema import accounts, consumers, orders
from .transaction import (
    admitting_transaction,
    deciding_transaction,
    eventful_transaction,
    timed_transaction,
    transaction,
)
from .transitions import Transitions

__all__ = ["SQLJournal"]

PAGE_ROWS = 500
"""How many rows `entries` reads at a time."""

MAX_AHEAD = timedelta(minutes=30)
"""How far ahead a reserved call, or the end of a lease, may be: no call waits that long, and a
later time was written before the clock was set back."""

NO_ACCOUNT = ""
"""The account of a journal that is not bound to one yet: it has no orders."""

MAX_CONSUMER_CHARACTERS = 200
"""The longest name of a consumer of events."""


class SQLJournal:
    """A journal in a database: `sqlite+aiosqlite:///orders.db` or `postgresql+asyncpg://…`.

    A SQLite file serves any number of processes on one machine, PostgreSQL any number of machines;
    the tables, all named `smm_…`, may share a database with your own. An `OrderDesk` opens and
    closes the journal that it is given. Rows contain no API key: accounts are told apart by a short
    HMAC of it. The contract of each method is documented in `Journal`.

    `clock` returns the time, aware UTC, for tests; without it, the time is the database server's,
    or this machine's for SQLite. Raises `InvalidSettingsError` for any other address.
    """

    # An error report also shows a journal whose constructor raised.
    _repr = "<SQLJournal>"

    def __init__(self, url: str, *, clock: Callable[[], datetime] | None = None) -> None:
        address = parse_url(url)
        del url  # it may contain a password, and an error below shows this frame
        self._database = Database(address, clock)
        self._repr = f"<SQLJournal {self._database!r}>"
        self._account = NO_ACCOUNT
        self._is_open = False
        self._transitions = Transitions(NO_ACCOUNT, is_sqlite=self._database.is_sqlite)
        self._polling = Polling(NO_ACCOUNT, is_sqlite=self._database.is_sqlite)

    def __repr__(self) -> str:
        return self._repr

    def for_account(self, account: str) -> Self:
        """Return a journal for one account on the same connections; it is opened separately."""
        journal = object.__new__(type(self))
        journal.__dict__.update(self.__dict__)
        journal._account = account
        journal._is_open = False
        journal._transitions = Transitions(account, is_sqlite=self._database.is_sqlite)
        journal._polling = Polling(account, is_sqlite=self._database.is_sqlite)
        return journal

    async def open(self) -> None:
        """Connect, create or migrate the tables, and insert the account's row."""

        async def insert_account(connection: AsyncConnection) -> None:
            insert = statements.insert_or_ignore(accounts, is_sqlite=self._database.is_sqlite)
            await connection.execute(insert.values(account=self._account, last_event=0))

        await self._database.open(insert_account)
        if not self._is_open:
            self._is_open = True
            self._database.add_user()

    async def aclose(self) -> None:
        """Close the connections with the last account that uses them."""
        if self._is_open:
            self._is_open = False
            await self._database.aclose()

    async def now(self) -> datetime:
        """Return the time of the constructor's `clock`, or else of the database."""
        return await self._database.now()

    # --- one order -------------------------------------------------------------------------------

    async def create(
        self,
        new: NewEntry,
        *,
        budget: Decimal | None = None,
        connection: object | None = None,
    ) -> Entry:
        """Insert an order; `connection` is an `AsyncConnection` or `AsyncSession` of SQLAlchemy.

        Raises as `Journal.create`, and `InvalidSettingsError` for any other `connection`.
        """
        if connection is None:
            return await self._create(new, budget)
        now = await self.now()
        try:
            core_connection = await _require_connection(connection)
            return await self._transitions.create(core_connection, new, budget, now)
        except SQLAlchemyError as error:
            raise journal_error(error) from error

    @admitting_transaction
    async def _create(
        self, connection: AsyncConnection, now: datetime, new: NewEntry, budget: Decimal | None
    ) -> Entry:
        return await self._transitions.create(connection, new, budget, now)

    async def find(self, ref: str, *, connection: object | None = None) -> Entry | None:
        """Read one row by its unique ref."""
        if connection is None:
            return await self._find(ref)
        try:
            row = await self._transitions.find_row(
                await _require_connection(connection), statements.BY_REF, ref
            )
        except SQLAlchemyError as error:
            raise journal_error(error) from error
        return None if row is None else entry_from_row(row)

    @transaction(reads=True)
    async def _find(self, connection: AsyncConnection, ref: str) -> Entry | None:
        row = await self._transitions.find_row(connection, statements.BY_REF, ref)
        return None if row is None else entry_from_row(row)

    async def start_attempt(
        self,
        ref: str,
        attempt: int,
        *,
        lease: timedelta,
        max_in_flight: int,
        balance_before: Decimal | None = None,
    ) -> Entry | None:
        """Mark the row with a random owner, by which a second try recognises its own commit."""
        owner = secrets.token_hex(16)
        return await self._start_attempt(
            ref, attempt, owner, lease=lease, max_in_flight=max_in_flight, balance=balance_before
        )

    @timed_transaction
    async def _start_attempt(
        self,
        connection: AsyncConnection,
        now: datetime,
        ref: str,
        attempt: int,
        owner: str,
        *,
        lease: timedelta,
        max_in_flight: int,
        balance: Decimal | None,
    ) -> Entry | None:
        return await self._transitions.start_attempt(
            connection, ref, attempt, owner=owner, lease_until=now + lease,
            max_in_flight=max_in_flight, balance=balance, now=now,
        )  # fmt: skip

    @transaction(reads=True)
    async def count_in_flight(self, connection: AsyncConnection) -> int:
        """Count the slots in use."""
        return len((await connection.execute(statements.TAKEN_SLOTS, self._params())).all())

    @timed_transaction
    async def record_outcome(
        self, connection: AsyncConnection, now: datetime, ref: str, attempt: int, outcome: Outcome
    ) -> Entry:
        """Lock the row, then apply the transition, or record a late event."""
        return await self._transitions.record_outcome(connection, ref, attempt, outcome, now)

    @deciding_transaction
    async def apply_decision(
        self,
        transitions: Transitions,
        connection: AsyncConnection,
        now: datetime,
        ref: str,
        from_states: Collection[EntryState],
        outcome: Outcome,
        *,
        budget_day: str | None = None,
        budget: Decimal | None = None,
    ) -> Entry | None:
        """Lock the day's budget and the row, then apply the transition."""
        return await transitions.apply_decision(
            connection, ref, from_states, outcome, now, budget_day=budget_day, budget=budget
        )

    @eventful_transaction
    async def expire_leases(
        self, transitions: Transitions, connection: AsyncConnection, now: datetime
    ) -> list[Entry]:
        """Update all of them with one statement."""
        expired = await connection.execute(statements.EXPIRE_LEASES, self._params(
            now=now, far=now + MAX_AHEAD, kind=ErrorKind.TIMEOUT.value,
            reason="no outcome was recorded before the lease of the attempt expired",
        ))  # fmt: skip
        rows = expired.mappings().all()
        await transitions.append_events(
            connection, [event_row(row, EventKind.UNKNOWN, now) for row in rows]
        )
        return [entry_from_row(row) for row in rows]

    # --- sending and following -------------------------------------------------------------------

    @timed_transaction
    async def due_to_send(
        self, connection: AsyncConnection, now: datetime, limit: int
    ) -> list[Entry]:
        """Release HELD orders whose wait is over, then read what is due."""
        params = self._params(now=now)
        released = (await connection.execute(statements.RELEASE_HELD, params)).mappings().all()
        await self._transitions.append_events(
            connection, [event_row(row, EventKind.RELEASED, now) for row in released]
        )
        due = await connection.execute(statements.DUE_TO_SEND, params | {"p_limit": limit})
        return [entry_from_row(row) for row in due.mappings()]

    @timed_transaction
    async def claim(
        self, connection: AsyncConnection, now: datetime, limit: int, *, lease: timedelta
    ) -> list[Claim]:
        """Increase the claim version of each row, skipping rows that are locked."""
        return await self._polling.claim(connection, limit, now, now + lease)

    async def record_statuses(self, observations: Sequence[Observation]) -> list[Entry]:
        """Update all rows with one statement; without observations, do nothing."""
        return await self._record_statuses(observations) if observations else []

    @eventful_transaction
    async def _record_statuses(
        self,
        transitions: Transitions,
        connection: AsyncConnection,
        now: datetime,
        observations: Sequence[Observation],
    ) -> list[Entry]:
        return await self._polling.record_statuses(transitions, connection, observations, now)

    async def release(self, claims: Sequence[tuple[Claim, datetime]]) -> None:
        """Update all rows with one statement; without claims, do nothing."""
        if claims:
            await self._release(claims)

    @transaction()
    async def _release(
        self, connection: AsyncConnection, claims: Sequence[tuple[Claim, datetime]]
    ) -> None:
        await self._polling.release(connection, claims)

    @timed_transaction
    async def reschedule_far_future(
        self, connection: AsyncConnection, now: datetime, limit: int, *, ahead: timedelta
    ) -> int:
        """Update accepted, prepared and held orders in turn, up to the limit in all."""
        return await self._polling.reschedule_far_future(connection, limit, now, now + ahead)

    @transaction(reads=True)
    async def next_due(self, connection: AsyncConnection) -> datetime | None:
        """Read the minimum of the indexes on due times."""
        row = (await connection.execute(statements.NEXT_DUE, self._params())).one()
        times: list[datetime] = [each for each in row if each is not None]
        return min(times, default=None)

    @timed_transaction
    async def reserve_call(
        self, connection: AsyncConnection, now: datetime, interval: timedelta
    ) -> timedelta:
        """Move the time of the account's next call by `interval`, in whole microseconds."""
        reserved = await connection.execute(statements.RESERVE_CALL, self._params(
            now=now, far=now + MAX_AHEAD, interval=interval // timedelta(microseconds=1),
        ))  # fmt: skip
        call_at: datetime = reserved.scalar_one() - interval
        return max(call_at - now, timedelta(0))

    @transaction()
    async def pause(self, connection: AsyncConnection, until: datetime) -> None:
        """Set the account's `paused_until`, unless it is later already."""
        await connection.execute(statements.PAUSE, self._params(until=until))

    # --- queries ---------------------------------------------------------------------------------

    async def entries(
        self,
        *,
        states: Collection[EntryState] = (),
        statuses: Collection[str] = (),
        ref_prefix: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Entry]:
        """Read pages of 500 rows by id, each in a transaction of its own."""
        c = orders.c
        conditions: list[ColumnElement[bool]] = []
        if states:
            conditions.append(c.state.in_(states))
        if statuses:
            conditions.append(c.status.in_(statuses))
        if ref_prefix:
            conditions.append(func.substr(c.ref, 1, len(ref_prefix)) == ref_prefix)
        if since is not None:
            conditions.append(c.created_at >= since)
        if until is not None:
            conditions.append(c.created_at < until)
        statement = statements.entries_page(conditions, PAGE_ROWS)
        after = 0
        while True:
            page = await self._page(statement, after)
            for after, entry in page:  # noqa: B007  # the next page starts after the last id
                yield entry
            if len(page) < PAGE_ROWS:
                return

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
        links = sorted({row["link"] for row in rows if row["link"]})
        related = await connection.execute(statements.orders_with_links(links), params)
        related_rows = related.mappings().all()
        return [build_unknown_order(entry_from_row(row), related_rows) for row in rows]

    @transaction(reads=True)
    async def summary(self, connection: AsyncConnection) -> Summary:
        """Count in the database, and add up money exactly in Python."""
        return build_summary(await connection.execute(statements.ORDER_COUNTS, self._params()))

    # --- events ----------------------------------------------------------------------------------

    @transaction(reads=True)
    async def events(
        self, connection: AsyncConnection, after: int, limit: int
    ) -> list[JournalEvent]:
        """Read a page of events."""
        params = self._params(after=after, limit=limit)
        rows = (await connection.execute(statements.EVENTS_AFTER, params)).mappings()
        return [event_from_row(row) for row in rows]

    async def position(self, consumer: str) -> int:
        """Read the row of a consumer; a name has 1 to 200 characters."""
        return await self._position(_require_consumer(consumer))

    @transaction(reads=True)
    async def _position(self, connection: AsyncConnection, consumer: str) -> int:
        params = self._params(consumer=consumer)
        return (await connection.execute(statements.CONSUMER_POSITION, params)).scalar() or 0

    async def acknowledge(self, consumer: str, position: int) -> None:
        """Insert or update the row of a consumer; a name has 1 to 200 characters."""
        await self._acknowledge(_require_consumer(consumer), position)

    @transaction()
    async def _acknowledge(self, connection: AsyncConnection, consumer: str, position: int) -> None:
        insert = statements.insert_or_ignore(consumers, is_sqlite=self._database.is_sqlite)
        await connection.execute(
            insert.values(account=self._account, consumer=consumer, position=position)
        )
        params = self._params(consumer=consumer, position=position)
        await connection.execute(statements.ACKNOWLEDGE, params)

    @transaction()
    async def purge(self, connection: AsyncConnection, older_than: datetime) -> int:
        """Set the columns to NULL, in the events of these orders too."""
        purged = await connection.execute(statements.PURGE, self._params(older_than=older_than))
        await connection.execute(statements.PURGE_EVENTS, self._params())
        return purged.rowcount

    def _params(self, **values: Any) -> dict[str, Any]:
        """Return bind parameters (`p_…`) with the account among them."""
        return {"p_account": self._account} | {f"p_{name}": value for name, value in values.items()}


def _require_consumer(name: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_CONSUMER_CHARACTERS:
        reason = f"{name!r} is not a string of 1 to {MAX_CONSUMER_CHARACTERS} characters"
        raise InvalidSettingsError("consumer", reason)
    return name


async def _require_connection(connection: object) -> AsyncConnection:
    """Return the connection of a caller's transaction, also of an `AsyncSession`."""
    if isinstance(connection, AsyncSession):
        return await connection.connection()
    if isinstance(connection, AsyncConnection):
        return connection
    reason = f"{type(connection).__name__} is not an AsyncConnection or AsyncSession of SQLAlchemy"
    raise InvalidSettingsError("connection", reason)
