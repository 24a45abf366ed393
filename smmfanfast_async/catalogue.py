"""The services of a panel by id: search, order checks, prices, differences, JSON. Pure.

Prices (seen): a package type costs the flat `rate`, every other type `rate × quantity / 1000`. The
quantity of a drip-feed order is `runs × quantity`, that of a list of comments or users its length.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, ValuesView
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeAlias, cast

import msgspec
from attrs import field, frozen

from . import orders
from ._amounts import EXACT, is_amount_text
from ._serialization import Serializable
from ._text import normalize_word
from .errors import InvalidCode, InvalidOrderError, InvalidSettingsError
from .orders import API_V2_ORDER_TYPES, DefaultOrder, Order
from .results import Service

__all__ = ["Catalogue", "CatalogueDiff", "ServiceChange", "is_flat", "quote_form", "total_quantity"]

_QUANTITIES = frozenset({"quantity", "runs"})

_FORMAT = "smmfanfast catalogue 1"
"""The value of `format` in the JSON; a different layout gets another number."""


class ServiceChange(Serializable, msgspec.Struct, frozen=True):
    """A service that is in both catalogues and differs between them."""

    before: Service
    """The service in the older catalogue."""
    after: Service
    """The service in the newer catalogue."""

    @property
    def price_increased(self) -> bool:
        """Whether the rate went up; False if either rate is unknown."""
        old, new = self.before.rate, self.after.rate
        return old is not None and new is not None and new > old

    @property
    def price_decreased(self) -> bool:
        """Whether the rate went down; False if either rate is unknown."""
        old, new = self.before.rate, self.after.rate
        return old is not None and new is not None and new < old

    @property
    def limits_changed(self) -> bool:
        """Whether min or max changed."""
        return (self.before.min, self.before.max) != (self.after.min, self.after.max)


class CatalogueDiff(Serializable, msgspec.Struct, frozen=True, kw_only=True):
    """The differences between a catalogue and an older one."""

    added: tuple[Service, ...]
    """Services that are only in the newer catalogue."""
    removed: tuple[Service, ...]
    """Services that are only in the older catalogue."""
    changed: tuple[ServiceChange, ...]
    """Services that are in both and differ in any field."""


@frozen(kw_only=True)
class Catalogue(Mapping[str, Service]):
    """The services of a panel by id, in the panel's order. Look ids up as int or text.

    If a panel lists an id more than once, a lookup finds the first service. `values` and the
    searches have all of them, those of `repeated` last.
    """

    services: Mapping[str, Service] = field(repr=False)
    """By id; if a panel lists an id more than once, the first service."""
    fetched_at: datetime
    """When the response arrived, aware UTC."""
    unreadable: tuple[str, ...] = ()
    """Records without a usable id: the start of each, sanitized. They are not in `services`."""
    is_stale: bool = False
    """Whether it is older than requested because fetching a newer one failed."""
    repeated: tuple[Service, ...] = field(default=(), repr=False)
    """Further services whose id is in `services` already."""

    @property
    def ambiguous_ids(self) -> frozenset[str]:
        """The ids that the panel lists more than once: it is not known which service is meant.

        `check` accepts an order for such an id only if all its services do, and `quote` has a price
        only if it is that of all of them.
        """
        return frozenset(service.service for service in self.repeated)

    @classmethod
    def from_services(
        cls, services: Iterable[Service], fetched_at: datetime, unreadable: tuple[str, ...] = ()
    ) -> "Catalogue":
        """Create a catalogue from services, such as a response of the panel.

        It is synchronous and blocks the event loop meanwhile: 10,000 services take a millisecond.
        If an id occurs again, that service is in `repeated`.
        """
        by_id: dict[str, Service] = {}
        repeated = tuple(
            service
            for service in services
            if by_id.setdefault(service.service, service) is not service
        )
        return cls(services=by_id, fetched_at=fetched_at, unreadable=unreadable, repeated=repeated)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Catalogue":
        """Return the catalogue that `to_json` wrote. Reading is strict: nothing is guessed.

        `is_stale` is not stored; it is False. It is synchronous: 10,000 services take some 50
        milliseconds. The caller bounds the size of `text`.

        Raises:
            InvalidSettingsError: The text is not a catalogue; `reason` names the service and the
                field that are wrong.
        """
        try:
            return _parse_document(json.loads(text))
        except RecursionError:
            reason = "is nested too deeply"
        except ValueError as error:
            # Text that is not UTF-8 and text that is not JSON raise ValueErrors too.
            reason = f"is invalid: {error}"
        raise InvalidSettingsError("catalogue", reason)

    def to_json(self) -> str:
        """Return the catalogue as JSON in ASCII, for `from_json`.

        Money is text, so that no digit is lost; times are in ISO 8601. Each service is on a line of
        its own, so that a diff of two files shows which services changed.
        """
        services = ",\n".join(json.dumps(_plain_service(each)) for each in self.values())
        head = json.dumps(
            {
                "format": _FORMAT,
                "fetched_at": self.fetched_at.isoformat(),
                "unreadable": self.unreadable,
            }
        )
        return f'{head[:-1]}, "services": [\n{services}\n]}}'

    def __getitem__(self, service: int | str) -> Service:
        return self.services[str(service)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.services)

    def __len__(self) -> int:
        return len(self.services)

    def values(self) -> ValuesView[Service]:
        """Return all services, also those whose id the panel lists more than once."""
        return _Services(self)

    def find(self, service: int | str) -> Service | None:
        """Return a service by its id, None if the panel does not list it.

        The first one if the panel lists the id more than once (`ambiguous_ids`).
        """
        return self.services.get(str(service))

    def search(
        self, words: str = "", *, type: str | None = None, max_rate: Decimal | None = None
    ) -> list[Service]:
        """Return the services whose name or category contains every word, ignoring case.

        `type` is the panel's word for an order type in any spelling, `max_rate` the highest rate;
        with `max_rate`, services without a rate are left out.
        """
        wanted = words.casefold().split()
        kind = None if type is None else normalize_word(type)
        return [
            service
            for service in self.values()
            if all(word in f"{service.name} {service.category}".casefold() for word in wanted)
            and (kind is None or normalize_word(service.type or "") == kind)
            and (max_rate is None or (service.rate is not None and service.rate <= max_rate))
        ]

    def by_category(self) -> dict[str, list[Service]]:
        """Return the services grouped by category, in the panel's order."""
        by_category: dict[str, list[Service]] = {}
        for service in self.values():
            by_category.setdefault(service.category, []).append(service)
        return by_category

    def by_type(self, order_type: type[Order]) -> list[Service]:
        """Return the services that accept orders of a class, such as `DefaultOrder`."""
        return [
            service
            for service in self.values()
            if API_V2_ORDER_TYPES.get(service.type or "") is order_type
        ]

    def check(self, order: Order) -> Service:
        """Return the service of an order that passes the checks of the catalogue.

        Checked are the type, min and max (a subscription's too) and drip-feed; what the panel does
        not specify is not checked.

        Raises:
            InvalidOrderError: The service is not listed or does not accept the order; `field`,
                `code`, `limit` and `reason` say why.
        """
        services = self._services_of(order)
        for service in services:
            _check_service(order, service)
        return services[0]

    def quote(self, order: Order) -> Decimal | None:
        """Return the exact price of an order, in the account's currency, unrounded.

        None if it cannot be known in advance: a subscription is charged post by post; a service may
        have no rate, or accept orders of another type; an order may have no quantity, or have it in
        `extra`; the services of an ambiguous id may have different prices. Raises
        `InvalidOrderError` for an unknown service.
        """
        first, *others = [_quote_service(order, each) for each in self._services_of(order)]
        return first if all(each == first for each in others) else None

    def diff(self, older: "Catalogue") -> CatalogueDiff:
        """Return what was added, removed and changed since an older catalogue."""
        before, after = _by_occurrence(older), _by_occurrence(self)
        return CatalogueDiff(
            added=tuple(each for key, each in after.items() if key not in before),
            removed=tuple(each for key, each in before.items() if key not in after),
            changed=tuple(
                ServiceChange(before[key], each)
                for key, each in after.items()
                if key in before and not each.is_equivalent_to(before[key])
            ),
        )

    def _services_of(self, order: Order) -> list[Service]:
        """Return the services that an order may mean: one, unless its id is ambiguous."""
        service = self.find(order.service)
        if service is None:
            reason = "is not in the catalogue"
            owner, code = type(order).__name__, InvalidCode.UNKNOWN_SERVICE
            raise InvalidOrderError(owner, "service", order.service, reason, code=code)
        return [service, *(each for each in self.repeated if each.service == service.service)]


