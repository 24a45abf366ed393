"""What is measured beside the client: what people write by hand, and what else could be taken."""

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


def batches(ids: Iterable[int]) -> Iterable[list[str]]:
    """Cut ids into batches."""
    texts = map(str, ids)
    while batch := list(islice(texts, BATCH)):
        yield batch


async def by_workers(jobs: Iterable[Any], work: Callable[[Any], Awaitable[int]]) -> int:
    """Let as many workers as there are connections take jobs from one heap; sum up."""
    left = iter(jobs)

    async def worker() -> int:
        return sum([await work(job) for job in left])

    return sum(await asyncio.gather(*(worker() for _ in range(CONCURRENCY))))


def checked(found: int, wanted: int) -> int:
    """Hold every contestant to having fetched all: who drops some is no faster for it."""
    if found != wanted:
        raise RuntimeError(f"{found} statuses came, {wanted} were asked for")
    return found


def statuses_in(rows: dict[str, Any]) -> int:
    """Count the rows that are no errors: whoever takes rows has to look at each, as ours do."""
    found = 0
    for row in rows.values():
        found += "error" not in row
    return found


async def batches_by_json(session: aiohttp.ClientSession, url: str, ids: range) -> int:
    """Hand-written batches, dicts by `r.json(content_type=None)`."""

    async def fetch(batch: list[str]) -> int:
        form = {"key": KEY, "action": "status", "orders": ",".join(batch)}
        async with session.post(url, data=form) as response:
            return statuses_in(await response.json(content_type=None))

    return checked(await by_workers(batches(ids), fetch), len(ids))


async def batches_by_orjson(session: aiohttp.ClientSession, url: str, ids: range) -> int:
    """Hand-written batches, dicts by orjson."""

    async def fetch(batch: list[str]) -> int:
        form = {"key": KEY, "action": "status", "orders": ",".join(batch)}
        async with session.post(url, data=form) as response:
            return statuses_in(orjson.loads(await response.read()))

    return checked(await by_workers(batches(ids), fetch), len(ids))


async def batches_by_httpx(session: httpx.AsyncClient, url: str, ids: range) -> int:
    """Hand-written batches over httpx, dicts by its `r.json()`."""

    async def fetch(batch: list[str]) -> int:
        form = {"key": KEY, "action": "status", "orders": ",".join(batch)}
        return statuses_in((await session.post(url, data=form)).json())

    return checked(await by_workers(batches(ids), fetch), len(ids))


async def one_by_one(session: aiohttp.ClientSession, url: str, ids: range) -> int:
    """One request an order, dicts by `r.json(content_type=None)`."""

    async def fetch(order: int) -> int:
        form = {"key": KEY, "action": "status", "order": str(order)}
        async with session.post(url, data=form) as response:
            return len(await response.json(content_type=None)) > 0

    return checked(await by_workers(ids, fetch), len(ids))


def data_loader(session: aiohttp.ClientSession, url: str) -> "DataLoader[str, Any]":
    """Give aiodataloader's usual pattern: batches of 100, a semaphore around the request."""
    places = asyncio.Semaphore(CONCURRENCY)

    async def fetch(batch: list[str]) -> list[Any]:
        form = {"key": KEY, "action": "status", "orders": ",".join(batch)}
        async with places, session.post(url, data=form) as response:
            found = orjson.loads(await response.read())
            return [found[order] for order in batch]

    return DataLoader(fetch, max_batch_size=BATCH, cache=False)


async def loaded(session: aiohttp.ClientSession, url: str, ids: range) -> int:
    """Many callers in tasks, with an id each, over aiodataloader."""
    loader = data_loader(session, url)

    async def caller(order: int) -> object:
        return await loader.load(str(order))

    found = await asyncio.gather(*(caller(order) for order in ids))
    return checked(len(found), len(ids))


async def streamed(client: Client, ids: range) -> int:
    """Ours: `iter_statuses`, typed."""
    found = 0
    async for _, result in client.iter_statuses(ids):
        found += not isinstance(result, PanelError)
    return checked(found, len(ids))


async def coalesced(client: Client, ids: range) -> int:
    """Ours: many callers in tasks, each with `await client.status(id)`."""
    found = await asyncio.gather(*(client.status(order) for order in ids))
    return checked(len(found), len(ids))


async def bare_futures(client: Client, ids: range) -> int:
    """Tasks that await a bare future each, filled by one `iter_statuses` over all ids."""
    loop = asyncio.get_running_loop()
    futures = {str(order): loop.create_future() for order in ids}

    async def caller(future: "asyncio.Future[object]") -> object:
        return await future

    async def fill() -> None:
        async for order, result in client.iter_statuses(ids):
            futures[order].set_result(result)

    filling = asyncio.create_task(fill())
    found = await asyncio.gather(*(caller(future) for future in futures.values()))
    await filling
    return checked(len(found), len(ids))


# --- decoding alone ------------------------------------------------------------------------------


# The fields are those of the client's own results, since panels leave out some and send null for
# others (seen): whoever reads them by hand needs them too.


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
    """A service as one writes it for cattrs."""

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
    """A status as one writes it for pydantic."""

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
    """A service as one writes it for pydantic."""

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
    """Make a converter as one makes it: for Decimal there has to be a hook."""
    converter = Converter()
    converter.register_structure_hook(Decimal, lambda value, _: Decimal(value))
    return converter


STATUS_MODELS = TypeAdapter(dict[str, StatusModel | str])
SERVICE_MODELS = TypeAdapter(list[ServiceModel])
