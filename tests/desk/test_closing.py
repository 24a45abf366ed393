"""Opening and closing: orders in flight end, nothing starts afterwards, nothing remains."""

import asyncio
import copy
import pickle
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from smmfanfast_async._engine.policy import PollPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.errors import ClosedError, JournalError
from smmfanfast_async.journal import Entry, RequestKind
from smmfanfast_async.journal.sql import SQLJournal

from .world import WAIT_S, S, World, eventually, hold_answers, in_state, order, timed_desk

METHODS: dict[str, Callable[[OrderDesk], Awaitable[object]]] = {
    "place": lambda desk: desk.place(order(), ref="a"),
    "enqueue": lambda desk: desk.enqueue(order(), ref="a", connection=object()),
    "follow": lambda desk: desk.follow(),
    "events": lambda desk: anext(desk.events("mail")),
    "service_events": lambda desk: anext(desk.service_events("mail")),
    "unknown": lambda desk: desk.unknown(),
    "resolve": lambda desk: desk.resolve("a", placed=False, decided_by="operator"),
    "withdraw": lambda desk: desk.withdraw("a", decided_by="operator"),
    "retry": lambda desk: desk.retry("a", decided_by="operator"),
    "find": lambda desk: desk.find("a"),
    "quote": lambda desk: desk.quote(order()),
    "entries": lambda desk: anext(desk.entries()),
    "summary": lambda desk: desk.summary(),
    "purge": lambda desk: desk.purge(timedelta(0)),
    "health": lambda desk: desk.health(),
    "cancel": lambda desk: desk.cancel("a", decided_by="operator"),
    "refill": lambda desk: desk.refill("a", decided_by="operator"),
    "requests": lambda desk: anext(desk.requests()),
    "resolve_request": lambda desk: desk.resolve_request(
        "a", RequestKind.CANCEL, made=False, decided_by="operator"
    ),
}


SHORT_GRACE = timed_desk(close_grace_s=0.05)


async def open_desk(
    world: World, desk_class: type[OrderDesk] | None = None, **options: Any
) -> OrderDesk:
    options.setdefault("poll", PollPolicy(min_interval_s=0.02, max_interval_s=0.05))
    desk = (desk_class or timed_desk())(await world.client(), SQLJournal(world.url), **options)
    await desk.open()
    return desk


def test_every_public_method_has_a_case() -> None:
    public = {name for name in dir(OrderDesk) if not name.startswith("_")}

    assert set(METHODS) == public - {"open", "aclose"}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.asyncio
async def test_every_method_of_a_desk_that_is_not_open_raises(world: World, method: str) -> None:
    desk = OrderDesk(await world.client(), SQLJournal(world.url))

    with pytest.raises(ClosedError):
        await METHODS[method](desk)
    await desk.open()
    await desk.aclose()
    with pytest.raises(ClosedError):
        await METHODS[method](desk)
    assert not world.panel.forms


@pytest.mark.asyncio
async def test_use_from_another_event_loop_raises(world: World) -> None:
    desk = await world.desk()

    def use_in_another_loop() -> None:
        asyncio.run(desk.find("a"))

    with pytest.raises(ClosedError, match="another event loop"):
        await asyncio.to_thread(use_in_another_loop)


@pytest.mark.asyncio
async def test_desk_closes_twice_and_cannot_be_reopened(world: World) -> None:
    desk = await open_desk(world)
    await desk.aclose()
    await desk.aclose()

    with pytest.raises(ClosedError, match="create a new one"):
        await desk.open()


@pytest.mark.asyncio
async def test_closing_waits_for_orders_in_flight(world: World) -> None:
    client = await world.client()
    desk = timed_desk()(client, SQLJournal(world.url))
    await desk.open()
    released = hold_answers(client, "add")
    caller = asyncio.create_task(desk.place(order(), ref="a"))
    await eventually(lambda: world.panel.calls("add"))

    closing = asyncio.create_task(desk.aclose())
    await asyncio.sleep(0.05)
    assert not closing.done()
    released.set()
    await closing

    assert (await caller).state is S.ACCEPTED
    entry = await (await world.desk()).find("a")
    assert entry is not None
    assert entry.state is S.ACCEPTED


@pytest.mark.asyncio
async def test_close_timeout_cancels_sends_and_starts_no_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    journal = SQLJournal(world.url)
    client = await world.client()
    desk = SHORT_GRACE(client, journal, record_balance=False)
    await desk.open()
    await desk.place(order("first"), ref="first")
    released = hold_answers(client, "add")
    callers = [asyncio.create_task(desk.place(order(n), ref=f"r{n}")) for n in range(3)]
    await eventually(lambda: len(world.panel.calls("add")) == 2)

    await desk.aclose()

    results = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(each) for each in results] == [ClosedError] * 3
    # The journal is open again, for another desk: what the closed desk left must not use it.
    other = timed_desk()(client, journal, record_balance=False)
    async with other:
        released.set()
        await asyncio.sleep(0.1)
        assert len(world.panel.calls("add")) == 2
        assert (await in_state(other, "r0", S.SENDING)).attempt == 1
        assert (await in_state(other, "r1", S.PREPARED)).attempt == 0
    assert "'r0' is being sent, and the desk was closed meanwhile" in caplog.text


