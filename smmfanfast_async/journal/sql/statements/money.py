"""Statements on budgets, on sums of money, and on the rate of calls."""

from sqlalchemy import (
    BigInteger,
    Integer,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from ..schema import UtcTime, accounts, budget_changes, budgets
from .common import ACCOUNT, IN_ACCOUNT, NOW, c

__all__ = [
    "BUDGET_CHANGES",
    "CANCEL_CALL",
    "DAY_WITH_BUDGET_CHANGES",
    "LOCK_BUDGET",
    "ORDER_COUNTS",
    "PAUSE",
    "RESERVE_CALL",
    "TAKE_BUDGET_CHANGES",
]

LOCK_BUDGET = (
    update(budgets)
    .where(budgets.c.account == ACCOUNT, budgets.c.day == bindparam("p_day"))
    .values(checks=budgets.c.checks + 1)
    .returning(budgets.c.checks)
)
"""Lock a day's budget until the end of the transaction, so that checks of it are serialized."""

_of_day = and_(budget_changes.c.account == ACCOUNT, budget_changes.c.day == bindparam("p_day"))

_limit = bindparam("p_limit", type_=Integer)
BUDGET_CHANGES = select(budget_changes.c.amount).where(_of_day).limit(_limit)
"""The amounts whose sum a day's orders cost; they are added up exactly in Python."""

TAKE_BUDGET_CHANGES = (
    delete(budget_changes)
    .where(budget_changes.c.id.in_(select(budget_changes.c.id).where(_of_day).limit(_limit)))
    .returning(budget_changes.c.amount)
)
"""Remove some of a locked day's amounts, to replace them by their sum."""

DAY_WITH_BUDGET_CHANGES = (
    select(budget_changes.c.day)
    .where(budget_changes.c.account == ACCOUNT, budget_changes.c.day < bindparam("p_day"))
    .group_by(budget_changes.c.day)
    .having(func.count() > literal(1))
    .order_by(budget_changes.c.day)
    .limit(1)
)
"""The first day before a day whose amounts are not replaced by their sum yet."""

ORDER_COUNTS = (
    select(c.state, c.status, c.price, c.charge, func.count())
    .where(IN_ACCOUNT)
    .group_by(c.state, c.status, c.price, c.charge)
)
"""Orders counted by state, status and money: far fewer groups than orders."""

_next_call_at = func.coalesce(accounts.c.next_call_at, NOW)
# What is further ahead than any queue or pause is long was written before the clock was set back.
_far = bindparam("p_far", type_=UtcTime)
_not_before_now = case(
    (_next_call_at > _far, NOW),
    (_next_call_at > NOW, _next_call_at),
    else_=NOW,
)
_not_before_pause_ends = case(
    (accounts.c.paused_until > _far, _not_before_now),
    (accounts.c.paused_until > _not_before_now, accounts.c.paused_until),
    else_=_not_before_now,
)
RESERVE_CALL = (
    update(accounts)
    .where(accounts.c.account == ACCOUNT)
    .values(
        next_call_at=cast(_not_before_pause_ends, BigInteger)
        + bindparam("p_interval", type_=BigInteger)
    )
    .returning(accounts.c.next_call_at)
)
"""Reserve the next call; returns the earliest time of the one after it."""

CANCEL_CALL = (
    update(accounts)
    .where(
        accounts.c.account == ACCOUNT,
        accounts.c.next_call_at == bindparam("p_next_call_at", type_=UtcTime),
    )
    .values(next_call_at=bindparam("p_call_at", type_=UtcTime))
)
"""Free the time of a call that is still the last one reserved."""

PAUSE = (
    update(accounts)
    .where(
        accounts.c.account == ACCOUNT,
        or_(
            accounts.c.paused_until.is_(None),
            accounts.c.paused_until < bindparam("p_until", type_=UtcTime),
            accounts.c.paused_until > _far,
        ),
    )
    .values(paused_until=bindparam("p_until", type_=UtcTime))
)
"""Pause the account's calls; a pause is never shortened, unless it is too far ahead."""