class _Services(ValuesView[Service]):
    """All services of a catalogue, also those whose id was listed before."""

    def __init__(self, catalogue: Catalogue) -> None:
        super().__init__(catalogue)
        self._catalogue = catalogue

    def __len__(self) -> int:
        return len(self._catalogue.services) + len(self._catalogue.repeated)

    def __iter__(self) -> Iterator[Service]:
        yield from self._catalogue.services.values()
        yield from self._catalogue.repeated

    def __contains__(self, service: object) -> bool:
        return any(each == service for each in self)


def _by_occurrence(catalogue: Catalogue) -> dict[tuple[str, int], Service]:
    """Return all services by their id, and the number of earlier ones with it."""
    counts: Counter[str] = Counter()
    found: dict[tuple[str, int], Service] = {}
    for service in catalogue.values():
        found[service.service, counts[service.service]] = service
        counts[service.service] += 1
    return found


def _check_service(order: Order, service: Service) -> None:
    where = type(order).__name__
    expected = API_V2_ORDER_TYPES.get(service.type or "")
    if expected is not None and expected is not type(order):
        reason = f"accepts only orders of type {service.type!r}: use {expected.__name__}"
        code = InvalidCode.WRONG_TYPE
        raise InvalidOrderError(where, "service", order.service, reason, code=code)
    runs = order.runs if isinstance(order, DefaultOrder | orders.WebTrafficOrder) else None
    if runs is not None and service.dripfeed is False:
        reason = f"requires drip-feed, which service {service.service} does not support"
        code = InvalidCode.UNSUPPORTED_FIELD
        raise InvalidOrderError(where, "runs", runs, reason, code=code)
    for name, quantity in _quantities(order):
        _check_limits(where, name, quantity, service)


