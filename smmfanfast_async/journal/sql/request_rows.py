"""Conversions between rows of `smm_requests` and the values of `journal`; no statements."""

from datetime import datetime
from typing import Any

import attrs

from ..._text import sanitize
from ...errors import ErrorKind
from .. import (
    FINAL_REFILL_STATUSES,
    MAX_REASON_CHARACTERS,
    OPEN_REQUEST_STATES,
    EventKind,
    OrderRequest,
    RefillClaim,
    RefillObservation,
    RequestKind,
    RequestOutcome,
    RequestState,
)
from .checks import MAX_STATUS_CHARACTERS
from .rows import Row
from .schema import stored_time

__all__ = [
    "apply_refill_observation",
    "claim_from_row",
    "has_changed",
    "new_request_row",
    "refill_row",
    "request_event_row",
    "request_from_row",
    "request_outcome_values",
]

_R = RequestState
_SAME_NAMES = (
    "ref", "number", "attempt", "panel", "refill", "raw_status", "reason", "decided_by",
    "created_at", "sent_at", "changed_at", "settled_at",
)  # fmt: skip
"""Columns that are fields of `OrderRequest` with the same name."""

_EVENT_KINDS = {
    RequestKind.REFILL: EventKind.REFILL_CHANGED,
    RequestKind.CANCEL: EventKind.CANCEL_CHANGED,
}


def new_request_row(
    order: Row,
    kind: RequestKind,
    number: int,
    *,
    decided_by: str,
    due_at: datetime,
    now: datetime,
) -> dict[str, Any]:
    """Return the row of a new request about an order that the panel has."""
    return {
        "account": order["account"],
        "ref": order["ref"],
        "kind": kind.value,
        "number": number,
        "panel": order["panel"],
        "panel_order": order["panel_order"],
        "decided_by": decided_by,
        "created_at": now,
        "state": _R.PREPARED.value,
        "attempt": 0,
        "due_at": due_at,
        "changed_at": now,
        "claim_version": 0,
    }


def request_from_row(row: Row) -> OrderRequest:
    """Return the request of its row."""
    error_kind = row["error_kind"]
    return OrderRequest(
        kind=RequestKind(row["kind"]),
        state=_R(row["state"]),
        order=row["panel_order"],
        error_kind=ErrorKind(error_kind) if error_kind else None,
        **{name: row[name] for name in _SAME_NAMES},
    )


def request_outcome_values(outcome: RequestOutcome, now: datetime) -> dict[str, Any]:
    """Return the columns that a transition with this outcome sets."""
    values: dict[str, Any] = {
        "state": outcome.state.value,
        "slot": None,
        "lease_until": None,
        "due_at": outcome.due_at,
        "error_kind": outcome.error_kind.value if outcome.error_kind else None,
        "reason": sanitize(outcome.reason or "", MAX_REASON_CHARACTERS) or None,
        "changed_at": now,
        "settled_at": None if outcome.state in OPEN_REQUEST_STATES else now,
    }
    return values | ({"refill": outcome.refill} if outcome.refill else {})


# --- checks of refills ---------------------------------------------------------------------------


def claim_from_row(row: Row) -> RefillClaim:
    """Return the claim of a refill's row."""
    return RefillClaim(
        key=row["id"],
        version=row["claim_version"],
        request=request_from_row(row),
        refill=row["refill"],
    )


def apply_refill_observation(observation: RefillObservation, now: datetime) -> OrderRequest:
    """Return the request as it is after a check."""
    request, status = observation.claim.request, observation.status
    reason = sanitize(observation.reason or "", MAX_REASON_CHARACTERS) or None
    after = attrs.evolve(request, error_kind=observation.error_kind, reason=reason)
    if status is not None:
        is_final = observation.is_final or status.status in FINAL_REFILL_STATUSES
        after = attrs.evolve(
            after,
            raw_status=sanitize(status.raw_status, MAX_STATUS_CHARACTERS),
            state=_R.FINISHED if is_final else request.state,
            settled_at=now if is_final else None,
        )
    return attrs.evolve(after, changed_at=now) if has_changed(request, after) else after


def has_changed(before: OrderRequest, after: OrderRequest) -> bool:
    """Return whether a check records an event: a new state or word, or another refusal."""
    return (before.state, before.raw_status, before.error_kind) != (
        after.state,
        after.raw_status,
        after.error_kind,
    )


def refill_row(observation: RefillObservation, after: OrderRequest) -> dict[str, Any]:
    """Return a row for the statement `record_refills`."""
    is_final = after.state is _R.FINISHED
    return {
        "id": observation.claim.key,
        "claim_version": observation.claim.version,
        "is_changed": int(has_changed(observation.claim.request, after)),
        "state": after.state.value,
        "due_at": None if is_final else stored_time(observation.due_at),
        "raw_status": after.raw_status,
        "error_kind": after.error_kind,
        "reason": after.reason,
        "settled_at": stored_time(after.settled_at),
    }


# --- events --------------------------------------------------------------------------------------


def request_event_row(row: Row, now: datetime, *, text: str | None = None) -> dict[str, Any]:
    """Return the row of an event about a request; its position is added later."""
    is_purged = row["decided_by"] is None  # and no `purge` would find this text
    return {
        "account": row["account"],
        "at": now,
        "ref": row["ref"],
        "kind": _EVENT_KINDS[RequestKind(row["kind"])].value,
        "attempt": row["attempt"],
        "panel": row["panel"],
        "panel_order": row["panel_order"],
        "raw_status": row["raw_status"],
        "charge": None,
        "remains": None,
        "text": None if is_purged else sanitize(text or "", MAX_REASON_CHARACTERS) or None,
        "request_state": row["state"],
    }
