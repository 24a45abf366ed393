"""The lenient path: create an `OrderStatus` or a `Service` from a parsed record, field by field.

It reads the records that the fast path rejects. Every leniency towards the panel is a hook of one
cattrs converter. A field that cannot be read goes into `extra` and does not affect the others.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache, partial
from operator import eq
from typing import TYPE_CHECKING, Any, NewType, Optional, TypeVar

import msgspec

from ...results import Count, OrderStatus, Service
from .ids import assign_order_id, parse_ids, parse_response_id
from .json_values import Record
from .numbers import parse_amount_text, parse_count, parse_flag

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = ["parse_service_lenient", "parse_status_lenient"]

_OWN_FIELDS = ("extra", "raw")
"""Fields that this library fills; a field of the panel with such a name goes into `extra`."""

# Types that only choose a hook of the converter: the fields themselves are `str | None`.
_AmountText = NewType("_AmountText", str)
_Currency = NewType("_Currency", str)
_Id = NewType("_Id", str)

_HOOK_TYPES: Mapping[str, Any] = {
    "order": _Id,
    "service": _Id,
    "name": str | None,
    "category": str | None,
    "raw_status": str | None,
    "currency": _Currency,
    "raw_charge": _AmountText,
    "raw_rate": _AmountText,
}
"""The type whose hook reads a field, if it is not the type of the field."""

T = TypeVar("T", OrderStatus, Service)


def parse_status_lenient(record: Record, order: str) -> OrderStatus:
    """Return the status of `order`; raise `ValueError` if it has none or is of another order."""
    if not isinstance(record.get("status"), str):
        raise ValueError("no status in the response for this order")
    return assign_order_id(_converter().structure(record, OrderStatus), order)


def parse_service_lenient(record: Record) -> Service:
    """Return a service; raise `ValueError` if it has no usable id."""
    if _parse_optional_id(record.get("service")) is None:
        raise ValueError("no id")
    return _converter().structure(record, Service)


@cache
def _converter() -> "Converter":
    """Return the only converter of the library, which has every leniency as a hook.

    - text: null is absent, a number is its digits, anything else is unreadable
    - ids: an int, or a text without comma, space or control character; null and "" are absent
    - money and counts: bounded as in `numbers`; words such as "N/A" are absent
    - flags: 0, 1, true and their texts
    - a record: fields by the panel's names; unknown or unreadable ones go into `extra`; an order's
      `remains` with a plus sign is negative
    """
    # Imported here, because most programs never meet an irregular record, but all of them start.
    from cattrs import Converter  # noqa: PLC0415

    converter = Converter()
    hooks: tuple[tuple[Any, Callable[[object], object]], ...] = (
        (str | None, _parse_text),
        (_Id, _parse_optional_id),
        (tuple[str, ...], parse_ids),
        (_AmountText, parse_amount_text),
        (_Currency, _parse_currency),
        (Optional[Count], parse_count),  # noqa: UP045  # pyright rejects | with Annotated here
        (bool | None, parse_flag),
    )
    for hook_type, parse in hooks:
        # By predicate, because cattrs dispatches by type only for classes and unions.
        converter.register_structure_hook_func(partial(eq, hook_type), partial(_ignore_type, parse))
    converter.register_structure_hook(OrderStatus, _create_record_hook(converter, OrderStatus))
    converter.register_structure_hook(Service, _create_record_hook(converter, Service))
    return converter


def _ignore_type(parse: Callable[[object], object], value: object, _: object) -> object:
    return parse(value)


def _create_record_hook(converter: "Converter", cls: type[T]) -> Callable[[Record, type[T]], T]:
    fields: dict[str, tuple[str, Any, Callable[[object, Any], object]]] = {}
    for field in msgspec.structs.fields(cls):
        if field.name not in _OWN_FIELDS:
            hook_type = _HOOK_TYPES.get(field.name, field.type)
            # Looked up once: `Converter.structure` would look it up for every value.
            hook = converter.get_structure_hook(hook_type)
            fields[field.encode_name] = (field.name, hook_type, hook)

    def structure(record: Record, _: type[T]) -> T:
        values: dict[str, Any] = {}
        extra: dict[str, object] = {}
        for key, value in record.items():
            if key not in fields:
                # The fast path ignores null, or its text, in a field that this library fills.
                if key not in _OWN_FIELDS or not _is_null(value):
                    extra[key] = value
                continue
            name, hook_type, hook = fields[key]
            try:
                parsed = hook(_negate_plus(value) if name == "remains" else value, hook_type)
            except ValueError:
                extra[key] = value
                continue
            if parsed is not None:
                values[name] = parsed
        return cls(**values, extra=extra or None)

    return structure


def _parse_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("not a text")
    return str(value)


def _parse_optional_id(value: object) -> str | None:
    return None if value is None or value == "" else parse_response_id(value)


def _parse_currency(value: object) -> str | None:
    return None if _is_null(value) else _parse_text(value)


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.lower() == "null")


def _negate_plus(remains: object) -> object:
    """Return `remains` with a plus sign as a negative number.

    The panel's script stores the surplus that a provider delivered with a plus sign (seen).
    """
    has_plus = isinstance(remains, str) and remains.strip().startswith("+")
    return f"-{str(remains).strip()[1:]}" if has_plus else remains
