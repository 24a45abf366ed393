"""The books of the sandbox: every order, and the account's money.

How this works. An order is stored once, with the life that the seed gave it. Where it stands at a
moment is worked out from its age, so nothing has to tick. Only what moves money or makes orders is
an event: an order's end, the next order of a drip-feed or subscription. Events wait in a heap;
`settle(now_s)` carries out, in the order of their times, those that are due.

Money has one rule: an order holds `charge` of the account's money, and whatever changes its state
sets that to what the new state costs; the difference goes to or comes from the balance. So balance
plus the sum of all charges never changes.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from random import Random

import attrs
from attrs import define, field, frozen

from .forms import calculate_price
from .lifecycle import Lifecycle, ParentOrder, age_at, plan_lifecycle, plan_parent, stage_at
from .orders import FINAL_STATES, State, StoredOrder, OrderRequest
from .services import SandboxService

__all__ = ["MAX_ORDERS", "Ledger"]

MAX_ORDERS = 200_000
"""The most orders kept, with those that drip-feeds and subscriptions are yet to make: about 300 MB
of plain ones (measured: 1.4 kB each). A panel that is full refuses further orders."""

_NOTHING = Decimal("0.0000")
_CHARGE_STEP = Decimal("0.0001")

_ORDER_STATES = frozenset(State) - {State.ACTIVE, State.EXPIRED}
_DRIP_FEED_STATES = frozenset({State.ACTIVE, State.COMPLETED, State.CANCELED})
_SUBSCRIPTION_STATES = _DRIP_FEED_STATES | {State.EXPIRED}


@define(kw_only=True)
class _Record:
    """One order, as far as it changes."""

    order: str
    request: OrderRequest
    price: Decimal
    charge: Decimal = _NOTHING
    created_s: float
    parent_id: str | None
    lifecycle: Lifecycle
    parent_order: ParentOrder | None
    lifecycle_start_s: float  # `created_s`, until a state set by hand moves it
    final_state: State | None = None  # the final state, once it is there
    remains: int = 0  # pieces left, once it is there
    spent_on_runs: Decimal = _NOTHING  # money a drip-feed has passed on to its runs
    children: list[str] = field(factory=list[str])
    created_count: int = 0  # posts or runs so far, with those that found no money
    plan_version: int = 0  # events of an earlier plan are stale


@frozen(order=True)
class _Event:
    """What is due; compared by time, then by the order in which it was planned."""

    at_s: float
    sequence: int
    order: str = field(order=False)
    plan_version: int = field(order=False)


class Ledger:
    """All orders and the balance. Times are panel seconds; ids count up from 1."""

    def __init__(self, *, seed: int, balance: Decimal, max_orders: int = MAX_ORDERS) -> None:
        """`balance` is what the account has before the first order."""
        self.balance = balance
        self._seed = seed
        self._records: dict[str, _Record] = {}
        self._events: list[_Event] = []
        self._event_count = 0
        self._active_links: Counter[tuple[str, str]] = Counter()
        self._free_capacity = max_orders

    def __contains__(self, order: str) -> bool:
        return order in self._records

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def has_active_order(self, service: str, link: str) -> bool:
        """Whether an order of that service over that link is not final yet."""
        return self._active_links[service, link] > 0

    def insert(self, request: OrderRequest, now_s: float) -> str | None:
        """Store an order, charge it and give its id; None (and nothing stored) if all is full.

        The balance is not asked whether it suffices.
        """
        random = self._random()
        parent_order = plan_parent(random, request)
        needed = 1 + len(parent_order.quantities) if parent_order else 1
        if needed > self._free_capacity:
            return None
        self._free_capacity -= needed
        return self._store(request, now_s, random=random, parent_order=parent_order).order

    def run_due_events(self, now_s: float) -> None:
        """Carry out whatever is due at `now_s` or before, each thing at its own time."""
        while self._events and self._events[0].at_s <= now_s:
            event = heapq.heappop(self._events)
            record = self._records[event.order]
            if event.plan_version != record.plan_version:
                continue
            if record.parent_order:
                self._advance_parent(record, record.parent_order, event.at_s)
            else:
                self._finish(record, record.lifecycle.outcome, record.lifecycle.final_remains)

    def set_state(self, order: str, state: State, remains: int | None, now_s: float) -> None:
        """Put an order into a state by hand: a final one stays, any other goes on from there.

        Money follows the state in both directions: an order that is taken out of `canceled` is
        charged again. KeyError for an unknown order, ValueError for what makes no sense.
        """
        record = self._records[order]
        _check_state(record, state, remains)
        record.plan_version += 1
        if state not in FINAL_STATES:
            self._resume(record, state, now_s)
        elif state is State.PARTIAL and remains is not None:
            self._finish(record, state, remains)
        else:
            self._finish(record, state, _default_remains(record, state))

    def cancel(self, order: str, now_s: float) -> bool:
        """End an open order, and give back the money of what remains; False if it is final.

        What has delivered a part becomes partial, anything else canceled. A drip-feed or
        subscription makes no further order; those it has made live on. KeyError for an unknown one.
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

    def get_service(self, order: str) -> SandboxService:
        """Give the service of an order, as it stood when the order was made."""
        return self._records[order].request.service

    def snapshot(self, order: str, now_s: float) -> StoredOrder:
        """Give one order as it stands at `now_s`; KeyError if there is none."""
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
        # A generator for each id: what becomes of an order depends on the seed and its id alone.
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
        )
        self._records[record.order] = record
        self._active_links[_link_key(record)] += 1
        self._update_charge(record)
        self._schedule_next(record, now_s)
        return record

    def _schedule_next(self, record: _Record, now_s: float) -> None:
        """Plan the next event of an order that is not final."""
        at_s = record.lifecycle_start_s + record.lifecycle.ended_at_s
        if record.parent_order:
            at_s = now_s + record.parent_order.step_s
        self._event_count += 1
        event = _Event(at_s, self._event_count, record.order, record.plan_version)
        heapq.heappush(self._events, event)

    def _advance_parent(self, record: _Record, parent_order: ParentOrder, now_s: float) -> None:
        """Make the next order of a family, if one is left, then end it or wait for the next."""
        if record.created_count < len(parent_order.quantities):
            self._create_child(record, parent_order, now_s)
        if record.created_count == len(parent_order.quantities):
            self._finish(record, parent_order.outcome, 0)
        else:
            self._schedule_next(record, now_s)

    def _create_child(self, record: _Record, parent_order: ParentOrder, now_s: float) -> None:
        quantity = parent_order.quantities[record.created_count]
        record.created_count += 1
        price = calculate_price(record.request.service, quantity)
        if record.request.runs is not None:
            # The runs share what was charged: rounding must not make money, so the last takes all.
            last = record.created_count == len(parent_order.quantities)
            price = record.charge if last else min(price, record.charge)
        elif price > self.balance:
            return
        self._store_child(record, quantity, price, now_s)

    def _store_child(self, record: _Record, quantity: int, price: Decimal, now_s: float) -> None:
        if record.request.runs is not None:
            record.spent_on_runs += price
            self._update_charge(record)
        request = attrs.evolve(
            record.request, quantity=quantity, price=price, runs=None, per_post=None, posts=None
        )
        child = self._store(
            request, now_s, random=self._random(), parent_order=None, parent_id=record.order
        )
        record.children.append(child.order)

    def _finish(self, record: _Record, state: State, remains: int) -> None:
        if record.final_state is None:
            self._active_links[_link_key(record)] -= 1
        record.final_state, record.remains = state, remains
        self._update_charge(record)

    def _resume(self, record: _Record, state: State, now_s: float) -> None:
        """Let an order live on from the beginning of a state that is not final."""
        if record.final_state is not None:
            self._active_links[_link_key(record)] += 1
        record.final_state = None
        if not record.parent_order:
            record.lifecycle_start_s = now_s - age_at(record.lifecycle, state)
        self._update_charge(record)
        self._schedule_next(record, now_s)

    def _update_charge(self, record: _Record) -> None:
        cost = _calculate_cost(record)
        self.balance += record.charge - cost
        record.charge = cost


