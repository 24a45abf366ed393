"""Results as values: statuses in any spelling, refunds, immutability, documented fields."""

import copy
import decimal
import pickle
import pydoc
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async import results
from smmfanfast_async.results import (
    FINAL_STATUSES,
    AddedOrder,
    Balance,
    CancelResult,
    OrderStatus,
    RefillResult,
    RefillStatus,
    Response,
    Service,
    Status,
)

SPELLINGS = {
    "pending": Status.PENDING,
    "Pending": Status.PENDING,
    "Awaiting": Status.AWAITING,
    "processing": Status.PROCESSING,
    "In progress": Status.IN_PROGRESS,
    "Inprogress": Status.IN_PROGRESS,
    "in_progress": Status.IN_PROGRESS,
    "IN-PROGRESS": Status.IN_PROGRESS,
    " In  Progress \r\n": Status.IN_PROGRESS,
    "Active": Status.ACTIVE,
    "Paused": Status.PAUSED,
    "Completed": Status.COMPLETED,
    "COMPLETED": Status.COMPLETED,
    "Partial": Status.PARTIAL,
    "Canceled": Status.CANCELED,
    "Cancelled": Status.CANCELED,
    "Refunded": Status.REFUNDED,
    "Expired": Status.EXPIRED,
    "Fail": Status.FAILED,
    "Failed": Status.FAILED,
    "Error": Status.ERROR,
    "": Status.UNKNOWN,
    "Unknown": Status.UNKNOWN,
    "Complete": Status.UNKNOWN,
    "Partially completed": Status.UNKNOWN,
    "Rejected": Status.REJECTED,
    "مكتمل": Status.UNKNOWN,
}

FINAL = {
    Status.PENDING: False,
    Status.AWAITING: False,
    Status.PROCESSING: False,
    Status.IN_PROGRESS: False,
    Status.ACTIVE: False,
    Status.PAUSED: False,
    Status.COMPLETED: True,
    Status.PARTIAL: True,
    Status.CANCELED: True,
    Status.REFUNDED: True,
    Status.EXPIRED: True,
    Status.FAILED: False,
    Status.ERROR: False,
    Status.REJECTED: False,
    Status.UNKNOWN: False,
}

EXAMPLES: list[msgspec.Struct] = [
    Response(status=200, body=b"{}"),
    Response(
        status=302, body=b"", retry_after_s=2.5, location="https://example.com/", is_challenge=True
    ),
    AddedOrder(order="32"),
    OrderStatus(raw_status="pending"),
    OrderStatus(
        order="32",
        raw_status="Partial",
        raw_charge="0.0360",
        currency="USD",
        start_count=100,
        remains=-5,
        runs=2,
        posts=3,
        expiry=True,
        orders=("33", "34"),
        extra={"note": ["a", 1]},
    ),
    Service(service="5"),
    Service(
        service="5",
        name="Followers",
        category="Example",
        raw_rate="1.02",
        min=500,
        max=10000,
        type="default",
        desc="usernames",
        dripfeed=True,
        refill=False,
        cancel=True,
        extra={"average_time": "1 h"},
    ),
    Balance(balance=Decimal("0.03"), currency="USD"),
    RefillResult(order="32", refill="1"),
    RefillStatus(refill="1", raw_status="Completed"),
    CancelResult(order="32"),
]

COPIES: dict[str, Callable[[msgspec.Struct], msgspec.Struct]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),  # noqa: S301  # our own
}


RESULT_CLASSES = sorted({type(each) for each in EXAMPLES}, key=lambda cls: cls.__name__)


def status(word: str, **fields: int) -> OrderStatus:
    return OrderStatus(order="32", raw_status=word, **fields)


@pytest.mark.parametrize(("word", "expected"), SPELLINGS.items())
def test_status_word_is_parsed_in_any_spelling_and_never_guessed(
    word: str, expected: Status
) -> None:
    assert Status.parse(word) is expected
    assert status(word).status is expected
    assert RefillStatus(refill="1", raw_status=word).status is expected