def _quote_service(order: Order, service: Service) -> Decimal | None:
    # The panel charges by the type of the service, not by the class of the order: a package for
    # a `default` service would be charged by the thousand instead of the flat rate.
    expected = API_V2_ORDER_TYPES.get(service.type or "", type(order))
    if not isinstance(order, expected) or not _QUANTITIES.isdisjoint(order.extra):
        return None
    if service.rate is None or isinstance(order, orders.SubscriptionsOrder):
        return None
    if is_flat(type(order)):
        return service.rate
    quantity = total_quantity(order)
    return None if quantity is None else EXACT.divide(EXACT.multiply(service.rate, quantity), 1000)


def quote_form(
    catalogue: Catalogue, form: Mapping[str, str], quantity: int | None, price: Decimal | None
) -> Decimal | None:
    """Return today's price of an order by its form, as `Catalogue.quote` does by the order.

    `quantity` is its total quantity, `price` its earlier price. None if the price cannot be known,
    also if the service is gone. If the panel names no known type, the order may be a package: it
    costs the higher one of the two possible prices, unless its earlier price is one of them.
    """
    service = catalogue.find(form.get("service", ""))
    if service is None or service.rate is None:
        return None
    order_type = API_V2_ORDER_TYPES.get(service.type or "")
    if order_type is not None and is_flat(order_type):
        return service.rate
    if order_type is orders.SubscriptionsOrder or quantity is None or not _states(form, quantity):
        return None
    by_quantity = EXACT.divide(EXACT.multiply(service.rate, quantity), 1000)
    if order_type is not None or price == by_quantity:
        return by_quantity
    return service.rate if price == service.rate else max(by_quantity, service.rate)


def is_flat(order_type: type[Order]) -> bool:
    """Return whether an order costs the rate of its service itself, whatever its quantity."""
    return issubclass(order_type, orders.PackageOrder | orders.CustomCommentsPackageOrder)


def _states(form: Mapping[str, str], quantity: int) -> bool:
    """Return whether a form states this total quantity and no other."""
    if "comments" in form or "usernames" in form:
        return True  # counted, whatever the form states beside them
    stated = (form.get("quantity", ""), form.get("runs", "1"))
    return all(map(str.isdecimal, stated)) and int(stated[0]) * int(stated[1]) == quantity


