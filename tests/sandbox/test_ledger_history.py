"""The ledger's past: when each state began, what money was moved, and orders found by filters."""

from decimal import Decimal

import pytest

from smmfanfast_async.sandbox.forms import parse_order
from smmfanfast_async.sandbox.ledger import MAX_PAST_STATES, Ledger
from smmfanfast_async.sandbox.lifecycle import MAX_LIFECYCLE_S
from smmfanfast_async.sandbox.orders import FINAL_STATES, State
from smmfanfast_async.sandbox.services import DEFAULT_SERVICES

from .samples import form_of

SERVICES = {service.service: service for service in DEFAULT_SERVICES}
ORDINARY = parse_order(form_of("default"), SERVICES)
OTHER = parse_order(form_of("default", service="9", link="https://EXAMPLE.com/b"), SERVICES)
DRIP_FEED = parse_order(form_of("default", quantity="3000", runs="3", interval="10"), SERVICES)
OPEN = frozenset(State) - FINAL_STATES


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(seed=0, balance=Decimal(100))


def names(ledger: Ledger, order: str, now_s: float) -> list[str]:
    return [state.value for _, state in ledger.list_states(order, now_s)]


def find(ledger: Ledger, now_s: float = 0, **filters: object) -> list[str]:
    wanted: dict[str, object] = {"states": None, "service": "", "link": "", **filters}
    return ledger.find(now_s, **wanted)  # type: ignore[arg-type]


def test_states_follow_the_lifecycle_in_time(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 5)
    assert ledger.list_states("1", 5) == ((5, "pending"),)

    ledger.run_due_events(MAX_LIFECYCLE_S + 5)
    states = ledger.list_states("1", MAX_LIFECYCLE_S + 5)

    assert [state for _, state in states[:3]] == ["pending", "processing", "in progress"]
    assert states[3][1] == ledger.snapshot("1", MAX_LIFECYCLE_S + 5).status
    assert [at_s for at_s, _ in states] == sorted(at_s for at_s, _ in states)
    for at_s, state in states[1:3]:
        assert ledger.snapshot("1", at_s).is_final or state in OPEN


def test_each_state_began_when_it_was_first_shown(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)
    moments = [second * 60.0 for second in range(360)]
    shown = []
    for now_s in moments:
        ledger.run_due_events(now_s)
        shown.append(ledger.snapshot("1", now_s).status)

    states = ledger.list_states("1", moments[-1])

    expected = [[state for at_s, state in states if at_s <= now_s][-1] for now_s in moments]
    assert shown == expected


def test_states_that_were_set_manually_are_kept(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)
    ledger.set_state("1", State.IN_PROGRESS, None, 10)
    ledger.set_state("1", State.CANCELED, None, 20)
    ledger.set_state("1", State.PROCESSING, None, 30)

    assert ledger.list_states("1", 30) == (
        (0, "pending"), (10, "in progress"), (20, "canceled"), (30, "processing"),
    )  # fmt: skip
    assert names(ledger, "1", 30 + MAX_LIFECYCLE_S)[4:5] == ["in progress"]


def test_states_set_very_often_are_bounded(ledger: Ledger) -> None:
    ledger.insert(ORDINARY, 0)
    for number in range(MAX_PAST_STATES + 5):
        ledger.set_state("1", State.PENDING, None, number)

    states = ledger.list_states("1", MAX_PAST_STATES + 5)

    assert len(states) == MAX_PAST_STATES + 1
    assert states[-1] == (MAX_PAST_STATES + 4, "pending")


def test_parent_order_is_active_until_its_last_run(ledger: Ledger) -> None:
    ledger.insert(DRIP_FEED, 0)
    ledger.run_due_events(MAX_LIFECYCLE_S)

    assert ledger.list_states("1", MAX_LIFECYCLE_S) == ((0, "active"), (1800, "completed"))


def test_counts_follow_every_change_of_state(ledger: Ledger) -> None:
    for request in (ORDINARY, OTHER, DRIP_FEED):
        ledger.insert(request, 0)
    assert ledger.count_states(0) == {"pending": 2, "active": 1}

    ledger.set_state("1", State.CANCELED, None, 0)
    ledger.set_state("1", State.COMPLETED, None, 0)
    assert ledger.count_states(0) == {"pending": 1, "active": 1, "completed": 1}

    ledger.set_state("1", State.PROCESSING, None, 0)
    assert ledger.count_states(0) == {"pending": 1, "active": 1, "processing": 1}

    ledger.run_due_events(MAX_LIFECYCLE_S)
    counts = ledger.count_states(MAX_LIFECYCLE_S)
    assert counts.total() == len(ledger) == 6
    assert not OPEN & set(counts)


def test_orders_are_found_newest_first(ledger: Ledger) -> None:
    for request in (ORDINARY, OTHER, ORDINARY):
        ledger.insert(request, 0)
    ledger.set_state("1", State.CANCELED, None, 0)
    ledger.set_state("2", State.COMPLETED, None, 0)
    ledger.set_state("2", State.PENDING, None, 0)

    assert find(ledger) == ["3", "2", "1"]
    assert find(ledger, states=OPEN) == ["3", "2"]
    assert find(ledger, states=FINAL_STATES) == ["1"]
    assert find(ledger, states=frozenset({State.PENDING})) == ["3", "2"]
    assert find(ledger, service="9") == ["2"]
    assert find(ledger, link="example.com/B") == ["2"]
    assert find(ledger, states=OPEN, service="5", link="nothing") == []


def test_moved_money_explains_the_balance(ledger: Ledger) -> None:
    for request in (ORDINARY, OTHER, DRIP_FEED):
        ledger.insert(request, 0)
    ledger.run_due_events(1000)
    ledger.cancel("3", 1000)
    ledger.set_state("1", State.CANCELED, None, 1000)
    ledger.top_up(Decimal("-2.5"), 1000)
    ledger.run_due_events(MAX_LIFECYCLE_S)

    money = ledger.money
    assert ledger.balance == 100 - money.spent + money.refunded + money.added
    assert money.added == Decimal("-2.5")
    # A run moves money from its drip-feed, not from the account.
    assert money.spent == ORDINARY.price + OTHER.price + DRIP_FEED.price
