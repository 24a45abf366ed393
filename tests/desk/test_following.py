"""Following: every order to its end, in few calls, through outages, by any number of desks."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from smmfanfast_async import SMMFANFAST, RetryPolicy
from smmfanfast_async._engine.policy import PollPolicy
from smmfanfast_async.desk import OrderDesk, following
from smmfanfast_async.errors import (
    AuthenticationError,
    ClosedError,
    JournalError,
    OrderNotFoundError,
)
from smmfanfast_async.journal import Claim, Entry, EventKind, NewEntry
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault
from smmfanfast_async.sandbox.replies import HttpReply

from .world import Clock, S, World, in_state, order, soon, told

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
SELDOM = PollPolicy(min_interval_s=600.0, max_interval_s=600.0)


async def placed(desk: OrderDesk, count: int) -> list[Entry]:
    return [await desk.place(order(n), ref=f"r{n}") for n in range(count)]


async def are_in(desk: OrderDesk, state: S, count: int) -> None:
    async def look() -> bool:
        return (await desk.summary()).by_state.get(state) == count

    await soon(look)


def ids_of(form: Mapping[str, str]) -> list[str]:
    return (form.get("orders") or form["order"]).split(",")


@pytest.mark.asyncio
async def test_an_order_is_followed_until_it_is_final(world: World) -> None:
    desk = await world.desk()
    (entry,) = await placed(desk, 1)

    async with world.following(desk):
        for word in ("processing", "in progress", "completed"):
            world.panel.set_status(entry.order_id(), word)
            await soon(lambda word=word: _has(desk, "r0", word))
        await in_state(desk, "r0", S.FINISHED)

    kinds = [each.kind for each in await told(desk)]
    assert kinds[0] is EventKind.ACCEPTED
    assert set(kinds[1:-1]) <= {EventKind.CHANGED}
    assert kinds[-1] is EventKind.FINISHED


async def _has(desk: OrderDesk, ref: str, word: str) -> bool:
    entry = await desk.find(ref)
    return entry is not None and entry.raw_status == word


@pytest.mark.asyncio
async def test_250_orders_are_three_calls(world: World) -> None:
    desk = await world.desk(record_balance=False)
    await placed(desk, 250)
    world.panel.finish_all()

    async with world.following(desk):
        await are_in(desk, S.FINISHED, 250)

    calls = [len(ids_of(form)) for form in world.panel.asked("status")]
    assert sorted(calls) == [50, 100, 100]


@BOTH
@pytest.mark.asyncio
async def test_two_followers_share_the_work_and_ask_about_each_order_once(world: World) -> None:
    desks = [await world.desk(record_balance=False) for _ in range(2)]
    await placed(desks[0], 120)
    world.panel.finish_all()

    async with world.following(*desks):
        await are_in(desks[0], S.FINISHED, 120)

    asked = Counter(each for form in world.panel.asked("status") for each in ids_of(form))
    assert set(asked.values()) == {1}
    assert len(asked) == 120


@pytest.mark.asyncio
async def test_follow_called_twice_in_one_desk_does_the_work_once(world: World) -> None:
    desk = await world.desk()
    await placed(desk, 5)
    world.panel.finish_all()

    async with world.following(desk, desk):
        await are_in(desk, S.FINISHED, 5)

    asked = [each for form in world.panel.asked("status") for each in ids_of(form)]
    assert sorted(asked) == sorted(world.panel.orders)


@pytest.mark.asyncio
async def test_a_running_desk_sends_what_a_dead_one_wrote_down(world: World) -> None:
    class Later(SQLJournal):
        async def begin(self, *_: object, **__: object) -> None:
            raise JournalError("is dead")

    dead = await world.desk(journal=Later(world.url))
    with pytest.raises(JournalError):
        await dead.place(order(), ref="a")
    clock = Clock()
    desk = await world.desk(journal=SQLJournal(world.url, clock=clock))
    async with world.following(desk):
        await asyncio.sleep(0.1)
        assert not world.panel.orders, "it is left to its caller at first"
        clock.ahead = timedelta(seconds=61)
        await in_state(desk, "a", S.ACCEPTED)

    assert len(world.panel.orders) == 1


@pytest.mark.asyncio
async def test_an_outage_marks_nothing_and_is_asked_about_seldom(world: World) -> None:
    client = await world.client()
    client._runner.rng = lambda: 0.0
    desk = await world.desk(client)
    entries = await placed(desk, 30)
    before = [entry async for entry in desk.entries()]
    world.panel.fail_at_rate(Fault.HTTP_503, rate=1.0)

    async with world.following(desk) as (task,):
        await soon(lambda: desk._follower.backoff.failures)
        await asyncio.sleep(0.5)
        first = len(world.panel.asked("status"))
        await asyncio.sleep(0.5)
        later = len(world.panel.asked("status")) - first
        during = [entry async for entry in desk.entries()]
        assert not task.done()

    assert during == before
    assert len(entries) == 30
    # The first call is made again and in halves, as far as the client's quota goes: 100 times.
    assert first <= 140
    assert later <= 5


@pytest.mark.asyncio
async def test_while_calls_fail_there_is_one_at_a_time_and_it_is_made_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "CLAIM_S", 0.0)
    desk = await world.desk(await world.client(retry=RetryPolicy(max_attempts=3, base_delay_s=0.0)))
    await placed(desk, 8)
    desk._follower.backoff.failures = 1
    world.panel.fail_at_rate(Fault.HTTP_503, rate=1.0, action="status")

    async with world.following(desk):
        await asyncio.sleep(1.0)

    # 0.1 + 0.2 × 4 s of quiet
    assert 3 <= len(world.panel.asked("status")) <= 7


@BOTH
@pytest.mark.asyncio
async def test_too_often_pauses_every_desk_on_the_journal(world: World) -> None:
    desks = [await world.desk(record_balance=False) for _ in range(2)]
    await placed(desks[0], 3)
    world.panel.fail_at_rate(Fault.RATE_LIMIT, rate=1.0, action="status", retry_after_s=60)

    async with world.following(*desks):
        await soon(lambda: world.panel.asked("status"))
        await asyncio.sleep(0.3)
        quiet_s = [desk._follower.backoff.until_s - time.monotonic() for desk in desks]

    # Each has one call under way before it hears of the other's.
    assert len(world.panel.asked("status")) <= 2
    assert all(50 < each <= 75 for each in quiet_s), quiet_s


@pytest.mark.asyncio
async def test_a_pause_past_the_calendar_is_bounded(world: World) -> None:
    desk = await world.desk(record_balance=False)
    await placed(desk, 1)
    said = json.dumps({"error": "Too many requests"})
    world.panel.say("status", said, 429, **{"Retry-After": "9" * 12})

    async with world.following(desk) as (task,):
        await soon(lambda: desk._follower.backoff.failures)
        assert not task.done()

    assert desk._follower.backoff.until_s - time.monotonic() <= 915


@pytest.mark.asyncio
async def test_ids_that_are_missing_extra_or_bad_harm_nothing_beside_them(world: World) -> None:
    clock = Clock()
    journal = SQLJournal(world.url, clock=clock)
    desk = await world.desk(journal=journal, poll=SELDOM, record_balance=False)
    entries = await placed(desk, 4)
    clock.ahead = timedelta(seconds=601)
    ids = [each.order_id() for each in entries]
    row = {"charge": "1", "start_count": "5", "status": "Completed", "remains": "0"}
    rows: dict[str, Any] = {
        ids[0]: row, ids[1]: "Incorrect order ID", ids[3]: row | {"status": "Levitating"},
        "99999": row,
    }  # fmt: skip
    world.panel.say("status", json.dumps(rows))

    async with world.following(desk):
        await in_state(desk, "r0", S.FINISHED)

    found = {entry.ref: entry async for entry in desk.entries()}
    assert [found[f"r{n}"].miss_count for n in range(4)] == [0, 1, 0, 0]
    assert found["r1"].state is S.ACCEPTED
    assert found["r2"].checked_at is None, "what the answer left out is not touched"
    due_at = await desk._journal.next_due()
    assert due_at is not None
    assert (due_at - clock()).total_seconds() > 400, "and asked about at the usual time"
    assert found["r3"].raw_status == "Levitating"
    assert found["r3"].state is S.ACCEPTED


@pytest.mark.asyncio
async def test_an_order_that_the_panel_forgets_is_told_once_and_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.desk()
    await placed(desk, 1)
    world.panel.watch = lambda form: (
        world.panel.say("status", '{"error": "Incorrect order ID"}')
        if form["action"] == "status"
        else None
    )

    async with world.following(desk) as (task,):
        await soon(lambda: len(world.panel.asked("status")) > 6)
        assert not task.done()

    entry = await in_state(desk, "r0", S.ACCEPTED)
    assert entry.miss_count > 3
    assert [each.kind.value for each in await told(desk)] == ["accepted", "missing"]


@pytest.mark.asyncio
async def test_what_is_missing_for_long_is_asked_as_seldom_as_what_stands_still(
    world: World,
) -> None:
    desk = await world.desk(poll=PollPolicy(), rng=lambda: 0.5)
    (entry,) = await placed(desk, 1)
    follower, now = desk._follower, entry.created_at + timedelta(days=1)

    def wait_s(misses: int) -> float:
        claim = Claim(key=1, number=1, entry=attrs.evolve(entry, miss_count=misses))
        due = follower._due_at(claim, OrderNotFoundError("gone"), now)
        return (due - now).total_seconds()

    assert [wait_s(misses) for misses in range(5)] == [600, 5, 5, 600, 600]


@pytest.mark.asyncio
async def test_a_status_that_goes_back_is_followed_and_a_final_one_stays(world: World) -> None:
    desk = await world.desk()
    (entry,) = await placed(desk, 1)

    async with world.following(desk):
        for word in ("in progress", "pending", "canceled"):
            world.panel.set_status(entry.order_id(), word)
            await soon(lambda word=word: _has(desk, "r0", word))
        await in_state(desk, "r0", S.FINISHED)
        calls = len(world.panel.asked("status"))
        await asyncio.sleep(0.1)

    assert len(world.panel.asked("status")) == calls


@pytest.mark.asyncio
async def test_a_refused_key_ends_follow_with_one_error_and_marks_nothing(world: World) -> None:
    desk = await world.desk()
    await placed(desk, 3)
    world.panel.say("status", '{"error": "Invalid API key"}')

    with pytest.raises(AuthenticationError):
        await asyncio.wait_for(desk.follow(), 10)

    assert (await desk.summary()).by_state == {S.ACCEPTED: 3}


@pytest.mark.asyncio
async def test_a_key_that_is_refused_to_orders_ends_follow_before_it_costs_them_all(
    world: World,
) -> None:
    desk = await world.desk(record_balance=False)
    for n in range(30):
        await desk._journal.create(await _new(desk, f"r{n}"))
    for _ in range(30):
        world.panel.say("add", '{"error": "Invalid API key"}')

    with pytest.raises(AuthenticationError):
        await asyncio.wait_for(desk.follow(), 10)

    assert (await desk.summary()).by_state[S.PREPARED] >= 20


def refuse_with(world: World, bad: str) -> None:
    """Let the panel refuse a call whole that has one id in it."""

    def refuse(form: Mapping[str, str]) -> None:
        if form["action"] == "status" and bad in ids_of(form):
            world.panel.say("status", '{"error": "Incorrect order ID"}')

    world.panel.watch = refuse


@pytest.mark.asyncio
async def test_one_id_that_spoils_a_call_is_found(world: World) -> None:
    desk = await world.desk(record_balance=False)
    entries = await placed(desk, 5)
    refuse_with(world, entries[2].order_id())

    async with world.following(desk):
        await soon(lambda: _missed(desk, "r2"))

    assert [entry.miss_count async for entry in desk.entries() if entry.ref != "r2"] == [0] * 4


@pytest.mark.asyncio
async def test_one_refusal_of_a_whole_call_is_no_word_about_each_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the client's quota is spent, a call that is refused whole is not made in halves."""
    monkeypatch.setattr(following, "CLAIM_S", 0.05)
    client = await world.client()
    desk = await world.desk(client, record_balance=False)
    entries = await placed(desk, 5)
    refuse_with(world, entries[2].order_id())
    client._runner._retry_budget.tokens = -10_000

    async with world.following(desk) as (task,):
        await soon(lambda: len(world.panel.asked("status")) > 10)
        assert not task.done()

    assert [entry.miss_count async for entry in desk.entries() if entry.ref != "r2"] == [0] * 4


