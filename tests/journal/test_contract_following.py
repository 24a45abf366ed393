"""What every journal must do for many: following, pace, events, and the questions about them."""

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

from smmfanfast_async import ErrorKind, InvalidSettingsError, JournalError
from smmfanfast_async.journal import Entry, EntryState, EventKind
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.journal.sql import journal as room

S = EntryState

# --- claiming ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_claim_takes_what_is_due_the_longest_first_and_leaves_the_rest(
    journal: SQLJournal, clock: Clock
) -> None:
    for number in range(4):
        due_at = START - timedelta(minutes=number) if number else START + timedelta(minutes=1)
        await begun(journal, f"{number}")
        await journal.record_outcome(
            f"{number}", 1, outcome(S.ACCEPTED, f"id-{number}", due_at=due_at)
        )
    await in_state(journal, S.UNKNOWN, "u")

    first = await claimed(journal, 2)
    rest = await claimed(journal)

    assert {each.entry.ref for each in first} == {"2", "3"}
    assert [each.entry.ref for each in rest] == ["1"]
    assert await claimed(journal) == []


@pytest.mark.asyncio
async def test_a_lapsed_claim_is_anybodys_and_makes_the_older_one_worthless(
    journals: Journals, clock: Clock
) -> None:
    here, there = await journals(), await journals()
    await accepted(here)
    [stale] = await claimed(here)
    clock.go(LEASE.total_seconds() - 1)
    assert await claimed(there) == []
    clock.go(1)
    [fresh] = await claimed(there)

    assert await here.record_statuses([look(stale)]) == []
    assert (await here.find("a")) == fresh.entry
    [entry] = await there.record_statuses([look(fresh, "Partial", remains=3)])

    assert entry.raw_status == "Partial"
    assert await there.record_statuses([look(fresh, "Completed")]) == []
    assert [event.kind for event in await all_events(here)] == [
        EventKind.ACCEPTED, EventKind.FINISHED,
    ]  # fmt: skip


# --- giving back ---------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_what_is_given_back_is_due_at_its_moment_and_is_else_as_it_was(
    journals: Journals, clock: Clock
) -> None:
    here, there = await journals(), await journals()
    before = [await accepted(here, ref) for ref in ("a", "b", "c")]
    claims = {each.entry.ref: each for each in await claimed(here)}
    soon, later = (clock() + timedelta(seconds=seconds) for seconds in (1, 9))

    await here.release([(claims["a"], soon), (claims["b"], later)])

    assert await claimed(there) == []
    clock.go(1)
    assert [each.entry.ref for each in await claimed(there)] == ["a"]
    clock.go(8)
    assert [each.entry.ref for each in await claimed(there)] == ["b"]
    assert [await here.find(ref) for ref in ("a", "b", "c")] == before
    assert [each.kind for each in await all_events(here)] == [EventKind.ACCEPTED] * 3


@pytest.mark.asyncio
async def test_nothing_given_back_writes_nothing(journal: SQLJournal) -> None:
    await journal.release([])


@pytest.mark.asyncio
async def test_what_was_given_back_is_not_this_claims_any_more(
    journal: SQLJournal, clock: Clock
) -> None:
    await accepted(journal)
    [claim] = await claimed(journal)
    await journal.release([(claim, clock())])

    assert await journal.record_statuses([look(claim)]) == []

    [again] = await claimed(journal)
    assert again.number > claim.number
    assert again.entry == claim.entry


@pytest.mark.asyncio
async def test_a_claim_that_is_over_gives_nothing_back(journals: Journals, clock: Clock) -> None:
    """Neither what another desk has claimed since, nor what is final by now."""
    here, there = await journals(), await journals()
    await accepted(here)
    [stale] = await claimed(here)
    clock.go(LEASE.total_seconds())
    [fresh] = await claimed(there)

    await here.release([(stale, clock())])

    assert await claimed(here) == []
    [entry] = await there.record_statuses([look(fresh)])
    await there.release([(fresh, clock())])
    assert await here.find("a") == entry
    assert await here.next_due() is None


