"""Starlette: the client and the desk are lifespan state; one handler maps errors to responses.

The buyer's `Idempotency-Key` is the `ref`: a double click or a repeated request orders once.
The API key comes from SMMFANFAST_API_KEY and appears in no log: errors never contain it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from smmfanfast_async import Client, DefaultOrder, PanelError, errors
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal

LOG = logging.getLogger(__name__)
CODES = {"accepted": 200, "finished": 200, "refused": 422, "withdrawn": 422}  # others: 202
ERRORS = {  # errors that the buyer can correct; all others are ours: 503
    msgspec.ValidationError: 422,
    msgspec.DecodeError: 422,
    errors.InvalidOrderError: 422,
    errors.SpendingLimitError: 422,
    errors.RefConflictError: 409,
    errors.OrderNotFoundError: 404,
}


class OrderRequest(msgspec.Struct):
    service: int
    link: str
    quantity: int


async def follow(desk: OrderDesk) -> None:
    try:
        await desk.follow()
    except PanelError:  # such as a key that the panel rejects
        LOG.exception("orders are no longer followed")


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
    journal = SQLJournal("sqlite+aiosqlite:///orders.db")
    async with Client.from_env() as client, OrderDesk(client, journal) as desk:
        following = asyncio.create_task(follow(desk))
        try:
            yield {"client": client, "desk": desk}
        finally:
            following.cancel()
            await asyncio.wait({following})


async def place(request: Request) -> JSONResponse:
    requested = msgspec.json.decode(await request.body(), type=OrderRequest)
    order = DefaultOrder(**msgspec.structs.asdict(requested))
    ref = request.headers.get("Idempotency-Key", "")  # with many buyers: prefix the buyer's id
    entry = await request.state.desk.place(order, ref=ref, max_charge=Decimal(5), wait_s=20)
    body = {"state": entry.state, "order": entry.order, "kind": entry.kind}
    return JSONResponse(body, CODES.get(entry.state, 202))


async def status(request: Request) -> JSONResponse:
    result = await request.state.client.status(request.path_params["order"])
    return JSONResponse({"status": result.raw_status, "remains": result.remains})


async def handle_error(request: Request, error: Exception) -> JSONResponse:
    code = ERRORS.get(type(error), 503)
    if code == 503:
        LOG.warning("%s %s: %s", request.method, request.url.path, error)
    # The kind, not the error's text, which reveals what the shop pays.
    reason = getattr(error, "kind", "invalid")
    return JSONResponse({"error": "later" if code == 503 else reason}, code)


routes = [Route("/orders", place, methods=["POST"]), Route("/orders/{order}", status)]
handlers = {PanelError: handle_error, msgspec.DecodeError: handle_error}
app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
