"""Measure the cost of safety: ratios within one run, median and spread.

Run `python benchmarks/safety.py [--quick]` from the root of the project. It starts the stand-in
panel of `panel.py` and measures, in alternating rounds:

- a read through the whole client (request slot, rate limit, payload, size limits, decoding),
  compared with a bare aiohttp post of the same bytes whose answer is parsed by `json.loads`;
- an `add`, on a fresh connection, compared with the same bytes posted by bare aiohttp on a kept
  connection and on a fresh one.
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
from panel import KEY, run_panel

from smmfanfast_async import Client, DefaultOrder

ROUNDS, CALLS = 15, 150
"""Rounds of each alternative in turn, and calls per round."""
QUICK_ROUNDS, QUICK_CALLS = 3, 20
Call = Callable[[], Awaitable[object]]


async def measure_call_s(call: Call, calls: int) -> float:
    """Return the seconds per call of sequential calls."""
    start_s = time.perf_counter()
    for _ in range(calls):
        await call()
    return (time.perf_counter() - start_s) / calls


async def measure(alternatives: dict[str, Call], rounds: int, calls: int) -> dict[str, list[float]]:
    """Time all alternatives in turn, round by round; the first round is a dropped warm-up."""
    times: dict[str, list[float]] = {name: [] for name in alternatives}
    for number in range(rounds + 1):
        for name, call in alternatives.items():
            elapsed_s = await measure_call_s(call, calls)
            if number:
                times[name].append(elapsed_s)
    return times


def compute_ratio(times: dict[str, list[float]], ours: str, theirs: str) -> dict[str, float]:
    """Compare round by round; return the median and the quartiles of the ratios."""
    ratios = [own / other for own, other in zip(times[ours], times[theirs], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {"median": round(middle, 2), "low": round(low, 2), "high": round(high, 2)}


def bare_post(session: aiohttp.ClientSession, url: str, form: dict[str, str]) -> Call:
    """Return a call that posts the same bytes as a few hand-written lines would."""
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
        alternatives: dict[str, Call] = {
            "read": client.balance,
            "bare read": bare_post(kept, url, {"action": "balance"}),
            "add": lambda: client.add(order),
            "bare add, fresh": bare_post(fresh, url, form),
            "bare add, kept": bare_post(kept, url, form),
        }
        times = await measure(alternatives, rounds, calls)
    for name, values in times.items():
        print(f"  {name:16} {statistics.median(values) * 1e6:8.0f} µs per call", file=sys.stderr)
    return {
        "read / bare aiohttp post": compute_ratio(times, "read", "bare read"),
        "add / bare aiohttp post on a fresh connection": compute_ratio(
            times, "add", "bare add, fresh"
        ),
        "add / bare aiohttp post on a kept connection": compute_ratio(
            times, "add", "bare add, kept"
        ),
    }


async def main() -> None:
    """Start the panel, measure, print the ratios as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test, not a measurement")
    is_quick = parser.parse_args().quick
    sizes = (QUICK_ROUNDS, QUICK_CALLS) if is_quick else (ROUNDS, CALLS)
    async with run_panel() as panel:
        print(json.dumps(await run(panel.url(), *sizes), indent=2))


if __name__ == "__main__":
    asyncio.run(main())
