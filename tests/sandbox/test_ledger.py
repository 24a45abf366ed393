"""The ledger: charges, refunds, states, parent orders, and the balance invariant."""

from decimal import ROUND_HALF_UP, Decimal

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from smmfanfast_async.sandbox.forms import parse_order
from smmfanfast_async.sandbox.ledger import (
    FIELD_OVERHEAD,
    MAX_ORDERS,
    MAX_STORED_CHARACTERS,
    Ledger,
)
from smmfanfast_async.sandbox.lifecycle import MAX_LIFECYCLE_S
from smmfanfast_async.sandbox.orders import OrderRequest, State
from smmfanfast_async.sandbox.services import DEFAULT_SERVICES

from .samples import LINK, form_of

SERVICES = {service.service: service for service in DEFAULT_SERVICES}
ORDINARY = parse_order(form_of("default"), SERVICES)
PACKAGE = parse_order(form_of("package"), SERVICES)
DRIP_FEED = parse_order(form_of("default", quantity="333", runs="3", interval="10"), SERVICES)
SUBSCRIPTION = parse_order(form_of("subscriptions", posts="3"), SERVICES)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(seed=0, balance=Decimal(100))


def spent(ledger: Ledger, now_s: float = 0.0) -> Decimal:
    return sum((ledger.snapshot(order, now_s).charge for order in ledger), Decimal(0))


def test_ids_are_consecutive_and_prices_are_charged(ledger: Ledger) -> None:
    assert [ledger.insert(ORDINARY, 0) for _ in range(3)] == ["1", "2", "3"]
    assert list(ledger) == ["1", "2", "3"]
    assert "3" in ledger
    assert "4" not in ledger
    assert ledger.balance == Decimal("96.94")


def test_new_order_is_pending_with_zero_counts(ledger: Ledger) -> None:
    """Document: "status": "pending", "start_count": "0", "remains": "0"."""
    ledger.insert(ORDINARY, 5)
    stored = ledger.snapshot("1", 5)

    assert (stored.status, stored.start_count, stored.remains) == ("pending", 0, 0)
    assert (stored.order, stored.service, stored.type) == ("1", "5", "default")
    assert (stored.link, stored.quantity, stored.created_s) == (LINK, 1000, 5)
    assert stored.price == stored.charge == Decimal("1.02")
    assert stored.fields == form_of("default")
    assert (stored.parent, stored.runs, stored.posts, stored.orders) == (None, None, None, ())


def test_snapshot_of_an_order_is_read_only(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)

    with pytest.raises(TypeError):
        ledger.snapshot("1", 0).fields["link"] = "x"  # type: ignore[index]


def test_orders_pass_all_states_in_order_and_become_final(ledger: Ledger) -> None:
    snapshots = []
    for _ in range(100):
        ledger.insert(PACKAGE, 0)
    ledger.balance = Decimal(0)

    for now_s in range(0, int(MAX_LIFECYCLE_S) + 1, 60):
        ledger.run_due_events(now_s)
        snapshots.append([ledger.snapshot(order, now_s).status for order in ledger])

    ranks = {State.PENDING: 0, State.PROCESSING: 1, State.IN_PROGRESS: 2}
    for states in zip(*snapshots, strict=True):
        steps = [ranks.get(state, 3) for state in states]
        assert steps == sorted(steps)
        assert set(steps) == {0, 1, 2, 3}


def test_partial_order_refunds_the_remaining_share(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)

    ledger.set_state("1", State.PARTIAL, 30, 0)

    stored = ledger.snapshot("1", 0)
    assert (stored.status, stored.remains, stored.is_final) == ("partial", 30, True)
    assert stored.charge == Decimal("1.0200") - Decimal("0.0306")
    assert stored.price == Decimal("1.02")
    assert ledger.balance == Decimal("99.0106")


@pytest.mark.parametrize("state", [State.CANCELED, State.REFUNDED])
def test_canceled_or_refunded_order_refunds_everything(ledger: Ledger, state: State) -> None:
    ledger.insert(ORDINARY, 0)

    ledger.set_state("1", state, None, 0)

    assert (ledger.snapshot("1", 0).charge, ledger.snapshot("1", 0).remains) == (0, 1000)
    assert ledger.balance == 100


def test_completed_order_refunds_nothing(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)

    ledger.set_state("1", State.COMPLETED, None, 0)

    assert (ledger.snapshot("1", 0).charge, ledger.snapshot("1", 0).remains) == (Decimal("1.02"), 0)


