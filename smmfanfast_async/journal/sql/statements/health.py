"""Statements about the state of an account: counts, circuits, and how far its consumers are."""

from typing import Any

from sqlalchemy import (
    Column,
    Executable,
    ScalarSelect,
    Table,
    and_,
    bindparam,
    func,
    select,
    update,
)

from ... import EntryState, RequestState, StreamKind
from ..schema import (
    OPEN_REQUEST,
    UtcTime,
    accounts,
    consumers,
    events,
    has_state,
    orders,
    panels,
    requests,
    service_events,
)
from .common import ACCOUNT, IN_ACCOUNT, NOW, S, c
from .panels import IN_PANEL
from .sending import earliest_at_panels

__all__ = [
    "CIRCUIT",
    "CONSUMERS",
    "COUNTS",
    "MAKE_DUE",
    "PANELS",
    "SERVICE_CONSUMERS",
    "UPDATE_PANEL",
]


def _of_state(state: EntryState, value: Any) -> ScalarSelect[Any]:
    return select(value).where(IN_ACCOUNT, has_state(state)).scalar_subquery()


# One subquery per state, because each has an index of its own.
COUNTS = select(
    *(
        _of_state(state, func.count()).label(state.value)
        for state in (S.PREPARED, S.HELD, S.SENDING, S.UNKNOWN)
    ),
    _of_state(S.UNKNOWN, func.min(c.settled_at, type_=UtcTime)).label("oldest_unknown_at"),
    _of_state(S.PREPARED, func.min(c.created_at, type_=UtcTime)).label("oldest_prepared_at"),
    earliest_at_panels(S.ACCEPTED).label("oldest_due_check_at"),
    select(func.count())
    # Both conditions: the first one is that of the index.
    .where(requests.c.account == ACCOUNT, OPEN_REQUEST)
    .where(requests.c.state == RequestState.UNKNOWN.value)
    .scalar_subquery()
    .label("requests_unknown"),
)
"""The numbers of orders in the states that need the desk or a person, and the oldest of them; and
of refills and cancellations whose outcome is unknown."""


def _consumers(stream: StreamKind, log: Table, last: Column[int]) -> Executable:
    last_event = select(last).where(accounts.c.account == ACCOUNT).scalar_subquery()
    is_next = and_(log.c.account == consumers.c.account, log.c.position == consumers.c.position + 1)
    return (
        select(
            consumers.c.consumer,
            consumers.c.position,
            (last_event - consumers.c.position).label("lag"),
            consumers.c.lease_until,
            log.c.at.label("oldest_at"),
        )
        .outerjoin(log, is_next)
        .where(consumers.c.account == ACCOUNT, consumers.c.stream == stream.value)
        .order_by(consumers.c.consumer)
    )


CONSUMERS = _consumers(StreamKind.ORDERS, events, accounts.c.last_event)
"""The consumers of events, and the first event that each has not acknowledged."""

SERVICE_CONSUMERS = _consumers(StreamKind.SERVICES, service_events, accounts.c.last_service_event)
"""The same for events about services."""

PANELS = select(panels).where(panels.c.account == ACCOUNT).order_by(panels.c.panel)
"""The panels of an account."""

CIRCUIT = select(panels).where(IN_PANEL)
"""One panel."""

UPDATE_PANEL = update(panels).where(IN_PANEL)
"""Change a panel; the caller adds the values."""

MAKE_DUE = (
    update(orders)
    .where(IN_ACCOUNT, has_state(S.PREPARED), c.due_at == bindparam("p_until", type_=UtcTime))
    .values(due_at=NOW)
)
"""Make orders due that were postponed to a time."""
