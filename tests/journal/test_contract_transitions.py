"""The contract of every journal for one order: creating, sending, outcomes, decisions."""

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
    accept,
    all_events,
    claim_due,
    new_entry,
    observe,
    outcome,
    prepare,
    reach,
    start,
)

from smmfanfast_async import ErrorKind, JournalError, RefConflictError, SpendingLimitError
from smmfanfast_async.journal import TRANSITIONS, EntryState, EventKind
from smmfanfast_async.journal.sql import SQLJournal

S = EntryState

# --- creating ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_order_is_recorded_as_given(journal: SQLJournal, clock: Clock) -> None:
    entry = await journal.create(new_entry("invoice-771"))

    assert entry == await journal.find("invoice-771")
    assert (entry.state, entry.attempt) == (S.PREPARED, 0)
    assert entry.form == {"action": "add", "service": "5", "link": "https://x.test/invoice-771"}
    assert (entry.link, entry.quantity) == ("https://x.test/invoice-771", 1000)
    assert (entry.price, entry.created_at) == (Decimal("1.25"), clock())
    assert (entry.order, entry.sent_at, entry.settled_at, entry.miss_count) == (None, None, None, 0)


@pytest.mark.asyncio
async def test_missing_ref_is_found_as_none(journal: SQLJournal) -> None:
    assert await journal.find("missing") is None


@pytest.mark.asyncio
async def test_same_ref_and_form_return_the_existing_entry(journal: SQLJournal) -> None:
    first = await accept(journal)

    again = await journal.create(new_entry(price=Decimal(9), budget_day="2030-05-18"))

    assert again == first


@pytest.mark.asyncio
async def test_same_ref_with_another_form_raises_and_names_the_order(
    journal: SQLJournal,
) -> None:
    first = await accept(journal, order="32")

    with pytest.raises(RefConflictError, match="'a' already names an order") as caught:
        await journal.create(new_entry(form={"service": "6"}))

    assert caught.value.order == "32"
    assert await journal.find("a") == first


@pytest.mark.asyncio
async def test_ref_is_unique_within_an_account_only(journals: Journals) -> None:
    mine, other = await journals("mine"), await journals("other")
    await prepare(mine)

    assert await other.find("a") is None
    assert (await other.create(new_entry(form={"service": "6"}))).state is S.PREPARED
    assert await mine.unknown() == await other.unknown() == []


@pytest.mark.asyncio
async def test_accounts_of_one_journal_share_its_connections(journals: Journals) -> None:
    mine = await journals("mine")
    other = mine.for_account("other")
    journals.stack.push_async_callback(other.aclose)
    await other.open()

    await start(mine)
    await accept(other)

    assert [event.kind for event in await all_events(other)] == [EventKind.ACCEPTED]
    assert await all_events(mine) == []


# --- the day's budget ----------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_prices_of_a_day_may_reach_its_budget_but_not_exceed_it(journal: SQLJournal) -> None:
    budget = Decimal("2.50")
    await journal.create(new_entry("a"), budget=budget)
    await journal.create(new_entry("b"), budget=budget)

    with pytest.raises(SpendingLimitError) as caught:
        await journal.create(new_entry("c", price=Decimal("0.01")), budget=budget)

    assert caught.value.limit_name == "budget_per_day"
    assert (caught.value.spent, caught.value.limit) == (Decimal("2.50"), budget)
    assert await journal.find("c") is None
    await journal.create(new_entry("d", budget_day="2030-05-18"), budget=budget)
    await journal.create(new_entry("e", price=None), budget=budget)


@pytest.mark.asyncio
@pytest.mark.parametrize("state", sorted(EntryState))
async def test_only_refused_and_withdrawn_orders_free_the_budget(
    journal: SQLJournal, state: EntryState
) -> None:
    await reach(journal, state)
    is_freed = state in (S.REFUSED, S.WITHDRAWN)

    if is_freed:
        await journal.create(new_entry("b"), budget=Decimal("1.25"))
    else:
        with pytest.raises(SpendingLimitError):
            await journal.create(new_entry("b"), budget=Decimal("1.25"))


