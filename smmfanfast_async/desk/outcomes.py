"""What an answer of the panel, or the want of one, means for an order in the journal. Pure."""

from datetime import datetime, timedelta
from decimal import Decimal

from ..errors import (
    ClosedError,
    ErrorKind,
    InvalidSettingsError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    RateLimitError,
    RefusedError,
)
from ..journal import Entry, EntryState, Outcome
from .rate_limit import MAX_WAIT_S

__all__ = ["AGAIN_S", "HOLD_S", "outcome_of"]

HOLD_S = 600.0
"""Seconds after which an order that is held is tried again: what it waits for may not be ours."""

AGAIN_S = 30.0
"""Seconds after which a running desk tries again what was proved not sent."""

_S = EntryState


def outcome_of(
    error: PanelError,
    begun: Entry,
    now: datetime,
    *,
    queue_active_links: bool,
    balance_after: Decimal | None = None,
) -> Outcome:
    """Say what an error of an attempt means for its entry. Pure.

    "Active order with this link" is a refusal, but where an earlier attempt ended unknown it may be
    that very order: nobody decides that but a person.
    """
    reason = error.text
    if isinstance(error, RefusedError):
        if error.kind is ErrorKind.DUPLICATE and begun.was_unknown:
            return Outcome(state=_S.UNKNOWN, kind=error.kind, reason=reason)
        if error.kind is ErrorKind.DUPLICATE and queue_active_links:
            due_at = now + timedelta(seconds=HOLD_S)
            return Outcome(state=_S.HELD, kind=error.kind, reason=reason, due_at=due_at)
        return Outcome(state=_S.REFUSED, kind=error.kind, reason=reason)
    # Of settings the key alone can fail so late, and only one that is asked for anew each time.
    if isinstance(error, NotSentError | ClosedError | InvalidSettingsError | RateLimitError):
        wait_s = min(max(AGAIN_S, error.retry_after_s or 0.0), MAX_WAIT_S)
        due_at = now + timedelta(seconds=wait_s)
        return Outcome(state=_S.PREPARED, kind=error.kind, reason=reason, due_at=due_at)
    excerpt = error.excerpt if isinstance(error, OutcomeUnknownError) else ""
    return Outcome(
        state=_S.UNKNOWN,
        order=error.order,
        kind=error.kind,
        reason=f"{reason}: {excerpt}" if excerpt else reason,
        balance_after=balance_after,
    )
