"""Connections, transactions and their errors: what differs between SQLite and PostgreSQL.

How this works. `Database.run` runs a function in a transaction of its own, and retries it after a
transient failure (a restart, a lost connection, a deadlock, a busy file) until a deadline. So the
function must be idempotent: a commit whose answer was lost may have happened. Every database error
is raised as `JournalError`, without the stack frames below it, which contain the password of the
database's address.
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any, TypeVar

import attrs
from attrs import define, field
from sqlalchemy import func, inspect, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ..._clock import boot_time_s, elapsed_s
from ..._text import sanitize
from ...errors import JournalError, PanelError, strip_frames
from .address import Address
from .connecting import STATEMENT_TIMEOUT_S, SQLiteFile, create_engine
from .log_mark import MAX_LOG_BYTES, check_log, copy_log, copy_mark, set_mark, take_mark_back
from .schema import MIGRATIONS, SCHEMA_VERSION, metadata, versions

__all__ = ["Database", "PoolShare", "journal_error"]

DEADLINE_S = 30.0
"""Seconds for a transaction with all its retries: a PostgreSQL restart takes a few."""

MIN_RETRY_DELAY_S, MAX_RETRY_DELAY_S = 0.02, 1.0
"""Seconds between retries, doubling from the minimum to the maximum, with jitter."""

MARK_S = 300.0
"""Seconds after which the log is marked again: other programs copy it into the file too."""

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

_FINAL_MESSAGES = ("rejected SSL upgrade", "unsupported startup parameter", "no such database")
"""Texts of errors that look like a connection that was cut, but will not pass: asyncpg's for a
server without TLS, PgBouncer's for settings (it gives nearly all its errors one code, 08P01)."""

_LOG = logging.getLogger("smmfanfast_async")

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


class PoolShare(Enum):
    """A share of the connections: its transactions never wait for those of another one."""

    READ = auto()
    """Writes nothing, and waits for no lock."""
    ADMIT = auto()
    """May wait for a lock until a caller commits a transaction of its own (`OrderDesk.enqueue`)."""
    WRITE = auto()
    """Everything else, above all the outcomes of orders in flight."""


def split_pool(pool_size: int) -> dict[PoolShare, int]:
    """Return how many of a pool's connections each share has: the writes have the rest.

    Each is idle most of the time.
    """
    share = pool_size // len(PoolShare)
    return {
        PoolShare.READ: share, PoolShare.ADMIT: share, PoolShare.WRITE: pool_size - 2 * share,
    }  # fmt: skip


