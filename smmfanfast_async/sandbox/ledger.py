"""The ledger of the sandbox: every order, and the account's balance.

How this works. An order is stored once, with the lifecycle that the seed determined. Its state at a
given time is computed from its age, so no timer has to run. Only changes that move money or create
orders are events: an order becoming final, the next order of a drip-feed or subscription. Events
wait in a heap; `run_due_events(now_s)` executes those that are due, in the order of their times.

Money follows one rule: an order holds `charge` of the account's money. A change of its state sets
`charge` to the cost of the new state, and the difference is moved from or to the balance. So the
balance plus the sum of all charges never changes.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from random import Random

import attrs
from attrs import define, field, frozen

from .forms import calculate_price
from .lifecycle import (
    Lifecycle,
    ParentOrder,
    age_at,
    plan_lifecycle,
    plan_parent,
    stage_at,
    stages_after,
)
from .money import EXACT, NO_MONEY, round_charge
from .orders import FINAL_STATES, OrderRequest, State, StoredOrder
from .services import SandboxService
from .spending import MoneyLog

__all__ = ["MAX_ORDERS", "Ledger"]

MAX_ORDERS = 200_000
"""The most orders stored, including those that drip-feeds and subscriptions will create: about 300
MB of ordinary ones (measured: 1.4 kB each). A full panel refuses further orders."""

MAX_STORED_CHARACTERS = 256 * 1024**2
"""The most characters of all stored forms, each field counted with `FIELD_OVERHEAD` more, for the
same reason: one form may have two million."""

FIELD_OVERHEAD = 200
"""Characters that the storage of a field is counted as, beside its name and value."""

MAX_PAST_STATES = 100
"""The most states kept of an order's time before its state was last set manually; then the oldest
are dropped. A person sets a few."""

_ORDER_STATES = frozenset(State) - {State.ACTIVE, State.EXPIRED}
_DRIP_FEED_STATES = frozenset({State.ACTIVE, State.COMPLETED, State.CANCELED})
_SUBSCRIPTION_STATES = _DRIP_FEED_STATES | {State.EXPIRED}


@define(kw_only=True)
class _Record:
    """The mutable data of one order."""

    order: str
    request: OrderRequest
    price: Decimal
    charge: Decimal = NO_MONEY
    created_s: float
    parent_id: str | None
    lifecycle: Lifecycle
    parent_order: ParentOrder | None
    lifecycle_start_s: float  # `created_s`, unless a manually set state moved it
    final_state: State | None = None  # None until the order is final
    remains: int = 0  # pieces left in the final state
    spent_on_runs: Decimal = NO_MONEY  # money that a drip-feed has transferred to its runs
    children: list[str] = field(factory=list[str])
    created_count: int = 0  # posts or runs so far, including those skipped for lack of money
    plan_version: int = 0  # events of an older version are stale
    since: tuple[float, State]  # when it was created, or its state last set manually, and to what
    past_states: tuple[tuple[float, State], ...] = ()  # those before `since`
    finished_at_s: float = 0.0  # when it became final; meaningless before that


@frozen(order=True)
class _Event:
    """A scheduled change; compared by time, then by the sequence of scheduling."""

    at_s: float
    sequence: int
    order: str = field(order=False)
    plan_version: int = field(order=False)


class Ledger:
    """All orders and the balance. Times are panel seconds; ids count up from 1."""

    def __init__(
        self,
        *,
        seed: int,
        balance: Decimal,
        max_orders: int = MAX_ORDERS,
        max_characters: int = MAX_STORED_CHARACTERS,
    ) -> None:
        """`balance` is the account's balance before the first order."""
        self.balance = balance
        self.money = MoneyLog()
        self._open: dict[str, None] = {}  # ids of the orders that are not final
        self._final_counts: Counter[State] = Counter()
        self._seed = seed
        self._records: dict[str, _Record] = {}
        self._events: list[_Event] = []
        self._event_count = 0
        self._active_links: Counter[tuple[str, str]] = Counter()
        self._free_capacity = max_orders
        self._free_characters = max_characters

    def __contains__(self, order: str) -> bool:
        return order in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def has_active_order(self, service: str, link: str) -> bool:
        """Return whether an order for this service and link is not final yet."""
        return self._active_links[service, link] > 0

    def insert(self, request: OrderRequest, now_s: float) -> str | None:
        """Store and charge an order; return its id, or None if the ledger is full.

        If it is full, nothing is stored. Does not check that the balance suffices.
        """
        random = self._random()
        parent_order = plan_parent(random, request)
        needed = 1 + len(parent_order.quantities) if parent_order else 1
        characters = _count_characters(request)
        if needed > self._free_capacity or characters > self._free_characters:
            return None
        self._free_capacity -= needed
        self._free_characters -= characters
        return self._store(request, now_s, random=random, parent_order=parent_order).order

    def top_up(self, amount: Decimal, now_s: float) -> None:
        """Add money to the balance, or take some away if `amount` is negative."""
        self.balance = EXACT.add(self.balance, amount)
        self.money.record_addition(now_s, amount)

    def run_due_events(self, now_s: float) -> None:
        """Execute all events due at `now_s` or before, each at its own time."""
        while self._events and self._events[0].at_s <= now_s:
            event = heapq.heappop(self._events)
            record = self._records[event.order]
            if event.plan_version != record.plan_version:
                continue
            if record.parent_order:
                self._advance_parent(record, record.parent_order, event.at_s)
            else:
                final_remains = record.lifecycle.final_remains
                self._finish(record, record.lifecycle.outcome, final_remains, event.at_s)

    def set_state(self, order: str, state: State, remains: int | None, now_s: float) -> None:
        """Set the state of an order manually; any state that is not final continues from there.

        Money follows the state in both directions: an order that leaves `canceled` is charged
        again. Raises KeyError for an unknown order, ValueError for a state or `remains` that the
        order cannot have.
        """
        record = self._records[order]
        _check_state(record, state, remains)
        record.plan_version += 1
        record.past_states = _list_states(record, now_s)[-MAX_PAST_STATES:]
        record.since = (now_s, state)
        if state not in FINAL_STATES:
            self._resume(record, state, now_s)
        elif state is State.PARTIAL and remains is not None:
            self._finish(record, state, remains, now_s)
        else:
            self._finish(record, state, _default_remains(record, state), now_s)

    def cancel(self, order: str, now_s: float) -> bool:
        """Cancel an open order and refund what remains; return False if it is final already.

        An order that has delivered a part becomes partial, any other order canceled. A drip-feed or
        subscription creates no further orders; those already created continue. KeyError for an
        unknown id.
        """
        self.run_due_events(now_s)
        record = self._records[order]
        if record.final_state is not None:
            return False
        state, _, remains = _state_at(record, now_s)
        if state is State.IN_PROGRESS and remains < record.request.quantity:
            self.set_state(order, State.PARTIAL, remains, now_s)
        else:
            self.set_state(order, State.CANCELED, None, now_s)
        return True

    def count_children(self, order: str) -> int:
        """Return how many orders a drip-feed or subscription has created so far."""
        return len(self._records[order].children)

    def list_states(self, order: str, now_s: float) -> tuple[tuple[float, State], ...]:
        """Return when an order entered each of its states until now; KeyError for an unknown id."""
        return _list_states(self._records[order], now_s)

    def count_states(self, now_s: float) -> Counter[State]:
        """Return the number of orders in each state."""
        counts = Counter(_state_at(self._records[order], now_s)[0] for order in self._open)
        return counts + self._final_counts

    def find(
        self, now_s: float, *, states: frozenset[State] | None, service: str, link: str
    ) -> list[str]:
        """Return the ids of the orders in one of these states, the newest first.

        `states` None is any state, `service` "" any service; `link` is a part of the link.
        """
        if states and not states & FINAL_STATES:
            # Sorted, because an order whose state was set manually may come back at the end.
            ids = sorted(self._open, key=int, reverse=True)
        else:
            ids = list(reversed(self._records))
        if states is None and not service and not link:
            return ids
        wanted = link.lower()
        return [
            order
            for order in ids
            if _matches(self._records[order].request, service, wanted)
            and (states is None or _state_at(self._records[order], now_s)[0] in states)
        ]

    def get_service(self, order: str) -> SandboxService:
        """Return the service of an order as it was when the order was created."""
        return self._records[order].request.service

    def snapshot(self, order: str, now_s: float) -> StoredOrder:
        """Return one order as it is at `now_s`; KeyError for an unknown id."""
        record = self._records[order]
        request = record.request
        state, start_count, remains = _state_at(record, now_s)
        subscription = request.per_post is not None
        return StoredOrder(
            order=record.order,
            service=request.service.service,
            type=request.service.type,
            status=state,
            link=request.link,
            quantity=request.quantity,
            price=record.price,
            charge=record.charge,
            start_count=start_count,
            remains=remains,
            created_s=record.created_s,
            fields=request.fields,
            parent=record.parent_id,
            runs=None if request.runs is None else len(record.children),
            posts=len(record.children) if subscription else None,
            orders=tuple(record.children),
        )

    def _random(self) -> Random:
        # One generator per id: the lifecycle of an order depends only on the seed and its id.
        return Random(f"{self._seed}/{len(self._records) + 1}")  # noqa: S311  # no secret

    def _store(
        self,
        request: OrderRequest,
        now_s: float,
        *,
        random: Random,
        parent_order: ParentOrder | None,
        parent_id: str | None = None,
    ) -> _Record:
        record = _Record(
            order=str(len(self._records) + 1),
            request=request,
            price=request.price,
            created_s=now_s,
            parent_id=parent_id,
            lifecycle=plan_lifecycle(random, max(request.quantity, 1)),
            parent_order=parent_order,
            lifecycle_start_s=now_s,
            since=(now_s, State.ACTIVE if parent_order else State.PENDING),
        )
        self._records[record.order] = record
        self._open[record.order] = None
        self._active_links[_link_key(record)] += 1
        # A run is paid by its drip-feed: no money enters or leaves the account.
        is_run = parent_id is not None and self._records[parent_id].request.runs is not None
        self._update_charge(record, None if is_run else now_s)
        self._schedule_next(record, now_s)
        return record

    def _schedule_next(self, record: _Record, now_s: float) -> None:
        """Schedule the next event of an order that is not final."""
        at_s = record.lifecycle_start_s + record.lifecycle.ended_at_s
        if record.parent_order:
            at_s = now_s + record.parent_order.step_s
        self._event_count += 1
        event = _Event(at_s, self._event_count, record.order, record.plan_version)
        heapq.heappush(self._events, event)

    def _advance_parent(self, record: _Record, parent_order: ParentOrder, now_s: float) -> None:
        """Create the next child order if one is left; then finish or schedule the next step."""
        if record.created_count < len(parent_order.quantities):
            self._create_child(record, parent_order, now_s)
        if record.created_count == len(parent_order.quantities):
            self._finish(record, parent_order.outcome, 0, now_s)
        else:
            self._schedule_next(record, now_s)

    def _create_child(self, record: _Record, parent_order: ParentOrder, now_s: float) -> None:
        quantity = parent_order.quantities[record.created_count]
        record.created_count += 1
        price = calculate_price(record.request.service, quantity)
        if record.request.runs is not None:
            # Rounding must not create money, so the last run gets the rest of the charge.
            is_last = record.created_count == len(parent_order.quantities)
            price = record.charge if is_last else min(price, record.charge)
        elif price > self.balance:
            return
        self._store_child(record, quantity, price, now_s)

    def _store_child(self, record: _Record, quantity: int, price: Decimal, now_s: float) -> None:
        if record.request.runs is not None:
            record.spent_on_runs = EXACT.add(record.spent_on_runs, price)
            self._update_charge(record, None)
        request = attrs.evolve(
            record.request, quantity=quantity, price=price, runs=None, per_post=None, posts=None
        )
        child = self._store(
            request, now_s, random=self._random(), parent_order=None, parent_id=record.order
        )
        record.children.append(child.order)

    def _finish(self, record: _Record, state: State, remains: int, at_s: float) -> None:
        if record.final_state is None:
            self._active_links[_link_key(record)] -= 1
            del self._open[record.order]
        else:
            self._final_counts[record.final_state] -= 1
        self._final_counts[state] += 1
        record.final_state, record.remains, record.finished_at_s = state, remains, at_s
        self._update_charge(record, at_s)

    def _resume(self, record: _Record, state: State, now_s: float) -> None:
        """Continue an order from the start of a state that is not final."""
        if record.final_state is not None:
            self._active_links[_link_key(record)] += 1
            self._final_counts[record.final_state] -= 1
            self._open[record.order] = None
        record.final_state = None
        if not record.parent_order:
            record.lifecycle_start_s = now_s - age_at(record.lifecycle, state)
        self._update_charge(record, now_s)
        self._schedule_next(record, now_s)

    def _update_charge(self, record: _Record, at_s: float | None) -> None:
        """Move the difference between charge and cost; None for money that stays in the orders."""
        cost = _calculate_cost(record)
        difference = EXACT.subtract(record.charge, cost)
        self.balance = EXACT.add(self.balance, difference)
        record.charge = cost
        if at_s is not None:
            self.money.record_charge(at_s, difference)


