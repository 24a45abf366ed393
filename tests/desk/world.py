"""A panel, clients, and desks on one journal, all ended with the test."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from smmfanfast_async import Client, RetryPolicy
from smmfanfast_async._engine.policy import PollPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import Entry, EntryState, JournalEvent
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.orders import DefaultOrder
from smmfanfast_async.sandbox import Sandbox, SandboxService
from smmfanfast_async.sandbox.replies import HttpReply

__all__ = ["Clock", "Panel", "S", "World", "order", "soon", "world_on"]

S = EntryState
WAIT_S = 20.0
"""Seconds that a test waits for what has to come; it comes within one."""

SERVICES = (
    SandboxService(service=1, name="One", type="default", category="c", rate=1, min=1, max=10**6),
    SandboxService(
        service=2, name="Two", type="subscriptions", category="c", rate=1, min=1, max=10**6
    ),
)


class Panel(Sandbox):
    """A panel that can be watched, and that can say anything once."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"services": SERVICES, "speed": 0} | options)
        self.seen: list[Mapping[str, str]] = []
        self.watch: Callable[[Mapping[str, str]], None] = lambda _: None
        self.says: dict[str, list[HttpReply]] = {}

    def _respond(self, form: Mapping[str, str]) -> HttpReply:
        fields = {name: value for name, value in form.items() if name != "key"}
        self.seen.append(fields)
        self.watch(fields)
        scripted = self.says.get(form.get("action", ""), [])
        return scripted.pop(0) if scripted else super()._respond(form)

    def say(self, action: str, body: str, http_status: int = 200, **headers: str) -> None:
        """Answer the next call of an action with this, carrying nothing out."""
        reply = HttpReply(http_status=http_status, body=body.encode(), headers=headers)
        self.says.setdefault(action, []).append(reply)

    def asked(self, action: str) -> list[Mapping[str, str]]:
        return [form for form in self.seen if form["action"] == action]


class Clock:
    """A clock that can be set forward."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def order(name: object = "a", **changes: Any) -> DefaultOrder:
    values = {"service": 1, "link": f"https://links.test/{name}", "quantity": 1000} | changes
    return DefaultOrder(**values)


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
        self, client: Client | None = None, journal: SQLJournal | None = None, **options: Any
    ) -> OrderDesk:
        options.setdefault("retry", RetryPolicy(max_attempts=1))
        options.setdefault("poll", PollPolicy(min_interval_s=0.02, max_interval_s=0.05))
        desk = OrderDesk(client or await self.client(), journal or SQLJournal(self.url), **options)
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
        """Give the links of what the panel has stored, one for each order."""
        return [stored.link for stored in self.panel.orders.values()]


@asynccontextmanager
async def world_on(url: str, **options: Any) -> AsyncGenerator[World, None]:
    async with AsyncExitStack() as stack:
        panel = await stack.enter_async_context(Panel(balance=Decimal(10**6), **options))
        yield World(panel, url, stack)


async def soon(is_so: Callable[[], Any]) -> Any:
    """Wait until something is so, and give it; a coroutine is awaited."""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        found = is_so()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline_s, "it did not come"
        await asyncio.sleep(0.01)


async def in_state(desk: OrderDesk, ref: str, state: EntryState) -> Entry:
    """Wait until an entry is in a state."""

    async def look() -> Entry | None:
        entry = await desk.find(ref)
        return entry if entry is not None and entry.state is state else None

    found: Entry = await soon(look)
    return found


async def told(desk: OrderDesk, consumer: str = "test") -> list[JournalEvent]:
    """Give the events that a consumer has not seen."""
    async with aclosing(desk.events(consumer, wait=False)) as events:
        return [event async for event in events]
