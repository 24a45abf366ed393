"""Many keys → few fetches. Knows keys and a fetch function, not HTTP, not orders."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, TypeVar

__all__ = ["streamed"]

K = TypeVar("K")
R = TypeVar("R")


async def streamed(
    keys: Iterable[K] | AsyncIterable[K],
    fetch: Callable[[list[K]], Awaitable[R]],
    *,
    size: int,
    concurrency: int,
    ordered: bool = False,
) -> AsyncGenerator[R, None]:
    """Fetch keys in batches of `size` and give each batch's result as it lands.

    At most `concurrency` batches are held, whether under way or landed and not yet taken, so that
    memory is bounded whatever `keys` is. A key that comes twice in a batch is fetched once.
    `ordered` gives the batches in the order of the keys. What a fetch raises is raised here; the
    other fetches are cancelled then, as when the consumer breaks off.
    """
    batches = _batches(keys, size)
    held: list[asyncio.Future[R]] = []
    filling: asyncio.Future[list[K]] | None = _next(batches)
    try:
        while filling is not None or held:
            # A new batch is taken in only while there is room for it.
            taken = filling if len(held) < concurrency else None
            await _any_done(taken, held[:1] if ordered else held)
            if taken is not None and taken.done():
                batch = taken.result()
                filling = _next(batches) if batch else None
                if batch:
                    held.append(asyncio.ensure_future(fetch(batch)))
            while landed := _landed(held, ordered=ordered):
                held.remove(landed)
                yield landed.result()
    finally:
        await _give_up([*held] if filling is None else [filling, *held])
        await batches.aclose()


def _next(batches: AsyncGenerator[list[K], None]) -> asyncio.Future[list[K]]:
    """Start to fill a batch; an empty one is the end."""
    nothing: list[K] = []
    return asyncio.ensure_future(anext(batches, nothing))


async def _any_done(filling: asyncio.Future[Any] | None, held: list[asyncio.Future[R]]) -> None:
    waited: list[asyncio.Future[Any]] = [*held] if filling is None else [filling, *held]
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)


def _landed(held: list[asyncio.Future[R]], *, ordered: bool) -> asyncio.Future[R] | None:
    """Give the first fetch that may be handed out; in order, that is the oldest or none."""
    return next((each for each in (held[:1] if ordered else held) if each.done()), None)


async def _give_up(futures: list[asyncio.Future[Any]]) -> None:
    for each in futures:
        each.cancel()
    await asyncio.gather(*futures, return_exceptions=True)


async def _batches(
    keys: Iterable[K] | AsyncIterable[K], size: int
) -> AsyncGenerator[list[K], None]:
    # Dicts, to keep the order and drop what comes again. The two loops are the same but for one
    # word; an async generator in front of plain iterables would cost a third of a status.
    batch: dict[K, None] = {}
    if isinstance(keys, AsyncIterable):
        async for key in keys:
            batch[key] = None
            if len(batch) == size:
                yield list(batch)
                batch = {}
    else:
        for key in keys:
            batch[key] = None
            if len(batch) == size:
                yield list(batch)
                batch = {}
    if batch:
        yield list(batch)
