"""Admitting an order: check it, price it, enforce the limits, and create its journal entry."""

from datetime import timedelta
from decimal import Decimal

import attrs
from attrs import field, frozen

from ..catalogue import total_quantity
from ..errors import InvalidCode, InvalidOrderError
from ..journal import DEFAULT_PANEL, Entry, EntryState, Journal, NewEntry, parse_ref
from ..orders import Order
from .deadline import NO_DEADLINE, Deadline
from .own_transactions import OwnTransactions
from .pricing import Pricing, check_max_charge
from .quoting import Quoting

__all__ = ["MAY_BE_STORED", "PLACE_GRACE_S", "Admission", "is_amount"]

PLACE_GRACE_S = 60.0
"""Seconds for which an order that is being placed here is left to its caller; a running desk takes
over older ones, as after a crash."""

_S = EntryState

MAY_BE_STORED = (
    "nothing was sent, but the order may have been stored, and a running desk sends it then; place"
    " it again with the same ref, or withdraw it"
)
"""What is certain if the commit that makes an order ready to be sent was not waited for."""


@frozen(kw_only=True)
class Admission:
    """Creates the entries of one account."""

    journal: Journal
    pricing: Pricing | Quoting
    """For a desk over one panel, or for one that sells products."""
    is_account_given: bool
    """Whether the caller named the account: otherwise another key, or another address of the same
    panel, makes another one, in which the same ref would be ordered again."""
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
        form, routes = self.pricing.encode(order)
        _parse_max_charge(max_charge, type(order).__name__)
        # A transaction may hold locks: others should not wait for them as long as for the panel.
        may_fetch = connection is None
        async with deadline.limit_journal("nothing was stored or sent"):
            now = await self.journal.now()
            is_known = await self.journal.find(ref, connection=connection) is not None
        price = None
        if not is_known:
            price = await self.pricing.price_order(
                order, max_charge, deadline, is_known=False, may_fetch=may_fetch
            )
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
            routes=routes,
        )
        budget = None if is_known else self.pricing.budget
        async with deadline.limit_journal(MAY_BE_STORED):
            entry = await self.journal.create(
                new,
                budget=budget,
                connection=connection,
                is_only_account=not self.is_account_given,
            )
        if connection is not None:
            self.own_transactions.add(connection)
        if is_known and entry.state in (_S.PREPARED, _S.HELD):
            # The limit is stored first, so that no running desk sends the order above it meanwhile.
            await self.pricing.price_order(
                order, entry.max_charge, deadline, is_known=True, may_fetch=may_fetch
            )
        return entry

    async def price_again(
        self, ref: str, max_charge: Decimal | None, deadline: Deadline, panel: str | None = None
    ) -> Decimal | None:
        """Return today's price of an order that is to be sent again; None if no limit needs it.

        With `panel`, the one there.

        Raises if it is above the order's limit, or above `max_charge` if one is given.
        """
        _parse_max_charge(max_charge, "OrderDesk")
        async with deadline.limit_journal("nothing was changed or sent"):
            entry = await self.journal.find(ref)
        if entry is None or entry.state not in (_S.REFUSED, _S.WITHDRAWN) or not entry.form:
            return None  # the journal rejects it
        if panel is not None:
            _check_route(entry, panel)
            entry = attrs.evolve(entry, panel=panel, is_pinned=True)
        limit = entry.max_charge if max_charge is None else max_charge
        price = await self.pricing.price_entry(entry, limit, deadline)
        check_max_charge(price, limit)
        return price


def _check_route(entry: Entry, panel: str) -> None:
    """Raise `InvalidOrderError` unless an order may go to a panel."""
    known = list(entry.routes) or [DEFAULT_PANEL]
    if panel not in known:
        reason = f"is not a panel of order {entry.ref!r}: {', '.join(known)}"
        code = InvalidCode.NOT_ALLOWED
        raise InvalidOrderError("OrderDesk.retry", "panel", panel, reason, code=code)


def _parse_max_charge(max_charge: object, owner: str) -> None:
    if max_charge is not None and not is_amount(max_charge):
        reason = "is not a finite Decimal of at least 0"
        code = InvalidCode.NOT_A_NUMBER
        raise InvalidOrderError(owner, "max_charge", max_charge, reason, code=code)


def is_amount(value: object) -> bool:
    """Return whether a value is an amount of money: a finite `Decimal` of at least 0."""
    return isinstance(value, Decimal) and value.is_finite() and value >= 0
