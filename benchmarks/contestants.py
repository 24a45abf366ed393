"""The alternatives to the client that are measured: hand-written code and other libraries."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from decimal import Decimal
from itertools import islice
from typing import Any

import aiohttp
import httpx
import orjson
from aiodataloader import DataLoader
from attrs import frozen
from cattrs import Converter
from panel import KEY
from pydantic import BaseModel, TypeAdapter

from smmfanfast_async import Client, PanelError

BATCH = 100
CONCURRENCY = 10

# --- over the wire -------------------------------------------------------------------------------


def split_batches(ids: Iterable[int]) -> Iterable[list[str]]:
    """Yield ids in batches."""
    texts = map(str, ids)
    while batch := list(islice(texts, BATCH)):
        yield batch


async def run_workers(jobs: Iterable[Any], work: Callable[[Any], Awaitable[int]]) -> int:
    """Process jobs with one worker per connection; return the sum of the results."""
    left = iter(jobs)

    async def worker() -> int:
        return sum([await work(job) for job in left])

    return sum(await asyncio.gather(*(worker() for _ in range(CONCURRENCY))))


def require_all(count: int, expected: int) -> int:
    """Return the count, or raise if not all statuses were fetched: dropping some is not faster."""
    if count != expected:
        raise RuntimeError(f"expected {expected} statuses, received {count}")
    return count


def count_statuses(rows: dict[str, Any]) -> int:
    """Count the rows that are not errors: a user has to inspect each row, as the client does."""
    count = 0
    for row in rows.values():
        count += "error" not in row
    return count


def count_real_statuses(rows: dict[str, Any]) -> int:
    """Count the same at a panel that answers a refused id with a bare text."""
    count = 0
    for row in rows.values():
        count += isinstance(row, dict) and "error" not in row
    return count


async def fetch_with_json(
    session: aiohttp.ClientSession, url: str, ids: range, expected: int | None = None
) -> int:
    """Hand-written batches, dicts by `r.json(content_type=None)`."""
    count_rows = count_statuses if expected is None else count_real_statuses

    async def fetch(batch: list[str]) -> int:
        form = {"key": KEY, "action": "status", "orders": ",".join(batch)}
        async with session.post(url, data=form) as response:
            return count_rows(await response.json(content_type=None))

    return require_all(await run_workers(split_batches(ids), fetch), expected or len(ids))


async def fetch_with_orjson(
    session: aiohttp.ClientSession, url: str, ids: range, expected: int | None = None
) -> int:
    """Hand-written batches, dicts by orjson."""
    count_rows = count_statuses if expected is None else count_real_statuses

    async def fetch(batch: list[str]) -> int:
        form = {"key": KEY, "action": "status", "orders": ",".join(batch)}
        async with session.post(url, data=form) as response:
            return count_rows(orjson.loads(await response.read()))

    return require_all(await run_workers(split_batches(ids), fetch), expected or len(ids))


async def fetch_with_httpx(session: httpx.AsyncClient, url: str, ids: range) -> int:
    """Hand-written batches over httpx, dicts by its `r.json()`."""

    async def fetch(batch: list[str]) -> int:
        form = {"key": KEY, "action": "status", "orders": ",".join(batch)}
        return count_statuses((await session.post(url, data=form)).json())

    return require_all(await run_workers(split_batches(ids), fetch), len(ids))


async def fetch_one_by_one(session: aiohttp.ClientSession, url: str, ids: range) -> int:
    """One request per order, dicts by `r.json(content_type=None)`."""

    async def fetch(order: int) -> int:
        form = {"key": KEY, "action": "status", "order": str(order)}
        async with session.post(url, data=form) as response:
            return len(await response.json(content_type=None)) > 0

    return require_all(await run_workers(ids, fetch), len(ids))


def create_data_loader(session: aiohttp.ClientSession, url: str) -> "DataLoader[str, Any]":
    """Return aiodataloader's usual pattern: batches of 100, a semaphore around the request."""
    slots = asyncio.Semaphore(CONCURRENCY)

    async def fetch(batch: list[str]) -> list[Any]:
        form = {"key": KEY, "action": "status", "orders": ",".join(batch)}
        async with slots, session.post(url, data=form) as response:
            rows = orjson.loads(await response.read())
            return [rows[order] for order in batch]

    return DataLoader(fetch, max_batch_size=BATCH, cache=False)


