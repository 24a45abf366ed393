"""Every SQL statement by name; one set serves both databases.

The two places where the databases differ are at the end of the module: how a list of rows is passed
as a parameter, and how an insert ignores an existing row. Bind parameters are named `p_…` since
SQLAlchemy reserves the names of columns for the values of an INSERT or UPDATE.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Executable,
    Integer,
    Subquery,
    Table,
    Text,
    Update,
    and_,
    bindparam,
    case,
    cast,
    column,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB

from .. import OPEN_STATES, SPENDING_STATES, EntryState
from .schema import UtcTime, accounts, budgets, consumers, events, has_state, orders

__all__ = [
    "ACKNOWLEDGE",
    "BUDGET_SPENT",
    "BY_PANEL_ORDER",
    "BY_REF",
    "BY_REF_LOCKED",
    "CLAIM",
    "CONSUMER_POSITION",
    "DUE_TO_SEND",
    "EVENTS_AFTER",
    "EVENT_AT",
    "EXPIRE_LEASES",
    "INSERT_EVENT",
    "LOCK_BUDGET",
    "MAKE_HELD_DUE",
    "NEXT_DUE",
    "ORDER_COUNTS",
    "PAUSE",
    "PURGE",
    "PURGE_EVENTS",
    "RELEASE_HELD",
    "RESERVE_CALL",
    "RESERVE_POSITIONS",
    "START_ATTEMPT",
    "TAKEN_SLOTS",
    "UNKNOWN_ORDERS",
    "entries_page",
    "insert_or_ignore",
    "orders_with_links",
    "record_statuses",
    "release",
    "reschedule_far_future",
    "transition",
]

_S = EntryState
_c = orders.c
_account: ColumnElement[str] = bindparam("p_account")
_in_account = _c.account == _account
_now = bindparam("p_now", type_=UtcTime)

# --- one order -----------------------------------------------------------------------------------

BY_REF = select(orders).where(_in_account, _c.ref == bindparam("p_ref"))
"""The order of a ref."""

BY_REF_LOCKED = BY_REF.with_for_update()
"""The same, locked until the end of the transaction. SQLite locks the whole database anyway."""

BY_PANEL_ORDER = select(_c.ref).where(_in_account, _c.order_number == bindparam("p_order"))
"""The ref that a panel's order id belongs to; the id as `rows.order_number` returns it."""

TAKEN_SLOTS = select(_c.slot).where(_in_account, _c.slot.is_not(None))
"""The slots of the attempts in flight."""

START_ATTEMPT = (
    update(orders)
    .where(
        _in_account,
        _c.ref == bindparam("p_ref"),
        has_state(_S.PREPARED),
        _c.attempt == bindparam("p_attempt"),
    )
    .values(
        state=_S.SENDING,
        attempt=_c.attempt + 1,
        slot=bindparam("p_slot"),
        owner=bindparam("p_owner"),
        lease_until=bindparam("p_until", type_=UtcTime),
        sent_at=_now,
        balance_before=bindparam("p_balance"),
        settled_at=None,
        balance_after=None,
        due_at=None,
        kind=None,
        reason=None,
    )
    .returning(orders)
)
"""PREPARED → SENDING for the given attempt; returns no row if the order does not match."""


def transition(from_state: EntryState, values: dict[str, Any]) -> Update:
    """Update an order if it still is in that state and attempt (`p_id`, `p_attempt`)."""
    return (
        update(orders)
        .where(
            _c.id == bindparam("p_id"), has_state(from_state), _c.attempt == bindparam("p_attempt")
        )
        .values(values)
        .returning(orders)
    )


EXPIRE_LEASES = (
    update(orders)
    .where(
        _in_account,
        has_state(_S.SENDING),
        or_(_c.lease_until <= _now, _c.lease_until > bindparam("p_far", type_=UtcTime)),
    )
    .values(
        state=_S.UNKNOWN,
        slot=None,
        lease_until=None,
        settled_at=_now,
        kind=bindparam("p_kind"),
        reason=bindparam("p_reason"),
    )
    .returning(orders)
)
"""SENDING → UNKNOWN if the lease has expired, or ends later than any lease can: then the clock was
set back, and the slot of a dead attempt would block every other order until that time."""

# --- sending -------------------------------------------------------------------------------------

RELEASE_HELD = (
    update(orders)
    .where(_in_account, has_state(_S.HELD), _c.due_at <= _now)
    .values(state=_S.PREPARED)
    .returning(orders)
)
"""HELD → PREPARED if the wait is over."""

MAKE_HELD_DUE = (
    update(orders)
    .where(_in_account, has_state(_S.HELD), _c.link.in_(bindparam("p_links", expanding=True)))
    .values(due_at=_now)
)
"""Make orders due that are held for one of the links: an order for it has ended."""

DUE_TO_SEND = (
    select(orders)
    .where(_in_account, has_state(_S.PREPARED), _c.due_at <= _now)
    .order_by(_c.due_at, _c.id)
    .limit(bindparam("p_limit", type_=Integer))
)
"""PREPARED orders that are due, the longest due first."""

