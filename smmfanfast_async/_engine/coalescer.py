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
import copy
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from contextvars import Context, copy_context
from itertools import islice
from typing import Generic, TypeVar

__all__ = ["BatchCancelledError", "Coalescer", "Entry"]

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
T = TypeVar("T")


class BatchCancelledError(Exception):
    """The batch of a key ended without an answer; `was_sent` tells whether it was in flight."""

    def __init__(self, was_sent: bool) -> None:  # noqa: FBT001  # by position, for copies
        super().__init__(was_sent)
        self.was_sent = was_sent


class Entry(Generic[K, G, R]):
    """A key of a group and its waiters, each with its deadline on the clock of the event loop.

    Usually there is one waiter, which needs no mapping: with 10,000 callers that saves 10,000
    objects that the garbage collector would traverse again and again.
    """

    __slots__ = ("batch", "context", "deadline_s", "future", "group", "joined", "key")

    def __init__(self, key: K, group: G, future: asyncio.Future[R], deadline_s: float) -> None:
        self.key = key
        self.group = group
        self.context: Context | None = None
        """The context of the first caller, if it may be the first key of a batch that waits."""
        self.future: asyncio.Future[R] | None = future
        self.deadline_s = deadline_s
        self.joined: dict[asyncio.Future[R], float] | None = None
        self.batch: _Batch[K, G, R] | None = None

    def add_waiter(self, future: asyncio.Future[R], deadline_s: float) -> None:
        """Add a waiter after the first one."""
        if self.joined is None:
            self.joined = {}
        self.joined[future] = deadline_s

    def remove_waiter(self, future: asyncio.Future[R]) -> None:
        """Remove a waiter; it may have been removed before."""
        if self.future is future:
            self.future = None
        elif self.joined is not None:
            self.joined.pop(future, None)

    def has_waiters(self) -> bool:
        """Return whether a caller still waits for the key."""
        return self.future is not None or bool(self.joined)

    def waiters(self) -> list[tuple[asyncio.Future[R], float]]:
        """Return all waiters and their deadlines, in the order of arrival."""
        first = [] if self.future is None else [(self.future, self.deadline_s)]
        return first if self.joined is None else [*first, *self.joined.items()]