async def _missed(desk: OrderDesk, ref: str) -> bool:
    entry = await desk.find(ref)
    return entry is not None and entry.miss_count > 0


@pytest.mark.asyncio
async def test_a_client_that_is_closed_ends_follow(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client)
    await placed(desk, 1)
    task = asyncio.create_task(desk.follow())
    await soon(lambda: world.panel.asked("status"))

    await client.aclose()

    with pytest.raises(ClosedError):
        await asyncio.wait_for(task, 10)


@pytest.mark.asyncio
async def test_a_client_that_is_closed_ends_follow_that_only_sends(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client, record_balance=False)
    await desk._journal.create(await _new(desk, "a"))
    await client.aclose()

    with pytest.raises(ClosedError):
        await asyncio.wait_for(desk.follow(), 10)


async def _new(desk: OrderDesk, ref: str) -> Any:
    now = await desk._journal.now()
    form = {"action": "add", "service": "1", "link": f"https://links.test/{ref}", "quantity": "9"}
    return NewEntry(ref=ref, form=form, due_at=now, budget_day=now.date().isoformat())


@pytest.mark.parametrize("method", [
    "claim", "record_statuses", "due_to_send", "expire_leases", "reschedule_far_future",
    "reserve_call", "now",
])  # fmt: skip
@pytest.mark.parametrize("pace", [None, 60_000])
@pytest.mark.asyncio
async def test_a_database_that_is_gone_for_a_while_does_not_end_follow(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str, pace: int | None
) -> None:
    monkeypatch.setattr(following, "CLAIM_S", 0.1)
    desk = await world.desk(calls_per_minute=pace, record_balance=False)
    await placed(desk, 1)
    world.panel.finish_all()
    real, failures = getattr(SQLJournal, method), 0

    async def failing(self: SQLJournal, *args: Any, **options: Any) -> Any:
        nonlocal failures
        failures += 1
        if failures <= 3:
            raise JournalError("is restarting")
        return await real(self, *args, **options)

    monkeypatch.setattr(SQLJournal, method, failing)
    async with world.following(desk) as (task,):
        await in_state(desk, "r0", S.FINISHED)
        await soon(lambda: failures > 2)
        assert not task.done()


