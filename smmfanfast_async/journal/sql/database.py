"""Connections, transactions and their errors: what differs between SQLite and PostgreSQL.

How this works. `Database.run` runs a function in a transaction of its own, and retries it after a
transient failure (a restart, a lost connection, a deadlock, a busy file) until a deadline. So the
function must be idempotent: a commit whose answer was lost may have happened. Every database error
is raised as `JournalError`, without the stack frames below it, which contain the password of the
database's address.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from attrs import define, field
from sqlalchemy import event, func, inspect, select
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from ..._clock import boot_time_s, elapsed_s
from ..._text import sanitize
from ...errors import InvalidSettingsError, JournalError, PanelError, strip_frames
from .schema import MIGRATIONS, SCHEMA_VERSION, metadata, versions

__all__ = ["Database", "journal_error", "parse_url"]

DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg")
"""The supported databases and drivers; others are not tested."""

DEADLINE_S = 30.0
"""Seconds for a transaction with all its retries: a PostgreSQL restart takes a few."""

MIN_RETRY_DELAY_S, MAX_RETRY_DELAY_S = 0.02, 1.0
"""Seconds between retries, doubling from the minimum to the maximum, with jitter."""

BUSY_TIMEOUT_MS = 10_000
"""Milliseconds to wait for another process's transaction on SQLite: each takes a few."""

CONNECT_TIMEOUT_S = 10.0
"""Seconds to connect to PostgreSQL."""

STATEMENT_TIMEOUT_S = 60.0
"""Seconds for one statement; the slowest, a summary of millions of orders, takes a few."""

POOL_SIZE = 5
"""Connections to PostgreSQL of one journal: placing, following, events and a caller's queries."""

CLOSE_WAIT_S = 5.0
"""Seconds that closing waits for running transactions: each takes milliseconds."""

CLOCK_REFRESH_S = 300.0
"""Seconds after which the database's clock is read again; in that time clocks hardly drift."""

MAX_SHIFT_S = 1.0
"""Seconds by which this machine's clocks may diverge before the database's is read again: more
than slewing in `CLOCK_REFRESH_S`, less than any suspension that matters."""

MAX_CHECKED_BYTES = 64 * 1024 * 1024
"""A SQLite file up to this size is checked completely when it is opened, in under a second; in a
larger one, damage is noticed only in the pages that are read."""

SCHEMA_LOCK = 0x534D4D46
"""The number of PostgreSQL's advisory lock under which the tables are created or migrated."""

_TRANSIENT_SQLSTATES = frozenset(
    {"23505", "40001", "40P01", "55P03", "57P01", "57P02", "57P03", "53300"}
)
"""PostgreSQL's codes for: a unique key that another transaction inserted at the same time (the
function reads first, so the retry finds that row), serialization failure, deadlock, lock not
available, shutdown (three), too many connections."""

_TRANSIENT_MESSAGES = ("database is locked", "connection", "cannot switch to state")
"""The same as texts, for errors without a code; the last is asyncpg's if a connection ends in the
middle of one of its steps (seen with 0.30 when a server restarts)."""

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]


@define
class ServerTime:
    """A time of the server, and what this machine's clocks showed when it was read."""

    time: datetime
    read_at_s: float = field(factory=elapsed_s)
    shift_s: float = field(factory=lambda: time.time() - boot_time_s())
    """By how much the wall clock is ahead of the boot clock, in seconds."""

    def is_stale(self) -> bool:
        """Return whether the server's clock has to be read again."""
        shifted_s = time.time() - boot_time_s() - self.shift_s
        return elapsed_s() - self.read_at_s > CLOCK_REFRESH_S or abs(shifted_s) > MAX_SHIFT_S

    def advanced(self) -> datetime:
        """Return the time of the server, advanced by this machine's clock."""
        return self.time + timedelta(seconds=elapsed_s() - self.read_at_s)


