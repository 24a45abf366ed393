"""A clock that is set back does not delay orders by as much as it was set back."""

from datetime import timedelta

import pytest
from support.journals import Journals, S, accept, claim_due, outcome, prepare, reach, start


@pytest.mark.parametrize(("back_s", "is_expired"), [(1500, False), (3600, True)])
@pytest.mark.asyncio
async def test_lease_that_ends_too_far_ahead_is_expired(
    journals: Journals,
    back_s: int,
    *,
    is_expired: bool,
) -> None:
    journal = await journals()
    await start(journal)  # and its process is killed
    journals.clock.advance(-back_s)

    expired = [entry.ref for entry in await journal.expire_leases()]

    assert expired == ["a"] * is_expired
    await prepare(journal, "b")
    other = await journal.start_attempt("b", 0, lease=timedelta(minutes=4), max_in_flight=1)
    assert (other is not None) is is_expired


@pytest.mark.asyncio
async def test_late_answer_resolves_attempt_expired_by_the_clock(journals: Journals) -> None:
    journal = await journals()
    entry = await start(journal)
    journals.clock.advance(-3600)
    await journal.expire_leases()

    entry_after = await journal.record_outcome("a", entry.attempt, outcome(S.ACCEPTED, "32"))

    assert (entry_after.state, entry_after.order) == (S.ACCEPTED, "32")


AHEAD = timedelta(minutes=30)


@pytest.mark.parametrize(("back_s", "is_due"), [(1800, False), (1801, True)])
@pytest.mark.asyncio
async def test_order_due_too_far_ahead_becomes_due(
    journals: Journals, back_s: int, *, is_due: bool
) -> None:
    journal = await journals()
    await accept(journal, "accepted")
    await prepare(journal, "prepared")
    held = await start(journal, "held")
    await journal.record_outcome("held", held.attempt, outcome(S.HELD, due_at=journals.clock()))
    journals.clock.advance(-back_s)
    assert await claim_due(journal) == []
    assert await journal.due_to_send(9) == []

    count = await journal.reschedule_far_future(9, ahead=AHEAD)

    assert count == 3 * is_due
    assert [each.entry.ref for each in await claim_due(journal)] == ["accepted"] * is_due
    refs = {each.ref for each in await journal.due_to_send(9)}
    assert refs == ({"prepared", "held"} if is_due else set())


@pytest.mark.asyncio
async def test_rescheduling_is_bounded_and_keeps_orders_without_due_time(
    journals: Journals,
) -> None:
    journal, other = await journals(), await journals("another")
    for number in range(5):
        await accept(journal, f"{number}")
    await accept(other)
    for state in (S.FINISHED, S.UNKNOWN, S.REFUSED, S.WITHDRAWN, S.SENDING):
        await reach(journal, state, state.value)
    due = [await prepare(journal, f"p{number}") for number in range(2)]
    journals.clock.advance(-7200)

    counts = [await journal.reschedule_far_future(3, ahead=AHEAD) for _ in range(4)]

    # `reach` claimed all accepted orders with the one that it finished; their claims expire later.
    assert counts == [3, 3, 1, 0]
    assert len(due) == 2
    assert await claim_due(other) == []


@pytest.mark.asyncio
async def test_claim_made_long_by_the_clock_is_superseded(
    journals: Journals,
) -> None:
    local, remote = await journals(), await journals()
    await accept(local)
    [stale] = await claim_due(local)
    journals.clock.advance(-7200)

    await remote.reschedule_far_future(9, ahead=AHEAD)
    [fresh] = await claim_due(remote)

    assert fresh.version > stale.version


@pytest.mark.parametrize("is_reserved", [False, True])
@pytest.mark.asyncio
async def test_pause_set_while_the_clock_was_ahead_does_not_outlast_it(
    journals: Journals, *, is_reserved: bool
) -> None:
    journal = await journals()
    now = journals.clock() + timedelta(hours=48)
    journals.clock.advance(48 * 3600)
    await journal.pause(now + timedelta(seconds=1))
    if is_reserved:
        await journal.reserve_call(timedelta(seconds=1))
    journals.clock.advance(-48 * 3600)

    wait = (await journal.reserve_call(timedelta(0))).wait
    await journal.pause(journals.clock() + timedelta(seconds=5))
    wait_of_new_pause = (await journal.reserve_call(timedelta(0))).wait

    assert wait == timedelta(0)
    assert wait_of_new_pause == timedelta(seconds=5)


@pytest.mark.asyncio
async def test_longest_pause_counts_and_a_longer_one_is_shortened_to_it(journals: Journals) -> None:
    journal = await journals()

    await journal.pause(journals.clock() + timedelta(hours=48))

    assert (await journal.reserve_call(timedelta(0))).wait == AHEAD
