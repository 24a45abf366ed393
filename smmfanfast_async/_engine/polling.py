"""One schedule of looks for everybody who waits for an order or watches some.

How this works. Each watched order has a moment of its next look; the nearest are on a heap. One
task sleeps until the first, takes with it what is due within `GATHER_S`, so that looks share
batches, and asks. Whoever watches an order gets its changes in a box of one change an order, where
a newer one takes the place of an older: a slow watcher holds nothing up and costs no memory. What
changed is reckoned for each watcher from what it took out of its box last, since they come at
different times. The task is there while anybody watches; whatever ends it ends their waiting too.
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
from .instrumentation import Instrumentation
from .policy import PollPolicy

__all__ = ["Poller", "Until"]

GATHER_S = 1.0
"""Seconds that a look may come early, to share a batch with others: a fifth of the shortest
interval."""

MAX_ROUND_IDS = 1000
"""Ids in one round of looks, ten full batches: whoever begins to watch waits for no longer one."""

MISSING_AFTER = 3
"""Looks in a row that must miss an order that was there before it counts as missing."""

HEAP_SPARE = 1000
"""Entries of the heap that may be stale beside one for each order that is watched."""

_MOVING = {Status.PROCESSING, Status.IN_PROGRESS, Status.ACTIVE}

Until = Callable[[OrderStatus], bool]
"""Says of a status whether it is what was waited for."""

Fetch = Callable[[list[str]], AsyncGenerator[tuple[str, OrderStatus | PanelError], None]]
"""Asks how some orders stand, and gives each answer as it comes."""


class _Watched:
    """An order that somebody watches."""

    __slots__ = ("due_s", "error", "last", "looked_at_s", "misses", "plan", "still_since_s",
                 "watchers")  # fmt: skip

    def __init__(self, now_s: float) -> None:
        self.last: OrderStatus | None = None
        self.error: PanelError | None = None
        self.misses = 0
        self.looked_at_s = now_s
        self.still_since_s = now_s
        self.due_s = now_s
        self.plan = 0
        """Number of the entry of the heap that counts; the others are stale."""
        self.watchers: dict[_Watcher, None] = {}


class _Watcher:
    """Somebody who watches: which orders still, and what they have not been told yet."""

    def __init__(self, orders: Iterable[str], until: Until | None, is_over: Until) -> None:
        self.open: dict[str, OrderStatus | None] = dict.fromkeys(orders)
        """The orders that are watched still, and how each stood when it was told last."""
        self.pending: dict[str, StatusChange] = {}
        self.failure: Exception | None = None
        self.changed = asyncio.Event()
        self._until = until
        self._is_over = is_over

    def tell(self, order: str, after: OrderStatus) -> bool:
        """Put what changed into the box; say whether the order is over for this watcher."""
        is_over = self._is_over(after)
        change = change_of(order, self.open[order], after, is_over=is_over)
        self.pending.pop(order, None)
        if change is None:
            return False
        self._put(change)
        if is_over or (self._until is not None and self._until(after)):
            del self.open[order]
        return order not in self.open

    def miss(self, order: str, error: PanelError) -> None:
        """Put into the box that an order is missing, with an error object of its own."""
        before = self.open.pop(order)
        self.pending.pop(order, None)
        self._put(
            StatusChange(
                order=order,
                kind=ChangeKind.MISSING,
                before=before,
                after=None,
                error=error.for_order(order),
            )
        )

    def _put(self, change: StatusChange) -> None:
        self.pending[change.order] = change
        self.changed.set()

    def take(self) -> StatusChange:
        """Take the oldest change out of the box."""
        change = self.pending.pop(next(iter(self.pending)))
        if change.order in self.open:
            self.open[change.order] = change.after
        return change

    def fail(self, error: Exception) -> None:
        """End the watching with an error."""
        self.failure = error
        self.changed.set()


class Poller:
    """Looks at orders for all watchers of a client. Belongs to one event loop."""

    def __init__(
        self,
        fetch: Fetch,
        policy: PollPolicy,
        rng: Callable[[], float],
        instrumentation: Instrumentation | None = None,
        is_over: Until = attrgetter("is_final"),
    ) -> None:
        self._fetch = fetch
        self._is_over = is_over
        self._policy = policy
        self._draw = rng
        self._teller = instrumentation or Instrumentation()
        self._tracked = 0
        self._orders: dict[str, _Watched] = {}
        self._schedule: list[tuple[float, int, str]] = []
        self._numbers = count()
        self._wakeup = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def watch(
        self, orders: Iterable[str], until: Until | None, timeout_s: float | None
    ) -> AsyncGenerator[StatusChange, None]:
        """Give the changes of some orders, until each is final, missing, or as `until` wants it.

        Raises `WaitTimeoutError` where one is still open after `timeout_s`, and what ends every
        look: `AuthenticationError`, `ClosedError`.
        """
        loop = asyncio.get_running_loop()
        deadline_s = None if timeout_s is None else loop.time() + timeout_s
        watcher = _Watcher(orders, until, self._is_over)
        try:
            self._subscribe(watcher)
            while watcher.pending or watcher.open:
                # As many as there are at first: what comes meanwhile must not hold up the timeout.
                for _ in range(len(watcher.pending)):
                    change = watcher.take()
                    self._tell_change(change)
                    yield change
                if watcher.failure is not None and not watcher.pending:
                    raise watcher.failure
                if watcher.open and watcher.failure is None:
                    await self._news(watcher, deadline_s, timeout_s)
        finally:
            self._unsubscribe(watcher)

    async def close(self) -> None:
        """End every watching with `ClosedError`."""
        self._fail_all(ClosedError("the client is closed"))
        self._task = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- watchers --------------------------------------------------------------------------------

    def _subscribe(self, watcher: _Watcher) -> None:
        now_s = asyncio.get_running_loop().time()
        for order in list(watcher.open):
            watched = self._orders.get(order)
            if watched is None:
                watched = self._orders[order] = _Watched(now_s)
                self._plan(order, watched, now_s)
            elif watched.last is not None or watched.error is not None:
                self._join_known(order, watched, watcher, now_s)
            if order in watcher.open:
                watched.watchers[watcher] = None
        self._wakeup.set()
        self._tell_number()
        if self._orders and self._task is None:
            # The looks are everybody's: not in the trace or log of whoever came first.
            self._task = asyncio.create_task(self._run(), context=Context())
            self._tasks.add(self._task)
            self._task.add_done_callback(self._tasks.discard)

    def _join_known(self, order: str, watched: _Watched, watcher: _Watcher, now_s: float) -> None:
        """Tell a new watcher what is known if it is fresh, else have it looked at now."""
        is_fresh = now_s - watched.looked_at_s < self._policy.min_interval_s
        if watched.last is not None and is_fresh:
            watcher.tell(order, watched.last)
        elif watched.due_s > now_s:
            self._plan(order, watched, now_s)

    def _unsubscribe(self, watcher: _Watcher) -> None:
        """Let a watcher go, and with it the orders that nobody else watches."""
        for order in watcher.open:
            self._leave(order, watcher)
        if not self._orders:
            self._schedule.clear()
            if self._task is not None:
                # What it asks for just now nobody wants any more.
                self._task.cancel()
                self._task = None
        self._tell_number()

    def _leave(self, order: str, watcher: _Watcher) -> None:
        watched = self._orders.get(order)
        if watched is not None:
            watched.watchers.pop(watcher, None)
            if not watched.watchers:
                del self._orders[order]

    async def _news(
        self, watcher: _Watcher, deadline_s: float | None, timeout_s: float | None
    ) -> None:
        now_s = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(deadline_s):
                await watcher.changed.wait()
        except TimeoutError:
            # What came in the same moment goes first; it may be the end.
            if not watcher.changed.is_set():
                raise self._timed_out(watcher, timeout_s) from None
        else:
            # News that waited already would hold the timeout up for ever.
            if deadline_s is not None and now_s >= deadline_s:
                raise self._timed_out(watcher, timeout_s)
        watcher.changed.clear()

    def _timed_out(self, watcher: _Watcher, timeout_s: float | None) -> WaitTimeoutError:
        order = next(iter(watcher.open))
        watched = self._orders[order]
        text = f"not final within {timeout_s:g} s"
        if len(watcher.open) > 1:
            text = f"{len(watcher.open)} orders not final within {timeout_s:g} s, the first is this"
        if watched.error is not None:
            text += f" (the last look failed: {watched.error})"
        return WaitTimeoutError(
            text, order=order, raw_status=watched.last.raw_status if watched.last else None
        )

    def _fail_all(self, error: Exception) -> None:
        watchers = dict.fromkeys(each for it in self._orders.values() for each in it.watchers)
        for watcher in watchers:
            twin = copy.copy(error)
            if isinstance(twin, PanelError):
                twin.order = next(iter(watcher.open))
            watcher.fail(twin)
        self._orders.clear()
        self._schedule.clear()
        self._tell_number()

    # --- what is told of -------------------------------------------------------------------------

    def _tell_change(self, change: StatusChange) -> None:
        if self._teller.hook is not None:
            before, after = change.before, change.after
            self._teller.emit(
                OrderChanged(
                    order=change.order,
                    kind=change.kind,
                    before=None if before is None else before.status,
                    after=None if after is None else after.status,
                )
            )

    def _tell_number(self) -> None:
        """Tell how many orders are watched, if it is another number than was told last."""
        if self._teller.hook is not None and self._tracked != len(self._orders):
            self._tracked = len(self._orders)
            self._teller.emit(OrdersTracked(order_count=self._tracked))

    # --- looks -----------------------------------------------------------------------------------

    def _plan(self, order: str, watched: _Watched, due_s: float) -> None:
        watched.due_s, watched.plan = due_s, next(self._numbers)
        heapq.heappush(self._schedule, (due_s, watched.plan, order))
        if len(self._schedule) > 2 * len(self._orders) + HEAP_SPARE:
            self._schedule = [entry for entry in self._schedule if self._counts(entry)]
            heapq.heapify(self._schedule)

    def _counts(self, entry: tuple[float, int, str]) -> bool:
        """Whether an entry of the heap is the one that its order was planned by last."""
        watched = self._orders.get(entry[2])
        return watched is not None and watched.plan == entry[1]

    async def _run(self) -> None:
        task = asyncio.current_task()
        try:
            while self._orders:
                due = self._due(asyncio.get_running_loop().time() + GATHER_S)
                if due:
                    await self._round(due)
                else:
                    await self._sleep()
        except Exception as error:  # noqa: BLE001  # a fault of ours: who waits is told of it
            self._fail_all(error)
        finally:
            # Else it was cancelled because nobody watches, and another may be at work.
            if self._task is task:
                self._task = None
                self._fail_all(ClosedError("the looks were ended"))

    async def _sleep(self) -> None:
        """Wait for the next look, or for somebody who may want one sooner."""
        self._wakeup.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._schedule[0][0]):
                await self._wakeup.wait()

    def _due(self, until_s: float) -> list[str]:
        """Take the orders whose look is due; an entry that was planned anew is stale."""
        due: list[str] = []
        while self._schedule and self._schedule[0][0] <= until_s and len(due) < MAX_ROUND_IDS:
            entry = heapq.heappop(self._schedule)
            if self._counts(entry):
                due.append(entry[2])
        return due

    async def _round(self, orders: list[str]) -> None:
        async with aclosing(self._fetch(orders)) as answers:
            async for order, result in answers:
                watched = self._orders.get(order)
                if watched is not None:
                    self._record_result(order, watched, result)
        self._tell_number()

    def _record_result(self, order: str, watched: _Watched, result: OrderStatus | PanelError) -> None:
        now_s = asyncio.get_running_loop().time()
        if isinstance(result, AuthenticationError):
            self._fail_all(result)
        elif isinstance(result, PanelError):
            self._missed(order, watched, result)
        else:
            watched.error, watched.misses, watched.looked_at_s = None, 0, now_s
            if result != watched.last:
                watched.last, watched.still_since_s = result, now_s
            for watcher in list(watched.watchers):
                self._tell(order, watcher, result)
        if order in self._orders:
            self._plan(order, watched, now_s + self._interval_s(watched, now_s))

    def _tell(self, order: str, watcher: _Watcher, status: OrderStatus) -> None:
        try:
            is_over = watcher.tell(order, status)
        except Exception as error:  # noqa: BLE001  # its own `until` raised: its own watching ends
            watcher.fail(error)
            self._unsubscribe(watcher)
        else:
            if is_over:
                self._leave(order, watcher)

    def _missed(self, order: str, watched: _Watched, error: PanelError) -> None:
        """Take note of a look without a status; an order that is not there is told as missing.

        An id that the panel never knew is missing at once; one that was there is looked for again,
        and what fails in another way says nothing about the order.
        """
        watched.error = error
        if error.kind is not ErrorKind.NOT_FOUND:
            return
        watched.misses += 1
        never_there = watched.last is None and isinstance(error, OrderNotFoundError)
        if never_there or watched.misses >= MISSING_AFTER:
            for watcher in list(watched.watchers):
                watcher.miss(order, error)
                self._leave(order, watcher)

    def _interval_s(self, watched: _Watched, now_s: float) -> float:
        is_moving = watched.last is not None and watched.last.status in _MOVING
        still_s = 0.0 if watched.misses else now_s - watched.still_since_s
        return self._policy.interval_s(still_s, self._draw(), is_moving=is_moving)
