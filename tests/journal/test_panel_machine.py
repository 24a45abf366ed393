"""Random histories of a ref over three panels: at most one of them ever has an order for it.

The panels and the person are honest, and everything else may happen: answers are lost or come
late, leases end, desks race, panels refuse. What each attempt does at its panel is known here and
not to the journal.
"""

from collections import defaultdict
from datetime import UTC, datetime
from typing import ClassVar, TypeVar

import pytest
from attrs import define
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from support.journals import LEASE, new_entry
from support.machines import JournalMachine
from support.postgres import PostgresServer
from support.prepared import postgres_url

from smmfanfast_async import ErrorKind, NoResponseError, NotSentError, PanelError, RefusedError
from smmfanfast_async.desk.outcomes import outcome_of_error
from smmfanfast_async.journal import Entry, EntryState, Outcome

S = EntryState
T = TypeVar("T")
NOW = datetime(2030, 1, 1, tzinfo=UTC)

PANELS = ["alpha", "beta", "gamma"]
ROUTES = {"alpha": "1", "beta": "2", "gamma": "3"}
REFS = st.sampled_from(["a", "b"])
FATES = st.sampled_from(["made", "made", "refused", "not_sent", "duplicate"])
"""What an attempt does at its panel; only the first makes an order."""


@define
class Flight:
    """An attempt whose outcome was not recorded yet."""

    started: Entry
    fate: str


class PanelMachine(JournalMachine):
    """Σ over the panels of the orders of a ref is at most 1."""

    queue_active_links: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.made: defaultdict[str, list[str]] = defaultdict(list)
        self.flights: list[Flight] = []
        self.refusals: defaultdict[str, list[str]] = defaultdict(list)
        self.before: dict[str, Entry] = {}
        self.moved: set[str] = set()

    @initialize()
    def start(self) -> None:
        journal, _ = self.open_machines()
        for ref in ("a", "b"):
            self.run(journal.create(new_entry(ref, link="shared", routes=ROUTES)))

    def entry(self, ref: str) -> Entry:
        found = self.run(self.machines[0].find(ref))
        assert found is not None
        return found

    def outcome_of(self, error: PanelError, started: Entry) -> Outcome:
        """Return what a desk records for an error; a broken desk overrides this."""
        assert started.panel is not None
        return outcome_of_error(
            error, started, NOW, queue_active_links=self.queue_active_links, panel=started.panel
        )

    # --- steps -----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 50, 250]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(machine=st.integers(0, 1), ref=REFS, panel=st.sampled_from(PANELS), fate=FATES)
    def start_attempt(self, machine: int, ref: str, panel: str, fate: str) -> None:
        entry = self.entry(ref)
        started = self.run(
            self.machines[machine].start_attempt(
                ref, entry.attempt, lease=LEASE, max_in_flight=2, panel=panel,
                service=ROUTES[panel],
            )
        )  # fmt: skip
        if started is None:
            return
        assert entry.state is S.PREPARED
        assert entry.panel in (None, panel)
        assert panel not in entry.refused_by
        if fate == "made":
            self.made[ref].append(panel)
        self.flights.append(Flight(started, fate))

    @rule(data=st.data(), machine=st.integers(0, 1), is_lost=st.booleans())
    def record_outcome(self, data: st.DataObject, machine: int, is_lost: bool) -> None:  # noqa: FBT001
        """An answer comes, perhaps late, or is lost."""
        if not self.flights:
            return
        self.end(data.draw(st.integers(0, len(self.flights) - 1)), machine, is_lost=is_lost)

    def end(self, number: int, machine: int = 0, *, is_lost: bool = False) -> None:
        """Record the outcome of an attempt in flight."""
        flight = self.flights.pop(number)
        started = flight.started
        if is_lost and flight.fate != "not_sent":
            outcome = self.outcome_of(NoResponseError("", action="add"), started)
        elif flight.fate == "made":
            order = f"{started.ref}-{started.attempt}"
            outcome = Outcome(state=S.ACCEPTED, order=order, due_at=self.clock())
        elif flight.fate == "not_sent":
            outcome = self.outcome_of(NotSentError("", action="add"), started)
        else:
            kind = ErrorKind.DUPLICATE if flight.fate == "duplicate" else ErrorKind.FUNDS
            outcome = self.outcome_of(RefusedError("no", kind=kind, action="add"), started)
        self.run(
            self.machines[machine].record_outcome(started.ref, started.attempt, outcome, started)
        )

    @rule(machine=st.integers(0, 1))
    def expire_leases(self, machine: int) -> None:
        self.run(self.machines[machine].expire_leases())

    @rule(machine=st.integers(0, 1))
    def due_to_send(self, machine: int) -> None:
        self.run(self.machines[machine].due_to_send(9))

    @rule(ref=REFS)
    def resolve(self, ref: str) -> None:
        """A person looks at the panel of an unknown order, and records what is there."""
        entry = self.entry(ref)
        if entry.state is not S.UNKNOWN:
            return
        assert entry.panel is not None
        if entry.panel in self.made[ref]:
            found = Outcome(state=S.ACCEPTED, order=f"{ref}-{entry.attempt}", due_at=self.clock())
        else:
            found = Outcome(state=S.WITHDRAWN, reason="not placed", decided_by="ops")
        self.run(self.machines[0].apply_decision(ref, {S.UNKNOWN}, found))

    @rule(ref=REFS, panel=st.sampled_from([None, *PANELS]))
    def retry(self, ref: str, panel: str | None) -> None:
        again = Outcome(state=S.PREPARED, due_at=self.clock(), decided_by="ops")
        decided = self.run(
            self.machines[0].apply_decision(ref, {S.REFUSED, S.WITHDRAWN}, again, panel=panel)
        )
        if decided is not None:
            self.moved.add(ref)
            assert decided.refused_by == {}

    @rule(ref=REFS)
    def withdraw(self, ref: str) -> None:
        withdrawn = Outcome(state=S.WITHDRAWN, decided_by="ops")
        self.run(self.machines[0].apply_decision(ref, {S.PREPARED, S.HELD}, withdrawn))

    @rule(ref=REFS)
    def refuse(self, ref: str) -> None:
        entry = self.entry(ref)
        self.run(
            self.machines[1].refuse(ref, entry.attempt, kind=ErrorKind.SERVICE, reason="nowhere")
        )

    # --- invariants ------------------------------------------------------------------------------

    @invariant()
    def one_order_over_all_panels(self) -> None:
        for ref, panels in self.made.items():
            assert len(panels) <= 1, f"{ref} was ordered at {panels}"

    @invariant()
    def order_is_at_the_panel_of_its_entry(self) -> None:
        for ref, panels in self.made.items():
            entry = self.entry(ref)
            if entry.state in (S.ACCEPTED, S.FINISHED, S.SENDING, S.UNKNOWN) and panels:
                assert [entry.panel] == panels

    @invariant()
    def unknown_orders_stay_where_they_are(self) -> None:
        """From UNKNOWN nothing leads to PREPARED or to another panel, except by a person."""
        for ref in ("a", "b"):
            entry, before = self.entry(ref), self.before.get(ref)
            if before is not None and before.is_pinned and ref not in self.moved:
                assert entry.is_pinned
                assert entry.panel == before.panel or entry.state is S.ACCEPTED
            if before is not None and before.state is S.UNKNOWN:
                assert entry.state in (S.UNKNOWN, S.ACCEPTED, S.REFUSED, S.WITHDRAWN)
                assert entry.panel == before.panel
            self.before[ref] = entry
        self.moved.clear()


