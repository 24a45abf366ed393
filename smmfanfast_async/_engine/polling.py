"""A polling schedule shared by all `wait()` and `watch()` calls of a client.

How this works. Each watched order has a time of its next poll; a heap holds these times. One task
sleeps until the first, adds what is due within `BATCH_WINDOW_S`, so that polls share batches, and
fetches the statuses. Each subscription holds one pending change per order, and a newer change
replaces an older one: a slow consumer delays no other and costs no memory. A change is computed for
each subscription against the status that it consumed last, since subscriptions start at different
times. The task exists while there are subscriptions; whatever ends it ends them too.
"""

import asyncio
import copy
import heapq
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from contextvars import Context
from itertools import count
from operator import attrgetter

from ..changes import ChangeKind, StatusChange, change_of
from ..errors import (
    AuthenticationError,
    ClosedError,
    ErrorKind,
    OrderNotFoundError,
    PanelError,
    WaitTimeoutError,
)
from ..events import OrderChanged, OrdersTracked
from ..results import OrderStatus, Status
from .failed_batches import alone_interval_s
from .instrumentation import Instrumentation
from .policy import PollPolicy

__all__ = ["Poller", "Until"]

BATCH_WINDOW_S = 1.0
"""Seconds that a poll may be early, to share a batch with other orders: a fifth of the shortest
interval."""

MAX_ROUND_IDS = 1000
"""Ids in one round of polling, ten full batches: a new subscription waits for one round at most."""

MISSING_AFTER = 3
"""Consecutive polls that must not find a known order before it counts as missing."""

MAX_STALE_ENTRIES = 1000
"""Stale entries that the heap may hold, in addition to two entries for each watched order."""

_ACTIVE_STATUSES = {Status.PROCESSING, Status.IN_PROGRESS, Status.ACTIVE}

Until = Callable[[OrderStatus], bool]
"""Returns whether a status is the one that was waited for."""

Fetch = Callable[[list[str]], AsyncGenerator[tuple[str, OrderStatus | PanelError], None]]
"""Fetches the statuses of some orders and yields each result as it arrives."""


class _PolledOrder:
    """An order with at least one subscription."""

    __slots__ = ("alone_failures", "due_s", "entry_number", "error", "last", "miss_count",
                 "polled_at_s", "subscriptions", "unchanged_since_s")  # fmt: skip

    def __init__(self, now_s: float) -> None:
        self.last: OrderStatus | None = None
        self.error: PanelError | None = None
        self.miss_count = 0
        self.alone_failures = 0
        """Consecutive polls that failed for this order alone."""
        self.polled_at_s = now_s
        self.unchanged_since_s = now_s
        self.due_s = now_s
        self.entry_number = 0
        """Number of its current heap entry; entries with other numbers are stale."""
        self.subscriptions: dict[_Subscription, None] = {}


class _Subscription:
    """One `watch()` call: its open orders and the changes that it has not consumed yet."""

    def __init__(self, orders: Iterable[str], until: Until | None, is_final: Until) -> None:
        self.open: dict[str, OrderStatus | None] = dict.fromkeys(orders)
        """The orders still watched, each with the status that was consumed last."""
        self.pending: dict[str, StatusChange] = {}
        self.failure: BaseException | None = None
        self.changed = asyncio.Event()
        self._until = until
        self._is_final = is_final

    def record_status(self, order: str, after: OrderStatus) -> bool:
        """Add the change to the pending ones. Return whether this order is done."""
        is_final = self._is_final(after)
        change = change_of(order, self.open[order], after, is_final=is_final)
        self.pending.pop(order, None)
        if change is None:
            return False
        self._add_pending(change)
        if is_final or (self._until is not None and self._until(after)):
            del self.open[order]
        return order not in self.open

    def record_missing(self, order: str, error: PanelError) -> None:
        """Add to the pending changes that an order is missing, with a separate error object."""
        before = self.open.pop(order)
        self.pending.pop(order, None)
        self._add_pending(
            StatusChange(
                order=order,
                kind=ChangeKind.MISSING,
                before=before,
                after=None,
                error=error.for_order(order),
            )
        )

    def _add_pending(self, change: StatusChange) -> None:
        self.pending[change.order] = change
        self.changed.set()

    def pop_change(self, order: str) -> StatusChange | None:
        """Remove and return the pending change of an order; None if it was taken back."""
        change = self.pending.pop(order, None)
        if change is not None and order in self.open:
            self.open[order] = change.after
        return change

    def fail(self, error: BaseException) -> None:
        """End the subscription with an error."""
        self.failure = error
        self.changed.set()


