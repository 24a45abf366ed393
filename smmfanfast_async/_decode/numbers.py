"""The one gate that text passes on its way to a number.

Every number of the panel, whichever road it takes, is bounded here in digits and exponent before
anything is computed with it: `int(Decimal("1e1000000"))` alone would take twenty seconds.
"""

import decimal
import re
from decimal import Decimal

from ..results import MAX_COUNT

__all__ = ["ABSENT_WORDS", "amount", "count", "flag", "in_gate", "json_float", "json_int"]

MAX_NUMBER_CHARACTERS = 64
"""The longest text that is read as a number; real ones have below 20 characters."""

MAX_DIGITS = 40
"""Digits of an amount: more than any currency needs, few enough to cost nothing."""

MAX_EXPONENT = 40
"""Power of ten of an amount, either sign."""

ABSENT_WORDS = frozenset({"", "null", "none", "n/a", "na", "unknown", "-"})
"""Texts that stand for no number (seen: "", "N/A", "Unknown"); compared without case."""

# Traps make every step outside the bounds an exception, instead of a rounded or infinite number.
_GATE = decimal.Context(
    prec=MAX_DIGITS,
    Emax=MAX_EXPONENT,
    Emin=-MAX_EXPONENT,
    traps=[
        decimal.Clamped,
        decimal.InvalidOperation,
        decimal.Overflow,
        decimal.Rounded,
        decimal.Subnormal,
        decimal.Underflow,
    ],
)
_CURRENCY_SIGNS = "$€£¥₹₽₺₴₦"
_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
# Groups of three only: "1,5" may be a decimal comma, and money is not guessed.
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?")


in_gate = _GATE.plus
"""Pass a number within the bounds, infinity and NaN too; raise `ArithmeticError` for any other. A
bound method, since the fast road calls it once a record."""


def _bounded(number: Decimal) -> Decimal:
    try:
        if in_gate(number).is_finite():
            return number
    except ArithmeticError as error:
        raise ValueError("out of bounds") from error
    raise ValueError("not finite")


def amount(value: object) -> Decimal | None:
    """Read money: None for a word that stands for nothing, `ValueError` for what is no number."""
    if isinstance(value, str):
        return _amount_of_text(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return _bounded(Decimal(value))
    raise ValueError("not a number")


def _amount_of_text(text: str) -> Decimal | None:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise ValueError("too long for a number")
    bare = text.strip()
    if bare.lower() in ABSENT_WORDS:
        return None
    sign = bare[:1] if bare[:1] in "+-" else ""
    bare = sign + bare[len(sign) :].strip(_CURRENCY_SIGNS + " ")
    if _GROUPED.fullmatch(bare):
        bare = bare.replace(",", "")
    if not _PLAIN.fullmatch(bare):
        raise ValueError("not a number")
    return _bounded(Decimal(bare))


def count(value: object) -> int | None:
    """Read a whole number; a fraction of nothing ("5.0", 1e3) is whole. Errors as `amount`."""
    number = amount(value)
    if number is None:
        return None
    # By way of a float when it is not written as a whole number, as the fast road does it.
    is_whole = number == number.to_integral_value()
    whole = int(number) if is_whole else int(float(number))
    if not (is_whole or float(number).is_integer()) or abs(whole) > MAX_COUNT:
        raise ValueError("not a whole number, or above the bound")
    return whole


_FLAGS = {"1": True, "true": True, "yes": True, "on": True} | {
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def flag(value: object) -> bool | None:
    """Read 0, 1, "0", "1", true, "true" (all seen); None for a word that stands for nothing."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else "?"
    if word in ABSENT_WORDS:
        return None
    if word not in _FLAGS:
        raise ValueError("neither yes nor no")
    return _FLAGS[word]


def json_int(text: str) -> int | str:
    """Take a JSON number without fraction; one of thousands of digits stays text."""
    return int(text) if len(text) <= MAX_NUMBER_CHARACTERS else text


def json_float(text: str) -> Decimal | str:
    """Take a JSON number with fraction or exponent exactly; one out of bounds stays text."""
    try:
        found = _amount_of_text(text)
    except ValueError:
        return text
    return text if found is None else found
