"""Every SQL statement by name; one set serves both databases.

Bind parameters are named `p_…` since SQLAlchemy reserves the names of columns for the values of an
INSERT or UPDATE.
"""

from .common import insert_or_ignore
from .event_log import (
    ACKNOWLEDGE,
    ACKNOWLEDGE_ONCE,
    CLAIM_CONSUMER,
    CONSUMER,
    EVENT_AT,
    EVENTS_AFTER,
    INSERT_EVENT,
    RELEASE_CONSUMER,
    RESERVE_POSITIONS,
)
from .following import claim, record_statuses, release, reschedule_far_future
from .health import CIRCUIT, CONSUMERS, COUNTS, MAKE_DUE, PANELS, UPDATE_PANEL
from .money import (
    BUDGET_CHANGES,
    DAY_WITH_BUDGET_CHANGES,
    LOCK_BUDGET,
    ORDER_COUNTS,
    TAKE_BUDGET_CHANGES,
)
from .one_order import (
    BY_PANEL_ORDER,
    BY_REF,
    BY_REF_ELSEWHERE,
    BY_REF_LOCKED,
    EXPIRE_LEASES,
    POSTPONE,
    REFUSE,
    SET_MAX_CHARGE,
    START_ATTEMPT,
    TAKEN_SLOTS,
    transition,
)
from .overview import OVERDUE, orders_by_account
from .panels import CANCEL_CALL, OPEN_PANELS, PAUSE, RESERVE_CALL
from .queries import (
    PURGE_PAGE,
    SAME_LINK_AS_UNKNOWN,
    UNKNOWN_ORDERS,
    entries_page,
    purge,
    purge_events,
)
from .sending import DUE_TO_SEND, NEXT_DUE, POSTPONE_HELD, RELEASE_HELD, make_held_due
from .settling import LAST_EVENT, SOME_UNCHECKED, SOME_UNKNOWN, STOP_SETTLING

__all__ = [
    "ACKNOWLEDGE",
    "ACKNOWLEDGE_ONCE",
    "BUDGET_CHANGES",
    "BY_PANEL_ORDER",
    "BY_REF",
    "BY_REF_ELSEWHERE",
    "BY_REF_LOCKED",
    "CANCEL_CALL",
    "CIRCUIT",
    "CLAIM_CONSUMER",
    "CONSUMER",
    "CONSUMERS",
    "COUNTS",
    "DAY_WITH_BUDGET_CHANGES",
    "DUE_TO_SEND",
    "EVENTS_AFTER",
    "EVENT_AT",
    "EXPIRE_LEASES",
    "INSERT_EVENT",
    "LAST_EVENT",
    "LOCK_BUDGET",
    "MAKE_DUE",
    "NEXT_DUE",
    "OPEN_PANELS",
    "ORDER_COUNTS",
    "OVERDUE",
    "PANELS",
    "PAUSE",
    "POSTPONE",
    "POSTPONE_HELD",
    "PURGE_PAGE",
    "REFUSE",
    "RELEASE_CONSUMER",
    "RELEASE_HELD",
    "RESERVE_CALL",
    "RESERVE_POSITIONS",
    "SAME_LINK_AS_UNKNOWN",
    "SET_MAX_CHARGE",
    "SOME_UNCHECKED",
    "SOME_UNKNOWN",
    "START_ATTEMPT",
    "STOP_SETTLING",
    "TAKEN_SLOTS",
    "TAKE_BUDGET_CHANGES",
    "UNKNOWN_ORDERS",
    "UPDATE_PANEL",
    "claim",
    "entries_page",
    "insert_or_ignore",
    "make_held_due",
    "orders_by_account",
    "purge",
    "purge_events",
    "record_statuses",
    "release",
    "reschedule_far_future",
    "transition",
]
