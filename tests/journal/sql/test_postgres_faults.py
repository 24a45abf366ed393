"""PostgreSQL that stops, restarts and disconnects during a commit; passwords that must not leak."""

import asyncio
import gc
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

import asyncpg
import attrs
import pytest
import pytest_asyncio
from support.cutting_proxy import CuttingProxy
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
from support.postgres import PASSWORD, PostgresServer

from smmfanfast_async import JournalError, Service, _clock
from smmfanfast_async.journal import (
    Claim,
    ConsumerClaim,
    EntryState,
    NewServiceEvent,
    ServiceEventKind,
    ServiceRound,
    WatchClaim,
    WatchedService,
)
from smmfanfast_async.journal.sql import SQLJournal, address, connecting, database

S = EntryState
CONSUMER = ConsumerClaim(consumer="mail", position=0, version=1)
WATCH = WatchClaim(panel="default", version=1, at=START)
T = TypeVar("T")
PATIENCE_S = 120.0
"""Seconds for what takes one or two on a quiet machine."""


@pytest.fixture
def has_tables() -> bool:
    return False


@pytest.fixture
def backend() -> str:
    return "postgresql"


@pytest.fixture
def running(postgres: PostgresServer) -> Any:
    """The server, restarted after the test."""
    yield postgres
    postgres.start()


@pytest.fixture
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "DEADLINE_S", 0.3)


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call until it succeeds: on a busy machine even a good server exceeds 0.3 s."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(JournalError):
                return await call()


# --- stopped and restarted -----------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_stopped_server_raises_within_the_deadline(
    journal: SQLJournal, running: PostgresServer, mode: Any, short_deadline: None
) -> None:
    entry = await prepare(journal)
    running.stop(mode)

    async with asyncio.timeout(PATIENCE_S):
        # On a busy machine the first try may have no time for a second one.
        with pytest.raises(JournalError, match=r"[Cc]onnect"):
            await journal.start_attempt("a", 0, lease=LEASE, max_in_flight=1)

    running.start()
    assert await journal.find("a") == entry


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_transactions_survive_a_restart(
    journals: Journals, running: PostgresServer, mode: Any
) -> None:
    machines = [await journals() for _ in range(2)]
    under_load = asyncio.Event()

    async def work(number: int, journal: SQLJournal) -> None:
        for each in range(15):
            await accept(journal, f"{number}-{each}")
            if each == 3:
                under_load.set()

    async def restart() -> None:
        await under_load.wait()
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
async def test_transaction_is_retried_after_a_driver_state_error(journal: SQLJournal) -> None:
    errors = [asyncpg.InternalClientError("cannot switch to state 15; another operation (2)")]

    async def work(connection: Any) -> str:
        if errors:
            raise errors.pop()
        return "done"

    assert await journal._database.run(work) == "done"


@pytest.mark.asyncio
async def test_hanging_server_raises_within_the_deadline(
    url: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, short_deadline: None
) -> None:
    monkeypatch.setattr(connecting, "STATEMENT_TIMEOUT_S", 0.3)
    monkeypatch.setattr(address, "CONNECT_TIMEOUT_S", 0.3)
    journal = SQLJournal(url, clock=Clock()).for_account("a")
    await patiently(journal.open)
    processes = await postgres.freeze()

    try:
        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(JournalError, match="Timeout"):
                await journal.find("a")
    finally:
        postgres.thaw(processes)
    assert await patiently(lambda: journal.find("a")) is None
    await journal.aclose()


# --- fail-over -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_connections_to_a_read_only_server_are_left(journal: SQLJournal) -> None:
    engine = journal._database._engine
    assert engine is not None
    async with AsyncExitStack() as stack:
        # As if the address had led to a replica when these were made.
        for _ in range(3):
            stale = await stack.enter_async_context(engine.connect())
            await stale.exec_driver_sql("SET SESSION default_transaction_read_only = on")
            await stale.commit()

    entry = await start(journal)

    assert (entry.state, entry.attempt) == (S.SENDING, 1)
    assert await journal.find("a") == entry


@pytest.mark.asyncio
async def test_server_that_stays_read_only_is_named_in_the_error(
    journal: SQLJournal, postgres: PostgresServer, short_deadline: None
) -> None:
    await prepare(journal)
    connection = await postgres.connect()
    await connection.execute("ALTER DATABASE orders SET default_transaction_read_only = on")
    await postgres_disconnect(journal)
    try:
        with pytest.raises(JournalError, match="read-only transaction"):
            await start(journal)
    finally:
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute("ALTER DATABASE orders RESET default_transaction_read_only")
        await connection.close()

    assert (await start(journal)).attempt == 1


async def postgres_disconnect(journal: SQLJournal) -> None:
    """Close the journal's pooled connections, so that it makes new ones."""
    engine = journal._database._engine
    assert engine is not None
    await engine.dispose()


