"""What drip-feed orders and subscriptions cost: the charges of the orders that they created.

The status of such an order has no charge (seen), but names the orders that the panel created for
it. Once it is final, those are asked for too; it stays open until each of them is final.
"""

import asyncio
import logging
from collections.abc import Mapping
from decimal import Decimal

from attrs import define, frozen

from .._amounts import total
from ..client import Client
from ..errors import ErrorKind, JournalError, PanelError
from ..results import OrderStatus
from .rate_limit import AccountRateLimit

__all__ = ["NO_COSTS", "ChildCosts", "ChildOrders"]

Result = OrderStatus | PanelError

_LOG = logging.getLogger("smmfanfast_async")

TIMEOUT_S = 25.0
"""Seconds for asking for child orders. With the status call before it, and with waiting for the
rate limit, a check must end before its claims expire."""

MAX_IDS = 1000
"""Child orders that are asked for in one check, ten calls: the next check continues with others. An
order with more has a cost that is not known."""


@frozen(kw_only=True)
class ChildCosts:
    """What the child orders of an order cost.

    Attributes:
        charge: The sum of their charges, net of refunds, in `currency`; None if it is not known.
        currency: The currency of all of them; None if the panel does not state one.
        are_open: Whether some of them are not final, or are to be asked for again.
    """

    charge: Decimal | None = None
    currency: str | None = None
    are_open: bool = False


NO_COSTS = ChildCosts()
"""Those of an order without child orders."""


@define(kw_only=True)
class ChildOrders:
    """Looks up the child orders of one account's orders."""

    rate_limit: AccountRateLimit

    async def find_costs(
        self, client: Client, results: Mapping[str, Result]
    ) -> dict[str, ChildCosts]:
        """Return the costs of the child orders of each order that is final and has some."""
        parents = {
            order: status.orders for order, status in results.items()
            if isinstance(status, OrderStatus) and _needs_children(client, status)
        }  # fmt: skip
        ids: dict[str, None] = {}
        for orders in parents.values():
            if len(ids) + len(orders) <= MAX_IDS:
                ids |= dict.fromkeys(orders)
        children = await self._statuses(client, list(ids))
        return {
            order: _add_up(client, [children.get(each) for each in orders])
            if len(orders) <= MAX_IDS else ChildCosts()
            for order, orders in parents.items()
        }  # fmt: skip

    async def _statuses(self, client: Client, ids: list[str]) -> Mapping[str, Result]:
        """Return the statuses that are known in time."""
        size = client.profile.ids_per_call
        found: dict[str, Result] = {}
        try:
            async with asyncio.timeout(TIMEOUT_S):
                for start in range(0, len(ids), size):
                    turn = await self.rate_limit.wait(TIMEOUT_S)
                    if turn.wait_s:
                        break
                    found |= await client.statuses(ids[start : start + size])
        except TimeoutError:
            pass  # the others are open, as far as is known
        except JournalError as error:
            _LOG.warning("%s", error)
        return found


def _needs_children(client: Client, status: OrderStatus) -> bool:
    """Return whether what an order cost is only known from its child orders."""
    is_final = status.is_final or client.profile.is_final_status(status.raw_status)
    is_parent = bool(status.orders) or 0 in (status.runs, status.posts)
    return is_final and is_parent and status.raw_charge is None


def _add_up(client: Client, children: list[Result | None]) -> ChildCosts:
    """Return the costs of an order's children, of which None was not asked for in time."""
    if any(_is_open(client, each) for each in children):
        return ChildCosts(are_open=True)
    known = [each for each in children if isinstance(each, OrderStatus)]
    charges = [each.charge for each in known if each.charge is not None]
    currencies = {each.currency for each in known}
    if len(charges) < len(children) or len(currencies) > 1:
        return ChildCosts()
    return ChildCosts(charge=total(charges), currency=next(iter(currencies), None))


def _is_open(client: Client, child: Result | None) -> bool:
    """Return whether what a child order costs may still change, or may be known later."""
    if isinstance(child, OrderStatus):
        return not (child.is_final or client.profile.is_final_status(child.raw_status))
    return child is None or child.kind is not ErrorKind.NOT_FOUND