class Database:
    """A database, used from one event loop."""

    _address = "without an address"

    def __init__(self, url: URL | None, clock: Callable[[], datetime] | None) -> None:
        self._url = _require_supported(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        self._clock = clock
        self._address = self._url.render_as_string(hide_password=True)
        self._server_time: ServerTime | None = None
        self._engine: AsyncEngine | None = None
        self._users = 0
        self._running: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return f"<Database {self._address}>"

    async def open(self, prepare_account: Work[None]) -> None:
        """Connect, create or check the tables, and run one more transaction on them."""
        is_first = self._engine is None
        if self._engine is None:
            if self.is_sqlite:
                _create_file(self._url)
            self._engine = _create_engine(self._url, is_sqlite=self.is_sqlite)
        try:
            await self.run(self._prepare)
            await self.run(prepare_account)
        except BaseException:
            # A user that could not open does not close. Another may have opened in the meantime.
            if is_first and self._users == 0:
                await self._dispose()
            raise

    def add_user(self) -> None:
        """Count one more user, which will call `aclose`."""
        self._users += 1

    async def aclose(self) -> None:
        """Close the connections with the last user; the next `open` creates new ones."""
        self._users -= 1
        if self._users == 0:
            await self._dispose()

    async def _dispose(self) -> None:
        """Start no more transactions, wait for the running ones, and close the connections."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        try:
            if self._running:
                # A connection that is returned to a pool after its disposal would never be closed.
                await asyncio.wait(self._running, timeout=CLOSE_WAIT_S)
        finally:
            await engine.dispose()

    async def run(self, work: Work[T], *, reads: bool = False) -> T:
        """Run a function in a transaction and return its result, retrying transient failures.

        With `reads`, the function writes nothing. Raises `JournalError` for a database error that
        is not transient or lasts beyond the deadline, and for a value that cannot be read or
        stored; other errors of the function are raised as they are.
        """
        deadline_s = time.monotonic() + DEADLINE_S
        delay_s = MIN_RETRY_DELAY_S
        while True:
            try:
                return await self._run_once(work, reads=reads)
            except PanelError:
                raise
            except (ValueError, ArithmeticError) as error:
                # A row that was edited by another program, or a number too large for its column.
                raise JournalError(f"invalid value: {type(error).__name__}") from error
            except Exception as error:
                if not _is_database_error(error):
                    raise
                if not _is_transient(error) or time.monotonic() + delay_s > deadline_s:
                    raise journal_error(error) from strip_frames(error)
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
            delay_s = min(delay_s * 2, MAX_RETRY_DELAY_S)

    async def _run_once(self, work: Work[T], *, reads: bool) -> T:
        """Run a function in a transaction, in a task that continues if the caller is cancelled.

        Cancelling it would lose the connection; SQLite's also leaves a thread behind, which may
        wake up after the event loop is closed.
        """

        async def transaction() -> T:
            async with self._transaction(reads=reads) as connection:
                return await work(connection)

        task = asyncio.create_task(transaction())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    @asynccontextmanager
    async def _transaction(self, *, reads: bool) -> AsyncGenerator[AsyncConnection, None]:
        if self._engine is None:
            raise JournalError("not open; call open() first")
        async with self._engine.connect() as connection:
            if reads and self.is_sqlite:
                await connection.execution_options(smm_reads=True)
            async with connection.begin():
                yield connection

    async def now(self) -> datetime:
        """Return the time of the clock that all users of this database share.

        For PostgreSQL it is the server's, read every 300 s, or as soon as this machine's clocks
        differ in how much time has passed, and advanced by them; SQLite's users are on one machine.
        """
        if self._clock is not None:
            return self._clock()
        if self.is_sqlite:
            return datetime.now(UTC)
        if self._server_time is None or self._server_time.is_stale():
            self._server_time = await self.run(_read_server_time, reads=True)
        return self._server_time.advanced()

    async def exact_now(self, connection: AsyncConnection) -> datetime:
        """Return the same time, for PostgreSQL read from the server within a transaction.

        What judges the times that other machines have set needs it: this machine may have been
        suspended without its clocks showing it yet.
        """
        if self._clock is not None or self.is_sqlite:
            return await self.now()
        self._server_time = await _read_server_time(connection)
        return self._server_time.time

    # --- the schema ------------------------------------------------------------------------------

    async def _prepare(self, connection: AsyncConnection) -> None:
        """Create the tables, or check and migrate their version; all in one transaction."""
        if self.is_sqlite:
            await self._check_file(connection)
        else:
            await connection.execute(select(func.pg_advisory_xact_lock(SCHEMA_LOCK)))
        exists = await connection.run_sync(lambda sync: inspect(sync).has_table(versions.name))
        if not exists:
            await connection.run_sync(metadata.create_all)
            await connection.execute(versions.insert().values(id=1, version=SCHEMA_VERSION))
            return
        version = (await connection.execute(select(versions.c.version))).scalar()
        await _migrate(connection, version)

    async def _check_file(self, connection: AsyncConnection) -> None:
        """Raise `JournalError` if the file is damaged, if it is small enough to check quickly."""
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        page_bytes = (await connection.exec_driver_sql("PRAGMA page_size")).scalar_one()
        if pages * page_bytes <= MAX_CHECKED_BYTES:
            result = (await connection.exec_driver_sql("PRAGMA quick_check(1)")).scalar()
            if result != "ok":
                raise JournalError(f"the file is damaged: {sanitize(str(result), 200)}")


async def _migrate(connection: AsyncConnection, from_version: int | None) -> None:
    """Migrate the tables to the current version."""
    if from_version is None or from_version > SCHEMA_VERSION:
        raise JournalError(
            f"schema version {from_version} is not supported; this release knows up to"
            f" {SCHEMA_VERSION}"
        )
    for version in range(from_version, SCHEMA_VERSION):
        for statement in MIGRATIONS[version]:
            await connection.exec_driver_sql(statement)
    if from_version < SCHEMA_VERSION:
        await connection.execute(versions.update().values(version=SCHEMA_VERSION))


async def _read_server_time(connection: AsyncConnection) -> ServerTime:
    server_time: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
    return ServerTime(server_time.astimezone(UTC))


# --- creating an engine --------------------------------------------------------------------------


def parse_url(url: str) -> URL | None:
    """Return the address of a database, None if it is invalid: an error would show a password."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        return None


def _require_supported(url: URL | None) -> URL:
    """Return an address that a journal supports, or raise `InvalidSettingsError`."""
    if url is None:
        raise InvalidSettingsError("journal", "is not the address of a database")
    if url.drivername not in DRIVERS:
        reason = f"has driver {url.drivername!r}; use {' or '.join(DRIVERS)}"
        raise InvalidSettingsError("journal", reason)
    if url.get_backend_name() == "sqlite":
        path = url.database or ":memory:"
        if path == ":memory:":
            raise InvalidSettingsError("journal", "needs a file: memory is lost in a crash")
        if path.startswith("file:"):
            raise InvalidSettingsError("journal", "needs the path of a file, not a file: address")
    return url


def _create_file(url: URL) -> None:
    """Create the file with mode 0600, since links and user names are personal data.

    An existing file keeps its mode; SQLite creates its side files with the same mode.
    """
    try:
        os.close(os.open(str(url.database), os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        text = f"the file {url.database!r} cannot be written: {error.strerror}"
        raise JournalError(text) from error


def _create_engine(url: URL, *, is_sqlite: bool) -> AsyncEngine:
    if not is_sqlite:
        return create_async_engine(
            url,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            pool_size=POOL_SIZE,
            connect_args={
                "timeout": CONNECT_TIMEOUT_S,
                "command_timeout": STATEMENT_TIMEOUT_S,
                # A server may be configured to answer before the data is on disk: attempts must be.
                "server_settings": {
                    "synchronous_commit": "on",
                    "application_name": "smmfanfast_async",
                },
            },
        )
    # One connection: SQLite has one writer, and waiting for it here is cheaper than in the file.
    engine = create_async_engine(
        url,
        hide_parameters=True,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1,
        max_overflow=0,
    )
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    # Otherwise Python's module starts transactions by itself, and too late.
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
        # The pool drops a connection that fails here, and its thread would stay.
        connection.close()
        raise


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads before it writes cannot wait for another writer.
    reads = connection.get_execution_options().get("smm_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


# --- errors --------------------------------------------------------------------------------------


def journal_error(error: BaseException) -> JournalError:
    """Return the error for a database error, in one line, without rows and passwords."""
    cause = _driver_error(error)
    message = str(cause).partition("\n")[0]
    # SQLAlchemy puts the driver's class into the text, in angle brackets; it is named below anyway.
    message = message.partition(">: ")[2] or message
    kind = type(cause).__name__
    return JournalError(sanitize(f"{kind}: {message}".rstrip(": "), 300))


def _is_database_error(error: Exception) -> bool:
    """Return whether an error comes from the database or the connection to it.

    SQLAlchemy 2.0 passes asyncpg's own errors through while there is no connection yet.
    """
    is_from_driver = type(error).__module__.partition(".")[0] == "asyncpg"
    return is_from_driver or isinstance(error, SQLAlchemyError | OSError)


def _driver_error(error: BaseException) -> BaseException:
    return error.orig or error if isinstance(error, DBAPIError) else error


def _is_transient(error: Exception) -> bool:
    """Return whether the same transaction may succeed a little later."""
    cause = _driver_error(error)
    is_cut = isinstance(error, DBAPIError) and error.connection_invalidated
    if is_cut or isinstance(cause, OSError):
        return True  # not reached, disconnected, or timed out
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return state in _TRANSIENT_SQLSTATES or state.startswith("08")
    message = str(cause).lower()
    return any(each in message for each in _TRANSIENT_MESSAGES)
