"""The limit of an order holds for its ref, by today's price, whoever sends it and when."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import create_async_engine

from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.desk.outcomes import LIMIT_RETRY_S, NOT_SENT_RETRY_S
from smmfanfast_async.errors import (
    AuthenticationError,
    ErrorKind,
    InvalidOrderError,
    SpendingLimitError,
)
from smmfanfast_async.journal import Entry, NewEntry
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.orders import SubscriptionsOrder
from smmfanfast_async.sandbox import Fault

from .world import WAIT_S, S, ShiftedClock, World, eventually, in_state, order

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
CENT = Decimal("0.01")


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


async def current_desk(
    world: World, clock: ShiftedClock | None = None, **options: Any
) -> OrderDesk:
    """Return a desk whose client fetches the catalogue for each price."""
    client = await world.client(services_ttl_s=0.0)
    journal = SQLJournal(world.url, clock=clock) if clock else None
    return await world.desk(client, journal, **options)


@pytest_asyncio.fixture
async def desk(world: World, clock: ShiftedClock) -> AsyncIterator[OrderDesk]:
    yield await current_desk(world, clock)


async def enqueue(world: World, desk: OrderDesk, ref: str = "a", **options: Any) -> Entry:
    engine = create_async_engine(world.url)
    await desk._sender.client.services()
    try:
        async with engine.begin() as connection:
            wanted = options.pop("order", order())
            return await desk.enqueue(wanted, ref=ref, connection=connection, **options)
    finally:
        await engine.dispose()


async def found(desk: OrderDesk, ref: str = "a") -> Entry:
    entry = await desk.find(ref)
    assert entry is not None
    return entry


@BOTH
@pytest.mark.asyncio
async def test_limit_of_a_later_call_holds_for_a_ref_that_is_not_sent(
    world: World, desk: OrderDesk
) -> None:
    await enqueue(world, desk)

    with pytest.raises(SpendingLimitError) as caught:
        await desk.place(order(), ref="a", max_charge=CENT)

    assert (caught.value.price, caught.value.limit) == (Decimal(1), CENT)
    assert not world.panel.orders
    entry = await found(desk)
    assert (entry.state, entry.max_charge) == (S.PREPARED, CENT)


@BOTH
@pytest.mark.asyncio
async def test_stored_limit_holds_by_the_price_of_the_day(world: World, desk: OrderDesk) -> None:
    await enqueue(world, desk, max_charge=Decimal(2))
    world.panel.change_rate(1, Decimal(100))

    with pytest.raises(SpendingLimitError) as caught:
        await desk.place(order(), ref="a")

    assert (caught.value.price, caught.value.limit) == (Decimal(100), Decimal(2))
    assert not world.panel.orders


@pytest.mark.asyncio
async def test_later_limit_replaces_the_first_one(world: World, desk: OrderDesk) -> None:
    await enqueue(world, desk, max_charge=Decimal(2))
    world.panel.change_rate(1, Decimal(100))

    entry = await desk.place(order(), ref="a", max_charge=Decimal(100))

    assert (entry.state, entry.price, entry.max_charge) == (S.ACCEPTED, Decimal(100), Decimal(100))


@pytest.mark.asyncio
async def test_limit_given_after_the_order_changes_nothing(world: World, desk: OrderDesk) -> None:
    placed = await desk.place(order(), ref="a")

    assert await desk.place(order(), ref="a", max_charge=CENT) == placed


@BOTH
@pytest.mark.asyncio
async def test_running_desk_sends_nothing_above_the_limit(
    world: World, desk: OrderDesk, clock: ShiftedClock
) -> None:
    await enqueue(world, desk, max_charge=Decimal(2))
    world.panel.change_rate(1, Decimal(100))

    async with world.following(desk):
        entry = await eventually(lambda: reasoned(desk))
        assert (entry.state, entry.kind, entry.attempt) == (S.PREPARED, ErrorKind.BUDGET, 0)
        assert entry.reason == "a price of 100 exceeds max_charge 2"
        assert not world.panel.calls("add")

    # What was begun before the rate falls would postpone the order once more.
    await desk._sends.wait_all(WAIT_S)
    world.panel.change_rate(1, Decimal(1))
    clock.advance(LIMIT_RETRY_S + 1)
    async with world.following(desk):
        sent = await in_state(desk, "a", S.ACCEPTED)

    assert (sent.price, sent.reason) == (Decimal(1), None)


async def reasoned(desk: OrderDesk) -> Entry | None:
    entry = await found(desk)
    return entry if entry.reason else None


@pytest.mark.asyncio
async def test_limit_that_comes_while_the_order_is_due_is_seen(
    world: World, desk: OrderDesk
) -> None:
    before = await enqueue(world, desk)
    await desk._journal.create(new_of(before, max_charge=CENT))

    with pytest.raises(SpendingLimitError):
        await desk._sender.send(before, is_awaited=True)  # read before the limit was stored

    assert not world.panel.orders


def new_of(entry: Entry, **values: Any) -> Any:
    return NewEntry(
        ref=entry.ref, form=entry.form, due_at=entry.created_at, budget_day="2030-01-01", **values
    )


@pytest.mark.asyncio
async def test_limit_holds_for_an_order_that_is_held(world: World) -> None:
    desk = await current_desk(world, queue_active_links=True)
    world.panel.answer_next(
        "add", '{"error": "You have an active order with this link. Please wait"}'
    )
    held = await desk.place(order(), ref="a", max_charge=Decimal(2))
    world.panel.change_rate(1, Decimal(100))

    with pytest.raises(SpendingLimitError):
        await desk.place(order(), ref="a")

    assert held.state is S.HELD
    assert (await found(desk)).state is S.HELD


@pytest.mark.asyncio
async def test_retry_keeps_the_limit_of_the_order(world: World, desk: OrderDesk) -> None:
    world.panel.answer_next("add", '{"error": "Not enough funds"}')
    await desk.place(order(), ref="a", max_charge=Decimal(2))
    world.panel.change_rate(1, Decimal(100))

    with pytest.raises(SpendingLimitError):
        await desk.retry("a", decided_by="operator")
    refused = await found(desk)
    entry = await desk.retry("a", decided_by="operator", max_charge=Decimal(100))

    assert refused.state is S.REFUSED
    assert (entry.state, entry.price, entry.max_charge) == (S.ACCEPTED, Decimal(100), Decimal(100))


@pytest.mark.asyncio
async def test_retry_checks_its_limit_first(world: World, desk: OrderDesk) -> None:
    world.panel.answer_next("add", '{"error": "Not enough funds"}')
    await desk.place(order(), ref="a")

    with pytest.raises(InvalidOrderError, match="max_charge"):
        await desk.retry("a", decided_by="operator", max_charge=Decimal(-1))
    with pytest.raises(SpendingLimitError):
        await desk.retry("a", decided_by="operator", max_charge=CENT)
    with pytest.raises(InvalidOrderError, match="not in the journal"):
        await desk.retry("b", decided_by="operator", max_charge=CENT)

    assert len(world.panel.calls("add")) == 1


@BOTH
@pytest.mark.asyncio
async def test_budget_holds_for_a_known_ref_by_the_price_of_the_day(
    world: World, clock: ShiftedClock
) -> None:
    unlimited = await world.desk()
    await enqueue(world, unlimited)
    desk = await current_desk(world, clock, budget_per_day=Decimal(5))
    await desk.place(order("b"), ref="b")
    world.panel.change_rate(1, Decimal(100))

    with pytest.raises(SpendingLimitError) as caught:
        await desk.place(order(), ref="a")

    assert (caught.value.limit_name, caught.value.spent) == ("budget_per_day", Decimal(1))
    world.panel.change_rate(1, Decimal(4))
    assert (await desk.place(order(), ref="a")).price == Decimal(4)
    with pytest.raises(SpendingLimitError):
        await desk.place(order("c"), ref="c")


@pytest.mark.asyncio
async def test_order_counts_against_the_day_that_it_is_sent_on(
    world: World, clock: ShiftedClock
) -> None:
    desk = await current_desk(world, clock, budget_per_day=Decimal(1))
    await enqueue(world, desk)
    clock.advance(86_400)

    await desk.place(order(), ref="a")

    with pytest.raises(SpendingLimitError):
        await desk.place(order("b"), ref="b")


@pytest.mark.asyncio
async def test_unknown_price_of_a_known_ref_breaks_its_limit(world: World, desk: OrderDesk) -> None:
    endless = SubscriptionsOrder(service=2, username="operator", min=1, max=5, posts=3, delay=0)
    entry = await enqueue(world, desk, order=endless)

    with pytest.raises(InvalidOrderError, match=r"max_charge.*not known in advance"):
        await desk.place(endless, ref="a", max_charge=Decimal(9))
    with pytest.raises(InvalidOrderError, match=r"max_charge.*not known in advance"):
        await desk._sender.send(await found(desk), is_awaited=True)

    assert entry.price is None
    assert (await found(desk)).kind is ErrorKind.INVALID
    assert not world.panel.orders


@pytest.mark.asyncio
async def test_order_waits_while_its_price_cannot_be_refreshed(
    world: World, desk: OrderDesk, clock: ShiftedClock
) -> None:
    await enqueue(world, desk, max_charge=Decimal(2))
    world.panel.fail_next(Fault.HTTP_500, action="services", times=1)

    entry = await desk._sender.send(await found(desk), is_awaited=True)

    assert (entry.state, entry.attempt) == (S.PREPARED, 0)
    assert "max_charge cannot be enforced" in (entry.reason or "")
    due_at = await desk._journal.next_due()
    assert due_at is not None
    assert 0 < (due_at - clock.last).total_seconds() <= NOT_SENT_RETRY_S


@pytest.mark.asyncio
async def test_refused_catalogue_sends_nothing(world: World, desk: OrderDesk) -> None:
    await enqueue(world, desk, max_charge=Decimal(2))
    world.panel.answer_next("services", '{"error": "Invalid API key"}')

    with pytest.raises(AuthenticationError):
        await desk._sender.send(await found(desk), is_awaited=True)

    assert not world.panel.calls("add")