def test_manually_set_state_replaces_the_seeded_outcome(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)
    ledger.set_state("1", State.PARTIAL, 1000, 0)

    ledger.run_due_events(MAX_LIFECYCLE_S)

    assert ledger.snapshot("1", MAX_LIFECYCLE_S).status == "partial"
    assert ledger.balance == 100


@pytest.mark.parametrize("state", [State.PENDING, State.PROCESSING, State.IN_PROGRESS])
def test_reopened_order_is_charged_again_and_continues(ledger: Ledger, state: State) -> None:
    ledger.insert(ORDINARY, 0)
    ledger.set_state("1", State.CANCELED, None, 0)
    assert not ledger.has_active_order("5", LINK)

    ledger.set_state("1", state, None, 500)

    assert ledger.snapshot("1", 500).status == state
    assert ledger.balance == Decimal("98.98")
    assert ledger.has_active_order("5", LINK)
    ledger.run_due_events(500 + MAX_LIFECYCLE_S)
    assert ledger.snapshot("1", 500 + MAX_LIFECYCLE_S).is_final


def test_open_order_can_be_set_to_another_state(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)

    ledger.set_state("1", State.IN_PROGRESS, None, 0)

    stored = ledger.snapshot("1", 0)
    assert stored.remains == 1000
    assert stored.start_count > 0
    assert ledger.has_active_order("5", LINK)


def test_invalid_manual_states_are_refused(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)
    ledger.insert(DRIP_FEED, 0)
    ledger.insert(SUBSCRIPTION, 0)

    with pytest.raises(KeyError):
        ledger.set_state("9", State.COMPLETED, None, 0)
    with pytest.raises(ValueError, match="remains is required for the state partial"):
        ledger.set_state("1", State.PARTIAL, None, 0)
    with pytest.raises(ValueError, match="remains is required for the state partial"):
        ledger.set_state("1", State.COMPLETED, 5, 0)
    with pytest.raises(ValueError, match="remains must be from 0 to 1000, not 1001"):
        ledger.set_state("1", State.PARTIAL, 1001, 0)
    with pytest.raises(ValueError, match="remains must be from 0 to 1000, not -1"):
        ledger.set_state("1", State.PARTIAL, -1, 0)
    with pytest.raises(ValueError, match="order 1 cannot be active; use one of canceled, comp"):
        ledger.set_state("1", State.ACTIVE, None, 0)
    with pytest.raises(ValueError, match="order 2 cannot be expired"):
        ledger.set_state("2", State.EXPIRED, None, 0)
    with pytest.raises(ValueError, match="order 3 cannot be partial"):
        ledger.set_state("3", State.PARTIAL, 0, 0)
    ledger.set_state("3", State.EXPIRED, None, 0)
    assert ledger.snapshot("3", 0).status == "expired"


def test_link_is_active_for_its_service_until_final(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)
    assert ledger.has_active_order("5", LINK)
    assert not ledger.has_active_order("9", LINK)
    assert not ledger.has_active_order("5", LINK + "2")

    ledger.run_due_events(MAX_LIFECYCLE_S)

    assert not ledger.has_active_order("5", LINK)


def test_drip_feed_creates_one_run_per_interval_and_splits_its_charge(
    ledger: Ledger,
) -> None:
    ledger.insert(DRIP_FEED, 0)
    parent = ledger.snapshot("1", 0)
    assert (parent.status, parent.runs, parent.orders) == ("active", 0, ())
    assert (parent.charge, parent.posts) == (Decimal("1.0190"), None)

    ledger.run_due_events(600)

    parent, child = ledger.snapshot("1", 600), ledger.snapshot("2", 600)
    assert (parent.runs, parent.orders) == (1, ("2",))
    assert (child.parent, child.quantity, child.link) == ("1", 333, LINK)
    assert (child.runs, child.created_s, child.status) == (None, 600, "pending")
    assert parent.charge + child.charge == Decimal("1.0190")

    ledger.run_due_events(1800)

    parent = ledger.snapshot("1", 1800)
    assert (parent.status, parent.runs, parent.orders) == ("completed", 3, ("2", "3", "4"))
    assert parent.charge == 0
    prices = [str(ledger.snapshot(order, 1800).price) for order in parent.orders]
    assert prices == ["0.3397", "0.3397", "0.3396"]
    assert spent(ledger) == Decimal("1.0190")


