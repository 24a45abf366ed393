"""Events: each at least once per consumer, in order, from the position it has reached."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.errors import ClosedError, JournalError
from smmfanfast_async.journal import ConsumerClaim, JournalEvent
from smmfanfast_async.journal.sql import SQLJournal

from .world import WAIT_S, World, eventually, order, read_events, timed_desk


@pytest_asyncio.fixture
async def desk(world: World) -> AsyncIterator[OrderDesk]:
    desk = await world.desk(record_balance=False)
    for n in range(3):
        await desk.place(order(n), ref=f"r{n}")
    yield desk


async def read_some(desk: OrderDesk, count: int, consumer: str = "mail") -> list[str]:
    """Read `count` events and stop."""
    refs: list[str] = []
    async with desk.events(consumer) as events:
        async for event in events:
            refs.append(event.ref)
            if len(refs) == count:
                break
    return refs


@pytest.mark.asyncio
async def test_event_is_processed_when_the_next_is_requested(desk: OrderDesk) -> None:
    assert await read_some(desk, 2) == ["r0", "r1"]
    assert await read_some(desk, 2) == ["r1", "r2"], "the last one was not acknowledged"
    assert [each.ref for each in await read_events(desk, "mail")] == ["r2"]
    assert await read_events(desk, "mail") == []


@pytest.mark.asyncio
async def test_consumers_are_independent(desk: OrderDesk) -> None:
    first, second = await asyncio.gather(read_events(desk, "mail"), read_events(desk, "shop"))

    assert first == second
    assert [each.position for each in first] == [1, 2, 3]


@pytest.mark.asyncio
async def test_restarted_consumer_misses_no_event(world: World, desk: OrderDesk) -> None:
    await read_some(desk, 2)
    other = await world.desk(record_balance=False)
    await other.place(order("late"), ref="late")

    assert [each.ref for each in await read_events(other, "mail")] == ["r1", "r2", "late"]


@pytest.mark.asyncio
async def test_waiting_reader_gets_events_of_this_and_other_desks(
    world: World, desk: OrderDesk
) -> None:
    other = await world.desk(record_balance=False)
    received: list[str] = []

    async def read() -> None:
        nonlocal received
        async for event in desk.events("mail"):
            received += [event.ref]

    readers = [asyncio.create_task(read())]
    await eventually(lambda: len(received) == 3)
    await desk.place(order("here"), ref="here")
    await other.place(order("there"), ref="there")
    await eventually(lambda: len(received) == 5)
    readers[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await readers[0]

    assert received[3:] == ["here", "there"]
    # The last one was acknowledged, since the next was requested.
    assert await read_events(desk, "mail") == []


@pytest.mark.asyncio
async def test_closing_ends_waiting_readers(world: World, tmp_path: Path) -> None:
    desk = timed_desk()(await world.client(), SQLJournal(world.url))
    received: list[JournalEvent] = []
    async with desk:
        await desk.place(order(), ref="a")

        async def read() -> None:
            async for event in desk.events("mail"):
                received[:] = [*received, event]

        task = asyncio.create_task(read())
        await eventually(lambda: received)

    await asyncio.wait_for(task, WAIT_S)
    assert len(received) == 1


@pytest.mark.asyncio
async def test_closing_ends_a_busy_reader(world: World) -> None:
    desk = timed_desk()(await world.client(), SQLJournal(world.url))
    await desk.open()
    for n in range(2):
        await desk.place(order(n), ref=f"r{n}")
    events = desk.events("mail")
    first = await anext(events)

    await desk.aclose()

    assert [each.position async for each in events] == [2]
    assert first.position == 1


@pytest.mark.asyncio
async def test_journal_failure_is_raised_and_no_event_is_lost(
    desk: OrderDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = SQLJournal.events, 0

    async def failing(self: SQLJournal, *args: Any) -> list[JournalEvent]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise JournalError("is restarting")
        return await real(self, *args)

    monkeypatch.setattr(SQLJournal, "events", failing)
    with pytest.raises(JournalError):
        await read_events(desk, "mail")

    assert await read_events(desk, "mail") == [], "the page that was read is acknowledged"


@pytest.mark.parametrize(
    ("failure", "why"),
    [(JournalError("is restarting"), "is restarting"), (None, "did not answer in time")],
)
@pytest.mark.asyncio
async def test_cancelled_reader_ends_though_it_cannot_acknowledge(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception | None,
    why: str,
) -> None:
    desk = await world.desk(record_balance=False, desk_class=timed_desk(final_acknowledge_s=0.05))
    for n in range(2):
        await desk.place(order(n), ref=f"r{n}")

    async def failing(*_: object, **__: object) -> None:
        if failure is not None:
            raise failure
        await asyncio.Event().wait()

    received: list[JournalEvent] = []

    async def read() -> None:
        async with desk.events("mail") as events:
            async for event in events:
                received.append(event)
                if len(received) == 2:
                    await asyncio.Event().wait()

    monkeypatch.setattr(SQLJournal, "acknowledge", failing)
    task = asyncio.create_task(read())
    await eventually(lambda: len(received) == 2)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    [text] = [each.getMessage() for each in caplog.records]
    assert text.startswith("events up to 1 will be repeated to 'mail': ")
    assert text.endswith(why)


@pytest.mark.asyncio
async def test_reader_cancelled_while_it_claims_leaves_the_consumer_free(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.desk(record_balance=False)
    await desk.place(order("one"), ref="one")
    claim, claimed, released = SQLJournal.claim_consumer, asyncio.Event(), asyncio.Event()

    async def slow(self: SQLJournal, *args: Any, **options: Any) -> ConsumerClaim | None:
        result = await claim(self, *args, **options)
        claimed.set()
        await released.wait()
        return result

    with monkeypatch.context() as patch:
        patch.setattr(SQLJournal, "claim_consumer", slow)
        reading = asyncio.create_task(read_some(desk, 1))
        await claimed.wait()
        reading.cancel()
        await asyncio.sleep(0)
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await reading

    assert [each.ref for each in await read_events(desk, "mail")] == ["one"]


@pytest.mark.asyncio
async def test_each_page_is_acknowledged(desk: OrderDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk._event_reader._page_size = 2
    done: list[int] = []
    real = SQLJournal.acknowledge

    async def recording(
        self: SQLJournal, claim: ConsumerClaim, position: int, **options: Any
    ) -> None:
        done.append(position)
        await real(self, claim, position, **options)

    monkeypatch.setattr(SQLJournal, "acknowledge", recording)

    assert len(await read_events(desk, "mail")) == 3
    assert done == [2, 3]


@pytest.mark.asyncio
async def test_events_of_a_closed_desk_raise(world: World) -> None:
    desk = timed_desk()(await world.client(), SQLJournal(world.url))

    with pytest.raises(ClosedError):
        await anext(desk.events("mail"))
