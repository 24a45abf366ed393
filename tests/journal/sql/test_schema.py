"""Tables of older versions become those of this one, with every row, or stay as they were."""

import asyncio

import pytest
from support.journals import Journals, accepted, all_events, prepared

from smmfanfast_async import JournalError
from smmfanfast_async.journal.sql import SQLJournal, database

STEPS = {
    1: ["ALTER TABLE smm_orders ADD COLUMN note TEXT", "UPDATE smm_orders SET note = ref"],
    2: ["CREATE TABLE smm_notes (note TEXT)", "INSERT INTO smm_notes SELECT note FROM smm_orders"],
}


async def version_of(journal: SQLJournal) -> int:
    engine = journal._database._engine
    assert engine is not None
    async with engine.connect() as connection:
        found = await connection.exec_driver_sql("SELECT version FROM smm_versions")
        version: int = found.scalar_one()
        return version


@pytest.mark.asyncio
async def test_an_older_schema_is_brought_up_step_by_step_with_all_rows(
    journal: SQLJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [await accepted(journal, "a"), await prepared(journal, "b")]
    told = await all_events(journal)
    monkeypatch.setattr(database, "SCHEMA_VERSION", 3)
    monkeypatch.setattr(database, "MIGRATIONS", STEPS)

    await journal.open()

    assert await version_of(journal) == 3
    assert [each async for each in journal.entries()] == before
    assert await all_events(journal) == told
    engine = journal._database._engine
    assert engine is not None
    async with engine.connect() as connection:
        notes = (await connection.exec_driver_sql("SELECT note FROM smm_notes")).scalars()
        assert sorted(notes) == ["a", "b"]
    await journal.open()
    assert await version_of(journal) == 3


@pytest.mark.asyncio
async def test_a_migration_that_fails_leaves_everything_as_it_was(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = await journals()
    before = await prepared(journal)
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
async def test_machines_that_open_at_once_make_the_tables_once(journals: Journals) -> None:
    machines = await asyncio.gather(*(journals(f"{number}") for number in range(5)))

    assert {await version_of(each) for each in machines} == {1}
