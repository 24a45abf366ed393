"""SQL statements on a known ref: its limit, when it is tried again, and its other accounts."""

from sqlalchemy import bindparam, select, update

from .. import SPENDING_STATES, EntryState
from .schema import Money, UtcTime, has_state, orders

__all__ = ["BY_REF_ELSEWHERE", "POSTPONE", "SET_MAX_CHARGE"]

_S = EntryState
_c = orders.c

BY_REF_ELSEWHERE = (
    select(_c.account, _c.panel_order)
    .where(
        _c.ref == bindparam("p_ref"),
        _c.account != bindparam("p_account"),
        _c.digest == bindparam("p_digest"),
        has_state(*sorted(SPENDING_STATES)),
    )
    .order_by(_c.id)
    .limit(1)
)
"""Another account that holds a ref for the same form, and where it was not refused or withdrawn."""

SET_MAX_CHARGE = (
    update(orders)
    .where(_c.id == bindparam("p_id"), has_state(*sorted(set(_S) - {_S.ACCEPTED, _S.FINISHED})))
    .values(max_charge=bindparam("p_max_charge", type_=Money))
    .returning(orders)
)
"""Replace the limit of an order that may still be sent; returns no row if it is placed."""

POSTPONE = (
    update(orders)
    .where(
        _c.account == bindparam("p_account"),
        _c.ref == bindparam("p_ref"),
        has_state(_S.PREPARED),
        _c.attempt == bindparam("p_attempt"),
    )
    .values(
        due_at=bindparam("p_until", type_=UtcTime),
        kind=bindparam("p_kind"),
        reason=bindparam("p_reason"),
    )
)
"""Leave a PREPARED order unsent until a later time, with the reason."""
