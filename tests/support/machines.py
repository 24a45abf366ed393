"""What Hypothesis machines on a journal share: two machines on one database, step by step."""

import asyncio
import tempfile
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from smmfanfast_async.journal.sql import SQLJournal

from .journals import Clock, Journals
from .prepared import sqlite_url

__all__ = ["JournalMachine"]

T = TypeVar("T")


class JournalMachine(RuleBasedStateMachine):
    """Journals on one database, as on separate machines, with one clock that a test advances."""

    machines: Sequence[SQLJournal]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.clock = Clock()

    def run(self, work: Awaitable[T]) -> T:
        async def main() -> T:
            return await work

        return self.loop.run_until_complete(main())

    async def url(self) -> str:
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        return await sqlite_url(Path(folder) / "orders.db")

    def open_machines(self) -> Sequence[SQLJournal]:
        async def open_journals() -> list[SQLJournal]:
            journals = Journals(await self.url(), self.clock, self.stack)
            return [await journals(), await journals()]

        self.machines = self.run(open_journals())
        return self.machines

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()
