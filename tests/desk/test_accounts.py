"""One ref in two accounts of a journal: the same account by mistake, or two on purpose."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import create_async_engine

from smmfanfast_async import Client, RetryPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.errors import RefConflictError
from smmfanfast_async.journal.sql import SQLJournal

from .world import Panel, S, World, order

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])


@pytest_asyncio.fixture
async def other(world: World) -> AsyncIterator[Client]:
    """A client whose account has another name, as after a change of the key or the address."""
    once = RetryPolicy(max_attempts=1)
    async with (
        Panel(balance=Decimal(10)) as panel,
        Client(panel.api_key, base_url=panel.url, retry=once) as client,
    ):
        yield client


@pytest.mark.asyncio
async def test_other_spelling_of_the_address_orders_nothing_again(world: World) -> None:
    desk = await world.desk()
    placed = await desk.place(order(), ref="a")
    spelled = world.panel.url.replace("127.0.0.1", "localhost") + "/"

    async with (
        Client(world.panel.api_key, base_url=spelled) as client,
        OrderDesk(client, SQLJournal(world.url)) as again,
    ):
        assert await again.place(order(), ref="a") == placed

    assert len(world.panel.orders) == 1


@BOTH
@pytest.mark.asyncio
async def test_ref_of_another_account_is_rejected_by_its_name(world: World, other: Client) -> None:
    first = await world.desk()
    placed = await first.place(order(), ref="a")
    second = await world.desk(other)

    with pytest.raises(RefConflictError, match="under another key or address") as caught:
        await second.place(order(), ref="a")

    assert first._journal._account in str(caught.value)
    assert caught.value.order == placed.order
    engine = create_async_engine(world.url)
    async with engine.begin() as connection:
        with pytest.raises(RefConflictError):
            await second.enqueue(order(), ref="a", connection=connection)
    await engine.dispose()
    assert await second.find("a") is None
    assert len(world.panel.orders) == 1


@pytest.mark.asyncio
async def test_named_account_may_hold_the_same_ref_and_order(world: World) -> None:
    await (await world.desk()).place(order(), ref="a")

    by_desk = await world.desk(account="mine")
    by_client = await world.desk(await world.client(account="its"))

    for desk in (by_desk, by_client):
        assert (await desk._admission.create_entry(order(), "a", None)).state is S.PREPARED


@pytest.mark.asyncio
async def test_ref_of_another_account_may_name_another_order(world: World, other: Client) -> None:
    await (await world.desk()).place(order(), ref="a")
    desk = await world.desk(other)

    assert (await desk._admission.create_entry(order("b"), "a", None)).state is S.PREPARED


@pytest.mark.asyncio
async def test_ref_that_was_refused_in_another_account_is_free(world: World, other: Client) -> None:
    world.panel.answer_next("add", '{"error": "Not enough funds"}')
    refused = await (await world.desk()).place(order(), ref="a")
    desk = await world.desk(other)

    assert refused.state is S.REFUSED
    assert (await desk._admission.create_entry(order(), "a", None)).state is S.PREPARED
