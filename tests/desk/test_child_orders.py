"""What drip-feed orders and subscriptions cost comes from the orders that they created."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smmfanfast_async import OrderStatus, SubscriptionsOrder
from smmfanfast_async.desk import OrderDesk, child_orders
from smmfanfast_async.desk.child_orders import ChildCosts, ChildOrders
from smmfanfast_async.desk.rate_limit import AccountRateLimit
from smmfanfast_async.errors import JournalError, OrderNotFoundError
from smmfanfast_async.journal import CallReservation
from smmfanfast_async.journal.sql import SQLJournal

from .world import S, World, eventually, in_state, order

SUBSCRIPTION = SubscriptionsOrder(
    service=2, username="name", min=1000, max=1000, delay=0, posts=2, expiry=None
)


@pytest.mark.asyncio
async def test_canceled_drip_feed_costs_what_its_runs_cost(world: World) -> None:
    desk = await world.desk()
    entry = await desk.place(order(service=3, runs=4, interval=10), ref="drip")
    world.panel.advance(25 * 60)  # two of four runs
    world.panel.set_status(entry.order_id(), "canceled")
    first, second = world.panel.orders[entry.order_id()].orders
    world.panel.set_status(first, "completed")

    async with world.following(desk):
        await eventually(lambda: _has_status(desk, "canceled"))
        open_parent = await desk.find("drip")
        world.panel.set_status(second, "partial", remains=500)
        finished = await in_state(desk, "drip", S.FINISHED)

    assert open_parent is not None
    assert open_parent.state is S.ACCEPTED  # a child order is not final
    assert (finished.price, finished.charge, finished.currency) == (4, Decimal("1.5"), "USD")
    assert finished.refund_share is None
    summary = await desk.summary()
    assert (summary.spent, summary.refunded) == (Decimal("1.5"), Decimal("2.5"))
    assert summary.spent + world.panel.balance == 10**6


async def _has_status(desk: OrderDesk, raw_status: str) -> bool:
    entry = await desk.find("drip")
    return entry is not None and entry.raw_status == raw_status


@pytest.mark.asyncio
async def test_cost_of_a_running_subscription_is_counted_as_unknown(world: World) -> None:
    desk = await world.desk()
    entry = await desk.place(SUBSCRIPTION, ref="posts")
    assert (await desk.summary()).cost_unknown == 1

    world.panel.finish_all()
    async with world.following(desk):
        finished = await in_state(desk, "posts", S.FINISHED)

    children = [world.panel.orders[each] for each in world.panel.orders[entry.order_id()].orders]
    assert len(children) == 2
    assert finished.charge == sum(each.charge for each in children)
    summary = await desk.summary()
    assert summary.cost_unknown == 0
    assert summary.spent + world.panel.balance == 10**6


@pytest.mark.asyncio
async def test_canceled_before_the_first_run_costs_nothing(world: World) -> None:
    desk = await world.desk()
    entry = await desk.place(order(service=3, runs=4, interval=10), ref="drip")
    world.panel.set_status(entry.order_id(), "canceled")

    async with world.following(desk):
        finished = await in_state(desk, "drip", S.FINISHED)

    assert finished.charge == 0
    assert world.panel.balance == 10**6


# --- the parts -----------------------------------------------------------------------------------

DONE = {"status": "Completed", "charge": "0.50", "currency": "USD"}
COSTS = [
    ([DONE, DONE], ChildCosts(charge=Decimal("1.00"), currency="USD")),
    ([DONE, DONE | {"status": "Pending"}], ChildCosts(are_open=True)),
    ([DONE, {"status": "Completed"}], ChildCosts()),
    ([DONE, DONE | {"currency": "EUR"}], ChildCosts()),
    ([DONE, {"error": "Incorrect order ID"}], ChildCosts()),
    ([DONE, {"error": "busy, come back later"}], ChildCosts(are_open=True)),
]


def parent(**changes: Any) -> OrderStatus:
    return OrderStatus(**{"order": "9", "raw_status": "Completed", "orders": ("1", "2")} | changes)


async def find_costs(
    world: World, *statuses: OrderStatus, calls_per_minute: int | None = None, journal: Any = None
) -> dict[str, ChildCosts]:
    children = ChildOrders(rate_limit=AccountRateLimit(journal, calls_per_minute))
    return await children.find_costs(await world.client(), {each.order: each for each in statuses})


@pytest.mark.asyncio
@pytest.mark.parametrize(("rows", "costs"), COSTS)
async def test_costs_of_child_orders(
    world: World, rows: list[dict[str, str]], costs: ChildCosts
) -> None:
    body = json.dumps({str(number): row for number, row in enumerate(rows, start=1)})
    for _ in range(3):  # more, for ids that failed in a batch
        world.panel.answer_next("status", body)

    assert await find_costs(world, parent()) == {"9": costs}


@pytest.mark.asyncio
async def test_only_final_orders_without_a_charge_need_their_children(world: World) -> None:
    costs = await find_costs(
        world,
        parent(order="1", raw_status="Active"),
        parent(order="2", raw_charge="1.00"),
        parent(order="3", orders=()),
        parent(order="4", orders=(), posts=3),
        parent(order="5", orders=(), posts=0),
    )

    assert costs == {"5": ChildCosts(charge=Decimal(0))}
    assert not world.panel.calls("status")

    failed = OrderNotFoundError("not found", order="9")
    children = ChildOrders(rate_limit=AccountRateLimit(SQLJournal(world.url), None))
    assert await children.find_costs(await world.client(), {"9": failed}) == {}


@pytest.mark.asyncio
async def test_number_of_child_orders_in_a_check_is_bounded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_orders, "MAX_IDS", 3)
    world.panel.answer_next("status", json.dumps({"1": DONE, "2": DONE}))

    costs = await find_costs(
        world, parent(), parent(order="8", orders=("3", "4")),
        parent(order="7", orders=("5", "6", "7", "8")),
    )  # fmt: skip

    assert costs == {
        "9": ChildCosts(charge=Decimal(1), currency="USD"),
        "8": ChildCosts(are_open=True),  # the next check asks for them
        "7": ChildCosts(),
    }
    assert len(world.panel.calls("status")) == 1


@pytest.mark.asyncio
async def test_child_orders_are_asked_for_later_if_it_takes_too_long(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Journal:
        async def reserve_call(self, interval: timedelta, **_: object) -> CallReservation:
            wait, now = timedelta(minutes=5), datetime.now(UTC)
            return CallReservation(
                wait=wait, call_at=now + wait, next_call_at=now + wait + interval, panel="default"
            )

        async def cancel_call(self, _: CallReservation) -> None: ...

    costs = await find_costs(world, parent(), calls_per_minute=1, journal=Journal())
    assert costs == {"9": ChildCosts(are_open=True)}

    class Hanging(Journal):
        async def reserve_call(self, interval: timedelta, **_: object) -> CallReservation:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(child_orders, "TIMEOUT_S", 0.01)
    costs = await find_costs(world, parent(), calls_per_minute=1, journal=Hanging())
    assert costs == {"9": ChildCosts(are_open=True)}

    class Broken(Journal):
        async def reserve_call(self, interval: timedelta, **_: object) -> CallReservation:
            raise JournalError("disk full")

    costs = await find_costs(world, parent(), calls_per_minute=1, journal=Broken())
    assert costs == {"9": ChildCosts(are_open=True)}
    assert "disk full" in caplog.text
    assert not world.panel.calls("status")
