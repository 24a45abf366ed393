"""Statements for people: lists of orders, and the deletion of personal data."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Executable, and_, bindparam, exists, not_, or_, select, update

from ... import OPEN_STATES
from ..schema import UtcTime, events, has_state, orders
from .common import ACCOUNT, IN_ACCOUNT, S, c

__all__ = ["PURGE", "PURGE_EVENTS", "UNKNOWN_ORDERS", "entries_page", "orders_with_links"]

UNKNOWN_ORDERS = select(orders).where(IN_ACCOUNT, has_state(S.UNKNOWN)).order_by(c.id)
"""Orders whose outcome a person has to decide."""


def orders_with_links(links: Sequence[str]) -> Executable:
    """Return a query of the orders for these links that are open or were reported as duplicates."""
    is_duplicate = c.kind == "duplicate"
    return select(c.link, c.ref, c.state, c.kind, c.sent_at).where(
        IN_ACCOUNT, c.link.in_(links), or_(has_state(*sorted(OPEN_STATES)), is_duplicate)
    )


def entries_page(conditions: Sequence[ColumnElement[bool]], size: int) -> Executable:
    """Return a query of a page of orders, the oldest first, after the id `p_after`."""
    return (
        select(orders)
        .where(IN_ACCOUNT, c.id > bindparam("p_after"), *conditions)
        .order_by(c.id)
        .limit(size)
    )


PURGE = (
    update(orders)
    .where(
        IN_ACCOUNT,
        not_(has_state(*sorted(OPEN_STATES))),
        c.created_at < bindparam("p_older_than", type_=UtcTime),
        or_(c.form.is_not(None), c.link.is_not(None), c.reason.is_not(None)),
    )
    .values(form=None, link=None, reason=None)
)
"""Delete personal data of closed orders."""

PURGE_EVENTS = (
    update(events)
    .where(
        events.c.account == ACCOUNT,
        events.c.text.is_not(None),
        exists().where(
            and_(
                c.account == events.c.account,
                c.ref == events.c.ref,
                c.form.is_(None),
                not_(has_state(*sorted(OPEN_STATES))),
            )
        ),
    )
    .values(text=None)
)
"""Delete the messages in their events."""
