"""Which panel an order goes to: what each one offers, in which order they are tried. Pure.

How this works. The caller says which services are equal (`products`). For each panel that may take
an order there is a `RouteQuote`: what the order costs there, or the reason why it cannot go there
now. A router puts the others in order, and the first of them gets the order. What a panel refuses
goes on to the next one only for the kinds of `FAILOVER_KINDS`, each a text that is recognized as a
whole; an attempt without a certain answer stays where it is.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, TypeAlias

import attrs
from attrs import frozen

from .._serialization import JsonFields, Serializable
from ..catalogue import Catalogue, is_flat
from ..errors import ErrorKind, InvalidCode
from ..journal import Entry
from ..orders import API_V2_ORDER_TYPES

__all__ = [
    "FAILOVER_KINDS",
    "LASTING_REASONS",
    "RouteQuote",
    "RouteReason",
    "Router",
    "cheapest_first",
    "find_reason",
    "in_order",
    "may_reroute",
    "reason_of_code",
    "routes_of",
]


class RouteReason(StrEnum):
    """Why a panel cannot take an order now."""

    NOT_LISTED = "not_listed"
    """Its catalogue has no such service."""
    WRONG_TYPE = "wrong_type"
    """The service accepts orders of another type."""
    BELOW_MIN = "below_min"
    """The quantity is below the minimum of the service."""
    ABOVE_MAX = "above_max"
    """The quantity is above the maximum of the service."""
    NO_DRIP_FEED = "no_drip_feed"
    """The service does not support drip-feed."""
    TOO_EXPENSIVE = "too_expensive"
    """The price is above the order's `max_charge`."""
    NO_PRICE = "no_price"
    """A limit applies, and the price is not known in advance."""
    CATALOGUE_UNAVAILABLE = "catalogue_unavailable"
    """Its catalogue or the currency of its balance could not be read, or the catalogue is empty."""
    CIRCUIT_OPEN = "circuit_open"
    """Its last calls failed; `until` says when it is tried again."""
    PAUSED = "paused"
    """It asked for a pause, until `until`."""
    ALREADY_REFUSED = "already_refused"
    """It has refused this order."""
    CURRENCY_MISMATCH = "currency_mismatch"
    """Its balance is in another currency than that of the panel before it, and `exchange_rates`
    has no rate for it."""


LASTING_REASONS = frozenset({
    RouteReason.NOT_LISTED, RouteReason.WRONG_TYPE, RouteReason.BELOW_MIN, RouteReason.ABOVE_MAX,
    RouteReason.NO_DRIP_FEED, RouteReason.ALREADY_REFUSED,
})  # fmt: skip
"""Reasons that waiting does not change."""

FAILOVER_KINDS = frozenset({
    ErrorKind.FUNDS, ErrorKind.SERVICE, ErrorKind.AUTH, ErrorKind.BLOCKED, ErrorKind.VALIDATION,
})  # fmt: skip
"""The kinds of refusals after which another panel may get the order: each proves that this one has
made none. Not DUPLICATE: an order with this link is active, and a second panel at the same link
spoils its start count, its refill, and the proof."""

_REASONS: Mapping[InvalidCode, RouteReason] = {
    InvalidCode.UNKNOWN_SERVICE: RouteReason.NOT_LISTED,
    InvalidCode.BELOW_MIN: RouteReason.BELOW_MIN,
    InvalidCode.ABOVE_MAX: RouteReason.ABOVE_MAX,
    InvalidCode.UNSUPPORTED_FIELD: RouteReason.NO_DRIP_FEED,
}


@frozen(kw_only=True)
class RouteQuote(Serializable):
    """What one panel offers for an order; what routing sees, and `OrderDesk.quote` returns.

    Attributes:
        panel: The name of the panel.
        service: The id of the service there.
        price: What the order costs there, in the desk's currency; None if it is not known.
        reason: Why the order cannot go there now; None if it can.
        until: When that ends, of a pause or an open circuit; None for other reasons.
    """

    _json: ClassVar[JsonFields] = JsonFields()

    panel: str
    service: str
    price: Decimal | None = None
    reason: RouteReason | None = None
    until: datetime | None = None


Router: TypeAlias = Callable[[Sequence[RouteQuote]], Sequence[RouteQuote]]
"""Puts the quotes of the panels that can take an order in the order in which they are tried.

It gets them in the order of `products`, may leave some out, and must be a plain function without
side effects: it is called again before each attempt.
"""


def cheapest_first(quotes: Sequence[RouteQuote]) -> Sequence[RouteQuote]:
    """Return the quotes by price; equal ones in the order of `products`, unknown ones last."""
    return sorted(quotes, key=lambda each: (each.price is None, each.price or Decimal(0)))


def in_order(quotes: Sequence[RouteQuote]) -> Sequence[RouteQuote]:
    """Return the quotes in the order of `products`, whatever they cost."""
    return list(quotes)


def routes_of(entry: Entry, default_panel: str) -> Mapping[str, str]:
    """Return the panels that may take an order, and the service at each, in order.

    An order without routes belongs to the desk of one panel, `default_panel`. One that is pinned
    has one route.
    """
    routes = entry.routes or {default_panel: entry.form.get("service", "")}
    if entry.panel is None or not entry.is_pinned:
        return routes
    return {panel: service for panel, service in routes.items() if panel == entry.panel}


def may_reroute(entry: Entry, panel: str, kind: ErrorKind) -> bool:
    """Return whether an order that a panel refused may go to another one by itself."""
    if entry.is_pinned or entry.was_unknown or kind not in FAILOVER_KINDS:
        return False
    return any(each != panel and each not in entry.refused_by for each in entry.routes)


def reason_of_code(code: InvalidCode) -> RouteReason:
    """Return the reason for which a catalogue rejects an order."""
    return _REASONS.get(code, RouteReason.WRONG_TYPE)


def find_reason(  # noqa: PLR0911  # one per reason
    catalogue: Catalogue, form: Mapping[str, str], quantity: int | None
) -> RouteReason | None:
    """Return why the service of a form does not take it, as `Catalogue.check` does by the order."""
    service = catalogue.find(form.get("service", ""))
    if service is None:
        return RouteReason.NOT_LISTED
    order_type = API_V2_ORDER_TYPES.get(service.type or "")
    if order_type is not None:
        fields = attrs.fields(order_type)
        required = [each.name for each in fields if each.default is attrs.NOTHING]
        if not all(name in form for name in required):
            return RouteReason.WRONG_TYPE
    if "runs" in form and service.dripfeed is False:
        return RouteReason.NO_DRIP_FEED
    if order_type is not None and is_flat(order_type):
        return None
    bounds = [form[name] for name in ("min", "max") if "username" in form and name in form]
    quantities = [int(each) for each in bounds if each.isdecimal()]
    if not bounds and quantity is not None:
        quantities = [quantity]
    if service.min is not None and any(each < service.min for each in quantities):
        return RouteReason.BELOW_MIN
    if service.max is not None and any(each > service.max for each in quantities):
        return RouteReason.ABOVE_MAX
    return None
