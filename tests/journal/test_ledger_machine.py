"""Random lives of a few orders on two machines, held against a ledger that is a dict."""

import asyncio
import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from attrs import define
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from support.journals import LEASE, Clock, Journals, new, outcome
from support.postgres import PostgresServer, shared_server

from smmfanfast_async import JournalError, RefConflictError
from smmfanfast_async.journal import TRANSITIONS, Claim, EntryState, EventKind, Observation
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.results import OrderStatus

S = EntryState
T = TypeVar("T")

REFS = st.sampled_from("abcde")
ORDERS = st.sampled_from(["1", "2", "3"])
MACHINES = st.integers(0, 1)
OFFSETS = st.sampled_from([0, 0, 0, 0, -1, 1])
ENDS = st.sampled_from([S.ACCEPTED, S.ACCEPTED, S.REFUSED, S.UNKNOWN, S.HELD, S.PREPARED])
STEP = timedelta(seconds=50)
WORDS = st.sampled_from(["Pending", "In progress", "Completed", "Canceled", None])
FINAL = {"Completed", "Canceled"}
LIFTS = {
    S.SENDING: TRANSITIONS[S.SENDING],
    S.UNKNOWN: {S.ACCEPTED, S.REFUSED},
    S.WITHDRAWN: {S.ACCEPTED},
}
TOLD = {S.PREPARED: EventKind.RELEASED} | {
    each: EventKind(each.value) for each in EntryState if each not in (S.PREPARED, S.SENDING)
}


@define
class Row:
    """What the ledger knows of an order."""

    form: str
    state: EntryState = S.PREPARED
    attempt: int = 0
    order: str | None = None
    doubtful: str | None = None
    lease_until: datetime | None = None
    due_at: datetime | None = None
    claim: int = 0
    word: str | None = None
    misses: int = 0


def link_of(ref: str) -> str:
    return "shared" if ref in "ab" else ref


def status_of(claim: Claim, word: str | None) -> OrderStatus | None:
    assert claim.entry.order is not None
    return None if word is None else OrderStatus(order=claim.entry.order, raw_status=word)


