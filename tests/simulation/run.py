"""Run one scenario: callers, closing, perhaps a crash; record the result of each call."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

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

from .network import CALL, PORT, Network
from .panel import Ledger, Panel
from .process import Process
from .scenario import Op, Scenario
from .virtual_loop import StuckError
from .world import cancel_all, client_of, link_of, virtual_network

__all__ = ["Call", "Close", "Report", "simulate"]

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
    with virtual_network() as network:
        faults = scenario.faults
        host = network.add_host(PORT, faults.link)
        host.partitions = scenario.partitions
        host.panel = panel = Panel(network, faults.answer, ledger=report.ledger)
        panel.restart_s = scenario.restart_s
        panel.crash_dark = scenario.crash_dark
        for at_s in scenario.panel_crashes_s:
            network.loop.call_at(at_s, panel.crash)
        try:
            network.loop.run_until_complete(_Run(network, report, client_class).play())
        except StuckError as error:
            report.left.append(f"stuck: {error}")
        # Connections released at the same moment have no defined order.
        report.trace = sorted(network.trace)
        report.unexpected_addresses = network.unexpected_addresses
        report.bytes_of = {each.name: network.bytes_of(each.name) for each in report.calls}
        report.shared = panel.shared
        report.spans = list(network.spans.values())
        report.loop_errors = network.loop.loop_errors
    return report


def _add_failure(error: BaseException) -> str:
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
    network: Network
    report: Report
    client_class: type[Client]
    process: Process = field(factory=Process)
    """The living one."""
    known: list[str] = field(factory=list)
    """Ids that the client returned: a process would have stored them before it continues."""

    @property
    def now_s(self) -> float:
        return self.network.loop.time()

    async def play(self) -> None:
        """Run one process, a second one if the first crashes, and wait until the panel is done."""
        scenario = self.report.scenario
        tasks = [self._task(f"{row}", ops) for row, ops in enumerate(scenario.tasks)]
        async with self._client() as client:
            if await self._live(client, tasks):
                await self._close(client)
        self._record_leftovers()
        # Cleans up after a client that crashed or did not close; nothing of it is recorded.
        await Client.aclose(client)
        if scenario.crash is not None:
            self.process = Process(1)
            async with self._client() as client:
                await self._after_crash(client)
                await self._close(client)
            self._record_leftovers()
            await Client.aclose(client)
        await asyncio.sleep(SETTLE_S)

    def _client(self) -> AbstractAsyncContextManager[Client]:
        setup = self.report.scenario.setup
        return client_of(self.network, self.process, setup, self.client_class)

    async def _live(
        self, client: Client, jobs: list[Callable[[Client], Coroutine[Any, Any, None]]]
    ) -> bool:
        """Run the callers; return False if the process crashed meanwhile."""
        scenario, loop = self.report.scenario, self.network.loop
        tasks = [loop.create_task(job(client)) for job in jobs]
        if scenario.close_at_s is not None:
            tasks.append(loop.create_task(self._close_early(client, scenario.close_at_s)))
        crash = scenario.crash
        await asyncio.wait(tasks, timeout=CALLS_END_S if crash is None else crash.at_s)
        if crash is not None:
            self._crash()
            await cancel_all(loop)
        elif left := [each for each in tasks if not each.done()]:
            self.report.left += [f"running: {each.name}" for each in self._running()]
            await _cancel(left)
        return crash is None

    def _crash(self) -> None:
        """End the process: nothing that it does from here on has an effect."""
        assert self.report.scenario.crash is not None, "called only for a crash"
        self.network.note("client: crash")
        self.network.crash(self.process, self.report.scenario.crash.how)
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
        call.life = self.process.number
        call.asked = asked or (self.known[-1] if self.known else "1")
        self.report.calls.append(call)
        loop = self.network.loop
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
            call.result = _add_failure(error)
        else:
            call.result = _read_failure(error)
        self.network.note(f"{call.name}: {call.verb} result: {call.result}")

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
        self.network.note("client: aclose")
        await asyncio.gather(*(client.aclose() for _ in range(self.report.scenario.closes)))
        self.report.closes.append(Close(self.process.number, started_s, self.now_s))

    def _record_leftovers(self) -> None:
        """Record the tasks and connections that a closed client left behind."""
        wires = self.network.open_wires(self.process)
        self.report.left += [f"connection {each.number} of {each.call}" for each in wires]
        tasks = asyncio.all_tasks(self.network.loop) - {asyncio.current_task(self.network.loop)}
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