@pytest.mark.asyncio
async def test_existing_ref_is_not_charged_to_the_budget_again(journal: SQLJournal) -> None:
    first = await journal.create(new_entry(), budget=Decimal("1.25"))

    assert await journal.create(new_entry(), budget=Decimal("1.25")) == first


# --- starting an attempt -------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_start_counts_the_attempt_and_records_time_and_balance(
    journal: SQLJournal, clock: Clock
) -> None:
    await prepare(journal)
    clock.advance(5)

    entry = await journal.start_attempt(
        "a", 0, lease=LEASE, max_in_flight=1, balance_before=Decimal("9.10")
    )

    assert entry is not None
    assert entry == await journal.find("a")
    assert (entry.state, entry.attempt) == (S.SENDING, 1)
    assert (entry.sent_at, entry.balance_before) == (START + timedelta(seconds=5), Decimal("9.10"))


@pytest.mark.asyncio
@pytest.mark.parametrize("state", sorted(set(EntryState) - {S.PREPARED}))
async def test_only_prepared_orders_are_started(journal: SQLJournal, state: EntryState) -> None:
    entry = await reach(journal, state)

    started = await journal.start_attempt("a", entry.attempt, lease=LEASE, max_in_flight=9)

    assert started is None
    assert await journal.find("a") == entry


@pytest.mark.asyncio
async def test_start_needs_a_matching_attempt_and_an_entry(journal: SQLJournal) -> None:
    await prepare(journal)

    assert await journal.start_attempt("a", 1, lease=LEASE, max_in_flight=9) is None
    assert await journal.start_attempt("missing", 0, lease=LEASE, max_in_flight=9) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("slots", [1, 2])
async def test_attempts_in_flight_never_exceed_the_limit(journals: Journals, slots: int) -> None:
    local, remote = await journals(), await journals()
    for number in range(slots):
        await start(local, f"in-flight-{number}")
    await prepare(remote, "next")

    assert await remote.start_attempt("next", 0, lease=LEASE, max_in_flight=slots) is None
    await local.record_outcome("in-flight-0", 1, outcome(S.REFUSED))
    assert await remote.start_attempt("next", 0, lease=LEASE, max_in_flight=slots) is not None


@pytest.mark.asyncio
async def test_lowered_limit_counts_attempts_in_higher_slots(journal: SQLJournal) -> None:
    for ref in ("a", "b", "c"):
        await start(journal, ref, max_in_flight=3)
    await prepare(journal, "next")
    for ref in ("a", "b"):
        assert await journal.start_attempt("next", 0, lease=LEASE, max_in_flight=1) is None
        await journal.record_outcome(ref, 1, outcome(S.REFUSED))

    assert await journal.start_attempt("next", 0, lease=LEASE, max_in_flight=1) is None


@pytest.mark.asyncio
async def test_slots_are_counted_per_account(journals: Journals) -> None:
    mine, other = await journals("mine"), await journals("other")

    assert await start(mine, max_in_flight=1)
    assert await start(other, max_in_flight=1)


@pytest.mark.asyncio
async def test_new_attempt_clears_the_reason_of_the_last_one(journal: SQLJournal) -> None:
    await start(journal)
    await journal.record_outcome(
        "a", 1, outcome(S.PREPARED, kind=ErrorKind.NETWORK, reason="no route")
    )

    entry = await journal.start_attempt("a", 1, lease=LEASE, max_in_flight=1)

    assert entry is not None
    assert (entry.attempt, entry.kind, entry.reason, entry.settled_at) == (2, None, None, None)


