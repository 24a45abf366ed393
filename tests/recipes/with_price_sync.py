"""A shop's price table that follows the panels' catalogues, each change applied exactly once.

The table is in the database of the orders, SQLite or PostgreSQL. A desk that runs `follow()`
watches the services that the shop sells, and each change of one is an event:

- `fill` writes what is offered now, once, for services that have no row yet.
- `sync` takes the events one after the other, and writes the new price and acknowledges together,
  in one transaction of the shop's own. Any number of workers may run it: one at a time reads.

The margin and the rounding are the shop's own business; here they never lose a fraction of a cent.
"""

from decimal import ROUND_UP, Decimal

from sqlalchemy import Column, Executable, Integer, MetaData, String, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from smmfanfast_async import Client, Service, StaleEventError
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import Journal

metadata = MetaData()
offers = Table(
    "offers",
    metadata,
    Column("panel", String(64), primary_key=True),
    Column("service", String(128), primary_key=True),
    # What a thousand cost the buyer (a package as a whole); None if it is not for sale now.
    Column("cents", Integer),
)

PRODUCTS: dict[str, dict[str, int | str]] = {"likes": {"alpha": 5, "beta": "5"}}
"""The shop's products, and the id of the equal service at each panel: the shop's own knowledge."""

RATES = {"alpha": Decimal(1), "beta": Decimal("1.08")}
"""What a unit of a panel's currency is worth in the shop's."""

MARGIN = Decimal("1.5")
"""The buyer's price for a unit of the shop's cost."""


def open_desk(clients: dict[str, Client], journal: Journal) -> OrderDesk:
    """Return the desk of the shop; use it with `async with`, and run `follow()` in a task."""
    return OrderDesk(
        clients,
        journal,
        account="shop",
        products=PRODUCTS,
        exchange_rates=RATES,
        watch_services_every_s=300,
    )


def price(panel: str, service: Service | None) -> int | None:
    """Return what a buyer pays for a service, in cents, rounded up; None if it cannot be sold."""
    if service is None or service.rate is None:
        return None
    return int((service.rate * RATES[panel] * MARGIN * 100).to_integral_value(ROUND_UP))


async def fill(desk: OrderDesk, clients: dict[str, Client], engine: AsyncEngine) -> bool:
    """Write the offers that have no row yet, of panels that `follow()` has looked at before.

    Call it again until it returns True. The order matters: what changes after the first look at a
    panel is an event, and what changed before it is in a catalogue that is fetched after it.
    """
    watched = (await desk.health()).panels
    for panel, client in clients.items():
        if watched[panel].services_at is None:
            return False
        catalogue = await client.services(max_age_s=0)
        for service in {str(each[panel]) for each in PRODUCTS.values() if panel in each}:
            async with engine.begin() as connection:
                row = await connection.execute(_offer(panel, service))
                if row.one_or_none() is None:
                    cents = price(panel, catalogue.find(service))
                    await _write(panel, service, cents, connection)
    return True


async def sync(desk: OrderDesk, engine: AsyncEngine, *, wait: bool = True) -> None:
    """Apply what changed, until cancelled, or with `wait=False` up to now."""
    async with desk.service_events("prices", wait=wait, acknowledge="manual") as events:
        async for event in events:
            try:
                async with engine.begin() as connection:
                    cents = price(event.panel, event.after)
                    await _write(event.panel, event.service, cents, connection)
                    await events.acknowledge(event, connection=connection)
            except StaleEventError:
                continue  # another worker has taken over: its transaction counts


async def price_of(product: str, engine: AsyncEngine) -> int | None:
    """Return what a buyer pays for a product, in cents; None if no panel offers it now."""
    async with engine.connect() as connection:
        found = [
            (await connection.execute(_offer(panel, str(service)))).scalar()
            for panel, service in PRODUCTS[product].items()
        ]
    # By the dearest panel: the order may end there.
    return max((cents for cents in found if cents is not None), default=None)


def _offer(panel: str, service: str) -> Executable:
    return select(offers.c.cents).where(offers.c.panel == panel, offers.c.service == service)


async def _write(panel: str, service: str, cents: int | None, connection: AsyncConnection) -> None:
    here = update(offers).where(offers.c.panel == panel, offers.c.service == service)
    if not (await connection.execute(here.values(cents=cents))).rowcount:
        values = {"panel": panel, "service": service, "cents": cents}
        await connection.execute(insert(offers).values(values))
