"""Panels of other forms, end to end: the client against a sandbox with the same profile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import attrs
import pytest

from smmfanfast_async import (
    API_V2,
    SMMFANFAST,
    AuthenticationError,
    CancelResult,
    Client,
    DefaultOrder,
    ErrorKind,
    OrderNotFoundError,
    OrderStatus,
    Profile,
    RefillResult,
    RefillStatus,
    RefusedError,
    Status,
    UnsupportedActionError,
)
from smmfanfast_async.sandbox import Sandbox

ORDER = DefaultOrder(service=5, link="https://example.com/p?a=b&c=é", quantity=500)

RENAMED = attrs.evolve(
    API_V2,
    name="renamed",
    action_names={
        "add": "create", "status": "order_status", "statuses": "multi_status", "services": "list",
        "balance": "profile", "refill": "refill_order", "refill_status": "refillStatus",
        "cancel": "cancelOrder",
    },
    field_names={
        "key": "api_token", "action": "method", "service": "service_id", "add.link": "url",
        "quantity": "amount", "status.order": "id", "statuses.orders": "ids",
        "refill.order": "refill", "refills.orders": "list", "refill_status.refill": "task",
        "cancel.orders": "orders_list",
    },
)  # fmt: skip
SINGLE = attrs.evolve(
    API_V2, name="single", single_id_actions={"refill", "refill_status", "cancel"}, ids_per_call=1
)
FORMS = [
    SMMFANFAST,
    API_V2,
    RENAMED,
    SINGLE,
    *(attrs.evolve(each, name=f"{each.name}-{request_format}", request_format=request_format)
      for each in (SMMFANFAST, RENAMED, SINGLE) for request_format in ("json", "get")),
]  # fmt: skip


@asynccontextmanager
async def opened(profile: Profile) -> AsyncIterator[tuple[Client, Sandbox]]:
    profile = attrs.evolve(profile, calls_per_minute=None)
    async with (
        Sandbox(profile=profile, speed=0) as panel,
        Client(panel.api_key, profile=profile, base_url=panel.url) as client,
    ):
        yield client, panel


@pytest.mark.asyncio
@pytest.mark.parametrize("profile", FORMS, ids=lambda profile: profile.name)
async def test_every_call_works_in_every_form(profile: Profile) -> None:
    async with opened(profile) as (client, panel):
        assert (await client.balance()).balance == 1000
        assert (await client.services()).find(5) is not None
        first = (await client.add(ORDER)).order
        second = (await client.add(attrs.evolve(ORDER, link="https://example.com/q"))).order
        assert panel.orders[first].fields["link"] == ORDER.link
        assert (await client.status(first)).status is not Status.UNKNOWN
        rows = await client.statuses([first, second, 9_999_999])
        assert isinstance(rows[first], OrderStatus)
        assert isinstance(rows["9999999"], OrderNotFoundError)
        if "cancel" in profile.actions:
            await check_api_v2(client, panel, first, second)

    assert panel.requests["add"] == len(panel.orders) == 2


async def check_api_v2(client: Client, panel: Sandbox, first: str, second: str) -> None:
    cancelled = await client.cancel([second, 9_999_999])
    assert isinstance(cancelled[second], CancelResult)
    assert isinstance(cancelled["9999999"], OrderNotFoundError)
    panel.set_status(first, "completed")
    refill = await client.refill(first)
    assert (await client.refill_status(refill.refill)).raw_status == "Pending"
    panel.set_refill_status(refill.refill, "completed")
    statuses = await client.refill_statuses([refill.refill, 9_999_999])
    assert isinstance(statuses[refill.refill], RefillStatus)
    assert isinstance(statuses["9999999"], RefusedError)
    assert isinstance((await client.refills([first]))[first], RefillResult)


@pytest.mark.asyncio
@pytest.mark.parametrize(("panel_profile", "profile"), [
    (RENAMED, API_V2), (API_V2, RENAMED),
    (attrs.evolve(API_V2, request_format="json"), API_V2),
    (API_V2, attrs.evolve(API_V2, request_format="json")),
])  # fmt: skip
async def test_panel_of_another_form_reads_no_key(panel_profile: Profile, profile: Profile) -> None:
    async with (
        Sandbox(profile=panel_profile, speed=0) as panel,
        Client(panel.api_key, profile=profile, base_url=panel.url) as client,
    ):
        with pytest.raises(AuthenticationError):
            await client.balance()


@pytest.mark.asyncio
@pytest.mark.parametrize(("request_format", "method"), [("get", "POST"), ("json", "GET")])
async def test_other_method_gets_405(request_format: str, method: str) -> None:
    profile = attrs.evolve(API_V2, request_format=request_format)
    async with Sandbox(profile=profile, speed=0) as panel, aiohttp.ClientSession() as session:
        for url in (panel.url, panel.url + "/"):
            async with session.request(method, url) as answer:
                assert answer.status == 405

    assert panel.request_count == 0


@pytest.mark.asyncio
async def test_call_is_in_the_words_of_the_panel() -> None:
    async with opened(RENAMED) as (client, _):
        answer = await client.call("profile")
        with pytest.raises(RefusedError, match="Incorrect request"):
            await client.call("balance")

    assert answer == {"balance": "1000.00", "currency": "USD"}


@pytest.mark.asyncio
async def test_action_that_a_profile_lacks_is_not_called_under_its_own_name() -> None:
    profile = attrs.evolve(SMMFANFAST, action_names={"cancel": "stop"})
    async with opened(profile) as (client, panel):
        with pytest.raises(UnsupportedActionError):
            await client.cancel([1])

    assert panel.request_count == 0


@pytest.mark.asyncio
async def test_panel_that_replays_creates_one_order_in_its_window() -> None:
    async with opened(attrs.evolve(API_V2, replay_window_s=60)) as (client, panel):
        first = await client.add(ORDER)
        panel.advance(59)
        with pytest.raises(RefusedError) as caught:
            await client.add(ORDER)
        panel.finish_all()
        second = await client.add(ORDER)

    assert (caught.value.kind, caught.value.order) == (ErrorKind.DUPLICATE, first.order)
    assert list(panel.orders) == [first.order, second.order]
