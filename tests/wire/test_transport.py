"""Transport over real sockets: proved not sent, maybe sent, and what errors reveal."""

import asyncio
import gzip
import socket
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wire import Answer, Drop, Silence, WireServer, reply
from yarl import URL

from smmfanfast_async import (
    ClosedError,
    InvalidResponseError,
    InvalidSettingsError,
    NoResponseError,
    NotSentError,
    PanelError,
)
from smmfanfast_async._secrets import Secret
from smmfanfast_async._wire import transport as transport_module
from smmfanfast_async._wire.transport import RequestLimits, Transport, is_loopback, parse_url
from smmfanfast_async._wire.transport.answer import parse_retry_after
from smmfanfast_async._wire.transport.form import SingleUseForm, encode_form

KEY = "test-marker-key"
LIMITS = RequestLimits(timeout_s=5, max_body_bytes=1000)
FORM = {"action": "add", "service": "5", "link": "https://example.com/?a=b&c"}


@asynccontextmanager
async def transport_to(
    *answers: Answer, **options: Any
) -> AsyncIterator[tuple[Transport, WireServer]]:
    async with WireServer(*answers) as server:
        transport = Transport(URL(server.url), Secret(KEY), **options)
        try:
            yield transport, server
        finally:
            await transport.close()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def frames_of(error: BaseException | None) -> Iterator[dict[str, Any]]:
    """Yield the locals of every frame of an error and its causes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        trace = error.__traceback__
        while trace is not None:
            yield trace.tb_frame.f_locals
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


# --- requests ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_form_is_sent_as_documented() -> None:
    async with transport_to(reply("{}")) as (transport, server):
        response = await transport.post(FORM, LIMITS)

    (request,) = server.requests
    assert request.head.startswith("POST /api/v1 HTTP/1.1")
    assert "Content-Type: application/x-www-form-urlencoded" in request.head
    assert request.fields == {"key": KEY, **FORM}
    assert (response.status, response.body) == (200, b"{}")


@pytest.mark.asyncio
async def test_reads_share_a_connection() -> None:
    async with transport_to(reply("{}")) as (transport, server):
        await transport.post(FORM, LIMITS)
        await transport.post(FORM, LIMITS)

    assert server.connections == 1


@pytest.mark.asyncio
async def test_new_connection_is_neither_reused_nor_kept() -> None:
    async with transport_to(reply("{}")) as (transport, server):
        await transport.post(FORM, LIMITS)
        await transport.post(FORM, LIMITS, new_connection=True)
        await transport.post(FORM, LIMITS, new_connection=True)
        await transport.post(FORM, LIMITS)

    assert [request.connection for request in server.requests] == [1, 2, 3, 1]
    assert "Connection: close" in server.requests[1].head


@pytest.mark.asyncio
async def test_unannounced_close_does_not_affect_the_next_post() -> None:
    async with transport_to(reply('{"order":1}', close=True)) as (transport, server):
        for _ in range(3):
            assert (await transport.post(FORM, LIMITS, new_connection=True)).body == b'{"order":1}'

    assert len(server.requests) == 3


# --- responses -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_response_has_what_decoding_needs() -> None:
    headers = [
        ("Retry-After", "7"),
        ("Location", "https://other.example/"),
        ("CF-Mitigated", "challenge"),
    ]
    async with transport_to(reply("x", 307, headers)) as (transport, _):
        response = await transport.post(FORM, LIMITS)

    assert (response.status, response.retry_after_s) == (307, 7.0)
    assert (response.location, response.is_challenge) == ("https://other.example/", True)


@pytest.mark.asyncio
async def test_redirect_is_not_followed() -> None:
    async with WireServer(reply("{}")) as other:
        async with transport_to(reply("", 307, [("Location", other.url)])) as (transport, _):
            await transport.post(FORM, LIMITS)

        assert other.requests == []
        assert other.connections == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(("size", "is_read"), [(1000, True), (1001, False)])
async def test_body_is_read_up_to_the_limit(size: int, is_read: bool) -> None:  # noqa: FBT001
    async with transport_to(reply(b"x" * size)) as (transport, _):
        if is_read:
            assert len((await transport.post(FORM, LIMITS)).body) == size
        else:
            with pytest.raises(InvalidResponseError, match="longer than 1000 bytes"):
                await transport.post(FORM, LIMITS)


def deflate(body: bytes) -> bytes:
    """Compress without the header and checksum of the zlib format."""
    return zlib.compress(body, wbits=-zlib.MAX_WBITS)


@pytest.mark.asyncio
@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "X-GZIP"])
async def test_compressed_body_is_decompressed(
    pack: Callable[[bytes], bytes], encoding: str
) -> None:
    packed = reply(pack(b"text " * 100), headers=[("Content-Encoding", encoding)])
    async with transport_to(packed) as (transport, server):
        response = await transport.post(FORM, LIMITS)

    assert response.body == b"text " * 100
    assert "Accept-Encoding: gzip, deflate\r\n" in server.requests[0].head


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b'{"order":77}', b'[{"order":77}] ' * 20, b"text " * 100, b""])
@pytest.mark.parametrize("level", [0, 1, 9])
async def test_raw_deflate_is_decompressed(body: bytes, level: int) -> None:
    packed = zlib.compress(body, level, wbits=-zlib.MAX_WBITS)
    headers = [("Content-Encoding", "Deflate")]
    async with transport_to(reply(packed, headers=headers)) as (transport, _):
        assert (await transport.post(FORM, LIMITS)).body == body


@pytest.mark.asyncio
@pytest.mark.parametrize("body", [b'{"order":77}', b'[{"order":77}]'])
@pytest.mark.parametrize("header", [
    ("Content-Encoding", "gzip"), ("Content-Encoding", "deflate"), ("Content-Encoding", "br"),
    ("Content-Encoding", "utf-8"), ("Content-Encoding", "gzip, gzip"), ("Content-Encoding", ""),
    ("Retry-After", "Mon, 01 Jan 99999999999 00:00:00 GMT"), ("Retry-After", "9" * 5000),
    ("Retry-After", "Fri, 31 Dec 9999 23:59:59 -2359"), ("Retry-After", ""),
    ("X-RateLimit-Reset", "-1"), ("X-RateLimit-Reset", "9" * 12), ("Location", "http://[::"),
    ("cf-mitigated", "\x01"), ("Content-Type", "\xff; charset=rot13"), ("Set-Cookie", "=;=;;="),
    ("Date", "now"), ("Content-Disposition", "attachment; filename*=x"), ("Link", "<<>>; rel"),
])  # fmt: skip
@pytest.mark.parametrize("status", [200, 307, 429])
async def test_no_header_costs_the_body(body: bytes, header: tuple[str, str], status: int) -> None:
    async with transport_to(reply(body, status, [header])) as (transport, _):
        response = await transport.post(FORM, LIMITS)

    assert (response.status, response.body) == (status, body)


@pytest.mark.asyncio
@pytest.mark.parametrize(("pack", "encoding"), [(gzip.compress, "gzip"), (deflate, "deflate")])
async def test_decompression_bomb_is_stopped_at_the_limit(
    pack: Callable[[bytes], bytes], encoding: str
) -> None:
    packed = reply(pack(b"x" * 50_000_000), headers=[("Content-Encoding", encoding)])
    async with transport_to(packed) as (transport, _):
        tracemalloc.start()
        with pytest.raises(InvalidResponseError, match="longer than 100000 bytes"):
            await transport.post(FORM, RequestLimits(5, 100_000))
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak_bytes < 2_000_000


NOW_S = datetime(2030, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(("headers", "wait_s"), [
    ({}, None),
    ({"Retry-After": "0"}, 0.0),
    ({"Retry-After": "120"}, 120.0),
    ({"Retry-After": "-5"}, None),
    ({"Retry-After": "soon"}, None),
    ({"Retry-After": "١٢"}, None),
    ({"Retry-After": "9" * 30}, None),
    ({"Retry-After": "1000000000"}, 1e9),
    ({"Retry-After": "Tue, 01 Jan 2030 00:01:00 GMT"}, 60.0),
    ({"Retry-After": "Mon, 31 Dec 2029 23:59:00 GMT"}, None),
    ({"Retry-After": "Mon, 01 Jan 99999999999 00:00:00 GMT"}, None),
    ({"Retry-After": "Fri, 01 Jan 9999 00:00:00 GMT"}, 1e9),
    ({"Retry-After": "9" * 12}, 1e9),
    ({"Retry-After": "9" * 13}, None),
    ({"X-RateLimit-Reset": "9" * 12}, 1e9),
    ({"X-RateLimit-Reset": "30"}, 30.0),
    ({"X-RateLimit-Reset": str(int(NOW_S) + 45)}, 45.0),
    ({"X-RateLimit-Reset": str(int(NOW_S) - 45)}, 0.0),
])  # fmt: skip
def test_retry_after_parses_seconds_dates_and_timestamps(
    headers: dict[str, str], wait_s: float | None
) -> None:
    assert parse_retry_after(headers, NOW_S) == wait_s


# --- failures: maybe sent, or proved not sent -----------------------------------------------------


@pytest.mark.asyncio
async def test_refused_connection_is_proved_not_sent() -> None:
    transport = Transport(URL(f"http://127.0.0.1:{free_port()}/"), Secret(KEY))

    with pytest.raises(NotSentError, match="ClientConnector"):
        await transport.post(FORM, LIMITS)
    await transport.close()


@pytest.mark.asyncio
async def test_exhausted_pool_is_proved_not_sent() -> None:
    connector = aiohttp.TCPConnector(limit=1)
    async with transport_to(Silence(), connector=connector) as (transport, server):
        busy = asyncio.create_task(transport.post(FORM, LIMITS))
        await server.has_received()

        with pytest.raises(NotSentError, match="Timeout"):
            await transport.post(FORM, RequestLimits(0.05, 1000))
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
    await connector.close()

    assert len(server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [
    Drop(),
    Drop(reset=True),
    Drop(read=False),
    Silence(),
    reply("half", headers=[("Content-Length", "100")], close=True),
    reply("zz\r\n", headers=[("Transfer-Encoding", "chunked")], close=True),
    reply("not gzip", headers=[("Content-Encoding", "gzip")]),
    reply(gzip.compress(b"text " * 100)[:-9], headers=[("Content-Encoding", "gzip")]),
    reply(deflate(b"text " * 100)[:-1], headers=[("Content-Encoding", "deflate")]),
])  # fmt: skip
async def test_failure_after_connecting_is_maybe_sent(answer: Answer) -> None:
    async with transport_to(answer) as (transport, _):
        with pytest.raises(NoResponseError) as caught:
            await transport.post(FORM, RequestLimits(0.2, 1000), new_connection=True)

    assert caught.value.maybe_sent
    assert caught.value.maybe_placed


@pytest.mark.asyncio
async def test_second_write_of_a_form_is_rejected() -> None:
    class Writer:
        def __init__(self) -> None:
            self.written: list[bytes] = []

        async def write(self, chunk: bytes) -> None:
            self.written.append(chunk)

    writer: Any = Writer()
    form = SingleUseForm(Secret(KEY), FORM)
    await form.write_with_length(writer, 10)

    with pytest.raises(RuntimeError, match="second write"):
        await form.write(writer)
    assert len(writer.written) == 1
    assert form.was_written
    assert form.size == len(writer.written[0])


@pytest.mark.asyncio
async def test_payload_alone_is_witness_without_upload_tracker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport_module, "_UPLOAD_TRACKER", None)

    async with transport_to(Drop()) as (transport, _):
        with pytest.raises(NoResponseError):
            await transport.post(FORM, LIMITS)
    transport = Transport(URL(f"http://127.0.0.1:{free_port()}/"), Secret(KEY))
    with pytest.raises(NotSentError):
        await transport.post(FORM, LIMITS)
    await transport.close()


@pytest.mark.asyncio
async def test_session_closed_before_sending_is_proved_not_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def closed(*args: object, **kwargs: object) -> None:
        raise RuntimeError("Session is closed")

    async with transport_to(reply("{}")) as (transport, server):
        monkeypatch.setattr(aiohttp.ClientSession, "post", closed)
        with pytest.raises(NotSentError, match="closed"):
            await transport.post(FORM, LIMITS)

    assert server.requests == []


# --- the key -------------------------------------------------------------------------------------


def test_payload_hides_the_key() -> None:
    form = SingleUseForm(Secret(KEY), FORM)

    assert KEY not in f"{form!r} {form.decode()}"
    assert "service=5" in form.decode()


@pytest.mark.asyncio
async def test_failed_write_leaves_no_frame_with_the_key() -> None:
    class Broken:
        async def write(self, chunk: bytes) -> None:
            raise ConnectionResetError("gone")

    broken: Any = Broken()
    form = SingleUseForm(Secret(KEY), FORM)

    with pytest.raises(ConnectionResetError) as caught:
        await form.write(broken)
    assert not form.was_written
    assert not any(KEY in repr(values) for values in frames_of(caught.value))


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [Drop(), Drop(reset=True), Silence(), reply(b"x" * 2000)])
async def test_no_frame_of_a_failure_contains_the_key(answer: Answer) -> None:
    async with transport_to(answer) as (transport, _):
        with pytest.raises(PanelError) as caught:
            await transport.post(FORM, RequestLimits(0.2, 1000))

    # The frames of this test know the key by name; those of the library must not.
    own = {id(values) for values in frames_of(caught.value) if "caught" in values}
    for values in frames_of(caught.value):
        if id(values) not in own:
            assert KEY not in repr(values)
    assert KEY not in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize(("moment", "expected"), [
    ("before the send", NotSentError), ("after the send", NoResponseError),
])  # fmt: skip
async def test_cancellation_not_by_the_caller_is_an_error(
    monkeypatch: pytest.MonkeyPatch, moment: str, expected: type[PanelError]
) -> None:
    async def cancelled(*args: object) -> bytes:
        raise asyncio.CancelledError

    def cancelled_at_once(*args: object, **kwargs: object) -> None:
        raise asyncio.CancelledError

    async with transport_to(reply("{}")) as (transport, _):
        if moment == "before the send":
            monkeypatch.setattr(aiohttp.ClientSession, "post", cancelled_at_once)
        monkeypatch.setattr(transport_module, "read_body", cancelled)
        with pytest.raises(expected, match="CancelledError"):
            await transport.post(FORM, LIMITS)


@pytest.mark.asyncio
async def test_cancelled_post_raises_cancelled_error() -> None:
    async with transport_to(Silence()) as (transport, server):
        posting = asyncio.create_task(transport.post(FORM, LIMITS))
        await server.has_received()
        posting.cancel()

        with pytest.raises(asyncio.CancelledError):
            await posting


@pytest.mark.asyncio
async def test_unexpected_exception_becomes_no_response_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*args: object) -> bytes:
        raise LookupError("a bug somewhere") from ValueError("its cause")

    monkeypatch.setattr(transport_module, "read_body", broken)
    async with transport_to(reply("{}")) as (transport, _):
        with pytest.raises(NoResponseError, match="a bug somewhere") as caught:
            await transport.post(FORM, LIMITS)

    assert caught.value.was_written
    assert list(frames_of(caught.value.__cause__)) == []


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("address", "reason"), [
    ("panel.example/api", "not a valid URL|must be an http"),
    ("ftp://panel.example/", "must be an http or https URL"),
    ("https:///api", "not a valid URL|must be an http"),
    ("http://panel.example/api/v1", "must use https"),
    ("http://10.0.0.1/api", "must use https"),
    ("https://user:pass@panel.example/api", "user name"),
    ("https://user@panel.example/api", "user name"),
    ("https://panel.example/api?key=x", "query"),
    ("https://panel.example/api#x", "fragment"),
    ("https://panel.example:99999999/api", "not a valid URL|must be an http"),
])  # fmt: skip
def test_unsafe_url_is_rejected(address: str, reason: str) -> None:
    with pytest.raises(InvalidSettingsError, match=reason):
        parse_url(address)


@pytest.mark.parametrize("address", [
    "https://panel.example/api/v1",
    "http://127.0.0.1:8080/api/v1",
    "http://localhost/api",
    "http://[::1]:80/",
])  # fmt: skip
def test_https_and_loopback_urls_are_accepted(address: str) -> None:
    assert str(parse_url(address)).startswith("http")


@pytest.mark.parametrize(("address", "expected"), [
    ("http://127.3.2.1/", True), ("http://[::1]/", True), ("http://localhost/", True),
    ("http://128.0.0.1/", False), ("http://localhost.example/", False),
])  # fmt: skip
def test_loopback_is_only_this_machine(address: str, expected: bool) -> None:  # noqa: FBT001
    assert is_loopback(URL(address)) is expected


# --- sessions and connectors ---------------------------------------------------------------------


@pytest.mark.asyncio
async def test_given_session_and_connector_stay_open() -> None:
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async with transport_to(reply("no", 500), session=session) as (transport, _):
            assert (await transport.post(FORM, LIMITS)).status == 500
        assert not session.closed
    connector = aiohttp.TCPConnector()
    async with transport_to(reply("{}"), connector=connector) as (transport, _):
        await transport.post(FORM, LIMITS)
    assert not connector.closed
    await connector.close()


@pytest.mark.asyncio
async def test_middlewares_of_a_given_session_are_bypassed() -> None:
    async def again(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        await handler(request)
        return await handler(request)

    async with (
        aiohttp.ClientSession(middlewares=(again,)) as session,
        transport_to(reply("{}"), session=session) as (transport, server),
    ):
        await transport.post(FORM, LIMITS)

    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_closed_session_or_connector_is_reported() -> None:
    session = aiohttp.ClientSession()
    await session.close()
    connector = aiohttp.TCPConnector()
    await connector.close()
    for options in ({"session": session}, {"connector": connector}):
        transport = Transport(URL("http://127.0.0.1:1/"), Secret(KEY), **options)

        with pytest.raises(ClosedError, match=r"given (session|connector) is closed"):
            transport.check_usable()


@pytest.mark.asyncio
async def test_nothing_is_sent_after_closing() -> None:
    async with transport_to(reply("{}")) as (transport, server):
        await transport.close()
        await transport.close()

        with pytest.raises(ClosedError, match="the client is closed"):
            await transport.post(FORM, LIMITS)
    assert server.requests == []


def test_other_event_loop_is_rejected() -> None:
    async def use(transport: Transport) -> None:
        transport.check_usable()

    transport = Transport(URL("http://127.0.0.1:1/"), Secret(KEY))
    asyncio.run(use(transport))

    with pytest.raises(ClosedError, match="another event loop"):
        asyncio.run(use(transport))


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.from_regex(r"[a-z0-9_.~, +-]*"))))
def test_form_encoding_equals_the_standard_library(form: dict[str, str]) -> None:
    assert encode_form(form) == urlencode(form).encode()


def test_ids_are_joined_by_an_encoded_comma() -> None:
    assert encode_form({"action": "status", "orders": "12,2,13"}) == (
        b"action=status&orders=12%2C2%2C13"
    )
