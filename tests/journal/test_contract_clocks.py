"""A clock that is set back holds up no order for as long as it was set back."""

from datetime import timedelta

import pytest
from support.journals import Journals, S, accepted, begun, claimed, in_state, outcome, prepared


@pytest.mark.parametrize(("back_s", "is_given_up"), [(1500, False), (3600, True)])
@pytest.mark.asyncio
async def test_an_attempt_that_ends_further_ahead_than_any_is_given_up(
    journals: Journals,
    back_s: int,
    *,
    is_given_up: bool,
) -> None:
    journal = await journals()
    await begun(journal)  # and its process is killed
    journals.clock.go(-back_s)

    lapsed = [entry.ref for entry in await journal.expire_leases()]

    assert lapsed == ["a"] * is_given_up
    await prepared(journal, "b")
    other = await journal.start_attempt("b", 0, lease=timedelta(minutes=4), max_in_flight=1)
    assert (other is not None) is is_given_up


@pytest.mark.asyncio
async def test_what_was_given_up_so_and_lived_is_lifted_by_its_answer(journals: Journals) -> None:
    journal = await journals()
    entry = await begun(journal)
    journals.clock.go(-3600)
    await journal.expire_leases()

    settled = await journal.record_outcome("a", entry.attempt, outcome(S.ACCEPTED, "32"))

    assert (settled.state, settled.order) == (S.ACCEPTED, "32")


AHEAD = timedelta(minutes=30)


@pytest.mark.parametrize(("back_s", "is_due"), [(1800, False), (1801, True)])
@pytest.mark.asyncio
async def test_what_is_due_further_ahead_than_any_time_that_is_set_is_due(
    journals: Journals, back_s: int, *, is_due: bool
) -> None:
    journal = await journals()
    await accepted(journal, "accepted")
    await prepared(journal, "prepared")
    held = await begun(journal, "held")
    await journal.record_outcome("held", held.attempt, outcome(S.HELD, due_at=journals.clock()))
    journals.clock.go(-back_s)
    assert await claimed(journal) == []
    assert await journal.due_to_send(9) == []

    hastened = await journal.reschedule_far_future(9, ahead=AHEAD)

    assert hastened == 3 * is_due
    assert [each.entry.ref for each in await claimed(journal)] == ["accepted"] * is_due
    found = {each.ref for each in await journal.due_to_send(9)}
    assert found == ({"prepared", "held"} if is_due else set())


@pytest.mark.asyncio
async def test_hastening_is_bounded_and_leaves_what_has_no_time_and_other_accounts(
    journals: Journals,
) -> None:
    journal, other = await journals(), await journals("another")
    for number in range(5):
        await accepted(journal, f"{number}")
    await accepted(other)
    for state in (S.FINISHED, S.UNKNOWN, S.REFUSED, S.WITHDRAWN, S.SENDING):
        await in_state(journal, state, state.value)
    due = [await prepared(journal, f"p{number}") for number in range(2)]
    journals.clock.go(-7200)

    counts = [await journal.reschedule_far_future(3, ahead=AHEAD) for _ in range(4)]

    # `in_state` has claimed the accepted ones with the one that it finished, and they lapse.
    assert counts == [3, 3, 1, 0]
    assert len(due) == 2
    assert await claimed(other) == []


@pytest.mark.asyncio
async def test_a_claim_that_the_clock_made_long_is_taken_over_with_its_fence(
    journals: Journals,
) -> None:
    here, there = await journals(), await journals()
    await accepted(here)
    [stale] = await claimed(here)
    journals.clock.go(-7200)

    await there.reschedule_far_future(9, ahead=AHEAD)
    [fresh] = await claimed(there)

    assert fresh.number > stale.number
