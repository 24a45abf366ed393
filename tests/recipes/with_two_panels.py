"""A shop over two panels: what an order costs at each, failover, and an alert for a person.

An order names a product of the shop. It goes to the cheapest panel that can take it, and on to the
other one only if the first has refused it or was never reached. An order without a certain answer
stays where it is: a person looks at that panel's own list of orders, and nothing is ordered twice.
"""

from collections.abc import Callable
from decimal import Decimal

from smmfanfast_async import Client, DefaultOrder
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import Entry, EventKind, Journal

PRODUCTS: dict[str, dict[str, int | str]] = {"likes": {"alpha": 5, "beta": "5"}}
"""The shop's products, and the id of the equal service at each panel: the shop's own knowledge."""

RATES = {"beta": Decimal("1.08")}
"""What a unit of a panel's currency is worth in the shop's."""

MARGIN = Decimal("1.5")
"""The buyer's price for a unit of the shop's cost."""


def open_desk(alpha: Client, beta: Client, journal: Journal) -> OrderDesk:
    """Return the desk of the shop; use it with `async with`, and run `follow()` in a task."""
    return OrderDesk(
        {"alpha": alpha, "beta": beta},
        journal,
        account="shop",
        products=PRODUCTS,
        exchange_rates=RATES,
    )


async def price(desk: OrderDesk, order: DefaultOrder) -> Decimal | None:
    """Return what a buyer pays, None if no panel can take the order now."""
    quotes = [each for each in await desk.quote(order) if each.reason is None]
    costs = [each.price for each in quotes if each.price is not None]
    # By the dearest panel: the order may end there.
    return (max(costs) * MARGIN).quantize(Decimal("0.01")) if costs else None


async def buy(desk: OrderDesk, order: DefaultOrder, ref: str, paid: Decimal) -> Entry:
    """Order for a buyer who has paid; no panel may cost more than that."""
    return await desk.place(order, ref=ref, max_charge=paid)


async def alert(desk: OrderDesk, tell: Callable[[str], None], *, wait: bool = True) -> None:
    """Tell a person about each order that needs one."""
    async with desk.events("alert", wait=wait) as events:
        async for event in events:
            if event.kind is EventKind.UNKNOWN:
                tell(f"{event.ref}: look into the list of orders at {event.panel}, and resolve it")
            elif event.kind is EventKind.REROUTED:
                tell(
                    f"{event.ref}: {event.panel} refused it ({event.text}), the next panel gets it"
                )
