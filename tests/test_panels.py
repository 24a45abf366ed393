"""Several panels with a shared connector or session: none slows, closes or answers another."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import attrs
import pytest
from support.wire import Answer, Request, WireServer, reply

from smmfanfast_async import (
    API_V2,
    SMMFANFAST,
    AddedOrder,
    Client,
    DefaultOrder,
    OrderStatus,
    PanelError,
    PausedError,
    RateLimitError,
    RetryPolicy,
    ServerError,
)

ONCE = RetryPolicy(max_attempts=1)
WAIT_S = 10.0
"""Seconds after which a test fails that takes milliseconds if no panel delays another."""

PROFILES = {
    "one": attrs.evolve(SMMFANFAST, name="one", ids_per_call=10, concurrency=2),
    "two": attrs.evolve(API_V2, name="two", ids_per_call=20, concurrency=4, calls_per_minute=None),
    "three": attrs.evolve(SMMFANFAST, name="three", ids_per_call=5, concurrency=3),
}


class NamedPanel(WireServer):
    """A panel that answers with its name and counts its concurrent requests."""

    def __init__(self, name: str) -> None:
        super().__init__(reply(""))
        self.name = name
        self.fixed_answer: Answer | None = None
        self.max_concurrent = 0
        self._concurrent = 0

    @property
    def key(self) -> str:
        return f"test-key-of-panel-{self.name}"

    async def answer_later(self, request: Request) -> Answer:
        self._concurrent += 1
        self.max_concurrent = max(self.max_concurrent, self._concurrent)
        for _ in range(5):  # so that other requests arrive during this one
            await asyncio.sleep(0)
        self._concurrent -= 1
        return self.fixed_answer or self.answer_to(request)

    def answer_to(self, request: Request) -> Answer:
        fields = request.fields
        if fields["action"] == "add":
            return reply(f'{{"order":"{self.name}-{len(self.requests)}"}}')
        if fields["action"] == "balance":
            return reply(f'{{"balance":"1","currency":"{self.name}"}}')
        ids = (fields.get("orders") or fields["order"]).split(",")
        return reply(json.dumps({each: {"order": each, "status": self.name} for each in ids}))

    def connections_of(self, action: str) -> list[int]:
        return [each.connection for each in self.requests if each.fields["action"] == action]


class Fleet:
    """Panels and their clients, with a shared connector or session."""

    def __init__(self, stack: AsyncExitStack, shared: dict[str, Any]) -> None:
        self.panels: dict[str, NamedPanel] = {}
        self.clients: dict[str, Client] = {}
        self._stack = stack
        self._shared = shared

    async def open(self, name: str, **options: Any) -> Client:
        panel = await self._stack.enter_async_context(NamedPanel(name))
        client = self.client(panel, profile=PROFILES[name], **options)
        self.panels[name], self.clients[name] = panel, client
        return await self._stack.enter_async_context(client)

    def client(self, panel: NamedPanel, key: str | None = None, **options: Any) -> Client:
        settings = {"retry": ONCE, "add_concurrency": 5} | options
        return Client(key or panel.key, base_url=panel.url, **self._shared, **settings)


@asynccontextmanager
async def open_fleet(shares: str) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector()
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        shared = {"connector": connector} if shares == "connector" else {"session": session}
        fleet = Fleet(stack, shared)
        for name in PROFILES:
            await fleet.open(name)
        yield fleet
        assert not session.closed
        assert not connector.closed


BOTH = pytest.mark.parametrize("shares", ["connector", "session"])


@BOTH
@pytest.mark.asyncio
async def test_each_panel_sees_its_own_key_and_answers_its_own_client(shares: str) -> None:
    async with open_fleet(shares) as fleet:
        work = []
        for client in fleet.clients.values():
            work += [client.balance() for _ in range(10)]
            work += [client.add(order(n)) for n in range(10)]
            work += [client.statuses(range(1, 100))]
        results = await asyncio.gather(*work)

        for index, (name, panel) in enumerate(fleet.panels.items()):
            own = results[21 * index :][:21]
            balances, added, statuses = own[:10], own[10:20], own[20]
            assert {each.currency for each in balances} == {name}
            assert {each.order.split("-")[0] for each in added} == {name}
            assert {each.raw_status for each in statuses.values()} == {name}
            assert {request.fields["key"] for request in panel.requests} == {panel.key}
            assert f"Host: {panel.url.split('/')[2]}" in panel.requests[0].head


def order(n: int) -> DefaultOrder:
    return DefaultOrder(service=5, link=f"https://example.com/{n}", quantity=10)


@BOTH
@pytest.mark.asyncio
async def test_rate_limited_panel_does_not_slow_another(shares: str) -> None:
    async with open_fleet(shares) as fleet, asyncio.timeout(WAIT_S):
        fleet.panels["one"].fixed_answer = reply("{}", 429, [("Retry-After", "3600")])
        storm = [client_call(fleet.clients["one"], n) for n in range(40)]
        quiet = [fleet.clients[name].statuses(range(1, 400)) for name in ("two", "three")]

        stormy, *calm = await asyncio.gather(asyncio.gather(*storm), *quiet)

        assert {type(each) for each in stormy} <= {RateLimitError, PausedError}
        assert PausedError in {type(each) for each in stormy}
        for results in calm:
            assert all(isinstance(each, OrderStatus) for each in results.values())
        for name in ("two", "three"):
            assert fleet.panels[name].max_concurrent == PROFILES[name].concurrency
            assert isinstance(await fleet.clients[name].add(order(1)), AddedOrder)
        # The pause applies to the account: to every caller of its client.
        assert isinstance(await client_call(fleet.clients["one"], 1), PausedError)


async def client_call(client: Client, n: int) -> object:
    try:
        return await (client.balance() if n % 2 else client.add(order(n)))
    except PanelError as error:
        return error


@BOTH
@pytest.mark.asyncio
async def test_each_client_has_its_own_retry_budget(shares: str) -> None:
    again = RetryPolicy(max_attempts=3, base_delay_s=0.0)
    async with open_fleet(shares) as fleet, asyncio.timeout(WAIT_S):
        for name in ("one", "two"):
            fleet.clients[name] = fleet.clients[name].with_options(retry=again)
        down = fleet.panels["one"]
        down.fixed_answer = reply("down", 503)
        for _ in range(100):
            assert isinstance(await client_call(fleet.clients["one"], 1), ServerError)
        asked = len(down.requests)
        await client_call(fleet.clients["one"], 1)
        assert len(down.requests) == asked + 1  # its retry budget is exhausted

        fleet.panels["two"].fixed_answer = reply("down", 503)
        await client_call(fleet.clients["two"], 1)

        assert len(fleet.panels["two"].requests) == 3


@BOTH
@pytest.mark.asyncio
async def test_slow_panel_does_not_delay_another(shares: str) -> None:
    class SlowPanel(NamedPanel):
        async def answer_later(self, request: Request) -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

    async with open_fleet(shares) as fleet, SlowPanel("one") as slow, asyncio.timeout(WAIT_S):
        stuck = fleet.client(slow, concurrency=50)
        waiting = [asyncio.create_task(stuck.balance()) for _ in range(50)]
        await slow.has_received(50)

        results = await fleet.clients["two"].statuses(range(1, 200))
        assert all(isinstance(each, OrderStatus) for each in results.values())
        assert isinstance(await fleet.clients["three"].add(order(1)), AddedOrder)

        await stuck.aclose()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(each, PanelError) for each in outcomes)


@BOTH
@pytest.mark.asyncio
async def test_closing_one_client_keeps_connections_of_another(shares: str) -> None:
    async with open_fleet(shares) as fleet:
        for client in fleet.clients.values():
            await client.balance()
        await fleet.clients["one"].aclose()

        for name in ("two", "three"):
            await fleet.clients[name].balance()
            await fleet.clients[name].add(order(1))
            await fleet.clients[name].balance()
            assert fleet.panels[name].connections_of("balance") == [1, 1, 1]
        # A new client at the same address reuses the connection of the closed one.
        async with fleet.client(fleet.panels["one"]) as again:
            await again.balance()
        assert fleet.panels["one"].connections == 1


@BOTH
@pytest.mark.asyncio
async def test_order_never_reuses_a_connection_of_another_account(shares: str) -> None:
    """Two accounts at one panel: their reads share connections, their orders never do."""
    async with open_fleet(shares) as fleet:
        panel = fleet.panels["one"]
        keys = [f"test-key-of-account-{n}" for n in range(3)]
        clients = [fleet.client(panel, key) for key in keys]
        for _ in range(3):
            for client in clients:
                await client.balance()
                await client.add(order(1))
        await asyncio.gather(*(client.add(order(n)) for n in range(5) for client in clients))

        used = Counter(panel.connections_of("add"))
        assert set(used.values()) == {1}
        assert len(used) == 9 + 15
        assert used.keys().isdisjoint(panel.connections_of("balance"))
        assert len(set(panel.connections_of("balance"))) == 1
        adds = [each for each in panel.requests if each.fields["action"] == "add"]
        assert Counter(each.fields["key"] for each in adds) == dict.fromkeys(keys, 8)
        for client in clients:
            await client.aclose()


@BOTH
@pytest.mark.asyncio
async def test_rate_limit_applies_to_its_own_account(shares: str) -> None:
    async with open_fleet(shares) as fleet, asyncio.timeout(WAIT_S):
        slow = fleet.client(fleet.panels["one"], calls_per_minute=1, timeout_s=2)
        limited = await asyncio.gather(*(client_call(slow, 1) for _ in range(5)))

        results = await asyncio.gather(*(fleet.clients["two"].balance() for _ in range(50)))

        assert sum(isinstance(each, PanelError) for each in limited) == 4
        assert len(results) == 50
        await slow.aclose()