# --- outcomes ------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("to", sorted(TRANSITIONS[S.SENDING]))
async def test_outcome_and_event_of_each_legal_transition_are_recorded(
    journal: SQLJournal, clock: Clock, to: EntryState
) -> None:
    await start(journal)
    clock.advance(3)
    order = "32" if to in (S.ACCEPTED, S.UNKNOWN) else None
    result = outcome(
        to, order, kind=ErrorKind.SERVER, reason="message\n", balance_after=Decimal("1.00")
    )

    entry = await journal.record_outcome("a", 1, result)

    assert entry == await journal.find("a")
    assert (entry.state, entry.order, entry.attempt) == (to, order, 1)
    assert (entry.kind, entry.reason) == (ErrorKind.SERVER, "message")
    assert (entry.settled_at, entry.balance_after) == (clock(), Decimal("1.00"))
    [event] = await all_events(journal)
    expected_kind = EventKind.RELEASED if to is S.PREPARED else EventKind(to.value)
    assert (event.kind, event.ref, event.attempt, event.at) == (expected_kind, "a", 1, clock())
    assert (event.order, event.text) == ("32" if to is S.ACCEPTED else None, "message")


@pytest.mark.asyncio
@pytest.mark.parametrize("state", sorted(EntryState))
async def test_outcome_applies_only_legal_transitions(
    journal: SQLJournal, state: EntryState
) -> None:
    for to in EntryState:
        await check_outcome(journal, state, to)


async def check_outcome(journal: SQLJournal, state: EntryState, to: EntryState) -> None:
    entry = await reach(journal, state, to)
    before = await all_events(journal)
    late = {S.SENDING: TRANSITIONS[S.SENDING], S.UNKNOWN: {S.ACCEPTED, S.REFUSED},
             S.WITHDRAWN: {S.ACCEPTED}}  # fmt: skip
    is_applied = to in late.get(state, set())

    after = await journal.record_outcome(
        to, entry.attempt, outcome(to, "7" if to is S.ACCEPTED else None)
    )

    events = await all_events(journal)
    if is_applied:
        assert after.state is to
        assert len(events) == len(before) + 1
    elif to is S.ACCEPTED:
        assert after == entry
        assert [(each.kind, each.order) for each in events[len(before) :]] == [
            (EventKind.LATE, "7")
        ]
    else:
        assert (after, events) == (entry, before)


@pytest.mark.asyncio
async def test_recording_an_outcome_twice_changes_nothing(journal: SQLJournal) -> None:
    for ref, result in {
        "a": outcome(S.ACCEPTED, "1"),
        "b": outcome(S.REFUSED, kind=ErrorKind.FUNDS, reason="no money"),
        "c": outcome(S.UNKNOWN, "3", reason="an error with an id"),
        "d": outcome(S.UNKNOWN),
        "e": outcome(S.HELD, due_at=START),
        "f": outcome(S.ACCEPTED, "1", reason="the id of a"),
    }.items():
        await start(journal, ref)
        first = await journal.record_outcome(ref, 1, result)
        events = await all_events(journal)

        again = await journal.record_outcome(ref, 1, result)

        assert (again, await all_events(journal)) == (first, events)


@pytest.mark.asyncio
@pytest.mark.parametrize("given_up", [S.UNKNOWN, S.WITHDRAWN])
async def test_late_id_resolves_an_attempt_that_was_given_up(
    journal: SQLJournal, clock: Clock, given_up: EntryState
) -> None:
    await start(journal)
    clock.advance(LEASE.total_seconds())
    await journal.expire_leases()
    if given_up is S.WITHDRAWN:
        await journal.apply_decision("a", {S.UNKNOWN}, outcome(S.WITHDRAWN, decided_by="ops"))

    entry = await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "32"))

    assert (entry.state, entry.order) == (S.ACCEPTED, "32")


async def give_up_and_retry(journal: SQLJournal, attempt: int) -> None:
    """End an attempt as unknown, let a person decide that it placed nothing, and retry."""
    await journal.record_outcome("a", attempt, outcome(S.UNKNOWN))
    await journal.apply_decision("a", {S.UNKNOWN}, outcome(S.WITHDRAWN, decided_by="ops"))
    await journal.apply_decision("a", {S.WITHDRAWN}, outcome(S.PREPARED, due_at=START))