class Database:
    """A database, used from one event loop."""

    def __init__(
        self, address: Address, clock: Callable[[], datetime] | None, pool_size: int
    ) -> None:
        self._address = address
        self.is_sqlite = address.is_sqlite
        self._clock = clock
        self._pool_size = pool_size
        self._server_time: ServerTime | None = None
        self._engine: AsyncEngine | None = None
        # SQLite has one writer, for which its readers need not wait: they have a connection apart.
        self._reader: AsyncEngine | None = None
        self._file: SQLiteFile | None = None
        self._free: Mapping[PoolShare, asyncio.Semaphore] = {}
        self._is_marking = False
        self._marked_at_s = 0.0
        self._log_bytes = 0
        self._users = 0
        self._running: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return f"<Database {self._address.url.render_as_string(hide_password=True)}>"

    async def open(self, prepare_account: Work[None]) -> None:
        """Connect, create or check the tables, and run one more transaction on them."""
        is_first = self._engine is None
        if self._engine is None:
            self._create_engines()
        try:
            await self.run(self._prepare)
            await self.run(prepare_account)
            await self._mark_log()
        except BaseException:
            # A user that could not open does not close. Another may have opened in the meantime.
            if is_first and self._users == 0:
                await self._dispose()
            raise

    def _create_engines(self) -> None:
        """Create the connection pools, with a number of connections for each share."""
        if not self.is_sqlite:
            self._engine = create_engine(self._address, self._pool_size)
            shares = split_pool(self._pool_size)
            self._free = {share: asyncio.Semaphore(count) for share, count in shares.items()}
            return
        self._file = SQLiteFile.create(self._address.url)
        # One connection: SQLite has one writer, and waiting here costs less than in the file.
        url = self._address.url.set(database=str(self._file.path))
        address = attrs.evolve(self._address, url=url)
        keeps_wal = self._file.wal is not None
        self._engine = create_engine(address, 1, keeps_wal=keeps_wal)
        self._reader = create_engine(address, 1, keeps_wal=keeps_wal)
        writer = asyncio.Semaphore(1)
        self._free = {
            PoolShare.READ: asyncio.Semaphore(1), PoolShare.ADMIT: writer, PoolShare.WRITE: writer,
        }  # fmt: skip

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
        await self._take_mark_back()
        engine, self._engine = self._engine, None
        reader, self._reader = self._reader, None
        if engine is None:
            return
        try:
            if self._running:
                # A connection that is returned to a pool after its disposal would never be closed.
                await asyncio.wait(self._running, timeout=CLOSE_WAIT_S)
        finally:
            if reader is not None:
                await reader.dispose()
            await engine.dispose()

    async def run(self, work: Work[T], share: PoolShare = PoolShare.WRITE) -> T:
        """Run a function in a transaction and return its result, retrying transient failures.

        Raises `JournalError` for a database error that is not transient or lasts beyond the
        deadline, and for a value that cannot be read or stored; other errors of the function are
        raised as they are.
        """
        deadline_s = time.monotonic() + DEADLINE_S
        delay_s = MIN_RETRY_DELAY_S
        while True:
            try:
                result = await self._run_once(work, share, deadline_s)
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
            else:
                if share is not PoolShare.READ and self._is_mark_due():
                    await self._mark_log()
                return result
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311  # no secret
            delay_s = min(delay_s * 2, MAX_RETRY_DELAY_S)

    async def _run_once(self, work: Work[T], share: PoolShare, deadline_s: float) -> T:
        """Run a function in a transaction, in a task that continues if the caller is cancelled.

        Cancelling it would lose the connection; SQLite's also leaves a thread behind, which may
        wake up after the event loop is closed. A caller that is cancelled before a connection is
        free for it has changed nothing.
        """

        async def transaction() -> T:
            async with self._transaction(share) as connection:
                result = await work(connection)
            if self._file is not None:
                # After the commit: the file may have been replaced until then.
                self._log_bytes = self._file.require_same()
            return result

        free = await self._wait_for_connection(share, deadline_s)
        task = asyncio.create_task(transaction())
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: free.release())
        return await asyncio.shield(task)

    async def _wait_for_connection(self, share: PoolShare, deadline_s: float) -> asyncio.Semaphore:
        """Acquire one of the share's connections; the caller releases it."""
        if self._engine is None:
            raise JournalError("not open; call open() first")
        free = self._free[share]
        try:
            async with asyncio.timeout(max(deadline_s - time.monotonic(), 0.0)):
                await free.acquire()
        except TimeoutError:
            text = f"no connection became free within {DEADLINE_S:g} s: a transaction is open for"
            raise JournalError(f"{text} that long, or the database is too slow") from None
        return free

    @asynccontextmanager
    async def _transaction(self, share: PoolShare) -> AsyncGenerator[AsyncConnection, None]:
        reads = share is PoolShare.READ
        engine = self._reader if reads and self._reader is not None else self._engine
        if engine is None:
            raise JournalError("not open; call open() first")
        connection = await self._connect(engine)
        try:
            if reads:
                await connection.execution_options(smm_reads=True)
            async with connection.begin():
                yield connection
        finally:
            await connection.close()

    async def _connect(self, engine: AsyncEngine) -> AsyncConnection:
        """Return a connection of a pool; whatever goes wrong is an error without a password."""
        try:
            return await engine.connect()
        except Exception as error:
            if isinstance(error, TimeoutError):
                text = "the database accepted no connection in time (option connect_timeout)"
                raise TimeoutError(text) from strip_frames(error)
            if isinstance(error, ssl.SSLError):  # some are ValueErrors too
                raise journal_error(error) from strip_frames(error)
            if _is_database_error(error):
                raise
            text = f"the database cannot be connected to: {type(error).__name__}"
            raise JournalError(text) from strip_frames(error)

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
            self._server_time = await self.run(_read_server_time, PoolShare.READ)
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

    # --- the write-ahead log ---------------------------------------------------------------------

    async def _mark_log(self) -> None:
        """Copy the log into the file, which then says that a log belongs to it; see `log_mark`."""
        if self._file is None or self._file.wal is None:
            return
        self._is_marking, self._marked_at_s = True, elapsed_s()
        try:
            await self.run(set_mark)
            await self.run(self._copy_log)
            await self.run(self._copy_mark)
            self._is_marking = False
        except JournalError as error:
            _LOG.warning("the log of the journal cannot be copied into its file: %s", error)

    async def _copy_log(self, _connection: AsyncConnection) -> None:
        """Copy the log, so that the transaction that takes the mark back starts it anew.

        SQLite does that only in a transaction that finds everything copied when it begins.
        """
        assert self._reader is not None  # noqa: S101  # SQLite has one
        async with self._free[PoolShare.READ]:
            await copy_log(self._reader)

    async def _copy_mark(self, connection: AsyncConnection) -> None:
        assert self._reader is not None  # noqa: S101  # SQLite has one
        async with self._free[PoolShare.READ]:
            await copy_mark(connection, self._reader)

    def _is_mark_due(self) -> bool:
        if self._file is None or self._file.wal is None or self._is_marking or not self._users:
            return False
        return self._log_bytes > MAX_LOG_BYTES or elapsed_s() > self._marked_at_s + MARK_S

    async def _take_mark_back(self) -> None:
        """Before closing: after a mark that was not copied, the file would seem to lack its log."""
        if self._is_marking:
            with suppress(JournalError):
                await self.run(take_mark_back)
            self._is_marking = False

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
        if self._file is not None:
            await check_log(connection, self._file.path.resolve())
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


