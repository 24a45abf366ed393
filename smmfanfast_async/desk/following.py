"""Checking all accepted orders until their status is final, by any number of desks.

How this works. Due orders are claimed from the journal, as many as fit into the status calls that
may be made at once; a claim hides them from other desks and expires by itself. The results of calls
are written in one statement, each order only if its claim is still valid, so that a desk that was
suspended cannot write late. A call that the panel answers for none of its orders, nor for another
order alone, is an outage and changes no order: the desk backs off, releases its claims, and their
orders become due again, for any desk, at about the end of the backoff. An order whose check fails
while the panel answers others is checked ever more seldom.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, cast

from attrs import Factory, define, field

from .._engine.failed_batches import MAX_ALONE_INTERVAL_S, FailedIds
from .._engine.limiter import Clock
from .._engine.policy import PollPolicy
from ..client import Client
from ..errors import (
    AuthenticationError,
    ClosedError,
    ErrorKind,
    JournalError,
    PanelError,
)
from ..journal import DEFAULT_PANEL, Claim, Entry, EntryState, Journal, Observation
from ..results import OrderStatus
from .backoff import Backoff, add_jitter
from .balances import read_balance
from .check_recorder import CheckedOrders, CheckRecorder
from .checking import IN_WORK, back_off, checking_client
from .child_orders import NO_COSTS, ChildCosts, ChildOrders
from .circuit_breaker import CircuitBreaker
from .health import HealthReports
from .rate_limit import MAX_WAIT_S, AccountRateLimit, Turn
from .rechecks import Rechecks
from .refill_checks import RefillChecks
from .send_tasks import key_rejection, made_progress
from .timing import Timing

__all__ = ["Follower", "first_error"]

RESCHEDULE_BATCH = 1000
"""Orders whose due time is corrected at a time: some milliseconds of database time."""

SEND_BATCH = 10
"""Orders that are taken from the journal to be sent at a time: more than there are slots, so that
one that waits for another desk does not delay all, and few, so that a caller's own order does not
wait behind many."""

CONFIRM_TIMEOUT_S = 10.0
"""Seconds for the `balance` call that confirms that the key is rejected."""

CLAIMED_CALLS = 10
"""Status calls for which orders are claimed in one transaction: a thousand orders take some tens of
milliseconds of database time, for which other desks wait on SQLite."""

QUICK_MISSES = 3
"""Consecutive checks that miss an order and are repeated soon: the panel may have been partly down.
An order that is still missing after that is checked as seldom as one that does not change."""

_LOG = logging.getLogger("smmfanfast_async")


@define(kw_only=True)
class Follower:
    """Follows the orders of one account at one panel.

    One of the followers of a desk, the first, also sends what is due and keeps the account.
    """

    client: Client
    journal: Journal
    rate_limit: AccountRateLimit
    poll: PollPolicy
    rng: Callable[[], float]
    send: Callable[[Entry], "asyncio.Task[Entry]"]
    """Sends an order, or joins the task that does."""
    on_events: Callable[[], None]
    """Called when there are new events."""
    breaker: CircuitBreaker
    reports: HealthReports
    rechecks: Rechecks
    settle: Callable[[], Coroutine[Any, Any, None]] | None
    """Settles unknown orders by the balance until cancelled; None to leave them to a person."""
    refill_checks: RefillChecks
    watch: Callable[[str], Coroutine[Any, Any, None]] | None = None
    """Watches the services of a panel until cancelled; None to watch none."""
    timing: Timing
    clock: Clock
    panel: str = DEFAULT_PANEL
    is_first: bool = True
    is_only: bool = True
    """Whether the desk has no other panel: then a rejected key, and an outage, concern all."""
    reschedule_batch: int = RESCHEDULE_BATCH
    wakeup: asyncio.Event = field(factory=asyncio.Event)
    """Set when something may be due sooner than was known."""
    closed: asyncio.Event = field(factory=asyncio.Event)
    """Set when the desk is closed."""
    backoff: Backoff = Factory(
        lambda self: Backoff(min_s=self.timing.min_backoff_s, max_s=self.timing.max_backoff_s),
        takes_self=True,
    )
    """Until when no status call is made, after calls that failed."""
    failed_orders: FailedIds = field(factory=FailedIds)
    """Orders whose checks fail while those of others are answered."""
    recorder: CheckRecorder = Factory(
        lambda self: CheckRecorder(journal=self.journal, on_events=self.on_events),
        takes_self=True,
    )
    _runs: int = 0
    _run_ended: asyncio.Event = field(factory=asyncio.Event)

    async def run(self) -> None:
        """Send, check and recover until cancelled.

        Raises `ClosedError` if the desk or the client is closed, and `AuthenticationError` if the
        panel rejects the key.
        """
        self._runs += 1
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._raise_when_closed())
                group.create_task(self._maintain())
                group.create_task(self.reports.run())
                if self.is_first:
                    group.create_task(self._send_due())
                    group.create_task(self.refill_checks.run())
                group.create_task(self._check_due())
                if self.watch is not None:
                    group.create_task(self.watch(self.panel))
                if self.settle is not None:
                    group.create_task(self.settle())
        except* (AuthenticationError, ClosedError) as errors:
            # One error, as from any other call, instead of the task group's exception group.
            raise first_error(errors) from None
        finally:
            self._runs -= 1
            self._run_ended.set()

    async def close(self, timeout_s: float) -> None:
        """End every `run` with `ClosedError`, and wait until they have ended."""
        self.closed.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._runs:
                    self._run_ended.clear()
                    await self._run_ended.wait()

    # --- sending and maintenance -----------------------------------------------------------------

    async def _maintain(self) -> None:
        while True:
            try:
                expired = await self.journal.expire_leases()
                expired_requests = await self.journal.expire_requests()
                if expired or expired_requests:
                    self.on_events()
                await self._reschedule_far_future()
                if self.rate_limit.calls_per_minute is None:
                    # With a rate limit, each reserved call comes after the pause anyway.
                    pause = await self.journal.reserve_call(timedelta(0), panel=self.panel)
                    self._back_off(pause.wait.total_seconds())
            except JournalError as error:
                _LOG.warning("%s", error)
            await self.clock.sleep(self.timing.maintenance_s)

    async def _reschedule_far_future(self) -> None:
        """Make orders due whose time is further ahead than this desk ever sets it.

        The clock was set back since. If another desk's `poll` sets times further ahead, those
        orders are checked more often than it would, which is harmless.
        """
        intervals_s = self.poll.min_interval_s, self.poll.max_interval_s, MAX_ALONE_INTERVAL_S
        max_s = 2 * max(*intervals_s, MAX_WAIT_S)
        ahead, batch = timedelta(seconds=max_s), self.reschedule_batch
        while (
            await self.journal.reschedule_far_future(batch, ahead=ahead, panel=self.panel) == batch
        ):
            self.wakeup.set()

    async def _raise_when_closed(self) -> None:
        await self.closed.wait()
        raise ClosedError("the desk was closed")

    async def _send_due(self) -> None:
        in_flight: set[asyncio.Task[Entry]] = set()
        while True:
            if self.is_only:
                await self._wait_for_backoff()
            try:
                due = await self.journal.due_to_send(SEND_BATCH)
            except JournalError as error:
                _LOG.warning("%s", error)
                due = []
            in_flight |= {self.send(entry) for entry in due}
            done: set[asyncio.Task[Entry]] = set()
            if in_flight:
                done, in_flight = await asyncio.wait(in_flight, timeout=self.timing.send_interval_s)
            progress = [made_progress(task) for task in done]
            rejected = next(filter(None, map(key_rejection, done)), None)
            if rejected is not None and self.is_only and await self._is_key_rejected():
                raise rejected
            if not any(progress):
                await self.clock.sleep(self.timing.send_interval_s)

    async def _is_key_rejected(self) -> bool:
        """Return whether `balance` confirms that the key is rejected; wait until that is known.

        The panel may refuse one order in the words of a rejected key. Meanwhile nothing more is
        sent: each order would be refused.
        """
        if "balance" not in self.client.profile.actions:
            return True
        while True:
            try:
                await read_balance(self.client, self.rate_limit, timeout_s=CONFIRM_TIMEOUT_S)
            except AuthenticationError:
                return True
            except ClosedError:
                raise
            except PanelError as error:
                _LOG.warning("it is not known yet whether the key is rejected: %s", error)
            else:
                return False
            await self.clock.sleep(self.timing.maintenance_s)

    # --- status checks ---------------------------------------------------------------------------

    async def _check_due(self) -> None:
        """Claim and check orders, with as many calls in flight as the panel's profile allows.

        While calls fail there is one at a time, for one order, without retries: that shows whether
        the panel is back, delays no other order, and cannot be misread.
        """
        usual, probing = (
            checking_client(self.client, self.rate_limit, is_single=is_single)
            for is_single in (False, True)
        )
        in_flight: set[asyncio.Task[None]] = set()
        checking: dict[str, Claim] = {}
        # Also for a check whose task is cancelled before it begins.
        async with self._release_on_error(checking.values()), asyncio.TaskGroup() as group:
            while True:
                await self._wait_for_backoff()
                free_calls = self._max_calls() - len(in_flight)
                if free_calls <= 0:
                    await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
                    continue
                size = 1 if self.backoff.failures else self.client.profile.ids_per_call
                claims, turn = await self._next_claims(size * min(free_calls, self._calls_at_once))
                if not claims:
                    await self._idle()
                    continue
                client = probing if size == 1 else usual
                by_order = {claim.entry.order_id(): claim for claim in claims}
                checking |= by_order
                for batch in _batches(by_order, size):
                    task = group.create_task(self._check(batch, client, checking, turn))
                    in_flight.add(task)
                    task.add_done_callback(in_flight.discard)

    def _max_calls(self) -> int:
        """Return how many status calls may be in flight."""
        return 1 if self.backoff.failures else self.client.profile.concurrency

    @property
    def _calls_at_once(self) -> int:
        """For how many calls orders are claimed at once: under a rate limit, each call waits."""
        return 1 if self.rate_limit.calls_per_minute is not None else CLAIMED_CALLS

    async def _next_claims(self, limit: int) -> tuple[list[Claim], Turn]:
        """Claim due orders and wait for their call's turn; no claims if that takes too long."""
        turn = Turn()
        try:
            claims = await self._claim(limit)
            async with self._release_on_error(claims):
                max_wait_s = self.timing.rate_limit_wait_s
                turn = await self.rate_limit.wait(max_wait_s) if claims else turn
        except JournalError as error:
            _LOG.warning("%s", error)
            return [], turn
        if turn.wait_s:
            # The claims would have expired during the wait.
            self._back_off(turn.wait_s)
            await self._release(claims, turn.wait_s)
            return [], turn
        return claims, turn

    async def _claim(self, limit: int) -> list[Claim]:
        """Claim due orders. If cancelled meanwhile, release whatever was claimed."""
        lease = timedelta(seconds=self.timing.claim_s)
        claiming = asyncio.ensure_future(self.journal.claim(limit, lease=lease, panel=self.panel))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with suppress(TimeoutError, JournalError):
                async with asyncio.timeout(self.timing.release_s):
                    await self._release(await claiming, 0.0)
            raise

    async def _idle(self) -> None:
        self.wakeup.clear()
        try:
            async with asyncio.timeout(self.timing.idle_s):
                await self.wakeup.wait()
        except TimeoutError:
            return

    async def _check(
        self, by_order: Mapping[str, Claim], client: Client, checking: dict[str, Claim], turn: Turn
    ) -> None:
        """Check some orders in one call, record the result, and remove them from `checking`."""
        started_s = self.clock.now_s()
        results = await client.statuses(by_order)
        errors: list[PanelError] = []
        if any(_is_order_result(each) for each in results.values()):
            self.backoff.on_success()
            await self.breaker.record(None)
            children = ChildOrders(rate_limit=self.rate_limit)
            costs = await children.find_costs(client, results)
            await self._record(by_order, results, costs)
        else:
            errors = [each for each in results.values() if isinstance(each, PanelError)]
            wait_s = await back_off(
                self.backoff, errors, self.rate_limit, started_s=started_s, clock=self.clock,
                rng=self.rng, left_out="status calls",
            )  # fmt: skip
            if not any(each.maybe_sent for each in errors):
                await self.rate_limit.give_back(turn)
            await self.breaker.record(errors[0])
            await self._release(by_order.values(), wait_s)
        for order in by_order:
            checking.pop(order, None)
        for error in errors:
            if isinstance(error, AuthenticationError):
                # About the key: the client has confirmed it.
                raise error

    async def _record(
        self,
        by_order: Mapping[str, Claim],
        results: Mapping[str, OrderStatus | PanelError],
        costs: Mapping[str, ChildCosts],
    ) -> None:
        """Record what a call returned; release the claims of orders without a result of their own.

        Both set when the order is checked next.
        """
        observations: list[Observation] = []
        unanswered: list[tuple[Claim, datetime | None]] = []
        try:
            now = await self.journal.now()
            for order, result in results.items():
                claim = by_order[order]
                due_at = self._due_at(claim, result, now)
                status = result if isinstance(result, OrderStatus) else None
                is_finished = claim.entry.state is EntryState.FINISHED
                is_final = status is not None and (status.is_final or self._is_final(status))
                recheck_at = (
                    self.rechecks.next_at(claim.entry, status, now)
                    if is_finished or is_final
                    else None
                )
                if _is_observation(result):
                    children = costs.get(order, NO_COSTS)
                    observations.append(Observation(
                        claim=claim, status=status, due_at=due_at, recheck_at=recheck_at,
                        is_final=is_final, charge=children.charge, currency=children.currency,
                        has_open_orders=children.are_open,
                    ))  # fmt: skip
                else:
                    unanswered.append((claim, recheck_at if is_finished else due_at))
        except JournalError as error:
            _LOG.warning("%s", error)
        else:
            await self.recorder.record(CheckedOrders(observations, unanswered))

    def _is_final(self, status: OrderStatus) -> bool:
        return self.client.profile.is_final_status(status.raw_status)

    @asynccontextmanager
    async def _release_on_error(self, claims: Collection[Claim]) -> AsyncGenerator[None, None]:
        """Release claims, as they are by then, at once if the body is cancelled or fails.

        The next follower can claim them at once instead of waiting for them to expire.
        """
        try:
            yield
        except BaseException:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.timing.release_s):
                    await self._release(claims, 0.0)
            raise

    async def _release(self, claims: Collection[Claim], wait_s: float) -> None:
        """Make claimed orders due again after a wait, each lengthened at random."""
        try:
            now = await self.journal.now()
            waits_s = [add_jitter(wait_s, self.rng()) for _ in claims]
            due = [now + timedelta(seconds=each) for each in waits_s]
            await self.journal.release(list(zip(claims, due, strict=True)))
        except JournalError as error:
            # They are due again once the claims expire.
            _LOG.warning("%s", error)

    def _due_at(self, claim: Claim, result: OrderStatus | PanelError, now: datetime) -> datetime:
        entry = claim.entry
        is_moving = isinstance(result, OrderStatus) and result.status in IN_WORK
        has_changed = isinstance(result, OrderStatus) and result.raw_status != entry.raw_status
        changed_at = entry.changed_at or entry.created_at
        is_fresh = has_changed or 0 < entry.miss_count < QUICK_MISSES
        unchanged_s = 0.0 if is_fresh else (now - changed_at).total_seconds()
        interval_s = self.poll.interval_s(unchanged_s, self.rng(), is_moving=is_moving)
        interval_s = max(interval_s, self._failed_interval_s(entry.order_id(), result))
        return now + timedelta(seconds=interval_s)

    def _failed_interval_s(self, order: str, result: OrderStatus | PanelError) -> float:
        """Return the seconds between checks of an order that fail for it alone; 0 for others."""
        if _is_observation(result):
            self.failed_orders.on_success([order])
            return 0.0
        if isinstance(result, PanelError) and result.is_about_order:
            self.failed_orders.on_failure(order, self.clock.now_s())
        return self.failed_orders.interval_s(order)

    def _back_off(self, wait_s: float) -> None:
        self.backoff.pause(wait_s, self.clock.now_s(), self.rng())

    async def _wait_for_backoff(self) -> None:
        while True:
            # Read again after each sleep: a call that was in flight may have failed meanwhile.
            wait_s = self.backoff.remaining_s(self.clock.now_s())
            if wait_s == 0:
                return
            await self.clock.sleep(wait_s)


def _batches(by_order: Mapping[str, Claim], size: int) -> Iterator[dict[str, Claim]]:
    """Return claims in batches of up to `size`."""
    orders = iter(by_order.items())
    while batch := dict(islice(orders, size)):
        yield batch


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group that may contain groups."""
    error = errors.exceptions[0]
    while isinstance(error, BaseExceptionGroup):
        # isinstance does not tell a type checker what a nested group contains.
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return error


def _is_order_result(result: OrderStatus | PanelError) -> bool:
    """Return whether a result is about this order, not about the call."""
    return _is_observation(result) or (isinstance(result, PanelError) and result.is_about_order)


def _is_observation(result: OrderStatus | PanelError) -> bool:
    """Return whether a result says something of this order: its status, or that it is missing."""
    return isinstance(result, OrderStatus) or result.kind is ErrorKind.NOT_FOUND
