"""Random histories of one order's requests on two machines, compared with a model.

The model knows the calls that may have left: one for each start of an attempt. At most one leaves
for each request, but for those that were proved not sent, and one request of a kind is open.
"""

from datetime import datetime, timedelta
from typing import TypeVar

from attrs import define
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from support.journals import LEASE, all_events, claim_due, observe, reach
from support.machines import JournalMachine

from smmfanfast_async.journal import (
    OPEN_REQUEST_STATES,
    REQUEST_TRANSITIONS,
    EntryState,
    OrderRequest,
    RefillObservation,
    RequestKind,
    RequestOutcome,
    RequestState,
)
from smmfanfast_async.results import RefillStatus

T = TypeVar("T")
R = RequestState
MACHINES = st.integers(0, 1)
KINDS = st.sampled_from(list(RequestKind))
REFS = {RequestKind.CANCEL: "runs", RequestKind.REFILL: "done"}
ENDS = [R.PREPARED, R.PREPARED, R.ACCEPTED, R.REFUSED, R.UNKNOWN, R.FINISHED]
RECENT = 3
"""From how many requests, as they were, a step chooses; older ones change nothing any more."""

FINAL_WORDS = {"Completed", "Rejected"}


@define
class Model:
    """What is known of one request."""

    kind: RequestKind
    number: int
    state: RequestState = R.PREPARED
    attempt: int = 0
    lease_until: datetime | None = None
    refill: str | None = None
    word: str | None = None
    left: int = 0
    """Calls that may have had an effect: attempts, but for those that were proved not sent."""


