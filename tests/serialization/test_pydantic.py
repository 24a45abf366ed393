"""The values as pydantic sees them: serialised as `to_dict`, with the schema of exactly that."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from pydantic import BaseModel, TypeAdapter, ValidationError
from support.values import ENTRY, EXAMPLES, SERVICE, orders

from smmfanfast_async import (
    API_V2_ORDER_TYPES,
    CatalogueDiff,
    DefaultOrder,
    Order,
    OrderStatus,
    Service,
)
from smmfanfast_async._serialization.pydantic_schema import AMOUNT_PATTERN, json_object
from smmfanfast_async.journal import Entry, Summary

EACH = pytest.mark.parametrize("value", EXAMPLES, ids=lambda each: type(each).__name__)

JSON: dict[str, Any] = {"type": "default", "service": 5, "link": "https://e.com/p", "quantity": 10}
MONEY = {"type": "string", "pattern": AMOUNT_PATTERN}


ADAPTERS: dict[Any, TypeAdapter[Any]] = {
    each: TypeAdapter(each)
    for cls in API_V2_ORDER_TYPES.values()
    for each in (Order, cls, json_object(cls))
}


def schema_of(cls: Any, mode: Any = "serialization") -> dict[str, Any]:
    return TypeAdapter(cls).json_schema(mode=mode)


@EACH
def test_value_is_serialized_as_to_dict(value: Any) -> None:
    adapter = TypeAdapter(type(value))

    assert json.loads(adapter.dump_json(value)) == value.to_dict()
    assert adapter.dump_python(value, mode="json") == value.to_dict()
    assert adapter.dump_python([value][0]) == value.to_dict()


@EACH
def test_schema_describes_exactly_this_json(value: Any) -> None:
    shown = value.to_dict()
    checked = TypeAdapter(json_object(type(value))).validate_python(shown, strict=True)

    assert checked == shown
    assert schema_of(type(value))["title"] == type(value).__name__
    assert list(schema_of(type(value))["properties"]) == list(shown)
    assert schema_of(type(value))["required"] == list(shown)


@given(orders())
@settings(deadline=None)
def test_orders_are_serialized_and_parsed(order: Order) -> None:
    ADAPTERS[json_object(type(order))].validate_python(order.to_dict(), strict=True)
    for cls in (Order, type(order)):
        adapter = ADAPTERS[cls]
        dumped = adapter.dump_json(order)

        assert json.loads(dumped) == order.to_dict()
        assert adapter.validate_python(order) is order
        if not order.extra and not hasattr(order, "delay"):
            assert adapter.validate_json(dumped) == order


def test_money_times_and_states_have_their_types() -> None:
    fields = schema_of(Entry)["properties"]

    assert fields["price"]["anyOf"] == [MONEY, {"type": "null"}]
    assert fields["created_at"] == {
        "format": "date-time", "title": "Created At", "type": "string",
    }  # fmt: skip
    assert "unknown" in fields["state"]["enum"]
    assert schema_of(OrderStatus)["properties"]["raw_status"]["type"] == "string"
    assert schema_of(Summary)["properties"]["by_state"]["additionalProperties"] == {
        "type": "integer"
    }


def test_objects_inside_are_named_once() -> None:
    schema = schema_of(CatalogueDiff)

    assert set(schema["$defs"]) == {"Service", "ServiceChange"}
    assert schema["properties"]["added"]["items"] == {"$ref": "#/$defs/Service"}


def test_route_can_select_fields() -> None:
    adapter = TypeAdapter(Entry)

    assert adapter.dump_python(ENTRY, include={"ref", "state"}) == {
        "ref": "cart-1", "state": "unknown",
    }  # fmt: skip
    assert "price" not in adapter.dump_python(ENTRY, exclude={"price"})
    assert "charge" not in adapter.dump_python(ENTRY, exclude_none=True)


def test_results_are_accepted_as_they_are_and_never_parsed() -> None:
    class Page(BaseModel):
        entry: Entry
        services: list[Service]

    page = Page(entry=ENTRY, services=[SERVICE])

    assert page.entry is ENTRY
    assert json.loads(page.model_dump_json())["services"] == [SERVICE.to_dict()]
    assert set(Page.model_json_schema()["$defs"]) == {"Entry", "Service"}
    with pytest.raises(ValidationError, match="instance of Entry"):
        Page.model_validate({"entry": ENTRY.to_dict(), "services": []})


@pytest.mark.parametrize(
    ("data", "place", "kind"),
    [
        ({**JSON, "quantity": "10"}, ("quantity",), "not_a_number"),
        ({**JSON, "quantity": 0}, ("quantity",), "below_min"),
        ({**JSON, "note": 1}, ("note",), "unknown_field"),
        ({**JSON, "extra": {"a": "b"}}, ("extra",), "unsupported_field"),
        ({"type": "default"}, ("service",), "missing"),
        ({}, ("type",), "missing"),
        (3, (), "not_a_list"),
        ({**JSON, "link": "{reason}\nx"}, ("link",), "invalid_characters"),
    ],
)
def test_error_is_at_its_field(data: Any, place: tuple[str, ...], kind: str) -> None:
    class Cart(BaseModel):
        order: Order

    with pytest.raises(ValidationError) as caught:
        Cart.model_validate({"order": data})

    (error,) = caught.value.errors()
    assert (error["loc"], error["type"]) == (("order", *place), kind)
    assert error["msg"] == error["ctx"]["reason"]


def test_order_of_a_body_is_told_by_its_type() -> None:
    schema = schema_of(Order, "validation")

    assert set(schema["discriminator"]["mapping"]) == set(API_V2_ORDER_TYPES)
    default = schema["$defs"]["DefaultOrderInput"]
    assert default["required"] == ["service", "link", "quantity", "type"]
    assert default["additionalProperties"] is False
    assert default["properties"]["service"]["anyOf"] == [{"type": "string"}, {"type": "integer"}]
    assert default["properties"]["type"]["const"] == "default"
    assert "extra" not in default["properties"]


def test_order_of_one_type_needs_no_type() -> None:
    schema = schema_of(DefaultOrder, "validation")

    assert schema["required"] == ["service", "link", "quantity"]
    assert TypeAdapter(DefaultOrder).validate_python(
        {"service": 5, "link": "l", "quantity": 10}
    ) == DefaultOrder(service=5, link="l", quantity=10)
