"""Run one scenario: callers, closing, perhaps a crash; record the result of each call."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest import mock

import aiohttp
from attrs import define, field

from smmfanfast_async import (
    AddedOrder,
    Client,
    ClosedError,
    DefaultOrder,
    NotSentError,
    OrderNotFoundError,
    OrderStatus,
    OutcomeUnknownError,
    PanelError,
    RateLimitError,
    RefusedError,
)
from smmfanfast_async._engine.client_core import ClientCore
from smmfanfast_async._engine.limiter import Clock
from smmfanfast_async._engine.policy import PollPolicy, RateLimiter
from smmfanfast_async._engine.runner import Runner

from .network import CALL, PORT, Network
from .panel import Answer, Ledger, Panel
from .scenario import Op, Scenario, Setup
from .virtual_loop import StuckError, VirtualLoop

__all__ = [
    "Call",
    "Close",
    "Report",
    "World",
    "add_failure",
    "client_of",
    "link_of",
    "simulate",
    "world",
]

BASE_URL = f"http://127.0.0.1:{PORT}/api/v1"
KEY = "test-simulation"

CALLS_END_S = 40_000.0
"""Seconds after which a call that still runs is cancelled, and reported."""

SETTLE_S = 2000.0
"""Seconds after the last call, in which the panel may still store what it has read."""


@define(eq=False)
class Call:
    """One call and its result."""

    name: str
    verb: str
    started_s: float
    op: Op | None = None
    asked: str = ""
    """The id whose status was requested."""
    result: str | None = None
    """One of placed, refused, not sent, unknown, cancelled, crashed, read, no read; or what no call
    may end with. None while it runs."""
    order: str | None = None
    """The id that the client returned."""
    waited_s: float | None = None
    """Seconds until `wait_s` ended the waiting; None if it did not."""
    ended_s: float | None = None
    was_cancelled: bool = False
    life: int = 0
    """Which process of the client made it."""


@define
class Close:
    """One closing of the client."""

    life: int
    started_s: float
    ended_s: float


@define(eq=False)
class World:
    """A loop, a network and a panel."""

    loop: VirtualLoop
    network: Network
    panel: Panel

    @property
    def ledger(self) -> Ledger:
        """What the panel stored."""
        return self.panel.ledger


@define(eq=False)
class Report:
    """What a run left behind."""

    scenario: Scenario
    calls: list[Call] = field(factory=list)
    ledger: Ledger = field(factory=Ledger)
    trace: list[tuple[float, str]] = field(factory=list)
    unexpected_addresses: list[tuple[str, int]] = field(factory=list)
    bytes_of: dict[str, int] = field(factory=dict)
    """Bytes that left on the connections of each call."""
    left: list[str] = field(factory=list)
    """Tasks and connections that are still there."""
    shared: list[str] = field(factory=list)
    """Connections of orders that were also used for something else."""
    loop_errors: list[str] = field(factory=list)
    """Errors that the loop reported."""
    closes: list[Close] = field(factory=list)
    spans: list[tuple[float, float]] = field(factory=list)
    """Start and end of each connection, from the first attempt to connect to its release."""


def simulate(seed: int, client_class: type[Client] = Client) -> Report:
    """Run a seed from start to end."""
    scenario = Scenario.of(seed)
    report = Report(scenario)
    with world(scenario.link, _answers_of(scenario)) as scene:
        scene.network.partitions = scenario.partitions
        scene.panel.restart_s = scenario.restart_s
        scene.panel.crash_dark = scenario.crash_dark
        for at_s in scenario.panel_crashes_s:
            scene.loop.call_at(at_s, scene.panel.crash)
        try:
            scene.loop.run_until_complete(_Run(scene, report, client_class).play())
        except StuckError as error:
            report.left.append(f"stuck: {error}")
        report.ledger = scene.ledger
        # Connections released at the same moment have no defined order.
        report.trace = sorted(scene.network.trace)
        report.unexpected_addresses = scene.network.unexpected_addresses
        report.bytes_of = {each.name: scene.network.bytes_of(each.name) for each in report.calls}
        report.shared = scene.panel.shared
        report.spans = list(scene.network.spans.values())
        report.loop_errors = scene.loop.loop_errors
    return report


@contextmanager
def world(link: Callable[[str, int], Any], answer: Callable[..., Answer]) -> Iterator[World]:
    """Create a loop, a network and a panel, with virtual time for aiohttp too."""
    loop = VirtualLoop()
    network = Network(loop, link)
    panel = Panel(network, answer)
    network.panel = panel
    # The connector chooses at random among the waiters for a connection.
    state = random.getstate()
    random.seed(0)
    try:
        with mock.patch("aiohttp.connector.monotonic", loop.time):
            yield World(loop, network, panel)
    finally:
        random.setstate(state)
        loop.run_until_complete(_cancel_all(loop))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _cancel_all(loop: VirtualLoop) -> None:
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _answers_of(scenario: Scenario) -> Callable[..., Answer]:
    counts: dict[int, int] = {}

    def answer(wire: Any, action: str, _: str) -> Answer:
        counts[wire.number] = counts.get(wire.number, 0) + 1
        return scenario.answer(wire.number, counts[wire.number], action)

    return answer


@asynccontextmanager
async def client_of(
    scene: World, setup: Setup, client_class: type[Client] = Client
) -> AsyncIterator[Client]:
    """Yield a client on the network with its clock and random numbers; close its connector.

    The caller closes the client.
    """
    connector = aiohttp.TCPConnector(limit=setup.connections, socket_factory=scene.network.socket)
    client = client_class(
        KEY,
        base_url=BASE_URL,
        connector=connector,
        timeout_s=setup.timeout_s,
        retry=setup.retry,
    )
    transport = client._runner.transport
    transport._owns_connector = setup.owns_connector
    calls = Runner(
        transport,
        client.profile,
        rate_limiter=RateLimiter(
            max_concurrency=setup.concurrency, per_minute=setup.calls_per_minute
        ),
        add_concurrency=setup.add_concurrency,
        clock=Clock(now_s=scene.loop.time),
        rng=random.Random(setup.rng_seed).random,
    )
    core = ClientCore.create(
        calls,
        base_url=client.base_url,
        account=client.account,
        settings=client._settings,
        concurrency=setup.concurrency,
        poll=PollPolicy(),
        services_ttl_s=300.0,
    )
    client._attach(core, core.settings, core.concurrency)
    try:
        yield client
    finally:
        if not setup.owns_connector:
            await connector.close()


def link_of(name: str) -> str:
    """Return the link that an `add` orders for: each call has its own."""
    return f"https://example.com/{name}"


def add_failure(error: BaseException) -> str:
    """Return how an `add` failed, as one of the results of `Call.result`."""
    match error:
        case NotSentError() | ClosedError():
            return "not sent"
        case OutcomeUnknownError():
            return "unknown"
        case RefusedError() | RateLimitError():
            return "refused"
        case asyncio.CancelledError():
            return "cancelled"
        case _:
            return f"foreign {type(error).__name__}: {error}"


@define(eq=False)
class _Run:
    scene: World
    report: Report
    client_class: type[Client]
    known: list[str] = field(factory=list)
    """Ids that the client returned: a process would have stored them before it continues."""

    @property
    def now_s(self) -> float:
        return self.scene.loop.time()

    async def play(self) -> None:
        """Run one process, a second one if the first crashes, and wait until the panel is done."""
        scenario = self.report.scenario
        tasks = [self._task(f"{row}", ops) for row, ops in enumerate(scenario.tasks)]
        async with client_of(self.scene, scenario.setup, self.client_class) as client:
            if await self._live(client, tasks):
                await self._close(client)
        self._record_leftovers()
        # Cleans up after a client that crashed or did not close; nothing of it is recorded.
        await Client.aclose(client)
        if scenario.crash is not None:
            async with client_of(self.scene, scenario.setup, self.client_class) as client:
                await self._after_crash(client)
                await self._close(client)
            self._record_leftovers()
            await Client.aclose(client)
        await asyncio.sleep(SETTLE_S)

    async def _live(
        self, client: Client, jobs: list[Callable[[Client], Coroutine[Any, Any, None]]]
    ) -> bool:
        """Run the callers; return False if the process crashed meanwhile."""
        scenario, loop = self.report.scenario, self.scene.loop
        tasks = [loop.create_task(job(client)) for job in jobs]
        if scenario.close_at_s is not None:
            tasks.append(loop.create_task(self._close_early(client, scenario.close_at_s)))
        crash = scenario.crash
        await asyncio.wait(tasks, timeout=CALLS_END_S if crash is None else crash.at_s)
        if crash is not None:
            self._crash()
            await _cancel_all(loop)
        elif left := [each for each in tasks if not each.done()]:
            self.report.left += [f"running: {each.name}" for each in self._running()]
            await _cancel(left)
        return crash is None

    def _crash(self) -> None:
        """End the process: nothing that it does from here on has an effect."""
        assert self.report.scenario.crash is not None, "called only for a crash"
        self.scene.network.note("client: crash")
        self.scene.network.crash_client(self.report.scenario.crash.how)
        for call in self._running():
            call.result = "crashed"

    async def _after_crash(self, client: Client) -> None:
        """Request the status of the orders that were stored, and place another."""
        for number, asked in enumerate(tuple(self.known)):
            await self._call(client, Op(verb="status", after_s=0.0), f"after-{number}", asked)
        await self._call(client, Op(verb="add", after_s=0.0), "after-add")

    def _running(self) -> list[Call]:
        return [each for each in self.report.calls if each.result is None]

    def _task(self, row: str, ops: list[Op]) -> Callable[[Client], Coroutine[Any, Any, None]]:
        async def work(client: Client) -> None:
            for number, op in enumerate(ops):
                await asyncio.sleep(op.after_s)
                await self._call(client, op, f"{row}-{number}")

        return work

    async def _call(self, client: Client, op: Op, name: str, asked: str | None = None) -> None:
        """Make a call, cancel it if the scenario requires it, and record its result."""
        call = Call(name, op.verb, self.now_s, op)
        call.life = self.scene.network.life
        call.asked = asked or (self.known[-1] if self.known else "1")
        self.report.calls.append(call)
        loop = self.scene.loop
        CALL.set(name)
        task = loop.create_task(self._verb(client, call, op))
        if op.cancel_after_s is not None:
            loop.call_later(op.cancel_after_s, _cancel_call, call, task)
        if op.cancel_after_turns is not None:
            _after_turns(loop, op.cancel_after_turns, lambda: _cancel_call(call, task))
        await asyncio.wait({task})
        if call.result is None:
            self._record_result(call, task)

    def _record_result(self, call: Call, task: asyncio.Task[Any]) -> None:
        call.ended_s = self.now_s
        if task.cancelled():
            call.result = "cancelled" if call.was_cancelled else "foreign CancelledError"
        elif (error := task.exception()) is None:
            result = task.result()
            call.result = "placed" if call.verb == "add" else "read"
            if isinstance(result, AddedOrder | OrderStatus):
                call.order = result.order
            if isinstance(result, AddedOrder):
                self.known.append(result.order)
            if isinstance(result, OrderStatus) and result.start_count != int(call.asked):
                call.result = f"answer of another: {result.start_count}"
        elif call.verb == "add":
            call.result = add_failure(error)
        else:
            call.result = _read_failure(error)
        self.scene.network.note(f"{call.name}: {call.verb} result: {call.result}")

    async def _verb(self, client: Client, call: Call, op: Op) -> object:
        if op.verb == "balance":
            return await client.balance()
        if op.verb == "status":
            return await client.status(call.asked)
        order = DefaultOrder(service=5, link=link_of(call.name), quantity=10)
        try:
            return await client.add(order, wait_s=op.wait_s)
        except (OutcomeUnknownError, NotSentError) as error:
            call.waited_s = self.now_s - call.started_s
            if not op.waits_for_outcome or isinstance(error, NotSentError):
                raise
            return await error.wait_for_outcome()

    async def _close_early(self, client: Client, at_s: float) -> None:
        await asyncio.sleep(at_s)
        for _ in range(self.report.scenario.close_after_turns):
            await asyncio.sleep(0)
        await self._close(client)

    async def _close(self, client: Client) -> None:
        started_s = self.now_s
        self.scene.network.note("client: aclose")
        await asyncio.gather(*(client.aclose() for _ in range(self.report.scenario.closes)))
        life = self.scene.network.life
        self.report.closes.append(Close(life, started_s, self.now_s))

    def _record_leftovers(self) -> None:
        """Record the tasks and connections that a closed client left behind."""
        wires = self.scene.network.open_wires()
        self.report.left += [f"connection {each.number} of {each.call}" for each in wires]
        tasks = asyncio.all_tasks(self.scene.loop) - {asyncio.current_task(self.scene.loop)}
        self.report.left += [f"task {each.get_coro()}" for each in tasks]


def _read_failure(error: BaseException) -> str:
    if isinstance(error, OrderNotFoundError):
        return "not found"
    if isinstance(error, OutcomeUnknownError) or not isinstance(error, PanelError):
        return f"foreign {type(error).__name__}: {error}"
    return "not sent" if isinstance(error, NotSentError | ClosedError) else "no read"


def _cancel_call(call: Call, task: asyncio.Task[Any]) -> None:
    if not task.done():
        call.was_cancelled = True
        task.cancel()


def _after_turns(loop: asyncio.AbstractEventLoop, turns: int, act: Callable[[], None]) -> None:
    if turns == 0:
        act()
    else:
        loop.call_soon(_after_turns, loop, turns - 1, act)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
