"""A runner on a test server, whose pauses take no time and are recorded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from yarl import URL

from smmfanfast_async import SMMFANFAST
from smmfanfast_async._engine.instrumentation import Instrumentation
from smmfanfast_async._engine.limiter import Clock
from smmfanfast_async._engine.policy import RateLimiter
from smmfanfast_async._engine.runner import Runner
from smmfanfast_async._wire.decode import decode_balance
from smmfanfast_async._wire.transport import Secret, Transport
from smmfanfast_async.results import Balance, Response

from .wire import reply

__all__ = ["BALANCE", "FakeClock", "decode_balance_reply", "open_runner"]

BALANCE = reply('{"status":"success","balance":"1.50","currency":"USD"}')


def decode_balance_reply(response: Response) -> Balance:
    return decode_balance(response, SMMFANFAST)


class FakeClock:
    """A clock that advances only by sleeping, without real waiting."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.pauses: list[float] = []

    async def sleep(self, pause_s: float) -> None:
        self.pauses.append(round(pause_s, 6))
        self.now_s += pause_s
        await asyncio.sleep(0)


@asynccontextmanager
async def open_runner(
    url: str,
    clock: FakeClock,
    *,
    key: str = "test-key",
    rate_limiter: RateLimiter | None = None,
    add_concurrency: int = 1,
    instrumentation: Instrumentation | None = None,
) -> AsyncIterator[Runner]:
    """Open a runner on an address, with two concurrent requests by default."""
    calls = Runner(
        Transport(URL(url), Secret(key)),
        SMMFANFAST,
        rate_limiter=rate_limiter or RateLimiter(max_concurrency=2),
        add_concurrency=add_concurrency,
        clock=Clock(now_s=lambda: clock.now_s, sleep=clock.sleep),
        rng=lambda: 1.0,
        instrumentation=instrumentation,
    )
    try:
        yield calls
    finally:
        await calls.close()
