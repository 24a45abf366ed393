"""Watched services: each change is told once and in order, whatever desks and clocks do."""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from smmfanfast_async import Client, InvalidSettingsError, JournalError, StaleEventError
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import (
    Comparison,
    EventKind,
    ServiceEvent,
    ServiceEventKind,
    ServiceRound,
    WatchClaim,
    WatchedService,
)
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault, SandboxService

from .world import ShiftedClock, World, eventually, order, read_events, timed_desk

K = ServiceEventKind
EVERY_S = 60.0
LEASE_S = 120.0
PRODUCTS: dict[str, dict[str, int | str]] = {
    "likes": {"alpha": 1},
    "more-likes": {"alpha": 1},
    "follows": {"alpha": 2},
}


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


async def open_desk(
    world: World, clock: ShiftedClock, client: Client | None = None, **options: Any
) -> OrderDesk:
    """Return a desk that sells services 1 and 2, with a client of its own."""
    options = {"products": PRODUCTS, "watch_services_every_s": EVERY_S} | options
    return await world.desk(
        {"alpha": client or await world.client()},  # type: ignore[arg-type]
        SQLJournal(world.url, clock=clock), account="shop", **options,
    )  # fmt: skip


async def look(desk: OrderDesk, panel: str = "alpha") -> None:
    """Do once what `follow` does at each poll."""
    watch = desk._follower.watch
    assert watch is not None
    await watch.__self__.step(panel)  # type: ignore[attr-defined]


async def look_later(desk: OrderDesk, clock: ShiftedClock, seconds: float = EVERY_S + 1) -> None:
    clock.advance(seconds)
    await look(desk)


async def told(desk: OrderDesk, consumer: str = "shop") -> list[ServiceEvent]:
    """Return the events that a consumer has not acknowledged."""
    async with desk.service_events(consumer, wait=False) as events:
        return [event async for event in events]


async def kinds(desk: OrderDesk) -> list[tuple[str, K]]:
    return [(each.service, each.kind) for each in await told(desk)]


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
@pytest.mark.asyncio
async def test_changes_are_told_once_and_in_order(world: World, clock: ShiftedClock) -> None:
    desk = await open_desk(world, clock)
    await look(desk)
    assert await told(desk) == [], "first sight"

    world.panel.change_rate(1, Decimal("1.25"))
    world.panel.change_rate(3, Decimal(9))  # nobody sells it
    await look(desk)
    assert await told(desk) == [], "no interval has passed"
    await look_later(desk, clock)
    world.panel.change_limits(2, min=5, max=50)
    await look_later(desk, clock)
    await look_later(desk, clock)

    first, second = await told(desk)
    assert (first.position, first.panel, first.service, first.kind) == (1, "alpha", "1", K.CHANGED)
    assert first.change is not None
    assert first.change.price_increased
    assert (first.change.before.rate, first.change.after.rate) == (1, Decimal("1.25"))
    assert (second.position, second.service) == (2, "2")
    assert second.change is not None
    assert second.change.limits_changed
    assert await told(desk) == []
    assert [each.position for each in await told(desk, "other")] == [1, 2]


@pytest.mark.asyncio
async def test_service_is_removed_by_the_second_answer_and_restored(
    world: World, clock: ShiftedClock
) -> None:
    desk = await open_desk(world, clock)
    await look(desk)
    removed = world.panel.services["2"]
    world.panel.remove_service(2)
    await look_later(desk, clock)
    assert await told(desk) == []
    await look_later(desk, clock)
    assert await kinds(desk) == [("2", K.REMOVED)]

    world.panel.add_service(removed)
    await look_later(desk, clock)
    await look_later(desk, clock)

    assert await kinds(desk) == [("2", K.RESTORED)]


HALF = json.dumps([{"service": 1, "name": "One", "rate": "7", "min": 1, "max": 9}])


