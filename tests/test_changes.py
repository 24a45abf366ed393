"""What changed of an order between two looks, in one word."""

from itertools import product

import pytest

from smmfanfast_async import OrderStatus
from smmfanfast_async.changes import _STEPS, ChangeKind, StatusChange, change_of
from smmfanfast_async.results import FINAL_STATUSES, Status


def stands(word: str, remains: int | None = None, charge: str | None = None) -> OrderStatus:
    return OrderStatus(order="7", raw_status=word, remains=remains, raw_charge=charge)


@pytest.mark.parametrize(("before", "after", "kind"), [
    (None, stands("Pending"), "first"),
    (None, stands("Completed"), "finished"),
    (None, stands("Sleeping"), "unknown_word"),
    (stands("Pending"), stands("Processing"), "status"),
    (stands("Pending"), stands("In progress"), "status"),
    (stands("In progress"), stands("Partial"), "finished"),
    (stands("In progress"), stands("Canceled"), "finished"),
    (stands("In progress"), stands("Paused"), "status"),
    (stands("Paused"), stands("Pending"), "status"),
    (stands("Error"), stands("In progress"), "status"),
    (stands("In progress"), stands("Pending"), "backwards"),
    (stands("In progress"), stands("Processing"), "backwards"),
    (stands("Completed"), stands("In progress"), "backwards"),
    (stands("In progress", 9), stands("In progress", 8), "progress"),
    (stands("In progress", 9), stands("In progress", 9, "0.5"), "progress"),
    (stands("In progress", 9), stands("In progress", 12), "progress"),
    (stands("In progress"), stands("Sleeping"), "unknown_word"),
    (stands("Sleeping"), stands("Waking"), "unknown_word"),
    (stands("Sleeping", 9), stands("Sleeping", 8), "progress"),
    (stands("Sleeping"), stands("Pending"), "status"),
    (stands("Completed", 3), stands("Completed", 0), "finished"),
])  # fmt: skip
def test_the_first_word_that_fits_is_said(
    before: OrderStatus | None, after: OrderStatus, kind: str
) -> None:
    assert change_of("7", before, after) == StatusChange(
        order="7", kind=ChangeKind(kind), before=before, after=after
    )


@pytest.mark.parametrize("word", ["Pending", "In progress", "Completed", "Sleeping"])
def test_what_is_the_same_did_not_change(word: str) -> None:
    assert change_of("7", stands(word, 3, "0.5"), stands(word, 3, "0.50")) is None


def test_a_way_back_is_told_between_any_two_words_whose_order_is_known() -> None:
    for before, after in product(_STEPS, _STEPS):
        change = change_of("7", stands(before.value), stands(after.value))
        if after in FINAL_STATUSES or before is after:
            continue

        assert change is not None
        assert (change.kind == "backwards") == (_STEPS[after] < _STEPS[before])


def test_no_word_is_final_and_on_its_way() -> None:
    last = max(_STEPS.values())

    assert {status for status, step in _STEPS.items() if step == last} == FINAL_STATUSES
    assert not {Status.PAUSED, Status.FAILED, Status.ERROR, Status.UNKNOWN} & set(_STEPS)


def test_an_order_is_over_where_the_panel_has_a_word_of_its_own_for_it() -> None:
    change = change_of("7", stands("Pending"), stands("Fail"), is_over=True)

    assert change is not None
    assert change.kind is ChangeKind.FINISHED
