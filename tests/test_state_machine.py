"""A client driven at random, step by step, against the books of a sandbox.

Hypothesis chooses what happens next: orders, faults of every kind with and without the order being
stored, callers that are cancelled at any moment, callers that stop waiting, a client that is closed
and made anew. After each step the books are compared with what the callers were told.
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
"""Faults, and whether the order is stored all the same; None where the fault decides."""

SCRIPTS = [(fault, stored) for fault, choices in FAULTS.items() for stored in choices]


class Machine(RuleBasedStateMachine):
    """One account, its orders by link, and what their callers were told."""

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.panel = self.run(made())
        self.client = self.run(client_of(self.panel))
        self.told: dict[str, object] = {}
        self.links = 0

    def run(self, step: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(step)

    def next_order(self) -> DefaultOrder:
        self.links += 1
        return DefaultOrder(service=5, link=f"https://example.com/{self.links}", quantity=500)

    def note(self, order: DefaultOrder, outcome: object) -> None:
        self.told[order.link] = outcome

    @rule(scripts=st.lists(st.sampled_from(SCRIPTS), max_size=2))
    def add(self, scripts: list[tuple[Fault, bool | None]]) -> None:
        """Place an order while up to two requests meet a fault."""
        self.script(scripts)
        order = self.next_order()
        self.note(order, self.run(told(self.client.add(order))))
        self.panel.clear_faults()

    @rule(turns=st.integers(0, 12), script=st.none() | st.sampled_from(SCRIPTS))
    def add_and_cancel(self, turns: int, script: tuple[Fault, bool | None] | None) -> None:
        """Cancel the caller after some turns of the loop; the order may be anywhere by then."""
        self.script([script] if script else [])
        order = self.next_order()
        self.note(order, self.run(cancelled_after(self.client.add(order), turns)))
        self.run(quiet(self.client))
        self.panel.clear_faults()

    @rule(delay_s=st.sampled_from([0.0, 0.03]))
    def add_and_stop_waiting(self, delay_s: float) -> None:
        """Stop waiting, then ask for the outcome that was still on its way."""
        if delay_s:
            self.panel.fail_next(Fault.DELAY, action="add", delay_s=delay_s)
        order = self.next_order()
        outcome = self.run(told(self.client.add(order, wait_s=0.01)))
        if isinstance(outcome, OutcomeUnknownError):
            outcome = self.run(told(outcome.wait_for_outcome()))
        self.note(order, outcome)

    @rule(script=st.none() | st.sampled_from(SCRIPTS))
    def ask_for_all(self, script: tuple[Fault, bool | None] | None) -> None:
        """Ask how all placed orders stand, an unknown id among them."""
        self.script([script] if script else [], action="status")
        ids = [each.order for each in self.told.values() if isinstance(each, AddedOrder)]
        found = self.run(self.client.statuses([*ids, "999999"]))
        self.panel.clear_faults()

        assert list(found) == [*ids, "999999"]
        for order in ids:
            # Never "not found" for an order that is there; an error about the call is no lie.
            assert not isinstance(found[order], OrderNotFoundError)
        assert not isinstance(found["999999"], OrderStatus)

    @rule()
    def close_and_open(self) -> None:
        """Close the client, try to use it, and make another."""
        self.run(self.client.aclose())
        order = self.next_order()
        outcome = self.run(told(self.client.add(order)))
        assert isinstance(outcome, ClosedError)
        self.note(order, outcome)
        self.client = self.run(client_of(self.panel))

    def script(self, scripts: list[tuple[Fault, bool | None]], action: str = "add") -> None:
        for fault, stored in scripts:
            options: dict[str, Any] = {} if stored is None else {"applied": stored}
            if fault is Fault.RATE_LIMIT:
                options["retry_after_s"] = 0
            self.panel.fail_next(fault, action=action, **options)

    @invariant()
    def nobody_was_told_a_lie(self) -> None:
        """Hold what callers were told against the books."""
        books = self.panel.orders
        stored = Counter(each.link for each in books.values())
        assert not stored or max(stored.values()) == 1
        for link, outcome in self.told.items():
            match outcome:
                case AddedOrder():
                    assert books[outcome.order].link == link
                case RefusedError() | NotSentError() | ClosedError():
                    assert stored[link] == 0
                case OutcomeUnknownError() | asyncio.CancelledError():
                    pass
                case _:
                    raise AssertionError(f"no way for an add to end: {outcome!r}")

    @invariant()
    def every_order_has_its_caller(self) -> None:
        """No order came from anywhere else."""
        assert {each.link for each in self.panel.orders.values()} <= set(self.told)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.client.aclose())
            self.run(self.panel.close())
            self.runner.close()


async def made() -> Sandbox:
    panel = Sandbox(speed=0, balance=Decimal(100_000))
    await panel.start()
    return panel


async def client_of(panel: Sandbox) -> Client:
    retry = RetryPolicy(max_attempts=2, base_delay_s=0.0)
    return Client(panel.api_key, base_url=panel.url, retry=retry, timeout_s=5.0)


async def told(call: Coroutine[Any, Any, Any]) -> object:
    try:
        return await call
    except PanelError as error:
        return error


async def cancelled_after(call: Coroutine[Any, Any, Any], turns: int) -> object:
    caller = asyncio.create_task(call)
    for _ in range(turns):
        await asyncio.sleep(0)
    caller.cancel()
    try:
        return await caller
    except (PanelError, asyncio.CancelledError) as error:
        return error


async def quiet(client: Client) -> None:
    """Let an order that is still on its way arrive."""
    while client._runner._order_tasks:
        await asyncio.wait(client._runner._order_tasks)


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
