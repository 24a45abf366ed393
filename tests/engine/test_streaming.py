"""Streaming keys in batches: order, bounds, and clean ends."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smmfanfast_async._engine.streaming import RowStream, stream_batches


class Fetches:
    """Fetches that complete only when the test calls `complete`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open: dict[int, asyncio.Future[list[int]]] = {}
        self.cancelled = 0

    async def __call__(self, batch: list[int]) -> list[int]:
        self.batches.append(batch)
        future = asyncio.get_running_loop().create_future()
        self.open[len(self.batches) - 1] = future
        try:
            return await future
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def complete(self, number: int) -> None:
        self.open.pop(number).set_result(self.batches[number])


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def fetch_immediately(batch: list[int]) -> list[int]:
    return batch


@pytest.mark.asyncio
async def test_batches_are_full_except_the_last() -> None:
    batches_read = [
        each async for each in stream_batches(range(7), fetch_immediately, size=3, concurrency=2)
    ]

    assert sorted(batches_read) == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.asyncio
async def test_no_keys_make_no_batches() -> None:
    assert [
        each async for each in stream_batches([], fetch_immediately, size=3, concurrency=2)
    ] == []


@pytest.mark.asyncio
async def test_duplicate_key_in_a_batch_is_fetched_once() -> None:
    keys = [1, 2, 1, 2, 3, 1, 4]

    batches_read = [
        each async for each in stream_batches(keys, fetch_immediately, size=3, concurrency=1)
    ]

    assert batches_read == [[1, 2, 3], [1, 4]]


@pytest.mark.asyncio
async def test_async_iterable_is_read_as_it_arrives() -> None:
    async def keys() -> AsyncIterator[int]:
        for key in [1, 1, 2, 3, 4, 5]:
            await asyncio.sleep(0)
            yield key

    batches_read = [
        each
        async for each in stream_batches(
            keys(), fetch_immediately, size=2, concurrency=2, ordered=True
        )
    ]

    assert batches_read == [[1, 2], [3, 4], [5]]


@pytest.mark.asyncio
async def test_async_iterable_may_end_with_a_full_batch() -> None:
    async def keys() -> AsyncIterator[int]:
        for key in [1, 2, 3, 4]:
            yield key

    batches_read = [
        each
        async for each in stream_batches(
            keys(), fetch_immediately, size=2, concurrency=2, ordered=True
        )
    ]

    assert batches_read == [[1, 2], [3, 4]]


@pytest.mark.asyncio
async def test_at_most_concurrency_batches_are_held() -> None:
    taken = 0

    def keys() -> Iterator[int]:
        nonlocal taken
        for key in range(100):
            taken += 1
            yield key

    fetches = Fetches()
    stream = stream_batches(keys(), fetches, size=5, concurrency=3)
    first = asyncio.ensure_future(anext(stream))
    await settle()

    assert len(fetches.batches) == 3
    assert taken == 15  # no batch beyond the concurrency
    fetches.complete(1)
    assert await first == [5, 6, 7, 8, 9]
    await stream.aclose()


@pytest.mark.asyncio
async def test_slow_batch_delays_others_only_if_ordered() -> None:
    for ordered, expected in ((False, [2, 3]), (True, [0, 1])):
        fetches = Fetches()
        stream = stream_batches(range(6), fetches, size=2, concurrency=3, ordered=ordered)
        first = asyncio.ensure_future(anext(stream))
        await settle()
        fetches.complete(1)
        await settle()

        assert first.done() is not ordered
        fetches.complete(0)
        assert await first == expected
        await stream.aclose()


@pytest.mark.asyncio
async def test_breaking_off_cancels_fetches_in_flight() -> None:
    fetches = Fetches()
    stream = stream_batches(range(100), fetches, size=10, concurrency=4)
    first = asyncio.ensure_future(anext(stream))
    await settle()
    fetches.complete(0)
    await first

    await stream.aclose()

    assert fetches.cancelled == 3
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.asyncio
async def test_failing_fetch_ends_the_stream_and_other_fetches() -> None:
    async def fetch(batch: list[int]) -> list[int]:
        if batch == [2, 3]:
            raise LookupError("broken")
        await asyncio.Event().wait()
        return batch

    with pytest.raises(LookupError):
        [each async for each in stream_batches(range(10), fetch, size=2, concurrency=3)]

    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.asyncio
async def test_failing_keys_end_the_stream() -> None:
    def keys() -> Iterator[int]:
        yield 1
        raise LookupError("the cursor is gone")

    with pytest.raises(LookupError):
        [each async for each in stream_batches(keys(), fetch_immediately, size=1, concurrency=3)]


class Cursor:
    """A key source that has to be closed, like a database cursor."""

    def __init__(self, keys: int) -> None:
        self.keys = keys
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[int]:
        try:
            for key in range(self.keys):
                yield key
        finally:
            await asyncio.sleep(0)
            self.is_closed = True


@pytest.mark.asyncio
async def test_breaking_off_closes_the_key_source() -> None:
    cursor = Cursor(100)
    stream = stream_batches(cursor, fetch_immediately, size=10, concurrency=2)
    await anext(stream)
    await settle()
    assert not cursor.is_closed

    await stream.aclose()

    assert cursor.is_closed


@pytest.mark.asyncio
async def test_breaking_off_cancels_reading_of_keys() -> None:
    ended = False

    async def keys() -> AsyncIterator[int]:
        nonlocal ended
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            ended = True

    stream = stream_batches(keys(), fetch_immediately, size=1, concurrency=2)
    await anext(stream)
    await settle()
    await stream.aclose()

    assert ended


class CountingIterator:
    """An async iterator that is not a generator: it has no `aclose`."""

    def __init__(self) -> None:
        self.next = 0

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        self.next += 1
        if self.next > 5:
            raise StopAsyncIteration
        return self.next


