"""Decisions about single orders: apply one, or say why the order's state forbids it."""

from collections.abc import Callable, Collection
from datetime import timedelta
from decimal import Decimal

from attrs import frozen

from ..errors import InvalidCode, InvalidOrderError
from ..journal import Entry, EntryState, Journal, Outcome
from ..orders import parse_id
from .admission import PLACE_GRACE_S
from .arguments import parse_decided_by

__all__ = ["Decisions"]

_S = EntryState


@frozen
class Decisions:
    """Applies decisions to the orders of one account."""

    journal: Journal
    budget: Decimal | None
    """What the orders of a UTC day may cost together; None for no limit."""
    on_events: Callable[[], None]
    """Called after each decision."""

    async def resolve(
        self,
        ref: str,
        *,
        decided_by: str,
        order: int | str | None,
        placed: bool | None,
        note: str,
    ) -> Entry:
        """Record what happened to an order whose outcome is unknown; see `OrderDesk.resolve`."""
        if (order is None) == (placed is None) or placed:
            shown = f"order={order!r}, placed={placed!r}"
            reason = "must be either the panel's id or placed=False"
            raise InvalidOrderError("OrderDesk.resolve", "order", shown, reason)
        who = parse_decided_by(decided_by)
        if order is None:
            outcome = Outcome(state=_S.WITHDRAWN, reason=note or "not placed", decided_by=who)
        else:
            order_id = parse_id(order, "OrderDesk.resolve")
            now = await self.journal.now()
            outcome = Outcome(
                state=_S.ACCEPTED, order=order_id, reason=note or None, due_at=now, decided_by=who
            )
        rule = "only orders with an unknown outcome can be resolved"
        return await self._apply(ref, {_S.UNKNOWN}, outcome, rule)

    async def withdraw(self, ref: str, *, decided_by: str, note: str) -> Entry:
        """Withdraw an order that was not sent."""
        outcome = Outcome(
            state=_S.WITHDRAWN, reason=note or "withdrawn", decided_by=parse_decided_by(decided_by)
        )
        rule = "only prepared or held orders can be withdrawn"
        return await self._apply(ref, {_S.PREPARED, _S.HELD}, outcome, rule)

    async def retry(
        self,
        ref: str,
        *,
        decided_by: str,
        price: Decimal | None,
        max_charge: Decimal | None,
        panel: str | None = None,
    ) -> Entry:
        """Prepare a refused or withdrawn order to be sent again, by the caller of this first."""
        now = await self.journal.now()
        outcome = Outcome(
            state=_S.PREPARED,
            reason="to be sent again",
            due_at=now + timedelta(seconds=PLACE_GRACE_S),
            decided_by=decided_by,
        )
        rule = "only refused or withdrawn orders can be retried"
        return await self._apply(
            ref, {_S.REFUSED, _S.WITHDRAWN}, outcome, rule, budget_day=now.date().isoformat(),
            price=price, max_charge=max_charge, panel=panel,
        )  # fmt: skip

    async def _apply(
        self,
        ref: str,
        from_states: Collection[EntryState],
        outcome: Outcome,
        rule: str,
        *,
        budget_day: str | None = None,
        price: Decimal | None = None,
        max_charge: Decimal | None = None,
        panel: str | None = None,
    ) -> Entry:
        """Apply a decision; raise `InvalidOrderError` with the rule if the state forbids it.

        The other arguments are those of `Journal.apply_decision`.
        """
        entry = await self.journal.apply_decision(
            ref,
            from_states,
            outcome,
            budget_day=budget_day,
            budget=self.budget if budget_day else None,
            price=price,
            max_charge=max_charge,
            panel=panel,
        )
        self.on_events()
        if entry is not None:
            return entry
        current = await self.journal.find(ref)
        reason = f"is already {current.state}; {rule}" if current else "is not in the journal"
        code = InvalidCode.WRONG_STATE if current else InvalidCode.UNKNOWN_REF
        raise InvalidOrderError("OrderDesk", "ref", ref, reason, code=code)
