"""The refills of the sandbox: which were requested, and their progress. Pure.

A refill is pending, then in progress, then completed or rejected, as the seed and its id determine.
It costs nothing and does not change its order. It is final within
`lifecycle.MAX_LIFECYCLE_S`.
"""

from collections.abc import Iterator
from enum import StrEnum
from random import Random

from attrs import define, frozen

__all__ = ["FINAL_REFILL_STATES", "RefillBook", "RefillState", "StoredRefill", "parse_refill_state"]

PENDING_S = (60.0, 30 * 60.0)
"""Shortest and longest time before a refill starts, in panel seconds (assumed)."""

WORK_S = (5 * 60.0, 2 * 3600.0)
"""Shortest and longest duration of a refill, in panel seconds (assumed)."""

REJECTED_SHARE = 0.15
"""Share of refills that are rejected (assumed)."""


class RefillState(StrEnum):
    """The status of a refill; the value is the text that the panel prints (seen)."""

    PENDING = "Pending"
    """Accepted, not started."""
    IN_PROGRESS = "In progress"
    """Being delivered."""
    COMPLETED = "Completed"
    """Final: the lost pieces were delivered again."""
    REJECTED = "Rejected"
    """Final: the panel found nothing to refill."""


FINAL_REFILL_STATES = frozenset({RefillState.COMPLETED, RefillState.REJECTED})
"""States that a refill never leaves on its own."""


def parse_refill_state(word: str) -> RefillState:
    """Return the state with this name, ignoring case, outer spaces and `_`; ValueError if none."""
    normalized = word.lower().replace("_", " ").strip()
    for state in RefillState:
        if state.lower() == normalized:
            return state
    raise ValueError(f"{word!r} is not a refill status; use one of {', '.join(RefillState)}")


@frozen(kw_only=True)
class StoredRefill:
    """The stored data of one refill at one moment."""

    refill: str
    """The id, as text."""
    order: str
    """The id of the order that is refilled."""
    status: RefillState
    """The status; it compares equal to the text that the panel prints."""
    created_s: float
    """Creation time in panel seconds."""

    @property
    def is_final(self) -> bool:
        """Whether its status no longer changes on its own."""
        return self.status in FINAL_REFILL_STATES


@define(kw_only=True)
class _Record:
    """The mutable data of one refill."""

    order: str
    created_s: float
    started_at_s: float  # age
    ended_at_s: float  # age
    outcome: RefillState
    lifecycle_start_s: float  # `created_s`, unless a manually set state moved it
    final_state: RefillState | None = None  # a final state that was set manually

    def state_at(self, now_s: float) -> RefillState:
        age_s = now_s - self.lifecycle_start_s
        if self.final_state is not None:
            return self.final_state
        if age_s >= self.ended_at_s:
            return self.outcome
        return RefillState.PENDING if age_s < self.started_at_s else RefillState.IN_PROGRESS


class RefillBook:
    """All refills, by ids that count up from 1. Times are panel seconds."""

    def __init__(self, *, seed: int, max_refills: int) -> None:
        """`max_refills` is the number of refills stored; a full book accepts no more."""
        self._seed = seed
        self._max_refills = max_refills
        self._records: dict[str, _Record] = {}
        self._last_by_order: dict[str, str] = {}

    def __contains__(self, refill: str) -> bool:
        return refill in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def has_open(self, order: str, now_s: float) -> bool:
        """Return whether the last refill of an order exists and is not final."""
        last = self._last_by_order.get(order)
        return last is not None and not self.snapshot(last, now_s).is_final

    def insert(self, order: str, now_s: float) -> str | None:
        """Store a refill and return its id; None (and nothing stored) if the book is full."""
        if len(self._records) >= self._max_refills:
            return None
        refill = str(len(self._records) + 1)
        random = Random(f"{self._seed}/refill/{refill}")  # noqa: S311  # no secret
        started_at_s = random.uniform(*PENDING_S)
        self._records[refill] = _Record(
            order=order,
            created_s=now_s,
            started_at_s=started_at_s,
            ended_at_s=started_at_s + random.uniform(*WORK_S),
            outcome=(
                RefillState.REJECTED if random.random() < REJECTED_SHARE else RefillState.COMPLETED
            ),
            lifecycle_start_s=now_s,
        )
        self._last_by_order[order] = refill
        return refill

    def set_state(self, refill: str, state: RefillState, now_s: float) -> None:
        """Set the state of a refill manually. A final state stays; any other continues from there.

        Raises KeyError for an unknown refill.
        """
        record = self._records[refill]
        record.final_state = state if state in FINAL_REFILL_STATES else None
        age_s = record.started_at_s if state is RefillState.IN_PROGRESS else 0.0
        record.lifecycle_start_s = now_s - age_s

    def snapshot(self, refill: str, now_s: float) -> StoredRefill:
        """Return one refill as it is at `now_s`; KeyError for an unknown id."""
        record = self._records[refill]
        return StoredRefill(
            refill=refill,
            order=record.order,
            status=record.state_at(now_s),
            created_s=record.created_s,
        )
