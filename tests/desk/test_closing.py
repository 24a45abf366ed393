"""Opening and closing: what is on its way ends, nothing begins after it, nothing is left."""

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
from smmfanfast_async.desk import desk as room
from smmfanfast_async.errors import ClosedError, JournalError
from smmfanfast_async.journal import Entry
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault

from .world import S, World, in_state, order, soon

VERBS: dict[str, Callable[[OrderDesk], Awaitable[object]]] = {
    "place": lambda desk: desk.place(order(), ref="a"),
    "enqueue": lambda desk: desk.enqueue(order(), ref="a", connection=object()),
    "follow": lambda desk: desk.follow(),
    "events": lambda desk: anext(desk.events("mail")),
    "unknown": lambda desk: desk.unknown(),
    "resolve": lambda desk: desk.resolve("a", placed=False, decided_by="somebody"),
    "withdraw": lambda desk: desk.withdraw("a", decided_by="somebody"),
    "retry": lambda desk: desk.retry("a", decided_by="somebody"),
    "find": lambda desk: desk.find("a"),
    "entries": lambda desk: anext(desk.entries()),
    "summary": lambda desk: desk.summary(),
    "purge": lambda desk: desk.purge(timedelta(0)),
}


async def opened(world: World, **options: Any) -> OrderDesk:
    options.setdefault("poll", PollPolicy(min_interval_s=0.02, max_interval_s=0.05))
    desk = OrderDesk(await world.client(), SQLJournal(world.url), **options)
    await desk.open()
    return desk


def test_every_verb_has_its_case() -> None:
    public = {name for name in vars(OrderDesk) if not name.startswith("_")}

    assert set(VERBS) == public - {"open", "aclose"}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.asyncio
async def test_every_verb_of_a_desk_that_is_not_open_is_closed(world: World, verb: str) -> None:
    desk = OrderDesk(await world.client(), SQLJournal(world.url))

    with pytest.raises(ClosedError):
        await VERBS[verb](desk)
    await desk.open()
    await desk.aclose()
    with pytest.raises(ClosedError):
        await VERBS[verb](desk)
    assert not world.panel.seen


@pytest.mark.asyncio
async def test_another_event_loop_is_told_so(world: World) -> None:
    desk = await world.desk()

    def elsewhere() -> None:
        asyncio.run(desk.find("a"))

    with pytest.raises(ClosedError, match="another event loop"):
        await asyncio.to_thread(elsewhere)


@pytest.mark.asyncio
async def test_closing_twice_is_fine_and_opening_again_is_told_not_to_be(world: World) -> None:
    desk = await opened(world)
    await desk.aclose()
    await desk.aclose()

    with pytest.raises(ClosedError, match="make another one"):
        await desk.open()


@pytest.mark.asyncio
async def test_closing_lets_orders_on_their_way_end(world: World) -> None:
    desk = await opened(world)
    world.panel.fail_next(Fault.DELAY, action="add", delay_s=0.3)
    await desk.place(order(), ref="a", wait_s=0.1)

    await desk.aclose()

    entry = await (await world.desk()).find("a")
    assert entry is not None
    assert entry.state is S.ACCEPTED


@pytest.mark.asyncio
async def test_what_is_not_over_in_time_is_given_up_and_nothing_begins_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "CLOSE_GRACE_S", 0.05)
    journal = SQLJournal(world.url)
    client = await world.client()
    desk = OrderDesk(client, journal, record_balance=False)
    await desk.open()
    await desk.place(order("first"), ref="first")
    world.panel.fail_next(Fault.DELAY, action="add", delay_s=0.4)
    callers = [asyncio.create_task(desk.place(order(n), ref=f"r{n}")) for n in range(3)]
    await soon(lambda: len(world.panel.asked("add")) == 2)

    await desk.aclose()

    ends = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(each) for each in ends] == [ClosedError] * 3
    # Open again beside it: what is left of the closed desk must not use it.
    other = OrderDesk(client, journal, record_balance=False)
    async with other:
        await asyncio.sleep(0.5)
        assert len(world.panel.asked("add")) == 2
        assert (await in_state(other, "r0", S.SENDING)).attempt == 1
        assert (await in_state(other, "r1", S.PREPARED)).attempt == 0
    assert "'r0' is on its way, and the desk was closed meanwhile" in caplog.text


