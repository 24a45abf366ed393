"""Read the ids that a caller passes, and split them into valid ones and errors.

How this works. Ids come as numbers and texts, a million of them at times, so a list of them is
converted at once, and checked at once when its batch is fetched: a Python call for each id would
cost a tenth of what a status costs.
"""

from contextlib import suppress
from typing import NamedTuple, cast

from ..errors import InvalidOrderError
from ..orders import MAX_ID_CHARACTERS, are_plain_ids, parse_id

__all__ = ["InvalidId", "Key", "partition", "read_keys"]


class InvalidId(NamedTuple):
    """A value in place of an id that is neither text nor a whole number, such as None or 1.5."""

    text: str
    """Its repr: the key of its error in the results."""


Key = str | InvalidId


class _PlainIds(list[str]):
    """Ids made from positive integers: they need no further check."""


def read_keys(ids: list[int | str]) -> list[Key]:
    """Convert ids to text without checking them: each gets its error in its own batch."""
    kinds = set(map(type, ids))
    if kinds == {str}:
        return cast("list[Key]", ids)
    if kinds == {int}:
        with suppress(ValueError):
            numbers = cast("list[int]", ids)  # as `kinds` says
            texts = _PlainIds(map(str, numbers))
            is_plain = min(numbers) > 0 and max(map(len, texts)) <= MAX_ID_CHARACTERS
            return cast("list[Key]", texts if is_plain else list(texts))
    return list(map(_to_key, ids))


def _to_key(value: int | str) -> Key:
    if isinstance(value, str):
        return value
    try:
        return str(value) if type(value) is int else InvalidId(repr(value))
    except ValueError:  # Python does not convert a whole number of more than 4300 digits
        return InvalidId(object.__repr__(value))


def partition(keys: list[Key]) -> tuple[list[str], dict[str, InvalidOrderError]]:
    """Split keys into ids, and errors of the others."""
    texts = cast("list[str]", keys)  # if not, joining them raises `TypeError`
    with suppress(TypeError):
        if type(keys) is _PlainIds or are_plain_ids(texts):
            return texts, {}
    ids: list[str] = []
    errors: dict[str, InvalidOrderError] = {}
    for key in keys:
        try:
            ids.append(parse_id(None if isinstance(key, InvalidId) else key))
        except InvalidOrderError as error:
            errors[key.text if isinstance(key, InvalidId) else key] = error
    return ids, errors
