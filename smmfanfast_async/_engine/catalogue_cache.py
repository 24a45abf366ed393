"""What is on offer: the catalogue, kept for a while, and what an order may cost by it."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import attrs

from .._wire.decode import decode_services
from ..catalogue import Catalogue
from ..errors import InvalidOrderError, NoResponseError, NotSentError, SpendingLimitError
from ..orders import Order
from .cache import SingleFlightCache
from .runner import Runner, Settings

__all__ = ["CatalogueCache"]


class CatalogueCache:
    """The catalogue of one account, for all callers."""

    def __init__(self, calls: Runner, settings: Settings, *, ttl_s: float) -> None:
        self._calls = calls
        self._settings = settings
        self._ttl_s = ttl_s
        self._kept = SingleFlightCache(self._fetched, calls.clock.now_s)
        self._kept_raw = SingleFlightCache(partial(self._fetched, keep_raw=True), calls.clock.now_s)

    async def get(self, max_age_s: float | None, settings: Settings) -> Catalogue:
        """Give the catalogue, fetched anew if it is older than `max_age_s`; None for `ttl_s`."""
        self._calls.check_action("services")
        # Those with their raw texts are kept apart: they take twice as much, and few want them.
        kept, timeout_s = self._kept_raw if settings.keep_raw else self._kept, settings.timeout_s
        try:
            found = await kept.get(self._ttl_s if max_age_s is None else max_age_s, timeout_s)
        except TimeoutError as error:
            raise NoResponseError(f"no answer within {timeout_s:g} s", action="services") from error
        return attrs.evolve(found.value, is_stale=True) if found.is_stale else found.value

    async def check_price_limit(
        self, order: Order, max_charge: Decimal, wait_s: float | None
    ) -> None:
        """Raise where an order costs more than it may, or nobody can say what it costs.

        `NotSentError` where its price is not known within `wait_s`.
        """
        # A float says another number than was meant, and nothing is above one that is none.
        if type(max_charge) not in (Decimal, int) or not Decimal(max_charge).is_finite():
            raise InvalidOrderError(type(order).__name__, "max_charge", max_charge, "is no Decimal")
        try:
            async with asyncio.timeout(wait_s):
                price = await self._price(order)
        except TimeoutError as error:
            text = f"its price was not known within {wait_s:g} s"
            raise NotSentError(text, action="add") from error
        if price is None:
            reason = f"can't be held: the price of service {order.service} is not known before"
            raise InvalidOrderError(type(order).__name__, "max_charge", max_charge, reason)
        if price > max_charge:
            raise SpendingLimitError("max_charge", price, Decimal(max_charge))

    async def close(self) -> None:
        """End what is being fetched."""
        try:
            await self._kept.close()
        finally:
            await self._kept_raw.close()

    async def _price(self, order: Order) -> Decimal | None:
        self._calls.check_action("services")
        found = await self._kept.get(self._ttl_s)
        # A price that could not be looked up again is none to spend by: its error is raised.
        catalogue = await self._kept.refresh() if found.is_stale else found.value
        return catalogue.quote(order)

    async def _fetched(self, *, keep_raw: bool = False) -> Catalogue:
        profile = self._calls.profile
        rows = await self._calls.read(
            {"action": "services"},
            lambda reply: decode_services(reply, profile, keep_raw=keep_raw),
            attrs.evolve(self._settings, keep_raw=keep_raw),
        )
        return Catalogue.from_services(rows.services, datetime.now(UTC), rows.unreadable)
