"""Fetch any number of keys in batches, a few at a time. Knows nothing of HTTP or orders.

How this works. Keys come from an iterable of any kind and are cut into batches; each batch is a
task, at most `concurrency` of them are held, and more keys are read only when one is handed out.
A task that ends sets one signal for the consumer: `asyncio.wait` would add and remove a callback on
every task for each batch, which costs as much as a tenth of decoding the answer.
"""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Generic, TypeVar

__all__ = ["RowStream", "closing", "stream_batches"]

K = TypeVar("K")
R = TypeVar("R")

Read = Callable[[list[Any]], list[K]]
"""Converts a list of raw items to keys. It takes a list, since a Python call for each item would
cost a tenth of what a status costs."""


async def stream_batches(
    keys: Iterable[Any] | AsyncIterable[Any],
    fetch: Callable[[list[K]], Coroutine[Any, Any, R]],
    *,
    size: int,
    concurrency: int,
    ordered: bool = False,
    read: Read[K] = list,
) -> AsyncGenerator[R, None]:
    """Fetch keys in batches of `size` and yield the result of each batch as it completes.

    At most `concurrency` batches are held, in flight or completed and not yet consumed, so that
    memory is bounded whatever `keys` is. A key that occurs twice in a batch is fetched once.
    `ordered` yields the batches in the order of the keys. What a fetch raises is raised here; then,
    as when the consumer breaks off, the other fetches are cancelled, and `keys` is closed if it is
    an async generator.
    """
    signal = _Signal()
    batches = _BatchTasks[R](signal, ordered=ordered)
    source = (
        _AsyncSource(signal, keys, size, read)
        if isinstance(keys, AsyncIterable)
        else _SyncSource(keys, size, read)
    )
    is_exhausted = False
    async with source, batches:
        while True:
            while not is_exhausted and len(batches.tasks) < concurrency:
                batch = source.next_batch()
                if batch is None:
                    break
                is_exhausted = not batch
                if batch:
                    batches.start(fetch(batch))
            if is_exhausted and not batches.tasks:
                return
            if batches.has_result():
                # No name here keeps a result alive while the consumer uses it, or afterwards.
                yield batches.pop_result()
            else:
                await signal.wait()


class RowStream(AsyncGenerator[tuple[K, R], None]):
    """The items of batches, one by one: an asynchronous generator without the cost of one.

    A generator would take twice as long for each item, a twentieth of what a status costs. Closing
    it, or raising an exception in it, closes the batches; items that are left are dropped.
    """

    def __init__(self, batches: AsyncGenerator[Mapping[K, R], None]) -> None:
        self._batches = batches
        self._rows: Iterator[tuple[K, R]] = iter(())

    async def __anext__(self) -> tuple[K, R]:
        """Return the next item, from the next batch if there is none."""
        for row in self._rows:
            return row
        while True:
            # Released before the next batch is fetched: its records then use the same memory, which
            # is still in the processor's cache.
            self._rows = iter(())
            self._rows = iter((await anext(self._batches)).items())
            for row in self._rows:
                return row

    async def asend(self, _: None, /) -> tuple[K, R]:
        """Return the next item; there is nothing to send."""
        return await anext(self)

    async def athrow(self, *error: Any) -> tuple[K, R]:
        """Raise an exception where the batches are waited for, which ends them."""
        self._rows = iter(())
        self._rows = iter((await self._batches.athrow(*error)).items())
        return await anext(self)

    async def aclose(self) -> None:
        """End the batches. A second call does nothing."""
        self._rows = iter(())
        await self._batches.aclose()


class _Signal:
    """Wakes the one waiter when a task is done."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[None] | None = None

    def set(self, _: object = None) -> None:
        """Wake the waiter; without one this has no effect."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def wait(self) -> None:
        """Wait for the next `set`. Check the state first: an earlier `set` is not remembered."""
        self._waiting = asyncio.get_running_loop().create_future()
        await self._waiting


class _BatchTasks(Generic[R]):
    """The batches that are in flight, or completed and not yet consumed."""

    def __init__(self, signal: _Signal, *, ordered: bool) -> None:
        self._signal = signal
        self._ordered = ordered
        # A dict instead of a set keeps the order in which the tasks started.
        self.tasks: dict[asyncio.Task[R], None] = {}
        self._done: deque[asyncio.Task[R]] = deque()

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        await _cancel_all(self.tasks)

    def start(self, fetch: Coroutine[Any, Any, R]) -> None:
        """Start the fetch of a batch."""
        task = asyncio.get_running_loop().create_task(fetch)
        self.tasks[task] = None
        task.add_done_callback(self._on_done)

    def has_result(self) -> bool:
        """Return whether there is a completed batch that may be yielded."""
        if not self._ordered:
            return bool(self._done)
        oldest = next(iter(self.tasks), None)
        return oldest is not None and oldest.done()

    def pop_result(self) -> R:
        """Remove a completed batch and return its result, or raise its error."""
        task = next(iter(self.tasks)) if self._ordered else self._done.popleft()
        del self.tasks[task]
        return task.result()

    def _on_done(self, task: asyncio.Task[R]) -> None:
        if not self._ordered:
            self._done.append(task)
        self._signal.set()


class _SyncSource(Generic[K]):
    """Keys of a plain iterable, available at once."""

    def __init__(self, keys: Iterable[Any], size: int, read: Read[K]) -> None:
        self._keys = iter(keys)
        self._size = size
        self._read = read

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass

    def next_batch(self) -> list[K]:
        """Return the next batch; an empty one marks the end."""
        batch = self._read_keys(self._size)
        if len(set(batch)) == self._size:
            return batch
        # Dicts keep the order and drop duplicates.
        unique = dict.fromkeys(batch)
        while 0 < len(unique) < self._size and (more := self._read_keys(self._size - len(unique))):
            unique |= dict.fromkeys(more)
        return list(unique)

    def _read_keys(self, max_count: int) -> list[K]:
        return self._read(list(islice(self._keys, max_count)))


class _AsyncSource(Generic[K]):
    """Keys of an async iterable: the next batch fills while others are in flight."""

    def __init__(self, signal: _Signal, keys: AsyncIterable[Any], size: int, read: Read[K]) -> None:
        self._signal = signal
        self._batches = _read_batches(keys, size, read)
        self._filling: asyncio.Task[list[K]] | None = None

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        try:
            await _cancel_all([] if self._filling is None else [self._filling])
        finally:
            await self._batches.aclose()

    def next_batch(self) -> list[K] | None:
        """Return the next batch, or None while it fills; an empty one marks the end."""
        if self._filling is None:
            self._filling = asyncio.get_running_loop().create_task(self._fill())
            self._filling.add_done_callback(self._signal.set)
        if not self._filling.done():
            return None
        batch = self._filling.result()
        self._filling = None
        return batch

    async def _fill(self) -> list[K]:
        end: list[K] = []
        return await anext(self._batches, end)


async def _cancel_all(tasks: Collection[asyncio.Task[Any]]) -> None:
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def closing(keys: AsyncIterable[K]) -> AsyncGenerator[AsyncIterator[K], None]:
    """Iterate an async iterable, and close it afterwards if it is a generator.

    A loop that is left early does not close its iterator.
    """
    source = aiter(keys)
    try:
        yield source
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _read_batches(
    keys: AsyncIterable[Any], size: int, read: Read[K]
) -> AsyncGenerator[list[K], None]:
    batch: dict[K, None] = {}
    async with closing(keys) as source:
        async for key in source:
            batch |= dict.fromkeys(read([key]))
            if len(batch) == size:
                yield list(batch)
                batch = {}
    if batch:
        yield list(batch)
