"""The recipe of a price table that follows the catalogues."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from recipes import with_price_sync
from recipes.with_price_sync import PRODUCTS, fill, metadata, offers, price, price_of, sync
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from smmfanfast_async import Client, Service
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import SandboxService

from .world import SERVICES, Panel, ShiftedClock, eventually, timed_desk

LIKES = SandboxService(
    service=5, name="Likes", type="default", category="c", rate="1.501", min=1, max=99
)


class Shop:
    """Two panels, a desk that follows them, and the shop's own table."""

    def __init__(self, desk: OrderDesk, clients: dict[str, Client], engine: AsyncEngine) -> None:
        self.desk, self.clients, self.engine = desk, clients, engine
        self.panels: dict[str, Panel] = {}
        self.clock = ShiftedClock()

    async def offers(self) -> Mapping[str, int | None]:
        async with self.engine.connect() as connection:
            rows = await connection.execute(select(offers.c.panel, offers.c.cents))
            return {row.panel: row.cents for row in rows}

    async def watch(self) -> None:
        """Advance the clock by an interval, and wait until both panels were looked at."""
        before = (await self.desk.health()).panels
        self.clock.advance(301)

        async def is_done() -> bool:
            panels = (await self.desk.health()).panels
            return all(panels[each].services_at != before[each].services_at for each in panels)

        await eventually(is_done)


@pytest_asyncio.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        panels = {
            name: await stack.enter_async_context(Panel(services=[LIKES, *SERVICES]))
            for name in ("alpha", "beta")
        }
        clients = {
            name: await stack.enter_async_context(Client(each.api_key, base_url=each.url))
            for name, each in panels.items()
        }
        clock = ShiftedClock()
        desk = timed_desk()(
            clients, SQLJournal(tmp_path / "orders.db", clock=clock), account="shop",
            products=PRODUCTS, watch_services_every_s=300,
        )  # fmt: skip
        await stack.enter_async_context(desk)
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'orders.db'}")
        stack.push_async_callback(engine.dispose)
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        following = asyncio.create_task(desk.follow())
        shop = Shop(desk, clients, engine)
        shop.panels, shop.clock = panels, clock
        yield shop
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@pytest.mark.asyncio
async def test_table_follows_the_catalogues(shop: Shop) -> None:
    await eventually(lambda: fill(shop.desk, shop.clients, shop.engine))
    assert await fill(shop.desk, shop.clients, shop.engine), "and by another worker"
    assert await shop.offers() == {"alpha": 226, "beta": 244}
    assert await price_of("likes", shop.engine) == 244

    shop.panels["beta"].change_rate(5, Decimal(3))
    shop.panels["alpha"].remove_service(5)
    await shop.watch()
    await shop.watch()
    await sync(shop.desk, shop.engine, wait=False)
    assert await shop.offers() == {"alpha": None, "beta": 486}

    shop.panels["beta"].remove_service(5)
    shop.panels["alpha"].add_service(LIKES)
    await shop.watch()
    await shop.watch()
    await sync(shop.desk, shop.engine, wait=False)
    assert await shop.offers() == {"alpha": 226, "beta": None}
    assert await price_of("likes", shop.engine) == 226


@pytest.mark.asyncio
async def test_two_workers_apply_each_change_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await eventually(lambda: fill(shop.desk, shop.clients, shop.engine))
    shop.panels["alpha"].change_rate(5, Decimal(2))
    await shop.watch()
    written: list[str] = []
    other = timed_desk()(
        shop.clients, SQLJournal(Path(shop.engine.url.database or ""), clock=shop.clock),
        account="shop", products=PRODUCTS,
    )  # fmt: skip
    async with other:
        real = with_price_sync._write

        async def overtaken(*args: Any) -> None:
            if not written:
                written.append("overtaken")
                shop.clock.advance(61)  # beyond the lease
                await sync(other, shop.engine, wait=False)
            await real(*args)

        monkeypatch.setattr(with_price_sync, "_write", overtaken)
        await sync(shop.desk, shop.engine, wait=False)

    assert written == ["overtaken"]
    assert await shop.desk._journal.service_events(1, 9) == []
    assert (await shop.offers())["alpha"] == 300


@pytest.mark.parametrize(("rate", "cents"), [
    ("1", 150), ("0.99", 149), ("0.0000001", 1), ("0", 0), (None, None),
])  # fmt: skip
def test_fractions_of_a_cent_are_the_buyers(rate: str | None, cents: int | None) -> None:
    assert price("alpha", Service(service="5", raw_rate=rate)) == cents
    assert price("alpha", None) is None
