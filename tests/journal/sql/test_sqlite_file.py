"""The file of a SQLite journal: its mode, its settings and its faults."""

import asyncio
import os
import shutil
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from support.journals import LEASE, accept, claim_due, new_entry, observe, outcome, prepare, start

from smmfanfast_async import JournalError
from smmfanfast_async.journal import EntryState
from smmfanfast_async.journal.sql import SQLJournal, connecting, database

S = EntryState
NOBODY_UID = 65534


@pytest.fixture
def has_tables() -> bool:
    return False


@pytest.fixture
def backend() -> str:
    return "sqlite"


async def open_fails(url: str) -> JournalError:
    """Open a journal that cannot be opened, check that no thread is left, and return the error."""
    before = set(threading.enumerate())
    journal = SQLJournal(url).for_account("a")
    with pytest.raises(JournalError) as caught:
        await journal.open()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()
    await journal.aclose()
    return caught.value


@contextmanager
def as_unprivileged_user() -> Iterator[None]:
    """Run as a user to whom file modes apply, if root runs the tests."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY_UID)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users than root may enter, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def make_writable_in_a_read_only_folder(path: Path) -> None:
    path.touch()
    path.chmod(0o666)
    path.parent.chmod(0o555)


def damage(path: Path, at: int) -> bytes:
    content = bytearray(path.read_bytes())
    content[at : at + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    return bytes(content)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


# --- file and settings ---------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_database_file_and_side_files_are_private_to_their_owner(
    journal: SQLJournal, path: Path
) -> None:
    await prepare(journal)

    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}

    assert modes == dict.fromkeys(("orders.db", "orders.db-wal", "orders.db-shm"), 0o600)


@pytest.mark.asyncio
async def test_sqlite_settings_make_each_commit_durable(journal: SQLJournal) -> None:
    engine = journal._database._engine
    assert engine is not None
    async with engine.connect() as connection:
        settings = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert settings == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000,
    }  # fmt: skip


@pytest.mark.asyncio
async def test_closed_journal_can_be_reopened_with_its_entries(
    journal: SQLJournal, sqlite_url: str
) -> None:
    entry = await accept(journal)
    await journal.aclose()

    await journal.open()

    assert await journal.find("a") == entry


@pytest.mark.asyncio
async def test_sqlite_uses_the_machines_time_by_default(sqlite_url: str) -> None:
    now = await SQLJournal(sqlite_url).now()

    assert now.tzinfo is not None
    assert repr(SQLJournal(sqlite_url)).startswith("<SQLJournal <Database sqlite")


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_missing_folder_is_named_in_the_error(tmp_path: Path) -> None:
    error = await open_fails(f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'orders.db'}")

    assert "nowhere' does not exist; create it first" in error.text


@pytest.mark.asyncio
async def test_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere

    error = await open_fails(f"sqlite+aiosqlite:///{tmp_path / 'orders.db'}")

    assert f"the folder '{tmp_path}' cannot be written" in error.text


@pytest.mark.asyncio
async def test_read_only_file_is_refused(folder: Path) -> None:
    path = folder / "orders.db"
    url = f"sqlite+aiosqlite:///{path}"
    journal = SQLJournal(url).for_account("a")
    await journal.open()
    await journal.aclose()
    path.chmod(0o444)

    with as_unprivileged_user():
        error = await open_fails(url)

    assert "cannot be written: Permission denied" in error.text


@pytest.mark.asyncio
async def test_read_only_folder_is_refused(folder: Path) -> None:
    path = folder / "orders.db"
    make_writable_in_a_read_only_folder(path)

    with as_unprivileged_user():
        error = await open_fails(f"sqlite+aiosqlite:///{path}")

    assert "unable to open database file" in error.text or "readonly" in error.text


@pytest.mark.asyncio
@pytest.mark.parametrize("at", [0, 4096])
async def test_damaged_file_is_refused_and_unchanged(
    journal: SQLJournal, path: Path, sqlite_url: str, at: int
) -> None:
    for number in range(20):
        await prepare(journal, f"{number}")
    await journal.aclose()
    content = damage(path, at)

    error = await open_fails(sqlite_url)

    assert "not a database" in error.text or "damaged" in error.text or "malformed" in error.text
    assert content_of(path) == content


@pytest.mark.asyncio
async def test_large_file_is_opened_without_a_complete_check(
    journal: SQLJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "MAX_CHECKED_BYTES", 4096)

    await journal.open()

    assert (await prepare(journal)).state is S.PREPARED


@pytest.mark.asyncio
async def test_full_disk_loses_nothing_that_was_written(journal: SQLJournal) -> None:
    await start(journal, "sent")
    engine = journal._database._engine
    assert engine is not None

    async def limit_pages(max_pages: int) -> None:
        async with engine.connect() as connection:
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {max_pages}")

    await limit_pages(1)
    written: list[str] = []

    async def fill() -> None:
        for number in range(200):
            await journal.create(new_entry(f"{number}", form={"comments": "x" * 2000}))
            written.append(f"{number}")

    with pytest.raises(JournalError, match="full"):
        await fill()
    assert [each.ref async for each in journal.entries()] == ["sent", *written]

    await limit_pages(100_000)
    entry = await journal.record_outcome("sent", 1, outcome(S.ACCEPTED, "32"))
    assert (entry.state, entry.order) == (S.ACCEPTED, "32")


@pytest.mark.asyncio
async def test_write_waits_for_another_process_with_the_file(
    journal: SQLJournal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = journal._database._engine
    assert engine is not None
    async with engine.connect() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(journal.create(new_entry()))
        await asyncio.sleep(0.05)
        assert not writing.done()
        assert await find_ref(path, "a") is None
        other.execute("COMMIT")

        assert (await writing).ref == "a"
        monkeypatch.setattr(database, "DEADLINE_S", 0.05)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            await journal.create(new_entry("b"))


async def find_ref(path: Path, ref: str) -> object:
    with closing(sqlite3.connect(path)) as reader:
        row: object = reader.execute("SELECT ref FROM smm_orders WHERE ref = ?", (ref,)).fetchone()
        return row


# --- the file is gone ----------------------------------------------------------------------------


def delete(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    copy.replace(path)


@pytest.mark.asyncio
@pytest.mark.parametrize("change", [delete, replace])
async def test_nothing_is_sent_once_the_file_is_another(
    journal: SQLJournal, path: Path, change: Callable[[Path], None]
) -> None:
    await prepare(journal)
    kept = path.with_name("kept.db")
    kept.hardlink_to(path)
    change(path)

    with pytest.raises(JournalError, match="was deleted, moved or replaced"):
        await journal.start_attempt("a", 0, lease=LEASE, max_in_flight=1)
    with pytest.raises(JournalError, match="was deleted, moved or replaced"):
        await prepare(journal, "b")

    kept.replace(path)
    assert await journal.find("a") is not None


@pytest.mark.asyncio
async def test_nothing_is_sent_once_the_write_ahead_log_is_deleted(
    journal: SQLJournal, path: Path
) -> None:
    await prepare(journal)
    path.with_name("orders.db-wal").unlink()

    with pytest.raises(JournalError, match="was deleted, moved or replaced"):
        await journal.start_attempt("a", 0, lease=LEASE, max_in_flight=1)


def test_folder_is_not_kept_if_only_its_file_is_mounted(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev

    assert connecting.is_folder_kept(tmp_path, device)
    assert not connecting.is_folder_kept(tmp_path, device + 1)


@pytest.mark.asyncio
async def test_mounted_file_alone_holds_every_commit(
    sqlite_url: str, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "is_folder_kept", lambda *_: False)
    journal = SQLJournal(sqlite_url).for_account("a")
    await journal.open()
    started = await start(journal)

    # As after a kill of a container that mounts this file: what is beside it is gone.
    survived = tmp_path / "survived.db"
    shutil.copyfile(path, survived)
    await journal.aclose()
    again = SQLJournal(f"sqlite+aiosqlite:///{survived}").for_account("a")
    await again.open()

    assert await again.find("a") == started
    assert await again.start_attempt("a", 0, lease=LEASE, max_in_flight=9) is None
    await again.aclose()


@pytest.mark.asyncio
async def test_file_is_found_after_a_change_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(tmp_path)
    journal = SQLJournal("sqlite+aiosqlite:///orders.db").for_account("a")
    await journal.open()
    monkeypatch.chdir(other)

    assert (await prepare(journal)).state is S.PREPARED
    # The connection for reading is made here, and leads to the same file.
    assert await journal.find("a") is not None
    await journal.aclose()
    assert not list(other.iterdir())


@pytest.mark.asyncio
async def test_waiting_for_a_connection_has_a_deadline(
    journal: SQLJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = journal._database._free[database.PoolShare.WRITE]
    monkeypatch.setattr(database, "DEADLINE_S", 0.01)

    async with writer:
        with pytest.raises(JournalError, match=r"no connection became free within 0\.01 s"):
            await prepare(journal)


# --- versions of the schema ----------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("version", [2, 99, None])
async def test_unsupported_schema_version_is_refused(
    journal: SQLJournal, path: Path, sqlite_url: str, version: int | None
) -> None:
    await journal.aclose()
    with closing(sqlite3.connect(path)) as other:
        if version is None:
            other.execute("DELETE FROM smm_versions")
        other.execute("UPDATE smm_versions SET version = ?", (version,))
        other.commit()

    error = await open_fails(sqlite_url)

    assert f"schema version {version} is not supported; this release knows up to 1" in error.text


@pytest.mark.asyncio
async def test_other_tables_in_the_file_are_kept(path: Path, sqlite_url: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE orders (id INTEGER)")
        other.commit()
    journal = SQLJournal(sqlite_url).for_account("a")
    await journal.open()
    await journal.aclose()

    with closing(sqlite3.connect(path)) as other:
        names = {name for (name,) in other.execute("SELECT name FROM sqlite_master")}

    assert {"orders", "smm_orders"} <= names


@pytest.mark.asyncio
async def test_failing_record_statuses_writes_nothing(journal: SQLJournal) -> None:
    await accept(journal)
    [claim] = await claim_due(journal)
    engine = journal._database._engine
    assert engine is not None
    async with engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE smm_events RENAME TO gone")

    with pytest.raises(JournalError, match="no such table"):
        await journal.record_statuses([observe(claim)])

    assert await journal.find("a") == claim.entry
