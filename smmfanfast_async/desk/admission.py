"""Admitting an order: check it, price it, enforce the limits, and create its journal entry."""

import asyncio
from datetime import timedelta
from decimal import Decimal

from attrs import field, frozen

from .._wire.encode import add_form
from ..catalogue import Catalogue, total_quantity
from ..client import Client
from ..errors import InvalidOrderError, NotSentError, PanelError, RefusedError, SpendingLimitError
from ..journal import Entry, Journal, NewEntry, parse_ref
from ..orders import Order
from .deadline import NO_DEADLINE, Deadline
from .own_transactions import OwnTransactions

__all__ = ["MAY_BE_STORED", "PLACE_GRACE_S", "Admission", "is_amount"]

PLACE_GRACE_S = 60.0
"""Seconds for which an order that is being placed here is left to its caller; a running desk takes
over older ones, as after a crash."""

MAY_BE_STORED = (
    "nothing was sent, but the order may have been stored, and a running desk sends it then; place"
    " it again with the same ref, or withdraw it"
)
"""What is certain if the commit that makes an order ready to be sent was not waited for."""


@frozen(kw_only=True)
class Admission:
    """Creates the entries of one account."""

    client: Client
    journal: Journal
    budget: Decimal | None
    """What the orders of a UTC day may cost together; None for no limit."""
    own_transactions: OwnTransactions = field(factory=OwnTransactions)

    async def create_entry(
        self,
        order: Order,
        ref: str,
        max_charge: Decimal | None,
        *,
        deadline: Deadline = NO_DEADLINE,
        connection: object | None = None,
    ) -> Entry:
        """Create the entry of an order, or return the one that already has its ref.

        `connection` is a transaction of the caller's own; a running desk then sends the order.
        `deadline` limits the waits for the journal and for the catalogue.
        """
        ref = parse_ref(ref)
        if connection is None:
            self.own_transactions.check_none_open(ref)
        form = add_form(order, self.client.profile)
        if max_charge is not None and not is_amount(max_charge):
            name = type(order).__name__
            reason = "is not a finite Decimal of at least 0"
            raise InvalidOrderError(name, "max_charge", max_charge, reason)
        async with deadline.limit_journal("nothing was stored or sent"):
            now = await self.journal.now()
            # An existing entry is not priced again: its service may be gone, or cost more.
            is_known = await self.journal.find(ref, connection=connection) is not None
        price = None
        if not is_known:
            # A transaction may hold locks: nobody should wait for them as long as for the panel.
            catalogue = (
                await self._fetch_catalogue(deadline)
                if connection is None
                else await self._cached_catalogue()
            )
            price = self._check_price(catalogue, order, max_charge)
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
        async with deadline.limit_journal(MAY_BE_STORED):
            entry = await self.journal.create(new, budget=budget, connection=connection)
        if connection is not None:
            self.own_transactions.add(connection)
        return entry

    def _check_price(
        self, catalogue: Catalogue, order: Order, max_charge: Decimal | None
    ) -> Decimal | None:
        """Check an order and return its price; raise if that breaks a limit or is not known."""
        catalogue.check(order)
        price = catalogue.quote(order)
        limit = self.budget if max_charge is None else max_charge
        if limit is None:
            return price
        name = "budget_per_day" if max_charge is None else "max_charge"
        if price is None:
            reason = (
                f"cannot be enforced: the price of service {order.service} is not known in advance"
            )
            raise InvalidOrderError(type(order).__name__, name, limit, reason)
        if catalogue.is_stale:
            text = f"{name} cannot be enforced: the catalogue could not be refreshed"
            raise NotSentError(text, action="add")
        if max_charge is not None and price > max_charge:
            raise SpendingLimitError("max_charge", price, max_charge)
        return price

    async def _cached_catalogue(self) -> Catalogue:
        """Return the catalogue without a call to the panel, or raise `NotSentError`."""
        try:
            # It is returned before the time-out if it is in memory, and not waited for otherwise.
            async with asyncio.timeout(0):
                return await self.client.services()
        except TimeoutError as error:
            text = (
                "the catalogue in memory is missing or too old, and is not fetched inside your"
                " transaction; call `await client.services()` before it begins"
            )
            raise NotSentError(text, action="add") from error

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


def is_amount(value: object) -> bool:
    """Return whether a value is an amount of money: a finite `Decimal` of at least 0."""
    return isinstance(value, Decimal) and value.is_finite() and value >= 0
