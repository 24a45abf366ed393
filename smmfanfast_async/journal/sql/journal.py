"""`SQLJournal`: the journal's methods, each a transaction made of named statements."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self, TypeVar

from sqlalchemy import ColumnElement, func
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
from .database import Database, journal_error, parsed
from .polling import Polling
from .rows import entry_of, event_of, event_row, summary_of, unknown_order
from .schema import accounts, consumers, orders
from .transitions import Transitions

__all__ = ["SQLJournal"]

PAGE_ROWS = 500
"""Rows that `entries` reads at a time."""

FAR = timedelta(minutes=30)
"""How far ahead a place in the pace, or the end of an attempt, may be: nobody waits that long, and
what is further ahead was written before the clock was set back."""

EVERYBODY = ""
"""The account of a journal that is bound to none yet: it holds no orders."""

MAX_CONSUMER_CHARACTERS = 200
"""The longest name of a reader of events."""

T = TypeVar("T")


class SQLJournal:
    """A journal in a database: `sqlite+aiosqlite:///orders.db` or `postgresql+asyncpg://…`.

    A SQLite file serves any number of processes of one machine, PostgreSQL any number of machines;
    the tables, all named `smm_…`, may stand beside your own. An `OrderDesk` opens and closes the
    journal that it is given. Rows hold no key: accounts are told apart by a short HMAC of it.

    `clock` gives the time, aware UTC, for tests; without it, it is the database server's.
    Raises `InvalidSettingsError` for an address that is none of these.
    """

    # An error report shows a journal that could not be made, too.
    _shown = "<SQLJournal>"

    def __init__(self, url: str, *, clock: Callable[[], datetime] | None = None) -> None:
        address = parsed(url)
        del url  # it may hold a password, and an error below shows this frame
        self._database = Database(address, clock)
        self._shown = f"<SQLJournal {self._database!r}>"
        self._account = EVERYBODY
        self._is_open = False
        self._transitions = Transitions(EVERYBODY, is_sqlite=self._database.is_sqlite)
        self._polling = Polling(EVERYBODY, is_sqlite=self._database.is_sqlite)

    def __repr__(self) -> str:
        return self._shown

    def for_account(self, account: str) -> Self:
        """Give this journal for one account; they share connections."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._account = account
        twin._is_open = False
        twin._transitions = Transitions(account, is_sqlite=self._database.is_sqlite)
        twin._polling = Polling(account, is_sqlite=self._database.is_sqlite)
        return twin

    async def open(self) -> None:
        """Connect, make the tables or migrate older ones, and note the account."""

        async def note(connection: AsyncConnection) -> None:
            insert = statements.insert_unless_there(accounts, is_sqlite=self._database.is_sqlite)
            await connection.execute(insert.values(account=self._account, last_event=0))

        await self._database.open(note)
        if not self._is_open:
            self._is_open = True
            self._database.join()

    async def aclose(self) -> None:
        """Close the connections, unless a twin of another account still uses them."""
        if self._is_open:
            self._is_open = False
            await self._database.aclose()

    async def now(self) -> datetime:
        """Give the time by the clock that all users of this journal share."""
        return await self._database.now()

    # --- one order -------------------------------------------------------------------------------

    async def create(
        self,
        new: NewEntry,
        *,
        budget: Decimal | None = None,
        connection: object | None = None,
    ) -> Entry:
        """Write an order down as PREPARED, or give the entry that has its ref already."""
        now = await self.now()

        async def write(connection: AsyncConnection) -> Entry:
            return await self._transitions.create(connection, new, budget, now)

        if connection is None:
            return await self._database.run(write)
        try:
            return await write(await _core(connection))
        except SQLAlchemyError as error:
            raise journal_error(error) from error

    async def find(self, ref: str) -> Entry | None:
        """Give an entry, None where there is none."""

        async def look(connection: AsyncConnection) -> Entry | None:
            row = await self._transitions.row(connection, statements.BY_REF, ref)
            return None if row is None else entry_of(row)

        return await self._database.run(look, reads=True)

    async def start_attempt(
        self,
        ref: str,
        attempt: int,
        *,
        lease: timedelta,
        max_in_flight: int,
        balance_before: Decimal | None = None,
    ) -> Entry | None:
        """Move PREPARED to SENDING and count the attempt, durably; None where it can't be now."""
        owner = secrets.token_hex(16)
        now = await self.now()

        async def begin(connection: AsyncConnection) -> Entry | None:
            return await self._transitions.start_attempt(
                connection, ref, attempt,
                owner=owner, until=now + lease, max_in_flight=max_in_flight, balance=balance_before, now=now,
            )  # fmt: skip

        return await self._database.run(begin)

    async def count_in_flight(self) -> int:
        """Count the account's attempts that are on their way, on any machine."""

        async def count(connection: AsyncConnection) -> int:
            about = {"of_account": self._account}
            return len((await connection.execute(statements.SLOTS_TAKEN, about)).all())

        return await self._database.run(count, reads=True)

    async def record_outcome(self, ref: str, attempt: int, outcome: Outcome) -> Entry:
        """Write what became of an attempt, and give the entry as it stands then."""
        now = await self.now()

        async def settle(connection: AsyncConnection) -> Entry:
            return await self._transitions.record_outcome(connection, ref, attempt, outcome, now)

        return await self._database.run(settle)

    async def apply_decision(
        self,
        ref: str,
        from_states: Collection[EntryState],
        outcome: Outcome,
        *,
        budget_day: str | None = None,
        budget: Decimal | None = None,
    ) -> Entry | None:
        """Carry out a person's move; None where the entry is in none of the states `since`."""
        now = await self.now()

        async def decide(moves: Transitions, connection: AsyncConnection) -> Entry | None:
            return await moves.apply_decision(
                connection, ref, from_states, outcome, now, budget_day=budget_day, budget=budget
            )

        return await self._once(decide)

    async def expire_leases(self) -> list[Entry]:
        """Move every SENDING whose lease is past to UNKNOWN, and give those entries."""
        now = await self.now()

        async def lapse(moves: Transitions, connection: AsyncConnection) -> list[Entry]:
            lapsed = await connection.execute(statements.EXPIRE_LEASES, {
                "of_account": self._account, "now": now, "far": now + FAR,
                "why_kind": ErrorKind.TIMEOUT.value,
                "why": "no outcome was written before the attempt's time was over",
            })  # fmt: skip
            rows = lapsed.mappings().all()
            await moves.append_events(
                connection, [event_row(row, EventKind.UNKNOWN, now) for row in rows]
            )
            return [entry_of(row) for row in rows]

        return await self._once(lapse)

    async def _once(self, work: Callable[[Transitions, AsyncConnection], Awaitable[T]]) -> T:
        """Carry out a move that tells of all that it gives.

        Where the answer to its commit was lost it is done already, and a second try finds nothing
        to do; its events show that, and what the first gave is given.
        """
        moves = Transitions(self._account, is_sqlite=self._database.is_sqlite)
        given: list[T] = []

        async def once(connection: AsyncConnection) -> T:
            if not await moves.already_committed(connection):
                given.append(await work(moves, connection))
            return given[-1]

        return await self._database.run(once)

    # --- sending and following -------------------------------------------------------------------

    async def due_to_send(self, limit: int) -> list[Entry]:
        """Give PREPARED entries that are due, and HELD ones once they are PREPARED again."""
        now = await self.now()
        about = {"of_account": self._account, "now": now}

        async def due(connection: AsyncConnection) -> list[Entry]:
            released = (await connection.execute(statements.RELEASE_HELD, about)).mappings().all()
            told = [event_row(row, EventKind.RELEASED, now) for row in released]
            await self._transitions.append_events(connection, told)
            found = await connection.execute(statements.DUE_TO_SEND, about | {"most": limit})
            return [entry_of(row) for row in found.mappings()]

        return await self._database.run(due)

    async def claim(self, limit: int, *, lease: timedelta) -> list[Claim]:
        """Take accepted orders that are due, the longest due first, out of everybody else's way."""
        now = await self.now()

        async def claim(connection: AsyncConnection) -> list[Claim]:
            return await self._polling.claim(connection, limit, now, now + lease)

        return await self._database.run(claim)

    async def record_statuses(self, observations: Sequence[Observation]) -> list[Entry]:
        """Write what looks gave, where the claim still holds; give the entries that changed."""
        now = await self.now()

        async def observe(moves: Transitions, connection: AsyncConnection) -> list[Entry]:
            return await self._polling.record_statuses(moves, connection, observations, now)

        return await self._once(observe) if observations else []

    async def release(self, claims: Sequence[tuple[Claim, datetime]]) -> None:
        """Let claimed orders be due again, each at its moment, where its claim still holds."""

        async def give_back(connection: AsyncConnection) -> None:
            await self._polling.release(connection, claims)

        if claims:
            await self._database.run(give_back)

    async def reschedule_far_future(self, limit: int, *, ahead: timedelta) -> int:
        """Let be due what is due further ahead than that; give how many were, `limit` at most."""
        now = await self.now()

        async def hasten(connection: AsyncConnection) -> int:
            return await self._polling.reschedule_far_future(connection, limit, now, now + ahead)

        return await self._database.run(hasten)

    async def next_due(self) -> datetime | None:
        """Give the moment at which the next order is due to be sent or looked at; None for none."""

        async def look(connection: AsyncConnection) -> datetime | None:
            found = await connection.execute(statements.NEXT_DUE, {"of_account": self._account})
            moments: list[datetime] = [each for each in found.one() if each is not None]
            return min(moments, default=None)

        return await self._database.run(look, reads=True)

    async def reserve_call(self, interval: timedelta) -> timedelta:
        """Take a place in the account's pace, and give how long to wait for it."""
        now = await self.now()
        step = interval // timedelta(microseconds=1)

        async def take(connection: AsyncConnection) -> timedelta:
            about = {"of_account": self._account, "now": now, "interval": step}
            taken = await connection.execute(statements.RESERVE_CALL, about | {"far": now + FAR})
            place: datetime = taken.scalar_one() - interval
            return max(place - now, timedelta(0))

        return await self._database.run(take)

    async def pause(self, until: datetime) -> None:
        """Let no call of the account out before that moment, on any machine."""

        async def pause(connection: AsyncConnection) -> None:
            about = {"of_account": self._account, "until": until}
            await connection.execute(statements.PAUSE, about)

        await self._database.run(pause)

    # --- questions -------------------------------------------------------------------------------

    async def entries(
        self,
        *,
        states: Collection[EntryState] = (),
        statuses: Collection[str] = (),
        ref_prefix: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Entry]:
        """Give entries, the oldest first, page by page, in bounded memory."""
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
        statement = statements.page(conditions, PAGE_ROWS)
        after = 0
        while True:
            about = {"of_account": self._account, "after": after}

            async def read(
                connection: AsyncConnection, about: dict[str, Any] = about
            ) -> list[tuple[int, Entry]]:
                rows = (await connection.execute(statement, about)).mappings()
                return [(row["id"], entry_of(row)) for row in rows]

            found = await self._database.run(read, reads=True)
            for after, entry in found:  # noqa: B007  # the last one is where the next page begins
                yield entry
            if len(found) < PAGE_ROWS:
                return

    async def unknown(self) -> list[UnknownOrder]:
        """Give the orders whose outcome nobody knows, the oldest first, with their evidence."""
        about = {"of_account": self._account}

        async def look(connection: AsyncConnection) -> list[UnknownOrder]:
            found = (await connection.execute(statements.UNKNOWN, about)).mappings().all()
            links = sorted({row["link"] for row in found if row["link"]})
            beside = await connection.execute(statements.with_links(links), about)
            others = beside.mappings().all()
            return [unknown_order(entry_of(row), others) for row in found]

        return await self._database.run(look, reads=True)

    async def summary(self) -> Summary:
        """Count the account's orders and money."""

        async def count(connection: AsyncConnection) -> Summary:
            groups = await connection.execute(statements.COUNTED, {"of_account": self._account})
            return summary_of(groups)

        return await self._database.run(count, reads=True)

    # --- events ----------------------------------------------------------------------------------

    async def events(self, after: int, limit: int) -> list[JournalEvent]:
        """Give the events after a position, in order; all before the last are there."""
        about = {"of_account": self._account, "after": after, "most": limit}

        async def look(connection: AsyncConnection) -> list[JournalEvent]:
            found = await connection.execute(statements.EVENTS_AFTER, about)
            return [event_of(row) for row in found.mappings()]

        return await self._database.run(look, reads=True)

    async def position(self, consumer: str) -> int:
        """Give the position that a consumer has acknowledged; 0 for none."""
        about = {"of_account": self._account, "of_consumer": _checked_consumer(consumer)}

        async def look(connection: AsyncConnection) -> int:
            return (await connection.execute(statements.POSITION, about)).scalar() or 0

        return await self._database.run(look, reads=True)

    async def acknowledge(self, consumer: str, position: int) -> None:
        """Write that a consumer is done with the events up to a position; never backwards."""
        name = _checked_consumer(consumer)
        insert = statements.insert_unless_there(consumers, is_sqlite=self._database.is_sqlite)
        first = insert.values(account=self._account, consumer=name, position=position)
        about = {"of_account": self._account, "of_consumer": name, "done": position}

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(first)
            await connection.execute(statements.ACKNOWLEDGE, about)

        await self._database.run(write)

    async def purge(self, older_than: datetime) -> int:
        """Forget form, link and the panel's words of entries that are over; give how many."""

        async def purge(connection: AsyncConnection) -> int:
            about = {"of_account": self._account, "older": older_than}
            done = await connection.execute(statements.PURGE, about)
            await connection.execute(statements.PURGE_EVENTS, {"of_account": self._account})
            return done.rowcount

        return await self._database.run(purge)


def _checked_consumer(name: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_CONSUMER_CHARACTERS:
        reason = f"{name!r} is not a text of 1 to {MAX_CONSUMER_CHARACTERS} characters"
        raise InvalidSettingsError("consumer", reason)
    return name


async def _core(connection: object) -> AsyncConnection:
    """Give the connection of a caller's transaction, of an `AsyncSession` too."""
    if isinstance(connection, AsyncSession):
        return await connection.connection()
    if isinstance(connection, AsyncConnection):
        return connection
    reason = f"{type(connection).__name__} is no AsyncConnection or AsyncSession of SQLAlchemy"
    raise InvalidSettingsError("connection", reason)
