"""What the fields of the order forms have in common: ids, converters, validators.

Converters here never fail: they bring the two or three ways to write a value into one. Validators
refuse, with an `InvalidOrderError` that names class, field and value.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any, NoReturn

import attrs
from attrs import Attribute

from .._text import line_flaw, text_flaw
from ..errors import InvalidOrderError

__all__ = [
    "MAX_ID_CHARACTERS",
    "MAX_WHOLE_NUMBER",
    "are_plain_ids",
    "check_is_list",
    "check_runs_and_interval",
    "copied",
    "id_as_text",
    "is_expiry",
    "is_extra",
    "is_id",
    "is_lines",
    "is_text",
    "is_whole",
    "items_of",
    "optional",
    "parse_id",
    "parse_ids",
    "stripped",
    "stripped_or_none",
]

MAX_WHOLE_NUMBER = 10**12
"""The largest quantity that can be meant (assumed): above it stands a mistake."""

MAX_ID_CHARACTERS = 128
"""The longest id seen is a UUID of 36 signs; above this it is some other text."""

_BEYOND_IDS = 10**MAX_ID_CHARACTERS
"""The least number with more signs than an id may have."""

# No number below 1; no comma, blank, control character, invisible sign or half a surrogate pair.
_ID = re.compile(
    r"(?!-[0-9]+\Z|0+\Z)"
    r"[^\s,\x00-\x20\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    rf"\ud800-\udfff]{{1,{MAX_ID_CHARACTERS}}}"
)
_NO_ID = (
    f"is not an id: a whole number above 0, or a text of at most {MAX_ID_CHARACTERS} characters "
    "without commas, blanks and control characters"
)


def parse_id(value: object, where: str = "Client", name: str = "order") -> str:
    """Give an order's or service's id as text, or raise `InvalidOrderError`.

    Ids are opaque: numbers on this panel, other text elsewhere (seen: `ord_01H…`, UUIDs). A comma,
    a blank or a control character would join or split ids on their way, so they are refused; so is
    a number below 1, as int or text.
    """
    # Asked for each order that anybody awaits: a number is an id at one look.
    if type(value) is int and 0 < value < _BEYOND_IDS:
        return str(value)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise InvalidOrderError(where, name, value, _NO_ID)
    return value


def check_is_list(values: object, field: str) -> None:
    """Raise `InvalidOrderError` for one text: "12" would be taken for the ids 1 and 2."""
    if isinstance(values, str | bytes):
        raise InvalidOrderError("Client", field, values, "is one text, not a list of ids")


def parse_ids(values: Iterable[object], name: str = "order") -> list[str]:
    """Give ids as texts, each once, or raise `InvalidOrderError`."""
    check_is_list(values, f"{name}s")
    return list(dict.fromkeys(parse_id(each, name=name) for each in values))


# Plain numbers, as this panel's ids are; a comma in one of them is counted before.
_PLAIN_IDS = re.compile(r"[1-9][0-9]{0,127}+(?:,[1-9][0-9]{0,127}+)*+")


def are_plain_ids(texts: list[str]) -> bool:
    """Say whether some texts are ids for sure, each a plain number: a look at all at once.

    False says nothing; then `parse_id` looks at each.
    """
    joined = ",".join(texts)
    return joined.count(",") == len(texts) - 1 and _PLAIN_IDS.fullmatch(joined) is not None


# --- converters: one spelling for a value, never a refusal --------------------------------------


def id_as_text(value: int | str) -> str:
    """Make text of a number above 0; what is no such number comes back as it is."""
    is_number = type(value) is int and 0 < value < _BEYOND_IDS
    return str(value) if is_number else value  # type: ignore[return-value]  # validated


def stripped(value: str) -> str:
    """Take the blanks around a text away."""
    return value.strip() if isinstance(value, str) else value


def stripped_or_none(value: str | None) -> str | None:
    """Take the blanks around a text away, and leave None."""
    return value.strip() if isinstance(value, str) else value


def items_of(value: str | Iterable[str]) -> tuple[str, ...]:
    """Take one text of many lines, or any iterable of items; strip items, drop the empty ones."""
    if isinstance(value, str):
        value = value.replace("\r\n", "\n").split("\n")
    if not isinstance(value, Iterable):
        return value
    items: Iterable[Any] = value
    stripped = (item.strip(" \t\r\n") if isinstance(item, str) else item for item in items)
    return tuple(item for item in stripped if item != "")


def copied(value: Mapping[str, str]) -> Mapping[str, str]:
    """Copy a mapping, so that a caller who changes theirs changes no order."""
    return dict(value) if isinstance(value, Mapping) else value


# --- validators: refusals, each naming class, field and value ------------------------------------


def _refuse(order: Any, attribute: "Attribute[Any]", value: object, reason: str) -> NoReturn:
    raise InvalidOrderError(type(order).__name__, attribute.name, value, reason)


def is_id(order: Any, attribute: "Attribute[Any]", value: object) -> None:
    """Refuse what `parse_id` refuses."""
    parse_id(value, type(order).__name__, attribute.name)


def is_text(order: Any, attribute: "Attribute[Any]", value: object) -> None:
    """Refuse what is no text of one line, or empty."""
    if not isinstance(value, str):
        _refuse(order, attribute, value, "is not a text")
    elif not value:
        _refuse(order, attribute, value, "is missing")
    elif flaw := line_flaw(value):
        _refuse(order, attribute, value, flaw)


def is_lines(order: Any, attribute: "Attribute[Any]", value: tuple[Any, ...]) -> None:
    """Refuse a list that is empty, or that has an item which is no line of text."""
    if not isinstance(value, tuple):
        _refuse(order, attribute, value, "is neither a text nor a list of texts")
    if not value:
        _refuse(order, attribute, value, "is empty")
    for item in value:
        if not isinstance(item, str):
            _refuse(order, attribute, item, "is not a text")
        elif flaw := line_flaw(item):
            _refuse(order, attribute, item, flaw)


def is_whole(least: int, most: int = MAX_WHOLE_NUMBER) -> Any:
    """Make a validator that refuses all but whole numbers from `least` to `most`."""

    def validate(order: Any, attribute: "Attribute[Any]", value: object) -> None:
        if type(value) is not int:
            _refuse(order, attribute, value, "is not a whole number")
        elif not least <= value <= most:
            _refuse(order, attribute, value, f"is not from {least} to {most}")

    return validate


def is_expiry(order: Any, attribute: "Attribute[Any]", value: object) -> None:
    """Refuse what is no day from today on, UTC."""
    if type(value) is not date:
        _refuse(order, attribute, value, "is not a datetime.date")
    elif value < datetime.now(UTC).date():
        _refuse(order, attribute, value, "lies in the past")


def is_extra(
    order: attrs.AttrsInstance, attribute: "Attribute[Any]", value: Mapping[Any, Any]
) -> None:
    """Refuse all but texts under names that the form does not have yet, in any spelling of PHP."""
    if not isinstance(value, Mapping):
        _refuse(order, attribute, value, "is not a mapping of text to text")
    fields: tuple[Attribute[Any], ...] = attrs.fields(type(order))
    taken = {"", "key", "action", *(known.name for known in fields)}
    for name, text in value.items():
        if not isinstance(name, str) or _bare_name(name) in taken or text_flaw(name):
            _refuse(order, attribute, name, "can't be the name of an extra field")
        if not isinstance(text, str):
            _refuse(order, attribute, text, f"is not a text, as the extra field {name!r} must be")
        elif flaw := text_flaw(text):
            _refuse(order, attribute, text, flaw)


def _bare_name(name: str) -> str:
    """Bring a field's name to what a PHP form makes of it: `key[]` and ` key` are `key` there."""
    return name.partition("[")[0].strip().lower()


def check_runs_and_interval(order: Any) -> None:
    """Refuse `runs` without `interval` and the other way: panels take both or neither (seen)."""
    if (order.runs is None) != (order.interval is None):
        lone, missing = ("runs", "interval") if order.interval is None else ("interval", "runs")
        reason = f"needs {missing} beside it"
        raise InvalidOrderError(type(order).__name__, lone, getattr(order, lone), reason)


optional = attrs.validators.optional
"""A validator that lets None pass, since None leaves a field out."""