def total_quantity(order: Order) -> int | None:
    """Return the total quantity of an order, None if its form does not contain one.

    Comments and users are counted; a drip-feed order has `runs × quantity` (seen).
    """
    if isinstance(
        order,
        orders.CustomCommentsOrder | orders.CustomCommentsPackageOrder | orders.CommentRepliesOrder,
    ):
        return len(order.comments)
    if isinstance(order, orders.MentionsCustomListOrder):
        return len(order.usernames)
    quantity: int | None = getattr(order, "quantity", None)
    if isinstance(order, DefaultOrder | orders.WebTrafficOrder) and order.runs is not None:
        return order.quantity * order.runs
    return quantity


def _quantities(order: Order) -> Iterator[tuple[str, int]]:
    """Yield each quantity that the limits apply to, with the name of its field."""
    if isinstance(order, orders.SubscriptionsOrder):
        yield "min", order.min
        yield "max", order.max
    elif not is_flat(type(order)) and (total := total_quantity(order)) is not None:
        names: dict[type[Order], str] = {
            orders.CustomCommentsOrder: "comments",
            orders.CommentRepliesOrder: "comments",
            orders.MentionsCustomListOrder: "usernames",
        }
        yield names.get(type(order), "quantity"), total


def _check_limits(where: str, name: str, quantity: int, service: Service) -> None:
    code, limit, side = InvalidCode.BELOW_MIN, service.min, "below the minimum"
    if limit is None or quantity >= limit:
        code, limit, side = InvalidCode.ABOVE_MAX, service.max, "above the maximum"
        if limit is None or quantity <= limit:
            return
    reason = f"is {side} of service {service.service} ({limit})"
    raise InvalidOrderError(where, name, quantity, reason, code=code, limit=limit)


_Object: TypeAlias = dict[str, object]
"""A JSON object, whose keys are always text."""


class _Document(msgspec.Struct):
    """The JSON of a catalogue, with its services still unread."""

    format: str
    fetched_at: str
    unreadable: tuple[str, ...]
    services: list[object]


def _plain_service(service: Service) -> dict[str, object]:
    # `raw` is a copy of the response for debugging; it is not part of what is on offer. A number of
    # `extra` that is out of bounds, such as NaN, is a kind of text that msgspec does not know.
    return {
        name: msgspec.to_builtins(getattr(service, attribute), str_keys=True, enc_hook=str)
        for name, attribute in _SERVICE_ATTRIBUTES.items()
    }


_SERVICE_ATTRIBUTES = {
    each.encode_name: each.name for each in msgspec.structs.fields(Service) if each.name != "raw"
}
"""The fields of a service in the JSON, and the attributes they are stored in."""


def _parse_document(content: object) -> Catalogue:
    """Return the catalogue in a JSON value; raise ValueError if there is none."""
    if not isinstance(content, dict):
        raise ValueError("expected an object")
    document_format = cast("_Object", content).get("format")
    if document_format != _FORMAT:
        raise ValueError(f"the format is {document_format!r}, expected {_FORMAT!r}")
    try:
        document = msgspec.convert(content, _Document)
    except msgspec.ValidationError as error:
        raise ValueError(_explain(error)) from error
    fetched_at = datetime.fromisoformat(document.fetched_at)
    if fetched_at.tzinfo is None:
        raise ValueError(f"fetched_at: {document.fetched_at!r} has no time zone")
    services = map(_parse_service, document.services)
    return Catalogue.from_services(services, fetched_at.astimezone(UTC), document.unreadable)


def _parse_service(record: object) -> Service:
    shown_id = cast("_Object", record).get("service") if isinstance(record, dict) else record
    try:
        service = msgspec.convert(record, Service)
    except msgspec.ValidationError as error:
        raise ValueError(f"service {shown_id!r}: {_explain(error)}") from error
    # The type accepts numbers, for the fast path that reads responses.
    if not isinstance(service.service, str):
        raise ValueError(f"service {shown_id!r}: service: expected `str`")
    if service.raw is not None:
        raise ValueError(f"service {shown_id!r}: object contains unknown field `raw`")
    if service.raw_rate is not None and not is_amount_text(service.raw_rate):
        raise ValueError(f"service {shown_id!r}: rate: {service.raw_rate!r} is not an amount")
    return service


def _explain(error: msgspec.ValidationError) -> str:
    """Return the message of msgspec with the name of the field first."""
    message, _, path = str(error).partition(" - at `$")
    message = message[:1].lower() + message[1:]
    return f"{path.strip('.`')}: {message}" if path else message
