import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from smmfanfast_async.sandbox import Fault, Sandbox, SandboxService, StoredOrder, sandbox
from smmfanfast_async.sandbox.lifecycle import MAX_LIFECYCLE_S
from smmfanfast_async.sandbox.sandbox import MAX_ACTION_NAMES
from smmfanfast_async.sandbox.services import DEFAULT_SERVICES

from .samples import FAMILY_FORMS, FORMS, LINK, form_of


async def post(panel: Sandbox, action: str, **fields: str) -> tuple[int, str]:
    """Give HTTP status and text of an answer; redirects are not followed."""
    form = {"key": panel.api_key, "action": action, **fields}
    async with (
        aiohttp.ClientSession() as session,
        session.post(panel.url, data=form, allow_redirects=False) as answer,
    ):
        return answer.status, await answer.text()


async def ask(panel: Sandbox, action: str, **fields: str) -> Any:
    status, text = await post(panel, action, **fields)
    assert status == 200
    return json.loads(text)


@asynccontextmanager
async def standing_still(**arguments: Any) -> AsyncIterator[Sandbox]:
    async with Sandbox(speed=0, **arguments) as panel:
        yield panel


@pytest.mark.asyncio
async def test_a_panel_stands_on_loopback_with_a_key_and_money() -> None:
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
async def test_the_document_s_four_actions_work_together() -> None:
    async with standing_still() as panel:
        services = await ask(panel, "services")
        assert [service["service"] for service in services] == list(panel.services)

        for place, kind in enumerate(FORMS, start=1):
            form = form_of(kind)
            assert await ask(panel, "add", **form) == {"status": "success", "order": place}
            assert panel.orders[str(place)].type == kind

        rows = await ask(panel, "status", orders=",".join(panel.orders))
        assert list(rows) == list(panel.orders)
        spent = sum(Decimal(row["charge"]) for row in rows.values() if "charge" in row)
        assert panel.balance == 1000 - spent
        assert panel.requests == {"services": 1, "add": 11, "status": 1}
        assert panel.request_count == 13


@pytest.mark.parametrize("key", ["a-real-looking-key", "", "TEST-key"])
def test_a_key_that_is_no_test_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match='must start with "test-"') as caught:
        Sandbox(api_key=key)

    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"balance": Decimal("NaN")},
        {"speed": -1},
        {"existing_orders": -1},
        {"existing_orders": sandbox.MAX_ORDERS + 1},
        {"existing_orders": 1, "services": []},
    ],
)
def test_what_cannot_be_made_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"balance|speed|earlier"):
        Sandbox(**arguments)


@pytest.mark.asyncio
async def test_the_received_key_stands_in_nothing_that_is_kept_or_shown() -> None:
    wrong = "not-the-key-of-this-panel"
    async with Sandbox(api_key="test-secret") as panel:
        await ask(panel, "add", **form_of("default"))
        await post(panel, "balance", key=wrong)

        shown = repr((panel, panel.orders, panel.requests, panel.pending_faults, panel.services))

    assert "test-secret" not in shown
    assert wrong not in shown


@pytest.mark.asyncio
async def test_start_and_close_may_be_called_twice_and_the_panel_survives_an_outage() -> None:
    panel = Sandbox(speed=0)
    with pytest.raises(RuntimeError, match="no address before it is started"):
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
async def test_an_error_of_the_sandbox_itself_is_not_hidden() -> None:
    panel = Sandbox()
    await panel.start()
    panel._panel.answer = None

    assert (await post(panel, "balance"))[0] == 500

    with pytest.raises(ExceptionGroup, match="the sandbox failed"):
        await panel.close()


@pytest.mark.asyncio
async def test_speed_is_panel_seconds_in_a_real_second() -> None:
    real_s = [0.0]
    async with Sandbox(speed=3600, clock=lambda: real_s[0]) as panel:
        await ask(panel, "add", **form_of("default"))
        assert not panel.orders["1"].is_final

        real_s[0] = 6.0

        assert panel.now_s == MAX_LIFECYCLE_S
        assert panel.orders["1"].is_final


