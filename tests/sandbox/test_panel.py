"""The panel with the standard dialect: every action, its answers and refusals."""

from decimal import Decimal
from typing import Any

import pytest

from smmfanfast_async.sandbox import messages
from smmfanfast_async.sandbox import panel as panel_module
from smmfanfast_async.sandbox.dialects import STANDARD
from smmfanfast_async.sandbox.lifecycle import MAX_LIFECYCLE_S
from smmfanfast_async.sandbox.orders import State
from smmfanfast_async.sandbox.panel import MAX_IDS_PER_CALL, Panel
from smmfanfast_async.sandbox.services import DEFAULT_SERVICES

from .samples import FORMS, LINK, form_of


def create_panel(**changes: Any) -> Panel:
    arguments: dict[str, Any] = {
        "api_key": "test-key",
        "seed": 0,
        "balance": Decimal(1000),
        "currency": "USD",
        "services": DEFAULT_SERVICES,
    }
    return Panel(**(arguments | changes))


@pytest.fixture
def panel() -> Panel:
    return create_panel()


def ask(panel: Panel, action: str, now_s: float = 0.0, /, **fields: str) -> Any:
    return panel.answer({"key": "test-key", "action": action, **fields}, now_s)


def add(panel: Panel, order_type: str = "default", now_s: float = 0.0, **changes: str) -> Any:
    return ask(panel, "add", now_s, **form_of(order_type, **changes))


@pytest.mark.parametrize("action", [*STANDARD.actions, "refill", ""])
@pytest.mark.parametrize("key", ["", "test-ke", "test-key2", "مفتاح"])
def test_wrong_key_is_refused_for_every_action(panel: Panel, action: str, key: str) -> None:
    answer = panel.answer({"key": key, "action": action, **form_of("default")}, 0)

    assert answer == {
        "error": "API is Disable for this user or User Not Found! Contact the Support"
    }
    assert panel.snapshot_orders(0) == {}


def test_missing_key_is_refused(panel: Panel) -> None:
    assert panel.answer({"action": "balance"}, 0) == {"error": messages.USER_UNKNOWN}


@pytest.mark.parametrize("fields", [{}, {"action": ""}, {"action": "refill"}, {"action": "Add"}])
def test_unknown_or_missing_action_is_invalid(panel: Panel, fields: dict[str, str]) -> None:
    assert panel.answer({"key": "test-key", **fields}, 0) == {"error": "This action is Invalid"}


@pytest.mark.parametrize("order_type", FORMS)
def test_order_of_each_type_is_stored_and_its_id_returned(panel: Panel, order_type: str) -> None:
    r"""Document: {"status": "success", "order": 32}."""
    _, _, quantity, price = FORMS[order_type]

    assert add(panel, order_type) == {"status": "success", "order": 1}
    assert add(panel, order_type, link=LINK + "2") == {"status": "success", "order": 2}

    stored = panel.snapshot_orders(0)["1"]
    assert (stored.type, stored.quantity, str(stored.price)) == (order_type, quantity, price)
    assert stored.fields == form_of(order_type)
    assert panel.ledger.balance == 1000 - 2 * Decimal(price)


def test_key_is_never_stored_or_shown(panel: Panel) -> None:
    add(panel)

    assert "test-key" not in repr(panel.snapshot_orders(0)) + repr(panel) + repr(panel.ledger)


def test_refused_order_is_not_stored(panel: Panel) -> None:
    assert add(panel, quantity="1") == {"error": messages.MIN_QUANTITY.format(500)}
    assert panel.snapshot_orders(0) == {}
    assert panel.ledger.balance == 1000


def test_link_has_one_active_order_per_service(panel: Panel) -> None:
    add(panel)

    assert add(panel, link=f" {LINK} ") == {
        "error": "You have an active order with this link. Please wait until order being completed."
    }
    assert add(panel, service="9")["order"] == 2
    assert add(panel, now_s=MAX_LIFECYCLE_S)["order"] == 3


def test_subscriptions_without_a_link_do_not_conflict(panel: Panel) -> None:
    assert add(panel, "subscriptions")["order"] == 1
    assert add(panel, "subscriptions")["order"] == 2


def test_balance_can_be_spent_completely_but_not_exceeded() -> None:
    panel = create_panel(balance=Decimal("1.02"))

    assert add(panel)["status"] == "success"
    assert panel.ledger.balance == 0
    assert add(panel, link=LINK + "2") == {"error": "Not enough funds on balance"}
    assert list(panel.snapshot_orders(0)) == ["1"]


