"""aiohttp.web: `cleanup_ctx` opens and closes the client and the desk, a middleware tells errors.

The buyer's `Idempotency-Key` is the `ref`: a double click, or a second try, orders once.
The API key comes from SMMFANFAST_API_KEY and gets into no log: errors never hold it.
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
CODES = {"accepted": 200, "finished": 200, "refused": 422, "withdrawn": 422}  # of states; else 202
ERRORS = {  # what the buyer can do something about; all else is ours: 503
    msgspec.ValidationError: 422,
    msgspec.DecodeError: 422,
    errors.InvalidOrderError: 422,
    errors.SpendingLimitError: 422,
    errors.RefConflictError: 409,
    errors.OrderNotFoundError: 404,
}


class Wanted(msgspec.Struct):
    service: int
    link: str
    quantity: int


async def follow(desk: OrderDesk) -> None:
    try:
        await desk.follow()
    except PanelError:  # such as a key that the panel refuses
        LOG.exception("orders are not followed any more")


async def opened(app: web.Application) -> AsyncIterator[None]:
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
    wanted = msgspec.json.decode(await request.read(), type=Wanted)
    order = DefaultOrder(**msgspec.structs.asdict(wanted))
    ref = request.headers.get("Idempotency-Key", "")  # with many buyers: the buyer's id before it
    entry = await request.app[DESK].place(order, ref=ref, max_charge=Decimal(5), wait_s=20)
    told = {"state": entry.state, "order": entry.order, "kind": entry.kind}
    return web.json_response(told, status=CODES.get(entry.state, 202))


async def status(request: web.Request) -> web.Response:
    found = await request.app[CLIENT].status(request.match_info["order"])
    return web.json_response({"status": found.raw_status, "remains": found.remains})


@web.middleware
async def tell(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except (PanelError, msgspec.DecodeError) as error:
        code = ERRORS.get(type(error), 503)
        if code == 503:
            LOG.warning("%s %s: %s", request.method, request.path, error)
        word = getattr(error, "kind", "invalid")  # its text tells what the shop pays
        return web.json_response({"error": "later" if code == 503 else word}, status=code)


def make_app() -> web.Application:
    app = web.Application(middlewares=[tell])
    app.cleanup_ctx.append(opened)
    app.router.add_post("/orders", place)
    app.router.add_get("/orders/{order}", status)
    return app
