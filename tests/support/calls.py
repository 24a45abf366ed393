"""Calls on a panel of a test's own, whose pauses pass at once and are noted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from yarl import URL

from smmfanfast_async import SMMFANFAST
from smmfanfast_async._engine.instrumentation import Teller
from smmfanfast_async._engine.limiter import Clock
from smmfanfast_async._engine.policy import Pacer
from smmfanfast_async._engine.runner import Calls
from smmfanfast_async._wire.decode import decode_balance
from smmfanfast_async._wire.transport import Secret, Transport
from smmfanfast_async.results import Balance, Reply

from .wire import reply

__all__ = ["BALANCE", "FakeClock", "balance_of", "open_calls"]

BALANCE = reply('{"status":"success","balance":"1.50","currency":"USD"}')


def balance_of(found: Reply) -> Balance:
    return decode_balance(found, SMMFANFAST)


class FakeClock:
    """A clock whose time passes only by sleeping, and at once."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.pauses: list[float] = []

    async def sleep(self, pause_s: float) -> None:
        self.pauses.append(round(pause_s, 6))
        self.now_s += pause_s
        await asyncio.sleep(0)


@asynccontextmanager
async def open_calls(
    url: str,
    clock: FakeClock,
    *,
    key: str = "test-key",
    pacer: Pacer | None = None,
    add_concurrency: int = 1,
    teller: Teller | None = None,
) -> AsyncIterator[Calls]:
    """Open calls to an address, two at once by default."""
    calls = Calls(
        Transport(URL(url), Secret(key)),
        SMMFANFAST,
        pacer=pacer or Pacer(most=2),
        add_concurrency=add_concurrency,
        clock=Clock(now_s=lambda: clock.now_s, sleep=clock.sleep),
        draw=lambda: 1.0,
        teller=teller,
    )
    try:
        yield calls
    finally:
        await calls.close()
