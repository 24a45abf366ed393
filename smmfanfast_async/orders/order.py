"""The base class of all order types: what they share, and how one is parsed from JSON."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self, cast

from attrs import field, frozen

from .._serialization import JsonFields, Serializable
from .fields import copy_mapping, id_to_text, validate_extra, validate_id
from .parsing import (
    TYPE_FIELD,
    check_type,
    find_type,
    load_object,
    parse_fields,
    require_object,
)

__all__ = ["DELAYS_MINUTES", "Order"]

DELAYS_MINUTES = frozenset({0, 5, 10, 15, 30, 60, 90})
"""Allowed delays of a subscription, in minutes (document: "Possible values: 0, 5, 10, 15, 30, 60,
90")."""


@frozen(kw_only=True)
class Order(Serializable):
    """Base class of all order types: the service, and extra fields that only some panels have.

    Attributes:
        service: Id of the service (document: "Service ID"); int or text, stored as text.
        extra: More form fields by name, sent unchanged, for panels that require undocumented ones.
    """

    panel_type: ClassVar[str] = ""
    """The panel's word for the type, as in `Service.type`; if empty, it is not checked."""

    _json: ClassVar[JsonFields] = JsonFields(
        computed={"type": "panel_type"},
        hidden=frozenset({"allowed_delays_minutes"}),
        accepted={"service": str | int},
    )
    _types: ClassVar[Mapping[str, type["Order"]]] = {}
    """All order types by the panel's word; set by the package, which knows them all."""

    service: str = field(converter=id_to_text, validator=validate_id)
    """Id of the service (document: "Service ID"); int or text, stored as text."""

    extra: Mapping[str, str] = field(
        factory=dict,
        converter=copy_mapping,
        validator=validate_extra,
        metadata={"form": False},
        hash=False,
    )
    """More form fields by name, sent unchanged, for panels that require undocumented ones."""

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, Any],
        *,
        allow_extra: bool = False,
        allowed_delays_minutes: Collection[int] | None = DELAYS_MINUTES,
    ) -> Self:
        """Parse an order from JSON types: what `to_dict` returned, or what a buyer sent.

        `Order.from_dict` chooses the class by the field `type`, in any spelling of `ORDER_TYPES`; a
        subclass accepts its own type only, and needs none. Every other field has the name that it
        has in the class. Nothing is guessed: a number in a text, a float or an unknown name is an
        error. Which services and prices a buyer may choose is for you to check.

        Args:
            data: The parsed JSON object.
            allow_extra: Accept `extra`, fields that are sent unchanged. Not from a buyer.
            allowed_delays_minutes: For subscriptions: the delays that the panel accepts; None for
                any.

        Raises:
            InvalidOrderError: `field` and `reason` say what is wrong.
        """
        checked = require_object(data, cls.__name__)
        if cls is Order:
            has_no_type = allow_extra and checked.get(TYPE_FIELD) == cls.panel_type
            order_type = cls if has_no_type else find_type(checked, cls._types)
        else:
            order_type = cls
            check_type(checked, cls.__name__, cls.panel_type)
        values = parse_fields(
            order_type,
            checked,
            allow_extra=allow_extra,
            allowed_delays_minutes=allowed_delays_minutes,
        )
        return cast("Self", order_type(**values))

    @classmethod
    def from_json(
        cls,
        text: str | bytes,
        *,
        allow_extra: bool = False,
        allowed_delays_minutes: Collection[int] | None = DELAYS_MINUTES,
    ) -> Self:
        """Parse an order from JSON, such as the body of a request; otherwise as `from_dict`.

        The caller bounds the size of `text`.

        Raises:
            InvalidOrderError: The text is not JSON, or as `from_dict`.
        """
        return cls.from_dict(
            load_object(text, cls.__name__),
            allow_extra=allow_extra,
            allowed_delays_minutes=allowed_delays_minutes,
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        # Only pydantic calls this, so the package works without it.
        from .._serialization.pydantic_schema import input_schema  # noqa: PLC0415

        variants = tuple(cls._types.values()) if cls is Order else (cls,)
        return input_schema(variants, cls._parse_json, handler)

    @classmethod
    def _parse_json(cls, value: Any) -> "Order":
        return value if isinstance(value, cls) else cls.from_dict(value)
