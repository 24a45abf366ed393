"""Notice that the write-ahead log of a SQLite file was lost, with the latest commits in it.

SQLite itself cannot: without its log, a file is an older state of the database, and a ref that was
ordered since would order again. So the file carries a mark, 1, and the first commit in the log sets
it to 0. A program that copies the log into the file completely, as the last one
that closes it does, copies that too. A file with the mark 1 and without a log has lost commits.
"""

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ...errors import JournalError
from .schema import versions

__all__ = ["MAX_LOG_BYTES", "check_log", "copy_log", "copy_mark", "set_mark", "take_mark_back"]

MAX_LOG_BYTES = 4 * 1024 * 1024
"""How large the log may grow before it is copied into the file, as by SQLite's own default."""


async def check_log(connection: AsyncConnection, path: Path) -> None:
    """Raise `JournalError` if the log is missing; in a transaction that has not written yet."""
    log = path.with_name(f"{path.name}-wal")
    has_log = log.exists() and log.stat().st_size > 0
    mark = (await connection.execute(select(versions.c.log_mark))).scalar()
    if mark and not has_log:
        accept = "UPDATE smm_versions SET log_mark = 0"  # a text for a person
        raise JournalError(
            f"the file {log.name!r} is missing beside {str(path)!r}, and the latest orders with it:"
            " their refs would order again. Put it back. If it is lost, compare with the panel what"
            f" was ordered since, and then accept the loss with the SQL statement {accept}"
        )


async def set_mark(connection: AsyncConnection) -> None:
    """Commit the mark into the log; `copy_mark` copies it into the file."""
    await connection.execute(versions.update().values(log_mark=1))


async def copy_log(reader: AsyncEngine) -> None:
    """Copy as much of the log into the file as no reader prevents; wait for nothing."""
    async with reader.connect() as connection:
        raw = await connection.get_raw_connection()
        driver = raw.driver_connection
        assert driver is not None  # noqa: S101  # the pool has just returned it
        # Without a transaction, in which it would not be allowed.
        await driver.execute("PRAGMA wal_checkpoint(PASSIVE)")


async def copy_mark(connection: AsyncConnection, reader: AsyncEngine) -> None:
    """Copy the log into the file, and then take the mark back in the log.

    `connection` is in a transaction, so that no other program writes meanwhile. A kill at any
    moment leaves a log with content, which is complete. If a reader prevents that all of it is
    copied, a loss goes unnoticed until the next time.
    """
    mark = (await connection.execute(select(versions.c.log_mark))).scalar()
    if mark:
        await copy_log(reader)
    await take_mark_back(connection)


async def take_mark_back(connection: AsyncConnection) -> None:
    """Record in the log that the file is complete with it."""
    await connection.execute(versions.update().values(log_mark=0))
