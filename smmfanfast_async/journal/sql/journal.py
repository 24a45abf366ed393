"""`SQLJournal`: the methods of the journal, each one transaction of named statements."""

import secrets
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Self

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..._text import sanitize
from ...errors import ErrorKind, InvalidSettingsError
from .. import (
    DEFAULT_PANEL,
    MAX_REASON_CHARACTERS,
    Claim,
    Entry,
    EntryState,
    EventKind,
    NewEntry,
    Observation,
    Outcome,
)
from . import statements
from .address import parse_address
from .database import Database, journal_error
from .day_budget import DayBudget
from .health import HealthQueries
from .panel_rows import MAX_AHEAD
from .polling import Polling
from .queries import require_connection
from .requests import AccountRequests
from .rows import (
    ONE,
    entry_from_row,
    event_row,
)
from .schema import accounts
from .services import WatchedServices
from .transaction import (
    admitting_transaction,
    deciding_transaction,
    eventful_transaction,
    timed_transaction,
    transaction,
)
from .transitions import Transitions

__all__ = ["SQLJournal"]

PURGE_ROWS = 1000
"""How many orders `purge` looks at in one transaction: some tens of milliseconds, in which others
wait, and far below the time limit of a statement."""

FIRST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""No entry is older."""

MIN_POOL_SIZE, MAX_POOL_SIZE = 3, 100
"""The bounds of `pool_size`: a connection for reads, for new orders and for outcomes each; and as
many as PostgreSQL accepts by default from all its clients."""

NO_ACCOUNT = ""
"""The account of a journal that is not bound to one yet: it has no orders."""


class SQLJournal(AccountRequests, HealthQueries, WatchedServices):
    """A journal in a database: `sqlite+aiosqlite:///orders.db` or `postgresql+asyncpg://…`.

    A SQLite file serves any number of processes on one machine, PostgreSQL any number of machines;
    the tables, all named `smm_…`, may share a database with your own. An `OrderDesk` opens and
    closes the journal that it is given. Rows contain no API key: accounts are told apart by a short
    HMAC of key and address. The contract of each method is documented in `Journal`.

    Addresses are taken as hosters write them, also as `postgres://…`. Of the options in one,
    `sslmode`, `sslrootcert`, `connect_timeout` (seconds, 1 to 60; 10 by default),
    `application_name` and `target_session_attrs` are followed. A pooler such as PgBouncer may stand
    between, in session or transaction mode.

    Args:
        url: The address of the database, or the path of a SQLite file.
        pool_size: The most connections to PostgreSQL, 3 to 100; some of them are kept for the
            outcomes of orders. SQLite has two.
        clock: Returns the time, aware UTC, for tests; without it, the time is the database
            server's, or this machine's for SQLite.

    Raises:
        InvalidSettingsError: Another database, an option that cannot be followed (it is named), or
            a pool size out of bounds.
    """

    # An error report also shows a journal whose constructor raised.
    _repr = "<SQLJournal>"

    def __init__(
        self,
        url: str | Path,
        *,
        pool_size: int = 10,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        address = parse_address(url)
        del url  # it may contain a password, and an error below shows this frame
        if isinstance(address, str):
            raise InvalidSettingsError("journal", address)
        _require_pool_size(pool_size)
        self._database = Database(address, clock, pool_size)
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

    async def open(self, panels: Collection[str] = (DEFAULT_PANEL,)) -> None:
        """Connect, create or migrate the tables, and insert the rows of account and panels."""

        async def insert_account(connection: AsyncConnection) -> None:
            if self._account == NO_ACCOUNT:
                return
            insert = statements.insert_or_ignore(accounts, is_sqlite=self._database.is_sqlite)
            await connection.execute(insert.values(account=self._account, last_event=0))
            for panel in sorted(panels):
                await self._insert_panel(connection, panel)

        await self._database.open(insert_account)
        if not self._is_open:
            self._is_open = True
            self._database.add_user()

    async def aclose(self) -> None:
        """Close the connections with the last account that uses them."""
        if self._is_open:
            self._is_open = False
            await self._database.aclose()

    # --- one order -------------------------------------------------------------------------------

    async def create(
        self,
        new: NewEntry,
        *,
        budget: Decimal | None = None,
        connection: object | None = None,
        is_only_account: bool = False,
    ) -> Entry:
        """Insert an order; `connection` is an `AsyncConnection` or `AsyncSession` of SQLAlchemy.

        Raises as `Journal.create`, and `InvalidSettingsError` for any other `connection`.
        """
        if connection is None:
            return await self._create(new, budget, is_only_account=is_only_account)
        now = await self.now()
        try:
            core_connection = await require_connection(connection)
            return await self._transitions.create(
                core_connection, new, budget, now, is_only_account=is_only_account
            )
        except SQLAlchemyError as error:
            raise journal_error(error) from error

    @admitting_transaction
    async def _create(
        self,
        connection: AsyncConnection,
        now: datetime,
        new: NewEntry,
        budget: Decimal | None,
        *,
        is_only_account: bool,
    ) -> Entry:
        return await self._transitions.create(
            connection, new, budget, now, is_only_account=is_only_account
        )

    async def find(self, ref: str, *, connection: object | None = None) -> Entry | None:
        """Read one row by its unique ref."""
        if connection is None:
            return await self._find(ref)
        try:
            row = await self._transitions.find_row(
                await require_connection(connection), statements.BY_REF, ref
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
        price: Decimal | None = None,
        budget: Decimal | None = None,
        panel: str = DEFAULT_PANEL,
        service: str | None = None,
        exchange_rate: Decimal = ONE,
    ) -> Entry | None:
        """Mark the row with a random owner, by which a second try recognises its own commit."""
        owner = secrets.token_hex(16)
        return await self._start_attempt(
            ref, attempt, owner, lease=lease, max_in_flight=max_in_flight, balance=balance_before,
            price=price, budget=budget, panel=panel, service=service, exchange_rate=exchange_rate,
        )  # fmt: skip

    @transaction()
    async def _start_attempt(
        self,
        connection: AsyncConnection,
        ref: str,
        attempt: int,
        owner: str,
        *,
        lease: timedelta,
        max_in_flight: int,
        balance: Decimal | None,
        price: Decimal | None,
        budget: Decimal | None,
        panel: str,
        service: str | None,
        exchange_rate: Decimal,
    ) -> Entry | None:
        # Not `now`: a lease that starts too early would end under an attempt that is in flight.
        now = await self._database.exact_now(connection)
        return await self._transitions.start_attempt(
            connection, ref, attempt, owner=owner, lease_until=now + lease,
            max_in_flight=max_in_flight, balance=balance, price=price, budget=budget, now=now,
            panel=panel, service=service, exchange_rate=exchange_rate,
        )  # fmt: skip

    @transaction()
    async def postpone(
        self,
        connection: AsyncConnection,
        ref: str,
        attempt: int,
        *,
        until: datetime,
        kind: ErrorKind,
        reason: str,
    ) -> None:
        """Update the row if it still is in that attempt."""
        await connection.execute(statements.POSTPONE, self._params(
            ref=ref, attempt=attempt, until=until, kind=kind.value,
            reason=sanitize(reason, MAX_REASON_CHARACTERS),
        ))  # fmt: skip

    @timed_transaction
    async def record_outcome(
        self,
        connection: AsyncConnection,
        now: datetime,
        ref: str,
        attempt: int,
        outcome: Outcome,
        started: Entry | None = None,
    ) -> Entry:
        """Lock the row, then apply the transition, or record a late event."""
        return await self._transitions.record_outcome(
            connection, ref, attempt, outcome, now, started
        )

    @eventful_transaction
    async def refuse(
        self,
        transitions: Transitions,
        connection: AsyncConnection,
        now: datetime,
        ref: str,
        attempt: int,
        *,
        kind: ErrorKind,
        reason: str,
    ) -> Entry | None:
        """Lock the row, then apply the transition."""
        return await transitions.refuse(connection, ref, attempt, now, kind, reason)

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
        price: Decimal | None = None,
        max_charge: Decimal | None = None,
        panel: str | None = None,
    ) -> Entry | None:
        """Lock the day's budget and the row, then apply the transition."""
        return await transitions.apply_decision(
            connection, ref, from_states, outcome, now, budget_day=budget_day, budget=budget,
            price=price, max_charge=max_charge, panel=panel,
        )  # fmt: skip

    @eventful_transaction
    async def expire_leases(
        self, transitions: Transitions, connection: AsyncConnection, now: datetime
    ) -> list[Entry]:
        """Update all of them with one statement, by a time that is read just before it."""
        now = await self._database.exact_now(connection)
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
        """Release the oldest HELD orders whose wait is over, then read what is due."""
        return await self._polling.due_to_send(self._transitions, connection, limit, now)

    @timed_transaction
    async def claim(
        self,
        connection: AsyncConnection,
        now: datetime,
        limit: int,
        *,
        lease: timedelta,
        panel: str = DEFAULT_PANEL,
    ) -> list[Claim]:
        """Increase the claim version of each row, skipping rows that are locked."""
        return await self._polling.claim(connection, limit, now, now + lease, panel)

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

    async def release(self, claims: Sequence[tuple[Claim, datetime | None]]) -> None:
        """Update all rows with one statement; without claims, do nothing."""
        if claims:
            await self._release(claims)

    @transaction()
    async def _release(
        self, connection: AsyncConnection, claims: Sequence[tuple[Claim, datetime | None]]
    ) -> None:
        await self._polling.release(connection, claims)

    @transaction()
    async def reschedule_far_future(
        self,
        connection: AsyncConnection,
        limit: int,
        *,
        ahead: timedelta,
        panel: str = DEFAULT_PANEL,
    ) -> int:
        """Update accepted, prepared and held orders in turn, up to the limit in all."""
        now = await self._database.exact_now(connection)
        return await self._polling.reschedule_far_future(connection, limit, now, now + ahead, panel)

    @transaction(reads=True)
    async def next_due(self, connection: AsyncConnection) -> datetime | None:
        """Read the minimum of the indexes on due times."""
        row = (await connection.execute(statements.NEXT_DUE, self._params())).one()
        times: list[datetime] = [each for each in row if each is not None]
        return min(times, default=None)

    # --- purging ---------------------------------------------------------------------------------

    async def purge(self, older_than: datetime) -> int:
        """Set the columns to NULL, for some orders at a time; what is done stays done."""
        count, after, after_id = 0, FIRST_TIME, 0
        while True:
            purged, page = await self._purge_page(older_than, after, after_id)
            count += purged
            if len(page) < PURGE_ROWS:
                break
            after, after_id = page[-1]
        while await self._purge_requests(older_than) == PURGE_ROWS:
            pass
        while await self._fold_budgets(older_than):
            pass
        return count

    @admitting_transaction
    async def _fold_budgets(
        self, connection: AsyncConnection, now: datetime, older_than: datetime
    ) -> bool:
        """Store what an old day's orders cost in fewer rows; return False if no day is left."""
        day = min(older_than, now).astimezone(UTC).date().isoformat()
        return await DayBudget(self._account, is_sqlite=self._database.is_sqlite).fold_before(
            connection, day
        )

    @transaction()
    async def _purge_page(
        self, connection: AsyncConnection, older_than: datetime, after: datetime, after_id: int
    ) -> tuple[int, list[tuple[datetime, int]]]:
        """Purge the next orders and their events; return how many, and which were looked at."""
        params = self._params(
            older_than=older_than, after=after, after_id=after_id, limit=PURGE_ROWS
        )
        rows = (await connection.execute(statements.PURGE_PAGE, params)).all()
        page = [(created_at, key) for created_at, key in rows]
        is_sqlite = self._database.is_sqlite
        ids = statements.encode_rows(statements.PURGED_COLUMNS, ({"id": key} for _, key in page))
        purged = await connection.execute(statements.purge(is_sqlite=is_sqlite), {"p_rows": ids})
        refs = list(purged.scalars())
        await self._purge_events(connection, refs)
        return len(refs), page

    @transaction()
    async def _purge_requests(self, connection: AsyncConnection, older_than: datetime) -> int:
        """Purge some requests and the events of their orders, which are over; return how many."""
        params = self._params(older_than=older_than, limit=PURGE_ROWS)
        refs = list((await connection.execute(statements.PURGE_REQUESTS, params)).scalars())
        await self._purge_events(connection, refs)
        return len(refs)

    async def _purge_events(self, connection: AsyncConnection, refs: list[str]) -> None:
        """Delete the messages in all events of these refs."""
        clear = statements.purge_events(is_sqlite=self._database.is_sqlite)
        rows = statements.encode_rows(
            statements.PURGED_EVENT_COLUMNS, ({"ref": ref} for ref in refs)
        )
        await connection.execute(clear, self._params(rows=rows))


def _require_pool_size(value: object) -> None:
    if not isinstance(value, int) or not MIN_POOL_SIZE <= value <= MAX_POOL_SIZE:
        reason = f"{value!r} is not a whole number from {MIN_POOL_SIZE} to {MAX_POOL_SIZE}"
        raise InvalidSettingsError("pool_size", reason)
