"""Statements that find the orders to be sent."""

from sqlalchemy import Integer, Text, Update, bindparam, func, literal_column, select, update

from ..schema import UtcTime, has_state, orders
from .common import ACCOUNT, IN_ACCOUNT, NOW, S, c, json_rows

__all__ = ["DUE_TO_SEND", "NEXT_DUE", "POSTPONE_HELD", "RELEASE_HELD", "make_held_due"]

_held = orders.alias("held")
# One for each link: the panel takes one, and would refuse the others again.
_oldest_held = (
    select(func.min(_held.c.id))
    .where(
        _held.c.account == ACCOUNT,
        # As a literal, as in `has_state`, for the partial index.
        _held.c.state == literal_column(f"'{S.HELD.value}'"),
        _held.c.due_at.is_not(None),
    )
    .group_by(func.coalesce(_held.c.link, _held.c.ref))
)

RELEASE_HELD = (
    update(orders)
    .where(IN_ACCOUNT, has_state(S.HELD), c.due_at <= NOW, c.id.in_(_oldest_held))
    .values(state=S.PREPARED)
    .returning(orders)
)
"""HELD → PREPARED if the wait is over, for the oldest order of each link."""

POSTPONE_HELD = (
    update(orders)
    .where(IN_ACCOUNT, has_state(S.HELD), c.due_at <= NOW)
    .values(due_at=bindparam("p_later", type_=UtcTime))
)
"""Make the others wait again, after `RELEASE_HELD`."""


def make_held_due(*, is_sqlite: bool) -> Update:
    """Make the oldest order due that is held for each link (`p_rows`, JSON): one has ended."""
    ended = json_rows({"link": Text}, is_sqlite=is_sqlite)
    oldest = _oldest_held.where(_held.c.link.in_(select(ended.c.link)))
    return update(orders).where(IN_ACCOUNT, has_state(S.HELD), c.id.in_(oldest)).values(due_at=NOW)


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
        .where(IN_ACCOUNT, has_state(state), c.due_at.is_not(None))
        .scalar_subquery()
        .label(state.value)
        for state in (S.PREPARED, S.HELD, S.ACCEPTED, S.FINISHED)
    )
)
"""The earliest due time in each state that has one."""
