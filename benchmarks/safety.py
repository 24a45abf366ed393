"""What the safety costs: ratios in one run, median and spread.

Run `python benchmarks/safety.py [--quick]` from the root of the project. It starts the stand-in
panel of `panel.py` and measures, in rounds that take turns:

- a read through all of the client (place, pace, payload, caps, decoding) beside a bare aiohttp post
  of the same bytes whose answer is read and parsed by `json.loads`;
- an `add`, on a fresh connection, beside the same bytes posted on a kept connection and on a fresh
  one by bare aiohttp.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

import aiohttp
from panel import KEY, started

from smmfanfast_async import Client, DefaultOrder

ROUNDS, CALLS = 15, 150
"""Rounds of each contestant in turn, and calls in a round."""
QUICK_ROUNDS, QUICK_CALLS = 3, 20
Call = Callable[[], Awaitable[object]]


async def seconds_of(call: Call, calls: int) -> float:
    """Time calls made one after the other; give seconds a call."""
    begin_s = time.perf_counter()
    for _ in range(calls):
        await call()
    return (time.perf_counter() - begin_s) / calls


async def measure(contestants: dict[str, Call], rounds: int, calls: int) -> dict[str, list[float]]:
    """Time all contestants in turn, round by round; the first round warms up and is dropped."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, call in contestants.items():
            taken_s = await seconds_of(call, calls)
            if number:
                found[name].append(taken_s)
    return found


def ratio(found: dict[str, list[float]], ours: str, theirs: str) -> dict[str, float]:
    """Compare round by round; give the median and the quartiles of the ratios."""
    ratios = [mine / other for mine, other in zip(found[ours], found[theirs], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {"median": round(middle, 2), "low": round(low, 2), "high": round(high, 2)}


def bare_post(session: aiohttp.ClientSession, url: str, form: dict[str, str]) -> Call:
    """Post the same bytes as a few hand-written lines would."""
    body = urlencode({"key": KEY, **form}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    async def call() -> object:
        async with session.post(url, data=body, headers=headers) as response:
            return json.loads(await response.read())

    return call


async def run(url: str, rounds: int, calls: int) -> dict[str, dict[str, float]]:
    """Measure everything against the panel at `url`."""
    order = DefaultOrder(service=5, link="https://example.com/p", quantity=10)
    form = {"action": "add", "service": "5", "link": "https://example.com/p", "quantity": "10"}
    fresh_connector = aiohttp.TCPConnector(force_close=True)
    async with (
        Client(KEY, base_url=url) as client,
        aiohttp.ClientSession() as kept,
        aiohttp.ClientSession(connector=fresh_connector) as fresh,
    ):
        contestants: dict[str, Call] = {
            "read": client.balance,
            "bare read": bare_post(kept, url, {"action": "balance"}),
            "add": lambda: client.add(order),
            "bare add, fresh": bare_post(fresh, url, form),
            "bare add, kept": bare_post(kept, url, form),
        }
        found = await measure(contestants, rounds, calls)
    for name, taken in found.items():
        print(f"  {name:16} {statistics.median(taken) * 1e6:8.0f} µs a call", file=sys.stderr)
    return {
        "read / bare aiohttp post": ratio(found, "read", "bare read"),
        "add / bare aiohttp post on a fresh connection": ratio(found, "add", "bare add, fresh"),
        "add / bare aiohttp post on a kept connection": ratio(found, "add", "bare add, kept"),
    }


async def main() -> None:
    """Start the panel, measure, print the ratios as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test, not a measurement")
    is_quick = parser.parse_args().quick
    sizes = (QUICK_ROUNDS, QUICK_CALLS) if is_quick else (ROUNDS, CALLS)
    async with started() as panel:
        print(json.dumps(await run(panel.url(), *sizes), indent=2))


if __name__ == "__main__":
    asyncio.run(main())