def test_full_panel_answers_try_again() -> None:
    panel = create_panel(max_orders=1)

    assert add(panel)["status"] == "success"
    assert add(panel, link=LINK + "2") == {"error": messages.TRY_AGAIN}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("https://t.me/+abc", "https://t.me/ abc"),
        ("https://a.b/%41", "https://a.b/A"),
        ("https://a.b/<3", "https://a.b/"),
        ("https://a.b/<b>x</b>", "https://a.b/x"),
        ("https://a.b/ < 3", "https://a.b/ < 3"),
    ],
)
def test_values_are_decoded_twice_and_stripped_of_tags(sent: str, stored: str) -> None:
    standard, exact = create_panel(), create_panel(double_decoding=False)
    add(standard, link=sent)
    add(exact, link=sent)

    assert standard.snapshot_orders(0)["1"].link == stored
    assert exact.snapshot_orders(0)["1"].link == sent


def test_status_has_the_documented_fields() -> None:
    """Document: {"order": "32", "status": "pending", "charge": …, "start_count", "remains"}."""
    panel = create_panel(with_currency=False)
    add(panel)

    answer = ask(panel, "status", order="1")

    assert list(answer.items()) == [
        ("order", "1"),
        ("status", "pending"),
        ("charge", "1.0200"),
        ("start_count", "0"),
        ("remains", "0"),
    ]


def test_status_contains_the_currency_by_default(panel: Panel) -> None:
    add(panel)

    assert ask(panel, "status", order=" 1 ")["currency"] == "USD"


def test_running_order_has_start_count_and_canceled_one_costs_nothing(
    panel: Panel,
) -> None:
    add(panel)
    panel.ledger.set_state("1", State.IN_PROGRESS, None, 0)
    row = ask(panel, "status", order="1")
    assert (row["status"], row["remains"]) == ("in progress", "1000")
    assert int(row["start_count"]) > 0

    panel.ledger.set_state("1", State.CANCELED, None, 0)

    row = ask(panel, "status", order="1")
    assert (row["status"], row["charge"]) == ("canceled", "0.0000")


@pytest.mark.parametrize("order", ["2", "", "x", "1,1"])
def test_unknown_single_order_is_an_error(panel: Panel, order: str) -> None:
    add(panel)

    assert ask(panel, "status", order=order) == {"error": "Incorrect order ID"}


def test_status_without_an_id_is_refused(panel: Panel) -> None:
    assert ask(panel, "status") == {
        "error": "Order ID is required parameter. Please check your API Manual"
    }


def test_batch_status_keeps_the_order_and_marks_unknown_ids(panel: Panel) -> None:
    """Document: "2": "Incorrect order ID"."""
    add(panel)
    add(panel, link=LINK + "2")

    answer = ask(panel, "status", orders="2,9,1,2")

    assert list(answer) == ["2", "9", "1"]
    assert answer["9"] == "Incorrect order ID"
    assert answer["1"] == ask(panel, "status", order="1")


def test_spaces_stay_in_keys_and_empty_ids_are_ignored(panel: Panel) -> None:
    add(panel)

    assert list(ask(panel, "status", orders="1, 1,, ")) == ["1", " 1"]
    assert ask(panel, "status", orders="") == {}


def test_drip_feed_status_lists_runs_and_their_orders(panel: Panel) -> None:
    add(panel, quantity="250", runs="4", interval="1")
    assert ask(panel, "status", order="1") == {"status": "active", "runs": "0", "orders": []}

    row = ask(panel, "status", 120, order="1")

    assert row == {"status": "active", "runs": "2", "orders": ["2", "3"]}
    assert ask(panel, "status", 240, order="1")["status"] == "completed"


@pytest.mark.parametrize(("expiry", "end"), [("", "completed"), ("31/12/2030", "expired")])
def test_subscription_status_lists_posts_and_their_orders(
    panel: Panel, expiry: str, end: str
) -> None:
    add(panel, "subscriptions", posts="1", expiry=expiry)
    assert ask(panel, "status", order="1") == {
        "status": "active",
        "expiry": False,
        "posts": "0",
        "orders": [],
    }

    assert ask(panel, "status", 7200, order="1") == {
        "status": end,
        "expiry": end == "expired",
        "posts": "1",
        "orders": ["2"],
    }


def test_services_have_the_documented_fields(panel: Panel) -> None:
    services = ask(panel, "services")

    assert len(services) == len(DEFAULT_SERVICES)
    assert list(services[0].items()) == [
        ("service", "5"),
        ("name", "Instagram Followers [15K] "),
        ("category", "Instagram - Followers [Guaranteed/Refill] - Less Drops ⭐"),
        ("rate", "1.02"),
        ("min", "500"),
        ("max", "10000"),
        ("type", "default"),
        ("desc", "usernames"),
        ("dripfeed", 1),
    ]
    assert {"desc": None, "dripfeed": 0}.items() <= services[4].items()