def _calculate_cost(record: _Record) -> Decimal:
    """Return the cost of an order in its state.

    Zero if canceled or refunded, the delivered share if partial (seen), otherwise its price less
    what a drip-feed has spent on its runs.
    """
    if record.final_state in (State.CANCELED, State.REFUNDED):
        return NO_MONEY
    if record.final_state is State.PARTIAL:
        share = EXACT.multiply(record.price, record.remains)
        refund = round_charge(EXACT.divide(share, record.request.quantity))
        return EXACT.subtract(record.price, refund)
    return EXACT.subtract(record.price, record.spent_on_runs)


def _state_at(record: _Record, now_s: float) -> tuple[State, int, int]:
    """Return state, start count and remains of an order at `now_s`."""
    if record.parent_order:
        return record.final_state or State.ACTIVE, 0, 0
    if record.final_state is not None:
        return record.final_state, record.lifecycle.start_count, record.remains
    stage = stage_at(record.lifecycle, record.request.quantity, now_s - record.lifecycle_start_s)
    return stage.state, stage.start_count, stage.remains


def _list_states(record: _Record, now_s: float) -> tuple[tuple[float, State], ...]:
    since_s, state = record.since
    states = [(since_s, state)]
    is_final = record.final_state is not None
    if not record.parent_order and state not in FINAL_STATES:
        end_s = record.finished_at_s if is_final else now_s
        for age_s, next_state in stages_after(record.lifecycle, state):
            if record.lifecycle_start_s + age_s < end_s:
                states.append((record.lifecycle_start_s + age_s, next_state))
    if record.final_state is not None and state not in FINAL_STATES:
        states.append((record.finished_at_s, record.final_state))
    return (*record.past_states, *states)


