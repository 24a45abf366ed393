"""The journal's contract for refills and cancellations, on both databases."""

from datetime import timedelta
from typing import Any

import pytest
from support.journals import (
    LEASE,
    START,
    Clock,
    Journals,
    all_events,
    claim_due,
    observe,
    reach,
)

from smmfanfast_async.errors import ErrorKind
from smmfanfast_async.journal import (
    EntryState,
    EventKind,
    OrderRequest,
    RefillObservation,
    RequestKind,
    RequestOutcome,
    RequestState,
)
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.results import RefillStatus, Status

pytestmark = pytest.mark.asyncio

S = EntryState
R = RequestState
REFILL, CANCEL = RequestKind.REFILL, RequestKind.CANCEL
AHEAD = timedelta(hours=2)
SOON = START + timedelta(seconds=30)


async def request(journal: SQLJournal, kind: RequestKind, ref: str = "a") -> OrderRequest:
    """Record a request about an order that allows it, which is made if there is none."""
    if await journal.find(ref) is None:
        await reach(journal, S.FINISHED if kind is REFILL else S.ACCEPTED, ref)
    created = await journal.create_request(ref, kind, decided_by="me", grace=timedelta(0))
    assert created is not None
    return created


async def start(
    journal: SQLJournal, created: OrderRequest, max_in_flight: int = 9
) -> OrderRequest | None:
    return await journal.start_request(created, lease=LEASE, max_in_flight=max_in_flight)


async def sending(journal: SQLJournal, kind: RequestKind, ref: str = "a") -> OrderRequest:
    started = await start(journal, await request(journal, kind, ref))
    assert started is not None
    return started


async def end(
    journal: SQLJournal, kind: RequestKind, state: RequestState, ref: str = "a", **values: Any
) -> OrderRequest:
    """Bring a new request to a state by the outcome of its attempt."""
    started = await sending(journal, kind, ref)
    return await journal.record_request(started, RequestOutcome(state=state, **values))


async def finish_order(journal: SQLJournal, status: str = "Canceled") -> None:
    for each in await claim_due(journal):
        await journal.record_statuses([observe(each, status)])


async def last(journal: SQLJournal) -> OrderRequest:
    return [each async for each in journal.requests()][-1]


async def told(journal: SQLJournal) -> list[tuple[RequestState | None, str | None, str | None]]:
    """Return state, word and text of the events about requests."""
    kinds = {EventKind.CANCEL_CHANGED, EventKind.REFILL_CHANGED}
    return [
        (each.request_state, each.raw_status, each.text)
        for each in await all_events(journal)
        if each.kind in kinds
    ]


def check(journal_claim: Any, word: str | None, **values: Any) -> RefillObservation:
    status = None if word is None else RefillStatus(refill=journal_claim.refill, raw_status=word)
    return RefillObservation(claim=journal_claim, status=status, due_at=SOON, **values)


# --- creating ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "state"), [(CANCEL, S.ACCEPTED), (REFILL, S.FINISHED)], ids=["cancel", "refill"]
)
async def test_second_call_returns_the_open_request(
    journal: SQLJournal, kind: RequestKind, state: EntryState
) -> None:
    await reach(journal, state)

    first = await request(journal, kind)
    second = await request(journal, kind)

    assert first == second
    assert (first.is_new, second.is_new) == (True, False)
    assert (first.number, first.state, first.order) == (1, R.PREPARED, "id-a")
    assert first.status is None
    assert first.decided_by == "me"
    assert await told(journal) == []


async def test_request_after_one_that_ended_has_the_next_number(journal: SQLJournal) -> None:
    await end(journal, CANCEL, R.REFUSED, reason="no")

    again = await request(journal, CANCEL)

    assert (again.number, again.state, again.is_new) == (2, R.PREPARED, True)
    assert [each.number async for each in journal.requests(ref="a")] == [1, 2]