@pytest.mark.asyncio
async def test_the_clock_is_stepped_by_hand_until_all_is_final() -> None:
    async with standing_still() as panel:
        for kind in FORMS:
            await ask(panel, "add", **form_of(kind))
        await ask(panel, "add", **form_of("default", link=LINK + "2", runs="5", interval="60"))
        panel.advance(60)
        assert panel.now_s == 60
        assert not any(order.is_final for order in panel.orders.values())

        panel.finish_all()

        assert all(order.is_final for order in panel.orders.values())
        assert panel.balance == 1000 - sum(order.charge for order in panel.orders.values())


@pytest.mark.asyncio
async def test_equal_seeds_and_calls_give_equal_orders() -> None:
    async def lives(seed: int) -> tuple[dict[str, StoredOrder], Decimal]:
        async with standing_still(seed=seed, existing_orders=20) as panel:
            for kind in FORMS:
                await ask(panel, "add", **form_of(kind))
            panel.advance(5000)
            return dict(panel.orders), panel.balance

    assert await lives(1) == await lives(1)
    assert await lives(1) != await lives(2)


@pytest.mark.asyncio
async def test_earlier_orders_stand_in_assorted_states_and_leave_the_balance_given() -> None:
    async with standing_still(existing_orders=300, balance=Decimal("0.03")) as panel:
        orders = panel.orders
        assert panel.balance == Decimal("0.03")
        assert list(orders) == [str(number) for number in range(1, 301)]
        states = Counter(order.status for order in orders.values())
        assert {"pending", "in progress", "completed", "partial", "canceled"} <= set(states)
        assert all(-MAX_LIFECYCLE_S <= order.created_s <= 0 for order in orders.values())
        assert panel.request_count == 0
        held = sum(order.charge for order in orders.values())

        panel.finish_all()

        assert all(order.is_final for order in panel.orders.values())
        still_held = sum(order.charge for order in panel.orders.values())
        assert panel.balance == Decimal("0.03") + held - still_held


@pytest.mark.asyncio
async def test_an_order_is_put_into_a_state_by_hand() -> None:
    async with standing_still() as panel:
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
        with pytest.raises(ValueError, match="'on hold' is no status"):
            panel.set_status("1", "on hold")
        with pytest.raises(KeyError):
            panel.set_status("2", "completed")


@pytest.mark.asyncio
async def test_the_catalogue_can_be_changed_under_way() -> None:
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
async def test_snapshots_cannot_change_the_panel() -> None:
    async with Sandbox() as panel:
        await ask(panel, "balance")
        panel.requests["balance"] = 99

        assert panel.requests["balance"] == 1
        assert panel.requests["add"] == 0
        with pytest.raises(TypeError):
            panel.orders["1"] = None


@pytest.mark.asyncio
async def test_requests_are_counted_by_plain_words_alone() -> None:
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
async def test_settings_reach_the_panel() -> None:
    async with Sandbox(double_decoding=False, with_currency=False, currency="EUR") as panel:
        await ask(panel, "add", **form_of("default", link="https://t.me/+abc"))

        assert panel.orders["1"].link == "https://t.me/+abc"
        assert "currency" not in await ask(panel, "status", order="1")
        assert (await ask(panel, "balance"))["currency"] == "EUR"


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
async def test_the_orders_tell_the_truth_whatever_the_client_was_told(fault: Fault) -> None:
    async with standing_still() as panel:
        panel.fail_next(fault, delay_s=0.001)
        try:
            await post(panel, "add", **form_of("default"))
        except aiohttp.ServerDisconnectedError:
            assert fault in (Fault.DROP_BEFORE, Fault.DROP_AFTER)

        assert len(panel.orders) == APPLIED.get(fault, 0)
        assert panel.balance == 1000 - Decimal("1.02") * len(panel.orders)
        assert panel.requests == {"add": 1}


@pytest.mark.asyncio
async def test_a_server_error_may_hide_an_order() -> None:
    async with Sandbox() as panel:
        panel.fail_next("http_502", applied=True)

        assert (await post(panel, "add", **form_of("default")))[0] == 502
        assert list(panel.orders) == ["1"]


