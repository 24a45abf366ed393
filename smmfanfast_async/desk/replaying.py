"""Settling an unknown order by sending it once more, if that was asked for (`settle_by_replay`).

How this works. It is a part of the attempt that was answered with an error, before its outcome is
recorded: the entry stays SENDING, under the lease and in the slot that it has. After a wait the
order is sent a second time, at most once. The last look at the journal, at the circuit and at the
desk comes in the moment in which a request slot is free, as for every attempt. `replay_rules` has
the rules, and says why there is one order.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from attrs import define, frozen

from .._engine.limiter import Clock
from .._engine.policy import RetryPolicy
from .._wire.encode import Form
from ..client import Client
from ..errors import JournalError, OutcomeUnknownError, PanelError
from ..journal import Entry, Journal, Outcome
from ..results import AddedOrder
from .circuit_breaker import CircuitBreaker
from .outcomes import PROVED_NOT_PLACED
from .rate_limit import AccountRateLimit
from .replay_rules import (
    MAX_SAME_LINK,
    REPLAY_MARGIN_S,
    Plan,
    accept,
    find_obstacle,
    make_plan,
    may_replay,
    note_answer,
)
from .timing import Timing

__all__ = ["Replayer"]

CLOSED_POLL_S = 1.0
"""Seconds between two looks whether the desk was closed, while a second call waits: a desk that
closes gives orders in flight 15 s, in which the outcome of the first call can be recorded."""

RATE_WAIT_S = 10.0
"""Seconds for which a second call waits for the account's rate limit, for the same reason."""

_LOG = logging.getLogger("smmfanfast_async")


class _ObstacleError(Exception):
    """The second call is not made, for the reason that this says."""

    maybe_sent = False


@define
class _Call:
    """The second call of an attempt."""

    permitted_s: float | None = None
    """When it was permitted to leave, by the desk's clock; None before that: nothing was sent."""
    is_cancelled: bool = False
    """Whether its task was cancelled: it must not leave any more."""


@frozen(kw_only=True)
class Replayer:
    """Settles the unknown orders of one account at one panel that repeats orders."""

    client: Client
    journal: Journal
    rate_limit: AccountRateLimit
    breaker: CircuitBreaker
    panel: str
    window_s: float
    """`Profile.replay_window_s`."""
    check_open: Callable[[], None]
    """Raises `ClosedError` if the desk is not open."""
    timing: Timing
    clock: Clock
    """Must be the clock of the client."""

    async def settle(
        self, unknown: Outcome, error: PanelError, entry: Entry, form: Form, started_s: float
    ) -> tuple[Outcome, PanelError | None]:
        """Return the outcome of an attempt, and the error of its last call, None for an order.

        It is `unknown` with `error`, those of the first call, if there is no second one. `entry` is
        what the attempt started with, at `started_s`.
        """
        if not may_replay(unknown, entry):
            return unknown, error
        # The attempt has to be over long before its lease is.
        window_s = min(self.window_s, self.timing.lease_s / 2)
        plan = make_plan(started_s, self.clock.now_s(), window_s)
        if plan is None:
            _LOG.info("%r is not sent once more: too little of the window is left", entry.ref)
            return unknown, error
        call = _Call()
        try:
            added = await self._send(plan, call, entry, form)
        except (_ObstacleError, *PROVED_NOT_PLACED) as reason:
            _LOG.info("%r is not settled by sending it once more: %s", entry.ref, reason)
            await self.rate_limit.pause_after(reason)
            return unknown, error
        except PanelError as failure:
            if call.permitted_s is None:
                _LOG.warning("%r is not settled by sending it once more: %s", entry.ref, failure)
                return unknown, error
            return note_answer(unknown, failure, _describe(failure), failure.order), failure
        assert call.permitted_s is not None, "it was answered"  # noqa: S101
        outcome = accept(
            unknown, added.order, plan=plan, answered_s=self.clock.now_s(),
            after_s=call.permitted_s - started_s,
        )  # fmt: skip
        obstacle = await self._find_obstacle_after(entry)
        if obstacle is not None:
            text = f"order {added.order}, and {obstacle}"
            outcome = note_answer(unknown, None, text, added.order)
        if outcome.state is not unknown.state:
            _LOG.info("%r is accepted: %s", entry.ref, outcome.reason)
        return outcome, None

    async def _send(self, plan: Plan, call: _Call, entry: Entry, form: Form) -> AddedOrder:
        """Send the order when its time has come."""
        await self._wait_until(plan.send_at_s)
        once = self.client.with_options(retry=RetryPolicy(max_attempts=1))
        left_s = max(plan.write_by_s - self.clock.now_s(), 0.0)
        async with self.rate_limit.turn(min(left_s, RATE_WAIT_S)) as turn:
            if turn.wait_s:
                raise _ObstacleError("the rate limit leaves no call free in time")
            try:
                return await once.send_form(
                    form,
                    before=lambda: self._permit(plan, call, entry),
                    # The client takes its time from another clock: it has as long as the plan.
                    wait_s=max(plan.end_s - self.clock.now_s(), 0.0),
                    timeout_s=REPLAY_MARGIN_S,
                )
            except asyncio.CancelledError:
                call.is_cancelled = True
                _LOG.warning("%r is sent once more, and the desk was closed meanwhile", entry.ref)
                raise

    async def _wait_until(self, at_s: float) -> None:
        while (left_s := at_s - self.clock.now_s()) > 0:
            self.check_open()
            await self.clock.sleep(min(left_s, CLOSED_POLL_S))

    async def _permit(self, plan: Plan, call: _Call, entry: Entry) -> float:
        """Return the moment after which no byte may leave, or raise why none may."""
        self.check_open()
        current = await self.journal.find(entry.ref)
        obstacle = find_obstacle(entry, current, await self._read_others(entry), self.panel)
        if obstacle is None and not await self.breaker.is_closed():
            obstacle = "orders wait for the panel"
        if call.is_cancelled:
            obstacle = "the desk was closed"
        if obstacle is not None:
            raise _ObstacleError(obstacle)
        call.permitted_s = self.clock.now_s()
        return plan.write_by_s

    async def _find_obstacle_after(self, entry: Entry) -> str | None:
        """Return why an id that came is perhaps that of another order; None if it is not."""
        try:
            return find_obstacle(entry, entry, await self._read_others(entry), self.panel)
        except JournalError as error:
            return f"the journal cannot say whether it is that of another one: {error}"

    async def _read_others(self, entry: Entry) -> Sequence[Entry]:
        # An entry that is SENDING has a time of sending.
        assert entry.sent_at is not None  # noqa: S101
        since = entry.sent_at - timedelta(seconds=self.window_s)
        return await self.journal.same_link(entry, since=since, limit=MAX_SAME_LINK + 1)


def _describe(error: PanelError) -> str:
    excerpt = error.excerpt if isinstance(error, OutcomeUnknownError) else ""
    return f"{error.text}: {excerpt}" if excerpt else error.text or error.kind.value
