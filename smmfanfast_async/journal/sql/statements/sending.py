"""Statements that find the orders to be sent."""

from sqlalchemy import Integer, bindparam, func, select, update

from ..schema import UtcTime, has_state, orders
from .common import IN_ACCOUNT, NOW, S, c

__all__ = ["DUE_TO_SEND", "MAKE_HELD_DUE", "NEXT_DUE", "RELEASE_HELD"]

RELEASE_HELD = (
    update(orders)
    .where(IN_ACCOUNT, has_state(S.HELD), c.due_at <= NOW)
    .values(state=S.PREPARED)
    .returning(orders)
)
"""HELD → PREPARED if the wait is over."""

MAKE_HELD_DUE = (
    update(orders)
    .where(IN_ACCOUNT, has_state(S.HELD), c.link.in_(bindparam("p_links", expanding=True)))
    .values(due_at=NOW)
)
"""Make orders due that are held for one of the links: an order for it has ended."""

DUE_TO_SEND = (
    select(orders)
    .where(IN_ACCOUNT, has_state(S.PREPARED), c.due_at <= NOW)
    .order_by(c.due_at, c.id)
    .limit(bindparam("p_limit", type_=Integer))
)
"""PREPARED orders that are due, the longest due first."""

NEXT_DUE = select(
    *(
        select(func.min(c.due_at, type_=UtcTime))
        .where(IN_ACCOUNT, has_state(state))
        .scalar_subquery()
        .label(state.value)
        for state in (S.PREPARED, S.HELD, S.ACCEPTED)
    )
)
"""The earliest due time in each state that has one."""
