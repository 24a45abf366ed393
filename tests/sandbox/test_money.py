"""Amounts of the sandbox are exact, whatever decimal context the program has."""

import importlib
from collections.abc import Mapping
from decimal import (
    MAX_PREC,
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_UP,
    Clamped,
    Context,
    Decimal,
    DefaultContext,
    Inexact,
    Rounded,
    Subnormal,
    localcontext,
)
from typing import Any

import aiohttp
import pytest

from smmfanfast_async.sandbox import Sandbox, money
from smmfanfast_async.sandbox.money import (
    MAX_AMOUNT,
    MAX_DECIMALS,
    is_amount,
    round_balance,
    round_charge,
    trim_zeros,
)

from .samples import API_V2_FORMS, FORMS, LINK, form_of

CONTEXTS = {
    "low precision": Context(prec=1),
    "six digits": Context(prec=6),
    "inexact trapped": Context(prec=4, traps=[Inexact, Rounded, Subnormal, Clamped]),
    "rounded up": Context(prec=8, rounding=ROUND_UP),
    "rounded down": Context(prec=28, rounding=ROUND_FLOOR),
    "small exponents": Context(prec=3, Emin=-1, Emax=1, clamp=1, rounding=ROUND_CEILING),
    "largest precision": Context(prec=MAX_PREC),
}


def run_orders(dialect: str) -> tuple[list[bytes], dict[str, Any], Decimal]:
    """Return everything that a panel answers and stores during some orders."""
    panel = Sandbox(
        speed=0,
        seed=3,
        balance=Decimal("98765432109.87654321"),
        dialect=dialect,
        existing_orders=30,
        api_key="test-key",
    )

    def ask(action: str, **fields: str) -> bytes:
        reply = panel._respond({"key": "test-key", "action": action, **fields})
        return reply.body

    forms: Mapping[str, Any] = FORMS | API_V2_FORMS if dialect == "api-v2" else FORMS
    bodies = [ask("services"), ask("balance")]
    bodies += [ask("add", **form_of(order_type)) for order_type in forms]
    drip_feed = form_of("default", quantity="167", runs="3", interval="5", link=LINK + "/2")
    bodies += [
        ask("add", **drip_feed),
        ask("add", **form_of("default", quantity="777", link="a.b")),
    ]
    numbers = list(panel.orders)
    panel.advance(700)
    panel.set_status(numbers[-1], "partial", remains=333)
    panel.set_status(numbers[30], "canceled")
    panel.change_rate(5, Decimal("0.123456789"))
    bodies.append(ask("add", **form_of("default", link="a.c", quantity="999")))
    panel.finish_all()
    bodies += [ask("status", orders=",".join(panel.orders)), ask("balance")]
    return bodies, dict(panel.orders), panel.balance


@pytest.mark.parametrize("dialect", ["standard", "api-v2"])
@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
def test_decimal_context_of_the_program_changes_nothing(dialect: str, context: Context) -> None:
    with localcontext(DefaultContext):
        expected = run_orders(dialect)

    with localcontext(context):
        actual = run_orders(dialect)

    assert actual == expected


@pytest.mark.asyncio
async def test_requests_are_answered_in_any_decimal_context() -> None:
    with localcontext(CONTEXTS["inexact trapped"]):
        async with Sandbox(speed=0) as panel, aiohttp.ClientSession() as session:
            form = {"key": panel.api_key, "action": "add", **form_of("default", quantity="777")}
            async with session.post(panel.url, data=form) as answer:
                assert answer.status == 200
            balance = panel.balance

    assert balance == Decimal("999.2075")


def test_balance_plus_charges_is_constant() -> None:
    panel = Sandbox(speed=0, balance=MAX_AMOUNT)
    for quantity in ("777", "501"):
        form = form_of("default", quantity=quantity, link=LINK + quantity)
        panel._respond({"key": "test-key", "action": "add", **form})

    with localcontext(prec=100):
        charges = sum(order.charge for order in panel.orders.values())
        assert panel.balance + charges == MAX_AMOUNT
    assert charges == Decimal("1.3035")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", True),
        ("1e30", True),
        ("-1e30", True),
        ("1e-30", True),
        ("1000000000000000000000000000000.1", False),
        ("-1000000000000000000000000000001", False),
        ("1e-31", False),
        ("1e999999999", False),
        ("NaN", False),
        ("sNaN", False),
        ("Infinity", False),
    ],
)
def test_amounts_have_bounded_digits(value: str, expected: bool) -> None:  # noqa: FBT001
    assert (MAX_AMOUNT, MAX_DECIMALS) == (10**30, 30)
    assert is_amount(Decimal(value)) is expected


@pytest.mark.parametrize("balance", ["1e31", "1e-31", "NaN"])
def test_balance_that_cannot_be_exact_is_refused(balance: str) -> None:
    with pytest.raises(ValueError, match=r"balance must be a number from -1e\+30 to 1e\+30 with"):
        Sandbox(balance=Decimal(balance))


def test_amounts_are_rounded_half_up_once() -> None:
    with localcontext(CONTEXTS["rounded down"]):
        assert str(round_charge(Decimal("0.00005"))) == "0.0001"
        assert str(round_charge(Decimal("0.0000499999"))) == "0.0000"
        assert str(round_balance(Decimal("0.005"))) == "0.01"
        assert str(trim_zeros(Decimal("1.50"))) == "1.5"


def test_module_can_be_imported_in_any_decimal_context() -> None:
    with localcontext(CONTEXTS["inexact trapped"]):
        assert importlib.reload(money).MAX_AMOUNT == MAX_AMOUNT
