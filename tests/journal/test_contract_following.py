"""The contract of every journal for many orders: following, call rate, events and queries."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event as sql_event
from support.journals import (
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

from smmfanfast_async import ErrorKind, JournalError
from smmfanfast_async.journal import Entry, EntryState, EventKind
from smmfanfast_async.journal.sql import SQLJournal, queries

S = EntryState

# --- claiming ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_claim_returns_the_longest_due_orders_first(
    journal: SQLJournal, clock: Clock
) -> None:
    for number in range(4):
        due_at = START - timedelta(minutes=number) if number else START + timedelta(minutes=1)
        await start(journal, f"{number}")
        await journal.record_outcome(
            f"{number}", 1, outcome(S.ACCEPTED, f"id-{number}", due_at=due_at)
        )
    await reach(journal, S.UNKNOWN, "u")

    first = await claim_due(journal, 2)
    rest = await claim_due(journal)

    assert {each.entry.ref for each in first} == {"2", "3"}
    assert [each.entry.ref for each in rest] == ["1"]
    assert await claim_due(journal) == []


@pytest.mark.asyncio
async def test_expired_claim_can_be_reclaimed_which_invalidates_it(
    journals: Journals, clock: Clock
) -> None:
    local, remote = await journals(), await journals()
    await accept(local)
    [stale] = await claim_due(local)
    clock.advance(LEASE.total_seconds() - 1)
    assert await claim_due(remote) == []
    clock.advance(1)
    [fresh] = await claim_due(remote)

    assert await local.record_statuses([observe(stale)]) == []
    assert (await local.find("a")) == fresh.entry
    [entry] = await remote.record_statuses([observe(fresh, "Partial", remains=3)])

    assert entry.raw_status == "Partial"
    assert await remote.record_statuses([observe(fresh, "Completed")]) == []
    assert [event.kind for event in await all_events(local)] == [
        EventKind.ACCEPTED, EventKind.FINISHED,
    ]  # fmt: skip


# --- releasing -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_released_order_is_due_at_its_time_and_otherwise_unchanged(
    journals: Journals, clock: Clock
) -> None:
    local, remote = await journals(), await journals()
    before = [await accept(local, ref) for ref in ("a", "b", "c")]
    claims = {each.entry.ref: each for each in await claim_due(local)}
    soon, later = (clock() + timedelta(seconds=seconds) for seconds in (1, 9))

    await local.release([(claims["a"], soon), (claims["b"], later)])

    assert await claim_due(remote) == []
    clock.advance(1)
    assert [each.entry.ref for each in await claim_due(remote)] == ["a"]
    clock.advance(8)
    assert [each.entry.ref for each in await claim_due(remote)] == ["b"]
    assert [await local.find(ref) for ref in ("a", "b", "c")] == before
    assert [each.kind for each in await all_events(local)] == [EventKind.ACCEPTED] * 3


@pytest.mark.asyncio
async def test_releasing_nothing_writes_nothing(journal: SQLJournal) -> None:
    await journal.release([])


@pytest.mark.asyncio
async def test_released_claim_is_invalid(journal: SQLJournal, clock: Clock) -> None:
    await accept(journal)
    [claim] = await claim_due(journal)
    await journal.release([(claim, clock())])

    assert await journal.record_statuses([observe(claim)]) == []

    [again] = await claim_due(journal)
    assert again.version > claim.version
    assert again.entry == claim.entry


@pytest.mark.asyncio
async def test_invalid_claim_releases_nothing(journals: Journals, clock: Clock) -> None:
    """Neither an order that another desk claimed later, nor one that is final."""
    local, remote = await journals(), await journals()
    await accept(local)
    [stale] = await claim_due(local)
    clock.advance(LEASE.total_seconds())
    [fresh] = await claim_due(remote)

    await local.release([(stale, clock())])

    assert await claim_due(local) == []
    [entry] = await remote.record_statuses([observe(fresh)])
    await remote.release([(fresh, clock())])
    assert await local.find("a") == entry
    assert await local.next_due() is None


# --- recording statuses --------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_status_is_recorded_completely(journal: SQLJournal, clock: Clock) -> None:
    await accept(journal)
    [claim] = await claim_due(journal)
    clock.advance(7)
    observation = observe(
        claim, "In progress", raw_charge="0.90", currency="USD", start_count=5, remains=900
    )

    [entry] = await journal.record_statuses([observation])

    assert entry == await journal.find("a")
    assert (entry.state, entry.raw_status) == (S.ACCEPTED, "In progress")
    assert (str(entry.charge), entry.currency) == ("0.90", "USD")
    assert (entry.start_count, entry.remains) == (5, 900)
    assert (entry.checked_at, entry.changed_at) == (clock(), clock())
    event = (await all_events(journal))[-1]
    assert (event.kind, event.order, event.raw_status) == (
        EventKind.CHANGED,
        "id-a",
        "In progress",
    )
    assert (event.charge, event.remains, event.at) == (Decimal("0.90"), 900, clock())


@pytest.mark.asyncio
async def test_only_changes_record_events_and_missing_fields_stay(
    journal: SQLJournal, clock: Clock
) -> None:
    await accept(journal)
    [claim] = await claim_due(journal)
    [first] = await journal.record_statuses([observe(claim, "Pending", raw_charge="1", remains=9)])
    clock.advance(7200)
    [claim] = await claim_due(journal)

    assert await journal.record_statuses([observe(claim, "Pending")]) == []

    after = await journal.find("a")
    assert after is not None
    assert (after.charge, after.remains, after.checked_at) == (Decimal(1), 9, clock())
    assert after.changed_at == first.changed_at
    assert len(await all_events(journal)) == 2


@pytest.mark.asyncio
async def test_recording_no_statuses_writes_nothing(journal: SQLJournal) -> None:
    assert await journal.record_statuses([]) == []


@pytest.mark.asyncio
async def test_batch_of_statuses_is_one_statement(journal: SQLJournal) -> None:
    for number in range(25):
        await accept(journal, f"{number}")
    claims = await claim_due(journal)
    executed: list[str] = []
    engine = journal._database._engine
    assert engine is not None
    sql_event.listen(
        engine.sync_engine, "before_cursor_execute",
        lambda connection, cursor, sql, *rest: executed.append(sql),
    )  # fmt: skip

    changed = await journal.record_statuses([observe(each, "Pending") for each in claims])

    assert len(changed) == 25
    assert [sql.split()[1] for sql in executed if sql.startswith("UPDATE")] == [
        "smm_orders", "smm_accounts",
    ]  # fmt: skip
    assert len([sql for sql in executed if sql.startswith("INSERT")]) == 1


@pytest.mark.asyncio
async def test_id_missed_three_times_records_one_event_and_stays(
    journal: SQLJournal, clock: Clock
) -> None:
    before = await accept(journal)
    changed: list[list[Entry]] = []
    for _ in range(4):
        [claim] = await claim_due(journal)
        changed.append(await journal.record_statuses([observe(claim, None)]))
        clock.advance(7200)

    after = await journal.find("a")
    assert after is not None
    assert [len(each) for each in changed] == [0, 0, 1, 0]
    assert (after.miss_count, after.state, after.order) == (4, before.state, before.order)
    assert (after.raw_status, after.charge) == (None, None)
    assert (await all_events(journal))[-1].kind is EventKind.MISSING
    [claim] = await claim_due(journal)
    await journal.record_statuses([observe(claim, "Pending")])
    entry = await journal.find("a")
    assert entry is not None
    assert entry.miss_count == 0


@pytest.mark.asyncio
async def test_regressing_or_unknown_status_is_recorded_as_received(
    journal: SQLJournal, clock: Clock
) -> None:
    await accept(journal)
    for raw_status in ("Processing", "Pending", "Zurückgestellt \x1b[2J" + "x" * 300):
        [claim] = await claim_due(journal)
        await journal.record_statuses([observe(claim, raw_status)])
        clock.advance(7200)

    statuses = [event.raw_status for event in await all_events(journal)]

    assert statuses[1:3] == ["Processing", "Pending"]
    assert statuses[3] is not None
    assert statuses[3].startswith("Zurückgestellt  [2J")
    assert len(statuses[3]) == 200
    summary = await journal.summary()
    assert summary.by_status == {"unknown": 1}


@pytest.mark.asyncio
async def test_numbers_at_their_bounds_do_not_affect_other_orders(journal: SQLJournal) -> None:
    for ref in ("a", "b"):
        await accept(journal, ref)
    extreme, plain = await claim_due(journal)
    max_count = 2**53
    observation = observe(
        extreme, "Pending", start_count=max_count, remains=-max_count,
        raw_charge="1" + "0" * 39, currency="x" * 99 + "\0",
    )  # fmt: skip

    assert len(await journal.record_statuses([observation, observe(plain)])) == 2

    entry = await journal.find(extreme.entry.ref)
    assert entry is not None
    assert (entry.start_count, entry.remains, entry.charge) == (
        max_count,
        -max_count,
        Decimal("1E+39"),
    )
    assert entry.currency == "x" * 16


@pytest.mark.asyncio
async def test_final_status_finishes_the_order(journal: SQLJournal, clock: Clock) -> None:
    await accept(journal)
    [claim] = await claim_due(journal)

    [entry] = await journal.record_statuses([observe(claim, "Partial", remains=250)])

    assert entry.state is S.FINISHED
    assert entry == await journal.find("a")
    assert entry.refund_share == Decimal("0.25")
    clock.advance(9999)
    assert await claim_due(journal) == []
    assert await journal.next_due() is None


# --- due times -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_due_to_send_is_ordered_by_due_time(journal: SQLJournal, clock: Clock) -> None:
    await prepare(journal, "later", due_at=START + timedelta(seconds=30))
    await prepare(journal, "second")
    await prepare(journal, "first", due_at=START - timedelta(seconds=1))

    assert [each.ref for each in await journal.due_to_send(9)] == ["first", "second"]
    assert [each.ref for each in await journal.due_to_send(1)] == ["first"]
    clock.advance(30)
    assert [each.ref for each in await journal.due_to_send(9)] == ["first", "second", "later"]


@pytest.mark.asyncio
async def test_next_due_is_the_earliest_of_sending_holding_and_checking(
    journal: SQLJournal, clock: Clock
) -> None:
    def at(seconds: int) -> Any:
        return START + timedelta(seconds=seconds)

    assert await journal.next_due() is None
    await prepare(journal, "p", due_at=at(30))
    assert await journal.next_due() == at(30)
    await start(journal, "h")
    await journal.record_outcome("h", 1, outcome(S.HELD, due_at=at(20)))
    assert await journal.next_due() == at(20)
    await start(journal, "a")
    await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "1", due_at=at(10)))
    assert await journal.next_due() == at(10)


@pytest.mark.asyncio
async def test_now_is_the_given_clock(journal: SQLJournal, clock: Clock) -> None:
    clock.advance(5)

    assert await journal.now() == START + timedelta(seconds=5)


# --- call rate -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_calls_of_all_machines_are_one_interval_apart(
    journals: Journals, clock: Clock
) -> None:
    local, remote = await journals(), await journals()
    second = timedelta(seconds=1)

    waits = [(await each.reserve_call(second)).wait for each in (local, remote, local)]
    clock.advance(2.5)
    late = (await remote.reserve_call(second)).wait
    clock.advance(100)

    assert waits == [0 * second, second, 2 * second]
    assert late == timedelta(seconds=0.5)
    assert (await local.reserve_call(second)).wait == 0 * second


@pytest.mark.asyncio
async def test_pause_delays_all_reserved_calls_and_is_never_shortened(
    journals: Journals, clock: Clock
) -> None:
    local, remote = await journals(), await journals()
    await local.pause(START + timedelta(seconds=60))
    await remote.pause(START + timedelta(seconds=30))

    waits = [(await remote.reserve_call(timedelta(seconds=1))).wait for _ in range(2)]
    clock.advance(120)

    assert waits == [timedelta(seconds=60), timedelta(seconds=61)]
    assert (await local.reserve_call(timedelta(seconds=1))).wait == timedelta(0)


@pytest.mark.asyncio
async def test_clock_set_back_delays_neither_calls_nor_outcomes(
    journal: SQLJournal, clock: Clock
) -> None:
    second = timedelta(seconds=1)
    await journal.reserve_call(second)
    await start(journal)
    clock.advance(-3600)

    assert [(await journal.reserve_call(second)).wait for _ in range(2)] == [0 * second, second]
    # No lease lasts an hour: the attempt is given up, and resolved when its answer arrives.
    assert [each.state for each in await journal.expire_leases()] == [S.UNKNOWN]
    assert (await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "32"))).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_clock_set_forward_expires_attempt_until_its_answer_arrives(
    journal: SQLJournal, clock: Clock
) -> None:
    await start(journal)
    clock.advance(3600)
    assert [each.state for each in await journal.expire_leases()] == [S.UNKNOWN]
    assert await journal.start_attempt("a", 1, lease=LEASE, max_in_flight=1) is None

    assert (await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "32"))).state is S.ACCEPTED


# --- events --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_events_are_read_from_a_position(journal: SQLJournal) -> None:
    for number in range(5):
        await accept(journal, f"{number}")

    first = await journal.events(0, 2)
    rest = await journal.events(first[-1].position, 99)

    assert [event.position for event in [*first, *rest]] == [1, 2, 3, 4, 5]
    assert [event.ref for event in [*first, *rest]] == ["0", "1", "2", "3", "4"]
    assert await journal.events(5, 99) == []


# --- queries -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_entries_are_complete_and_ordered_over_many_pages(
    journal: SQLJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "PAGE_ROWS", 7)
    for number in range(22):
        await prepare(journal, f"{number:03}")

    refs = [each.ref async for each in journal.entries()]

    assert refs == [f"{number:03}" for number in range(22)]


@pytest.mark.asyncio
async def test_entries_are_filtered_by_state_status_ref_and_time(
    journal: SQLJournal, clock: Clock
) -> None:
    await reach(journal, S.FINISHED, "inv-1")
    clock.advance(10)
    await prepare(journal, "inv-2")
    clock.advance(10)
    await prepare(journal, "INV%3")

    async def refs(**filters: Any) -> list[str]:
        return [each.ref async for each in journal.entries(**filters)]

    assert await refs(states={S.PREPARED}) == ["inv-2", "INV%3"]
    assert await refs(states=[S.FINISHED, S.PREPARED]) == ["inv-1", "inv-2", "INV%3"]
    assert await refs(statuses={"completed"}) == ["inv-1"]
    assert await refs(ref_prefix="inv-") == ["inv-1", "inv-2"]
    assert await refs(ref_prefix="INV%") == ["INV%3"]
    assert await refs(since=START + timedelta(seconds=10)) == ["inv-2", "INV%3"]
    assert await refs(until=START + timedelta(seconds=10)) == ["inv-1"]
    assert await refs(ref_prefix="inv", since=START, until=clock()) == ["inv-1", "inv-2"]


@pytest.mark.asyncio
async def test_unknown_order_is_returned_with_its_evidence(
    journal: SQLJournal, clock: Clock
) -> None:
    link = "https://x.test/shared"
    await accept(journal, "before", link=link)
    await reach(journal, S.REFUSED, "refused", link=link)
    await prepare(journal, "lost", link=link)
    await journal.start_attempt(
        "lost", 0, lease=LEASE, max_in_flight=9, balance_before=Decimal("9.10")
    )
    await journal.record_outcome("lost", 1, outcome(S.UNKNOWN, balance_after=Decimal("7.85")))
    await reach(journal, S.UNKNOWN, "alone", link=None)

    [lost, alone] = await journal.unknown()

    assert lost.entry == await journal.find("lost")
    assert (lost.balance_drop, lost.drop_matches_price) == (Decimal("1.25"), True)
    assert (lost.link_reported_active, lost.other_refs) == (False, ("before",))
    assert (alone.balance_drop, alone.link_reported_active, alone.other_refs) == (None, False, ())
    clock.advance(1)
    await start(journal, "later", link=link)
    await journal.record_outcome(
        "later", 1, outcome(S.HELD, kind=ErrorKind.DUPLICATE, due_at=START)
    )

    [lost, alone] = await journal.unknown()

    assert (lost.link_reported_active, alone.link_reported_active) == (True, False)


@pytest.mark.asyncio
async def test_duplicate_reported_before_the_attempt_is_not_evidence(
    journal: SQLJournal, clock: Clock
) -> None:
    link = "https://x.test/shared"
    await start(journal, "earlier", link=link)
    await journal.record_outcome("earlier", 1, outcome(S.REFUSED, kind=ErrorKind.DUPLICATE))
    clock.advance(1)
    await reach(journal, S.UNKNOWN, "lost", link=link)

    [lost] = await journal.unknown()

    assert not lost.link_reported_active


@pytest.mark.asyncio
async def test_summary_adds_money_exactly(journal: SQLJournal) -> None:
    assert await journal.summary() == await journal.summary()
    tenth = Decimal("0.10")
    for number in range(30):
        await prepare(journal, f"p{number}", price=tenth)
    for number in range(3):
        await accept(journal, f"a{number}", price=tenth)
    await reach(journal, S.UNKNOWN, "u", price=Decimal("0.3"))
    await start(journal, "s", price=None)
    await start(journal, "s2", price=Decimal("0.005"))
    await reach(journal, S.REFUSED, "r")
    first, second, _ = sorted(await claim_due(journal), key=lambda each: each.entry.ref)
    await journal.record_statuses([
        observe(first, "Partial", raw_charge="0.07"), observe(second, "Pending"),
    ])  # fmt: skip

    summary = await journal.summary()

    assert summary.by_state == {
        S.PREPARED: 30, S.ACCEPTED: 2, S.FINISHED: 1, S.UNKNOWN: 1, S.SENDING: 2, S.REFUSED: 1,
    }  # fmt: skip
    assert summary.by_status == {"partial": 1, "pending": 1, "unseen": 1}
    assert str(summary.spent) == "0.27"
    assert str(summary.refunded) == "0.03"
    assert str(summary.at_risk) == "0.305"


@pytest.mark.asyncio
async def test_purge_deletes_personal_data_and_keeps_money_and_refs(
    journal: SQLJournal, clock: Clock
) -> None:
    done = await reach(journal, S.FINISHED, "done")
    await start(journal, "refused")
    await journal.record_outcome(
        "refused", 1, outcome(S.REFUSED, reason="link x.test/me is private")
    )
    await start(journal, "open")
    await journal.record_outcome("open", 1, outcome(S.UNKNOWN, reason="kept"))
    clock.advance(60)
    young = await reach(journal, S.FINISHED, "young")

    count = await journal.purge(START + timedelta(seconds=60))

    assert count == 2
    entry = await journal.find("done")
    assert entry is not None
    assert (entry.form, entry.link, entry.reason) == ({}, None, None)
    assert (entry.state, entry.order, entry.price) == (done.state, done.order, done.price)
    assert await journal.find("young") == young
    texts = {event.ref: event.text for event in await all_events(journal) if event.text}
    assert texts == {"open": "kept"}
    assert (await journal.create(new_entry("done"))).order == done.order
    assert await journal.purge(START + timedelta(seconds=60)) == 0


@pytest.mark.asyncio
async def test_purge_takes_bounded_steps_and_continues_after_an_interruption(
    journal: SQLJournal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smmfanfast_async.journal.sql.journal.PURGE_ROWS", 3)
    for number in range(8):
        await start(journal, f"r{number}")
        state = S.UNKNOWN if number == 1 else S.REFUSED
        await journal.record_outcome(f"r{number}", 1, outcome(state, reason="of x.test/me"))
        clock.advance(number // 3)  # several have the same time
    steps = 0
    purge = SQLJournal._purge_page

    async def stops_after_one(self: SQLJournal, *args: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 2:
            raise JournalError("is restarting")
        return await purge(self, *args)

    monkeypatch.setattr(SQLJournal, "_purge_page", stops_after_one)
    with pytest.raises(JournalError):
        await journal.purge(clock() + timedelta(seconds=1))
    left = [each.ref async for each in journal.entries() if each.form]
    count = await journal.purge(clock() + timedelta(seconds=1))

    assert len(left) == 6
    assert (count, steps) == (5, 5)
    assert [each.ref async for each in journal.entries() if each.form] == ["r1"]
    assert [event.ref for event in await all_events(journal) if event.text] == ["r1"]


@pytest.mark.asyncio
async def test_late_answer_brings_no_text_back_to_a_purged_order(
    journal: SQLJournal, clock: Clock
) -> None:
    await reach(journal, S.REFUSED)
    await journal.purge(clock() + timedelta(seconds=1))

    await journal.record_outcome("a", 1, outcome(S.UNKNOWN, "77", reason="of x.test/me"))

    last = (await all_events(journal))[-1]
    assert (last.kind, last.order, last.text) == (EventKind.LATE, "77", None)


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_unreadable_row_raises_journal_error(
    journal: SQLJournal,
) -> None:
    await prepare(journal)
    engine = journal._database._engine
    assert engine is not None
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE smm_orders SET price = 'much'")

    with pytest.raises(JournalError, match="invalid value"):
        await journal.find("a")
    with pytest.raises(JournalError, match="invalid value"):
        _ = [each async for each in journal.entries()]


@pytest.mark.asyncio
async def test_closed_journal_raises_until_reopened(journal: SQLJournal) -> None:
    await journal.aclose()
    await journal.aclose()

    with pytest.raises(JournalError, match="not open"):
        await journal.find("a")
    await journal.open()
    assert await journal.find("a") is None


@pytest.mark.asyncio
async def test_mistake_of_the_caller_is_not_a_journal_error(journal: SQLJournal) -> None:
    with pytest.raises(TypeError):
        await journal.create(new_entry(form={"service": object()}))


@pytest.mark.asyncio
async def test_account_that_cannot_be_opened_does_not_affect_another(
    journal: SQLJournal, backend: str
) -> None:
    await prepare(journal)
    too_long = journal.for_account("x" * 65 if backend == "postgresql" else "\ud800")

    with pytest.raises(JournalError):
        await too_long.open()

    assert await journal.find("a") is not None
