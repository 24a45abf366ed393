"""PostgreSQL that stops, restarts and breaks off in a commit; passwords that must not be seen."""

import asyncio
import gc
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import asyncpg
import pytest
import pytest_asyncio
from support.cutting_proxy import CuttingProxy
from support.journals import (
    LEASE,
    START,
    Clock,
    Journals,
    accepted,
    all_events,
    begun,
    claimed,
    in_state,
    look,
    new,
    outcome,
    prepared,
)
from support.postgres import PASSWORD, PostgresServer

from smmfanfast_async import JournalError
from smmfanfast_async.journal import Claim, EntryState
from smmfanfast_async.journal.sql import SQLJournal, database

S = EntryState


@pytest.fixture
def backend() -> str:
    return "postgresql"


@pytest.fixture
def running(postgres: PostgresServer) -> Any:
    """The server, which is running again after the test."""
    yield postgres
    postgres.start()


@pytest.fixture
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "DEADLINE_S", 0.3)


# --- stopped and restarted -----------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_is_stopped_is_an_error_within_the_deadline(
    journal: SQLJournal, running: PostgresServer, mode: Any, short_deadline: None
) -> None:
    entry = await prepared(journal)
    running.stop(mode)

    async with asyncio.timeout(5):
        with pytest.raises(JournalError, match="Connect"):
            await journal.start_attempt("a", 0, lease=LEASE, max_in_flight=1)

    running.start()
    assert await journal.find("a") == entry


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_work_goes_through_a_restart(
    journals: Journals, running: PostgresServer, mode: Any
) -> None:
    machines = [await journals() for _ in range(2)]
    begin_of_the_end = asyncio.Event()

    async def work(number: int, journal: SQLJournal) -> None:
        for each in range(15):
            await accepted(journal, f"{number}-{each}")
            if each == 3:
                begin_of_the_end.set()

    async def restart() -> None:
        await begin_of_the_end.wait()
        for _ in range(2):
            await asyncio.to_thread(running.restart, mode)
            await asyncio.sleep(0.1)

    await asyncio.gather(restart(), *(work(*each) for each in enumerate(machines)))

    entries = [each async for each in machines[0].entries()]
    assert {(each.state, each.attempt) for each in entries} == {(S.ACCEPTED, 1)}
    assert len(entries) == 30
    positions = [event.position for event in await all_events(machines[0])]
    assert positions == list(range(1, 31))


@pytest.mark.asyncio
async def test_work_is_done_again_where_the_driver_lost_its_step(journal: SQLJournal) -> None:
    errors = [asyncpg.InternalClientError("cannot switch to state 15; another operation (2)")]

    async def work(connection: Any) -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert await journal._database.run(work) == "done"


@pytest.mark.asyncio
async def test_a_server_that_hangs_is_an_error_within_the_deadline(
    url: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, short_deadline: None
) -> None:
    monkeypatch.setattr(database, "STATEMENT_TIMEOUT_S", 0.3)
    monkeypatch.setattr(database, "CONNECT_TIMEOUT_S", 0.3)
    journal = SQLJournal(url, clock=Clock()).for_account("a")
    await journal.open()
    processes = await postgres.stopped_still()

    try:
        async with asyncio.timeout(5):
            with pytest.raises(JournalError, match="Timeout"):
                await journal.find("a")
    finally:
        postgres.move_again(processes)
    assert await journal.find("a") is None
    await journal.aclose()


# --- broken off in a commit ----------------------------------------------------------------------


@pytest_asyncio.fixture
async def proxy(postgres: PostgresServer, url: str) -> AsyncIterator[CuttingProxy]:
    async with CuttingProxy(postgres.port) as made:
        yield made


@pytest_asyncio.fixture
async def cut_off(proxy: CuttingProxy, postgres: PostgresServer, clock: Clock) -> Any:
    address = postgres.url.replace(f":{postgres.port}/", f":{proxy.port}/")
    journal = SQLJournal(address, clock=clock).for_account("an-account")
    await journal.open()
    yield journal
    await journal.aclose()


Step = Callable[[SQLJournal, list[Claim]], Awaitable[object]]

STEPS: dict[str, Step] = {
    "create": lambda journal, _: journal.create(new("new")),
    "begin": lambda journal, _: journal.start_attempt("prepared", 0, lease=LEASE, max_in_flight=9),
    "accepted": lambda journal, _: journal.record_outcome("sending", 1, outcome(S.ACCEPTED, "32")),
    "refused": lambda journal, _: journal.record_outcome("sending", 1, outcome(S.REFUSED)),
    "unknown": lambda journal, _: journal.record_outcome("sending", 1, outcome(S.UNKNOWN, "33")),
    "conflict": lambda journal, _: journal.record_outcome(
        "sending", 1, outcome(S.ACCEPTED, "id-accepted")
    ),
    "late": lambda journal, _: journal.record_outcome("unknown", 1, outcome(S.ACCEPTED, "late")),
    "lapse": lambda journal, _: journal.expire_leases(),
    "decide": lambda journal, _: journal.apply_decision(
        "unknown", {S.UNKNOWN}, outcome(S.WITHDRAWN)
    ),
    "acknowledge": lambda journal, _: journal.acknowledge("mail", 1),
    "observe": lambda journal, claims: journal.record_statuses([look(each) for each in claims]),
    "give_back": lambda journal, claims: journal.release([(each, START) for each in claims]),
}


