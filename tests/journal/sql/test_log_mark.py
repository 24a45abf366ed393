"""A SQLite journal whose write-ahead log was lost, or copied by other programs."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.journals import accept, prepare, start

from smmfanfast_async import JournalError
from smmfanfast_async.journal.sql import SQLJournal, connecting, database, log_mark


@pytest.fixture
def backend() -> str:
    return "sqlite"


async def opened(path: Path) -> SQLJournal:
    journal = SQLJournal(path).for_account("a")
    await journal.open()
    return journal


def survive(path: Path, folder: Path, *, with_log: bool) -> Path:
    """Copy what a kill leaves, with the log or without it."""
    folder.mkdir()
    shutil.copyfile(path, folder / path.name)
    if with_log:
        shutil.copyfile(f"{path}-wal", folder / f"{path.name}-wal")
    return folder / path.name


@pytest.mark.asyncio
async def test_lost_log_is_noticed(path: Path, tmp_path: Path) -> None:
    journal = await opened(path)
    await accept(journal, "a")
    lost = survive(path, tmp_path / "lost", with_log=False)
    await journal.aclose()

    with pytest.raises(JournalError, match=r"'orders.db-wal' is missing") as caught:
        await opened(lost)

    statement = caught.value.text.partition("SQL statement ")[2]
    with closing(sqlite3.connect(lost)) as connection, connection:
        connection.execute(statement)
    accepted = await opened(lost)
    assert await accepted.find("a") is None
    await accepted.aclose()


@pytest.mark.asyncio
async def test_killed_journal_with_its_log_opens(path: Path, tmp_path: Path) -> None:
    journal = await opened(path)
    await accept(journal, "a")
    kept = survive(path, tmp_path / "kept", with_log=True)
    await journal.aclose()

    other = await opened(kept)

    assert await other.find("a") is not None
    await other.aclose()


@pytest.mark.asyncio
async def test_closed_journal_has_no_log_and_opens(path: Path) -> None:
    for _ in range(3):
        journal = await opened(path)
        await accept(journal, "a") if await journal.find("a") is None else None
        await journal.aclose()
        assert not path.with_name("orders.db-wal").exists()


@pytest.mark.asyncio
async def test_other_program_may_copy_the_log(path: Path, tmp_path: Path) -> None:
    """As a person does who looks into the file after a kill."""
    journal = await opened(path)
    await accept(journal, "a")
    kept = survive(path, tmp_path / "kept", with_log=True)
    await journal.aclose()
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("SELECT count(*) FROM smm_orders").fetchone() == (1,)
    assert not kept.with_name("orders.db-wal").exists()

    other = await opened(kept)

    assert await other.find("a") is not None
    await other.aclose()


@pytest.mark.asyncio
async def test_several_programs_share_the_file(path: Path) -> None:
    first, second = await opened(path), await opened(path)
    await asyncio.gather(*(accept((first, second)[n % 2], f"r{n}") for n in range(10)))
    await first.aclose()
    await accept(second, "late")
    third = await opened(path)

    assert await third.find("late") is not None
    for journal in (second, third):
        await journal.aclose()


@pytest.mark.asyncio
async def test_log_is_marked_again_when_it_is_large(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await opened(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(PASSIVE)")  # from here on, a loss would go unnoticed
    monkeypatch.setattr(database, "MAX_LOG_BYTES", 0)

    await prepare(journal, "a")

    lost = survive(path, tmp_path / "lost", with_log=False)
    await journal.aclose()
    with pytest.raises(JournalError, match="is missing"):
        await opened(lost)


@pytest.mark.asyncio
async def test_log_starts_anew_after_each_mark(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would grow for as long as the journal is open, and each write would copy it."""
    journal = await opened(path)
    largest = 256 * 1024
    monkeypatch.setattr(database, "MAX_LOG_BYTES", largest)

    for number in range(60):
        await accept(journal, f"r{number}")

    size = path.with_name("orders.db-wal").stat().st_size
    await journal.aclose()
    assert size < 2 * largest


@pytest.mark.asyncio
async def test_mark_that_cannot_be_copied_is_taken_back(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise JournalError("no space left")

    monkeypatch.setattr(database, "copy_mark", fail)
    journal = await opened(path)
    await start(journal, "a")
    await journal.aclose()
    monkeypatch.undo()

    other = await opened(path)

    assert "cannot be copied into its file: journal: no space left" in caplog.text
    assert await other.find("a") is not None
    await other.aclose()


@pytest.mark.asyncio
async def test_write_succeeds_though_the_log_cannot_be_copied_after_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    journal = await opened(path)
    monkeypatch.setattr(database, "MAX_LOG_BYTES", 0)
    monkeypatch.setattr(database, "copy_log", fail)

    await prepare(journal, "a")

    assert "the log of the journal cannot be copied into its file: journal: " in caplog.text
    assert await journal.find("a") is not None
    await journal.aclose()


@pytest.mark.asyncio
async def test_mark_that_another_program_took_back_is_not_copied_again(path: Path) -> None:
    journal = await opened(path)
    for _ in range(2):
        await journal._database.run(journal._database._copy_mark)

    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT log_mark FROM smm_versions").fetchall() == [(0,)]
    await journal.aclose()


@pytest.mark.asyncio
async def test_file_that_is_mounted_alone_is_checked_too(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await opened(path)
    await accept(journal, "a")
    lost = survive(path, tmp_path / "lost", with_log=False)
    await journal.aclose()
    monkeypatch.setattr(connecting, "is_folder_kept", lambda *_: False)

    with pytest.raises(JournalError, match="is missing"):
        await opened(lost)


def test_largest_log_is_that_of_sqlite() -> None:
    pages, page_bytes = 1000, 4096

    assert pages * page_bytes <= log_mark.MAX_LOG_BYTES
