"""Statements on the orders that are followed: claim, release and record checks."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    Update,
    any_,
    bindparam,
    case,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from ... import EntryState
from ..schema import UtcTime, has_state, orders
from .common import IN_ACCOUNT, NOW, S, c, json_rows

__all__ = [
    "CHECKED_COLUMNS",
    "RELEASED_COLUMNS",
    "claim",
    "record_statuses",
    "release",
    "reschedule_far_future",
]


def claim(state: EntryState, *, is_sqlite: bool) -> ReturningUpdate[Any]:
    """Claim what is due at a panel in a state.

    A claim expires by itself: after the lease it is due again.
    """
    # Rows that another desk has locked are being claimed by it: skipped, not waited for.
    due = (
        select(c.id)
        .where(IN_ACCOUNT, c.panel == bindparam("p_panel"), has_state(state), c.due_at <= NOW)
        .order_by(c.due_at)
        .limit(bindparam("p_limit", type_=Integer))
        .with_for_update(skip_locked=True)
    )
    if is_sqlite:
        is_due: ColumnElement[bool] = c.id.in_(due)
    else:
        # As an array: for a table of unknown size, PostgreSQL would plan to read all orders.
        is_due = c.id == any_(func.array(due.scalar_subquery()))
    return (
        update(orders)
        .where(is_due)
        .values(claim_version=c.claim_version + 1, due_at=bindparam("p_until", type_=UtcTime))
        .returning(*_CLAIMED)
    )


def release(*, is_sqlite: bool) -> Update:
    """Make claimed orders due again (`p_rows`, JSON), each only if its claim is still valid."""
    released = json_rows(RELEASED_COLUMNS, is_sqlite=is_sqlite)
    return (
        update(orders)
        .where(
            c.id == released.c.id,
            c.claim_version == released.c.claim_version,
            has_state(S.ACCEPTED, S.FINISHED),
        )
        .values(claim_version=c.claim_version + 1, due_at=released.c.due_at)
    )


def reschedule_far_future(state: EntryState) -> Update:
    """Make due what is due later than any time that is set (`p_far`): the clock was set back.

    Of the accepted ones, those of a panel.
    """
    at_panel = [c.panel == bindparam("p_panel")] if state is S.ACCEPTED else []
    far = (
        select(c.id)
        .where(
            IN_ACCOUNT, *at_panel, has_state(state), c.due_at > bindparam("p_far", type_=UtcTime)
        )
        .limit(bindparam("p_limit", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("far")
    )
    rescheduled = update(orders).where(c.id.in_(select(far.c.id))).values(due_at=NOW)
    return rescheduled.returning(c.id)


def record_statuses(*, is_sqlite: bool) -> Update:
    """Record a batch of checks (`p_rows`, JSON), each only if its claim is still valid."""
    checked = json_rows(CHECKED_COLUMNS, is_sqlite=is_sqlite)
    is_final = checked.c.is_final == literal(1)
    return (
        update(orders)
        .where(
            c.id == checked.c.id,
            c.claim_version == checked.c.claim_version,
            has_state(S.ACCEPTED, S.FINISHED),
        )
        .values(
            state=case((is_final, S.FINISHED.value), else_=c.state),
            claim_version=c.claim_version + 1,
            **{name: checked.c[name] for name in ("due_at", *_REPORTED_COLUMNS)},
        )
        .returning(c.id)
    )


_LEFT_OUT = {
    "account", "digest", "link_digest", "budget", "budget_day", "due_at", "slot", "owner",
    "lease_until", "order_number", "status",
}  # fmt: skip
_CLAIMED = [column for column in c if column.name not in _LEFT_OUT]
"""What is read of a claimed order: its `Entry`, id and claim version."""

RELEASED_COLUMNS: Mapping[str, Any] = {
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

CHECKED_COLUMNS = {**RELEASED_COLUMNS, "is_final": Integer, **_REPORTED_COLUMNS}
"""The columns of a row of `record_statuses`."""
