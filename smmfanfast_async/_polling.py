"""One schedule of looks for everybody who waits for an order or watches some.

How this works. Each watched order has a moment of its next look; the nearest are on a heap. One
task sleeps until the first, takes with it what is due within `GATHER_S`, so that looks share
batches, and asks. Whoever watches an order gets its changes in a box of one change an order, where
a newer one takes the place of an older: a slow watcher holds nothing up and costs no memory. The
task is there while anybody watches.
"""

import asyncio
import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import suppress
from itertools import count

import attrs

from ._policy import PollPolicy
from .changes import ChangeKind, StatusChange, change_of
from .errors import (
    AuthError,
    ClosedError,
    ErrorKind,
    OrderNotFoundError,
    PanelError,
    WaitTimeoutError,
)
from .results import OrderStatus, Status

__all__ = ["Poller", "Until"]

GATHER_S = 1.0
"""Seconds that a look may come early, to share a batch with others: a fifth of the shortest
interval."""

ROUND_IDS = 1000
"""Ids in one round of looks, ten full batches: whoever begins to watch waits for no longer one."""

MISSES = 3
"""Looks in a row that must miss an order that was there before it counts as missing."""

_MOVING = {Status.PROCESSING, Status.IN_PROGRESS, Status.ACTIVE}

Until = Callable[[OrderStatus], bool]
"""Says of a status whether it is what was waited for."""

Look = Callable[[list[str]], AsyncIterator[tuple[str, OrderStatus | PanelError]]]
"""Asks how some orders stand, and gives each answer as it comes."""


class _Watched:
    """An order that somebody watches."""

    __slots__ = ("due_s", "error", "last", "looked_at_s", "misses", "still_since_s", "watchers")

    def __init__(self, now_s: float) -> None:
        self.last: OrderStatus | None = None
        self.error: PanelError | None = None
        self.misses = 0
        self.looked_at_s: float | None = None
        self.still_since_s = now_s
        self.due_s = now_s
        self.watchers: dict[_Watcher, None] = {}


class _Watcher:
    """Somebody who watches: which orders still, and what they have not been told yet."""

    def __init__(self, orders: Iterable[str], until: Until | None) -> None:
        self.open = dict.fromkeys(orders)
        self.box: dict[str, StatusChange] = {}
        self.failure: PanelError | None = None
        self.news = asyncio.Event()
        self._until = until

    def tell(self, change: StatusChange) -> bool:
        """Put a change into the box; say whether the order is over for this watcher."""
        older = self.box.pop(change.order, None)
        if older is not None:
            change = attrs.evolve(change, before=older.before)
        self.box[change.order] = change
        self.news.set()
        after = change.after
        is_over = after is None or after.is_final or self._is_enough(after)
        if is_over:
            self.open.pop(change.order, None)
        return is_over

    def _is_enough(self, status: OrderStatus) -> bool:
        return self._until is not None and self._until(status)

    def fail(self, error: PanelError) -> None:
        """End the watching with an error."""
        self.failure = error
        self.news.set()


