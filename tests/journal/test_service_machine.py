"""Two desks watch in any order, stall and die: events lead from the first sight to what is kept."""

import asyncio
import tempfile
from collections.abc import Coroutine, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import select
from support.journals import Clock

from smmfanfast_async import Service
from smmfanfast_async.desk.watching_rules import compare
from smmfanfast_async.journal import (
    ServiceEventKind,
    ServiceRound,
    WatchClaim,
    WatchedService,
)
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.journal.sql.schema import services
from smmfanfast_async.journal.sql.services import _from_json

T = TypeVar("T")
MINUTE, LEASE = timedelta(seconds=60), timedelta(seconds=120)
IDS = ("1", "2")
WORKERS = st.integers(0, 1)
LISTS = st.dictionaries(st.sampled_from(IDS), st.sampled_from(["1", "2"]))


class KilledError(Exception):
    """The desk was killed before its commit."""


class ServiceMachine(RuleBasedStateMachine):
    """Desks that claim a panel and record answers, late or never."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.claims: dict[int, WatchClaim] = {}
        self.first: dict[str, Service] = {}
        self.is_seen = False
        self.latest = 0
        path = Path(self.folder.name) / "orders.db"
        self.journal = SQLJournal(path, clock=self.clock).for_account("a")
        self.run(self.journal.open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @rule(worker=WORKERS)
    def claim(self, worker: int) -> None:
        claim = self.run(self.journal.claim_watch("p", IDS, interval=MINUTE, lease=LEASE))
        if claim is not None:
            assert claim.version == self.latest + 1
            self.claims[worker], self.latest = claim, claim.version

    @rule(seconds=st.sampled_from([1, 60, 121, -300]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(worker=WORKERS, rates=LISTS, is_killed=st.booleans())
    def answer(self, worker: int, rates: Mapping[str, str], *, is_killed: bool) -> None:
        """Record an answer under a claim, however old it is."""
        claim = self.claims.pop(worker, None)
        if claim is None:
            return
        listed = {each: Service(service=each, raw_rate=rate) for each, rate in rates.items()}

        def record(before: Mapping[str, WatchedService], now: datetime) -> ServiceRound:
            found = compare(IDS, listed, before, now, MINUTE)
            if is_killed:
                raise KilledError
            return found

        try:
            is_recorded = self.run(self.journal.record_services(claim, 9, record))
        except KilledError:
            return
        assert is_recorded == (claim.version == self.latest)
        if is_recorded and not self.is_seen:
            self.first, self.is_seen = listed, True

    @invariant()
    def events_lead_to_what_is_kept(self) -> None:
        async def read() -> dict[str, Service | None]:
            engine = self.journal._database._engine
            assert engine is not None
            async with engine.connect() as connection:
                rows = await connection.execute(select(services))
                return {each.service: _from_json(each.row) for each in rows if not each.is_removed}

        told = dict(self.first)
        events = self.run(self.journal.service_events(0, 1000))
        for position, event in enumerate(events, 1):
            assert event.position == position
            if event.kind is not ServiceEventKind.RESTORED:
                assert told[event.service] == event.before
            if event.after is None:
                del told[event.service]
            else:
                told[event.service] = event.after
        assert told == self.run(read())

    def teardown(self) -> None:
        self.run(self.journal.aclose())
        self.runner.close()
        self.folder.cleanup()


ServiceMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
TestServices = ServiceMachine.TestCase
