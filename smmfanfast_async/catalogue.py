"""Services by id: what is on offer, whether an order fits it, and what it costs. Pure.

Prices (seen): a package type costs the flat `rate`, every other `rate × quantity / 1000`, where a
drip-feed order's quantity is `runs × quantity` and that of a list of comments or users its length.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Context, Decimal

from attrs import field, frozen

from ._text import normalize_word
from .errors import InvalidOrderError
from .orders import (
    API_V2_ORDER_TYPES,
    CommentRepliesOrder,
    CustomCommentsOrder,
    CustomCommentsPackageOrder,
    DefaultOrder,
    MentionsCustomListOrder,
    Order,
    PackageOrder,
    SubscriptionsOrder,
    WebTrafficOrder,
)
from .results import Service

__all__ = ["Catalogue", "CatalogueDiff", "ServiceChange", "total_quantity"]

_FLAT = (PackageOrder, CustomCommentsPackageOrder)
_BY_COMMENTS = (CustomCommentsOrder, CustomCommentsPackageOrder, CommentRepliesOrder)
_DRIP_FED = (DefaultOrder, WebTrafficOrder)
_QUANTITIES = frozenset({"quantity", "runs"})

# Of its own, since the caller's context may round: 40 digits of a rate and 24 of a quantity fit.
_EXACT = Context(prec=100)


@frozen
class ServiceChange:
    """A service that is in both catalogues and is not the same in them."""

    before: Service
    """As it was."""
    after: Service
    """As it is."""

    @property
    def price_increased(self) -> bool:
        """Whether the rate went up; False where one of the two has none."""
        old, new = self.before.rate, self.after.rate
        return old is not None and new is not None and new > old

    @property
    def price_decreased(self) -> bool:
        """Whether the rate went down; False where one of the two has none."""
        old, new = self.before.rate, self.after.rate
        return old is not None and new is not None and new < old

    @property
    def limits_changed(self) -> bool:
        """Whether min or max changed."""
        return (self.before.min, self.before.max) != (self.after.min, self.after.max)


@frozen(kw_only=True)
class CatalogueDiff:
    """What a catalogue has that an older one had not, and the other way round."""

    added: tuple[Service, ...]
    """Services that only the newer has."""
    removed: tuple[Service, ...]
    """Services that only the older has."""
    changed: tuple[ServiceChange, ...]
    """Services that both have, with any difference."""


@frozen(kw_only=True)
class Catalogue(Mapping[str, Service]):
    """The services of a panel by id, in the panel's order. Ids may be asked for as int or text."""

    services: Mapping[str, Service] = field(repr=False)
    """By id; where a panel lists an id twice, the later row counts."""
    fetched_at: datetime
    """When the answer came, aware UTC."""
    unreadable: tuple[str, ...] = ()
    """Rows that came without a usable id, the begin of each, cleaned; they are not in here."""
    is_stale: bool = False
    """Whether it is older than it should be: fetching it anew failed."""

    @classmethod
    def from_services(
        cls, services: Iterable[Service], fetched_at: datetime, unreadable: tuple[str, ...] = ()
    ) -> "Catalogue":
        """Make a catalogue of some services, which the panel answered or a file of yours holds.

        It is no coroutine, and lets nobody have a turn meanwhile: 10,000 services take a
        millisecond. Where an id comes twice, the later one counts.
        """
        by_id = {service.service: service for service in services}
        return cls(services=by_id, fetched_at=fetched_at, unreadable=unreadable)

    def __getitem__(self, service: int | str) -> Service:
        return self.services[str(service)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.services)

    def __len__(self) -> int:
        return len(self.services)

    def find(self, service: int | str) -> Service | None:
        """Give a service by its id, None where the panel does not list it."""
        return self.services.get(str(service))

    def search(
        self, words: str = "", *, type: str | None = None, max_rate: Decimal | None = None
    ) -> list[Service]:
        """Give the services whose name or category holds every word, in any case.

        `type` is the panel's word for an order type in any spelling, `max_rate` the highest rate;
        a service without a rate is left out then.
        """
        wanted = words.casefold().split()
        kind = None if type is None else normalize_word(type)
        return [
            service
            for service in self.services.values()
            if all(word in f"{service.name} {service.category}".casefold() for word in wanted)
            and (kind is None or normalize_word(service.type or "") == kind)
            and (max_rate is None or (service.rate is not None and service.rate <= max_rate))
        ]

    def by_category(self) -> dict[str, list[Service]]:
        """Give the services under their headings, in the panel's order."""
        found: dict[str, list[Service]] = {}
        for service in self.services.values():
            found.setdefault(service.category, []).append(service)
        return found

    def by_type(self, order_type: type[Order]) -> list[Service]:
        """Give the services that take orders of a class, such as `DefaultOrder`."""
        return [
            service
            for service in self.services.values()
            if API_V2_ORDER_TYPES.get(service.type or "") is order_type
        ]

    def check(self, order: Order) -> Service:
        """Give the service of an order, or raise `InvalidOrderError` for what it will not take.

        Held against each other: the type, min and max (a subscription's too), drip-feed. What the
        panel says nothing of is not checked.
        """
        where = type(order).__name__
        service = self._service_of(order)
        expected = API_V2_ORDER_TYPES.get(service.type or "")
        if expected is not None and expected is not type(order):
            reason = f"accepts only orders of type {service.type!r}: use {expected.__name__}"
            raise InvalidOrderError(where, "service", order.service, reason)
        if isinstance(order, _DRIP_FED) and order.runs is not None and service.dripfeed is False:
            reason = f"requires drip-feed, which service {service.service} does not support"
            raise InvalidOrderError(where, "runs", order.runs, reason)
        for name, quantity in _quantities(order):
            _check_limits(where, name, quantity, service)
        return service

    def quote(self, order: Order) -> Decimal | None:
        """Give the exact price of an order, in the account's currency, unrounded.

        None where it can't be known before: a subscription is charged post by post, a service may
        have no rate or take orders of another type, an order no quantity, or one in `extra`. Raises
        `InvalidOrderError` for an unknown service.
        """
        service = self._service_of(order)
        # The panel goes by the type of the service, whatever class the form was made of: a package
        # for a `default` service would be charged by the thousand, and not the flat rate.
        expected = API_V2_ORDER_TYPES.get(service.type or "", type(order))
        if not isinstance(order, expected) or not _QUANTITIES.isdisjoint(order.extra):
            return None
        if service.rate is None or isinstance(order, SubscriptionsOrder):
            return None
        if isinstance(order, _FLAT):
            return service.rate
        quantity = total_quantity(order)
        if quantity is None:
            return None
        return _EXACT.divide(_EXACT.multiply(service.rate, quantity), 1000)

    def diff(self, older: "Catalogue") -> CatalogueDiff:
        """Say what is new, gone and changed since an older catalogue."""
        return CatalogueDiff(
            added=tuple(each for key, each in self.services.items() if key not in older.services),
            removed=tuple(each for key, each in older.services.items() if key not in self.services),
            changed=tuple(
                ServiceChange(older.services[key], each)
                for key, each in self.services.items()
                if key in older.services and not each.is_equivalent_to(older.services[key])
            ),
        )

    def _service_of(self, order: Order) -> Service:
        service = self.find(order.service)
        if service is None:
            reason = "is not in the catalogue"
            raise InvalidOrderError(type(order).__name__, "service", order.service, reason)
        return service


