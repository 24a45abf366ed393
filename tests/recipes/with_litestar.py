"""Litestar: a lifespan opens the client and the desk, handlers get the desk as a dependency.

The buyer's id and `Idempotency-Key` are the `ref`: a double click or a repeated request orders
once, and a buyer finds no order but their own. The API key comes from SMMFANFAST_API_KEY and
appears in no log: errors never contain it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Annotated, Any

from litestar import Litestar, Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotAuthorizedException, NotFoundException
from litestar.params import FromPath, HeaderParameter, RawBody

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
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    journal = SQLJournal("sqlite+aiosqlite:///orders.db")
    async with Client.from_env() as client, OrderDesk(client, journal) as desk:
        app.state.desk = desk
        following = asyncio.create_task(follow(desk))
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait({following})


async def get_desk(state: State) -> OrderDesk:
    desk: OrderDesk = state.desk
    return desk


async def get_buyer(token: Annotated[str, HeaderParameter(name="Authorization")]) -> int:
    if token not in SESSIONS:
        raise NotAuthorizedException
    return SESSIONS[token]


def respond(entry: Entry) -> Response[dict[str, Any]]:
    fields = entry.to_dict()
    body = {name: fields[name] for name in SHOWN}
    return Response(body, status_code=CODES.get(entry.state, 202))


@post("/orders")
async def place(
    body: RawBody,
    key: Annotated[str, HeaderParameter(name="Idempotency-Key")],
    buyer: NamedDependency[int],
    desk: NamedDependency[OrderDesk],
) -> Response[dict[str, Any]]:
    order = DefaultOrder.from_json(body)
    return respond(await desk.place(order, ref=f"{buyer}:{key}", max_charge=Decimal(5), wait_s=20))


@get("/orders/{key:str}")
async def status(
    key: FromPath[str],
    buyer: NamedDependency[int],
    desk: NamedDependency[OrderDesk],
) -> Response[dict[str, Any]]:
    entry = await desk.find(f"{buyer}:{key}")  # no other buyer's
    if entry is None:
        raise NotFoundException
    return respond(entry)


def handle_error(request: Request[Any, Any, Any], error: PanelError) -> Response[dict[str, str]]:
    code = ERRORS.get(type(error), 503)
    if code == 503:
        LOG.warning("%s %s: %s", request.method, request.url.path, error)
    # The kind, not the error's text, which reveals what the shop pays.
    reason = "later" if code == 503 else error.kind
    return Response({"error": reason}, status_code=code)


app = Litestar(
    [place, status],
    lifespan=[lifespan],
    dependencies={
        "buyer": Provide(get_buyer),
        "desk": Provide(get_desk),
    },
    exception_handlers={PanelError: handle_error},
)
