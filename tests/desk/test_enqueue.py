"""Orders stored inside a transaction of the caller's own."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.errors import (
    InvalidOrderError,
    InvalidSettingsError,
    JournalError,
    NotSentError,
    RefConflictError,
    SpendingLimitError,
)
from smmfanfast_async.journal.sql import SQLJournal, connecting, database

from .world import S, World, eventually, hold_answers, in_state, order


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest_asyncio.fixture
async def engine(world: World) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(world.url)
    yield engine
    await engine.dispose()


async def prepared_desk(world: World, **options: Any) -> OrderDesk:
    """Return a desk whose client has the catalogue in memory."""
    client = await world.client()
    await client.services()
    return await world.desk(client, **options)


def lane_of(desk: OrderDesk, share: database.PoolShare) -> asyncio.Semaphore:
    """Return what counts the free connections of a desk's journal for such transactions."""
    journal = desk._journal
    assert isinstance(journal, SQLJournal)
    return journal._database._free[share]


@pytest.mark.parametrize("kind", ["connection", "session"])
@pytest.mark.asyncio
async def test_running_desk_sends_a_committed_order(
    world: World, engine: AsyncEngine, kind: str
) -> None:
    desk = await prepared_desk(world)

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
    desk = await prepared_desk(world)

    async with world.following(desk):
        for ref in ("a", "b", "c", "d"):
            async with engine.begin() as connection:
                await desk.enqueue(order(ref), ref=ref, connection=connection)
            await in_state(desk, ref, S.ACCEPTED)

    assert len(world.panel.orders) == 4


@pytest.mark.asyncio
async def test_rolled_back_order_is_never_sent(world: World, engine: AsyncEngine) -> None:
    desk = await prepared_desk(world, budget_per_day=Decimal(1))

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


@pytest.mark.asyncio
async def test_own_write_with_a_running_desk_does_not_block_the_desk(
    world: World, engine: AsyncEngine, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long that a deadlock would end by the time-out of the test.
    monkeypatch.setattr(connecting, "BUSY_TIMEOUT_MS", 300_000)
    desk = await prepared_desk(world)
    await desk.place(order("first"), ref="first")
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE invoices (id INTEGER)"))

    async with asyncio.timeout(60), world.following(desk):
        async with engine.begin() as connection:
            await connection.execute(text("INSERT INTO invoices VALUES (1)"))
            if backend == "sqlite":
                # The desk waits for this transaction, with its only connection for writing.
                await eventually(lane_of(desk, database.PoolShare.WRITE).locked)
            await desk.enqueue(order(), ref="a", connection=connection)
            inside = await desk.find("a", connection=connection)
            outside = await desk.find("a")
            refs = [entry.ref async for entry in desk.entries()]
            summary = await desk.summary()
        await in_state(desk, "a", S.ACCEPTED)

    assert inside is not None
    assert (inside.ref, inside.state) == ("a", S.PREPARED)
    assert outside is None
    assert refs == ["first"]
    assert sum(summary.by_state.values()) == 1


@pytest.mark.asyncio
async def test_catalogue_is_not_fetched_inside_a_transaction(
    world: World, engine: AsyncEngine
) -> None:
    client = await world.client()
    desk = await world.desk(client)

    async with engine.begin() as connection:
        with pytest.raises(NotSentError, match=r"call `await client.services\(\)` before"):
            await desk.enqueue(order(), ref="a", connection=connection)
        assert await desk.find("a", connection=connection) is None
    await client.services()
    async with engine.begin() as connection:
        await desk.enqueue(order(), ref="a", connection=connection)

    assert await desk.find("a") is not None


@pytest.mark.parametrize("kind", ["connection", "session"])
@pytest.mark.asyncio
async def test_place_in_the_same_tasks_open_transaction_is_refused(
    world: World, engine: AsyncEngine, kind: str
) -> None:
    desk = await prepared_desk(world)

    async with engine.connect() as connection:
        transaction = AsyncSession(connection) if kind == "session" else connection
        await desk.enqueue(order(), ref="a", connection=transaction)
        with pytest.raises(InvalidOrderError, match="use `enqueue"):
            await desk.place(order("b"), ref="b")
        await transaction.commit()
        placed = await desk.place(order("b"), ref="b")

    assert placed.state is S.ACCEPTED
    assert len(world.panel.calls("add")) == 1


@pytest.mark.asyncio
async def test_error_of_the_callers_connection_is_a_journal_error(
    world: World, engine: AsyncEngine
) -> None:
    desk = await prepared_desk(world)

    async with engine.connect() as connection:
        await connection.execute(text("ALTER TABLE smm_orders RENAME TO gone"))
        with pytest.raises(JournalError, match="smm_orders"):
            await desk.find("a", connection=connection)


@pytest.mark.parametrize("backend", ["postgresql"])
@pytest.mark.asyncio
async def test_waiting_places_leave_connections_to_outcomes(
    world: World, engine: AsyncEngine
) -> None:
    client = await world.client()
    await client.services()
    desk = await world.desk(client, budget_per_day=Decimal(100))
    released = hold_answers(client, "add")
    in_flight = asyncio.create_task(desk.place(order("flying"), ref="flying"))
    await in_state(desk, "flying", S.SENDING)

    async with asyncio.timeout(60), engine.connect() as connection:
        await desk.enqueue(order(), ref="a", connection=connection)
        waiting = [asyncio.create_task(desk.place(order(n), ref=f"r{n}")) for n in range(20)]
        await eventually(lane_of(desk, database.PoolShare.ADMIT).locked)
        found = await desk.find("a", connection=connection)
        assert await desk.find("a") is None
        released.set()
        placed = await in_flight
        assert not any(task.done() for task in waiting)
        await connection.rollback()
        entries = await asyncio.gather(*waiting)

    assert found is not None
    assert placed.state is S.ACCEPTED
    assert {entry.state for entry in entries} == {S.ACCEPTED}