# --- observing -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_look_is_written_whole(journal: SQLJournal, clock: Clock) -> None:
    await accepted(journal)
    [claim] = await claimed(journal)
    clock.go(7)
    seen = look(claim, "In progress", raw_charge="0.90", currency="USD", start_count=5, remains=900)

    [entry] = await journal.record_statuses([seen])

    assert entry == await journal.find("a")
    assert (entry.state, entry.raw_status) == (S.ACCEPTED, "In progress")
    assert (str(entry.charge), entry.currency) == ("0.90", "USD")
    assert (entry.start_count, entry.remains) == (5, 900)
    assert (entry.checked_at, entry.changed_at) == (clock(), clock())
    told = (await all_events(journal))[-1]
    assert (told.kind, told.order, told.raw_status) == (EventKind.CHANGED, "id-a", "In progress")
    assert (told.charge, told.remains, told.at) == (Decimal("0.90"), 900, clock())


@pytest.mark.asyncio
async def test_only_changes_are_told_and_what_is_left_out_stays(
    journal: SQLJournal, clock: Clock
) -> None:
    await accepted(journal)
    [claim] = await claimed(journal)
    [first] = await journal.record_statuses([look(claim, "Pending", raw_charge="1", remains=9)])
    clock.go(7200)
    [claim] = await claimed(journal)

    assert await journal.record_statuses([look(claim, "Pending")]) == []

    after = await journal.find("a")
    assert after is not None
    assert (after.charge, after.remains, after.checked_at) == (Decimal(1), 9, clock())
    assert after.changed_at == first.changed_at
    assert len(await all_events(journal)) == 2


@pytest.mark.asyncio
async def test_no_looks_write_nothing(journal: SQLJournal) -> None:
    assert await journal.record_statuses([]) == []


@pytest.mark.asyncio
async def test_a_batch_of_looks_is_one_statement(journal: SQLJournal) -> None:
    for number in range(25):
        await accepted(journal, f"{number}")
    claims = await claimed(journal)
    seen: list[str] = []
    engine = journal._database._engine
    assert engine is not None
    sql_event.listen(
        engine.sync_engine, "before_cursor_execute",
        lambda connection, cursor, words, *rest: seen.append(words),
    )  # fmt: skip

    changed = await journal.record_statuses([look(each, "Pending") for each in claims])

    assert len(changed) == 25
    assert [words.split()[1] for words in seen if words.startswith("UPDATE")] == [
        "smm_orders", "smm_accounts",
    ]  # fmt: skip
    assert len([words for words in seen if words.startswith("INSERT")]) == 1


@pytest.mark.asyncio
async def test_an_id_that_is_missed_three_times_is_told_once_and_stays(
    journal: SQLJournal, clock: Clock
) -> None:
    before = await accepted(journal)
    told: list[list[Entry]] = []
    for _ in range(4):
        [claim] = await claimed(journal)
        told.append(await journal.record_statuses([look(claim, None)]))
        clock.go(7200)

    after = await journal.find("a")
    assert after is not None
    assert [len(each) for each in told] == [0, 0, 1, 0]
    assert (after.miss_count, after.state, after.order) == (4, before.state, before.order)
    assert (after.raw_status, after.charge) == (None, None)
    assert (await all_events(journal))[-1].kind is EventKind.MISSING
    [claim] = await claimed(journal)
    await journal.record_statuses([look(claim, "Pending")])
    found = await journal.find("a")
    assert found is not None
    assert found.miss_count == 0


@pytest.mark.asyncio
async def test_a_word_that_goes_back_or_is_not_known_is_written_as_it_comes(
    journal: SQLJournal, clock: Clock
) -> None:
    await accepted(journal)
    for word in ("Processing", "Pending", "Zurückgestellt \x1b[2J" + "x" * 300):
        [claim] = await claimed(journal)
        await journal.record_statuses([look(claim, word)])
        clock.go(7200)

    words = [event.raw_status for event in await all_events(journal)]

    assert words[1:3] == ["Processing", "Pending"]
    assert words[3] is not None
    assert words[3].startswith("Zurückgestellt  [2J")
    assert len(words[3]) == 200
    summary = await journal.summary()
    assert summary.by_status == {"unknown": 1}


