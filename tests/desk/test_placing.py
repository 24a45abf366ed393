"""PlacementOutcome by ref: once, whoever calls, however often, whatever becomes of the caller."""

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import attrs
import pytest

from smmfanfast_async import RetryPolicy
from smmfanfast_async.desk import OrderDesk, sending
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

from .world import S, World, in_state, order, soon, told

LIMITING = attrs.evolve(
    SMMFANFAST,
    refusals=(*SMMFANFAST.refusals, Refusal("Too many requests", ErrorKind.RATE_LIMIT)),
)
"""A panel of which it is known that it turns an order away before it makes one."""

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])


@pytest.mark.asyncio
async def test_the_same_ref_and_content_are_one_order(world: World) -> None:
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
async def test_a_hundred_callers_at_once_on_two_desks_make_one_order(world: World) -> None:
    desks = [await world.desk() for _ in range(2)]

    found = await asyncio.gather(*(desks[n % 2].place(order(), ref="a") for n in range(100)))

    assert {each.order_id() for each in found} == set(world.panel.orders)
    assert len(world.panel.orders) == 1


@BOTH
@pytest.mark.asyncio
async def test_many_refs_on_two_desks_are_each_one_order(world: World) -> None:
    desks = [await world.desk() for _ in range(2)]

    found = await asyncio.gather(
        *(desk.place(order(n), ref=f"r{n}") for n in range(15) for desk in desks)
    )

    assert all(each.state is S.ACCEPTED for each in found)
    assert sorted(world.links()) == sorted(f"https://links.test/{n}" for n in range(15))


@pytest.mark.asyncio
async def test_a_desk_that_starts_again_gives_the_same_entry(world: World) -> None:
    async with OrderDesk(await world.client(), SQLJournal(world.url)) as desk:
        first = await desk.place(order(), ref="a")
    again = await world.desk()

    assert await again.place(order(), ref="a") == first
    assert len(world.panel.orders) == 1


@pytest.mark.asyncio
async def test_other_content_under_a_ref_is_a_conflict_and_sends_nothing(world: World) -> None:
    desk = await world.desk()
    placed = await desk.place(order(), ref="a")

    with pytest.raises(RefConflictError) as caught:
        await desk.place(order(quantity=2000), ref="a")

    assert caught.value.order == placed.order
    assert len(world.panel.asked("add")) == 1


@pytest.mark.asyncio
async def test_the_intent_is_on_disk_before_the_first_byte(world: World) -> None:
    seen: list[Any] = []

    def look(form: Mapping[str, str]) -> None:
        if form["action"] == "add":
            path = world.url.partition("///")[2]
            with sqlite3.connect(path) as connection:
                query = "SELECT ref, state, attempt FROM smm_orders"
                seen.extend(connection.execute(query).fetchall())
            connection.close()

    world.panel.watch = look
    await (await world.desk()).place(order(), ref="a")

    assert seen == [("a", "sending", 1)]


@pytest.mark.parametrize("turns", [0, 1, 3, 10, 30, 100])
@pytest.mark.asyncio
async def test_a_caller_who_is_cancelled_changes_nothing(world: World, turns: int) -> None:
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
async def test_the_outcome_lands_though_the_caller_is_cancelled_after_the_send(
    world: World,
) -> None:
    desk = await world.desk()
    world.panel.fail_next(Fault.DELAY, action="add", delay_s=0.2)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await soon(lambda: world.panel.asked("add"))

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    entry = await in_state(desk, "a", S.ACCEPTED)

    assert entry.order in world.panel.orders


@pytest.mark.asyncio
async def test_the_outcome_lands_though_the_caller_is_cancelled_while_it_is_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = SQLJournal.record_outcome
    task: asyncio.Task[Entry] | None = None

    async def cancelling(self: SQLJournal, *args: Any) -> Entry:
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return await settle(self, *args)

    monkeypatch.setattr(SQLJournal, "record_outcome", cancelling)
    desk = await world.desk()

    task = asyncio.create_task(desk.place(order(), ref="a"))
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (await in_state(desk, "a", S.ACCEPTED)).order in world.panel.orders


