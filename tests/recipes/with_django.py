"""Django: async views, and an ASGI application that opens and closes the client and the desk.

Django has no lifespan of its own, so asgi.py handles the server's (`uvicorn --lifespan on …`),
whose state is passed with each request. The client lives in the server's one event loop, and so do
`async def` views; `asyncio.run` in a plain view creates another loop: the client raises there.
The API key comes from SMMFANFAST_API_KEY and appears in no log: errors never contain it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from decimal import Decimal
from functools import wraps
from typing import Any

import msgspec
from django.core.asgi import get_asgi_application
from django.core.handlers.asgi import ASGIRequest
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

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
View = Callable[..., Coroutine[Any, Any, JsonResponse]]


class OrderRequest(msgspec.Struct):
    service: int
    link: str
    quantity: int


def handle_errors(view: View) -> View:
    @wraps(view)
    async def inner(request: ASGIRequest, **parts: str) -> JsonResponse:
        try:
            return await view(request, **parts)
        except (PanelError, msgspec.DecodeError) as error:
            code = ERRORS.get(type(error), 503)
            if code == 503:
                LOG.warning("%s %s: %s", request.method, request.path, error)
            # The kind, not the error's text, which reveals what the shop pays.
            reason = getattr(error, "kind", "invalid")
            return JsonResponse({"error": "later" if code == 503 else reason}, status=code)

    return inner


@require_POST
@handle_errors
async def place(request: ASGIRequest) -> JsonResponse:
    requested = msgspec.json.decode(request.body, type=OrderRequest)
    order = DefaultOrder(**msgspec.structs.asdict(requested))
    # The buyer's name for the order; with many buyers, prefix the buyer's id.
    ref = request.headers.get("Idempotency-Key", "")
    desk = request.scope["state"]["desk"]
    entry = await desk.place(order, ref=ref, max_charge=Decimal(5), wait_s=20)
    answer = {"state": entry.state, "order": entry.order, "kind": entry.kind}
    return JsonResponse(answer, status=CODES.get(entry.state, 202))


@require_GET
@handle_errors
async def status(request: ASGIRequest, order: str) -> JsonResponse:
    result = await request.scope["state"]["client"].status(order)
    return JsonResponse({"status": result.raw_status, "remains": result.remains})


urlpatterns = [path("orders", place), path("orders/<str:order>", status)]  # urls.py
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
        scope["state"].update(client=client, desk=desk)
        following = asyncio.create_task(follow(desk))
        try:
            await send({"type": "lifespan.startup.complete"})
            await receive()  # lifespan.shutdown
        finally:
            following.cancel()
            await asyncio.wait({following})
    await send({"type": "lifespan.shutdown.complete"})
