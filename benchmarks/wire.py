"""Over the wire, against the stand-in panel: CPU a status, latency, requests, the loop's pauses."""

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
from panel import KEY, Panel

from smmfanfast_async import Client

LATENCY_MS = 50
FIRST_ID = 10_001
TRICKLE_PER_S = 5000
TRICKLE_STEP_S = 0.001
"""Seconds between two handfuls of callers: the clock of an event loop is no finer."""
BURST = 1050
"""Callers at once whose number is no multiple of the batch."""
REQUESTS_FOR = 1000
"""Callers whose requests the chart shows."""
CATALOGUE_ROWS = 10_000


def ids(count: int) -> range:
    """Give some ids."""
    return range(FIRST_ID, FIRST_ID + count)


def hand_session() -> aiohttp.ClientSession:
    """Make the session of hand-written contestants: as many connections as workers."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=by.CONCURRENCY))


async def cpu_a_status(panel: Panel, rounds: int, count: int) -> dict[str, Spread]:
    """Compare the CPU time of a status, end to end, without latency."""
    url, many, few = panel.url(), ids(count), ids(count // 10)
    async with (
        hand_session() as session,
        httpx.AsyncClient() as httpx_client,
        Client(KEY, base_url=url) as client,
    ):
        work = {
            "ours": partial(by.streamed, client, many),
            "json": partial(by.batches_by_json, session, url, many),
            "orjson": partial(by.batches_by_orjson, session, url, many),
            "httpx": partial(by.batches_by_httpx, httpx_client, url, many),
            "coalesced": partial(by.coalesced, client, many),
            "bare futures": partial(by.bare_futures, client, many),
            "aiodataloader": partial(by.loaded, session, url, many),
            "one by one": partial(by.one_by_one, session, url, few),
        }
        shares = {name: len(few) if name == "one by one" else len(many) for name in work}
        found = await in_turns(work, rounds, shares=shares)
    micros = {name: [each * 1e6 for each in taken] for name, taken in found.items()}
    return {f"CPU a status, {name}, µs": spread(taken) for name, taken in micros.items()} | {
        "streamed / json": ratio(found, "ours", "json"),
        "streamed / orjson": ratio(found, "ours", "orjson"),
        "streamed / httpx": ratio(found, "ours", "httpx"),
        "one by one / streamed": ratio(found, "one by one", "ours"),
        "one by one / coalesced": ratio(found, "one by one", "coalesced"),
        "coalesced / bare futures": ratio(found, "coalesced", "bare futures"),
        "coalesced / aiodataloader": ratio(found, "coalesced", "aiodataloader"),
    }


async def with_latency(panel: Panel, rounds: int, count: int) -> dict[str, Spread]:
    """Compare the time of many statuses on a slow panel with the least that it could be."""
    url, many = panel.url(LATENCY_MS), ids(count)
    waves = math.ceil(math.ceil(count / by.BATCH) / by.CONCURRENCY)
    ideal_s = waves * LATENCY_MS / 1000
    async with Client(KEY, base_url=url) as client:
        found = await in_turns(
            {
                "explicit": partial(by.streamed, client, many),
                "coalesced": partial(by.coalesced, client, many),
            },
            rounds,
            clock=time.perf_counter,
        )
    return {f"{name} / ideal": spread([s / ideal_s for s in found[name]]) for name in found}


async def bursts(panel: Panel, rounds: int) -> dict[str, Spread]:
    """Count the requests of many callers at once, and as a share of what they need."""
    needed = math.ceil(BURST / by.BATCH)
    shares: list[float] = []
    counted: dict[str, list[float]] = {"one by one": [], "coalesced": []}
    many = ids(REQUESTS_FOR)
    for _ in range(rounds):
        async with Client(KEY, base_url=panel.url()) as client, hand_session() as session:
            await panel.counts()
            await by.coalesced(client, ids(BURST))
            shares.append((await panel.counts()).requests / needed)
            await by.coalesced(client, many)
            counted["coalesced"].append((await panel.counts()).requests)
            await by.one_by_one(session, panel.url(), many)
            counted["one by one"].append((await panel.counts()).requests)
    return {"burst, requests / needed": spread(shares)} | {
        f"requests for {REQUESTS_FOR}, {name}": spread(found) for name, found in counted.items()
    }


async def trickle(
    panel: Panel, count: int, load: Callable[[int], Awaitable[object]]
) -> tuple[float, int]:
    """Let callers come one by one; give their median latency in ms, and the requests."""
    latencies_s: list[float] = []

    async def caller(order: int) -> None:
        begin_s = time.perf_counter()
        await load(order)
        latencies_s.append(time.perf_counter() - begin_s)

    await panel.counts()
    callers: list[asyncio.Task[None]] = []
    begin_s = time.perf_counter()
    while len(callers) < count:
        due = min(int((time.perf_counter() - begin_s) * TRICKLE_PER_S) + 1, count)
        callers += [
            asyncio.create_task(caller(FIRST_ID + place)) for place in range(len(callers), due)
        ]
        await asyncio.sleep(TRICKLE_STEP_S)
    await asyncio.gather(*callers)
    return statistics.median(latencies_s) * 1000, (await panel.counts()).requests


async def trickles(panel: Panel, rounds: int, count: int) -> dict[str, Spread]:
    """Let 5,000 callers a second come at 50 ms latency, to us and to the usual pattern."""
    url = panel.url(LATENCY_MS)
    ours: list[tuple[float, int]] = []
    theirs: list[tuple[float, int]] = []
    async with Client(KEY, base_url=url) as client, hand_session() as session:
        loader = by.data_loader(session, url)
        for _ in range(rounds):
            ours.append(await trickle(panel, count, client.status))
            theirs.append(await trickle(panel, count, lambda order: loader.load(str(order))))
    return {
        "trickle, median ms": spread([each[0] for each in ours]),
        "trickle, requests": spread([float(each[1]) for each in ours]),
        "trickle, aiodataloader, median ms": spread([each[0] for each in theirs]),
        "trickle, aiodataloader, requests": spread([float(each[1]) for each in theirs]),
    }


async def longest_pause_ms(work: Callable[[], Awaitable[object]]) -> float:
    """Give the longest time for which the event loop ran nothing else during some work."""
    longest_s = 0.0
    is_over = False

    async def tick() -> None:
        nonlocal longest_s
        last_s = time.perf_counter()
        while not is_over:
            await asyncio.sleep(0)
            now_s = time.perf_counter()
            longest_s = max(longest_s, now_s - last_s)
            last_s = now_s

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0)
    await work()
    is_over = True
    await ticking
    return longest_s * 1000


async def pauses(panel: Panel, rounds: int) -> dict[str, Spread]:
    """Give the longest pause of the loop while a large catalogue is fetched and read."""
    url = panel.url(rows=CATALOGUE_ROWS)
    form = {"key": KEY, "action": "services"}
    found: dict[str, list[float]] = {"ours": [], "json": [], "orjson": []}
    async with Client(KEY, base_url=url) as client, hand_session() as session:

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
                taken_ms = await longest_pause_ms(work)
                if number:
                    found[name].append(taken_ms)
    return {f"longest pause, {name}, ms": spread(taken) for name, taken in found.items()}
