"""Starting, killing and stopping children; holding what is left against what the panel stored."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

from smmfanfast_async.journal import Entry, EntryState
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Sandbox

__all__ = ["Child", "entries_of", "event_positions", "until", "verify"]

CHILD = Path(__file__).with_name("killing_child.py")
WAIT_S = 60.0
"""Seconds that a child may take for anything a test waits for."""

SENT = {EntryState.ACCEPTED, EntryState.FINISHED}
NOT_SENT = {EntryState.PREPARED, EntryState.HELD, EntryState.REFUSED, EntryState.WITHDRAWN}


class Child:
    """A process that places orders."""

    alive: ClassVar[set["Child"]] = set()
    """Those that were started and have not ended, for a test that fails meanwhile."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.alive.add(self)
        self.process = process
        self.said: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read())
        self._news = asyncio.Event()

    @classmethod
    async def start(cls, journal: str, panel: Sandbox, **asked: Any) -> "Child":
        """Start a child on a journal and a panel."""
        words = json.dumps({"journal": journal, "panel": panel.url, **asked})
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, str(CHILD), words, stdout=asyncio.subprocess.PIPE
            )
        )

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line.endswith(b"\n"):  # the last one may be cut by the kill
                self.said.append(json.loads(line))
            self._news.set()

    async def until(self, word: str) -> dict[str, Any]:
        """Wait until the child says a word, and give what it said with it."""
        async with asyncio.timeout(WAIT_S):
            while True:
                found = next((each for each in self.said if word in each), None)
                if found is not None:
                    return found
                assert not self._reading.done(), f"it ended without {word!r}: {self.said}"
                self._news.clear()
                await self._news.wait()

    def stop(self) -> None:
        """Let it stand still, whatever it does."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End it without a chance to tidy up; what it said by then is read."""
        if self.process.returncode is None:
            self.process.kill()
        await self.ended()

    async def ended(self) -> None:
        """Wait for its end."""
        async with asyncio.timeout(WAIT_S):
            await self._reading
            await self.process.wait()
        self.alive.discard(self)


async def until(is_so: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something is so that no process tells of."""
    async with asyncio.timeout(WAIT_S):
        while True:
            found = is_so()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.05)


async def entries_of(url: str) -> dict[str, Entry]:
    """Read the journal of the children, by ref."""
    journal = SQLJournal(url).for_account("killing")
    await journal.open()
    try:
        return {entry.ref: entry async for entry in journal.entries()}
    finally:
        await journal.aclose()


async def event_positions(url: str) -> list[int]:
    """Read the positions of all events."""
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


def verify(entries: dict[str, Entry], panel: Sandbox, refs: Iterable[str]) -> None:
    """Hold what the journal says of each ref against what the panel stored: it counts, not we."""
    stored: dict[str, list[str]] = {}
    for order, each in panel.orders.items():
        stored.setdefault(each.link.rpartition("/")[2], []).append(order)
    doubled = {ref: orders for ref, orders in stored.items() if len(orders) > 1}
    assert doubled == {}, "ordered twice"
    lies = [
        (ref, entry.state, entry.order, stored.get(ref))
        for ref in refs
        if (entry := entries.get(ref)) is not None
        and (
            (entry.state in SENT and stored.get(ref) != [entry.order])
            or (entry.state in NOT_SENT and ref in stored)
        )
    ]
    assert lies == [], "the journal is not true"
    lost = [ref for ref in stored if ref not in entries]
    assert lost == [], "an order that the journal does not know"
