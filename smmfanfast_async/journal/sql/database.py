"""Connecting, transactions and their errors: what differs between SQLite and PostgreSQL.

How this works. `Database.run` carries out a piece of work in a transaction of its own, and again
where the database broke off (a restart, a lost connection, a deadlock, a busy file), until a
deadline. So work has to be such that doing it twice does it once: a commit whose answer was lost
may have happened. Every error leaves as `JournalError`, without the frames below it, where the
database's address holds a password.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import event, func, inspect, select
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from ..._text import sanitize
from ...errors import InvalidSettingsError, JournalError, PanelError, without_frames
from .schema import MIGRATIONS, SCHEMA_VERSION, metadata, versions

__all__ = ["Database", "journal_error", "parsed"]

DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg")
"""The databases that this is written and tested for."""

DEADLINE_S = 30.0
"""Seconds for a piece of work with all its repeats: a PostgreSQL restart takes a few."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 1.0
"""Seconds between repeats, doubling from the one to the other, with jitter."""

BUSY_TIMEOUT_MS = 10_000
"""Milliseconds that SQLite waits for another process's transaction: each takes a few."""

CONNECT_TIMEOUT_S = 10.0
"""Seconds to connect to PostgreSQL."""

STATEMENT_TIMEOUT_S = 60.0
"""Seconds for one statement; the slowest, a summary of millions of orders, takes a few."""

POOL_SIZE = 5
"""Connections to PostgreSQL of one journal: placing, following, events and a caller's questions."""

CLOSE_WAIT_S = 5.0
"""Seconds that closing waits for work under way: each takes milliseconds."""

CLOCK_FOR_S = 300.0
"""Seconds after which the database's clock is asked again; clocks drift by far less meanwhile."""

CHECKED_BYTES = 64 * 1024 * 1024
"""A SQLite file up to this size is checked whole when it is opened, in below a second; of a larger
one, only what is read is noticed to be damaged."""

SCHEMA_LOCK = 0x534D4D46
"""The number of PostgreSQL's advisory lock under which the tables are made or changed."""

_REPEATABLE_STATES = frozenset(
    {"23505", "40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300"}
)
"""PostgreSQL's words for: a unique key that another transaction took at the same moment (work looks
first, so it finds that one's row the next time), serialization, deadlock, lock, shutdown (three),
too many connections."""

_REPEATABLE_WORDS = ("database is locked", "connection", "cannot switch to state")
"""The same in words, where there is no code; the last are asyncpg's where a connection ends in the
middle of a step of its own (seen with 0.30 when a server restarts)."""

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]


