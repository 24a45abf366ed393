"""What each panel offers for an order: today's price, or the reason why it cannot go there."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

import attrs
from attrs import frozen

from .._wire.encode import Form, encode_order
from ..catalogue import Catalogue
from ..errors import (
    InvalidCode,
    InvalidOrderError,
    NotSentError,
    PanelError,
    SpendingLimitError,
)
from ..journal import Entry, Journal
from ..orders import Order
from .deadline import NO_DEADLINE, Deadline
from .panels import DeskPanel, Products
from .pricing import cached_catalogue
from .routing import (
    LASTING_REASONS,
    RouteQuote,
    Router,
    RouteReason,
    find_reason,
    reason_of_code,
    routes_of,
)

__all__ = ["Quoting"]

CATALOGUE_WAIT_S = 15.0
"""Seconds for which an order waits for the catalogues of all its panels: a panel that is slow must
not keep an order from another one."""

_Offer: TypeAlias = tuple[RouteReason | None, Decimal | None]
_R = RouteReason


@frozen
class Quoting:
    """Quotes the orders of a desk that sells products, and encodes them."""

    panels: Mapping[str, DeskPanel]
    """In the order of the caller."""
    products: Products
    """Empty for one panel, whose services the orders name."""
    journal: Journal
    router: Router
    budget: Decimal | None
    """What the orders of a UTC day may cost together; None for no limit."""

    # --- what admission needs --------------------------------------------------------------------

    def encode(self, order: Order) -> tuple[Form, Mapping[str, str]]:
        """Return the form of an order, with its product's name, and the panels that may take it."""
        services = self._services_of(order)
        routes: dict[str, str] = {}
        rejections: list[InvalidOrderError] = []
        form: Form = {}
        for panel, service in services.items():
            profile = self.panels[panel].client.profile
            try:
                encode_order(attrs.evolve(order, service=service), profile)
                form = encode_order(order, attrs.evolve(profile, double_decodes=False))
            except InvalidOrderError as error:
                rejections.append(error)
            else:
                routes[panel] = service
        if not routes:
            raise rejections[0]
        return form, routes

    async def price_order(
        self,
        order: Order,
        max_charge: Decimal | None,
        deadline: Deadline,
        *,
        is_known: bool,
        may_fetch: bool,
    ) -> Decimal | None:
        """Return the price where the order would go; raise if no panel can ever take it.

        Of a known order, the limit alone is checked: what cannot be sent now is sent later.
        """
        if is_known and max_charge is None and self.budget is None:
            return None
        quotes = await self.of_order(order, max_charge, deadline, may_fetch=may_fetch)
        return self._require_price(quotes, max_charge, is_known=is_known)

    async def price_entry(
        self, entry: Entry, max_charge: Decimal | None, deadline: Deadline = NO_DEADLINE
    ) -> Decimal | None:
        """Return the price where an order would go that a person has sent again."""
        entry = attrs.evolve(entry, max_charge=max_charge, refused_by={})
        return self._require_price(await self.of_entry(entry, deadline), max_charge, is_known=False)

    # --- quotes ----------------------------------------------------------------------------------

    async def of_order(
        self,
        order: Order,
        max_charge: Decimal | None = None,
        deadline: Deadline = NO_DEADLINE,
        *,
        may_fetch: bool = True,
    ) -> list[RouteQuote]:
        """Return a quote for each panel that has the order's product, in the order of products."""

        def offer(catalogue: Catalogue, panel: str, service: str) -> _Offer:
            there = attrs.evolve(order, service=service)
            try:
                encode_order(there, self.panels[panel].client.profile)
                catalogue.check(there)
            except InvalidOrderError as error:
                return reason_of_code(error.code), None
            return None, catalogue.quote(there)

        services = self._services_of(order)
        quotes = await self._quote(services, offer, max_charge, deadline, may_fetch=may_fetch)
        # Of an order that is being sent, the desk looks itself: it may end that by a probe.
        return await self._with_circuits(quotes) if may_fetch else quotes

    async def of_entry(self, entry: Entry, deadline: Deadline = NO_DEADLINE) -> list[RouteQuote]:
        """Return a quote for each panel that may take an order and has a client here."""

        def offer(catalogue: Catalogue, panel: str, service: str) -> _Offer:
            if panel in entry.refused_by:
                return _R.ALREADY_REFUSED, None
            form = {**entry.form, "service": service}
            reason = find_reason(catalogue, form, entry.quantity)
            pricing = self.panels[panel].pricing
            return reason, pricing.quote(catalogue, form, entry) if reason is None else None

        routes = routes_of(entry, next(iter(self.panels)))
        here = {panel: service for panel, service in routes.items() if panel in self.panels}
        return await self._quote(here, offer, entry.max_charge, deadline, may_fetch=True)

    async def _quote(
        self,
        services: Mapping[str, str],
        offer: Callable[[Catalogue, str, str], _Offer],
        max_charge: Decimal | None,
        deadline: Deadline,
        *,
        may_fetch: bool,
    ) -> list[RouteQuote]:
        catalogues = await asyncio.gather(
            *(self._catalogue(panel, deadline, may_fetch=may_fetch) for panel in services)
        )
        mismatched = await self._mismatched() if may_fetch else {}
        pauses = await self.journal.paused_panels() if may_fetch else dict[str, datetime]()
        quotes: list[RouteQuote] = []
        for (panel, service), catalogue in zip(services.items(), catalogues, strict=True):
            reason, price = (
                (_R.CATALOGUE_UNAVAILABLE, None)
                if catalogue is None
                else offer(catalogue, panel, service)
            )
            if price is not None:
                price = self.panels[panel].pricing.convert(price)
            reason = reason or self._limit_reason(catalogue, price, max_charge)
            until = None
            if reason not in LASTING_REASONS and panel in mismatched:
                reason = mismatched[panel]
            elif reason is None and panel in pauses:
                reason, until = _R.PAUSED, pauses[panel]
            quotes.append(
                RouteQuote(panel=panel, service=service, price=price, reason=reason, until=until)
            )
        return quotes

    async def _with_circuits(self, quotes: Sequence[RouteQuote]) -> list[RouteQuote]:
        """Return quotes in which panels that fail cannot take the order."""
        checked: list[RouteQuote] = []
        for each in quotes:
            quote = each
            if each.reason is None:
                until = await self.panels[each.panel].breaker.open_until()
                if until is not None:
                    quote = attrs.evolve(each, reason=_R.CIRCUIT_OPEN, until=until)
            checked.append(quote)
        return checked

    def _limit_reason(
        self, catalogue: Catalogue | None, price: Decimal | None, max_charge: Decimal | None
    ) -> RouteReason | None:
        """Return why the limits of an order keep it from a panel."""
        if max_charge is None and self.budget is None:
            return None
        if price is None:
            return _R.NO_PRICE
        if catalogue is not None and catalogue.is_stale:
            return _R.CATALOGUE_UNAVAILABLE
        return _R.TOO_EXPENSIVE if max_charge is not None and price > max_charge else None

    async def _catalogue(
        self, panel: str, deadline: Deadline, *, may_fetch: bool
    ) -> Catalogue | None:
        """Return the catalogue of a panel; None if it is not to be had in time, or is empty.

        A panel that fails may send an empty list, and no order may be refused for good for that.
        """
        client = self.panels[panel].client
        try:
            if not may_fetch:
                return await cached_catalogue(client) or None
            async with asyncio.timeout_at(deadline.at_s), asyncio.timeout(CATALOGUE_WAIT_S):
                return await client.services() or None
        except (TimeoutError, PanelError):
            return None

    async def _mismatched(self) -> dict[str, RouteReason]:
        """Return the panels whose currency is another one than that of the panels before them.

        Only panels without a rate of the caller's are compared; of one alone there is no need.
        """
        plain = [each for each in self.panels.values() if not each.has_rate]
        if len(self.panels) == 1 or not plain:
            return {}
        are_read = await asyncio.gather(*(each.read_currency() for each in plain))
        found: dict[str, RouteReason] = {}
        currency: str | None = None
        for each, is_read in zip(plain, are_read, strict=True):
            if not is_read:
                found[each.name] = _R.CATALOGUE_UNAVAILABLE
            elif currency is None:
                currency = each.currency
            elif each.currency is not None and each.currency != currency:
                found[each.name] = _R.CURRENCY_MISMATCH
        return found

    # --- their parts -----------------------------------------------------------------------------

    def _services_of(self, order: Order) -> Mapping[str, str]:
        if not self.products:
            return dict.fromkeys(self.panels, str(order.service))
        services = self.products.get(str(order.service))
        if services is None:
            reason = "is not a product of this desk"
            raise InvalidOrderError(
                type(order).__name__, "service", order.service, reason,
                code=InvalidCode.UNKNOWN_SERVICE,
            )  # fmt: skip
        return services

    def _require_price(
        self, quotes: Sequence[RouteQuote], max_charge: Decimal | None, *, is_known: bool
    ) -> Decimal | None:
        """Return the price of the first route; raise if a limit or the catalogues allow none."""
        chosen = self.router([each for each in quotes if each.reason is None])
        if chosen:
            return chosen[0].price
        reasons = {each.reason for each in quotes}
        prices = [
            each.price for each in quotes
            if each.reason is _R.TOO_EXPENSIVE and each.price is not None
        ]  # fmt: skip
        if prices and max_charge is not None and reasons <= LASTING_REASONS | {_R.TOO_EXPENSIVE}:
            raise SpendingLimitError("max_charge", min(prices), max_charge)
        if is_known:
            return None
        text = describe(quotes)
        if reasons <= LASTING_REASONS | {_R.NO_PRICE}:
            code = InvalidCode.UNKNOWN_PRICE if _R.NO_PRICE in reasons else InvalidCode.NOT_ALLOWED
            product = quotes[0].service if len(quotes) == 1 else "of the order"
            reason = f"cannot be taken by any panel: {text}"
            raise InvalidOrderError("OrderDesk", "service", product, reason, code=code)
        if _R.PAUSED in reasons or _R.CIRCUIT_OPEN in reasons:
            return None  # stored, and sent when the panel is back
        raise NotSentError(f"no panel can take the order now: {text}", action="add")


def describe(quotes: Sequence[RouteQuote]) -> str:
    """Return the reasons of some quotes as text."""
    return "; ".join(f"{each.panel}: {each.reason or 'can take it'}" for each in quotes)
