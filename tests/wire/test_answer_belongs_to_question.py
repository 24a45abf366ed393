"""Rows 111 and 112 of the fault matrix: an answer is only ever taken for its own question."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from attrs import evolve
from support.matrix import LOOPS
from support.wire import Answer, Reply, Request, WireServer, reply
from yarl import URL

from smmfanfast_async import (
    API_V2,
    SMMFANFAST,
    Client,
    DefaultOrder,
    NotSentError,
    PanelError,
    RetryPolicy,
)
from smmfanfast_async._secrets import Secret
from smmfanfast_async._wire.transport import RequestLimits, Transport
from smmfanfast_async._wire.transport import connection as connection_module

KEY = "test-key"
LIMITS = RequestLimits(timeout_s=5, max_body_bytes=1000)
Call = Callable[[Client, str], Awaitable[object]]
DEADLINE_S = 30.0
TURNS = 10
"""Turns of the event loop in which it reads what has arrived."""
READS = {"status", "statuses", "iter_status_batches", "balance", "services", "refill_status"}


def answer_form(fields: dict[str, str]) -> object:  # noqa: PLR0911  # one for each form
    """Return an answer whose every value tells the question: id 1 has charge 1, refill 10 …"""
    asked = fields.get("orders") or fields.get("order") or fields.get("refills") or "0"
    ids = asked.split(",")
    match fields["action"]:
        case "status" if "orders" in fields:
            return {each: {"status": "Completed", "charge": each} for each in ids}
        case "status":
            return {"status": "Completed", "charge": asked}
        case "refill" if "orders" in fields:
            return [{"order": each, "refill": each + "0"} for each in ids]
        case "refill":
            return {"refill": asked + "0"}
        case "cancel":
            return [{"order": each, "cancel": 1} for each in ids]
        case "refill_status":
            return [{"refill": each, "status": "Completed " + each} for each in ids]
        case "add":
            return {"status": "success", "order": fields["quantity"]}
        case "balance":
            return {"status": "success", "balance": "1.50", "currency": "USD"}
        case "services":
            return [{"service": 5, "name": "n", "category": "c", "rate": "1"}]
        case action:
            return {"echo": fields["n"], "action": action}


class TalkativePanel(WireServer):
    """A panel that may say more than it was asked."""

    def __init__(self, extra: Callable[[bytes], bytes] | None = None) -> None:
        super().__init__(reply())
        self._extra = extra
        self.writers: list[asyncio.StreamWriter] = []
        self.last = b""

    def answer_to(self, request: Request) -> Answer:
        self.last = reply(json.dumps(answer_form(request.fields))).raw
        return Reply(self.last + (self._extra(self.last) if self._extra else b""))

    def say(self, data: bytes) -> None:
        """Send data on every open connection, past the event loop: nothing has read it yet."""
        for writer in self.writers:
            if writer.is_closing():
                continue
            with suppress(OSError):  # closed by the peer
                os.write(writer.get_extra_info("socket").fileno(), data)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        await super().serve(reader, writer)


def play(loop: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE_S):
            await work()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(bounded())


def client_of(server: WireServer, **options: Any) -> Client:
    settings: dict[str, Any] = {"profile": evolve(API_V2, calls_per_minute=None)}
    retry = RetryPolicy(max_attempts=3, base_delay_s=0)
    return Client(KEY, base_url=server.url, retry=retry, **settings | options)


async def charge_of(client: Client, order: str) -> object:
    return str((await client.status(order)).charge)


async def charges_of(client: Client, order: str) -> object:
    found = await client.statuses([order, "7"])
    return [str(getattr(each, "charge", each)) for each in found.values()]


async def batch_charges_of(client: Client, order: str) -> object:
    batches = [batch async for batch in client.iter_status_batches([order, "7"])]
    return [str(getattr(each, "charge", each)) for batch in batches for each in batch.values()]


async def refill_of(client: Client, order: str) -> object:
    return (await client.refill(order)).refill


async def refills_of(client: Client, order: str) -> object:
    return [getattr(each, "refill", each) for each in (await client.refills([order])).values()]


async def cancelled(client: Client, order: str) -> object:
    return [type(each).__name__ for each in (await client.cancel([order])).values()]


async def refill_status_of(client: Client, order: str) -> object:
    return (await client.refill_status(order)).raw_status


async def added(client: Client, order: str) -> object:
    link = "https://example.com/"
    return (await client.add(DefaultOrder(service=5, link=link, quantity=int(order)))).order


async def balance(client: Client, _: str) -> object:
    return (await client.balance()).currency


async def services(client: Client, _: str) -> object:
    return list(await client.services(max_age_s=0))


async def echoed(client: Client, order: str) -> object:
    return await client.call("echo", n=order)


VERBS: dict[str, tuple[Call, Callable[[str], object]]] = {
    "status": (charge_of, lambda order: order),
    "statuses": (charges_of, lambda order: [order, "7"]),
    "iter_status_batches": (batch_charges_of, lambda order: [order, "7"]),
    "refill": (refill_of, lambda order: order + "0"),
    "refills": (refills_of, lambda order: [order + "0"]),
    "cancel": (cancelled, lambda order: ["CancelResult"]),
    "refill_status": (refill_status_of, lambda order: "Completed " + order),
    "add": (added, lambda order: order),
    "balance": (balance, lambda order: "USD"),
    "services": (services, lambda order: ["5"]),
    "call": (echoed, lambda order: {"echo": order, "action": "echo"}),
}
EXTRAS: dict[str, Callable[[bytes], bytes]] = {
    "the answer again": lambda raw: raw,
    "half a head": lambda raw: raw[:12],
    "no HTTP": lambda raw: b"\0garbage",
    "an empty line": lambda raw: b"\r\n",
}


@pytest.mark.parametrize("loop", sorted(LOOPS))
# aiohttp does not read an answer that garbage follows in the same segment.
@pytest.mark.parametrize("extra", sorted(EXTRAS.keys() - {"no HTTP"}))
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_data_in_one_segment_with_an_answer_is_no_later_answer(
    verb: str, extra: str, loop: str
) -> None:
    call, expected = VERBS[verb]

    async def work() -> None:
        server = TalkativePanel(EXTRAS[extra])
        async with server, client_of(server) as client:
            for order in ("1", "2", "3"):
                assert await call(client, order) == expected(order)

    play(loop, work)


@pytest.mark.parametrize("loop", sorted(LOOPS))
@pytest.mark.parametrize("own_session", [True, False])
@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("extra", sorted(EXTRAS))
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_data_on_an_idle_connection_is_no_later_answer(
    verb: str,
    extra: str,
    is_read: bool,  # noqa: FBT001
    own_session: bool,  # noqa: FBT001
    loop: str,
) -> None:
    call, expected = VERBS[verb]

    async def work() -> None:
        server = TalkativePanel()
        session = None if own_session else aiohttp.ClientSession()
        async with server, client_of(server, session=session) as client:
            for order in ("1", "2", "3"):
                assert await call(client, order) == expected(order)
                server.say(EXTRAS[extra](server.last))
                for _ in range(TURNS if is_read else 0):
                    await asyncio.sleep(0)
            if is_read:
                assert [each.connection for each in server.requests] == [1, 2, 3]
        if session is not None:
            await session.close()

    play(loop, work)


@pytest.mark.parametrize("loop", sorted(LOOPS))
@pytest.mark.parametrize("verb", sorted(VERBS))
def test_late_second_answer_is_never_that_of_another_id(verb: str, loop: str) -> None:
    """Data that arrives after a request was written cannot be told apart: the answer names ids."""
    call, expected = VERBS[verb]

    class Replaying(TalkativePanel):
        def answer_to(self, request: Request) -> Answer:
            answer = super().answer_to(request)
            assert isinstance(answer, Reply)
            mine = [each for each in self.requests if each.connection == request.connection]
            before = b"" if len(mine) < 2 else reply(json.dumps(answer_form(mine[-2].fields))).raw
            return Reply(before + answer.raw)

    async def work() -> None:
        server = Replaying()
        async with server, client_of(server) as client:
            for order in ("1", "2", "3"):
                try:
                    found = await call(client, order)
                except PanelError:
                    continue
                mine = expected(order)
                for each, wanted in zip(
                    found if isinstance(found, list) else [found],
                    mine if isinstance(mine, list) else [mine],
                    strict=True,
                ):
                    assert each == wanted or "does not mention" in str(each)

    play(loop, work)


@pytest.mark.parametrize("loop", sorted(LOOPS))
@pytest.mark.parametrize("new_connection", [True, False])
def test_server_that_speaks_first_gets_no_form(loop: str, new_connection: bool) -> None:  # noqa: FBT001
    spoken = asyncio.Event()

    class Eager(WireServer):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            early = reply('{"order":77}').raw
            os.write(writer.get_extra_info("socket").fileno(), early)
            spoken.set()
            await super().serve(reader, writer)

    async def slowly(*_: object) -> None:
        await spoken.wait()
        for _turn in range(TURNS):
            await asyncio.sleep(0)

    trace = aiohttp.TraceConfig()
    # Between the connection and the form, as long as the data takes to arrive.
    trace.on_connection_create_end.append(slowly)

    async def work() -> None:
        async with Eager(reply('{"order":1}')) as server:
            transport = Transport(URL(server.url), Secret(KEY), trace_configs=[trace])
            with pytest.raises(NotSentError, match="before"):
                await transport.post({"action": "add"}, LIMITS, new_connection=new_connection)
            await transport.close()
            assert server.requests == []

    play(loop, work)


@pytest.mark.asyncio
async def test_reads_keep_their_connection_and_changes_get_their_own() -> None:
    server = TalkativePanel()
    async with server, client_of(server) as client:
        for verb, (call, expected) in sorted(VERBS.items()):
            for order in ("1", "2"):
                assert await call(client, order) == expected(order), verb

    connections = [(each.fields["action"], each.connection) for each in server.requests]
    shared = {number for action, number in connections if action in READS}
    changing = [number for action, number in connections if action not in READS]
    assert len(shared) == 1
    assert len(set(changing)) == len(changing) == 10
    assert shared.isdisjoint(changing)


@pytest.mark.asyncio
async def test_closed_idle_connection_is_replaced_without_a_retry() -> None:
    server = TalkativePanel()
    retry = RetryPolicy(max_attempts=1)
    async with server, Client(KEY, base_url=server.url, retry=retry) as client:
        assert await charge_of(client, "1") == "1"
        for writer in server.writers:
            writer.transport.abort()
        assert await charge_of(client, "2") == "2"

    assert [each.connection for each in server.requests] == [1, 2]


@pytest.mark.asyncio
async def test_panel_without_lists_is_asked_for_one_order() -> None:
    server = TalkativePanel()
    profile = evolve(SMMFANFAST, ids_per_call=1)
    async with server, client_of(server, profile=profile) as client:
        assert await charge_of(client, "1") == "1"

    assert server.requests[0].fields["order"] == "1"


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [
    '{"order":"2","status":"Completed","charge":"1"}',
    '{"order":"2","status":"Completed"}',
    '{"2":{"status":"Completed","charge":"1"}}',
    '{"1":{"order":"2","status":"Completed","charge":"1"}}',
    '{"status":"success","balance":"1.5"}',
])  # fmt: skip
async def test_answer_about_something_else_is_an_error(body: str) -> None:
    async with WireServer(reply(body)) as server, client_of(server) as client:
        with pytest.raises(PanelError):
            await client.status("1")


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [
    '{"status":"Completed","charge":"1"}',
    '{"status":"Completed","charge":1,"remains":0}',
    '{"order":1,"status":"Completed"}',
    '{"order":"1","status":"Completed","currency":"USD"}',
])  # fmt: skip
async def test_bare_status_of_the_only_id_is_read(body: str) -> None:
    async with WireServer(reply(body)) as server:
        async with client_of(server) as client:
            status = await client.status("1")
            assert (status.order, status.raw_status, status.extra) == ("1", "Completed", None)
            assert ("charge" in body) == (status.charge == 1)
        assert server.requests[0].fields["orders"] == "1"


@pytest.mark.asyncio
async def test_idle_data_is_found_without_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(connection_module.select, "poll")
    server = TalkativePanel()
    async with server, client_of(server) as client:
        assert await charge_of(client, "1") == "1"
        assert await charge_of(client, "2") == "2"
        server.say(b"x")
        assert await charge_of(client, "3") == "3"

    assert [each.connection for each in server.requests] == [1, 1, 2]


def test_transport_without_a_socket_is_not_polled() -> None:
    transport: Any = type("Transport", (), {"get_extra_info": staticmethod(lambda name: None)})()

    assert not connection_module._is_readable(transport)
    assert not connection_module._is_readable(None)


def test_parser_of_an_idle_connection_accepts_no_data() -> None:
    parser = connection_module._IdleParser()

    assert parser.feed_data(b"") == ((), False, b"")
    assert parser.feed_eof() is None  # type: ignore[func-returns-value]
    with pytest.raises(ConnectionError):
        parser.feed_data(b"x")
