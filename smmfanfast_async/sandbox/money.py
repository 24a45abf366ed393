"""Exact arithmetic on amounts, whatever the decimal context of the program. Pure.

`+`, `-`, `*`, `/`, `abs` and `quantize` round to the caller's decimal context and can trap in it,
so amounts are calculated in a context of their own. Comparing and formatting never round.
"""

from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow

__all__ = [
    "EXACT",
    "MAX_AMOUNT",
    "MAX_DECIMALS",
    "NO_MONEY",
    "is_amount",
    "round_balance",
    "round_charge",
    "trim_zeros",
]

MAX_AMOUNT = Decimal("1e30")
"""The highest balance at the start, and the lowest with a minus sign."""

MAX_DECIMALS = 30
"""The most decimals of a balance."""

EXACT = Context(
    prec=100, rounding=ROUND_HALF_UP, traps=[InvalidOperation, DivisionByZero, Overflow]
)
"""A hundred digits: a balance has at most 61, a price 19, and no sum of them is rounded. The price
of a share is rounded only once, since a quotient that is not half a step differs from one within
its first 60 digits."""

NO_MONEY = Decimal("0.0000")
"""Nothing, with the decimals of a charge."""

_CHARGE_STEP = Decimal("0.0001")
_BALANCE_STEP = Decimal("0.01")


def is_amount(value: Decimal) -> bool:
    """Return whether a value is within `MAX_AMOUNT` and `MAX_DECIMALS`, so that sums are exact."""
    # `copy_abs` because even `-` and `abs` round to the caller's context.
    if not value.is_finite() or value.copy_abs() > MAX_AMOUNT:
        return False
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MAX_DECIMALS


def round_charge(amount: Decimal) -> Decimal:
    """Return the amount with 4 decimals, half a step rounded up."""
    return EXACT.quantize(amount, _CHARGE_STEP)


def round_balance(amount: Decimal) -> Decimal:
    """Return the amount with 2 decimals, half a step rounded up."""
    return EXACT.quantize(amount, _BALANCE_STEP)


def trim_zeros(amount: Decimal) -> Decimal:
    """Return the amount without zeros at its end."""
    return EXACT.normalize(amount)
