"""Litestar: a lifespan opens the client and the desk, handlers get them as dependencies.

The buyer's `Idempotency-Key` is the `ref`: a double click or a repeated request orders once.
The API key comes from SMMFANFAST_API_KEY and appears in no log: errors never contain it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Annotated, Any

from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, HeaderParameter, JSONBody

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


@dataclass
class OrderRequest:
    service: int
    link: str
    quantity: int


async def follow(desk: OrderDesk) -> None:
    try:
        await desk.follow()
    except PanelError:  # such as a key that the panel rejects
        LOG.exception("orders are no longer followed")


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    journal = SQLJournal("sqlite+aiosqlite:///orders.db")
    async with Client.from_env() as client, OrderDesk(client, journal) as desk:
        app.state.client, app.state.desk = client, desk
        following = asyncio.create_task(follow(desk))
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait({following})


async def get_client(state: State) -> Client:
    client: Client = state.client
    return client


async def get_desk(state: State) -> OrderDesk:
    desk: OrderDesk = state.desk
    return desk


# With many buyers: prefix the buyer's id.
IdempotencyKey = Annotated[str, HeaderParameter(name="Idempotency-Key")]


@post("/orders", dependencies={"desk": Provide(get_desk)})
async def place(
    data: JSONBody[OrderRequest], key: IdempotencyKey, desk: NamedDependency[OrderDesk]
) -> Response[dict[str, Any]]:
    order = DefaultOrder(**asdict(data))
    entry = await desk.place(order, ref=key, max_charge=Decimal(5), wait_s=20)
    body = {"state": entry.state, "order": entry.order, "kind": entry.kind}
    return Response(body, status_code=CODES.get(entry.state, 202))


@get("/orders/{order:str}", dependencies={"client": Provide(get_client)})
async def status(order: FromPath[str], client: NamedDependency[Client]) -> dict[str, Any]:
    result = await client.status(order)
    return {"status": result.raw_status, "remains": result.remains}


def handle_error(request: Request[Any, Any, Any], error: PanelError) -> Response[dict[str, str]]:
    code = ERRORS.get(type(error), 503)
    if code == 503:
        LOG.warning("%s %s: %s", request.method, request.url.path, error)
    # The kind, not the error's text, which reveals what the shop pays.
    reason = "later" if code == 503 else error.kind
    return Response({"error": reason}, status_code=code)


app = Litestar([place, status], lifespan=[lifespan], exception_handlers={PanelError: handle_error})
