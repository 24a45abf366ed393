"""Statements on events and on the positions of their consumers."""

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Executable,
    Integer,
    Table,
    and_,
    bindparam,
    case,
    or_,
    select,
    update,
)

from ..schema import UtcTime, accounts, consumers, events
from .common import ACCOUNT, NOW

__all__ = [
    "ACKNOWLEDGE",
    "ACKNOWLEDGE_ONCE",
    "CLAIM_CONSUMER",
    "CONSUMER",
    "EVENTS_AFTER",
    "EVENT_AT",
    "INSERT_EVENT",
    "RELEASE_CONSUMER",
    "RESERVE_POSITIONS",
    "events_after",
    "reserve_positions",
]


def reserve_positions(last: Column[int]) -> Executable:
    """Return the statement for the events whose last position is in a column of `accounts`."""
    reserved = last + bindparam("p_count", type_=BigInteger)
    here = accounts.c.account == ACCOUNT
    return update(accounts).where(here).values({last: reserved}).returning(last)


def events_after(log: Table) -> Executable:
    """Return the statement for the events in a table."""
    return (
        select(log)
        .where(log.c.account == ACCOUNT, log.c.position > bindparam("p_after"))
        .order_by(log.c.position)
        .limit(bindparam("p_limit", type_=Integer))
    )


RESERVE_POSITIONS = reserve_positions(accounts.c.last_event)
"""Reserve `p_count` positions, locking the account's row until the events are written."""

INSERT_EVENT = events.insert()
"""Append events."""

EVENTS_AFTER = events_after(events)
"""The next events after a position."""

EVENT_AT = select(events.c.at, events.c.ref, events.c.kind).where(
    events.c.account == ACCOUNT, events.c.position == bindparam("p_position")
)
"""What distinguishes an event from any other that could have its position."""

_x = consumers.c
_HERE = and_(
    _x.account == ACCOUNT,
    _x.stream == bindparam("p_stream"),
    _x.consumer == bindparam("p_consumer"),
)
_OWNER: ColumnElement[str] = bindparam("p_owner")
_UNTIL = bindparam("p_until", type_=UtcTime)
_POSITION = bindparam("p_position", type_=BigInteger)
_VERSION = bindparam("p_version", type_=BigInteger)

CONSUMER = select(_x.position, _x.owner, _x.claim_version).where(_HERE)
"""The position that a consumer has acknowledged, and who reads it."""

_free = (
    select(_x.consumer)
    .where(
        _HERE,
        or_(
            _x.lease_until.is_(None),
            _x.lease_until <= NOW,
            _x.leased_at > NOW,  # the clock was set back since
            _x.owner == _OWNER,
        ),
    )
    # A row that is locked is one whose worker is about to acknowledge: it is in use.
    .with_for_update(skip_locked=True)
    .cte("free")
)
CLAIM_CONSUMER = (
    update(consumers)
    .where(
        _x.account == ACCOUNT,
        _x.stream == bindparam("p_stream"),
        _x.consumer.in_(select(_free.c.consumer)),
    )
    .values(
        owner=_OWNER,
        leased_at=NOW,
        lease_until=_UNTIL,
        claim_version=_x.claim_version + case((_x.owner == _OWNER, 0), else_=1),
    )
    .returning(_x.position, _x.claim_version)
)
"""Claim a consumer whose lease is over, or renew the owner's own claim."""

RELEASE_CONSUMER = (
    update(consumers)
    .where(_HERE, _x.claim_version == _VERSION)
    .values(lease_until=None, owner=None)
    .returning(_x.consumer)
)
"""End the lease of the latest claim."""

ACKNOWLEDGE = (
    update(consumers)
    .where(_HERE, _x.claim_version == _VERSION)
    .values(
        position=case((_x.position < _POSITION, _POSITION), else_=_x.position),
        leased_at=NOW,
        lease_until=_UNTIL,
    )
    .returning(_x.position)
)
"""Move a consumer's position under the latest claim, only forwards."""

ACKNOWLEDGE_ONCE = ACKNOWLEDGE.where(_x.position < _POSITION)
"""The same, for effects that must happen once: it finds no row the second time."""