@pytest.mark.parametrize(("body", "http_status", "reason"), [
    (HALF, 200, "has 1 entries; the last complete one had 3"),
    ("[]", 200, "empty"),
    ("oops", 500, ""),
    ('{"error": "Incorrect request"}', 200, ""),
])  # fmt: skip
@pytest.mark.asyncio
async def test_answer_that_is_not_complete_changes_nothing(
    world: World, clock: ShiftedClock, body: str, http_status: int, reason: str
) -> None:
    desk = await open_desk(world, clock)
    await look(desk)
    before = (await desk.health()).panels["alpha"]
    world.panel.answer_next("services", body, http_status)
    # Without a catalogue in memory, so that an error is not hidden by a stale one.
    other = await open_desk(world, clock)

    await look_later(other, clock)

    panel = (await other.health()).panels["alpha"]
    assert panel.services_reason is not None
    assert reason in panel.services_reason
    assert panel.services_at == before.services_at
    assert await told(other) == []
    await look_later(other, clock)
    assert len(world.panel.calls("services")) == 2, "the lease goes on"
    third = await open_desk(world, clock)
    await look_later(third, clock)
    assert (await third.health()).panels["alpha"].services_reason is None
    assert await told(third) == []


@pytest.mark.asyncio
async def test_stale_catalogue_is_not_compared(world: World, clock: ShiftedClock) -> None:
    desk = await open_desk(world, clock)
    await look(desk)
    world.panel.answer_next("services", "oops", 500)
    world.panel.remove_service(2)

    await look_later(desk, clock)

    reason = (await desk.health()).panels["alpha"].services_reason
    assert reason is not None
    assert "could not be fetched again" in reason


@pytest.mark.asyncio
async def test_panel_that_asks_for_a_pause_gets_one(world: World, clock: ShiftedClock) -> None:
    desk = await open_desk(world, clock)
    world.panel.answer_next("services", "slow down", 429, **{"Retry-After": "100"})

    await look(desk)

    paused_until = (await desk.health()).panels["alpha"].paused_until
    assert paused_until is not None
    assert (paused_until - clock.last).total_seconds() > 90


@pytest.mark.asyncio
async def test_fetching_waits_for_its_turn_but_not_for_long(
    world: World, clock: ShiftedClock
) -> None:
    desk = await open_desk(world, clock, calls_per_minute=1)
    limit = desk._panels["alpha"].rate_limit
    await limit.wait()

    await look(desk)

    reason = (await desk.health()).panels["alpha"].services_reason
    assert reason is not None
    assert "the rate limit leaves no call" in reason
    assert world.panel.calls("services") == []


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
@pytest.mark.asyncio
async def test_two_desks_share_the_work(world: World, clock: ShiftedClock) -> None:
    desks = [await open_desk(world, clock) for _ in range(2)]
    for _ in range(3):
        await asyncio.gather(*(look_later(each, clock, 31) for each in desks))
        world.panel.change_rate(1, world.panel.services["1"].rate + 1)
    await asyncio.gather(*(look_later(each, clock, 31) for each in desks))

    assert len(world.panel.calls("services")) == 4
    events = await told(desks[0])
    assert [each.position for each in events] == [1, 2, 3]
    rates = [each.after.rate for each in events if each.after is not None]
    assert rates == [2, 3, 4]


@pytest.mark.asyncio
async def test_desks_that_sell_different_services_watch_all_of_them(
    world: World, clock: ShiftedClock
) -> None:
    desk = await open_desk(world, clock)
    other = await open_desk(world, clock, products={"likes": {"alpha": 3}})
    await look(desk)
    await look(other)
    world.panel.change_rate(1, Decimal(2))
    world.panel.change_rate(3, Decimal(3))
    clock.advance(EVERY_S)

    await look(other)
    assert await kinds(desk) == [("3", K.CHANGED)]
    await look(desk)
    assert await kinds(desk) == [("1", K.CHANGED)]


@pytest.mark.asyncio
async def test_service_that_is_not_listed_yet(world: World, clock: ShiftedClock) -> None:
    desk = await open_desk(world, clock, products={"likes": {"alpha": "later"}})
    await look(desk)
    await look_later(desk, clock)
    assert await told(desk) == []

    world.panel.add_service(SandboxService(
        service="later", name="New", type="default", category="c", rate=1, min=1, max=9,
    ))  # fmt: skip
    await look_later(desk, clock)

    assert await kinds(desk) == [("later", K.RESTORED)]