@pytest.mark.asyncio
async def test_faults_are_scripted_by_count_and_action_and_forgotten_again() -> None:
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
async def test_a_rate_of_faults_holds_until_it_is_cleared() -> None:
    async with Sandbox() as panel:
        panel.fail_at_rate(Fault.BLOCKED, rate=1, action="balance")
        assert [(await post(panel, "balance"))[0] for _ in range(3)] == [403] * 3
        assert (await post(panel, "services"))[0] == 200
        assert panel.pending_faults == ()

        panel.clear_faults()

        assert (await post(panel, "balance"))[0] == 200


@pytest.mark.asyncio
async def test_a_client_that_follows_the_redirect_orders_at_the_second_door() -> None:
    async with Sandbox() as panel, aiohttp.ClientSession() as session:
        panel.fail_next(Fault.REDIRECT)
        form = {"key": panel.api_key, "action": "add", **form_of("default")}

        async with session.post(panel.url, data=form) as answer:
            assert str(answer.url) == panel.url + "/moved"

        assert panel.request_count == 2
        assert list(panel.orders) == ["1"]


@pytest.mark.asyncio
async def test_a_redirect_can_point_to_another_panel() -> None:
    async with Sandbox() as panel, Sandbox() as other, aiohttp.ClientSession() as session:
        panel.fail_next(Fault.REDIRECT, location=other.url)

        async with session.post(panel.url, data={"key": panel.api_key}) as answer:
            assert str(answer.url) == other.url

        assert other.request_count == 1


@pytest.mark.asyncio
async def test_many_clients_at_once_get_consecutive_ids_and_no_money_is_lost() -> None:
    async with standing_still() as panel:
        answers = await asyncio.gather(
            *(ask(panel, "add", **form_of("default", link=f"{LINK}/{n}")) for n in range(50))
        )

        assert sorted(answer["order"] for answer in answers) == list(range(1, 51))
        assert panel.balance == 1000 - 50 * Decimal("1.02")


# --- API v2 --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_sandbox_may_speak_api_v2_at_its_own_path() -> None:
    async with standing_still(dialect="api-v2") as panel:
        assert panel.url.endswith("/api/v2")
        assert await ask(panel, "balance") == {"balance": "1000.00", "currency": "USD"}
        for place, kind in enumerate(FORMS | FAMILY_FORMS, start=1):
            assert await ask(panel, "add", **form_of(kind)) == {"order": place}

        assert [order.type for order in panel.orders.values()] == [*FORMS, *FAMILY_FORMS]
        assert panel.requests == {"balance": 1, "add": 17}


def test_a_language_it_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="dialect 'api-v3' is not one of standard, api-v2"):
        Sandbox(dialect="api-v3")


@pytest.mark.asyncio
async def test_refills_move_with_the_clock_and_may_be_put_into_a_state() -> None:
    async with standing_still(dialect="api-v2") as panel:
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
        with pytest.raises(ValueError, match="no status of a refill"):
            panel.set_refill_status(1, "canceled")


@pytest.mark.asyncio
async def test_faults_meet_the_new_actions_too() -> None:
    async with standing_still(dialect="api-v2") as panel:
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
async def test_a_redirect_leads_to_the_second_door_of_the_same_path() -> None:
    async with standing_still(dialect="api-v2") as panel, aiohttp.ClientSession() as session:
        panel.fail_next(Fault.REDIRECT)
        form = {"key": panel.api_key, "action": "balance"}
        async with session.post(panel.url, data=form) as answer:
            assert str(answer.url) == panel.url + "/moved"
            assert json.loads(await answer.text())["currency"] == "USD"


def test_what_a_language_has_no_type_for_is_not_sold() -> None:
    poll = SandboxService(service=1, name="n", category="c", rate="1", type="poll")

    with pytest.raises(ValueError, match="of type poll"):
        Sandbox(services=[poll])
    with pytest.raises(ValueError, match="of type poll"):
        Sandbox().add_service(poll)
    panel = Sandbox(dialect="api-v2", services=[])
    panel.add_service(poll)
    assert list(panel.services) == ["1"]


def test_earlier_orders_of_the_wider_family_are_of_its_types_too() -> None:
    panel = Sandbox(dialect="api-v2", speed=0, existing_orders=200)

    assert {order.type for order in panel.orders.values()} & set(FAMILY_FORMS)
    assert panel.balance == 1000