@pytest.mark.asyncio
async def test_wait_s_bounds_the_waiting_and_not_the_sending(world: World) -> None:
    desk = await world.desk()
    world.panel.fail_next(Fault.DELAY, action="add", delay_s=0.3)

    early = await desk.place(order(), ref="a", wait_s=0.15)

    assert early.state is S.SENDING
    with pytest.raises(OutcomeUnknownError, match="is being sent"):
        early.order_id()
    assert (await desk.place(order(), ref="a")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_a_refused_order_stays_refused(world: World) -> None:
    desk = await world.desk()
    world.panel.say("add", json.dumps({"error": "Not enough funds on balance"}))

    entry = await desk.place(order(), ref="a")
    again = await desk.place(order(), ref="a")

    assert entry == again
    assert (entry.state, entry.kind) == (S.REFUSED, ErrorKind.FUNDS)
    with pytest.raises(InsufficientFundsError):
        entry.order_id()
    assert len(world.panel.asked("add")) == 1


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.HTTP_500, Fault.EMPTY])
@pytest.mark.asyncio
async def test_an_unknown_outcome_is_never_sent_again(world: World, fault: Fault) -> None:
    desk = await world.desk()
    world.panel.fail_next(fault, action="add")

    entry = await desk.place(order(), ref="a")

    assert entry.state is S.UNKNOWN
    assert await desk.place(order(), ref="a") == entry
    assert len(world.panel.asked("add")) == 1
    assert entry.balance_before is not None
    assert entry.balance_after is not None


