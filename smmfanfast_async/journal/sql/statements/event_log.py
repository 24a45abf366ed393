"""Statements on events and on the positions of their consumers."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Executable,
    Integer,
    Table,
    Text,
    and_,
    bindparam,
    case,
    or_,
    select,
    update,
)

from ..schema import UtcTime, accounts, consumers, events
from .common import ACCOUNT, NOW, json_rows

__all__ = [
    "ACKNOWLEDGE",
    "ACKNOWLEDGE_ONCE",
    "CLAIM_CONSUMER",
    "CONSUMER",
    "EVENTS_AFTER",
    "EVENT_AT",
    "EVENT_COLUMNS",
    "RELEASE_CONSUMER",
    "RESERVE_POSITIONS",
    "events_after",
    "insert_events",
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

EVENT_COLUMNS: Mapping[str, Any] = {
    "position": BigInteger,
    "at": BigInteger,
    "ref": Text,
    "kind": Text,
    "attempt": Integer,
    "panel": Text,
    "panel_order": Text,
    "raw_status": Text,
    "charge": Text,
    "remains": BigInteger,
    "text": Text,
    "request_state": Text,
}
"""The columns of a row of `insert_events`."""


@cache
def insert_events(*, is_sqlite: bool) -> Executable:
    """Append events of an account (`p_rows`, JSON)."""
    rows = json_rows(EVENT_COLUMNS, is_sqlite=is_sqlite)
    return events.insert().from_select(["account", *EVENT_COLUMNS], select(ACCOUNT, *rows.c))


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
