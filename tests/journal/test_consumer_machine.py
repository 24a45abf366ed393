"""Three workers of one consumer in any order: each effect that commits happens once, in order."""

import asyncio
import tempfile
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from support.journals import Clock

from smmfanfast_async import StaleEventError
from smmfanfast_async.journal import ConsumerClaim
from smmfanfast_async.journal.sql import SQLJournal

T = TypeVar("T")
LEASE = timedelta(seconds=60)
WORKERS = st.integers(0, 2)


class ConsumerMachine(RuleBasedStateMachine):
    """Workers that claim, apply the next event in a transaction, stall, and die."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.claims: dict[int, ConsumerClaim] = {}
        self.next: dict[int, int] = {}
        path = Path(self.folder.name) / "orders.db"
        self.engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        self.journal = SQLJournal(path, clock=self.clock).for_account("a")
        self.run(self.journal.open())
        self.run(self.in_transaction("CREATE TABLE effects (n INTEGER)"))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def in_transaction(self, statement: str) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(text(statement))

    @rule(worker=WORKERS)
    def claim(self, worker: int) -> None:
        claim = self.run(self.journal.claim_consumer("x", f"w{worker}", lease=LEASE))
        before = self.claims.get(worker)
        if claim is None:
            return
        self.claims[worker] = claim
        if before is None or before.version != claim.version:
            self.next[worker] = claim.position + 1

    @rule(seconds=st.sampled_from([1, 30, 61]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(worker=WORKERS)
    def release(self, worker: int) -> None:
        if worker in self.claims:
            self.run(self.journal.release_consumer(self.claims.pop(worker)))

    @rule(worker=WORKERS)
    def die(self, worker: int) -> None:
        self.claims.pop(worker, None)

    @precondition(lambda self: self.claims)
    @rule(worker=WORKERS, commits=st.booleans(), again=st.booleans())
    def apply(self, worker: int, *, commits: bool, again: bool) -> None:
        """Apply the next event; `again`: the commit's answer is lost, and it is applied again."""
        if worker not in self.claims:
            return
        for _ in range(1 + again):
            self.run(self.try_to_apply(self.claims[worker], self.next[worker], commits=commits))
        if commits:
            self.next[worker] += 1

    async def try_to_apply(self, claim: ConsumerClaim, event: int, *, commits: bool) -> None:
        async with self.engine.connect() as connection:
            await connection.execute(text(f"INSERT INTO effects VALUES ({event})"))  # noqa: S608
            if await self.acknowledges(claim, event, connection) and commits:
                await connection.commit()

    async def acknowledges(
        self, claim: ConsumerClaim, event: int, connection: AsyncConnection
    ) -> bool:
        try:
            await self.journal.acknowledge(claim, event, lease=LEASE, connection=connection)
        except StaleEventError:
            return False
        return True

    @invariant()
    def each_effect_happened_once_in_order(self) -> None:
        async def read() -> list[int]:
            async with self.engine.connect() as connection:
                rows = await connection.execute(text("SELECT n FROM effects ORDER BY rowid"))
                return list(rows.scalars())

        effects = self.run(read())
        assert effects == list(range(1, len(effects) + 1))
        assert self.run(self.journal.position("x")) == len(effects)

    def teardown(self) -> None:
        self.run(self.journal.aclose())
        self.run(self.engine.dispose())
        self.runner.close()
        self.folder.cleanup()


ConsumerMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
TestConsumers = ConsumerMachine.TestCase
