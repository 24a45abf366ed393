"""Format answers as the panel of the document and as API v2 panels do. Pure.

An answer is a value that PHP would encode: dicts, lists, texts, numbers. Field names and shapes are
written here from the document and from what API v2 panels document (seen); they are not imported
from the client. The repetition is intentional: a mistake in shared code would be wrong on both
sides and every test would still pass.
"""

from collections.abc import Mapping
from decimal import Decimal

from . import messages
from .money import round_balance, trim_zeros
from .orders import StoredOrder
from .services import SandboxService

__all__ = [
    "Answer",
    "api_v2_added",
    "api_v2_balance",
    "api_v2_order",
    "api_v2_service",
    "api_v2_unknown",
    "encode_id",
    "standard_added",
    "standard_balance",
    "standard_order",
    "standard_service",
    "standard_unknown",
]

Answer = dict[str, "Answer"] | list["Answer"] | str | int | bool | None
"""Any value that an answer consists of."""

MAX_NUMBER_DIGITS = 18
"""The most digits of an id that is printed as a number: PHP integers have 64 bits."""

_API_V2_TYPE_NAMES: Mapping[str, str] = {
    "mentions_with_hashtags": "Mentions with Hashtags",
    "invites_from_groups": "Invites from Groups",
    "seo": "SEO",
}


def standard_added(order: str) -> Answer:
    """Return the answer to an accepted order (document: `{"status": "success", "order": 32}`)."""
    return {"status": "success", "order": int(order)}


def api_v2_added(order: str) -> Answer:
    """Return the answer to an accepted order (seen: `{"order": 23501}`)."""
    return {"order": int(order)}


def standard_order(stored: StoredOrder, currency: str | None) -> Answer:
    """Return one order in the shape of its kind, numbers as text (document; seen)."""
    status = stored.status.value
    if stored.posts is not None or stored.runs is not None:
        return _parent_order(stored, status)
    row: dict[str, Answer] = {
        "order": stored.order,
        "status": status,
        "charge": f"{stored.charge:.4f}",
    }
    if currency is not None:
        row["currency"] = currency
    return row | {"start_count": str(stored.start_count), "remains": str(stored.remains)}


def api_v2_order(stored: StoredOrder, currency: str | None) -> Answer:
    """Return one order without its id, the status capitalised (seen)."""
    status = stored.status.value.capitalize()
    if stored.posts is not None or stored.runs is not None:
        return _parent_order(stored, status)
    row: dict[str, Answer] = {
        "charge": f"{stored.charge:.4f}",
        "start_count": str(stored.start_count),
        "status": status,
        "remains": str(stored.remains),
    }
    return row if currency is None else row | {"currency": currency}


def _parent_order(stored: StoredOrder, status: str) -> Answer:
    """Return a subscription or drip-feed: without charge and remains (seen)."""
    children: list[Answer] = list(stored.orders)
    if stored.posts is not None:
        return {
            "status": status,
            "expiry": stored.status == "expired",
            "posts": str(stored.posts),
            "orders": children,
        }
    return {"status": status, "runs": str(stored.runs), "orders": children}


def standard_unknown() -> Answer:
    """Return the value for an unknown id in a batch (document: a bare text)."""
    return messages.ORDER_UNKNOWN


def api_v2_unknown() -> Answer:
    """Return the value for an unknown id in a batch (seen: an object)."""
    return {"error": messages.to_api_v2(messages.ORDER_UNKNOWN)}


def standard_service(service: SandboxService) -> Answer:
    """Return a service in the document's form: numbers as text, `dripfeed` as a number."""
    return {
        "service": service.service,
        "name": service.name,
        "category": service.category,
        "rate": f"{service.rate:f}",
        "min": str(service.min),
        "max": str(service.max),
        "type": service.type,
        "desc": service.desc,
        "dripfeed": int(service.dripfeed),
    }


def api_v2_service(service: SandboxService) -> Answer:
    """Return a service as API v2 panels do (seen): the id as a number, flags as true or false."""
    return {
        "service": encode_id(service.service),
        "name": service.name,
        "type": _API_V2_TYPE_NAMES.get(service.type) or service.type.replace("_", " ").title(),
        "category": service.category,
        "rate": f"{service.rate:f}",
        "min": str(service.min),
        "max": str(service.max),
        "dripfeed": service.dripfeed,
        "refill": service.refill,
        "cancel": service.cancel,
    }


def standard_balance(balance: Decimal, currency: str) -> Answer:
    """Return the account's balance (document: with `"status": "success"`)."""
    return {"status": "success", "balance": _format_balance(balance), "currency": currency}


def api_v2_balance(balance: Decimal, currency: str) -> Answer:
    """Return the account's balance (seen: without a status)."""
    return {"balance": _format_balance(balance), "currency": currency}


def _format_balance(balance: Decimal) -> str:
    """Return the exact balance with two decimals (document: "0.03"), or more if it has more."""
    rounded = round_balance(balance)
    return f"{rounded if rounded == balance else trim_zeros(balance):f}"


def encode_id(text: str) -> int | str:
    """Return a canonical number as an int and any other text, such as "007", unchanged."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= MAX_NUMBER_DIGITS
    return int(text) if is_number and str(int(text)) == text else text
