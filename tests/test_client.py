"""The methods of the client over real sockets."""

import asyncio
import copy
import json
import logging
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import attrs
import pytest
from support.wire import Answer, Reply, Request, Silence, WireServer, reply

from smmfanfast_async import (
    API_V2,
    SMMFANFAST,
    AuthenticationError,
    CancelResult,
    Client,
    ClosedError,
    DefaultOrder,
    InvalidOrderError,
    InvalidResponseError,
    InvalidSettingsError,
    NoResponseError,
    OrderNotFoundError,
    OrderStatus,
    PanelError,
    PollPolicy,
    RefillResult,
    RefillStatus,
    RetryPolicy,
    ServerError,
    Status,
    UnsupportedActionError,
    WaitTimeoutError,
)

KEY = "test-marker-key"
ORDER = DefaultOrder(service=5, link="https://example.com/p", quantity=10)
ONCE = RetryPolicy(max_attempts=1)


def entry(order: str, status: str = "Completed") -> dict[str, str]:
    return {
        "order": order,
        "status": status,
        "charge": "0.1000",
        "start_count": "1",
        "remains": "0",
    }


class StatusPanel(WireServer):
    """Answers any status batch; ids above 900 are unknown."""

    def __init__(self, fail_batches: int = 0) -> None:
        super().__init__(reply(""))
        self.fail_batches = fail_batches
        self.sizes: list[int] = []

    def answer_to(self, request: Request) -> Answer:
        ids = (request.fields.get("orders") or request.fields["order"]).split(",")
        self.sizes.append(len(ids))
        if len(self.sizes) <= self.fail_batches:
            return reply("down", 503)
        found: dict[str, Any] = {
            each: entry(each) if int(each) <= 900 else "Incorrect order ID" for each in ids
        }
        return reply(json.dumps(found if "orders" in request.fields else found[ids[0]]))


def create_client(server: WireServer, **options: Any) -> Client:
    return Client(KEY, base_url=server.url, **{"retry": ONCE} | options)


# --- creating a client ---------------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    {"timeout_s": 0}, {"timeout_s": -1}, {"concurrency": 0}, {"base_url": "http://panel.example/"},
])  # fmt: skip
def test_invalid_settings_are_rejected(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingsError):
        Client("key", **options)


