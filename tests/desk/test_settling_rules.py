"""The rules by which the balance settles unknown orders, each by itself."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest
from support.journals import START

from smmfanfast_async.desk.settling_rules import (
    MAX_ACCEPTED,
    MAX_UNKNOWN,
    SETTLE_AFTER_S,
    Account,
    Reading,
    Window,
    describe,
    judge,
    may_settle_all,
    read_window,
)
from smmfanfast_async.journal import Activity, Entry, EntryState, EventKind, JournalEvent
from smmfanfast_async.results import Status

S = EntryState
K = EventKind


def at(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


UNKNOWN = Entry(
    ref="a", state=S.UNKNOWN, attempt=1, form={"service": "1"}, price=Decimal("0.90"),
    created_at=START, sent_at=at(0), settled_at=at(1), balance_before=Decimal("10.00"),
    balance_after=Decimal("10.00"), is_error_answer=True, reason="odd", panel="default",
)  # fmt: skip
ACCEPTED = Entry(
    ref="b", state=S.ACCEPTED, attempt=1, price=Decimal("0.90"), order="7", created_at=START,
    sent_at=at(10), settled_at=at(11), charge=Decimal("0.90"), currency="USD",
)  # fmt: skip
READING = Reading(
    balance=Decimal("10.00"), currency="USD", at=at(1000), position=9, asked_s=1000, read_s=1001
)


def activity(*unknown: Entry) -> Activity:
    return Activity(at=START, in_flight=0, unknown=unknown, position=0)


def event(position: int, kind: EventKind, ref: str = "b", **changes: Any) -> JournalEvent:
    values: dict[str, Any] = {"at": at(position), "attempt": 1} | changes
    return JournalEvent(position=position, ref=ref, kind=kind, **values)


# --- entries -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"state": S.SENDING},
        {"is_error_answer": False},
        {"was_unknown": True},
        {"order": "7"},
        {"sent_at": None},
        {"settled_at": None},
        {"balance_before": None},
        {"balance_after": None},
        {"balance_after": Decimal("9.10")},
        {"balance_after": Decimal("10.01")},
        {"price": None},
        {"price": Decimal(0)},
        {"price": Decimal("0.019")},
        {"balance_before": Decimal(10), "balance_after": Decimal(10)},
        {"panel": "beta"},
        {"routes": {"default": "1"}},
        {"form": {"service": "1", "runs": "2"}},
        {"form": {"service": "1", "posts": "2"}},
        {"form": {"service": "1", "min": "2", "max": "3"}},
    ],
)
def test_one_entry_that_proves_nothing_forbids_all(changes: dict[str, Any]) -> None:
    assert not may_settle_all(activity(UNKNOWN, attrs.evolve(UNKNOWN, ref="b", **changes)))


def test_entries_that_may_be_settled() -> None:
    least = attrs.evolve(UNKNOWN, price=Decimal("0.02"))

    assert may_settle_all(activity(UNKNOWN, least))
    assert may_settle_all(activity(*[UNKNOWN] * MAX_UNKNOWN))
    assert not may_settle_all(activity(*[UNKNOWN] * (MAX_UNKNOWN + 1)))
    assert not may_settle_all(activity())


# --- the window ----------------------------------------------------------------------------------


def window_of(*events: JournalEvent, is_complete: bool = True, **changes: Any) -> Window | str:
    unknown = attrs.evolve(UNKNOWN, **changes)
    return read_window([unknown], events, READING, is_complete=is_complete)


def test_window_has_what_was_accepted_since() -> None:
    accepted = event(3, K.ACCEPTED)
    events = [
        event(1, K.ACCEPTED, "before"), event(2, K.UNKNOWN, "a"), accepted,
        event(4, K.CHANGED, raw_status="In progress"), event(5, K.FINISHED, raw_status="Completed"),
        event(6, K.WITHDRAWN, "c"), event(10, K.ACCEPTED, "after the reading"),
    ]  # fmt: skip

    window = window_of(*events)

    assert window == Window(last_attempt=3, unknown={"a": 2}, accepted=(accepted,))


@pytest.mark.parametrize("kind", [K.ACCEPTED, K.REFUSED, K.HELD, K.RELEASED])
def test_attempt_that_ended_is_the_last_one(kind: EventKind) -> None:
    window = window_of(event(1, K.UNKNOWN, "a"), event(2, kind), event(10, kind))

    assert isinstance(window, Window)
    assert window.last_attempt == 2


def test_order_that_was_unknown_and_is_decided_forbids_nothing() -> None:
    """All that are still unknown are judged; what was accepted is compared with the balance."""
    earlier, other = event(1, K.UNKNOWN, "a", attempt=0), event(3, K.UNKNOWN)

    window = window_of(earlier, event(2, K.UNKNOWN, "a"), other, event(4, K.WITHDRAWN))

    assert window == Window(last_attempt=3, unknown={"a": 2}, accepted=())


@pytest.mark.parametrize("position", [2, 10])
@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (K.LATE, {}),
        (K.MISSING, {}),
        (K.CHANGED, {}),
        (K.CHANGED, {"raw_status": "No such word"}),
        *(
            (kind, {"raw_status": status.value})
            for kind in (K.CHANGED, K.FINISHED)
            for status in (Status.PARTIAL, Status.CANCELED, Status.REFUNDED, Status.FAILED)
        ),
    ],
)
def test_event_that_may_have_moved_money_forbids_settling(
    kind: EventKind, changes: dict[str, Any], position: int
) -> None:
    window = window_of(event(1, K.UNKNOWN, "a"), event(position, kind, **changes))

    assert isinstance(window, str)
    assert window.endswith(f"may have moved money: event {position} ({kind})")


def test_events_long_before_the_attempt_do_not_count() -> None:
    old = event(1, K.LATE, at=at(-SETTLE_AFTER_S - 1))
    near = event(1, K.LATE, at=at(-SETTLE_AFTER_S))

    assert isinstance(window_of(old, event(2, K.UNKNOWN, "a"), is_complete=False), Window)
    assert isinstance(window_of(near, event(2, K.UNKNOWN, "a")), str)


def test_events_after_a_clock_was_set_back_count() -> None:
    back = event(3, K.LATE, at=at(-5000))

    assert isinstance(window_of(event(2, K.UNKNOWN, "a"), back), str)


def test_window_that_began_before_the_first_event_read_is_not_judged() -> None:
    events = [event(8, K.UNKNOWN, "a")]

    assert window_of(*events, is_complete=False) == "too much happened since"
    assert isinstance(window_of(*events), Window)


@pytest.mark.parametrize("events", [[], [event(10, K.UNKNOWN, "a")]])
def test_window_needs_the_event_of_each_unknown_order(events: Sequence[JournalEvent]) -> None:
    assert window_of(*events) == "the event of an unknown order is missing"


def test_drop_is_explained_by_few_orders() -> None:
    first = event(1, K.UNKNOWN, "a")
    accepted = [event(2, K.ACCEPTED, f"b{n}") for n in range(MAX_ACCEPTED + 1)]

    assert isinstance(window_of(first, *accepted[:-1]), Window)
    assert window_of(first, *accepted) == "too many orders were accepted since"


# --- the balance ---------------------------------------------------------------------------------


def account(*accepted: Entry, unknown: Sequence[Entry] = (UNKNOWN,)) -> Account:
    """Return an account whose orders were accepted after the unknown ones."""
    positions = {each.ref: n for n, each in enumerate(unknown, 1)}
    events = tuple(event(n, K.ACCEPTED, each.ref) for n, each in enumerate(accepted, 5))
    window = Window(last_attempt=5, unknown=positions, accepted=events)
    return Account(unknown=unknown, window=window, accepted={each.ref: each for each in accepted})


@pytest.mark.parametrize(
    ("balance", "accepted", "is_long", "fits", "is_misfit"),
    [
        ("10.00", [], False, True, False),
        ("10.0", [], False, True, False),
        ("9.10", [], False, False, True),
        ("10.01", [], False, False, True),
        ("9.10", [ACCEPTED], False, True, False),
        ("9.10", [ACCEPTED], True, True, False),
        # Not charged yet.
        ("10.00", [ACCEPTED], False, False, False),
        ("10.00", [ACCEPTED], True, False, True),
        # Both charged.
        ("8.20", [ACCEPTED], False, False, True),
        ("9.11", [ACCEPTED], True, False, True),
    ],
)
def test_balance_fits_by_what_was_accepted(
    balance: str,
    accepted: list[Entry],
    is_long: bool,  # noqa: FBT001
    fits: bool,  # noqa: FBT001
    is_misfit: bool,  # noqa: FBT001
) -> None:
    reading = attrs.evolve(READING, balance=Decimal(balance))

    obstacle, misfits = judge(account(*accepted), reading, is_long=is_long)

    assert (obstacle is None) is fits
    assert misfits == ([UNKNOWN] if is_misfit else [])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"state": S.UNKNOWN}, "is not accepted any more"),
        ({"attempt": 2}, "was on its way at the same time"),
        ({"sent_at": at(0.5)}, "was on its way at the same time"),
        ({"sent_at": None}, "was on its way at the same time"),
        ({"form": {"runs": "2"}}, "is charged in parts"),
        ({"charge": None}, "has no charge yet"),
        ({"currency": "EUR"}, "has a charge in EUR, and the balance is in USD"),
    ],
)
def test_accepted_order_that_explains_nothing(changes: dict[str, Any], problem: str) -> None:
    accepted = attrs.evolve(ACCEPTED, **changes)
    reading = attrs.evolve(READING, balance=Decimal("9.10"))

    assert judge(account(accepted), reading, is_long=True) == (f"'b' {problem}", [])


def test_accepted_order_that_was_lost_explains_nothing() -> None:
    known = account(ACCEPTED)
    lost = attrs.evolve(known, accepted={"b": None})

    assert judge(lost, READING, is_long=True) == ("'b' is not accepted any more", [])


def test_charge_without_a_currency_is_in_that_of_the_balance() -> None:
    accepted = attrs.evolve(ACCEPTED, currency=None, state=S.FINISHED)
    reading = attrs.evolve(READING, balance=Decimal("9.10"))

    assert judge(account(accepted), reading, is_long=True) == (None, [])


def test_price_below_the_decimals_of_a_reading_shows_nothing() -> None:
    reading = attrs.evolve(READING, balance=Decimal(10))

    obstacle, misfits = judge(account(), reading, is_long=True)

    assert (obstacle, misfits) == ("the balance is too coarse for the price of 'a'", [])


def test_one_order_that_does_not_fit_forbids_all() -> None:
    other = attrs.evolve(UNKNOWN, ref="c", balance_before=Decimal("9.10"))

    for unknown in ([UNKNOWN, other], [other, UNKNOWN]):
        obstacle, misfits = judge(account(unknown=unknown), READING, is_long=False)
        assert obstacle == "the balance is 10.00 instead of 9.10"
        assert misfits == [other]


def test_order_is_not_charged_by_what_was_accepted_before_it() -> None:
    """Each order is compared with its own balance."""
    later = attrs.evolve(UNKNOWN, ref="c", balance_before=Decimal("9.10"))
    window = Window(last_attempt=3, unknown={"a": 1, "c": 3}, accepted=(event(2, K.ACCEPTED),))
    both = Account(unknown=[UNKNOWN, later], window=window, accepted={"b": ACCEPTED})
    reading = attrs.evolve(READING, balance=Decimal("9.10"))

    assert judge(both, reading, is_long=False) == (None, [])
    assert "no other order" in describe(later, both, READING, reading)
    assert "(1) cost 0.90; " in describe(UNKNOWN, both, READING, reading)


def test_evidence_names_balances_and_times() -> None:
    last = attrs.evolve(READING, at=at(2000))

    assert describe(UNKNOWN, account(), READING, last) == (
        "settled by the balance: 10.00 before and after the attempt of 2030-05-17 12:00:00 UTC,"
        " 10.00 at 2030-05-17 12:16:40 UTC and 10.00 at 2030-05-17 12:33:20 UTC;"
        " no other order in between; the answer was: odd"
    )
