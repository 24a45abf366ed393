"""The kind of change between two statuses of an order."""

from itertools import product

import pytest

from smmfanfast_async import OrderStatus
from smmfanfast_async.changes import _STEPS, ChangeKind, StatusChange, change_of
from smmfanfast_async.results import FINAL_STATUSES, Status


def status(word: str, remains: int | None = None, charge: str | None = None) -> OrderStatus:
    return OrderStatus(order="7", raw_status=word, remains=remains, raw_charge=charge)


@pytest.mark.parametrize(("before", "after", "kind"), [
    (None, status("Pending"), "first"),
    (None, status("Completed"), "finished"),
    (None, status("Sleeping"), "unknown_word"),
    (status("Pending"), status("Processing"), "status"),
    (status("Pending"), status("In progress"), "status"),
    (status("In progress"), status("Partial"), "finished"),
    (status("In progress"), status("Canceled"), "finished"),
    (status("In progress"), status("Paused"), "status"),
    (status("Paused"), status("Pending"), "status"),
    (status("Error"), status("In progress"), "status"),
    (status("In progress"), status("Pending"), "backwards"),
    (status("In progress"), status("Processing"), "backwards"),
    (status("Completed"), status("In progress"), "backwards"),
    (status("In progress", 9), status("In progress", 8), "progress"),
    (status("In progress", 9), status("In progress", 9, "0.5"), "progress"),
    (status("In progress", 9), status("In progress", 12), "progress"),
    (status("In progress"), status("Sleeping"), "unknown_word"),
    (status("Sleeping"), status("Waking"), "unknown_word"),
    (status("Sleeping", 9), status("Sleeping", 8), "progress"),
    (status("Sleeping"), status("Pending"), "status"),
    (status("Completed", 3), status("Completed", 0), "finished"),
])  # fmt: skip
def test_change_has_first_kind_that_applies(
    before: OrderStatus | None, after: OrderStatus, kind: str
) -> None:
    assert change_of("7", before, after) == StatusChange(
        order="7", kind=ChangeKind(kind), before=before, after=after
    )


@pytest.mark.parametrize("word", ["Pending", "In progress", "Completed", "Sleeping"])
def test_equivalent_statuses_are_not_a_change(word: str) -> None:
    assert change_of("7", status(word, 3, "0.5"), status(word, 3, "0.50")) is None


def test_earlier_step_is_a_backwards_change() -> None:
    for before, after in product(_STEPS, _STEPS):
        change = change_of("7", status(before.value), status(after.value))
        if after in FINAL_STATUSES or before is after:
            continue

        assert change is not None
        assert (change.kind == "backwards") == (_STEPS[after] < _STEPS[before])


def test_last_step_contains_exactly_the_final_statuses() -> None:
    last = max(_STEPS.values())

    assert {each for each, step in _STEPS.items() if step == last} == FINAL_STATUSES
    assert not {Status.PAUSED, Status.FAILED, Status.ERROR, Status.UNKNOWN} & set(_STEPS)


def test_final_status_word_of_the_panel_is_finished() -> None:
    change = change_of("7", status("Pending"), status("Fail"), is_final=True)

    assert change is not None
    assert change.kind is ChangeKind.FINISHED
