"""Statements on one order: find it, start an attempt, and change its state or its limit."""

from typing import Any

from sqlalchemy import Update, and_, bindparam, or_, select, update

from ... import SPENDING_STATES, EntryState
from ..schema import Money, UtcTime, has_state, orders
from .common import ACCOUNT, IN_ACCOUNT, NOW, S, c

__all__ = [
    "BY_PANEL_ORDER",
    "BY_REF",
    "BY_REF_ELSEWHERE",
    "BY_REF_LOCKED",
    "EXPIRE_LEASES",
    "POSTPONE",
    "REFUSE",
    "SET_MAX_CHARGE",
    "SLOTS_OF_ACCOUNT",
    "START_ATTEMPT",
    "TAKEN_SLOTS",
    "transition",
]

BY_REF = select(orders).where(IN_ACCOUNT, c.ref == bindparam("p_ref"))
"""The order of a ref."""

BY_REF_LOCKED = BY_REF.with_for_update()
"""The same, locked until the end of the transaction. SQLite locks the whole database anyway."""

BY_PANEL_ORDER = select(c.ref).where(
    IN_ACCOUNT, c.panel == bindparam("p_panel"), c.order_number == bindparam("p_order")
)
"""The ref that a panel's order id belongs to; the id as `rows.order_number` returns it."""

TAKEN_SLOTS = select(c.slot).where(IN_ACCOUNT, c.panel == bindparam("p_panel"), c.slot.is_not(None))
"""The slots of the attempts in flight at a panel."""

SLOTS_OF_ACCOUNT = select(c.slot).where(IN_ACCOUNT, c.slot.is_not(None))
"""The slots of the attempts in flight at all panels of an account."""

START_ATTEMPT = (
    update(orders)
    .where(
        IN_ACCOUNT,
        c.ref == bindparam("p_ref"),
        has_state(S.PREPARED),
        c.attempt == bindparam("p_attempt"),
        or_(c.panel.is_(None), c.panel == bindparam("p_panel")),
    )
    .values(
        state=S.SENDING,
        attempt=c.attempt + 1,
        panel=bindparam("p_panel"),
        service=bindparam("p_service"),
        exchange_rate=bindparam("p_exchange_rate", type_=Money),
        slot=bindparam("p_slot"),
        owner=bindparam("p_owner"),
        lease_until=bindparam("p_until", type_=UtcTime),
        sent_at=NOW,
        balance_before=bindparam("p_balance"),
        settled_at=None,
        balance_after=None,
        is_error_answer=False,
        due_at=None,
        kind=None,
        reason=None,
    )
    .returning(orders)
)
"""PREPARED → SENDING at a panel for the given attempt; returns no row if it does not match."""


def transition(from_state: EntryState, values: dict[str, Any]) -> Update:
    """Update an order if it still is in that state and attempt (`p_id`, `p_attempt`)."""
    return (
        update(orders)
        .where(
            c.id == bindparam("p_id"), has_state(from_state), c.attempt == bindparam("p_attempt")
        )
        .values(values)
        .returning(orders)
    )


EXPIRE_LEASES = (
    update(orders)
    .where(
        IN_ACCOUNT,
        has_state(S.SENDING),
        or_(c.lease_until <= NOW, c.lease_until > bindparam("p_far", type_=UtcTime)),
    )
    .values(
        state=S.UNKNOWN,
        is_pinned=True,
        slot=None,
        lease_until=None,
        settled_at=NOW,
        kind=bindparam("p_kind"),
        reason=bindparam("p_reason"),
    )
    .returning(orders)
)
"""SENDING → UNKNOWN if the lease has expired, or ends later than any lease can: then the clock was
set back, and the slot of a dead attempt would block every other order until that time."""

BY_REF_ELSEWHERE = (
    select(c.account, c.panel_order)
    .where(
        c.ref == bindparam("p_ref"),
        c.account != ACCOUNT,
        c.digest == bindparam("p_digest"),
        has_state(*sorted(SPENDING_STATES)),
    )
    .order_by(c.id)
    .limit(1)
)
"""Another account that holds a ref for the same form, and where it was not refused or withdrawn."""

SET_MAX_CHARGE = (
    update(orders)
    .where(c.id == bindparam("p_id"), has_state(*sorted(set(S) - {S.ACCEPTED, S.FINISHED})))
    .values(max_charge=bindparam("p_max_charge", type_=Money))
    .returning(orders)
)
"""Replace the limit of an order that may still be sent; returns no row if it is placed."""

_PREPARED_ATTEMPT = and_(
    IN_ACCOUNT,
    c.ref == bindparam("p_ref"),
    has_state(S.PREPARED),
    c.attempt == bindparam("p_attempt"),
)

POSTPONE = (
    update(orders)
    .where(_PREPARED_ATTEMPT)
    .values(
        due_at=bindparam("p_until", type_=UtcTime),
        kind=bindparam("p_kind"),
        reason=bindparam("p_reason"),
    )
)
"""Leave a PREPARED order unsent until a later time, with the reason."""

REFUSE = (
    update(orders)
    .where(_PREPARED_ATTEMPT)
    .values(
        state=S.REFUSED,
        settled_at=NOW,
        due_at=None,
        kind=bindparam("p_kind"),
        reason=bindparam("p_reason"),
    )
    .returning(orders)
)
"""PREPARED → REFUSED: none of the panels that are left can take the order."""
