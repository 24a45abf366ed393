"""Requests that no client should send: each is answered or refused, and none is an error."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

import pytest
import pytest_asyncio

from smmfanfast_async.sandbox import Sandbox
from smmfanfast_async.sandbox.server import HOST, MAX_BODY_BYTES, PATH

HEAD = (
    f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    "Content-Type: application/x-www-form-urlencoded\r\n"
).encode()
FORM = b"key=test-key&action=balance"
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n" % len(FORM) + FORM

SEED = 1
MUTATIONS = 300


@pytest_asyncio.fixture
async def panel() -> AsyncIterator[Sandbox]:
    """Start a sandbox; its end raises the errors that the sandbox itself had on a request."""
    async with Sandbox(speed=0, reads_json=True) as panel:
        yield panel


@asynccontextmanager
async def connected(
    panel: Sandbox,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    port = int(panel.url.split(":")[2].split("/")[0])
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        async with asyncio.timeout(30):
            yield reader, writer
    finally:
        writer.transport.abort()


async def send(panel: Sandbox, request: bytes) -> int | None:
    """Return the status of the first answer; None if the connection ended without one."""
    line = b""
    async with connected(panel) as (reader, writer):
        writer.write(request)
        with suppress(ConnectionError):
            line = await reader.readline()
    return int(line.split(b" ", 2)[1]) if line else None


def get(target: bytes, headers: bytes = b"Host: localhost\r\n") -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nConnection: close\r\n" + headers + b"\r\n"


def form(content_type: bytes, body: bytes) -> bytes:
    head = HEAD.replace(b"application/x-www-form-urlencoded", content_type)
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


MALFORMED = {
    "negative length": HEAD + b"Content-Length: -1\r\n\r\na=b",
    "huge length": HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\na=b",
    "two lengths": HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\na=b",
    "length and chunks": HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "huge chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 20 + b"\r\n\r\n",
    "unknown transfer encoding": HEAD + b"Transfer-Encoding: x\r\n\r\nabc",
    "NUL in a header": HEAD + b"X: \0\r\n\r\n",
    "long header": HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    "many headers": HEAD + b"".join(b"X%d: y\r\n" % n for n in range(1000)) + b"\r\n",
    "bytes in a header": HEAD + b"Cookie: \xff=;\x80\r\nContent-Length: 0\r\n\r\n",
    "bad content type": form(b"\xff;;;=", b"a=b"),
    "bad boundary": form(b"multipart/form-data; boundary*=utf-8''\xff", b"--x"),
    "unknown expectation": HEAD + b"Expect: x\r\nContent-Length: 3\r\n\r\na=b",
    "upgrade": HEAD + b"Upgrade: websocket\r\nContent-Length: 3\r\n\r\na=b",
    "bad gzip": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    "bad deflate": HEAD + b"Content-Encoding: deflate\r\nContent-Length: 3\r\n\r\nabc",
    "bad brotli": HEAD + b"Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc",
    "unknown encoding": HEAD + b"Content-Encoding: x\r\nContent-Length: 3\r\n\r\na=b",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,
    "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "HTTP/0.9": b"GET /api/v1\r\n\r\n",
    "absolute target": get(b"http://localhost/api/v1?key=1"),
    "cut address": get(b"http://[::1"),
    "huge port": get(b"http://a:99999999/api/v1"),
    "bytes in the query": get(b"/api/v1?key=\xff\xed\xa0\x80&\xd8=\xb9"),
    "question marks": get(b"/api/v1???&&==#x?b=1"),
    "escapes in the query": get(b"/api/v1?key=%zz%ff%00%ED%A0%80&%00=%"),
    "escapes in the path": get(b"/api%2Fv1%00%ff/../"),
    "no host": get(b"/api/v1", b""),
    "two hosts": get(b"/api/v1", b"Host: localhost\r\nHost: localhost\r\n"),
    "bytes in the host": get(b"/api/v1", b"Host: \xff\r\n"),
    "NUL in values": form(b"application/x-www-form-urlencoded", FORM + b"\0&\0=%00&order=\0"),
    "surrogates": form(b"application/json", b'{"key": "\\ud800", "\\udfff": "x"}'),
    "deep JSON": form(b"application/json", b'{"a":' * 100_000),
    "many fields": form(b"application/x-www-form-urlencoded", b"a&" * 1_000_000),
    "many parts": form(b"multipart/form-data; boundary=x", b"--x\r\n" * 400_000),
    "longest body": form(b"application/x-www-form-urlencoded", b"a" * MAX_BODY_BYTES),
    "longer body": form(b"application/x-www-form-urlencoded", b"a" * (MAX_BODY_BYTES + 1)),
}
"""Name -> a whole request."""

INCOMPLETE = {
    "length above the body": HEAD + b"Content-Length: 9\r\n\r\na=b",
    "cut chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\na=b",
    "nothing": b"",
    "half a line": b"GET /api/v1?ke",
}
"""Name -> what a client sends before it leaves."""


@pytest.mark.asyncio
@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_request_is_answered_or_refused(
    panel: Sandbox, request_bytes: bytes
) -> None:
    status = await send(panel, request_bytes)

    assert status is None or 200 <= status < 500
    assert panel.orders == {}
    assert await send(panel, REQUEST) == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("sent", INCOMPLETE.values(), ids=INCOMPLETE)
async def test_client_that_leaves_within_its_request_is_ignored(
    panel: Sandbox, sent: bytes
) -> None:
    async with connected(panel) as (_, writer):
        writer.write(sent)
        await writer.drain()

    assert await send(panel, REQUEST) == 200
    assert panel.requests == {"balance": 1}


@pytest.mark.asyncio
async def test_requests_with_random_bytes_are_answered_or_refused(panel: Sandbox) -> None:
    random = Random(SEED)
    # Ends the head and the body of any request in which the end of the head or the length changed.
    filler = b"\r\n\r\n" + b"x" * 200
    for _ in range(MUTATIONS):
        mutated = bytearray(REQUEST)
        for _ in range(random.randint(1, 6)):
            mutated[random.randrange(len(mutated))] = random.randrange(256)

        status = await send(panel, bytes(mutated) + filler)

        assert status is None or 200 <= status < 500, bytes(mutated)


@pytest.mark.asyncio
async def test_compressed_body_is_bounded(panel: Sandbox) -> None:
    body = gzip.compress(b"a" * (10 * MAX_BODY_BYTES))
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)

    assert await send(panel, head + body) == 413


@pytest.mark.asyncio
async def test_pipelined_requests_are_answered_in_turn(panel: Sandbox) -> None:
    count = 500
    request = REQUEST.replace(b"Connection: close\r\n", b"")

    async with connected(panel) as (reader, writer):
        writer.write(request * (count - 1) + REQUEST)
        answers = await reader.read()

    assert answers.count(b"HTTP/1.1 200 OK") == count
    assert panel.requests == {"balance": count}