def test_canceled_drip_feed_refunds_the_runs_not_created(ledger: Ledger) -> None:
    ledger.insert(DRIP_FEED, 0)
    ledger.run_due_events(600)

    ledger.set_state("1", State.CANCELED, None, 700)
    ledger.run_due_events(1900)

    assert ledger.snapshot("1", 1900).orders == ("2",)
    assert spent(ledger) == Decimal("0.3397")
    assert ledger.balance == Decimal("99.6603")

    ledger.set_state("1", State.ACTIVE, None, 1900)
    ledger.run_due_events(1900 + 1200)

    assert ledger.snapshot("1", 3100).status == "completed"
    assert ledger.snapshot("1", 3100).runs == 3
    assert spent(ledger) == Decimal("1.0190")


@pytest.mark.parametrize("state", [State.PENDING, State.PROCESSING, State.IN_PROGRESS])
def test_canceling_an_undelivered_order_refunds_everything(ledger: Ledger, state: State) -> None:
    ledger.insert(ORDINARY, 0)
    ledger.set_state("1", state, None, 0)

    assert ledger.cancel("1", 0) is True

    stored = ledger.snapshot("1", 0)
    assert (stored.status, stored.remains, stored.charge) == ("canceled", 1000, 0)
    assert ledger.balance == 100
    assert not ledger.has_active_order("5", LINK)


def test_canceling_a_running_order_refunds_the_remaining_share(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)
    ledger.set_state("1", State.IN_PROGRESS, None, 0)
    remains = ledger.snapshot("1", 60).remains
    assert 0 < remains < 1000

    assert ledger.cancel("1", 60) is True

    stored = ledger.snapshot("1", 60)
    assert (stored.status, stored.remains) == ("partial", remains)
    assert stored.charge == Decimal("1.02") - (Decimal("1.02") * remains / 1000).quantize(
        Decimal("0.0001"), ROUND_HALF_UP
    )
    assert ledger.balance == 100 - stored.charge
    ledger.run_due_events(MAX_LIFECYCLE_S)
    assert ledger.snapshot("1", MAX_LIFECYCLE_S) == stored


def test_final_order_is_not_canceled(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)

    assert ledger.cancel("1", MAX_LIFECYCLE_S) is False
    assert ledger.cancel("1", MAX_LIFECYCLE_S) is False
    with pytest.raises(KeyError):
        ledger.cancel("2", MAX_LIFECYCLE_S)


@pytest.mark.parametrize(("order_request", "now_s"), [(DRIP_FEED, 700), (SUBSCRIPTION, 2400)])
def test_canceled_parent_stops_but_its_child_orders_continue(
    ledger: Ledger, order_request: OrderRequest, now_s: float
) -> None:
    ledger.insert(order_request, 0)

    assert ledger.cancel("1", now_s) is True
    ledger.run_due_events(now_s + MAX_LIFECYCLE_S)

    parent, child = (ledger.snapshot(order, now_s + MAX_LIFECYCLE_S) for order in ledger)
    assert (parent.status, parent.orders, parent.charge) == ("canceled", ("2",), 0)
    assert child.status == "completed"
    assert ledger.balance == 100 - child.charge


def test_ledger_keeps_the_service_of_an_order(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)

    assert ledger.get_service("1") is SERVICES["5"]


def test_reactivated_drip_feed_without_runs_left_completes_again(ledger: Ledger) -> None:
    ledger.insert(DRIP_FEED, 0)
    ledger.run_due_events(1800)

    ledger.set_state("1", State.ACTIVE, None, 1800)
    ledger.run_due_events(2400)

    assert ledger.snapshot("1", 2400).status == "completed"
    assert ledger.snapshot("1", 2400).runs == 3


def test_subscription_charges_each_post_when_it_is_created(ledger: Ledger) -> None:
    ledger.insert(SUBSCRIPTION, 0)
    assert ledger.balance == 100
    assert ledger.snapshot("1", 0).posts == 0
    assert ledger.snapshot("1", 0).runs is None

    ledger.run_due_events(2400)

    child = ledger.snapshot("2", 2400)
    assert ledger.balance == 100 - child.price < 100
    assert 20 <= child.quantity <= 30

    ledger.run_due_events(7200)

    parent = ledger.snapshot("1", 7200)
    assert (parent.status, parent.posts, parent.charge) == ("completed", 3, 0)
    assert parent.orders == ("2", "3", "4")


def test_post_is_skipped_if_the_balance_is_too_low() -> None:
    ledger = Ledger(seed=0, balance=Decimal(0))
    ledger.insert(SUBSCRIPTION, 0)
    ledger.run_due_events(2400)
    ledger.balance = Decimal(1)

    ledger.run_due_events(7200)

    assert ledger.snapshot("1", 7200).posts == 2
    assert ledger.snapshot("1", 7200).status == "completed"


