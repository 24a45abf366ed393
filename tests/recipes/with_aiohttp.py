"""aiohttp.web: `cleanup_ctx` opens and closes the client and the desk, a middleware maps errors.

The buyer's id and `Idempotency-Key` are the `ref`: a double click or a repeated request orders
once, and a buyer finds no order but their own. The API key comes from SMMFANFAST_API_KEY and
appears in no log: errors never contain it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal

from aiohttp import web

from smmfanfast_async import Client, DefaultOrder, PanelError, errors
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import Entry
from smmfanfast_async.journal.sql import SQLJournal

LOG = logging.getLogger(__name__)
DESK = web.AppKey("DESK", OrderDesk)
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


async def open_resources(app: web.Application) -> AsyncIterator[None]:
    journal = SQLJournal("sqlite+aiosqlite:///orders.db")
    async with Client.from_env() as client, OrderDesk(client, journal) as desk:
        app[DESK] = desk
        following = asyncio.create_task(follow(desk))
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait({following})


def require_buyer(request: web.Request) -> int:
    token = request.headers.get("Authorization", "")
    if token not in SESSIONS:
        raise web.HTTPUnauthorized
    return SESSIONS[token]


def respond(entry: Entry) -> web.Response:
    fields = entry.to_dict()
    body = {name: fields[name] for name in SHOWN}
    return web.json_response(body, status=CODES.get(entry.state, 202))


async def place(request: web.Request) -> web.Response:
    buyer = require_buyer(request)
    order = DefaultOrder.from_json(await request.read())
    if not (key := request.headers.get("Idempotency-Key")):
        raise web.HTTPBadRequest
    return respond(
        await request.app[DESK].place(order, ref=f"{buyer}:{key}", max_charge=Decimal(5), wait_s=20)
    )


async def status(request: web.Request) -> web.Response:
    ref = f"{require_buyer(request)}:{request.match_info['key']}"
    entry = await request.app[DESK].find(ref)  # no other buyer's
    if entry is None:
        raise web.HTTPNotFound
    return respond(entry)


@web.middleware
async def handle_error(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except PanelError as error:
        code = ERRORS.get(type(error), 503)
        if code == 503:
            LOG.warning("%s %s: %s", request.method, request.path, error)
        # The kind, not the error's text, which reveals what the shop pays.
        return web.json_response({"error": "later" if code == 503 else error.kind}, status=code)


def make_app() -> web.Application:
    app = web.Application(middlewares=[handle_error])
    app.cleanup_ctx.append(open_resources)
    app.router.add_post("/orders", place)
    app.router.add_get("/orders/{key}", status)
    return app