@pytest.mark.parametrize("options", [{}, {"base_url": "http://panel.example/"}, {"timeout_s": -1}])
def test_no_frame_of_a_rejected_setting_holds_the_key(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        Client("test-" + "hidden", **options)

    trace = caught.tb.tb_next
    while trace is not None:
        assert "hidden" not in repr(trace.tb_frame.f_locals)
        trace = trace.tb_next


def test_sandbox_key_is_rejected_for_a_real_host() -> None:
    with pytest.raises(InvalidSettingsError, match="sandbox"):
        Client(KEY)


@pytest.mark.asyncio
async def test_client_is_created_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with WireServer(reply('{"balance":"1"}')) as server:
        monkeypatch.setenv("SMMFANFAST_API_KEY", KEY)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", server.url)
        async with Client.from_env(timeout_s=5.0) as client:
            await client.balance()
            assert client.base_url == server.url
        assert server.requests[0].fields["key"] == KEY
        with pytest.raises(InvalidSettingsError):
            Client.from_env(base_url="http://panel.example/")


def test_client_hides_its_key_and_cannot_be_copied() -> None:
    client = Client("marker", base_url="https://panel.example/api/v1")

    assert "marker" not in repr(client)
    assert "panel.example" in repr(client)
    for spread in (copy.copy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            spread(client)


@pytest.mark.asyncio
async def test_closing_twice_is_safe_and_ends_every_call() -> None:
    async with WireServer(reply("{}")) as server:
        client = create_client(server)
        await client.aclose()
        await client.aclose()

        assert "closed" in repr(client)
        for call in (
            client.add(ORDER), client.status(1), client.statuses([1]), client.services(),
            client.balance(), client.call("x"), client.refill(1),
        ):  # fmt: skip
            with pytest.raises(ClosedError):
                await call
        with pytest.raises(ClosedError):
            async with client:
                pass
    assert server.requests == []


@pytest.mark.asyncio
async def test_with_options_shares_everything_else() -> None:
    async with StatusPanel(fail_batches=1) as server, create_client(server) as client:
        hasty = client.with_options(timeout_s=1.0, concurrency=1)
        patient = hasty.with_options(retry=RetryPolicy(max_attempts=2, base_delay_s=0.0))
        found = await patient.statuses([1, 2])

        assert all(isinstance(each, OrderStatus) for each in found.values())
        assert client._settings.timeout_s == 60.0
        assert (patient._settings.timeout_s, patient._concurrency) == (1.0, 1)
        kept = patient.with_options(keep_raw=True).with_options(timeout_s=2.0)
        assert kept._settings.keep_raw
        assert not kept.with_options(keep_raw=False)._settings.keep_raw
        assert not patient._settings.keep_raw
        for options in ({"timeout_s": 0}, {"concurrency": 0}):
            with pytest.raises(InvalidSettingsError):
                client.with_options(**options)  # type: ignore[arg-type]  # connector or session
    assert server.connections == 1


@pytest.mark.asyncio
async def test_wait_of_zero_seconds_is_rejected() -> None:
    async with WireServer(reply("{}")) as server, create_client(server) as client:
        with pytest.raises(InvalidSettingsError, match="wait_s"):
            await client.add(ORDER, wait_s=0)

    assert server.requests == []


@pytest.mark.asyncio
async def test_clients_share_a_connector_and_leave_it_open() -> None:
    async with WireServer(reply('{"balance":"1"}')) as server:
        connector = aiohttp.TCPConnector()
        for _ in range(2):
            async with create_client(server, connector=connector) as client:
                await client.balance()
        assert not connector.closed
        await connector.close()

    assert server.connections == 1


@pytest.mark.asyncio
async def test_closed_client_leaves_no_task() -> None:
    async with StatusPanel() as server, create_client(server) as client:
        async for _ in client.iter_statuses(range(1, 400)):
            break
    assert asyncio.all_tasks() == {asyncio.current_task()}


# --- statuses ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_thousand_ids_make_ten_requests_in_order() -> None:
    ids = list(range(1000, 0, -1))
    async with StatusPanel() as server, create_client(server) as client:
        found = await client.statuses(ids)

    assert list(found) == [str(each) for each in ids]
    assert sorted(server.sizes) == [100] * 10
    assert isinstance(found["900"], OrderStatus)
    assert isinstance(found["901"], OrderNotFoundError)


@pytest.mark.asyncio
async def test_invalid_id_gets_an_error_and_is_not_sent() -> None:
    async with StatusPanel() as server, create_client(server) as client:
        found = await client.statuses(["1", "2,3", "", "a b", 4, 0])

    assert {key for key, each in found.items() if isinstance(each, InvalidOrderError)} == {
        "2,3", "", "a b", "0",
    }  # fmt: skip
    assert server.requests[0].fields["orders"] == "1,4"


@pytest.mark.asyncio
async def test_value_that_is_neither_text_nor_int_is_not_an_id() -> None:
    ids: Any = [True, None, 1.5, b"7", 7]
    async with StatusPanel() as server, create_client(server) as client:
        found = await client.statuses(ids)

    assert server.requests[0].fields["orders"] == "7"
    assert isinstance(found["7"], OrderStatus)
    for text in ("True", "None", "1.5", "b'7'"):
        assert isinstance(found[text], InvalidOrderError)


@pytest.mark.asyncio
async def test_only_invalid_ids_make_no_request() -> None:
    async with StatusPanel() as server, create_client(server) as client:
        found = await client.statuses(["1,2"])

    assert isinstance(found["1,2"], InvalidOrderError)
    assert server.requests == []


@pytest.mark.asyncio
async def test_failed_batch_gives_each_id_its_own_error() -> None:
    # The batch, and two of its ids alone.
    panel = StatusPanel(fail_batches=3)
    async with panel as server, create_client(server, concurrency=1) as client:
        found = await client.statuses(range(1, 201))

    failed = {key: each for key, each in found.items() if isinstance(each, ServerError)}
    assert set(failed) == {str(each) for each in range(1, 101)}
    assert failed["1"] is not failed["2"]
    assert (failed["1"].order, failed["2"].order) == ("1", "2")
    assert isinstance(found["101"], OrderStatus)


@pytest.mark.asyncio
async def test_wrong_key_is_detected_once() -> None:
    server = WireServer(reply('{"error":"Invalid API key"}'))
    async with server, create_client(server, concurrency=1) as client:
        found = await client.statuses(range(1, 1001))

    assert all(isinstance(each, AuthenticationError) for each in found.values())
    assert len(found) == 1000
    # The batch, and the balance that confirms it.
    assert len(server.requests) == 2


@pytest.mark.asyncio
async def test_async_ids_are_answered_as_batches_complete() -> None:
    async def cursor() -> AsyncIterator[int]:
        for each in range(1, 251):
            yield each

    seen: list[str] = []
    async with StatusPanel() as server, create_client(server) as client:
        async for order, result in client.iter_statuses(cursor()):
            assert isinstance(result, OrderStatus)
            seen.append(order)

    assert sorted(seen, key=int) == [str(each) for each in range(1, 251)]
    assert sorted(server.sizes) == [50, 100, 100]


@pytest.mark.asyncio
async def test_batches_are_mappings_of_their_own_ids() -> None:
    async with StatusPanel() as server, create_client(server) as client:
        batches = [batch async for batch in client.iter_status_batches(range(1, 251), ordered=True)]

    assert [len(batch) for batch in batches] == [100, 100, 50]
    rows = [row for batch in batches for row in batch.items()]
    assert [order for order, _ in rows] == [str(each) for each in range(1, 251)]
    assert all(isinstance(each, OrderStatus) and each.order == order for order, each in rows)


@pytest.mark.asyncio
async def test_closed_client_gives_no_further_batch() -> None:
    async with StatusPanel() as server:
        client = create_client(server, concurrency=1)
        batches = client.iter_status_batches(range(1, 1000))
        await anext(batches)
        await client.aclose()

        with pytest.raises(ClosedError):
            [each async for each in batches]


@pytest.mark.asyncio
async def test_closing_between_batches_is_raised() -> None:
    async with StatusPanel() as server:
        client = create_client(server, concurrency=1)
        answers = client.iter_statuses(range(1, 1000))
        await anext(answers)
        await client.aclose()

        with pytest.raises(ClosedError):
            [each async for each in answers]


@pytest.mark.asyncio
async def test_unexpected_ids_are_dropped_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING, "smmfanfast_async")
    body = json.dumps({"1": entry("1"), "2": entry("2"), "5": entry("5")})
    async with WireServer(reply(body)) as server, create_client(server) as client:
        found = await client.statuses([1, 2])

    assert list(found) == ["1", "2"]
    assert "the response held 1 ids that were not requested" in caplog.text


@pytest.mark.asyncio
async def test_status_returns_its_result_or_raises_its_error() -> None:
    answers = (
        reply(json.dumps(entry("7", "In progress"))),
        reply('{"error":"Incorrect order ID"}'),
    )
    async with WireServer(*answers) as server, create_client(server) as client:
        found = await client.status("7")
        with pytest.raises(OrderNotFoundError) as caught:
            await client.status(8)
        with pytest.raises(InvalidOrderError):
            await client.status("1,2")

    assert found.status is Status.IN_PROGRESS
    assert caught.value.order == "8"
    assert len(server.requests) == 2


# --- waiting and watching ------------------------------------------------------------------------


class LivePanel(WireServer):
    """Answers statuses from `statuses`; an id without one is unknown."""

    def __init__(self, **statuses: str) -> None:
        super().__init__(reply(""))
        self.statuses = {order.removeprefix("o"): text for order, text in statuses.items()}

    def answer_to(self, request: Request) -> Answer:
        ids = (request.fields.get("orders") or request.fields["order"]).split(",")
        found: dict[str, Any] = {
            each: entry(each, self.statuses[each])
            if each in self.statuses
            else "Incorrect order ID"
            for each in ids
        }
        one = found[ids[0]]
        alone = {"error": one} if isinstance(one, str) else one
        return reply(json.dumps(found if "orders" in request.fields else alone))


def create_polling_client(server: WireServer, **options: Any) -> Client:
    return create_client(
        server, poll=PollPolicy(min_interval_s=0.01, max_interval_s=0.05), **options
    )


@pytest.mark.asyncio
async def test_wait_returns_the_final_status() -> None:
    async with LivePanel(o7="Pending") as server, create_polling_client(server) as client:
        waiting = asyncio.create_task(client.wait(7))
        await server.has_received(2)
        server.statuses["7"] = "Partial"

        assert (await waiting).status is Status.PARTIAL


@pytest.mark.asyncio
async def test_wait_ends_with_a_final_status_of_the_profile() -> None:
    mine = attrs.evolve(SMMFANFAST, final_statuses=frozenset({"fail"}))
    async with (
        LivePanel(o7="Fail") as server,
        create_polling_client(server, profile=mine) as client,
    ):
        done = await client.wait(7, timeout_s=5)

    assert done.raw_status == "Fail"
    assert not done.is_final


@pytest.mark.asyncio
async def test_wait_ends_when_until_accepts_a_status() -> None:
    """`until` may return different results for the same status."""
    results = iter([True, False, False])
    async with LivePanel(o7="Pending") as server, create_polling_client(server) as client:
        found = await client.wait("7", until=lambda status: next(results))

    assert found.raw_status == "Pending"
    assert next(results) is False


@pytest.mark.asyncio
async def test_each_waiter_for_an_unknown_order_gets_its_own_error() -> None:
    async with LivePanel() as server, create_polling_client(server) as client:
        errors = await asyncio.gather(client.wait(7), client.wait(7), return_exceptions=True)

    assert [type(error) for error in errors] == [OrderNotFoundError, OrderNotFoundError]
    assert errors[0] is not errors[1]
    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_wait_times_out() -> None:
    async with LivePanel(o7="Pending") as server, create_polling_client(server) as client:
        with pytest.raises(WaitTimeoutError) as caught:
            await client.wait(7, timeout_s=1)

    assert (caught.value.order, caught.value.raw_status) == ("7", "Pending")


@pytest.mark.asyncio
async def test_invalid_wait_is_rejected_before_sending() -> None:
    async with LivePanel() as server, create_polling_client(server) as client:
        for timeout_s in (0, -1, float("nan")):
            with pytest.raises(InvalidSettingsError, match="timeout_s"):
                await client.wait(7, timeout_s=timeout_s)
        with pytest.raises(InvalidOrderError):
            await anext(client.watch([7, "1,2"]))

    assert server.requests == []


@pytest.mark.asyncio
async def test_watch_yields_changes_from_shared_requests() -> None:
    server = LivePanel(o1="Pending", o2="Pending", o3="Pending")
    seen: list[tuple[str, str]] = []
    async with server, create_polling_client(server) as client:
        async for change in client.watch([1, "2", 3, 3]):
            seen.append((change.order, change.kind.value))
            if len(seen) == 3:
                server.statuses = dict.fromkeys(server.statuses, "Completed")

    assert sorted(seen) == sorted(
        (order, kind) for order in "123" for kind in ("first", "finished")
    )
    assert all(request.fields.get("orders") for request in server.requests)


@pytest.mark.asyncio
async def test_closing_ends_waiting_and_rejects_new_calls() -> None:
    async with LivePanel(o7="Pending") as server:
        client = create_polling_client(server)
        waiting = asyncio.create_task(client.wait(7))
        await server.has_received()
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)

        for call in (client.wait(8), client.status(8), client.services(), client.balance()):
            with pytest.raises(ClosedError):
                await call
        with pytest.raises(ClosedError):
            await waiting
        await closing
        assert asyncio.all_tasks() - {asyncio.current_task()} <= server._tasks


