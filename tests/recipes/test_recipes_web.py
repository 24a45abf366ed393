"""The recipes for web frameworks: all of them answer a buyer in the same way."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
import with_aiohttp
import with_django
import with_fastapi
import with_litestar
import with_starlette
from aiohttp.test_utils import TestServer
from conftest import API_KEY, FOLLOW_S, is_followed, serve

from smmfanfast_async import AuthenticationError
from smmfanfast_async.sandbox import Fault, Sandbox

ORDER = {"service": 5, "link": "https://example.com/a", "quantity": 1000}
BUYER = {"Authorization": "Bearer ann"}
OTHER = {"Authorization": "Bearer bob"}
KEY = {**BUYER, "Idempotency-Key": "cart-17"}
SESSIONS = {"Bearer ann": 7, "Bearer bob": 8}
RECIPES = [with_aiohttp, with_django, with_fastapi, with_litestar, with_starlette]
ASGI = {
    "fastapi": with_fastapi.app,
    "starlette": with_starlette.app,
    "litestar": with_litestar.app,
    "django": with_django.application,
}


@asynccontextmanager
async def open_shop(name: str) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a recipe, and yield an HTTP client for it."""
    limits = httpx.Limits(max_connections=None)
    if name in ASGI:
        async with serve(ASGI[name]) as app:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                yield http
    else:
        async with TestServer(with_aiohttp.make_app()) as server:
            url = str(server.make_url("/"))
            async with httpx.AsyncClient(base_url=url, limits=limits, trust_env=False) as http:
                yield http


@pytest.fixture(autouse=True)
def sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    for recipe in RECIPES:
        monkeypatch.setattr(recipe, "SESSIONS", SESSIONS)


@pytest_asyncio.fixture(params=[*ASGI, "aiohttp"])
async def shop(request: pytest.FixtureRequest, panel: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with open_shop(request.param) as http:
        yield http


def count_placed(panel: Sandbox) -> int:
    return sum(order.link == ORDER["link"] for order in panel.orders.values())


@pytest.mark.asyncio
async def test_same_key_concurrently_and_later_is_one_order(
    shop: httpx.AsyncClient, panel: Sandbox
) -> None:
    calls = (shop.post("/orders", json=ORDER, headers=KEY) for _ in range(2))
    answers = [*await asyncio.gather(*calls), await shop.post("/orders", json=ORDER, headers=KEY)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert answers[0].json()["order"] in panel.orders
    assert count_placed(panel) == 1


@pytest.mark.asyncio
async def test_key_of_another_order_is_409(shop: httpx.AsyncClient, panel: Sandbox) -> None:
    await shop.post("/orders", json=ORDER, headers=KEY)
    answer = await shop.post("/orders", json={**ORDER, "quantity": 2000}, headers=KEY)

    assert (answer.status_code, answer.json()) == (409, {"error": "conflict"})
    assert count_placed(panel) == 1


@pytest.mark.asyncio
async def test_refusal_is_422_with_its_kind(shop: httpx.AsyncClient, panel: Sandbox) -> None:
    await shop.post("/orders", json=ORDER, headers={**KEY, "Idempotency-Key": "cart-16"})
    answer = await shop.post("/orders", json=ORDER, headers=KEY)

    assert answer.status_code == 422
    assert answer.json() == {
        "state": "refused", "order": None, "kind": "duplicate", "status": None, "remains": None,
    }  # fmt: skip
    assert count_placed(panel) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"quantity": 1}, '"invalid"'),  # below the minimum of the service
        ({"quantity": 10_000}, '"budget"'),  # above the shop's price limit
        ({"quantity": "many"}, ""),  # each framework has its own message
    ],
)
async def test_invalid_order_is_a_client_error_and_not_sent(
    shop: httpx.AsyncClient, panel: Sandbox, wrong: dict[str, Any], text: str
) -> None:
    answer = await shop.post("/orders", json={**ORDER, **wrong}, headers=KEY)

    assert answer.status_code in {400, 422}
    assert text in answer.text
    assert panel.requests["add"] == 0


@pytest.mark.asyncio
async def test_health_shows_what_needs_a_person(panel: Sandbox) -> None:
    async with open_shop("fastapi") as shop:
        panel.fail_next(Fault.DROP_AFTER, action="add")
        await shop.post("/orders", json=ORDER, headers=KEY)
        answer = await shop.get("/health")

    assert answer.json() == {"unknown": 1, "prepared": 0, "circuits": {"default": "open"}}


@pytest.mark.asyncio
async def test_order_without_a_key_is_rejected(shop: httpx.AsyncClient, panel: Sandbox) -> None:
    answer = await shop.post("/orders", json=ORDER, headers=BUYER)

    assert answer.status_code in {400, 422}
    assert panel.requests["add"] == 0


@pytest.mark.asyncio
async def test_unknown_outcome_is_202_and_not_ordered_again(
    shop: httpx.AsyncClient, panel: Sandbox
) -> None:
    panel.fail_next(Fault.DROP_AFTER, action="add")
    answers = [await shop.post("/orders", json=ORDER, headers=KEY) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["state"] == answers[1].json()["state"] == "unknown"
    assert count_placed(panel) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000, b'{"quantity": 1e999}'])
