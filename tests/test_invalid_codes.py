"""The codes of `InvalidOrderError`: which value has which, and the limit that it breaks."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

import smmfanfast_async
from smmfanfast_async._wire.encode import encode_call, encode_order
from smmfanfast_async.catalogue import Catalogue
from smmfanfast_async.cli._input import build_order, parse_expiry
from smmfanfast_async.desk.pricing import require_price
from smmfanfast_async.errors import InvalidCode, InvalidOrderError, InvalidSettingsError
from smmfanfast_async.journal import parse_ref
from smmfanfast_async.orders import (
    MAX_WHOLE_NUMBER,
    CustomCommentsOrder,
    DefaultOrder,
    PackageOrder,
    PollOrder,
    SubscriptionsOrder,
    WebTrafficOrder,
    check_is_list,
    parse_id,
)
from smmfanfast_async.profile import API_V2, SMMFANFAST
from smmfanfast_async.results import Service

PACKAGE = Path(smmfanfast_async.__file__).parent
LINK = "https://example.com/p"
CATALOGUE = Catalogue.from_services(
    [Service(service="5", min=100, max=1000, type="default", dripfeed=False)],
    datetime(2026, 1, 1, tzinfo=UTC),
)
C = InvalidCode


def order(**changes: Any) -> DefaultOrder:
    values: dict[str, Any] = {"service": 5, "link": LINK, "quantity": 500}
    return DefaultOrder(**(values | changes))


def subscription(**changes: Any) -> SubscriptionsOrder:
    values: dict[str, Any] = {"service": 5, "username": "u", "min": 100, "max": 200, "delay": 0}
    return SubscriptionsOrder(**(values | changes))


def traffic() -> WebTrafficOrder:
    return WebTrafficOrder(
        service=5, link=LINK, quantity=500, country="US", device=1, type_of_traffic=1
    )


def check(**changes: Any) -> None:
    CATALOGUE.check(order(**changes))


CASES: list[tuple[Callable[[], object], str, InvalidCode, int | None]] = [
    (lambda: order(quantity=None), "quantity", C.MISSING, None),
    (lambda: order(link=" "), "link", C.MISSING, None),
    (lambda: order(service=None), "service", C.MISSING, None),
    (lambda: order(service=""), "service", C.MISSING, None),
    (lambda: CustomCommentsOrder(service=5, link=LINK, comments=[]), "comments", C.MISSING, None),
    (lambda: build_order("default", {"service": 5}), "link", C.MISSING, None),
    (lambda: parse_ref(" "), "ref", C.MISSING, None),
    (lambda: parse_ref(None), "ref", C.MISSING, None),
    (lambda: order(quantity="500"), "quantity", C.NOT_A_NUMBER, None),
    (lambda: order(quantity=True), "quantity", C.NOT_A_NUMBER, None),
    (lambda: order(link=5), "link", C.NOT_A_TEXT, None),
    (lambda: CustomCommentsOrder(service=5, link=LINK, comments=[5]),  # type: ignore[list-item]
        "comments", C.NOT_A_TEXT, None),
    (lambda: order(extra={"a": 5}), "extra", C.NOT_A_TEXT, None),
    (lambda: parse_ref(5), "ref", C.NOT_A_TEXT, None),
    (lambda: encode_call("x", {"a": 0.5}, SMMFANFAST), "a", C.NOT_A_TEXT, None),
    (lambda: subscription(expiry="tomorrow"), "expiry", C.NOT_A_DATE, None),
    (lambda: parse_expiry("tomorrow"), "expiry", C.NOT_A_DATE, None),
    (lambda: CustomCommentsOrder(service=5, link=LINK, comments=5),  # type: ignore[arg-type]
        "comments", C.NOT_A_LIST, None),
    (lambda: order(extra="a=b"), "extra", C.NOT_A_LIST, None),
    (lambda: check_is_list("12", "orders"), "orders", C.NOT_A_LIST, None),
    (lambda: order(service="5,6"), "service", C.INVALID_ID, None),
    (lambda: parse_id(0), "order", C.INVALID_ID, None),
    (lambda: order(link="a\nb"), "link", C.INVALID_CHARACTERS, None),
    (lambda: CustomCommentsOrder(service=5, link=LINK, comments=["a\rb"]),
        "comments", C.INVALID_CHARACTERS, None),
    (lambda: order(extra={"a": "\ud800"}), "extra", C.INVALID_CHARACTERS, None),
    (lambda: parse_ref("a\nb"), "ref", C.INVALID_CHARACTERS, None),
    (lambda: encode_call("x", {"a": "\ud800"}, SMMFANFAST), "a", C.INVALID_CHARACTERS, None),
    (lambda: encode_call("x", {"a": ["b\nc"]}, SMMFANFAST), "a", C.INVALID_CHARACTERS, None),
    (lambda: parse_ref("a" * 201), "ref", C.TOO_LONG, 200),
    (lambda: order(quantity=0), "quantity", C.BELOW_MIN, 1),
    (lambda: check(quantity=99), "quantity", C.BELOW_MIN, 100),
    (lambda: order(quantity=10**13), "quantity", C.ABOVE_MAX, MAX_WHOLE_NUMBER),
    (lambda: check(quantity=1001), "quantity", C.ABOVE_MAX, 1000),
    (lambda: subscription(min=300), "min", C.ABOVE_MAX, 200),
    (lambda: subscription(expiry=date(2020, 1, 1)), "expiry", C.IN_THE_PAST, None),
    (lambda: subscription(delay=7), "delay", C.NOT_ALLOWED, None),
    (lambda: encode_order(subscription(delay=7, allowed_delays_minutes=None), SMMFANFAST),
        "delay", C.NOT_ALLOWED, None),
    (lambda: order(runs=2), "runs", C.INCOMPLETE, None),
    (lambda: attrs.evolve(traffic(), type_of_traffic=2), "type_of_traffic", C.INCOMPLETE, None),
    (lambda: build_order("package", {"service": "5", "link": LINK, "username": "u"}),
        "username", C.UNKNOWN_FIELD, None),
    (lambda: order(extra={"quantity[]": "5"}), "extra", C.RESERVED, None),
    (lambda: encode_call("Add", {}, SMMFANFAST), "action", C.RESERVED, None),
    (lambda: encode_call("x", {"key": "k"}, SMMFANFAST), "key", C.RESERVED, None),
    (lambda: encode_order(
        PollOrder(service=5, link=LINK, quantity=1, answer_number=1), SMMFANFAST
    ), "panel_type", C.UNSUPPORTED_TYPE, None),
    (lambda: build_order("gift", {}), "TYPE", C.UNSUPPORTED_TYPE, None),
    (lambda: encode_order(subscription(old_posts=1), SMMFANFAST),
        "old_posts", C.UNSUPPORTED_FIELD, None),
    (lambda: check(runs=2, interval=5), "runs", C.UNSUPPORTED_FIELD, None),
    (lambda: check(service=6), "service", C.UNKNOWN_SERVICE, None),
    (lambda: CATALOGUE.check(PackageOrder(service=5, link=LINK)), "service", C.WRONG_TYPE, None),
    (lambda: encode_call(" ", {}, SMMFANFAST), "action", C.INVALID, None),
]  # fmt: skip

ELSEWHERE = {C.UNKNOWN_PRICE, C.UNKNOWN_REF, C.WRONG_STATE}
"""Codes of the client and the desk, whose own tests have them."""


@pytest.mark.parametrize(("call", "field", "code", "limit"), CASES)
def test_each_invalid_value_has_its_code_and_limit(
    call: Callable[[], object], field: str, code: InvalidCode, limit: int | None
) -> None:
    with pytest.raises(InvalidOrderError) as caught:
        call()

    assert (caught.value.field, caught.value.code, caught.value.limit) == (field, code, limit)


def test_every_code_has_a_case() -> None:
    assert {case[2] for case in CASES} == set(InvalidCode) - ELSEWHERE


def test_codes_are_the_documented_words() -> None:
    """The guide has a table of them, and programs compare with the words."""
    guide = (PACKAGE / "README.md").read_text()
    table = guide.partition("| code | meaning | `limit` |")[2].partition("\n\n")[0]
    documented = {
        word for row in table.splitlines()[2:] for word in re.findall(r"`(\w+)`", row.split("|")[1])
    }

    assert documented == {str(code) for code in InvalidCode}


def test_limit_belongs_to_three_codes_only() -> None:
    assert {case[2] for case in CASES if case[3] is not None} == {
        C.BELOW_MIN,
        C.ABOVE_MAX,
        C.TOO_LONG,
    }


def test_invalid_value_is_not_safe_to_retry() -> None:
    """The same value fails again; it has to be corrected first."""
    for error in (
        InvalidOrderError("DefaultOrder", "quantity", 3, "is too low"),
        InvalidSettingsError("timeout_s", "must be positive"),
    ):
        assert (error.maybe_sent, error.maybe_placed, error.safe_to_retry) == (False,) * 3


def test_code_without_a_word_of_its_own_is_invalid() -> None:
    error = InvalidOrderError("Form", "colour", "red", "is not for sale")

    assert (error.code, error.limit) == (InvalidCode.INVALID, None)


def test_price_that_is_not_known_has_its_code() -> None:
    with pytest.raises(InvalidOrderError) as caught:
        require_price(None, CATALOGUE, ("max_charge", Decimal(1)), "DefaultOrder", 5)

    assert caught.value.code is InvalidCode.UNKNOWN_PRICE


def test_values_valid_for_another_profile_have_no_code() -> None:
    assert encode_order(subscription(old_posts=1), API_V2)["old_posts"] == "1"
