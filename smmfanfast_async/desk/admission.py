"""An order on its way into the journal: checked, priced, held against limits, written down."""

import asyncio
from datetime import timedelta
from decimal import Decimal

from attrs import frozen

from .._wire.encode import add_form
from ..catalogue import Catalogue, total_quantity
from ..client import Client
from ..errors import InvalidOrderError, NotSentError, PanelError, RefusedError, SpendingLimitError
from ..journal import Entry, Journal, NewEntry, parse_ref
from ..orders import Order

__all__ = ["PLACE_GRACE_S", "Admission", "is_amount"]

PLACE_GRACE_S = 60.0
"""Seconds for which an order that is being placed here is left to its caller; a running desk takes
up those that are older, as after a crash."""


@frozen(kw_only=True)
class Admission:
    """Writes orders down, for one account."""

    client: Client
    journal: Journal
    budget: Decimal | None
    """What the orders of a UTC day may cost together; None for no bound."""

    async def create_entry(
        self,
        order: Order,
        ref: str,
        max_charge: Decimal | None,
        *,
        connection: object | None = None,
        wait_s: float | None = None,
    ) -> Entry:
        """Write an order down, or give the entry that has its ref already.

        `connection` is a transaction of the caller's own; a running desk sends the order then.
        `wait_s` bounds the waiting for the catalogue.
        """
        ref = parse_ref(ref)
        form = add_form(order, self.client.profile)
        if max_charge is not None and not is_amount(max_charge):
            where = type(order).__name__
            raise InvalidOrderError(where, "max_charge", max_charge, "is no amount as a Decimal")
        now = await self.journal.now()
        # What is known already is not priced again: its service may have gone, or cost more.
        is_known = await self.journal.find(ref) is not None
        price = None if is_known else await self._price(order, max_charge, wait_s)
        grace_s = 0.0 if connection is not None else PLACE_GRACE_S
        new = NewEntry(
            ref=ref,
            form=form,
            link=form.get("link"),
            quantity=total_quantity(order),
            price=price,
            due_at=now + timedelta(seconds=grace_s),
            budget_day=now.date().isoformat(),
        )
        budget = None if is_known else self.budget
        return await self.journal.create(new, budget=budget, connection=connection)

    async def _price(
        self, order: Order, max_charge: Decimal | None, wait_s: float | None
    ) -> Decimal | None:
        """Check an order, and give its price; raise where that breaks a limit, or can't be told."""
        catalogue = await self._catalogue(wait_s)
        catalogue.check(order)
        price = catalogue.quote(order)
        limit = self.budget if max_charge is None else max_charge
        if limit is None:
            return price
        name = "budget_per_day" if max_charge is None else "max_charge"
        if price is None:
            reason = f"can't be held: the price of service {order.service} is not known before"
            raise InvalidOrderError(type(order).__name__, name, limit, reason)
        if catalogue.is_stale:
            text = f"{name} can't be held: the catalogue could not be fetched anew"
            raise NotSentError(text, action="add")
        if max_charge is not None and price > max_charge:
            raise SpendingLimitError("max_charge", price, max_charge)
        return price

    async def _catalogue(self, wait_s: float | None) -> Catalogue:
        """Give the catalogue; where it can't be had, nothing of the order was sent."""
        try:
            async with asyncio.timeout(wait_s):
                return await self.client.services()
        except TimeoutError as error:
            text = f"the catalogue was not there within {wait_s:g} s"
            raise NotSentError(text, action="add") from error
        except PanelError as error:
            if isinstance(error, RefusedError) or not error.maybe_sent:
                raise
            # That the catalogue was asked for is no sending of the order.
            text = f"the catalogue can't be had: {error.text or error.kind.value}"
            raise NotSentError(
                text, http_status=error.http_status, retry_after_s=error.retry_after_s, action="add"
            ) from error


def is_amount(value: object) -> bool:
    """Whether a value is an amount of money: a `Decimal` that is a number, and not below 0."""
    return isinstance(value, Decimal) and value.is_finite() and value >= 0