@pytest.mark.asyncio
async def test_what_was_proved_not_sent_stays_prepared_and_goes_out_at_the_next_call(
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
async def test_what_was_proved_not_sent_is_tried_again_at_once_as_the_policy_says(
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
async def test_the_panels_too_often_leaves_it_prepared_and_pauses_every_desk(
    world: World,
) -> None:
    clients = [await world.client(profile=LIMITING) for _ in range(2)]
    desk, other = [
        await world.desk(client, calls_per_minute=60_000, record_balance=False)
        for client in clients
    ]
    await other.place(order("b"), ref="b")
    world.panel.fail_next(Fault.RATE_LIMIT, action="add", retry_after_s=1)

    entry = await desk.place(order(), ref="a")
    waits = await asyncio.gather(
        other.place(order("c"), ref="c", wait_s=0.3), return_exceptions=True
    )

    assert (entry.state, entry.kind) == (S.PREPARED, ErrorKind.RATE_LIMIT)
    assert [each.state for each in waits if isinstance(each, Entry)] == [S.PREPARED]
    assert (await other.place(order("c"), ref="c")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_a_wait_that_reaches_past_the_calendar_is_bounded(world: World) -> None:
    desk = await world.desk(await world.client(profile=LIMITING), record_balance=False)
    world.panel.say(
        "add", json.dumps({"error": "Too many requests"}), 429, **{"Retry-After": "9" * 12}
    )

    entry = await desk.place(order(), ref="a")

    assert entry.state is S.PREPARED


@pytest.mark.asyncio
async def test_an_id_that_is_another_refs_makes_it_unknown_and_keeps_both(world: World) -> None:
    desk = await world.desk()
    first = await desk.place(order(), ref="a")
    world.panel.say("add", json.dumps({"status": "success", "order": int(first.order_id())}))

    second = await desk.place(order("b"), ref="b")

    assert (second.state, second.order) == (S.UNKNOWN, first.order)
    assert second.kind is ErrorKind.CONFLICT
    assert (await desk.place(order(), ref="a")) == first


@pytest.mark.asyncio
async def test_an_id_beside_an_error_is_kept_and_decides_nothing(world: World) -> None:
    desk = await world.desk()
    world.panel.say("add", json.dumps({"order": 77, "error": "something odd"}))

    entry = await desk.place(order(), ref="a")

    assert (entry.state, entry.order) == (S.UNKNOWN, "77")


@pytest.mark.asyncio
async def test_every_caller_gets_an_error_of_their_own(
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
    assert len(world.panel.asked("add")) == 1


@pytest.mark.asyncio
async def test_an_order_id_is_not_lost_where_the_journal_is_gone_for_a_while(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, tries = SQLJournal.record_outcome, 0

    async def failing(self: SQLJournal, *args: Any) -> Entry:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise JournalError("is full")
        return await settle(self, *args)

    monkeypatch.setattr(SQLJournal, "record_outcome", failing)
    monkeypatch.setattr(sending, "LONGEST_POLL_S", 0.01)
    desk = await world.desk()

    entry = await desk.place(order(), ref="a")

    assert entry.order_id() in world.panel.orders


@pytest.mark.parametrize("fault", [None, Fault.DROP_AFTER])
@pytest.mark.asyncio
async def test_a_journal_that_can_not_tell_the_time_after_the_send_loses_no_outcome(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: Fault | None
) -> None:
    desk = await world.desk(record_balance=False)
    settle = SQLJournal.record_outcome

    async def no_time(_: SQLJournal) -> None:
        raise JournalError("is restarting")

    async def settling(self: SQLJournal, *args: Any) -> Entry:
        monkeypatch.undo()
        return await settle(self, *args)

    def break_off(form: Mapping[str, str]) -> None:
        if form["action"] == "add":
            monkeypatch.setattr(SQLJournal, "now", no_time)
            monkeypatch.setattr(SQLJournal, "record_outcome", settling)

    world.panel.watch = break_off
    if fault is not None:
        world.panel.fail_next(fault, action="add")
    entry = await desk.place(order(), ref="a")

    assert entry.state is (S.ACCEPTED if fault is None else S.UNKNOWN)


@pytest.mark.asyncio
async def test_an_outcome_that_can_not_be_written_is_in_the_error_and_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def full(*_: object) -> None:
        raise JournalError("is full")

    monkeypatch.setattr(SQLJournal, "record_outcome", full)
    monkeypatch.setattr(sending, "OUTCOME_WAIT_S", 0.0)
    desk = await world.desk()

    with pytest.raises(OutcomeUnknownError) as caught:
        await desk.place(order(), ref="a")

    (stored,) = world.panel.orders
    assert caught.value.order == stored
    assert f"'a' is accepted (order {stored})" in caplog.text


@pytest.mark.asyncio
async def test_an_attempt_whose_outcome_nobody_wrote_is_unknown_after_its_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LEASE_S", 0.2)
    monkeypatch.setattr(sending, "LONGEST_POLL_S", 0.04)
    lost, other = await world.desk(), await world.desk()
    journal = lost._journal

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(journal, "record_outcome", never)
    await lost.place(order(), ref="a", wait_s=0.1)

    entry = await other.place(order(), ref="a")

    assert entry.state is S.UNKNOWN
    assert len(world.panel.asked("add")) == 1
    for task in lost._sends.values():
        task.cancel()


@pytest.mark.asyncio
async def test_an_attempt_elsewhere_that_no_lease_ends_is_not_waited_for_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "OTHER_DESK_S", 0.1)
    desk, other = await world.desk(), await world.desk()
    world.panel.fail_next(Fault.DELAY, action="add", delay_s=0.6)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await soon(lambda: world.panel.asked("add"))

    seen = await other.place(order(), ref="a")

    assert seen.state is S.SENDING
    assert (await task).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_an_order_waits_for_another_desks_and_gives_its_turn_up_in_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "SLOT_WAIT_S", 0.3)
    desk, other = await world.desk(), await world.desk()
    await other.place(order("first"), ref="first")
    world.panel.fail_next(Fault.DELAY, action="add", delay_s=1.0)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await soon(lambda: len(world.panel.asked("add")) == 2)
    balances = len(world.panel.asked("balance"))

    found = await asyncio.gather(*(other.place(order(n), ref=f"b{n}") for n in range(20)))

    assert {each.state for each in found} == {S.PREPARED}
    assert len(world.panel.asked("balance")) - balances <= 22, "once each, not while they wait"
    assert (await task).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_a_desk_that_waits_for_another_gives_its_turn_up_in_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, other = await world.desk(), await world.desk()
    await other.place(order("first"), ref="first")
    world.panel.fail_next(Fault.DELAY, action="add", delay_s=0.6)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await soon(lambda: len(world.panel.asked("add")) == 2)

    monkeypatch.setattr(sending, "SLOT_WAIT_S", 0.2)
    found = await other.place(order("b"), ref="b")

    assert (found.state, found.attempt) == (S.PREPARED, 0)
    assert (await task).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_the_balance_before_an_order_is_read_at_its_turn(world: World) -> None:
    desk = await world.desk()

    await asyncio.gather(*(desk.place(order(n), ref=f"r{n}") for n in range(5)))

    found = [entry.balance_before async for entry in desk.entries()]
    assert len(set(found)) == 5, "each after the one before it was paid"


@pytest.mark.asyncio
async def test_evidence_that_can_not_be_read_harms_nothing(world: World) -> None:
    desk = await world.desk()
    world.panel.fail_next(Fault.HTTP_500, action="balance")

    entry = await desk.place(order(), ref="a")

    assert entry.state is S.ACCEPTED
    assert entry.balance_before is None


@pytest.mark.asyncio
async def test_evidence_is_not_waited_for_while_the_account_is_paused(world: World) -> None:
    desk = await world.desk(calls_per_minute=60_000)
    await desk.place(order("first"), ref="first")

    def pausing(form: Mapping[str, str]) -> None:
        if form["action"] == "add":
            tasks.append(asyncio.ensure_future(desk._sender.rate_limit.pause(600.0)))

    tasks: list[asyncio.Future[None]] = []
    world.panel.watch = pausing
    world.panel.fail_next(Fault.DROP_AFTER, action="add")
    entry = await asyncio.wait_for(desk.place(order(), ref="a"), 5)

    assert entry.state is S.UNKNOWN
    assert entry.balance_after is None


@pytest.mark.parametrize("ref", ["", " ", "a\nb", "a" * 201, 7])
@pytest.mark.asyncio
async def test_a_ref_that_is_none_is_refused(world: World, ref: Any) -> None:
    desk = await world.desk()

    with pytest.raises(InvalidOrderError):
        await desk.place(order(), ref=ref)

    assert not world.panel.seen


@pytest.mark.asyncio
async def test_an_order_that_the_service_does_not_take_is_not_written_down(world: World) -> None:
    desk = await world.desk()

    with pytest.raises(InvalidOrderError):
        await desk.place(order(quantity=10**9), ref="a")

    assert await desk.find("a") is None


@pytest.mark.asyncio
async def test_what_is_known_is_given_though_its_service_is_gone(world: World) -> None:
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
async def test_a_catalogue_that_can_not_be_had_means_that_nothing_was_sent(
    world: World, fault: Fault
) -> None:
    desk = await world.desk()
    world.panel.fail_next(fault, action="services")

    with pytest.raises(NotSentError) as caught:
        await desk.place(order(), ref="a")

    assert not caught.value.maybe_sent
    assert not world.panel.asked("add")


@pytest.mark.asyncio
async def test_wait_s_bounds_the_waiting_for_the_catalogue(world: World) -> None:
    desk = await world.desk()
    world.panel.fail_next(Fault.DELAY, action="services", delay_s=5.0)

    with pytest.raises(NotSentError, match="was not there within"):
        await desk.place(order(), ref="a", wait_s=0.05)

    assert await desk.find("a") is None


@pytest.mark.asyncio
async def test_an_order_that_the_client_holds_back_is_not_begun(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client)
    await desk.place(order("first"), ref="first")
    client._runner._limiter.on_rate_limited(100.0)

    entry = await desk.place(order(), ref="a")

    assert (entry.state, entry.attempt) == (S.PREPARED, 0)
    assert len(world.panel.asked("add")) == 1


@pytest.mark.asyncio
async def test_a_catalogue_that_the_panel_refuses_says_so(world: World) -> None:
    desk = await world.desk()
    world.panel.say("services", json.dumps({"error": "Invalid API key"}))

    with pytest.raises(RefusedError):
        await desk.place(order(), ref="a")


@pytest.mark.asyncio
async def test_a_catalogue_asked_of_a_client_that_is_closed_says_so(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client)
    await client.aclose()

    with pytest.raises(ClosedError):
        await desk.place(order(), ref="a")


@pytest.mark.asyncio
async def test_a_ref_that_the_journal_loses_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.desk()
    entry = await desk.place(order(), ref="a")

    with pytest.raises(JournalError, match="has lost the entry 'b'"):
        await desk._sender._now("b")

    assert entry.state is S.ACCEPTED


@pytest.mark.asyncio
async def test_a_bug_in_a_sending_is_told_though_nobody_waits(
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
async def test_events_tell_what_became_of_orders(world: World) -> None:
    desk = await world.desk()
    await desk.place(order(), ref="a")
    world.panel.fail_next(Fault.DROP_AFTER, action="add")
    await desk.place(order("b"), ref="b")

    assert [(each.ref, each.kind.value) for each in await told(desk)] == [
        ("a", "accepted"),
        ("b", "unknown"),
    ]