@pytest.mark.asyncio
async def test_numbers_at_their_bounds_harm_no_order_beside_them(journal: SQLJournal) -> None:
    for ref in ("a", "b"):
        await accepted(journal, ref)
    odd, plain = await claimed(journal)
    most = 2**53
    seen = look(odd, "Pending", start_count=most, remains=-most, raw_charge="1" + "0" * 39,
                currency="x" * 99 + "\0")  # fmt: skip

    assert len(await journal.record_statuses([seen, look(plain)])) == 2

    entry = await journal.find(odd.entry.ref)
    assert entry is not None
    assert (entry.start_count, entry.remains, entry.charge) == (most, -most, Decimal("1E+39"))
    assert entry.currency == "x" * 16


@pytest.mark.asyncio
async def test_a_final_word_ends_the_following(journal: SQLJournal, clock: Clock) -> None:
    await accepted(journal)
    [claim] = await claimed(journal)

    [entry] = await journal.record_statuses([look(claim, "Partial", remains=250)])

    assert entry.state is S.FINISHED
    assert entry == await journal.find("a")
    assert entry.refund_share == Decimal("0.25")
    clock.go(9999)
    assert await claimed(journal) == []
    assert await journal.next_due() is None


# --- what is due ---------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_what_is_to_be_sent_comes_when_it_is_due_in_that_order(
    journal: SQLJournal, clock: Clock
) -> None:
    await prepared(journal, "later", due_at=START + timedelta(seconds=30))
    await prepared(journal, "second")
    await prepared(journal, "first", due_at=START - timedelta(seconds=1))

    assert [each.ref for each in await journal.due_to_send(9)] == ["first", "second"]
    assert [each.ref for each in await journal.due_to_send(1)] == ["first"]
    clock.go(30)
    assert [each.ref for each in await journal.due_to_send(9)] == ["first", "second", "later"]


@pytest.mark.asyncio
async def test_the_next_moment_is_the_nearest_of_sending_holding_and_looking(
    journal: SQLJournal, clock: Clock
) -> None:
    def at(seconds: int) -> Any:
        return START + timedelta(seconds=seconds)

    assert await journal.next_due() is None
    await prepared(journal, "p", due_at=at(30))
    assert await journal.next_due() == at(30)
    await begun(journal, "h")
    await journal.record_outcome("h", 1, outcome(S.HELD, due_at=at(20)))
    assert await journal.next_due() == at(20)
    await begun(journal, "a")
    await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "1", due_at=at(10)))
    assert await journal.next_due() == at(10)


@pytest.mark.asyncio
async def test_now_is_the_given_clock(journal: SQLJournal, clock: Clock) -> None:
    clock.go(5)

    assert await journal.now() == START + timedelta(seconds=5)


# --- pace ----------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_calls_of_all_machines_are_one_interval_apart(
    journals: Journals, clock: Clock
) -> None:
    here, there = await journals(), await journals()
    second = timedelta(seconds=1)

    waits = [await each.reserve_call(second) for each in (here, there, here)]
    clock.go(2.5)
    late = await there.reserve_call(second)
    clock.go(100)

    assert waits == [0 * second, second, 2 * second]
    assert late == timedelta(seconds=0.5)
    assert await here.reserve_call(second) == 0 * second


@pytest.mark.asyncio
async def test_a_pause_comes_before_all_places_and_is_never_shortened(
    journals: Journals, clock: Clock
) -> None:
    here, there = await journals(), await journals()
    await here.pause(START + timedelta(seconds=60))
    await there.pause(START + timedelta(seconds=30))

    waits = [await there.reserve_call(timedelta(seconds=1)) for _ in range(2)]
    clock.go(120)

    assert waits == [timedelta(seconds=60), timedelta(seconds=61)]
    assert await here.reserve_call(timedelta(seconds=1)) == timedelta(0)