@pytest.mark.asyncio
async def test_late_id_after_a_retry_is_the_order_and_nothing_is_sent(journal: SQLJournal) -> None:
    await start(journal)
    await give_up_and_retry(journal, 1)

    entry = await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "32", due_at=START))

    assert (entry.state, entry.order) == (S.ACCEPTED, "32")
    assert await journal.due_to_send(9) == []
    assert await journal.start_attempt("a", 1, lease=LEASE, max_in_flight=9) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("state", [S.PREPARED, S.HELD, S.REFUSED, S.WITHDRAWN])
async def test_late_id_of_an_earlier_attempt_counts_while_none_is_in_flight(
    journal: SQLJournal, state: EntryState
) -> None:
    await start(journal)
    await give_up_and_retry(journal, 1)
    await journal.start_attempt("a", 1, lease=LEASE, max_in_flight=9)
    if state is S.WITHDRAWN:
        await journal.record_outcome("a", 2, outcome(S.UNKNOWN))
        await journal.apply_decision("a", {S.UNKNOWN}, outcome(S.WITHDRAWN, decided_by="ops"))
    else:
        await journal.record_outcome("a", 2, outcome(state, due_at=START))

    entry = await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "32", due_at=START))

    assert (entry.state, entry.order) == (S.ACCEPTED, "32")
    [event] = [each for each in await all_events(journal) if each.kind is EventKind.ACCEPTED]
    assert event.order == "32"


@pytest.mark.asyncio
@pytest.mark.parametrize("attempt", [0, 3])
async def test_id_of_an_attempt_that_was_never_made_is_only_an_event(
    journal: SQLJournal, attempt: int
) -> None:
    await start(journal)
    await journal.record_outcome("a", 1, outcome(S.PREPARED, due_at=START))

    entry = await journal.record_outcome("a", attempt, outcome(S.ACCEPTED, "32"))

    assert entry.state is S.PREPARED
    assert (await all_events(journal))[-1].kind is EventKind.LATE


@pytest.mark.asyncio
async def test_late_answer_of_an_older_attempt_is_kept_as_an_event(journal: SQLJournal) -> None:
    await start(journal)
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
async def test_older_attempt_without_an_order_records_no_event(journal: SQLJournal) -> None:
    await start(journal)
    await journal.record_outcome("a", 1, outcome(S.PREPARED, due_at=START))
    second = await journal.start_attempt("a", 1, lease=LEASE, max_in_flight=1)
    events = await all_events(journal)

    assert await journal.record_outcome("a", 1, outcome(S.REFUSED)) == second
    assert await all_events(journal) == events


@pytest.mark.asyncio
@pytest.mark.parametrize("spelled", ["032", "+32", "+00032", "32"])
async def test_order_of_another_ref_is_recognised_in_any_spelling(
    journal: SQLJournal, spelled: str
) -> None:
    await accept(journal, "first", "32")
    await reach(journal, S.UNKNOWN, "second")

    with pytest.raises(RefConflictError, match="already belongs to ref 'first'"):
        await journal.apply_decision("second", {S.UNKNOWN}, outcome(S.ACCEPTED, spelled))
    entry = await journal.record_outcome("second", 1, outcome(S.ACCEPTED, spelled))

    assert (entry.state, entry.kind) == (S.UNKNOWN, ErrorKind.CONFLICT)


@pytest.mark.asyncio
async def test_ids_that_are_no_numbers_are_compared_as_they_are(journal: SQLJournal) -> None:
    for ref, order in {"a": "ord_01", "b": "ord_1", "c": "0x1", "d": "01", "e": "1-1"}.items():
        assert (await accept(journal, ref, order)).order == order


