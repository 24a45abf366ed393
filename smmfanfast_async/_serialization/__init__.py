"""Results, entries and orders as JSON: one mechanism, driven by a table of each class. Pure.

How this works. A class inherits `Serializable` and says in `_json` what differs from "every field
under its own name": properties that are shown too, fields that are shown only on request. `to_dict`
converts the values by their Python type; `pydantic_schema` derives the types of the same JSON from
the annotations, for pydantic and FastAPI. So a new field of a class needs no code here.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, cast

import attrs

__all__ = ["JsonFields", "Serializable", "attributes_of"]

MAX_DEPTH = 50
"""Levels of objects and lists inside a field. Only `extra`, which the panel fills, could have more;
Python's own stack and that of most JSON readers end at about a thousand."""

TOO_DEEP = "…"
"""What is shown instead of an object or list below `MAX_DEPTH`."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class JsonFields(NamedTuple):
    """What the JSON of a class has beside its fields, and which fields only on request.

    Attributes:
        computed: JSON names of properties and class constants, and where each is read.
        hidden: Fields that are never shown: another name shows them, or they are never sent.
        raw: Fields with text that the panel or a person wrote, shown with `raw=True`.
        form: Fields with what an order sends, shown with `form=True`.
        types: Types of fields in the JSON, if the annotation says something else: the reader of
            responses needs other ones.
        accepted: Types of fields in JSON that is parsed, if others than the shown ones are.
    """

    computed: Mapping[str, str] = _NOTHING
    hidden: frozenset[str] = frozenset()
    raw: frozenset[str] = frozenset()
    form: frozenset[str] = frozenset()
    types: Mapping[str, Any] = _NOTHING
    accepted: Mapping[str, Any] = _NOTHING


class Serializable:
    """Base of the values that can be returned as JSON."""

    __slots__ = ()

    _json: ClassVar[JsonFields] = JsonFields()

    def to_dict(self, *, raw: bool = False, form: bool = False) -> dict[str, Any]:
        """Return the value as JSON types, for the response of a web framework.

        Money is text without an exponent, so that no digit is lost; times are ISO 8601 in UTC; an
        id is text. An object of this library inside it is a dict of the same kind.

        Args:
            raw: Include what the panel or a person wrote: `raw`, `extra`, `reason`, `text`. It is
                meant for you and not for a buyer.
            form: Include what an order sends: `form` and `link`.
        """
        return {
            name: _to_json_type(getattr(self, attribute), raw=raw, form=form)
            for name, attribute in attributes_of(type(self), raw=raw, form=form).items()
        }

    def to_json(self, *, raw: bool = False, form: bool = False) -> str:
        """Return `to_dict` as JSON in ASCII on one line."""
        return json.dumps(self.to_dict(raw=raw, form=form))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        # Only pydantic calls this, so the package works without it.
        from .pydantic_schema import output_schema  # noqa: PLC0415

        return output_schema(cls, handler)


def attributes_of(
    cls: type[Serializable], *, raw: bool = False, form: bool = False
) -> Mapping[str, str]:
    """Return the JSON names of a class, and the attribute that each is read from."""
    key: Any = cls  # a class is hashable, which mypy does not see
    return _attributes_of(key, raw=raw, form=form)


@cache
def _attributes_of(cls: Any, *, raw: bool, form: bool) -> Mapping[str, str]:
    fields: JsonFields = cls._json
    omitted = fields.hidden
    omitted |= frozenset() if raw else fields.raw
    omitted |= frozenset() if form else fields.form
    shown = {name: name for name in _field_names(cls) if name not in omitted}
    return MappingProxyType(shown | dict(fields.computed))


def _field_names(cls: type[Any]) -> tuple[str, ...]:
    """Return the fields of a class of msgspec or attrs."""
    names: tuple[str, ...] | None = getattr(cls, "__struct_fields__", None)
    if names is None:
        names = tuple(each.name for each in attrs.fields(cls))
    return names


def _to_json_type(  # noqa: PLR0911  # one line for each kind of value
    value: Any, *, raw: bool, form: bool, depth: int = 0
) -> Any:
    def convert(inner: Any) -> Any:
        return _to_json_type(inner, raw=raw, form=form, depth=depth + 1)

    match value:
        case Serializable():
            return value.to_dict(raw=raw, form=form)
        case Enum():
            return value.value
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case Mapping() | list() | tuple() if depth >= MAX_DEPTH:
            return TOO_DEEP
        case Mapping():
            pairs = cast("Mapping[object, Any]", value)  # `match` cannot narrow it
            return {str(convert(key)): convert(each) for key, each in pairs.items()}
        case list() | tuple():
            return [convert(each) for each in cast("Iterable[Any]", value)]
        case _:
            return value
