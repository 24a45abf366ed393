"""JSON as the standard library parses it, with bounded numbers: the input of the lenient path."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import TypeGuard

from .numbers import UnparsedNumber, parse_json_float, parse_json_int

__all__ = [
    "NestedTooDeepError",
    "Record",
    "is_list",
    "is_object",
    "parse_lenient_json",
    "parse_lenient_json_at",
    "parse_strict_json",
    "replace_lone_surrogates",
]

Record = Mapping[str, object]
"""A parsed JSON object."""


MAX_NESTING = 500
"""Levels of nesting in a response: panels use up to five (seen). A bound of our own, since the
depth at which `json` raises `RecursionError` (990 or more) depends on the version of Python."""


class NestedTooDeepError(ValueError):
    """The JSON is nested more than `MAX_NESTING` levels deep."""


def _require_unique_names(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("an object has a name twice")
    return record


_TOO_DEEP = "nested too deep"

# strict=False accepts unescaped line ends inside strings.
_LENIENT = json.JSONDecoder(
    parse_int=parse_json_int,
    parse_float=parse_json_float,
    parse_constant=UnparsedNumber,
    strict=False,
)
_STRICT = json.JSONDecoder(
    parse_int=parse_json_int,
    parse_float=parse_json_float,
    parse_constant=UnparsedNumber,
    strict=False,
    object_pairs_hook=_require_unique_names,
)

# Escaped backslashes are matched first: the backslash after them starts an escape of its own. `re`
# compiles it when it is first needed.
_SURROGATES = (
    r"(?<!\\)((?:\\\\)*)"
    r"(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def replace_lone_surrogates(text: str) -> str:
    r"""Return JSON text with `\ufffd`, the replacement character, for each escaped lone surrogate.

    No file or terminal accepts a lone surrogate. They are replaced in the JSON, before it is
    parsed.
    """
    if "\\u" not in text:
        return text
    return re.sub(_SURROGATES, lambda match: match[0] if match[2] else f"{match[1]}\\ufffd", text)


def parse_lenient_json_at(text: str, start: int) -> tuple[object, int]:
    """Parse the JSON value that starts at `start`; return it and the position of its end.

    Numbers are exact, or `UnparsedNumber` if they are out of bounds. Raises `JSONDecodeError` if it
    is not JSON, and `NestedTooDeepError`; both are a `ValueError`.
    """
    try:
        value, end = _LENIENT.raw_decode(text, start)
    except RecursionError as error:
        raise NestedTooDeepError(_TOO_DEEP) from error
    _check_nesting(value)
    return value, end


def parse_lenient_json(text: str) -> object:
    """Parse the JSON value at the start of a text.

    Numbers and errors are those of `parse_lenient_json_at`.
    """
    return parse_lenient_json_at(replace_lone_surrogates(text), 0)[0]


def parse_strict_json(text: str) -> object:
    """Parse a text that is one JSON value; raise `ValueError` too if an object has a name twice.

    JSON parsers keep the last of two values. For an order's id that would be a guess.
    """
    try:
        value: object = _STRICT.decode(text)
    except RecursionError as error:
        raise NestedTooDeepError(_TOO_DEEP) from error
    _check_nesting(value)
    return value


def _check_nesting(value: object) -> None:
    """Raise `NestedTooDeepError` for a value of more than `MAX_NESTING` levels."""
    level = [value]
    for _ in range(MAX_NESTING + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise NestedTooDeepError(_TOO_DEEP)


def _children(value: object) -> Iterable[object]:
    if is_object(value):
        return value.values()
    return value if is_list(value) else ()


def is_object(value: object) -> TypeGuard[dict[str, object]]:
    """Return whether a value is a JSON object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[object]]:
    """Return whether a value is a JSON list."""
    return isinstance(value, list)