def total_quantity(order: Order) -> int | None:
    """Give how many an order is over in all, None where its form does not say.

    A list of comments or users counts its items, a drip-feed order `runs × quantity` (seen).
    """
    if isinstance(order, _BY_COMMENTS):
        return len(order.comments)
    if isinstance(order, MentionsCustomListOrder):
        return len(order.usernames)
    quantity: int | None = getattr(order, "quantity", None)
    if isinstance(order, _DRIP_FED) and order.runs is not None:
        return order.quantity * order.runs
    return quantity


def _quantities(order: Order) -> Iterator[tuple[str, int]]:
    """Give what of an order is held against the limits, with the field it stands in."""
    if isinstance(order, SubscriptionsOrder):
        yield "min", order.min
        yield "max", order.max
    elif not isinstance(order, _FLAT) and (total := total_quantity(order)) is not None:
        names: dict[type[Order], str] = {
            CustomCommentsOrder: "comments",
            CommentRepliesOrder: "comments",
            MentionsCustomListOrder: "usernames",
        }
        yield names.get(type(order), "quantity"), total


def _check_limits(where: str, name: str, quantity: int, service: Service) -> None:
    if service.min is not None and quantity < service.min:
        reason = f"is below the minimum of service {service.service} ({service.min})"
        raise InvalidOrderError(where, name, quantity, reason)
    if service.max is not None and quantity > service.max:
        reason = f"is above the maximum of service {service.service} ({service.max})"
        raise InvalidOrderError(where, name, quantity, reason)
