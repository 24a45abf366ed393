"""Statements on events and on the positions of their consumers."""

from sqlalchemy import BigInteger, Integer, bindparam, select, update

from ..schema import accounts, consumers, events
from .common import ACCOUNT

__all__ = [
    "ACKNOWLEDGE",
    "CONSUMER_POSITION",
    "EVENTS_AFTER",
    "EVENT_AT",
    "INSERT_EVENT",
    "RESERVE_POSITIONS",
]

RESERVE_POSITIONS = (
    update(accounts)
    .where(accounts.c.account == ACCOUNT)
    .values(last_event=accounts.c.last_event + bindparam("p_count", type_=BigInteger))
    .returning(accounts.c.last_event)
)
"""Reserve `p_count` positions, locking the account's row until the events are written."""

INSERT_EVENT = events.insert()
"""Append events."""

EVENTS_AFTER = (
    select(events)
    .where(events.c.account == ACCOUNT, events.c.position > bindparam("p_after"))
    .order_by(events.c.position)
    .limit(bindparam("p_limit", type_=Integer))
)
"""The next events after a position."""

EVENT_AT = select(events.c.at, events.c.ref, events.c.kind).where(
    events.c.account == ACCOUNT, events.c.position == bindparam("p_position")
)
"""What distinguishes an event from any other that could have its position."""

CONSUMER_POSITION = select(consumers.c.position).where(
    consumers.c.account == ACCOUNT, consumers.c.consumer == bindparam("p_consumer")
)
"""The position that a consumer has acknowledged."""

ACKNOWLEDGE = (
    update(consumers)
    .where(
        consumers.c.account == ACCOUNT,
        consumers.c.consumer == bindparam("p_consumer"),
        consumers.c.position < bindparam("p_position"),
    )
    .values(position=bindparam("p_position"))
)
"""Move a consumer's position, only forwards."""
