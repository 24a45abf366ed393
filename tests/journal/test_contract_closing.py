"""Connections: shared by accounts, unharmed by cancelled callers, closed with the last user."""

import asyncio
import threading

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from support.journals import LEASE, Journals, prepare, start

from smmfanfast_async.errors import JournalError
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.journal.sql.address import Address, parse_address
from smmfanfast_async.journal.sql.database import Database, PoolShare


@pytest.mark.asyncio
async def test_failed_open_keeps_connections_of_other_users_open(url: str) -> None:
    address = parse_address(url)
    assert isinstance(address, Address)
    database = Database(address, None, 3)
    done: list[str] = []

    async def fail(_: AsyncConnection) -> None:
        database.add_user()  # another user opened it in the meantime
        raise JournalError("a refusal")

    async def work(_: AsyncConnection) -> None:
        done.append("work")

    with pytest.raises(JournalError, match="refusal"):
        await database.open(fail)

    await database.run(work)
    await database.aclose()
    await database._dispose()  # a second call does nothing
    assert done == ["work"]


@pytest.mark.asyncio
async def test_attempts_in_flight_are_counted_per_account(journals: Journals) -> None:
    mine, other = await journals(), await journals("other")
    assert await mine.count_in_flight() == 0

    await start(mine, "a")
    await start(mine, "b")
    await start(other, "a")

    assert await mine.count_in_flight() == 2
    assert await other.count_in_flight() == 1


@pytest.mark.asyncio
async def test_closing_one_account_keeps_connections_of_another_open(
    journals: Journals,
) -> None:
    mine = await journals("mine")
    other = mine.for_account("other")
    await other.open()

    await other.aclose()
    await other.aclose()

    assert (await prepare(mine)).ref == "a"
    await mine.aclose()
    with pytest.raises(JournalError, match="not open"):
        await mine.find("a")


@pytest.mark.asyncio
async def test_closing_an_unopened_journal_changes_nothing(journals: Journals) -> None:
    mine = await journals("mine")

    await mine.for_account("other").aclose()

    assert await mine.find("a") is None


@pytest.mark.asyncio
async def test_transaction_of_a_cancelled_caller_completes(journals: Journals) -> None:
    journal = await journals()
    await prepare(journal)
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

    # A thread may end a little later than the call that stops it.
    for _ in range(500):
        if threading.active_count() > threads:
            await asyncio.sleep(0.01)
    assert threading.active_count() <= threads


@pytest.mark.asyncio
async def test_transaction_after_the_last_user_has_closed_is_an_error(url: str) -> None:
    """As for one that got its turn while the journal was being closed."""
    address = parse_address(url)
    assert isinstance(address, Address)
    database = Database(address, None, 3)

    with pytest.raises(JournalError, match="not open"):
        async with database._transaction(PoolShare.WRITE):
            pass
