"""The change of an order between two status checks. Pure."""

from enum import StrEnum

import msgspec

from .errors import PanelError
from .results import OrderStatus, Status

__all__ = ["ChangeKind", "StatusChange", "change_of"]


class ChangeKind(StrEnum):
    """What happened to an order. The first kind that applies, from the top."""

    MISSING = "missing"
    """The panel does not know the id, or left it out three times in a row; `error` says which."""
    FINISHED = "finished"
    """The status is final: nothing more will happen to the order."""
    UNKNOWN_WORD = "unknown_word"
    """The panel's status word is not a known one; `after.raw_status` has it."""
    BACKWARDS = "backwards"
    """The order went back to an earlier step, such as completed → in progress."""
    FIRST = "first"
    """The first status of the order."""
    STATUS = "status"
    """The status word changed otherwise."""
    PROGRESS = "progress"
    """The status word is the same but a number changed: remains, charge."""


class StatusChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change of one order, yielded by `Client.watch`."""

    order: str
    """The panel's id."""
    kind: ChangeKind
    """What happened."""
    before: OrderStatus | None
    """The status that this watcher was given last; None for the first change."""
    after: OrderStatus | None
    """The status after the change; None if the order is missing."""
    error: PanelError | None = None
    """Why the order is missing; None otherwise."""


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
"""How far an order is, in the order of the panel's script (seen). A status that is not listed, such
as paused or error, is neither earlier nor later."""


def change_of(
    order: str, before: OrderStatus | None, after: OrderStatus, *, is_final: bool = False
) -> StatusChange | None:
    """Return what changed, None if nothing did.

    `is_final` marks the order as final if the panel has a final status word of its own.
    """
    if before is not None and before.is_equivalent_to(after):
        return None
    kind = ChangeKind.FINISHED if is_final or after.is_final else _kind(before, after)
    return StatusChange(order=order, kind=kind, before=before, after=after)


def _kind(before: OrderStatus | None, after: OrderStatus) -> ChangeKind:
    status = after.status
    is_same_word = before is not None and before.raw_status == after.raw_status
    if status is Status.UNKNOWN and not is_same_word:
        return ChangeKind.UNKNOWN_WORD
    if before is None:
        return ChangeKind.FIRST
    if before.status in _STEPS and status in _STEPS and _STEPS[status] < _STEPS[before.status]:
        return ChangeKind.BACKWARDS
    return ChangeKind.PROGRESS if is_same_word else ChangeKind.STATUS
