"""The `Sandbox` over HTTP: settings, clock, snapshots, faults."""

import asyncio
import json
from collections import Counter
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from smmfanfast_async.sandbox import Fault, Sandbox, SandboxService, StoredOrder
from smmfanfast_async.sandbox.counting import MAX_ACTION_NAMES
from smmfanfast_async.sandbox.ledger import MAX_ORDERS
from smmfanfast_async.sandbox.lifecycle import MAX_LIFECYCLE_S
from smmfanfast_async.sandbox.services import DEFAULT_SERVICES

from .calls import ask, post, stopped_sandbox
from .samples import FORMS, LINK, form_of


@pytest.mark.asyncio
async def test_panel_listens_on_loopback_with_a_key_and_balance() -> None:
    async with Sandbox() as panel:
        assert panel.url.startswith("http://127.0.0.1:")
        assert panel.url.endswith("/api/v1")
        assert panel.api_key == "test-key"
        assert panel.balance == 1000
        assert await ask(panel, "balance") == {
            "status": "success",
            "balance": "1000.00",
            "currency": "USD",
        }


@pytest.mark.asyncio
async def test_all_four_documented_actions_work_together() -> None:
    async with stopped_sandbox() as panel:
        services = await ask(panel, "services")
        assert [service["service"] for service in services] == list(panel.services)

        for number, order_type in enumerate(FORMS, start=1):
            form = form_of(order_type)
            assert await ask(panel, "add", **form) == {"status": "success", "order": number}
            assert panel.orders[str(number)].type == order_type

        rows = await ask(panel, "status", orders=",".join(panel.orders))
        assert list(rows) == list(panel.orders)
        spent = sum(Decimal(row["charge"]) for row in rows.values() if "charge" in row)
        assert panel.balance == 1000 - spent
        assert panel.requests == {"services": 1, "add": 11, "status": 1}
        assert panel.request_count == 13


@pytest.mark.parametrize("key", ["a-real-looking-key", "", "TEST-key"])
def test_key_without_test_prefix_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match='must start with "test-"') as caught:
        Sandbox(api_key=key)

    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"balance": Decimal("NaN")},
        {"speed": -1},
        {"existing_orders": -1},
        {"existing_orders": MAX_ORDERS + 1},
        {"existing_orders": 1, "services": []},
    ],
)
def test_invalid_settings_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"balance|speed|existing_orders"):
        Sandbox(**arguments)


@pytest.mark.asyncio
async def test_received_keys_are_never_stored_or_shown() -> None:
    wrong = "not-the-key-of-this-panel"
    async with Sandbox(api_key="test-secret") as panel:
        await ask(panel, "add", **form_of("default"))
        await post(panel, "balance", key=wrong)

        shown = repr((panel, panel.orders, panel.requests, panel.pending_faults, panel.services))

    assert "test-secret" not in shown
    assert wrong not in shown


@pytest.mark.asyncio
async def test_start_and_close_are_idempotent_and_orders_survive_an_outage() -> None:
    panel = Sandbox(speed=0)
    with pytest.raises(RuntimeError, match="no URL before it is started"):
        _ = panel.url
    assert repr(panel) == "<Sandbox closed, 0 requests>"
    await panel.start()
    await panel.start()
    await ask(panel, "add", **form_of("default"))
    url = panel.url
    assert repr(panel) == f"<Sandbox at {url}, 1 requests>"

    await panel.close()
    await panel.close()

    assert panel.url == url
    with pytest.raises(aiohttp.ClientConnectorError):
        await post(panel, "balance")

    await panel.start()

    assert panel.url == url
    assert (await ask(panel, "status", order="1"))["status"] == "pending"
    await panel.close()


@pytest.mark.asyncio
async def test_error_of_the_sandbox_itself_is_raised_at_close() -> None:
    panel = Sandbox()
    await panel.start()
    panel._panel.answer = None

    assert (await post(panel, "balance"))[0] == 500

    with pytest.raises(ExceptionGroup, match="the sandbox failed"):
        await panel.close()


@pytest.mark.asyncio
async def test_speed_is_panel_seconds_per_real_second() -> None:
    real_s = [0.0]
    async with Sandbox(speed=3600, clock=lambda: real_s[0]) as panel:
        await ask(panel, "add", **form_of("default"))
        assert not panel.orders["1"].is_final

        real_s[0] = 6.0

        assert panel.now_s == MAX_LIFECYCLE_S
        assert panel.orders["1"].is_final


@pytest.mark.asyncio
async def test_finish_all_makes_every_order_final() -> None:
    async with stopped_sandbox() as panel:
        for order_type in FORMS:
            await ask(panel, "add", **form_of(order_type))
        await ask(panel, "add", **form_of("default", link=LINK + "2", runs="5", interval="60"))
        panel.advance(60)
        assert panel.now_s == 60
        assert not any(order.is_final for order in panel.orders.values())

        panel.finish_all()

        assert all(order.is_final for order in panel.orders.values())
        assert panel.balance == 1000 - sum(order.charge for order in panel.orders.values())