def run_machine(machine: type[PanelMachine], *, examples: int, steps: int = 30) -> None:
    run_state_machine_as_test(machine, settings=settings(
        max_examples=examples, stateful_step_count=steps, deadline=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    ))  # fmt: skip


class QueueingMachine(PanelMachine):
    """The same with desks that hold orders for active links."""

    queue_active_links = True


@pytest.mark.parametrize("machine", [PanelMachine, QueueingMachine])
def test_one_order_over_all_panels_on_sqlite(machine: type[PanelMachine]) -> None:
    run_machine(machine, examples=6)


def test_one_order_over_all_panels_on_postgresql(postgres: PostgresServer) -> None:
    class OnPostgres(PanelMachine):
        async def url(self) -> str:
            return await postgres_url()

    run_machine(OnPostgres, examples=3)


@pytest.mark.slow
@pytest.mark.parametrize("machine", [PanelMachine, QueueingMachine])
def test_one_order_over_all_panels_in_long_histories(machine: type[PanelMachine]) -> None:
    run_machine(machine, examples=100, steps=60)


class HastyMachine(PanelMachine):
    """A desk that takes a lost answer for a refusal: the histories must show that it is wrong."""

    def outcome_of(self, error: PanelError, started: Entry) -> Outcome:
        if isinstance(error, NoResponseError):
            return Outcome(state=S.PREPARED, kind=error.kind, due_at=NOW, is_rerouted=True)
        return super().outcome_of(error, started)


@pytest.mark.parametrize("machine_class", [PanelMachine, HastyMachine])
def test_desk_that_fails_over_without_an_answer_is_caught(
    machine_class: type[PanelMachine],
) -> None:
    machine = machine_class()
    machine.start()
    try:
        machine.start_attempt(0, "a", "alpha", "made")
        machine.end(0, is_lost=True)
        machine.start_attempt(1, "a", "beta", "made")

        if machine_class is PanelMachine:
            machine.one_order_over_all_panels()
            assert machine.entry("a").state is S.UNKNOWN
        else:
            with pytest.raises(AssertionError, match="was ordered at"):
                machine.one_order_over_all_panels()
    finally:
        machine.teardown()


@pytest.mark.slow
def test_random_histories_find_the_desk_that_fails_over_without_an_answer() -> None:
    with pytest.raises(AssertionError):
        run_machine(HastyMachine, examples=1000)
