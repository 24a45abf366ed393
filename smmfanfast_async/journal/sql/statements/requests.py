"""Statements on refills and cancellations: find, start, change, claim and record them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Integer,
    Text,
    Update,
    and_,
    any_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from ... import OPEN_STATES, RequestKind, RequestState
from ..schema import OPEN_REQUEST, UtcTime, has_state, orders, requests
from .common import ACCOUNT, IN_ACCOUNT, NOW, S, c, json_rows

__all__ = [
    "CHECKED_REFILL_COLUMNS",
    "DUE_REQUESTS",
    "END_CANCELS",
    "EXPIRE_REQUESTS",
    "HASTEN_ORDER",
    "LAST_REQUEST",
    "POSTPONE_REQUEST",
    "PURGE_REQUESTS",
    "REQUEST",
    "START_REQUEST",
    "TAKEN_REQUEST_SLOTS",
    "claim_refills",
    "record_refills",
    "request_transition",
    "requests_page",
]

_r = requests.c
_R = RequestState
_here = _r.account == ACCOUNT
_of_order = and_(_here, _r.ref == bindparam("p_ref"), _r.kind == bindparam("p_kind"))
_FAR = bindparam("p_far", type_=UtcTime)
_UNTIL = bindparam("p_until", type_=UtcTime)
_LIMIT = bindparam("p_limit", type_=Integer)


def _in_state(*states: RequestState) -> ColumnElement[bool]:
    """Return the condition that a request is in one of the states, as literals."""
    return _r.state.in_([literal_column(f"'{state.value}'") for state in states])


LAST_REQUEST = select(requests).where(_of_order).order_by(_r.number.desc()).limit(1)
"""The last request of a kind about an order: no other one of the kind can be open."""

REQUEST = select(requests).where(_of_order, _r.number == bindparam("p_number")).with_for_update()
"""One request, locked until the end of the transaction."""

TAKEN_REQUEST_SLOTS = select(_r.slot).where(
    _here, _r.panel == bindparam("p_panel"), _r.slot.is_not(None)
)
"""The slots of the attempts in flight at a panel."""

_of_attempt = and_(
    _r.id == bindparam("p_id"),
    _in_state(_R.PREPARED),
    _r.attempt == bindparam("p_attempt", type_=Integer),
)
START_REQUEST = (
    update(requests)
    .where(_of_attempt)
    .values(
        state=_R.SENDING.value,
        attempt=_r.attempt + 1,
        slot=bindparam("p_slot", type_=Integer),
        owner=bindparam("p_owner", type_=Text),
        lease_until=_UNTIL,
        sent_at=NOW,
        due_at=None,
        error_kind=None,
        reason=None,
    )
    .returning(requests)
)
"""PREPARED → SENDING for the given attempt."""

POSTPONE_REQUEST = (
    update(requests)
    .where(
        _of_order,
        _r.number == bindparam("p_number"),
        _in_state(_R.PREPARED),
        _r.attempt == bindparam("p_attempt", type_=Integer),
    )
    .values(
        due_at=_UNTIL,
        error_kind=bindparam("p_error_kind", type_=Text),
        reason=bindparam("p_reason", type_=Text),
    )
)
"""Leave a PREPARED request unsent until a later time, with the reason."""


def request_transition(values: dict[str, Any]) -> Update:
    """Update a request if it still is in that state and attempt (`p_id`, `p_state`, …)."""
    return (
        update(requests)
        .where(
            _r.id == bindparam("p_id"),
            _r.state == bindparam("p_state"),
            _r.attempt == bindparam("p_attempt", type_=Integer),
        )
        .values(values)
        .returning(requests)
    )


HASTEN_ORDER = (
    update(orders)
    .where(IN_ACCOUNT, c.ref == bindparam("p_ref"), has_state(S.ACCEPTED), c.due_at > _UNTIL)
    .values(due_at=_UNTIL)
)
"""Make an accepted order due sooner."""

EXPIRE_REQUESTS = (
    update(requests)
    .where(
        _here,
        _r.lease_until.is_not(None),  # for the partial index
        or_(_r.lease_until <= NOW, _r.lease_until > _FAR),
        _in_state(_R.SENDING),
    )
    .values(
        state=_R.UNKNOWN.value,
        slot=None,
        lease_until=None,
        changed_at=NOW,
        error_kind=bindparam("p_error_kind", type_=Text),
        reason=bindparam("p_reason", type_=Text),
    )
    .returning(requests)
)
"""SENDING → UNKNOWN if the lease has expired, or ends later than any lease can: then the clock was
set back."""

END_CANCELS = (
    update(requests)
    .where(
        _here,
        OPEN_REQUEST,
        _in_state(_R.PREPARED, _R.ACCEPTED, _R.UNKNOWN),
        _r.kind == literal_column(f"'{RequestKind.CANCEL.value}'"),
        c.account == _r.account,
        c.ref == _r.ref,
        has_state(S.FINISHED),
    )
    .values(
        state=_R.FINISHED.value,
        raw_status=c.raw_status,
        due_at=None,
        error_kind=None,
        reason=None,
        changed_at=NOW,
        settled_at=NOW,
    )
    .returning(requests)
)
"""End the cancellations of orders that are finished, except those that are being sent."""

_is_due = and_(_r.due_at.is_not(None), or_(_r.due_at <= NOW, _r.due_at > _FAR))
DUE_REQUESTS = select(requests).where(_here, _is_due).order_by(_r.due_at, _r.id).limit(_LIMIT)
"""Requests to be sent and refills to be checked that are due, the longest due first; what is due
later than any time that is set was so before the clock was set back."""


def claim_refills(*, is_sqlite: bool) -> ReturningUpdate[Any]:
    """Claim accepted refills at a panel that are due, as `claim` does with orders."""
    due = (
        select(_r.id)
        .where(_here, _is_due, _in_state(_R.ACCEPTED), _r.panel == bindparam("p_panel"))
        .order_by(_r.due_at)
        .limit(_LIMIT)
        .with_for_update(skip_locked=True)
    )
    is_claimed: ColumnElement[bool] = (
        _r.id.in_(due) if is_sqlite else _r.id == any_(func.array(due.scalar_subquery()))
    )
    return (
        update(requests)
        .where(is_claimed)
        .values(claim_version=_r.claim_version + 1, due_at=_UNTIL)
        .returning(requests)
    )


def record_refills(*, is_sqlite: bool) -> Update:
    """Record a batch of checks (`p_rows`, JSON), each only if its claim is still valid."""
    checked = json_rows(CHECKED_REFILL_COLUMNS, is_sqlite=is_sqlite)
    is_changed = checked.c.is_changed == 1
    return (
        update(requests)
        .where(
            _r.id == checked.c.id,
            _r.claim_version == checked.c.claim_version,
            _in_state(_R.ACCEPTED),
        )
        .values(
            claim_version=_r.claim_version + 1,
            changed_at=case((is_changed, NOW), else_=_r.changed_at),
            **{
                name: checked.c[name]
                for name in ("state", "due_at", "raw_status", "error_kind", "reason", "settled_at")
            },
        )
        .returning(requests)
    )


CHECKED_REFILL_COLUMNS: Mapping[str, Any] = {
    "id": BigInteger,
    "claim_version": BigInteger,
    "is_changed": Integer,
    "state": Text,
    "due_at": BigInteger,
    "raw_status": Text,
    "error_kind": Text,
    "reason": Text,
    "settled_at": BigInteger,
}
"""The columns of a row of `record_refills`."""


def requests_page(conditions: Sequence[ColumnElement[bool]], size: int) -> Executable:
    """Return a query of a page of requests, the oldest first, after the id `p_after`."""
    return (
        select(requests)
        .where(_here, _r.id > bindparam("p_after"), *conditions)
        .order_by(_r.id)
        .limit(size)
    )


_has_text = or_(_r.reason.is_not(None), _r.decided_by.is_not(None))
_is_order_open = exists().where(
    c.account == _r.account, c.ref == _r.ref, has_state(*sorted(OPEN_STATES))
)
_to_purge = (
    select(_r.id)
    .where(
        _here,
        _r.created_at < bindparam("p_older_than", type_=UtcTime),
        _has_text,
        _in_state(_R.REFUSED, _R.FINISHED),
        ~_is_order_open,
    )
    .order_by(_r.created_at)
    .limit(_LIMIT)
)
PURGE_REQUESTS = (
    update(requests)
    .where(_r.id.in_(_to_purge))
    .values(reason=None, decided_by=None)
    .returning(_r.ref)
)
"""Delete the texts of requests that are over, about orders that are; returns their refs."""
