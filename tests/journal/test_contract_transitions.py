"""What every journal must do with one order: writing it down, sending it, settling, deciding."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from support.journals import (
    DAY,
    LEASE,
    START,
    Clock,
    Journals,
    accepted,
    all_events,
    begun,
    claimed,
    in_state,
    look,
    new,
    outcome,
    prepared,
)

from smmfanfast_async import ErrorKind, JournalError, RefConflictError, SpendingLimitError
from smmfanfast_async.journal import TRANSITIONS, EntryState, EventKind
from smmfanfast_async.journal.sql import SQLJournal

S = EntryState

# --- writing down --------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_an_order_is_written_down_as_it_is_given(journal: SQLJournal, clock: Clock) -> None:
    entry = await journal.create(new("invoice-771"))

    assert entry == await journal.find("invoice-771")
    assert (entry.state, entry.attempt) == (S.PREPARED, 0)
    assert entry.form == {"action": "add", "service": "5", "link": "https://x.test/invoice-771"}
    assert (entry.link, entry.quantity) == ("https://x.test/invoice-771", 1000)
    assert (entry.price, entry.created_at) == (Decimal("1.25"), clock())
    assert (entry.order, entry.sent_at, entry.settled_at, entry.miss_count) == (None, None, None, 0)


@pytest.mark.asyncio
async def test_an_unknown_ref_is_found_as_none(journal: SQLJournal) -> None:
    assert await journal.find("nobody") is None


@pytest.mark.asyncio
async def test_the_same_ref_and_form_give_the_entry_that_is_there(journal: SQLJournal) -> None:
    first = await accepted(journal)

    again = await journal.create(new(price=Decimal(9), budget_day="2030-05-18"))

    assert again == first


@pytest.mark.asyncio
async def test_the_same_ref_with_another_form_is_refused_and_names_the_order(
    journal: SQLJournal,
) -> None:
    first = await accepted(journal, order="32")

    with pytest.raises(RefConflictError, match="'a' names an order") as caught:
        await journal.create(new(form={"service": "6"}))

    assert caught.value.order == "32"
    assert await journal.find("a") == first


@pytest.mark.asyncio
async def test_a_ref_is_unique_within_an_account_only(journals: Journals) -> None:
    mine, others = await journals("mine"), await journals("others")
    await prepared(mine)

    assert await others.find("a") is None
    assert (await others.create(new(form={"service": "6"}))).state is S.PREPARED
    assert await mine.unknown() == await others.unknown() == []


@pytest.mark.asyncio
async def test_accounts_of_one_journal_share_its_connections(journals: Journals) -> None:
    mine = await journals("mine")
    twin = mine.for_account("twin")
    journals.stack.push_async_callback(twin.aclose)
    await twin.open()

    await begun(mine)
    await accepted(twin)

    assert [event.kind for event in await all_events(twin)] == [EventKind.ACCEPTED]
    assert await all_events(mine) == []


# --- the day's budget ----------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_day_holds_prices_up_to_its_budget_and_not_beyond(journal: SQLJournal) -> None:
    budget = Decimal("2.50")
    await journal.create(new("a"), budget=budget)
    await journal.create(new("b"), budget=budget)

    with pytest.raises(SpendingLimitError) as caught:
        await journal.create(new("c", price=Decimal("0.01")), budget=budget)

    assert caught.value.limit_name == "budget_per_day"
    assert (caught.value.spent, caught.value.limit) == (Decimal("2.50"), budget)
    assert await journal.find("c") is None
    await journal.create(new("d", budget_day="2030-05-18"), budget=budget)
    await journal.create(new("e", price=None), budget=budget)


@pytest.mark.asyncio
@pytest.mark.parametrize("state", sorted(EntryState))
async def test_only_what_ordered_nothing_frees_the_budget(
    journal: SQLJournal, state: EntryState
) -> None:
    await in_state(journal, state)
    frees = state in (S.REFUSED, S.WITHDRAWN)

    if frees:
        await journal.create(new("b"), budget=Decimal("1.25"))
    else:
        with pytest.raises(SpendingLimitError):
            await journal.create(new("b"), budget=Decimal("1.25"))


@pytest.mark.asyncio
async def test_a_ref_that_is_there_costs_no_budget_again(journal: SQLJournal) -> None:
    first = await journal.create(new(), budget=Decimal("1.25"))

    assert await journal.create(new(), budget=Decimal("1.25")) == first


# --- beginning an attempt ------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_begin_counts_the_attempt_and_notes_time_and_balance(
    journal: SQLJournal, clock: Clock
) -> None:
    await prepared(journal)
    clock.go(5)

    entry = await journal.start_attempt(
        "a", 0, lease=LEASE, max_in_flight=1, balance_before=Decimal("9.10")
    )

    assert entry is not None
    assert entry == await journal.find("a")
    assert (entry.state, entry.attempt) == (S.SENDING, 1)
    assert (entry.sent_at, entry.balance_before) == (START + timedelta(seconds=5), Decimal("9.10"))


@pytest.mark.asyncio
@pytest.mark.parametrize("state", sorted(set(EntryState) - {S.PREPARED}))
async def test_only_prepared_begins(journal: SQLJournal, state: EntryState) -> None:
    entry = await in_state(journal, state)

    begun_now = await journal.start_attempt("a", entry.attempt, lease=LEASE, max_in_flight=9)

    assert begun_now is None
    assert await journal.find("a") == entry


@pytest.mark.asyncio
async def test_begin_needs_the_attempt_that_is_meant_and_an_entry(journal: SQLJournal) -> None:
    await prepared(journal)

    assert await journal.start_attempt("a", 1, lease=LEASE, max_in_flight=9) is None
    assert await journal.start_attempt("nobody", 0, lease=LEASE, max_in_flight=9) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("places", [1, 2])
async def test_no_more_attempts_are_on_their_way_than_places(
    journals: Journals, places: int
) -> None:
    here, there = await journals(), await journals()
    for number in range(places):
        await begun(here, f"on-its-way-{number}")
    await prepared(there, "next")

    assert await there.start_attempt("next", 0, lease=LEASE, max_in_flight=places) is None
    await here.record_outcome("on-its-way-0", 1, outcome(S.REFUSED))
    assert await there.start_attempt("next", 0, lease=LEASE, max_in_flight=places) is not None


@pytest.mark.asyncio
async def test_fewer_places_than_before_count_what_has_begun_in_any(journal: SQLJournal) -> None:
    for ref in ("a", "b", "c"):
        await begun(journal, ref, places=3)
    await prepared(journal, "next")
    for ref in ("a", "b"):
        assert await journal.start_attempt("next", 0, lease=LEASE, max_in_flight=1) is None
        await journal.record_outcome(ref, 1, outcome(S.REFUSED))

    assert await journal.start_attempt("next", 0, lease=LEASE, max_in_flight=1) is None


@pytest.mark.asyncio
async def test_places_are_an_accounts_own(journals: Journals) -> None:
    mine, others = await journals("mine"), await journals("others")

    assert await begun(mine, places=1)
    assert await begun(others, places=1)


@pytest.mark.asyncio
async def test_an_order_that_is_tried_again_begins_with_clean_words(journal: SQLJournal) -> None:
    await begun(journal)
    await journal.record_outcome(
        "a", 1, outcome(S.PREPARED, kind=ErrorKind.NETWORK, reason="no route")
    )

    entry = await journal.start_attempt("a", 1, lease=LEASE, max_in_flight=1)

    assert entry is not None
    assert (entry.attempt, entry.kind, entry.reason, entry.settled_at) == (2, None, None, None)


# --- settling ------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("to", sorted(TRANSITIONS[S.SENDING]))
async def test_an_attempt_is_settled_along_the_moves(
    journal: SQLJournal, clock: Clock, to: EntryState
) -> None:
    await begun(journal)
    clock.go(3)
    order = "32" if to in (S.ACCEPTED, S.UNKNOWN) else None
    said = outcome(
        to, order, kind=ErrorKind.SERVER, reason="words\n", balance_after=Decimal("1.00")
    )

    entry = await journal.record_outcome("a", 1, said)

    assert entry == await journal.find("a")
    assert (entry.state, entry.order, entry.attempt) == (to, order, 1)
    assert (entry.kind, entry.reason) == (ErrorKind.SERVER, "words")
    assert (entry.settled_at, entry.balance_after) == (clock(), Decimal("1.00"))
    [event] = await all_events(journal)
    told = EventKind.RELEASED if to is S.PREPARED else EventKind(to.value)
    assert (event.kind, event.ref, event.attempt, event.at) == (told, "a", 1, clock())
    assert (event.order, event.text) == ("32" if to is S.ACCEPTED else None, "words")


@pytest.mark.asyncio
@pytest.mark.parametrize("state", sorted(EntryState))
async def test_settling_moves_an_entry_along_the_moves_alone(
    journal: SQLJournal, state: EntryState
) -> None:
    for to in EntryState:
        await check_settling(journal, state, to)


async def check_settling(journal: SQLJournal, state: EntryState, to: EntryState) -> None:
    entry = await in_state(journal, state, to)
    before = await all_events(journal)
    lifts = {S.SENDING: TRANSITIONS[S.SENDING], S.UNKNOWN: {S.ACCEPTED, S.REFUSED},
             S.WITHDRAWN: {S.ACCEPTED}}  # fmt: skip
    may = to in lifts.get(state, set())

    after = await journal.record_outcome(
        to, entry.attempt, outcome(to, "7" if to is S.ACCEPTED else None)
    )

    told = await all_events(journal)
    if may:
        assert after.state is to
        assert len(told) == len(before) + 1
    elif to is S.ACCEPTED:
        assert after == entry
        assert [(each.kind, each.order) for each in told[len(before) :]] == [(EventKind.LATE, "7")]
    else:
        assert (after, told) == (entry, before)


@pytest.mark.asyncio
async def test_settling_twice_changes_nothing(journal: SQLJournal) -> None:
    for ref, said in {
        "a": outcome(S.ACCEPTED, "1"),
        "b": outcome(S.REFUSED, kind=ErrorKind.FUNDS, reason="no money"),
        "c": outcome(S.UNKNOWN, "3", reason="an error beside an id"),
        "d": outcome(S.UNKNOWN),
        "e": outcome(S.HELD, due_at=START),
        "f": outcome(S.ACCEPTED, "1", reason="the id of a"),
    }.items():
        await begun(journal, ref)
        first = await journal.record_outcome(ref, 1, said)
        told = await all_events(journal)

        again = await journal.record_outcome(ref, 1, said)

        assert (again, await all_events(journal)) == (first, told)


@pytest.mark.asyncio
@pytest.mark.parametrize("given_up", [S.UNKNOWN, S.WITHDRAWN])
async def test_a_late_id_lifts_what_was_given_up(
    journal: SQLJournal, clock: Clock, given_up: EntryState
) -> None:
    await begun(journal)
    clock.go(LEASE.total_seconds())
    await journal.expire_leases()
    if given_up is S.WITHDRAWN:
        await journal.apply_decision("a", {S.UNKNOWN}, outcome(S.WITHDRAWN, decided_by="ops"))

    entry = await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "32"))

    assert (entry.state, entry.order) == (S.ACCEPTED, "32")


@pytest.mark.asyncio
async def test_a_late_answer_of_an_older_attempt_is_kept_as_an_event(journal: SQLJournal) -> None:
    await begun(journal)
    await journal.record_outcome("a", 1, outcome(S.UNKNOWN))
    await journal.apply_decision("a", {S.UNKNOWN}, outcome(S.WITHDRAWN, decided_by="ops"))
    await journal.apply_decision("a", {S.WITHDRAWN}, outcome(S.PREPARED, due_at=START))
    second = await journal.start_attempt("a", 1, lease=LEASE, max_in_flight=1)

    entry = await journal.record_outcome(
        "a", 1, outcome(S.ACCEPTED, "32", reason="late\0 " + "x" * 999)
    )

    assert entry == second
    assert second is not None
    assert second.was_unknown
    last = (await all_events(journal))[-1]
    assert (last.kind, last.attempt, last.order) == (EventKind.LATE, 1, "32")
    assert last.text is not None
    assert last.text.startswith("late  xx")
    assert len(last.text) == 500


@pytest.mark.asyncio
async def test_an_older_attempt_without_an_order_tells_nothing(journal: SQLJournal) -> None:
    await begun(journal)
    await journal.record_outcome("a", 1, outcome(S.PREPARED, due_at=START))
    second = await journal.start_attempt("a", 1, lease=LEASE, max_in_flight=1)
    told = await all_events(journal)

    assert await journal.record_outcome("a", 1, outcome(S.REFUSED)) == second
    assert await all_events(journal) == told


@pytest.mark.asyncio
async def test_an_id_that_is_another_refs_makes_an_order_unknown_with_both_kept(
    journal: SQLJournal,
) -> None:
    first = await accepted(journal, "first", "32")
    await begun(journal, "second")

    entry = await journal.record_outcome("second", 1, outcome(S.ACCEPTED, "32", due_at=START))

    assert (entry.state, entry.order, entry.kind) == (S.UNKNOWN, "32", ErrorKind.CONFLICT)
    assert entry.reason == "order 32 is that of ref 'first' already"
    assert await journal.find("first") == first
    assert [each.entry.ref for each in await claimed(journal)] == ["first"]


@pytest.mark.asyncio
async def test_a_late_id_of_another_ref_is_kept_beside_a_withdrawn_order(
    journal: SQLJournal,
) -> None:
    await accepted(journal, "first", "32")
    await begun(journal, "second")
    await journal.record_outcome("second", 1, outcome(S.UNKNOWN))
    withdrawn = await journal.apply_decision("second", {S.UNKNOWN}, outcome(S.WITHDRAWN))

    entry = await journal.record_outcome("second", 1, outcome(S.ACCEPTED, "32"))

    assert entry == withdrawn
    last = (await all_events(journal))[-1]
    assert (last.kind, last.ref, last.order) == (EventKind.LATE, "second", "32")


@pytest.mark.asyncio
async def test_what_has_no_entry_cannot_be_settled(journal: SQLJournal) -> None:
    with pytest.raises(JournalError, match="no entry 'nobody'"):
        await journal.record_outcome("nobody", 1, outcome(S.REFUSED))


# --- deciding ------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("state", sorted(EntryState))
async def test_a_person_moves_an_entry_along_the_moves_alone(
    journal: SQLJournal, state: EntryState
) -> None:
    for to in EntryState:
        await check_deciding(journal, state, to)


async def check_deciding(journal: SQLJournal, state: EntryState, to: EntryState) -> None:
    entry = await in_state(journal, state, to)
    told = await all_events(journal)
    said = outcome(to, entry.order or "7" if to in (S.ACCEPTED, S.FINISHED) else None, decided_by="ops")

    if to in TRANSITIONS[state] and to not in (S.SENDING, S.FINISHED):
        moved = await journal.apply_decision(to, {state}, said)
        assert moved is not None
        assert moved.state is to
        event = (await all_events(journal))[-1]
        assert (event.position, event.text) == (len(told) + 1, "by ops")
    else:
        with pytest.raises(JournalError, match="no move"):
            await journal.apply_decision(to, {state}, said)
        assert await journal.find(to) == entry
        assert await all_events(journal) == told


@pytest.mark.asyncio
async def test_a_decision_needs_one_of_the_states_it_is_meant_for(journal: SQLJournal) -> None:
    entry = await in_state(journal, S.REFUSED)

    assert await journal.apply_decision("a", {S.UNKNOWN}, outcome(S.ACCEPTED, "7")) is None
    assert await journal.apply_decision("nobody", {S.UNKNOWN}, outcome(S.ACCEPTED, "7")) is None
    assert await journal.find("a") == entry


@pytest.mark.asyncio
async def test_a_decision_tells_who_and_why(journal: SQLJournal) -> None:
    await in_state(journal, S.UNKNOWN)

    entry = await journal.apply_decision(
        "a", {S.UNKNOWN}, outcome(S.ACCEPTED, "7", decided_by="ops", reason="seen on the site")
    )

    assert entry is not None
    assert (entry.order, entry.reason) == ("7", "seen on the site")
    assert (await all_events(journal))[-1].text == "by ops: seen on the site"


@pytest.mark.asyncio
async def test_a_person_cannot_give_an_order_to_two_refs(journal: SQLJournal) -> None:
    await accepted(journal, "first", "32")
    entry = await in_state(journal, S.UNKNOWN, "second")

    with pytest.raises(RefConflictError, match="order 32 is that of ref 'first'"):
        await journal.apply_decision("second", {S.UNKNOWN}, outcome(S.ACCEPTED, "32"))

    assert await journal.find("second") == entry


@pytest.mark.asyncio
async def test_an_order_that_is_to_be_sent_again_is_booked_again(journal: SQLJournal) -> None:
    refused = await in_state(journal, S.REFUSED)
    await prepared(journal, "b")
    again = outcome(S.PREPARED, due_at=START)

    with pytest.raises(SpendingLimitError):
        await journal.apply_decision(
            "a", {S.REFUSED}, again, budget_day=DAY, budget=Decimal("2.49")
        )
    assert await journal.find("a") == refused
    moved = await journal.apply_decision(
        "a", {S.REFUSED}, again, budget_day="2030-05-18", budget=Decimal("2.49")
    )

    assert moved is not None
    assert moved.state is S.PREPARED
    with pytest.raises(SpendingLimitError):
        await journal.create(new("c", budget_day="2030-05-18"), budget=Decimal("2.49"))
    unbound = await journal.apply_decision("a", {S.PREPARED}, outcome(S.WITHDRAWN), budget_day=DAY)
    assert unbound is not None


@pytest.mark.asyncio
async def test_the_end_of_an_attempt_is_no_persons_to_write(
    journal: SQLJournal, clock: Clock
) -> None:
    await in_state(journal, S.UNKNOWN)
    clock.go(60)

    moved = await journal.apply_decision("a", {S.UNKNOWN}, outcome(S.WITHDRAWN))
    never_sent = await in_state(journal, S.WITHDRAWN, "b")

    assert moved is not None
    assert (moved.settled_at, never_sent.settled_at) == (START, None)


@pytest.mark.asyncio
async def test_an_order_whose_form_is_forgotten_is_not_sent_again(
    journal: SQLJournal, clock: Clock
) -> None:
    await in_state(journal, S.REFUSED)
    await journal.purge(clock() + timedelta(seconds=1))

    with pytest.raises(JournalError, match="form of ref 'a' is forgotten"):
        await journal.apply_decision("a", {S.REFUSED}, outcome(S.PREPARED, due_at=START))


# --- leases --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_an_attempt_lapses_when_its_lease_is_past_and_not_before(
    journals: Journals, clock: Clock
) -> None:
    here, there = await journals(), await journals()
    await begun(here)
    clock.go(LEASE.total_seconds() - 0.000001)
    assert await there.expire_leases() == []
    clock.go(0.000001)

    [entry] = await there.expire_leases()

    assert entry == await here.find("a")
    assert (entry.state, entry.kind, entry.attempt) == (S.UNKNOWN, ErrorKind.TIMEOUT, 1)
    assert (entry.settled_at, entry.reason) == (
        clock(), "no outcome was written before the attempt's time was over",
    )  # fmt: skip
    assert [event.kind for event in await all_events(here)] == [EventKind.UNKNOWN]
    assert await there.expire_leases() == []


@pytest.mark.asyncio
async def test_a_lapsed_attempt_gives_its_place_back(journal: SQLJournal, clock: Clock) -> None:
    await begun(journal, places=1)
    clock.go(LEASE.total_seconds())
    await journal.expire_leases()

    assert await begun(journal, "b", places=1)


@pytest.mark.asyncio
async def test_a_late_refusal_lifts_unknown_but_not_a_persons_word(
    journal: SQLJournal, clock: Clock
) -> None:
    await begun(journal, "a")
    await begun(journal, "b")
    clock.go(LEASE.total_seconds())
    await journal.expire_leases()
    withdrawn = await journal.apply_decision("b", {S.UNKNOWN}, outcome(S.WITHDRAWN))

    assert (await journal.record_outcome("a", 1, outcome(S.REFUSED))).state is S.REFUSED
    assert await journal.record_outcome("b", 1, outcome(S.REFUSED)) == withdrawn


# --- held for another order ----------------------------------------------------------------------


@pytest.mark.asyncio
async def test_held_orders_are_sent_when_their_wait_is_over(
    journal: SQLJournal, clock: Clock
) -> None:
    await begun(journal)
    until = START + timedelta(minutes=10)
    await journal.record_outcome("a", 1, outcome(S.HELD, kind=ErrorKind.DUPLICATE, due_at=until))
    clock.go(599)
    assert await journal.due_to_send(9) == []
    clock.go(1)

    [entry] = await journal.due_to_send(9)

    assert (entry.ref, entry.state) == ("a", S.PREPARED)
    assert [event.kind for event in await all_events(journal)] == [
        EventKind.HELD, EventKind.RELEASED,
    ]  # fmt: skip
    assert [each.ref for each in await journal.due_to_send(9)] == ["a"]
    assert len(await all_events(journal)) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("end", ["finished", "refused", "withdrawn"])
async def test_the_end_of_an_order_frees_those_held_for_its_link(
    journal: SQLJournal, end: str
) -> None:
    shared: dict[str, Any] = {"link": "https://x.test/shared"}
    await accepted(journal, "finished", **shared)
    await begun(journal, "refused", **shared)
    await begun(journal, "withdrawn", **shared)
    await journal.record_outcome("withdrawn", 1, outcome(S.UNKNOWN))
    for ref, link in (("held", "https://x.test/shared"), ("apart", "https://x.test/apart")):
        await begun(journal, ref, link=link)
        await journal.record_outcome(ref, 1, outcome(S.HELD, due_at=START + timedelta(hours=1)))

    if end == "finished":
        await journal.record_statuses([look(each) for each in await claimed(journal)])
    elif end == "refused":
        await journal.record_outcome("refused", 1, outcome(S.REFUSED))
    else:
        await journal.apply_decision("withdrawn", {S.UNKNOWN}, outcome(S.WITHDRAWN))

    assert [each.ref for each in await journal.due_to_send(9)] == ["held"]
    apart = await journal.find("apart")
    assert apart is not None
    assert apart.state is S.HELD
