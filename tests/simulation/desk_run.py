"""Run one scenario of desks over several panels, on one journal, and record what became of it."""

import asyncio
import functools
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import define, field

from smmfanfast_async import Client, DefaultOrder, OutcomeUnknownError, PanelError, RetryPolicy
from smmfanfast_async._engine.limiter import Clock
from smmfanfast_async.desk import CircuitPolicy, OrderDesk
from smmfanfast_async.desk.timing import Timing
from smmfanfast_async.journal import Entry, EntryState, JournalEvent
from smmfanfast_async.journal.sql import SQLJournal

from .desk_scenario import HEAL_S, DeskScenario, PanelPlan, Placing, ProcessPlan
from .network import CALL, Link, Network, Wire
from .panel import Answer, Ledger, Panel
from .process import Process
from .scenario import rng_of
from .virtual_loop import StuckError
from .world import client_of, link_of, virtual_network

__all__ = ["EPOCH", "DeskReport", "Placed", "simulate_desks"]

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
"""The journal's time when a run starts."""

ACCOUNT = "shop"
PRODUCT = "likes"

LIVE_S = 3000.0
"""Seconds after `HEAL_S` within which every order has to be settled: twice the longest waits of a
desk, one after the other, for a lease, a held link and a panel that was probed in vain."""

LOOK_S = 20.0
"""Seconds between two looks whether every order is settled."""

AFTERWARDS_S = 60.0
"""Seconds for which desks run on when every order is settled: nothing may happen any more."""

SETTLE_S = 1000.0
"""Seconds after the last process, in which the panels may still store what they have read."""

TRIES = 6
"""How often a caller places an order of which nothing was sent."""

AGAIN_S = 6.0
"""Seconds between these."""

TIMING = Timing(
    max_poll_s=5.0, idle_s=100.0, send_interval_s=15.0, maintenance_s=100.0, health_s=100.0
)
"""Long intervals between polls, which are most of the work of a run; leases, claims and time limits
are as in production."""

SETTLED = frozenset(EntryState) - {EntryState.PREPARED, EntryState.SENDING, EntryState.HELD}
"""States in which no desk sends an order by itself."""


@define(eq=False)
class Placed:
    """One call of `OrderDesk.place`, and its result."""

    placing: Placing
    result: str | None = None
    """One of returned, raised …, cancelled, crashed; None while it runs."""
    entry: Entry | None = None


@define(eq=False)
class DeskReport:
    """What a run left behind."""

    scenario: DeskScenario
    placed: list[Placed] = field(factory=list)
    entries: dict[str, Entry] = field(factory=dict)
    """By ref, at the end."""
    events: list[JournalEvent] = field(factory=list)
    ledgers: dict[str, Ledger] = field(factory=dict)
    """What each panel stored."""
    opened_s: dict[int, float] = field(factory=dict)
    """When each connection was opened, by number."""
    decided: dict[str, tuple[float, str]] = field(factory=dict)
    """When a person had a ref sent again, and the panel where its outcome was unknown."""
    delayed: dict[str, int] = field(factory=dict)
    """How much the partitions of each panel delayed or swallowed."""
    trace: list[tuple[float, str]] = field(factory=list)
    unexpected_addresses: list[tuple[str, int]] = field(factory=list)
    shared: list[str] = field(factory=list)
    """Connections of orders that were also used for something else."""
    left: list[str] = field(factory=list)
    """Tasks and connections that are still there."""
    loop_errors: list[str] = field(factory=list)


@functools.cache
def _empty_journal() -> bytes:
    """Return the file of a journal without orders: creating its tables takes most of a run."""

    async def create(path: Path) -> None:
        journal = SQLJournal(path)
        await journal.open()
        await journal.aclose()

    with TemporaryDirectory() as folder:
        path = Path(folder, "journal.db")
        asyncio.run(create(path))
        return path.read_bytes()