@pytest.mark.parametrize("kind", [CANCEL, REFILL])
@pytest.mark.parametrize("state", sorted(EntryState))
async def test_state_of_the_order_decides_what_can_be_requested(
    journal: SQLJournal, kind: RequestKind, state: EntryState
) -> None:
    await reach(journal, state)
    allowed = {S.FINISHED} if kind is REFILL else {S.PREPARED, S.HELD, S.ACCEPTED}

    created = await journal.create_request("a", kind, decided_by="me", grace=LEASE)

    assert (created is not None) == (state in allowed)


async def test_order_that_was_not_delivered_cannot_be_refilled(journal: SQLJournal) -> None:
    await reach(journal, S.ACCEPTED)
    await finish_order(journal, "Canceled")

    assert await journal.create_request("a", REFILL, decided_by="me", grace=LEASE) is None
    assert await journal.create_request("none", REFILL, decided_by="me", grace=LEASE) is None


@pytest.mark.parametrize("state", [S.PREPARED, S.HELD])
async def test_cancel_of_an_order_that_is_not_sent_withdraws_it(
    journal: SQLJournal, state: EntryState
) -> None:
    await reach(journal, state)
    before = len(await all_events(journal))

    created = await request(journal, CANCEL)

    entry = await journal.find("a")
    assert entry is not None
    assert entry.state is S.WITHDRAWN
    assert (created.state, created.order, created.is_open) == (R.FINISHED, None, False)
    events = (await all_events(journal))[before:]
    assert [each.kind for each in events] == [EventKind.WITHDRAWN, EventKind.CANCEL_CHANGED]


# --- attempts ------------------------------------------------------------------------------------


async def test_only_one_machine_gets_the_permission_to_send(journals: Journals) -> None:
    one, other = await journals(), await journals()
    created = await request(one, CANCEL)

    started = await start(one, created)

    assert started is not None
    assert (started.state, started.attempt, started.sent_at) == (R.SENDING, 1, START)
    assert await start(other, created) is None
    assert await start(other, started) is None


async def test_start_whose_commit_was_not_confirmed_is_recognised(
    journal: SQLJournal, clock: Clock
) -> None:
    created = await request(journal, CANCEL)
    started = await journal._start_request(created, "me", LEASE, 9)

    assert await journal._start_request(created, "me", LEASE, 9) == started
    assert await journal.count_requests("default") == 1
    clock.advance(LEASE.total_seconds())
    await journal.expire_requests()
    assert await journal._start_request(created, "me", LEASE, 9) is None
    assert await journal.count_requests("default") == 0


async def test_requests_in_flight_at_a_panel_are_limited(journal: SQLJournal) -> None:
    first, second = await request(journal, CANCEL, "a"), await request(journal, REFILL, "b")
    started = await start(journal, first, max_in_flight=1)
    assert started is not None
    assert await start(journal, second, max_in_flight=1) is None

    await journal.record_request(started, RequestOutcome(state=R.ACCEPTED))

    assert await start(journal, second, max_in_flight=1) is not None


@pytest.mark.parametrize("state", [R.ACCEPTED, R.REFUSED, R.UNKNOWN, R.FINISHED])
async def test_outcome_is_recorded_and_told_once(journal: SQLJournal, state: RequestState) -> None:
    started = await sending(journal, REFILL)
    outcome = RequestOutcome(state=state, refill="7", reason="why", error_kind=ErrorKind.SERVER)

    recorded = await journal.record_request(started, outcome)
    again = await journal.record_request(started, outcome)

    assert recorded == again
    assert (recorded.state, recorded.refill, recorded.reason) == (state, "7", "why")
    assert recorded.error_kind is ErrorKind.SERVER
    assert (recorded.settled_at is None) == recorded.is_open
    assert await told(journal) == [(state, None, "why")]


async def test_request_that_was_not_sent_can_be_started_again(journal: SQLJournal) -> None:
    back = await end(journal, CANCEL, R.PREPARED, due_at=SOON, reason="no connection")

    again = await start(journal, back)

    assert (back.state, back.attempt, back.reason) == (R.PREPARED, 1, "no connection")
    assert again is not None
    assert (again.attempt, again.reason) == (2, None)
    assert await told(journal) == []


