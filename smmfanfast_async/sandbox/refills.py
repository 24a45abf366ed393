"""The refills of the sandbox: who asked for one, and how far it is. Pure.

A refill waits, is worked at, and is completed or rejected; the seed and its id alone decide how.
It costs nothing and changes nothing of its order. All of it ends within `life.MAX_LIFE_S`.
"""

from collections.abc import Iterator
from enum import StrEnum
from random import Random

from attrs import define, frozen

__all__ = ["FINAL_REFILL_STATES", "RefillBook", "RefillState", "StoredRefill", "parse_refill_state"]

PENDING_S = (60.0, 30 * 60.0)
"""The shortest and longest wait before a refill is begun, in panel seconds (assumed)."""

WORK_S = (5 * 60.0, 2 * 3600.0)
"""The shortest and longest work on a refill, in panel seconds (assumed)."""

REJECTED_SHARE = 0.15
"""How many refills are rejected in the end (assumed)."""


class RefillState(StrEnum):
    """Where a refill is; the value is the word that the panel prints (seen)."""

    PENDING = "Pending"
    """Taken, nothing done yet."""
    IN_PROGRESS = "In progress"
    """Pieces are coming again."""
    COMPLETED = "Completed"
    """Final: what was lost is there again."""
    REJECTED = "Rejected"
    """Final: the panel found nothing to refill."""


FINAL_REFILL_STATES = frozenset({RefillState.COMPLETED, RefillState.REJECTED})
"""States that a refill never leaves by itself."""


def parse_refill_state(word: str) -> RefillState:
    """Give the state a word means, without case, blanks and `_`; ValueError for none."""
    bare = word.lower().replace("_", " ").strip()
    for state in RefillState:
        if state.lower() == bare:
            return state
    raise ValueError(f"{word!r} is no status of a refill; there are: {', '.join(RefillState)}")


@frozen(kw_only=True)
class StoredRefill:
    """What the panel has stored of one refill, at one moment."""

    refill: str
    """The id, as text."""
    order: str
    """The id of the order that is refilled."""
    status: RefillState
    """A state; it compares equal to the word that the panel prints."""
    created_s: float
    """Panel seconds at which it was asked for."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.status in FINAL_REFILL_STATES


@define(kw_only=True)
class _Record:
    """One refill, as far as it changes."""

    order: str
    created_s: float
    started_at_s: float  # age
    ended_at_s: float  # age
    outcome: RefillState
    lifecycle_start_s: float  # `created_s`, until a state set by hand moves it
    final_state: RefillState | None = None  # a final state set by hand

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
        """`most` is how many are kept; a book that is full takes no more."""
        self._seed = seed
        self._max_refills = max_refills
        self._records: dict[str, _Record] = {}
        self._last_by_order: dict[str, str] = {}

    def __contains__(self, refill: str) -> bool:
        return refill in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def has_open(self, order: str, now_s: float) -> bool:
        """Whether a refill of an order is asked for and not final yet."""
        last = self._last_by_order.get(order)
        return last is not None and not self.snapshot(last, now_s).is_final

    def insert(self, order: str, now_s: float) -> str | None:
        """Store a refill and give its id; None (and nothing stored) if the book is full."""
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
        """Put a refill into a state by hand: a final one stays, any other goes on from there.

        KeyError for an unknown refill.
        """
        record = self._records[refill]
        record.final_state = state if state in FINAL_REFILL_STATES else None
        age_s = record.started_at_s if state is RefillState.IN_PROGRESS else 0.0
        record.lifecycle_start_s = now_s - age_s

    def snapshot(self, refill: str, now_s: float) -> StoredRefill:
        """Give one refill as it stands at `now_s`; KeyError if there is none."""
        record = self._records[refill]
        return StoredRefill(
            refill=refill,
            order=record.order,
            status=record.state_at(now_s),
            created_s=record.created_s,
        )