@pytest.mark.asyncio
async def test_id_of_another_ref_makes_the_order_unknown(
    journal: SQLJournal,
) -> None:
    first = await accept(journal, "first", "32")
    await start(journal, "second")

    entry = await journal.record_outcome("second", 1, outcome(S.ACCEPTED, "32", due_at=START))

    assert (entry.state, entry.order, entry.kind) == (S.UNKNOWN, "32", ErrorKind.CONFLICT)
    assert entry.reason == "order 32 already belongs to ref 'first'"
    assert await journal.find("first") == first
    assert [each.entry.ref for each in await claim_due(journal)] == ["first"]


@pytest.mark.asyncio
async def test_late_id_of_another_ref_is_an_event_of_a_withdrawn_order(
    journal: SQLJournal,
) -> None:
    await accept(journal, "first", "32")
    await start(journal, "second")
    await journal.record_outcome("second", 1, outcome(S.UNKNOWN))
    withdrawn = await journal.apply_decision("second", {S.UNKNOWN}, outcome(S.WITHDRAWN))

    entry = await journal.record_outcome("second", 1, outcome(S.ACCEPTED, "32"))

    assert entry == withdrawn
    last = (await all_events(journal))[-1]
    assert (last.kind, last.ref, last.order) == (EventKind.LATE, "second", "32")


@pytest.mark.asyncio
async def test_outcome_without_an_entry_raises(journal: SQLJournal) -> None:
    with pytest.raises(JournalError, match="ref 'missing' has no entry"):
        await journal.record_outcome("missing", 1, outcome(S.REFUSED))


# --- decisions -----------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("state", sorted(EntryState))
async def test_decision_applies_only_legal_transitions(
    journal: SQLJournal, state: EntryState
) -> None:
    for to in EntryState:
        await check_decision(journal, state, to)


async def check_decision(journal: SQLJournal, state: EntryState, to: EntryState) -> None:
    entry = await reach(journal, state, to)
    events = await all_events(journal)
    result = outcome(
        to, entry.order or "7" if to in (S.ACCEPTED, S.FINISHED) else None, decided_by="ops"
    )

    is_for_desks = to in (S.SENDING, S.FINISHED) or (state, to) == (S.PREPARED, S.REFUSED)
    if to is S.ACCEPTED and state in (S.PREPARED, S.WITHDRAWN):
        with pytest.raises(JournalError, match="was not sent to any panel"):
            await journal.apply_decision(to, {state}, result)
    elif to in TRANSITIONS[state] and not is_for_desks:
        decided = await journal.apply_decision(to, {state}, result)
        assert decided is not None
        assert decided.state is to
        event = (await all_events(journal))[-1]
        assert (event.position, event.text) == (len(events) + 1, "by ops")
    else:
        with pytest.raises(JournalError, match="cannot change that"):
            await journal.apply_decision(to, {state}, result)
        assert await journal.find(to) == entry
        assert await all_events(journal) == events


@pytest.mark.asyncio
async def test_decision_applies_only_to_the_expected_states(journal: SQLJournal) -> None:
    entry = await reach(journal, S.REFUSED)

    assert await journal.apply_decision("a", {S.UNKNOWN}, outcome(S.ACCEPTED, "7")) is None
    assert await journal.apply_decision("missing", {S.UNKNOWN}, outcome(S.ACCEPTED, "7")) is None
    assert await journal.find("a") == entry


@pytest.mark.asyncio
async def test_decision_event_states_who_and_why(journal: SQLJournal) -> None:
    await reach(journal, S.UNKNOWN)

    entry = await journal.apply_decision(
        "a", {S.UNKNOWN}, outcome(S.ACCEPTED, "7", decided_by="ops", reason="seen on the site")
    )

    assert entry is not None
    assert (entry.order, entry.reason) == ("7", "seen on the site")
    assert (await all_events(journal))[-1].text == "by ops: seen on the site"


