"""Order lifecycles: how and when an order ends, chosen by a seeded generator.

An ordinary order is pending, then processing, then in progress, then final. A parent order (a
drip-feed or subscription) creates one order after another, each with its own lifecycle. Ages are
panel seconds since the order was created. Everything ends within `MAX_LIFECYCLE_S`: the longest
single lifecycle is 3 h 35 min, and a parent creates its last order within `PARENT_SPAN_S`.
"""

from random import Random

from attrs import frozen

from .orders import OrderRequest, State

__all__ = [
    "MAX_LIFECYCLE_S",
    "PARENT_SPAN_S",
    "Lifecycle",
    "ParentOrder",
    "Stage",
    "age_at",
    "plan_lifecycle",
    "plan_parent",
    "stage_at",
    "stages_after",
]

MAX_LIFECYCLE_S = 6 * 3600.0
"""Panel seconds after which an order, and every order created by it, is final."""

PARENT_SPAN_S = 2 * 3600.0
"""Panel seconds within which a parent creates all its orders. Longer intervals are shortened."""

PENDING_S = (60.0, 15 * 60.0)
"""Shortest and longest time before processing starts (assumed)."""

PROCESSING_S = (60.0, 20 * 60.0)
"""Shortest and longest time from processing to the first piece (assumed)."""

DELIVERY_S = (5 * 60.0, 3 * 3600.0)
"""Shortest and longest time from the first piece to the last (assumed)."""

OUTCOMES = {State.COMPLETED: 88, State.PARTIAL: 6, State.CANCELED: 4, State.REFUNDED: 2}
"""Percentage of orders with each outcome (assumed). A canceled order received nothing, a refunded
one a part that the panel does not charge for."""

MAX_START_COUNT = 50_000
"""The highest count of a page at the start (assumed)."""

MAX_SEEDED_POSTS = 5
"""The most posts of a subscription without `posts`: few, to keep tests short."""


@frozen(kw_only=True)
class Lifecycle:
    """The course of an ordinary order."""

    processing_at_s: float
    """Age at which processing starts."""
    started_at_s: float
    """Age at which delivery starts."""
    ended_at_s: float
    """Age at which it is final."""
    outcome: State
    """The final state."""
    start_count: int
    """The count of the page at the start."""
    final_remains: int
    """Pieces not delivered at the end: 0 if completed, all of them if canceled."""


@frozen(kw_only=True)
class Stage:
    """The progress of an ordinary order that is not final."""

    state: State
    """A state that is not final."""
    start_count: int
    """0 before the start."""
    remains: int
    """0 before the start."""


@frozen(kw_only=True)
class ParentOrder:
    """The orders that a drip-feed or subscription creates."""

    step_s: float
    """Seconds from one order to the next; the first order follows after one step."""
    quantities: tuple[int, ...]
    """Pieces of each order, in turn."""
    outcome: State
    """The final state after the last order."""


def plan_lifecycle(random: Random, quantity: int) -> Lifecycle:
    """Choose the lifecycle of an order for `quantity` pieces. A single piece is never partial."""
    (outcome,) = random.choices(list(OUTCOMES), weights=list(OUTCOMES.values()))
    if outcome is State.PARTIAL and quantity == 1:
        outcome = State.CANCELED
    processing_at_s = random.uniform(*PENDING_S)
    started_at_s = processing_at_s + random.uniform(*PROCESSING_S)
    ended_at_s = started_at_s + random.uniform(*DELIVERY_S)
    start_count = random.randrange(1, MAX_START_COUNT)
    remains = min(max(int(quantity * random.uniform(0.1, 0.9)), 1), quantity)
    if outcome is State.COMPLETED:
        remains = 0
    elif outcome is State.CANCELED:
        remains = quantity
    return Lifecycle(
        processing_at_s=processing_at_s,
        started_at_s=started_at_s,
        ended_at_s=ended_at_s,
        outcome=outcome,
        start_count=start_count,
        final_remains=remains,
    )


def stage_at(lifecycle: Lifecycle, quantity: int, age_s: float) -> Stage:
    """Return the progress at an age of an order for `quantity` pieces that has not ended.

    The ledger decides whether the order has ended, because it moves the money in the same step.
    """
    if age_s < lifecycle.processing_at_s:
        return Stage(state=State.PENDING, start_count=0, remains=0)
    if age_s < lifecycle.started_at_s:
        return Stage(state=State.PROCESSING, start_count=0, remains=0)
    share_done = min(
        (age_s - lifecycle.started_at_s) / (lifecycle.ended_at_s - lifecycle.started_at_s), 1.0
    )
    delivered = int((quantity - lifecycle.final_remains) * share_done)
    return Stage(
        state=State.IN_PROGRESS, start_count=lifecycle.start_count, remains=quantity - delivered
    )


def age_at(lifecycle: Lifecycle, state: State) -> float:
    """Return the age at which an order enters a state that is not final."""
    ages_s = {
        State.PENDING: 0.0,
        State.PROCESSING: lifecycle.processing_at_s,
        State.IN_PROGRESS: lifecycle.started_at_s,
    }
    return ages_s[state]


def stages_after(lifecycle: Lifecycle, state: State) -> tuple[tuple[float, State], ...]:
    """Return the states that follow one that is not final, with the ages at which they start."""
    stages = (
        (0.0, State.PENDING),
        (lifecycle.processing_at_s, State.PROCESSING),
        (lifecycle.started_at_s, State.IN_PROGRESS),
    )
    position = [each for _, each in stages].index(state)
    return stages[position + 1 :]


def plan_parent(random: Random, request: OrderRequest) -> ParentOrder | None:
    """Choose the orders of a drip-feed or subscription; None for an ordinary order.

    A drip-feed keeps its interval if all runs fit into `PARENT_SPAN_S`; otherwise the interval is
    shortened to fit. A subscription without `posts` gets one to `MAX_SEEDED_POSTS` posts, in
    addition to the old posts it requested, at equal intervals. It ends expired if it has an
    `expiry`, otherwise completed (the sandbox has no calendar).
    """
    if request.runs is not None:
        return ParentOrder(
            step_s=min(request.interval_s, PARENT_SPAN_S / request.runs),
            quantities=(request.quantity // request.runs,) * request.runs,
            outcome=State.COMPLETED,
        )
    if request.per_post is not None:
        posts = (request.posts or random.randint(1, MAX_SEEDED_POSTS)) + request.old_posts
        return ParentOrder(
            step_s=PARENT_SPAN_S / posts,
            quantities=tuple(random.randint(*request.per_post) for _ in range(posts)),
            outcome=State.EXPIRED if request.fields.get("expiry", "").strip() else State.COMPLETED,
        )
    return None
