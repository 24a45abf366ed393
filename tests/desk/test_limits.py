"""What orders may cost, one by one and in a day."""

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
SUBSCRIPTION = SubscriptionsOrder(service=2, username="somebody", min=1, max=5, posts=3, delay=0)


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2030, 5, 17, 23, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@pytest.mark.asyncio
async def test_a_price_at_max_charge_is_placed_and_above_it_is_not(world: World) -> None:
    desk = await world.desk()

    placed = await desk.place(order(), ref="a", max_charge=Decimal(1))
    with pytest.raises(SpendingLimitError) as caught:
        await desk.place(order("b", quantity=1001), ref="b", max_charge=Decimal(1))

    assert placed.state is S.ACCEPTED
    assert (caught.value.limit_name, caught.value.price) == ("max_charge", Decimal("1.001"))
    assert await desk.find("b") is None
    assert len(world.panel.asked("add")) == 1


@pytest.mark.parametrize("wrong", [1.5, Decimal("NaN"), Decimal(-1), 1, "1"])
@pytest.mark.asyncio
async def test_a_max_charge_that_is_no_amount_is_refused(world: World, wrong: Any) -> None:
    desk = await world.desk()

    with pytest.raises(InvalidOrderError, match="max_charge"):
        await desk.place(order(), ref="a", max_charge=wrong)


@pytest.mark.parametrize("wrong", [1.5, Decimal("NaN"), Decimal(-1), 1])
@pytest.mark.asyncio
async def test_a_budget_that_is_no_amount_is_refused(world: World, wrong: Any) -> None:
    with pytest.raises(InvalidSettingsError, match="budget_per_day"):
        await world.desk(budget_per_day=wrong)


@pytest.mark.parametrize("wrong", [{"calls_per_minute": 0}, {"account": ""}, {"account": "a" * 65}])
@pytest.mark.asyncio
async def test_settings_that_no_desk_can_work_with_are_refused(
    world: World, wrong: dict[str, Any]
) -> None:
    with pytest.raises(InvalidSettingsError, match=next(iter(wrong))):
        await world.desk(**wrong)


@BOTH
@pytest.mark.asyncio
async def test_the_days_budget_holds_over_desks_and_callers(world: World) -> None:
    desks = [await world.desk(budget_per_day=Decimal(3)) for _ in range(2)]

    found = await asyncio.gather(
        *(desks[n % 2].place(order(n), ref=f"r{n}") for n in range(6)), return_exceptions=True
    )

    refused = [each for each in found if isinstance(each, SpendingLimitError)]
    assert len(refused) == 3
    assert len(world.panel.orders) == 3
    assert {each.limit_name for each in refused} == {"budget_per_day"}


@pytest.mark.asyncio
async def test_a_new_utc_day_has_a_budget_of_its_own(world: World) -> None:
    clock = Clock()
    desk = await world.desk(journal=SQLJournal(world.url, clock=clock), budget_per_day=Decimal(1))
    await desk.place(order("a"), ref="a")
    with pytest.raises(SpendingLimitError):
        await desk.place(order("b"), ref="b")

    clock.time += timedelta(hours=1)

    assert (await desk.place(order("b"), ref="b")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_accounts_have_budgets_and_refs_of_their_own(world: World) -> None:
    first = await world.desk(budget_per_day=Decimal(1))
    second = await world.desk(account="another", budget_per_day=Decimal(1))

    entries = [await first.place(order(1), ref="a"), await second.place(order(2), ref="a")]

    assert {each.state for each in entries} == {S.ACCEPTED}
    assert len(world.panel.orders) == 2


@pytest.mark.asyncio
async def test_what_is_placed_already_is_given_though_the_budget_is_spent(world: World) -> None:
    desk = await world.desk(budget_per_day=Decimal(1))
    placed = await desk.place(order(), ref="a")

    assert await desk.place(order(), ref="a") == placed


@pytest.mark.asyncio
async def test_a_refused_order_gives_its_budget_back_and_retry_asks_for_it_again(
    world: World,
) -> None:
    desk = await world.desk(budget_per_day=Decimal(1))
    world.panel.say("add", '{"error": "Not enough funds"}')
    await desk.place(order("a"), ref="a")
    await desk.place(order("b"), ref="b")

    with pytest.raises(SpendingLimitError):
        await desk.retry("a", decided_by="somebody")

    entry = await desk.find("a")
    assert entry is not None
    assert entry.state is S.REFUSED


@pytest.mark.parametrize(
    ("options", "limit"),
    [({"max_charge": Decimal(0)}, "max_charge"), ({}, "budget_per_day")],
)
@pytest.mark.asyncio
async def test_a_price_that_is_not_known_can_not_be_held_against_a_limit(
    world: World, options: dict[str, Any], limit: str
) -> None:
    desk = await world.desk(budget_per_day=Decimal(5))

    with pytest.raises(InvalidOrderError, match=f"{limit}.*not known before"):
        await desk.place(SUBSCRIPTION, ref="a", **options)

    assert await desk.find("a") is None


@pytest.mark.asyncio
async def test_a_price_that_is_not_known_is_placed_without_a_limit(world: World) -> None:
    desk = await world.desk()

    entry = await desk.place(SUBSCRIPTION, ref="a")

    assert (entry.state, entry.price, entry.link) == (S.ACCEPTED, None, None)


@pytest.mark.asyncio
async def test_a_stale_catalogue_prices_only_where_no_limit_needs_it(world: World) -> None:
    desk = await world.desk(await world.client(services_ttl_s=0.0))
    await desk.place(order(), ref="a")
    world.panel.fail_next(Fault.HTTP_500, action="services", times=2)

    entry = await desk.place(order("b"), ref="b")
    with pytest.raises(NotSentError, match="max_charge can't be held"):
        await desk.place(order("c"), ref="c", max_charge=Decimal(9))

    assert entry.state is S.ACCEPTED
    assert await desk.find("c") is None
