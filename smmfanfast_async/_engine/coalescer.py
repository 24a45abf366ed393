"""Many keys → few fetches. Knows keys and a fetch function, not HTTP, not orders.

How this works. `Coalescer` is for many callers who have a key each and know nothing of each other;
one who has all keys takes `_streaming`. A key waits in a queue until a batch leaves with it:

- a batch leaves when it is full and a slot is free;
- with a slot free and nothing under way it leaves on the next tick of the loop, so that a lone
  caller loses nothing; with something under way it stays open for `delay_s`, so that callers who
  trickle in do not take a slot each;
- with no slot free, keys keep filling, and the end of a fetch takes the next batch along.

A second caller with a key that still waits joins it; one whose key is on its way already asks anew,
since that answer may be older than the call. Nothing is asked that nobody waits for any more: a
caller who is cancelled or out of time takes the key back, and the last one of a batch ends the
fetch. All deadlines hang on one timer, since a timer for each caller would cost as much as the rest
of the work.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Generic, TypeVar

__all__ = ["BatchCancelledError", "Coalescer"]

DELAY_S = 0.002
"""Seconds that a batch stays open while others are under way: a trickle of 5,000 calls a second
gives ten keys by then, and it is a small part of any answer's way over the internet."""

MAX_DELAY_S = 0.05
"""The longest delay that may be chosen: what is longer a person notices."""

EXPIRY_RESOLUTION_S = 0.05
"""Deadlines are looked at no more often than this, so a caller may be told that much later."""

K = TypeVar("K")
L = TypeVar("L", bound=Hashable)
R = TypeVar("R")
T = TypeVar("T")


class BatchCancelledError(Exception):
    """The batch of a key ended without an answer; `was_asked` tells whether it was on its way."""

    def __init__(self, was_asked: bool) -> None:  # noqa: FBT001  # by position, for copies
        super().__init__(was_asked)
        self.was_sent = was_asked


class _Entry(Generic[K, L, R]):
    """A key and who waits for it, each with the moment of the loop's clock it waits until.

    Mostly it is one caller, who needs no mapping: one object less for each of 10,000 callers is
    one less for the garbage collector to look at, again and again.
    """

    __slots__ = ("batch", "deadline", "future", "key", "others")

    def __init__(self, key: K, future: asyncio.Future[R], deadline: float) -> None:
        self.key = key
        self.future: asyncio.Future[R] | None = future
        self.deadline = deadline
        self.others: dict[asyncio.Future[R], float] | None = None
        self.batch: _Batch[K, L, R] | None = None

    def join(self, future: asyncio.Future[R], deadline: float) -> None:
        """Let one more wait."""
        if self.others is None:
            self.others = {}
        self.others[future] = deadline

    def drop(self, future: asyncio.Future[R]) -> None:
        """Let one wait no more."""
        if self.future is future:
            self.future = None
        elif self.others is not None:
            self.others.pop(future, None)

    def is_wanted(self) -> bool:
        """Whether anybody waits for it still."""
        return self.future is not None or bool(self.others)

    def waiters(self) -> list[tuple[asyncio.Future[R], float]]:
        """Give all who wait, and until when; who came first comes first."""
        first = [] if self.future is None else [(self.future, self.deadline)]
        return first if self.others is None else [*first, *self.others.items()]


class _Batch(Generic[K, L, R]):
    """A batch on its way."""

    __slots__ = ("entries", "lane", "task")

    task: asyncio.Task[Mapping[K, R | Exception]]
    """Set as soon as it is made."""

    def __init__(self, entries: list[_Entry[K, L, R]], lane: L) -> None:
        self.entries = entries
        self.lane = lane

    def is_wanted(self) -> bool:
        """Whether anybody waits for it still."""
        return any(entry.is_wanted() for entry in self.entries)


Fetch = Callable[[list[K], L, float], Awaitable[Mapping[K, R | Exception]]]
"""Takes keys, their lane, and the seconds until the last who waits is gone; gives for each key a
result, or an exception for those who wait for it. What it raises itself each of them gets."""


MapError = Callable[[K, TimeoutError | BatchCancelledError, float], Exception]
"""Takes a key, what became of it and the seconds that it had; gives the error to raise instead. It
is asked in here, since one more coroutine for each caller would be a tenth of what a call costs."""