async def test_body_that_is_no_order_is_a_client_error(
    shop: httpx.AsyncClient, panel: Sandbox, body: bytes
) -> None:
    headers = {**KEY, "Content-Type": "application/json"}
    answer = await shop.post("/orders", content=body, headers=headers)

    assert answer.status_code in {400, 422}
    assert panel.requests["add"] == 0


@pytest.mark.asyncio
async def test_fields_of_no_order_are_rejected(shop: httpx.AsyncClient, panel: Sandbox) -> None:
    for more in ({"extra": {"country": "US"}}, {"max_charge": 9}, {"type": "package"}):
        answer = await shop.post("/orders", json={**ORDER, **more}, headers=KEY)
        assert answer.status_code == 422

    assert panel.requests["add"] == 0


@pytest.mark.asyncio
async def test_status_is_what_the_desk_has_followed(
    polls_at_once: None, shop: httpx.AsyncClient, panel: Sandbox
) -> None:
    placed = (await shop.post("/orders", json=ORDER, headers=KEY)).json()
    panel.set_status(placed["order"], "canceled")
    async with asyncio.timeout(FOLLOW_S):
        while placed["state"] != "finished":
            answer = await shop.get("/orders/cart-17", headers=BUYER)
            assert answer.status_code == 200
            placed = answer.json()

    assert (placed["status"], set(placed)) == (
        "canceled", {"state", "order", "kind", "status", "remains"},
    )  # fmt: skip


@pytest.mark.asyncio
async def test_order_is_shown_to_its_buyer_alone(shop: httpx.AsyncClient, panel: Sandbox) -> None:
    await shop.post("/orders", json=ORDER, headers=KEY)
    own = await shop.get("/orders/cart-17", headers=BUYER)
    others = await shop.get("/orders/cart-17", headers=OTHER)
    forged = await shop.get("/orders/7:cart-17", headers=OTHER)
    unknown = await shop.get("/orders/cart-18", headers=BUYER)

    assert (own.status_code, own.json()["state"]) == (200, "accepted")
    assert [each.status_code for each in (others, forged, unknown)] == [404, 404, 404]


@pytest.mark.asyncio
async def test_nobody_without_a_login_orders_or_sees_anything(
    shop: httpx.AsyncClient, panel: Sandbox
) -> None:
    await shop.post("/orders", json=ORDER, headers=KEY)
    stranger = {"Authorization": "Bearer 7", "Idempotency-Key": "cart-20"}
    order = {**ORDER, "link": "https://example.com/b"}
    answers = [
        await shop.post("/orders", json=order, headers=stranger),
        await shop.get("/orders/cart-17", headers=stranger),
    ]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert (await shop.get("/orders/cart-17")).status_code in {400, 401, 422}
    assert panel.requests["add"] == 1


@pytest.mark.asyncio
async def test_same_key_of_two_buyers_is_two_orders(
    shop: httpx.AsyncClient, panel: Sandbox
) -> None:
    order = {**ORDER, "link": "https://example.com/b"}
    first = await shop.post("/orders", json=ORDER, headers=KEY)
    second = await shop.post("/orders", json=order, headers={**KEY, **OTHER})

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["order"] != second.json()["order"]


@pytest.mark.asyncio
async def test_panel_failure_is_503_without_details(
    shop: httpx.AsyncClient, panel: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    panel.fail_next(Fault.BLOCKED, times=10)
    answer = await shop.post("/orders", json=ORDER, headers=KEY)

    assert answer.status_code == 503
    assert answer.json() == {"error": "later"}
    assert any(each.levelno == logging.WARNING for each in caplog.records)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", [*ASGI, "aiohttp"])
async def test_restart_knows_the_key_and_its_order(name: str, panel: Sandbox) -> None:
    async with open_shop(name) as http:
        first = await http.post("/orders", json=ORDER, headers=KEY)
        assert is_followed()
    assert not is_followed()
    async with open_shop(name) as http:
        again = await http.post("/orders", json=ORDER, headers=KEY)

    assert (again.status_code, again.json()["order"]) == (200, first.json()["order"])
    assert count_placed(panel) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("name", [*ASGI, "aiohttp"])
async def test_rejected_api_key_is_logged_without_the_key(
    name: str, panel: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SMMFANFAST_API_KEY", f"{API_KEY}-of-another-account")
    async with open_shop(name) as http:
        answer = await http.post("/orders", json=ORDER, headers=KEY)

    assert answer.status_code == 503
    assert API_KEY not in answer.text
    assert panel.requests["add"] == 0


@pytest.mark.asyncio
async def test_django_view_in_another_event_loop_sends_nothing(
    panel: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(with_django.application) as app:
        transport = httpx.ASGITransport(app)

        async def ask() -> int:
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
                return (await http.get("/orders/cart-17", headers=BUYER)).status_code

        assert await ask() == 404
        assert await asyncio.to_thread(lambda: asyncio.run(ask())) == 503

    assert "another event loop" in caplog.text


class RefusedDesk:
    async def follow(self) -> None:
        raise AuthenticationError("Incorrect request")


@pytest.mark.asyncio
@pytest.mark.parametrize("recipe", RECIPES)
async def test_end_of_following_is_logged(recipe: Any, caplog: pytest.LogCaptureFixture) -> None:
    await recipe.follow(RefusedDesk())

    assert "orders are no longer followed" in caplog.text
