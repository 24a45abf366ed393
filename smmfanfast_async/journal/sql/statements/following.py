"""Statements on the orders that are followed: claim, release and record checks."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, Integer, Text, Update, bindparam, case, literal, select, update

from ... import EntryState
from ..schema import UtcTime, has_state, orders
from .common import IN_ACCOUNT, NOW, S, c, json_rows

__all__ = ["CLAIM", "record_statuses", "release", "reschedule_far_future"]

# Rows that another desk has locked are being claimed by it: skipped, not waited for (PostgreSQL).
_due = (
    select(c.id)
    .where(IN_ACCOUNT, has_state(S.ACCEPTED), c.due_at <= NOW)
    .order_by(c.due_at)
    .limit(bindparam("p_limit", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("due")
)
CLAIM = (
    update(orders)
    .where(c.id.in_(select(_due.c.id)))
    .values(claim_version=c.claim_version + 1, due_at=bindparam("p_until", type_=UtcTime))
    .returning(orders)
)
"""Claim what is due. A claim expires by itself: the order is due again after the lease."""


def release(*, is_sqlite: bool) -> Update:
    """Make claimed orders due again (`p_rows`, JSON), each only if its claim is still valid."""
    released = json_rows(_RELEASE_COLUMNS, is_sqlite=is_sqlite)
    return (
        update(orders)
        .where(
            c.id == released.c.id,
            c.claim_version == released.c.claim_version,
            has_state(S.ACCEPTED),
        )
        .values(claim_version=c.claim_version + 1, due_at=released.c.due_at)
    )


def reschedule_far_future(state: EntryState) -> Update:
    """Make due what is due later than any time that is set (`p_far`): the clock was set back."""
    far = (
        select(c.id)
        .where(IN_ACCOUNT, has_state(state), c.due_at > bindparam("p_far", type_=UtcTime))
        .limit(bindparam("p_limit", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("far")
    )
    rescheduled = update(orders).where(c.id.in_(select(far.c.id))).values(due_at=NOW)
    return rescheduled.returning(c.id)


def record_statuses(*, is_sqlite: bool) -> Update:
    """Record a batch of checks (`p_rows`, JSON), each only if its claim is still valid."""
    checked = json_rows(_STATUS_COLUMNS, is_sqlite=is_sqlite)
    is_final = checked.c.is_final == literal(1)
    return (
        update(orders)
        .where(
            c.id == checked.c.id,
            c.claim_version == checked.c.claim_version,
            has_state(S.ACCEPTED),
        )
        .values(
            state=case((is_final, S.FINISHED.value), else_=c.state),
            claim_version=c.claim_version + 1,
            **{name: checked.c[name] for name in ("due_at", *_REPORTED_COLUMNS)},
        )
        .returning(c.id)
    )


_RELEASE_COLUMNS: Mapping[str, Any] = {
    "id": BigInteger,
    "claim_version": BigInteger,
    "due_at": BigInteger,
}
"""The columns of a row of `release`."""

_REPORTED_COLUMNS: Mapping[str, Any] = {
    "raw_status": Text,
    "status": Text,
    "charge": Text,
    "currency": Text,
    "start_count": BigInteger,
    "remains": BigInteger,
    "checked_at": BigInteger,
    "changed_at": BigInteger,
    "miss_count": Integer,
}
"""The columns that a check of an order sets."""

_STATUS_COLUMNS = {**_RELEASE_COLUMNS, "is_final": Integer, **_REPORTED_COLUMNS}
"""The columns of a row of `record_statuses`."""
