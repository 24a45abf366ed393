"""The panel with the dialect "api-v2": differences, and its three additional actions."""

from decimal import Decimal
from typing import Any

import pytest

from smmfanfast_async.sandbox import messages
from smmfanfast_async.sandbox.dialects import API_V2, STANDARD
from smmfanfast_async.sandbox.lifecycle import MAX_LIFECYCLE_S
from smmfanfast_async.sandbox.orders import State
from smmfanfast_async.sandbox.panel import Panel
from smmfanfast_async.sandbox.services import SandboxService

from .samples import API_V2_FORMS, FORMS, LINK, form_of

REFUSED = {"error": "Order not eligible for refill."}
NOT_CANCELED = {"error": "Order not eligible for cancel."}
UNKNOWN = {"error": "Incorrect order ID"}


def create_panel(**changes: Any) -> Panel:
    arguments: dict[str, Any] = {
        "api_key": "test-key",
        "seed": 0,
        "balance": Decimal(1000),
        "currency": "USD",
        "services": API_V2.services,
        "dialect": API_V2,
    }
    return Panel(**(arguments | changes))


@pytest.fixture
def panel() -> Panel:
    return create_panel()


def ask(panel: Panel, action: str, now_s: float = 0.0, /, **fields: str) -> Any:
    return panel.answer({"key": "test-key", "action": action, **fields}, now_s)


def add(panel: Panel, order_type: str = "default", **changes: str) -> Any:
    return ask(panel, "add", 0, **form_of(order_type, **changes))


def add_delivered(panel: Panel, count: int = 1, **changes: str) -> None:
    """Add orders and complete them."""
    for number in range(count):
        order = add(panel, link=f"{LINK}/{number}", **changes)["order"]
        panel.ledger.set_state(str(order), State.COMPLETED, None, 0)


@pytest.mark.parametrize("order_type", FORMS | API_V2_FORMS)
def test_order_of_each_type_is_stored_and_its_id_returned(panel: Panel, order_type: str) -> None:
    _, _, quantity, price = (FORMS | API_V2_FORMS)[order_type]

    assert add(panel, order_type) == {"order": 1}

    stored = panel.snapshot_orders(0)["1"]
    assert (stored.type, stored.quantity, str(stored.price)) == (order_type, quantity, price)
    assert stored.fields == form_of(order_type)


@pytest.mark.parametrize("action", ["refill", "refill_status", "cancel"])
def test_standard_dialect_has_none_of_these_actions(action: str) -> None:
    panel = create_panel(dialect=STANDARD, services=STANDARD.services)

    assert ask(panel, action, order="1") == {"error": "This action is Invalid"}


def test_service_type_unknown_to_the_dialect_is_refused() -> None:
    poll = SandboxService(service=1, name="n", category="c", rate="1", type="poll")

    with pytest.raises(
        ValueError, match=r"service 1 has type 'poll', which the dialect 'standard' does"
    ):
        create_panel(dialect=STANDARD, services=[poll])
    assert ask(create_panel(services=[poll]), "services")[0]["type"] == "Poll"


def test_values_are_decoded_once_by_default() -> None:
    exact, twice = create_panel(), create_panel(double_decoding=True)
    for panel in (exact, twice):
        add(panel, link="https://t.me/+abc")

    assert exact.snapshot_orders(0)["1"].link == "https://t.me/+abc"
    assert twice.snapshot_orders(0)["1"].link == "https://t.me/ abc"


def test_refusals_use_the_api_v2_texts(panel: Panel) -> None:
    wrong = panel.answer({"key": "x", "action": "balance"}, 0)

    assert wrong == {"error": "Invalid API key"}
    assert ask(panel, "other") == {"error": "Incorrect request"}
    assert add(panel, quantity="1") == {"error": "Quantity less than minimal 500"}
    assert panel.snapshot_orders(0) == {}


def test_empty_services_answer_is_a_list() -> None:
    assert ask(create_panel(services=[]), "services") == []


@pytest.mark.parametrize(("action", "name"), [
    ("status", "orders"), ("refill", "orders"), ("refill_status", "refills"), ("cancel", "orders"),
])  # fmt: skip
def test_call_with_more_than_100_ids_is_refused(panel: Panel, action: str, name: str) -> None:
    ids = [str(number) for number in range(1, 102)]

    assert len(ask(panel, action, **{name: ",".join(ids[:100])})) == 100
    assert ask(panel, action, **{name: ",".join(ids)}) == {"error": "Incorrect request"}


def test_standard_dialect_does_not_limit_ids() -> None:
    panel = create_panel(dialect=STANDARD, services=STANDARD.services)

    assert len(ask(panel, "status", orders=",".join(map(str, range(1, 1002))))) == 1001


def test_unknown_id_in_a_batch_is_an_object(panel: Panel) -> None:
    add(panel)

    rows = ask(panel, "status", orders="9,1")

    assert rows["9"] == UNKNOWN
    assert rows["1"]["status"] == "Pending"
    assert ask(panel, "status", order="9") == UNKNOWN
    assert ask(panel, "status") == UNKNOWN


