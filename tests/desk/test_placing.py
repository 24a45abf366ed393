"""Placing by ref: once, for any number of callers and calls, cancelled or not."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import Any

import attrs
import pytest

from smmfanfast_async import RetryPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.errors import (
    ClosedError,
    ErrorKind,
    InsufficientFundsError,
    InvalidOrderError,
    JournalError,
    NotSentError,
    OutcomeUnknownError,
    RefConflictError,
    RefusedError,
)
from smmfanfast_async.journal import Entry
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.profile import SMMFANFAST, Refusal
from smmfanfast_async.sandbox import Fault, SandboxService

from .world import (
    WAIT_S,
    S,
    ShiftedClock,
    SteppedClock,
    World,
    eventually,
    hold_answers,
    in_state,
    order,
    read_events,
    timed_desk,
)

ENOUGH_S = 3.0
"""A `wait_s` in which a busy machine too reads and writes the journal."""

LIMITING = attrs.evolve(
    SMMFANFAST,
    refusals=(*SMMFANFAST.refusals, Refusal("Too many requests", ErrorKind.RATE_LIMIT)),
)
"""A panel that is known to reject requests above its rate limit before creating an order."""

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])


@pytest.mark.asyncio
async def test_same_ref_and_content_are_one_order(world: World) -> None:
    desk = await world.desk()

    first = await desk.place(order(), ref="a")
    second = await desk.place(order(), ref="a")

    assert first == second
    assert first.state is S.ACCEPTED
    assert first.order_id() in world.panel.orders
    assert first.price == 1
    assert len(world.panel.orders) == 1


@BOTH
@pytest.mark.asyncio
async def test_hundred_concurrent_callers_place_one_order(world: World) -> None:
    desks = [await world.desk() for _ in range(2)]

    entries = await asyncio.gather(*(desks[n % 2].place(order(), ref="a") for n in range(100)))

    assert {each.order_id() for each in entries} == set(world.panel.orders)
    assert len(world.panel.orders) == 1


@BOTH
@pytest.mark.asyncio
async def test_each_ref_on_two_desks_is_one_order(world: World) -> None:
    desks = [await world.desk() for _ in range(2)]

    entries = await asyncio.gather(
        *(desk.place(order(n), ref=f"r{n}") for n in range(15) for desk in desks)
    )

    assert all(each.state is S.ACCEPTED for each in entries)
    assert sorted(world.links()) == sorted(f"https://links.test/{n}" for n in range(15))


@pytest.mark.asyncio
async def test_restarted_desk_returns_the_same_entry(world: World) -> None:
    async with OrderDesk(await world.client(), SQLJournal(world.url)) as desk:
        first = await desk.place(order(), ref="a")
    again = await world.desk()

    assert await again.place(order(), ref="a") == first
    assert len(world.panel.orders) == 1


@pytest.mark.asyncio
async def test_other_content_under_a_ref_is_a_conflict(world: World) -> None:
    desk = await world.desk()
    placed = await desk.place(order(), ref="a")

    with pytest.raises(RefConflictError) as caught:
        await desk.place(order(quantity=2000), ref="a")

    assert caught.value.order == placed.order
    assert len(world.panel.calls("add")) == 1


@pytest.mark.asyncio
async def test_intent_is_on_disk_before_the_first_byte(world: World) -> None:
    rows: list[Any] = []

    def read_database(form: Mapping[str, str]) -> None:
        if form["action"] == "add":
            path = world.url.partition("///")[2]
            with sqlite3.connect(path) as connection:
                query = "SELECT ref, state, attempt FROM smm_orders"
                rows.extend(connection.execute(query).fetchall())
            connection.close()

    world.panel.on_request = read_database
    await (await world.desk()).place(order(), ref="a")

    assert rows == [("a", "sending", 1)]


@pytest.mark.parametrize("turns", [0, 1, 3, 10, 30, 100])
@pytest.mark.asyncio
async def test_cancelling_the_caller_changes_nothing(world: World, turns: int) -> None:
    desk = await world.desk()
    task = asyncio.create_task(desk.place(order(), ref="a"))
    for _ in range(turns):
        await asyncio.sleep(0)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    entry = await desk.place(order(), ref="a")

    assert entry.state is S.ACCEPTED
    assert len(world.panel.orders) == 1


@pytest.mark.asyncio
async def test_outcome_is_recorded_though_the_caller_is_cancelled(
    world: World,
) -> None:
    desk = await world.desk()
    world.panel.fail_next(Fault.DELAY, action="add", delay_s=0.2)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await eventually(lambda: world.panel.calls("add"))

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    entry = await in_state(desk, "a", S.ACCEPTED)

    assert entry.order in world.panel.orders


@pytest.mark.asyncio
async def test_cancelling_during_the_recording_loses_no_outcome(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = SQLJournal.record_outcome
    task: asyncio.Task[Entry] | None = None

    async def cancelling(self: SQLJournal, *args: Any) -> Entry:
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return await record(self, *args)

    monkeypatch.setattr(SQLJournal, "record_outcome", cancelling)
    desk = await world.desk()

    task = asyncio.create_task(desk.place(order(), ref="a"))
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (await in_state(desk, "a", S.ACCEPTED)).order in world.panel.orders


@pytest.mark.asyncio
async def test_wait_s_limits_the_wait_and_not_the_sending(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client)
    released = hold_answers(client, "add")
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await eventually(lambda: world.panel.calls("add"))

    early = await desk.place(order(), ref="a", wait_s=ENOUGH_S)

    assert early.state is S.SENDING
    with pytest.raises(OutcomeUnknownError, match="is being sent"):
        early.order_id()
    released.set()
    assert (await task).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_refused_order_stays_refused(world: World) -> None:
    desk = await world.desk()
    world.panel.answer_next("add", json.dumps({"error": "Not enough funds on balance"}))

    entry = await desk.place(order(), ref="a")
    again = await desk.place(order(), ref="a")

    assert entry == again
    assert (entry.state, entry.kind) == (S.REFUSED, ErrorKind.FUNDS)
    with pytest.raises(InsufficientFundsError):
        entry.order_id()
    assert len(world.panel.calls("add")) == 1


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.HTTP_500, Fault.EMPTY])
@pytest.mark.asyncio
async def test_unknown_outcome_is_never_sent_again(world: World, fault: Fault) -> None:
    desk = await world.desk()
    world.panel.fail_next(fault, action="add")

    entry = await desk.place(order(), ref="a")

    assert entry.state is S.UNKNOWN
    assert await desk.place(order(), ref="a") == entry
    assert len(world.panel.calls("add")) == 1
    assert entry.balance_before is not None
    assert entry.balance_after is not None


@pytest.mark.asyncio
async def test_order_proved_not_sent_is_sent_by_the_next_call(
    world: World,
) -> None:
    desk = await world.desk(record_balance=False)
    await (await world.client()).services()
    await desk.place(order("first"), ref="first")
    await world.panel.close()

    entry = await desk.place(order(), ref="a")

    assert (entry.state, entry.attempt) == (S.PREPARED, 1)
    with pytest.raises(NotSentError):
        entry.order_id()
    await world.panel.start()
    again = await desk.place(order(), ref="a")
    assert (again.state, again.attempt) == (S.ACCEPTED, 2)


@pytest.mark.asyncio
async def test_order_proved_not_sent_is_retried_by_the_policy(
    world: World,
) -> None:
    desk = await world.desk(
        record_balance=False, retry=RetryPolicy(max_attempts=3, base_delay_s=0.001)
    )
    await desk.place(order("first"), ref="first")
    await world.panel.close()

    entry = await desk.place(order(), ref="a")

    assert (entry.state, entry.attempt) == (S.PREPARED, 3)


@pytest.mark.asyncio
async def test_rate_limit_keeps_order_prepared_and_pauses_all_desks(world: World) -> None:
    clock = SteppedClock()
    clients = [await world.client(profile=LIMITING) for _ in range(2)]
    options = {"calls_per_minute": 60_000, "record_balance": False}
    desk = await world.desk(clients[0], **options)
    other = await world.desk(clients[1], desk_class=timed_desk(clock.clock), **options)
    await clients[1].services()
    world.panel.fail_next(Fault.RATE_LIMIT, action="add", retry_after_s=60)

    entry = await desk.place(order(), ref="a")
    waiting = await other.place(order("c"), ref="c", wait_s=ENOUGH_S)
    await eventually(lambda: any(until_s > clock.time_s + 50 for until_s, _ in clock.sleepers))

    assert (entry.state, entry.kind) == (S.PREPARED, ErrorKind.RATE_LIMIT)
    assert waiting.state is S.PREPARED
    clock.advance(61)
    assert (await other.place(order("c"), ref="c")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_absurd_retry_after_is_capped_while_placing(world: World) -> None:
    desk = await world.desk(await world.client(profile=LIMITING), record_balance=False)
    world.panel.answer_next(
        "add", json.dumps({"error": "Too many requests"}), 429, **{"Retry-After": "9" * 12}
    )

    entry = await desk.place(order(), ref="a")

    assert entry.state is S.PREPARED


@pytest.mark.asyncio
async def test_id_of_another_ref_makes_the_outcome_unknown(world: World) -> None:
    desk = await world.desk()
    first = await desk.place(order(), ref="a")
    world.panel.answer_next(
        "add", json.dumps({"status": "success", "order": int(first.order_id())})
    )

    second = await desk.place(order("b"), ref="b")

    assert (second.state, second.order) == (S.UNKNOWN, first.order)
    assert second.kind is ErrorKind.CONFLICT
    assert (await desk.place(order(), ref="a")) == first


@pytest.mark.asyncio
async def test_id_next_to_an_error_is_kept_and_unknown(world: World) -> None:
    desk = await world.desk()
    world.panel.answer_next("add", json.dumps({"order": 77, "error": "something unknown"}))

    entry = await desk.place(order(), ref="a")

    assert (entry.state, entry.order) == (S.UNKNOWN, "77")


@pytest.mark.asyncio
async def test_each_caller_gets_its_own_error_object(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object, **__: object) -> None:
        raise JournalError("is gone")

    desk = await world.desk(record_balance=False)
    await desk.place(order("first"), ref="first")
    monkeypatch.setattr(SQLJournal, "start_attempt", gone)

    errors = await asyncio.gather(
        *(desk.place(order(), ref="a") for _ in range(2)), return_exceptions=True
    )

    assert [type(each) for each in errors] == [JournalError, JournalError]
    assert errors[0] is not errors[1]
    assert len(world.panel.calls("add")) == 1


@pytest.mark.asyncio
async def test_order_id_survives_a_journal_outage(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, tries = SQLJournal.record_outcome, 0

    async def failing(self: SQLJournal, *args: Any) -> Entry:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise JournalError("is full")
        return await record(self, *args)

    monkeypatch.setattr(SQLJournal, "record_outcome", failing)
    desk = await world.desk(desk_class=timed_desk(max_poll_s=0.01))

    entry = await desk.place(order(), ref="a")

    assert entry.order_id() in world.panel.orders


@pytest.mark.parametrize("fault", [None, Fault.DROP_AFTER])
@pytest.mark.asyncio
async def test_outcome_is_recorded_without_the_journals_time(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: Fault | None
) -> None:
    desk = await world.desk(record_balance=False)
    record = SQLJournal.record_outcome

    async def no_time(_: SQLJournal) -> None:
        raise JournalError("is restarting")

    async def recording(self: SQLJournal, *args: Any) -> Entry:
        monkeypatch.undo()
        return await record(self, *args)

    def break_clock(form: Mapping[str, str]) -> None:
        if form["action"] == "add":
            monkeypatch.setattr(SQLJournal, "now", no_time)
            monkeypatch.setattr(SQLJournal, "record_outcome", recording)

    world.panel.on_request = break_clock
    if fault is not None:
        world.panel.fail_next(fault, action="add")
    entry = await desk.place(order(), ref="a")

    assert entry.state is (S.ACCEPTED if fault is None else S.UNKNOWN)


@pytest.mark.asyncio
async def test_outcome_not_recorded_is_in_the_error_and_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(*_: object) -> None:
        raise JournalError("is full")

    monkeypatch.setattr(SQLJournal, "record_outcome", full)
    desk = await world.desk(desk_class=timed_desk(outcome_wait_s=0.0))

    with pytest.raises(OutcomeUnknownError) as caught:
        await desk.place(order(), ref="a")

    (stored,) = world.panel.orders
    assert caught.value.order == stored
    assert f"'a' is accepted (order {stored})" in caplog.text


@pytest.mark.asyncio
async def test_attempt_without_outcome_is_unknown_after_its_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ShiftedClock()
    lost, other = [
        await world.desk(
            journal=SQLJournal(world.url, clock=clock), desk_class=timed_desk(max_poll_s=0.04)
        )
        for _ in range(2)
    ]
    reached = asyncio.Event()

    async def never(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(lost._journal, "record_outcome", never)
    abandoned = asyncio.create_task(lost.place(order(), ref="a"))
    await reached.wait()
    task = asyncio.create_task(other.place(order(), ref="a"))
    await asyncio.sleep(0.1)
    assert not task.done()
    clock.advance(241)

    assert (await task).state is S.UNKNOWN
    assert len(world.panel.calls("add")) == 1
    await lost._sends.cancel_all()
    await asyncio.gather(abandoned, return_exceptions=True)


@pytest.mark.asyncio
async def test_wait_for_an_attempt_of_another_desk_is_limited(world: World) -> None:
    client = await world.client()
    desk, other = (
        await world.desk(client),
        await world.desk(desk_class=timed_desk(other_desk_s=0.1)),
    )
    released = hold_answers(client, "add")
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await eventually(lambda: world.panel.calls("add"))

    entry = await other.place(order(), ref="a")

    assert entry.state is S.SENDING
    released.set()
    assert (await task).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_orders_stay_prepared_if_no_slot_becomes_free(world: World) -> None:
    client = await world.client()
    desk, other = await world.desk(client), await world.desk(desk_class=timed_desk(slot_wait_s=0.3))
    await other.place(order("first"), ref="first")
    released = hold_answers(client, "add")
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await eventually(lambda: len(world.panel.calls("add")) == 2)
    balances = len(world.panel.calls("balance"))

    entries = await asyncio.gather(*(other.place(order(n), ref=f"b{n}") for n in range(20)))

    assert {each.state for each in entries} == {S.PREPARED}
    assert len(world.panel.calls("balance")) - balances <= 22, "once each, not while they wait"
    released.set()
    assert (await task).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_order_is_sent_when_another_desk_frees_its_slot(world: World) -> None:
    client, clock = await world.client(), SteppedClock()
    desk, other = await world.desk(client), await world.desk(desk_class=timed_desk(clock.clock))
    await other.place(order("first"), ref="first")
    released = hold_answers(client, "add")
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await eventually(lambda: len(world.panel.calls("add")) == 2)

    waiting = asyncio.create_task(other.place(order("b"), ref="b"))
    await eventually(lambda: clock.sleepers)
    released.set()
    assert (await task).state is S.ACCEPTED
    clock.advance(1)

    assert (await waiting).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_wait_for_a_slot_of_another_desk_is_limited(world: World) -> None:
    client, clock = await world.client(), SteppedClock()
    desk, other = await world.desk(client), await world.desk(desk_class=timed_desk(clock.clock))
    await other.place(order("first"), ref="first")
    released = hold_answers(client, "add")
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await eventually(lambda: len(world.panel.calls("add")) == 2)

    waiting = asyncio.create_task(other.place(order("b"), ref="b"))
    await eventually(lambda: clock.sleepers)
    clock.advance(601)
    entry = await waiting

    assert (entry.state, entry.attempt) == (S.PREPARED, 0)
    released.set()
    assert (await task).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_balance_before_an_order_is_read_at_its_turn(world: World) -> None:
    desk = await world.desk()

    await asyncio.gather(*(desk.place(order(n), ref=f"r{n}") for n in range(5)))

    balances = [entry.balance_before async for entry in desk.entries()]
    assert len(set(balances)) == 5, "each after the previous one was charged"


@pytest.mark.asyncio
async def test_unreadable_balance_does_not_prevent_placing(world: World) -> None:
    desk = await world.desk()
    world.panel.fail_next(Fault.HTTP_500, action="balance")

    entry = await desk.place(order(), ref="a")

    assert entry.state is S.ACCEPTED
    assert entry.balance_before is None


@pytest.mark.asyncio
async def test_balance_is_not_read_while_the_account_is_paused(world: World) -> None:
    desk = await world.desk(calls_per_minute=60_000)
    await desk.place(order("first"), ref="first")

    def pausing(form: Mapping[str, str]) -> None:
        if form["action"] == "add":
            tasks.append(asyncio.ensure_future(desk._sender.rate_limit.pause(600.0)))

    tasks: list[asyncio.Future[None]] = []
    world.panel.on_request = pausing
    world.panel.fail_next(Fault.DROP_AFTER, action="add")
    entry = await asyncio.wait_for(desk.place(order(), ref="a"), WAIT_S)

    assert entry.state is S.UNKNOWN
    assert entry.balance_after is None


@pytest.mark.parametrize("ref", ["", " ", "a\nb", "a" * 201, 7])
@pytest.mark.asyncio
async def test_invalid_ref_is_rejected(world: World, ref: Any) -> None:
    desk = await world.desk()

    with pytest.raises(InvalidOrderError):
        await desk.place(order(), ref=ref)

    assert not world.panel.forms


@pytest.mark.asyncio
async def test_order_the_service_rejects_is_not_stored(world: World) -> None:
    desk = await world.desk()

    with pytest.raises(InvalidOrderError):
        await desk.place(order(quantity=10**9), ref="a")

    assert await desk.find("a") is None


@pytest.mark.asyncio
async def test_existing_entry_is_returned_though_its_service_is_gone(world: World) -> None:
    client = await world.client(services_ttl_s=0.0)
    desk = await world.desk(client)
    placed = await desk.place(order(), ref="a")
    world.panel.remove_service(1)
    world.panel.add_service(
        SandboxService(service=9, name="N", type="default", category="c", rate=1, min=1, max=9)
    )

    assert await desk.place(order(), ref="a", max_charge=Decimal(0)) == placed
    with pytest.raises(InvalidOrderError):
        await desk.place(order("b"), ref="b")


@pytest.mark.parametrize("fault", [Fault.HTTP_500, Fault.DROP_BEFORE, Fault.RATE_LIMIT])
@pytest.mark.asyncio
async def test_catalogue_failure_means_nothing_was_sent(world: World, fault: Fault) -> None:
    desk = await world.desk()
    world.panel.fail_next(fault, action="services")

    with pytest.raises(NotSentError) as caught:
        await desk.place(order(), ref="a")

    assert not caught.value.maybe_sent
    assert not world.panel.calls("add")


@pytest.mark.asyncio
async def test_wait_s_limits_the_wait_for_the_catalogue(world: World) -> None:
    desk = await world.desk()
    world.panel.fail_next(Fault.DELAY, action="services", delay_s=60.0)

    with pytest.raises(NotSentError, match=r"timed out after 3 s waiting for the catalogue"):
        await desk.place(order(), ref="a", wait_s=ENOUGH_S)

    assert await desk.find("a") is None


@pytest.mark.asyncio
async def test_attempt_is_not_started_while_the_client_is_paused(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client)
    await desk.place(order("first"), ref="first")
    client._runner._limiter.on_rate_limited(100.0)

    entry = await desk.place(order(), ref="a")

    assert (entry.state, entry.attempt) == (S.PREPARED, 0)
    assert len(world.panel.calls("add")) == 1


@pytest.mark.asyncio
async def test_refusal_of_the_catalogue_is_raised(world: World) -> None:
    desk = await world.desk()
    world.panel.answer_next("services", json.dumps({"error": "Invalid API key"}))

    with pytest.raises(RefusedError):
        await desk.place(order(), ref="a")


@pytest.mark.asyncio
async def test_placing_with_a_closed_client_raises(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client)
    await client.aclose()

    with pytest.raises(ClosedError):
        await desk.place(order(), ref="a")


@pytest.mark.asyncio
async def test_entry_lost_by_the_journal_is_an_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.desk()
    entry = await desk.place(order(), ref="a")

    with pytest.raises(JournalError, match="has lost the entry 'b'"):
        await desk._sender.reload("b")

    assert entry.state is S.ACCEPTED


@pytest.mark.asyncio
async def test_bug_in_a_send_is_raised_and_logged(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    desk = await world.desk()
    monkeypatch.setattr(SQLJournal, "start_attempt", broken)

    with pytest.raises(ZeroDivisionError):
        await desk.place(order(), ref="a")

    assert "'a' could not be sent: a bug" in caplog.text
    assert "Traceback" in caplog.text


@pytest.mark.asyncio
async def test_outcomes_create_events(world: World) -> None:
    desk = await world.desk()
    await desk.place(order(), ref="a")
    world.panel.fail_next(Fault.DROP_AFTER, action="add")
    await desk.place(order("b"), ref="b")

    assert [(each.ref, each.kind.value) for each in await read_events(desk)] == [
        ("a", "accepted"),
        ("b", "unknown"),
    ]


# --- wait_s and the journal ----------------------------------------------------------------------


@contextmanager
def locked(world: World) -> Iterator[sqlite3.Connection]:
    """Hold the file's only lock for writing, as another process does."""
    with closing(sqlite3.connect(world.url.partition(":///")[2], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


@pytest.mark.asyncio
async def test_wait_s_bounds_the_wait_for_a_locked_journal(world: World) -> None:
    desk = await world.desk()
    await desk.place(order("first"), ref="first")

    with locked(world):
        with pytest.raises(JournalError, match=r"no answer within 3 s; nothing was sent, but"):
            await desk.place(order(), ref="a", wait_s=ENOUGH_S)
        # Reading does not wait for whoever writes.
        assert await desk.find("a") is None

    assert (await in_state(desk, "a", S.PREPARED)).attempt == 0
    assert (await desk.place(order(), ref="a")).state is S.ACCEPTED
    assert len(world.panel.calls("add")) == 2


@pytest.mark.asyncio
async def test_wait_s_bounds_the_wait_for_a_locked_journal_in_retry(world: World) -> None:
    world.panel.answer_next("add", '{"error": "Not enough funds"}')
    desk = await world.desk()
    await desk.place(order(), ref="a")

    with (
        locked(world),
        pytest.raises(JournalError, match=r"no answer within 3 s; nothing was sent, but"),
    ):
        await desk.retry("a", decided_by="operator", wait_s=ENOUGH_S)

    assert (await in_state(desk, "a", S.PREPARED)).attempt == 1
    assert (await desk.place(order(), ref="a")).state is S.ACCEPTED


@pytest.mark.parametrize("method", ["now", "find"])
@pytest.mark.asyncio
async def test_wait_s_bounds_the_wait_for_a_journal_that_is_not_read(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    desk = await world.desk()

    async def hang(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(SQLJournal, method, hang)
        with pytest.raises(JournalError, match=r"within 0\.05 s; nothing was stored or sent"):
            await desk.place(order(), ref="a", wait_s=0.05)

    assert await desk.find("a") is None
    assert not world.panel.calls("add")


@pytest.mark.asyncio
async def test_entry_is_returned_as_known_if_the_journal_hangs_at_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await world.client()
    desk = await world.desk(client, desk_class=timed_desk(reload_s=0.01), record_balance=False)
    await client.services()
    released, find = hold_answers(client, "add"), SQLJournal.find
    finds = 0

    async def hang_later(self: SQLJournal, ref: str, **options: Any) -> Entry | None:
        nonlocal finds
        finds += 1
        if finds == 2:
            await asyncio.Event().wait()
        return await find(self, ref, **options)

    monkeypatch.setattr(SQLJournal, "find", hang_later)
    entry = await desk.place(order(), ref="a", wait_s=ENOUGH_S)
    released.set()

    assert (entry.ref, entry.state) == ("a", S.PREPARED)
    assert (await desk.place(order(), ref="a")).state is S.ACCEPTED
    assert len(world.panel.calls("add")) == 1
