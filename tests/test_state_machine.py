"""A client driven by random steps, compared with the orders stored by a sandbox.

Hypothesis chooses what happens next: orders, faults of every kind with and without the order being
stored, callers that are cancelled at any moment, callers that stop waiting, a client that is closed
and created again. After each step the stored orders are compared with the reported outcomes.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from smmfanfast_async import (
    AddedOrder,
    Client,
    ClosedError,
    DefaultOrder,
    NotSentError,
    OrderNotFoundError,
    OrderStatus,
    OutcomeUnknownError,
    PanelError,
    RateLimitError,
    RefusedError,
    RetryPolicy,
)
from smmfanfast_async.sandbox import Fault, Sandbox

T = TypeVar("T")
FAULTS: dict[Fault, tuple[bool | None, ...]] = {
    Fault.HTTP_500: (False, True),
    Fault.HTTP_502: (False, True),
    Fault.HTTP_503: (False, True),
    Fault.RATE_LIMIT: (False, True),
    Fault.HTML_PAGE: (False, True),
    Fault.EMPTY: (False, True),
    Fault.REDIRECT: (False, True),
    Fault.BLOCKED: (False,),
    Fault.PHP_NOTICE: (None,),
    Fault.TRUNCATED_BODY: (None,),
    Fault.DROP_BEFORE: (None,),
    Fault.DROP_AFTER: (None,),
}
"""Faults, and whether the order is stored nevertheless; None if the fault decides."""

SCRIPTS = [(fault, stored) for fault, choices in FAULTS.items() for stored in choices]


class Machine(RuleBasedStateMachine):
    """One account, its orders by link, and the outcome that each caller got."""

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.panel = self.run(start_panel())
        self.client = self.run(create_client(self.panel))
        self.outcomes: dict[str, object] = {}
        self.links = 0

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(step)

    def next_order(self) -> DefaultOrder:
        self.links += 1
        return DefaultOrder(service=5, link=f"https://example.com/{self.links}", quantity=500)

    def record(self, order: DefaultOrder, outcome: object) -> None:
        self.outcomes[order.link] = outcome

    @rule(scripts=st.lists(st.sampled_from(SCRIPTS), max_size=2))
    def add(self, scripts: list[tuple[Fault, bool | None]]) -> None:
        """Place an order while up to two requests fail."""
        self.script(scripts)
        order = self.next_order()
        self.record(order, self.run(outcome_of(self.client.add(order))))
        self.panel.clear_faults()

    @rule(turns=st.integers(0, 12), script=st.none() | st.sampled_from(SCRIPTS))
    def add_and_cancel(self, turns: int, script: tuple[Fault, bool | None] | None) -> None:
        """Cancel the caller after some loop iterations; the order may be in any phase then."""
        self.script([script] if script else [])
        order = self.next_order()
        self.record(order, self.run(cancel_after(self.client.add(order), turns)))
        self.run(wait_for_sends(self.client))
        self.panel.clear_faults()

    @rule(delay_s=st.sampled_from([0.0, 0.03]))
    def add_and_stop_waiting(self, delay_s: float) -> None:
        """Stop waiting, then wait for the outcome of the order in flight."""
        if delay_s:
            self.panel.fail_next(Fault.DELAY, action="add", delay_s=delay_s)
        order = self.next_order()
        outcome = self.run(outcome_of(self.client.add(order, wait_s=0.01)))
        if isinstance(outcome, OutcomeUnknownError):
            outcome = self.run(outcome_of(outcome.wait_for_outcome()))
        self.record(order, outcome)

    @rule(script=st.none() | st.sampled_from(SCRIPTS))
    def check_all(self, script: tuple[Fault, bool | None] | None) -> None:
        """Request the status of all placed orders and of one unknown id."""
        self.script([script] if script else [], action="status")
        ids = [each.order for each in self.outcomes.values() if isinstance(each, AddedOrder)]
        statuses = self.run(self.client.statuses([*ids, "999999"]))
        self.panel.clear_faults()

        assert list(statuses) == [*ids, "999999"]
        for order in ids:
            # An existing order is never "not found"; an error of the call is allowed.
            assert not isinstance(statuses[order], OrderNotFoundError)
        assert not isinstance(statuses["999999"], OrderStatus)

    @rule()
    def close_and_open(self) -> None:
        """Close the client, try to use it, and create another."""
        self.run(self.client.aclose())
        order = self.next_order()
        outcome = self.run(outcome_of(self.client.add(order)))
        assert isinstance(outcome, ClosedError)
        self.record(order, outcome)
        self.client = self.run(create_client(self.panel))

    def script(self, scripts: list[tuple[Fault, bool | None]], action: str = "add") -> None:
        for fault, stored in scripts:
            options: dict[str, Any] = {} if stored is None else {"applied": stored}
            if fault is Fault.RATE_LIMIT:
                # A limiter answers before the panel's own code does.
                options = {"retry_after_s": 0, "applied": False}
            self.panel.fail_next(fault, action=action, **options)

    @invariant()
    def outcomes_match_the_stored_orders(self) -> None:
        """Compare the outcomes with the orders stored by the panel."""
        panel_orders = self.panel.orders
        stored = Counter(each.link for each in panel_orders.values())
        assert not stored or max(stored.values()) == 1
        for link, outcome in self.outcomes.items():
            match outcome:
                case AddedOrder():
                    assert panel_orders[outcome.order].link == link
                case RefusedError() | NotSentError() | ClosedError() | RateLimitError():
                    assert stored[link] == 0
                case OutcomeUnknownError() | asyncio.CancelledError():
                    pass
                case _:
                    raise AssertionError(f"an add cannot end with {outcome!r}")

    @invariant()
    def every_order_has_a_caller(self) -> None:
        """Every stored order was placed by a caller."""
        assert {each.link for each in self.panel.orders.values()} <= set(self.outcomes)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.client.aclose())
            self.run(self.panel.close())
            self.runner.close()


async def start_panel() -> Sandbox:
    panel = Sandbox(speed=0, balance=Decimal(100_000))
    await panel.start()
    return panel


async def create_client(panel: Sandbox) -> Client:
    retry = RetryPolicy(max_attempts=2, base_delay_s=0.0)
    return Client(panel.api_key, base_url=panel.url, retry=retry, timeout_s=5.0)


async def outcome_of(call: Coroutine[Any, Any, Any]) -> object:
    try:
        return await call
    except PanelError as error:
        return error


async def cancel_after(call: Coroutine[Any, Any, Any], turns: int) -> object:
    caller = asyncio.create_task(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    caller.cancel()
    try:
        return await caller
    except (PanelError, asyncio.CancelledError) as error:
        return error


async def wait_for_sends(client: Client) -> None:
    """Wait until no order is in flight."""
    while client._runner._order_tasks:
        await asyncio.wait(client._runner._order_tasks)


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
