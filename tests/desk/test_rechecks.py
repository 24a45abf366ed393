"""Finished orders are checked again, ever more seldom: panels refund some of them later."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from smmfanfast_async import OrderStatus
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.desk.rechecks import Rechecks
from smmfanfast_async.errors import InvalidSettingsError
from smmfanfast_async.journal import Entry, EntryState, EventKind, JournalEvent
from smmfanfast_async.journal.sql import SQLJournal

from .world import S, ShiftedClock, World, eventually, in_state, order, read_events

DAY_S = 86_400
START = datetime(2030, 5, 17, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def entry(state: EntryState = S.FINISHED, **changes: Any) -> Entry:
    values = {"changed_at": START, "raw_status": "Completed", "charge": Decimal(1)} | changes
    return Entry(ref="a", state=state, created_at=START, **values)


def status(raw_status: str = "Completed", raw_charge: str | None = "1.00") -> OrderStatus:
    return OrderStatus(order="1", raw_status=raw_status, raw_charge=raw_charge)


# --- when ----------------------------------------------------------------------------------------


def schedule(days: float) -> list[float]:
    """Return the ages in days at which an order is checked that never changes again."""
    rechecks, ages = Rechecks(days, "shop"), []
    at = rechecks.next_at(entry(S.ACCEPTED), status(), START)
    while at is not None:
        ages.append(round((at - START) / timedelta(days=1), 1))
        at = rechecks.next_at(entry(), status(), at)
    return ages


def test_finished_order_is_checked_ever_more_seldom() -> None:
    assert schedule(30) == pytest.approx([1, 2, 4, 8, 16, 30], abs=0.1)
    assert schedule(366) == pytest.approx([1, 2, 4, 8, 16, 32, 64, 128, 256, 366], abs=0.1)
    assert schedule(0.5) == pytest.approx([0.5], abs=0.1)
    assert schedule(0) == []


def test_checks_of_an_account_fall_on_one_minute_of_an_hour() -> None:
    moments = {
        Rechecks(30, "shop").next_at(entry(S.ACCEPTED), status(), START + number * HOUR / 60)
        for number in range(60)
    }
    assert len(moments) == 2
    early, late = sorted(each for each in moments if each is not None)
    assert late - early == HOUR
    assert early >= START + timedelta(days=1)
    others = {Rechecks(30, f"{n}").next_at(entry(S.ACCEPTED), status(), START) for n in range(99)}
    assert len(others) > 60


@pytest.mark.parametrize(("result", "is_soon"), [
    (status("Refunded"), True),
    (status(raw_charge="0.5"), True),
    (status("completed", "1.0"), False),
    (status(raw_charge=None), False),
    (None, False),
])  # fmt: skip
def test_changed_order_is_checked_again_soon(result: OrderStatus | None, *, is_soon: bool) -> None:
    now = START + timedelta(days=10)

    at = Rechecks(30, "shop").next_at(entry(), result, now)

    assert at is not None
    assert at - now <= (timedelta(days=1) if is_soon else timedelta(days=10)) + HOUR
    assert at - now >= (timedelta(days=1) if is_soon else timedelta(days=10))


# --- what ----------------------------------------------------------------------------------------


async def finished_orders(world: World, count: int, **options: Any) -> tuple[OrderDesk, Any]:
    clock = ShiftedClock()
    journal = SQLJournal(world.url, clock=clock)
    desk = await world.desk(journal=journal, record_balance=False, **options)
    for number in range(count):
        await desk.place(order(number), ref=f"r{number}")
    world.panel.finish_all()
    for each in world.panel.orders:
        world.panel.set_status(each, "completed")

    async def all_finished() -> bool:
        return (await desk.summary()).by_state.get(S.FINISHED) == count

    async with world.following(desk):
        await eventually(all_finished)
    world.panel.forms.clear()
    await read_events(desk)
    return desk, clock


def asked(world: World) -> list[Mapping[str, str]]:
    return world.panel.calls("status")


@pytest.mark.asyncio
async def test_refund_after_the_end_is_an_event(world: World) -> None:
    desk, clock = await finished_orders(world, 2)
    first = (await in_state(desk, "r0", S.FINISHED)).order_id()
    world.panel.set_status(first, "partial", remains=250)
    clock.advance(DAY_S + 3600)
    events: list[JournalEvent] = []

    async def is_told() -> bool:
        events.extend(await read_events(desk))
        return bool(events)

    async with world.following(desk):
        await eventually(is_told)

    (event,) = events
    assert (event.ref, event.kind, event.raw_status) == ("r0", EventKind.CHANGED, "partial")
    found = await desk.find("r0")
    assert found is not None
    assert (found.state, found.refund_share) == (S.FINISHED, Decimal("0.25"))
    assert (await desk.summary()).refunded == Decimal("0.25")
    assert len(asked(world)) == 1  # both in one call


@pytest.mark.asyncio
async def test_checks_after_the_end_are_batches(world: World) -> None:
    desk, clock = await finished_orders(world, 120)
    clock.advance(DAY_S + 3600)

    async with world.following(desk):
        await eventually(lambda: sum(map(_count, asked(world))) >= 120)

    assert sorted(map(_count, asked(world))) == [20, 100]


def _count(form: Mapping[str, str]) -> int:
    return len((form.get("orders") or form["order"]).split(","))


@pytest.mark.asyncio
async def test_finished_orders_are_not_checked_with_zero_days(world: World) -> None:
    desk, clock = await finished_orders(world, 2, recheck_days=0)
    clock.advance(40 * DAY_S)
    await desk.place(order("late"), ref="late")

    async with world.following(desk):
        await eventually(lambda: asked(world))

    assert list(map(_count, asked(world))) == [1]


@pytest.mark.asyncio
async def test_missing_or_failing_finished_order_is_no_event(world: World) -> None:
    desk, clock = await finished_orders(world, 2)
    orders = [(await in_state(desk, f"r{n}", S.FINISHED)).order_id() for n in range(2)]
    missing, failing = ({"error": "Incorrect order ID"}, {"error": "try again"})
    body = str({orders[0]: missing, orders[1]: failing}).replace("'", '"')
    journal = SQLJournal(world.url).for_account(desk._journal._account)  # type: ignore[attr-defined]
    await journal.open()
    try:
        for days in (1, 2, 4, 8, 16, 30, 31):
            clock.ahead = timedelta(days=days + 1, hours=2)
            for _ in range(4):
                world.panel.answer_next("status", body)
            before = len(asked(world))
            due = await journal.next_due()
            async with world.following(desk):
                if due is not None and due <= clock():
                    await eventually(lambda before=before: len(asked(world)) > before)

                async def is_over() -> bool:
                    due = await journal.next_due()
                    return due is None or due > clock() + timedelta(minutes=10)

                await eventually(is_over)
            world.panel.scripted.clear()
        assert await journal.next_due() is None
    finally:
        await journal.aclose()
    assert await read_events(desk) == []


@pytest.mark.asyncio
@pytest.mark.parametrize("wrong", [-1, 367, float("nan"), "30", True])
async def test_recheck_days_must_be_a_number_of_days(world: World, wrong: Any) -> None:
    with pytest.raises(InvalidSettingsError, match="recheck_days"):
        await world.desk(recheck_days=wrong)
