"""`SQLJournal`: the journal's methods, each a transaction made of named statements."""

import json
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from sqlalchemy import ColumnElement, func
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ..errors import (
    ErrorKind,
    InvalidSettingsError,
)
from ..journal import (
    Claim,
    Entry,
    EntryState,
    Event,
    EventKind,
    NewEntry,
    Observation,
    Outcome,
    Summary,
    UnknownOrder,
)
from . import statements
from .database import Database, journal_error, parsed
from .moves import Moves
from .rows import (
    entry_of,
    event_of,
    event_row,
    observed,
    seen_row,
    summary_of,
    told_of_observation,
    unknown_order,
)
from .schema import accounts, consumers, orders

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

_S = EntryState


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
        self._moves = Moves(EVERYBODY, is_sqlite=self._database.is_sqlite)
        self._observe = statements.observe(is_sqlite=self._database.is_sqlite)

    def __repr__(self) -> str:
        return self._shown

    def for_account(self, account: str) -> Self:
        """Give this journal for one account; they share connections."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._account = account
        twin._is_open = False
        twin._moves = Moves(account, is_sqlite=self._database.is_sqlite)
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

    async def write_down(
        self,
        new: NewEntry,
        *,
        budget: Decimal | None = None,
        connection: object | None = None,
    ) -> Entry:
        """Write an order down as PREPARED, or give the entry that has its ref already."""
        now = await self.now()

        async def write(connection: AsyncConnection) -> Entry:
            return await self._moves.write_down(connection, new, budget, now)

        if connection is None:
            return await self._database.run(write)
        try:
            return await write(await _core(connection))
        except SQLAlchemyError as error:
            raise journal_error(error) from error

    async def find(self, ref: str) -> Entry | None:
        """Give an entry, None where there is none."""

        async def look(connection: AsyncConnection) -> Entry | None:
            row = await self._moves.row(connection, statements.BY_REF, ref)
            return None if row is None else entry_of(row)

        return await self._database.run(look, reads=True)

    async def begin(
        self,
        ref: str,
        attempt: int,
        *,
        lease: timedelta,
        places: int,
        balance_before: Decimal | None = None,
    ) -> Entry | None:
        """Move PREPARED to SENDING and count the attempt, durably; None where it can't be now."""
        owner = secrets.token_hex(16)
        now = await self.now()

        async def begin(connection: AsyncConnection) -> Entry | None:
            return await self._moves.begin(
                connection, ref, attempt,
                owner=owner, until=now + lease, places=places, balance=balance_before, now=now,
            )  # fmt: skip

        return await self._database.run(begin)

    async def under_way(self) -> int:
        """Count the account's attempts that are on their way, on any machine."""

        async def count(connection: AsyncConnection) -> int:
            about = {"of_account": self._account}
            return len((await connection.execute(statements.PLACES_TAKEN, about)).all())

        return await self._database.run(count, reads=True)

    async def settle(self, ref: str, attempt: int, outcome: Outcome) -> Entry:
        """Write what became of an attempt, and give the entry as it stands then."""
        now = await self.now()

        async def settle(connection: AsyncConnection) -> Entry:
            return await self._moves.settle(connection, ref, attempt, outcome, now)

        return await self._database.run(settle)

    async def decide(
        self,
        ref: str,
        since: Collection[EntryState],
        outcome: Outcome,
        *,
        booked_on: str | None = None,
        budget: Decimal | None = None,
    ) -> Entry | None:
        """Carry out a person's move; None where the entry is in none of the states `since`."""
        now = await self.now()

        async def decide(connection: AsyncConnection) -> Entry | None:
            return await self._moves.decide(
                connection, ref, since, outcome, now, booked_on=booked_on, budget=budget
            )

        return await self._database.run(decide)

    async def lapse(self) -> list[Entry]:
        """Move every SENDING whose lease is past to UNKNOWN, and give those entries."""
        now = await self.now()

        async def lapse(connection: AsyncConnection) -> list[Entry]:
            lapsed = await connection.execute(statements.LAPSE, {
                "of_account": self._account, "now": now, "far": now + FAR,
                "why_kind": ErrorKind.TIMEOUT.value,
                "why": "no outcome was written before the attempt's time was over",
            })  # fmt: skip
            rows = lapsed.mappings().all()
            await self._moves.tell(
                connection, [event_row(row, EventKind.UNKNOWN, now) for row in rows]
            )
            return [entry_of(row) for row in rows]

        return await self._database.run(lapse)

    # --- sending and following -------------------------------------------------------------------

    async def due_to_send(self, limit: int) -> list[Entry]:
        """Give PREPARED entries that are due, and HELD ones once they are PREPARED again."""
        now = await self.now()
        about = {"of_account": self._account, "now": now}

        async def due(connection: AsyncConnection) -> list[Entry]:
            released = (await connection.execute(statements.RELEASE_HELD, about)).mappings().all()
            told = [event_row(row, EventKind.RELEASED, now) for row in released]
            await self._moves.tell(connection, told)
            found = await connection.execute(statements.DUE_TO_SEND, about | {"most": limit})
            return [entry_of(row) for row in found.mappings()]

        return await self._database.run(due)

    async def claim(self, limit: int, *, lease: timedelta) -> list[Claim]:
        """Take accepted orders that are due, the longest due first, out of everybody else's way."""
        now = await self.now()
        about = {"of_account": self._account, "now": now, "most": limit, "until": now + lease}

        async def claim(connection: AsyncConnection) -> list[Claim]:
            rows = (await connection.execute(statements.CLAIM, about)).mappings().all()
            return [Claim(key=row["id"], number=row["claim"], entry=entry_of(row)) for row in rows]

        return await self._database.run(claim)

    async def observe(self, observations: Sequence[Observation]) -> list[Entry]:
        """Write what looks gave, where the claim still holds; give the entries that changed."""
        now = await self.now()
        seen = [(each, observed(each, now)) for each in observations]
        rows = json.dumps([seen_row(each, entry) for each, entry in seen])

        async def observe(connection: AsyncConnection) -> list[Entry]:
            written = set((await connection.execute(self._observe, {"rows": rows})).scalars())
            told = [
                (entry, kind)
                for each, entry in seen
                if each.claim.key in written and (kind := told_of_observation(each, entry))
            ]
            ended = [entry.link for entry, _ in told if entry.state is _S.FINISHED and entry.link]
            await self._moves.free(connection, ended, now)
            rows_told = [self._moves.event_of_entry(entry, kind, now) for entry, kind in told]
            await self._moves.tell(connection, rows_told)
            return [entry for entry, _ in told]

        return await self._database.run(observe) if seen else []

    async def next_due(self) -> datetime | None:
        """Give the moment at which the next order is due to be sent or looked at; None for none."""

        async def look(connection: AsyncConnection) -> datetime | None:
            found = await connection.execute(statements.NEXT_DUE, {"of_account": self._account})
            moments: list[datetime] = [each for each in found.one() if each is not None]
            return min(moments, default=None)

        return await self._database.run(look, reads=True)

    async def permit(self, interval: timedelta) -> timedelta:
        """Take a place in the account's pace, and give how long to wait for it."""
        now = await self.now()
        step = interval // timedelta(microseconds=1)

        async def take(connection: AsyncConnection) -> timedelta:
            about = {"of_account": self._account, "now": now, "interval": step}
            taken = await connection.execute(statements.PERMIT, about | {"far": now + FAR})
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
        ref_begin: str = "",
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
        if ref_begin:
            conditions.append(func.substr(c.ref, 1, len(ref_begin)) == ref_begin)
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

    async def events(self, after: int, limit: int) -> list[Event]:
        """Give the events after a position, in order; all before the last are there."""
        about = {"of_account": self._account, "after": after, "most": limit}

        async def look(connection: AsyncConnection) -> list[Event]:
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
