"""The answers of both dialects: orders, services, balances, refusals."""

from decimal import Decimal
from typing import Any

import attrs
import pytest

from smmfanfast_async.sandbox import answers, messages
from smmfanfast_async.sandbox.answers import encode_id
from smmfanfast_async.sandbox.dialects import API_V2, DIALECTS, STANDARD
from smmfanfast_async.sandbox.orders import State, StoredOrder
from smmfanfast_async.sandbox.services import API_V2_SERVICES, API_V2_TYPES

STORED = StoredOrder(
    order="7",
    service="5",
    type="default",
    status=State.IN_PROGRESS,
    link="https://example.com",
    quantity=1000,
    price=Decimal("1.0200"),
    charge=Decimal("0.2782"),
    start_count=3572,
    remains=157,
    created_s=0,
    fields={},
)
SERVICES = {service.service: service for service in API_V2_SERVICES}


def items(answer: Any) -> list[tuple[str, Any]]:
    return list(answer.items())


def test_dialects_are_keyed_by_name() -> None:
    assert list(DIALECTS.values()) == [STANDARD, API_V2]
    assert list(DIALECTS) == ["standard", "api-v2"]


def test_api_v2_order_has_no_id_and_a_capitalised_status() -> None:
    expected = [("charge", "0.2782"), ("start_count", "3572"), ("status", "In progress"),
           ("remains", "157")]  # fmt: skip

    assert items(answers.api_v2_order(STORED, None)) == expected
    assert items(answers.api_v2_order(STORED, "USD")) == [*expected, ("currency", "USD")]


def test_parent_order_differs_only_in_capitalisation() -> None:
    runs = attrs.evolve(STORED, status=State.ACTIVE, runs=2, orders=("8", "9"))
    posts = attrs.evolve(STORED, status=State.EXPIRED, posts=1, orders=("8",))

    assert answers.api_v2_order(runs, "USD") == {
        "status": "Active",
        "runs": "2",
        "orders": ["8", "9"],
    }
    assert answers.api_v2_order(posts, "USD") == {
        "status": "Expired",
        "expiry": True,
        "posts": "1",
        "orders": ["8"],
    }
    assert answers.standard_order(runs, "USD") == {
        "status": "active",
        "runs": "2",
        "orders": ["8", "9"],
    }


def test_added_and_unknown_answers_of_each_dialect() -> None:
    assert STANDARD.added("7") == {"status": "success", "order": 7}
    assert API_V2.added("7") == {"order": 7}
    assert STANDARD.unknown_order() == "Incorrect order ID"
    assert API_V2.unknown_order() == {"error": "Incorrect order ID"}


def test_api_v2_balance_has_no_status() -> None:
    assert items(API_V2.balance(Decimal("0.5"), "USD")) == [
        ("balance", "0.50"),
        ("currency", "USD"),
    ]
    assert items(STANDARD.balance(Decimal("0.5"), "USD"))[0] == ("status", "success")


def test_api_v2_service_has_flags() -> None:
    assert items(answers.api_v2_service(SERVICES["5"])) == [
        ("service", 5),
        ("name", "Instagram Followers [15K] "),
        ("type", "Default"),
        ("category", "Instagram - Followers [Guaranteed/Refill] - Less Drops ⭐"),
        ("rate", "1.02"),
        ("min", "500"),
        ("max", "10000"),
        ("dripfeed", True),
        ("refill", True),
        ("cancel", True),
    ]


def test_api_v2_types_use_their_display_names() -> None:
    names = {
        answers.api_v2_service(service)["type"]  # type: ignore[index,call-overload]
        for service in API_V2_SERVICES
    }

    assert len(names) == len(API_V2_TYPES)
    assert {"SEO", "Mentions with Hashtags", "Invites from Groups", "Web Traffic"} <= names


@pytest.mark.parametrize(("text", "number"), [
    ("32", 32), ("0", 0), ("9" * 18, 10**18 - 1), ("9" * 19, "9" * 19), ("ord_1", "ord_1"),
    ("", ""), ("-1", "-1"), ("007", "007"), ("٣", "٣"), ("²", "²"),
])  # fmt: skip
def test_only_canonical_numbers_are_printed_as_numbers(text: str, number: object) -> None:
    assert encode_id(text) == number


@pytest.mark.parametrize(("text", "in_api_v2"), [
    (messages.USER_UNKNOWN, "Invalid API key"),
    (messages.ACTION_INVALID, "Incorrect request"),
    (messages.SERVICE_UNKNOWN, "Incorrect service ID"),
    (messages.BAD_LINK, "neworder.error.link"),
    (messages.MIN_QUANTITY.format(500), "Quantity less than minimal 500"),
    (messages.MAX_QUANTITY.format(10), "Quantity more than maximum 10"),
    (messages.NOT_ENOUGH_FUNDS, "neworder.error.not_enough_funds"),
    (messages.ACTIVE_LINK, "neworder.error.link_duplicate"),
    (messages.ORDER_REQUIRED, "Incorrect order ID"),
    (messages.ORDER_UNKNOWN, "Incorrect order ID"),
    (messages.TRY_AGAIN, messages.TRY_AGAIN),
])  # fmt: skip
def test_api_v2_has_its_own_refusal_texts(text: str, in_api_v2: str) -> None:
    assert API_V2.translate_message(text) == in_api_v2
    assert STANDARD.translate_message(text) == text
