"""The cached catalogue, and the price limit of orders that is based on it."""

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import pytest
from support.wire import Answer, Reply, Request, Silence, WireServer, reply

from smmfanfast_async import (
    Client,
    ClosedError,
    DefaultOrder,
    InvalidOrderError,
    NoResponseError,
    NotSentError,
    PackageOrder,
    PanelError,
    RetryPolicy,
    ServerError,
    SpendingLimitError,
    SubscriptionsOrder,
)

ORDER = DefaultOrder(service=5, link="https://example.com/p", quantity=500)
SUBSCRIPTION = SubscriptionsOrder(service=6, username="example", min=1, max=2, delay=5)
ONCE = RetryPolicy(max_attempts=1)


class ShopServer(WireServer):
    """Offers two services at a rate and accepts every order; `down` replaces the catalogue."""

    def __init__(self) -> None:
        super().__init__(reply(""))
        self.rate = "1.00"
        self.kind: str | None = None
        self.down: Answer | None = None

    def answer_to(self, request: Request) -> Answer:
        if request.fields["action"] == "add":
            return reply('{"order":32}')
        if self.down is not None:
            return self.down
        return self.catalogue()

    def catalogue(self) -> Reply:
        row = {"name": "x", "rate": self.rate, "min": 1, "max": 1000, "type": self.kind}
        return reply(json.dumps([{"service": each} | row for each in ("5", "6")]))

    def actions(self) -> list[str]:
        return [request.fields["action"] for request in self.requests]


def create_client(server: WireServer, **options: Any) -> Client:
    return Client("test-key", base_url=server.url, **{"retry": ONCE} | options)


# --- the catalogue -------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_catalogue_is_fetched_once_unless_max_age_is_smaller() -> None:
    async with ShopServer() as server, create_client(server) as client:
        first, again, *_ = await asyncio.gather(*(client.services() for _ in range(5)))
        assert await client.services() is first is again
        assert len(server.requests) == 1

        assert await client.services(max_age_s=0) is not first
        assert len(server.requests) == 2


@pytest.mark.asyncio
async def test_expired_catalogue_is_fetched_again() -> None:
    async with ShopServer() as server, create_client(server, services_ttl_s=0) as client:
        await client.services()
        await client.services()

    assert len(server.requests) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("down", [reply("down", 503), Silence()], ids=["failing", "silent"])
async def test_older_catalogue_is_returned_as_stale(down: Answer) -> None:
    async with ShopServer() as server, create_client(server) as client:
        older = await client.services()
        server.down = down

        catalogue = await client.with_options(timeout_s=0.3).services(max_age_s=0)

    assert catalogue.is_stale
    assert not older.is_stale
    assert (catalogue.fetched_at, catalogue.services) == (older.fetched_at, older.services)


@pytest.mark.asyncio
async def test_catalogue_with_raw_texts_is_cached_separately() -> None:
    async with ShopServer() as server, create_client(server) as client:
        plain = await client.services()
        with_raw = await client.with_options(keep_raw=True).services()
        again = await client.with_options(keep_raw=True).services()

        assert [each.raw for each in plain.values()] == [None, None]
        assert [json.loads(each.raw or "")["service"] for each in with_raw.values()] == ["5", "6"]
        assert again is with_raw
        assert (await client.services()) is plain
        assert server.actions() == ["services"] * 2


@pytest.mark.asyncio
async def test_error_is_raised_without_an_older_catalogue() -> None:
    async with ShopServer() as server, create_client(server) as client:
        server.down = reply("down", 503)
        with pytest.raises(ServerError):
            await client.services()
        server.down = Silence()
        with pytest.raises(NoResponseError) as caught:
            await client.with_options(timeout_s=0.2).services()

    assert caught.value.action == "services"


