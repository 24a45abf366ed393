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

WANTED = OrderRequest(
    service=DEFAULT_SERVICES[0], fields={}, link="", quantity=1000, price=Decimal("1.02")
)
LIFE = Lifecycle(
    processing_at_s=10,
    started_at_s=20,
    ended_at_s=120,
    outcome=State.PARTIAL,
    start_count=7,
    final_remains=40,
)


@given(st.integers(), st.integers(1, 10**12))
def test_a_life_is_ordered_bounded_and_leaves_what_its_end_allows(seed: int, quantity: int) -> None:
    life = plan_lifecycle(Random(seed), quantity)

    assert 0 < life.processing_at_s < life.started_at_s < life.ended_at_s
    assert life.ended_at_s <= MAX_LIFECYCLE_S - PARENT_SPAN_S
    assert life.start_count > 0
    left = life.final_remains
    assert {
        State.COMPLETED: left == 0,
        State.PARTIAL: 1 <= left < quantity,
        State.CANCELED: left == quantity,
        State.REFUNDED: 1 <= left <= quantity,
    }[life.outcome]


def test_equal_seeds_give_equal_lives() -> None:
    assert plan_lifecycle(Random(3), 50) == plan_lifecycle(Random(3), 50)
    assert plan_lifecycle(Random(3), 50) != plan_lifecycle(Random(4), 50)


def test_most_orders_complete_and_the_rest_have_their_share() -> None:
    random = Random(1)
    ends = Counter(plan_lifecycle(random, 1000).outcome for _ in range(10_000))

    assert abs(ends[State.COMPLETED] - 8800) < 200
    assert abs(ends[State.PARTIAL] - 600) < 100
    assert abs(ends[State.CANCELED] - 400) < 100
    assert abs(ends[State.REFUNDED] - 200) < 100


def test_one_piece_cannot_be_delivered_in_part() -> None:
    random = Random(1)

    ends = {plan_lifecycle(random, 1).outcome for _ in range(1000)}

    assert ends == {State.COMPLETED, State.CANCELED, State.REFUNDED}


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
    stage = stage_at(LIFE, 100, age_s)

    assert (stage.state, stage.start_count, stage.remains) == (state, start_count, remains)


@pytest.mark.parametrize("state", [State.PENDING, State.PROCESSING, State.IN_PROGRESS])
def test_a_state_begins_at_its_age(state: State) -> None:
    assert stage_at(LIFE, 100, age_at(LIFE, state)).state is state


def test_an_ordinary_order_has_no_family() -> None:
    assert plan_parent(Random(0), WANTED) is None


@pytest.mark.parametrize(("runs", "interval_s", "step_s"), [(3, 60.0, 60.0), (4, 1e6, 1800.0)])
def test_a_drip_feed_keeps_its_interval_while_all_runs_fit(
    runs: int, interval_s: float, step_s: float
) -> None:
    wanted = attrs.evolve(WANTED, quantity=250 * runs, runs=runs, interval_s=interval_s)

    family = plan_parent(Random(0), wanted)

    assert family is not None
    assert (family.step_s, family.outcome) == (step_s, State.COMPLETED)
    assert family.quantities == (250,) * runs


@pytest.mark.parametrize(("expiry", "outcome"), [(" ", "completed"), ("31/12/2030", "expired")])
def test_a_subscription_with_an_expiry_ends_expired(expiry: str, outcome: str) -> None:
    wanted = attrs.evolve(WANTED, fields={"expiry": expiry}, per_post=(20, 30), posts=8)

    family = plan_parent(Random(0), wanted)

    assert family is not None
    assert family.outcome == outcome
    assert len(family.quantities) == 8
    assert all(20 <= quantity <= 30 for quantity in family.quantities)
    assert family.step_s * 8 == PARENT_SPAN_S


def test_a_subscription_without_a_number_of_posts_gets_a_few() -> None:
    wanted = attrs.evolve(WANTED, per_post=(20, 30))
    families = [plan_parent(Random(seed), wanted) for seed in range(50)]

    assert {len(family.quantities) for family in families if family} == {1, 2, 3, 4, 5}


def test_old_posts_come_beside_the_new_ones() -> None:
    wanted = attrs.evolve(WANTED, per_post=(20, 30), posts=2, old_posts=3)

    family = plan_parent(Random(0), wanted)
    without = plan_parent(Random(0), attrs.evolve(wanted, posts=None))

    assert family is not None
    assert len(family.quantities) == 5
    assert without is not None
    assert 4 <= len(without.quantities) <= 8
