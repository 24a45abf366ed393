"""Parse the ids in the panel's responses. No id is ever guessed."""

import re
from collections.abc import Iterator

from msgspec.structs import force_setattr

from ..._text import normalize_word
from ...orders import parse_id
from ...results import OrderStatus
from .json_values import Record, is_list, is_object
from .numbers import UnparsedNumber

__all__ = [
    "assign_order_id",
    "find_id_values",
    "format_id",
    "parse_ids",
    "parse_new_id",
    "parse_response_id",
]

MAX_NESTING = 6
"""How deep the id of an order may be nested in a response; the deepest seen is 3."""

_ID_NAMES = frozenset({"order", "orderid", "orderids", "orderno", "ordernumber", "orders"}) | {
    "id",
    "ids",
}
"""Names of fields with the id of a new order, as `normalize_word` writes them (seen: `order`,
`order_id`, `orderId`, `id`, `orders`; the others are assumed)."""

_CONTAINER_NAMES = frozenset({"data", "result", "response"})
"""Names of fields that may contain the id of a new order in an object (seen: `data`)."""

_ERROR_NAMES = frozenset({"error", "errors"})
"""Names of fields that also have texts about the fields of the request, by their names."""

_NO_ID: tuple[object, ...] = (None, False, 0, "", "0", [], {})
"""What panels send in the place of an id if there is none; 0.0 and -0 are equal to 0."""

# ASCII letters and digits at the start; "_" and "-" as in ord_01H… and UUIDs (seen). At least one
# digit above 0, as in every id seen, so that "0", "null" and "pending" are not ids.
_NEW_ID = re.compile(r"(?=.*[1-9])[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


def format_id(value: object) -> str | None:
    """Return a text or a whole number, either of which may be an id, as text; None for the rest."""
    if isinstance(value, UnparsedNumber):
        return None
    text = str(value) if type(value) is int else value
    return text if isinstance(text, str) else None


def parse_new_id(value: object) -> str | None:
    """Return the id of an order or refill that the panel has just created; None if it is not one.

    0, negative numbers, flags, fractions, bare words, and texts with spaces or unusual characters
    are not ids.
    """
    text = format_id(value)
    return text if text is not None and _NEW_ID.fullmatch(text) else None


def find_id_values(answer: Record) -> list[object]:
    """Return what a response has under the usual names of an order's id, however nested.

    null, 0, "" and false mean that there is no id, and are left out. An irregular value is not:
    an order may exist although its id cannot be read. Inside an error it is left out too, since
    {"errors": {"order": ["is required"]}} is about a field of the request.
    """
    return list(_iter_id_values(answer, MAX_NESTING))


def _iter_id_values(
    value: object, depth: int, *, is_id: bool = False, is_error: bool = False
) -> Iterator[object]:
    if depth and is_list(value):
        for each in value:
            yield from _iter_id_values(each, depth - 1, is_id=is_id, is_error=is_error)
    elif depth and is_object(value):
        for name, each in value.items():
            word = normalize_word(name)
            may_be_id, may_be_error = word in _ID_NAMES, is_error or word in _ERROR_NAMES
            if may_be_id or may_be_error or word in _CONTAINER_NAMES:
                yield from _iter_id_values(each, depth - 1, is_id=may_be_id, is_error=may_be_error)
    elif is_id and value not in _NO_ID and not (is_error and parse_new_id(value) is None):
        yield value


def parse_response_id(value: object) -> str:
    """Return an id as text; raise `ValueError` if it breaks the rules of `orders.parse_id`."""
    if format_id(value) is None:
        raise ValueError("not an id")
    return parse_id(value, "reply")


def parse_ids(value: object) -> tuple[str, ...]:
    """Return a list of ids as texts; null is an empty one. Raises as `parse_response_id`."""
    if value is None:
        return ()
    if not is_list(value):
        raise ValueError("not a list of ids")
    return tuple(map(parse_response_id, value))


def assign_order_id(status: OrderStatus, order: str) -> OrderStatus:
    """Set the id of a status whose id was omitted or is a number, in place, and return the status.

    Raises `ValueError` if its id is another one, or cannot be read.
    """
    if format_id(status.order) != order:
        if status.order != "":
            raise ValueError(f"the response for this order is about order {status.order}")
        # An id that cannot be read is not the same as an id that was omitted.
        if status.extra and "order" in status.extra:
            raise ValueError("the id in the response for this order cannot be read")
    force_setattr(status, "order", order)
    return status