def _matches(request: OrderRequest, service: str, link: str) -> bool:
    return service in ("", request.service.service) and link in request.link.lower()


def _count_characters(request: OrderRequest) -> int:
    """Return the characters that a form takes; the orders that it creates share its fields."""
    return sum(FIELD_OVERHEAD + len(name) + len(value) for name, value in request.fields.items())


def _link_key(record: _Record) -> tuple[str, str]:
    return record.request.service.service, record.request.link


def _default_remains(record: _Record, state: State) -> int:
    """Return the remaining pieces of a final state that was set without `remains`: none or all."""
    return 0 if state is State.COMPLETED else record.request.quantity


def _check_state(record: _Record, state: State, remains: int | None) -> None:
    request = record.request
    allowed = _ORDER_STATES
    if record.parent_order:
        allowed = _DRIP_FEED_STATES if request.runs is not None else _SUBSCRIPTION_STATES
    if state not in allowed:
        raise ValueError(
            f"order {record.order} cannot be {state}; use one of {_join_states(allowed)}"
        )
    if (state is State.PARTIAL) is (remains is None):
        raise ValueError("remains is required for the state partial and not allowed for any other")
    if remains is not None and not 0 <= remains <= request.quantity:
        raise ValueError(f"remains must be from 0 to {request.quantity}, not {remains}")


def _join_states(states: frozenset[State]) -> str:
    return ", ".join(sorted(states))
