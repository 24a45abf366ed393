"""Admitting an order: check it, price it, enforce the limits, and create its journal entry."""

from datetime import timedelta
from decimal import Decimal

from attrs import frozen

from .._wire.encode import encode_order
from ..catalogue import total_quantity
from ..errors import InvalidCode, InvalidOrderError
from ..journal import Entry, EntryState, Journal, NewEntry, parse_ref
from ..orders import Order
from .pricing import Pricing, check_max_charge

__all__ = ["PLACE_GRACE_S", "Admission", "is_amount"]

PLACE_GRACE_S = 60.0
"""Seconds for which an order that is being placed here is left to its caller; a running desk takes
over older ones, as after a crash."""

_S = EntryState


@frozen(kw_only=True)
class Admission:
    """Creates the entries of one account."""

    journal: Journal
    pricing: Pricing
    is_account_given: bool
    """Whether the caller named the account: otherwise another key, or another address of the same
    panel, makes another one, in which the same ref would be ordered again."""

    async def create_entry(
        self,
        order: Order,
        ref: str,
        max_charge: Decimal | None,
        *,
        connection: object | None = None,
        wait_s: float | None = None,
    ) -> Entry:
        """Create the entry of an order, or return the one that already has its ref.

        `connection` is a transaction of the caller's own; a running desk then sends the order.
        `wait_s` limits the wait for the catalogue.
        """
        ref = parse_ref(ref)
        form = encode_order(order, self.pricing.client.profile)
        _parse_max_charge(max_charge, type(order).__name__)
        now = await self.journal.now()
        price, is_known = None, await self.journal.find(ref) is not None
        if not is_known:
            price = await self.pricing.price_order(order, max_charge, wait_s, is_known=False)
        grace_s = 0.0 if connection is not None else PLACE_GRACE_S
        new = NewEntry(
            ref=ref,
            form=form,
            link=form.get("link"),
            quantity=total_quantity(order),
            price=price,
            max_charge=max_charge,
            due_at=now + timedelta(seconds=grace_s),
            budget_day=now.date().isoformat(),
        )
        budget = None if is_known else self.pricing.budget
        entry = await self.journal.create(
            new,
            budget=budget,
            connection=connection,
            is_only_account=not self.is_account_given,
        )
        if is_known and entry.state in (_S.PREPARED, _S.HELD):
            # The limit is stored first, so that no running desk sends the order above it meanwhile.
            await self.pricing.price_order(order, entry.max_charge, wait_s, is_known=True)
        return entry

    async def price_again(
        self, ref: str, max_charge: Decimal | None, wait_s: float | None
    ) -> Decimal | None:
        """Return today's price of an order that is to be sent again; None if no limit needs it.

        Raises if it is above the order's limit, or above `max_charge` if one is given.
        """
        _parse_max_charge(max_charge, "OrderDesk")
        entry = await self.journal.find(ref)
        if entry is None or entry.state not in (_S.REFUSED, _S.WITHDRAWN) or not entry.form:
            return None  # the journal rejects it
        limit = entry.max_charge if max_charge is None else max_charge
        price = await self.pricing.price_entry(entry, limit, wait_s)
        check_max_charge(price, limit)
        return price


def _parse_max_charge(max_charge: object, owner: str) -> None:
    if max_charge is not None and not is_amount(max_charge):
        reason = "is not a finite Decimal of at least 0"
        code = InvalidCode.NOT_A_NUMBER
        raise InvalidOrderError(owner, "max_charge", max_charge, reason, code=code)


def is_amount(value: object) -> bool:
    """Return whether a value is an amount of money: a finite `Decimal` of at least 0."""
    return isinstance(value, Decimal) and value.is_finite() and value >= 0