@pytest.mark.asyncio
async def test_a_clock_that_is_set_back_holds_up_neither_calls_nor_outcomes(
    journal: SQLJournal, clock: Clock
) -> None:
    second = timedelta(seconds=1)
    await journal.reserve_call(second)
    await begun(journal)
    clock.go(-3600)

    assert [await journal.reserve_call(second) for _ in range(2)] == [0 * second, second]
    # Nobody waits an hour for a place: it is given up, and lifted when the answer comes.
    assert [each.state for each in await journal.expire_leases()] == [S.UNKNOWN]
    assert (await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "32"))).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_a_clock_that_is_set_forward_gives_an_attempt_up_until_its_answer_comes(
    journal: SQLJournal, clock: Clock
) -> None:
    await begun(journal)
    clock.go(3600)
    assert [each.state for each in await journal.expire_leases()] == [S.UNKNOWN]
    assert await journal.start_attempt("a", 1, lease=LEASE, max_in_flight=1) is None

    assert (await journal.record_outcome("a", 1, outcome(S.ACCEPTED, "32"))).state is S.ACCEPTED


# --- events --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_events_are_read_on_from_a_position(journal: SQLJournal) -> None:
    for number in range(5):
        await accepted(journal, f"{number}")

    first = await journal.events(0, 2)
    rest = await journal.events(first[-1].position, 99)

    assert [event.position for event in [*first, *rest]] == [1, 2, 3, 4, 5]
    assert [event.ref for event in [*first, *rest]] == ["0", "1", "2", "3", "4"]
    assert await journal.events(5, 99) == []


@pytest.mark.asyncio
async def test_a_consumers_position_goes_forwards_alone(journals: Journals) -> None:
    here, there = await journals(), await journals()
    assert await here.position("mail") == 0

    for position in (3, 2, 7, 7):
        await here.acknowledge("mail", position)

    assert await there.position("mail") == 7
    assert await there.position("chat") == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["", "x" * 201, 7])
async def test_a_consumers_name_is_a_short_text(journal: SQLJournal, name: Any) -> None:
    with pytest.raises(InvalidSettingsError):
        await journal.position(name)
    with pytest.raises(InvalidSettingsError):
        await journal.acknowledge(name, 1)


# --- questions -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_entries_come_whole_and_in_order_over_many_pages(
    journal: SQLJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PAGE_ROWS", 7)
    for number in range(22):
        await prepared(journal, f"{number:03}")

    found = [each.ref async for each in journal.entries()]

    assert found == [f"{number:03}" for number in range(22)]


@pytest.mark.asyncio
async def test_entries_are_chosen_by_state_status_ref_and_time(
    journal: SQLJournal, clock: Clock
) -> None:
    await in_state(journal, S.FINISHED, "inv-1")
    clock.go(10)
    await prepared(journal, "inv-2")
    clock.go(10)
    await prepared(journal, "INV%3")

    async def chosen(**filters: Any) -> list[str]:
        return [each.ref async for each in journal.entries(**filters)]

    assert await chosen(states={S.PREPARED}) == ["inv-2", "INV%3"]
    assert await chosen(states=[S.FINISHED, S.PREPARED]) == ["inv-1", "inv-2", "INV%3"]
    assert await chosen(statuses={"completed"}) == ["inv-1"]
    assert await chosen(ref_prefix="inv-") == ["inv-1", "inv-2"]
    assert await chosen(ref_prefix="INV%") == ["INV%3"]
    assert await chosen(since=START + timedelta(seconds=10)) == ["inv-2", "INV%3"]
    assert await chosen(until=START + timedelta(seconds=10)) == ["inv-1"]
    assert await chosen(ref_prefix="inv", since=START, until=clock()) == ["inv-1", "inv-2"]


@pytest.mark.asyncio
async def test_an_unknown_order_comes_with_what_speaks_for_and_against_it(
    journal: SQLJournal, clock: Clock
) -> None:
    link = "https://x.test/shared"
    await accepted(journal, "before", link=link)
    await in_state(journal, S.REFUSED, "refused", link=link)
    await prepared(journal, "lost", link=link)
    await journal.start_attempt(
        "lost", 0, lease=LEASE, max_in_flight=9, balance_before=Decimal("9.10")
    )
    await journal.record_outcome("lost", 1, outcome(S.UNKNOWN, balance_after=Decimal("7.85")))
    await in_state(journal, S.UNKNOWN, "alone", link=None)

    [lost, alone] = await journal.unknown()

    assert lost.entry == await journal.find("lost")
    assert (lost.balance_drop, lost.drop_matches_price) == (Decimal("1.25"), True)
    assert (lost.link_reported_active, lost.other_refs) == (False, ("before",))
    assert (alone.balance_drop, alone.link_reported_active, alone.other_refs) == (None, False, ())
    clock.go(1)
    await begun(journal, "later", link=link)
    await journal.record_outcome(
        "later", 1, outcome(S.HELD, kind=ErrorKind.DUPLICATE, due_at=START)
    )

    [lost, alone] = await journal.unknown()

    assert (lost.link_reported_active, alone.link_reported_active) == (True, False)


