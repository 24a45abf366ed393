"""Values as JSON types: which fields, in which format, and what is shown only on request."""

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from support.values import ENTRY, EXAMPLES, SERVICE, orders, utc

from smmfanfast_async import Order, OrderStatus, SubscriptionsOrder
from smmfanfast_async._serialization import MAX_DEPTH, TOO_DEEP, attributes_of

EACH = pytest.mark.parametrize("value", EXAMPLES, ids=lambda each: type(each).__name__)

ON_REQUEST = {"raw", "extra", "reason", "text", "form", "link"}


def is_plain(value: Any) -> bool:
    """Return whether a value consists of the types that every JSON encoder knows."""
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(each) for key, each in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or type(value) in {str, int, bool}


def names_of(value: Any) -> set[str]:
    """Return every name in a JSON value, at any depth."""
    if isinstance(value, dict):
        return set(value).union(*map(names_of, value.values()))
    return set().union(*map(names_of, value)) if isinstance(value, list) else set()


@EACH
def test_value_is_plain_json_that_to_json_writes(value: Any) -> None:
    assert is_plain(value.to_dict())
    assert is_plain(value.to_dict(raw=True, form=True))
    assert json.loads(value.to_json()) == value.to_dict()
    assert json.loads(value.to_json(raw=True, form=True)) == value.to_dict(raw=True, form=True)
    assert value.to_json().isascii()
    assert "\n" not in value.to_json()


@EACH
def test_raw_text_and_form_are_shown_only_on_request(value: Any) -> None:
    if isinstance(value, Order):
        return  # an order is what is sent

    assert names_of(value.to_dict()) & ON_REQUEST == set()
    assert names_of(value.to_dict(raw=True)) & {"form", "link"} == set()
    assert names_of(value.to_dict(form=True)) & {"raw", "extra", "reason", "text"} == set()


@EACH
def test_every_field_is_shown_under_its_name_or_another(value: Any) -> None:
    shown = set(attributes_of(type(value), raw=True, form=True).values())
    fields = getattr(value, "__struct_fields__", None) or [
        each.name for each in attrs.fields(type(value))
    ]

    assert set(fields) - shown <= {"raw_charge", "raw_rate", "allowed_delays_minutes"}


def test_status_has_the_word_of_the_panel_and_the_known_one() -> None:
    status = OrderStatus(order="32", raw_status="Cancelled", raw_charge="0.50", remains=5)
    shown = status.to_dict()

    assert (shown["status"], shown["raw_status"], shown["is_final"]) == (
        "canceled", "Cancelled", True,
    )  # fmt: skip
    assert (shown["charge"], shown["remains"]) == ("0.50", 5)


def test_money_is_text_without_an_exponent() -> None:
    assert ENTRY.to_dict()["price"] == "0.0000001"
    assert attrs.evolve(ENTRY, price=Decimal("1E+3")).to_dict()["price"] == "1000"


def test_times_are_utc() -> None:
    assert ENTRY.to_dict()["created_at"] == "2026-01-01T00:00:00+00:00" == utc(ENTRY.created_at)


def test_dates_are_iso() -> None:
    order = SubscriptionsOrder(
        service=5, username="u", min=1, max=2, delay=0, expiry=date(2100, 2, 3)
    )

    assert order.to_dict()["expiry"] == "2100-02-03"


def test_raw_and_form_reach_the_objects_inside() -> None:
    unknown = next(each for each in EXAMPLES if type(each).__name__ == "UnknownOrder")
    shown = unknown.to_dict(raw=True, form=True)

    assert shown["entry"]["form"] == {"service": "5", "link": "l"}
    assert shown["entry"]["reason"] == "no response"


def test_extra_shows_values_as_the_panel_sent_them() -> None:
    assert SERVICE.to_dict(raw=True)["extra"] == {"note": "x"}


def test_poisonous_nesting_in_extra_harms_no_other_field() -> None:
    deep: object = "bottom"
    for _ in range(500):
        deep = [deep]
    shown = OrderStatus(order="1", raw_status="Pending", extra={"a": deep, "b": 1}).to_dict(
        raw=True
    )

    assert shown["order"] == "1"
    assert shown["extra"]["b"] == 1
    depth, inner = 0, shown["extra"]["a"]
    while isinstance(inner, list):
        depth, inner = depth + 1, inner[0]
    assert (depth, inner) == (MAX_DEPTH - 1, TOO_DEEP)


@given(orders())
@settings(deadline=None)
def test_orders_have_their_type_and_every_field(order: Order) -> None:
    shown = order.to_dict()

    assert is_plain(shown)
    assert shown["type"] == type(order).panel_type
    assert set(shown) - {"type"} == {
        each.name for each in attrs.fields(type(order))
    } - {"allowed_delays_minutes"}  # fmt: skip


def test_a_table_of_names_is_made_once_and_cannot_be_changed() -> None:
    names = attributes_of(OrderStatus)

    assert names is attributes_of(OrderStatus)
    assert isinstance(names, Mapping)
    assert not isinstance(names, dict)


def test_values_are_returned_without_pydantic() -> None:
    code = (
        "import sys; sys.modules['pydantic'] = sys.modules['pydantic_core'] = None\n"
        "from smmfanfast_async import AddedOrder, DefaultOrder, Order\n"
        "order = DefaultOrder(service=5, link='x', quantity=1)\n"
        "assert Order.from_dict(order.to_dict()) == order\n"
        "print(AddedOrder(order='32').to_json())"
    )
    printed = subprocess.run(  # noqa: S603  # this interpreter, and code from this file
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    assert printed.strip() == '{"order": "32"}'


def test_a_time_of_this_machine_is_shown_in_utc() -> None:
    now = datetime.now(UTC)

    assert datetime.fromisoformat(attrs.evolve(ENTRY, sent_at=now).to_dict()["sent_at"]) == now