NEXT_DUE = select(
    *(
        select(func.min(_c.due_at, type_=UtcTime))
        .where(_in_account, has_state(state))
        .scalar_subquery()
        .label(state.value)
        for state in (_S.PREPARED, _S.HELD, _S.ACCEPTED)
    )
)
"""The earliest due time in each state that has one."""

# --- following -----------------------------------------------------------------------------------

# Rows that another desk has locked are being claimed by it: skipped, not waited for (PostgreSQL).
_due = (
    select(_c.id)
    .where(_in_account, has_state(_S.ACCEPTED), _c.due_at <= _now)
    .order_by(_c.due_at)
    .limit(bindparam("p_limit", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("due")
)
CLAIM = (
    update(orders)
    .where(_c.id.in_(select(_due.c.id)))
    .values(claim_version=_c.claim_version + 1, due_at=bindparam("p_until", type_=UtcTime))
    .returning(orders)
)
"""Claim what is due. A claim expires by itself: the order is due again after the lease."""


def release(*, is_sqlite: bool) -> Update:
    """Make claimed orders due again (`p_rows`, JSON), each only if its claim is still valid."""
    released = _json_rows(_RELEASE_COLUMNS, is_sqlite=is_sqlite)
    return (
        update(orders)
        .where(
            _c.id == released.c.id,
            _c.claim_version == released.c.claim_version,
            has_state(_S.ACCEPTED),
        )
        .values(claim_version=_c.claim_version + 1, due_at=released.c.due_at)
    )


def reschedule_far_future(state: EntryState) -> Update:
    """Make due what is due later than any time that is set (`p_far`): the clock was set back."""
    far = (
        select(_c.id)
        .where(_in_account, has_state(state), _c.due_at > bindparam("p_far", type_=UtcTime))
        .limit(bindparam("p_limit", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("far")
    )
    rescheduled = update(orders).where(_c.id.in_(select(far.c.id))).values(due_at=_now)
    return rescheduled.returning(_c.id)


def record_statuses(*, is_sqlite: bool) -> Update:
    """Record a batch of checks (`p_rows`, JSON), each only if its claim is still valid."""
    checked = _json_rows(_STATUS_COLUMNS, is_sqlite=is_sqlite)
    is_final = checked.c.is_final == literal(1)
    return (
        update(orders)
        .where(
            _c.id == checked.c.id,
            _c.claim_version == checked.c.claim_version,
            has_state(_S.ACCEPTED),
        )
        .values(
            state=case((is_final, _S.FINISHED.value), else_=_c.state),
            claim_version=_c.claim_version + 1,
            **{name: checked.c[name] for name in ("due_at", *_REPORTED_COLUMNS)},
        )
        .returning(_c.id)
    )


_RELEASE_COLUMNS: Mapping[str, Any] = {
    "id": BigInteger,
    "claim_version": BigInteger,
    "due_at": BigInteger,
}
"""The columns of a row of `release`."""

_REPORTED_COLUMNS: Mapping[str, Any] = {
    "raw_status": Text,
    "status": Text,
    "charge": Text,
    "currency": Text,
    "start_count": BigInteger,
    "remains": BigInteger,
    "checked_at": BigInteger,
    "changed_at": BigInteger,
    "miss_count": Integer,
}
"""The columns that a check of an order sets."""

_STATUS_COLUMNS = {**_RELEASE_COLUMNS, "is_final": Integer, **_REPORTED_COLUMNS}
"""The columns of a row of `record_statuses`."""

# --- events --------------------------------------------------------------------------------------

RESERVE_POSITIONS = (
    update(accounts)
    .where(accounts.c.account == _account)
    .values(last_event=accounts.c.last_event + bindparam("p_count", type_=BigInteger))
    .returning(accounts.c.last_event)
)
"""Reserve `p_count` positions, locking the account's row until the events are written."""

INSERT_EVENT = events.insert()
"""Append events."""

EVENTS_AFTER = (
    select(events)
    .where(events.c.account == _account, events.c.position > bindparam("p_after"))
    .order_by(events.c.position)
    .limit(bindparam("p_limit", type_=Integer))
)
"""The next events after a position."""

EVENT_AT = select(events.c.at, events.c.ref, events.c.kind).where(
    events.c.account == _account, events.c.position == bindparam("p_position")
)
"""What distinguishes an event from any other that could have its position."""

CONSUMER_POSITION = select(consumers.c.position).where(
    consumers.c.account == _account, consumers.c.consumer == bindparam("p_consumer")
)
"""The position that a consumer has acknowledged."""

ACKNOWLEDGE = (
    update(consumers)
    .where(
        consumers.c.account == _account,
        consumers.c.consumer == bindparam("p_consumer"),
        consumers.c.position < bindparam("p_position"),
    )
    .values(position=bindparam("p_position"))
)
"""Move a consumer's position, only forwards."""

# --- budgets and call rate -----------------------------------------------------------------------

LOCK_BUDGET = (
    update(budgets)
    .where(budgets.c.account == _account, budgets.c.day == bindparam("p_day"))
    .values(checks=budgets.c.checks + 1)
)
"""Lock a day's budget until the end of the transaction, so that checks of it are serialized."""

BUDGET_SPENT = (
    select(_c.price, func.count())
    .where(
        _in_account,
        _c.budget_day == bindparam("p_day"),
        has_state(*sorted(SPENDING_STATES)),
        _c.price.is_not(None),
    )
    .group_by(_c.price)
)
"""A day's orders counted by price; the sum is computed exactly in Python."""

ORDER_COUNTS = (
    select(_c.state, _c.status, _c.price, _c.charge, func.count())
    .where(_in_account)
    .group_by(_c.state, _c.status, _c.price, _c.charge)
)
"""Orders counted by state, status and money: far fewer groups than orders."""

_next_call_at = func.coalesce(accounts.c.next_call_at, _now)
# A call reserved further ahead than any queue is long was reserved before the clock was set back.
_not_before_now = case(
    (_next_call_at > bindparam("p_far", type_=UtcTime), _now),
    (_next_call_at > _now, _next_call_at),
    else_=_now,
)
_not_before_pause_ends = case(
    (accounts.c.paused_until > _not_before_now, accounts.c.paused_until), else_=_not_before_now
)
RESERVE_CALL = (
    update(accounts)
    .where(accounts.c.account == _account)
    .values(
        next_call_at=cast(_not_before_pause_ends, BigInteger)
        + bindparam("p_interval", type_=BigInteger)
    )
    .returning(accounts.c.next_call_at)
)
"""Reserve the next call; returns the earliest time of the one after it."""

PAUSE = (
    update(accounts)
    .where(
        accounts.c.account == _account,
        or_(
            accounts.c.paused_until.is_(None),
            accounts.c.paused_until < bindparam("p_until", type_=UtcTime),
        ),
    )
    .values(paused_until=bindparam("p_until", type_=UtcTime))
)
"""Pause the account's calls; a pause is never shortened."""

# --- queries -------------------------------------------------------------------------------------

UNKNOWN_ORDERS = select(orders).where(_in_account, has_state(_S.UNKNOWN)).order_by(_c.id)
"""Orders whose outcome a person has to decide."""


def orders_with_links(links: Sequence[str]) -> Executable:
    """Return a query of the orders for these links that are open or were reported as duplicates."""
    is_duplicate = _c.kind == "duplicate"
    return select(_c.link, _c.ref, _c.state, _c.kind, _c.sent_at).where(
        _in_account, _c.link.in_(links), or_(has_state(*sorted(OPEN_STATES)), is_duplicate)
    )


def entries_page(conditions: Sequence[ColumnElement[bool]], size: int) -> Executable:
    """Return a query of a page of orders, the oldest first, after the id `p_after`."""
    return (
        select(orders)
        .where(_in_account, _c.id > bindparam("p_after"), *conditions)
        .order_by(_c.id)
        .limit(size)
    )


PURGE = (
    update(orders)
    .where(
        _in_account,
        not_(has_state(*sorted(OPEN_STATES))),
        _c.created_at < bindparam("p_older_than", type_=UtcTime),
        or_(_c.form.is_not(None), _c.link.is_not(None), _c.reason.is_not(None)),
    )
    .values(form=None, link=None, reason=None)
)
"""Delete personal data of closed orders."""

PURGE_EVENTS = (
    update(events)
    .where(
        events.c.account == _account,
        events.c.text.is_not(None),
        exists().where(
            and_(
                _c.account == events.c.account,
                _c.ref == events.c.ref,
                _c.form.is_(None),
                not_(has_state(*sorted(OPEN_STATES))),
            )
        ),
    )
    .values(text=None)
)
"""Delete the messages in their events."""

# --- differences between the databases -----------------------------------------------------------


def insert_or_ignore(table: Table, *, is_sqlite: bool) -> Any:
    """Return an INSERT that ignores a row whose key exists; with RETURNING, it returns no row."""
    insert = sqlite.insert if is_sqlite else postgresql.insert
    return insert(table).on_conflict_do_nothing()


def _json_rows(columns: Mapping[str, Any], *, is_sqlite: bool) -> Subquery:
    """Return a JSON array of objects (`p_rows`) as a table with these columns."""
    if is_sqlite:
        each = func.json_each(bindparam("p_rows")).table_valued("value", name="each_row")
        values: list[ColumnElement[Any]] = [
            cast(func.json_extract(each.c.value, f"$.{name}"), kind).label(name)
            for name, kind in columns.items()
        ]
        return select(*values).subquery("json_rows")
    array = cast(bindparam("p_rows", type_=Text), JSONB)
    records = func.jsonb_to_recordset(array).table_valued(
        *(column(name, kind) for name, kind in columns.items())
    )
    derived = records.render_derived(name="records", with_types=True)
    return select(*derived.c).subquery("json_rows")