def _calculate_cost(record: _Record) -> Decimal:
    """Say what an order costs in its state.

    Nothing after canceled and refunded, the delivered share after partial (seen), else its price,
    less what a drip-feed has handed on.
    """
    if record.final_state in (State.CANCELED, State.REFUNDED):
        return _NOTHING
    if record.final_state is State.PARTIAL:
        back = record.price * record.remains / record.request.quantity
        return record.price - back.quantize(_CHARGE_STEP, rounding=ROUND_HALF_UP)
    return record.price - record.spent_on_runs


def _state_at(record: _Record, now_s: float) -> tuple[State, int, int]:
    """Give state, start count and remains of an order at `now_s`."""
    if record.parent_order:
        return record.final_state or State.ACTIVE, 0, 0
    if record.final_state is not None:
        return record.final_state, record.lifecycle.start_count, record.remains
    stage = stage_at(record.lifecycle, record.request.quantity, now_s - record.lifecycle_start_s)
    return stage.state, stage.start_count, stage.remains


def _link_key(record: _Record) -> tuple[str, str]:
    return record.request.service.service, record.request.link


def _default_remains(record: _Record, state: State) -> int:
    """Give the pieces left in a final state that was set without a number: none or all."""
    return 0 if state is State.COMPLETED else record.request.quantity


def _check_state(record: _Record, state: State, remains: int | None) -> None:
    request = record.request
    allowed = _ORDER_STATES
    if record.parent_order:
        allowed = _DRIP_FEED_STATES if request.runs is not None else _SUBSCRIPTION_STATES
    if state not in allowed:
        raise ValueError(
            f"order {record.order} cannot be {state}; it can be: {_join_states(allowed)}"
        )
    if (state is State.PARTIAL) is (remains is None):
        raise ValueError("remains belongs to a partial order, and a partial order needs it")
    if remains is not None and not 0 <= remains <= request.quantity:
        raise ValueError(f"remains {remains} is not between 0 and {request.quantity}")


def _join_states(states: frozenset[State]) -> str:
    return ", ".join(sorted(states))