def test_every_status_parses_its_own_name() -> None:
    assert [Status.parse(each.name) for each in Status] == list(Status)


@given(st.text())
def test_raw_status_is_kept_unchanged(word: str) -> None:
    assert status(word).raw_status == word
    assert status(word).status in Status


def test_table_of_final_statuses_covers_every_status() -> None:
    assert set(FINAL) == set(Status)


@pytest.mark.parametrize(("word", "is_final"), FINAL.items())
def test_is_final_for_exactly_the_final_statuses(word: Status, *, is_final: bool) -> None:
    assert status(word.value).is_final is is_final
    assert (word in FINAL_STATUSES) is is_final


@pytest.mark.parametrize(("word", "remains", "quantity", "share"), [
    ("Completed", None, 100, "0"),
    ("Completed", 40, 100, "0"),
    ("Canceled", None, 100, "1"),
    ("Canceled", 0, 100, "1"),
    ("Refunded", None, 100, "1"),
    ("Partial", 0, 100, "0"),
    ("Partial", 1, 100, "0.01"),
    ("Partial", 40, 100, "0.4"),
    ("Partial", 99, 100, "0.99"),
    ("Partial", 100, 100, "1"),
    ("Partial", 101, 100, "1"),
    ("Partial", -1, 100, "0"),
    ("Partial", 1, 1, "1"),
])  # fmt: skip
def test_refund_share_is_between_0_and_1(
    word: str, remains: int | None, quantity: int, share: str
) -> None:
    order = OrderStatus(raw_status=word, remains=remains)

    assert order.refund_share(quantity) == Decimal(share)


@pytest.mark.parametrize(("word", "remains", "quantity"), [
    ("Partial", None, 100),
    ("Partial", 40, 0),
    ("Partial", 40, -1),
    ("Pending", 40, 100),
    ("In progress", 0, 100),
    ("Expired", 40, 100),
    ("Failed", 100, 100),
    ("some new word", 40, 100),
])  # fmt: skip
def test_refund_share_is_none_if_it_is_not_known(
    word: str, remains: int | None, quantity: int
) -> None:
    order = OrderStatus(raw_status=word, remains=remains)

    assert order.refund_share(quantity) is None


@pytest.mark.parametrize("word", ["Completed", "Canceled", "Refunded", "Partial"])
@pytest.mark.parametrize("family", [{"runs": 2}, {"runs": 0}, {"posts": 3}, {"orders": ("5",)}])
def test_refund_of_an_order_with_children_is_not_known(word: str, family: dict[str, Any]) -> None:
    """A drip-feed canceled after two of four runs is refunded by half."""
    order = OrderStatus(raw_status=word, remains=40, **family)

    assert order.refund_share(100) is None
    assert order.refund(Decimal("2.04"), 100) is None


@pytest.mark.parametrize("context", [
    decimal.Context(prec=2), decimal.Context(prec=2, traps=[decimal.Inexact, decimal.Rounded]),
    decimal.Context(prec=1, rounding=decimal.ROUND_UP),
], ids=["rounding", "raising", "rounding up"])  # fmt: skip
def test_refund_is_exact_in_any_decimal_context(context: decimal.Context) -> None:
    order = OrderStatus(raw_status="Partial", remains=1237)
    with decimal.localcontext(context):
        share = order.refund_share(10_000)
        refund = order.refund(Decimal("12345678.123456"), 10_000)
        third = OrderStatus(raw_status="Partial", remains=1).refund_share(3)
        whole = OrderStatus(raw_status="Canceled").refund(Decimal("1.2345678"), 10_000)
        nothing = OrderStatus(raw_status="Completed").refund(Decimal("1.2345678"), 10_000)

    assert share == Decimal("0.1237")
    assert refund == Decimal("1527160.3838715072")
    assert third == Decimal("0." + "3" * 60)
    assert (whole, nothing) == (Decimal("1.2345678"), Decimal(0))


def test_refund_is_none_if_its_share_is_not_known() -> None:
    assert OrderStatus(raw_status="Pending").refund(Decimal(1), 100) is None


