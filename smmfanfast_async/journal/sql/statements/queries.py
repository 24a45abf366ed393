"""Statements for people: lists of orders, and the deletion of personal data."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Integer,
    Text,
    Update,
    bindparam,
    literal_column,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from ....errors import ErrorKind
from ... import OPEN_STATES
from ..schema import UtcTime, events, has_state, orders
from .common import ACCOUNT, IN_ACCOUNT, S, c, json_rows

__all__ = [
    "PURGED_COLUMNS",
    "PURGED_EVENT_COLUMNS",
    "PURGE_PAGE",
    "SAME_LINK_AS_UNKNOWN",
    "UNKNOWN_ORDERS",
    "entries_page",
    "purge",
    "purge_events",
]

UNKNOWN_ORDERS = select(orders).where(IN_ACCOUNT, has_state(S.UNKNOWN)).order_by(c.id)
"""Orders whose outcome a person has to decide."""


_unknown = orders.alias("unknown")
_unknown_digests = select(_unknown.c.link_digest).where(
    _unknown.c.account == ACCOUNT,
    # As literals, as in `has_state`, for the partial index.
    _unknown.c.state == literal_column(f"'{S.UNKNOWN.value}'"),
    _unknown.c.link_digest.is_not(None),
)
SAME_LINK_AS_UNKNOWN = select(c.panel, c.link, c.ref, c.state, c.kind, c.sent_at).where(
    IN_ACCOUNT,
    c.link_digest.in_(_unknown_digests),
    or_(has_state(*sorted(OPEN_STATES)), c.kind == ErrorKind.DUPLICATE.value),
)
"""Orders with the link of an unknown one that are open or were reported as duplicates."""


def entries_page(conditions: Sequence[ColumnElement[bool]], size: int) -> Executable:
    """Return a query of a page of orders, the oldest first, after the id `p_after`."""
    return (
        select(orders)
        .where(IN_ACCOUNT, c.id > bindparam("p_after"), *conditions)
        .order_by(c.id)
        .limit(size)
    )


_after = bindparam("p_after", type_=UtcTime)
PURGE_PAGE = (
    select(c.created_at, c.id)
    .where(
        IN_ACCOUNT,
        c.created_at >= _after,  # for the index
        or_(c.created_at > _after, c.id > bindparam("p_after_id")),
        c.created_at < bindparam("p_older_than", type_=UtcTime),
    )
    .order_by(c.created_at, c.id)
    .limit(bindparam("p_limit", type_=Integer))
)
"""Some orders, the oldest first, after an order: whatever their state, to bound what is read."""


PURGED_COLUMNS = {"id": BigInteger}
"""The columns of a row of `purge`."""


def purge(*, is_sqlite: bool) -> ReturningUpdate[Any]:
    """Delete personal data of orders (`p_rows`, JSON with their ids) that are closed."""
    page = json_rows(PURGED_COLUMNS, is_sqlite=is_sqlite)
    has_content = or_(c.form.is_not(None), c.link.is_not(None), c.reason.is_not(None))
    return (
        update(orders)
        .where(c.id == page.c.id, not_(has_state(*sorted(OPEN_STATES))), has_content)
        .values(form=None, link=None, link_digest=None, reason=None)
        .returning(c.ref)
    )


PURGED_EVENT_COLUMNS = {"ref": Text}
"""The columns of a row of `purge_events`."""


def purge_events(*, is_sqlite: bool) -> Update:
    """Delete the messages in the events of orders (`p_rows`, JSON with their refs)."""
    purged = json_rows(PURGED_EVENT_COLUMNS, is_sqlite=is_sqlite)
    # A subquery, since SQLite would scan all events for a join with JSON.
    is_purged = events.c.ref.in_(select(purged.c.ref))
    has_text = events.c.text.is_not(None)
    return update(events).where(events.c.account == ACCOUNT, has_text, is_purged).values(text=None)
