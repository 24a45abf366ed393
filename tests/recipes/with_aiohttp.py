"""aiohttp.web: `cleanup_ctx` opens and closes the client and the desk, a middleware maps errors.

The buyer's `Idempotency-Key` is the `ref`: a double click or a repeated request orders once.
The API key comes from SMMFANFAST_API_KEY and appears in no log: errors never contain it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal

import msgspec
from aiohttp import web

from smmfanfast_async import Client, DefaultOrder, PanelError, errors
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal

LOG = logging.getLogger(__name__)
CLIENT = web.AppKey("CLIENT", Client)
DESK = web.AppKey("DESK", OrderDesk)
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


async def open_resources(app: web.Application) -> AsyncIterator[None]:
    journal = SQLJournal("sqlite+aiosqlite:///orders.db")
    async with Client.from_env() as client, OrderDesk(client, journal) as desk:
        app[CLIENT], app[DESK] = client, desk
        following = asyncio.create_task(follow(desk))
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait({following})


async def place(request: web.Request) -> web.Response:
    requested = msgspec.json.decode(await request.read(), type=OrderRequest)
    order = DefaultOrder(**msgspec.structs.asdict(requested))
    ref = request.headers.get("Idempotency-Key", "")  # with many buyers: prefix the buyer's id
    entry = await request.app[DESK].place(order, ref=ref, max_charge=Decimal(5), wait_s=20)
    body = {"state": entry.state, "order": entry.order, "kind": entry.kind}
    return web.json_response(body, status=CODES.get(entry.state, 202))


async def status(request: web.Request) -> web.Response:
    result = await request.app[CLIENT].status(request.match_info["order"])
    return web.json_response({"status": result.raw_status, "remains": result.remains})


@web.middleware
async def handle_error(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except (PanelError, msgspec.DecodeError) as error:
        code = ERRORS.get(type(error), 503)
        if code == 503:
            LOG.warning("%s %s: %s", request.method, request.path, error)
        # The kind, not the error's text, which reveals what the shop pays.
        reason = getattr(error, "kind", "invalid")
        return web.json_response({"error": "later" if code == 503 else reason}, status=code)


def make_app() -> web.Application:
    app = web.Application(middlewares=[handle_error])
    app.cleanup_ctx.append(open_resources)
    app.router.add_post("/orders", place)
    app.router.add_get("/orders/{order}", status)
    return app
