"""SQLite on the virtual loop: the driver's own connections, without their threads.

How this works. `aiosqlite` hands each call to a thread, through a queue. Here the queue runs the
call itself, some virtual time later, so that whatever else is due then happens in between. All else
is real: SQLAlchemy, the statements of the journal, and SQLite. A file that another connection has
locked is waited for in virtual time, and nothing is forced onto the disk: it is processes that end
here, not machines.
"""

import asyncio
import functools
import sqlite3
from collections import deque
from collections.abc import Callable, Generator
from typing import Any

import aiosqlite
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from smmfanfast_async.journal.sql.connecting import BUSY_TIMEOUT_MS

from .process import PROCESS, Process

__all__ = ["connect", "create_engine"]

BUSY_RETRY_S = 0.003
"""Seconds between two tries to lock a file."""

_SETTINGS = {
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}": "PRAGMA busy_timeout=0",
    "PRAGMA synchronous=FULL": "PRAGMA synchronous=OFF",
}
"""What is set differently here."""


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """Return a connection of the running process; replaces `aiosqlite.connect`."""
    return _Connection(database, PROCESS.get(), options)


def create_engine(url: URL, **options: Any) -> AsyncEngine:
    """Return an engine that shares its dialect and its compiled statements with all others.

    Compiling them anew for each process took a third of the time of a run (measured).
    """
    engine, first = create_async_engine(url, **options), _shared_engine().sync_engine
    engine.sync_engine.dialect = engine.sync_engine.pool._dialect = first.dialect
    engine.sync_engine._compiled_cache = first._compiled_cache
    return engine


@functools.cache
def _shared_engine() -> AsyncEngine:
    """Return the engine that the others take theirs from; it never connects."""
    return create_async_engine("sqlite+aiosqlite:///never-opened.db")


class _Connection(aiosqlite.Connection):
    """A connection whose calls run in the event loop; it ends with its process."""

    def __init__(self, database: str, process: Process, options: dict[str, Any]) -> None:
        super().__init__(
            lambda: sqlite3.connect(database, factory=_Database, **options), iter_chunk_size=64
        )
        self._tx = _Calls(process)  # type: ignore[assignment]
        process.on_end.append(self._end)

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        return self._connect().__await__()

    def _end(self) -> None:
        """Close the file as a kernel does: what was not committed is lost."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Calls:
    """The calls to one connection, in order: the queue of its thread."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._waiting: deque[tuple[asyncio.Future[Any] | None, Callable[[], Any]]] = deque()
        self._waited_s = 0.0

    def put_nowait(self, call: tuple[asyncio.Future[Any] | None, Callable[[], Any]]) -> None:
        """Run a call after those before it."""
        self._waiting.append(call)
        if len(self._waiting) == 1:
            self._run_later(self._process.disk_s)

    def _run_later(self, span_s: float) -> None:
        if span_s:
            asyncio.get_running_loop().call_later(span_s, self._run)
        else:
            self._run()

    def _run(self) -> None:
        future, function = self._waiting[0]
        result, error = None, None
        if not self._process.is_alive:
            self._cancel()
            return
        try:
            result = function()
        except Exception as failure:  # noqa: BLE001  # as the thread does
            error = failure
            is_locked = str(failure) == "database is locked"
            if is_locked and self._waited_s * 1000 < BUSY_TIMEOUT_MS:
                self._waited_s += BUSY_RETRY_S
                self._run_later(BUSY_RETRY_S)
                return
        self._waited_s = 0.0
        self._waiting.popleft()
        if future is not None and not future.done():
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        if self._waiting:
            self._run_later(self._process.disk_s)

    def _cancel(self) -> None:
        """Answer no call: its process has ended."""
        while self._waiting:
            future, _ = self._waiting.popleft()
            if future is not None:
                future.cancel()


class _Database(sqlite3.Connection):
    """The connection of Python's own module, with other settings."""

    def cursor(self, *_: Any) -> sqlite3.Cursor:
        return super().cursor(_Cursor)


class _Cursor(sqlite3.Cursor):
    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        return super().execute(_SETTINGS.get(sql, sql), *parameters)
