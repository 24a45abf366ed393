"""Start, kill and stop child processes; compare the journal with what the panel stored."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any, ClassVar

from sqlalchemy import update

from smmfanfast_async.journal import Entry, EntryState
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.journal.sql.schema import orders
from smmfanfast_async.sandbox import Sandbox

from . import killing_child
from .forked import CONTEXT, start_process

__all__ = [
    "PATIENT",
    "Child",
    "entries_of",
    "event_positions",
    "eventually",
    "expire_lease",
    "first_at_point",
    "verify",
]

WAIT_S = 300.0
"""Seconds that a child may take for anything a test waits for."""

PATIENT = {"lease_s": 60, "write_within_s": 30}
"""For a child that is not to lose a lease, however slow the machine is."""

SENT = {EntryState.ACCEPTED, EntryState.FINISHED}
NOT_SENT = {EntryState.PREPARED, EntryState.HELD, EntryState.REFUSED, EntryState.WITHDRAWN}


class Child:
    """A process that places orders."""

    alive: ClassVar[set["Child"]] = set()
    """Children that have not ended, to be killed if a test fails."""

    def __init__(self, process: ForkServerProcess, output: Connection) -> None:
        self.alive.add(self)
        self.process = process
        self.reports: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read(output))
        self._has_report = asyncio.Event()

    @classmethod
    async def start(cls, journal: str, panel: Sandbox, **task: Any) -> "Child":
        """Start a child on a journal and a panel."""
        output, end = CONTEXT.Pipe(duplex=False)
        with end:
            task = {"journal": journal, "panel": panel.url, **task}
            return cls(start_process(killing_child.run, task, end), output)

    async def _read(self, output: Connection) -> None:
        lines = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(lines), output
        )
        async for line in lines:
            if line.endswith(b"\n"):  # the last one may be cut by the kill
                self.reports.append(json.loads(line))
            self._has_report.set()
        self._has_report.set()

    async def until(self, field: str) -> dict[str, Any]:
        """Wait until the child reports a field, and return the report."""
        async with asyncio.timeout(WAIT_S):
            while True:
                report = next((each for each in self.reports if field in each), None)
                if report is not None:
                    return report
                assert not self._reading.done(), f"it ended without {field!r}: {self.reports}"
                self._has_report.clear()
                await self._has_report.wait()

    def resume(self) -> None:
        """Continue a child that stopped itself."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGCONT)

    async def kill(self) -> None:
        """Kill it without a chance to clean up; what it reported by then is read."""
        self.process.kill()
        await self.wait()

    async def wait(self) -> None:
        """Wait until it has ended."""
        async with asyncio.timeout(WAIT_S):
            await self._reading
            await asyncio.to_thread(self.process.join, WAIT_S)
        self.alive.discard(self)


async def eventually(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until a condition is true that no process reports."""
    async with asyncio.timeout(WAIT_S):
        while True:
            value = condition()
            if value if isinstance(value, bool) else await value:
                return
            await asyncio.sleep(0.05)


async def first_at_point(children: Iterable[Child]) -> Child:
    """Wait until one of several children is at its point, and return it."""
    there: list[Child] = []

    def has_come() -> bool:
        there.extend(each for each in children if any("at" in report for report in each.reports))
        return bool(there)

    await eventually(has_come)
    return there[0]


async def expire_lease(url: str, ref: str) -> None:
    """Let the lease of an order's attempt be over; those of all others run on."""
    journal = SQLJournal(url)
    await journal.open()
    lapse = update(orders).where(orders.c.ref == ref).values(lease_until=orders.c.created_at)
    try:
        await journal._database.run(lambda connection: connection.execute(lapse))
    finally:
        await journal.aclose()


async def entries_of(url: str) -> dict[str, Entry]:
    """Return the entries in the journal of the children, by ref."""
    journal = SQLJournal(url).for_account("killing")
    await journal.open()
    try:
        return {entry.ref: entry async for entry in journal.entries()}
    finally:
        await journal.aclose()


async def event_positions(url: str) -> list[int]:
    """Return the positions of all events."""
    journal = SQLJournal(url).for_account("killing")
    await journal.open()
    try:
        return [each.position async for each in _all_events(journal)]
    finally:
        await journal.aclose()


async def _all_events(journal: SQLJournal) -> AsyncIterator[Any]:
    after = 0
    while page := await journal.events(after, 500):
        for each in page:
            yield each
        after = page[-1].position


def verify(
    entries: dict[str, Entry], panel: Sandbox, refs: Iterable[str], *others: Sandbox
) -> None:
    """Compare the journal's state of each ref with the orders that the panels stored for it."""
    stored: dict[str, list[str]] = {}
    for each_panel in (panel, *others):
        for order, each in each_panel.orders.items():
            stored.setdefault(each.link.rpartition("/")[2], []).append(order)
    doubled = {ref: orders for ref, orders in stored.items() if len(orders) > 1}
    assert doubled == {}, "ordered twice"
    wrong = [
        (ref, entry.state, entry.order, stored.get(ref))
        for ref in refs
        if (entry := entries.get(ref)) is not None
        and (
            (entry.state in SENT and stored.get(ref) != [entry.order])
            or (entry.state in NOT_SENT and ref in stored)
        )
    ]
    assert wrong == [], "the journal contradicts the panel"
    lost = [ref for ref in stored if ref not in entries]
    assert lost == [], "the journal does not know an order"