class _Batch(Generic[K, G, R]):
    """A batch in flight."""

    __slots__ = ("entries", "group", "task")

    task: asyncio.Task[Mapping[K, R | Exception]]
    """Set as soon as it is created."""

    def __init__(self, entries: list[Entry[K, G, R]], group: G) -> None:
        self.entries = entries
        self.group = group

    def has_waiters(self) -> bool:
        """Return whether a caller still waits for one of its keys."""
        return any(entry.has_waiters() for entry in self.entries)


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
        self._groups: dict[G, dict[K, Entry[K, G, R]]] = {}
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
        future, entry = self.enqueue(key, timeout_s=timeout_s, group=group)
        try:
            return await future
        except BaseException as error:
            self.on_error(error, future, entry, timeout_s)
            raise

    def enqueue(
        self, key: K, *, timeout_s: float, group: G
    ) -> tuple[asyncio.Future[R], Entry[K, G, R]]:
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
            waiting = self._groups[group] = {}
        entry = waiting.get(key)
        if entry is None:
            entry = waiting[key] = Entry(key, group, future, deadline_s)
            if len(waiting) % self._size == self._first:
                entry.context = copy_context()
            # Without a free slot it waits. If sending is scheduled, only a full batch needs more.
            if len(self._batches) < self._concurrency and (
                self._send_handle is None or len(waiting) >= self._size
            ):
                self._on_new_key(group, waiting)
        else:
            entry.add_waiter(future, deadline_s)
        if self._deadline_timer is None or deadline_s < self._deadline_timer.when():
            self._set_deadline_timer(deadline_s)
        return future, entry

    def on_error(
        self,
        error: BaseException,
        future: asyncio.Future[R],
        entry: Entry[K, G, R],
        timeout_s: float,
    ) -> None:
        """Remove a waiter that was cancelled; raise the error that replaces one of the coalescer.

        The caller raises any other error again.
        """
        if isinstance(error, asyncio.CancelledError):
            self._remove_waiter(entry, future)
        elif isinstance(error, TimeoutError | BatchCancelledError) and self._map_error is not None:
            raise self._map_error(entry.key, error, timeout_s) from error

    def close(self) -> None:
        """End all waiting with `BatchCancelledError` and cancel the batches in flight."""
        if self._loop is not None and self._loop.is_closed():
            self._reset()
        groups, self._groups = self._groups, {}
        for waiting in groups.values():
            _fail(waiting.values(), BatchCancelledError(was_sent=False))
        for batch in self._batches:
            _fail(batch.entries, BatchCancelledError(was_sent=True))
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

    def _on_new_key(self, group: G, waiting: dict[K, Entry[K, G, R]]) -> None:
        """Start the batch of a new key if it is full, else schedule it; a slot is free."""
        if len(waiting) >= self._size:
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

    def _remove_waiter(self, entry: Entry[K, G, R], future: asyncio.Future[R]) -> None:
        """Remove a waiter, and its key or batch if it was the last one."""
        entry.remove_waiter(future)
        if future.done() and not future.cancelled():
            future.exception()  # otherwise asyncio reports an error that was never retrieved
        if entry.has_waiters():
            return
        if entry.batch is None:
            waiting = self._groups.get(entry.group, {})
            if waiting.get(entry.key) is entry:
                del waiting[entry.key]
                if not waiting:
                    del self._groups[entry.group]
        elif not entry.batch.has_waiters():
            entry.batch.task.cancel()

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
        for waiting in list(self._groups.values()):
            for entry in list(waiting.values()):
                self._expire_entry(entry, now_s)
        for batch in list(self._batches):
            for entry in batch.entries:
                self._expire_entry(entry, now_s)
        left = [deadline_s for entry in self._entries() for _, deadline_s in entry.waiters()]
        if left:
            self._set_deadline_timer(max(min(left), now_s + EXPIRY_RESOLUTION_S))

    def _expire_entry(self, entry: Entry[K, G, R], now_s: float) -> None:
        for future, deadline_s in entry.waiters():
            if deadline_s <= now_s:
                if not future.done():
                    future.set_exception(TimeoutError())
                self._remove_waiter(entry, future)

    def _entries(self) -> Iterator[Entry[K, G, R]]:
        for waiting in self._groups.values():
            yield from waiting.values()
        for batch in self._batches:
            yield from batch.entries

    # --- fetching --------------------------------------------------------------------------------

    def _send_waiting(self) -> None:
        """Start batches from what waits, while slots are free."""
        self._send_handle = None
        while self._groups and len(self._batches) < self._concurrency:
            self._start_batch(next(iter(self._groups)))

    def _start_batch(self, group: G) -> None:
        """Start the first batch of a group; the rest of the group goes to the end of the queue."""
        waiting = self._groups.pop(group)
        if len(waiting) <= self._size:
            batch = _Batch(list(waiting.values()), group)
        else:
            batch = _Batch([waiting.pop(key) for key in list(islice(waiting, self._size))], group)
            self._groups[group] = waiting
        context = batch.entries[0].context or Context()
        latest_s = 0.0
        for entry in batch.entries:
            entry.batch, entry.context = batch, None
            if entry.joined is not None:
                latest_s = max(latest_s, *(deadline_s for _, deadline_s in entry.waiters()))
            elif entry.deadline_s > latest_s:
                latest_s = entry.deadline_s
        self._batches[batch] = None
        loop = asyncio.get_running_loop()
        fetching = self._fetch_batch(batch, latest_s - loop.time())
        batch.task = loop.create_task(fetching, context=context)
        batch.task.add_done_callback(lambda task: self._on_done(batch, task), context=Context())

    async def _fetch_batch(
        self, batch: _Batch[K, G, R], timeout_s: float
    ) -> Mapping[K, R | Exception]:
        # A caller cancelled in the tick in which the batch started has removed its key by now.
        keys = [
            entry.key for entry in batch.entries if entry.future is not None or entry.has_waiters()
        ]
        return await self._fetch(keys, batch.group, timeout_s)

    def _on_done(
        self, batch: _Batch[K, G, R], task: asyncio.Task[Mapping[K, R | Exception]]
    ) -> None:
        """Pass the results to the callers of a batch, and start what waits for its slot."""
        self._batches.pop(batch, None)
        if task.cancelled():
            _fail(batch.entries, BatchCancelledError(was_sent=True))
        elif (error := task.exception()) is not None:
            _fail(batch.entries, error)
        else:
            _resolve_all(batch.entries, task.result())
        # Keys without a scheduled start have waited for this slot, and filled up meanwhile.
        if self._send_handle is None:
            self._send_waiting()


def _resolve_all(entries: Iterable[Entry[K, G, R]], results: Mapping[K, R | Exception]) -> None:
    """Pass its result or an error to each waiter of some keys, as a separate object for each."""
    for entry in entries:
        key, future = entry.key, entry.future
        result = results[key] if key in results else KeyError(key)
        if isinstance(result, Exception):
            _fail([entry], result)
        elif entry.joined is not None:
            _resolve_joined(entry, result)
        elif future is not None and not future.done():  # one waiter, the usual case
            future.set_result(result)


def _resolve_joined(entry: Entry[K, G, R], result: R) -> None:
    is_first = True
    for future, _ in entry.waiters():
        if not future.done():
            future.set_result(result if is_first else _copy(result))
            is_first = False


def _fail(entries: Iterable[Entry[K, G, R]], error: BaseException) -> None:
    for entry in entries:
        for future, _ in entry.waiters():
            if not future.done():
                copied = _copy(error)
                copied.__cause__ = error.__cause__
                future.set_exception(copied)


def _copy(value: T) -> T:
    """Return a copy; a value that cannot be copied is shared rather than lost."""
    try:
        copied = copy.copy(value)
    except Exception:  # noqa: BLE001  # the copy protocol of a class may raise anything
        return value
    return copied if type(copied) is type(value) else value
