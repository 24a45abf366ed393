"""Places among requests: first come, first served, whatever is cancelled in between."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smmfanfast_async import PausedError
from smmfanfast_async._engine.limiter import Clock, Limiter
from smmfanfast_async._engine.policy import RateLimiter


def gate_of(most: int) -> Limiter:
    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    return Limiter(RateLimiter(max_concurrency=most), Clock(now_s=lambda: 0.0, sleep=sleep))


@settings(deadline=None)
@given(
    most=st.integers(1, 3),
    turns=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    cancelled=st.sets(st.integers(0, 11)),
)
def test_slots_are_bounded_and_released_on_cancellation(
    most: int, turns: list[int], cancelled: set[int]
) -> None:
    async def run() -> None:
        gate = gate_of(most)
        begun: list[int] = []
        held = 0

        async def hold(number: int, turns: int) -> None:
            nonlocal held
            async with gate.slot("add", 10.0):
                begun.append(number)
                held += 1
                assert held <= most
                try:
                    for _ in range(turns):
                        await asyncio.sleep(0)
                finally:
                    held -= 1

        tasks = [asyncio.create_task(hold(number, each)) for number, each in enumerate(turns)]
        await asyncio.sleep(0)
        for number in cancelled & set(range(len(tasks))):
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

        assert begun == sorted(begun)
        assert set(range(len(tasks))) - cancelled <= set(begun)
        async with asyncio.timeout(1), gate.slot("add", 10.0):
            assert held == 0

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
            gate.on_rate_limited(5.0)

    gate = Limiter(RateLimiter(max_concurrency=2), Clock(now_s=lambda: now_s, sleep=sleep))
    gate.on_rate_limited(2.0)
    async with gate.slot("add", 10.0):
        assert slept == [2.0, 5.0]
    assert gate.rate_limiter.pause_s(now_s) == 0.0


@pytest.mark.asyncio
async def test_pause_that_grows_too_long_ends_the_waiting() -> None:
    async def sleep(_: float) -> None:
        gate.on_rate_limited(60.0)

    gate = Limiter(RateLimiter(max_concurrency=2), Clock(now_s=lambda: 0.0, sleep=sleep))
    gate.on_rate_limited(2.0)
    with pytest.raises(PausedError, match="another 60 s") as caught:
        async with gate.slot("add", 10.0):
            pass

    assert caught.value.retry_after_s == 60.0
    gate.rate_limiter.paused_until_s = 0.0
    async with gate.slot("add", 10.0):
        pass


@pytest.mark.asyncio
async def test_try_acquire_fails_while_others_wait() -> None:
    gate = gate_of(1)
    assert gate.try_acquire()
    waiting = asyncio.ensure_future(gate.acquire("status", 10.0))
    await asyncio.sleep(0)
    gate.release()

    assert not gate.try_acquire()
    await waiting
    assert not gate.try_acquire()
    gate.release()
    assert gate.try_acquire()


def test_try_acquire_fails_during_a_pause_or_above_the_rate() -> None:
    now = [0.0]
    gate = Limiter(RateLimiter(max_concurrency=5, per_minute=1), Clock(now_s=lambda: now[0]))

    assert gate.try_acquire()
    assert not gate.try_acquire()
    now[0] = 61.0
    gate.on_rate_limited(10.0)
    assert not gate.try_acquire()
    now[0] = 72.0
    assert gate.try_acquire()