class Coalescer(Generic[K, L, R]):
    """Turns many awaits of one key each into few fetches of many.

    At most `concurrency` batches of at most `size` keys are under way. Keys of different lanes
    never share a batch; who comes first leaves first, lanes take turns. It works on one event
    loop at a time, and on the next one as soon as nothing of the last is left.
    """

    def __init__(
        self,
        fetch: Fetch[K, L, R],
        *,
        size: int,
        concurrency: int,
        delay_s: float = DELAY_S,
        map_error: MapError[K] | None = None,
    ) -> None:
        self._fetch = fetch
        self._map_error = map_error
        self._size = size
        self._concurrency = concurrency
        self._delay_s = min(delay_s, MAX_DELAY_S)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._groups: dict[L, dict[K, _Entry[K, L, R]]] = {}
        # Dicts for sets: who came first ends first, in every run alike.
        self._batches: dict[_Batch[K, L, R], None] = {}
        self._tick: asyncio.Handle | None = None
        self._deadline_timer: asyncio.TimerHandle | None = None

    async def load(self, key: K, *, timeout_s: float, group: L) -> R:
        """Give the result of one key.

        Raises what the fetch gave or raised for it, in an object of its own, `TimeoutError` after
        `timeout_s`, `BatchEndedError` where its batch was cancelled or the coalescer closed (what
        `explain` makes of these two), `RuntimeError` from another event loop than that at work.
        """
        loop = self._loop
        if loop is None or loop is not asyncio.get_running_loop():
            loop = self._bound()
        future: asyncio.Future[R] = loop.create_future()
        deadline = loop.time() + timeout_s
        waiting = self._groups.get(group)
        if waiting is None:
            waiting = self._groups[group] = {}
        entry = waiting.get(key)
        if entry is None:
            entry = waiting[key] = _Entry(key, future, deadline)
            # With a tick to come there is nothing to do but for a batch that is full.
            if self._tick is None or len(waiting) >= self._size:
                self._arrived(group, waiting)
        else:
            entry.join(future, deadline)
        if self._deadline_timer is None or deadline < self._deadline_timer.when():
            self._set_deadline_timer(deadline)
        try:
            return await future
        except asyncio.CancelledError:
            self._leave(entry, future, group)
            raise
        except (TimeoutError, BatchCancelledError) as error:
            if self._map_error is None:
                raise
            raise self._map_error(key, error, timeout_s) from error

    def close(self) -> None:
        """Let nobody wait any more: what waits and what is on its way ends in `BatchEndedError`."""
        if self._loop is not None and self._loop.is_closed():
            self._forget()
        lanes, self._groups = self._groups, {}
        for lane in lanes.values():
            _fail(lane.values(), BatchCancelledError(was_asked=False))
        for flight in self._batches:
            _fail(flight.entries, BatchCancelledError(was_asked=True))
            flight.task.cancel()
        self._quiet()

    async def wait_closed(self) -> None:
        """Await the end of the fetches that `close` cancelled."""
        tasks = [flight.task for flight in self._batches]
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- waiting ---------------------------------------------------------------------------------

    def _bound(self) -> asyncio.AbstractEventLoop:
        """Take up work on the running loop, unless another is at work here."""
        loop = asyncio.get_running_loop()
        if self._loop is not None:
            if (self._groups or self._batches) and not self._loop.is_closed():
                raise RuntimeError("keys are waited for on another event loop")
            self._forget()
        self._loop = loop
        return loop

    def _forget(self) -> None:
        """Drop what another loop left behind: it can't be ended any more once that is closed."""
        self._groups, self._batches = {}, {}
        self._quiet()

    def _quiet(self) -> None:
        for handle in (self._deadline_timer, self._tick):
            if handle is not None:
                handle.cancel()
        self._deadline_timer = self._tick = None

    def _arrived(self, lane: L, waiting: dict[K, _Entry[K, L, R]]) -> None:
        """See that a new key leaves: with its batch if that is full, else with the next tick."""
        if len(waiting) >= self._size:
            if len(self._batches) < self._concurrency:
                self._start_batch(lane)
        else:
            self._open()

    def _open(self) -> None:
        """Set the moment at which what waits leaves, if a slot is free then."""
        if len(self._batches) >= self._concurrency:
            return
        loop = asyncio.get_running_loop()
        if self._batches and self._delay_s > 0:
            self._tick = loop.call_later(self._delay_s, self._send)
        else:
            self._tick = loop.call_soon(self._send)

    def _leave(self, entry: _Entry[K, L, R], future: asyncio.Future[R], lane: L) -> None:
        """Take a caller off; a key or a batch that nobody waits for goes with it."""
        entry.drop(future)
        if future.done() and not future.cancelled():
            future.exception()  # else asyncio complains of an error that nobody looked at
        if entry.is_wanted():
            return
        if entry.batch is None:
            waiting = self._groups.get(lane, {})
            if waiting.get(entry.key) is entry:
                del waiting[entry.key]
                if not waiting:
                    del self._groups[lane]
        elif not entry.batch.is_wanted():
            entry.batch.task.cancel()

    # --- deadlines -------------------------------------------------------------------------------

    def _set_deadline_timer(self, deadline: float) -> None:
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
        self._deadline_timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        """End the waiting of all whose time is over, and set the alarm for those who are next."""
        self._deadline_timer = None
        now = asyncio.get_running_loop().time()
        for lane, waiting in list(self._groups.items()):
            for entry in list(waiting.values()):
                self._expire_entry(entry, now, lane)
        for flight in list(self._batches):
            for entry in flight.entries:
                self._expire_entry(entry, now, flight.lane)
        left = [deadline for entry in self._entries() for _, deadline in entry.waiters()]
        if left:
            self._set_deadline_timer(max(min(left), now + EXPIRY_RESOLUTION_S))

    def _expire_entry(self, entry: _Entry[K, L, R], now: float, lane: L) -> None:
        for future, deadline in entry.waiters():
            if deadline <= now:
                if not future.done():
                    future.set_exception(TimeoutError())
                self._leave(entry, future, lane)

    def _entries(self) -> Iterator[_Entry[K, L, R]]:
        for waiting in self._groups.values():
            yield from waiting.values()
        for flight in self._batches:
            yield from flight.entries

    # --- fetching --------------------------------------------------------------------------------

    def _send(self) -> None:
        """Send what waits, batch by batch, while slots are free."""
        self._tick = None
        while self._groups and len(self._batches) < self._concurrency:
            self._start_batch(next(iter(self._groups)))

    def _start_batch(self, lane: L) -> None:
        """Send the first batch of a lane; what is left of the lane goes behind the others."""
        waiting = self._groups.pop(lane)
        flight = _Batch([waiting.pop(key) for key in list(islice(waiting, self._size))], lane)
        if waiting:
            self._groups[lane] = waiting
        latest = 0.0
        for entry in flight.entries:
            entry.batch = flight
            if entry.others is None:
                latest = max(latest, entry.deadline)
            else:
                latest = max(latest, *(deadline for _, deadline in entry.waiters()))
        self._batches[flight] = None
        loop = asyncio.get_running_loop()
        flight.task = loop.create_task(self._fetched(flight, latest - loop.time()))
        flight.task.add_done_callback(lambda task: self._on_done(flight, task))

    async def _fetched(
        self, flight: _Batch[K, L, R], timeout_s: float
    ) -> Mapping[K, R | Exception]:
        # Who was cancelled in the turn in which the batch left takes the key back by now.
        keys = [entry.key for entry in flight.entries if entry.is_wanted()]
        return await self._fetch(keys, flight.lane, timeout_s)

    def _on_done(
        self, flight: _Batch[K, L, R], task: asyncio.Task[Mapping[K, R | Exception]]
    ) -> None:
        """Give every caller of a batch its result, and send what waits for the slot."""
        self._batches.pop(flight, None)
        if task.cancelled():
            _fail(flight.entries, BatchCancelledError(was_asked=True))
        elif (error := task.exception()) is not None:
            _fail(flight.entries, error)
        else:
            found = task.result()
            for entry in flight.entries:
                result = found[entry.key] if entry.key in found else KeyError(entry.key)
                _settle(entry, result)
        # What waits for no tick has waited for the slot, and had a whole flight's time to fill.
        if self._tick is None:
            self._send()


def _settle(entry: _Entry[K, L, R], found: R | Exception) -> None:
    """Give each who waits for a key the result, or an error, in an object of its own."""
    if isinstance(found, Exception):
        _fail([entry], found)
        return
    first = True
    for future, _ in entry.waiters():
        if not future.done():
            future.set_result(found if first else _copy(found))
            first = False


def _fail(entries: Iterable[_Entry[K, L, R]], error: BaseException) -> None:
    for entry in entries:
        for future, _ in entry.waiters():
            if not future.done():
                twin = _copy(error)
                twin.__cause__ = error.__cause__
                future.set_exception(twin)


def _copy(found: T) -> T:
    """Give a copy; what can't be copied is better shared than lost."""
    try:
        twin = copy.copy(found)
    except Exception:  # noqa: BLE001  # a class may raise anything there
        return found
    return twin if type(twin) is type(found) else found
