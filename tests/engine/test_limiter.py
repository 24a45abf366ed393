"""Request slots: first come, first served, even if some waiters are cancelled."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smmfanfast_async import NotSentError, PausedError, ServerError
from smmfanfast_async._engine.limiter import Clock, Limiter
from smmfanfast_async._engine.policy import RateLimiter


def create_limiter(max_concurrency: int) -> Limiter:
    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    return Limiter(
        RateLimiter(max_concurrency=max_concurrency), Clock(now_s=lambda: 0.0, sleep=sleep)
    )


@settings(deadline=None)
@given(
    max_concurrency=st.integers(1, 3),
    turns=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    cancelled=st.sets(st.integers(0, 11)),
)
def test_slots_are_bounded_and_released_on_cancellation(
    max_concurrency: int, turns: list[int], cancelled: set[int]
) -> None:
    async def run() -> None:
        limiter = create_limiter(max_concurrency)
        started: list[int] = []
        in_flight = 0

        async def hold(number: int, turns: int) -> None:
            nonlocal in_flight
            async with limiter.slot("add", 10.0):
                started.append(number)
                in_flight += 1
                assert in_flight <= max_concurrency
                try:
                    for _ in range(turns):
                        await asyncio.sleep(0)
                finally:
                    in_flight -= 1

        tasks = [asyncio.create_task(hold(number, each)) for number, each in enumerate(turns)]
        await asyncio.sleep(0)
        for number in cancelled & set(range(len(tasks))):
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        assert started == sorted(started)
        assert set(range(len(tasks))) - cancelled <= set(started)
        async with asyncio.timeout(60), limiter.slot("add", 10.0):
            assert in_flight == 0

    asyncio.run(run())


@pytest.mark.asyncio
async def test_pause_that_grows_while_waiting_is_waited_out() -> None:
    now_s = 0.0
    slept: list[float] = []

    async def sleep(pause_s: float) -> None:
        nonlocal now_s
        slept.append(pause_s)
        now_s += pause_s
        if len(slept) == 1:
            limiter.on_rate_limited(5.0)

    limiter = Limiter(RateLimiter(max_concurrency=2), Clock(now_s=lambda: now_s, sleep=sleep))
    limiter.on_rate_limited(2.0)
    async with limiter.slot("add", 10.0):
        assert slept == [2.0, 5.0]
    assert limiter.rate_limiter.pause_s(now_s) == 0.0


@pytest.mark.asyncio
async def test_pause_that_grows_too_long_ends_the_waiting() -> None:
    async def sleep(_: float) -> None:
        limiter.on_rate_limited(60.0)

    limiter = Limiter(RateLimiter(max_concurrency=2), Clock(now_s=lambda: 0.0, sleep=sleep))
    limiter.on_rate_limited(2.0)
    with pytest.raises(PausedError, match="another 60 s") as caught:
        async with limiter.slot("add", 10.0):
            pass

    assert caught.value.retry_after_s == 60.0
    limiter.rate_limiter.paused_until_s = 0.0
    async with limiter.slot("add", 10.0):
        pass


@pytest.mark.asyncio
async def test_try_acquire_fails_while_others_wait() -> None:
    limiter = create_limiter(1)
    slot = limiter.try_acquire()
    assert slot is not None
    waiting = asyncio.ensure_future(limiter.acquire("status", 10.0))
    await asyncio.sleep(0)
    limiter.release(slot)

    assert not limiter.try_acquire()
    slot = await waiting
    assert not limiter.try_acquire()
    limiter.release(slot)
    assert limiter.try_acquire()


def test_try_acquire_fails_during_a_pause_or_above_the_rate() -> None:
    now = [0.0]
    limiter = Limiter(RateLimiter(max_concurrency=5, per_minute=1), Clock(now_s=lambda: now[0]))

    assert limiter.try_acquire()
    assert not limiter.try_acquire()
    now[0] = 61.0
    limiter.on_rate_limited(10.0)
    assert not limiter.try_acquire()
    now[0] = 72.0
    assert limiter.try_acquire()


@pytest.mark.asyncio
async def test_unused_slot_frees_its_time_for_a_waiting_call() -> None:
    never = asyncio.Event()

    async def sleep(_: float) -> None:
        await never.wait()

    limiter = Limiter(RateLimiter(2, per_minute=1), Clock(now_s=lambda: 0.0, sleep=sleep))
    slot = await limiter.acquire("add", 10.0)
    waiting = asyncio.ensure_future(limiter.acquire("add", 10.0))
    await asyncio.sleep(0)
    slot.on_error(NotSentError("refused"))
    limiter.release(slot)
    async with asyncio.timeout(60):
        await waiting

    assert not limiter.try_acquire()


@pytest.mark.asyncio
async def test_used_slot_counts_for_the_rate() -> None:
    limiter = Limiter(RateLimiter(2, per_minute=1), Clock(now_s=lambda: 0.0))
    with pytest.raises(ServerError):
        async with limiter.slot("status", 10.0):
            raise ServerError("down")

    assert not limiter.try_acquire()