async def test_unknown_is_never_started_again(journal: SQLJournal) -> None:
    unknown = await end(journal, CANCEL, R.UNKNOWN)

    assert await start(journal, unknown) is None
    back = RequestOutcome(state=R.PREPARED, due_at=START)
    assert (await journal.record_request(unknown, back)).state is R.UNKNOWN
    assert await journal.due_requests(9, ahead=AHEAD) == []
    assert (await journal.health()).requests_unknown == 1


async def test_expired_lease_makes_it_unknown_and_a_late_answer_counts(
    journal: SQLJournal, clock: Clock
) -> None:
    started = await sending(journal, REFILL)
    assert await journal.expire_requests() == []
    clock.advance(LEASE.total_seconds())

    [expired] = await journal.expire_requests()
    assert await journal.expire_requests() == []
    late = await journal.record_request(started, RequestOutcome(state=R.ACCEPTED, refill="7"))

    assert (expired.state, expired.error_kind) == (R.UNKNOWN, ErrorKind.TIMEOUT)
    assert (late.state, late.refill) == (R.ACCEPTED, "7")
    assert [state for state, *_ in await told(journal)] == [R.UNKNOWN, R.ACCEPTED]


async def test_lease_from_a_clock_that_was_set_back_expires(
    journal: SQLJournal, clock: Clock
) -> None:
    await sending(journal, CANCEL)
    clock.advance(-86_400)

    assert [each.state for each in await journal.expire_requests()] == [R.UNKNOWN]


async def test_late_refill_after_a_decision_is_an_event(journal: SQLJournal, clock: Clock) -> None:
    started = await sending(journal, REFILL)
    clock.advance(LEASE.total_seconds())
    await journal.expire_requests()
    await journal.decide_request("a", REFILL, {R.UNKNOWN}, RequestOutcome(state=R.REFUSED))

    late = await journal.record_request(started, RequestOutcome(state=R.ACCEPTED, refill="7"))

    assert (late.state, late.refill) == (R.REFUSED, None)
    assert (await told(journal))[-1] == (R.REFUSED, None, "a late answer: accepted as refill 7")


async def test_outcome_of_an_earlier_attempt_changes_nothing(journal: SQLJournal) -> None:
    first = await sending(journal, CANCEL)
    back = await journal.record_request(first, RequestOutcome(state=R.PREPARED, due_at=START))
    second = await start(journal, back)

    stale = await journal.record_request(first, RequestOutcome(state=R.REFUSED))

    assert stale == second


async def test_postponed_request_is_due_later(journal: SQLJournal, clock: Clock) -> None:
    created = await request(journal, CANCEL)
    assert await journal.due_requests(9, ahead=AHEAD) == [created]

    await journal.postpone_request(
        created, until=SOON, error_kind=ErrorKind.NETWORK, reason="no connection"
    )

    assert await journal.due_requests(9, ahead=AHEAD) == []
    clock.advance(30)
    [due] = await journal.due_requests(9, ahead=AHEAD)
    assert (due.reason, due.error_kind) == ("no connection", ErrorKind.NETWORK)
    clock.advance(-86_400)  # set back: what is due that late was so before
    assert len(await journal.due_requests(9, ahead=AHEAD)) == 1


# --- decisions -----------------------------------------------------------------------------------


async def test_decision_applies_to_the_states_that_it_names(journal: SQLJournal) -> None:
    outcome = RequestOutcome(state=R.REFUSED, reason="not made", decided_by="me")
    assert await journal.decide_request("a", CANCEL, {R.UNKNOWN}, outcome) is None
    await end(journal, CANCEL, R.UNKNOWN)
    assert await journal.decide_request("a", CANCEL, {R.ACCEPTED}, outcome) is None

    decided = await journal.decide_request("a", CANCEL, {R.UNKNOWN}, outcome)

    assert decided is not None
    assert (decided.state, decided.reason) == (R.REFUSED, "not made")
    assert (await told(journal))[-1] == (R.REFUSED, None, "by me: not made")


