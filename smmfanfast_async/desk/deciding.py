"""Decisions about single orders: apply one, or say why the order's state forbids it."""

from collections.abc import Callable, Collection
from decimal import Decimal

from attrs import frozen

from ..errors import InvalidCode, InvalidOrderError
from ..journal import Entry, EntryState, Journal, Outcome

__all__ = ["Decisions"]


@frozen(kw_only=True)
class Decisions:
    """Applies decisions to the orders of one account."""

    journal: Journal
    budget: Decimal | None
    """What the orders of a UTC day may cost together; None for no limit."""
    on_events: Callable[[], None]
    """Called after each decision."""

    async def apply(
        self,
        ref: str,
        from_states: Collection[EntryState],
        outcome: Outcome,
        rule: str,
        *,
        budget_day: str | None = None,
        price: Decimal | None = None,
        max_charge: Decimal | None = None,
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
        )
        self.on_events()
        if entry is not None:
            return entry
        current = await self.journal.find(ref)
        reason = f"is already {current.state}; {rule}" if current else "is not in the journal"
        code = InvalidCode.WRONG_STATE if current else InvalidCode.UNKNOWN_REF
        raise InvalidOrderError("OrderDesk", "ref", ref, reason, code=code)
