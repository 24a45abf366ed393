"""Django: async views, and an ASGI application that opens and closes the client and the desk.

Django has no lifespan of its own, so asgi.py handles the server's (`uvicorn --lifespan on …`),
whose state is passed with each request. The client lives in the server's one event loop, and so do
`async def` views; `asyncio.run` in a plain view creates another loop: the client raises there.
The buyer's id and `Idempotency-Key` are the `ref`: a buyer finds no order but their own.
The API key comes from SMMFANFAST_API_KEY and appears in no log: errors never contain it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from decimal import Decimal
from functools import wraps
from typing import Any

from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from smmfanfast_async import Client, DefaultOrder, PanelError, errors
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import Entry
from smmfanfast_async.journal.sql import SQLJournal

LOG = logging.getLogger(__name__)
SESSIONS: dict[str, int] = {}  # instead of request.user.id and Django's sessions, for brevity
SHOWN = ("state", "order", "kind", "status", "remains")  # the rest is what the shop pays
CODES = {"accepted": 200, "finished": 200, "refused": 422, "withdrawn": 422}  # others: 202
ERRORS = {  # errors that the buyer can correct; all others are ours: 503
    errors.InvalidOrderError: 422,
    errors.SpendingLimitError: 422,
    errors.RefConflictError: 409,
}
View = Callable[..., Coroutine[Any, Any, JsonResponse]]


class RejectedError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def handle_errors(view: View) -> View:
    @wraps(view)
    async def inner(request: ASGIRequest, **parts: str) -> JsonResponse:
        try:
            return await view(request, **parts)
        except RejectedError as error:
            return JsonResponse({"error": "rejected"}, status=error.code)
        except PanelError as error:
            code = ERRORS.get(type(error), 503)
            if code == 503:
                LOG.warning("%s %s: %s", request.method, request.path, error)
            # The kind, not the error's text, which reveals what the shop pays.
            return JsonResponse({"error": "later" if code == 503 else error.kind}, status=code)

    return inner


def require_buyer(request: ASGIRequest) -> int:
    token = request.headers.get("Authorization", "")
    if token not in SESSIONS:
        raise RejectedError(401)
    return SESSIONS[token]


def respond(entry: Entry) -> JsonResponse:
    fields = entry.to_dict()
    body = {name: fields[name] for name in SHOWN}
    return JsonResponse(body, status=CODES.get(entry.state, 202))


@require_POST
@handle_errors
async def place(request: ASGIRequest) -> JsonResponse:
    buyer = require_buyer(request)
    order = DefaultOrder.from_json(request.body)
    if not (key := request.headers.get("Idempotency-Key")):
        raise RejectedError(400)
    desk: OrderDesk = request.scope["state"]["desk"]
    return respond(await desk.place(order, ref=f"{buyer}:{key}", max_charge=Decimal(5), wait_s=20))


@require_GET
@handle_errors
async def status(request: ASGIRequest, key: str) -> JsonResponse:
    desk: OrderDesk = request.scope["state"]["desk"]
    entry = await desk.find(f"{require_buyer(request)}:{key}")
    if entry is None:  # or another buyer's
        raise RejectedError(404)
    return respond(entry)


urlpatterns = [path("orders", place), path("orders/<str:key>", status)]  # urls.py
django = get_asgi_application()  # asgi.py starts here


async def follow(desk: OrderDesk) -> None:
    try:
        await desk.follow()
    except PanelError:  # such as a key that the panel rejects
        LOG.exception("orders are no longer followed")


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "lifespan":
        await django(scope, receive, send)
        return
    await receive()  # lifespan.startup
    journal = SQLJournal("sqlite+aiosqlite:///orders.db")
    async with Client.from_env() as client, OrderDesk(client, journal) as desk:
        scope["state"]["desk"] = desk
        following = asyncio.create_task(follow(desk))
        try:
            await send({"type": "lifespan.startup.complete"})
            await receive()  # lifespan.shutdown
        finally:
            following.cancel()
            await asyncio.wait({following})
    await send({"type": "lifespan.shutdown.complete"})