@pytest.mark.asyncio
async def test_a_duplicate_that_was_reported_before_the_attempt_is_no_evidence(
    journal: SQLJournal, clock: Clock
) -> None:
    link = "https://x.test/shared"
    await begun(journal, "earlier", link=link)
    await journal.record_outcome("earlier", 1, outcome(S.REFUSED, kind=ErrorKind.DUPLICATE))
    clock.go(1)
    await in_state(journal, S.UNKNOWN, "lost", link=link)

    [lost] = await journal.unknown()

    assert not lost.link_reported_active


@pytest.mark.asyncio
async def test_a_summary_counts_in_exact_money(journal: SQLJournal) -> None:
    assert await journal.summary() == await journal.summary()
    tenth = Decimal("0.10")
    for number in range(30):
        await prepared(journal, f"p{number}", price=tenth)
    for number in range(3):
        await accepted(journal, f"a{number}", price=tenth)
    await in_state(journal, S.UNKNOWN, "u", price=Decimal("0.3"))
    await begun(journal, "s", price=None)
    await begun(journal, "s2", price=Decimal("0.005"))
    await in_state(journal, S.REFUSED, "r")
    first, second, _ = sorted(await claimed(journal), key=lambda each: each.entry.ref)
    await journal.record_statuses([
        look(first, "Partial", raw_charge="0.07"), look(second, "Pending"),
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
async def test_purging_forgets_what_is_personal_and_keeps_money_and_names(
    journal: SQLJournal, clock: Clock
) -> None:
    done = await in_state(journal, S.FINISHED, "done")
    await begun(journal, "refused")
    await journal.record_outcome(
        "refused", 1, outcome(S.REFUSED, reason="link x.test/me is private")
    )
    await begun(journal, "open")
    await journal.record_outcome("open", 1, outcome(S.UNKNOWN, reason="kept"))
    clock.go(60)
    young = await in_state(journal, S.FINISHED, "young")

    count = await journal.purge(START + timedelta(seconds=60))

    assert count == 2
    found = await journal.find("done")
    assert found is not None
    assert (found.form, found.link, found.reason) == ({}, None, None)
    assert (found.state, found.order, found.price) == (done.state, done.order, done.price)
    assert await journal.find("young") == young
    texts = {event.ref: event.text for event in await all_events(journal) if event.text}
    assert texts == {"open": "kept"}
    assert (await journal.create(new("done"))).order == done.order
    assert await journal.purge(START + timedelta(seconds=60)) == 0


# --- what must not be met ------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_row_that_is_not_understood_is_an_error_of_the_journal(
    journal: SQLJournal,
) -> None:
    await prepared(journal)
    engine = journal._database._engine
    assert engine is not None
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE smm_orders SET price = 'much'")

    with pytest.raises(JournalError, match="not understood"):
        await journal.find("a")
    with pytest.raises(JournalError, match="not understood"):
        _ = [each async for each in journal.entries()]


@pytest.mark.asyncio
async def test_a_journal_that_is_not_open_says_so(journal: SQLJournal) -> None:
    await journal.aclose()
    await journal.aclose()

    with pytest.raises(JournalError, match="not open"):
        await journal.find("a")
    await journal.open()
    assert await journal.find("a") is None


@pytest.mark.asyncio
async def test_a_mistake_of_the_caller_is_no_error_of_the_journal(journal: SQLJournal) -> None:
    with pytest.raises(TypeError):
        await journal.create(new(form={"service": object()}))


@pytest.mark.asyncio
async def test_an_account_that_cannot_be_opened_harms_no_other(
    journal: SQLJournal, backend: str
) -> None:
    await prepared(journal)
    too_long = journal.for_account("x" * 65 if backend == "postgresql" else "\ud800")

    with pytest.raises(JournalError):
        await too_long.open()

    assert await journal.find("a") is not None
