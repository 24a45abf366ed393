"""After an outage: what a failed call was about is looked at again soon, by whoever follows.

Claims last 120 s here as everywhere, and a test waits for 20 s: what is found has not waited for
its claim to be over.
"""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from smmfanfast_async._engine.policy import PollPolicy
from smmfanfast_async.desk import OrderDesk, following
from smmfanfast_async.errors import AuthenticationError, ClosedError, JournalError
from smmfanfast_async.journal import Claim, Entry
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault

from .world import Clock, S, World, in_state, order, soon

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])


async def quick_desk(world: World, **options: Any) -> OrderDesk:
    """Give a desk whose client does not wait before it repeats a call, whole or in halves."""
    client = await world.client()
    client._runner.rng = lambda: 0.0
    return await world.desk(client, record_balance=False, **options)


async def placed(desk: OrderDesk, count: int) -> list[Entry]:
    return [await desk.place(order(n), ref=f"r{n}") for n in range(count)]


async def all_finish(desk: OrderDesk, count: int) -> None:
    async def look() -> bool:
        return (await desk.summary()).by_state == {S.FINISHED: count}

    await soon(look)


# --- what failed whole ---------------------------------------------------------------------------


@BOTH
@pytest.mark.asyncio
async def test_looks_go_on_after_the_panel_was_gone(world: World) -> None:
    desk = await quick_desk(world)
    await placed(desk, 130)
    world.panel.finish_all()
    await world.panel.close()

    async with world.following(desk):
        await soon(lambda: desk._follower.backoff.failures > 2)
        await world.panel.start()
        await all_finish(desk, 130)


@BOTH
@pytest.mark.parametrize("fault", [Fault.HTTP_503, Fault.RATE_LIMIT, Fault.DROP_BEFORE])
@pytest.mark.asyncio
async def test_looks_go_on_after_calls_that_failed_whole(world: World, fault: Fault) -> None:
    desk = await quick_desk(world)
    await placed(desk, 30)
    world.panel.finish_all()
    world.panel.fail_at_rate(fault, rate=1.0, action="status", retry_after_s=0)

    async with world.following(desk):
        await soon(lambda: desk._follower.backoff.failures)
        world.panel.clear_faults()
        await all_finish(desk, 30)


@BOTH
@pytest.mark.asyncio
async def test_a_key_that_is_taken_again_finds_its_orders_due(world: World) -> None:
    desk = await quick_desk(world)
    await placed(desk, 3)
    world.panel.finish_all()
    world.panel.say("status", '{"error": "Invalid API key"}')
    with pytest.raises(AuthenticationError):
        await asyncio.wait_for(desk.follow(), 10)

    async with world.following(desk):
        await all_finish(desk, 3)


@BOTH
@pytest.mark.asyncio
async def test_a_failure_marks_nothing_and_sets_a_time_soon_that_grows(world: World) -> None:
    clock = Clock()
    journal = SQLJournal(world.url, clock=clock)
    desk = await quick_desk(world, journal=journal, rng=lambda: 0.5)
    await placed(desk, 1)
    before = [entry async for entry in desk.entries()]
    world.panel.fail_at_rate(Fault.HTTP_503, rate=1.0, action="status")
    waits_s: list[float] = []
    give_back = desk._journal.release

    async def noted(claims: Any) -> None:
        waits_s.extend((due_at - clock()).total_seconds() for _, due_at in claims)
        await give_back(claims)

    desk._follower.journal.release = noted  # type: ignore[method-assign]
    async with world.following(desk):
        await soon(lambda: len(waits_s) >= 5)

    assert [entry async for entry in desk.entries()] == before
    # 0.05 s, doubling up to 0.2, and a quarter more by half of the spread.
    assert waits_s[:5] == pytest.approx([0.0625, 0.125, 0.25, 0.25, 0.25], abs=0.03)


@BOTH
@pytest.mark.asyncio
async def test_machines_that_met_an_outage_together_ask_seldom_and_not_in_step(
    world: World,
) -> None:
    desks = [await quick_desk(world) for _ in range(4)]
    await placed(desks[0], 40)
    world.panel.finish_all()
    world.panel.fail_at_rate(Fault.HTTP_503, rate=1.0, action="status")

    async with world.following(*desks):
        await soon(lambda: all(desk._follower.backoff.failures > 2 for desk in desks))
        begun = len(world.panel.asked("status"))
        await asyncio.sleep(1.0)
        calls = len(world.panel.asked("status")) - begun
        ends_s = {desk._follower.backoff.until_s for desk in desks}
        world.panel.clear_faults()
        before = len(world.panel.asked("status"))
        await all_finish(desks[0], 40)
        after = world.panel.asked("status")[before:]

    # Each asks about one order once in 0.2 s or more.
    assert calls <= 4 * 6
    assert len(ends_s) == 4
    asked = [each for form in after for each in (form.get("orders") or form["order"]).split(",")]
    assert len(asked) == len(set(asked)) == 40


# --- what was stopped ----------------------------------------------------------------------------


@BOTH
@pytest.mark.asyncio
async def test_who_is_stopped_leaves_its_orders_to_the_next(world: World) -> None:
    desk = await world.desk(record_balance=False)
    await placed(desk, 3)
    world.panel.finish_all()
    world.panel.fail_next(Fault.DELAY, action="status", delay_s=60.0)
    async with world.following(desk):
        await soon(lambda: world.panel.asked("status"))

    other = await world.desk()
    async with world.following(other):
        await all_finish(other, 3)


