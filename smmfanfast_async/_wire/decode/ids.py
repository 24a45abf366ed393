"""Parse the ids in the panel's responses. No id is ever guessed."""

import re

from msgspec.structs import force_setattr

from ...orders import parse_id
from ...results import OrderStatus
from .json_values import is_list
from .numbers import UnparsedNumber

__all__ = ["assign_order_id", "format_id", "parse_ids", "parse_new_id", "parse_response_id"]

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