@pytest.mark.asyncio
async def test_decision_cannot_assign_one_order_to_two_refs(journal: SQLJournal) -> None:
    await accept(journal, "first", "32")
    entry = await reach(journal, S.UNKNOWN, "second")

    with pytest.raises(RefConflictError, match="order 32 already belongs to ref 'first'"):
        await journal.apply_decision("second", {S.UNKNOWN}, outcome(S.ACCEPTED, "32"))

    assert await journal.find("second") == entry


@pytest.mark.asyncio
async def test_retried_order_counts_against_the_new_days_budget(journal: SQLJournal) -> None:
    refused = await reach(journal, S.REFUSED)
    await prepare(journal, "b")
    retry = outcome(S.PREPARED, due_at=START)

    with pytest.raises(SpendingLimitError):
        await journal.apply_decision(
            "a", {S.REFUSED}, retry, budget_day=DAY, budget=Decimal("2.49")
        )
    assert await journal.find("a") == refused
    decided = await journal.apply_decision(
        "a", {S.REFUSED}, retry, budget_day="2030-05-18", budget=Decimal("2.49")
    )

    assert decided is not None
    assert decided.state is S.PREPARED
    with pytest.raises(SpendingLimitError):
        await journal.create(new_entry("c", budget_day="2030-05-18"), budget=Decimal("2.49"))
    unbound = await journal.apply_decision("a", {S.PREPARED}, outcome(S.WITHDRAWN), budget_day=DAY)
    assert unbound is not None


@pytest.mark.asyncio
async def test_decision_keeps_the_end_time_of_the_attempt(
    journal: SQLJournal, clock: Clock
) -> None:
    await reach(journal, S.UNKNOWN)
    clock.advance(60)

    decided = await journal.apply_decision("a", {S.UNKNOWN}, outcome(S.WITHDRAWN))
    never_sent = await reach(journal, S.WITHDRAWN, "b")

    assert decided is not None
    assert (decided.settled_at, never_sent.settled_at) == (START, None)


@pytest.mark.asyncio
async def test_purged_order_cannot_be_sent_again(journal: SQLJournal, clock: Clock) -> None:
    await reach(journal, S.REFUSED)
    await journal.purge(clock() + timedelta(seconds=1))

    with pytest.raises(JournalError, match="form of ref 'a' was purged"):
        await journal.apply_decision("a", {S.REFUSED}, outcome(S.PREPARED, due_at=START))


# --- leases --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_attempt_expires_exactly_at_the_end_of_its_lease(
    journals: Journals, clock: Clock
) -> None:
    local, remote = await journals(), await journals()
    await start(local)
    clock.advance(LEASE.total_seconds() - 0.000001)
    assert await remote.expire_leases() == []
    clock.advance(0.000001)

    [entry] = await remote.expire_leases()

    assert entry == await local.find("a")
    assert (entry.state, entry.kind, entry.attempt) == (S.UNKNOWN, ErrorKind.TIMEOUT, 1)
    assert (entry.settled_at, entry.reason) == (
        clock(), "no outcome was recorded before the lease of the attempt expired",
    )  # fmt: skip
    assert [event.kind for event in await all_events(local)] == [EventKind.UNKNOWN]
    assert await remote.expire_leases() == []


@pytest.mark.asyncio
async def test_expired_attempt_frees_its_slot(journal: SQLJournal, clock: Clock) -> None:
    await start(journal, max_in_flight=1)
    clock.advance(LEASE.total_seconds())
    await journal.expire_leases()

    assert await start(journal, "b", max_in_flight=1)


@pytest.mark.asyncio
async def test_late_refusal_resolves_unknown_but_not_withdrawn(
    journal: SQLJournal, clock: Clock
) -> None:
    await start(journal, "a")
    await start(journal, "b")
    clock.advance(LEASE.total_seconds())
    await journal.expire_leases()
    withdrawn = await journal.apply_decision("b", {S.UNKNOWN}, outcome(S.WITHDRAWN))

    assert (await journal.record_outcome("a", 1, outcome(S.REFUSED))).state is S.REFUSED
    assert await journal.record_outcome("b", 1, outcome(S.REFUSED)) == withdrawn