async def ledger(journal: SQLJournal) -> object:
    entries = [each async for each in journal.entries()]
    due = await journal.next_due()
    return entries, due, await all_events(journal), await journal.position("mail")


@pytest.mark.asyncio
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", sorted(STEPS))
async def test_work_whose_commit_is_cut_is_done_once(
    cut_off: SQLJournal,
    proxy: CuttingProxy,
    postgres: PostgresServer,
    clock: Clock,
    step: str,
    when: Literal["before", "after"],
) -> None:
    async def arranged() -> list[Claim]:
        await prepared(cut_off, "prepared")
        await accepted(cut_off, "accepted")
        await in_state(cut_off, S.UNKNOWN, "unknown")
        await begun(cut_off, "sending")
        claims = await claimed(cut_off)
        if step == "lapse":
            clock.go(999)
        return claims

    given = await STEPS[step](cut_off, await arranged())
    expected = await ledger(cut_off)
    await postgres.fresh()
    clock.go(-999 if step == "lapse" else 0)
    await cut_off.aclose()
    await cut_off.open()
    claims = await arranged()

    proxy.cuts = [when] * 2
    again = await STEPS[step](cut_off, claims)

    assert proxy.cuts == []
    assert await ledger(cut_off) == expected
    assert again == given


@pytest.mark.asyncio
async def test_what_began_and_lapsed_before_its_commit_was_answered_did_not_begin(
    journal: SQLJournal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "one-owner")
    await prepared(journal)
    assert await journal.start_attempt("a", 0, lease=LEASE, max_in_flight=9) is not None
    assert await journal.start_attempt("a", 0, lease=LEASE, max_in_flight=9) is not None
    clock.go(LEASE.total_seconds())
    await journal.expire_leases()

    assert await journal.start_attempt("a", 0, lease=LEASE, max_in_flight=9) is None


# --- what can't be connected to ------------------------------------------------------------------


async def fails_to_open(url: str) -> JournalError:
    journal = SQLJournal(url).for_account("a")
    with pytest.raises(JournalError) as caught:
        await journal.open()
    assert PASSWORD not in repr(journal) + str(caught.value)
    await journal.aclose()
    return caught.value


def all_causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in found:
        found.append(each)
        each = each.__cause__ or each.__context__
    return found


@pytest.mark.asyncio
@pytest.mark.parametrize(("changed", "to", "word"), [
    (f":{PASSWORD}@", f":{PASSWORD}-wrong@", "password authentication failed"),
    ("/orders", "/nothing", 'database "nothing" does not exist'),
    ("@127.0.0.1", "@127.0.0.2", "Connect"),
])  # fmt: skip
async def test_a_failing_connection_shows_no_password(
    postgres: PostgresServer, short_deadline: None, changed: str, to: str, word: str
) -> None:
    error = await fails_to_open(postgres.url.replace(changed, to))

    assert word in str(error)
    for cause in all_causes(error):
        assert PASSWORD not in "".join(traceback.format_exception(cause))
        for frame, _ in traceback.walk_tb(cause.__traceback__):
            if "smmfanfast_async" in frame.f_code.co_filename or "site-packages" in (
                frame.f_code.co_filename
            ):
                assert PASSWORD not in repr(frame.f_locals), frame.f_code
    gc.collect()


@pytest.mark.asyncio
async def test_a_schema_of_later_times_is_refused(url: str, postgres: PostgresServer) -> None:
    journal = SQLJournal(url).for_account("a")
    await journal.open()
    await journal.aclose()
    other = await postgres.connect()
    await other.execute("UPDATE smm_versions SET version = 99")
    await other.close()

    error = await fails_to_open(url)

    assert "schema version 99" in error.text


@pytest.mark.asyncio
async def test_a_database_that_can_only_be_read_is_refused(
    url: str, postgres: PostgresServer
) -> None:
    journal = SQLJournal(url).for_account("a")
    await journal.open()
    await journal.aclose()
    other = await postgres.connect()
    await other.execute("ALTER DATABASE orders SET default_transaction_read_only = on")
    try:
        error = await fails_to_open(url)
    finally:
        await other.execute("SET default_transaction_read_only = off")
        await other.execute("ALTER DATABASE orders RESET default_transaction_read_only")
        await other.close()

    assert "read-only transaction" in error.text


# --- the server's clock --------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_without_a_clock_the_time_is_the_servers(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = SQLJournal(url).for_account("a")
    await journal.open()
    asked = 0
    there = database._database_time

    async def ahead(connection: Any) -> datetime:
        nonlocal asked
        asked += 1
        return await there(connection) + timedelta(hours=1)

    monkeypatch.setattr(database, "_database_time", ahead)
    journal._database._offset_s = None

    times = [await journal.now() for _ in range(3)]

    assert asked == 1
    assert times == sorted(times)
    assert timedelta(minutes=59) < times[0] - datetime.now(UTC) < timedelta(minutes=61)
    journal._database._asked_at_s -= database.CLOCK_FOR_S + 1
    await journal.now()
    assert asked == 2
    await journal.aclose()
