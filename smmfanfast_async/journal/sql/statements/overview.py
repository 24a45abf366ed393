"""Statements about a journal as a whole: its accounts, and whether its orders are followed."""

from sqlalchemy import BigInteger, Executable, bindparam, cast, func, select

from ..schema import UtcTime, has_state, panels
from .common import ACCOUNT, IN_ACCOUNT, S, c

__all__ = ["OVERDUE", "orders_by_account"]

_before = bindparam("p_before", type_=UtcTime)
# One subquery per state, because each has an index of its own.
_of_panel = select(func.count()).where(
    IN_ACCOUNT, c.panel == panels.c.panel, has_state(S.ACCEPTED), c.due_at < _before
)
_TO_CHECK = select(
    func.coalesce(cast(func.sum(_of_panel.correlate(panels).scalar_subquery()), BigInteger), 0)
).where(panels.c.account == ACCOUNT)
_TO_SEND = select(func.count()).where(IN_ACCOUNT, has_state(S.PREPARED), c.due_at < _before)
_LAST_CHECK = select(func.max(c.checked_at)).where(IN_ACCOUNT, has_state(S.ACCEPTED))

OVERDUE = select(
    _TO_CHECK.scalar_subquery().label("to_check"),
    _TO_SEND.scalar_subquery().label("to_send"),
    _LAST_CHECK.scalar_subquery().label("checked_at"),
)
"""Count the orders to check and those to send that were due before a time; find the last check."""


def orders_by_account(ref: str | None) -> Executable:
    """Return a query of the number of orders of each account, or of those with a ref."""
    counted = select(c.account, func.count().label("orders")).group_by(c.account)
    counted = counted.order_by(c.account)
    return counted if ref is None else counted.where(c.ref == bindparam("p_ref", ref))
