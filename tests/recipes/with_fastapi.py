"""FastAPI: `Idempotency-Key` names an order, and the desk knows the status of each.

One client and one desk live as long as a worker. A double click, a restart or a second worker
orders nothing twice. The buyer's id is part of each `ref`: a buyer finds no order but their own.
The API key comes from SMMFANFAST_API_KEY and appears in no log.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from smmfanfast_async import Client, DefaultOrder, PanelError, errors
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import Entry
from smmfanfast_async.journal.sql import SQLJournal

LOG = logging.getLogger(__name__)
SESSIONS: dict[str, int] = {}  # token of your login → id of the buyer; yours are in a database
SHOWN = {"state", "order", "kind", "status", "remains"}  # the rest is what the shop pays
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
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    journal = SQLJournal("sqlite+aiosqlite:///orders.db")
    async with Client.from_env() as client, OrderDesk(client, journal) as desk:
        following = asyncio.create_task(follow(desk))
        try:
            yield {"desk": desk}
        finally:
            following.cancel()
            await asyncio.wait({following})


async def get_desk(request: Request) -> OrderDesk:
    desk: OrderDesk = request.state.desk
    return desk


async def get_buyer(authorization: Annotated[str, Header()]) -> int:
    if authorization not in SESSIONS:
        raise HTTPException(401)
    return SESSIONS[authorization]


Desk = Annotated[OrderDesk, Depends(get_desk)]
Buyer = Annotated[int, Depends(get_buyer)]
app = FastAPI(lifespan=lifespan)


@app.post("/orders", response_model_include=SHOWN)
async def place(
    order: Annotated[DefaultOrder, Body()],
    idempotency_key: Annotated[str, Header()],
    buyer: Buyer,
    desk: Desk,
    response: Response,
) -> Entry:
    ref = f"{buyer}:{idempotency_key}"
    entry = await desk.place(order, ref=ref, max_charge=Decimal(5), wait_s=20)
    response.status_code = CODES.get(entry.state, 202)
    return entry


@app.get("/orders/{key}", response_model_include=SHOWN)
async def status(key: str, buyer: Buyer, desk: Desk) -> Entry:
    entry = await desk.find(f"{buyer}:{key}")  # no other buyer's
    if entry is None:
        raise HTTPException(404)
    return entry


@app.get("/health")  # no money, no refs: it may be read by anyone
async def health(desk: Desk) -> dict[str, Any]:
    found = await desk.health()  # an error of the journal is 503
    circuits = {name: each.circuit for name, each in found.panels.items()}
    return {"unknown": found.unknown, "prepared": found.prepared, "circuits": circuits}


@app.exception_handler(PanelError)
async def handle_error(request: Request, error: PanelError) -> JSONResponse:
    code = ERRORS.get(type(error), 503)
    if code == 503:
        LOG.warning("%s %s: %s", request.method, request.url.path, error)
    # The kind, not the error's text, which reveals what the shop pays.
    return JSONResponse({"error": "later" if code == 503 else error.kind}, code)