@pytest.mark.asyncio
async def test_attempt_queued_in_the_client_does_not_start_after_closing(world: World) -> None:
    client, journal = await world.client(), SQLJournal(world.url)
    desk, other = (SHORT_GRACE(client, journal, record_balance=False) for _ in range(2))
    await other.open()
    await desk.open()
    await desk.place(order("first"), ref="first")
    released = hold_answers(client, "add")
    direct = asyncio.create_task(client.add(order("direct")))
    await eventually(lambda: len(world.panel.calls("add")) == 2)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await eventually(lambda: desk._sends.tasks)
    await asyncio.sleep(0.05)

    await desk.aclose()
    released.set()
    await direct
    await asyncio.sleep(0.1)

    assert len(world.panel.calls("add")) == 2
    await asyncio.gather(task, return_exceptions=True)
    again = await world.desk()
    assert (await in_state(again, "a", S.PREPARED)).attempt == 0
    await other.aclose()


@pytest.mark.asyncio
async def test_attempt_started_while_closing_sends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await open_desk(world, SHORT_GRACE, record_balance=False)
    await desk.place(order("first"), ref="first")
    start, reached, released = SQLJournal.start_attempt, asyncio.Event(), asyncio.Event()

    async def slow(self: SQLJournal, *args: Any, **options: Any) -> Entry | None:
        entry = await start(self, *args, **options)
        reached.set()
        await released.wait()
        return entry

    monkeypatch.setattr(SQLJournal, "start_attempt", slow)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await reached.wait()

    await desk.aclose()
    released.set()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.1)

    assert len(world.panel.calls("add")) == 1


@pytest.mark.asyncio
async def test_place_during_closing_sends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await open_desk(world, record_balance=False)
    create = SQLJournal.create

    async def closing(self: SQLJournal, *args: Any, **options: Any) -> Entry:
        entry = await create(self, *args, **options)
        await desk.aclose()
        return entry

    monkeypatch.setattr(SQLJournal, "create", closing)
    with pytest.raises(ClosedError):
        await desk.place(order(), ref="a")

    assert not world.panel.calls("add")
    assert not desk._sends.tasks


@pytest.mark.asyncio
async def test_outcome_cut_off_by_closing_is_logged(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def never(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    reached = asyncio.Event()
    monkeypatch.setattr(SQLJournal, "record_outcome", never)
    desk = await open_desk(world, SHORT_GRACE)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await reached.wait()

    await desk.aclose()

    await asyncio.gather(task, return_exceptions=True)
    (stored,) = world.panel.orders
    assert f"'a' is accepted (order {stored}), and the desk was closed before" in caplog.text


@pytest.mark.asyncio
async def test_closing_ends_follow(world: World) -> None:
    desk = await open_desk(world)
    await desk.place(order(), ref="a")
    tasks = [asyncio.create_task(desk.follow()) for _ in range(2)]
    await eventually(lambda: world.panel.calls("status"))

    await desk.aclose()

    assert all(task.done() for task in tasks), "they end before the journal is closed"
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results == [None, None], "an intended end is not an error that nobody retrieves"


@pytest.mark.asyncio
async def test_closing_the_client_ends_follow_with_an_error(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client)
    await desk.place(order(), ref="a")
    following = asyncio.create_task(desk.follow())
    await eventually(lambda: world.panel.calls("status"))

    await client.aclose()

    with pytest.raises(ClosedError):
        await following


@pytest.mark.asyncio
async def test_closing_does_not_wait_forever_for_follow(world: World) -> None:
    desk = await open_desk(world, SHORT_GRACE)
    desk._follower._runs = 1

    await asyncio.wait_for(desk.aclose(), WAIT_S)


@pytest.mark.asyncio
async def test_desk_that_fails_to_open_closes_the_journal(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_: SQLJournal) -> None:
        raise JournalError("is gone")

    monkeypatch.setattr(SQLJournal, "expire_leases", gone)
    threads = threading.active_count()
    desk = OrderDesk(await world.client(), SQLJournal(world.url))

    with pytest.raises(JournalError, match="is gone"):
        await desk.open()

    with pytest.raises(ClosedError):
        await desk.find("a")
    await eventually(lambda: threading.active_count() == threads)


@pytest.mark.asyncio
async def test_two_accounts_share_a_journal_and_close_separately(world: World) -> None:
    journal = SQLJournal(world.url)
    first = await world.desk(journal=journal)
    second = OrderDesk(await world.client(), journal, account="another")
    await second.open()
    await second.place(order("b"), ref="b")

    await second.aclose()
    await second.aclose()

    assert (await first.place(order(), ref="a")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_desk_cannot_be_copied_or_pickled(world: World) -> None:
    desk = await world.desk()

    with pytest.raises(TypeError, match="holds connections"):
        copy.copy(desk)
    with pytest.raises(TypeError, match="holds connections"):
        pickle.dumps(desk)


@pytest.mark.asyncio
async def test_no_task_remains_after_closing(world: World, tmp_path: Path) -> None:
    client = await world.client()
    before = asyncio.all_tasks()
    desk = OrderDesk(
        client, SQLJournal(world.url), poll=PollPolicy(min_interval_s=0.02, max_interval_s=0.05)
    )
    async with desk:
        follow = asyncio.create_task(desk.follow())
        await asyncio.gather(*(desk.place(order(n), ref=f"r{n}") for n in range(3)))
        await eventually(lambda: world.panel.calls("status"))

    await asyncio.gather(follow, return_exceptions=True)
    await eventually(lambda: all(_is_of_panel(task) for task in asyncio.all_tasks() - before))


def _is_of_panel(task: "asyncio.Task[Any]") -> bool:
    """Return whether a task belongs to the sandbox, or to aiohttp on its side."""
    return "RequestHandler" in repr(task.get_coro())
