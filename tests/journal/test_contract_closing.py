"""Connections: shared by accounts, spared by cancelled callers, closed with the last user."""

import asyncio
import threading

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from support.journals import LEASE, Journals, begun, prepared

from smmfanfast_async.errors import JournalError
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.journal.sql.database import Database, parsed


@pytest.mark.asyncio
async def test_one_who_fails_to_open_leaves_the_others_connections_open(url: str) -> None:
    database = Database(parsed(url), None)
    done: list[str] = []

    async def note(_: AsyncConnection) -> None:
        database.join()  # somebody else, who could open it meanwhile
        raise JournalError("a refusal")

    async def work(_: AsyncConnection) -> None:
        done.append("work")

    with pytest.raises(JournalError, match="refusal"):
        await database.open(note)

    await database.run(work)
    await database.aclose()
    await database._dispose()  # a second end does nothing
    assert done == ["work"]


@pytest.mark.asyncio
async def test_attempts_on_their_way_are_counted_by_account(journals: Journals) -> None:
    mine, other = await journals(), await journals("other")
    assert await mine.count_in_flight() == 0

    await begun(mine, "a")
    await begun(mine, "b")
    await begun(other, "a")

    assert await mine.count_in_flight() == 2
    assert await other.count_in_flight() == 1


@pytest.mark.asyncio
async def test_a_twin_that_is_closed_leaves_the_others_connections_open(
    journals: Journals,
) -> None:
    mine = await journals("mine")
    twin = mine.for_account("twin")
    await twin.open()

    await twin.aclose()
    await twin.aclose()

    assert (await prepared(mine)).ref == "a"
    await mine.aclose()
    with pytest.raises(JournalError, match="is not open"):
        await mine.find("a")


@pytest.mark.asyncio
async def test_a_journal_that_was_not_opened_is_closed_without_harm(journals: Journals) -> None:
    mine = await journals("mine")

    await mine.for_account("twin").aclose()

    assert await mine.find("a") is None


@pytest.mark.asyncio
async def test_a_cancelled_caller_leaves_the_transaction_to_its_end(journals: Journals) -> None:
    journal = await journals()
    await prepared(journal)
    task = asyncio.create_task(journal.start_attempt("a", 0, lease=LEASE, max_in_flight=1))
    for _ in range(3):
        await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await journal.aclose()
    await journal.open()

    assert await journal.count_in_flight() == 1


@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.asyncio
async def test_closing_after_a_cancelled_caller_leaves_no_thread(url: str) -> None:
    threads = threading.active_count()
    for turns in range(12):
        journal = SQLJournal(url).for_account("an-account")
        await journal.open()
        tasks = [asyncio.create_task(journal.expire_leases()) for _ in range(3)]
        for _ in range(turns):
            await asyncio.sleep(0)

        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await journal.aclose()

    # A thread's last step comes after the one that is waited for.
    for _ in range(500):
        if threading.active_count() > threads:
            await asyncio.sleep(0.01)
    assert threading.active_count() <= threads
