"""Results and orders through web frameworks: the same JSON from each, and its OpenAPI schema."""

import json
from typing import Annotated, Any

import httpx
import pytest
from django.http import JsonResponse as DjangoResponse
from fastapi import Body, FastAPI
from litestar import Litestar, get
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from support.values import EXAMPLES

from smmfanfast_async import API_V2_ORDER_TYPES, DefaultOrder, Order

EACH = pytest.mark.parametrize("value", EXAMPLES, ids=lambda each: type(each).__name__)
ORDER = {"type": "default", "service": 5, "link": "https://e.com/p", "quantity": 10}


async def fetch(app: Any, path: str = "/", body: Any = None) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        return await (http.get(path) if body is None else http.post(path, json=body))


def fastapi_app(value: Any) -> FastAPI:
    app = FastAPI()

    async def show() -> Any:
        return value

    app.get("/", response_model=type(value))(show)
    app.get("/list", response_model=list[type(value)])(lambda: [value])  # type: ignore[misc]
    return app


@EACH
@pytest.mark.asyncio
async def test_fastapi_returns_each_value_with_its_schema(value: Any) -> None:
    app = fastapi_app(value)
    one, several = await fetch(app), await fetch(app, "/list")
    schemas = (await fetch(app, "/openapi.json")).json()["components"]["schemas"]

    assert one.json() == value.to_dict()
    assert several.json() == [value.to_dict()]
    assert set(schemas[type(value).__name__]["properties"]) == set(value.to_dict())


@EACH
@pytest.mark.asyncio
async def test_litestar_starlette_and_django_return_to_dict(value: Any) -> None:
    @get("/")
    async def show() -> dict[str, Any]:
        data: dict[str, Any] = value.to_dict()
        return data

    starlette = Starlette(routes=[Route("/", lambda _: JSONResponse(value.to_dict()))])

    assert (await fetch(Litestar([show]))).json() == value.to_dict()
    assert (await fetch(starlette)).json() == value.to_dict()
    assert json.loads(DjangoResponse(value.to_dict()).content) == value.to_dict()


@pytest.mark.asyncio
async def test_fastapi_parses_orders_and_reports_errors_at_their_fields() -> None:
    app = FastAPI()

    @app.post("/any")
    async def any_type(order: Annotated[Order, Body()]) -> Order:
        return order

    @app.post("/default")
    async def one_type(order: Annotated[DefaultOrder, Body()]) -> DefaultOrder:
        return order

    for path in ("/any", "/default"):
        placed = await fetch(app, path, ORDER)
        wrong = await fetch(app, path, {**ORDER, "quantity": "10"})
        extra = await fetch(app, path, {**ORDER, "extra": {"country": "US"}})

        assert placed.json() == Order.from_dict(ORDER).to_dict()
        assert [each.status_code for each in (placed, wrong, extra)] == [200, 422, 422]
        assert wrong.json()["detail"][0]["loc"] == ["body", "quantity"]
        assert extra.json()["detail"][0]["loc"] == ["body", "extra"]

    schema = (await fetch(app, "/openapi.json")).json()
    body = schema["paths"]["/any"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(body["discriminator"]["mapping"]) == set(API_V2_ORDER_TYPES)
    assert {"DefaultOrder", "DefaultOrderBody", "DefaultOrderInput"} <= set(
        schema["components"]["schemas"]
    )
