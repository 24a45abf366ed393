"""Coalesce concurrent single-key requests into batches. Knows nothing of HTTP or orders.

How this works. `Coalescer` is for many callers that have one key each and do not know of each
other; a caller that has all keys uses `streaming`. A key waits in the queue of its group until a
batch is started with it:

- a batch starts when it is full and a slot is free;
- if no batch is in flight, it starts on the next tick of the event loop, so that a lone caller
  loses no time; if one is in flight, it stays open for `delay_s`, so that a trickle of callers
  does not use one slot each;
- if no slot is free, keys keep accumulating, and the next batch starts when a fetch ends.

A second caller with a key that is still waiting joins it; one whose key is already in flight gets a
new request, since the answer in flight may be older than the call. Nothing is fetched without a
waiter: a caller that is cancelled or times out removes its key, and the last waiter of a batch
cancels the fetch. All deadlines share one timer, since a timer for each caller would cost as much
as the rest of the work.

A batch runs in the context of its first key's first caller, whose span and log fields it belongs
to, or in an empty one if that key was removed; what is shared (timers, and the end of a batch,
which starts the next one) runs in an empty one. Only keys that will probably be the first of a
batch keep their context: copying that of each caller would cost a tenth of a call.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextvars import Context, copy_context
from typing import Generic, TypeVar

from .waiters import Waiters, mark_retrieved

__all__ = ["BatchCancelledError", "Coalescer"]

DELAY_S = 0.002
"""Seconds that a batch stays open while others are in flight: a trickle of 5,000 calls a second
fills ten keys in that time, and it is short compared with any round trip over the internet."""

MAX_DELAY_S = 0.05
"""The longest delay that may be configured, in seconds: people notice a longer one."""

EXPIRY_RESOLUTION_S = 0.05
"""Deadlines are checked at most this often, so a timeout may be reported that much later."""

K = TypeVar("K")
G = TypeVar("G", bound=Hashable)
R = TypeVar("R")


class BatchCancelledError(Exception):
    """The batch of a key ended without an answer; `was_sent` tells whether it was in flight."""

    def __init__(self, was_sent: bool) -> None:  # noqa: FBT001  # by position, for copies
        super().__init__(was_sent)
        self.was_sent = was_sent


class _Batch(Generic[K, G, R]):
    """A batch in flight."""

    __slots__ = ("group", "task", "waiters")

    task: asyncio.Task[Mapping[K, R | Exception]]
    """Set as soon as it is created."""

    def __init__(self, waiters: Waiters[K, R], group: G) -> None:
        self.waiters = waiters
        self.group = group


Fetch = Callable[[list[K], G, float], Awaitable[Mapping[K, R | Exception]]]
"""Takes keys, their group, and the seconds until the last deadline of their waiters; returns for
each key a result, or an exception for its waiters. What it raises is raised to all of them."""


MapError = Callable[[K, TimeoutError | BatchCancelledError, float], Exception]
"""Takes a key, its error and its timeout in seconds; returns the error to raise instead. It is
called inside `load`, since one more coroutine for each caller would cost a tenth of a call."""


class Coalescer(Generic[K, G, R]):
    """Turns many awaits of one key each into few fetches of many keys.

    At most `concurrency` batches of at most `size` keys are in flight. Keys of different groups
    never share a batch; within a group keys are sent in the order of arrival, and groups take
    turns. It works on one event loop at a time, and on another one as soon as nothing is left on
    the last.
    """

    def __init__(
        self,
        fetch: Fetch[K, G, R],
        *,
        size: int,
        concurrency: int,
        delay_s: float = DELAY_S,
        map_error: MapError[K] | None = None,
    ) -> None:
        self._fetch = fetch
        self._map_error = map_error
        self._size = size
        self._first = 1 % size
        """The number of waiting keys, modulo `size`, with the first key of a batch."""
        self._concurrency = concurrency
        self._delay_s = min(delay_s, MAX_DELAY_S)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._groups: dict[G, Waiters[K, R]] = {}
        # A dict instead of a set: batches end in the order they started, in every run alike.
        self._batches: dict[_Batch[K, G, R], None] = {}
        self._send_handle: asyncio.Handle | None = None
        self._deadline_timer: asyncio.TimerHandle | None = None

    async def load(self, key: K, *, timeout_s: float, group: G) -> R:
        """Return the result of one key.

        Raises the exception that the fetch returned or raised for it (a separate object for each
        caller), `TimeoutError` after `timeout_s`, `BatchCancelledError` if its batch was cancelled
        or the coalescer closed (`map_error` may replace these two), and `RuntimeError` if keys are
        still waiting on another event loop.
        """
        future = self.enqueue(key, timeout_s=timeout_s, group=group)
        try:
            return await future
        except BaseException as error:
            self.on_error(error, future, key, group, timeout_s)
            raise

    def enqueue(self, key: K, *, timeout_s: float, group: G) -> asyncio.Future[R]:
        """Add a waiter. The caller awaits its future, as `load` does, and reports any error.

        `load` is one more coroutine. With thousands of callers that costs a tenth of a call.
        """
        loop = self._loop
        if loop is None or loop is not asyncio.get_running_loop():
            loop = self._bind_loop()
        future: asyncio.Future[R] = loop.create_future()
        deadline_s = loop.time() + timeout_s
        waiting = self._groups.get(group)
        if waiting is None:
            waiting = self._groups[group] = Waiters()
        if key in waiting.futures:
            waiting.join(key, future, deadline_s)
        else:
            waiting.futures[key], waiting.deadlines_s[key] = future, deadline_s
            count = len(waiting.futures)
            if count % self._size == self._first:
                waiting.contexts[key] = copy_context()
            # Without a free slot it waits. If sending is scheduled, only a full batch needs more.
            if len(self._batches) < self._concurrency and (
                self._send_handle is None or count >= self._size
            ):
                self._on_new_key(group, count)
        if self._deadline_timer is None or deadline_s < self._deadline_timer.when():
            self._set_deadline_timer(deadline_s)
        return future

    def on_error(
        self, error: BaseException, future: asyncio.Future[R], key: K, group: G, timeout_s: float
    ) -> None:
        """Remove a waiter that was cancelled; raise the error that replaces one of the coalescer.

        The caller raises any other error again.
        """
        if isinstance(error, asyncio.CancelledError):
            mark_retrieved(future)
            self._remove_waiter(key, future, group)
        elif isinstance(error, TimeoutError | BatchCancelledError) and self._map_error is not None:
            raise self._map_error(key, error, timeout_s) from error

    def close(self) -> None:
        """End all waiting with `BatchCancelledError` and cancel the batches in flight."""
        if self._loop is not None and self._loop.is_closed():
            self._reset()
        groups, self._groups = self._groups, {}
        for waiting in groups.values():
            waiting.fail(BatchCancelledError(was_sent=False))
        for batch in self._batches:
            batch.waiters.fail(BatchCancelledError(was_sent=True))
            batch.task.cancel()
        self._cancel_timers()

    async def wait_closed(self) -> None:
        """Await the end of the fetches that `close` cancelled."""
        tasks = [batch.task for batch in self._batches]
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- waiting ---------------------------------------------------------------------------------

    def _bind_loop(self) -> asyncio.AbstractEventLoop:
        """Bind to the running loop, unless keys are still waiting on another one."""
        loop = asyncio.get_running_loop()
        if self._loop is not None:
            if (self._groups or self._batches) and not self._loop.is_closed():
                raise RuntimeError("keys are still waiting on another event loop")
            self._reset()
        self._loop = loop
        return loop

    def _reset(self) -> None:
        """Drop what a closed loop left behind: it cannot be cancelled any more."""
        self._groups, self._batches = {}, {}
        self._cancel_timers()

    def _cancel_timers(self) -> None:
        for handle in (self._deadline_timer, self._send_handle):
            if handle is not None:
                handle.cancel()
        self._deadline_timer = self._send_handle = None

    def _on_new_key(self, group: G, count: int) -> None:
        """Start the batch of a new key if it is full, else schedule it; a slot is free."""
        if count >= self._size:
            self._start_batch(group)
        else:
            self._schedule_sending()

    def _schedule_sending(self) -> None:
        loop = asyncio.get_running_loop()
        if self._batches and self._delay_s > 0:
            self._send_handle = loop.call_later(
                self._delay_s, self._send_waiting, context=Context()
            )
        else:
            self._send_handle = loop.call_soon(self._send_waiting, context=Context())

    def _remove_waiter(self, key: K, future: asyncio.Future[R], group: G) -> None:
        """Remove a waiter, and its key or batch if it was the last one."""
        waiting = self._groups.get(group)
        if waiting is not None and waiting.remove(key, future):
            self._drop_if_empty(group, waiting)
            return
        for batch in self._batches:
            if batch.group == group and batch.waiters.remove(key, future):
                self._cancel_if_empty(batch)
                return

    def _drop_if_empty(self, group: G, waiting: Waiters[K, R]) -> None:
        if not waiting.futures:
            del self._groups[group]

    @staticmethod
    def _cancel_if_empty(batch: _Batch[K, G, R]) -> None:
        if not batch.waiters.futures:
            batch.task.cancel()

    # --- deadlines -------------------------------------------------------------------------------

    def _set_deadline_timer(self, deadline_s: float) -> None:
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        self._deadline_timer = asyncio.get_running_loop().call_at(
            deadline_s, self._expire, context=Context()
        )

    def _expire(self) -> None:
        """End the waiting of all callers past their deadline, and set the timer for the next."""
        self._deadline_timer = None
        now_s = asyncio.get_running_loop().time()
        for group, waiting in list(self._groups.items()):
            waiting.expire(now_s)
            self._drop_if_empty(group, waiting)
        for batch in self._batches:
            batch.waiters.expire(now_s)
            self._cancel_if_empty(batch)
        left = [*self._groups.values(), *(batch.waiters for batch in self._batches)]
        next_s = min((deadline_s for each in left for _, _, deadline_s in each), default=None)
        if next_s is not None:
            self._set_deadline_timer(max(next_s, now_s + EXPIRY_RESOLUTION_S))

    # --- fetching --------------------------------------------------------------------------------

    def _send_waiting(self) -> None:
        """Start batches from what waits, while slots are free."""
        self._send_handle = None
        while self._groups and len(self._batches) < self._concurrency:
            self._start_batch(next(iter(self._groups)))

    def _start_batch(self, group: G) -> None:
        """Start the first batch of a group; the rest of the group goes to the end of the queue."""
        waiting = self._groups.pop(group)
        taken = waiting
        if len(waiting.futures) > self._size:
            taken = waiting.take(self._size)
            self._groups[group] = waiting
        batch = _Batch(taken, group)
        context = taken.contexts.get(next(iter(taken.futures))) or Context()
        taken.contexts.clear()
        self._batches[batch] = None
        loop = asyncio.get_running_loop()
        fetching = self._fetch_batch(batch, taken.last_deadline_s() - loop.time())
        batch.task = loop.create_task(fetching, context=context)
        batch.task.add_done_callback(lambda task: self._on_done(batch, task), context=Context())

    async def _fetch_batch(
        self, batch: _Batch[K, G, R], timeout_s: float
    ) -> Mapping[K, R | Exception]:
        # A caller cancelled in the tick in which the batch started has removed its key by now.
        keys = list(batch.waiters.futures)
        return await self._fetch(keys, batch.group, timeout_s)

    def _on_done(
        self, batch: _Batch[K, G, R], task: asyncio.Task[Mapping[K, R | Exception]]
    ) -> None:
        """Pass the results to the callers of a batch, and start what waits for its slot."""
        self._batches.pop(batch, None)
        if task.cancelled():
            batch.waiters.fail(BatchCancelledError(was_sent=True))
        elif (error := task.exception()) is not None:
            batch.waiters.fail(error)
        else:
            batch.waiters.resolve(task.result())
        # Keys without a scheduled start have waited for this slot, and filled up meanwhile.
        if self._send_handle is None:
            self._send_waiting()
