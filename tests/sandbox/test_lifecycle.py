"""Lifecycles of ordinary orders and the plans of parent orders."""

from collections import Counter
from decimal import Decimal
from random import Random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async.sandbox.lifecycle import (
    MAX_LIFECYCLE_S,
    PARENT_SPAN_S,
    Lifecycle,
    age_at,
    plan_lifecycle,
    plan_parent,
    stage_at,
)
from smmfanfast_async.sandbox.orders import OrderRequest, State
from smmfanfast_async.sandbox.services import DEFAULT_SERVICES

REQUEST = OrderRequest(
    service=DEFAULT_SERVICES[0], fields={}, link="", quantity=1000, price=Decimal("1.02")
)
LIFECYCLE = Lifecycle(
    processing_at_s=10,
    started_at_s=20,
    ended_at_s=120,
    outcome=State.PARTIAL,
    start_count=7,
    final_remains=40,
)


@given(st.integers(), st.integers(1, 10**12))
def test_lifecycle_is_ordered_bounded_and_consistent_with_its_outcome(
    seed: int, quantity: int
) -> None:
    lifecycle = plan_lifecycle(Random(seed), quantity)

    assert 0 < lifecycle.processing_at_s < lifecycle.started_at_s < lifecycle.ended_at_s
    assert lifecycle.ended_at_s <= MAX_LIFECYCLE_S - PARENT_SPAN_S
    assert lifecycle.start_count > 0
    remains = lifecycle.final_remains
    assert {
        State.COMPLETED: remains == 0,
        State.PARTIAL: 1 <= remains < quantity,
        State.CANCELED: remains == quantity,
        State.REFUNDED: 1 <= remains <= quantity,
    }[lifecycle.outcome]


def test_equal_seeds_give_equal_lifecycles() -> None:
    assert plan_lifecycle(Random(3), 50) == plan_lifecycle(Random(3), 50)
    assert plan_lifecycle(Random(3), 50) != plan_lifecycle(Random(4), 50)


def test_outcomes_have_their_configured_shares() -> None:
    random = Random(1)
    outcomes = Counter(plan_lifecycle(random, 1000).outcome for _ in range(10_000))

    assert abs(outcomes[State.COMPLETED] - 8800) < 200
    assert abs(outcomes[State.PARTIAL] - 600) < 100
    assert abs(outcomes[State.CANCELED] - 400) < 100
    assert abs(outcomes[State.REFUNDED] - 200) < 100


def test_order_of_one_piece_is_never_partial() -> None:
    random = Random(1)

    outcomes = {plan_lifecycle(random, 1).outcome for _ in range(1000)}

    assert outcomes == {State.COMPLETED, State.CANCELED, State.REFUNDED}


@pytest.mark.parametrize(
    ("age_s", "state", "start_count", "remains"),
    [
        (0, State.PENDING, 0, 0),
        (9.9, State.PENDING, 0, 0),
        (10, State.PROCESSING, 0, 0),
        (19.9, State.PROCESSING, 0, 0),
        (20, State.IN_PROGRESS, 7, 100),
        (70, State.IN_PROGRESS, 7, 70),
        (120, State.IN_PROGRESS, 7, 40),
        (1000, State.IN_PROGRESS, 7, 40),
    ],
)
def test_remains_fall_linearly_from_the_start_to_the_end(
    age_s: float, state: State, start_count: int, remains: int
) -> None:
    stage = stage_at(LIFECYCLE, 100, age_s)

    assert (stage.state, stage.start_count, stage.remains) == (state, start_count, remains)


@pytest.mark.parametrize("state", [State.PENDING, State.PROCESSING, State.IN_PROGRESS])
def test_state_starts_at_its_age(state: State) -> None:
    assert stage_at(LIFECYCLE, 100, age_at(LIFECYCLE, state)).state is state


def test_ordinary_order_has_no_parent_plan() -> None:
    assert plan_parent(Random(0), REQUEST) is None


@pytest.mark.parametrize(("runs", "interval_s", "step_s"), [(3, 60.0, 60.0), (4, 1e6, 1800.0)])
def test_drip_feed_interval_is_shortened_only_if_necessary(
    runs: int, interval_s: float, step_s: float
) -> None:
    request = attrs.evolve(REQUEST, quantity=250 * runs, runs=runs, interval_s=interval_s)

    parent_order = plan_parent(Random(0), request)

    assert parent_order is not None
    assert (parent_order.step_s, parent_order.outcome) == (step_s, State.COMPLETED)
    assert parent_order.quantities == (250,) * runs


@pytest.mark.parametrize(("expiry", "outcome"), [(" ", "completed"), ("31/12/2030", "expired")])
def test_subscription_with_an_expiry_ends_expired(expiry: str, outcome: str) -> None:
    request = attrs.evolve(REQUEST, fields={"expiry": expiry}, per_post=(20, 30), posts=8)

    parent_order = plan_parent(Random(0), request)

    assert parent_order is not None
    assert parent_order.outcome == outcome
    assert len(parent_order.quantities) == 8
    assert all(20 <= quantity <= 30 for quantity in parent_order.quantities)
    assert parent_order.step_s * 8 == PARENT_SPAN_S


def test_subscription_without_posts_gets_one_to_five() -> None:
    request = attrs.evolve(REQUEST, per_post=(20, 30))
    parent_orders = [plan_parent(Random(seed), request) for seed in range(50)]

    assert {len(parent_order.quantities) for parent_order in parent_orders if parent_order} == {
        1,
        2,
        3,
        4,
        5,
    }


def test_old_posts_are_added_to_the_new_ones() -> None:
    request = attrs.evolve(REQUEST, per_post=(20, 30), posts=2, old_posts=3)

    parent_order = plan_parent(Random(0), request)
    without_posts = plan_parent(Random(0), attrs.evolve(request, posts=None))

    assert parent_order is not None
    assert len(parent_order.quantities) == 5
    assert without_posts is not None
    assert 4 <= len(without_posts.quantities) <= 8
