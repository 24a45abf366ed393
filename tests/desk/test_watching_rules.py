"""What an answer says about watched services: tables, and random lists against a model."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.journals import START

from smmfanfast_async import Catalogue, Service
from smmfanfast_async.desk.watching_rules import compare, find_fault, pick
from smmfanfast_async.journal import (
    NewServiceEvent,
    ServiceEventKind,
    WatchClaim,
    WatchedService,
)

K = ServiceEventKind
MINUTE = timedelta(minutes=1)
FIRST = Service(service="5", raw_rate="0.90", min=1, max=9)
SECOND = Service(service="5", raw_rate="1", min=1, max=9)

Rows = Mapping[str, WatchedService]


def look(
    listed: Service | None, before: Rows, now: datetime = START
) -> tuple[Rows, list[tuple[K, Service | None, Service | None]]]:
    """Compare an answer about service 5; return its row and what is told."""
    found = compare(["5"], {} if listed is None else {"5": listed}, before, now, MINUTE)
    assert {each.service for each in found.events} <= {"5"}
    told = [(each.kind, each.before, each.after) for each in found.events]
    return {each.service: each for each in found.rows}, told


def test_first_sight_tells_nothing() -> None:
    rows, told = look(FIRST, {})

    assert told == []
    assert rows == {"5": WatchedService(service="5", row=FIRST, checked_at=START)}
    assert look(FIRST, rows)[1] == []


def test_change_is_told_once() -> None:
    rows, told = look(SECOND, look(FIRST, {})[0])

    assert told == [(K.CHANGED, FIRST, SECOND)]
    assert look(SECOND, rows)[1] == []


def test_same_rate_in_other_digits_is_no_change() -> None:
    rows, told = look(Service(service="5", raw_rate="0.9", min=1, max=9), look(FIRST, {})[0])

    assert told == []
    assert rows["5"].row is FIRST


def test_removed_only_when_missed_an_interval_later_too() -> None:
    rows, told = look(None, look(FIRST, {})[0])
    assert told == []
    assert rows["5"].missing_since == START

    rows, told = look(None, rows, START + MINUTE - timedelta(microseconds=1))
    assert told == []
    rows, told = look(None, rows, START + MINUTE)
    assert told == [(K.REMOVED, FIRST, None)]
    assert rows["5"] == WatchedService(
        service="5", row=FIRST, checked_at=START + MINUTE, is_removed=True
    )
    rows, told = look(None, rows, START + 2 * MINUTE)
    assert told == []
    rows, told = look(SECOND, rows, START + 3 * MINUTE)
    assert told == [(K.RESTORED, FIRST, SECOND)]
    assert not rows["5"].is_removed


@pytest.mark.parametrize("seen", [FIRST, SECOND])
def test_misses_that_are_not_in_a_row_count_anew(seen: Service) -> None:
    rows, _ = look(None, look(FIRST, {})[0])
    rows, told = look(seen, rows, START + MINUTE)
    assert told == ([] if seen is FIRST else [(K.CHANGED, FIRST, SECOND)])

    rows, told = look(None, rows, START + 2 * MINUTE)
    assert told == []
    assert rows["5"].missing_since == START + 2 * MINUTE


def test_clock_that_was_set_back_starts_the_interval_anew() -> None:
    rows, _ = look(None, look(FIRST, {})[0], START + 60 * MINUTE)
    rows, told = look(None, rows, START)
    assert told == []
    assert rows["5"].missing_since == START

    assert look(None, rows, START + MINUTE)[1] == [(K.REMOVED, FIRST, None)]


def test_service_that_was_never_listed_is_restored_when_it_is() -> None:
    rows, told = look(None, {})
    assert told == []
    assert rows["5"] == WatchedService(service="5", row=None, checked_at=START, is_removed=True)

    assert look(FIRST, rows)[1] == [(K.RESTORED, None, FIRST)]


# --- complete answers ----------------------------------------------------------------------------


def answer(count: int, **values: Any) -> Catalogue:
    rows = [Service(service=str(number)) for number in range(count)]
    catalogue = Catalogue.from_services(rows, START)
    return Catalogue(services=catalogue.services, fetched_at=START, **values)


def claim(count: int | None = None, hours: float = 0) -> WatchClaim:
    watched_at = None if count is None else START - timedelta(hours=hours)
    return WatchClaim(panel="p", version=1, at=START, count=count, watched_at=watched_at)


@pytest.mark.parametrize(("catalogue", "of", "interval", "fault"), [
    (answer(1), claim(), MINUTE, None),
    (answer(0), claim(), MINUTE, "empty"),
    (answer(0), claim(9, hours=999), MINUTE, "empty"),
    (answer(9, is_stale=True), claim(), MINUTE, "could not be fetched"),
    (answer(5), claim(10), MINUTE, None),
    (answer(4), claim(10), MINUTE, "has 4 entries; the last complete one had 10"),
    (answer(4), claim(10, hours=24), MINUTE, "has 4 entries"),
    (answer(4), claim(10, hours=24.1), MINUTE, None),
    (answer(4), claim(10, hours=60), timedelta(days=1), "has 4 entries"),
    (answer(4), claim(10, hours=73), timedelta(days=1), None),
    (answer(4), claim(10, hours=-99), MINUTE, "has 4 entries"),
    (answer(9, repeated=(FIRST,)), claim(20), MINUTE, None),
])  # fmt: skip
def test_incomplete_answers_are_found(
    catalogue: Catalogue, of: WatchClaim, interval: timedelta, fault: str | None
) -> None:
    found = find_fault(catalogue, of, interval)

    assert (found is None) == (fault is None)
    assert (fault or "") in (found or "")


def test_what_is_picked_is_what_is_read_from_a_journal() -> None:
    odd = Service(service="5", raw_rate="1", extra={"n": [1.5, {"2": None}]}, raw="{}")
    catalogue = Catalogue.from_services([FIRST, odd, Service(service="6", raw="x")], START)

    found = pick(catalogue, ["6", "5", "7"])

    assert found == {"5": FIRST, "6": Service(service="6")}
    alone = pick(Catalogue.from_services([odd], START), ["5"])["5"]
    assert alone == Service(service="5", raw_rate="1", extra={"n": [1.5, {"2": None}]})


# --- against a model -----------------------------------------------------------------------------

IDS = ("1", "2", "3")
LISTS = st.dictionaries(
    st.sampled_from(IDS),
    st.builds(
        Service, service=st.just("x"), raw_rate=st.sampled_from(["1", "1.0", "2"]),
        max=st.sampled_from([10, 20]),
    ),
)  # fmt: skip


@given(st.lists(st.tuples(LISTS, st.sampled_from([-90, 30, 60, 61])), max_size=12))
def test_events_lead_from_the_first_snapshot_to_the_last(
    answers: list[tuple[dict[str, Service], int]],
) -> None:
    rows: dict[str, WatchedService] = {}
    events: list[NewServiceEvent] = []
    told: dict[str, Service | None] = {}
    misses: dict[str, int] = dict.fromkeys(IDS, 0)
    now = START
    for number, (listed, seconds) in enumerate(answers):
        now += timedelta(seconds=seconds)
        found = compare(IDS, listed, rows, now, MINUTE)
        rows = {each.service: each for each in found.rows}
        events += found.events
        if number == 0:
            told = {each: row.row for each, row in rows.items() if not row.is_removed}
        for each in IDS:
            misses[each] = 0 if each in listed else misses[each] + 1
            if each in listed:
                # What is kept has the content of what was listed, and is not removed.
                row = rows[each].row
                assert row is not None
                assert row.is_equivalent_to(listed[each])
                assert not rows[each].is_removed
        removed = [each.service for each in found.events if each.kind is K.REMOVED]
        assert all(misses[each] >= 2 for each in removed)

    for event in events:
        before = told.get(event.service)
        if event.kind is K.RESTORED:
            assert before is None
        else:
            assert before == event.before
        told[event.service] = event.after
    kept = {each: row.row for each, row in rows.items() if not row.is_removed}
    assert {each: row for each, row in told.items() if row is not None} == kept
