"""The recipe of a shop over two panels."""

from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import pytest
from recipes.with_two_panels import alert, buy, open_desk, price

from smmfanfast_async import Client, DefaultOrder, RetryPolicy
from smmfanfast_async.journal import EntryState
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault

from .world import Panel


def likes(name: str) -> DefaultOrder:
    return DefaultOrder(service="likes", link=f"https://links.test/{name}", quantity=1000)


@pytest.mark.asyncio
async def test_shop_sells_from_the_panel_that_can_deliver(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        panels, clients = [], []
        for _ in range(2):
            panel = await stack.enter_async_context(Panel(balance=Decimal(10**6), services=None))
            once = RetryPolicy(max_attempts=1)
            client = Client(panel.api_key, base_url=panel.url, retry=once)
            panels.append(panel)
            clients.append(await stack.enter_async_context(client))
        journal = SQLJournal(tmp_path / "orders.db")
        desk = await stack.enter_async_context(open_desk(*clients, journal))
        told: list[str] = []

        paid = await price(desk, likes("a"))
        assert paid is not None
        panels[0].answer_next("add", '{"error": "Not enough funds"}')
        bought = await buy(desk, likes("a"), "invoice-1", paid)
        panels[0].fail_next(Fault.DROP_AFTER, action="add")
        lost = await buy(desk, likes("b"), "invoice-2", paid)
        await alert(desk, told.append, wait=False)

        assert (bought.state, bought.panel) == (EntryState.ACCEPTED, "beta")
        assert (lost.state, lost.panel) == (EntryState.UNKNOWN, "alpha")
        assert [each.partition(":")[0] for each in told] == ["invoice-1", "invoice-2"]
        assert "at alpha" in told[1]
        assert len(panels[1].orders) == 1
