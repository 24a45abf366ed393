"""Ids, converters and validators shared by the fields of all order classes.

Converters never raise: they bring the accepted ways to write a value into one form. Validators
raise an `InvalidOrderError` that names the class, the field and the value.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any, NoReturn

import attrs
from attrs import Attribute

from .._text import line_flaw, strip_line, strip_text, text_flaw
from ..errors import InvalidCode, InvalidOrderError

__all__ = [
    "MAX_ID_CHARACTERS",
    "MAX_WHOLE_NUMBER",
    "are_plain_ids",
    "check_is_list",
    "check_runs_and_interval",
    "copy_mapping",
    "id_to_text",
    "integer_validator",
    "optional",
    "parse_id",
    "parse_ids",
    "split_items",
    "strip",
    "strip_optional",
    "validate_expiry",
    "validate_extra",
    "validate_id",
    "validate_lines",
    "validate_text",
]

MAX_WHOLE_NUMBER = 10**12
"""The largest plausible quantity (assumed); anything above it is a mistake."""

MAX_ID_CHARACTERS = 128
"""The longest id seen is a UUID of 36 characters; a text longer than this is not an id."""

_ID_NUMBER_LIMIT = 10**MAX_ID_CHARACTERS
"""The smallest number with more digits than an id may have characters."""

# No number below 1; no comma, whitespace, control or invisible character, or lone surrogate.
_ID = re.compile(
    r"(?!-[0-9]+\Z|0+\Z)"
    r"[^\s,\x00-\x20\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    rf"\ud800-\udfff]{{1,{MAX_ID_CHARACTERS}}}"
)
_LAST_TIME_ZONE = timezone(timedelta(hours=-12))
"""Where a day ends last on Earth. The caller's today may be yesterday in UTC."""

_INVALID_ID_REASON = (
    "is not an id: use a positive integer, or a text of at most "
    f"{MAX_ID_CHARACTERS} characters without commas, whitespace and control characters"
)


def parse_id(value: object, owner: str = "Client", name: str = "order") -> str:
    """Return the id of an order or service as text, or raise `InvalidOrderError`.

    Ids are opaque: numbers on this panel, other text elsewhere (seen: `ord_01H…`, UUIDs). A comma,
    whitespace or a control character would join or split ids in a request, so they are rejected;
    so is a number below 1, as int or text.
    """
    # Called for every order that is awaited, so the common case comes first.
    if type(value) is int and 0 < value < _ID_NUMBER_LIMIT:
        return str(value)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        code = InvalidCode.MISSING if value is None or value == "" else InvalidCode.INVALID_ID
        raise InvalidOrderError(owner, name, value, _INVALID_ID_REASON, code=code)
    return value


def check_is_list(values: object, field: str) -> None:
    """Raise `InvalidOrderError` for a single text: "12" would be read as the ids 1 and 2."""
    if isinstance(values, str | bytes):
        reason = "must be a list of ids, not a single text"
        raise InvalidOrderError("Client", field, values, reason, code=InvalidCode.NOT_A_LIST)


def parse_ids(values: Iterable[object], name: str = "order") -> list[str]:
    """Return ids as texts without duplicates, or raise `InvalidOrderError`."""
    check_is_list(values, f"{name}s")
    return list(dict.fromkeys(parse_id(each, name=name) for each in values))


# Plain numbers, as this panel's ids are. A comma inside a text is detected by counting.
_PLAIN_IDS = re.compile(r"[1-9][0-9]{0,127}+(?:,[1-9][0-9]{0,127}+)*+")


def are_plain_ids(texts: list[str]) -> bool:
    """Return whether all texts are plain numbers and therefore valid ids, by a single match.

    False proves nothing: `parse_id` then has to check each text.
    """
    joined = ",".join(texts)
    return joined.count(",") == len(texts) - 1 and _PLAIN_IDS.fullmatch(joined) is not None


# --- converters: one form for each value, never an error ----------------------------------------


def id_to_text(value: int | str) -> str:
    """Return a positive integer as text, and any other value unchanged."""
    is_number = type(value) is int and 0 < value < _ID_NUMBER_LIMIT
    return str(value) if is_number else value  # type: ignore[return-value]  # validated


def strip(value: str) -> str:
    """Return a text without invisible characters at its ends, and any other value unchanged."""
    return strip_text(value) if isinstance(value, str) else value


def strip_optional(value: str | None) -> str | None:
    """Return a text as `strip` does; None and other values stay unchanged."""
    return strip_text(value) if isinstance(value, str) else value


def split_items(value: str | Iterable[str]) -> tuple[str, ...]:
    """Return the items of a text with one item per line, or of any iterable.

    Items are stripped and those without a visible character dropped; a value that is not iterable
    stays unchanged.
    """
    if isinstance(value, str):
        value = value.replace("\r\n", "\n").split("\n")
    if not isinstance(value, Iterable):
        return value
    items: Iterable[Any] = value
    cleaned = (strip_line(item) if isinstance(item, str) else item for item in items)
    return tuple(item for item in cleaned if item != "")


def copy_mapping(value: Mapping[str, str]) -> Mapping[str, str]:
    """Return a copy, so that changing the caller's mapping does not change the order."""
    return dict(value) if isinstance(value, Mapping) else value