@pytest.mark.asyncio
async def test_cancelled_closing_leaves_no_caller_waiting() -> None:
    async with LivePanel(o7="Pending") as server:
        client = create_polling_client(server)
        waiting = asyncio.create_task(client.wait(7))
        await server.has_received()
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})

        with pytest.raises(ClosedError):
            await waiting
        await client.aclose()
        assert asyncio.all_tasks() - {asyncio.current_task()} <= server._tasks


# --- services, balance, raw calls-----------------------------------------------------------------


@pytest.mark.asyncio
async def test_services_return_a_catalogue() -> None:
    rows = [{"service": "5", "name": "Likes", "rate": "1.02"}, {"name": "no id"}]
    async with WireServer(reply(json.dumps(rows))) as server, create_client(server) as client:
        catalogue = await client.services()

    assert catalogue[5].name == "Likes"
    assert len(catalogue.unreadable) == 1
    assert catalogue.fetched_at.tzinfo is not None


@pytest.mark.asyncio
async def test_undocumented_call_returns_its_json() -> None:
    async with WireServer(reply('{"a":[1,"x",2.50]}')) as server, create_client(server) as client:
        found = await client.call("other", page=2, order=None)
        with pytest.raises(InvalidOrderError, match=r"Client\.add"):
            await client.call("add", service=5)

    assert str(found) == "{'a': [1, 'x', Decimal('2.50')]}"
    assert server.requests[0].fields == {"key": KEY, "action": "other", "page": "2"}
    assert len(server.requests) == 1


