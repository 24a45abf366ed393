"""Routing: tables of what fits where, and which answer goes on to the next panel."""

import itertools
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async import Catalogue, DefaultOrder, ErrorKind, InvalidCode, Service
from smmfanfast_async.desk.routing import (
    FAILOVER_KINDS,
    RouteQuote,
    RouteReason,
    cheapest_first,
    find_reason,
    in_order,
    may_reroute,
    reason_of_code,
    routes_of,
)
from smmfanfast_async.journal import Entry, EntryState

R = RouteReason
NOW = datetime(2030, 1, 1, tzinfo=UTC)
PRICES = st.sampled_from([None, Decimal(1), Decimal("1.0"), Decimal(2)])


def entry(**changes: object) -> Entry:
    routes = {"alpha": "1", "beta": "2", "gamma": "3"}
    values = {"ref": "a", "state": EntryState.PREPARED, "created_at": NOW, "routes": routes}
    return Entry(**{**values, **changes})  # type: ignore[arg-type]


def quotes(prices: list[Decimal | None]) -> list[RouteQuote]:
    return [
        RouteQuote(panel=f"p{number}", service="1", price=price)
        for number, price in enumerate(prices)
    ]


@given(st.lists(PRICES, max_size=6))
def test_cheapest_comes_first_and_equal_prices_keep_the_order_of_products(
    prices: list[Decimal | None],
) -> None:
    given_quotes = quotes(prices)
    ordered = cheapest_first(given_quotes)

    assert sorted(each.panel for each in ordered) == [each.panel for each in given_quotes]
    for first, second in itertools.pairwise(ordered):
        if first.price == second.price:
            assert first.panel < second.panel
        else:
            assert second.price is None or (first.price is not None and first.price < second.price)
    assert in_order(given_quotes) == given_quotes


@pytest.mark.parametrize("kind", sorted(ErrorKind))
def test_only_listed_kinds_of_refusals_go_on(kind: ErrorKind) -> None:
    assert may_reroute(entry(), "alpha", kind) is (kind in FAILOVER_KINDS)
    assert not may_reroute(entry(is_pinned=True, panel="alpha"), "alpha", kind)
    assert not may_reroute(entry(was_unknown=True), "alpha", kind)
    assert not may_reroute(entry(routes={}), "default", kind)
    assert not may_reroute(entry(routes={"alpha": "1"}), "alpha", kind)
    refused_by = {"beta": ErrorKind.FUNDS, "gamma": ErrorKind.FUNDS}
    assert not may_reroute(entry(refused_by=refused_by), "alpha", kind)


def test_kinds_that_go_on_are_these() -> None:
    """No time-out, no network error, nothing unknown, and no active order with the same link."""
    assert {each.value for each in FAILOVER_KINDS} == {
        "funds", "service", "auth", "blocked", "validation",
    }  # fmt: skip


def test_routes_of_entries() -> None:
    assert list(routes_of(entry(), "default")) == ["alpha", "beta", "gamma"]
    assert routes_of(entry(panel="beta", is_pinned=True), "default") == {"beta": "2"}
    single = entry(routes={}, form={"service": "5"})
    assert routes_of(single, "default") == {"default": "5"}


def service(**changes: object) -> Service:
    values = {"service": "1", "name": "One", "type": "default", "category": "c"}
    return Service(**{**values, "raw_rate": "1", "min": 10, "max": 100, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "quantity", "changes", "reason"),
    [
        ({"link": "x", "quantity": "10"}, 10, {}, None),
        ({"link": "x", "quantity": "100"}, 100, {}, None),
        ({"link": "x", "quantity": "9"}, 9, {}, R.BELOW_MIN),
        ({"link": "x", "quantity": "101"}, 101, {}, R.ABOVE_MAX),
        ({"link": "x", "quantity": "101"}, 101, {"max": None}, None),
        ({"link": "x", "quantity": "9"}, 9, {"min": None}, None),
        ({"link": "x", "quantity": "9"}, 9, {"service": "2"}, R.NOT_LISTED),
        ({"link": "x", "quantity": "9"}, 9, {"type": "subscriptions"}, R.WRONG_TYPE),
        ({"link": "x", "quantity": "50"}, 50, {"type": "unheard of"}, None),
        ({"link": "x"}, None, {"type": "package"}, None),
        ({"link": "x"}, 1, {"type": "package"}, None),
        ({"link": "x", "quantity": "10", "runs": "2"}, 20, {"dripfeed": False}, R.NO_DRIP_FEED),
        ({"link": "x", "quantity": "10", "runs": "2"}, 20, {"dripfeed": True}, None),
        ({"username": "u", "min": "9", "max": "20", "delay": "0"}, None,
         {"type": "subscriptions"}, R.BELOW_MIN),
        ({"username": "u", "min": "10", "max": "200", "delay": "0"}, None,
         {"type": "subscriptions"}, R.ABOVE_MAX),
    ],
)  # fmt: skip
def test_reason_why_a_service_does_not_take_a_form(
    form: dict[str, str], quantity: int | None, changes: dict[str, object],
    reason: RouteReason | None,
) -> None:  # fmt: skip
    catalogue = Catalogue.from_services([service(**changes)], NOW)

    assert find_reason(catalogue, {"service": "1", **form}, quantity) is reason


def test_reason_of_each_check_of_the_catalogue() -> None:
    order = DefaultOrder(service=1, link="x", quantity=5)
    form = {"service": "1", "link": "x", "quantity": "5"}
    catalogue = Catalogue.from_services([service()], NOW)

    assert find_reason(catalogue, form, order.quantity) is reason_of_code(InvalidCode.BELOW_MIN)
    assert reason_of_code(InvalidCode.UNKNOWN_SERVICE) is R.NOT_LISTED
    assert reason_of_code(InvalidCode.ABOVE_MAX) is R.ABOVE_MAX
    assert reason_of_code(InvalidCode.UNSUPPORTED_FIELD) is R.NO_DRIP_FEED
    assert reason_of_code(InvalidCode.WRONG_TYPE) is R.WRONG_TYPE