class RequestsMachine(JournalMachine):
    """The journal must behave like the model."""

    def __init__(self) -> None:
        super().__init__()
        self.models: list[Model] = []
        self.told: list[tuple[RequestState, str | None]] = []
        self.seen: list[OrderRequest] = []
        self.is_order_over = False

    @initialize()
    def start(self) -> None:
        journal, _ = self.open_machines()
        self.run(reach(journal, EntryState.FINISHED, "done"))
        self.run(reach(journal, EntryState.ACCEPTED, "runs"))

    # --- the model -------------------------------------------------------------------------------

    def has_state(self, *states: RequestState) -> bool:
        return any(each.state in states for each in self.models)

    def last(self, kind: RequestKind) -> Model | None:
        return next((each for each in reversed(self.models) if each.kind is kind), None)

    def move(self, model: Model, to: RequestState) -> None:
        assert to in REQUEST_TRANSITIONS[model.state]
        model.state, model.lease_until = to, None
        if to is not R.PREPARED:
            self.told.append((to, model.word))

    def end_cancel(self) -> bool:
        """End the cancellation of the order that is over, unless it is being sent."""
        model = self.last(RequestKind.CANCEL)
        if not self.is_order_over or model is None or model.state is R.SENDING:
            return False
        if model.state not in OPEN_REQUEST_STATES:
            return False
        model.word = "Canceled"
        self.move(model, R.FINISHED)
        return True

    # --- steps -----------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 60, 300]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(machine=MACHINES, kind=KINDS)
    def create(self, machine: int, kind: RequestKind) -> None:
        created = self.run(
            self.machines[machine].create_request(
                REFS[kind], kind, decided_by="me", grace=timedelta(0)
            )
        )
        model = self.last(kind)
        if model is not None and model.state in OPEN_REQUEST_STATES:
            assert created is not None
            assert (created.number, created.is_new) == (model.number, False)
        elif kind is RequestKind.CANCEL and self.is_order_over:
            assert created is None
        else:
            self.models.append(Model(kind, 1 if model is None else model.number + 1))
            assert created is not None
            assert (created.number, created.is_new) == (self.models[-1].number, True)
        if created is not None:
            self.seen.append(created)

    @precondition(lambda self: self.has_state(R.PREPARED))
    @rule(machine=MACHINES, data=st.data())
    def begin(self, machine: int, data: st.DataObject) -> None:
        """Start an attempt of a request as it was at some time before."""
        request = data.draw(st.sampled_from(self.seen[-RECENT:]))
        started = self.run(
            self.machines[machine].start_request(request, lease=LEASE, max_in_flight=1)
        )
        model = self.find(request)
        is_busy = any(each.state is R.SENDING for each in self.models)
        is_over = request.kind is RequestKind.CANCEL and self.is_order_over
        may_start = model.state is R.PREPARED and model.attempt == request.attempt
        if not may_start or is_busy or is_over:
            assert started is None
            return
        assert started is not None
        model.state, model.attempt = R.SENDING, model.attempt + 1
        model.lease_until = self.clock() + LEASE
        model.left += 1
        self.seen.append(started)

    @precondition(lambda self: self.has_state(R.SENDING, R.UNKNOWN))
    @rule(machine=MACHINES, data=st.data(), to=st.sampled_from(ENDS))
    def answer(self, machine: int, data: st.DataObject, to: RequestState) -> None:
        """Record an outcome of an attempt that was started some time before."""
        started = [each for each in self.seen if each.state is R.SENDING]
        request = data.draw(st.sampled_from(started[-RECENT:]))
        refill = f"r{request.number}" if to is R.ACCEPTED and _is_refill(request) else None
        due_at = self.clock() if to in (R.PREPARED, R.ACCEPTED) else None
        outcome = RequestOutcome(state=to, refill=refill, due_at=due_at)
        recorded = self.run(self.machines[machine].record_request(request, outcome))
        model = self.find(request)
        is_late = model.state is R.UNKNOWN and to in (R.ACCEPTED, R.REFUSED, R.FINISHED)
        if request.attempt == model.attempt and (model.state is R.SENDING or is_late):
            model.refill = refill or model.refill
            model.left -= to is R.PREPARED
            self.move(model, to)
        elif refill not in (None, model.refill):
            self.told.append((model.state, model.word))
        assert recorded.state is model.state
        self.seen.append(recorded)

    @precondition(lambda self: self.has_state(*OPEN_REQUEST_STATES))
    @rule(machine=MACHINES)
    def expire(self, machine: int) -> None:
        changed = self.run(self.machines[machine].expire_requests())
        late = [
            each for each in self.models
            if each.lease_until is not None and each.lease_until <= self.clock()
        ]  # fmt: skip
        for each in late:
            self.move(each, R.UNKNOWN)
        assert len(changed) == len(late) + self.end_cancel()

    @precondition(lambda self: self.has_state(R.UNKNOWN, R.ACCEPTED))
    @rule(machine=MACHINES, kind=KINDS, to=st.sampled_from([R.ACCEPTED, R.REFUSED, R.FINISHED]))
    def decide(self, machine: int, kind: RequestKind, to: RequestState) -> None:
        states = {R.PREPARED, R.ACCEPTED, R.UNKNOWN} if to is R.REFUSED else {R.UNKNOWN}
        decided = self.run(
            self.machines[machine].decide_request(
                REFS[kind], kind, states, RequestOutcome(state=to, decided_by="me")
            )
        )
        model = self.last(kind)
        if model is None or model.state not in states:
            assert decided is None
            return
        self.move(model, to)

    @precondition(lambda self: self.has_state(R.ACCEPTED))
    @rule(machine=MACHINES, word=st.sampled_from(["Pending", "Completed", "Rejected", None]))
    def check_refills(self, machine: int, word: str | None) -> None:
        journal, ahead = self.machines[machine], timedelta(hours=2)
        claims = self.run(journal.claim_refills("default", 9, lease=LEASE, ahead=ahead))
        observations = [
            RefillObservation(
                claim=each, due_at=self.clock(),
                status=RefillStatus(refill=each.refill, raw_status=word) if word else None,
            )
            for each in claims
        ]  # fmt: skip
        changed = self.run(journal.record_refills(observations))
        moved = 0
        for each in claims:
            model = self.find(each.request)
            assert (model.state, model.refill) == (R.ACCEPTED, each.refill)
            if word is not None and model.word != word:
                model.word = word
                moved += 1
                if word in FINAL_WORDS:
                    self.move(model, R.FINISHED)
                else:
                    self.told.append((model.state, word))
        assert len(changed) == moved

    @precondition(lambda self: not self.is_order_over and self.has_state(R.SENDING, R.PREPARED))
    @rule(machine=MACHINES)
    def finish_order(self, machine: int) -> None:
        journal = self.machines[machine]
        claims = [each for each in self.run(claim_due(journal)) if each.entry.ref == "runs"]
        for each in claims:
            self.run(journal.record_statuses([observe(each, "Canceled")]))
            self.is_order_over = True
            self.end_cancel()

    def find(self, request: OrderRequest) -> Model:
        return next(
            each for each in self.models
            if (each.kind, each.number) == (request.kind, request.number)
        )  # fmt: skip

    # --- what always holds -----------------------------------------------------------------------

    @invariant()
    def journal_is_as_the_model(self) -> None:
        async def read() -> list[OrderRequest]:
            return [each async for each in self.machines[0].requests()]

        stored = self.run(read()) if self.models else []
        assert [
            (each.kind, each.number, each.state, each.attempt, each.refill, each.raw_status)
            for each in stored
        ] == [
            (each.kind, each.number, each.state, each.attempt, each.refill, each.word)
            for each in self.models
        ]

    @invariant()
    def at_most_one_call_leaves(self) -> None:
        assert all(each.left <= 1 for each in self.models)
        for kind in RequestKind:
            states = [each.state for each in self.models if each.kind is kind]
            assert sum(each in OPEN_REQUEST_STATES for each in states) <= 1

    @invariant()
    def each_change_is_told_once(self) -> None:
        events = self.run(all_events(self.machines[0])) if self.models else []
        told = [(each.request_state, each.raw_status) for each in events if each.request_state]
        assert told == self.told


def _is_refill(request: OrderRequest) -> bool:
    return request.kind is RequestKind.REFILL


RequestsMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
TestRequests = RequestsMachine.TestCase