@pytest.mark.asyncio
async def test_equal_seeds_and_calls_give_equal_orders() -> None:
    async def run_orders(seed: int) -> tuple[dict[str, StoredOrder], Decimal]:
        async with stopped_sandbox(seed=seed, existing_orders=20) as panel:
            for order_type in FORMS:
                await ask(panel, "add", **form_of(order_type))
            panel.advance(5000)
            return dict(panel.orders), panel.balance

    assert await run_orders(1) == await run_orders(1)
    assert await run_orders(1) != await run_orders(2)


@pytest.mark.asyncio
async def test_existing_orders_have_various_states_and_keep_the_balance() -> None:
    async with stopped_sandbox(existing_orders=300, balance=Decimal("0.03")) as panel:
        orders = panel.orders
        assert panel.balance == Decimal("0.03")
        assert list(orders) == [str(number) for number in range(1, 301)]
        states = Counter(order.status for order in orders.values())
        assert {"pending", "in progress", "completed", "partial", "canceled"} <= set(states)
        assert all(-MAX_LIFECYCLE_S <= order.created_s <= 0 for order in orders.values())
        assert panel.request_count == 0
        charges = sum(order.charge for order in orders.values())

        panel.finish_all()

        assert all(order.is_final for order in panel.orders.values())
        final_charges = sum(order.charge for order in panel.orders.values())
        assert panel.balance == Decimal("0.03") + charges - final_charges


@pytest.mark.asyncio
async def test_set_status_changes_an_order() -> None:
    async with stopped_sandbox() as panel:
        await ask(panel, "add", **form_of("default"))

        panel.set_status(1, "Partial", remains=30)

        assert await ask(panel, "status", order="1") == {
            "order": "1",
            "status": "partial",
            "charge": "0.9894",
            "currency": "USD",
            "start_count": str(panel.orders["1"].start_count),
            "remains": "30",
        }
        assert panel.balance == Decimal("999.0106")
        with pytest.raises(ValueError, match="'on hold' is not a status"):
            panel.set_status("1", "on hold")
        with pytest.raises(KeyError):
            panel.set_status("2", "completed")


@pytest.mark.asyncio
async def test_services_can_be_changed_while_running() -> None:
    async with Sandbox(services=DEFAULT_SERVICES[:1]) as panel:
        panel.add_service(SandboxService(service=7, name="n", category="c", rate=3))
        panel.change_rate(5, Decimal("9.5"))

        rows = await ask(panel, "services")
        assert [(row["service"], row["rate"]) for row in rows] == [("5", "9.5"), ("7", "3")]

        panel.remove_service("5")
        panel.remove_service(7)

        assert await ask(panel, "services") == {"status": "success", "data": "Empty Data"}
        with pytest.raises(KeyError):
            panel.remove_service(7)
        with pytest.raises(TypeError):
            panel.services["1"] = None


@pytest.mark.asyncio
async def test_snapshots_do_not_change_the_panel() -> None:
    async with Sandbox() as panel:
        await ask(panel, "balance")
        panel.requests["balance"] = 99

        assert panel.requests["balance"] == 1
        assert panel.requests["add"] == 0
        with pytest.raises(TypeError):
            panel.orders["1"] = None


