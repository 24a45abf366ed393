"""Panels that take one id in a call of refill, refill_status or cancel."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
from support.wire import Answer, Request, WireServer, reply

from smmfanfast_async import (
    API_V2,
    CancelResult,
    Client,
    InvalidResponseError,
    RefillResult,
    RefillStatus,
    RefusedError,
)

SINGLE = attrs.evolve(
    API_V2, single_id_actions={"refill", "refill_status", "cancel"}, calls_per_minute=None
)


class Panel(WireServer):
    """Answers each request by the id in its `order` or `refill`."""

    def __init__(self, answers: dict[str, object]) -> None:
        super().__init__(reply())
        self._by_id = answers

    def answer_to(self, request: Request) -> Answer:
        fields = request.fields
        return reply(json.dumps(self._by_id[fields.get("order") or fields["refill"]]))


@asynccontextmanager
async def client_of(answers: dict[str, object]) -> AsyncIterator[tuple[Client, Panel]]:
    async with (
        Panel(answers) as panel,
        Client("test-key", profile=SINGLE, base_url=panel.url) as client,
    ):
        yield client, panel


@pytest.mark.asyncio
async def test_cancel_sends_one_id_in_each_call_and_keeps_errors_apart() -> None:
    answers: dict[str, object] = {
        "1": {"cancel": 1},
        "2": {"error": "Order not eligible for cancel"},
        "3": {"order": "4", "cancel": 1},
        "5": {"order": 5, "cancel": True},
    }
    async with client_of(answers) as (client, panel):
        rows = await client.cancel([1, 2, 3, 5])

    sent = [{k: v for k, v in each.fields.items() if k != "key"} for each in panel.requests]
    assert sent == [{"action": "cancel", "order": each} for each in "1235"]
    assert [type(row) for row in rows.values()] == [
        CancelResult, RefusedError, InvalidResponseError, CancelResult,
    ]  # fmt: skip
    assert "about another order" in str(rows["3"])


@pytest.mark.asyncio
async def test_refills_send_one_id_in_each_call() -> None:
    async with client_of({"1": {"refill": "7"}, "2": {"refill": 8}}) as (client, panel):
        rows = await client.refills([1, 2])

    assert [row.refill for row in rows.values() if isinstance(row, RefillResult)] == ["7", "8"]
    assert [each.fields["order"] for each in panel.requests] == ["1", "2"]


@pytest.mark.asyncio
async def test_refill_statuses_ask_for_one_id_in_each_call() -> None:
    async with client_of({"7": {"status": "Completed"}, "8": {"status": "Pending"}}) as (
        client,
        panel,
    ):
        rows = await client.refill_statuses([7, 8])
        one = await client.refill_status(7)

    assert [row.raw_status for row in rows.values() if isinstance(row, RefillStatus)] == [
        "Completed", "Pending",
    ]  # fmt: skip
    assert one.raw_status == "Completed"
    assert [each.fields["refill"] for each in panel.requests] == ["7", "8", "7"]
