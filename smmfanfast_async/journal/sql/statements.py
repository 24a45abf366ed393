"""Every statement, by name; one set serves both databases.

The two places where they differ stand at the end: how a list of rows is handed over, and how an
insert gives way to a row that is there.
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
from .schema import Moment, accounts, budgets, consumers, events, is_in, orders

__all__ = [
    "ACKNOWLEDGE",
    "BUDGET_SPENT",
    "BY_PANEL_ORDER",
    "BY_REF",
    "BY_REF_LOCKED",
    "CLAIM",
    "COUNTED",
    "DUE_TO_SEND",
    "EVENTS_AFTER",
    "EVENT_AT",
    "EXPIRE_LEASES",
    "FREE_LINK",
    "INSERT_EVENT",
    "LOCK_BUDGET",
    "NEXT_DUE",
    "NUMBER_EVENTS",
    "PAUSE",
    "POSITION",
    "PURGE",
    "PURGE_EVENTS",
    "RELEASE_HELD",
    "RESERVE_CALL",
    "SLOTS_TAKEN",
    "START_ATTEMPT",
    "UNKNOWN",
    "insert_unless_there",
    "page",
    "record_statuses",
    "release",
    "reschedule_far_future",
    "transition",
    "with_links",
]

_S = EntryState
_c = orders.c
_mine = _c.account == bindparam("of_account")
_now = bindparam("now", type_=Moment)

# --- one order -----------------------------------------------------------------------------------

BY_REF = select(orders).where(_mine, _c.ref == bindparam("of_ref"))
"""The row of a ref."""

BY_REF_LOCKED = BY_REF.with_for_update()
"""The same, held until the transaction's end; SQLite's transaction holds all."""

BY_PANEL_ORDER = select(_c.ref).where(_mine, _c.panel_order == bindparam("of_order"))
"""The ref that an order of the panel belongs to."""

SLOTS_TAKEN = select(_c.slot).where(_mine, _c.slot.is_not(None))
"""The places of the attempts that are on their way."""

START_ATTEMPT = (
    update(orders)
    .where(
        _mine,
        _c.ref == bindparam("of_ref"),
        is_in(_S.PREPARED),
        _c.attempt == bindparam("of_attempt"),
    )
    .values(
        state=_S.SENDING,
        attempt=_c.attempt + 1,
        slot=bindparam("at_slot"),
        owner=bindparam("by_owner"),
        lease_until=bindparam("until", type_=Moment),
        sent_at=_now,
        balance_before=bindparam("balance"),
        settled_at=None,
        balance_after=None,
        due_at=None,
        kind=None,
        reason=None,
    )
    .returning(orders)
)
"""PREPARED → SENDING, of the attempt that is named; no row where it is not so any more."""


def transition(since: EntryState, values: dict[str, Any]) -> Update:
    """Move a row, if it is still in that state and attempt (`key`, `of_attempt`)."""
    return (
        update(orders)
        .where(_c.id == bindparam("key"), is_in(since), _c.attempt == bindparam("of_attempt"))
        .values(values)
        .returning(orders)
    )


EXPIRE_LEASES = (
    update(orders)
    .where(
        _mine,
        is_in(_S.SENDING),
        or_(_c.lease_until <= _now, _c.lease_until > bindparam("far", type_=Moment)),
    )
    .values(
        state=_S.UNKNOWN,
        slot=None,
        lease_until=None,
        settled_at=_now,
        kind=bindparam("why_kind"),
        reason=bindparam("why"),
    )
    .returning(orders)
)
"""SENDING → UNKNOWN where the lease is past, or further ahead than any: the clock was set back, and
the place of a dead attempt would hold up every other order until then."""

# --- what is to be sent --------------------------------------------------------------------------

RELEASE_HELD = (
    update(orders)
    .where(_mine, is_in(_S.HELD), _c.due_at <= _now)
    .values(state=_S.PREPARED)
    .returning(orders)
)
"""HELD → PREPARED where the wait is over."""

FREE_LINK = (
    update(orders)
    .where(_mine, is_in(_S.HELD), _c.link.in_(bindparam("links", expanding=True)))
    .values(due_at=_now)
)
"""Let those that are held for a link be tried again: an order for it has ended."""

DUE_TO_SEND = (
    select(orders)
    .where(_mine, is_in(_S.PREPARED), _c.due_at <= _now)
    .order_by(_c.due_at, _c.id)
    .limit(bindparam("most", type_=Integer))
)
"""What is to be sent by now."""

NEXT_DUE = select(
    *(
        select(func.min(_c.due_at, type_=Moment))
        .where(_mine, is_in(state))
        .scalar_subquery()
        .label(state.value)
        for state in (_S.PREPARED, _S.HELD, _S.ACCEPTED)
    )
)
"""The nearest moment at which there is something to do, for each state that has one."""

# --- following -----------------------------------------------------------------------------------

# What another desk has just locked is its claim: skipped, not waited for (PostgreSQL).
_due = (
    select(_c.id)
    .where(_mine, is_in(_S.ACCEPTED), _c.due_at <= _now)
    .order_by(_c.due_at)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("due")
)
CLAIM = (
    update(orders)
    .where(_c.id.in_(select(_due.c.id)))
    .values(claim_version=_c.claim_version + 1, due_at=bindparam("until", type_=Moment))
    .returning(orders)
)
"""Take what is due. A claim lapses by itself: the order is due again once the lease is over."""


def release(*, is_sqlite: bool) -> Update:
    """Let claimed orders be due again (`rows`, JSON), each only where its claim still holds."""
    back = _given(_BACK_COLUMNS, is_sqlite=is_sqlite)
    return (
        update(orders)
        .where(_c.id == back.c.id, _c.claim_version == back.c.claim_version, is_in(_S.ACCEPTED))
        .values(claim_version=_c.claim_version + 1, due_at=back.c.due_at)
    )


def reschedule_far_future(state: EntryState) -> Update:
    """Let be due what is due further ahead than any time that is set: the clock was set back."""
    far = (
        select(_c.id)
        .where(_mine, is_in(state), _c.due_at > bindparam("far", type_=Moment))
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("far")
    )
    hastened = update(orders).where(_c.id.in_(select(far.c.id))).values(due_at=_now)
    return hastened.returning(_c.id)


def record_statuses(*, is_sqlite: bool) -> Update:
    """Write a batch of looks at once (`rows`, JSON), each only where its claim still holds."""
    seen = _given(_SEEN_COLUMNS, is_sqlite=is_sqlite)
    is_final = seen.c.is_final == literal(1)
    return (
        update(orders)
        .where(
            _c.id == seen.c.id,
            _c.claim_version == seen.c.claim_version,
            is_in(_S.ACCEPTED),
        )
        .values(
            state=case((is_final, _S.FINISHED.value), else_=_c.state),
            claim_version=_c.claim_version + 1,
            due_at=seen.c.due_at,
            raw_status=seen.c.raw_status,
            status=seen.c.status,
            charge=seen.c.charge,
            currency=seen.c.currency,
            start_count=seen.c.start_count,
            remains=seen.c.remains,
            checked_at=seen.c.checked_at,
            changed_at=seen.c.changed_at,
            miss_count=seen.c.miss_count,
        )
        .returning(_c.id)
    )


_BACK_COLUMNS: Mapping[str, Any] = {
    "id": BigInteger,
    "claim_version": BigInteger,
    "due_at": BigInteger,
}
"""What a row of `give_back` has."""

_SEEN_COLUMNS: Mapping[str, Any] = {
    **_BACK_COLUMNS,
    "is_final": Integer,
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
"""What a row of `observe` has."""

# --- events --------------------------------------------------------------------------------------

NUMBER_EVENTS = (
    update(accounts)
    .where(accounts.c.account == bindparam("of_account"))
    .values(last_event=accounts.c.last_event + bindparam("many", type_=BigInteger))
    .returning(accounts.c.last_event)
)
"""Take so many positions, holding the account's row until the events are written."""

