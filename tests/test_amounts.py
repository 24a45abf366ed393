"""Exact arithmetic with amounts, in any decimal context of the caller."""

import decimal
from decimal import Decimal

import pytest

from smmfanfast_async._amounts import EXACT, step_of, total


def test_sum_is_exact_in_any_context_of_the_caller() -> None:
    amounts = [Decimal("12345678.51102"), Decimal("0.0000001"), Decimal(-1)]

    with decimal.localcontext(prec=6, traps=[decimal.Inexact]):
        assert total(amounts) == Decimal("12345677.5110201")
        assert total([]) == 0


@pytest.mark.parametrize(("amount", "step"), [
    ("9.50", "0.01"), ("-9.5000", "0.0001"), ("9", "1"), ("1E+3", "1"), ("0.00", "0.01"),
])  # fmt: skip
def test_step_is_the_unit_of_the_last_decimal(amount: str, step: str) -> None:
    assert step_of(Decimal(amount)) == Decimal(step)


def test_what_cannot_be_held_exactly_is_an_error() -> None:
    with pytest.raises(decimal.Inexact):
        EXACT.add(Decimal("1E+200"), Decimal("1E-200"))
