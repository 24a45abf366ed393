"""Statements on the panels of an account: the rate of calls, and which have open orders."""

from sqlalchemy import BigInteger, and_, bindparam, case, cast, exists, func, or_, select, update

from ... import OPEN_STATES
from ..schema import UtcTime, has_state, orders, panels
from .common import ACCOUNT, NOW, S

__all__ = ["CANCEL_CALL", "IN_PANEL", "OPEN_PANELS", "PAUSE", "RESERVE_CALL"]

IN_PANEL = and_(panels.c.account == ACCOUNT, panels.c.panel == bindparam("p_panel"))
"""The row of a panel."""

_next_call_at = func.coalesce(panels.c.next_call_at, NOW)
# What is further ahead than any queue or pause is long was written before the clock was set back.
_far = bindparam("p_far", type_=UtcTime)
_not_before_now = case(
    (_next_call_at > _far, NOW),
    (_next_call_at > NOW, _next_call_at),
    else_=NOW,
)
_not_before_pause_ends = case(
    (panels.c.paused_until > _far, _not_before_now),
    (panels.c.paused_until > _not_before_now, panels.c.paused_until),
    else_=_not_before_now,
)
RESERVE_CALL = (
    update(panels)
    .where(IN_PANEL)
    .values(
        next_call_at=cast(_not_before_pause_ends, BigInteger)
        + bindparam("p_interval", type_=BigInteger)
    )
    .returning(panels.c.next_call_at)
)
"""Reserve the next call; returns the earliest time of the one after it."""

CANCEL_CALL = (
    update(panels)
    .where(IN_PANEL, panels.c.next_call_at == bindparam("p_next_call_at", type_=UtcTime))
    .values(next_call_at=bindparam("p_call_at", type_=UtcTime))
)
"""Free the time of a call that is still the last one reserved."""

PAUSE = (
    update(panels)
    .where(
        IN_PANEL,
        or_(
            panels.c.paused_until.is_(None),
            panels.c.paused_until < bindparam("p_until", type_=UtcTime),
            panels.c.paused_until > _far,
        ),
    )
    .values(paused_until=bindparam("p_until", type_=UtcTime))
)
"""Pause the calls to a panel; a pause is never shortened, unless it is too far ahead."""

# One condition per state, because each has an index of its own.
_has_open = or_(
    *(
        exists().where(
            orders.c.account == panels.c.account,
            orders.c.panel == panels.c.panel,
            has_state(state),
        )
        for state in sorted(OPEN_STATES, key=list(S).index)
    )
)
OPEN_PANELS = select(panels.c.panel).where(panels.c.account == ACCOUNT, _has_open)
"""The panels with orders that are not over."""