# --- held for another order ----------------------------------------------------------------------


@pytest.mark.asyncio
async def test_held_order_is_due_to_send_after_its_wait(journal: SQLJournal, clock: Clock) -> None:
    await start(journal)
    until = START + timedelta(minutes=10)
    await journal.record_outcome("a", 1, outcome(S.HELD, kind=ErrorKind.DUPLICATE, due_at=until))
    clock.advance(599)
    assert await journal.due_to_send(9) == []
    clock.advance(1)

    [entry] = await journal.due_to_send(9)

    assert (entry.ref, entry.state) == ("a", S.PREPARED)
    assert [event.kind for event in await all_events(journal)] == [
        EventKind.HELD, EventKind.RELEASED,
    ]  # fmt: skip
    assert [each.ref for each in await journal.due_to_send(9)] == ["a"]
    assert len(await all_events(journal)) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("end", ["finished", "refused", "withdrawn"])
async def test_closed_order_makes_orders_held_for_its_link_due(
    journal: SQLJournal, end: str
) -> None:
    shared: dict[str, Any] = {"link": "https://x.test/shared"}
    await accept(journal, "finished", **shared)
    await start(journal, "refused", **shared)
    await start(journal, "withdrawn", **shared)
    await journal.record_outcome("withdrawn", 1, outcome(S.UNKNOWN))
    for ref, link in (("held", "https://x.test/shared"), ("apart", "https://x.test/apart")):
        await start(journal, ref, link=link)
        await journal.record_outcome(ref, 1, outcome(S.HELD, due_at=START + timedelta(hours=1)))

    if end == "finished":
        await journal.record_statuses([observe(each) for each in await claim_due(journal)])
    elif end == "refused":
        await journal.record_outcome("refused", 1, outcome(S.REFUSED))
    else:
        await journal.apply_decision("withdrawn", {S.UNKNOWN}, outcome(S.WITHDRAWN))

    assert [each.ref for each in await journal.due_to_send(9)] == ["held"]
    apart = await journal.find("apart")
    assert apart is not None
    assert apart.state is S.HELD


@pytest.mark.asyncio
async def test_one_order_at_a_time_is_released_for_a_link(
    journal: SQLJournal, clock: Clock
) -> None:
    """Of n orders for one link, the panel takes one; each other one would cost a refused call."""
    shared: dict[str, Any] = {"link": "https://x.test/shared"}
    await accept(journal, "first", **shared)
    for number in range(4):
        await start(journal, f"held{number}", **shared)
        due_at = START + timedelta(minutes=number)
        await journal.record_outcome(f"held{number}", 1, outcome(S.HELD, due_at=due_at))

    await journal.record_statuses([observe(each) for each in await claim_due(journal)])
    at_end = [each.ref for each in await journal.due_to_send(9)]
    clock.advance(600)
    after_the_interval = [each.ref for each in await journal.due_to_send(9)]
    due_at_once_again = [each.ref for each in await journal.due_to_send(9)]

    assert at_end == ["held0"]
    assert after_the_interval == ["held0", "held1"]
    assert due_at_once_again == ["held0", "held1"]


@pytest.mark.asyncio
async def test_link_may_be_long(journals: Journals) -> None:
    """PostgreSQL's indexes take no values of more than 2,704 bytes."""
    journal = await journals()
    # Not compressible, as a link with a long token is.
    link = "https://x.test/" + "".join(f"{n * 7919 % 99991:x}" for n in range(800))
    await start(journal, "a", link=link)
    await journal.record_outcome("a", 1, outcome(S.UNKNOWN))
    await accept(journal, "b", link=link)

    [unknown] = await journal.unknown()

    assert len(link) > 3000
    assert unknown.entry.link == link
    assert unknown.other_refs == ("b",)