@given(st.integers(-(10**15), 10**15), st.integers(1, 10**12))
def test_refund_share_is_never_negative_or_above_1(remains: int, quantity: int) -> None:
    share = status("Partial", remains=remains).refund_share(quantity)

    assert share is not None
    assert 0 <= share <= 1


def test_every_result_class_has_an_example() -> None:
    classes = {
        each
        for each in vars(results).values()
        if isinstance(each, type) and issubclass(each, msgspec.Struct) and each.__name__[0] != "_"
    }

    assert {type(each) for each in EXAMPLES} == classes


@pytest.mark.parametrize("method", COPIES)
@pytest.mark.parametrize("value", EXAMPLES, ids=repr)
def test_copy_is_equal_field_by_field(value: msgspec.Struct, method: str) -> None:
    copied = COPIES[method](value)

    assert copied == value
    assert repr(copied) == repr(value)
    assert msgspec.structs.asdict(copied) == msgspec.structs.asdict(value)


@pytest.mark.parametrize("value", EXAMPLES, ids=repr)
def test_fields_are_read_only(value: msgspec.Struct) -> None:
    for name in value.__struct_fields__:
        with pytest.raises(AttributeError):
            setattr(value, name, None)


@pytest.mark.parametrize("value", EXAMPLES, ids=repr)
def test_difference_in_one_field_makes_results_unequal(value: msgspec.Struct) -> None:
    for name in set(value.__struct_fields__) - {"raw"}:
        assert msgspec.structs.replace(value, **{name: "something else"}) != value


@pytest.mark.parametrize("value", EXAMPLES, ids=repr)
def test_fields_are_keyword_only(value: msgspec.Struct) -> None:
    with pytest.raises(TypeError):
        type(value)(*msgspec.structs.astuple(value))


def test_fields_that_the_panel_omits_are_none() -> None:
    bare = OrderStatus(raw_status="pending")

    absent = (
        bare.charge,
        bare.currency,
        bare.start_count,
        bare.remains,
        bare.runs,
        bare.posts,
        bare.expiry,
        bare.extra,
    )
    assert set(absent) == {None}
    assert (bare.order, bare.orders) == ("", ())


def test_records_survive_a_round_trip_through_msgspec_json() -> None:
    status = OrderStatus(order="7", raw_status="Partial", raw_charge="1.50", remains=3)
    service = Service(service="5", name="A", raw_rate="0.90", extra={"a": [1]})

    for record in (status, service):
        written = msgspec.json.encode(record)
        assert msgspec.json.decode(written, type=type(record)) == record


def test_equal_amounts_in_different_digits_are_equivalent() -> None:
    status = OrderStatus(order="7", raw_status="Pending", raw_charge="0.5", raw='{"a"}')
    service = Service(service="5", raw_rate="0.5")

    assert status.is_equivalent_to(status)
    assert service.is_equivalent_to(service)
    for rate, is_equivalent in (("0.50", True), ("0.51", False), (None, False)):
        other = OrderStatus(order="7", raw_status="Pending", raw_charge=rate, raw="another")
        assert status.is_equivalent_to(other) is is_equivalent
        assert service.is_equivalent_to(Service(service="5", raw_rate=rate, raw="x")) is (
            is_equivalent
        )
    assert not status.is_equivalent_to(
        OrderStatus(order="7", raw_status="Partial", raw_charge="0.5")
    )
    assert not service.is_equivalent_to(Service(service="5", raw_rate="0.5", min=1))


@pytest.mark.parametrize("cls", RESULT_CLASSES)
def test_pydoc_lists_every_field_with_its_meaning(cls: type[msgspec.Struct]) -> None:
    rendered = pydoc.render_doc(cls, renderer=pydoc.plaintext)
    # What is before the docstring may be a signature with a line for each parameter.
    docstring = rendered.partition(str(cls.__doc__).splitlines()[0])[2]
    described = re.findall(r"^ \|      (\w+): \S+ \S+", docstring, re.MULTILINE)

    assert sorted(described) == sorted(cls.__struct_fields__)
