"""A server of the sandbox without a panel, and clients of it that see single bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

from smmfanfast_async.sandbox.replies import HttpReply
from smmfanfast_async.sandbox.server import HOST, PATH, PanelServer


class Respond:
    """A panel substitute: it records the forms and returns one reply."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.reply = HttpReply(body=b"{}")

    def __call__(self, form: Mapping[str, str]) -> HttpReply:
        self.forms.append(dict(form))
        return self.reply


@asynccontextmanager
async def listening(
    respond: Callable[[Mapping[str, str]], HttpReply],
) -> AsyncIterator[tuple[PanelServer, int]]:
    server = PanelServer(respond)
    port = await server.start(0)
    try:
        yield server, port
    finally:
        await server.close()


@asynccontextmanager
async def posting(
    port: int, path: str = PATH, **arguments: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    url = f"http://{HOST}:{port}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, allow_redirects=False, **arguments) as answer,
    ):
        yield answer


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def read_rest(reader: asyncio.StreamReader) -> bytes:
    """Return the data received before the connection ended, in whatever way it ended."""
    received = b""
    async with asyncio.timeout(60):
        with suppress(ConnectionError):
            received = await reader.read()
    return received


async def wait_until(condition: Callable[[], object]) -> None:
    """Run the event loop until a condition holds, which takes a few steps."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # sockets do not set an event
            await asyncio.sleep(0)


def connections_of(server: PanelServer) -> list[object]:
    assert server._runner is not None
    assert server._runner.server is not None
    return [each for each in server._runner.server.connections if each.transport is not None]


REQUEST_HEAD = (
    b"POST /api/v1 HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n"
)
