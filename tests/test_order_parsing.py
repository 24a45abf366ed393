"""Orders from JSON: nothing is guessed, and every error names its field."""

import json
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given, settings
from support.values import orders

from smmfanfast_async import (
    API_V2_ORDER_TYPES,
    CustomCommentsOrder,
    DefaultOrder,
    InvalidOrderError,
    Order,
    SubscriptionsOrder,
)
from smmfanfast_async.errors import InvalidCode as C

JSON: dict[str, Any] = {"type": "default", "service": 5, "link": "https://e.com/p", "quantity": 10}
SUBSCRIPTION: dict[str, Any] = {
    "type": "subscriptions", "service": 5, "username": "u", "min": 1, "max": 2, "delay": 0,
}  # fmt: skip


@given(orders())
@settings(deadline=None)
def test_every_order_survives_the_way_through_json(order: Order) -> None:
    data = json.loads(order.to_json())

    for cls in (Order, type(order)):
        parsed = cls.from_dict(data, allow_extra=True, allowed_delays_minutes=None)
        assert parsed == order
        assert type(parsed) is type(order)
        assert parsed.to_json() == order.to_json()
        text = order.to_json()
        assert cls.from_json(text, allow_extra=True, allowed_delays_minutes=None) == order


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"type": None}, "type", C.MISSING),
        ({"type": 3}, "type", C.NOT_ALLOWED),
        ({"type": ["default"]}, "type", C.NOT_ALLOWED),
        ({"type": "defaults"}, "type", C.NOT_ALLOWED),
        ({"type": ""}, "type", C.NOT_ALLOWED),
        ({"note": "x"}, "note", C.UNKNOWN_FIELD),
        ({"allowed_delays_minutes": [7]}, "allowed_delays_minutes", C.UNKNOWN_FIELD),
        ({"key": "x"}, "key", C.UNKNOWN_FIELD),
        ({3: "x"}, "3", C.UNKNOWN_FIELD),
        ({"quantity": "10"}, "quantity", C.NOT_A_NUMBER),
        ({"quantity": 10.0}, "quantity", C.NOT_A_NUMBER),
        ({"quantity": True}, "quantity", C.NOT_A_NUMBER),
        ({"quantity": 0}, "quantity", C.BELOW_MIN),
        ({"quantity": None}, "quantity", C.MISSING),
        ({"service": 5.0}, "service", C.INVALID_ID),
        ({"service": "5,6"}, "service", C.INVALID_ID),
        ({"service": {"id": 5}}, "service", C.NOT_A_LIST),
        ({"link": ["x"]}, "link", C.NOT_A_TEXT),
        ({"runs": 2}, "runs", C.INCOMPLETE),
        ({"extra": {"country": "US"}}, "extra", C.UNSUPPORTED_FIELD),
        ({"extra": 5}, "extra", C.UNSUPPORTED_FIELD),
    ],
)
def test_invalid_json_names_its_field(changes: dict[Any, Any], field: str, code: C) -> None:
    with pytest.raises(InvalidOrderError) as caught:
        Order.from_dict({**JSON, **changes})

    assert (caught.value.field, caught.value.code) == (field, code)


@pytest.mark.parametrize("field", ["service", "link", "quantity"])
def test_missing_field_is_named(field: str) -> None:
    data = {name: each for name, each in JSON.items() if name != field}
    with pytest.raises(InvalidOrderError, match=f"{field} None is missing") as caught:
        Order.from_dict(data)

    assert (caught.value.owner, caught.value.code) == ("DefaultOrder", C.MISSING)


@pytest.mark.parametrize("data", [None, 3, "{}", [], [["type", "default"]]])
def test_what_is_no_object_is_rejected(data: Any) -> None:
    with pytest.raises(InvalidOrderError, match="must be a JSON object"):
        Order.from_dict(data)


