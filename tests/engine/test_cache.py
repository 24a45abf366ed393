"""The cached value: its age, shared fetches, and stale values if fetching fails."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from support.virtual import run, turns

from smmfanfast_async import (
    AuthenticationError,
    ClosedError,
    NoResponseError,
    PanelError,
    ServerError,
)
from smmfanfast_async._engine.cache import RETRY_AFTER_S, CachedValue, SingleFlightCache

DOWN = ServerError("bad gateway", http_status=502, action="services")


class Source:
    """Returns 1, 2, 3, …, each after a second, or raises `failure` if it is set."""

    def __init__(self) -> None:
        self.started = self.completed = self.cancelled = 0
        self.failure: Exception | None = None
        self.delay_s = 1.0
        self.cached = SingleFlightCache(self.fetch, lambda: asyncio.get_running_loop().time())

    async def fetch(self) -> int:
        self.started += 1
        number = self.started
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.completed += 1
        if self.failure is not None:
            raise self.failure
        return number


def with_source(main: Callable[[Source], Awaitable[None]]) -> None:
    async def on_loop() -> None:
        await main(Source())

    run(on_loop())


def test_cached_value_is_returned_until_too_old() -> None:
    async def main(source: Source) -> None:
        assert await source.cached.get(10) == CachedValue(1, is_stale=False)
        await asyncio.sleep(9.9)
        assert await source.cached.get(10) == CachedValue(1, is_stale=False)
        await asyncio.sleep(0.1)
        assert await source.cached.get(10) == CachedValue(2, is_stale=False)
        assert await source.cached.get(0) == CachedValue(3, is_stale=False)

    with_source(main)


def test_concurrent_callers_share_the_fetch() -> None:
    async def main(source: Source) -> None:
        values = await asyncio.gather(*(source.cached.get(10) for _ in range(5)))

        assert values == [CachedValue(1, is_stale=False)] * 5
        assert source.started == 1

    with_source(main)


def test_completed_fetch_is_not_joined() -> None:
    """A caller that requires age 0 does not get a value fetched earlier."""

    async def main(source: Source) -> None:
        async def refresh_twice() -> tuple[int, int]:
            return await source.cached.refresh(), await source.cached.refresh()

        twice, once = await asyncio.gather(refresh_twice(), source.cached.refresh())

        assert (twice, once) == ((1, 2), 1)

    with_source(main)


def test_late_leaver_of_old_fetch_does_not_count_for_the_next() -> None:
    """Cancelling the only waiter of the second fetch cancels that fetch."""

    async def main(source: Source) -> None:
        first = [asyncio.create_task(source.cached.refresh()) for _ in range(2)]
        await asyncio.sleep(0.5)
        loop = asyncio.get_running_loop()
        second: list[asyncio.Task[int]] = []
        in_flight = source.cached._in_flight
        assert in_flight is not None
        in_flight.task.add_done_callback(
            lambda _: second.append(loop.create_task(source.cached.refresh()))
        )
        await asyncio.wait(first)
        await turns(2)
        second[0].cancel()
        await asyncio.wait(second)
        await turns()

        assert (source.started, source.cancelled) == (2, 1)

    with_source(main)


def test_value_that_cannot_be_refreshed_is_returned_as_stale() -> None:
    async def main(source: Source) -> None:
        await source.cached.get(10)
        await asyncio.sleep(20)
        source.failure = DOWN

        assert await source.cached.get(10) == CachedValue(1, is_stale=True)

        await asyncio.sleep(RETRY_AFTER_S - 0.1)
        assert await source.cached.get(10) == CachedValue(1, is_stale=True)
        assert source.started == 2
        source.failure = None
        await asyncio.sleep(0.1)
        assert await source.cached.get(10) == CachedValue(3, is_stale=False)
        await asyncio.sleep(20)
        assert await source.cached.get(10) == CachedValue(4, is_stale=False)

    with_source(main)


def test_slow_refresh_returns_the_stale_value() -> None:
    async def main(source: Source) -> None:
        await source.cached.get(10)
        await asyncio.sleep(20)
        source.delay_s = 100
        begun_s = asyncio.get_running_loop().time()

        assert await source.cached.get(10, timeout_s=5) == CachedValue(1, is_stale=True)

        assert asyncio.get_running_loop().time() - begun_s == pytest.approx(5)
        await turns()
        assert source.cancelled == 1

    with_source(main)


def test_timeout_is_raised_without_a_value() -> None:
    async def main(source: Source) -> None:
        with pytest.raises(TimeoutError):
            await source.cached.get(10, timeout_s=0.5)

    with_source(main)


@pytest.mark.parametrize("failure", [DOWN, NoResponseError("cut", action="services"), OSError("x")])
def test_each_caller_gets_its_own_error_object_without_a_value(
    failure: Exception,
) -> None:
    async def main(source: Source) -> None:
        source.failure = failure
        results = await asyncio.gather(
            *(source.cached.get(10) for _ in range(3)), return_exceptions=True
        )

        assert {type(result) for result in results} == {type(failure)}
        assert len({id(result) for result in results}) == 3
        assert source.started == 1

    with_source(main)


@pytest.mark.parametrize("failure", [AuthenticationError("Invalid API key"), ClosedError("closed")])
def test_stale_value_does_not_hide_wrong_key_or_closing(failure: PanelError) -> None:
    async def main(source: Source) -> None:
        await source.cached.get(10)
        source.failure = failure

        with pytest.raises(type(failure)):
            await source.cached.get(0)

    with_source(main)


def test_cancelled_caller_does_not_cancel_the_shared_fetch() -> None:
    async def main(source: Source) -> None:
        callers = [asyncio.create_task(source.cached.get(10)) for _ in range(3)]
        await asyncio.sleep(0.5)
        callers[0].cancel()

        assert await callers[1] == await callers[2] == CachedValue(1, is_stale=False)
        assert callers[0].cancelled()

    with_source(main)


def test_last_cancelled_caller_cancels_the_fetch() -> None:
    async def main(source: Source) -> None:
        callers = [asyncio.create_task(source.cached.get(10)) for _ in range(2)]
        await asyncio.sleep(0.5)
        for caller in callers:
            caller.cancel()
        await asyncio.wait(callers)
        await turns()

        assert (source.started, source.cancelled) == (1, 1)
        assert await source.cached.get(10) == CachedValue(2, is_stale=False)

    with_source(main)


def test_error_without_waiters_is_not_reported_by_asyncio() -> None:
    """The fetch fails in the same loop iteration in which its only caller is cancelled."""

    async def main(source: Source) -> None:
        source.failure = DOWN
        source.delay_s = 0
        caller = asyncio.create_task(source.cached.get(10))
        await turns(2)
        in_flight = source.cached._in_flight
        assert in_flight is not None
        await turns(1)
        caller.cancel()
        await asyncio.wait({caller})
        await turns()

        assert source.completed == 1

    with_source(main)


def test_closing_cancels_the_fetch_and_informs_waiters() -> None:
    async def main(source: Source) -> None:
        callers = [asyncio.create_task(source.cached.get(10)) for _ in range(2)]
        await asyncio.sleep(0.5)

        await source.cached.close()

        assert source.cancelled == 1
        results = await asyncio.gather(*callers, return_exceptions=True)
        assert [type(result) for result in results] == [ClosedError, ClosedError]
        await source.cached.close()

    with_source(main)
