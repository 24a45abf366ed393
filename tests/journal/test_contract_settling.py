"""What a journal does for a desk that settles unknown orders."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest
from support.journals import (
    DAY,
    LEASE,
    START,
    Clock,
    Journals,
    accept,
    all_events,
    budget_sums,
    claim_due,
    observe,
    outcome,
    prepare,
    reach,
    start,
)

from smmfanfast_async.errors import ErrorKind, JournalError
from smmfanfast_async.journal import Entry, EntryState, EventKind, Settlement
from smmfanfast_async.journal.sql import SQLJournal

S = EntryState
SETTLED = Settlement(ref="a", attempt=1, reason="settled by the balance")


async def answered(journal: SQLJournal, ref: str = "a", **changes: Any) -> Entry:
    """Create an order whose attempt the panel answered with an error that proves nothing."""
    await start(journal, ref, link=f"https://x.test/{ref}", **changes)
    result = outcome(S.UNKNOWN, kind=ErrorKind.UNKNOWN, reason="odd", is_error_answer=True)
    return await journal.record_outcome(ref, 1, result)


# --- error answers -------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_error_answer_is_kept_with_the_outcome(journal: SQLJournal) -> None:
    entry = await answered(journal)

    assert entry.is_error_answer
    assert entry == await journal.find("a")


@pytest.mark.asyncio
@pytest.mark.parametrize("state", sorted(set(S) - {S.UNKNOWN}))
async def test_only_an_unknown_order_has_an_error_answer(
    journal: SQLJournal, state: EntryState
) -> None:
    assert not (await reach(journal, state)).is_error_answer


@pytest.mark.asyncio
async def test_other_outcomes_and_attempts_clear_the_error_answer(
    journal: SQLJournal, clock: Clock
) -> None:
    await answered(journal)
    flag = {"is_error_answer": True}

    withdrawn = await journal.apply_decision("a", {S.UNKNOWN}, outcome(S.WITHDRAWN, **flag))
    await journal.apply_decision("a", {S.WITHDRAWN}, outcome(S.PREPARED, **flag))
    started = await journal.start_attempt("a", 1, lease=LEASE, max_in_flight=1)
    clock.advance(LEASE.total_seconds())
    [expired] = await journal.expire_leases()

    assert withdrawn is not None
    assert started is not None
    assert [each.is_error_answer for each in (withdrawn, started, expired)] == [False] * 3


@pytest.mark.asyncio
async def test_order_id_clears_the_error_answer(journal: SQLJournal) -> None:
    await accept(journal, "other", "7")
    await answered(journal)

    entry = await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "7"))

    assert (entry.state, entry.order, entry.is_error_answer) == (S.UNKNOWN, "7", False)


@pytest.mark.asyncio
async def test_settling_can_be_stopped_for_one_attempt(journal: SQLJournal) -> None:
    for ref in "ab":
        await answered(journal, ref)

    await journal.stop_settling("a", 2)
    await journal.stop_settling("b", 1)

    [a, b] = (await journal.activity(9)).unknown
    assert (a.is_error_answer, b.is_error_answer) == (True, False)
    assert await journal.settle([Settlement(ref="b", attempt=1, reason="x")]) == []


# --- activity ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_activity_of_an_empty_account(journal: SQLJournal, clock: Clock) -> None:
    activity = await journal.activity(9)

    assert (activity.at, activity.in_flight, activity.position) == (clock(), 0, 0)
    assert activity.unknown == ()


@pytest.mark.asyncio
async def test_activity_shows_this_account_alone(journals: Journals, journal: SQLJournal) -> None:
    other = await journals("another")
    await answered(other)
    await start(other, "b")
    unknown = [await answered(journal, ref) for ref in "xyz"]
    await start(journal, "in flight")
    await accept(journal, "accepted")

    activity = await journal.activity(2)

    assert activity.unknown == tuple(unknown[:2])  # the oldest
    assert activity.in_flight == 1
    assert activity.position == len(await all_events(journal)) == 4


# --- unchecked orders ----------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_order_is_unchecked_until_a_check_after_that_time(
    journal: SQLJournal, clock: Clock
) -> None:
    await accept(journal)
    assert await journal.has_unchecked(START)

    clock.advance(60)
    [claim] = await claim_due(journal)
    await journal.record_statuses([observe(claim, "In progress")])

    assert not await journal.has_unchecked(clock())
    assert await journal.has_unchecked(clock() + timedelta(microseconds=1))


@pytest.mark.asyncio
async def test_order_that_the_panel_does_not_know_is_unchecked(journal: SQLJournal) -> None:
    await accept(journal)
    [claim] = await claim_due(journal)
    await journal.record_statuses([observe(claim, None)])

    assert await journal.has_unchecked(START)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "expected"), [("runs", True), ("posts", True), ("comments", False)]
)
async def test_order_with_orders_of_its_own_is_always_unchecked(
    journal: SQLJournal,
    name: str,
    expected: bool,  # noqa: FBT001
) -> None:
    form = {"action": "add", "comments": '"runs": "posts":', name: "5"}
    await accept(journal, form=form)
    [claim] = await claim_due(journal)
    await journal.record_statuses([observe(claim, "In progress")])

    assert await journal.has_unchecked(START) is expected


@pytest.mark.asyncio
@pytest.mark.parametrize("state", sorted(set(S) - {S.ACCEPTED}))
async def test_only_accepted_orders_of_the_account_are_unchecked(
    journals: Journals, journal: SQLJournal, state: EntryState
) -> None:
    await accept(await journals("another"))
    await reach(journal, state, "b")

    assert not await journal.has_unchecked(START)


# --- settling ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_settled_attempt_is_refused_and_says_why(journal: SQLJournal, clock: Clock) -> None:
    before = await answered(journal)
    clock.advance(900)

    [entry] = await journal.settle([SETTLED])

    assert entry == await journal.find("a")
    assert (entry.state, entry.kind, entry.attempt) == (S.REFUSED, ErrorKind.UNKNOWN, 1)
    assert (entry.reason, entry.was_unknown, entry.is_error_answer) == (SETTLED.reason, True, False)
    assert entry.settled_at == before.settled_at
    event = (await all_events(journal))[-1]
    assert (event.kind, event.ref, event.attempt, event.at) == (EventKind.REFUSED, "a", 1, clock())
    assert event.text == SETTLED.reason
    assert (await journal.activity(9)).position == event.position


@pytest.mark.asyncio
async def test_settled_attempt_frees_the_budget_and_the_link(journal: SQLJournal) -> None:
    link = "https://x.test/a"
    entry = await start(journal, "held", link=link)
    later = outcome(S.HELD, due_at=START + timedelta(hours=1))
    await journal.record_outcome("held", entry.attempt, later)
    await answered(journal, "a", price=Decimal(3))
    await answered(journal, "b", price=Decimal(4))

    await journal.settle([SETTLED, Settlement(ref="b", attempt=1, reason="y")])

    running, counted = await budget_sums(journal)
    assert running == counted == {DAY: Decimal("1.25")}
    assert [each.ref for each in await journal.due_to_send(9)] == ["held"]


@pytest.mark.asyncio
async def test_late_answer_of_a_settled_attempt_is_an_event(journal: SQLJournal) -> None:
    await answered(journal)
    await journal.settle([SETTLED])

    late = await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "7", due_at=START))

    # The last attempt has had its answer; an id that names an order is never lost.
    event = (await all_events(journal))[-1]
    assert (event.kind, event.order) == (EventKind.LATE, "7")
    assert late.state is S.REFUSED


@pytest.mark.asyncio
async def test_late_answer_after_a_retry_sends_nothing_again(journal: SQLJournal) -> None:
    await answered(journal)
    await journal.settle([SETTLED])
    await journal.apply_decision("a", {S.REFUSED}, outcome(S.PREPARED, due_at=START))

    late = await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "7", due_at=START))

    assert (late.state, late.order) == (S.ACCEPTED, "7")


async def not_answered(journal: SQLJournal) -> None:
    await start(journal, "b")
    await journal.record_outcome("b", 1, outcome(S.UNKNOWN))


async def retried(journal: SQLJournal) -> None:
    """Bring an order to an error answer after an attempt that a person decided about."""
    await start(journal, "b")
    await journal.record_outcome("b", 1, outcome(S.UNKNOWN))
    await journal.apply_decision("b", {S.UNKNOWN}, outcome(S.WITHDRAWN))
    await journal.apply_decision("b", {S.WITHDRAWN}, outcome(S.PREPARED))
    await journal.start_attempt("b", 1, lease=LEASE, max_in_flight=9)
    await journal.record_outcome("b", 2, outcome(S.UNKNOWN, is_error_answer=True))


async def resolved(journal: SQLJournal) -> None:
    await answered(journal, "b")
    await journal.apply_decision("b", {S.UNKNOWN}, outcome(S.ACCEPTED, "7", due_at=START))


async def with_an_order(journal: SQLJournal) -> None:
    await accept(journal, "other", "7")
    await answered(journal, "b")
    await journal.record_outcome("b", 1, outcome(S.ACCEPTED, "7"))


@pytest.mark.asyncio
@pytest.mark.parametrize("make", [not_answered, retried, resolved, with_an_order])
@pytest.mark.parametrize("attempt", [1, 2])
async def test_one_attempt_that_does_not_match_settles_none(
    journal: SQLJournal, make: Any, attempt: int
) -> None:
    await answered(journal)
    await make(journal)
    before, events = await journal.find("b"), await all_events(journal)

    settled = await journal.settle([SETTLED, Settlement(ref="b", attempt=attempt, reason="x")])

    assert settled == []
    entry = await journal.find("a")
    assert entry is not None
    assert (entry.state, entry.is_error_answer) == (S.UNKNOWN, True)
    assert (await journal.find("b"), await all_events(journal)) == (before, events)


@pytest.mark.asyncio
async def test_unknown_ref_is_an_error(journal: SQLJournal) -> None:
    with pytest.raises(JournalError, match="has no entry"):
        await journal.settle([SETTLED])


@pytest.mark.asyncio
async def test_second_desk_settles_nothing_again(journals: Journals, journal: SQLJournal) -> None:
    await answered(journal)
    other = await journals()

    assert len(await journal.settle([SETTLED])) == 1
    assert await other.settle([SETTLED]) == []
    assert [each.kind for each in await all_events(journal)] == [
        EventKind.UNKNOWN,
        EventKind.REFUSED,
    ]


@pytest.mark.asyncio
async def test_settled_order_is_of_this_account(journals: Journals, journal: SQLJournal) -> None:
    other = await journals("another")
    await answered(other)
    await prepare(journal)

    assert await journal.settle([SETTLED]) == []
    await journal.stop_settling("a", 1)
    assert [each.is_error_answer for each in (await other.activity(9)).unknown] == [True]


# --- orders with the same link -------------------------------------------------------------------

LINK = "https://x.test/same"


async def refs_with_link(journal: SQLJournal, since: timedelta, limit: int = 9) -> list[str]:
    entry = await journal.find("mine")
    assert entry is not None
    found = await journal.same_link(entry, since=START + since, limit=limit)
    return sorted(each.ref for each in found)


@pytest.mark.asyncio
@pytest.mark.parametrize("state", sorted(S))
async def test_order_with_the_link_is_found_while_it_may_be_there_or_since_its_attempt_ended(
    journal: SQLJournal, clock: Clock, state: EntryState
) -> None:
    await start(journal, "mine", link=LINK)
    other = await reach(journal, state, link=LINK)
    ended = other.settled_at is not None
    may_be_there = state in (S.PREPARED, S.HELD, S.SENDING, S.UNKNOWN)

    assert await refs_with_link(journal, timedelta(0)) == ["a"] * (may_be_there or ended)
    assert await refs_with_link(journal, timedelta(days=1)) == ["a"] * may_be_there


@pytest.mark.asyncio
async def test_other_links_and_accounts_and_orders_without_one_are_not_found(
    journals: Journals, journal: SQLJournal
) -> None:
    mine = await start(journal, "mine", link=LINK)
    await start(journal, "a", link=f"{LINK}/other")
    await start(await journals("other"), "b", link=LINK)
    await start(journal, "c", link=None)

    assert await refs_with_link(journal, timedelta(0)) == []
    unlinked = attrs.evolve(mine, link=None)
    assert await journal.same_link(unlinked, since=START, limit=9) == []


@pytest.mark.asyncio
async def test_no_more_orders_with_the_link_are_returned_than_asked_for(
    journal: SQLJournal,
) -> None:
    await start(journal, "mine", link=LINK)
    for ref in "abc":
        await start(journal, ref, link=LINK)

    assert len(await refs_with_link(journal, timedelta(0), limit=2)) == 2