@pytest.mark.asyncio
async def test_closing_ends_a_fetch_that_waits_for_its_retry() -> None:
    async with ShopServer() as server:
        server.down = reply("down", 503, [("Retry-After", "20")])
        client = create_client(server, retry=RetryPolicy())
        waiting = asyncio.create_task(client.services())
        await server.has_received()
        await asyncio.sleep(0.02)
        started_s = time.monotonic()

        await client.aclose()

        with pytest.raises(ClosedError):
            await waiting
        assert time.monotonic() - started_s < 15


# --- the price limit -----------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("max_charge", [Decimal("0.50"), Decimal("0.51"), 1])
async def test_order_within_max_charge_is_sent(max_charge: Decimal) -> None:
    async with ShopServer() as server, create_client(server) as client:
        assert (await client.add(ORDER, max_charge=max_charge)).order == "32"

    assert server.actions() == ["services", "add"]


@pytest.mark.asyncio
async def test_order_above_max_charge_is_not_sent() -> None:
    async with ShopServer() as server, create_client(server) as client:
        with pytest.raises(SpendingLimitError) as caught:
            await client.add(ORDER, max_charge=Decimal("0.49"))

    error = caught.value
    assert (error.limit_name, error.price, error.limit) == (
        "max_charge", Decimal("0.50"), Decimal("0.49"),
    )  # fmt: skip
    assert server.actions() == ["services"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "max_charge",
    [float("nan"), 0.5, Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), "1", True],
)
async def test_max_charge_that_is_not_an_amount_is_rejected(max_charge: Any) -> None:
    async with ShopServer() as server, create_client(server) as client:
        with pytest.raises(InvalidOrderError, match=r"max_charge .* must be a Decimal"):
            await client.add(ORDER, max_charge=max_charge)

    assert server.requests == []


@pytest.mark.asyncio
async def test_price_unknown_in_advance_cannot_be_limited() -> None:
    async with ShopServer() as server, create_client(server) as client:
        with pytest.raises(InvalidOrderError, match="service 6 is not known in advance"):
            await client.add(SUBSCRIPTION, max_charge=Decimal(100))

    assert server.actions() == ["services"]


@pytest.mark.asyncio
async def test_price_of_another_order_type_cannot_be_limited() -> None:
    order = PackageOrder(service=5, link="https://example.com/p", quantity=100_000)
    async with ShopServer() as server, create_client(server) as client:
        server.kind = "Default"
        with pytest.raises(InvalidOrderError, match="service 5 is not known in advance"):
            await client.add(order, max_charge=Decimal(1))

    assert server.actions() == ["services"]


@pytest.mark.asyncio
async def test_stale_price_is_not_used_for_spending() -> None:
    async with ShopServer() as server, create_client(server, services_ttl_s=0) as client:
        await client.services()
        server.down = reply("down", 503)
        with pytest.raises(ServerError) as caught:
            await client.add(ORDER, max_charge=Decimal(1))
        assert not caught.value.maybe_placed

        server.down = None
        server.rate = "3.00"
        with pytest.raises(SpendingLimitError):
            await client.add(ORDER, max_charge=Decimal(1))

    assert "add" not in server.actions()


@pytest.mark.asyncio
async def test_wait_for_the_price_counts_towards_wait_s() -> None:
    async with ShopServer() as server, create_client(server) as client:
        server.down = Silence()
        with pytest.raises(NotSentError, match=r"timed out after 0\.1 s waiting for the price"):
            await client.add(ORDER, max_charge=Decimal(1), wait_s=0.1)

        server.down = None
        assert (await client.add(ORDER, max_charge=Decimal(1), wait_s=30)).order == "32"

    assert server.actions() == ["services", "services", "add"]


@pytest.mark.asyncio
async def test_closed_client_fetches_no_price() -> None:
    async with ShopServer() as server:
        client = create_client(server)
        await client.services()
        await client.aclose()

        with pytest.raises(PanelError) as caught:
            await client.add(ORDER, max_charge=Decimal(1))

    assert isinstance(caught.value, ClosedError)
