"""The one gate that text passes on its way to a number.

Every number of the panel, whichever road it takes, is bounded here in digits and exponent before
anything is computed with it: `int(Decimal("1e1000000"))` alone would take twenty seconds.
"""

import decimal
import re
from decimal import Decimal

from ...results import MAX_COUNT

__all__ = [
    "PLAIN_AMOUNT",
    "UnparsedNumber",
    "amount",
    "amount_text",
    "count",
    "flag",
    "json_float",
    "json_int",
]

MAX_WHOLE_CHARACTERS = 128
"""The longest whole number in JSON that is read: as long as the longest id."""

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
PLAIN_AMOUNT = "-?[0-9]{1,20}+(?:[.][0-9]{1,20}+)?+"
"""How an amount is usually written: a pattern of what passes the gate and is kept as it came."""

_PLAIN_AMOUNT = re.compile(PLAIN_AMOUNT)
_CURRENCY_SIGNS = "$€£¥₹₽₺₴₦"
_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Groups of three only, the first not 0: "1,5" and "0,036" have a decimal comma.
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?")
# "1,234" may have one too, and money is not guessed: two groups, or a point, tell that it has not.
_GROUPED_MONEY = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3}){2,}\.?|,[0-9]{3}\.)[0-9]*")


class UnparsedNumber(str):
    """A JSON number out of bounds, NaN or infinity, as its text: no number to us, and no id."""

    __slots__ = ()


def amount(value: object) -> Decimal | None:
    """Read money: None for a word that stands for nothing, `ValueError` for what is no number."""
    number = _number(value, _GROUPED_MONEY)
    return None if number is None else _bounded(number)


def amount_text(value: object) -> str | None:
    """Read money as `amount` does, and give its digits: the panel's own where they are plain."""
    if isinstance(value, str) and _PLAIN_AMOUNT.fullmatch(value):
        return value
    number = amount(value)
    return None if number is None else f"{number:f}"


def count(value: object) -> int | None:
    """Read a whole number; a fraction of nothing ("5.0", 1e3) is whole. Errors as `amount`."""
    number = _number(value, _GROUPED)
    if number is None:
        return None
    # The fast road goes by way of a float as well; it keeps whole numbers up to the bound.
    near = float(number)
    if abs(near) > MAX_COUNT or not near.is_integer():
        raise ValueError("not a whole number, or above the bound")
    return int(near)


def _bounded(number: Decimal) -> Decimal:
    try:
        _GATE.plus(number)
    except ArithmeticError as error:
        raise ValueError("out of bounds") from error
    return number


def _number(value: object, grouped: re.Pattern[str]) -> Decimal | None:
    """Read a number of any size: nothing has been computed with it yet."""
    if value is None:
        return None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, str):
        raise ValueError("not a number")
    bare = value.strip()
    if bare.lower() in ABSENT_WORDS:
        return None
    sign = bare[:1] if bare[:1] in "+-" else ""
    bare = sign + bare[len(sign) :].strip(_CURRENCY_SIGNS + " ")
    if grouped.fullmatch(bare):
        bare = bare.replace(",", "")
    if not _PLAIN.fullmatch(bare):
        raise ValueError("not a number")
    return _decimal(bare)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError as error:
        raise ValueError("an exponent beyond all bounds") from error


# "-0" is what the fast road takes for 0 too.
_FLAGS = {"1": True, "true": True, "yes": True, "on": True} | {
    "0": False,
    "-0": False,
    "false": False,
    "no": False,
    "off": False,
}


def flag(value: object) -> bool | None:
    """Read 0, 1, "0", "1", true, "true" (all seen); None for a word that stands for nothing."""
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else "?"
    if word in ABSENT_WORDS:
        return None
    if word not in _FLAGS:
        raise ValueError("neither yes nor no")
    return _FLAGS[word]


def json_int(text: str) -> int | UnparsedNumber:
    """Take a JSON number without fraction; one of thousands of digits stays text."""
    return int(text) if len(text) <= MAX_WHOLE_CHARACTERS else UnparsedNumber(text)


def json_float(text: str) -> Decimal | UnparsedNumber:
    """Take a JSON number with fraction or exponent exactly; one out of bounds stays text."""
    try:
        return _bounded(_decimal(text))
    except ValueError:
        return UnparsedNumber(text)