async def test_outcome_of_a_cancel_makes_its_order_due(journal: SQLJournal) -> None:
    await reach(journal, S.ACCEPTED)
    await claim_due(journal)  # due again after the lease

    await end(journal, CANCEL, R.ACCEPTED, order_due_at=SOON)

    assert await journal.next_due() == SOON


# --- the end of the order ------------------------------------------------------------------------


@pytest.mark.parametrize("state", [R.PREPARED, R.ACCEPTED, R.UNKNOWN])
async def test_end_of_the_order_ends_its_cancel(journal: SQLJournal, state: RequestState) -> None:
    if state is R.PREPARED:
        await request(journal, CANCEL)
    else:
        await end(journal, CANCEL, state)

    await finish_order(journal)

    ended = await last(journal)
    assert (ended.state, ended.raw_status, ended.settled_at) == (R.FINISHED, "Canceled", START)
    assert (ended.error_kind, ended.is_open) == (None, False)
    assert await start(journal, ended) is None
    events = await all_events(journal)
    assert [each.kind for each in events][-2:] == [EventKind.FINISHED, EventKind.CANCEL_CHANGED]
    assert await journal.expire_requests() == []


async def test_cancel_in_flight_ends_after_its_answer(journal: SQLJournal) -> None:
    started = await sending(journal, CANCEL)
    await finish_order(journal, "Completed")
    assert (await last(journal)).state is R.SENDING

    await journal.record_request(started, RequestOutcome(state=R.ACCEPTED))
    [ended] = await journal.expire_requests()

    assert (ended.state, ended.raw_status) == (R.FINISHED, "Completed")
    assert [state for state, *_ in await told(journal)] == [R.ACCEPTED, R.FINISHED]


async def test_cancel_is_not_started_after_the_order_has_ended(journal: SQLJournal) -> None:
    created = await request(journal, CANCEL)
    await finish_order(journal)

    assert await start(journal, created) is None


async def test_cancel_that_came_back_after_the_end_is_not_sent(journal: SQLJournal) -> None:
    started = await sending(journal, CANCEL)
    await finish_order(journal)
    back = await journal.record_request(started, RequestOutcome(state=R.PREPARED, due_at=START))

    assert await start(journal, back) is None
    assert [each.state for each in await journal.expire_requests()] == [R.FINISHED]


async def test_end_of_the_order_leaves_refills_and_other_orders(journal: SQLJournal) -> None:
    await end(journal, REFILL, R.UNKNOWN, "a")
    await request(journal, CANCEL, "b")

    assert await journal.expire_requests() == []
    assert [each.is_open async for each in journal.requests()] == [True, True]


# --- checks of refills ---------------------------------------------------------------------------


async def accepted_refill(journal: SQLJournal, ref: str = "a") -> OrderRequest:
    return await end(journal, REFILL, R.ACCEPTED, ref, refill=f"7{ref}", due_at=START)


async def claim(journal: SQLJournal) -> Any:
    return await journal.claim_refills("default", 9, lease=LEASE, ahead=AHEAD)


async def test_due_refills_are_claimed_once(journals: Journals) -> None:
    one, other = await journals(), await journals()
    await accepted_refill(one, "a")
    await accepted_refill(one, "b")
    await end(one, CANCEL, R.ACCEPTED, "c")

    claims = await claim(one)

    assert {each.refill for each in claims} == {"7a", "7b"}
    assert await claim(other) == []
    assert await one.claim_refills("other", 9, lease=LEASE, ahead=AHEAD) == []


async def test_words_of_a_refill_are_told_once_each(journal: SQLJournal, clock: Clock) -> None:
    await accepted_refill(journal)
    for word, changes in [("Pending", 1), ("Pending", 0), (None, 0), ("Completed", 1)]:
        [claimed] = await claim(journal)
        assert len(await journal.record_refills([check(claimed, word)])) == changes
        clock.advance(30)

    finished = await last(journal)
    assert (finished.state, finished.raw_status) == (R.FINISHED, "Completed")
    assert finished.status is Status.COMPLETED
    assert finished.settled_at == START + timedelta(seconds=90)
    assert await claim(journal) == []
    words = [(state, word) for state, word, _ in await told(journal)]
    assert words == [(R.ACCEPTED, None), (R.ACCEPTED, "Pending"), (R.FINISHED, "Completed")]


