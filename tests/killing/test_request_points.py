"""A process is killed at each step of a refill or cancellation, and another one continues.

The journal of the one that continues is ten minutes ahead, so that leases are over and requests due
without waiting. The truth is the number of calls that the panel has counted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest
import pytest_asyncio
from support.killing import Child, eventually

from smmfanfast_async import API_V2, Client, DefaultOrder, PollPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.desk.timing import Timing
from smmfanfast_async.journal import EntryState, OrderRequest, RequestKind, RequestState
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault, Sandbox

pytestmark = pytest.mark.asyncio

R = RequestState
REFILL = pytest.param(RequestKind.REFILL, marks=pytest.mark.slow)
KINDS = pytest.mark.parametrize("kind", [RequestKind.CANCEL, REFILL])
AHEAD = timedelta(minutes=10)
LEASES = {"lease_s": 240, "write_within_s": 60}


class QuickDesk(OrderDesk):
    """A desk that polls its journal often."""

    _timing = Timing(maintenance_s=0.05, send_interval_s=0.05, idle_s=0.05, max_poll_s=0.1)


@pytest_asyncio.fixture
async def panel() -> AsyncIterator[Sandbox]:
    async with Sandbox(dialect="api-v2", speed=0, balance=Decimal(10**6)) as started:
        yield started
        for child in list(Child.alive):
            await child.kill()


@asynccontextmanager
async def open_desk(url: str, panel: Sandbox) -> AsyncIterator[OrderDesk]:
    """Open a desk whose journal is ahead, on the children's account."""
    profile = attrs.evolve(API_V2, calls_per_minute=None)
    journal = SQLJournal(url, clock=lambda: datetime.now(UTC) + AHEAD)
    poll = PollPolicy(min_interval_s=0.05, max_interval_s=0.2)
    async with (
        Client(panel.api_key, base_url=panel.url, profile=profile) as client,
        QuickDesk(client, journal, account="killing", poll=poll, record_balance=False) as desk,
    ):
        yield desk


@asynccontextmanager
async def following(desk: OrderDesk) -> AsyncIterator[None]:
    task = asyncio.create_task(desk.follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def place(url: str, panel: Sandbox, kind: RequestKind) -> None:
    """Place an order, and complete it if it is to be refilled."""
    service = next(each for each in panel.services.values() if each.refill and each.cancel)
    order = DefaultOrder(
        service=service.service, link="https://example.com/one", quantity=service.min
    )
    async with open_desk(url, panel) as desk:
        entry = await desk.place(order, ref="one")
        if kind is RequestKind.REFILL:
            panel.set_status(entry.order_id(), "completed")
            async with following(desk):
                await eventually(lambda: is_finished(desk))


async def is_finished(desk: OrderDesk) -> bool:
    entry = await desk.find("one")
    return entry is not None and entry.state is EntryState.FINISHED


async def kill_at(url: str, panel: Sandbox, kind: RequestKind, point: str) -> None:
    """Request it in a process that is killed at a point."""
    child = await Child.start(url, panel, request=["one", kind.value], point=point, **LEASES)
    await child.until("at")
    await child.kill()


async def last(desk: OrderDesk) -> OrderRequest | None:
    requests = [each async for each in desk.requests()]
    assert len(requests) <= 1
    return requests[0] if requests else None


async def until(desk: OrderDesk, state: RequestState) -> None:
    async def is_there() -> bool:
        request = await last(desk)
        return request is not None and request.state is state

    await eventually(is_there)


def calls(panel: Sandbox, kind: RequestKind) -> int:
    return panel.requests.get(kind.value, 0)


async def end(desk: OrderDesk, panel: Sandbox, kind: RequestKind) -> None:
    """Follow a request that was made to its end."""
    async with following(desk):
        if kind is RequestKind.REFILL:
            await until(desk, R.ACCEPTED)
            panel.set_refill_status(1, "completed")
        await until(desk, R.FINISHED)
    assert calls(panel, kind) == 1


@KINDS
async def test_kill_before_the_request_is_committed_leaves_nothing(
    url: str, panel: Sandbox, kind: RequestKind
) -> None:
    await place(url, panel, kind)
    await kill_at(url, panel, kind, "request intent")

    async with open_desk(url, panel) as desk:
        assert await last(desk) is None
        assert calls(panel, kind) == 0
        made = await getattr(desk, kind.value)("one", decided_by="a test")
        assert made.state is R.ACCEPTED
        await end(desk, panel, kind)


@KINDS
async def test_kill_before_the_attempt_leaves_it_to_any_desk(
    url: str, panel: Sandbox, kind: RequestKind
) -> None:
    await place(url, panel, kind)
    await kill_at(url, panel, kind, "requested")
    assert calls(panel, kind) == 0

    async with open_desk(url, panel) as desk:
        await end(desk, panel, kind)


@KINDS
async def test_kill_before_the_first_byte_is_unknown_and_never_sent(
    url: str, panel: Sandbox, kind: RequestKind
) -> None:
    await place(url, panel, kind)
    await kill_at(url, panel, kind, "request started")

    async with open_desk(url, panel) as desk:
        async with following(desk):
            await until(desk, R.UNKNOWN)
        again = await getattr(desk, kind.value)("one", decided_by="a test")
        assert (again.state, calls(panel, kind)) == (R.UNKNOWN, 0)

        await desk.resolve_request("one", kind, decided_by="a test", made=False)
        made = await getattr(desk, kind.value)("one", decided_by="a test")

        assert (made.number, made.state, calls(panel, kind)) == (2, R.ACCEPTED, 1)


async def kill_before_the_answer(url: str, panel: Sandbox, kind: RequestKind) -> None:
    panel.fail_next(Fault.DELAY, action=kind.value, delay_s=600.0)
    child = await Child.start(url, panel, request=["one", kind.value], **LEASES)
    await eventually(lambda: calls(panel, kind) == 1)
    await child.kill()


@KINDS
@pytest.mark.parametrize("point", ["answer", "request outcome"])
async def test_kill_before_the_outcome_is_committed_sends_once(
    url: str, panel: Sandbox, kind: RequestKind, point: str
) -> None:
    await place(url, panel, kind)
    if point == "answer":
        await kill_before_the_answer(url, panel, kind)
    else:
        await kill_at(url, panel, kind, point)
    assert calls(panel, kind) == 1

    async with open_desk(url, panel) as desk:
        if kind is RequestKind.REFILL:
            async with following(desk):
                await until(desk, R.UNKNOWN)
            resolved: Any = await desk.resolve_request("one", kind, decided_by="me", refill=1)
            assert resolved.state is R.ACCEPTED
        # A cancellation is ended by its order, without a person.
        await end(desk, panel, kind)
