"""Refill and cancel by ref: what is sent, what is recorded, and what a second call does."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest
from support.journals import new_entry

from smmfanfast_async import API_V2, Client, NotSentError, RetryPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.errors import (
    ClosedError,
    ErrorKind,
    InvalidCode,
    InvalidOrderError,
    JournalError,
    NoResponseError,
    UnsupportedActionError,
)
from smmfanfast_async.journal import (
    Entry,
    EventKind,
    OrderRequest,
    RequestKind,
    RequestState,
)
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.profile import Profile
from smmfanfast_async.sandbox import SandboxService

from .world import (
    Panel,
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

pytestmark = pytest.mark.asyncio

R = RequestState
REFILL, CANCEL = RequestKind.REFILL, RequestKind.CANCEL
LATER = timedelta(minutes=10)
PROFILE = attrs.evolve(API_V2, calls_per_minute=None)
SERVICES = (
    SandboxService(
        service=1, name="One", category="c", rate=1, max=10**6, refill=True, cancel=True
    ),
    SandboxService(service=2, name="Two", category="c", rate=1, max=10**6),
)


@pytest.fixture
def world_options() -> dict[str, Any]:
    return {"dialect": "api-v2", "services": SERVICES}


async def api_v2_desk(world: World, profile: Profile = PROFILE, **options: Any) -> OrderDesk:
    client = await world.client(profile=profile)
    return await world.desk(client, account="shop", **options)


async def place(world: World, desk: OrderDesk, ref: str = "a", **changes: Any) -> Entry:
    entry = await desk.place(order(ref, **changes), ref=ref)
    assert entry.state is S.ACCEPTED
    return entry


async def complete(world: World, desk: OrderDesk, ref: str = "a", **changes: Any) -> Entry:
    """Place an order that is completed, and follow it to its end."""
    entry = await place(world, desk, ref, **changes)
    world.panel.set_status(entry.order_id(), "completed")
    async with world.following(desk):
        return await in_state(desk, ref, S.FINISHED)


async def listed(desk: OrderDesk, **filters: Any) -> list[OrderRequest]:
    return [each async for each in desk.requests(**filters)]


async def until(desk: OrderDesk, state: RequestState, ref: str = "a") -> OrderRequest:
    """Wait until the last request of a ref is in a state."""

    async def find() -> OrderRequest | None:
        requests = await listed(desk, ref=ref)
        return requests[-1] if requests and requests[-1].state is state else None

    found: OrderRequest = await eventually(find)
    return found


async def told(desk: OrderDesk) -> list[RequestState]:
    return [each.request_state for each in await read_events(desk) if each.request_state]


# --- sent once -----------------------------------------------------------------------------------


async def test_cancel_is_sent_once_and_ends_with_its_order(world: World) -> None:
    desk = await api_v2_desk(world)
    entry = await place(world, desk)

    accepted = await desk.cancel("a", decided_by="me")
    again = await desk.cancel("a", decided_by="me")
    async with world.following(desk):
        ended = await until(desk, R.FINISHED)

    assert (accepted.state, accepted.is_new, again.is_new) == (R.ACCEPTED, True, False)
    assert again == accepted
    assert ended.raw_status == "Canceled"
    assert [form["orders"] for form in world.panel.calls("cancel")] == [entry.order]
    assert await told(desk) == [R.ACCEPTED, R.FINISHED]


async def test_refill_is_sent_once_and_followed_by_its_id(world: World) -> None:
    desk = await api_v2_desk(world)
    entry = await complete(world, desk)

    accepted = await desk.refill("a", decided_by="me")
    assert await desk.refill("a", decided_by="me") == accepted
    async with world.following(desk):
        pending = await eventually(lambda: _with_word(desk, "Pending"))
        world.panel.set_refill_status("1", "completed")
        ended = await until(desk, R.FINISHED)

    assert (accepted.state, accepted.refill, pending.state) == (R.ACCEPTED, "1", R.ACCEPTED)
    assert ended.raw_status == "Completed"
    assert [form["order"] for form in world.panel.calls("refill")] == [entry.order]
    assert await told(desk) == [R.ACCEPTED, R.ACCEPTED, R.FINISHED]


async def _with_word(desk: OrderDesk, word: str) -> OrderRequest | None:
    last = (await listed(desk))[-1]
    return last if last.raw_status == word else None


async def test_two_taps_send_one_request(world: World) -> None:
    desk, other = await api_v2_desk(world), await api_v2_desk(world)
    await place(world, desk)

    taps = [each.cancel("a", decided_by="me") for each in (desk, other, desk, other)]
    results = await asyncio.gather(*taps)

    assert {each.state for each in results} == {R.ACCEPTED}
    assert sum(each.is_new for each in results) == 1
    assert len(world.panel.calls("cancel")) == 1


async def test_cancelled_caller_does_not_stop_the_request(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    calling = asyncio.create_task(desk.cancel("a", decided_by="me"))
    await eventually(lambda: listed(desk))
    calling.cancel()

    await until(desk, R.ACCEPTED)
    assert len(world.panel.calls("cancel")) == 1


async def test_refused_request_can_be_made_again(world: World) -> None:
    desk = await api_v2_desk(world)
    await complete(world, desk)
    world.panel.answer_next("refill", '{"error": "Order not eligible for refill."}')

    refused = await desk.refill("a", decided_by="me")
    again = await desk.refill("a", decided_by="me")

    assert (refused.state, refused.reason) == (R.REFUSED, "Order not eligible for refill.")
    assert refused.error_kind is ErrorKind.VALIDATION
    assert (again.number, again.state) == (2, R.ACCEPTED)


async def test_refill_without_an_id_is_finished(world: World) -> None:
    desk = await api_v2_desk(world)
    await complete(world, desk)
    world.panel.answer_next("refill", '{"success": "Refill requested"}')

    finished = await desk.refill("a", decided_by="me")

    assert (finished.state, finished.refill) == (R.FINISHED, None)
    assert "without an id" in str(finished.reason)


async def test_panel_that_cancels_one_id_is_asked_in_its_form(world: World) -> None:
    profile = attrs.evolve(PROFILE, single_id_actions={"cancel"})
    desk = await api_v2_desk(world, profile)
    entry = await place(world, desk)
    world.panel.answer_next("cancel", '{"cancel": 1}')

    assert (await desk.cancel("a", decided_by="me")).state is R.ACCEPTED
    assert [form["order"] for form in world.panel.calls("cancel")] == [entry.order]


async def test_order_that_is_not_sent_is_withdrawn_without_a_call(world: World) -> None:
    # A panel without the verb does not matter then.
    desk = await world.desk(await world.client())
    await desk._journal.create(new_entry("a"))

    canceled = await desk.cancel("a", decided_by="me")

    entry = await desk.find("a")
    assert entry is not None
    assert (entry.state, canceled.state, canceled.is_new) == (S.WITHDRAWN, R.FINISHED, True)


# --- refused before anything is recorded ---------------------------------------------------------


async def test_state_that_forbids_it_is_named(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)

    with pytest.raises(InvalidOrderError, match="'a' is accepted; only finished orders") as caught:
        await desk.refill("a", decided_by="me")
    assert caught.value.code is InvalidCode.WRONG_STATE
    with pytest.raises(InvalidOrderError, match="'b' is not in the journal") as caught:
        await desk.cancel("b", decided_by="me")
    assert caught.value.code is InvalidCode.UNKNOWN_REF
    with pytest.raises(InvalidOrderError, match="decided_by"):
        await desk.cancel("a", decided_by=" ")
    assert await listed(desk) == []


async def test_status_that_forbids_a_refill_is_named(world: World) -> None:
    desk = await api_v2_desk(world)
    entry = await place(world, desk)
    world.panel.set_status(entry.order_id(), "canceled")
    async with world.following(desk):
        await in_state(desk, "a", S.FINISHED)

    with pytest.raises(InvalidOrderError, match=r"is finished \(Canceled\)"):
        await desk.refill("a", decided_by="me")


async def test_panel_without_the_verb_is_refused(world: World) -> None:
    actions = PROFILE.actions - {"cancel"}
    desk = await api_v2_desk(world, attrs.evolve(PROFILE, actions=actions))
    await place(world, desk)

    with pytest.raises(UnsupportedActionError, match="does not support the action 'cancel'"):
        await desk.cancel("a", decided_by="me")
    assert await listed(desk) == []


async def test_service_without_the_verb_is_refused_by_the_cached_catalogue(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk, service=2)

    with pytest.raises(UnsupportedActionError, match="service 2 does not support 'cancel'"):
        await desk.cancel("a", decided_by="me")
    assert await listed(desk) == []


async def test_service_that_is_not_in_the_catalogue_is_no_reason(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    world.panel.remove_service(1)
    await desk._requests.clients["default"].services(max_age_s=0)

    assert (await desk.cancel("a", decided_by="me")).state in (R.ACCEPTED, R.REFUSED)


async def test_order_whose_form_was_purged_can_be_refilled(world: World) -> None:
    clock = ShiftedClock()
    desk = await api_v2_desk(world, journal=SQLJournal(world.url, clock=clock))
    await complete(world, desk)
    clock.advance(100)
    await desk.purge(timedelta(0))

    assert (await desk.refill("a", decided_by="me")).state is R.ACCEPTED


# --- lost answers --------------------------------------------------------------------------------


async def test_lost_answer_is_unknown_and_never_sent_again(world: World) -> None:
    desk = await api_v2_desk(world)
    await complete(world, desk)
    world.panel.fail_next("drop_after", action="refill")

    unknown = await desk.refill("a", decided_by="me")
    assert (unknown.state, unknown.error_kind) == (R.UNKNOWN, ErrorKind.NETWORK)
    assert await desk.refill("a", decided_by="me") == unknown
    async with world.following(desk):
        await place(world, desk, "b")

    assert len(world.panel.calls("refill")) == 1


async def test_unknown_cancel_is_ended_by_its_order(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    world.panel.fail_next("drop_after", action="cancel")

    unknown = await desk.cancel("a", decided_by="me")
    async with world.following(desk):
        ended = await until(desk, R.FINISHED)

    assert (unknown.state, ended.raw_status) == (R.UNKNOWN, "Canceled")


async def test_answer_that_cannot_be_read_is_kept(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    world.panel.answer_next("cancel", '[{"order": 1, "cancel": "perhaps"}]')

    unknown = await desk.cancel("a", decided_by="me")

    assert unknown.state is R.UNKNOWN
    assert "perhaps" in str(unknown.reason)


async def test_late_answer_after_the_lease_counts(world: World) -> None:
    clock = ShiftedClock()
    desk = await api_v2_desk(world, journal=SQLJournal(world.url, clock=clock))
    await complete(world, desk)
    released = hold_answers(desk._requests.clients["default"], "refill")
    calling = asyncio.create_task(desk.refill("a", decided_by="me"))
    await eventually(lambda: world.panel.calls("refill"))
    clock.advance(241)
    other = await api_v2_desk(world, journal=SQLJournal(world.url, clock=clock))
    assert (await until(other, R.UNKNOWN)).error_kind is ErrorKind.TIMEOUT

    released.set()
    late = await calling

    assert (late.state, late.refill) == (R.ACCEPTED, "1")
    assert await told(desk) == [R.UNKNOWN, R.ACCEPTED]


async def test_second_desk_waits_for_the_attempt_of_the_first(world: World) -> None:
    clock = SteppedClock()
    desk = await api_v2_desk(world)
    other = await api_v2_desk(world, desk_class=timed_desk(clock.clock))
    await place(world, desk)
    released = hold_answers(desk._requests.clients["default"], "cancel")
    calling = asyncio.create_task(desk.cancel("a", decided_by="me"))
    await eventually(lambda: world.panel.calls("cancel"))
    waiting = asyncio.create_task(other.cancel("a", decided_by="me"))
    await eventually(lambda: clock.sleepers)

    released.set()
    accepted = await calling
    clock.advance(10)

    assert accepted.state is R.ACCEPTED
    assert await waiting == accepted
    assert len(world.panel.calls("cancel")) == 1


async def test_attempt_of_another_desk_is_not_waited_for_without_end(world: World) -> None:
    clock = SteppedClock()
    desk = await api_v2_desk(world, desk_class=timed_desk(clock.clock, other_desk_s=-1.0))
    first = await api_v2_desk(world)
    await place(world, first)
    released = hold_answers(first._requests.clients["default"], "cancel")
    calling = asyncio.create_task(first.cancel("a", decided_by="me"))
    await eventually(lambda: world.panel.calls("cancel"))

    assert (await desk.cancel("a", decided_by="me")).state is R.SENDING
    released.set()
    await calling


async def test_outcome_that_cannot_be_recorded_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await api_v2_desk(world, desk_class=timed_desk(outcome_wait_s=0.0))
    await complete(world, desk)

    async def full(*_: object, **__: object) -> OrderRequest:
        raise JournalError("the disk is full")

    monkeypatch.setattr(SQLJournal, "record_request", full)
    with pytest.raises(NoResponseError, match="and the journal could not record it"):
        await desk.refill("a", decided_by="me")

    assert "refill 1" in caplog.text
    assert [each.state for each in await listed(desk)] == [R.SENDING]


async def test_outcome_is_recorded_once_the_journal_is_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    record, failures = SQLJournal.record_request, [1]

    async def fail_once(self: SQLJournal, *args: Any) -> OrderRequest:
        if failures.pop() if failures else 0:
            raise JournalError("the disk is full")
        return await record(self, *args)

    monkeypatch.setattr(SQLJournal, "record_request", fail_once)
    assert (await desk.cancel("a", decided_by="me")).state is R.ACCEPTED


# --- not sent ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", ["1", None])
async def test_rate_limited_request_waits_and_is_sent_by_a_running_desk(
    world: World, seconds: str | None
) -> None:
    clock = ShiftedClock()
    desk = await api_v2_desk(world, journal=SQLJournal(world.url, clock=clock))
    await place(world, desk)
    headers = {} if seconds is None else {"Retry-After": seconds}
    world.panel.answer_next("cancel", "", 429, **headers)

    prepared = await desk.cancel("a", decided_by="me")
    assert (prepared.state, prepared.error_kind) == (R.PREPARED, ErrorKind.RATE_LIMIT)
    clock.advance(60)
    async with world.following(desk):
        await until(desk, R.FINISHED)

    assert len(world.panel.calls("cancel")) == 2


async def test_request_that_never_left_is_postponed(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    client = desk._requests.clients["default"]

    def fail(*_: object) -> None:
        raise NotSentError("no route", action="cancel")

    client._runner._acquire_slot = fail  # type: ignore[method-assign,assignment]
    prepared = await desk.cancel("a", decided_by="me")

    assert (prepared.state, prepared.attempt, prepared.reason) == (R.PREPARED, 0, "no route")
    assert world.panel.calls("cancel") == []


async def test_request_of_a_dead_process_is_sent_by_any_desk(world: World) -> None:
    clock = ShiftedClock()
    desk = await api_v2_desk(world, journal=SQLJournal(world.url, clock=clock))
    await place(world, desk)
    journal = desk._journal
    await journal.create_request("a", CANCEL, decided_by="me", grace=timedelta(0))

    async with world.following(desk):
        await until(desk, R.FINISHED)
    assert len(world.panel.calls("cancel")) == 1


async def test_order_that_ends_first_ends_its_cancel_unsent(world: World) -> None:
    desk = await api_v2_desk(world)
    entry = await place(world, desk)
    journal = desk._journal
    created = await journal.create_request("a", CANCEL, decided_by="me", grace=LATER)
    assert created is not None
    world.panel.set_status(entry.order_id(), "completed")
    async with world.following(desk):
        ended = await until(desk, R.FINISHED)

    assert await desk._requests.sender.send(created) == ended
    assert ended.raw_status == "Completed"
    assert world.panel.calls("cancel") == []


async def test_request_waits_for_a_slot_of_another_desk(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, other = await api_v2_desk(world), await api_v2_desk(world)
    await place(world, desk, "a")
    await place(world, desk, "b")
    released = hold_answers(desk._requests.clients["default"], "cancel")
    first = asyncio.create_task(desk.cancel("a", decided_by="me"))
    await eventually(lambda: world.panel.calls("cancel"))
    counted = asyncio.Event()
    count = other._journal.count_requests

    async def count_and_tell(panel: str) -> int:
        number = await count(panel)
        counted.set()
        return number

    monkeypatch.setattr(other._journal, "count_requests", count_and_tell)
    second = asyncio.create_task(other.cancel("b", decided_by="me"))
    await eventually(counted.is_set)
    assert len(world.panel.calls("cancel")) == 1

    released.set()

    assert [(await each).state for each in (first, second)] == [R.ACCEPTED, R.ACCEPTED]


async def test_request_without_a_slot_in_time_stays_prepared(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk, "a")
    await place(world, desk, "b")
    slow = await api_v2_desk(world, desk_class=timed_desk(slot_wait_s=0.0))
    released = hold_answers(desk._requests.clients["default"], "cancel")
    first = asyncio.create_task(desk.cancel("a", decided_by="me"))
    await eventually(lambda: world.panel.calls("cancel"))

    # Without a turn among this desk's own, and without a slot among those of all.
    assert (await slow.cancel("b", decided_by="me")).state is R.PREPARED
    slow._requests.sender._turns.clear()
    hurried = attrs.evolve(slow._requests.sender, timing=attrs.evolve(slow._timing, slot_wait_s=1))
    client = slow._requests.clients["default"]
    [prepared] = await listed(slow, ref="b")
    assert (await hurried._take_turn(client, prepared, -1.0)).state is R.PREPARED
    released.set()
    await first


async def test_desk_without_the_client_leaves_it_to_others(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    created = await desk._journal.create_request("a", CANCEL, decided_by="me", grace=timedelta(0))
    assert created is not None
    alone = attrs.evolve(desk._requests, clients={})
    with pytest.raises(UnsupportedActionError, match="no client of panel 'default'"):
        await alone.request("a", CANCEL, decided_by="me")

    assert await attrs.evolve(desk._requests.sender, clients={}).send(created) == created
    await attrs.evolve(desk._follower.refill_checks, clients={}).run_once()

    assert await desk._journal.due_requests(9, ahead=LATER) == [created]
    assert desk._requests.tasks == {}


# --- closing -------------------------------------------------------------------------------------


async def test_closing_gives_a_request_time_to_end(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    released = hold_answers(desk._requests.clients["default"], "cancel")
    calling = asyncio.create_task(desk.cancel("a", decided_by="me"))
    await eventually(lambda: world.panel.calls("cancel"))
    closing = asyncio.create_task(desk.aclose())
    released.set()
    await closing

    assert (await calling).state is R.ACCEPTED
    with pytest.raises(ClosedError):
        await desk.cancel("a", decided_by="me")


async def test_request_in_flight_at_the_end_of_closing_is_left_to_its_lease(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await api_v2_desk(world, desk_class=timed_desk(close_grace_s=0.0))
    await place(world, desk)
    hold_answers(desk._requests.clients["default"], "cancel")
    calling = asyncio.create_task(desk.cancel("a", decided_by="me"))
    await eventually(lambda: world.panel.calls("cancel"))

    await desk.aclose()

    with pytest.raises(ClosedError, match="the desk was closed"):
        await calling
    assert "the cancel of 'a' is being sent" in caplog.text
    other = await api_v2_desk(world)
    assert [each.state for each in await listed(other)] == [R.SENDING]


async def test_closing_while_an_outcome_is_recorded_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await api_v2_desk(world, desk_class=timed_desk(close_grace_s=0.0))
    await place(world, desk)
    entered = asyncio.Event()

    async def stuck(*_: object) -> OrderRequest:
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(SQLJournal, "record_request", stuck)
    calling = asyncio.create_task(desk.cancel("a", decided_by="me"))
    await entered.wait()
    await desk.aclose()

    with pytest.raises(ClosedError):
        await calling
    assert "closed before the journal recorded it" in caplog.text


async def test_closed_client_is_said_and_nothing_is_sent(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    await desk._requests.clients["default"].aclose()

    with pytest.raises(ClosedError):
        await desk.cancel("a", decided_by="me")
    assert [each.state for each in await listed(desk)] == [R.PREPARED]


async def test_bug_in_a_request_is_logged_and_raised(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    client = desk._requests.clients["default"]
    client._runner.send_once = None  # type: ignore[method-assign,assignment]

    with pytest.raises(TypeError):
        await desk.cancel("a", decided_by="me")
    assert "the cancel of 'a' failed" in caplog.text


async def test_request_that_has_vanished_is_an_error(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    created = await desk._journal.create_request("a", CANCEL, decided_by="me", grace=LATER)
    assert created is not None

    with pytest.raises(JournalError, match="has lost a cancel of 'a'"):
        await desk._requests.sender._reload(attrs.evolve(created, number=7))


# --- decisions -----------------------------------------------------------------------------------


async def unknown_refill(world: World, desk: OrderDesk) -> None:
    await complete(world, desk)
    world.panel.fail_next("drop_after", action="refill")
    assert (await desk.refill("a", decided_by="me")).state is R.UNKNOWN


async def test_refill_resolved_with_its_id_is_followed(world: World) -> None:
    desk = await api_v2_desk(world)
    await unknown_refill(world, desk)
    world.panel.set_refill_status("1", "completed")

    resolved = await desk.resolve_request("a", REFILL, decided_by="me", refill=1)
    async with world.following(desk):
        ended = await until(desk, R.FINISHED)

    assert (resolved.state, resolved.refill, ended.raw_status) == (R.ACCEPTED, "1", "Completed")


async def test_refill_resolved_as_made_is_finished(world: World) -> None:
    desk = await api_v2_desk(world)
    await unknown_refill(world, desk)

    resolved = await desk.resolve_request("a", REFILL, decided_by="me", made=True)

    assert (resolved.state, resolved.reason) == (R.FINISHED, "made")


async def test_request_resolved_as_not_made_can_be_made_again(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    world.panel.fail_next("drop_before", action="cancel")
    assert (await desk.cancel("a", decided_by="me")).state is R.UNKNOWN

    resolved = await desk.resolve_request("a", CANCEL, decided_by="me", made=False)
    again = await desk.cancel("a", decided_by="me")

    assert (resolved.state, resolved.reason) == (R.REFUSED, "not made")
    assert (again.number, again.state) == (2, R.ACCEPTED)


async def test_cancel_resolved_as_made_waits_for_its_order(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    world.panel.fail_next("drop_after", action="cancel")
    await desk.cancel("a", decided_by="me")

    resolved = await desk.resolve_request("a", CANCEL, decided_by="me", made=True)
    async with world.following(desk):
        await until(desk, R.FINISHED)

    assert resolved.state is R.ACCEPTED


async def test_accepted_cancel_that_is_not_carried_out_can_be_ended(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    world.panel.answer_next("cancel", '[{"order": 1, "cancel": 1}]')
    await desk.cancel("a", decided_by="me")

    with pytest.raises(InvalidOrderError, match="has a cancel that is accepted; only unknown"):
        await desk.resolve_request("a", CANCEL, decided_by="me", made=True)
    ended = await desk.resolve_request("a", CANCEL, decided_by="me", made=False)

    assert ended.state is R.REFUSED


@pytest.mark.parametrize(
    ("kind", "options", "field"),
    [
        (REFILL, {}, "made"),
        (REFILL, {"refill": 1, "made": True}, "made"),
        (CANCEL, {"refill": 1}, "made"),
        (REFILL, {"refill": "x y"}, "refill"),
        ("mend", {"made": True}, "kind"),
        (REFILL, {"made": True}, "ref"),
    ],
)
async def test_resolving_with_invalid_arguments_changes_nothing(
    world: World, kind: Any, options: dict[str, Any], field: str
) -> None:
    desk = await api_v2_desk(world)

    with pytest.raises(InvalidOrderError) as caught:
        await desk.resolve_request("a", kind, decided_by="me", **options)
    assert caught.value.field == field


async def test_order_events_tell_what_a_cancel_did(world: World) -> None:
    desk = await api_v2_desk(world)
    await place(world, desk)
    await desk.cancel("a", decided_by="me")
    async with world.following(desk):
        await until(desk, R.FINISHED)

    kinds = [each.kind for each in await read_events(desk)]
    assert kinds == [
        EventKind.ACCEPTED, EventKind.CANCEL_CHANGED, EventKind.FINISHED, EventKind.CANCEL_CHANGED,
    ]  # fmt: skip


async def test_client_refuses_a_request_that_the_panel_does_not_have(world: World) -> None:
    client: Client = await world.client(retry=RetryPolicy(max_attempts=1))

    async def before() -> float:
        raise AssertionError

    with pytest.raises(UnsupportedActionError):
        await client.send_request("cancel", 1, before=before)


async def test_turn_that_does_not_come_leaves_the_request_prepared(world: World) -> None:
    desk = await api_v2_desk(world, desk_class=timed_desk(slot_wait_s=0.0))
    await place(world, desk)
    created = await desk._journal.create_request("a", CANCEL, decided_by="me", grace=LATER)
    assert created is not None
    desk._requests.sender._turns["default"] = asyncio.Semaphore(0)

    assert await desk._requests.sender.send(created) == created


async def test_request_that_has_not_started_at_the_end_of_closing_stays_prepared(
    world: World,
) -> None:
    desk = await api_v2_desk(world, desk_class=timed_desk(close_grace_s=0.0))
    await place(world, desk)
    waiting = asyncio.Event()

    async def wait_for_ever(*_: object) -> None:
        waiting.set()
        await asyncio.Event().wait()

    runner = desk._requests.clients["default"]._runner
    runner._acquire_slot = wait_for_ever  # type: ignore[method-assign]
    calling = asyncio.create_task(desk.cancel("a", decided_by="me"))
    await waiting.wait()
    await desk.aclose()

    with pytest.raises(ClosedError):
        await calling
    assert [each.state for each in await listed(await api_v2_desk(world))] == [R.PREPARED]


async def test_order_at_another_panel_is_canceled_and_refilled_there(world: World) -> None:
    async with Panel(dialect="api-v2", services=SERVICES, balance=Decimal(10**6)) as second:
        first = await world.client(profile=PROFILE)
        retry = RetryPolicy(max_attempts=1)
        options: dict[str, Any] = {"profile": PROFILE, "retry": retry}
        async with Client(second.api_key, base_url=second.url, **options) as client:
            clients: Any = {"one": first, "two": client}
            desk = await world.desk(clients, account="shop", products={"likes": {"two": 1}})
            for ref in "ab":
                await place(world, desk, ref, service="likes")
            second.set_status(1, "completed")
            async with world.following(desk):
                await in_state(desk, "a", S.FINISHED)
                refill = await desk.refill("a", decided_by="me")
                await desk.cancel("b", decided_by="me")
                await until(desk, R.FINISHED, "b")
                second.set_refill_status(1, "completed")
                await until(desk, R.FINISHED, "a")

            assert (refill.state, refill.panel) == (R.ACCEPTED, "two")
            assert [len(second.calls(each)) for each in ("refill", "cancel")] == [1, 1]
            assert not any(world.panel.calls(each) for each in ("refill", "cancel"))
            assert await desk._journal.count_requests("two") == 0