@pytest.mark.parametrize("word", ["Completed", "Rejected", "Error", "Canceled"])
async def test_final_words_end_a_refill(journal: SQLJournal, word: str) -> None:
    await accepted_refill(journal)
    [claimed] = await claim(journal)

    [ended] = await journal.record_refills([check(claimed, word)])

    assert ended.state is R.FINISHED


async def test_word_that_is_final_at_this_panel_ends_a_refill(journal: SQLJournal) -> None:
    await accepted_refill(journal)
    [claimed] = await claim(journal)

    [ended] = await journal.record_refills([check(claimed, "Listo", is_final=True)])

    assert (ended.state, ended.raw_status) == (R.FINISHED, "Listo")


async def test_refill_that_the_panel_does_not_know_stays_open(journal: SQLJournal) -> None:
    await accepted_refill(journal)
    [claimed] = await claim(journal)
    missing = check(claimed, None, error_kind=ErrorKind.NOT_FOUND, reason="Refill not found")

    [changed] = await journal.record_refills([missing])

    assert (changed.state, changed.reason) == (R.ACCEPTED, "Refill not found")
    assert (await told(journal))[-1] == (R.ACCEPTED, None, "Refill not found")


async def test_stale_claim_records_nothing(journal: SQLJournal, clock: Clock) -> None:
    await accepted_refill(journal)
    [stale] = await claim(journal)
    clock.advance(LEASE.total_seconds())
    [fresh] = await claim(journal)

    assert await journal.record_refills([check(stale, "Completed")]) == []
    assert len(await journal.record_refills([check(fresh, "Completed")])) == 1


# --- lists and purging ---------------------------------------------------------------------------


async def test_requests_are_listed_by_ref_kind_and_state(
    journal: SQLJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smmfanfast_async.journal.sql.requests.PAGE_ROWS", 2)
    await request(journal, REFILL, "a")
    await request(journal, CANCEL, "b")
    await end(journal, CANCEL, R.UNKNOWN, "c")

    async def listed(**filters: Any) -> list[str]:
        return [each.ref async for each in journal.requests(**filters)]

    assert await listed() == ["a", "b", "c"]
    assert await listed(ref="b") == ["b"]
    assert await listed(kinds=[CANCEL]) == ["b", "c"]
    assert await listed(states=[R.UNKNOWN]) == ["c"]
    assert await listed(kinds=[REFILL], states=[R.UNKNOWN]) == []


async def test_purge_of_requests_takes_bounded_steps(
    journal: SQLJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smmfanfast_async.journal.sql.journal.PURGE_ROWS", 1)
    for ref in ("a", "b", "c"):
        await end(journal, REFILL, R.REFUSED, ref, reason="about https://x.test/a")

    await journal.purge(START + timedelta(days=1))

    assert [each.reason async for each in journal.requests()] == [None] * 3


async def test_purge_deletes_the_texts_of_requests_that_are_over(journal: SQLJournal) -> None:
    old = await end(journal, REFILL, R.REFUSED, "a", reason="about https://x.test/a")
    await end(journal, CANCEL, R.REFUSED, "b", reason="kept: the order runs")
    await end(journal, REFILL, R.UNKNOWN, "c", reason="kept: it is open")

    await journal.purge(START + timedelta(days=1))

    texts = [(each.ref, each.reason, each.decided_by) async for each in journal.requests()]
    assert texts == [
        ("a", None, None), ("b", "kept: the order runs", "me"), ("c", "kept: it is open", "me"),
    ]  # fmt: skip
    by_ref = {each.ref: each.text for each in await all_events(journal) if each.request_state}
    assert by_ref["a"] is None
    assert by_ref["b"] == "kept: the order runs"
    late = RequestOutcome(state=R.ACCEPTED, refill="7", reason="https://x.test/a")
    await journal.record_request(old, late)
    assert (await told(journal))[-1] == (R.REFUSED, None, None)