class Database:
    """A database, from one event loop."""

    _shown = "without an address"

    def __init__(self, url: URL | None, clock: Callable[[], datetime] | None) -> None:
        self._url = _checked(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._clock = clock
        self._shown = self._url.render_as_string(hide_password=True)
        # The clock of the database less the monotonic one here, and when it was asked for.
        self._offset_s: float | None = None
        self._asked_at_s = 0.0
        self._engine: AsyncEngine | None = None
        self._users = 0
        self._under_way: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return f"<Database {self._shown}>"

    async def open(self, note: Work[None]) -> None:
        """Connect, make or check the tables, and do one more piece of work with them."""
        makes = self._engine is None
        if self._engine is None:
            if self.is_sqlite:
                _make_file(self._url)
            self._engine = _engine(self._url, is_sqlite=self.is_sqlite)
        try:
            await self.run(self._prepare)
            await self.run(note)
        except BaseException:
            # Nobody closes what could not be opened, but for those who could meanwhile.
            if makes and self._users == 0:
                await self._dispose()
            raise

    def join(self) -> None:
        """Take note of one more who will close it."""
        self._users += 1

    async def aclose(self) -> None:
        """Close the connections with the last who joined; the next `open` makes new ones."""
        self._users -= 1
        if self._users == 0:
            await self._dispose()

    async def _dispose(self) -> None:
        """Take no more work, let what is under way end, and close the connections."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        try:
            if self._under_way:
                # A connection that is given back to a pool that is gone is closed by nobody.
                await asyncio.wait(self._under_way, timeout=CLOSE_WAIT_S)
        finally:
            await engine.dispose()

    async def run(self, work: Work[T], *, reads: bool = False) -> T:
        """Do some work in a transaction, again where that may help; `reads` writes nothing."""
        deadline_s = time.monotonic() + DEADLINE_S
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await self._once(work, reads=reads)
            except PanelError:
                raise
            except (ValueError, ArithmeticError) as error:
                # A row that another hand has written, or a number that no column holds.
                said = f"a value is not understood: {type(error).__name__}"
                raise JournalError(said) from error
            except Exception as error:
                if not _is_databases(error):
                    raise
                if not _may_pass(error) or time.monotonic() + pause_s > deadline_s:
                    raise journal_error(error) from without_frames(error)
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _once(self, work: Work[T], *, reads: bool) -> T:
        """Do some work in a transaction, in a task that a cancelled caller leaves to its end.

        Cut off in the middle, a connection is lost; SQLite's leaves a thread behind as well, which
        wakes up in an event loop that may be closed by then.
        """

        async def transaction() -> T:
            async with self._transaction(reads=reads) as connection:
                return await work(connection)

        task = asyncio.create_task(transaction())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    @asynccontextmanager
    async def _transaction(self, *, reads: bool) -> AsyncGenerator[AsyncConnection, None]:
        if self._engine is None:
            raise JournalError("is not open")
        async with self._engine.connect() as connection:
            if reads and self.is_sqlite:
                await connection.execution_options(smm_reads=True)
            async with connection.begin():
                yield connection

    async def now(self) -> datetime:
        """Give the time by the clock that all who use this database share.

        For PostgreSQL it is the server's, asked for now and then and carried on by a clock that
        does not jump; SQLite's users are on one machine.
        """
        if self._clock is not None:
            return self._clock()
        if self.is_sqlite:
            return datetime.now(UTC)
        here_s = time.monotonic()
        if self._offset_s is None or here_s - self._asked_at_s > CLOCK_FOR_S:
            there = await self.run(_database_time, reads=True)
            here_s = time.monotonic()
            self._offset_s, self._asked_at_s = there.timestamp() - here_s, here_s
        return datetime.fromtimestamp(here_s + self._offset_s, UTC)

    # --- the schema ------------------------------------------------------------------------------

    async def _prepare(self, connection: AsyncConnection) -> None:
        """See that the tables are there and of this version; all in one transaction."""
        if self.is_sqlite:
            await self._check_file(connection)
        else:
            await connection.execute(select(func.pg_advisory_xact_lock(SCHEMA_LOCK)))
        there = await connection.run_sync(lambda sync: inspect(sync).has_table(versions.name))
        if not there:
            await connection.run_sync(metadata.create_all)
            await connection.execute(versions.insert().values(id=1, version=SCHEMA_VERSION))
            return
        have = (await connection.execute(select(versions.c.version))).scalar()
        await _migrate(connection, have)

    async def _check_file(self, connection: AsyncConnection) -> None:
        """Refuse a damaged file, where looking through it is quick."""
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        page_bytes = (await connection.exec_driver_sql("PRAGMA page_size")).scalar_one()
        if pages * page_bytes <= CHECKED_BYTES:
            said = (await connection.exec_driver_sql("PRAGMA quick_check(1)")).scalar()
            if said != "ok":
                raise JournalError(f"the file is damaged: {sanitize(str(said), 200)}")


async def _migrate(connection: AsyncConnection, have: int | None) -> None:
    """Bring the tables from the version they have to this one."""
    if have is None or have > SCHEMA_VERSION:
        said = f"has schema version {have}, and this release knows up to {SCHEMA_VERSION}"
        raise JournalError(said)
    for version in range(have, SCHEMA_VERSION):
        for statement in MIGRATIONS[version]:
            await connection.exec_driver_sql(statement)
    if have < SCHEMA_VERSION:
        await connection.execute(versions.update().values(version=SCHEMA_VERSION))


async def _database_time(connection: AsyncConnection) -> datetime:
    found: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
    return found


# --- making an engine ----------------------------------------------------------------------------


def parsed(url: str) -> URL | None:
    """Read the address of a database, None if it is none; no error, which would show a password."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        return None


def _checked(found: URL | None) -> URL:
    """Give an address that a journal can be at, or raise `InvalidSettingsError`."""
    if found is None:
        raise InvalidSettingsError("journal", "is not the address of a database")
    if found.drivername not in DRIVERS:
        reason = f"is on {found.drivername!r}; it can be on {' or '.join(DRIVERS)}"
        raise InvalidSettingsError("journal", reason)
    if found.get_backend_name() == "sqlite":
        path = found.database or ":memory:"
        if path == ":memory:":
            raise InvalidSettingsError("journal", "needs a file: memory is lost in a crash")
        if path.startswith("file:"):
            raise InvalidSettingsError("journal", "needs the path of a file, not a file: address")
    return found


def _make_file(url: URL) -> None:
    """Make the file with mode 0600, since links and user names are personal data.

    One that is there keeps its mode; SQLite gives its side files the same.
    """
    try:
        os.close(os.open(str(url.database), os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        said = f"the file {url.database!r} can't be written: {error.strerror}"
        raise JournalError(said) from error


def _engine(url: URL, *, is_sqlite: bool) -> AsyncEngine:
    if not is_sqlite:
        return create_async_engine(
            url,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            pool_size=POOL_SIZE,
            connect_args={
                "timeout": CONNECT_TIMEOUT_S,
                "command_timeout": STATEMENT_TIMEOUT_S,
                # A server may be set to answer before it has written: an intent must be on disk.
                "server_settings": {
                    "synchronous_commit": "on",
                    "application_name": "smmfanfast_async",
                },
            },
        )
    # One connection: SQLite has one writer, and waiting for it here costs less than in the file.
    engine = create_async_engine(
        url,
        hide_parameters=True,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1,
        max_overflow=0,
    )
    event.listen(engine.sync_engine, "connect", _set_up_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # Python's module would begin transactions by itself, and later than it should.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
    except BaseException:
        # The pool forgets what it could not set up, and the thread behind it would stay.
        connection.close()
        raise


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that begins to write later than it reads can't wait for its turn.
    reads = connection.get_execution_options().get("smm_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


# --- errors --------------------------------------------------------------------------------------


def journal_error(error: BaseException) -> JournalError:
    """Say what a database's error means, in one line, without rows and passwords."""
    cause = _driver_error(error)
    words = str(cause).partition("\n")[0]
    # The driver's own class stands in the text in angle brackets; ours names it already.
    words = words.partition(">: ")[2] or words
    kind = type(cause).__name__
    return JournalError(sanitize(f"{kind}: {words}".rstrip(": "), 300))


def _is_databases(error: Exception) -> bool:
    """Whether an error comes from the database, or the way to it.

    SQLAlchemy 2.0 lets asyncpg's own errors through where there is no connection yet.
    """
    is_drivers = type(error).__module__.partition(".")[0] == "asyncpg"
    return is_drivers or isinstance(error, SQLAlchemyError | OSError)


def _driver_error(error: BaseException) -> BaseException:
    return error.orig or error if isinstance(error, DBAPIError) else error


def _may_pass(error: Exception) -> bool:
    """Whether the same work may succeed a little later."""
    cause = _driver_error(error)
    is_cut = isinstance(error, DBAPIError) and error.connection_invalidated
    if is_cut or isinstance(cause, OSError):
        return True  # not reached, broken off, or given up while it was waited for
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return state in _REPEATABLE_STATES or state.startswith("08")
    words = str(cause).lower()
    return any(each in words for each in _REPEATABLE_WORDS)
