"""The file of a database, and the settings of each connection to it."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from attrs import define
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from ...errors import InvalidSettingsError, JournalError
from .address import Address
from .log_mark import MAX_LOG_BYTES

__all__ = ["SQLiteFile", "create_engine"]

BUSY_TIMEOUT_MS = 10_000
"""Milliseconds to wait for another process's transaction on SQLite: each takes a few."""

STATEMENT_TIMEOUT_S = 60.0
"""Seconds for one statement; the slowest, a summary of millions of orders, takes a few."""

_READ_ONLY_SQLSTATE = "25006"
"""PostgreSQL's code for a write in a read-only transaction: the server is a replica."""


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
        _require_writable(path.resolve().parent)
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

    def require_same(self) -> int:
        """Raise `JournalError` if the file was deleted or replaced since it was opened.

        Returns the size of its log in bytes, 0 without one.
        """
        log_bytes = 0
        try:
            is_same = _identity(self.path.stat()) == self.identity
            if self.wal is not None:
                log_bytes = self.wal.stat().st_size
        except OSError:
            is_same = False
        if not is_same:
            raise JournalError(
                f"the file {str(self.path)!r} was deleted, moved or replaced while it was open; put"
                " it back, or stop every program that uses it and start again"
            )
        return log_bytes


def _require_writable(folder: Path) -> None:
    """Raise `JournalError` unless files can be created in a folder."""
    if not folder.is_dir():
        raise JournalError(f"the folder {str(folder)!r} does not exist; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise JournalError(
            f"the folder {str(folder)!r} cannot be written: SQLite needs to create files in it,"
            " beside the database's own"
        )


def is_folder_kept(folder: Path, file_device: int) -> bool:
    """Return whether other files in the folder survive wherever the database's file does.

    They do not if that single file is mounted into a container, which replaces its own folders.
    """
    return folder.stat().st_dev == file_device


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


# --- engines -------------------------------------------------------------------------------------


def create_engine(address: Address, connections: int, *, keeps_wal: bool = True) -> AsyncEngine:
    """Return an engine with at most that many connections, each with our settings.

    Without `keeps_wal`, SQLite writes each commit into the file itself. That takes twice as long
    (measured on ext4: 28 ms instead of 13).

    Raises `InvalidSettingsError` if the library for this database is not installed.
    """
    try:
        engine = create_async_engine(
            address.url,
            hide_parameters=True,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=connections,
            max_overflow=0,
            **({} if address.is_sqlite else _postgres_options(address)),
        )
    except ModuleNotFoundError as error:
        extra = "journal" if address.is_sqlite else "postgres"
        how = f"pip install 'smmfanfast_async[{extra}]'"
        reason = f"needs {error.name}, which is not installed: {how}"
        raise InvalidSettingsError("journal", reason) from error
    if address.is_sqlite:
        configure = partial(_configure_sqlite, "WAL" if keeps_wal else "TRUNCATE")
        event.listen(engine.sync_engine, "connect", configure)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    else:
        event.listen(engine.sync_engine, "begin", _begin_postgres)
        event.listen(engine.sync_engine, "handle_error", _leave_replica)
    return engine


def _postgres_options(address: Address) -> dict[str, Any]:
    """Return options that work through a pooler too, which gives each transaction any connection.

    So nothing is set for a connection beyond its name, and no statement is kept prepared.
    """
    return {
        "isolation_level": "READ COMMITTED",
        "connect_args": {
            **address.connect_args(),
            "command_timeout": STATEMENT_TIMEOUT_S,
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: "",
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
            # The log is copied into the file by `log_mark`, and is cut when it starts anew.
            "wal_autocheckpoint=0",
            f"journal_size_limit={MAX_LOG_BYTES // 2}",
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


def _begin_postgres(connection: Connection) -> None:
    # A server, role or database may be configured to answer before the data is on disk.
    if not connection.get_execution_options().get("smm_reads", False):
        connection.exec_driver_sql("SET LOCAL synchronous_commit = on")
