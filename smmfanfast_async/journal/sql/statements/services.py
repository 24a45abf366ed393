"""Statements on watched services, and on the events about them."""

from sqlalchemy import BigInteger, ColumnElement, Integer, bindparam, select, union, update

from ... import OPEN_STATES
from ..schema import UtcTime, accounts, has_state, orders, panels, service_events, services
from .common import ACCOUNT, IN_ACCOUNT, S, c
from .event_log import events_after, reserve_positions
from .panels import IN_PANEL

__all__ = [
    "INSERT_SERVICE",
    "INSERT_SERVICE_EVENT",
    "PREPARED_FORMS",
    "RESERVE_SERVICE_POSITIONS",
    "SENT_SERVICES",
    "SERVICES",
    "SERVICE_EVENTS_AFTER",
    "UPDATE_SERVICE",
    "UPDATE_WATCH",
]

_PANEL: ColumnElement[str] = bindparam("p_panel")
_LIMIT = bindparam("p_limit", type_=Integer)

# One query per state, because each has an index of its own.
_sent = (
    select(c.service)
    .where(IN_ACCOUNT, has_state(state), c.routes.is_(None))
    .limit(_LIMIT)
    .subquery(state.value)
    for state in sorted(OPEN_STATES, key=list(S).index)
)
SENT_SERVICES = union(*(select(each.c.service) for each in _sent))
"""The services of some open orders that were sent, each once."""

PREPARED_FORMS = (
    select(orders.c.form)
    .where(IN_ACCOUNT, has_state(S.PREPARED), c.service.is_(None), c.routes.is_(None))
    .limit(_LIMIT)
)
"""The forms of some orders that were never sent, which have no service yet."""

_s = services.c
SERVICES = select(services).where(_s.account == ACCOUNT, _s.panel == _PANEL)
"""What is kept of a panel's services."""

INSERT_SERVICE = services.insert()
"""Keep new services."""

UPDATE_SERVICE = (
    update(services)
    .where(_s.account == ACCOUNT, _s.panel == _PANEL, _s.service == bindparam("p_service"))
    .values(
        row=bindparam("p_row"),
        checked_at=bindparam("p_checked_at", type_=UtcTime),
        missing_since=bindparam("p_missing_since", type_=UtcTime),
        is_removed=bindparam("p_is_removed"),
    )
)
"""Keep what a service is now."""

UPDATE_WATCH = update(panels).where(
    IN_PANEL, panels.c.watch_version == bindparam("p_version", type_=BigInteger)
)
"""Change a panel under the latest claim to watch it; the caller adds the values."""

RESERVE_SERVICE_POSITIONS = reserve_positions(accounts.c.last_service_event)
"""Reserve `p_count` positions, locking the account's row until the events are written."""

INSERT_SERVICE_EVENT = service_events.insert()
"""Append events."""

SERVICE_EVENTS_AFTER = events_after(service_events)
"""The next events after a position."""