def test_empty_services_answer_is_a_text() -> None:
    assert ask(create_panel(services=[]), "services") == {"status": "success", "data": "Empty Data"}


@pytest.mark.parametrize(
    ("balance", "text"),
    [
        ("0.03", "0.03"),
        ("0", "0.00"),
        ("1000", "1000.00"),
        ("999.9640", "999.964"),
        ("0.00001", "0.00001"),
        ("-0.5", "-0.50"),
    ],
)
def test_balance_is_exact_with_at_least_two_decimals(balance: str, text: str) -> None:
    """Document: {"status": "success", "balance": "0.03", "currency": "USD"}."""
    panel = create_panel(balance=Decimal(balance), currency="EUR")

    assert ask(panel, "balance") == {"status": "success", "balance": text, "currency": "EUR"}


def test_new_rate_applies_only_to_new_orders(panel: Panel) -> None:
    add(panel)

    panel.change_service("5", rate=Decimal(2))

    add(panel, link=LINK + "2")
    assert [str(order.price) for order in panel.snapshot_orders(0).values()] == ["1.0200", "2.0000"]
    with pytest.raises(KeyError):
        panel.change_service("99999", rate=Decimal(2))


def test_answers_and_snapshots_reflect_the_given_time(panel: Panel) -> None:
    add(panel)
    panel.ledger.set_state("1", State.PENDING, None, 0)
    before = panel.snapshot_orders(0)["1"]

    after = panel.snapshot_orders(MAX_LIFECYCLE_S)["1"]

    assert (before.is_final, after.is_final) == (False, True)
    assert ask(panel, "status", MAX_LIFECYCLE_S, order="1")["status"] == after.status


@pytest.mark.parametrize("key", ["\ud800", "test-key\ud800"])
def test_text_that_no_encoding_has_is_answered(panel: Panel, key: str) -> None:
    assert panel.answer({"key": key, "action": "balance"}, 0) == {"error": messages.USER_UNKNOWN}
    assert "order" in add(panel, link=LINK + "/" + key)
    assert panel.snapshot_orders(0)["1"].link == LINK + "/" + key.encode(errors="replace").decode()


def test_number_of_ids_per_call_is_bounded(panel: Panel) -> None:
    ids = [str(number) for number in range(MAX_IDS_PER_CALL + 1)]

    assert len(ask(panel, "status", orders=",".join(ids[1:]))) == MAX_IDS_PER_CALL
    assert ask(panel, "status", orders=",".join(ids)) == {"error": messages.TOO_MANY_IDS}


def test_number_of_created_orders_in_an_answer_is_bounded(
    monkeypatch: pytest.MonkeyPatch, panel: Panel
) -> None:
    monkeypatch.setattr(panel_module, "MAX_CHILD_IDS", 10)
    add(panel, quantity="100", runs="5", interval="1")

    answer = ask(panel, "status", MAX_LIFECYCLE_S, orders="1, 1,2")
    assert [len(answer["1"]["orders"]), len(answer[" 1"]["orders"])] == [5, 5]
    assert ask(panel, "status", MAX_LIFECYCLE_S, orders="1, 1,  1,2") == {
        "error": messages.TOO_MANY_IDS
    }


def test_service_that_is_not_available_comes_back_to_its_place(panel: Panel) -> None:
    listed = list(panel.services)

    panel.set_available("9", available=False)
    assert list(panel.services) == [each for each in listed if each != "9"]
    assert ask(panel, "add", service="9", link=LINK, quantity="1000") == {
        "error": "Service ID does not exists"
    }
    panel.change_service("9", rate=Decimal(3))
    assert panel.unavailable["9"].rate == 3
    assert ("9", False) in [(each.service, known) for each, known in panel.list_services()]

    panel.set_available("9", available=True)
    panel.set_available("9", available=True)
    assert (list(panel.services), panel.unavailable) == (listed, {})

    with pytest.raises(KeyError):
        panel.set_available("99999", available=True)


def test_service_is_removed_and_replaced_whether_available_or_not(panel: Panel) -> None:
    service = panel.services["9"]
    panel.set_available("9", available=False)
    panel.add_service(service)
    assert panel.unavailable == {}

    panel.set_available("9", available=False)
    panel.remove_service("9")
    assert [each for each, _ in panel.list_services() if each.service == "9"] == []