class LedgerMachine(RuleBasedStateMachine):
    """The journal must do what the ledger does."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.rows: dict[str, Row] = {}
        self.told: list[tuple[str, EventKind]] = []
        self.before: dict[str, EntryState] = {}
        self.decided: set[str] = set()
        self.claims: list[Claim] = []
        self.places = 2

    def run(self, work: Awaitable[T]) -> T:
        async def main() -> T:
            return await work

        return self.loop.run_until_complete(main())

    async def url(self) -> str:
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        return f"sqlite+aiosqlite:///{Path(folder) / 'orders.db'}"

    @initialize()
    def start(self) -> None:
        async def opened() -> list[SQLJournal]:
            journals = Journals(await self.url(), self.clock, self.stack)
            return [await journals(), await journals()]

        self.clock = Clock()
        self.machines = self.run(opened())

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()

    # --- what the ledger does --------------------------------------------------------------------

    def move(self, ref: str, to: EntryState, order: str | None, due_at: datetime | None) -> None:
        row = self.rows[ref]
        row.order, row.doubtful = (None, order) if to is S.UNKNOWN else (order, None)
        row.state, row.lease_until, row.due_at = to, None, due_at
        if to in (S.REFUSED, S.WITHDRAWN):
            self.free(link_of(ref))
        self.told.append((ref, TOLD[to]))

    def free(self, link: str) -> None:
        for ref, row in self.rows.items():
            if row.state is S.HELD and link_of(ref) == link:
                row.due_at = self.clock()

    def owner_of(self, order: str | None) -> str | None:
        owners = [ref for ref, row in self.rows.items() if row.order == order is not None]
        return owners[0] if owners else None

    # --- steps -----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 50, 200, 500]))
    def time_passes(self, seconds: int) -> None:
        self.clock.go(seconds)

    @rule(at=MACHINES, ref=REFS, form=st.sampled_from(["x", "x", "x", "y"]))
    def create(self, at: int, ref: str, form: str) -> None:
        written = self.machines[at].create(
            new(ref, form={"form": form}, link=link_of(ref), due_at=self.clock())
        )
        row = self.rows.get(ref)
        if row is None:
            self.rows[ref] = Row(form, due_at=self.clock())
        elif row.form != form:
            with pytest.raises(RefConflictError):
                self.run(written)
            return
        assert self.run(written).ref == ref

    @rule(at=MACHINES, ref=REFS, offset=OFFSETS)
    def begin(self, at: int, ref: str, offset: int) -> None:
        row = self.rows.get(ref)
        attempt = (row.attempt if row else 0) + offset
        begun = self.run(
            self.machines[at].start_attempt(ref, attempt, lease=LEASE, max_in_flight=self.places)
        )
        busy = sum(each.state is S.SENDING for each in self.rows.values())
        if row is None or row.state is not S.PREPARED or offset or busy >= self.places:
            assert begun is None
            return
        assert begun is not None
        row.state, row.attempt, row.lease_until = S.SENDING, attempt + 1, self.clock() + LEASE
        row.due_at = None

    @rule(at=MACHINES, ref=REFS, offset=OFFSETS, to=ENDS, order=ORDERS)
    def settle(self, at: int, ref: str, offset: int, to: EntryState, order: str) -> None:
        given = order if to in (S.ACCEPTED, S.UNKNOWN) else None
        due_at = self.clock() + STEP if to in (S.ACCEPTED, S.HELD, S.PREPARED) else None
        row = self.rows.get(ref)
        said = outcome(to, given, due_at=due_at)
        settled = self.machines[at].record_outcome(ref, (row.attempt if row else 0) + offset, said)
        if row is None:
            with pytest.raises(JournalError):
                self.run(settled)
            return
        self.run(settled)
        kept = {None, row.order, row.doubtful}
        if offset == 0 and to in LIFTS.get(row.state, set()):
            if to is S.ACCEPTED and self.owner_of(given) not in (None, ref):
                to, due_at = S.UNKNOWN, None
            if to in TRANSITIONS[row.state] or (row.state is S.UNKNOWN and given not in kept):
                self.move(ref, to, given, due_at)
                return
        if given not in kept:
            self.told.append((ref, EventKind.LATE))

    @rule(at=MACHINES)
    def lapse(self, at: int) -> None:
        lapsed = {each.ref for each in self.run(self.machines[at].expire_leases())}
        late = {
            ref for ref, row in self.rows.items()
            if row.lease_until is not None and row.lease_until <= self.clock()
        }  # fmt: skip
        assert lapsed == late
        for ref in late:
            self.move(ref, S.UNKNOWN, None, None)

    @rule(at=MACHINES, ref=REFS, to=st.sampled_from(sorted(EntryState)), order=ORDERS)
    def decide(self, at: int, ref: str, to: EntryState, order: str) -> None:
        row = self.rows.get(ref)
        since = row.state if row else S.UNKNOWN
        given = order if to is S.ACCEPTED else None
        due_at = self.clock() + STEP
        decided = self.machines[at].apply_decision(ref, {since}, outcome(to, given, due_at=due_at))
        if row is None:
            assert self.run(decided) is None
        elif to not in TRANSITIONS[since] or to in (S.SENDING, S.FINISHED):
            if to is S.FINISHED and to in TRANSITIONS[since]:
                decided.close()
                return
            with pytest.raises(JournalError):
                self.run(decided)
        elif self.owner_of(given) not in (None, ref):
            with pytest.raises(RefConflictError):
                self.run(decided)
        else:
            self.run(decided)
            self.decided.add(ref)
            self.move(ref, to, given, due_at)

    @rule(at=MACHINES)
    def due_to_send(self, at: int) -> None:
        due = {each.ref for each in self.run(self.machines[at].due_to_send(99))}
        now = self.clock()
        for ref, row in self.rows.items():
            if row.state is S.HELD and row.due_at is not None and row.due_at <= now:
                row.state = S.PREPARED
                self.told.append((ref, EventKind.RELEASED))
        assert due == {
            ref for ref, row in self.rows.items()
            if row.state is S.PREPARED and row.due_at is not None and row.due_at <= now
        }  # fmt: skip

    @rule(at=MACHINES, limit=st.integers(1, 3))
    def claim(self, at: int, limit: int) -> None:
        claims = self.run(self.machines[at].claim(limit, lease=LEASE))
        due = {
            ref for ref, row in self.rows.items()
            if row.state is S.ACCEPTED and row.due_at is not None and row.due_at <= self.clock()
        }  # fmt: skip
        assert {each.entry.ref for each in claims} <= due
        assert len(claims) == min(limit, len(due))
        for each in claims:
            row = self.rows[each.entry.ref]
            row.claim += 1
            assert each.number == row.claim
            row.due_at = self.clock() + LEASE
        self.claims = [*self.claims, *claims][-6:]

    @rule(at=MACHINES, words=st.lists(WORDS, min_size=1, max_size=4))
    def observe(self, at: int, words: list[str | None]) -> None:
        # Of the latest claims, some are worthless by now.
        looks: dict[str, tuple[Claim, str | None]] = {}
        for claim, word in zip(reversed(self.claims), words, strict=False):
            looks.setdefault(claim.entry.ref, (claim, word))
        due_at = self.clock() + STEP
        seen = [
            Observation(claim=claim, status=status_of(claim, word), due_at=due_at)
            for claim, word in looks.values()
        ]
        told = {each.ref for each in self.run(self.machines[at].record_statuses(seen))}
        expected = {
            ref for ref, (claim, word) in looks.items() if self.look(ref, claim, word, due_at)
        }
        assert told == expected

    @rule(at=MACHINES, seconds=st.sampled_from([0, 1, 50]))
    def give_back(self, at: int, seconds: int) -> None:
        # Some are worthless by now; of one that was claimed twice, one claim at least.
        due_at = self.clock() + timedelta(seconds=seconds)
        self.run(self.machines[at].release([(claim, due_at) for claim in self.claims]))
        for claim in self.claims:
            row = self.rows[claim.entry.ref]
            if row.state is S.ACCEPTED and row.claim == claim.number:
                row.claim, row.due_at = row.claim + 1, due_at

    def look(self, ref: str, claim: Claim, word: str | None, due_at: datetime) -> bool:
        row = self.rows[ref]
        if row.state is not S.ACCEPTED or row.claim != claim.number:
            return False
        row.claim, row.due_at = row.claim + 1, due_at
        if word is None:
            row.misses += 1
            kind = EventKind.MISSING if row.misses == 3 else None
        else:
            kind = EventKind.CHANGED if word != row.word else None
            row.word, row.misses = word, 0
        if word in FINAL:
            row.state, row.due_at, kind = S.FINISHED, None, EventKind.FINISHED
            self.free(link_of(ref))
        if kind is not None:
            self.told.append((ref, kind))
        return kind is not None

    # --- what always holds -----------------------------------------------------------------------

    @invariant()
    def the_journal_is_the_ledger(self) -> None:
        async def read() -> tuple[list[Any], list[Any]]:
            there = self.machines[0]
            return [each async for each in there.entries()], await there.events(0, 9999)

        entries, events = self.run(read())
        assert {
            each.ref: (each.state, each.attempt, each.order, each.raw_status, each.miss_count)
            for each in entries
        } == {
            ref: (row.state, row.attempt, row.order or row.doubtful, row.word, row.misses)
            for ref, row in self.rows.items()
        }
        # What one statement moves is told in any order.
        assert sorted((each.ref, each.kind) for each in events) == sorted(self.told)
        assert [each.position for each in events] == list(range(1, len(events) + 1))
        orders = [each.order for each in entries if each.order and each.state is not S.UNKNOWN]
        assert len(orders) == len(set(orders))

    @invariant()
    def no_more_are_on_their_way_than_places(self) -> None:
        assert sum(row.state is S.SENDING for row in self.rows.values()) <= self.places

    @invariant()
    def nothing_unknown_is_sent_again_without_a_person(self) -> None:
        for ref, row in self.rows.items():
            since = self.before.get(ref, S.PREPARED)
            assert row.state is since or row.state in TRANSITIONS[since]
            if row.state is S.UNKNOWN:
                self.decided.discard(ref)
            if row.state is S.PREPARED and since in (S.UNKNOWN, S.WITHDRAWN, S.REFUSED):
                assert ref in self.decided
        self.before = {ref: row.state for ref, row in self.rows.items()}


def run_machine(machine: type[LedgerMachine], *, examples: int, steps: int) -> None:
    run_state_machine_as_test(machine, settings=settings(
        max_examples=examples, stateful_step_count=steps, deadline=None,
        suppress_health_check=list(HealthCheck),
    ))  # fmt: skip


def test_random_lives_on_sqlite() -> None:
    run_machine(LedgerMachine, examples=14, steps=40)


def test_random_lives_on_postgresql(postgres: PostgresServer) -> None:
    class OnPostgres(LedgerMachine):
        async def url(self) -> str:
            return await shared_server().fresh()

    run_machine(OnPostgres, examples=6, steps=40)
