"""Tables of older versions are migrated with every row, or stay as they were."""

import asyncio

import pytest
from support.journals import Journals, accept, all_events, prepare

from smmfanfast_async import JournalError
from smmfanfast_async.journal.sql import SQLJournal, database

STEPS = {
    1: ["ALTER TABLE smm_orders ADD COLUMN note TEXT", "UPDATE smm_orders SET note = ref"],
    2: ["CREATE TABLE smm_notes (note TEXT)", "INSERT INTO smm_notes SELECT note FROM smm_orders"],
}


@pytest.fixture
def has_tables() -> bool:
    return False


async def version_of(journal: SQLJournal) -> int:
    engine = journal._database._engine
    assert engine is not None
    async with engine.connect() as connection:
        row = await connection.exec_driver_sql("SELECT version FROM smm_versions")
        version: int = row.scalar_one()
        return version


@pytest.mark.asyncio
async def test_older_schema_is_migrated_step_by_step_with_all_rows(
    journal: SQLJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [await accept(journal, "a"), await prepare(journal, "b")]
    events = await all_events(journal)
    monkeypatch.setattr(database, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(database, "MIGRATIONS", STEPS)

    await journal.open()

    assert await version_of(journal) == 3
    assert [each async for each in journal.entries()] == before
    assert await all_events(journal) == events
    engine = journal._database._engine
    assert engine is not None
    async with engine.connect() as connection:
        notes = (await connection.exec_driver_sql("SELECT note FROM smm_notes")).scalars()
        assert sorted(notes) == ["a", "b"]
    await journal.open()
    assert await version_of(journal) == 3


@pytest.mark.asyncio
async def test_failed_migration_changes_nothing(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await journals()
    before = await prepare(journal)
    await journal.aclose()
    with monkeypatch.context() as patched:
        patched.setattr(database, "SCHEMA_VERSION", 3)
        patched.setattr(database, "MIGRATIONS", STEPS | {2: ["UPDATE nowhere SET note = 1"]})
        with pytest.raises(JournalError, match="nowhere"):
            await journal.open()

    await journal.open()

    assert await version_of(journal) == 1
    assert await journal.find("a") == before


@pytest.mark.asyncio
async def test_concurrent_opens_create_the_tables_once(journals: Journals) -> None:
    machines = await asyncio.gather(*(journals(f"{number}") for number in range(5)))

    assert {await version_of(each) for each in machines} == {1}
