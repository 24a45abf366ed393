"""Concurrent machines, processes and tasks, and the caller's own transactions."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import event as sql_event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from support.journals import (
    LEASE,
    START,
    Clock,
    Journals,
    accept,
    all_events,
    claim_due,
    new_entry,
    observe,
    outcome,
    prepare,
    reach,
    start,
)
from support.postgres import PostgresServer

from smmfanfast_async import (
    ErrorKind,
    InvalidSettingsError,
    JournalError,
    RefConflictError,
    SpendingLimitError,
)
from smmfanfast_async.journal import Entry, EntryState, Journal, JournalEvent
from smmfanfast_async.journal.sql import SQLJournal

S = EntryState
BUDGET = Decimal("12.50")


def split_results(results: Iterable[Any]) -> tuple[list[Any], list[BaseException]]:
    results = list(results)
    errors = [each for each in results if isinstance(each, BaseException)]
    return [each for each in results if not isinstance(each, BaseException)], errors


# --- concurrent calls ----------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_budget_holds_against_twenty_concurrent_creations(journals: Journals) -> None:
    machines = [await journals() for _ in range(3)]
    results = await asyncio.gather(
        *(
            machines[number % 3].create(new_entry(f"{number}"), budget=BUDGET)
            for number in range(20)
        ),
        return_exceptions=True,
    )

    created, refused = split_results(results)

    assert len(created) == 10
    assert [type(each) for each in refused] == [SpendingLimitError] * 10
    assert len([each async for each in machines[0].entries()]) == 10


@pytest.mark.asyncio
async def test_twenty_creations_of_one_ref_fit_a_budget_for_one(
    journals: Journals,
) -> None:
    machines = [await journals() for _ in range(4)]
    results = await asyncio.gather(
        *(machines[number % 4].create(new_entry(), budget=Decimal("1.25")) for number in range(20))
    )

    assert {each.ref for each in results} == {"a"}
    assert len([each async for each in machines[0].entries()]) == 1


@pytest.mark.asyncio
async def test_concurrent_forms_of_one_ref_create_one_entry(journals: Journals) -> None:
    local, remote = await journals(), await journals()
    results = await asyncio.gather(
        local.create(new_entry()), remote.create(new_entry(form={"service": "6"})),
        return_exceptions=True,
    )  # fmt: skip

    created, refused = split_results(results)

    assert len(created) == 1
    assert [type(each) for each in refused] == [RefConflictError]


@pytest.mark.asyncio
@pytest.mark.parametrize("slots", [1, 2])
async def test_concurrent_starts_use_exactly_the_available_slots(
    journals: Journals, slots: int
) -> None:
    machines = [await journals() for _ in range(4)]
    for number in range(8):
        await prepare(machines[0], f"{number}")

    started = await asyncio.gather(*(
        machines[number % 4].start_attempt(f"{number}", 0, lease=LEASE, max_in_flight=slots)
        for number in range(8)
    ))  # fmt: skip

    assert len([each for each in started if each is not None]) == slots


@pytest.mark.asyncio
async def test_concurrent_starts_of_one_order_succeed_once(journals: Journals) -> None:
    machines = [await journals() for _ in range(4)]
    await prepare(machines[0])

    started = await asyncio.gather(
        *(each.start_attempt("a", 0, lease=LEASE, max_in_flight=9) for each in machines)
    )

    assert len([each for each in started if each is not None]) == 1


@pytest.mark.asyncio
async def test_concurrent_orders_with_one_id_share_it_only_as_suspicion(
    journals: Journals,
) -> None:
    machines = [await journals() for _ in range(4)]
    for number in range(4):
        await start(machines[0], f"{number}")

    entries = await asyncio.gather(*(
        machine.record_outcome(f"{number}", 1, outcome(S.ACCEPTED, "32"))
        for number, machine in enumerate(machines)
    ))  # fmt: skip

    assert sorted(each.state for each in entries) == [S.ACCEPTED] + [S.UNKNOWN] * 3
    assert {each.order for each in entries} == {"32"}
    assert {each.kind for each in entries} == {None, ErrorKind.CONFLICT}


@pytest.mark.asyncio
async def test_of_two_concurrent_decisions_with_one_id_one_raises(journals: Journals) -> None:
    local, remote = await journals(), await journals()
    await reach(local, S.UNKNOWN, "a")
    await reach(local, S.UNKNOWN, "b")

    results = await asyncio.gather(
        local.apply_decision("a", {S.UNKNOWN}, outcome(S.ACCEPTED, "32")),
        remote.apply_decision("b", {S.UNKNOWN}, outcome(S.ACCEPTED, "32")),
        return_exceptions=True,
    )

    applied, refused = split_results(results)
    assert len(applied) == 1
    assert [type(each) for each in refused] == [RefConflictError]


@pytest.mark.asyncio
async def test_no_order_is_claimed_twice(journals: Journals) -> None:
    machines = [await journals() for _ in range(4)]
    for number in range(60):
        await accept(machines[0], f"{number}")

    claimed = await asyncio.gather(*(claim_due(each, 20) for each in machines * 2))

    refs = [claim.entry.ref for claims in claimed for claim in claims]
    assert len(refs) == len(set(refs))
    rest = [claim.entry.ref for claim in await claim_due(machines[0], 99)]
    assert sorted(refs + rest, key=int) == [f"{number}" for number in range(60)]


@pytest.mark.asyncio
async def test_concurrent_expiry_and_late_answer_end_in_the_answer(
    journals: Journals, clock: Clock
) -> None:
    local, remote = await journals(), await journals()
    for number in range(10):
        await start(local, f"{number}")
    clock.advance(LEASE.total_seconds())

    await asyncio.gather(remote.expire_leases(), *(
        local.record_outcome(f"{number}", 1, outcome(S.ACCEPTED, f"id-{number}"))
        for number in range(10)
    ))  # fmt: skip

    assert [each.state async for each in local.entries()] == [S.ACCEPTED] * 10


# --- events --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_reader_misses_no_event_of_concurrent_writers(journals: Journals) -> None:
    writers, reader = [await journals() for _ in range(4)], await journals()
    done = asyncio.Event()
    read: list[JournalEvent] = []

    async def write(number: int, journal: Journal) -> None:
        for each in range(12):
            await accept(journal, f"{number}-{each}")
        claims = await claim_due(journal, 6)
        await journal.record_statuses([observe(claim) for claim in claims])

    async def follow() -> None:
        while True:
            last = done.is_set()
            page = await reader.events(read[-1].position if read else 0, 5)
            read.extend(page)
            if last and not page:
                return

    following = asyncio.create_task(follow())
    await asyncio.gather(*(write(number, each) for number, each in enumerate(writers)))
    done.set()
    await following

    assert [event.position for event in read] == list(range(1, len(read) + 1))
    assert len(read) == 4 * 12 + 4 * 6
    assert read == await all_events(reader)


@pytest.mark.asyncio
async def test_rows_are_locked_in_the_same_order(journal: SQLJournal, clock: Clock) -> None:
    locked_tables: list[list[str]] = []
    engine = journal._database._engine
    assert engine is not None
    sql_event.listen(engine.sync_engine, "begin", lambda connection: locked_tables.append([]))

    def record(connection: Any, cursor: Any, sql: str, *rest: Any) -> None:
        table = next((each for each in sql.split() if each.startswith("smm_")), "")
        if sql.startswith("UPDATE") or "FOR UPDATE" in sql:
            locked_tables[-1].append(table)

    sql_event.listen(engine.sync_engine, "before_cursor_execute", record)
    shared: dict[str, Any] = {"link": "https://x.test/shared"}
    await reach(journal, S.HELD, "held", **shared)
    await reach(journal, S.FINISHED, "finished", **shared)
    await reach(journal, S.REFUSED, "refused", **shared)
    retry = outcome(S.PREPARED, due_at=START)
    await journal.apply_decision(
        "refused", {S.REFUSED}, retry, budget_day="2030-05-18", budget=BUDGET
    )
    await journal.due_to_send(9)

    ranks = {"smm_budgets": 0, "smm_orders": 1, "smm_accounts": 2}
    for tables in locked_tables:
        order = [ranks[each] for each in tables if each in ranks]
        assert order == sorted(order), tables


# --- the caller's own transaction ----------------------------------------------------------------


@pytest_asyncio.fixture
async def engine(journals: Journals) -> AsyncIterator[AsyncEngine]:
    created = create_async_engine(journals.url)
    yield created
    await created.dispose()


@pytest.mark.asyncio
async def test_entry_exists_once_the_callers_transaction_commits(
    journal: SQLJournal, engine: AsyncEngine
) -> None:
    async with engine.connect() as connection:
        entry = await journal.create(new_entry(), budget=BUDGET, connection=connection)
        assert entry.state is S.PREPARED
        assert await journal.find("a") is None
        await connection.commit()

    assert await journal.find("a") == entry


@pytest.mark.asyncio
@pytest.mark.parametrize("backend", ["postgresql"])
@pytest.mark.parametrize("budget", [None, Decimal("1.25")])
async def test_create_waits_for_a_transaction_with_the_same_ref(
    journal: SQLJournal, engine: AsyncEngine, postgres: PostgresServer, budget: Decimal | None
) -> None:
    observer = await postgres.connect()
    async with engine.connect() as connection:
        first = await journal.create(new_entry(), budget=budget, connection=connection)
        waiting = asyncio.create_task(journal.create(new_entry(), budget=budget))
        async with asyncio.timeout(120):
            while not await observer.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                assert not waiting.done()
        await connection.commit()
    await observer.close()

    assert await waiting == first


@pytest.mark.asyncio
async def test_entry_of_a_rolled_back_transaction_does_not_exist(
    journal: SQLJournal, engine: AsyncEngine
) -> None:
    async with AsyncSession(engine) as session:
        await journal.create(new_entry(), connection=session)
        await session.rollback()

    assert await journal.find("a") is None
    assert await journal.due_to_send(9) == []


@pytest.mark.asyncio
async def test_entry_exists_once_the_callers_session_commits(
    journal: SQLJournal, engine: AsyncEngine
) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await journal.create(new_entry(), connection=session)

    assert [each.ref for each in await journal.due_to_send(9)] == ["a"]


@pytest.mark.asyncio
async def test_refusal_leaves_the_callers_transaction_usable(
    journal: SQLJournal, engine: AsyncEngine
) -> None:
    await prepare(journal)
    async with engine.begin() as connection:
        with pytest.raises(RefConflictError):
            await journal.create(new_entry(form={}), connection=connection)
        with pytest.raises(SpendingLimitError):
            await journal.create(new_entry("b"), budget=Decimal(1), connection=connection)
        await journal.create(new_entry("c"), connection=connection)

    assert await journal.find("c") is not None


@pytest.mark.asyncio
async def test_create_accepts_only_connections_and_sessions_of_sqlalchemy(
    journal: SQLJournal,
) -> None:
    with pytest.raises(InvalidSettingsError, match="str is not an AsyncConnection"):
        await journal.create(new_entry(), connection="connection")


@pytest.mark.asyncio
@pytest.mark.parametrize("backend", ["sqlite"])
async def test_callers_database_without_the_tables_raises_journal_error(
    journal: SQLJournal,
) -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    try:
        async with engine.begin() as connection:
            with pytest.raises(JournalError, match="no such table"):
                await journal.create(new_entry(), connection=connection)
    finally:
        await engine.dispose()


@pytest.mark.asyncio
async def test_cancelled_call_leaves_the_journal_usable(journal: SQLJournal) -> None:
    for turns in range(12):
        task = asyncio.create_task(journal.create(new_entry(f"{turns}")))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    entries: list[Entry] = [each async for each in journal.entries()]

    assert (await prepare(journal, "after")).state is S.PREPARED
    assert len(entries) <= 12


# --- processes -----------------------------------------------------------------------------------

CHILD = """
import asyncio, sys
from datetime import UTC, datetime, timedelta
from smmfanfast_async.journal import EntryState, NewEntry, Outcome
from smmfanfast_async.journal.sql import SQLJournal

