"""Order states: parsing and finality."""

from decimal import Decimal

import pytest

from smmfanfast_async.sandbox.orders import FINAL_STATES, State, StoredOrder, parse_state


@pytest.mark.parametrize("word", ["in progress", "In progress", "Inprogress", "in_progress"])
def test_state_is_parsed_ignoring_case_spaces_and_dashes(word: str) -> None:
    assert parse_state(word) is State.IN_PROGRESS


def test_unknown_state_error_lists_the_known_states() -> None:
    with pytest.raises(ValueError, match=r"'on hold' is not a status; use one of pending, "):
        parse_state("on hold")


def test_every_state_is_parsed_from_its_value() -> None:
    assert [parse_state(state.value) for state in State] == list(State)


@pytest.mark.parametrize("state", State)
def test_order_is_final_only_in_final_states(state: State) -> None:
    order = StoredOrder(
        order="1",
        service="5",
        type="default",
        status=state,
        link="",
        quantity=1,
        price=Decimal(0),
        charge=Decimal(0),
        start_count=0,
        remains=0,
        created_s=0,
        fields={},
    )

    assert order.is_final == (state in FINAL_STATES)
    assert order.is_final == (
        state.value in {"completed", "partial", "canceled", "refunded", "expired"}
    )