def simulate_desks(
    seed: int,
    path: Path,
    *,
    desk_class: type[OrderDesk] = OrderDesk,
    journal_class: type[SQLJournal] = SQLJournal,
    client_class: type[Client] = Client,
) -> DeskReport:
    """Run a seed from start to end, with a journal at a path."""
    scenario = DeskScenario.of(seed)
    report = DeskReport(scenario)
    path.write_bytes(_empty_journal())
    with closing(sqlite3.connect(path)) as other, virtual_network() as network:
        # While another program reads the file, no connection that closes copies the log into it: a
        # process that is killed does not do that either.
        other.execute("SELECT * FROM smm_versions").fetchall()
        run = _Run(network, report, path, desk_class, journal_class, client_class)
        for plan in scenario.panels:
            run.add_panel(plan)
        try:
            network.loop.run_until_complete(run.play())
        except StuckError as error:
            report.left.append(f"stuck: {error}")
        # Connections released at the same moment have no defined order.
        report.trace = sorted(network.trace)
        report.unexpected_addresses = network.unexpected_addresses
        report.opened_s = {number: start_s for number, (start_s, _) in network.spans.items()}
        report.loop_errors = network.loop.loop_errors
    return report


@define(eq=False)
class _Run:
    network: Network
    report: DeskReport
    path: Path
    desk_class: type[OrderDesk]
    journal_class: type[SQLJournal]
    client_class: type[Client]
    panels: dict[str, Panel] = field(factory=dict)
    desks: dict[Process, OrderDesk] = field(factory=dict)
    """Those that are open, in processes that are alive."""
    opened: asyncio.Condition = field(factory=asyncio.Condition)
    is_over: asyncio.Event = field(factory=asyncio.Event)
    is_next_day: bool = False

    @property
    def now_s(self) -> float:
        return self.network.loop.time()

    # --- panels ----------------------------------------------------------------------------------

    def add_panel(self, plan: PanelPlan) -> None:
        loop = self.network.loop
        host = self.network.add_host(plan.port, self._links_of(plan))
        host.partitions = plan.partitions
        panel = host.panel = self.panels[plan.name] = Panel(
            self.network, self._answers_of(plan), name=plan.name, balance=plan.balance,
            rate=plan.rate, service=plan.service, restart_s=plan.restart_s,
            crash_dark=plan.crash_dark, finish_after_s=60.0, shared=self.report.shared,
        )  # fmt: skip
        self.report.ledgers[plan.name] = panel.ledger
        for at_s in plan.crashes_s:
            loop.call_at(at_s, panel.crash)
        loop.call_at(HEAL_S, self._top_up, panel)

    def _top_up(self, panel: Panel) -> None:
        panel.balance += 1000

    def _links_of(self, plan: PanelPlan) -> Callable[[str, int], Link]:
        def link(call: str, number: int) -> Link:
            return plan.faults.link(call, number) if self.now_s < HEAL_S else Link()

        return link

    def _answers_of(self, plan: PanelPlan) -> Callable[[Wire, str, str], Answer]:
        def answer(wire: Wire, action: str, about: str) -> Answer:
            if self.now_s < HEAL_S:
                return plan.faults.answer(wire, action, about)
            if action != "add":
                return Answer(kind="right")
            # Some panels refuse the day after what was unknown the day before.
            rng = rng_of(plan.faults.seed, "next day", wire.number)
            if self.is_next_day and rng.random() < 0.5:
                return Answer(kind="no service")
            return Answer(kind="placed", stores=True)

        return answer

    # --- processes -------------------------------------------------------------------------------

    async def play(self) -> None:
        """Run the processes and their callers, perhaps a person, and read the journal."""
        loop, scenario = self.network.loop, self.report.scenario
        processes = [loop.create_task(self._live(each)) for each in scenario.processes]
        callers = [loop.create_task(self._call(each)) for each in scenario.placings]
        await asyncio.wait(callers)
        await self._wait_until_settled()
        await self._stop(processes)
        await asyncio.sleep(SETTLE_S)
        await self._read_journal()
        if scenario.has_person and EntryState.UNKNOWN in self._states():
            await self._decide()
            await self._read_journal()
        for plan in scenario.panels:
            self.report.delayed[plan.name] = self.network.hosts[plan.port].delayed

    async def _live(self, plan: ProcessPlan) -> None:
        """Run one process with a desk, until it crashes or all is over."""
        await asyncio.sleep(plan.start_s)
        process = Process(len(self.desks), disk_s=self.report.scenario.disk_s)
        serving = process.start(self._serve(process))
        if plan.crash is not None:
            await asyncio.sleep(max(plan.crash.at_s - plan.start_s, 0.0))
            self.network.note("process: crash")
            self.desks.pop(process, None)
            self.network.crash(process, plan.crash.how)
        await asyncio.wait({serving})
        if process.is_alive:
            self._record_end(process, serving)

    def _record_end(self, process: Process, serving: asyncio.Task[None]) -> None:
        """Record what a process left behind that has closed everything."""
        error = None if serving.cancelled() else serving.exception()
        if error is not None:
            self.report.left.append(f"a desk ended: {type(error).__name__}: {error}")
        wires = self.network.open_wires(process)
        self.report.left += [f"connection {each.number} of {each.call}" for each in wires]
        self.report.left += [f"task {each.get_coro()}" for each in process.tasks]

    async def _serve(self, process: Process) -> None:
        """Keep a desk open that follows, until all is over."""
        CALL.set(f"process-{process.number}")
        async with self._desk(process) as desk:
            following = asyncio.create_task(desk.follow())
            self.desks[process] = desk
            async with self.opened:
                self.opened.notify_all()
            over = asyncio.create_task(self.is_over.wait())
            await asyncio.wait({following, over}, return_when=asyncio.FIRST_COMPLETED)
            self.desks.pop(process, None)
            for task in (following, over):
                task.cancel()
            await asyncio.wait({following, over})
            if not following.cancelled():
                await following

    @asynccontextmanager
    async def _desk(self, process: Process) -> AsyncIterator[OrderDesk]:
        scenario = self.report.scenario
        async with AsyncExitStack() as stack:
            clients: dict[str, Client] = {}
            for plan in scenario.panels:
                client = await stack.enter_async_context(
                    client_of(self.network, process, plan.setup, self.client_class, port=plan.port)
                )
                stack.push_async_callback(client.aclose)
                clients[plan.name] = client
            loop = self.network.loop
            attributes = {"_timing": TIMING, "_clock": Clock(now_s=loop.time)}
            desk_class = type("SimulatedDesk", (self.desk_class,), attributes)
            desk: OrderDesk = desk_class(
                clients, self._journal(), account=ACCOUNT,
                products={PRODUCT: {each.name: each.service for each in scenario.panels}},
                router=scenario.router, queue_active_links=scenario.queue_active_links,
                record_balance=scenario.record_balance, retry=RetryPolicy(max_attempts=2),
                exchange_rates=dict.fromkeys(clients, Decimal(1)) if scenario.has_rates else None,
                circuit=CircuitPolicy() if scenario.has_circuit else None,
                rng=rng_of(scenario.seed, "process", process.number).random,
            )  # fmt: skip
            yield await stack.enter_async_context(desk)

    def _journal(self) -> SQLJournal:
        return self.journal_class(self.path, clock=lambda: EPOCH + timedelta(seconds=self.now_s))

    async def _any_desk(self, number: int = 0) -> tuple[Process, OrderDesk]:
        """Return an open desk, if possible that of a process; wait until there is one."""
        async with self.opened:
            await self.opened.wait_for(lambda: self.desks)
        processes = sorted(self.desks, key=lambda each: (each.number != number, each.number))
        return processes[0], self.desks[processes[0]]

    async def _stop(self, processes: list[asyncio.Task[None]]) -> None:
        self.is_over.set()
        await asyncio.wait(processes)
        self.is_over.clear()

    # --- callers ---------------------------------------------------------------------------------

    async def _call(self, placing: Placing) -> None:
        """Place an order, again while it is said that this is safe and may help."""
        await asyncio.sleep(placing.at_s)
        for _ in range(TRIES):
            placed = await self._place(placing)
            if placed.result not in ("raised NotSentError", "raised JournalError"):
                return
            await asyncio.sleep(AGAIN_S)

    async def _place(self, placing: Placing) -> Placed:
        """Place an order in a process, cancel that if the scenario requires it, and record it."""
        process, desk = await self._any_desk(placing.process)
        placed = Placed(placing)
        self.report.placed.append(placed)
        order = DefaultOrder(service=PRODUCT, link=link_of(placing.ref), quantity=1000)
        task = process.start(desk.place(order, ref=placing.ref, wait_s=placing.wait_s))
        await asyncio.wait({task}, timeout=placing.cancel_after_s)
        is_early = not task.done()
        task.cancel()
        await asyncio.wait({task})
        placed.result, placed.entry = _result_of(task, process, is_cancelled=is_early)
        self.network.note(f"{placing.ref}: {placed.result}")
        return placed

    async def _wait_until_settled(self) -> None:
        """Wait until no desk has anything to send, or until that is late; and a while longer."""
        starts_s = [each.start_s for each in self.report.scenario.processes]
        deadline_s = max(self.now_s, HEAL_S) + LIVE_S
        await asyncio.sleep(max(*starts_s, 0.0) - self.now_s)
        while self.now_s < deadline_s:
            await asyncio.sleep(LOOK_S)
            process, desk = await self._any_desk()
            looking = process.start(_read_entries(desk))
            await asyncio.wait({looking})
            if not looking.cancelled() and all(each.state in SETTLED for each in looking.result()):
                break
        await asyncio.sleep(AFTERWARDS_S)

    # --- the next day ----------------------------------------------------------------------------

    async def _decide(self) -> None:
        """Let a person look at the panels, and send again what none of them has."""
        self.is_next_day = True
        plan = ProcessPlan(0.0, None)
        living = self.network.loop.create_task(self._live(plan))
        process, desk = await self._any_desk()
        await asyncio.wait({process.start(self._resolve(desk))})
        await self._wait_until_settled()
        await self._stop([living])

    async def _resolve(self, desk: OrderDesk) -> None:
        for unknown in await desk.unknown():
            entry = unknown.entry
            assert entry.panel is not None, "it was sent"
            orders = self.panels[entry.panel].ledger.orders
            order = next((key for key, link in orders.items() if link == entry.link), None)
            if order is not None:
                await desk.resolve(entry.ref, decided_by="person", order=order)
                continue
            await desk.resolve(entry.ref, decided_by="person", placed=False)
            self.report.decided[entry.ref] = (self.now_s, entry.panel)
            await desk.retry(entry.ref, decided_by="person")

    def _states(self) -> set[EntryState]:
        return {each.state for each in self.report.entries.values()}

    async def _read_journal(self) -> None:
        """Read the entries and the events as they are in the end."""
        process = Process(99)
        await process.start(self._read(self._journal().for_account(ACCOUNT)))

    async def _read(self, journal: SQLJournal) -> None:
        await journal.open()
        self.report.entries = {each.ref: each async for each in journal.entries()}
        self.report.events = await journal.events(0, 10_000)
        await journal.aclose()


async def _read_entries(desk: OrderDesk) -> list[Entry]:
    return [each async for each in desk.entries()]


def _result_of(
    task: asyncio.Task[Entry], process: Process, *, is_cancelled: bool
) -> tuple[str, Entry | None]:
    if not process.is_alive:
        return "crashed", None
    if task.cancelled():
        return "cancelled" if is_cancelled else "foreign CancelledError", None
    error = task.exception()
    if error is None:
        return "returned", task.result()
    if isinstance(error, PanelError) and not isinstance(error, OutcomeUnknownError):
        return f"raised {type(error).__name__}", None
    return f"foreign {type(error).__name__}: {error}", None
