"""Random histories of a few orders on two machines, compared with a ledger that is a dict."""

import asyncio
import tempfile
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from decimal import Decimal
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
from support.journals import LEASE, Clock, Journals, budget_sums, new_entry, outcome
from support.postgres import PostgresServer, shared_server

from smmfanfast_async import JournalError, RefConflictError, SpendingLimitError
from smmfanfast_async.journal import (
    DEFAULT_PANEL,
    SPENDING_STATES,
    TRANSITIONS,
    Claim,
    EntryState,
    EventKind,
    Observation,
)
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.journal.sql.polling import HELD_INTERVAL
from smmfanfast_async.results import OrderStatus

S = EntryState
T = TypeVar("T")

REFS = st.sampled_from("abcde")
ORDERS = st.sampled_from(["1", "2", "3"])
MACHINES = st.integers(0, 1)
OFFSETS = st.sampled_from([0, 0, 0, 0, -1, 1])
ENDS = st.sampled_from([S.ACCEPTED, S.ACCEPTED, S.REFUSED, S.UNKNOWN, S.HELD, S.PREPARED])
PRICES = st.sampled_from([None, Decimal("0.1"), Decimal("0.30"), Decimal(2)])
BUDGETS = st.sampled_from([None, None, Decimal("0.4"), Decimal("2.5")])
STEP = timedelta(seconds=50)
STATUSES = st.sampled_from(["Pending", "In progress", "Completed", "Canceled", None])
FOLLOWED = {S.ACCEPTED, S.FINISHED}
FINAL = {"Completed", "Canceled"}
OUTCOMES = {
    S.SENDING: TRANSITIONS[S.SENDING],
    S.UNKNOWN: {S.ACCEPTED, S.REFUSED},
    S.WITHDRAWN: {S.ACCEPTED},
}
IDLE = {S.PREPARED, S.HELD, S.REFUSED, S.WITHDRAWN}
EVENT_KINDS = {S.PREPARED: EventKind.RELEASED} | {
    each: EventKind(each.value) for each in EntryState if each not in (S.PREPARED, S.SENDING)
}


@define
class Row:
    """The ledger's record of an order."""

    form: str
    price: Decimal | None = None
    day: str = ""
    checked: Decimal | None = None
    state: EntryState = S.PREPARED
    panel: str | None = None
    is_pinned: bool = False
    attempt: int = 0
    order: str | None = None
    suspected: str | None = None
    lease_until: datetime | None = None
    due_at: datetime | None = None
    claim_version: int = 0
    raw_status: str | None = None
    miss_count: int = 0


def link_of(ref: str) -> str:
    return "shared" if ref in "ab" else ref


def status_of(claim: Claim, raw_status: str | None) -> OrderStatus | None:
    assert claim.entry.order is not None
    return (
        None if raw_status is None else OrderStatus(order=claim.entry.order, raw_status=raw_status)
    )


