"""The JSON of a class as types that pydantic understands, so that OpenAPI describes it.

Loaded only by pydantic itself (2.10 or newer): it asks a class for its schema. Values are validated
and converted by the class alone; pydantic gets the types of the result.
"""

import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, cast

import attrs
from pydantic import ConfigDict, Field, WithJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError, core_schema
from typing_extensions import TypedDict  # pydantic requires this one below Python 3.12

from . import Serializable, attributes_of

__all__ = ["input_schema", "output_schema"]

AMOUNT_PATTERN = r"^-?[0-9]+(\.[0-9]+)?$"
"""An amount of money, as `to_dict` writes it."""

_TEXTS: Mapping[Any, Any] = {
    Decimal: Annotated[str, WithJsonSchema({"type": "string", "pattern": AMOUNT_PATTERN})],
    datetime: Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})],
    date: Annotated[str, WithJsonSchema({"type": "string", "format": "date"})],
}
"""Types that are text in JSON."""

# Type checkers know these as types, not as values with computed arguments.
_UNION: Any = Union
_DICT: Any = dict
_LIST: Any = list
_create_typed_dict = cast("Callable[[str, dict[str, Any]], Any]", TypedDict)


def output_schema(cls: type[Serializable], handler: Any) -> Any:
    """Return the schema of a class whose instances are returned, never parsed."""

    def require_instance(value: Any) -> Any:
        if isinstance(value, cls):
            return value
        raise PydanticCustomError(
            "is_instance_of", "Input should be an instance of {class_name}",
            {"class_name": cls.__name__},
        )  # fmt: skip

    fields = handler.generate_schema(json_object(cls))
    return core_schema.no_info_plain_validator_function(
        require_instance, json_schema_input_schema=fields, serialization=_serialization(fields)
    )


def input_schema(
    variants: Sequence[type[Serializable]],
    parse: Callable[[Any], Any],
    handler: Any,
) -> Any:
    """Return the schema of a class that `parse` creates from JSON.

    `variants` are the classes whose instances it creates, told apart by their field `type`. `parse`
    raises an `InvalidOrderError`: pydantic shows it at its field.
    """

    def validate(value: Any) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            raise _validation_error(error, value) from None

    requires_type = len(variants) > 1
    inputs = [input_object(each, requires_type=requires_type) for each in variants]
    return core_schema.no_info_plain_validator_function(
        validate,
        json_schema_input_schema=handler.generate_schema(_union(inputs)),
        serialization=_serialization(handler.generate_schema(_union(map(json_object, variants)))),
    )


def _union(objects: Iterable[Any]) -> Any:
    """Return the type of one of several objects with a field `type`; that one if there is one."""
    variants = tuple(objects)
    union = _UNION[variants]
    return union if len(variants) == 1 else Annotated[union, Field(discriminator="type")]


def _validation_error(error: Any, value: Any) -> ValidationError:
    shown: Any = value
    place: tuple[str, ...] = ()
    if isinstance(value, Mapping):
        shown = cast("Mapping[str, Any]", value).get(error.field)
        place = (error.field,)
    context = {"reason": error.reason, "limit": error.limit}
    kind = PydanticCustomError(error.code.value, "{reason}", context)
    details = InitErrorDetails(type=kind, loc=place, input=shown)
    return ValidationError.from_exception_data(error.owner, [details])


def _serialization(fields: Any) -> Any:
    return core_schema.plain_serializer_function_ser_schema(
        _to_dict, info_arg=True, return_schema=fields
    )


def _to_dict(value: Serializable, info: Any) -> dict[str, Any]:
    """Return `to_dict` with the fields that a route selects, as FastAPI's `response_model_…`."""
    return {
        name: each
        for name, each in value.to_dict().items()
        if (info.include is None or name in info.include)
        and not (info.exclude is not None and name in info.exclude)
        and not (info.exclude_none and each is None)
    }


# --- the types of the JSON -----------------------------------------------------------------------


def json_object(cls: type[Serializable]) -> Any:
    """Return the `TypedDict` of what `to_dict` returns for a class: always the same one."""
    key: Any = cls  # a class is hashable, which mypy does not see
    return _json_object(key)


@cache
def _json_object(cls: Any) -> Any:
    hints = typing.get_type_hints(cls)
    members = {
        name: json_type(cls._json.types.get(name) or _annotation(cls, attribute, hints))
        for name, attribute in attributes_of(cls).items()
    }
    return _create_typed_dict(cls.__name__, members)


def input_object(cls: type[Serializable], *, requires_type: bool) -> Any:
    """Return the `TypedDict` of the JSON that a class is created from; other names are errors.

    `extra` is not part of it: fields that are sent unchanged are not for a buyer to set.
    """
    key: Any = cls
    return _input_object(key, requires_type=requires_type)


@cache
def _input_object(cls: Any, *, requires_type: bool) -> Any:
    hints = typing.get_type_hints(cls)
    attributes = attrs.fields(cls)
    required = {each.name for each in attributes if each.default is attrs.NOTHING}
    required |= {"type"} if requires_type else set()
    members: dict[str, Any] = {}
    for name, attribute in attributes_of(cls).items():
        accepted = json_type(cls._json.accepted.get(name) or _annotation(cls, attribute, hints))
        members[name] = accepted if name in required else NotRequired[accepted]
    del members["extra"]
    # Two names: an API may accept orders of any type in one route and of one type in another.
    suffix = "Input" if requires_type else "Body"
    created = _create_typed_dict(f"{cls.__name__}{suffix}", members)
    created.__pydantic_config__ = ConfigDict(extra="forbid")
    return created


def _annotation(cls: type[Any], attribute: str, hints: Mapping[str, Any]) -> Any:
    value = getattr(cls, attribute, None)
    if isinstance(value, property):
        return typing.get_type_hints(value.fget)["return"]
    # A constant of the class, such as the type of an order.
    return Literal[value] if isinstance(value, str) else hints[attribute]


def json_type(annotation: Any) -> Any:
    """Return the type of a value in JSON for its annotation in Python."""
    if annotation in _TEXTS:
        return _TEXTS[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (Union, UnionType):
        return _UNION[tuple(map(json_type, arguments))]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _DICT[str, json_type(arguments[1])]
    if isinstance(origin, type) and issubclass(origin, Collection):
        return _LIST[json_type(arguments[0])]
    kind: type[Any] = annotation if isinstance(annotation, type) else object
    if issubclass(kind, Enum):
        return Literal[tuple(each.value for each in kind)]
    return json_object(kind) if issubclass(kind, Serializable) else annotation
