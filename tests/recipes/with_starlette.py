"""Starlette: the desk is lifespan state; one handler maps errors to responses.

The buyer's id and `Idempotency-Key` are the `ref`: a double click or a repeated request orders
once, and a buyer finds no order but their own. The API key comes from SMMFANFAST_API_KEY and
appears in no log: errors never contain it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from smmfanfast_async import Client, DefaultOrder, PanelError, errors
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import Entry
from smmfanfast_async.journal.sql import SQLJournal

LOG = logging.getLogger(__name__)
SESSIONS: dict[str, int] = {}  # token of your login → id of the buyer; yours are in a database
SHOWN = ("state", "order", "kind", "status", "remains")  # the rest is what the shop pays
CODES = {"accepted": 200, "finished": 200, "refused": 422, "withdrawn": 422}  # others: 202
ERRORS = {  # errors that the buyer can correct; all others are ours: 503
    errors.InvalidOrderError: 422,
    errors.SpendingLimitError: 422,
    errors.RefConflictError: 409,
}


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
            yield {"desk": desk}
        finally:
            following.cancel()
            await asyncio.wait({following})


def require_buyer(request: Request) -> int:
    token = request.headers.get("Authorization", "")
    if token not in SESSIONS:
        raise HTTPException(401)
    return SESSIONS[token]


def respond(entry: Entry) -> JSONResponse:
    fields = entry.to_dict()
    return JSONResponse({name: fields[name] for name in SHOWN}, CODES.get(entry.state, 202))


async def place(request: Request) -> JSONResponse:
    buyer = require_buyer(request)
    order = DefaultOrder.from_json(await request.body())
    if not (key := request.headers.get("Idempotency-Key")):
        raise HTTPException(400)
    desk: OrderDesk = request.state.desk
    return respond(await desk.place(order, ref=f"{buyer}:{key}", max_charge=Decimal(5), wait_s=20))


async def status(request: Request) -> JSONResponse:
    desk: OrderDesk = request.state.desk
    ref = f"{require_buyer(request)}:{request.path_params['key']}"
    entry = await desk.find(ref)  # no other buyer's
    if entry is None:
        raise HTTPException(404)
    return respond(entry)


async def handle_error(request: Request, error: Exception) -> JSONResponse:
    code = ERRORS.get(type(error), 503)
    if code == 503:
        LOG.warning("%s %s: %s", request.method, request.url.path, error)
    # The kind, not the error's text, which reveals what the shop pays.
    reason = getattr(error, "kind", "invalid")
    return JSONResponse({"error": "later" if code == 503 else reason}, code)


routes = [Route("/orders", place, methods=["POST"]), Route("/orders/{key}", status)]
handlers = {PanelError: handle_error}
app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
