"""A thin layer on aioresponses: what the methods post and how they read a response.

aioresponses replaces the request function: it sees no bytes, connections, redirects or limits. What
those do is tested in test_client.py, on sockets.
"""

from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from support.aioresponses_shim import is_needed, panel_answers
from yarl import URL

from smmfanfast_async import (
    API_V2,
    Client,
    DefaultOrder,
    InvalidOrderError,
    NoResponseError,
    OutcomeUnknownError,
    RetryPolicy,
)

URL_TEXT = "https://panel.example/api/v1"


def client(**options: Any) -> Client:
    return Client("key", base_url=URL_TEXT, retry=RetryPolicy(max_attempts=1), **options)


def form_of(mocked: Any) -> str:
    (calls,) = mocked.requests.values()
    return str(calls[0].kwargs["data"].decode())


def test_shim_is_removed_when_aioresponses_supports_aiohttp() -> None:
    # Once this fails, delete aioresponses_shim._Response and this test.
    assert is_needed() == hasattr(aiohttp, "UploadTracker")


@pytest.mark.asyncio
async def test_balance_is_read() -> None:
    with panel_answers(
        URL_TEXT, '{"status":"success","balance":"0.03","currency":"USD"}'
    ) as mocked:
        async with client() as panel:
            found = await panel.balance()

    assert (str(found.balance), found.currency) == ("0.03", "USD")
    assert form_of(mocked) == "key=***&action=balance"
    assert ("POST", URL(URL_TEXT)) in mocked.requests


@pytest.mark.asyncio
async def test_order_is_posted_without_redirects_or_session_defaults() -> None:
    with panel_answers(URL_TEXT, '{"status":"success","order":32}') as mocked:
        async with client() as panel:
            added = await panel.add(
                DefaultOrder(service=5, link="https://example.com", quantity=10)
            )

    (calls,) = mocked.requests.values()
    assert added.order == "32"
    assert calls[0].kwargs["allow_redirects"] is False
    assert calls[0].kwargs["raise_for_status"] is False
    assert calls[0].kwargs["timeout"].total == 140.0


@pytest.mark.asyncio
async def test_status_of_one_and_of_many() -> None:
    with panel_answers(URL_TEXT, '{"order":"7","status":"Completed","charge":"0.5"}') as mocked:
        async with client() as panel:
            assert (await panel.status(7)).raw_status == "Completed"
    assert form_of(mocked) == "key=***&action=status&orders=7"

    with panel_answers(URL_TEXT, '{"7":{"order":"7","status":"Completed"}}') as mocked:
        async with client() as panel:
            assert (await panel.statuses([7, 8]))["7"]
    assert form_of(mocked) == "key=***&action=status&orders=7%2C8"


@pytest.mark.asyncio
@pytest.mark.parametrize("failure", [
    aiohttp.ServerDisconnectedError(),
    aiohttp.ClientPayloadError("cut"),
    aiohttp.ClientOSError(104, "reset"),
    aiohttp.ClientResponseError(
        aiohttp.RequestInfo(URL(URL_TEXT), "POST", CIMultiDictProxy(CIMultiDict()), URL(URL_TEXT)),
        (), status=400,
    ),
])  # fmt: skip
async def test_ambiguous_failure_leaves_the_order_unknown(failure: Exception) -> None:
    with panel_answers(URL_TEXT, failure):
        async with client() as panel:
            with pytest.raises(OutcomeUnknownError):
                await panel.add(DefaultOrder(service=5, link="https://example.com", quantity=10))

    with panel_answers(URL_TEXT, failure):
        async with client() as panel:
            with pytest.raises(NoResponseError):
                await panel.balance()


@pytest.mark.asyncio
async def test_single_text_is_not_split_into_ids() -> None:
    async with client() as panel:
        with pytest.raises(InvalidOrderError, match="not a single text"):
            await panel.statuses("123")
        with pytest.raises(InvalidOrderError, match="not a single text"):
            await anext(panel.watch("123"))


@pytest.mark.asyncio
@pytest.mark.parametrize("ids", ["12", b"12"])
async def test_single_text_is_rejected_by_cancel_and_refills(ids: Any) -> None:
    async with client(profile=API_V2) as panel:
        for call in (panel.cancel, panel.refills, panel.refill_statuses):
            with pytest.raises(InvalidOrderError, match="not a single text"):
                await call(ids)


@pytest.mark.asyncio
async def test_form_of_another_action_is_not_placed() -> None:
    async def never() -> float:
        raise AssertionError

    async with client() as panel:
        with pytest.raises(InvalidOrderError, match="status"):
            await panel.send_form({"action": "status"}, before=never)
