"""What an error of an attempt means for its order in the journal. Pure."""

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
from ..journal import DEFAULT_PANEL, Entry, EntryState, Outcome
from .rate_limit import wait_after
from .routing import may_reroute

__all__ = [
    "HELD_RETRY_S",
    "LIMIT_RETRY_S",
    "NOT_SENT_RETRY_S",
    "PROVED_NOT_PLACED",
    "outcome_of_error",
]

HELD_RETRY_S = 600.0
"""Seconds after which a held order is retried: the order it waits for may not be one of ours."""

NOT_SENT_RETRY_S = 30.0
"""Seconds after which a running desk retries an order that was proved not sent."""

LIMIT_RETRY_S = 600.0
"""Seconds after which a running desk retries an order whose limit did not allow it: panels change
rates a few times a day (assumed), and a new day has a new budget."""

PROVED_NOT_PLACED = (NotSentError, ClosedError, InvalidSettingsError, RateLimitError)
"""Errors of an attempt after which there is no order, and nothing is wrong with the order itself.
The only setting that can fail this late is a key that is fetched anew for each call."""

_S = EntryState


def outcome_of_error(
    error: PanelError,
    entry: Entry,
    now: datetime,
    *,
    queue_active_links: bool,
    balance_after: Decimal | None = None,
    panel: str = DEFAULT_PANEL,
) -> Outcome:
    """Return the outcome that an error of an attempt at a panel means for its entry.

    A refusal that proves that there is no order goes on to the next panel, if one is left.

    "Active order with this link" is a refusal, but if an earlier attempt ended unknown, the active
    order may be that very one: only a person can decide.
    """
    reason = error.text
    if isinstance(error, RefusedError):
        if error.kind is ErrorKind.DUPLICATE and entry.was_unknown:
            return Outcome(state=_S.UNKNOWN, kind=error.kind, reason=reason)
        if error.kind is ErrorKind.DUPLICATE and queue_active_links:
            due_at = now + timedelta(seconds=HELD_RETRY_S)
            return Outcome(state=_S.HELD, kind=error.kind, reason=reason, due_at=due_at)
        if may_reroute(entry, panel, error.kind):
            return Outcome(
                state=_S.PREPARED, kind=error.kind, reason=reason, due_at=now, is_rerouted=True
            )
        return Outcome(state=_S.REFUSED, kind=error.kind, reason=reason)
    if isinstance(error, PROVED_NOT_PLACED):
        due_at = now + timedelta(seconds=wait_after(error, NOT_SENT_RETRY_S))
        return Outcome(state=_S.PREPARED, kind=error.kind, reason=reason, due_at=due_at)
    excerpt = error.excerpt if isinstance(error, OutcomeUnknownError) else ""
    return Outcome(
        state=_S.UNKNOWN,
        order=error.order,
        kind=error.kind,
        reason=f"{reason}: {excerpt}" if excerpt else reason,
        balance_after=balance_after,
        is_error_answer=isinstance(error, OutcomeUnknownError) and error.is_error_answer,
    )
