"""What orders may cost, each and per day."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smmfanfast_async.errors import (
    InvalidOrderError,
    InvalidSettingsError,
    NotSentError,
    SpendingLimitError,
)
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.orders import SubscriptionsOrder
from smmfanfast_async.sandbox import Fault

from .world import S, World, order

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
SUBSCRIPTION = SubscriptionsOrder(service=2, username="operator", min=1, max=5, posts=3, delay=0)


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2030, 5, 17, 23, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.mark.asyncio
async def test_price_at_max_charge_is_placed_and_above_it_is_not(world: World) -> None:
    desk = await world.desk()

    placed = await desk.place(order(), ref="a", max_charge=Decimal(1))
    with pytest.raises(SpendingLimitError) as caught:
        await desk.place(order("b", quantity=1001), ref="b", max_charge=Decimal(1))

    assert placed.state is S.ACCEPTED
    assert (caught.value.limit_name, caught.value.price) == ("max_charge", Decimal("1.001"))
    assert await desk.find("b") is None
    assert len(world.panel.calls("add")) == 1


@pytest.mark.parametrize("wrong", [1.5, Decimal("NaN"), Decimal(-1), 1, "1"])
@pytest.mark.asyncio
async def test_max_charge_must_be_an_amount(world: World, wrong: Any) -> None:
    desk = await world.desk()

    with pytest.raises(InvalidOrderError, match="max_charge"):
        await desk.place(order(), ref="a", max_charge=wrong)


@pytest.mark.parametrize("wrong", [1.5, Decimal("NaN"), Decimal(-1), 1])
@pytest.mark.asyncio
async def test_budget_must_be_an_amount(world: World, wrong: Any) -> None:
    with pytest.raises(InvalidSettingsError, match="budget_per_day"):
        await world.desk(budget_per_day=wrong)


@pytest.mark.parametrize("wrong", [{"calls_per_minute": 0}, {"account": ""}, {"account": "a" * 65}])
@pytest.mark.asyncio
async def test_invalid_settings_are_rejected(world: World, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingsError, match=next(iter(wrong))):
        await world.desk(**wrong)


@BOTH
@pytest.mark.asyncio
async def test_daily_budget_holds_across_desks_and_callers(world: World) -> None:
    desks = [await world.desk(budget_per_day=Decimal(3)) for _ in range(2)]

    results = await asyncio.gather(
        *(desks[n % 2].place(order(n), ref=f"r{n}") for n in range(6)), return_exceptions=True
    )

    refused = [each for each in results if isinstance(each, SpendingLimitError)]
    assert len(refused) == 3
    assert len(world.panel.orders) == 3
    assert {each.limit_name for each in refused} == {"budget_per_day"}


@pytest.mark.asyncio
async def test_each_utc_day_has_its_own_budget(world: World) -> None:
    clock = Clock()
    desk = await world.desk(journal=SQLJournal(world.url, clock=clock), budget_per_day=Decimal(1))
    await desk.place(order("a"), ref="a")
    with pytest.raises(SpendingLimitError):
        await desk.place(order("b"), ref="b")

    clock.time += timedelta(hours=1)

    assert (await desk.place(order("b"), ref="b")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_each_account_has_its_own_budget_and_refs(world: World) -> None:
    first = await world.desk(budget_per_day=Decimal(1))
    second = await world.desk(account="another", budget_per_day=Decimal(1))

    entries = [await first.place(order(1), ref="a"), await second.place(order(2), ref="a")]

    assert {each.state for each in entries} == {S.ACCEPTED}
    assert len(world.panel.orders) == 2


@pytest.mark.asyncio
async def test_existing_entry_is_returned_though_the_budget_is_spent(world: World) -> None:
    desk = await world.desk(budget_per_day=Decimal(1))
    placed = await desk.place(order(), ref="a")

    assert await desk.place(order(), ref="a") == placed


@pytest.mark.asyncio
async def test_retry_of_a_refused_order_needs_budget_again(
    world: World,
) -> None:
    desk = await world.desk(budget_per_day=Decimal(1))
    world.panel.answer_next("add", '{"error": "Not enough funds"}')
    await desk.place(order("a"), ref="a")
    await desk.place(order("b"), ref="b")

    with pytest.raises(SpendingLimitError):
        await desk.retry("a", decided_by="operator")

    entry = await desk.find("a")
    assert entry is not None
    assert entry.state is S.REFUSED


@pytest.mark.parametrize(
    ("options", "limit"),
    [({"max_charge": Decimal(0)}, "max_charge"), ({}, "budget_per_day")],
)
@pytest.mark.asyncio
async def test_limit_rejects_an_order_of_unknown_price(
    world: World, options: dict[str, Any], limit: str
) -> None:
    desk = await world.desk(budget_per_day=Decimal(5))

    with pytest.raises(InvalidOrderError, match=f"{limit}.*not known in advance"):
        await desk.place(SUBSCRIPTION, ref="a", **options)

    assert await desk.find("a") is None


@pytest.mark.asyncio
async def test_order_of_unknown_price_is_placed_without_a_limit(world: World) -> None:
    desk = await world.desk()

    entry = await desk.place(SUBSCRIPTION, ref="a")

    assert (entry.state, entry.price, entry.link) == (S.ACCEPTED, None, None)


@pytest.mark.asyncio
async def test_stale_catalogue_cannot_enforce_a_limit(world: World) -> None:
    desk = await world.desk(await world.client(services_ttl_s=0.0))
    await desk.place(order(), ref="a")
    world.panel.fail_next(Fault.HTTP_500, action="services", times=2)

    entry = await desk.place(order("b"), ref="b")
    with pytest.raises(NotSentError, match="max_charge cannot be enforced"):
        await desk.place(order("c"), ref="c", max_charge=Decimal(9))

    assert entry.state is S.ACCEPTED
    assert await desk.find("c") is None


@pytest.mark.asyncio
@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), 10**20])
async def test_wait_s_is_a_number_of_seconds(world: World, wrong: float) -> None:
    desk = await world.desk()

    with pytest.raises(InvalidSettingsError, match="wait_s"):
        await desk.place(order(), ref="a", wait_s=wrong)

    assert await desk.find("a") is None