V2 = attrs.evolve(API_V2, ids_per_call=2)


def create_v2_client(server: WireServer) -> Client:
    return create_client(server, profile=V2)


@pytest.mark.asyncio
async def test_refills_are_sent_in_batches_with_separate_answers() -> None:
    answers = (
        reply('[{"order":1,"refill":11},{"order":2,"refill":{"error":"Incorrect order ID"}}]'),
        reply("down", 503),
    )
    async with WireServer(*answers) as server, create_v2_client(server) as client:
        found = await client.refills([1, 2, 3, 3])

    assert found["1"] == RefillResult(order="1", refill="11")
    assert isinstance(found["2"], OrderNotFoundError)
    assert isinstance(found["3"], ServerError)
    assert not found["3"].safe_to_retry
    assert [request.fields["orders"] for request in server.requests] == ["1,2", "3"]


@pytest.mark.asyncio
async def test_single_refill_and_its_status() -> None:
    answers: tuple[Reply, ...] = (
        reply('{"refill":"1"}'),
        reply('{"status":"Completed"}'),
        reply('{"status":{"error":"Refill not found"}}'),
        reply(
            '[{"refill":1,"status":"Rejected"},{"refill":2,"status":{"error":"Refill not found"}}]'
        ),
    )
    async with WireServer(*answers) as server, create_v2_client(server) as client:
        assert await client.refill(7) == RefillResult(order="7", refill="1")
        assert (await client.refill_status(1)).status is Status.COMPLETED
        with pytest.raises(PanelError, match="Refill not found"):
            await client.refill_status(2)
        found = await client.refill_statuses([1, 2])

    assert found["1"] == RefillStatus(refill="1", raw_status="Rejected")
    assert isinstance(found["2"], PanelError)
    assert server.requests[1].fields["refills"] == "1"
    assert server.requests[3].fields["refills"] == "1,2"


