"""Statements on budgets, on sums of money, and on the rate of calls."""

from sqlalchemy import BigInteger, bindparam, case, cast, func, or_, select, update

from ... import SPENDING_STATES
from ..schema import UtcTime, accounts, budgets, has_state
from .common import ACCOUNT, IN_ACCOUNT, NOW, c

__all__ = ["BUDGET_SPENT", "LOCK_BUDGET", "ORDER_COUNTS", "PAUSE", "RESERVE_CALL"]

LOCK_BUDGET = (
    update(budgets)
    .where(budgets.c.account == ACCOUNT, budgets.c.day == bindparam("p_day"))
    .values(checks=budgets.c.checks + 1)
)
"""Lock a day's budget until the end of the transaction, so that checks of it are serialized."""

BUDGET_SPENT = (
    select(c.price, func.count())
    .where(
        IN_ACCOUNT,
        c.budget_day == bindparam("p_day"),
        has_state(*sorted(SPENDING_STATES)),
        c.price.is_not(None),
    )
    .group_by(c.price)
)
"""A day's orders counted by price; the sum is computed exactly in Python."""

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
