"""The lives of orders: what will become of an order and when, drawn from a seeded generator.

An ordinary order waits, is handed on, is worked at, and ends. A family (drip-feed, subscription)
makes one order after another, each with a life of its own. Ages are panel seconds since the order
was made. All of it ends within `MAX_LIFE_S`: the longest single life is 3 h 35 min, and a family
makes its last order within `PARENT_SPAN_S`.
"""

from random import Random

from attrs import frozen

from .orders import State, OrderRequest

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
]

MAX_LIFECYCLE_S = 6 * 3600.0
"""Panel seconds after which an order, and all that came of it, is final."""

PARENT_SPAN_S = 2 * 3600.0
"""Panel seconds within which a family makes all its orders. Longer intervals are squeezed."""

PENDING_S = (60.0, 15 * 60.0)
"""The shortest and longest wait before an order is handed on (assumed)."""

PROCESSING_S = (60.0, 20 * 60.0)
"""The shortest and longest wait before the first piece comes (assumed)."""

DELIVERY_S = (5 * 60.0, 3 * 3600.0)
"""The shortest and longest time from the first piece to the last (assumed)."""

OUTCOMES = {State.COMPLETED: 88, State.PARTIAL: 6, State.CANCELED: 4, State.REFUNDED: 2}
"""How many of a hundred orders end so (assumed). A canceled one got nothing, a refunded one a part
that the panel does not charge for."""

MAX_START_COUNT = 50_000
"""The highest count a page has at the start (assumed)."""

MAX_SEEDED_POSTS = 5
"""The most posts of a subscription that did not ask for a number: few, for a short test."""


@frozen(kw_only=True)
class Lifecycle:
    """What will become of an ordinary order."""

    processing_at_s: float
    """Age at which it is handed on."""
    started_at_s: float
    """Age at which pieces begin to come."""
    ended_at_s: float
    """Age at which it is final."""
    outcome: State
    """The final state."""
    start_count: int
    """What the page counts at the start."""
    final_remains: int
    """Pieces not delivered at the end: 0 if completed, all of them if canceled."""


@frozen(kw_only=True)
class Stage:
    """How far an ordinary order is that has not ended."""

    state: State
    """One of the states before the end."""
    start_count: int
    """0 before the start."""
    remains: int
    """0 before the start."""


@frozen(kw_only=True)
class ParentOrder:
    """What will come of a drip-feed or a subscription."""

    step_s: float
    """Seconds from one order to the next; the first comes after one step."""
    quantities: tuple[int, ...]
    """Pieces of each order that will come, in turn."""
    outcome: State
    """The final state once all have come."""


def plan_lifecycle(random: Random, quantity: int) -> Lifecycle:
    """Draw the life of an order over `quantity` pieces. An order of one piece is never partial."""
    (outcome,) = random.choices(list(OUTCOMES), weights=list(OUTCOMES.values()))
    if outcome is State.PARTIAL and quantity == 1:
        outcome = State.CANCELED
    processing_at_s = random.uniform(*PENDING_S)
    started_at_s = processing_at_s + random.uniform(*PROCESSING_S)
    ended_at_s = started_at_s + random.uniform(*DELIVERY_S)
    start_count = random.randrange(1, MAX_START_COUNT)
    left = min(max(int(quantity * random.uniform(0.1, 0.9)), 1), quantity)
    if outcome is State.COMPLETED:
        left = 0
    elif outcome is State.CANCELED:
        left = quantity
    return Lifecycle(
        processing_at_s=processing_at_s,
        started_at_s=started_at_s,
        ended_at_s=ended_at_s,
        outcome=outcome,
        start_count=start_count,
        final_remains=left,
    )


def stage_at(lifecycle: Lifecycle, quantity: int, age_s: float) -> Stage:
    """Say how far an order over `quantity` pieces is at an age, as long as it has not ended.

    That it has ended is for the ledger to say, which moves the money in the same step.
    """
    if age_s < lifecycle.processing_at_s:
        return Stage(state=State.PENDING, start_count=0, remains=0)
    if age_s < lifecycle.started_at_s:
        return Stage(state=State.PROCESSING, start_count=0, remains=0)
    done = min(
        (age_s - lifecycle.started_at_s) / (lifecycle.ended_at_s - lifecycle.started_at_s), 1.0
    )
    delivered = int((quantity - lifecycle.final_remains) * done)
    return Stage(
        state=State.IN_PROGRESS, start_count=lifecycle.start_count, remains=quantity - delivered
    )


def age_at(lifecycle: Lifecycle, state: State) -> float:
    """Give the age at which an order comes into a state that is not final."""
    ages_s = {
        State.PENDING: 0.0,
        State.PROCESSING: lifecycle.processing_at_s,
        State.IN_PROGRESS: lifecycle.started_at_s,
    }
    return ages_s[state]


def plan_parent(random: Random, request: OrderRequest) -> ParentOrder | None:
    """Draw what comes of a drip-feed or subscription; None for an ordinary order.

    A drip-feed keeps its interval if all runs fit into `PARENT_SPAN_S`, else they are squeezed
    into it. A subscription without `posts` gets one to `MAX_SEEDED_POSTS` of them, beside the old
    ones that it asked for, at even distances; with an `expiry` it ends expired, else completed (the
    sandbox has no calendar).
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
