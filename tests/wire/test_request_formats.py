"""Forms as JSON and in the query of a GET: one write, and the key nowhere but on the wire."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import attrs
import pytest
from support.wire import Answer, Drop, Request, WireServer, reply
from yarl import URL

from smmfanfast_async import (
    API_V2,
    AddedOrder,
    Client,
    DefaultOrder,
    InvalidOrderError,
    InvalidResponseError,
    NoResponseError,
    NotSentError,
    OrderStatus,
    OutcomeUnknownError,
    PanelError,
    RetryPolicy,
)
from smmfanfast_async._secrets import Secret
from smmfanfast_async._wire.transport import RequestLimits, Transport
from smmfanfast_async._wire.transport.form import MAX_QUERY_BYTES, SingleUseForm
from smmfanfast_async.events import Event

KEY = 'test-"+/'
"""Too short to be masked in a response, with characters that each format encodes."""

ORDER = DefaultOrder(service=5, link="https://example.com/?a=b&c=é", quantity=10)
FORM = {"action": "add", "service": "5", "link": "https://example.com/?a=b&c=é"}
LIMITS = RequestLimits(timeout_s=5, max_body_bytes=1000)
ONCE = RetryPolicy(max_attempts=1)
GET = attrs.evolve(API_V2, request_format="get", calls_per_minute=None)
JSON = attrs.evolve(API_V2, request_format="json", calls_per_minute=None)


@asynccontextmanager
async def client_to(
    *answers: Answer, profile: Any = GET, **options: Any
) -> AsyncIterator[tuple[Client, WireServer]]:
    async with (
        WireServer(*answers) as server,
        Client(KEY, profile=profile, base_url=server.url, retry=ONCE, **options) as client,
    ):
        yield client, server


def query_of(request: Request) -> dict[str, str]:
    method, target, version = request.head.splitlines()[0].split(" ")
    assert (method, version) == ("GET", "HTTP/1.1")
    return dict(parse_qsl(urlsplit(target).query, keep_blank_values=True, strict_parsing=True))


# --- JSON ----------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_json_object_has_the_key_and_every_value_as_text() -> None:
    async with client_to(reply('{"order":7}'), profile=JSON) as (client, server):
        assert (await client.add(ORDER)).order == "7"

    (request,) = server.requests
    assert request.head.startswith("POST /api/v1 HTTP/1.1")
    assert "Content-Type: application/json" in request.head
    assert json.loads(request.body) == {"key": KEY, **FORM, "quantity": "10"}


def test_json_payload_shows_no_key() -> None:
    payload = SingleUseForm(Secret(KEY), FORM, request_format="json")

    assert json.loads(payload.decode()) == {"key": "***", **FORM}
    assert repr(payload) == "<form, key hidden>"


def test_json_of_an_empty_form_is_valid() -> None:
    assert json.loads(SingleUseForm(Secret(KEY), {}, request_format="json").decode()) == {
        "key": "***"
    }


# --- GET -----------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_query_has_the_key_and_no_body_is_sent() -> None:
    async with client_to(reply('{"order":7}')) as (client, server):
        assert (await client.add(ORDER)).order == "7"

    (request,) = server.requests
    assert query_of(request) == {"key": KEY, **FORM, "quantity": "10"}
    assert request.body == ""
    assert "Content-Type" not in request.head
    assert "Cache-Control: no-cache, no-store" in request.head


@pytest.mark.asyncio
@pytest.mark.parametrize("is_given", [False, True])
async def test_reads_share_a_connection_and_orders_have_their_own(is_given: bool) -> None:  # noqa: FBT001
    async with aiohttp.ClientSession() as session:
        options: dict[str, Any] = {"session": session} if is_given else {}
        async with client_to(
            reply('{"balance":"1"}'), reply('{"balance":"1"}'), reply('{"order":1}'), **options
        ) as (client, server):
            await client.balance()
            await client.balance()
            await client.add(ORDER)

    assert [request.connection for request in server.requests] == [1, 1, 2]
    assert "Connection: close" in server.requests[2].head
    assert all("Cache-Control" in request.head for request in server.requests)


@pytest.mark.asyncio
@pytest.mark.parametrize("is_given", [False, True])
async def test_lost_answer_is_not_asked_for_again(is_given: bool) -> None:  # noqa: FBT001
    """aiohttp repeats a GET on a lost connection by itself, which would order twice."""
    async with aiohttp.ClientSession() as session:
        options: dict[str, Any] = {"session": session} if is_given else {}
        async with client_to(Drop(), reply('{"order":7}'), **options) as (client, server):
            with pytest.raises(OutcomeUnknownError) as caught:
                await client.add(ORDER)

    assert len(server.requests) == 1
    assert caught.value.was_written


@pytest.mark.asyncio
async def test_status_on_a_dead_connection_is_an_error_that_may_be_retried() -> None:
    async with client_to(reply('{"balance":"1"}'), Drop(), reply('{"balance":"2"}')) as (
        client,
        server,
    ):
        await client.balance()
        with pytest.raises(NoResponseError):
            await client.balance()
        balance = await client.with_options(retry=RetryPolicy()).balance()

    assert str(balance.balance) == "2"
    assert len(server.requests) == 3


@pytest.mark.asyncio
async def test_refused_connection_is_proved_not_sent() -> None:
    async with WireServer(reply("")) as server:
        url = server.url
    async with Client(KEY, profile=GET, base_url=url, retry=ONCE) as client:
        with pytest.raises(NotSentError):
            await client.add(ORDER)


@pytest.mark.asyncio
async def test_second_write_and_late_write_send_nothing() -> None:
    async with WireServer(reply('{"order":7}')) as server, aiohttp.ClientSession() as session:
        payload = SingleUseForm(Secret(KEY), FORM, request_format="get")
        async with session.get(server.url, data=payload) as response:
            assert await response.json(content_type=None) == {"order": 7}
        with pytest.raises(aiohttp.ClientConnectionError, match="second write"):
            await session.get(server.url, data=payload)
        late = SingleUseForm(Secret(KEY), FORM, 0.0, request_format="get")
        with pytest.raises(TimeoutError, match="deadline for sending"):
            await session.get(server.url, data=late)

    assert len(server.requests) == 1


class _Writer:
    """A writer of another library, or of an aiohttp whose buffer has another form."""

    def __init__(self, buffer: object) -> None:
        self._headers_buf = buffer
        self.sent = b""

    def send_headers(self) -> None:
        raise AssertionError("nothing must be sent")


@pytest.mark.asyncio
@pytest.mark.parametrize("buffer", [
    None, bytearray(b"GET / HTTP/1.1\r\n\r\n"), b"GET / HTTP/2\r\n\r\n",
    b"GET /?a=b HTTP/1.1\r\n\r\n",
])  # fmt: skip
async def test_unknown_request_line_is_proved_not_sent(buffer: object) -> None:
    payload = SingleUseForm(Secret(KEY), FORM, request_format="get")
    writer: Any = _Writer(buffer)

    with pytest.raises(ConnectionError, match="nothing was sent"):
        await payload.write(writer)
    assert payload.is_revoked
    assert not payload.write_started


@pytest.mark.asyncio
async def test_proxy_over_http_gets_the_query_in_the_absolute_url() -> None:
    async with WireServer(reply('{"order":7}')) as proxy:
        address = "http://127.0.0.1:9/api"
        proxy_url = f"http://127.0.0.1:{proxy.port}"
        async with Client(KEY, profile=GET, base_url=address, proxy=proxy_url) as client:
            await client.add(ORDER)

    assert query_of(proxy.requests[0])["key"] == KEY
    assert proxy.requests[0].head.startswith(f"GET {address}?key=")


@pytest.mark.asyncio
async def test_query_that_is_too_long_is_not_sent() -> None:
    order = attrs.evolve(ORDER, link="https://example.com/" + "x" * MAX_QUERY_BYTES)
    async with client_to(reply('{"order":7}')) as (client, server):
        with pytest.raises(InvalidOrderError, match="is too long for a request by GET") as caught:
            await client.add(order)

    assert caught.value.field == "link"
    assert server.requests == []


@pytest.mark.asyncio
async def test_status_batch_too_long_for_a_query_is_bisected() -> None:
    ids = [f"{number:0100}x" for number in range(1, 101)]

    class Panel(WireServer):
        def answer_to(self, request: Request) -> Answer:
            asked = query_of(request)["orders"].split(",")
            return reply(json.dumps({each: {"status": "Pending"} for each in asked}))

    async with Panel(reply()) as server, Client(KEY, profile=GET, base_url=server.url) as client:
        rows = await client.statuses(ids)

    assert all(isinstance(row, OrderStatus) for row in rows.values())
    assert len(server.requests) < 10


# --- the key -------------------------------------------------------------------------------------


def shown(error: BaseException | None) -> str:
    """Return everything that an error and its causes show, with the locals of their frames."""
    text = ""
    while error is not None:
        text += f"{error} {error!r} {vars(error)}"
        trace = error.__traceback__
        while trace is not None:
            if "site-packages" in trace.tb_frame.f_code.co_filename or (
                "smmfanfast_async/" in trace.tb_frame.f_code.co_filename
            ):
                text += repr(trace.tb_frame.f_locals)
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    return text


def assert_hides_the_key(text: str) -> None:
    for form in (KEY, "test-%22", "test-&quot;"):
        assert form not in text


def recorder() -> tuple[aiohttp.TraceConfig, list[str]]:
    """Return a trace configuration with every hook but those for chunks, and what they saw."""
    config, seen = aiohttp.TraceConfig(), []

    async def record(_session: Any, _context: Any, params: Any) -> None:
        fields = {each.name: getattr(params, each.name) for each in attrs.fields(type(params))}
        response = fields.get("response")
        seen.append(f"{params!r} {fields}")
        if response is not None:
            seen.append(f"{response.url} {response.request_info} {response.real_url}")
            seen.append(f"{response.raw_headers} {response.headers}")

    for name in dir(config):
        if name.startswith("on_") and "chunk" not in name:
            getattr(config, name).append(record)
    return config, seen


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [
    reply('{"order":7}'),
    reply("", 302, [("Location", "/login?key=test-%22%2B%2F&action=add")]),
    reply("", 307, [("Location", f"https://example.com/?key={KEY}")]),
    reply("<html>not found</html>", 404),
    reply('{"error":"Bad Link"}'),
    reply("", 500),
    Drop(), Drop(reset=True), Drop(read=False),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("call", ["add", "balance"])
async def test_no_hook_log_or_error_shows_the_query(
    answer: Answer, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    events: list[Event] = []
    trace, seen = recorder()
    result: object
    async with client_to(answer, on_event=events.append, trace_configs=[trace]) as (client, _):
        try:
            result = await (client.add(ORDER) if call == "add" else client.balance())
        except PanelError as error:
            result = error
            assert_hides_the_key(shown(error))

    assert seen
    assert_hides_the_key(" ".join(seen))
    assert_hides_the_key(f"{result!r} {events} {caplog.text}")


@pytest.mark.asyncio
async def test_redirect_is_named_without_its_query() -> None:
    target = "https://example.com/moved?key=test-%22%2B%2F"
    async with client_to(reply("", 301, [("Location", target)])) as (client, _):
        with pytest.raises(InvalidResponseError) as caught:
            await client.balance()

    assert r"redirected to https://example.com/moved?***;" in str(caught.value)


@pytest.mark.asyncio
async def test_redirect_without_a_query_is_named_whole() -> None:
    async with client_to(reply("", 301, [("Location", "https://example.com/moved")])) as (
        client,
        _,
    ):
        with pytest.raises(InvalidResponseError, match=r"redirected to https://example.com/moved;"):
            await client.balance()


@pytest.mark.asyncio
async def test_url_of_the_transport_has_no_query_while_a_request_is_sent() -> None:
    seen: list[str] = []

    class Panel(WireServer):
        def answer_to(self, request: Request) -> Answer:
            for task in asyncio.all_tasks():
                seen.extend(repr(frame.f_locals.get("url")) for frame in task.get_stack())
            return reply('{"order":7}')

    async with Panel(reply()) as server:
        transport = Transport(URL(server.url), Secret(KEY), request_format="get")
        task = asyncio.create_task(transport.post(FORM, LIMITS))
        assert (await task).status == 200
        await transport.close()

    assert seen
    assert_hides_the_key(" ".join(seen))


@pytest.mark.asyncio
async def test_answer_to_an_order_is_placed_in_every_format() -> None:
    for profile in (API_V2, JSON, GET):
        async with client_to(reply('{"order":"7"}'), profile=profile) as (client, _):
            assert isinstance(await client.add(ORDER), AddedOrder)
