"""Statements that find the orders to be sent."""

from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    ScalarSelect,
    Text,
    Update,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)

from ... import EntryState
from ..schema import UtcTime, has_state, orders, panels
from .common import ACCOUNT, IN_ACCOUNT, NOW, S, c, json_rows

__all__ = [
    "DUE_TO_SEND",
    "ENDED_COLUMNS",
    "NEXT_DUE",
    "POSTPONE_HELD",
    "RELEASE_HELD",
    "earliest_at_panels",
    "make_held_due",
]

_held = orders.alias("held")
# One for each link and panel: the panel takes one, and would refuse the others again.
_oldest_held = (
    select(func.min(_held.c.id))
    .where(
        _held.c.account == ACCOUNT,
        # As a literal, as in `has_state`, for the partial index.
        _held.c.state == literal_column(f"'{S.HELD.value}'"),
        _held.c.due_at.is_not(None),
    )
    .group_by(_held.c.panel, func.coalesce(_held.c.link, _held.c.ref))
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


ENDED_COLUMNS = {"panel": Text, "link": Text}
"""The columns of a row of `make_held_due`."""


@cache
def make_held_due(*, is_sqlite: bool) -> Update:
    """Make the oldest order due that is held for each link (`p_rows`, JSON): one has ended.

    With a panel, what is held at that panel; without one, at any.
    """
    ended = json_rows(ENDED_COLUMNS, is_sqlite=is_sqlite)
    is_there = or_(ended.c.panel.is_(None), ended.c.panel == _held.c.panel)
    oldest = _oldest_held.where(
        _held.c.link.in_(select(ended.c.link)),
        exists().where(ended.c.link == _held.c.link, is_there),
    )
    return update(orders).where(IN_ACCOUNT, has_state(S.HELD), c.id.in_(oldest)).values(due_at=NOW)


DUE_TO_SEND = (
    select(orders)
    .where(IN_ACCOUNT, has_state(S.PREPARED), c.due_at <= NOW)
    .order_by(c.due_at, c.id)
    .limit(bindparam("p_limit", type_=Integer))
)
"""PREPARED orders that are due, the longest due first."""


def _earliest(state: EntryState, *conditions: ColumnElement[bool]) -> ScalarSelect[Any]:
    due = (has_state(state), c.due_at.is_not(None), *conditions)
    return select(func.min(c.due_at, type_=UtcTime)).where(IN_ACCOUNT, *due).scalar_subquery()


def earliest_at_panels(state: EntryState) -> ScalarSelect[Any]:
    """Return the earliest due time of a state whose index begins with the panel."""
    of_panel = _earliest(state, c.panel == panels.c.panel)
    per_panel = select(of_panel.correlate(panels).label("due_at"))
    each = per_panel.where(panels.c.account == ACCOUNT).subquery()
    return select(func.min(each.c.due_at, type_=UtcTime)).scalar_subquery()


NEXT_DUE = select(
    *(_earliest(state).label(state.value) for state in (S.PREPARED, S.HELD)),
    *(earliest_at_panels(state).label(state.value) for state in (S.ACCEPTED, S.FINISHED)),
)
"""The earliest due time in each state that has one."""
