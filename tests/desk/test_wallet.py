"""The wallet recipe: debit, order and refund exactly once, with several workers and kills."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from recipes.with_wallet import NotEnoughCreditError, Wallet, ledger, metadata, reviews, wallets
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from support import wallet_child
from support.forked import start_process

from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import EntryState
from smmfanfast_async.journal.sql import SQLJournal

from .world import ShiftedClock, World, eventually, in_state, order

S = EntryState
CREDIT = 100_000
BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])


@pytest_asyncio.fixture
async def engine(world: World) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(world.url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(wallets.insert().values(user="ann", cents=CREDIT))
    yield engine
    await engine.dispose()


async def open_desk(world: World, clock: ShiftedClock | None = None) -> OrderDesk:
    client = await world.client()
    await client.services()
    journal = SQLJournal(world.url, clock=clock)
    return await world.desk(client, journal, account="shop", record_balance=False, circuit=None)


async def books(engine: AsyncEngine) -> list[tuple[str, int]]:
    """Return ref and cents of each booking, after checking that the wallet agrees with them."""
    read = (
        select(wallets.c.cents.label("credit"), ledger.c.ref, ledger.c.cents)
        .select_from(wallets.outerjoin(ledger, ledger.c.user == wallets.c.user))
        .order_by(ledger.c.ref, ledger.c.cents)
    )
    async with engine.connect() as connection:
        # In one statement: workers book between two.
        found = (await connection.execute(read)).all()
    rows = [(row.ref, row.cents) for row in found if row.ref is not None]
    assert found[0].credit == CREDIT + sum(cents for _, cents in rows)
    return rows


async def bought(world: World, desk: OrderDesk, wallet: Wallet, ref: str, state: S) -> None:
    await wallet.buy("ann", order(ref), ref=ref, cents=150)
    async with world.following(desk):
        await in_state(desk, ref, state)


@BOTH
@pytest.mark.asyncio
async def test_double_tap_debits_and_orders_once(world: World, engine: AsyncEngine) -> None:
    desk = await open_desk(world)
    wallet = Wallet(engine, desk)

    entries = [await wallet.buy("ann", order(), ref="a", cents=CREDIT) for _ in range(3)]
    async with world.following(desk):
        await in_state(desk, "a", S.ACCEPTED)

    assert [entry.is_new for entry in entries] == [True, False, False]
    assert await books(engine) == [("a", -CREDIT)]
    assert len(world.links()) == 1


@BOTH
@pytest.mark.asyncio
async def test_order_that_the_wallet_does_not_cover_is_not_written_down(
    world: World, engine: AsyncEngine
) -> None:
    desk = await open_desk(world)

    with pytest.raises(NotEnoughCreditError):
        await Wallet(engine, desk).buy("ann", order(), ref="a", cents=CREDIT + 1)

    assert await desk.find("a") is None
    assert await books(engine) == []


@BOTH
@pytest.mark.asyncio
async def test_refused_order_is_given_back_and_an_unknown_one_is_not(
    world: World, engine: AsyncEngine
) -> None:
    desk = await open_desk(world)
    wallet = Wallet(engine, desk)
    world.panel.answer_next("add", '{"error": "Not enough funds on balance"}')
    await bought(world, desk, wallet, "refused", S.REFUSED)
    world.panel.answer_next("add", "<html>", http_status=502)
    await bought(world, desk, wallet, "unknown", S.UNKNOWN)

    await wallet.give_back(wait=False)
    await wallet.give_back(wait=False)

    assert await books(engine) == [("refused", -150), ("refused", 150), ("unknown", -150)]


@pytest.mark.asyncio
async def test_part_that_was_not_delivered_is_given_back(world: World, engine: AsyncEngine) -> None:
    desk = await open_desk(world)
    wallet = Wallet(engine, desk)
    await bought(world, desk, wallet, "a", S.ACCEPTED)
    [placed] = world.panel.orders
    world.panel.set_status(placed, "partial", remains=333)
    async with world.following(desk):
        await in_state(desk, "a", S.FINISHED)

    await wallet.give_back(wait=False)

    assert await books(engine) == [("a", -150), ("a", 49)]  # 49.95, in whole cents


@pytest.mark.asyncio
async def test_order_that_was_sent_again_after_its_refund_is_reviewed(
    world: World, engine: AsyncEngine
) -> None:
    desk = await open_desk(world)
    wallet = Wallet(engine, desk)
    world.panel.answer_next("add", '{"error": "Not enough funds on balance"}')
    await bought(world, desk, wallet, "a", S.REFUSED)
    await wallet.give_back(wait=False)
    await desk.retry("a", decided_by="bo")

    await wallet.give_back(wait=False)

    async with engine.connect() as connection:
        assert (await connection.execute(select(reviews.c.ref))).scalars().all() == ["a"]
    assert await books(engine) == [("a", -150), ("a", 150)]


@BOTH
@pytest.mark.asyncio
async def test_three_workers_give_back_each_order_once(world: World, engine: AsyncEngine) -> None:
    desks = [await open_desk(world) for _ in range(3)]
    shop = [Wallet(engine, desk) for desk in desks]
    refs = [f"r{n:02}" for n in range(12)]
    for ref in refs:
        world.panel.answer_next("add", '{"error": "Not enough funds on balance"}')
        await shop[0].buy("ann", order(ref), ref=ref, cents=10)
    workers = [asyncio.create_task(each.give_back()) for each in shop]

    async with world.following(*desks):
        for ref in refs:
            await in_state(desks[0], ref, S.REFUSED)

        async def are_given_back() -> bool:
            return len(await books(engine)) == 2 * len(refs)

        await eventually(are_given_back)
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)

    assert await books(engine) == [(ref, cents) for ref in refs for cents in (-10, 10)]


# --- killed --------------------------------------------------------------------------------------


async def run_child(world: World, **task: Any) -> bool:
    """Run a process, and return whether it was killed."""
    task = {"journal": world.url, "panel": world.panel.url, "key": world.panel.api_key, **task}
    process = start_process(wallet_child.run, task)
    await asyncio.to_thread(process.join, 300)
    code = process.exitcode
    assert code in (0, wallet_child.KILLED)
    return code != 0


@BOTH
@pytest.mark.slow
@pytest.mark.asyncio
async def test_buyer_killed_before_any_statement_pays_once(
    world: World, engine: AsyncEngine
) -> None:
    desk = await open_desk(world)
    wallet = Wallet(engine, desk)
    refs: list[str] = []
    was_killed = True
    while was_killed:
        refs.append(f"r{len(refs):02}")
        was_killed = await run_child(world, statements=len(refs) - 1, ref=refs[-1])
        assert await books(engine) == [(ref, -150) for ref in refs[:-1]] + (
            [] if was_killed else [(refs[-1], -150)]
        )
        await wallet.buy("ann", order_of_child(refs[-1]), ref=refs[-1], cents=150)

    assert await books(engine) == [(ref, -150) for ref in refs]
    assert len(refs) > 4, "each statement of the transaction was a place to be killed at"


def order_of_child(ref: str) -> Any:
    return order(ref, link=f"https://x.test/{ref}")


@BOTH
@pytest.mark.slow
@pytest.mark.asyncio
async def test_worker_killed_before_any_statement_gives_back_once(
    world: World, engine: AsyncEngine
) -> None:
    clock = ShiftedClock()
    desk = await open_desk(world, clock)
    wallet = Wallet(engine, desk)
    killed = 0
    while True:
        world.panel.answer_next("add", '{"error": "Not enough funds on balance"}')
        ref = f"r{killed:02}"
        await bought(world, desk, wallet, ref, S.REFUSED)
        was_killed = await run_child(world, statements=killed, ref=None)
        assert await books(engine) == [
            (each, cents) for each in map("r{:02}".format, range(killed)) for cents in (-150, 150)
        ] + ([(ref, -150)] if was_killed else [(ref, -150), (ref, 150)])
        if not was_killed:
            break
        clock.advance(61)  # the lease of the killed one
        await wallet.give_back(wait=False)
        clock.advance(-61)
        killed += 1

    assert killed > 4, "each statement of the transaction was a place to be killed at"
