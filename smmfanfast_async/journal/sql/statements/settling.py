"""Statements on the evidence by which unknown orders are settled, and on settling them."""

from sqlalchemy import Integer, bindparam, false, func, or_, select, true, update

from ..schema import UtcTime, accounts, has_state, orders
from .common import ACCOUNT, IN_ACCOUNT, S, c

__all__ = ["LAST_EVENT", "SAME_LINK", "SOME_UNCHECKED", "SOME_UNKNOWN", "STOP_SETTLING"]

LAST_EVENT = select(accounts.c.last_event).where(accounts.c.account == ACCOUNT)
"""The position of the account's last event."""

SOME_UNKNOWN = (
    select(orders)
    .where(IN_ACCOUNT, has_state(S.UNKNOWN))
    .order_by(c.id)
    .limit(bindparam("p_limit", type_=Integer))
)
"""Orders whose outcome is unknown, the oldest first, up to a limit."""

SAME_LINK = (
    select(orders)
    .where(
        IN_ACCOUNT,
        c.link_digest == bindparam("p_link_digest"),
        c.ref != bindparam("p_ref"),
        or_(
            has_state(S.PREPARED, S.HELD, S.SENDING, S.UNKNOWN),
            c.settled_at >= bindparam("p_since", type_=UtcTime),
        ),
    )
    .limit(bindparam("p_limit", type_=Integer))
)
"""Other orders with a link that may be at a panel by an id that is not known, or are there since a
time; up to a limit."""

SOME_UNCHECKED = (
    select(c.id)
    .where(
        IN_ACCOUNT,
        has_state(S.ACCEPTED),
        or_(
            c.checked_at.is_(None),
            c.checked_at < bindparam("p_since", type_=UtcTime),
            c.miss_count > 0,
            # In a JSON object, whose values have their quotes escaped.
            *(func.coalesce(c.form, "").like(f'%"{name}":%') for name in ("runs", "posts")),
        ),
    )
    .limit(1)
)
"""An accepted order that may have moved money since a time without that being known here."""

STOP_SETTLING = (
    update(orders)
    .where(
        IN_ACCOUNT,
        c.ref == bindparam("p_ref"),
        has_state(S.UNKNOWN),
        c.attempt == bindparam("p_attempt"),
        c.is_error_answer == true(),
    )
    .values(is_error_answer=false())
)
"""Leave an unknown order to a person."""
