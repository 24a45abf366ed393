"""What the account spent and got back over time, in a bounded number of steps. Pure."""

import math
from decimal import Decimal

from attrs import define, frozen

from .money import EXACT, NO_MONEY

__all__ = ["MAX_STEPS", "MoneyLog", "MoneyStep"]

MAX_STEPS = 240
"""The most steps kept: as many bars as a chart can show. One more doubles their length."""

FIRST_STEP_S = 60.0
"""Length of a step at the start, in panel seconds: an order takes minutes to hours."""


@frozen(kw_only=True)
class MoneyStep:
    """The money moved within one step of time."""

    at_s: float
    """Start of the step in panel seconds."""
    spent: Decimal
    """Charged for orders."""
    refunded: Decimal
    """Refunded to the account."""
    added: Decimal
    """Added to the account by a person."""


@define
class _Sums:
    spent: Decimal = NO_MONEY
    refunded: Decimal = NO_MONEY
    added: Decimal = NO_MONEY

    def merge(self, other: "_Sums") -> None:
        self.spent = EXACT.add(self.spent, other.spent)
        self.refunded = EXACT.add(self.refunded, other.refunded)
        self.added = EXACT.add(self.added, other.added)


class MoneyLog:
    """Sums of the money that was moved, in total and by steps of time."""

    def __init__(self) -> None:
        """Start with nothing moved."""
        self.step_s = FIRST_STEP_S
        self._total = _Sums()
        self._sums: dict[int, _Sums] = {}

    @property
    def spent(self) -> Decimal:
        """All money charged for orders, refunded later or not."""
        return self._total.spent

    @property
    def refunded(self) -> Decimal:
        """All money refunded."""
        return self._total.refunded

    @property
    def added(self) -> Decimal:
        """All money added by a person."""
        return self._total.added

    @property
    def steps(self) -> tuple[MoneyStep, ...]:
        """The steps in which money was moved, the oldest first; each lasts `step_s`."""
        return tuple(
            MoneyStep(
                at_s=index * self.step_s,
                spent=sums.spent,
                refunded=sums.refunded,
                added=sums.added,
            )
            for index, sums in sorted(self._sums.items())
        )

    def record_charge(self, at_s: float, difference: Decimal) -> None:
        """Record that an order changed the balance by `difference`: negative if it cost money."""
        if difference > 0:
            self._record(at_s, _Sums(refunded=difference))
        elif difference < 0:
            self._record(at_s, _Sums(spent=EXACT.minus(difference)))

    def record_addition(self, at_s: float, amount: Decimal) -> None:
        """Record that a person changed the balance by `amount`."""
        self._record(at_s, _Sums(added=amount))

    def clear(self) -> None:
        """Forget everything."""
        self._total = _Sums()
        self._sums.clear()

    def _record(self, at_s: float, moved: _Sums) -> None:
        self._total.merge(moved)
        self._sums.setdefault(math.floor(at_s / self.step_s), _Sums()).merge(moved)
        while len(self._sums) > MAX_STEPS:
            self._halve()

    def _halve(self) -> None:
        older, self._sums = self._sums, {}
        self.step_s *= 2
        for index, sums in older.items():
            self._sums.setdefault(index // 2, _Sums()).merge(sums)
