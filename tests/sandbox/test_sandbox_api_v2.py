"""The `Sandbox` over HTTP with the dialect "api-v2"."""

import json

import aiohttp
import pytest

from smmfanfast_async.sandbox import Fault, Sandbox, SandboxService

from .calls import ask, post, stopped_sandbox
from .samples import API_V2_FORMS, FORMS, form_of


@pytest.mark.asyncio
async def test_api_v2_has_its_own_path_and_types() -> None:
    async with stopped_sandbox(dialect="api-v2") as panel:
        assert panel.url.endswith("/api/v2")
        assert await ask(panel, "balance") == {"balance": "1000.00", "currency": "USD"}
        for number, order_type in enumerate(FORMS | API_V2_FORMS, start=1):
            assert await ask(panel, "add", **form_of(order_type)) == {"order": number}

        assert [order.type for order in panel.orders.values()] == [*FORMS, *API_V2_FORMS]
        assert panel.requests == {"balance": 1, "add": 17}


def test_unknown_dialect_is_refused() -> None:
    with pytest.raises(ValueError, match="dialect must be one of standard, api-v2, not 'api-v3'"):
        Sandbox(dialect="api-v3")


@pytest.mark.asyncio
async def test_refills_follow_the_clock_and_manual_states() -> None:
    async with stopped_sandbox(dialect="api-v2") as panel:
        await ask(panel, "add", **form_of("default"))
        panel.set_status(1, "completed")
        await ask(panel, "refill", order="1")
        assert panel.refills["1"].status == "Pending"

        panel.set_refill_status(1, "in progress")
        assert await ask(panel, "refill_status", refill="1") == {"status": "In progress"}
        panel.set_refill_status("1", "rejected")
        assert await ask(panel, "refill_status", refill="1") == {"status": "Rejected"}

        await ask(panel, "refill", order="1")
        panel.finish_all()
        assert panel.refills["2"].is_final
        with pytest.raises(KeyError):
            panel.set_refill_status(3, "pending")
        with pytest.raises(ValueError, match="is not a refill status"):
            panel.set_refill_status(1, "canceled")


@pytest.mark.asyncio
async def test_faults_apply_to_api_v2_actions() -> None:
    async with stopped_sandbox(dialect="api-v2") as panel:
        await ask(panel, "add", **form_of("default"))
        panel.fail_next(Fault.HTTP_502, action="cancel")
        panel.fail_next(Fault.EMPTY, action="cancel")
        panel.fail_next(Fault.REDIRECT, action="refill")

        assert (await post(panel, "cancel", orders="1"))[0] == 502
        assert panel.orders["1"].status == "pending"
        assert await post(panel, "cancel", orders="1") == (200, "")
        assert panel.orders["1"].status == "canceled"
        assert (await post(panel, "refill", order="1"))[0] == 307


@pytest.mark.asyncio
async def test_redirect_leads_to_the_second_path_of_the_dialect() -> None:
    async with stopped_sandbox(dialect="api-v2") as panel, aiohttp.ClientSession() as session:
        panel.fail_next(Fault.REDIRECT)
        form = {"key": panel.api_key, "action": "balance"}
        async with session.post(panel.url, data=form) as answer:
            assert str(answer.url) == panel.url + "/moved"
            assert json.loads(await answer.text())["currency"] == "USD"


def test_service_type_unknown_to_the_dialect_is_refused() -> None:
    poll = SandboxService(service=1, name="n", category="c", rate="1", type="poll")

    with pytest.raises(ValueError, match="has type 'poll'"):
        Sandbox(services=[poll])
    with pytest.raises(ValueError, match="has type 'poll'"):
        Sandbox().add_service(poll)
    panel = Sandbox(dialect="api-v2", services=[])
    panel.add_service(poll)
    assert list(panel.services) == ["1"]


def test_existing_api_v2_orders_include_its_own_types() -> None:
    panel = Sandbox(dialect="api-v2", speed=0, existing_orders=200)

    assert {order.type for order in panel.orders.values()} & set(API_V2_FORMS)
    assert panel.balance == 1000
