"""The HTTP server of the sandbox: forms, replies, aborted connections, closing."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from smmfanfast_async.sandbox import server as server_module
from smmfanfast_async.sandbox.listening import CLOSE_TIMEOUT_S
from smmfanfast_async.sandbox.replies import HttpReply
from smmfanfast_async.sandbox.server import HOST, MOVED_PATH, PATH, PanelServer

from .connections import (
    REQUEST_HEAD,
    Respond,
    connected,
    connections_of,
    listening,
    posting,
    read_rest,
    wait_until,
)


@pytest.fixture
def respond() -> Respond:
    return Respond()


@pytest_asyncio.fixture
async def port(respond: Respond) -> AsyncIterator[int]:
    async with listening(respond) as (_, port):
        yield port


@pytest.mark.asyncio
async def test_form_is_decoded_once_and_the_last_value_wins(port: int, respond: Respond) -> None:
    async with posting(
        port,
        data="a=1&a=2&b=%2541+%2B&c=&d=%D8%B9",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
    ) as answer:
        assert answer.status == 200

    assert respond.forms == [{"a": "2", "b": "%41 +", "c": "", "d": "ع"}]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "arguments",
    [
        {"json": {"key": "test-key"}},
        {"data": b"key=test-key", "headers": {"Content-Type": "text/plain"}},
        {"data": {f"f{number}": "1" for number in range(1001)}},
        {},
    ],
)
async def test_other_bodies_and_oversized_forms_are_read_as_empty(
    port: int, respond: Respond, arguments: dict[str, Any]
) -> None:
    async with posting(port, **arguments) as answer:
        assert await answer.read() == b"{}"

    assert respond.forms == [{}]


@pytest.mark.asyncio
async def test_form_with_the_maximum_number_of_fields_is_read(port: int, respond: Respond) -> None:
    fields = {f"f{number}": "1" for number in range(1000)}
    async with posting(port, data=fields):
        pass

    assert respond.forms == [fields]


@pytest.mark.asyncio
async def test_reply_is_sent_unchanged_with_the_panel_content_type(
    port: int, respond: Respond
) -> None:
    respond.reply = HttpReply(http_status=429, headers={"Retry-After": "3"}, body=b'{"cut')

    async with posting(port) as answer:
        assert answer.status == 429
        assert answer.headers["Content-Type"] == "text/html; charset=UTF-8"
        assert answer.headers["Retry-After"] == "3"
        assert answer.headers["Content-Length"] == "5"
        assert await answer.read() == b'{"cut'


@pytest.mark.asyncio
async def test_only_the_two_paths_lead_to_the_panel(port: int, respond: Respond) -> None:
    async with posting(port, PATH + MOVED_PATH, data={"a": "1"}) as answer:
        assert answer.status == 200
    async with posting(port, "/api/v2", data={"a": "2"}) as answer:
        assert answer.status == 404

    assert respond.forms == [{"a": "1"}]


@pytest.mark.asyncio
@pytest.mark.parametrize("path", [PATH, PATH + "/", PATH + MOVED_PATH, PATH + MOVED_PATH + "/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_query_string_is_read(port: int, respond: Respond, method: str, path: str) -> None:
    url = f"http://{HOST}:{port}{path}?key=test-key&a=%2541+%2B&c="
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, URL(url, encoded=True)) as answer,
    ):
        assert (answer.status, await answer.read()) == (200, b"{}")

    assert respond.forms == [{"key": "test-key", "a": "%41 +", "c": ""}]


@pytest.mark.asyncio
async def test_body_of_a_get_is_not_read(port: int, respond: Respond) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"http://{HOST}:{port}{PATH}?a=1"
        async with session.get(url, data={"b": "2"}) as answer:
            assert answer.status == 200

    assert respond.forms == [{"a": "1"}]


@pytest.mark.asyncio
@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_other_methods_are_not_supported(port: int, respond: Respond, method: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://{HOST}:{port}{PATH}?a=1") as answer,
    ):
        assert answer.status == 405

    assert respond.forms == []


@pytest.mark.asyncio
async def test_multipart_form_is_read(port: int, respond: Respond) -> None:
    form = aiohttp.FormData({"key": "test-key", "link": "ع\r\n--"}, default_to_multipart=True)
    form.add_field("image", b"no field", filename="a.png")
    async with posting(port, PATH + "/", data=form) as answer:
        assert answer.status == 200

    assert respond.forms == [{"key": "test-key", "link": "ع\r\n--"}]


@pytest.mark.asyncio
async def test_json_body_is_read_only_on_request(respond: Respond) -> None:
    for reads_json in (False, True):
        server = PanelServer(respond, reads_json=reads_json)
        port = await server.start(0)
        async with posting(port, json={"action": "balance", "order": 5}) as answer:
            assert answer.status == 200
        await server.close()

    assert respond.forms == [{}, {"action": "balance", "order": "5"}]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "request_head",
    [
        b"GET /api/v1?key=test-secret HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1?key=test-secret HTTP/1.1\r\nHost: example.com\r\n\r\n",
        b"GET /api/v1?key=test-secret HTTP/9\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1?key=test-secret\xff\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /none?key=test-secret HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PUT /api/v1?key=test-secret HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"key=test-secret\r\n\r\n",
    ],
)
async def test_nothing_that_a_client_sends_is_logged(
    respond: Respond,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    request_head: bytes,
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    async with listening(respond) as (_, port), connected(port) as (reader, writer):
        writer.write(request_head)
        assert (await reader.readline()).startswith(b"HTTP/1.")

    assert "test-secret" not in caplog.text
    assert "test-secret" not in "".join(capfd.readouterr())


@pytest.mark.asyncio
async def test_client_that_stops_within_its_body_is_answered_and_disconnected(
    monkeypatch: pytest.MonkeyPatch, port: int, respond: Respond
) -> None:
    monkeypatch.setattr(server_module, "READ_TIMEOUT_S", 0)
    async with connected(port) as (reader, writer):
        writer.write(REQUEST_HEAD + b"\r\na=")

        async with asyncio.timeout(60):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        assert respond.forms == []


@pytest.mark.asyncio
async def test_body_above_the_limit_is_refused(
    monkeypatch: pytest.MonkeyPatch, respond: Respond
) -> None:
    """A body of the limit itself is refused by aiohttp 3.13 and read by 3.14."""
    monkeypatch.setattr(server_module, "MAX_BODY_BYTES", 10)
    async with listening(respond) as (_, port):
        async with posting(port, data={"a": "b" * 7}) as answer:
            assert answer.status == 200
        async with posting(port, data={"a": "b" * 9}) as answer:
            assert answer.status == 413

    assert respond.forms == [{"a": "bbbbbbb"}]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example:80"},
        {"Origin": "https://shop.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
async def test_request_of_a_foreign_site_has_no_effect(
    port: int, respond: Respond, headers: dict[str, str]
) -> None:
    async with posting(port, data={"key": "test-key"}, headers=headers) as answer:
        assert answer.status == 403
        assert "send requests to 127.0.0.1, localhost or [::1]" in await answer.text()
    async with posting(port, PATH + MOVED_PATH, headers=headers) as answer:
        assert answer.status == 403

    assert respond.forms == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:1"},
        {"Host": "[::1]"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "same-origin"},
    ],
    ids=str,
)
async def test_request_of_a_local_page_is_answered(
    port: int, respond: Respond, headers: dict[str, str]
) -> None:
    async with posting(port, data={"a": "1"}, headers=headers) as answer:
        assert answer.status == 200

    assert respond.forms == [{"a": "1"}]


@pytest.mark.asyncio
async def test_request_without_host_is_answered(port: int, respond: Respond) -> None:
    """HTTP/1.0 needs no Host, and a browser always sends one."""
    async with connected(port) as (reader, writer):
        writer.write(
            REQUEST_HEAD.replace(b"1.1", b"1.0").replace(b"Host", b"X-Host") + b"\r\na=bcd"
        )

        assert (await reader.readline()).endswith(b" 200 OK\r\n")
        assert respond.forms == [{"a": "bcd"}]


@pytest.mark.asyncio
async def test_only_the_loopback_address_is_bound(respond: Respond) -> None:
    async with listening(respond) as (server, _):
        assert server._runner is not None
        assert {address[0] for address in server._runner.addresses} == {"127.0.0.1"}


@pytest.mark.asyncio
async def test_dropped_connection_sends_nothing(port: int, respond: Respond) -> None:
    respond.reply = HttpReply(is_dropped=True, body=b"never")
    async with connected(port) as (reader, writer):
        writer.write(REQUEST_HEAD + b"\r\na=bcd")

        assert await read_rest(reader) == b""
        assert respond.forms == [{"a": "bcd"}]


@pytest.mark.asyncio
async def test_delayed_reply_arrives(port: int, respond: Respond) -> None:
    respond.reply = HttpReply(body=b"late", wait_s=0.002)

    async with posting(port) as answer:
        assert await answer.read() == b"late"


@pytest.mark.asyncio
async def test_close_does_not_wait_for_a_delayed_reply(respond: Respond) -> None:
    respond.reply = HttpReply(wait_s=3600)
    async with listening(respond) as (server, port), connected(port) as (reader, writer):
        writer.write(REQUEST_HEAD + b"\r\na=bcd")
        await wait_until(lambda: respond.forms)

        async with asyncio.timeout(CLOSE_TIMEOUT_S / 2):
            await server.close()

        assert await read_rest(reader) == b""


@pytest.mark.asyncio
async def test_client_that_left_during_the_delay_does_not_block_close(
    respond: Respond,
) -> None:
    before = asyncio.all_tasks()
    respond.reply = HttpReply(wait_s=3600)
    async with listening(respond) as (server, port):
        async with connected(port) as (_, writer):
            writer.write(REQUEST_HEAD + b"\r\na=bcd")
            await wait_until(lambda: respond.forms)
        await wait_until(lambda: not connections_of(server))

        async with asyncio.timeout(CLOSE_TIMEOUT_S / 2):
            await server.close()

        await wait_until(lambda: asyncio.all_tasks() == before)


@pytest.mark.asyncio
async def test_client_that_leaves_within_its_form_is_ignored(respond: Respond) -> None:
    async with listening(respond) as (server, port):
        async with connected(port) as (_, writer):
            writer.write(REQUEST_HEAD + b"\r\na=")
            await wait_until(lambda: connections_of(server))

        await wait_until(lambda: not connections_of(server))

    assert respond.forms == []


@pytest.mark.asyncio
async def test_close_aborts_idle_connections_and_incomplete_forms(
    respond: Respond,
) -> None:
    async with (
        listening(respond) as (server, port),
        connected(port) as (idle, idle_writer),
        connected(port) as (half, half_writer),
    ):
        idle_writer.write(REQUEST_HEAD + b"\r\na=bcd")
        await idle.readuntil(b"{}")
        half_writer.write(REQUEST_HEAD + b"\r\na=")
        await wait_until(lambda: len(connections_of(server)) == 2)

        async with asyncio.timeout(CLOSE_TIMEOUT_S / 2):
            await server.close()

        assert await read_rest(idle) == b""
        assert await read_rest(half) == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)


@pytest.mark.asyncio
async def test_close_does_not_wait_for_a_client_that_does_not_read(respond: Respond) -> None:
    respond.reply = HttpReply(body=b"x" * 16_000_000)  # more than both socket buffers hold
    async with listening(respond) as (server, port), connected(port) as (reader, writer):
        writer.transport.pause_reading()
        writer.write(REQUEST_HEAD + b"\r\na=bcd")
        await wait_until(lambda: respond.forms)

        async with asyncio.timeout(CLOSE_TIMEOUT_S / 2):
            await server.close()

        writer.transport.resume_reading()
        assert len(await read_rest(reader)) < 16_000_000


@pytest.mark.asyncio
async def test_no_task_is_left_after_close(respond: Respond) -> None:
    before = asyncio.all_tasks()
    async with listening(respond) as (server, port):
        async with posting(port):
            pass
        await server.close()
        await server.close()

        assert asyncio.all_tasks() == before


@pytest.mark.asyncio
async def test_corrupt_body_is_refused_without_an_error_of_the_sandbox(respond: Respond) -> None:
    async with listening(respond) as (_, port), connected(port) as (reader, writer):
        writer.write(REQUEST_HEAD + b"Content-Encoding: gzip\r\n\r\nwrong")
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")

    assert respond.forms == []


@pytest.mark.asyncio
async def test_errors_of_the_sandbox_itself_are_raised_at_close() -> None:
    def broken(form: Mapping[str, str]) -> HttpReply:
        raise LookupError(form["a"])

    server = PanelServer(broken)
    port = await server.start(0)
    for number in range(server_module.MAX_KEPT_ERRORS + 1):
        async with posting(port, data={"a": str(number)}) as answer:
            assert answer.status == 500

    with pytest.raises(
        ExceptionGroup, match="the sandbox failed while answering requests"
    ) as caught:
        await server.close()

    assert [str(error) for error in caught.value.exceptions] == [str(n) for n in range(10)]
    await server.close()


@pytest.mark.asyncio
async def test_port_in_use_is_an_error_without_leftovers(respond: Respond) -> None:
    with socket.create_server((HOST, 0)) as occupied:
        server = PanelServer(respond)

        with pytest.raises(OSError, match="in use"):
            await server.start(occupied.getsockname()[1])
        await server.close()
