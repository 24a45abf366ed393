"""Statements on budgets and on sums of money."""

from sqlalchemy import (
    Integer,
    and_,
    bindparam,
    delete,
    func,
    literal,
    select,
    update,
)

from ..schema import budget_changes, budgets
from .common import ACCOUNT, IN_ACCOUNT, c

__all__ = [
    "BUDGET_CHANGES",
    "DAY_WITH_BUDGET_CHANGES",
    "LOCK_BUDGET",
    "ORDER_COUNTS",
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
    select(c.state, c.status, c.price, c.charge, c.exchange_rate, func.count())
    .where(IN_ACCOUNT)
    .group_by(c.state, c.status, c.price, c.charge, c.exchange_rate)
)
"""Orders counted by state, status and money: far fewer groups than orders."""