# --- validators: each error names the class, the field and the value -----------------------------


def _reject(
    order: Any,
    attribute: "Attribute[Any]",
    value: object,
    code: InvalidCode,
    reason: str,
    *,
    limit: int | None = None,
) -> NoReturn:
    """Raise the error for a field; a required one that is None is missing, whatever its type."""
    if value is None:
        code = InvalidCode.MISSING
    owner = type(order).__name__
    raise InvalidOrderError(owner, attribute.name, value, reason, code=code, limit=limit)


def validate_id(order: Any, attribute: "Attribute[Any]", value: object) -> None:
    """Raise `InvalidOrderError` for a value that `parse_id` rejects."""
    parse_id(value, type(order).__name__, attribute.name)


def validate_text(order: Any, attribute: "Attribute[Any]", value: object) -> None:
    """Raise `InvalidOrderError` unless the value is a non-empty text of one line."""
    if not isinstance(value, str):
        _reject(order, attribute, value, InvalidCode.NOT_A_TEXT, "must be a text")
    elif not value:
        _reject(order, attribute, value, InvalidCode.MISSING, "must not be empty")
    elif flaw := line_flaw(value):
        _reject(order, attribute, value, InvalidCode.INVALID_CHARACTERS, flaw)


def validate_lines(order: Any, attribute: "Attribute[Any]", value: tuple[Any, ...]) -> None:
    """Raise `InvalidOrderError` unless the value has items, each a text of one line."""
    if not isinstance(value, tuple):
        reason = "must be a text or an iterable of texts"
        _reject(order, attribute, value, InvalidCode.NOT_A_LIST, reason)
    if not value:
        _reject(order, attribute, value, InvalidCode.MISSING, "must not be empty")
    for item in value:
        if not isinstance(item, str):
            _reject(order, attribute, item, InvalidCode.NOT_A_TEXT, "must be a text")
        elif flaw := line_flaw(item):
            _reject(order, attribute, item, InvalidCode.INVALID_CHARACTERS, flaw)


def integer_validator(min_value: int, max_value: int = MAX_WHOLE_NUMBER) -> Any:
    """Return a validator for integers from `min_value` to `max_value`, both included."""

    def validate(order: Any, attribute: "Attribute[Any]", value: object) -> None:
        if type(value) is not int:
            _reject(order, attribute, value, InvalidCode.NOT_A_NUMBER, "must be an integer")
        elif not min_value <= value <= max_value:
            is_low = value < min_value
            code = InvalidCode.BELOW_MIN if is_low else InvalidCode.ABOVE_MAX
            limit = min_value if is_low else max_value
            reason = f"must be between {min_value} and {max_value}"
            _reject(order, attribute, value, code, reason, limit=limit)

    return validate


def validate_expiry(order: Any, attribute: "Attribute[Any]", value: object) -> None:
    """Raise `InvalidOrderError` unless the value is a date that is not in the past everywhere."""
    if type(value) is not date:
        _reject(order, attribute, value, InvalidCode.NOT_A_DATE, "must be a datetime.date")
    elif value < datetime.now(_LAST_TIME_ZONE).date():
        _reject(order, attribute, value, InvalidCode.IN_THE_PAST, "is in the past")


def validate_extra(
    order: attrs.AttrsInstance, attribute: "Attribute[Any]", value: Mapping[Any, Any]
) -> None:
    """Raise `InvalidOrderError` unless names are unused and both names and values are texts.

    A name is compared as PHP reads it, so that no spelling can replace a field of the form.
    """
    if not isinstance(value, Mapping):
        reason = "must be a mapping of text to text"
        _reject(order, attribute, value, InvalidCode.NOT_A_LIST, reason)
    fields: tuple[Attribute[Any], ...] = attrs.fields(type(order))
    reserved = {"", "key", "action", *(known.name for known in fields)}
    for name, text in value.items():
        if not isinstance(name, str) or _php_field_name(name) in reserved or text_flaw(name):
            reason = "cannot be the name of an extra field"
            _reject(order, attribute, name, InvalidCode.RESERVED, reason)
        if not isinstance(text, str):
            reason = f"must be a text, as the value of the extra field {name!r}"
            _reject(order, attribute, text, InvalidCode.NOT_A_TEXT, reason)
        elif flaw := text_flaw(text):
            _reject(order, attribute, text, InvalidCode.INVALID_CHARACTERS, flaw)


def _php_field_name(name: str) -> str:
    """Return the field name that PHP reads: `key[]` and ` key` are both `key` to it."""
    return name.partition("[")[0].strip().lower()


def check_runs_and_interval(order: Any) -> None:
    """Raise `InvalidOrderError` if only one of `runs` and `interval` is set.

    Panels accept both or neither (seen).
    """
    if (order.runs is None) != (order.interval is None):
        given, missing = ("runs", "interval") if order.interval is None else ("interval", "runs")
        reason = f"requires {missing}"
        owner, value = type(order).__name__, getattr(order, given)
        raise InvalidOrderError(owner, given, value, reason, code=InvalidCode.INCOMPLETE)


optional = attrs.validators.optional
"""Wraps a validator so that it accepts None, which leaves the field out of the form."""
