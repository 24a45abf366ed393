"""The rules by which a second call settles unknown orders, each by itself."""

from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from support.journals import START

from smmfanfast_async.desk.replay_rules import (
    MAX_ANSWER_CHARACTERS,
    MAX_SAME_LINK,
    MIN_WINDOW_S,
    REPLAY_AFTER_S,
    REPLAY_MARGIN_S,
    Plan,
    accept,
    find_obstacle,
    make_plan,
    may_replay,
    note_answer,
)
from smmfanfast_async.errors import ErrorKind, NoResponseError, OutcomeUnknownError, RefusedError
from smmfanfast_async.journal import Entry, EntryState, Outcome

S = EntryState
LINK = "https://x.test/a"
MINE = Entry(
    ref="a", state=S.SENDING, attempt=1, form={"service": "5", "link": LINK}, link=LINK,
    panel="alpha", created_at=START, sent_at=START,
)  # fmt: skip
UNKNOWN = Outcome(state=S.UNKNOWN, kind=ErrorKind.UNKNOWN, reason="odd", is_error_answer=True)
PLAN = Plan(send_at_s=30.0, write_by_s=35.0, end_s=60.0)


# --- the first answer ----------------------------------------------------------------------------


def test_complete_error_may_be_settled() -> None:
    assert may_replay(UNKNOWN, MINE)


@pytest.mark.parametrize(
    "changes", [{"is_error_answer": False}, {"order": "7"}, {"state": S.REFUSED}]
)
def test_other_outcomes_may_not(changes: Mapping[str, Any]) -> None:
    assert not may_replay(attrs.evolve(UNKNOWN, **changes), MINE)


@pytest.mark.parametrize("changes", [{"was_unknown": True}, {"link": None}])
def test_orders_that_cannot_be_told_apart_may_not(changes: Mapping[str, Any]) -> None:
    assert not may_replay(UNKNOWN, attrs.evolve(MINE, **changes))


# --- the time ------------------------------------------------------------------------------------


def test_second_call_comes_in_the_middle_of_the_window() -> None:
    plan = make_plan(1000.0, 1002.0, 120.0)

    assert plan == Plan(send_at_s=1060.0, write_by_s=1095.0, end_s=1120.0)


@pytest.mark.parametrize(("answered_s", "send_at_s"), [(15.0, 30.0), (16.0, 31.0), (20.0, 35.0)])
def test_second_call_comes_some_time_after_a_late_answer(
    answered_s: float, send_at_s: float
) -> None:
    plan = make_plan(0.0, answered_s, 60.0)

    assert plan is not None
    assert plan.send_at_s == send_at_s
    assert plan.send_at_s >= answered_s + REPLAY_AFTER_S
    assert plan.end_s - plan.write_by_s == REPLAY_MARGIN_S


@pytest.mark.parametrize(("answered_s", "window_s"), [(20.01, 60.0), (0.0, 39.9), (59.0, 60.0)])
def test_no_second_call_if_too_little_of_the_window_is_left(
    answered_s: float, window_s: float
) -> None:
    assert make_plan(0.0, answered_s, window_s) is None


# --- other orders --------------------------------------------------------------------------------


def other(**changes: Any) -> Entry:
    return attrs.evolve(MINE, ref="b", **changes)


ROUTED = attrs.evolve(MINE, form={"service": "likes"}, routes={"alpha": "5", "beta": "6"})


@pytest.mark.parametrize(
    "equal",
    [
        other(), other(panel=None), other(panel="beta"), other(form={}),
        other(form={"service": "5", "quantity": "9"}),
        other(form={"service": "hearts"}, routes={"alpha": "5"}),
    ],
    ids=["same", "not sent", "may come back", "purged", "quantity", "product"],
)  # fmt: skip
@pytest.mark.parametrize("mine", [MINE, ROUTED], ids=["direct", "routed"])
def test_order_that_may_be_equal_is_an_obstacle(mine: Entry, equal: Entry) -> None:
    assert find_obstacle(mine, mine, [equal], "alpha") == "'b' may be an equal order"


@pytest.mark.parametrize(
    "another",
    [
        other(form={"service": "6"}), other(panel="beta", is_pinned=True),
        other(form={"service": "likes"}, routes={"beta": "5"}),
    ],
    ids=["service", "stays elsewhere", "not sold there"],
)  # fmt: skip
def test_other_orders_with_the_link_are_none(another: Entry) -> None:
    assert find_obstacle(MINE, MINE, [another], "alpha") is None


def test_too_many_orders_with_the_link_cannot_be_told_apart() -> None:
    others = [other(form={"service": "6"})] * MAX_SAME_LINK

    assert find_obstacle(MINE, MINE, others, "alpha") is None
    assert find_obstacle(MINE, MINE, [*others, others[0]], "alpha") == (
        "too many orders have its link"
    )


@pytest.mark.parametrize(
    "current",
    [None, attrs.evolve(MINE, state=S.UNKNOWN), attrs.evolve(MINE, attempt=2)],
    ids=["gone", "unknown", "sent again"],
)
def test_attempt_that_was_given_up_is_an_obstacle(current: Entry | None) -> None:
    assert find_obstacle(MINE, current, [], "alpha") == "the attempt was given up"


# --- the second answer ---------------------------------------------------------------------------


def test_order_id_settles() -> None:
    outcome = accept(UNKNOWN, "7", plan=PLAN, answered_s=60.0, after_s=30.4)

    assert outcome == Outcome(state=S.ACCEPTED, order="7", reason=outcome.reason)
    assert outcome.reason == (
        "settled by the panel's repeated answer: sent once more after 30 s, within the window in"
        " which it repeats an equal order, it was answered with order 7; the first answer was: odd"
    )


def test_order_id_after_the_window_is_evidence() -> None:
    outcome = accept(UNKNOWN, "7", plan=PLAN, answered_s=60.1, after_s=30.0)

    assert outcome == attrs.evolve(UNKNOWN, order="7", is_error_answer=False, reason=outcome.reason)


@pytest.mark.parametrize(
    ("error", "kind", "is_error_answer"),
    [
        (OutcomeUnknownError("odd", is_error_answer=True), ErrorKind.UNKNOWN, True),
        (OutcomeUnknownError("gone"), ErrorKind.UNKNOWN, False),
        (NoResponseError("gone"), ErrorKind.UNKNOWN, False),
        (RefusedError("no", kind=ErrorKind.FUNDS), ErrorKind.UNKNOWN, False),
        (RefusedError("active", kind=ErrorKind.DUPLICATE), ErrorKind.DUPLICATE, False),
    ],
)
def test_other_answers_leave_it_unknown(
    error: Any,
    kind: ErrorKind,
    is_error_answer: bool,  # noqa: FBT001
) -> None:
    outcome = note_answer(UNKNOWN, error, "x" * 999)

    assert outcome == attrs.evolve(
        UNKNOWN, kind=kind, is_error_answer=is_error_answer, reason=outcome.reason
    )
    assert outcome.reason is not None
    assert outcome.reason.count("x") == MAX_ANSWER_CHARACTERS
    assert outcome.reason.endswith("; the first answer was: odd")


def test_second_call_fits_into_the_shortest_window_that_was_seen() -> None:
    assert MIN_WINDOW_S < 60