class Poller:
    """Polls the watched orders of a client. Belongs to one event loop."""

    def __init__(
        self,
        fetch: Fetch,
        policy: PollPolicy,
        rng: Callable[[], float],
        instrumentation: Instrumentation | None = None,
        is_final: Until = attrgetter("is_final"),
    ) -> None:
        self._fetch = fetch
        self._is_final = is_final
        self._policy = policy
        self._rng = rng
        self._instrumentation = instrumentation or Instrumentation()
        self._reported_count = 0
        self._orders: dict[str, _PolledOrder] = {}
        self._schedule: list[tuple[float, int, str]] = []
        self._entry_numbers = count()
        self._wakeup = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def watch(
        self, orders: Iterable[str], until: Until | None, timeout_s: float | None
    ) -> AsyncGenerator[StatusChange, None]:
        """Yield the changes of some orders, until each is final, missing, or accepted by `until`.

        Raises `WaitTimeoutError` if one is still open after `timeout_s`, and the errors that end
        all polling: `AuthenticationError`, `ClosedError`.
        """
        loop = asyncio.get_running_loop()
        deadline_s = None if timeout_s is None else loop.time() + timeout_s
        subscription = _Subscription(orders, until, self._is_final)
        try:
            self._subscribe(subscription)
            while subscription.pending or subscription.open:
                # Only those pending at the start: changes that arrive meanwhile must not delay the
                # timeout. While the caller is busy with one, another may be taken back.
                for order in list(subscription.pending):
                    change = subscription.pop_change(order)
                    if change is not None:
                        self._emit_change(change)
                        yield change
                if subscription.failure is not None and not subscription.pending:
                    raise subscription.failure
                if subscription.open and subscription.failure is None:
                    await self._wait_for_change(subscription, deadline_s, timeout_s)
        finally:
            self._unsubscribe(subscription)

    async def close(self) -> None:
        """End all subscriptions with `ClosedError`."""
        self._fail_all(ClosedError("the client is closed"))
        self._task = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- subscriptions ---------------------------------------------------------------------------

    def _subscribe(self, subscription: _Subscription) -> None:
        now_s = asyncio.get_running_loop().time()
        for order in list(subscription.open):
            polled = self._orders.get(order)
            if polled is None:
                polled = self._orders[order] = _PolledOrder(now_s)
                self._schedule_poll(order, polled, now_s)
            elif polled.last is not None or polled.error is not None:
                self._deliver_known_status(order, polled, subscription, now_s)
            if order in subscription.open:
                polled.subscriptions[subscription] = None
        self._wakeup.set()
        self._emit_order_count()
        if self._orders and self._task is None:
            # An empty context: polling is shared, and must not appear in the trace or log of the
            # caller that subscribed first.
            self._task = asyncio.create_task(self._run(), context=Context())
            self._tasks.add(self._task)
            self._task.add_done_callback(self._tasks.discard)

    def _deliver_known_status(
        self, order: str, polled: _PolledOrder, subscription: _Subscription, now_s: float
    ) -> None:
        """Pass a fresh status to a new subscription; if it is not fresh, poll at once."""
        is_fresh = now_s - polled.polled_at_s < self._policy.min_interval_s
        if polled.last is not None and is_fresh:
            subscription.record_status(order, polled.last)
        elif polled.due_s > now_s:
            self._schedule_poll(order, polled, now_s)

    def _unsubscribe(self, subscription: _Subscription) -> None:
        """Remove a subscription, and the orders without any other."""
        for order in subscription.open:
            self._unsubscribe_order(order, subscription)
        if not self._orders:
            self._schedule.clear()
            if self._task is not None:
                # The result of a request in flight is not needed any more.
                self._task.cancel()
                self._task = None
        self._emit_order_count()

    def _unsubscribe_order(self, order: str, subscription: _Subscription) -> None:
        polled = self._orders.get(order)
        if polled is not None:
            polled.subscriptions.pop(subscription, None)
            if not polled.subscriptions:
                del self._orders[order]

    async def _wait_for_change(
        self, subscription: _Subscription, deadline_s: float | None, timeout_s: float | None
    ) -> None:
        now_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(deadline_s):
                await subscription.changed.wait()
        except TimeoutError:
            # A change that arrived at the same moment is delivered first; it may be the last one.
            if not subscription.changed.is_set():
                raise self._timeout_error(subscription, timeout_s) from None
        else:
            # Changes that were already pending must not delay the timeout for ever.
            if deadline_s is not None and now_s >= deadline_s:
                raise self._timeout_error(subscription, timeout_s)
        subscription.changed.clear()

    def _timeout_error(
        self, subscription: _Subscription, timeout_s: float | None
    ) -> WaitTimeoutError:
        # Nothing has run since an open order was seen.
        [order, *others] = subscription.open
        polled = self._orders[order]
        text = f"not final within {timeout_s:g} s"
        if others:
            text = f"{len(others) + 1} orders not final within {timeout_s:g} s, this is the first"
        if polled.error is not None:
            text += f" (the last poll failed: {polled.error})"
        return WaitTimeoutError(
            text, order=order, raw_status=polled.last.raw_status if polled.last else None
        )

    def _fail_all(self, error: Exception) -> None:
        subscriptions = dict.fromkeys(
            each for polled in self._orders.values() for each in polled.subscriptions
        )
        for subscription in subscriptions:
            copied = copy.copy(error)
            if isinstance(copied, PanelError):
                copied.order = next(iter(subscription.open), None)
            subscription.fail(copied)
        self._orders.clear()
        self._schedule.clear()
        self._emit_order_count()

    # --- events ----------------------------------------------------------------------------------

    def _emit_change(self, change: StatusChange) -> None:
        if self._instrumentation.hook is not None:
            before, after = change.before, change.after
            self._instrumentation.emit(
                OrderChanged(
                    order=change.order,
                    kind=change.kind,
                    before=None if before is None else before.status,
                    after=None if after is None else after.status,
                )
            )

    def _emit_order_count(self) -> None:
        """Emit the number of watched orders if it differs from the number emitted last."""
        if self._instrumentation.hook is not None and self._reported_count != len(self._orders):
            self._reported_count = len(self._orders)
            self._instrumentation.emit(OrdersTracked(order_count=self._reported_count))

    # --- polling ---------------------------------------------------------------------------------

    def _schedule_poll(self, order: str, polled: _PolledOrder, due_s: float) -> None:
        polled.due_s, polled.entry_number = due_s, next(self._entry_numbers)
        heapq.heappush(self._schedule, (due_s, polled.entry_number, order))
        if len(self._schedule) > 2 * len(self._orders) + MAX_STALE_ENTRIES:
            self._schedule = [entry for entry in self._schedule if self._is_current(entry)]
            heapq.heapify(self._schedule)

    def _is_current(self, entry: tuple[float, int, str]) -> bool:
        """Return whether a heap entry is the latest one of its order."""
        polled = self._orders.get(entry[2])
        return polled is not None and polled.entry_number == entry[1]

    async def _run(self) -> None:
        task = asyncio.current_task()
        try:
            while self._orders:
                due = self._pop_due(asyncio.get_running_loop().time() + BATCH_WINDOW_S)
                if due:
                    await self._poll(due)
                else:
                    await self._sleep()
        except Exception as error:  # noqa: BLE001  # a defect of ours: waiting callers must learn of it
            self._fail_all(error)
        finally:
            # Otherwise it was cancelled for lack of subscriptions, and another task may be running.
            if self._task is task:
                self._task = None
                self._fail_all(ClosedError("polling was cancelled"))

    async def _sleep(self) -> None:
        """Wait for the next poll, or for a new subscription that may need an earlier one."""
        self._wakeup.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._schedule[0][0]):
                await self._wakeup.wait()

    def _pop_due(self, until_s: float) -> list[str]:
        """Remove and return the orders that are due; stale entries are dropped."""
        due: list[str] = []
        while self._schedule and self._schedule[0][0] <= until_s and len(due) < MAX_ROUND_IDS:
            entry = heapq.heappop(self._schedule)
            if self._is_current(entry):
                due.append(entry[2])
        return due

    async def _poll(self, orders: list[str]) -> None:
        async with aclosing(self._fetch(orders)) as results:
            async for order, result in results:
                polled = self._orders.get(order)
                if polled is not None:
                    self._record_result(order, polled, result)
        self._emit_order_count()

    def _record_result(
        self, order: str, polled: _PolledOrder, result: OrderStatus | PanelError
    ) -> None:
        now_s = asyncio.get_running_loop().time()
        if isinstance(result, AuthenticationError) and not result.is_about_order:
            self._fail_all(result)
        elif isinstance(result, PanelError):
            self._record_error(order, polled, result)
        else:
            polled.error, polled.miss_count, polled.polled_at_s = None, 0, now_s
            polled.alone_failures = 0
            if result != polled.last:
                polled.last, polled.unchanged_since_s = result, now_s
            for subscription in list(polled.subscriptions):
                self._notify(order, subscription, result)
        if order in self._orders:
            self._schedule_poll(order, polled, now_s + self._interval_s(polled, now_s))

    def _notify(self, order: str, subscription: _Subscription, status: OrderStatus) -> None:
        try:
            is_done = subscription.record_status(order, status)
        # Its `until` raised: only this subscription ends. `CancelledError` too, since reading the
        # result of a cancelled task raises it: this task was not cancelled.
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
            subscription.fail(error)
            self._unsubscribe(subscription)
        else:
            if is_done:
                self._unsubscribe_order(order, subscription)

    def _record_error(self, order: str, polled: _PolledOrder, error: PanelError) -> None:
        """Record a poll without a status; an order that does not exist is reported as missing.

        An id that the panel never knew is missing at once; one that was known is polled again.
        Errors of other kinds say nothing about the order.
        """
        polled.error = error
        if error.kind is not ErrorKind.NOT_FOUND:
            polled.alone_failures += error.is_about_order
            return
        polled.miss_count += 1
        was_never_known = polled.last is None and isinstance(error, OrderNotFoundError)
        if was_never_known or polled.miss_count >= MISSING_AFTER:
            for subscription in list(polled.subscriptions):
                subscription.record_missing(order, error)
                self._unsubscribe_order(order, subscription)

    def _interval_s(self, polled: _PolledOrder, now_s: float) -> float:
        is_moving = polled.last is not None and polled.last.status in _ACTIVE_STATUSES
        still_s = 0.0 if polled.miss_count else now_s - polled.unchanged_since_s
        interval_s = self._policy.interval_s(still_s, self._rng(), is_moving=is_moving)
        return max(interval_s, alone_interval_s(polled.alone_failures))
