"""Parse the panel's numbers, with bounds.

The digits and the exponent of every number that the lenient path reads are bounded here before
anything is computed with it: `int(Decimal("1e1000000"))` alone would take twenty seconds. The fast
path accepts only numbers within the same bounds.
"""

import decimal
import re
from decimal import Decimal

from ...results import MAX_COUNT

__all__ = [
    "PLAIN_AMOUNT",
    "UnparsedNumber",
    "parse_amount",
    "parse_amount_text",
    "parse_count",
    "parse_flag",
    "parse_json_float",
    "parse_json_int",
]

MAX_WHOLE_CHARACTERS = 128
"""The longest whole number in JSON that is parsed: as long as the longest id."""

MAX_DIGITS = 40
"""Digits of an amount: more than any currency needs, few enough to compute with at no cost."""

MAX_EXPONENT = 40
"""Power of ten of an amount, positive or negative."""

ABSENT_WORDS = frozenset({"", "null", "none", "n/a", "na", "unknown", "-"})
"""Texts that mean that there is no number (seen: "", "N/A", "Unknown"); case is ignored."""

# The traps raise an exception for every number outside the bounds, instead of rounding it or
# returning infinity.
_BOUNDS = decimal.Context(
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
_EXACT = decimal.Context(traps=[decimal.InvalidOperation])

PLAIN_AMOUNT = "-?[0-9]{1,20}+(?:[.][0-9]{1,20}+)?+"
"""The usual format of an amount: a pattern of what is within the bounds and kept as it came."""

_PLAIN_AMOUNT = re.compile(PLAIN_AMOUNT)
_CURRENCY_SYMBOLS = "$€£¥₹₽₺₴₦"
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# Only groups of three digits, the first not 0: "1,5" and "0,036" have a decimal comma. "1,234" may
# have one too, and nothing is guessed: two groups, or a point, prove that the comma separates
# thousands.
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3}){2,}\.?|,[0-9]{3}\.)[0-9]*")
# Counts are also written with points between thousands (seen: "5.000.000"). Amounts are not: the
# point of "1.260" is the one of every amount of the document.
_GROUPED_BY_POINTS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}")
# 2 or 2,000: a panel that writes "5.000.000" means the latter. JSON numbers are not ambiguous.
_AMBIGUOUS_COUNT = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")


class UnparsedNumber(str):
    """The text of a JSON number that is out of bounds, NaN or infinite. It is not an id either."""

    __slots__ = ()


def parse_amount(value: object) -> Decimal | None:
    """Return an amount of money, None for a word that means that there is none.

    Raises `ValueError` if it is not a number, or out of bounds. A point is always a decimal point,
    as in the document's amounts; "1,260" is ambiguous and therefore not a number.
    """
    number = _parse_number(_trim(value))
    return None if number is None else _require_bounds(number)


def parse_amount_text(value: object) -> str | None:
    """Return the digits of an amount: the panel's own if they are in the usual format.

    None and errors are those of `parse_amount`.
    """
    if isinstance(value, str) and _PLAIN_AMOUNT.fullmatch(value):
        return value
    number = parse_amount(value)
    return None if number is None else f"{number:f}"


def parse_count(value: object) -> int | None:
    """Return a whole number, None for a word that means that there is none.

    "5.0" and 1e3 are whole numbers too. Raises `ValueError` if it is not one, or out of bounds,
    and for the texts "2.000" and "2,000", in which the separator may be either.
    """
    value = _trim(value)
    if isinstance(value, str):
        if _AMBIGUOUS_COUNT.fullmatch(value):
            raise ValueError("either a fraction or thousands")
        if _GROUPED_BY_POINTS.fullmatch(value):
            value = value.replace(".", "")
    number = _parse_number(value)
    if number is None:
        return None
    # The fast path converts to a float too, which is exact for whole numbers up to the bound.
    as_float = float(number)
    if abs(as_float) > MAX_COUNT or not as_float.is_integer():
        raise ValueError("not a whole number, or out of bounds")
    return int(as_float)


def _require_bounds(number: Decimal) -> Decimal:
    try:
        _BOUNDS.plus(number)
    except ArithmeticError as error:
        raise ValueError("out of bounds") from error
    return number


def _trim(value: object) -> object:
    """Return a text without spaces and currency symbols around its number, None if it has none."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.lower() in ABSENT_WORDS:
        return None
    sign = text[:1] if text[:1] in "+-" else ""
    return sign + text[len(sign) :].strip(_CURRENCY_SYMBOLS + " ")


def _parse_number(value: object) -> Decimal | None:
    """Return a trimmed number of any size: nothing has been computed with it yet."""
    if value is None:
        return None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    if not isinstance(value, str):
        raise ValueError("not a number")
    text = value.replace(",", "") if _GROUPED.fullmatch(value) else value
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    return _parse_decimal(text)


def _parse_decimal(text: str) -> Decimal:
    # In a context of its own: the caller's may return NaN instead of raising an exception.
    try:
        return Decimal(text, _EXACT)
    except ArithmeticError as error:
        raise ValueError("exponent out of bounds") from error


# The fast path reads "-0" as 0 too.
_FLAGS = {"1": True, "true": True, "yes": True, "on": True} | {
    "0": False,
    "-0": False,
    "false": False,
    "no": False,
    "off": False,
}


def parse_flag(value: object) -> bool | None:
    """Return a flag: 0, 1, "0", "1", true, "true" (all seen) and the like; None if it is absent.

    Raises `ValueError` for anything else.
    """
    if value is None or isinstance(value, bool):
        return value
    word = str(value).strip().lower() if isinstance(value, str | int) else "?"
    if word in ABSENT_WORDS:
        return None
    if word not in _FLAGS:
        raise ValueError("not a flag")
    return _FLAGS[word]


def parse_json_int(text: str) -> int | UnparsedNumber:
    """Return a JSON number without fraction; one that is too long stays text."""
    return int(text) if len(text) <= MAX_WHOLE_CHARACTERS else UnparsedNumber(text)


def parse_json_float(text: str) -> Decimal | UnparsedNumber:
    """Return the exact value of a JSON number with fraction or exponent.

    One that is out of bounds stays text.
    """
    try:
        return _require_bounds(_parse_decimal(text))
    except ValueError:
        return UnparsedNumber(text)