# --- refills -------------------------------------------------------------------------------------


def test_single_refill_answer_is_the_id_as_text(panel: Panel) -> None:
    add_delivered(panel)

    assert ask(panel, "refill", order=" 1 ") == {"refill": "1"}

    (stored,) = panel.snapshot_refills(0).values()
    assert (stored.order, stored.status) == ("1", "Pending")


def test_batch_refill_has_one_result_or_error_per_id(panel: Panel) -> None:
    add_delivered(panel, 2)
    add(panel, service="9")

    assert ask(panel, "refill", orders="2,x, 1,,3,2") == [
        {"order": 2, "refill": 1},
        {"order": "x", "refill": UNKNOWN},
        {"order": 1, "refill": 2},
        {"order": 3, "refill": REFUSED},
        {"order": 2, "refill": REFUSED},
    ]
    assert ask(panel, "refill", orders="") == []


@pytest.mark.parametrize(("state", "is_accepted"), [
    (State.COMPLETED, True), (State.PARTIAL, True),
    (State.PENDING, False), (State.IN_PROGRESS, False), (State.CANCELED, False),
])  # fmt: skip
def test_only_delivered_orders_are_refilled(
    panel: Panel, state: State, *, is_accepted: bool
) -> None:
    add(panel)
    panel.ledger.set_state("1", state, 5 if state is State.PARTIAL else None, 0)

    assert ask(panel, "refill", order="1") == ({"refill": "1"} if is_accepted else REFUSED)


def test_refill_requires_the_flag_of_the_service(panel: Panel) -> None:
    add_delivered(panel, service="9")

    assert ask(panel, "refill", order="1") == REFUSED


def test_order_can_be_refilled_again_after_the_last_refill(panel: Panel) -> None:
    add_delivered(panel)
    ask(panel, "refill", order="1")

    assert ask(panel, "refill", order="1") == REFUSED
    assert ask(panel, "refill", MAX_LIFECYCLE_S, order="1") == {"refill": "2"}


def test_full_panel_answers_try_again() -> None:
    panel = create_panel(max_orders=1)
    add_delivered(panel)
    ask(panel, "refill", order="1")

    assert ask(panel, "refill", MAX_LIFECYCLE_S, order="1") == {"error": messages.TRY_AGAIN}


def test_calls_without_an_id_are_refused(panel: Panel) -> None:
    assert ask(panel, "refill") == UNKNOWN
    assert ask(panel, "refill_status") == {"error": "Incorrect refill ID"}
    assert ask(panel, "cancel") == UNKNOWN


def test_refill_status_of_one_and_of_several(panel: Panel) -> None:
    add_delivered(panel, 2)
    ask(panel, "refill", orders="1,2")

    assert ask(panel, "refill_status", refill="1") == {"status": "Pending"}
    assert ask(panel, "refill_status", refill="3") == {"error": "Refill not found"}
    assert ask(panel, "refill_status", refills="2,3,1") == [
        {"refill": 2, "status": "Pending"},
        {"refill": 3, "status": {"error": "Refill not found"}},
        {"refill": 1, "status": "Pending"},
    ]
    assert ask(panel, "refill_status", MAX_LIFECYCLE_S, refill="1")["status"] in {
        "Completed", "Rejected",
    }  # fmt: skip


# --- cancels -------------------------------------------------------------------------------------


def test_batch_cancel_refunds_and_has_one_result_per_id(
    panel: Panel,
) -> None:
    add(panel)
    add(panel, service="10", quantity="1000")
    add_delivered(panel)
    balance = panel.ledger.balance

    assert ask(panel, "cancel", orders="9,1,2,3,1") == [
        {"order": 9, "cancel": UNKNOWN},
        {"order": 1, "cancel": 1},
        {"order": 2, "cancel": NOT_CANCELED},
        {"order": 3, "cancel": NOT_CANCELED},
        {"order": 1, "cancel": NOT_CANCELED},
    ]
    assert panel.ledger.balance == balance + Decimal("1.02")
    assert ask(panel, "status", order="1") == {
        "charge": "0.0000",
        "start_count": ask(panel, "status", order="1")["start_count"],
        "status": "Canceled",
        "remains": "1000",
        "currency": "USD",
    }


def test_single_cancel_answers_once_then_refuses(panel: Panel) -> None:
    add(panel)

    assert ask(panel, "cancel", order="1") == {"cancel": "1"}
    assert ask(panel, "cancel", order="1") == NOT_CANCELED
    assert ask(panel, "cancel", order="2") == UNKNOWN


def test_canceled_running_order_becomes_partial(panel: Panel) -> None:
    add(panel)
    panel.ledger.set_state("1", State.IN_PROGRESS, None, 0)

    ask(panel, "cancel", 60, orders="1")

    row = ask(panel, "status", 60, order="1")
    assert row["status"] == "Partial"
    assert 0 < int(row["remains"]) < 1000
    assert 0 < Decimal(row["charge"]) < Decimal("1.02")
