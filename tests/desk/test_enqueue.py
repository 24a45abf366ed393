"""Orders stored inside a transaction of the caller's own."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from smmfanfast_async.errors import (
    InvalidSettingsError,
    RefConflictError,
    SpendingLimitError,
)

from .world import S, World, in_state, order


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest_asyncio.fixture
async def engine(world: World) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(world.url)
    yield engine
    await engine.dispose()


@pytest.mark.parametrize("kind", ["connection", "session"])
@pytest.mark.asyncio
async def test_running_desk_sends_a_committed_order(
    world: World, engine: AsyncEngine, kind: str
) -> None:
    desk = await world.desk()

    async with world.following(desk):
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE invoices (id INTEGER)"))
            transaction = AsyncSession(connection) if kind == "session" else connection
            entry = await desk.enqueue(order(), ref="a", connection=transaction)
            await asyncio.sleep(0.1)
            assert not world.panel.orders
        await in_state(desk, "a", S.ACCEPTED)

    assert (entry.state, entry.price) == (S.PREPARED, Decimal(1))
    assert len(world.panel.orders) == 1


@pytest.mark.asyncio
async def test_successive_commits_are_all_sent(world: World, engine: AsyncEngine) -> None:
    desk = await world.desk()

    async with world.following(desk):
        for ref in ("a", "b", "c", "d"):
            async with engine.begin() as connection:
                await desk.enqueue(order(ref), ref=ref, connection=connection)
            await in_state(desk, ref, S.ACCEPTED)

    assert len(world.panel.orders) == 4


@pytest.mark.asyncio
async def test_rolled_back_order_is_never_sent(world: World, engine: AsyncEngine) -> None:
    desk = await world.desk(budget_per_day=Decimal(1))

    async with world.following(desk):
        async with engine.connect() as connection:
            await desk.enqueue(order(), ref="a", connection=connection)
            await connection.rollback()
        await asyncio.sleep(0.1)

    assert await desk.find("a") is None
    assert not world.panel.orders
    # Neither its ref nor its part of the budget is taken.
    assert (await desk.place(order("b"), ref="a")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_enqueue_follows_the_rules_of_place(world: World, engine: AsyncEngine) -> None:
    desk = await world.desk(budget_per_day=Decimal(1))
    placed = await desk.place(order(), ref="a")
    world.panel.change_rate(1, Decimal(100))

    async with engine.connect() as connection:
        again = await desk.enqueue(order(), ref="a", connection=connection)
        with pytest.raises(RefConflictError):
            await desk.enqueue(order("other"), ref="a", connection=connection)
        with pytest.raises(SpendingLimitError):
            await desk.enqueue(order("b"), ref="b", connection=connection)
        with pytest.raises(SpendingLimitError):
            await desk.enqueue(
                order("b"), ref="b", connection=connection, max_charge=Decimal("0.5")
            )

    assert again == placed


@pytest.mark.parametrize("wrong", [object(), "sqlite://"])
@pytest.mark.asyncio
async def test_connection_must_be_a_transaction(world: World, wrong: Any) -> None:
    desk = await world.desk()

    with pytest.raises(InvalidSettingsError, match="connection"):
        await desk.enqueue(order(), ref="a", connection=wrong)