def test_all_child_orders_are_final_within_the_maximum_lifecycle() -> None:
    ledger = Ledger(seed=0, balance=Decimal(10**6))
    for runs in ("1", "7", "1000"):
        form = form_of("default", service="10", quantity="100", runs=runs, interval="60")
        ledger.insert(parse_order(form, SERVICES), 0)
    ledger.insert(parse_order(form_of("subscriptions", posts="1000"), SERVICES), 0)
    ledger.run_due_events(MAX_LIFECYCLE_S)

    assert len(list(ledger)) > 2000
    assert all(ledger.snapshot(order, MAX_LIFECYCLE_S).is_final for order in ledger)


def test_ledger_capacity_includes_orders_yet_to_be_created() -> None:
    ledger = Ledger(seed=0, balance=Decimal(100), max_orders=5)

    assert ledger.insert(DRIP_FEED, 0) == "1"
    assert ledger.insert(SUBSCRIPTION, 0) is None
    assert ledger.insert(ORDINARY, 0) == "2"
    assert ledger.insert(ORDINARY, 0) is None
    assert list(ledger) == ["1", "2"]


def test_stored_text_is_bounded() -> None:
    characters = sum(FIELD_OVERHEAD + len(name + text) for name, text in ORDINARY.fields.items())
    ledger = Ledger(seed=0, balance=Decimal(100), max_characters=2 * characters + 1)
    longer = attrs.evolve(ORDINARY, fields={**ORDINARY.fields, "link": ORDINARY.link + "xx"})

    assert ledger.insert(ORDINARY, 0) == "1"
    assert ledger.insert(longer, 0) is None
    assert ledger.insert(ORDINARY, 0) == "2"
    assert ledger.insert(ORDINARY, 0) is None
    assert list(ledger) == ["1", "2"]


def test_ordinary_orders_fill_the_ledger_by_their_number() -> None:
    characters = sum(FIELD_OVERHEAD + len(name + text) for name, text in ORDINARY.fields.items())

    assert characters * MAX_ORDERS <= MAX_STORED_CHARACTERS


class MoneyMachine(RuleBasedStateMachine):
    """The balance plus all charges is constant under any sequence of operations."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(seed=1, balance=Decimal(50))
        self.now_s = 0.0

    @rule(order_request=st.sampled_from([ORDINARY, PACKAGE, DRIP_FEED, SUBSCRIPTION]))
    def insert(self, order_request: OrderRequest) -> None:
        self.ledger.insert(
            attrs.evolve(order_request, link=f"a.b/{len(list(self.ledger))}"), self.now_s
        )

    @rule(seconds=st.floats(0, 10_000))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.ledger.run_due_events(self.now_s)

    @precondition(lambda self: "1" in self.ledger)
    @rule(data=st.data())
    def set_state(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(list(self.ledger)))
        stored = self.ledger.snapshot(order, self.now_s)
        states = [state for state in State if state not in (State.ACTIVE, State.EXPIRED)]
        if stored.runs is not None or stored.posts is not None:
            states = [State.ACTIVE, State.COMPLETED, State.CANCELED]
        state = data.draw(st.sampled_from(states))
        remains = None
        if state is State.PARTIAL:
            remains = data.draw(st.integers(0, stored.quantity))
        self.ledger.set_state(order, state, remains, self.now_s)

    @precondition(lambda self: "1" in self.ledger)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        order = data.draw(st.sampled_from(list(self.ledger)))
        was_final = self.ledger.snapshot(order, self.now_s).is_final
        assert self.ledger.cancel(order, self.now_s) is not was_final
        assert self.ledger.snapshot(order, self.now_s).is_final

    @invariant()
    def balance_plus_charges_is_constant(self) -> None:
        stored = [self.ledger.snapshot(order, self.now_s) for order in self.ledger]
        assert self.ledger.balance + sum(order.charge for order in stored) == 50
        assert all(0 <= order.charge <= order.price for order in stored)

    @invariant()
    def open_orders_have_active_links(self) -> None:
        for order in self.ledger:
            stored = self.ledger.snapshot(order, self.now_s)
            if not stored.is_final:
                assert self.ledger.has_active_order(stored.service, stored.link)

    def teardown(self) -> None:
        self.ledger.run_due_events(self.now_s + MAX_LIFECYCLE_S)
        now_s = self.now_s + MAX_LIFECYCLE_S
        for order in self.ledger:
            stored = self.ledger.snapshot(order, now_s)
            assert stored.is_final
            assert not self.ledger.has_active_order(stored.service, stored.link)


TestMoney = MoneyMachine.TestCase
TestMoney.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)