async def fetch_with_data_loader(session: aiohttp.ClientSession, url: str, ids: range) -> int:
    """Many tasks with one id each, over aiodataloader."""
    loader = create_data_loader(session, url)

    async def caller(order: int) -> object:
        return await loader.load(str(order))

    results = await asyncio.gather(*(caller(order) for order in ids))
    return require_all(len(results), len(ids))


async def fetch_with_iter_statuses(client: Client, ids: range, expected: int | None = None) -> int:
    """Fetch with the client: `iter_statuses`, typed."""
    count = 0
    async for _, result in client.iter_statuses(ids):
        count += not isinstance(result, PanelError)
    return require_all(count, expected or len(ids))


async def fetch_with_batches(client: Client, ids: range, expected: int | None = None) -> int:
    """Fetch with the client: `iter_status_batches`, typed."""
    count = 0
    async for batch in client.iter_status_batches(ids):
        for result in batch.values():
            count += not isinstance(result, PanelError)
    return require_all(count, expected or len(ids))


async def fetch_with_status(client: Client, ids: range) -> int:
    """Fetch with the client: many tasks, each with `await client.status(id)`."""
    results = await asyncio.gather(*(client.status(order) for order in ids))
    return require_all(len(results), len(ids))


async def fetch_with_bare_futures(client: Client, ids: range) -> int:
    """Tasks that await one bare future each, resolved by one `iter_statuses` over all ids."""
    loop = asyncio.get_running_loop()
    futures = {str(order): loop.create_future() for order in ids}

    async def caller(future: "asyncio.Future[object]") -> object:
        return await future

    async def fill() -> None:
        async for order, result in client.iter_statuses(ids):
            futures[order].set_result(result)

    filling = asyncio.create_task(fill())
    results = await asyncio.gather(*(caller(future) for future in futures.values()))
    await filling
    return require_all(len(results), len(ids))


# --- decoding alone ------------------------------------------------------------------------------


# The fields are those of the client's own results: panels omit some fields and send null for some
# (seen), so hand-written code needs them too.


@frozen
class StatusRow:
    """A status as one writes it for cattrs."""

    order: str
    status: str
    charge: Decimal | None = None
    currency: str | None = None
    start_count: int | None = None
    remains: int | None = None
    runs: int | None = None
    posts: int | None = None
    expiry: bool | None = None
    orders: tuple[str, ...] = ()


@frozen
class ServiceRow:
    """A service as it is usually defined for cattrs."""

    service: str
    name: str
    category: str
    rate: Decimal | None = None
    min: int | None = None
    max: int | None = None
    type: str | None = None
    desc: str | None = None
    dripfeed: bool | None = None
    refill: bool | None = None
    cancel: bool | None = None


class StatusModel(BaseModel):
    """A status as it is usually defined for pydantic."""

    order: str
    status: str
    charge: Decimal | None = None
    currency: str | None = None
    start_count: int | None = None
    remains: int | None = None
    runs: int | None = None
    posts: int | None = None
    expiry: bool | None = None
    orders: tuple[str, ...] = ()


class ServiceModel(BaseModel):
    """A service as it is usually defined for pydantic."""

    service: str
    name: str
    category: str
    rate: Decimal | None = None
    min: int | None = None
    max: int | None = None
    type: str | None = None
    desc: str | None = None
    dripfeed: bool | None = None
    refill: bool | None = None
    cancel: bool | None = None


def plain_cattrs() -> Converter:
    """Return a plain converter; Decimal requires a hook."""
    converter = Converter()
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(value))
    return converter


STATUS_MODELS = TypeAdapter(dict[str, StatusModel | str])
SERVICE_MODELS = TypeAdapter(list[ServiceModel])