@pytest.mark.asyncio
async def test_an_attempt_that_the_client_holds_in_its_queue_does_not_begin_after_the_close(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CLOSE_GRACE_S", 0.05)
    client, journal = await world.client(), SQLJournal(world.url)
    desk, other = (OrderDesk(client, journal, record_balance=False) for _ in range(2))
    await other.open()
    await desk.open()
    await desk.place(order("first"), ref="first")
    world.panel.fail_next(Fault.DELAY, action="add", delay_s=0.3)
    direct = asyncio.create_task(client.add(order("direct")))
    await soon(lambda: len(world.panel.asked("add")) == 2)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await soon(lambda: desk._sends)
    await asyncio.sleep(0.05)

    await desk.aclose()
    await direct
    await asyncio.sleep(0.1)

    assert len(world.panel.asked("add")) == 2
    await asyncio.gather(task, return_exceptions=True)
    again = await world.desk()
    assert (await in_state(again, "a", S.PREPARED)).attempt == 0
    await other.aclose()


@pytest.mark.asyncio
async def test_an_attempt_that_begins_while_the_desk_is_closed_sends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CLOSE_GRACE_S", 0.05)
    desk = await opened(world, record_balance=False)
    await desk.place(order("first"), ref="first")
    begin, reached, go_on = SQLJournal.start_attempt, asyncio.Event(), asyncio.Event()

    async def slow(self: SQLJournal, *args: Any, **options: Any) -> Entry | None:
        found = await begin(self, *args, **options)
        reached.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(SQLJournal, "start_attempt", slow)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await reached.wait()

    await desk.aclose()
    go_on.set()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.sleep(0.1)

    assert len(world.panel.asked("add")) == 1


@pytest.mark.asyncio
async def test_a_caller_who_comes_while_the_desk_closes_sends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await opened(world, record_balance=False)
    create = SQLJournal.create

    async def closing(self: SQLJournal, *args: Any, **options: Any) -> Entry:
        entry = await create(self, *args, **options)
        await desk.aclose()
        return entry

    monkeypatch.setattr(SQLJournal, "create", closing)
    with pytest.raises(ClosedError):
        await desk.place(order(), ref="a")

    assert not world.panel.asked("add")
    assert not desk._sends


@pytest.mark.asyncio
async def test_an_outcome_that_closing_cuts_off_is_in_the_log(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def never(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    reached = asyncio.Event()
    monkeypatch.setattr(room, "CLOSE_GRACE_S", 0.05)
    monkeypatch.setattr(SQLJournal, "record_outcome", never)
    desk = await opened(world)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await reached.wait()

    await desk.aclose()

    await asyncio.gather(task, return_exceptions=True)
    (stored,) = world.panel.orders
    assert f"'a' is accepted (order {stored}), and the desk was closed" in caplog.text


@pytest.mark.asyncio
async def test_closing_ends_follow(world: World) -> None:
    desk = await opened(world)
    await desk.place(order(), ref="a")
    tasks = [asyncio.create_task(desk.follow()) for _ in range(2)]
    await soon(lambda: world.panel.asked("status"))

    await desk.aclose()

    assert all(task.done() for task in tasks), "before the journal is closed under them"
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(each) for each in ends] == [ClosedError, ClosedError]


@pytest.mark.asyncio
async def test_closing_does_not_wait_for_a_follow_that_does_not_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CLOSE_GRACE_S", 0.05)
    desk = await opened(world)
    desk._follower._runs = 1

    await asyncio.wait_for(desk.aclose(), 5)


@pytest.mark.asyncio
async def test_a_desk_that_can_not_open_leaves_the_journal_closed(
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
    await soon(lambda: threading.active_count() == threads)


@pytest.mark.asyncio
async def test_desks_of_two_accounts_share_a_journal_and_close_apart(world: World) -> None:
    journal = SQLJournal(world.url)
    first = await world.desk(journal=journal)
    second = OrderDesk(await world.client(), journal, account="another")
    await second.open()
    await second.place(order("b"), ref="b")

    await second.aclose()
    await second.aclose()

    assert (await first.place(order(), ref="a")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_a_desk_is_not_copied_or_pickled(world: World) -> None:
    desk = await world.desk()

    with pytest.raises(TypeError, match="holds connections"):
        copy.copy(desk)
    with pytest.raises(TypeError, match="holds connections"):
        pickle.dumps(desk)


@pytest.mark.asyncio
async def test_no_task_is_left_after_the_close(world: World, tmp_path: Path) -> None:
    client = await world.client()
    before = asyncio.all_tasks()
    desk = OrderDesk(
        client, SQLJournal(world.url), poll=PollPolicy(min_interval_s=0.02, max_interval_s=0.05)
    )
    async with desk:
        follow = asyncio.create_task(desk.follow())
        await asyncio.gather(*(desk.place(order(n), ref=f"r{n}") for n in range(3)))
        await soon(lambda: world.panel.asked("status"))

    await asyncio.gather(follow, return_exceptions=True)
    await soon(lambda: all(_is_panels(task) for task in asyncio.all_tasks() - before))


def _is_panels(task: "asyncio.Task[Any]") -> bool:
    """Whether a task is the sandbox's, or aiohttp's on its side."""
    return "RequestHandler" in repr(task.get_coro())
