"""Any number of keys → a few fetches under way. Knows keys and a fetch function, as `_batching`.

How this works. Keys come from an iterable of any kind and are cut into batches; each batch is a
task, `concurrency` of them are held at most, and the next keys are taken only while there is room.
A task that ends wakes the one who waits here: `asyncio.wait` would hang itself on every task and
take itself off again for each batch, which costs as much as a tenth of reading the answer.
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
)
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any, Generic, TypeVar

__all__ = ["closing", "stream_batches"]

K = TypeVar("K")
R = TypeVar("R")

Read = Callable[[list[Any]], list[K]]
"""Makes keys of what came, a handful at a time: a call of Python for each would be a tenth of what
a status costs."""


async def stream_batches(
    keys: Iterable[Any] | AsyncIterable[Any],
    fetch: Callable[[list[K]], Coroutine[Any, Any, R]],
    *,
    size: int,
    concurrency: int,
    ordered: bool = False,
    read: Read[K] = list,
) -> AsyncGenerator[R, None]:
    """Fetch keys in batches of `size` and give each batch's result as it lands.

    At most `concurrency` batches are held, whether under way or landed and not yet taken, so that
    memory is bounded whatever `keys` is. A key that comes twice in a batch is fetched once.
    `ordered` gives the batches in the order of the keys. What a fetch raises is raised here; the
    other fetches are cancelled then, and `keys` closed if it is an async generator, as when the
    consumer breaks off.
    """
    bell = _Signal()
    flights = _Flights[R](bell, ordered=ordered)
    source = (
        _AsyncSource(bell, keys, size, read)
        if isinstance(keys, AsyncIterable)
        else _SyncSource(keys, size, read)
    )
    is_over = False
    async with source, flights:
        while True:
            while not is_over and len(flights.held) < concurrency:
                batch = source.take()
                if batch is None:
                    break
                is_over = not batch
                if batch:
                    flights.begin(fetch(batch))
            if is_over and not flights.held:
                return
            if flights.have_landed():
                # No name here holds a result while it is used, and none after.
                yield flights.taken()
            else:
                await bell.wait()


class _Signal:
    """Rung by whatever is done, for the one who waits for any of it."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[None] | None = None

    def set(self, _: object = None) -> None:
        """Wake who waits; it is nothing where nobody does."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def wait(self) -> None:
        """Wait for the next ring. Look first: what rang before is not told again."""
        self._waiting = asyncio.get_running_loop().create_future()
        await self._waiting


class _Flights(Generic[R]):
    """The batches that are held."""

    def __init__(self, bell: _Signal, *, ordered: bool) -> None:
        self._bell = bell
        self._ordered = ordered
        # A dict for a set: in the order in which they left.
        self.held: dict[asyncio.Task[R], None] = {}
        self._done: deque[asyncio.Task[R]] = deque()

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        await _give_up(self.held)

    def begin(self, work: Coroutine[Any, Any, R]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.held[task] = None
        task.add_done_callback(self._landed)

    def have_landed(self) -> bool:
        """Whether there is a batch that may be handed out."""
        if not self._ordered:
            return bool(self._done)
        oldest = next(iter(self.held), None)
        return oldest is not None and oldest.done()

    def taken(self) -> R:
        """Give the result of a batch that has landed, or raise its error, and hold it no more."""
        task = next(iter(self.held)) if self._ordered else self._done.popleft()
        del self.held[task]
        return task.result()

    def _landed(self, task: asyncio.Task[R]) -> None:
        if not self._ordered:
            self._done.append(task)
        self._bell.set()


class _SyncSource(Generic[K]):
    """Keys that are there when they are asked for."""

    def __init__(self, keys: Iterable[Any], size: int, read: Read[K]) -> None:
        self._keys = iter(keys)
        self._size = size
        self._read = read

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass

    def take(self) -> list[K]:
        """Give the next batch; an empty one is the end."""
        batch = self._some(self._size)
        if len(set(batch)) == self._size:
            return batch
        # Dicts, to keep the order and drop what comes again.
        kept = dict.fromkeys(batch)
        while 0 < len(kept) < self._size and (more := self._some(self._size - len(kept))):
            kept |= dict.fromkeys(more)
        return list(kept)

    def _some(self, most: int) -> list[K]:
        return self._read(list(islice(self._keys, most)))


class _AsyncSource(Generic[K]):
    """Keys that have to be waited for: a batch of them fills while others are under way."""

    def __init__(self, bell: _Signal, keys: AsyncIterable[Any], size: int, read: Read[K]) -> None:
        self._bell = bell
        self._batches = _batches(keys, size, read)
        self._filling: asyncio.Task[list[K]] | None = None

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        try:
            await _give_up([] if self._filling is None else [self._filling])
        finally:
            await self._batches.aclose()

    def take(self) -> list[K] | None:
        """Give the next batch, None while it fills; an empty one is the end."""
        if self._filling is None:
            self._filling = asyncio.get_running_loop().create_task(self._next())
            self._filling.add_done_callback(self._bell.set)
        if not self._filling.done():
            return None
        batch = self._filling.result()
        self._filling = None
        return batch

    async def _next(self) -> list[K]:
        nothing: list[K] = []
        return await anext(self._batches, nothing)


async def _give_up(tasks: Collection[asyncio.Task[Any]]) -> None:
    for each in tasks:
        each.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def closing(keys: AsyncIterable[K]) -> AsyncGenerator[AsyncIterator[K], None]:
    """Iterate, and close behind it what can be closed: a loop that is left closes nothing."""
    source = aiter(keys)
    try:
        yield source
    finally:
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _batches(
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
