r"""Turn an order or a call into a form: field names and texts, without the key.

How a value becomes text is decided by its Python type, here and nowhere else:

- text goes as it is, a whole number in decimal digits, a date as d/m/Y (document: "Format d/m/Y");
- a list goes one item a line, joined by `\n` (document: "separated by \r\n or \n");
- ids of one call are joined by `,` with no blank (document: "separated by comma"; seen: a blank
  becomes part of the id);
- None is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import cast

import attrs

from .._text import line_flaw, normalize_word, text_flaw
from ..errors import InvalidOrderError
from ..orders import Order, SubscriptionsOrder
from ..profile import Profile

__all__ = ["Form", "add_form", "call_form", "ids_form"]

Form = dict[str, str]
"""Fields to send, in order, `action` first; the key is not among them."""


def add_form(order: Order, profile: Profile) -> Form:
    """Encode an order; raise `InvalidOrderError` where this panel is stricter than the class.

    The type of the order and its fields are held against what the profile says that its panel
    takes. A class of one's own without a `panel_type` goes everywhere.
    """
    _check_profile(order, profile)
    form = {"action": "add"}
    owner = type(order).__name__
    for attribute in attrs.fields(type(order)):
        value = getattr(order, attribute.name)
        if attribute.metadata.get("form", True) and value is not None:
            form[attribute.name] = _encode_value(value, owner, attribute.name)
    form.update(order.extra)
    return _escape_values(form, profile)


def _check_profile(order: Order, profile: Profile) -> None:
    owner, order_type = type(order).__name__, order.panel_type
    if order_type and not profile.supports_order_type(order_type):
        known = ", ".join(sorted(profile.order_types))
        reason = f"is no order type of {profile.name}, which takes {known}"
        raise InvalidOrderError(owner, "panel_type", order_type, reason)
    for name in sorted(profile.ignored_fields):
        value = getattr(order, name, None)
        if value is not None:
            raise InvalidOrderError(owner, name, value, f"is not read by {profile.name}")
    allowed = profile.delays_minutes
    if isinstance(order, SubscriptionsOrder) and allowed is not None and order.delay not in allowed:
        reason = f"is none of {sorted(allowed)}, the delays of {profile.name}"
        raise InvalidOrderError(owner, "delay", order.delay, reason)


def ids_form(action: str, field: str, ids: Sequence[str]) -> Form:
    """Encode a call about some ids: `order=32` for one, `orders=12,2,13` for many.

    `field` says which of the two answers is wanted: "order" takes one id, "orders" one or many.
    """
    return {"action": action, field: ",".join(ids)}


def call_form(action: str, fields: Mapping[str, object], profile: Profile) -> Form:
    """Encode an undocumented call, values by the same rules as those of an order.

    Raises `InvalidOrderError` for the action "add" in any spelling, and for a value that has no
    one form as text: a float, a time, a list item that would be split.
    """
    if not isinstance(action, str) or not action.strip() or text_flaw(action):
        raise InvalidOrderError("Client.call", "action", action, "is not the name of an action")
    if normalize_word(action) == "add":
        raise InvalidOrderError("Client.call", "action", action, "is for Client.add alone")
    form = {"action": action}
    for name, value in fields.items():
        if name in {"key", "action"}:
            raise InvalidOrderError("Client.call", name, "…", "is set by the client itself")
        if value is not None:
            form[name] = _encode_value(value, "Client.call", name)
    return _escape_values(form, profile)


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
            items = cast("Iterable[object]", value)  # of what, the match can't say
            return "\n".join(_encode_item(item, owner, field) for item in items)
        case str():
            if flaw := text_flaw(value):
                raise InvalidOrderError(owner, field, value, flaw)
            return value
        case _:
            raise InvalidOrderError(owner, field, value, "has no form as text")


def _encode_item(item: object, owner: str, field: str) -> str:
    line = _encode_value(item, owner, field)
    if flaw := line_flaw(line):
        raise InvalidOrderError(owner, field, item, flaw)
    return line


def _escape_values(form: Form, profile: Profile) -> Form:
    if not profile.double_decodes:
        return form
    return {name: text.replace("%", "%25").replace("+", "%2B") for name, text in form.items()}
