"""Today's price of an order, and whether a limit can be held to it."""

import asyncio
from collections.abc import Mapping
from decimal import Decimal

from attrs import frozen

from .._amounts import EXACT
from .._wire.encode import Form, encode_order, escape_form
from ..catalogue import Catalogue, quote_form
from ..client import Client
from ..errors import (
    InvalidCode,
    InvalidOrderError,
    NotSentError,
    PanelError,
    RefusedError,
    SpendingLimitError,
)
from ..journal import DEFAULT_PANEL, Entry
from ..orders import Order
from .deadline import NO_DEADLINE, Deadline

__all__ = ["Pricing", "cached_catalogue", "check_max_charge"]

MAX_CACHED_AGE_S = 86_400.0
"""Seconds, a day: how old the catalogue may be that an order is priced by inside a transaction of
the caller's. Limits hold by the price of the day before each attempt in any case."""


@frozen(kw_only=True)
class Pricing:
    """Prices the orders of one account by the client's catalogue, and encodes them."""

    client: Client
    budget: Decimal | None
    """What the orders of a UTC day may cost together; None for no limit."""
    panel: str = DEFAULT_PANEL
    exchange_rate: Decimal = Decimal(1)
    """What a unit of the panel's currency is worth in the desk's."""

    def encode(self, order: Order) -> tuple[Form, Mapping[str, str]]:
        """Return the form of an order for the only panel, and no routes."""
        return encode_order(order, self.client.profile), {}

    def form_for(self, entry: Entry) -> Form:
        """Return the form of an order as this panel gets it."""
        if not entry.routes:
            return dict(entry.form)
        form = {**entry.form, "service": entry.routes[self.panel]}
        return escape_form(form, self.client.profile)

    def convert(self, amount: Decimal) -> Decimal:
        """Return an amount of the panel's currency in the desk's."""
        return amount if self.exchange_rate == 1 else EXACT.multiply(amount, self.exchange_rate)

    def quote(self, catalogue: Catalogue, form: Mapping[str, str], entry: Entry) -> Decimal | None:
        """Return today's price of an order in the panel's currency; None if it is not known."""
        earlier = entry.price if self.exchange_rate == 1 else None
        return quote_form(catalogue, form, entry.quantity, earlier)

    async def price_order(
        self,
        order: Order,
        max_charge: Decimal | None,
        deadline: Deadline,
        *,
        is_known: bool,
        may_fetch: bool,
    ) -> Decimal | None:
        """Return the price of an order, None if it is not known; raise if that breaks a limit.

        A new order is checked against the catalogue too. A known one was checked before, and
        without a limit it needs no price: None. `may_fetch` allows a call to the panel.
        """
        limit = self._limit(max_charge)
        if is_known and limit is None:
            return None
        catalogue = await (
            self._fetch_catalogue(deadline) if may_fetch else cached_catalogue(self.client)
        )
        if not is_known:
            catalogue.check(order)
        price = catalogue.quote(order)
        if limit is None:
            return price
        require_price(price, catalogue, limit, type(order).__name__, order.service)
        check_max_charge(price, max_charge)
        return price

    async def price_entry(
        self, entry: Entry, max_charge: Decimal | None, deadline: Deadline = NO_DEADLINE
    ) -> Decimal | None:
        """Return today's price of an order in the journal; None if no limit needs it.

        Raises `InvalidOrderError` if the price is not known, and `NotSentError` if the catalogue is
        not available: a limit cannot be enforced then.
        """
        limit = self._limit(max_charge)
        if limit is None and not entry.routes:
            return None
        catalogue = await self._fetch_catalogue(deadline)
        form = {**entry.form, "service": entry.routes[self.panel]} if entry.routes else entry.form
        price = self.quote(catalogue, form, entry)
        price = None if price is None else self.convert(price)
        if limit is not None:
            require_price(price, catalogue, limit, "OrderDesk", form.get("service"))
        return price

    def _limit(self, max_charge: Decimal | None) -> tuple[str, Decimal] | None:
        """Return the name and the amount of the limit that applies, None for no limit."""
        if max_charge is not None:
            return "max_charge", max_charge
        return None if self.budget is None else ("budget_per_day", self.budget)

    async def _fetch_catalogue(self, deadline: Deadline) -> Catalogue:
        """Return the catalogue; if that fails, raise an error that says nothing was ordered."""
        try:
            async with asyncio.timeout_at(deadline.at_s):
                return await self.client.services()
        except TimeoutError as error:
            text = f"timed out after {deadline.wait_s:g} s waiting for the catalogue"
            raise NotSentError(text, action="add") from error
        except PanelError as error:
            if isinstance(error, RefusedError) or not error.maybe_sent:
                raise
            # A catalogue request that was sent does not mean that the order was.
            text = f"the catalogue could not be fetched: {error.text or error.kind.value}"
            raise NotSentError(
                text, http_status=error.http_status, retry_after_s=error.retry_after_s, action="add"
            ) from error


async def cached_catalogue(client: Client) -> Catalogue:
    """Return the catalogue without a call to the panel, or raise `NotSentError`."""
    try:
        # It is returned before the time-out if it is in memory, and not waited for otherwise.
        async with asyncio.timeout(0):
            return await client.services(max_age_s=MAX_CACHED_AGE_S)
    except TimeoutError as error:
        text = (
            "the catalogue in memory is missing or too old, and is not fetched inside your"
            " transaction; call `await client.services()` before it begins"
        )
        raise NotSentError(text, action="add") from error


def require_price(
    price: Decimal | None,
    catalogue: Catalogue,
    limit: tuple[str, Decimal],
    owner: str,
    service: object,
) -> None:
    """Raise unless a price is known and from a current catalogue."""
    name, amount = limit
    if price is None:
        reason = f"cannot be enforced: the price of service {service} is not known in advance"
        raise InvalidOrderError(owner, name, amount, reason, code=InvalidCode.UNKNOWN_PRICE)
    if catalogue.is_stale:
        text = f"{name} cannot be enforced: the catalogue could not be refreshed"
        raise NotSentError(text, action="add")


def check_max_charge(price: Decimal | None, max_charge: Decimal | None) -> None:
    """Raise `SpendingLimitError` if a price is above the limit."""
    if price is not None and max_charge is not None and price > max_charge:
        raise SpendingLimitError("max_charge", price, max_charge)
