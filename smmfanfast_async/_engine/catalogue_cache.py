"""The cached service catalogue and the price checks based on it."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

import attrs

from .._wire.decode import decode_services
from ..catalogue import Catalogue
from ..errors import (
    InvalidCode,
    InvalidOrderError,
    NoResponseError,
    NotSentError,
    SpendingLimitError,
)
from ..orders import Order
from .cache import SingleFlightCache
from .runner import Runner, Settings

__all__ = ["CatalogueCache"]


class CatalogueCache:
    """The catalogue of one account, shared by all callers."""

    def __init__(self, runner: Runner, settings: Settings, *, ttl_s: float) -> None:
        self._runner = runner
        self._settings = settings
        self._ttl_s = ttl_s
        self._cache = SingleFlightCache(self._fetch, runner.clock.now_s)
        self._raw_cache = SingleFlightCache(partial(self._fetch, keep_raw=True), runner.clock.now_s)

    async def get(self, max_age_s: float | None, settings: Settings) -> Catalogue:
        """Return the catalogue, fetched again if it is older than `max_age_s` (None: `ttl_s`)."""
        self._runner.check_action("services")
        # Catalogues with raw texts are cached separately: they need twice the memory and are rare.
        cache, timeout_s = self._raw_cache if settings.keep_raw else self._cache, settings.timeout_s
        try:
            cached = await cache.get(self._ttl_s if max_age_s is None else max_age_s, timeout_s)
        except TimeoutError as error:
            raise NoResponseError(f"no answer within {timeout_s:g} s", action="services") from error
        return attrs.evolve(cached.value, is_stale=True) if cached.is_stale else cached.value

    async def check_price_limit(
        self, order: Order, max_charge: Decimal, wait_s: float | None
    ) -> None:
        """Raise if an order costs more than `max_charge`, or if its price cannot be known.

        Raises `SpendingLimitError` above the limit, `InvalidOrderError` if the limit is not an
        amount or the price is not known in advance, `NotSentError` if the catalogue is not fetched
        within `wait_s` seconds.
        """
        # A float is not exactly the amount that was meant, and no price is above a NaN.
        if type(max_charge) not in (Decimal, int) or not Decimal(max_charge).is_finite():
            owner, code = type(order).__name__, InvalidCode.NOT_A_NUMBER
            raise InvalidOrderError(owner, "max_charge", max_charge, "must be a Decimal", code=code)
        try:
            async with asyncio.timeout(wait_s):
                price = await self._fetch_price(order)
        except TimeoutError as error:
            text = f"timed out after {wait_s:g} s waiting for the price"
            raise NotSentError(text, action="add") from error
        if price is None:
            reason = (
                f"cannot be enforced: the price of service {order.service} is not known in advance"
            )
            owner, code = type(order).__name__, InvalidCode.UNKNOWN_PRICE
            raise InvalidOrderError(owner, "max_charge", max_charge, reason, code=code)
        if price > max_charge:
            raise SpendingLimitError("max_charge", price, Decimal(max_charge))

    async def close(self) -> None:
        """Cancel the fetches in flight."""
        try:
            await self._cache.close()
        finally:
            await self._raw_cache.close()

    async def _fetch_price(self, order: Order) -> Decimal | None:
        self._runner.check_action("services")
        cached = await self._cache.get(self._ttl_s)
        # A stale price is not a basis for spending: if it cannot be refreshed, the error is raised.
        catalogue = await self._cache.refresh() if cached.is_stale else cached.value
        return catalogue.quote(order)

    async def _fetch(self, *, keep_raw: bool = False) -> Catalogue:
        profile = self._runner.profile
        rows = await self._runner.read(
            {"action": "services"},
            lambda reply: decode_services(reply, profile, keep_raw=keep_raw),
            self._settings._replace(keep_raw=keep_raw),
        )
        return Catalogue.from_services(rows.services, datetime.now(UTC), rows.unreadable)