INSERT_EVENT = events.insert()
"""Append."""

EVENTS_AFTER = (
    select(events)
    .where(events.c.account == bindparam("of_account"), events.c.position > bindparam("after"))
    .order_by(events.c.position)
    .limit(bindparam("most", type_=Integer))
)
"""The next page of events."""

EVENT_AT = select(events.c.at, events.c.ref, events.c.kind).where(
    events.c.account == bindparam("of_account"), events.c.position == bindparam("at_position")
)
"""What tells an event from any other that could have its place."""

POSITION = select(consumers.c.position).where(
    consumers.c.account == bindparam("of_account"), consumers.c.consumer == bindparam("of_consumer")
)
"""What a consumer has acknowledged."""

ACKNOWLEDGE = (
    update(consumers)
    .where(
        consumers.c.account == bindparam("of_account"),
        consumers.c.consumer == bindparam("of_consumer"),
        consumers.c.position < bindparam("done"),
    )
    .values(position=bindparam("done"))
)
"""Only forwards."""

# --- money and pace ------------------------------------------------------------------------------

LOCK_BUDGET = (
    update(budgets)
    .where(budgets.c.account == bindparam("of_account"), budgets.c.day == bindparam("of_day"))
    .values(checks=budgets.c.checks + 1)
)
"""Let nobody else hold an order against the day's budget until the transaction's end."""

