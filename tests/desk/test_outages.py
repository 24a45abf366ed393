"""After an outage: orders of a failed call are checked again soon, by any desk that follows.

Claims last 120 s by the journal's clock, and a test waits for 60 s: no order that a test sees
checked has waited for its claim to expire.
"""

import asyncio
import json
import time
from datetime import timedelta
from typing import Any

import attrs
import pytest

from smmfanfast_async import SMMFANFAST
from smmfanfast_async._engine.policy import PollPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.errors import AuthenticationError, ClosedError, JournalError
from smmfanfast_async.journal import Claim, Entry
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault

from .world import (
    WAIT_S,
    S,
    ShiftedClock,
    World,
    eventually,
    in_state,
    order,
    timed_desk,
)

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])


async def quick_desk(
    world: World, *, ids_per_call: int = 100, concurrency: int = 10, **options: Any
) -> OrderDesk:
    """Return a desk whose client does not wait before it retries or bisects a call."""
    profile = attrs.evolve(SMMFANFAST, ids_per_call=ids_per_call, concurrency=concurrency)
    client = await world.client(profile=profile)
    client._runner.rng = lambda: 0.0
    return await world.desk(client, record_balance=False, **options)


async def placed(desk: OrderDesk, count: int) -> list[Entry]:
    return [await desk.place(order(n), ref=f"r{n}") for n in range(count)]


async def all_finish(desk: OrderDesk, count: int) -> None:
    async def are_finished() -> bool:
        return (await desk.summary()).by_state == {S.FINISHED: count}

    await eventually(are_finished)


# --- failed calls --------------------------------------------------------------------------------


@BOTH
@pytest.mark.asyncio
async def test_checks_continue_after_the_panel_was_down(world: World) -> None:
    desk = await quick_desk(world, ids_per_call=5)
    await placed(desk, 13)
    world.panel.finish_all()
    await world.panel.close()

    async with world.following(desk):
        await eventually(lambda: desk._follower.backoff.failures > 2)
        await world.panel.start()
        await all_finish(desk, 13)


@BOTH
@pytest.mark.parametrize("fault", [Fault.HTTP_503, Fault.RATE_LIMIT, Fault.DROP_BEFORE])
@pytest.mark.asyncio
async def test_checks_continue_after_failed_calls(world: World, fault: Fault) -> None:
    # One call at a time: in a second one, some orders might fail alone as the fault is cleared.
    desk = await quick_desk(world, concurrency=1)
    await placed(desk, 8)
    world.panel.finish_all()
    world.panel.fail_at_rate(fault, rate=1.0, action="status", retry_after_s=0)

    async with world.following(desk):
        await eventually(lambda: desk._follower.backoff.failures)
        world.panel.clear_faults()
        await all_finish(desk, 8)


@BOTH
@pytest.mark.asyncio
async def test_orders_are_due_once_the_key_is_accepted_again(world: World) -> None:
    desk = await quick_desk(world)
    await placed(desk, 3)
    world.panel.finish_all()
    for action in ("status", "balance"):
        world.panel.answer_next(action, '{"error": "Invalid API key"}')
    with pytest.raises(AuthenticationError):
        await asyncio.wait_for(desk.follow(), WAIT_S)

    async with world.following(desk):
        await all_finish(desk, 3)


@BOTH
@pytest.mark.asyncio
async def test_failed_call_releases_claims_with_growing_backoff(world: World) -> None:
    clock = ShiftedClock()
    journal = SQLJournal(world.url, clock=clock)
    desk = await quick_desk(world, journal=journal, rng=lambda: 0.5)
    await placed(desk, 1)
    before = [entry async for entry in desk.entries()]
    world.panel.fail_at_rate(Fault.HTTP_503, rate=1.0, action="status")
    waits_s: list[float] = []
    release = desk._journal.release

    async def recording(claims: Any) -> None:
        waits_s.extend((due_at - clock.last).total_seconds() for _, due_at in claims)
        await release(claims)

    desk._follower.journal.release = recording  # type: ignore[method-assign]
    async with world.following(desk):
        await eventually(lambda: len(waits_s) >= 5)

    assert [entry async for entry in desk.entries()] == before
    # 0.05 s, doubling up to 0.2, and a quarter more: half of the jitter.
    assert waits_s[:5] == pytest.approx([0.0625, 0.125, 0.25, 0.25, 0.25], abs=0.001)


@BOTH
@pytest.mark.asyncio
async def test_desks_back_off_from_an_outage_independently(
    world: World,
) -> None:
    desks = [await quick_desk(world) for _ in range(4)]
    await placed(desks[0], 12)
    world.panel.finish_all()
    world.panel.fail_at_rate(Fault.HTTP_503, rate=1.0, action="status")

    async with world.following(*desks):
        await eventually(lambda: all(desk._follower.backoff.failures > 2 for desk in desks))
        started_s, started = time.monotonic(), len(world.panel.calls("status"))
        await asyncio.sleep(0.5)
        calls = len(world.panel.calls("status")) - started
        elapsed_s = time.monotonic() - started_s
        ends_s = {desk._follower.backoff.until_s for desk in desks}
        world.panel.clear_faults()
        before = len(world.panel.calls("status"))
        await all_finish(desks[0], 12)
        after = world.panel.calls("status")[before:]

    # Each checks one order every 0.2 s or less often.
    assert calls <= 4 * (elapsed_s / 0.2 + 2)
    assert len(ends_s) == 4
    asked = [each for form in after for each in (form.get("orders") or form["order"]).split(",")]
    assert len(asked) == len(set(asked)) == 12


