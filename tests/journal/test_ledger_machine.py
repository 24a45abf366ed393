"""Random histories of a few orders on two machines, compared with a ledger that is a dict."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from attrs import define
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from support.journals import LEASE, budget_sums, new_entry, outcome
from support.machines import JournalMachine
from support.postgres import PostgresServer
from support.prepared import postgres_url

from smmfanfast_async import ErrorKind, JournalError, RefConflictError, SpendingLimitError
from smmfanfast_async.journal import (
    DEFAULT_PANEL,
    SPENDING_STATES,
    TRANSITIONS,
    Claim,
    Entry,
    EntryState,
    EventKind,
    Observation,
)
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
PANELS = st.sampled_from(["alpha", "beta"])
MAY_BE_PANELS = st.sampled_from([None, None, "alpha", "beta"])
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
    refused_by: frozenset[str] = frozenset()
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


class LedgerMachine(JournalMachine):
    """The journal must behave like the ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, Row] = {}
        self.events: list[tuple[str, EventKind]] = []
        self.before: dict[str, EntryState] = {}
        self.decided: set[str] = set()
        self.claims: list[Claim] = []
        self.started: dict[tuple[str, int], Entry] = {}
        self.max_in_flight = 2

    @initialize()
    def start(self) -> None:
        self.open_machines()

    # --- the ledger ------------------------------------------------------------------------------

    def move(self, ref: str, to: EntryState, order: str | None, due_at: datetime | None) -> None:
        row = self.rows[ref]
        panel = row.panel
        row.is_pinned |= to in (S.HELD, S.UNKNOWN)
        if to is S.PREPARED and not row.is_pinned:
            row.panel = None
        row.order, row.suspected = (None, order) if to is S.UNKNOWN else (order, None)
        row.state, row.lease_until, row.due_at = to, None, due_at
        if to in (S.REFUSED, S.WITHDRAWN):
            self.make_held_due(link_of(ref), panel)
        self.events.append((ref, EVENT_KINDS[to]))

    def make_held_due(self, link: str, panel: str | None) -> None:
        for (held_at, held_link), oldest in self.oldest_held().items():
            if held_link == link and panel in (None, held_at):
                oldest.due_at = self.clock()

    def oldest_held(self) -> dict[tuple[str | None, str], Row]:
        oldest: dict[tuple[str | None, str], Row] = {}
        for ref, row in self.rows.items():
            if row.state is S.HELD and row.due_at is not None:
                oldest.setdefault((row.panel, link_of(ref)), row)
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

    def owner_of(self, order: str | None, panel: str | None) -> str | None:
        owners = [
            ref for ref, row in self.rows.items()
            if row.order == order is not None and row.panel == panel
        ]  # fmt: skip
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

    @rule(machine=MACHINES, ref=REFS, offset=OFFSETS, price=PRICES, budget=BUDGETS, panel=PANELS)
    def start_attempt(
        self,
        machine: int,
        ref: str,
        offset: int,
        panel: str,
        price: Decimal | None,
        budget: Decimal | None,
    ) -> None:
        row = self.rows.get(ref)
        attempt = (row.attempt if row else 0) + offset
        starting = self.machines[machine].start_attempt(
            ref, attempt, lease=LEASE, max_in_flight=self.max_in_flight, price=price, budget=budget,
            panel=panel,
        )  # fmt: skip
        busy = sum(each.state is S.SENDING and each.panel == panel for each in self.rows.values())
        if (
            row is None
            or row.state is not S.PREPARED
            or offset
            or busy >= self.max_in_flight
            or row.panel not in (None, panel)
            or panel in row.refused_by
        ):
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
        started = self.run(starting)
        assert started is not None
        self.started[ref, started.attempt] = started
        if price is not None:
            row.price = price
            if budget is not None:
                row.day, row.checked = self.today(), budget
        row.state, row.attempt, row.lease_until = S.SENDING, attempt + 1, self.clock() + LEASE
        row.due_at, row.panel = None, panel

    @rule(
        machine=MACHINES, ref=REFS, offset=OFFSETS, to=ENDS, order=ORDERS,
        is_rerouted=st.booleans(),
    )  # fmt: skip
    def record_outcome(
        self,
        machine: int,
        ref: str,
        offset: int,
        to: EntryState,
        order: str,
        *,
        is_rerouted: bool,
    ) -> None:
        order_id = order if to in (S.ACCEPTED, S.UNKNOWN) else None
        due_at = self.clock() + STEP if to in (S.ACCEPTED, S.HELD, S.PREPARED) else None
        row = self.rows.get(ref)
        is_rerouted = is_rerouted and to is S.PREPARED
        result = outcome(to, order_id, due_at=due_at, is_rerouted=is_rerouted)
        attempt = (row.attempt if row else 0) + offset
        started = self.started.get((ref, attempt))
        recorded = self.machines[machine].record_outcome(ref, attempt, result, started)
        if row is None:
            with pytest.raises(JournalError):
                self.run(recorded)
            return
        self.run(recorded)
        panel = started.panel if started else row.panel or DEFAULT_PANEL
        is_elsewhere = panel != row.panel and order_id is not None
        kept = {None, row.order, row.suspected}
        last = row.attempt if row.state is S.PREPARED else row.attempt - 1
        is_late_id = to is S.ACCEPTED and row.state in IDLE and 1 <= row.attempt + offset <= last
        if (offset == 0 and to in OUTCOMES.get(row.state, set())) or is_late_id:
            if is_rerouted and row.is_pinned:
                to, due_at, is_rerouted = S.REFUSED, None, False
            if to is S.ACCEPTED and self.owner_of(order_id, panel) not in (None, ref):
                to, due_at = S.UNKNOWN, None
            if to in TRANSITIONS[row.state] or (row.state is S.UNKNOWN and order_id not in kept):
                if row.panel is not None and (is_rerouted or to is S.REFUSED):
                    row.refused_by |= {row.panel}
                self.move(ref, to, order_id, due_at)
                if is_rerouted:
                    self.events[-1] = (ref, EventKind.REROUTED)
                if is_elsewhere:
                    row.panel = panel
                    row.price = row.price if started is None else started.price
                return
        if order_id not in kept or is_elsewhere:
            self.events.append((ref, EventKind.LATE))

    @rule(machine=MACHINES, ref=REFS, offset=OFFSETS)
    def refuse(self, machine: int, ref: str, offset: int) -> None:
        row = self.rows.get(ref)
        attempt = (row.attempt if row else 0) + offset
        refusing = self.machines[machine].refuse(
            ref, attempt, kind=ErrorKind.SERVICE, reason="not listed"
        )
        if row is None or row.state is not S.PREPARED or offset:
            assert self.run(refusing) is None
            return
        assert self.run(refusing) is not None
        self.move(ref, S.REFUSED, None, None)

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
        panel=MAY_BE_PANELS,
    )
    def apply_decision(
        self,
        machine: int,
        ref: str,
        to: EntryState,
        order: str,
        price: Decimal | None,
        budget: Decimal | None,
        panel: str | None,
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
            budget_day=self.today() if is_retry else None, budget=budget, price=price, panel=panel,
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
        elif self.owner_of(order_id, row.panel) not in (None, ref):
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
                row.day, row.checked, row.refused_by = self.today(), budget, frozenset()
                if panel is not None:
                    row.panel, row.is_pinned = panel, True
            self.move(ref, to, order_id, due_at)

    @rule(machine=MACHINES)
    def due_to_send(self, machine: int) -> None:
        due = {each.ref for each in self.run(self.machines[machine].due_to_send(99))}
        now = self.clock()
        oldest = self.oldest_held()
        for ref, row in self.rows.items():
            if row.state is S.HELD and row.due_at is not None and row.due_at <= now:
                if row is not oldest[row.panel, link_of(ref)]:
                    row.due_at = now + HELD_INTERVAL
                    continue
                row.state = S.PREPARED
                self.events.append((ref, EventKind.RELEASED))
        assert due == {
            ref for ref, row in self.rows.items()
            if row.state is S.PREPARED and row.due_at is not None and row.due_at <= now
        }  # fmt: skip

    @rule(machine=MACHINES, limit=st.integers(1, 3), panel=PANELS)
    def claim(self, machine: int, limit: int, panel: str) -> None:
        claims = self.run(self.machines[machine].claim(limit, lease=LEASE, panel=panel))
        due = {
            ref: row.state for ref, row in self.rows.items()
            if row.state in FOLLOWED and row.due_at is not None and row.due_at <= self.clock()
            and row.panel == panel
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
            self.make_held_due(link_of(ref), row.panel)
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
                frozenset(each.refused_by),
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
                row.refused_by,
            )
            for ref, row in self.rows.items()
        }
        # The order of events of one statement is undefined.
        assert sorted((each.ref, each.kind) for each in events) == sorted(self.events)
        assert [each.position for each in events] == list(range(1, len(events) + 1))
        orders = [
            (each.panel, each.order)
            for each in entries
            if each.order and each.state is not S.UNKNOWN
        ]
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
        for panel in ("alpha", "beta"):
            busy = [row for row in self.rows.values() if row.panel == panel]
            assert sum(row.state is S.SENDING for row in busy) <= self.max_in_flight

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
            return await postgres_url()

    run_machine(OnPostgres, examples=6, steps=40)
