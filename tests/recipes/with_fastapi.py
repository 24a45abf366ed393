"""FastAPI: `Idempotency-Key` names an order, and concurrent status requests share calls.

One client and one desk live as long as the app. A restart or a second worker orders
nothing twice. The API key comes from SMMFANFAST_API_KEY and appears in no log.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from smmfanfast_async import Client, DefaultOrder, PanelError, errors
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal

LOG = logging.getLogger(__name__)
CODES = {"accepted": 200, "finished": 200, "refused": 422, "withdrawn": 422}  # others: 202
ERRORS = {  # errors that the buyer can correct; all others are ours: 503
    errors.InvalidOrderError: 422,
    errors.SpendingLimitError: 422,
    errors.RefConflictError: 409,
    errors.OrderNotFoundError: 404,
}


class OrderRequest(BaseModel):
    service: int
    link: str
    quantity: int


async def follow(desk: OrderDesk) -> None:
    try:
        await desk.follow()
    except PanelError:  # such as a key that the panel rejects
        LOG.exception("orders are no longer followed")


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    journal = SQLJournal("sqlite+aiosqlite:///orders.db")
    async with Client.from_env() as client, OrderDesk(client, journal) as desk:
        following = asyncio.create_task(follow(desk))
        try:
            yield {"client": client, "desk": desk}
        finally:
            following.cancel()
            await asyncio.wait({following})


async def get_desk(request: Request) -> OrderDesk:
    desk: OrderDesk = request.state.desk
    return desk


app = FastAPI(lifespan=lifespan)


@app.post("/orders")
async def place(
    requested: OrderRequest,
    idempotency_key: Annotated[str, Header()],  # with many buyers: prefix the buyer's id
    desk: Annotated[OrderDesk, Depends(get_desk)],
) -> JSONResponse:
    order = DefaultOrder(**requested.model_dump())
    entry = await desk.place(order, ref=idempotency_key, max_charge=Decimal(5), wait_s=20)
    body = {"state": entry.state, "order": entry.order, "kind": entry.kind}
    return JSONResponse(body, CODES.get(entry.state, 202))


@app.get("/orders/{order}")
async def status(order: str, request: Request) -> JSONResponse:
    result = await request.state.client.status(order)
    return JSONResponse({"status": result.raw_status, "remains": result.remains})


@app.exception_handler(PanelError)
async def handle_error(request: Request, error: PanelError) -> JSONResponse:
    code = ERRORS.get(type(error), 503)
    if code == 503:
        LOG.warning("%s %s: %s", request.method, request.url.path, error)
    # The kind, not the error's text, which reveals what the shop pays.
    return JSONResponse({"error": "later" if code == 503 else error.kind}, code)