BUDGET_SPENT = (
    select(_c.price, func.count())
    .where(
        _mine,
        _c.budget_day == bindparam("day"),
        is_in(*sorted(SPENDING_STATES)),
        _c.price.is_not(None),
    )
    .group_by(_c.price)
)
"""What a day's orders cost, by price: summed exactly in Python."""

COUNTED = (
    select(_c.state, _c.status, _c.price, _c.charge, func.count())
    .where(_mine)
    .group_by(_c.state, _c.status, _c.price, _c.charge)
)
"""All orders by state, status and money: far fewer groups than orders."""

_later = func.coalesce(accounts.c.next_call_at, _now)
# A place that is further ahead than any queue was taken by a clock that has been set back since.
_free = case((_later > bindparam("far", type_=Moment), _now), (_later > _now, _later), else_=_now)
_open = case((accounts.c.paused_until > _free, accounts.c.paused_until), else_=_free)
RESERVE_CALL = (
    update(accounts)
    .where(accounts.c.account == bindparam("of_account"))
    .values(next_call_at=cast(_open, BigInteger) + bindparam("interval", type_=BigInteger))
    .returning(accounts.c.next_call_at)
)
"""Take the next place in the pace."""

PAUSE = (
    update(accounts)
    .where(
        accounts.c.account == bindparam("of_account"),
        or_(
            accounts.c.paused_until.is_(None),
            accounts.c.paused_until < bindparam("until", type_=Moment),
        ),
    )
    .values(paused_until=bindparam("until", type_=Moment))
)
"""Only lengthened."""

# --- questions -----------------------------------------------------------------------------------

UNKNOWN = select(orders).where(_mine, is_in(_S.UNKNOWN)).order_by(_c.id)
"""Those that a person has to look at."""


def with_links(links: Sequence[str]) -> Executable:
    """Give what is known of orders for these links: open ones, and those called duplicates."""
    is_duplicate = _c.kind == "duplicate"
    return select(_c.link, _c.ref, _c.state, _c.kind, _c.sent_at).where(
        _mine, _c.link.in_(links), or_(is_in(*sorted(OPEN_STATES)), is_duplicate)
    )


def page(conditions: Sequence[ColumnElement[bool]], size: int) -> Executable:
    """Give a page of rows, the oldest first, after the row `after`."""
    return (
        select(orders)
        .where(_mine, _c.id > bindparam("after"), *conditions)
        .order_by(_c.id)
        .limit(size)
    )


PURGE = (
    update(orders)
    .where(
        _mine,
        not_(is_in(*sorted(OPEN_STATES))),
        _c.created_at < bindparam("older", type_=Moment),
        or_(_c.form.is_not(None), _c.link.is_not(None), _c.reason.is_not(None)),
    )
    .values(form=None, link=None, reason=None)
)
"""Forget what is personal of orders that are over."""

PURGE_EVENTS = (
    update(events)
    .where(
        events.c.account == bindparam("of_account"),
        events.c.text.is_not(None),
        exists().where(
            and_(
                _c.account == events.c.account,
                _c.ref == events.c.ref,
                _c.form.is_(None),
                not_(is_in(*sorted(OPEN_STATES))),
            )
        ),
    )
    .values(text=None)
)
"""The same in what was told of them."""

# --- where the two databases differ --------------------------------------------------------------


def insert_unless_there(table: Table, *, is_sqlite: bool) -> Any:
    """Insert a row, or nothing where its key is taken; with RETURNING, no row then."""
    insert = sqlite.insert if is_sqlite else postgresql.insert
    return insert(table).on_conflict_do_nothing()


def _given(columns: Mapping[str, Any], *, is_sqlite: bool) -> Subquery:
    if is_sqlite:
        each = func.json_each(bindparam("rows")).table_valued("value", name="each_row")
        found: list[ColumnElement[Any]] = [
            cast(func.json_extract(each.c.value, f"$.{name}"), kind).label(name)
            for name, kind in columns.items()
        ]
        return select(*found).subquery("given_rows")
    rows = cast(bindparam("rows", type_=Text), JSONB)
    given = func.jsonb_to_recordset(rows).table_valued(
        *(column(name, kind) for name, kind in columns.items())
    )
    derived = given.render_derived(name="given", with_types=True)
    return select(*derived.c).subquery("given_rows")
