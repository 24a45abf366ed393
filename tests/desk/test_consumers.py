"""Consumers that several desks share: one reads, the others stand by and take over."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from smmfanfast_async import InvalidSettingsError, JournalError, StaleEventError
from smmfanfast_async.desk import EventStream, OrderDesk
from smmfanfast_async.journal import JournalEvent
from smmfanfast_async.journal.sql import SQLJournal

from .world import ShiftedClock, SteppedClock, World, eventually, order, read_events, timed_desk

LEASE_S = 60


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
def stepped() -> SteppedClock:
    """The clock of the first desk, by which it renews its leases."""
    return SteppedClock()


@pytest_asyncio.fixture
async def desk(world: World, clock: ShiftedClock, stepped: SteppedClock) -> OrderDesk:
    desk_class = timed_desk(clock=stepped.clock, final_acknowledge_s=5.0)
    journal = SQLJournal(world.url, clock=clock)
    return await world.desk(journal=journal, desk_class=desk_class, record_balance=False)


@pytest_asyncio.fixture
async def other(world: World, clock: ShiftedClock) -> AsyncIterator[OrderDesk]:
    other = await world.desk(journal=SQLJournal(world.url, clock=clock), record_balance=False)
    for n in range(3):
        await other.place(order(n), ref=f"r{n}")
    yield other


async def rest(stream: EventStream[JournalEvent]) -> list[int]:
    return [event.position async for event in stream]


@pytest.mark.asyncio
async def test_second_worker_stands_by_and_continues(desk: OrderDesk, other: OrderDesk) -> None:
    received: list[int] = []

    async def read() -> None:
        async for event in other.events("mail"):
            received[:] = [*received, event.position]

    async with desk.events("mail") as events:
        assert (await anext(events)).position == 1
        task = asyncio.create_task(read())
        assert (await anext(events)).position == 2
        assert received == []

    await eventually(lambda: received == [2, 3])
    task.cancel()


@pytest.mark.asyncio
async def test_reading_what_another_worker_reads_is_an_error_without_waiting(
    desk: OrderDesk, other: OrderDesk
) -> None:
    async with desk.events("mail") as events:
        await anext(events)

        with pytest.raises(JournalError, match="is read by another worker; try again later"):
            await read_events(other, "mail")


@pytest.mark.asyncio
async def test_closing_a_desk_frees_its_consumers(desk: OrderDesk, other: OrderDesk) -> None:
    await anext(desk.events("mail"))

    await desk.aclose()

    assert [each.position for each in await read_events(other, "mail")] == [1, 2, 3]


@pytest.mark.asyncio
async def test_closing_without_the_journal_says_that_the_lease_stays(
    desk: OrderDesk,
    other: OrderDesk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(*_: object) -> None:
        raise JournalError("is restarting")

    stream, standing_by = desk.events("mail"), desk.events("mail")
    await anext(stream)
    waiting = asyncio.ensure_future(anext(standing_by))
    await asyncio.sleep(0)
    monkeypatch.setattr(SQLJournal, "release_consumer", fail)

    await desk.aclose()

    assert "read by no other worker until a lease is over: journal: is restarting" in caplog.text
    with pytest.raises(StopAsyncIteration):
        await waiting


@pytest.mark.asyncio
async def test_overtaken_worker_acknowledges_nothing(
    desk: OrderDesk, other: OrderDesk, clock: ShiftedClock, caplog: pytest.LogCaptureFixture
) -> None:
    stream = desk.events("mail", wait=False)
    await anext(stream)
    clock.advance(LEASE_S + 1)
    overtaking = other.events("mail")
    assert (await anext(overtaking)).position == 1

    assert (await anext(stream)).position == 2, "it does not know yet"
    assert (await anext(stream)).position == 3
    with pytest.raises(JournalError, match="is read by another worker"):
        await anext(stream)

    assert "events up to 3 will be repeated to 'mail': another worker reads them" in caplog.text
    assert (await anext(overtaking)).position == 2
    await overtaking.aclose()


@pytest.mark.parametrize("is_read_to_the_end", [True, False])
@pytest.mark.asyncio
async def test_worker_that_took_too_long_for_an_event_yields_no_more_of_its_page(
    desk: OrderDesk,
    other: OrderDesk,
    clock: ShiftedClock,
    stepped: SteppedClock,
    *,
    is_read_to_the_end: bool,
) -> None:
    stream = desk.events("mail", wait=False)
    await anext(stream)
    clock.advance(LEASE_S + 1)
    stepped.advance(LEASE_S + 1)
    overtaking = other.events("mail", wait=False)
    first = await anext(overtaking)

    if is_read_to_the_end:
        assert [first.position, *await rest(overtaking)] == [1, 2, 3]
        assert await rest(stream) == []
    else:
        with pytest.raises(JournalError, match="is read by another worker"):
            await anext(stream)
        await overtaking.aclose()


@pytest.mark.asyncio
async def test_lease_is_renewed_in_its_second_half(
    desk: OrderDesk, other: OrderDesk, clock: ShiftedClock, stepped: SteppedClock
) -> None:
    stream = desk.events("mail", wait=False)
    for position in (1, 2, 3):
        assert (await anext(stream)).position == position
        clock.advance(LEASE_S * 0.75)
        stepped.advance(LEASE_S * 0.75)

    with pytest.raises(JournalError, match="is read by another worker"):
        await read_events(other, "mail")
    assert await rest(stream) == []


# --- acknowledged by the caller ------------------------------------------------------------------


@pytest.mark.asyncio
async def test_event_that_is_not_acknowledged_comes_again(desk: OrderDesk) -> None:
    for n in range(3):
        await desk.place(order(n), ref=f"r{n}")
    events: list[JournalEvent] = []
    stream = desk.events("mail", wait=False, acknowledge="manual")
    async for event in stream:
        events.append(event)
        if len(events) == 3:
            await stream.acknowledge(events[1])
            await stream.acknowledge(events[0])  # is acknowledged with the one after it

    assert [each.position for each in events] == [1, 2, 3]
    with pytest.raises(StaleEventError, match="the stream has ended"):
        await stream.acknowledge(events[2])
    assert [each.position for each in await read_events(desk, "mail")] == [3]


@pytest.mark.asyncio
async def test_overtaken_worker_continues_after_what_is_acknowledged(
    desk: OrderDesk, other: OrderDesk, clock: ShiftedClock
) -> None:
    stream = desk.events("mail", wait=False, acknowledge="manual")
    first = await anext(stream)
    clock.advance(LEASE_S + 1)
    async with other.events("mail", acknowledge="manual") as overtaking:
        await overtaking.acknowledge(await anext(overtaking))

    with pytest.raises(StaleEventError):
        await stream.acknowledge(first)
    with pytest.raises(StaleEventError, match="another worker reads this consumer now"):
        await stream.acknowledge(first)

    assert await rest(stream) == [2, 3]


@pytest.mark.asyncio
async def test_only_what_a_stream_has_yielded_can_be_acknowledged(
    desk: OrderDesk, other: OrderDesk
) -> None:
    [first, second, _] = await read_events(other, "all")
    manual, auto = desk.events("a", acknowledge="manual"), desk.events("b")
    await anext(manual)
    await anext(auto)

    with pytest.raises(InvalidSettingsError, match="event at position 2 was not read by"):
        await manual.acknowledge(second)
    with pytest.raises(InvalidSettingsError, match="opened with acknowledge='manual'"):
        await auto.acknowledge(first)


@pytest.mark.asyncio
async def test_acknowledging_without_a_journal_keeps_the_event(
    desk: OrderDesk, other: OrderDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise JournalError("is restarting")

    stream = desk.events("mail", wait=False, acknowledge="manual")
    first: JournalEvent = await anext(stream)
    with monkeypatch.context() as patched:
        patched.setattr(SQLJournal, "acknowledge", fail)
        with pytest.raises(JournalError, match="is restarting"):
            await stream.acknowledge(first)
    await stream.acknowledge(first)
    await stream.aclose()

    assert [each.position for each in await read_events(other, "mail")] == [2, 3]


@pytest.mark.parametrize(("options", "reason"), [
    ({"acknowledge": "never"}, "acknowledge is 'never'; use 'auto' or 'manual'"),
    ({"lease_s": 0.5}, "lease_s 0.5 is not a number of 1 to 86400 seconds"),
    ({"lease_s": "60"}, "lease_s '60' is not a number"),
])  # fmt: skip
@pytest.mark.asyncio
async def test_options_have_bounds(desk: OrderDesk, options: Any, reason: str) -> None:
    with pytest.raises(InvalidSettingsError, match=reason):
        desk.events("mail", **options)
