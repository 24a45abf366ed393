"""The loop with virtual time: what code that runs on it can rely on."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from .virtual_loop import StuckError, VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    created = VirtualLoop()
    yield created
    created.close()


def test_virtual_day_passes_instantly(loop: VirtualLoop) -> None:
    started_s = time.monotonic()

    loop.run_until_complete(asyncio.sleep(86_400))

    assert loop.time() == pytest.approx(86_400)
    assert time.monotonic() - started_s < 5


def test_timers_run_in_the_order_of_their_times(loop: VirtualLoop) -> None:
    ran: list[int] = []
    for span_s in (3, 1, 2):
        loop.call_later(span_s, ran.append, span_s)

    loop.run_until_complete(asyncio.sleep(4))

    assert ran == [1, 2, 3]


def test_no_time_passes_while_something_is_ready(loop: VirtualLoop) -> None:
    async def turns() -> None:
        for _ in range(100):
            await asyncio.sleep(0)

    loop.run_until_complete(turns())

    assert loop.time() == 0.0


def test_wait_that_nothing_can_end_raises(loop: VirtualLoop) -> None:
    with pytest.raises(StuckError):
        loop.run_until_complete(loop.create_future())


def test_no_thread_is_started(loop: VirtualLoop) -> None:
    with pytest.raises(RuntimeError, match="no threads"):
        loop.run_until_complete(asyncio.wait_for(_in_thread(), 1))


async def _in_thread() -> None:
    await asyncio.to_thread(time.monotonic)


def test_error_of_a_callback_is_recorded(loop: VirtualLoop) -> None:
    loop.call_soon(int, "x")

    loop.run_until_complete(asyncio.sleep(0))

    assert "ValueError" in loop.loop_errors[0]
