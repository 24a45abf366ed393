"""A panel, clients, and desks on one journal, all closed at the end of the test."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs

from smmfanfast_async import Client, RetryPolicy
from smmfanfast_async._clock import elapsed_s
from smmfanfast_async._engine.limiter import Clock
from smmfanfast_async._engine.policy import PollPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.desk.timing import Timing
from smmfanfast_async.journal import Entry, EntryState, JournalEvent
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.orders import DefaultOrder
from smmfanfast_async.sandbox import Sandbox, SandboxService
from smmfanfast_async.sandbox.replies import HttpReply

__all__ = [
    "SERVICES",
    "WAIT_S",
    "Panel",
    "S",
    "ShiftedClock",
    "SteppedClock",
    "World",
    "eventually",
    "hold_answers",
    "in_state",
    "open_world",
    "order",
    "read_events",
    "timed_desk",
]

S = EntryState
WAIT_S = 60.0
"""Seconds that a test waits for something that has to happen; it usually takes less than one."""

FAST = Timing(
    max_poll_s=0.1,
    idle_s=0.02,
    send_interval_s=0.02,
    maintenance_s=0.05,
    min_backoff_s=0.05,
    max_backoff_s=0.2,
    event_poll_s=0.02,
    watch_poll_s=0.02,
)
"""Short intervals between polls; leases, claims and time limits are as in production."""

SERVICES = (
    SandboxService(service=1, name="One", type="default", category="c", rate=1, min=1, max=10**6),
    SandboxService(
        service=2, name="Two", type="subscriptions", category="c", rate=1, min=1, max=10**6
    ),
    SandboxService(service=3, name="Three", category="c", rate=1, max=10**6, dripfeed=True),
)


class Panel(Sandbox):
    """A panel that records requests, whose next answers can be scripted."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"services": SERVICES, "speed": 0} | options)
        self.forms: list[Mapping[str, str]] = []
        self.on_request: Callable[[Mapping[str, str]], None] = lambda _: None
        self.scripted: dict[str, list[HttpReply]] = {}
        self.applied: list[HttpReply] = []

    def _respond(self, form: Mapping[str, str]) -> HttpReply:
        fields = {name: value for name, value in form.items() if name != "key"}
        self.forms.append(fields)
        self.on_request(fields)
        replies = self.scripted.get(form.get("action", ""), [])
        if not replies:
            return super()._respond(form)
        reply = replies.pop(0)
        if reply in self.applied:
            super()._respond(form)
        return reply

    def answer_next(
        self,
        action: str,
        body: str,
        http_status: int = 200,
        *,
        is_applied: bool = False,
        **headers: str,
    ) -> None:
        """Answer the next call of an action with this body, without applying it if not said so."""
        reply = HttpReply(http_status=http_status, body=body.encode(), headers=headers)
        self.scripted.setdefault(action, []).append(reply)
        if is_applied:
            self.applied.append(reply)

    def calls(self, action: str) -> list[Mapping[str, str]]:
        return [form for form in self.forms if form["action"] == action]


class ShiftedClock:
    """A wall clock for a journal that can be set forward or back."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)
        self.last = datetime.now(UTC)
        """The time that was returned last."""

    def __call__(self) -> datetime:
        self.last = datetime.now(UTC) + self.ahead
        return self.last

    def advance(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


class SteppedClock:
    """A clock for a desk that only moves when it is advanced."""

    def __init__(self) -> None:
        # The client measures with the real clock, and compares with times of this one.
        self.time_s = elapsed_s()
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self.clock = Clock(now_s=lambda: self.time_s, sleep=self._sleep)

    async def _sleep(self, wait_s: float) -> None:
        if wait_s <= 0:
            await asyncio.sleep(0)
            return
        waiter = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.time_s + wait_s, waiter))
        await waiter

    def advance(self, seconds: float) -> None:
        """Move the clock, and wake what slept until then."""
        self.time_s += seconds
        for until_s, waiter in self.sleepers:
            if until_s <= self.time_s and not waiter.done():
                waiter.set_result(None)
        self.sleepers = [each for each in self.sleepers if not each[1].done()]


def order(name: object = "a", **changes: Any) -> DefaultOrder:
    values = {"service": 1, "link": f"https://links.test/{name}", "quantity": 1000} | changes
    return DefaultOrder(**values)


def timed_desk(clock: Clock | None = None, **intervals: Any) -> type[OrderDesk]:
    """Return a desk class with short intervals, some of them replaced, and perhaps a clock."""
    timing = attrs.evolve(FAST, **intervals)
    return type("TimedDesk", (OrderDesk,), {"_timing": timing, "_clock": clock or Clock()})


def hold_answers(client: Client, action: str) -> asyncio.Event:
    """Keep the panel's answers to an action from a client until the returned event is set."""
    released, transport = asyncio.Event(), client._runner.transport
    post = transport.post

    async def held(form: Any, *args: Any, **options: Any) -> Any:
        reply = await post(form, *args, **options)
        if dict(form).get("action") == action:
            await released.wait()
        return reply

    transport.post = held  # type: ignore[method-assign]
    return released


class World:
    """What a test of the desk works with."""

    def __init__(self, panel: Panel, url: str, stack: AsyncExitStack) -> None:
        self.panel = panel
        self.url = url
        self._stack = stack

    async def client(self, **options: Any) -> Client:
        options.setdefault("retry", RetryPolicy(max_attempts=1))
        client = Client(self.panel.api_key, base_url=self.panel.url, **options)
        return await self._stack.enter_async_context(client)

    async def desk(
        self,
        client: Client | Mapping[str, Client] | None = None,
        journal: SQLJournal | None = None,
        *,
        desk_class: type[OrderDesk] | None = None,
        **options: Any,
    ) -> OrderDesk:
        options.setdefault("retry", RetryPolicy(max_attempts=1))
        options.setdefault("poll", PollPolicy(min_interval_s=0.02, max_interval_s=0.05))
        desk = (desk_class or timed_desk())(
            client or await self.client(), journal or SQLJournal(self.url), **options
        )
        return await self._stack.enter_async_context(desk)

    @asynccontextmanager
    async def following(self, *desks: OrderDesk) -> AsyncGenerator[list[asyncio.Task[None]], None]:
        tasks = [asyncio.create_task(desk.follow()) for desk in desks]
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def links(self) -> list[str]:
        """Return the links of what the panel has stored, one for each order."""
        return [stored.link for stored in self.panel.orders.values()]


@asynccontextmanager
async def open_world(url: str, **options: Any) -> AsyncGenerator[World, None]:
    async with AsyncExitStack() as stack:
        panel = await stack.enter_async_context(Panel(balance=Decimal(10**6), **options))
        yield World(panel, url, stack)


async def eventually(condition: Callable[[], Any]) -> Any:
    """Wait until a condition is true, and return its value; a coroutine is awaited."""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline_s, "it did not happen"
        await asyncio.sleep(0.01)


async def in_state(desk: OrderDesk, ref: str, state: EntryState) -> Entry:
    """Wait until an entry is in a state."""

    async def find() -> Entry | None:
        entry = await desk.find(ref)
        return entry if entry is not None and entry.state is state else None

    entry: Entry = await eventually(find)
    return entry


async def read_events(desk: OrderDesk, consumer: str = "test") -> list[JournalEvent]:
    """Return the events that a consumer has not acknowledged."""
    async with desk.events(consumer, wait=False) as events:
        return [event async for event in events]