# --- errors --------------------------------------------------------------------------------------


def journal_error(error: BaseException) -> JournalError:
    """Return the error for a database error, in one line, without rows and passwords."""
    cause = _driver_error(error)
    message = str(cause).partition("\n")[0]
    if isinstance(cause, TimeoutError) and not message:
        message = f"a statement took longer than {STATEMENT_TIMEOUT_S:g} s"
    # SQLAlchemy puts the driver's class into the text, in angle brackets; it is named below anyway.
    message = message.partition(">: ")[2] or message
    kind = type(cause).__name__
    return JournalError(sanitize(f"{kind}: {message}".rstrip(": "), 300))


def _is_database_error(error: Exception) -> bool:
    """Return whether an error comes from the database or the connection to it.

    SQLAlchemy 2.0 passes asyncpg's own errors through while there is no connection yet, and
    SQLite's come without it where its driver is called directly.
    """
    is_from_driver = type(error).__module__.partition(".")[0] in {"asyncpg", "sqlite3"}
    return is_from_driver or isinstance(error, SQLAlchemyError | OSError)


def _driver_error(error: BaseException) -> BaseException:
    return error.orig or error if isinstance(error, DBAPIError) else error


def _is_transient(error: Exception) -> bool:
    """Return whether the same transaction may succeed a little later."""
    cause = _driver_error(error)
    is_cut = isinstance(error, DBAPIError) and error.connection_invalidated
    if any(each in str(cause) for each in _FINAL_MESSAGES):
        return False
    if is_cut or isinstance(cause, OSError):
        return True  # not reached, disconnected, or timed out
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return state in _TRANSIENT_SQLSTATES or state.startswith("08")
    message = str(cause).lower()
    return any(each in message for each in _TRANSIENT_MESSAGES)