class Poller:
    """Looks at orders for all watchers of a client. Belongs to one event loop."""

    def __init__(self, look: Look, policy: PollPolicy, draw: Callable[[], float]) -> None:
        self._look = look
        self._policy = policy
        self._draw = draw
        self._watched: dict[str, _Watched] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._numbers = count()
        self._sooner = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def watch(
        self, orders: Iterable[str], until: Until | None, timeout_s: float | None
    ) -> AsyncGenerator[StatusChange, None]:
        """Give the changes of some orders, until each is final, missing, or as `until` wants it.

        Raises `WaitTimeoutError` where one is still open after `timeout_s`, and what ends every
        look: `AuthError`, `ClosedError`.
        """
        loop = asyncio.get_running_loop()
        deadline_s = None if timeout_s is None else loop.time() + timeout_s
        watcher = _Watcher(orders, until)
        try:
            self._join(watcher)
            while watcher.box or watcher.open:
                while watcher.box:
                    yield watcher.box.pop(next(iter(watcher.box)))
                if watcher.failure is not None:
                    raise watcher.failure
                if watcher.open:
                    await self._news(watcher, deadline_s, timeout_s)
        finally:
            self._part(watcher)

    async def close(self) -> None:
        """End every watching with `ClosedError`."""
        self._fail_all(ClosedError("the client is closed"))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- watchers --------------------------------------------------------------------------------

    def _join(self, watcher: _Watcher) -> None:
        now_s = asyncio.get_running_loop().time()
        for order in list(watcher.open):
            watched = self._watched.get(order)
            if watched is None:
                watched = self._watched[order] = _Watched(now_s)
                self._plan(order, watched, now_s)
            elif watched.last is not None:
                self._join_known(order, watched, watcher, now_s)
            if order in watcher.open:
                watched.watchers[watcher] = None
        self._sooner.set()
        if self._watched and self._task is None:
            self._task = asyncio.create_task(self._run())
            self._tasks.add(self._task)
            self._task.add_done_callback(self._tasks.discard)

    def _join_known(self, order: str, watched: _Watched, watcher: _Watcher, now_s: float) -> None:
        """Tell a new watcher what is known if it is fresh, else have it looked at now."""
        fresh = now_s - (watched.looked_at_s or now_s) < self._policy.least_s
        change = change_of(order, None, watched.last) if fresh and watched.last else None
        if change is not None:
            watcher.tell(change)
        elif watched.due_s > now_s:
            self._plan(order, watched, now_s)

    def _part(self, watcher: _Watcher) -> None:
        """Let a watcher go, and with it the orders that nobody else watches."""
        for order in watcher.open:
            self._leave(order, watcher)
        if not self._watched and self._task is not None:
            # What it asks for just now nobody wants any more.
            self._task.cancel()
            self._task = None

    def _leave(self, order: str, watcher: _Watcher) -> None:
        watched = self._watched.get(order)
        if watched is not None:
            watched.watchers.pop(watcher, None)
            if not watched.watchers:
                del self._watched[order]

    async def _news(
        self, watcher: _Watcher, deadline_s: float | None, timeout_s: float | None
    ) -> None:
        try:
            async with asyncio.timeout_at(deadline_s):
                await watcher.news.wait()
        except TimeoutError:
            raise self._timed_out(watcher, timeout_s) from None
        watcher.news.clear()

    def _timed_out(self, watcher: _Watcher, timeout_s: float | None) -> WaitTimeoutError:
        order = next(iter(watcher.open))
        watched = self._watched[order]
        text = f"not final within {timeout_s:g} s"
        if len(watcher.open) > 1:
            text = f"{len(watcher.open)} orders not final within {timeout_s:g} s, the first is this"
        if watched.error is not None:
            text += f" (the last look failed: {watched.error})"
        return WaitTimeoutError(text, order, watched.last.raw_status if watched.last else None)

    def _fail_all(self, error: PanelError) -> None:
        watchers = dict.fromkeys(each for it in self._watched.values() for each in it.watchers)
        for watcher in watchers:
            watcher.fail(error.about(next(iter(watcher.open))))
        self._watched.clear()
        self._heap.clear()

    # --- looks -----------------------------------------------------------------------------------

    def _plan(self, order: str, watched: _Watched, due_s: float) -> None:
        watched.due_s = due_s
        heapq.heappush(self._heap, (due_s, next(self._numbers), order))

    async def _run(self) -> None:
        while self._watched:
            due = self._due(asyncio.get_running_loop().time() + GATHER_S)
            if due:
                await self._round(due)
            else:
                await self._sleep()
        self._task = None

    async def _sleep(self) -> None:
        """Wait for the next look, or for somebody who may want one sooner."""
        self._sooner.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._heap[0][0]):
                await self._sooner.wait()

    def _due(self, until_s: float) -> list[str]:
        """Take the orders whose look is due; an entry that was planned anew is stale."""
        due: list[str] = []
        while self._heap and self._heap[0][0] <= until_s and len(due) < ROUND_IDS:
            due_s, _, order = heapq.heappop(self._heap)
            watched = self._watched.get(order)
            if watched is not None and watched.due_s == due_s:
                due.append(order)
        return due

    async def _round(self, orders: list[str]) -> None:
        try:
            async for order, result in self._look(orders):
                watched = self._watched.get(order)
                if watched is not None:
                    self._seen(order, watched, result)
        except PanelError as error:
            self._fail_all(error)

    def _seen(self, order: str, watched: _Watched, result: OrderStatus | PanelError) -> None:
        now_s = asyncio.get_running_loop().time()
        if isinstance(result, AuthError):
            self._fail_all(result)
        elif isinstance(result, PanelError):
            self._missed(order, watched, result)
        else:
            watched.error, watched.misses, watched.looked_at_s = None, 0, now_s
            change = change_of(order, watched.last, result)
            watched.last = result
            if change is not None:
                watched.still_since_s = now_s
                self._tell(order, watched, change)
        if order in self._watched:
            self._plan(order, watched, now_s + self._interval_s(watched, now_s))

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
        if never_there or watched.misses >= MISSES:
            kind = ChangeKind.MISSING
            change = StatusChange(
                order=order, kind=kind, before=watched.last, after=None, error=error
            )
            self._tell(order, watched, change)

    def _tell(self, order: str, watched: _Watched, change: StatusChange) -> None:
        for watcher in list(watched.watchers):
            if watcher.tell(change):
                self._leave(order, watcher)

    def _interval_s(self, watched: _Watched, now_s: float) -> float:
        is_moving = watched.last is not None and watched.last.status in _MOVING
        still_s = 0.0 if watched.misses else now_s - watched.still_since_s
        return self._policy.interval_s(still_s, self._draw(), is_moving=is_moving)
