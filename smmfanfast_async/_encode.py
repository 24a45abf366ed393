r"""Turn an order or a call into a form: field names and texts, without the key.

How a value becomes text is decided by its Python type, here and nowhere else:

- text goes as it is, a whole number in decimal digits, a date as d/m/Y (document: "Format d/m/Y");
- a list goes one item a line, joined by `\n` (document: "separated by \r\n or \n");
- ids of one call are joined by `,` with no blank (document: "separated by comma"; seen: a blank
  becomes part of the id);
- None is left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import cast

import attrs

from .errors import InvalidOrderError
from .orders import Order, SubscriptionsOrder
from .profile import Profile

__all__ = ["Form", "add_form", "call_form", "ids_form"]

Form = dict[str, str]
"""Fields to send, in order, `action` first; the key is not among them."""


def add_form(order: Order, profile: Profile) -> Form:
    """Encode an order; raise `InvalidOrderError` where this panel is stricter than the class."""
    legal = profile.delays_min
    if isinstance(order, SubscriptionsOrder) and legal is not None and order.delay not in legal:
        reason = f"is none of {sorted(legal)}, the delays of {profile.name}"
        raise InvalidOrderError(type(order).__name__, "delay", order.delay, reason)
    form = {"action": "add"}
    for attribute in attrs.fields(type(order)):
        value = getattr(order, attribute.name)
        if attribute.metadata.get("form", True) and value is not None:
            form[attribute.name] = _text(value)
    form.update(order.extra)
    return _escaped(form, profile)


def ids_form(action: str, field: str, ids: Sequence[str]) -> Form:
    """Encode a call about some ids: `order=32` for one, `orders=12,2,13` for many.

    `field` says which of the two answers is wanted: "order" takes one id, "orders" one or many.
    """
    return {"action": action, field: ",".join(ids)}


def call_form(action: str, fields: Mapping[str, object], profile: Profile) -> Form:
    """Encode an undocumented call, values by the same rules as those of an order."""
    if not action or not isinstance(action, str):
        raise InvalidOrderError("Client.call", "action", action, "is not the name of an action")
    if action == "add":
        raise InvalidOrderError("Client.call", "action", action, "is for Client.add alone")
    form = {"action": action}
    for name, value in fields.items():
        if name in {"key", "action"}:
            raise InvalidOrderError("Client.call", name, "…", "is set by the client itself")
        if value is not None:
            form[name] = _text(value)
    return _escaped(form, profile)


def _text(value: object) -> str:
    match value:
        case bool():
            return str(int(value))
        case str():
            return value
        case int():
            return str(value)
        case Decimal():
            return f"{value:f}"
        case date():
            return value.strftime("%d/%m/%Y")
        case tuple() | list():
            items = cast("Iterable[object]", value)  # of what, the match can't say
            return "\n".join(map(_text, items))
        case _:
            pass
    raise InvalidOrderError("Client.call", "value", value, "has no form as text")


def _escaped(form: Form, profile: Profile) -> Form:
    if not profile.decodes_twice:
        return form
    return {name: text.replace("%", "%25").replace("+", "%2B") for name, text in form.items()}
