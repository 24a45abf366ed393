"""JSON as the standard library reads it, with numbers bounded: the values of the lenient road."""

import json
import re
from collections.abc import Mapping
from typing import TypeGuard

from .numbers import UnparsedNumber, json_float, json_int

__all__ = [
    "NestedTooDeepError",
    "Record",
    "id_text",
    "is_list",
    "is_object",
    "json_at",
    "lenient_json",
    "parse_new_id",
    "strict_json",
    "without_lone_surrogates",
]

Record = Mapping[str, object]
"""A JSON object, read."""


class NestedTooDeepError(ValueError):
    """Brackets in brackets, some thousand deep."""


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


# strict=False takes raw line ends inside strings.
_LENIENT = json.JSONDecoder(
    parse_int=json_int, parse_float=json_float, parse_constant=UnparsedNumber, strict=False
)
_STRICT = json.JSONDecoder(
    parse_int=json_int,
    parse_float=json_float,
    parse_constant=UnparsedNumber,
    strict=False,
    object_pairs_hook=_once_each,
)

# A run of escaped backslashes first: the next backslash begins an escape of its own.
_SURROGATES = re.compile(
    r"(?<!\\)((?:\\\\)*)"
    r"(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def without_lone_surrogates(text: str) -> str:
    r"""Put `\ufffd`, the sign for what can't be shown, for each escaped half of a surrogate pair.

    No file or terminal takes such a half. It is done before reading, to the JSON.
    """
    if "\\u" not in text:
        return text
    return _SURROGATES.sub(lambda found: found[0] if found[2] else f"{found[1]}\\ufffd", text)


def json_at(text: str, start: int) -> tuple[object, int]:
    """Read the one JSON value that begins at `start`; give it and where it ended.

    Numbers come exact, or as `UnparsedNumber` where they are out of bounds. Raises `JSONDecodeError` for
    what is no JSON and `NestedTooDeepError`, both of them `ValueError`.
    """
    try:
        return _LENIENT.raw_decode(text, start)
    except RecursionError as error:
        raise NestedTooDeepError("nested too deep") from error


def lenient_json(text: str) -> object:
    """Read a text that begins with a JSON value; numbers and errors as `json_at`."""
    return json_at(without_lone_surrogates(text), 0)[0]


def strict_json(text: str) -> object:
    """Read a text that is one JSON value; `ValueError` too where an object holds a name twice.

    JSON keeps the last of two; which order that would be is nobody's guess.
    """
    try:
        return _STRICT.decode(text)
    except RecursionError as error:
        raise NestedTooDeepError("nested too deep") from error


def is_object(value: object) -> TypeGuard[dict[str, object]]:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[object]]:
    """Whether a value is a JSON list."""
    return isinstance(value, list)


def id_text(value: object) -> str | None:
    """Give what may stand for an id, a text or a whole number, as text; None for anything else."""
    if isinstance(value, UnparsedNumber):
        return None
    text = str(value) if type(value) is int else value
    return text if isinstance(text, str) else None


# ASCII letters and digits, no sign in front; "_" and "-" as in ord_01H… and UUIDs (seen). One digit
# above 0 at least, as in every id seen: so "0", "null" and "pending" are none.
_MADE_ID = re.compile(r"(?=.*[1-9])[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def parse_new_id(value: object) -> str | None:
    """Give the id of what the panel has just made, as text; None for what can't be one.

    No ids are 0, negatives, flags, fractions, bare words, and what holds blanks or odd signs.
    """
    text = id_text(value)
    return text if text is not None and _MADE_ID.fullmatch(text) else None
