"""Orders from JSON: what `to_dict` wrote, or a buyer sent. Strict; every error names its field."""

import json
import re
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, TypeVar, cast

import attrs

from .._text import normalize_word
from ..errors import InvalidCode, InvalidOrderError

__all__ = ["TYPE_FIELD", "check_type", "find_type", "load_object", "parse_fields", "require_object"]

TYPE_FIELD = "type"
"""The JSON field with the panel's word for the order type."""

_OWN_SETTINGS = frozenset({"allowed_delays_minutes"})
"""Fields of the classes that are settings of the program, never part of the JSON."""

_ISO_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")

T = TypeVar("T")


def require_object(data: object, owner: str) -> Mapping[str, Any]:
    """Return a JSON object, or raise `InvalidOrderError`."""
    if not isinstance(data, Mapping):
        reason = "must be a JSON object"
        raise InvalidOrderError(owner, "order", data, reason, code=InvalidCode.NOT_A_LIST)
    return cast("Mapping[str, Any]", data)


def load_object(text: str | bytes, owner: str) -> Mapping[str, Any]:
    """Return the JSON object in a text, or raise `InvalidOrderError`."""
    try:
        return require_object(json.loads(text, object_pairs_hook=_require_unique_names), owner)
    except RecursionError:
        reason = "is nested too deeply"
    except InvalidOrderError:
        raise
    except ValueError as error:
        # Text that is not UTF-8 and text that is not JSON raise ValueErrors too.
        reason = f"is not JSON: {error}"
    raise InvalidOrderError(owner, "order", text, reason)


def _require_unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("an object has a name twice")
    return record


def find_type(data: Mapping[str, Any], types: Mapping[str, T]) -> T:
    """Return the class that the field `type` of a JSON object names."""
    word = data.get(TYPE_FIELD)
    found = types.get(word) if isinstance(word, str) else None
    if found is None:
        code = InvalidCode.MISSING if word is None else InvalidCode.NOT_ALLOWED
        reason = f"must be one of {', '.join(types)}"
        raise InvalidOrderError("Order", TYPE_FIELD, word, reason, code=code)
    return found


def check_type(data: Mapping[str, Any], owner: str, panel_type: str) -> None:
    """Raise `InvalidOrderError` if the field `type` of a JSON object names another class."""
    word = data.get(TYPE_FIELD, panel_type)
    if not isinstance(word, str) or normalize_word(word) != normalize_word(panel_type):
        reason = f"must be {panel_type!r} or left out for {owner}"
        raise InvalidOrderError(owner, TYPE_FIELD, word, reason, code=InvalidCode.NOT_ALLOWED)


def parse_fields(
    cls: type[attrs.AttrsInstance],
    data: Mapping[str, Any],
    *,
    allow_extra: bool,
    allowed_delays_minutes: Collection[int] | None,
) -> dict[str, Any]:
    """Return the arguments of an order class from a JSON object, or raise `InvalidOrderError`.

    The class checks the values; here is what only JSON can have wrong: names, missing fields, dates
    and objects in the place of lists.
    """
    fields = {each.name: each for each in attrs.fields(cls) if each.name not in _OWN_SETTINGS}
    owner = cls.__name__
    for name in data:
        if name not in fields and name != TYPE_FIELD:
            reason = f"is not a field of {owner}: use {', '.join(fields)}"
            code = InvalidCode.UNKNOWN_FIELD
            raise InvalidOrderError(owner, str(name), data[name], reason, code=code)
    for name, each in fields.items():
        if name not in data and each.default is attrs.NOTHING:
            raise InvalidOrderError(owner, name, None, "is missing", code=InvalidCode.MISSING)
    values = {name: _parse_value(owner, name, data[name]) for name in data if name != TYPE_FIELD}
    if values.get("extra") and not allow_extra:
        reason = "is not accepted: these fields would be sent unchanged (see allow_extra)"
        code = InvalidCode.UNSUPPORTED_FIELD
        raise InvalidOrderError(owner, "extra", values["extra"], reason, code=code)
    if _OWN_SETTINGS & {each.name for each in attrs.fields(cls)}:
        values["allowed_delays_minutes"] = allowed_delays_minutes
    return values


def _parse_value(owner: str, name: str, value: Any) -> Any:
    if name == "expiry" and value is not None:
        return _parse_date(owner, name, value)
    if name != "extra" and _is_object(value):
        # The class accepts any iterable of texts; that of an object would be its names.
        reason = "must not be an object"
        raise InvalidOrderError(owner, name, value, reason, code=InvalidCode.NOT_A_LIST)
    return value


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _parse_date(owner: str, name: str, value: object) -> date:
    if isinstance(value, str) and _ISO_DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass  # such as 30 February
    reason = 'must be a date such as "2030-12-31"'
    raise InvalidOrderError(owner, name, value, reason, code=InvalidCode.NOT_A_DATE)