@pytest.mark.asyncio
async def test_source_that_cannot_be_closed_is_left_alone() -> None:
    stream = stream_batches(
        CountingIterator(), fetch_immediately, size=2, concurrency=1, ordered=True
    )

    assert [each async for each in stream] == [[1, 2], [3, 4], [5]]


@pytest.mark.asyncio
async def test_consumer_cancelled_twice_leaves_nothing_behind() -> None:
    cursor = Cursor(100)
    slow = asyncio.Event()

    async def fetch(batch: list[int]) -> list[int]:
        try:
            await asyncio.Event().wait()
        finally:
            with suppress(asyncio.CancelledError):
                await slow.wait()
        return batch

    async def consume() -> None:
        async with aclosing(stream_batches(cursor, fetch, size=10, concurrency=2)) as stream:
            await anext(stream)

    consuming = asyncio.create_task(consume())
    await settle()
    for _ in range(2):
        consuming.cancel()
        await settle()
    await asyncio.wait({consuming}, timeout=1)

    assert consuming.cancelled()
    assert cursor.is_closed
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.asyncio
async def test_unconsumed_error_of_keys_is_not_reported_by_asyncio() -> None:
    def keys() -> Iterator[int]:
        yield 1
        raise LookupError("the cursor is gone")

    stream = stream_batches(keys(), Fetches(), size=1, concurrency=1)
    first = asyncio.ensure_future(anext(stream))
    await settle()
    first.cancel()
    await asyncio.wait({first})
    await stream.aclose()

    assert asyncio.all_tasks() == {asyncio.current_task()}


@settings(deadline=None)
@given(
    keys=st.lists(st.integers(0, 30), max_size=60),
    size=st.integers(1, 7),
    concurrency=st.integers(1, 4),
    turns=st.lists(st.integers(0, 3), max_size=60),
    ordered=st.booleans(),
)
def test_every_key_is_fetched_in_any_order_of_completion(
    keys: list[int], size: int, concurrency: int, turns: list[int], *, ordered: bool
) -> None:
    async def run() -> list[list[int]]:
        in_flight = peak = 0

        async def fetch(batch: list[int]) -> list[int]:
            nonlocal in_flight, peak
            in_flight += 1
            peak = max(peak, in_flight)
            for _ in range(turns[batch[0] % len(turns)] if turns else 0):
                await asyncio.sleep(0)
            in_flight -= 1
            return batch

        stream = stream_batches(keys, fetch, size=size, concurrency=concurrency, ordered=ordered)
        batches_read = [each async for each in stream]
        assert peak <= concurrency
        return batches_read

    batches_read = asyncio.run(run())

    assert {key for batch in batches_read for key in batch} == set(keys)
    assert all(len(batch) <= size for batch in batches_read)
    if ordered:
        assert batches_read == expected_batches(keys, size)


def expected_batches(keys: list[int], size: int) -> list[list[int]]:
    """Return the expected batches, computed in the simplest way."""
    batches: list[list[int]] = [[]]
    for key in keys:
        if len(batches[-1]) == size:
            batches.append([])
        if key not in batches[-1]:
            batches[-1].append(key)
    return [batch for batch in batches if batch]


# --- rows ----------------------------------------------------------------------------------------


class Batches:
    """Batches of rows, and whether their end was reached."""

    def __init__(self, *batches: dict[str, int]) -> None:
        self.left = list(batches)
        self.error: BaseException | None = None
        self.is_closed = False
        self.rows = RowStream(self._yield())

    async def _yield(self) -> AsyncGenerator[dict[str, int], None]:
        try:
            while self.left:
                await asyncio.sleep(0)
                yield self.left.pop(0)
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.is_closed = True


@pytest.mark.asyncio
async def test_rows_are_the_items_of_all_batches() -> None:
    batches = Batches({}, {"a": 1, "b": 2}, {}, {"c": 3})

    assert [row async for row in batches.rows] == [("a", 1), ("b", 2), ("c", 3)]
    assert batches.is_closed
    with pytest.raises(StopAsyncIteration):
        await anext(batches.rows)


@pytest.mark.asyncio
async def test_closing_rows_drops_the_rest_and_ends_the_batches() -> None:
    batches = Batches({"a": 1, "b": 2}, {"c": 3})
    assert await batches.rows.asend(None) == ("a", 1)

    await batches.rows.aclose()
    await batches.rows.aclose()

    assert batches.is_closed
    assert [row async for row in batches.rows] == []


@pytest.mark.asyncio
async def test_exception_thrown_into_rows_ends_the_batches() -> None:
    batches = Batches({"a": 1, "b": 2}, {"c": 3})
    await anext(batches.rows)

    with pytest.raises(ValueError, match="stop"):
        await batches.rows.athrow(ValueError("stop"))

    assert isinstance(batches.error, ValueError)
    assert [row async for row in batches.rows] == []


@pytest.mark.asyncio
async def test_batches_may_continue_after_an_exception() -> None:
    async def batches() -> AsyncGenerator[dict[str, int], None]:
        try:
            yield {"a": 1, "b": 2}
        except ValueError:
            yield {"c": 3}

    rows = RowStream(batches())
    await anext(rows)

    assert await rows.athrow(ValueError("continue")) == ("c", 3)
    assert [row async for row in rows] == []


@pytest.mark.asyncio
async def test_rows_that_are_left_are_dropped_with_their_batch() -> None:
    batches = Batches({"a": 1}, {"b": 2})
    await anext(batches.rows)
    batches.left.clear()

    with pytest.raises(StopAsyncIteration):
        await anext(batches.rows)
    assert batches.is_closed
