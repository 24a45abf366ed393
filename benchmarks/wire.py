"""Measure against the stand-in panel: CPU per status, latency, requests, event-loop pauses."""

import asyncio
import math
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial

import aiohttp
import contestants as by
import httpx
import orjson
from measuring import Spread, in_turns, ratio, spread
from panel import KEY, Panel, is_refused

from smmfanfast_async import Client

LATENCY_MS = 50
FIRST_ID = 10_001
TRICKLE_PER_S = 5000
TRICKLE_STEP_S = 0.001
"""Seconds between two groups of callers: the clock of an event loop is not finer."""
BURST = 1050
"""Concurrent callers; the number is not a multiple of the batch size."""
REQUESTS_FOR = 1000
"""Number of callers whose requests the chart shows."""
CATALOGUE_ROWS = 10_000


def make_ids(count: int) -> range:
    """Return `count` consecutive ids."""
    return range(FIRST_ID, FIRST_ID + count)


def create_session() -> aiohttp.ClientSession:
    """Return the session for hand-written code: as many connections as workers."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=by.CONCURRENCY))


async def measure_cpu(panel: Panel, rounds: int, count: int) -> dict[str, Spread]:
    """Compare the CPU time per status, end to end, without latency."""
    url, many, few = panel.url(), make_ids(count), make_ids(count // 10)
    async with (
        create_session() as session,
        httpx.AsyncClient() as httpx_client,
        Client(KEY, base_url=url) as client,
    ):
        work = {
            "ours": partial(by.fetch_with_iter_statuses, client, many),
            "batches": partial(by.fetch_with_batches, client, many),
            "json": partial(by.fetch_with_json, session, url, many),
            "orjson": partial(by.fetch_with_orjson, session, url, many),
            "httpx": partial(by.fetch_with_httpx, httpx_client, url, many),
            "coalesced": partial(by.fetch_with_status, client, many),
            "bare futures": partial(by.fetch_with_bare_futures, client, many),
            "aiodataloader": partial(by.fetch_with_data_loader, session, url, many),
            "one by one": partial(by.fetch_one_by_one, session, url, few),
        }
        shares = {name: len(few) if name == "one by one" else len(many) for name in work}
        times = await in_turns(work, rounds, shares=shares)
    times_us = {name: [each * 1e6 for each in values] for name, values in times.items()}
    return {f"CPU a status, {name}, µs": spread(values) for name, values in times_us.items()} | {
        "streamed / json": ratio(times, "ours", "json"),
        "streamed / orjson": ratio(times, "ours", "orjson"),
        "streamed / httpx": ratio(times, "ours", "httpx"),
        "batches / json": ratio(times, "batches", "json"),
        "batches / orjson": ratio(times, "batches", "orjson"),
        "one by one / batches": ratio(times, "one by one", "batches"),
        "one by one / streamed": ratio(times, "one by one", "ours"),
        "one by one / coalesced": ratio(times, "one by one", "coalesced"),
        "coalesced / bare futures": ratio(times, "coalesced", "bare futures"),
        "coalesced / aiodataloader": ratio(times, "coalesced", "aiodataloader"),
    }


async def measure_real_cpu(panel: Panel, rounds: int, count: int) -> dict[str, Spread]:
    """Compare the same if the panel refuses 2 % of the ids, and with irregular records too."""
    many = make_ids(count)
    expected = sum(not is_refused(order) for order in many)
    figures: dict[str, Spread] = {}
    for irregular, suffix in ((0, "real"), (15, "real, malformed")):
        url = panel.url(more=f"/real{irregular}")
        async with create_session() as session, Client(KEY, base_url=url) as client:
            work = {
                "ours": partial(by.fetch_with_iter_statuses, client, many, expected),
                "batches": partial(by.fetch_with_batches, client, many, expected),
                "json": partial(by.fetch_with_json, session, url, many, expected),
                "orjson": partial(by.fetch_with_orjson, session, url, many, expected),
            }
            times = await in_turns(work, rounds, shares=dict.fromkeys(work, len(many)))
        for theirs in ("json", "orjson"):
            figures[f"streamed / {theirs}, {suffix}"] = ratio(times, "ours", theirs)
            figures[f"batches / {theirs}, {suffix}"] = ratio(times, "batches", theirs)
    return figures


async def measure_latency(panel: Panel, rounds: int, count: int) -> dict[str, Spread]:
    """Compare the time of many statuses on a slow panel with the theoretical minimum."""
    url, many = panel.url(LATENCY_MS), make_ids(count)
    waves = math.ceil(math.ceil(count / by.BATCH) / by.CONCURRENCY)
    ideal_s = waves * LATENCY_MS / 1000
    async with Client(KEY, base_url=url) as client:
        times = await in_turns(
            {
                "explicit": partial(by.fetch_with_iter_statuses, client, many),
                "coalesced": partial(by.fetch_with_status, client, many),
            },
            rounds,
            clock=time.perf_counter,
        )
    return {f"{name} / ideal": spread([s / ideal_s for s in times[name]]) for name in times}


async def measure_bursts(panel: Panel, rounds: int) -> dict[str, Spread]:
    """Count the requests of concurrent callers, also relative to the minimum."""
    needed = math.ceil(BURST / by.BATCH)
    shares: list[float] = []
    counted: dict[str, list[float]] = {"one by one": [], "coalesced": []}
    many = make_ids(REQUESTS_FOR)
    for _ in range(rounds):
        async with Client(KEY, base_url=panel.url()) as client, create_session() as session:
            await panel.fetch_counts()
            await by.fetch_with_status(client, make_ids(BURST))
            shares.append((await panel.fetch_counts()).requests / needed)
            await by.fetch_with_status(client, many)
            counted["coalesced"].append((await panel.fetch_counts()).requests)
            await by.fetch_one_by_one(session, panel.url(), many)
            counted["one by one"].append((await panel.fetch_counts()).requests)
    return {"burst, requests / needed": spread(shares)} | {
        f"requests for {REQUESTS_FOR}, {name}": spread(counts) for name, counts in counted.items()
    }


async def measure_trickle(
    panel: Panel, count: int, load: Callable[[int], Awaitable[object]]
) -> tuple[float, int]:
    """Start callers one by one; return their median latency in ms, and the number of requests."""
    latencies_s: list[float] = []

    async def caller(order: int) -> None:
        start_s = time.perf_counter()
        await load(order)
        latencies_s.append(time.perf_counter() - start_s)

    await panel.fetch_counts()
    callers: list[asyncio.Task[None]] = []
    start_s = time.perf_counter()
    while len(callers) < count:
        due = min(int((time.perf_counter() - start_s) * TRICKLE_PER_S) + 1, count)
        callers += [
            asyncio.create_task(caller(FIRST_ID + place)) for place in range(len(callers), due)
        ]
        await asyncio.sleep(TRICKLE_STEP_S)
    await asyncio.gather(*callers)
    return statistics.median(latencies_s) * 1000, (await panel.fetch_counts()).requests


async def measure_trickles(panel: Panel, rounds: int, count: int) -> dict[str, Spread]:
    """Start 5,000 callers per second at 50 ms latency, with the client and with aiodataloader."""
    url = panel.url(LATENCY_MS)
    ours: list[tuple[float, int]] = []
    theirs: list[tuple[float, int]] = []
    async with Client(KEY, base_url=url) as client, create_session() as session:
        loader = by.create_data_loader(session, url)
        for _ in range(rounds):
            ours.append(await measure_trickle(panel, count, client.status))
            theirs.append(
                await measure_trickle(panel, count, lambda order: loader.load(str(order)))
            )
    return {
        "trickle, median ms": spread([each[0] for each in ours]),
        "trickle, requests": spread([float(each[1]) for each in ours]),
        "trickle, aiodataloader, median ms": spread([each[0] for each in theirs]),
        "trickle, aiodataloader, requests": spread([float(each[1]) for each in theirs]),
    }


async def measure_longest_pause_ms(work: Callable[[], Awaitable[object]]) -> float:
    """Return the longest time for which the event loop ran nothing else during some work."""
    longest_s = 0.0
    is_finished = False

    async def tick() -> None:
        nonlocal longest_s
        last_s = time.perf_counter()
        while not is_finished:
            await asyncio.sleep(0)
            now_s = time.perf_counter()
            longest_s = max(longest_s, now_s - last_s)
            last_s = now_s

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    await work()
    is_finished = True
    await ticking
    return longest_s * 1000


async def measure_pauses(panel: Panel, rounds: int) -> dict[str, Spread]:
    """Measure the longest pause of the loop while a large catalogue is fetched and decoded."""
    url = panel.url(rows=CATALOGUE_ROWS)
    form = {"key": KEY, "action": "services"}
    times: dict[str, list[float]] = {"ours": [], "json": [], "orjson": []}
    async with Client(KEY, base_url=url) as client, create_session() as session:

        async def by_json() -> object:
            async with session.post(url, data=form) as response:
                return await response.json(content_type=None)

        async def by_orjson() -> object:
            async with session.post(url, data=form) as response:
                return orjson.loads(await response.read())

        for number in range(rounds + 1):
            for name, work in (
                ("ours", partial(client.services, max_age_s=0)),
                ("json", by_json),
                ("orjson", by_orjson),
            ):
                pause_ms = await measure_longest_pause_ms(work)
                if number:
                    times[name].append(pause_ms)
    return {f"longest pause, {name}, ms": spread(values) for name, values in times.items()}