@pytest.mark.asyncio
async def test_who_is_stopped_while_it_claims_gives_back_what_it_gets(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.desk(record_balance=False)
    await placed(desk, 1)
    claim, claiming = SQLJournal.claim, asyncio.Event()

    async def slow(self: SQLJournal, limit: int, *, lease: timedelta) -> list[Claim]:
        claims = await claim(self, limit, lease=lease)
        claiming.set()
        await asyncio.sleep(0.05)
        return claims

    monkeypatch.setattr(SQLJournal, "claim", slow)
    async with world.following(desk):
        await claiming.wait()

    due_at = await desk._journal.next_due()

    assert due_at is not None
    assert due_at <= await desk._journal.now()


@pytest.mark.asyncio
async def test_who_is_stopped_while_it_waits_for_its_turn_leaves_its_orders_too(
    world: World,
) -> None:
    desk = await world.desk(calls_per_minute=60_000, record_balance=False)
    await placed(desk, 1)
    world.panel.finish_all()
    await desk._sender.rate_limit.pause(25.0)
    async with world.following(desk):
        await asyncio.sleep(0.2)
    assert not world.panel.asked("status")

    due_at = await desk._journal.next_due()

    assert due_at is not None
    assert due_at <= await desk._journal.now()


@pytest.mark.asyncio
async def test_a_client_that_is_closed_under_a_look_gives_the_orders_back(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client, record_balance=False)
    await placed(desk, 1)
    world.panel.fail_next(Fault.DELAY, action="status", delay_s=60.0)
    task = asyncio.create_task(desk.follow())
    await soon(lambda: world.panel.asked("status"))
    await client.aclose()
    with pytest.raises(ClosedError):
        await asyncio.wait_for(task, 10)

    due_at = await desk._journal.next_due()

    assert due_at is not None
    assert (due_at - await desk._journal.now()).total_seconds() < 2


@pytest.mark.asyncio
async def test_a_journal_that_hangs_does_not_hold_up_who_is_stopped_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(following, "RELEASE_S", 0.05)
    monkeypatch.setattr(SQLJournal, "release", hangs)
    desk = await world.desk(record_balance=False)
    await placed(desk, 1)
    world.panel.fail_next(Fault.DELAY, action="status", delay_s=60.0)
    task = asyncio.create_task(desk.follow())
    await soon(lambda: world.panel.asked("status"))

    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)

    assert done == {task}
    assert task.cancelled()


@pytest.mark.asyncio
async def test_what_can_not_be_given_back_is_due_once_its_claim_is_over(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def gone(*_: object) -> None:
        raise JournalError("is restarting")

    monkeypatch.setattr(following, "CLAIM_S", 0.3)
    monkeypatch.setattr(SQLJournal, "release", gone)
    desk = await world.desk(record_balance=False)
    await placed(desk, 1)
    world.panel.finish_all()
    world.panel.fail_next(Fault.HTTP_503, times=2, action="status")

    async with world.following(desk):
        await all_finish(desk, 1)

    assert "is restarting" in caplog.text


# --- what is left out, and what the clock did ----------------------------------------------------


@pytest.mark.asyncio
async def test_what_an_answer_leaves_out_is_asked_about_as_often_as_others(world: World) -> None:
    desk = await world.desk(record_balance=False)
    entries = await placed(desk, 2)
    row = {"charge": "1", "start_count": "5", "status": "Pending", "remains": "0"}
    left_out = entries[1].order_id()

    def leave_out(form: Any) -> None:
        if form["action"] == "status" and "," in form.get("orders", ""):
            world.panel.say("status", json.dumps({entries[0].order_id(): row}))

    world.panel.watch = leave_out
    async with world.following(desk) as (task,):
        await soon(lambda: sum(left_out in str(form) for form in world.panel.seen) > 4)
        assert not task.done()


@BOTH
@pytest.mark.asyncio
async def test_a_clock_that_was_set_back_puts_no_look_and_no_order_off(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "RESCHEDULE_ORDERS", 2)
    clock = Clock()
    clock.ahead = timedelta(hours=3)
    poll = PollPolicy(min_interval_s=600.0, max_interval_s=600.0)
    journal = SQLJournal(world.url, clock=clock)
    desk = await world.desk(journal=journal, poll=poll, record_balance=False)
    await placed(desk, 5)
    world.panel.finish_all()

    clock.ahead = timedelta(0)

    async with world.following(desk):
        await all_finish(desk, 5)


@pytest.mark.asyncio
async def test_what_this_desk_itself_puts_off_is_not_hastened(world: World) -> None:
    clock = Clock()
    poll = PollPolicy(min_interval_s=86_400.0, max_interval_s=86_400.0)
    journal = SQLJournal(world.url, clock=clock)
    desk = await world.desk(journal=journal, poll=poll, record_balance=False)
    await placed(desk, 1)
    clock.ahead = timedelta(days=1, seconds=1)

    async with world.following(desk):
        await soon(lambda: world.panel.asked("status"))
        await asyncio.sleep(0.3)

    assert len(world.panel.asked("status")) == 1
    assert (await in_state(desk, "r0", S.ACCEPTED)).checked_at is not None
