"""The account's rate of calls: what was not sent gives its time back, and never too much of it."""

import random
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from support.journals import START, Clock, Journals

from smmfanfast_async.journal import CallReservation
from smmfanfast_async.journal.sql import SQLJournal

SECOND = timedelta(seconds=1)
STEPS = 120


async def wait_for_call(journal: SQLJournal) -> timedelta:
    return (await journal.reserve_call(SECOND)).wait


@pytest.mark.asyncio
async def test_calls_that_were_not_sent_slow_no_machine(journals: Journals, clock: Clock) -> None:
    local, remote = await journals(), await journals()
    for number in range(6):
        journal = (local, remote)[number % 2]
        reserved = await journal.reserve_call(SECOND)
        assert reserved.wait == 0 * SECOND
        clock.advance(0.01)
        await journal.cancel_call(reserved)

    assert [await wait_for_call(local) for _ in range(2)] == [0 * SECOND, SECOND]


@pytest.mark.asyncio
async def test_call_before_a_reserved_one_keeps_its_time(journals: Journals) -> None:
    local, remote = await journals(), await journals()
    first, second = await local.reserve_call(SECOND), await remote.reserve_call(SECOND)
    await local.cancel_call(first)

    assert second.wait == SECOND
    assert await wait_for_call(local) == 2 * SECOND


@pytest.mark.asyncio
async def test_calls_given_back_in_reverse_order_are_all_free(journals: Journals) -> None:
    local, remote = await journals(), await journals()
    first, second = await local.reserve_call(SECOND), await remote.reserve_call(SECOND)
    await remote.cancel_call(second)
    await local.cancel_call(first)

    assert await wait_for_call(remote) == 0 * SECOND


@pytest.mark.asyncio
async def test_call_given_back_during_a_pause_leaves_the_pause(
    journal: SQLJournal, clock: Clock
) -> None:
    reserved = await journal.reserve_call(SECOND)
    await journal.pause(START + 60 * SECOND)
    await journal.cancel_call(reserved)
    after_pause = await journal.reserve_call(SECOND)
    await journal.cancel_call(after_pause)

    assert after_pause.wait == 60 * SECOND
    assert await wait_for_call(journal) == 60 * SECOND


@pytest.mark.asyncio
async def test_repeated_transaction_frees_no_call_of_another_machine(
    journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first commit succeeds without an answer, and another reserves the time meanwhile."""
    local, remote = await journals(), await journals()
    run = local._database.run

    async def run_twice(work: Any, *args: Any) -> Any:
        await run(work, *args)
        assert await wait_for_call(remote) == 0 * SECOND
        return await run(work, *args)

    reserved = await local.reserve_call(SECOND)
    monkeypatch.setattr(local._database, "run", run_twice)
    await local.cancel_call(reserved)
    monkeypatch.undo()

    assert await wait_for_call(local) == SECOND


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(4))
async def test_calls_that_were_sent_are_never_closer_than_the_interval(
    journals: Journals, clock: Clock, seed: int
) -> None:
    """Three machines reserve, send, fail and give back in any order, under pauses."""
    rng = random.Random(seed)
    machines = [await journals() for _ in range(3)]
    waiting: list[CallReservation] = []
    failed: list[CallReservation] = []
    sent_at: list[datetime] = []
    paused_until = START
    for _ in range(STEPS):
        step = rng.choice(["reserve", "reserve", "advance", "advance", "give back", "pause"])
        machine = rng.choice(machines)
        if step == "reserve":
            reserved = await machine.reserve_call(SECOND)
            assert reserved.call_at >= paused_until
            waiting.append(reserved)
        elif step == "advance":
            clock.advance(rng.choice([0.001, 0.5, 1.0, 2.5]))
            due = [each for each in waiting if each.call_at <= clock.time]
            waiting = [each for each in waiting if each not in due]
            for each in due:
                if rng.random() < 0.5:
                    sent_at.append(each.call_at)
                else:
                    failed.append(each)
        elif step == "give back" and failed + waiting:
            unsent = rng.choice(failed + waiting)
            (failed if unsent in failed else waiting).remove(unsent)
            await machine.cancel_call(unsent)
        elif step == "pause" and rng.random() < 0.2:
            paused_until = max(paused_until, clock.time + rng.random() * 5 * SECOND)
            await machine.pause(paused_until)

    assert len(sent_at) > 5
    assert all(after - before >= SECOND for before, after in pairwise(sorted(sent_at)))