# --- cancellation --------------------------------------------------------------------------------


@BOTH
@pytest.mark.asyncio
async def test_cancelled_follow_releases_its_claims(world: World) -> None:
    desk = await world.desk(record_balance=False)
    await placed(desk, 3)
    world.panel.finish_all()
    world.panel.fail_next(Fault.DELAY, action="status", delay_s=60.0)
    async with world.following(desk):
        await eventually(lambda: world.panel.calls("status"))

    other = await world.desk()
    async with world.following(other):
        await all_finish(other, 3)


@pytest.mark.asyncio
async def test_follow_cancelled_while_claiming_releases_the_claims(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.desk(record_balance=False)
    await placed(desk, 1)
    claim, claiming = SQLJournal.claim, asyncio.Event()

    async def slow(self: SQLJournal, limit: int, **options: Any) -> list[Claim]:
        claims = await claim(self, limit, **options)
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
async def test_follow_cancelled_in_a_rate_limit_wait_releases_claims(
    world: World,
) -> None:
    desk = await world.desk(calls_per_minute=60_000, record_balance=False)
    await placed(desk, 1)
    world.panel.finish_all()
    await desk._sender.rate_limit.pause(25.0)
    async with world.following(desk):
        await asyncio.sleep(0.2)
    assert not world.panel.calls("status")

    due_at = await desk._journal.next_due()

    assert due_at is not None
    assert due_at <= await desk._journal.now()


@pytest.mark.asyncio
async def test_client_closed_during_a_check_releases_the_claims(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client, record_balance=False)
    await placed(desk, 1)
    world.panel.fail_next(Fault.DELAY, action="status", delay_s=60.0)
    task = asyncio.create_task(desk.follow())
    await eventually(lambda: world.panel.calls("status"))
    await client.aclose()
    with pytest.raises(ClosedError):
        await asyncio.wait_for(task, WAIT_S)

    due_at = await desk._journal.next_due()

    assert due_at is not None
    assert (due_at - await desk._journal.now()).total_seconds() < 2


@pytest.mark.asyncio
async def test_hanging_journal_does_not_block_cancellation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(SQLJournal, "release", hangs)
    desk = await world.desk(record_balance=False, desk_class=timed_desk(release_s=0.05))
    await placed(desk, 1)
    world.panel.fail_next(Fault.DELAY, action="status", delay_s=60.0)
    task = asyncio.create_task(desk.follow())
    await eventually(lambda: world.panel.calls("status"))

    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=60)

    assert done == {task}
    assert task.cancelled()


@pytest.mark.asyncio
async def test_claims_that_cannot_be_released_expire(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ShiftedClock()

    async def gone(*_: object) -> None:
        clock.advance(121)
        raise JournalError("is restarting")

    monkeypatch.setattr(SQLJournal, "release", gone)
    journal = SQLJournal(world.url, clock=clock)
    desk = await world.desk(journal=journal, record_balance=False)
    await placed(desk, 1)
    world.panel.finish_all()
    world.panel.fail_next(Fault.HTTP_503, times=2, action="status")

    async with world.following(desk):
        await all_finish(desk, 1)

    assert "is restarting" in caplog.text


# --- incomplete answers, and clocks --------------------------------------------------------------


@pytest.mark.asyncio
async def test_order_left_out_of_an_answer_is_checked_as_often(world: World) -> None:
    desk = await world.desk(record_balance=False)
    entries = await placed(desk, 2)
    row = {"charge": "1", "start_count": "5", "status": "Pending", "remains": "0"}
    left_out = entries[1].order_id()

    def leave_one_out(form: Any) -> None:
        if form["action"] == "status" and "," in form.get("orders", ""):
            world.panel.answer_next("status", json.dumps({entries[0].order_id(): row}))

    world.panel.on_request = leave_one_out
    async with world.following(desk) as (task,):
        await eventually(lambda: sum(left_out in str(form) for form in world.panel.forms) > 4)
        assert not task.done()


@BOTH
@pytest.mark.asyncio
async def test_clock_set_back_delays_no_check(world: World) -> None:
    clock = ShiftedClock()
    clock.ahead = timedelta(hours=3)
    poll = PollPolicy(min_interval_s=600.0, max_interval_s=600.0)
    journal = SQLJournal(world.url, clock=clock)
    desk = await world.desk(journal=journal, poll=poll, record_balance=False)
    desk._follower.reschedule_batch = 2
    await placed(desk, 5)
    world.panel.finish_all()

    clock.ahead = timedelta(0)

    async with world.following(desk):
        await all_finish(desk, 5)


@pytest.mark.asyncio
async def test_long_interval_of_this_desk_is_not_shortened(world: World) -> None:
    clock = ShiftedClock()
    poll = PollPolicy(min_interval_s=86_400.0, max_interval_s=86_400.0)
    journal = SQLJournal(world.url, clock=clock)
    desk = await world.desk(journal=journal, poll=poll, record_balance=False)
    await placed(desk, 1)
    clock.ahead = timedelta(days=1, seconds=1)

    async with world.following(desk):
        await eventually(lambda: world.panel.calls("status"))
        await asyncio.sleep(0.3)

    assert len(world.panel.calls("status")) == 1
    assert (await in_state(desk, "r0", S.ACCEPTED)).checked_at is not None