@pytest.mark.parametrize(
    ("expiry", "code"),
    [
        ("21000101", C.NOT_A_DATE),
        ("2100-02-30", C.NOT_A_DATE),
        ("2100-01-01T00:00:00", C.NOT_A_DATE),
        ("٢١٠٠-01-01", C.NOT_A_DATE),
        (4102444800, C.NOT_A_DATE),
        ("2001-01-01", C.IN_THE_PAST),
    ],
)
def test_date_is_iso_and_not_past(expiry: Any, code: C) -> None:
    with pytest.raises(InvalidOrderError) as caught:
        Order.from_dict({**SUBSCRIPTION, "expiry": expiry})

    assert (caught.value.field, caught.value.code) == ("expiry", code)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", b"\xff", "[" * 100_000, '{"service": 5, "service": 6}', "NaN", "9" * 5000],
)
def test_text_that_is_no_json_object_is_rejected(text: str | bytes) -> None:
    with pytest.raises(InvalidOrderError) as caught:
        Order.from_json(text)

    assert caught.value.field == "order"


@pytest.mark.parametrize("quantity", ["1e999", "NaN", "10.0", "1e1", "-1"])
def test_numbers_of_json_that_are_no_quantity_are_rejected(quantity: str) -> None:
    text = json.dumps(JSON).replace("10}", f"{quantity}}}")
    with pytest.raises(InvalidOrderError) as caught:
        Order.from_json(text)

    assert caught.value.field == "quantity"


def test_null_leaves_an_optional_field_out() -> None:
    order = Order.from_dict({**SUBSCRIPTION, "expiry": None, "posts": None})

    assert order == SubscriptionsOrder(service=5, username="u", min=1, max=2, delay=0)


def test_delays_are_those_of_the_document_unless_given() -> None:
    data = {**SUBSCRIPTION, "delay": 7}
    with pytest.raises(InvalidOrderError, match="delay 7 must be one of"):
        Order.from_dict(data)

    assert Order.from_dict(data, allowed_delays_minutes={7}).to_dict()["delay"] == 7


def test_object_is_not_taken_for_a_list_of_its_names() -> None:
    with pytest.raises(InvalidOrderError, match=r"comments .* must not be an object"):
        CustomCommentsOrder.from_dict({"service": 5, "link": "x", "comments": {"Nice!": 1}})


def test_extra_fields_need_permission() -> None:
    data = {**JSON, "extra": {"country": "US"}}

    assert Order.from_dict({**JSON, "extra": {}}).extra == {}
    assert Order.from_dict(data, allow_extra=True).extra == {"country": "US"}
    with pytest.raises(InvalidOrderError, match="cannot be the name of an extra field"):
        Order.from_dict({**JSON, "extra": {"quantity": "9"}}, allow_extra=True)


@pytest.mark.parametrize("word", ["default", "Default", " DEFAULT "])
def test_type_is_found_in_any_spelling(word: str) -> None:
    assert type(Order.from_dict({**JSON, "type": word})) is DefaultOrder
    assert type(DefaultOrder.from_dict({**JSON, "type": word})) is DefaultOrder


def test_class_needs_no_type_and_accepts_no_other() -> None:
    data = {name: each for name, each in JSON.items() if name != "type"}

    assert DefaultOrder.from_dict(data) == Order.from_dict(JSON)
    for word in ("package", None, 3):
        with pytest.raises(InvalidOrderError, match="must be 'default' or left out") as caught:
            DefaultOrder.from_dict({**JSON, "type": word})
        assert caught.value.code is C.NOT_ALLOWED


def test_every_type_of_the_table_is_chosen_by_its_word() -> None:
    for word, order_type in API_V2_ORDER_TYPES.items():
        with pytest.raises(InvalidOrderError) as caught:
            Order.from_dict({"type": word})
        assert caught.value.owner == order_type.__name__


def test_order_of_extra_fields_only_survives_with_permission() -> None:
    order = Order(service=5, extra={"link": "x"})

    assert Order.from_dict(order.to_dict(), allow_extra=True) == order
    with pytest.raises(InvalidOrderError, match="type '' must be one of"):
        Order.from_dict(order.to_dict())


@frozen(kw_only=True)
class VotesOrder(Order):
    panel_type = "votes"
    choice: str


def test_class_of_your_own_parses_its_json() -> None:
    order = VotesOrder(service=5, choice="a")

    assert VotesOrder.from_dict(order.to_dict()) == order
