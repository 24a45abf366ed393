r"""Turn an order or a call into a form: field names and texts, without the key.

How a value becomes text is decided by its Python type, here and nowhere else:

- text is unchanged, an integer in decimal digits, a date as d/m/Y (document: "Format d/m/Y");
- a list has one item per line, joined by `\n` (document: "separated by \r\n or \n");
- ids of one call are joined by `,` without a space (document: "separated by comma"; seen: a space
  becomes part of the id);
- None is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import cast

import attrs

from .. import orders
from .._text import line_flaw, text_flaw
from ..errors import InvalidCode, InvalidOrderError
from ..orders import Order
from ..orders.form_names import RawForm
from ..profile import Profile

__all__ = ["Form", "encode_call", "encode_ids", "encode_order", "escape_form"]

Form = dict[str, str]
"""Fields to send, in order, `action` first; without the key."""


def encode_order(order: Order, profile: Profile) -> Form:
    """Encode an order; raise `InvalidOrderError` if this panel does not support it.

    The type of the order and its fields are checked against the profile. A custom class without a
    `panel_type` is not checked for its type.
    """
    _check_profile(order, profile)
    form = {"action": "add"}
    owner = type(order).__name__
    for attribute in attrs.fields(type(order)):
        value = getattr(order, attribute.name)
        if attribute.metadata.get("form", True) and value is not None:
            form[attribute.name] = _encode_value(value, owner, attribute.name)
    form.update(order.extra)
    profile.form_names.rename(form, owner)  # raises if a name in `extra` is that of another field
    return escape_form(form, profile)


def _check_profile(order: Order, profile: Profile) -> None:
    owner, order_type = type(order).__name__, order.panel_type
    if order_type and not profile.supports_order_type(order_type):
        known = ", ".join(sorted(profile.order_types))
        reason = f"is not supported by {profile.name}, which supports {known}"
        raise InvalidOrderError(
            owner, "panel_type", order_type, reason, code=InvalidCode.UNSUPPORTED_TYPE
        )
    for name in sorted(profile.ignored_fields):
        value = getattr(order, name, None)
        if value is not None:
            reason = f"would be ignored by {profile.name}: leave it out"
            code = InvalidCode.UNSUPPORTED_FIELD
            raise InvalidOrderError(owner, name, value, reason, code=code)
    allowed = profile.delays_minutes
    if allowed is None or not isinstance(order, orders.SubscriptionsOrder):
        return
    if order.delay not in allowed:
        reason = f"must be one of {sorted(allowed)}, the delays of {profile.name}"
        raise InvalidOrderError(owner, "delay", order.delay, reason, code=InvalidCode.NOT_ALLOWED)


def encode_ids(action: str, field: str, ids: Sequence[str]) -> Form:
    """Encode a call with ids: `order=32` for one, `orders=12,2,13` for several.

    `field` selects the format of the response: "order" takes one id, "orders" one or more.
    """
    return {"action": action, field: ",".join(ids)}


def encode_call(action: str, fields: Mapping[str, object], profile: Profile) -> Form:
    """Encode an undocumented call, whose action and fields are in the panel's own words.

    Values follow the same rules as those of an order.

    Raises `InvalidOrderError` for the action "add" in any spelling, and for a value without a
    unique text form: a float, a time, a list item that would be split.
    """
    if not isinstance(action, str) or not action.strip() or text_flaw(action):
        raise InvalidOrderError("Client.call", "action", action, "must be the name of an action")
    if profile.form_names.is_add(action):
        reason = "is reserved for Client.add"
        raise InvalidOrderError("Client.call", "action", action, reason, code=InvalidCode.RESERVED)
    form = RawForm(action=action)
    for name, value in fields.items():
        if profile.form_names.is_reserved(name):
            reason = "is set by the client"
            raise InvalidOrderError("Client.call", name, "…", reason, code=InvalidCode.RESERVED)
        if value is not None:
            form[name] = _encode_value(value, "Client.call", name)
    return escape_form(form, profile)


def _encode_value(value: object, owner: str, field: str) -> str:
    match value:
        case bool():
            return str(int(value))
        case int():
            return str(value)
        case Decimal() if value.is_finite():
            return f"{value:f}"
        case date() if not isinstance(value, datetime):
            return value.strftime("%d/%m/%Y")
        case tuple() | list():
            items = cast("Iterable[object]", value)  # the match does not tell the item type
            return "\n".join(_encode_item(item, owner, field) for item in items)
        case str():
            if flaw := text_flaw(value):
                raise InvalidOrderError(
                    owner, field, value, flaw, code=InvalidCode.INVALID_CHARACTERS
                )
            return value
        case _:
            reason = "cannot be sent as text"
            raise InvalidOrderError(owner, field, value, reason, code=InvalidCode.NOT_A_TEXT)


def _encode_item(item: object, owner: str, field: str) -> str:
    line = _encode_value(item, owner, field)
    if flaw := line_flaw(line):
        raise InvalidOrderError(owner, field, item, flaw, code=InvalidCode.INVALID_CHARACTERS)
    return line


def escape_form(form: Form, profile: Profile) -> Form:
    """Return a form as the panel has to get it; for most panels, unchanged."""
    if not profile.double_decodes:
        return form
    escaped = {name: text.replace("%", "%25").replace("+", "%2B") for name, text in form.items()}
    return RawForm(escaped) if isinstance(form, RawForm) else escaped