@pytest.mark.asyncio
async def test_odd_service_is_no_change_to_itself(world: World, clock: ShiftedClock) -> None:
    odd = '{"service": 1, "name": "\\u0000\\ud800", "x": NaN, "y": 1.50, "z": [{"2": 1e400}]}'
    desk = await open_desk(world, clock)
    for _ in range(2):
        world.panel.answer_next("services", f"[{odd}, {odd.replace('1', '2', 1)}]")
        await look_later(desk, clock)

    assert await told(desk) == []
    assert (await desk.health()).panels["alpha"].services_reason is None


class Stopped(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
@pytest.mark.parametrize("is_committed", [False, True])
@pytest.mark.asyncio
async def test_desk_that_stops_at_the_commit_loses_and_repeats_nothing(
    world: World, clock: ShiftedClock, monkeypatch: pytest.MonkeyPatch, *, is_committed: bool
) -> None:
    desk = await open_desk(world, clock)
    await look(desk)
    world.panel.change_rate(1, Decimal(2))
    record = SQLJournal.record_services

    async def stop(self: SQLJournal, claim: WatchClaim, count: int, compare: Comparison) -> bool:
        def stop_before(before: Mapping[str, WatchedService], now: datetime) -> ServiceRound:
            compare(before, now)
            raise Stopped

        await record(self, claim, count, compare if is_committed else stop_before)
        raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(SQLJournal, "record_services", stop)
        with pytest.raises(Stopped):
            await look_later(desk, clock)

    other = await open_desk(world, clock)
    assert len(await told(other, "now")) == is_committed
    await look_later(other, clock, LEASE_S + 1)
    await look_later(other, clock)
    events = await told(other)
    assert [(each.position, each.kind) for each in events] == [(1, K.CHANGED)]


@pytest.mark.asyncio
async def test_desk_that_was_suspended_records_nothing(
    world: World, clock: ShiftedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspended, other = await open_desk(world, clock), await open_desk(world, clock)
    await look(other)
    world.panel.change_rate(1, Decimal(2))
    record = SQLJournal.record_services
    notified: list[bool] = []
    suspended._event_reader.notify = lambda: notified.append(True)  # type: ignore[method-assign]

    async def late(self: SQLJournal, *args: Any) -> bool:
        monkeypatch.setattr(SQLJournal, "record_services", record)
        world.panel.change_rate(1, Decimal(3))
        await look_later(other, clock, LEASE_S + 1)
        return await record(self, *args)

    monkeypatch.setattr(SQLJournal, "record_services", late)
    await look_later(suspended, clock)

    (event,) = await told(other)
    assert event.after is not None
    assert event.after.rate == 3
    assert notified == []


@pytest.mark.asyncio
async def test_clock_that_is_set_back_neither_stops_nor_hurries(
    world: World, clock: ShiftedClock
) -> None:
    clock.advance(86_400)
    desk = await open_desk(world, clock)
    await look(desk)
    world.panel.remove_service(2)
    await look_later(desk, clock)
    world.panel.change_rate(1, Decimal(2))

    await look_later(desk, clock, -86_400)
    assert await kinds(desk) == [("1", K.CHANGED)]
    await look_later(desk, clock)
    assert await kinds(desk) == [("2", K.REMOVED)]


@pytest.mark.asyncio
async def test_without_products_the_services_of_open_orders_are_watched(
    world: World, clock: ShiftedClock
) -> None:
    journal = SQLJournal(world.url, clock=clock)
    desk = await world.desk(journal=journal, watch_services_every_s=EVERY_S)
    await look(desk, "default")
    assert world.panel.calls("services") == [], "nothing is sold"
    await desk.place(order("a", service=3), ref="a")
    await look(desk, "default")
    world.panel.change_rate(3, Decimal(2))
    world.panel.change_rate(1, Decimal(2))

    clock.advance(EVERY_S)
    await look(desk, "default")

    assert await kinds(desk) == [("3", K.CHANGED)]
    # A consumer of the same name reads the events of orders from a position of its own.
    assert [each.kind for each in await read_events(desk, "shop")] == [EventKind.ACCEPTED]


@pytest.mark.asyncio
async def test_follow_watches_and_goes_on_after_errors(
    world: World, clock: ShiftedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await open_desk(world, clock, desk_class=timed_desk())
    failures = iter(["the disk is full"])
    claim = SQLJournal.claim_watch

    async def fail_once(self: SQLJournal, *args: Any, **options: Any) -> WatchClaim | None:
        for text in failures:
            raise JournalError(text)
        return await claim(self, *args, **options)

    monkeypatch.setattr(SQLJournal, "claim_watch", fail_once)

    async def receive() -> ServiceEvent:
        async with desk.service_events("shop") as events:
            return await anext(events)

    async with world.following(desk):
        receiving = asyncio.create_task(receive())
        await eventually(lambda: world.panel.calls("services"))
        await eventually(lambda: _is_watched(desk))
        world.panel.change_rate(1, Decimal(2))
        clock.advance(EVERY_S)
        event = await asyncio.wait_for(receiving, 60)

    assert (event.service, event.kind) == ("1", K.CHANGED)


async def _is_watched(desk: OrderDesk) -> bool:
    return (await desk.health()).panels["alpha"].services_at is not None


@pytest.mark.asyncio
async def test_error_of_the_journal_is_none_of_the_panel(
    world: World, clock: ShiftedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*args: Any, **options: Any) -> None:
        raise JournalError("gone")

    monkeypatch.setattr(SQLJournal, "reserve_call", fail)
    limited = await open_desk(world, clock, calls_per_minute=60)
    with pytest.raises(JournalError, match="gone"):
        await look(limited)
    assert (await limited.health()).panels["alpha"].services_reason is None


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
@pytest.mark.asyncio
async def test_event_is_acknowledged_in_the_callers_transaction(
    world: World, clock: ShiftedClock
) -> None:
    desk, other = await open_desk(world, clock), await open_desk(world, clock)
    await look(desk)
    world.panel.change_rate(1, Decimal(2))
    await look_later(desk, clock)
    engine = create_async_engine(world.url)
    stream = desk.service_events("shop", wait=False, acknowledge="manual")
    async with stream:
        event = await anext(stream)
        async with engine.connect() as connection:
            await connection.begin()
            await stream.acknowledge(event, connection=connection)
            await connection.rollback()
        assert await desk._journal.position("shop") == 0
        clock.advance(LEASE_S)
        async with other.service_events("shop", acknowledge="manual") as taken:
            assert (await anext(taken)).position == event.position
            async with engine.begin() as connection:
                await taken.acknowledge(event, connection=connection)
            with pytest.raises(StaleEventError):
                async with engine.begin() as connection:
                    await stream.acknowledge(event, connection=connection)
    await engine.dispose()
    assert await told(desk) == []


@pytest.mark.parametrize(("every_s", "message"), [
    (59, "59 must be at least 60"),
    (86_401, "must be at most 86400"),
    ("often", "must be at least 0"),
])  # fmt: skip
@pytest.mark.asyncio
async def test_interval_has_bounds(
    world: World, clock: ShiftedClock, every_s: Any, message: str
) -> None:
    with pytest.raises(InvalidSettingsError, match=message):
        await open_desk(world, clock, watch_services_every_s=every_s)


@pytest.mark.asyncio
async def test_panel_without_a_catalogue_cannot_be_watched(
    world: World, clock: ShiftedClock
) -> None:
    client = await world.client()
    profile = client.profile
    client = await world.client(
        profile=attrs.evolve(profile, actions=profile.actions - {"services"})
    )
    with pytest.raises(InvalidSettingsError, match="does not have"):
        await open_desk(world, clock, client)


@pytest.mark.asyncio
async def test_fault_is_logged_without_the_key(
    world: World, clock: ShiftedClock, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await open_desk(world, clock)
    world.panel.fail_next(Fault.DROP_BEFORE, action="services")

    await look(desk)

    assert "the services of panel 'alpha' are not compared" in caplog.text
    assert world.panel.api_key not in caplog.text