async def main(url, name):
    journal = SQLJournal(url).for_account("an-account")
    await journal.open()
    now = await journal.now()
    for number in range(10):
        for ref in (f"shared-{number}", f"{name}-{number}"):
            new = NewEntry(ref=ref, form={"ref": ref}, due_at=now, budget_day="2030-05-17")
            await journal.create(new)
            if await journal.start_attempt(ref, 0, lease=timedelta(minutes=4), max_in_flight=99):
                accepted = Outcome(
                    state=EntryState.ACCEPTED, order=ref, decided_by=name, due_at=now
                )
                await journal.record_outcome(ref, 1, accepted)
    await journal.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.asyncio
async def test_concurrent_processes_share_a_database(journals: Journals) -> None:
    command = [sys.executable, "-W", "error", "-c", CHILD, journals.url]
    children = [
        await asyncio.create_subprocess_exec(*command, name, stderr=subprocess.PIPE)
        for name in ("one", "two", "three")
    ]
    for child in children:
        _, stderr = await child.communicate()
        assert (child.returncode, stderr.decode()) == (0, "")

    journal = await journals()
    entries = [each async for each in journal.entries()]

    assert len(entries) == 40
    assert {(each.state, each.attempt) for each in entries} == {(S.ACCEPTED, 1)}
    assert [event.position for event in await all_events(journal)] == list(range(1, 41))