@pytest.mark.asyncio
async def test_cancel_returns_an_answer_for_each_order() -> None:
    body = '[{"order":1,"cancel":1},{"order":9,"cancel":{"error":"Incorrect order ID"}}]'
    async with WireServer(reply(body)) as server, create_v2_client(server) as client:
        found = await client.cancel([1, 9])

    assert found["1"] == CancelResult(order="1")
    assert isinstance(found["9"], OrderNotFoundError)


@pytest.mark.asyncio
async def test_unsupported_calls_send_nothing() -> None:
    async with WireServer(reply("{}")) as server, create_client(server) as client:
        for call in (
            client.refill(1), client.refills([1]), client.refill_status(1),
            client.refill_statuses([1]), client.cancel([1]),
        ):  # fmt: skip
            with pytest.raises(UnsupportedActionError):
                await call

    assert server.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("verb", "field", "answer"), [
    ("refills", "refill", '[{"order":1,"refill":11},{"order":2,"refill":12}]'),
    ("cancel", "order", '[{"order":1,"cancel":1},{"order":2,"cancel":1}]'),
    ("refill_statuses", "refill",
     '[{"refill":1,"status":"Pending"},{"refill":2,"status":"Pending"}]'),
])  # fmt: skip
async def test_closing_between_batches_keeps_what_was_answered(
    verb: str, field: str, answer: str
) -> None:
    class Closing(WireServer):
        def answer_to(self, request: Request) -> Answer:
            client._runner.transport.is_closed = True
            return reply(answer)

    async with Closing(reply("")) as server:
        client = create_v2_client(server)
        found = await getattr(client, verb)([1, 2, 3, 4, 5])
        with pytest.raises(ClosedError):
            await getattr(client, verb)([1, 2, 3])
        await client.aclose()

    assert list(found) == ["1", "2", "3", "4", "5"]
    assert not isinstance(found["1"], PanelError)
    assert getattr(found["2"], field) == ("12" if verb == "refills" else "2")
    for order in ("3", "4", "5"):
        assert isinstance(found[order], ClosedError)
        assert found[order].order == order
    assert len(server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", ["refills", "cancel", "refill_statuses"])
async def test_closing_during_a_batch_keeps_what_was_answered(verb: str) -> None:
    first = reply('[{"order":1,"refill":1,"cancel":1,"status":"Pending"}]')
    async with WireServer(first, Silence()) as server:
        client = create_client(server, profile=attrs.evolve(V2, ids_per_call=1))
        calling = asyncio.create_task(getattr(client, verb)([1, 2, 3]))
        await server.has_received(2)
        await client.aclose()
        found = await calling

    assert not isinstance(found["1"], PanelError)
    assert isinstance(found["2"], NoResponseError)
    assert isinstance(found["3"], ClosedError)


@pytest.mark.asyncio
async def test_closing_before_the_first_batch_is_raised() -> None:
    async with WireServer(reply("")) as server:
        client = create_v2_client(server)

        def close(ids: list[int]) -> Iterator[int]:
            yield from ids
            client._runner.transport.is_closed = True

        with pytest.raises(ClosedError):
            await client.refills(close([1, 2, 3]))
        await client.aclose()

    assert server.requests == []


@pytest.mark.asyncio
async def test_redirect_is_an_error_and_is_not_followed() -> None:
    async with WireServer(reply("{}")) as other:
        moved = reply("", 308, [("Location", other.url)])
        async with WireServer(moved) as server, create_client(server) as client:
            with pytest.raises(InvalidResponseError, match="redirects are not followed"):
                await client.balance()

    assert other.connections == 0