# --- disconnected in a commit --------------------------------------------------------------------


@pytest_asyncio.fixture
async def proxy(postgres: PostgresServer, url: str) -> AsyncIterator[CuttingProxy]:
    async with CuttingProxy(postgres.port) as made:
        yield made


@pytest_asyncio.fixture
async def cut_journal(proxy: CuttingProxy, postgres: PostgresServer, clock: Clock) -> Any:
    address = postgres.url.replace(f":{postgres.port}/", f":{proxy.port}/")
    journal = SQLJournal(address, clock=clock).for_account("an-account")
    await journal.open()
    yield journal
    await journal.aclose()


Step = Callable[[SQLJournal, list[Claim]], Awaitable[object]]

STEPS: dict[str, Step] = {
    "create": lambda journal, _: journal.create(new_entry("new")),
    "start_attempt": lambda journal, _: journal.start_attempt(
        "prepared", 0, lease=LEASE, max_in_flight=9
    ),
    "accepted": lambda journal, _: journal.record_outcome("sending", 1, outcome(S.ACCEPTED, "32")),
    "refused": lambda journal, _: journal.record_outcome("sending", 1, outcome(S.REFUSED)),
    "unknown": lambda journal, _: journal.record_outcome("sending", 1, outcome(S.UNKNOWN, "33")),
    "conflict": lambda journal, _: journal.record_outcome(
        "sending", 1, outcome(S.ACCEPTED, "id-accepted")
    ),
    "late": lambda journal, _: journal.record_outcome("unknown", 1, outcome(S.ACCEPTED, "late")),
    "expire_leases": lambda journal, _: journal.expire_leases(),
    "apply_decision": lambda journal, _: journal.apply_decision(
        "unknown", {S.UNKNOWN}, outcome(S.WITHDRAWN)
    ),
    "claim_consumer": lambda journal, _: journal.claim_consumer("mail", "me", lease=LEASE),
    "acknowledge": lambda journal, _: journal.acknowledge(CONSUMER, 1, lease=LEASE),
    "release_consumer": lambda journal, _: journal.release_consumer(CONSUMER),
    "record_services": lambda journal, _: journal.record_services(WATCH, 3, tell_once),
    "record_watch_failure": lambda journal, _: journal.record_watch_failure(WATCH, "empty"),
    "record_statuses": lambda journal, claims: journal.record_statuses(
        [observe(each) for each in claims]
    ),
    "release": lambda journal, claims: journal.release([(each, START) for each in claims]),
}


async def contents_of(journal: SQLJournal) -> object:
    entries = [each async for each in journal.entries()]
    due = await journal.next_due()
    told = await journal.service_events(0, 99), (await journal.health()).panels
    return entries, due, await all_events(journal), await journal.position("mail"), told


def tell_once(before: Mapping[str, WatchedService], now: datetime) -> ServiceRound:
    """Compare with a service that is new to the journal: restored by the first look at it."""
    row = WatchedService(service="5", row=Service(service="5"), checked_at=now)
    event = NewServiceEvent(
        service="5", kind=ServiceEventKind.RESTORED, before=None, after=Service(service="5")
    )
    return ServiceRound(rows=[row], events=[] if before else [event])


@pytest.mark.asyncio
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", sorted(STEPS))
async def test_transaction_whose_commit_is_cut_applies_once(
    cut_journal: SQLJournal,
    proxy: CuttingProxy,
    postgres: PostgresServer,
    clock: Clock,
    step: str,
    when: Literal["before", "after"],
) -> None:
    async def arrange() -> list[Claim]:
        await prepare(cut_journal, "prepared")
        await accept(cut_journal, "accepted")
        await reach(cut_journal, S.UNKNOWN, "unknown")
        await start(cut_journal, "sending")
        claims = await claim_due(cut_journal)
        if step in ("acknowledge", "release_consumer"):
            await cut_journal.claim_consumer("mail", "me", lease=LEASE)
        if step.startswith("record_") and step != "record_statuses":
            await cut_journal.claim_watch("default", ["5"], interval=LEASE, lease=LEASE)
        if step == "expire_leases":
            clock.advance(999)
        return claims

    expected_result = await STEPS[step](cut_journal, await arrange())
    expected = await contents_of(cut_journal)
    await postgres.fresh()
    clock.advance(-999 if step == "expire_leases" else 0)
    await cut_journal.aclose()
    await cut_journal.open()
    claims = await arrange()

    proxy.cuts = [when] * 2
    result = await STEPS[step](cut_journal, claims)

    assert proxy.cuts == []
    assert await contents_of(cut_journal) == expected
    assert result == expected_result


