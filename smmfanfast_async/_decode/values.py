"""JSON as the standard library reads it, with numbers bounded: the values of the lenient road."""

import json
import re
from collections.abc import Mapping
from typing import TypeGuard

from .numbers import json_float, json_int

__all__ = ["Record", "is_list", "is_object", "lenient_json", "strict_json"]

Record = Mapping[str, object]
"""A JSON object, read."""

# strict=False takes raw line ends inside strings; constants (NaN, Infinity) stay words.
_LENIENT = json.JSONDecoder(
    parse_int=json_int, parse_float=json_float, parse_constant=str, strict=False
)


# As many signs as stand for it in the text, so that places in the text stay what they are.
_LONE_SURROGATE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


_STRICT = json.JSONDecoder(
    parse_int=json_int,
    parse_float=json_float,
    parse_constant=str,
    strict=False,
    object_pairs_hook=_once_each,
)


def lenient_json(text: str, start: int = 0) -> tuple[object, int]:
    """Read one JSON value from `start`; give it and where it ended.

    Numbers come exact, or as text where they are out of bounds. Raises `ValueError` for what is no
    JSON and `RecursionError` for what is nested some thousand deep. Half of a surrogate pair, which
    no file or terminal takes, becomes the sign for what can't be shown, U+FFFD.
    """
    return _LENIENT.raw_decode(_LONE_SURROGATE.sub(r"\\ufffd", text), start)


def strict_json(text: str) -> object:
    """Read a text that is one JSON value; `ValueError` too where an object holds a name twice.

    JSON keeps the last of two; which order that would be is nobody's guess.
    """
    return _STRICT.decode(text)


def is_object(value: object) -> TypeGuard[dict[str, object]]:
    """Whether a value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[object]]:
    """Whether a value is a JSON list."""
    return isinstance(value, list)
