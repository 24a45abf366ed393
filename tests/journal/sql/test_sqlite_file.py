"""The file of a SQLite journal: its mode, its settings, and what may be wrong with it."""

import asyncio
import os
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.journals import accepted, begun, claimed, look, new, outcome, prepared

from smmfanfast_async import InvalidSettingsError, JournalError
from smmfanfast_async.journal import EntryState
from smmfanfast_async.journal.sql import SQLJournal, database

S = EntryState
NOBODY = 65534


@pytest.fixture
def backend() -> str:
    return "sqlite"


@pytest.fixture
def path(sqlite_url: str) -> Path:
    return Path(sqlite_url.partition(":///")[2])


async def refused(url: str) -> JournalError:
    """Open a journal that can't be, see that nothing is left of it, and give the error."""
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
def as_nobody() -> Iterator[None]:
    """Be somebody whom the modes of files bind, where root runs the tests."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that others than root may go into, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory() as made:
        found = Path(made)
        found.chmod(0o755)
        yield found
        found.chmod(0o755)


def make_writable_in_a_read_only_folder(path: Path) -> None:
    path.touch()
    path.chmod(0o666)
    path.parent.chmod(0o555)


def damaged(path: Path, at: int) -> bytes:
    whole = bytearray(path.read_bytes())
    whole[at : at + 4096] = b"\xa5" * 4096
    path.write_bytes(whole)
    return bytes(whole)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


# --- the address ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("address", "why"), [
    ("orders.db", "not the address"),
    ("sqlite+aiosqlite://", "needs a file"),
    ("sqlite+aiosqlite:///:memory:", "needs a file"),
    ("sqlite+aiosqlite:///file::memory:?uri=true", "file: address"),
    ("sqlite:///orders.db", "is on 'sqlite'"),
    ("mysql+aiomysql://me:hidden@host/orders", "is on 'mysql"),
    ("postgresql://me:hidden@host/orders", "is on 'postgresql'"),
    ("postgresql+asyncpg://me:hidden@host:port/orders", "not the address"),
    (None, "not the address"),
])  # fmt: skip
def test_an_address_that_no_journal_can_be_at_is_refused_without_its_password(
    address: Any, why: str
) -> None:
    with pytest.raises(InvalidSettingsError, match=why) as caught:
        SQLJournal(address)

    trace = caught.value.__traceback__
    assert trace is not None
    trace = trace.tb_next  # the test's own frame knows the address
    while trace is not None:
        assert "hidden" not in repr(trace.tb_frame.f_locals)
        trace = trace.tb_next
    assert "hidden" not in repr(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


# --- how it is kept ------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_the_file_is_its_owners_alone_and_its_side_files_too(
    journal: SQLJournal, path: Path
) -> None:
    await prepared(journal)

    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}

    assert modes == dict.fromkeys(("orders.db", "orders.db-wal", "orders.db-shm"), 0o600)


@pytest.mark.asyncio
async def test_what_is_written_is_on_the_disk_when_it_returns(journal: SQLJournal) -> None:
    engine = journal._database._engine
    assert engine is not None
    async with engine.connect() as connection:
        said = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert said == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000,
    }  # fmt: skip


@pytest.mark.asyncio
async def test_a_journal_is_there_after_it_was_closed(journal: SQLJournal, sqlite_url: str) -> None:
    entry = await accepted(journal)
    await journal.aclose()

    await journal.open()

    assert await journal.find("a") == entry


@pytest.mark.asyncio
async def test_without_a_clock_the_time_is_the_machines(sqlite_url: str) -> None:
    now = await SQLJournal(sqlite_url).now()

    assert now.tzinfo is not None
    assert repr(SQLJournal(sqlite_url)).startswith("<SQLJournal <Database sqlite")


# --- what may be wrong with it -------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = await refused(f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'orders.db'}")

    assert "nowhere/orders.db' can't be written: No such file" in error.text


@pytest.mark.asyncio
async def test_a_file_that_is_read_only_is_refused(folder: Path) -> None:
    path = folder / "orders.db"
    url = f"sqlite+aiosqlite:///{path}"
    journal = SQLJournal(url).for_account("a")
    await journal.open()
    await journal.aclose()
    path.chmod(0o444)

    with as_nobody():
        error = await refused(url)

    assert "can't be written: Permission denied" in error.text


@pytest.mark.asyncio
async def test_a_folder_that_is_read_only_is_refused(folder: Path) -> None:
    path = folder / "orders.db"
    make_writable_in_a_read_only_folder(path)

    with as_nobody():
        error = await refused(f"sqlite+aiosqlite:///{path}")

    assert "unable to open database file" in error.text or "readonly" in error.text


@pytest.mark.asyncio
@pytest.mark.parametrize("at", [0, 4096])
async def test_a_damaged_file_is_refused_and_left_as_it_is(
    journal: SQLJournal, path: Path, sqlite_url: str, at: int
) -> None:
    for number in range(20):
        await prepared(journal, f"{number}")
    await journal.aclose()
    whole = damaged(path, at)

    error = await refused(sqlite_url)

    assert "not a database" in error.text or "damaged" in error.text or "malformed" in error.text
    assert content_of(path) == whole


@pytest.mark.asyncio
async def test_a_large_file_is_opened_without_a_look_at_all_of_it(
    journal: SQLJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CHECKED_BYTES", 4096)

    await journal.open()

    assert (await prepared(journal)).state is S.PREPARED


@pytest.mark.asyncio
async def test_a_full_disk_loses_nothing_that_was_written(journal: SQLJournal) -> None:
    await begun(journal, "sent")
    engine = journal._database._engine
    assert engine is not None

    async def pages(most: int) -> None:
        async with engine.connect() as connection:
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")

    await pages(1)
    written: list[str] = []

    async def fill() -> None:
        for number in range(200):
            await journal.create(new(f"{number}", form={"comments": "x" * 2000}))
            written.append(f"{number}")

    with pytest.raises(JournalError, match="full"):
        await fill()
    assert [each.ref async for each in journal.entries()] == ["sent", *written]

    await pages(100_000)
    entry = await journal.record_outcome("sent", 1, outcome(S.ACCEPTED, "32"))
    assert (entry.state, entry.order) == (S.ACCEPTED, "32")


@pytest.mark.asyncio
async def test_a_file_that_another_process_writes_is_waited_for(
    journal: SQLJournal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = journal._database._engine
    assert engine is not None
    async with engine.connect() as connection:
        await connection.exec_driver_sql("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.create_task(journal.create(new()))
        await asyncio.sleep(0.05)
        assert not writing.done()
        assert await journal_find(path, "a") is None
        other.execute("COMMIT")

        assert (await writing).ref == "a"
        monkeypatch.setattr(database, "DEADLINE_S", 0.05)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            await journal.create(new("b"))


async def journal_find(path: Path, ref: str) -> object:
    with closing(sqlite3.connect(path)) as reader:
        row: object = reader.execute("SELECT ref FROM smm_orders WHERE ref = ?", (ref,)).fetchone()
        return row


# --- versions of the schema ----------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("version", [2, 99, None])
async def test_a_schema_that_is_not_known_is_refused(
    journal: SQLJournal, path: Path, sqlite_url: str, version: int | None
) -> None:
    await journal.aclose()
    with closing(sqlite3.connect(path)) as other:
        if version is None:
            other.execute("DELETE FROM smm_versions")
        other.execute("UPDATE smm_versions SET version = ?", (version,))
        other.commit()

    error = await refused(sqlite_url)

    assert f"schema version {version}, and this release knows up to 1" in error.text


@pytest.mark.asyncio
async def test_tables_of_others_in_the_file_are_left_alone(path: Path, sqlite_url: str) -> None:
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
async def test_a_look_that_fails_the_database_writes_no_part_of_it(journal: SQLJournal) -> None:
    await accepted(journal)
    [claim] = await claimed(journal)
    engine = journal._database._engine
    assert engine is not None
    async with engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE smm_events RENAME TO gone")

    with pytest.raises(JournalError, match="no such table"):
        await journal.record_statuses([look(claim)])

    assert await journal.find("a") == claim.entry
