"""Events: each at least once for every consumer, in order, from where it came to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from smmfanfast_async.desk import OrderDesk, feed
from smmfanfast_async.errors import ClosedError, JournalError
from smmfanfast_async.journal import JournalEvent
from smmfanfast_async.journal.sql import SQLJournal

from .world import World, order, soon, told


@pytest_asyncio.fixture
async def desk(world: World) -> AsyncIterator[OrderDesk]:
    desk = await world.desk(record_balance=False)
    for n in range(3):
        await desk.place(order(n), ref=f"r{n}")
    yield desk


async def some(desk: OrderDesk, count: int, consumer: str = "mail") -> list[str]:
    """Read so many events and break off."""
    refs: list[str] = []
    async with aclosing(desk.events(consumer)) as events:
        async for event in events:
            refs.append(event.ref)
            if len(refs) == count:
                break
    return refs


@pytest.mark.asyncio
async def test_an_event_is_done_with_when_the_next_is_asked_for(desk: OrderDesk) -> None:
    assert await some(desk, 2) == ["r0", "r1"]
    assert await some(desk, 2) == ["r1", "r2"], "the one that was broken off at comes again"
    assert [each.ref for each in await told(desk, "mail")] == ["r2"]
    assert await told(desk, "mail") == []


@pytest.mark.asyncio
async def test_two_consumers_are_independent(desk: OrderDesk) -> None:
    first, second = await asyncio.gather(told(desk, "mail"), told(desk, "shop"))

    assert first == second
    assert [each.position for each in first] == [1, 2, 3]


@pytest.mark.asyncio
async def test_a_consumer_that_starts_again_misses_none(world: World, desk: OrderDesk) -> None:
    await some(desk, 2)
    other = await world.desk(record_balance=False)
    await other.place(order("late"), ref="late")

    assert [each.ref for each in await told(other, "mail")] == ["r1", "r2", "late"]


@pytest.mark.asyncio
async def test_a_waiting_reader_is_told_what_this_and_other_desks_do(
    world: World, desk: OrderDesk
) -> None:
    other = await world.desk(record_balance=False)
    seen: list[str] = []

    async def read() -> None:
        nonlocal seen
        async for event in desk.events("mail"):
            seen += [event.ref]

    readers = [asyncio.create_task(read())]
    await soon(lambda: len(seen) == 3)
    await desk.place(order("here"), ref="here")
    await other.place(order("there"), ref="there")
    await soon(lambda: len(seen) == 5)
    readers[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await readers[0]

    assert seen[3:] == ["here", "there"]
    # The last one was done with, since the next was asked for.
    assert await told(desk, "mail") == []


@pytest.mark.asyncio
async def test_closing_ends_readers_quietly(world: World, tmp_path: Path) -> None:
    desk = OrderDesk(await world.client(), SQLJournal(world.url))
    seen: list[JournalEvent] = []
    async with desk:
        await desk.place(order(), ref="a")

        async def read() -> None:
            async for event in desk.events("mail"):
                seen[:] = [*seen, event]

        task = asyncio.create_task(read())
        await soon(lambda: seen)

    await asyncio.wait_for(task, 5)
    assert len(seen) == 1


@pytest.mark.asyncio
async def test_a_reader_who_is_busy_while_the_desk_closes_ends_quietly(world: World) -> None:
    desk = OrderDesk(await world.client(), SQLJournal(world.url))
    await desk.open()
    for n in range(2):
        await desk.place(order(n), ref=f"r{n}")
    events = desk.events("mail")
    first = await anext(events)

    await desk.aclose()

    assert [each.position async for each in events] == [2]
    assert first.position == 1


@pytest.mark.asyncio
async def test_a_journal_that_is_gone_is_told_and_events_come_again(
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
        await told(desk, "mail")

    assert await told(desk, "mail") == [], "what was read to the end is acknowledged"


@pytest.mark.parametrize("failure", [JournalError("is restarting"), None])
@pytest.mark.asyncio
async def test_a_reader_who_is_cancelled_is_cancelled_though_nothing_can_be_acknowledged(
    desk: OrderDesk,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception | None,
) -> None:
    async def failing(*_: object) -> None:
        if failure is not None:
            raise failure
        await asyncio.Event().wait()

    seen: list[JournalEvent] = []

    async def read() -> None:
        async with aclosing(desk.events("mail")) as events:
            async for event in events:
                seen.append(event)
                if len(seen) == 2:
                    await asyncio.Event().wait()

    monkeypatch.setattr(SQLJournal, "acknowledge", failing)
    monkeypatch.setattr(feed, "LAST_WORD_S", 0.05)
    task = asyncio.create_task(read())
    await soon(lambda: len(seen) == 2)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert "events up to 1 will come again to 'mail'" in caplog.text


@pytest.mark.asyncio
async def test_pages_are_acknowledged_one_by_one(
    desk: OrderDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "EVENTS_ROWS", 2)
    done: list[int] = []
    real = SQLJournal.acknowledge

    async def noting(self: SQLJournal, consumer: str, position: int) -> None:
        done.append(position)
        await real(self, consumer, position)

    monkeypatch.setattr(SQLJournal, "acknowledge", noting)

    assert len(await told(desk, "mail")) == 3
    assert done == [2, 3]


@pytest.mark.asyncio
async def test_a_desk_that_is_closed_gives_no_events(world: World) -> None:
    desk = OrderDesk(await world.client(), SQLJournal(world.url))

    with pytest.raises(ClosedError):
        await anext(desk.events("mail"))