class LedgerMachine(RuleBasedStateMachine):
    """The journal must behave like the ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.rows: dict[str, Row] = {}
        self.events: list[tuple[str, EventKind]] = []
        self.before: dict[str, EntryState] = {}
        self.decided: set[str] = set()
        self.claims: list[Claim] = []
        self.max_in_flight = 2

    def run(self, work: Awaitable[T]) -> T:
        async def main() -> T:
            return await work

        return self.loop.run_until_complete(main())

    async def url(self) -> str:
        folder = self.stack.enter_context(tempfile.TemporaryDirectory())
        return f"sqlite+aiosqlite:///{Path(folder) / 'orders.db'}"

    @initialize()
    def start(self) -> None:
        async def open_journals() -> list[SQLJournal]:
            journals = Journals(await self.url(), self.clock, self.stack)
            return [await journals(), await journals()]

        self.clock = Clock()
        self.machines = self.run(open_journals())

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()

    # --- the ledger ------------------------------------------------------------------------------

    def move(self, ref: str, to: EntryState, order: str | None, due_at: datetime | None) -> None:
        row = self.rows[ref]
        row.is_pinned |= to in (S.HELD, S.UNKNOWN)
        if to is S.PREPARED and not row.is_pinned:
            row.panel = None
        if to is S.ACCEPTED:
            row.panel = DEFAULT_PANEL
        row.order, row.suspected = (None, order) if to is S.UNKNOWN else (order, None)
        row.state, row.lease_until, row.due_at = to, None, due_at
        if to in (S.REFUSED, S.WITHDRAWN):
            self.make_held_due(link_of(ref))
        self.events.append((ref, EVENT_KINDS[to]))

    def make_held_due(self, link: str) -> None:
        if oldest := self.oldest_held().get(link):
            oldest.due_at = self.clock()

    def oldest_held(self) -> dict[str, Row]:
        oldest: dict[str, Row] = {}
        for ref, row in self.rows.items():
            if row.state is S.HELD and row.due_at is not None:
                oldest.setdefault(link_of(ref), row)
        return oldest

    def today(self) -> str:
        return self.clock().date().isoformat()

    def spent(self, day: str) -> Decimal:
        return sum(
            (
                row.price for row in self.rows.values()
                if row.price is not None and row.day == day and row.state in SPENDING_STATES
            ),
            Decimal(0),
        )  # fmt: skip

    def exceeds(self, price: Decimal | None, budget: Decimal | None, row: Row | None) -> bool:
        """Return whether a price exceeds today's budget; what the order counts, it may keep."""
        if price is None or budget is None:
            return False
        is_counted = row and row.day == self.today() and row.state in SPENDING_STATES
        counted = row.price if row and is_counted and row.price is not None else Decimal(0)
        return self.spent(self.today()) - counted + price > budget

    def owner_of(self, order: str | None) -> str | None:
        owners = [ref for ref, row in self.rows.items() if row.order == order is not None]
        return owners[0] if owners else None

    # --- steps -----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 50, 200, 500, 43_200]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(
        machine=MACHINES,
        ref=REFS,
        form=st.sampled_from(["x", "x", "x", "y"]),
        price=PRICES,
        budget=BUDGETS,
    )
    def create(
        self, machine: int, ref: str, form: str, price: Decimal | None, budget: Decimal | None
    ) -> None:
        created = self.machines[machine].create(
            new_entry(
                ref, form={"form": form}, link=link_of(ref), due_at=self.clock(), price=price,
                budget_day=self.today(),
            ),
            budget=budget,
        )  # fmt: skip
        row = self.rows.get(ref)
        if row is None and self.exceeds(price, budget, None):
            with pytest.raises(SpendingLimitError):
                self.run(created)
            return
        if row is None:
            self.rows[ref] = Row(form, price, self.today(), budget, due_at=self.clock())
        elif row.form != form:
            with pytest.raises(RefConflictError):
                self.run(created)
            return
        assert self.run(created).ref == ref

    @rule(machine=MACHINES, ref=REFS, offset=OFFSETS, price=PRICES, budget=BUDGETS)
    def start_attempt(
        self,
        machine: int,
        ref: str,
        offset: int,
        price: Decimal | None,
        budget: Decimal | None,
    ) -> None:
        row = self.rows.get(ref)
        attempt = (row.attempt if row else 0) + offset
        starting = self.machines[machine].start_attempt(
            ref, attempt, lease=LEASE, max_in_flight=self.max_in_flight, price=price, budget=budget
        )
        busy = sum(each.state is S.SENDING for each in self.rows.values())
        if row is None or row.state is not S.PREPARED or offset or busy >= self.max_in_flight:
            assert self.run(starting) is None
            return
        is_checked = (
            row.day == self.today() and row.checked is not None and budget is not None
            and row.checked <= budget and row.price is not None and price is not None
            and price <= row.price
        )  # fmt: skip
        if not is_checked and self.exceeds(price, budget, row):
            with pytest.raises(SpendingLimitError):
                self.run(starting)
            return
        assert self.run(starting) is not None
        if price is not None:
            row.price = price
            if budget is not None:
                row.day, row.checked = self.today(), budget
        row.state, row.attempt, row.lease_until = S.SENDING, attempt + 1, self.clock() + LEASE
        row.due_at, row.panel = None, DEFAULT_PANEL

    @rule(machine=MACHINES, ref=REFS, offset=OFFSETS, to=ENDS, order=ORDERS)
    def record_outcome(
        self, machine: int, ref: str, offset: int, to: EntryState, order: str
    ) -> None:
        order_id = order if to in (S.ACCEPTED, S.UNKNOWN) else None
        due_at = self.clock() + STEP if to in (S.ACCEPTED, S.HELD, S.PREPARED) else None
        row = self.rows.get(ref)
        result = outcome(to, order_id, due_at=due_at)
        recorded = self.machines[machine].record_outcome(
            ref, (row.attempt if row else 0) + offset, result
        )
        if row is None:
            with pytest.raises(JournalError):
                self.run(recorded)
            return
        self.run(recorded)
        kept = {None, row.order, row.suspected}
        last = row.attempt if row.state is S.PREPARED else row.attempt - 1
        is_late_id = to is S.ACCEPTED and row.state in IDLE and 1 <= row.attempt + offset <= last
        if (offset == 0 and to in OUTCOMES.get(row.state, set())) or is_late_id:
            if to is S.ACCEPTED and self.owner_of(order_id) not in (None, ref):
                to, due_at = S.UNKNOWN, None
            if to in TRANSITIONS[row.state] or (row.state is S.UNKNOWN and order_id not in kept):
                self.move(ref, to, order_id, due_at)
                return
        if order_id not in kept:
            self.events.append((ref, EventKind.LATE))

    @rule(machine=MACHINES)
    def expire_leases(self, machine: int) -> None:
        expired = {each.ref for each in self.run(self.machines[machine].expire_leases())}
        late = {
            ref for ref, row in self.rows.items()
            if row.lease_until is not None and row.lease_until <= self.clock()
        }  # fmt: skip
        assert expired == late
        for ref in late:
            self.move(ref, S.UNKNOWN, None, None)

    @rule(
        machine=MACHINES,
        ref=REFS,
        to=st.sampled_from(sorted(EntryState)),
        order=ORDERS,
        price=PRICES,
        budget=BUDGETS,
    )
    def apply_decision(
        self,
        machine: int,
        ref: str,
        to: EntryState,
        order: str,
        price: Decimal | None,
        budget: Decimal | None,
    ) -> None:
        row = self.rows.get(ref)
        from_state = row.state if row else S.UNKNOWN
        order_id = order if to is S.ACCEPTED else None
        due_at = self.clock() + STEP
        is_retry = to is S.PREPARED
        price = price if is_retry else None
        budget = budget if is_retry else None
        decided = self.machines[machine].apply_decision(
            ref, {from_state}, outcome(to, order_id, due_at=due_at),
            budget_day=self.today() if is_retry else None, budget=budget, price=price,
        )  # fmt: skip
        if row is None:
            assert self.run(decided) is None
        elif (
            to not in TRANSITIONS[from_state]
            or to in (S.SENDING, S.FINISHED)
            or (
                (from_state is S.PREPARED and to is S.REFUSED)
                or (to is S.ACCEPTED and row.panel is None)
            )
        ):
            if to is S.FINISHED and to in TRANSITIONS[from_state]:
                decided.close()
                return
            with pytest.raises(JournalError):
                self.run(decided)
        elif self.owner_of(order_id) not in (None, ref):
            with pytest.raises(RefConflictError):
                self.run(decided)
        elif self.exceeds(row.price if price is None else price, budget, row):
            with pytest.raises(SpendingLimitError):
                self.run(decided)
        else:
            self.run(decided)
            self.decided.add(ref)
            row.price = row.price if price is None else price
            if is_retry:
                row.day, row.checked = self.today(), budget
            self.move(ref, to, order_id, due_at)

    @rule(machine=MACHINES)
    def due_to_send(self, machine: int) -> None:
        due = {each.ref for each in self.run(self.machines[machine].due_to_send(99))}
        now = self.clock()
        oldest = self.oldest_held()
        for ref, row in self.rows.items():
            if row.state is S.HELD and row.due_at is not None and row.due_at <= now:
                if row is not oldest[link_of(ref)]:
                    row.due_at = now + HELD_INTERVAL
                    continue
                row.state = S.PREPARED
                self.events.append((ref, EventKind.RELEASED))
        assert due == {
            ref for ref, row in self.rows.items()
            if row.state is S.PREPARED and row.due_at is not None and row.due_at <= now
        }  # fmt: skip

    @rule(machine=MACHINES, limit=st.integers(1, 3))
    def claim(self, machine: int, limit: int) -> None:
        claims = self.run(self.machines[machine].claim(limit, lease=LEASE))
        due = {
            ref: row.state for ref, row in self.rows.items()
            if row.state in FOLLOWED and row.due_at is not None and row.due_at <= self.clock()
        }  # fmt: skip
        assert {each.entry.ref for each in claims} <= set(due)
        assert len(claims) == min(limit, len(due))
        accepted = sum(each.entry.state is S.ACCEPTED for each in claims)
        assert accepted == min(limit, list(due.values()).count(S.ACCEPTED))
        for each in claims:
            row = self.rows[each.entry.ref]
            row.claim_version += 1
            assert each.version == row.claim_version
            row.due_at = self.clock() + LEASE
        self.claims = [*self.claims, *claims][-6:]

    @rule(
        machine=MACHINES,
        raw_statuses=st.lists(STATUSES, min_size=1, max_size=4),
        is_rechecked=st.booleans(),
        has_open_orders=st.sampled_from([False, False, True]),
    )
    def record_statuses(
        self,
        machine: int,
        raw_statuses: list[str | None],
        *,
        is_rechecked: bool,
        has_open_orders: bool,
    ) -> None:
        # Some of the latest claims are invalid by now.
        checks: dict[str, tuple[Claim, str | None]] = {}
        for claim, raw_status in zip(reversed(self.claims), raw_statuses, strict=False):
            checks.setdefault(claim.entry.ref, (claim, raw_status))
        due_at = self.clock() + STEP
        recheck_at = due_at + STEP if is_rechecked else None
        observations = [
            Observation(
                claim=claim,
                status=status_of(claim, raw_status),
                due_at=due_at,
                recheck_at=recheck_at,
                has_open_orders=has_open_orders,
            )
            for claim, raw_status in checks.values()
        ]
        changed = {
            each.ref for each in self.run(self.machines[machine].record_statuses(observations))
        }
        expected = {
            ref
            for ref, (claim, raw_status) in checks.items()
            if self.record_status(
                ref, claim, raw_status, due_at, recheck_at, has_open_orders=has_open_orders
            )
        }
        assert changed == expected

    @rule(machine=MACHINES, seconds=st.sampled_from([0, 1, 50]))
    def release(self, machine: int, seconds: int) -> None:
        # Some are invalid by now; of an order that was claimed twice, at least one claim is.
        due_at = self.clock() + timedelta(seconds=seconds)
        self.run(self.machines[machine].release([(claim, due_at) for claim in self.claims]))
        for claim in self.claims:
            row = self.rows[claim.entry.ref]
            if row.state in FOLLOWED and row.claim_version == claim.version:
                row.claim_version, row.due_at = row.claim_version + 1, due_at

    def record_status(
        self,
        ref: str,
        claim: Claim,
        raw_status: str | None,
        due_at: datetime,
        recheck_at: datetime | None,
        *,
        has_open_orders: bool,
    ) -> bool:
        row = self.rows[ref]
        was_finished = claim.entry.state is S.FINISHED
        if row.state not in FOLLOWED or row.claim_version != claim.version:
            return False
        row.claim_version, row.due_at = row.claim_version + 1, due_at
        if raw_status is None:
            row.miss_count += 1
            kind = EventKind.MISSING if row.miss_count == 3 and not was_finished else None
        else:
            kind = EventKind.CHANGED if raw_status != row.raw_status else None
            row.raw_status, row.miss_count = raw_status, 0
        if raw_status in FINAL and not has_open_orders and not was_finished:
            row.state, kind = S.FINISHED, EventKind.FINISHED
            self.make_held_due(link_of(ref))
        if row.state is S.FINISHED:
            row.due_at = recheck_at
        if kind is not None:
            self.events.append((ref, kind))
        return kind is not None

    # --- invariants ------------------------------------------------------------------------------

    @invariant()
    def journal_matches_the_ledger(self) -> None:
        async def read() -> tuple[list[Any], list[Any]]:
            journal = self.machines[0]
            return [each async for each in journal.entries()], await journal.events(0, 9999)

        entries, events = self.run(read())
        assert {
            each.ref: (
                each.state,
                each.attempt,
                each.order,
                each.raw_status,
                each.miss_count,
                each.panel,
                each.is_pinned,
            )
            for each in entries
        } == {
            ref: (
                row.state,
                row.attempt,
                row.order or row.suspected,
                row.raw_status,
                row.miss_count,
                row.panel,
                row.is_pinned,
            )
            for ref, row in self.rows.items()
        }
        # The order of events of one statement is undefined.
        assert sorted((each.ref, each.kind) for each in events) == sorted(self.events)
        assert [each.position for each in events] == list(range(1, len(events) + 1))
        orders = [each.order for each in entries if each.order and each.state is not S.UNKNOWN]
        assert len(orders) == len(set(orders))

    @rule(machine=MACHINES)
    def purge(self, machine: int) -> None:
        # Not the orders: they are all younger. What the days before this one cost stays the same.
        self.run(self.machines[machine]._fold_budgets(self.clock()))

    @invariant()
    def running_sums_match_the_orders(self) -> None:
        running, counted = self.run(budget_sums(self.machines[0]))
        days = {row.day for row in self.rows.values()}
        assert running == counted == {day: self.spent(day) for day in days if self.spent(day)}

    @invariant()
    def attempts_in_flight_are_limited(self) -> None:
        assert sum(row.state is S.SENDING for row in self.rows.values()) <= self.max_in_flight

    @invariant()
    def unknown_orders_are_sent_again_only_by_a_person(self) -> None:
        for ref, row in self.rows.items():
            from_state = self.before.get(ref, S.PREPARED)
            assert row.state is from_state or row.state in TRANSITIONS[from_state]
            if row.state is S.UNKNOWN:
                self.decided.discard(ref)
            if row.state is S.PREPARED and from_state in (S.UNKNOWN, S.WITHDRAWN, S.REFUSED):
                assert ref in self.decided
        self.before = {ref: row.state for ref, row in self.rows.items()}


def run_machine(machine: type[LedgerMachine], *, examples: int, steps: int) -> None:
    run_state_machine_as_test(machine, settings=settings(
        max_examples=examples, stateful_step_count=steps, deadline=None,
        suppress_health_check=list(HealthCheck),
    ))  # fmt: skip


def test_random_histories_match_the_ledger_on_sqlite() -> None:
    run_machine(LedgerMachine, examples=14, steps=40)


def test_random_histories_match_the_ledger_on_postgresql(postgres: PostgresServer) -> None:
    class OnPostgres(LedgerMachine):
        async def url(self) -> str:
            return await shared_server().fresh()

    run_machine(OnPostgres, examples=6, steps=40)
