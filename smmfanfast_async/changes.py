"""What changed of an order between two looks at it. Pure."""

from enum import StrEnum

from attrs import frozen

from .errors import PanelError
from .results import OrderStatus, Status

__all__ = ["ChangeKind", "StatusChange", "change_of"]


class ChangeKind(StrEnum):
    """What happened to an order, as a word; the first that fits, from the top."""

    MISSING = "missing"
    """The panel does not know the id, or left it out three times running: `error` says which."""
    FINISHED = "finished"
    """Nothing more will happen to it."""
    UNKNOWN_WORD = "unknown_word"
    """The panel's word is none that we know; `after.raw_status` has it."""
    BACKWARDS = "backwards"
    """It stands nearer to its begin than before, such as completed → in progress."""
    FIRST = "first"
    """The first look at it."""
    STATUS = "status"
    """It moved on."""
    PROGRESS = "progress"
    """Its word is the same, a number is not: what remains, what it cost."""


@frozen(kw_only=True)
class StatusChange:
    """A change of one order, told by `Client.watch`."""

    order: str
    """The panel's id."""
    kind: ChangeKind
    """What happened."""
    before: OrderStatus | None
    """How it stood when this watcher was last told; None at the first time."""
    after: OrderStatus | None
    """How it stands; None where it is missing."""
    error: PanelError | None = None
    """Why it is missing; None otherwise."""


_STEPS = {
    Status.PENDING: 0,
    Status.AWAITING: 0,
    Status.PROCESSING: 1,
    Status.IN_PROGRESS: 2,
    Status.ACTIVE: 2,
    Status.COMPLETED: 3,
    Status.PARTIAL: 3,
    Status.CANCELED: 3,
    Status.REFUNDED: 3,
    Status.EXPIRED: 3,
}
"""How far an order is, in the order of the panel's script (seen); a word that is not here, such as
paused or error, is neither further nor nearer."""


def change_of(
    order: str, before: OrderStatus | None, after: OrderStatus, *, is_over: bool = False
) -> StatusChange | None:
    """Say what changed of an order, None if nothing did.

    `is_over` says that nothing more will happen to it, where the panel has a word of its own.
    """
    if before is not None and before.is_equivalent_to(after):
        return None
    kind = ChangeKind.FINISHED if is_over or after.is_final else _kind(before, after)
    return StatusChange(order=order, kind=kind, before=before, after=after)


def _kind(before: OrderStatus | None, after: OrderStatus) -> ChangeKind:
    word = after.status
    normalize_word = before is not None and before.raw_status == after.raw_status
    if word is Status.UNKNOWN and not normalize_word:
        return ChangeKind.UNKNOWN_WORD
    if before is None:
        return ChangeKind.FIRST
    if before.status in _STEPS and word in _STEPS and _STEPS[word] < _STEPS[before.status]:
        return ChangeKind.BACKWARDS
    return ChangeKind.PROGRESS if normalize_word else ChangeKind.STATUS
