"""The address of a database, its file, and the settings of each connection to it."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from ...errors import InvalidSettingsError, JournalError

__all__ = ["SQLiteFile", "create_engine", "parse_url", "require_supported"]

DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg")
"""The supported databases and drivers; others are not tested."""

BUSY_TIMEOUT_MS = 10_000
"""Milliseconds to wait for another process's transaction on SQLite: each takes a few."""

CONNECT_TIMEOUT_S = 10.0
"""Seconds to connect to PostgreSQL."""

STATEMENT_TIMEOUT_S = 60.0
"""Seconds for one statement; the slowest, a summary of millions of orders, takes a few."""

_READ_ONLY_SQLSTATE = "25006"
"""PostgreSQL's code for a write in a read-only transaction: the server is a replica."""


# --- addresses -----------------------------------------------------------------------------------


def parse_url(url: str) -> URL | None:
    """Return the address of a database, None if it is invalid: an error would show a password."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        return None


def require_supported(url: URL | None) -> URL:
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


# --- the file of SQLite --------------------------------------------------------------------------


@define
class SQLiteFile:
    """The file of a SQLite database, while it is open."""

    path: Path
    """Absolute: the process may change its folder."""
    identity: tuple[int, int]
    """Device and inode: what is written under another identity is in no file that anybody opens."""
    wal: Path | None
    """The write-ahead log beside it, which holds the latest commits; None if every commit is in the
    file itself, since another file in its folder might not survive with it."""

    @classmethod
    def create(cls, url: URL) -> "SQLiteFile":
        """Create the file with mode 0600, since links and user names are personal data.

        An existing file keeps its mode; SQLite creates its side files with the same mode.
        """
        path = Path(str(url.database)).absolute()
        try:
            file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            try:
                identity = _identity(os.fstat(file))
            finally:
                os.close(file)
            real_path = path.resolve()
            keeps_wal = is_folder_kept(real_path.parent, identity[0])
            wal = real_path.with_name(f"{real_path.name}-wal") if keeps_wal else None
            return cls(path, identity, wal)
        except OSError as error:
            text = f"the file {url.database!r} cannot be written: {error.strerror}"
            raise JournalError(text) from error

    def require_same(self) -> None:
        """Raise `JournalError` if the file was deleted or replaced since it was opened."""
        try:
            is_same = _identity(self.path.stat()) == self.identity
            if self.wal is not None:
                self.wal.stat()
        except OSError:
            is_same = False
        if not is_same:
            raise JournalError(
                f"the file {str(self.path)!r} was deleted, moved or replaced while it was open; put"
                " it back, or stop every program that uses it and start again"
            )


def is_folder_kept(folder: Path, file_device: int) -> bool:
    """Return whether other files in the folder survive wherever the database's file does.

    They do not if that single file is mounted into a container, which replaces its own folders.
    """
    return folder.stat().st_dev == file_device and os.access(folder, os.W_OK)


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


# --- engines -------------------------------------------------------------------------------------


def create_engine(url: URL, connections: int, *, keeps_wal: bool = True) -> AsyncEngine:
    """Return an engine with at most that many connections, each with our settings.

    Without `keeps_wal`, SQLite writes each commit into the file itself. That takes twice as long
    (measured on ext4: 28 ms instead of 13).
    """
    is_sqlite = url.get_backend_name() == "sqlite"
    engine = create_async_engine(
        url,
        hide_parameters=True,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=connections,
        max_overflow=0,
        **({} if is_sqlite else _postgres_options()),
    )
    if is_sqlite:
        configure = partial(_configure_sqlite, "WAL" if keeps_wal else "TRUNCATE")
        event.listen(engine.sync_engine, "connect", configure)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    else:
        event.listen(engine.sync_engine, "handle_error", _leave_replica)
    return engine


def _postgres_options() -> dict[str, Any]:
    return {
        "isolation_level": "READ COMMITTED",
        "connect_args": {
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": STATEMENT_TIMEOUT_S,
            # A server may be configured to answer before the data is on disk: attempts must be.
            "server_settings": {
                "synchronous_commit": "on",
                "application_name": "smmfanfast_async",
            },
        },
    }


def _leave_replica(context: ExceptionContext) -> None:
    """Close all pooled connections once one of them leads to a read-only server.

    After a fail-over the same address leads to another server, for new connections only.
    """
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY_SQLSTATE:
        context.is_disconnect = True


def _configure_sqlite(journal_mode: str, connection: Any, _record: object) -> None:
    # Otherwise Python's module starts transactions by itself, and too late.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            f"journal_mode={journal_mode}",
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