@pytest.mark.asyncio
async def test_attempt_that_expired_before_its_commit_answer_is_not_started(
    journal: SQLJournal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "one-owner")
    await prepare(journal)
    assert await journal.start_attempt("a", 0, lease=LEASE, max_in_flight=9) is not None
    assert await journal.start_attempt("a", 0, lease=LEASE, max_in_flight=9) is not None
    clock.advance(LEASE.total_seconds())
    await journal.expire_leases()

    assert await journal.start_attempt("a", 0, lease=LEASE, max_in_flight=9) is None


# --- failing connections -------------------------------------------------------------------------


async def fails_to_open(url: str) -> JournalError:
    journal = SQLJournal(url).for_account("a")
    with pytest.raises(JournalError) as caught:
        await journal.open()
    assert PASSWORD not in repr(journal) + str(caught.value)
    await journal.aclose()
    return caught.value


def all_causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and each not in causes:
        causes.append(each)
        each = each.__cause__ or each.__context__
    return causes


@pytest.mark.asyncio
@pytest.mark.parametrize(("changed", "to", "message"), [
    (f":{PASSWORD}@", f":{PASSWORD}-wrong@", "password authentication failed"),
    ("/orders", "/nothing", 'database "nothing" does not exist'),
    ("@127.0.0.1", "@127.0.0.2", "Connect"),
])  # fmt: skip
async def test_failing_connection_shows_no_password(
    postgres: PostgresServer, short_deadline: None, changed: str, to: str, message: str
) -> None:
    error = await fails_to_open(postgres.url.replace(changed, to))

    assert message in str(error)
    for cause in all_causes(error):
        assert PASSWORD not in "".join(traceback.format_exception(cause))
        for frame, _ in traceback.walk_tb(cause.__traceback__):
            if "smmfanfast_async" in frame.f_code.co_filename or "site-packages" in (
                frame.f_code.co_filename
            ):
                assert PASSWORD not in repr(frame.f_locals), frame.f_code
    gc.collect()


@pytest.mark.asyncio
async def test_newer_schema_version_is_refused(url: str, postgres: PostgresServer) -> None:
    journal = SQLJournal(url).for_account("a")
    await journal.open()
    await journal.aclose()
    other = await postgres.connect()
    await other.execute("UPDATE smm_versions SET version = 99")
    await other.close()

    error = await fails_to_open(url)

    assert "schema version 99" in error.text


@pytest.mark.asyncio
async def test_read_only_database_is_refused(
    url: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It might be a replica that is about to become the server: it is tried until the deadline.
    monkeypatch.setattr(database, "DEADLINE_S", 2.0)
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
async def test_postgres_uses_the_servers_time_by_default(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = SQLJournal(url).for_account("a")
    await journal.open()
    reads = 0
    read = database._read_server_time

    async def ahead(connection: Any) -> database.ServerTime:
        nonlocal reads
        reads += 1
        server_time = await read(connection)
        return attrs.evolve(server_time, time=server_time.time + timedelta(hours=1))

    monkeypatch.setattr(database, "_read_server_time", ahead)
    journal._database._server_time = None

    times = [await journal.now() for _ in range(3)]

    assert reads == 1
    assert times == sorted(times)
    assert timedelta(minutes=59) < times[0] - datetime.now(UTC) < timedelta(minutes=61)
    elapsed = _clock.elapsed_s()
    monkeypatch.setattr(database, "elapsed_s", lambda: elapsed + database.CLOCK_REFRESH_S + 1)
    await journal.now()
    assert reads == 2
    await journal.aclose()


@pytest.mark.parametrize("wall_ahead_s", [-3600, 3600])
@pytest.mark.asyncio
async def test_server_time_is_read_again_when_this_machines_clocks_diverge(
    url: str, monkeypatch: pytest.MonkeyPatch, wall_ahead_s: int
) -> None:
    journal = SQLJournal(url).for_account("a")
    await journal.open()
    await journal.now()
    before = journal._database._server_time

    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + wall_ahead_s)
    now = await journal.now()

    assert journal._database._server_time is not before
    assert abs(now.timestamp() - wall()) < 60
    await journal.aclose()


@pytest.mark.asyncio
async def test_machine_whose_clocks_stood_still_expires_no_live_attempt(url: str) -> None:
    """A paused virtual machine does not notice until its wall clock is set right."""
    stale, awake = (SQLJournal(url).for_account("a") for _ in range(2))
    await stale.open()
    await awake.open()
    await stale.now()
    server_time = stale._database._server_time
    assert server_time is not None
    stale._database._server_time = attrs.evolve(
        server_time, time=server_time.time - timedelta(hours=1)
    )
    await start(awake)

    expired = await stale.expire_leases()
    await prepare(stale, "b")
    mine = await stale.start_attempt("b", 0, lease=LEASE, max_in_flight=9)

    assert expired == []
    assert mine is not None
    assert await awake.expire_leases() == []
    assert await awake.count_in_flight() == 2
    await stale.aclose()
    await awake.aclose()