@pytest.mark.asyncio
async def test_requests_are_counted_only_by_plain_action_names() -> None:
    async with Sandbox() as panel:
        for action in ("", "refill", "refill", "A secret", "x" * 33):
            await post(panel, action)
        assert panel.requests == {"": 1, "refill": 2, "other": 2}

        for number in range(MAX_ACTION_NAMES):
            panel._respond({"action": "word" + "x" * (number % 28) + "y" * (number // 28)})
        panel._respond({"action": "add"})

        assert len(panel.requests) <= MAX_ACTION_NAMES + 1
        assert panel.requests["other"] > 2
        assert panel.requests["add"] == 1
        assert panel.request_count == 5 + MAX_ACTION_NAMES + 1


@pytest.mark.asyncio
async def test_settings_are_applied() -> None:
    async with Sandbox(double_decoding=False, with_currency=False, currency="EUR") as panel:
        await ask(panel, "add", **form_of("default", link="https://t.me/+abc"))

        assert panel.orders["1"].link == "https://t.me/+abc"
        assert "currency" not in await ask(panel, "status", order="1")
        assert (await ask(panel, "balance"))["currency"] == "EUR"


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["standard", "api-v2"])
async def test_every_way_to_send_fields_places_the_same_order(dialect: str) -> None:
    ways = [
        ("POST", "data"),
        ("POST", "multipart"),
        ("POST", "params"),
        ("GET", "params"),
        ("POST", "json"),
    ]
    async with (
        stopped_sandbox(dialect=dialect, reads_json=True) as panel,
        aiohttp.ClientSession() as session,
    ):
        for number, (method, way) in enumerate(ways):
            form = form_of("default", link=f"{LINK}/{number}")
            fields = {"key": panel.api_key, "action": "add", **form}
            if way == "multipart":
                sent: dict[str, Any] = {"data": aiohttp.FormData(fields, default_to_multipart=True)}
            else:
                sent = {way: fields}
            async with session.request(method, panel.url + "/", **sent) as answer:
                assert json.loads(await answer.text())["order"] == number + 1

        assert [dict(order.fields) for order in panel.orders.values()] == [
            form_of("default", link=f"{LINK}/{number}") for number in range(len(ways))
        ]
        assert panel.requests == {"add": len(ways)}


@pytest.mark.asyncio
async def test_panel_of_the_document_reads_no_json() -> None:
    async with stopped_sandbox() as panel, aiohttp.ClientSession() as session:
        async with session.post(panel.url, json={"key": "test-key", "action": "add"}) as answer:
            assert "User Not Found" in json.loads(await answer.text())["error"]

        assert panel.requests == {"": 1}


APPLIED = {
    Fault.DELAY: 1,
    Fault.PHP_NOTICE: 1,
    Fault.TRUNCATED_BODY: 1,
    Fault.EMPTY: 1,
    Fault.DROP_AFTER: 1,
    Fault.MALFORMED_ROW: 1,
}


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", Fault)
async def test_orders_show_whether_the_action_was_applied(fault: Fault) -> None:
    async with stopped_sandbox() as panel:
        panel.fail_next(fault, delay_s=0.001)
        try:
            await post(panel, "add", **form_of("default"))
        except aiohttp.ServerDisconnectedError:
            assert fault in (Fault.DROP_BEFORE, Fault.DROP_AFTER)

        assert len(panel.orders) == APPLIED.get(fault, 0)
        assert panel.balance == 1000 - Decimal("1.02") * len(panel.orders)
        assert panel.requests == {"add": 1}


@pytest.mark.asyncio
async def test_order_can_exist_despite_a_server_error() -> None:
    async with Sandbox() as panel:
        panel.fail_next("http_502", applied=True)

        assert (await post(panel, "add", **form_of("default")))[0] == 502
        assert list(panel.orders) == ["1"]


@pytest.mark.asyncio
async def test_faults_are_scripted_by_count_and_action_and_cleared() -> None:
    async with Sandbox() as panel:
        panel.fail_next(Fault.HTTP_503, times=2, action="status")
        panel.fail_next(Fault.RATE_LIMIT, retry_after_s=7, action="status")
        assert (await post(panel, "balance"))[0] == 200
        assert [(await post(panel, "status"))[0] for _ in range(2)] == [503, 503]
        (pending,) = panel.pending_faults
        assert (pending.fault, pending.retry_after_s) == ("rate_limit", 7)

        panel.clear_faults()

        assert panel.pending_faults == ()
        assert (await post(panel, "status"))[0] == 200


@pytest.mark.asyncio
async def test_fault_rate_applies_until_cleared() -> None:
    async with Sandbox() as panel:
        panel.fail_at_rate(Fault.BLOCKED, rate=1, action="balance")
        assert [(await post(panel, "balance"))[0] for _ in range(3)] == [403] * 3
        assert (await post(panel, "services"))[0] == 200
        assert panel.pending_faults == ()

        panel.clear_faults()

        assert (await post(panel, "balance"))[0] == 200


@pytest.mark.asyncio
async def test_client_that_follows_the_redirect_places_the_order() -> None:
    async with Sandbox() as panel, aiohttp.ClientSession() as session:
        panel.fail_next(Fault.REDIRECT)
        form = {"key": panel.api_key, "action": "add", **form_of("default")}

        async with session.post(panel.url, data=form) as answer:
            assert str(answer.url) == panel.url + "/moved"

        assert panel.request_count == 2
        assert list(panel.orders) == ["1"]


@pytest.mark.asyncio
async def test_redirect_can_point_to_another_panel() -> None:
    async with Sandbox() as panel, Sandbox() as other, aiohttp.ClientSession() as session:
        panel.fail_next(Fault.REDIRECT, location=other.url)

        async with session.post(panel.url, data={"key": panel.api_key}) as answer:
            assert str(answer.url) == other.url

        assert other.request_count == 1


@pytest.mark.asyncio
async def test_concurrent_orders_get_consecutive_ids_and_exact_charges() -> None:
    async with stopped_sandbox() as panel:
        answers = await asyncio.gather(
            *(ask(panel, "add", **form_of("default", link=f"{LINK}/{n}")) for n in range(50))
        )

        assert sorted(answer["order"] for answer in answers) == list(range(1, 51))
        assert panel.balance == 1000 - 50 * Decimal("1.02")