@pytest.mark.asyncio
async def test_a_pause_that_can_not_be_written_does_not_end_follow(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise JournalError("is restarting")

    monkeypatch.setattr(SQLJournal, "pause", gone)
    desk = await world.desk(record_balance=False)
    await placed(desk, 1)
    world.panel.fail_next(Fault.RATE_LIMIT, action="status", retry_after_s=60)

    async with world.following(desk) as (task,):
        await soon(lambda: desk._follower.backoff.failures)
        assert not task.done()


@pytest.mark.asyncio
async def test_claims_whose_turn_is_far_off_are_not_waited_for(world: World) -> None:
    desk = await world.desk(calls_per_minute=60_000, record_balance=False)
    await placed(desk, 1)
    await desk._sender.rate_limit.pause(300.0)

    async with world.following(desk):
        await soon(lambda: desk._follower.backoff.until_s)
        await asyncio.sleep(0.2)

    assert 200 < desk._follower.backoff.until_s - time.monotonic() <= 315
    assert not world.panel.asked("status")
    due_at = await desk._journal.next_due()
    assert due_at is not None
    assert 200 < (due_at - datetime.now(UTC)).total_seconds() <= 315, "no claim holds it longer"


@pytest.mark.asyncio
async def test_a_stop_while_polling_leaves_no_task(world: World) -> None:
    desk = await world.desk()
    await placed(desk, 1)
    world.panel.fail_next(Fault.DELAY, action="status", delay_s=5.0)
    task = asyncio.create_task(desk.follow())
    await soon(lambda: world.panel.asked("status"))
    others = asyncio.all_tasks() - {task}

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    def names() -> set[str]:
        left = asyncio.all_tasks() - others
        return {each.get_coro().__qualname__ for each in left}  # type: ignore[union-attr]

    await soon(lambda: not any(name.startswith("Follower") for name in names()))


@pytest.mark.asyncio
async def test_a_follower_that_was_stopped_past_its_claim_can_not_write(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "CLAIM_S", 0.05)
    stopped, desk = await world.desk(), await world.desk()
    (entry,) = await placed(desk, 1)
    held = asyncio.Event()
    observe, late = stopped._journal.record_statuses, asyncio.Event()
    written: list[Any] = []

    async def observing(observations: Any) -> Any:
        late.set()
        await held.wait()
        written.append(await observe(observations))
        return []

    monkeypatch.setattr(stopped._journal, "record_statuses", observing)
    async with world.following(stopped):
        await asyncio.wait_for(late.wait(), 10)
        world.panel.set_status(entry.order_id(), "completed")
        async with world.following(desk):
            await in_state(desk, "r0", S.FINISHED)
        held.set()
        await soon(lambda: written)

    assert written[0] == []
    assert (await in_state(desk, "r0", S.FINISHED)).raw_status == "completed"


@pytest.mark.asyncio
async def test_one_order_whose_turn_does_not_come_does_not_hold_up_the_others(
    world: World,
) -> None:
    desk = await world.desk(record_balance=False)
    stuck = asyncio.Event()

    async def never() -> Entry:
        await stuck.wait()
        raise ClosedError("over")

    await desk._journal.create(await _new(desk, "stuck"))
    desk._sends["stuck"] = task = asyncio.create_task(never())
    await desk._journal.create(await _new(desk, "next"))

    async with world.following(desk):
        await in_state(desk, "next", S.ACCEPTED)

    task.cancel()
    del desk._sends["stuck"]


@pytest.mark.asyncio
async def test_a_sending_that_was_cancelled_does_not_end_follow(world: World) -> None:
    desk = await world.desk(record_balance=False)

    async def never() -> Entry:
        await asyncio.Event().wait()
        raise ClosedError("over")

    await desk._journal.create(await _new(desk, "a"))
    desk._sends["a"] = stuck = asyncio.create_task(never())
    stuck.add_done_callback(lambda done: desk._sent("a", done))

    async with world.following(desk):
        await asyncio.sleep(0.1)
        stuck.cancel()
        await in_state(desk, "a", S.ACCEPTED)


@pytest.mark.asyncio
async def test_what_can_not_be_sent_is_tried_again_and_told(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begin, tries = SQLJournal.start_attempt, 0

    async def failing(self: SQLJournal, *args: Any, **options: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise JournalError("is full")
        return await begin(self, *args, **options)

    monkeypatch.setattr(SQLJournal, "start_attempt", failing)
    desk = await world.desk(record_balance=False)
    await desk._journal.create(await _new(desk, "a"))

    async with world.following(desk):
        await in_state(desk, "a", S.ACCEPTED)

    assert caplog.text.count("'a' could not be sent: journal: is full") == 2
    assert len(world.panel.orders) == 1


@pytest.mark.parametrize("count", [2])
@pytest.mark.asyncio
async def test_the_pace_holds_over_two_desks(world: World, count: int) -> None:
    desks = [await world.desk(calls_per_minute=1200) for _ in range(count)]
    times_s: list[float] = []

    def note(form: Mapping[str, str]) -> None:
        if form["action"] != "services":
            times_s.append(time.monotonic())

    world.panel.watch = note
    async with world.following(*desks):
        await asyncio.gather(
            *(desk.place(order((desk is desks[0], n)), ref=f"{id(desk)}-{n}")
              for n in range(3) for desk in desks)
        )  # fmt: skip
        await asyncio.sleep(0.5)

    # 20 a second, and a few that were late do not count.
    assert len(times_s) >= 12
    assert len(times_s) <= (times_s[-1] - times_s[0]) * 20 + 3


@pytest.mark.asyncio
async def test_what_a_look_at_nothing_but_errors_gives_is_no_change(world: World) -> None:
    desk = await world.desk()
    await placed(desk, 2)
    world.panel.says["status"] = [HttpReply(http_status=500) for _ in range(12)]

    async with world.following(desk):
        await soon(lambda: desk._follower.backoff.failures)

    assert [entry.checked_at async for entry in desk.entries()] == [None, None]


@pytest.mark.asyncio
async def test_the_lapse_of_a_lease_is_told_to_readers_of_events(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.desk()
    entry = await desk._journal.create(await _new(desk, "a"))
    begun = await desk._journal.start_attempt(
        "a", entry.attempt, lease=timedelta(0), max_in_flight=1
    )
    assert begun is not None

    async with world.following(desk):
        await in_state(desk, "a", S.UNKNOWN)

    assert [each.kind.value for each in await told(desk)] == ["unknown"]


@pytest.mark.asyncio
async def test_a_sending_went_on_unless_it_is_to_be_tried_again() -> None:
    async def sent(state: S) -> Entry:
        return Entry(ref="a", state=state, created_at=datetime.now(UTC))

    tasks = {state: asyncio.create_task(sent(state)) for state in S}
    await asyncio.wait(tasks.values())

    assert {state for state, task in tasks.items() if not following._went_on(task)} == {S.PREPARED}


@BOTH
@pytest.mark.asyncio
async def test_a_panels_own_word_for_an_end_ends_an_order(world: World) -> None:
    profile = attrs.evolve(SMMFANFAST, final_statuses=frozenset({"processing"}))
    desk = await world.desk(await world.client(profile=profile))
    (entry,) = await placed(desk, 1)
    world.panel.set_status(entry.order_id(), "processing")

    async with world.following(desk):
        entry = await in_state(desk, "r0", S.FINISHED)

    assert entry.raw_status == "processing"
    assert [each.kind for each in await told(desk)][-1] is EventKind.FINISHED
