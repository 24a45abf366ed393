"""Exact arithmetic with amounts of money, whatever decimal context the caller uses. Pure."""

from collections.abc import Iterable
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation

__all__ = ["EXACT", "is_amount_text", "step_of", "total"]

EXACT = Context(
    prec=200,
    rounding=ROUND_HALF_EVEN,
    Emin=MIN_EMIN,
    Emax=MAX_EMAX,
    traps=[Inexact, InvalidOperation],
)
"""Adds and multiplies amounts of up to 40 digits before and after the point without rounding; what
it cannot hold exactly is an error and not another amount. Used by its methods, never set."""


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the exact sum of amounts, 0 for none."""
    sum_ = Decimal(0)
    for amount in amounts:
        sum_ = EXACT.add(sum_, amount)
    return sum_


def step_of(amount: Decimal) -> Decimal:
    """Return the unit of the last decimal of a finite amount, at most 1: 0.01 for 9.50."""
    exponent = amount.as_tuple().exponent
    assert isinstance(exponent, int), "an amount is finite"  # noqa: S101
    return Decimal((0, (1,), min(exponent, 0)))


def is_amount_text(text: str) -> bool:
    """Return whether a text is a finite number."""
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
