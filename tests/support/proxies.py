"""Proxies on loopback, one for HTTP and one for SOCKS5, both with a required login."""

import asyncio
import base64
from urllib.parse import urlsplit

from .loopback import LoopbackServer

__all__ = ["LOGIN", "PASSWORD", "USER", "HttpProxy", "SocksProxy"]

USER, PASSWORD = "test-proxy-user", "test-proxy-password"
LOGIN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
CHUNK_BYTES = 65536


ENDS = (OSError, *LoopbackServer.ends)
"""Errors that may end a connection through a proxy: the target may be unreachable."""


class HttpProxy(LoopbackServer):
    """An HTTP proxy: CONNECT, and requests with an absolute URL; 407 without the login."""

    ends = ENDS

    def __init__(self, *, asks_for_login: bool = True) -> None:
        super().__init__()
        self.heads: list[str] = []
        self._asks_for_login = asks_for_login

    def url(self, login: str = f"{USER}:{PASSWORD}@", host: str = "127.0.0.1") -> str:
        return f"http://{login}{host}:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        if self._asks_for_login and f"Proxy-Authorization: Basic {LOGIN}\r\n" not in head:
            writer.write(b"HTTP/1.1 407 Login, please\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        method, target, _ = head.split(" ", 2)
        address = urlsplit(f"//{target}" if method == "CONNECT" else target)
        answers, panel = await asyncio.open_connection(address.hostname, address.port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            panel.write(head.encode())
        await _tunnel(reader, writer, answers, panel)


class SocksProxy(LoopbackServer):
    """A SOCKS5 proxy with user name and password (RFC 1928, RFC 1929).

    `says` is the reply code of each CONNECT, 0 for success; `hangs_up` closes the connection
    instead, at "hello" or at "connect"; "request" closes it after forwarding the request.
    """

    ends = ENDS

    def __init__(self, says: int = 0, hangs_up: str = "") -> None:
        super().__init__()
        self.targets: list[tuple[str, int]] = []
        self._says = says
        self._hangs_up = hangs_up

    def url(self, login: str = f"{USER}:{PASSWORD}@") -> str:
        return f"socks5://{login}127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        if self._hangs_up == "hello":
            return
        writer.write(b"\x05\x02")
        user = await _text(reader, skip=1)
        is_known = (user, await _text(reader)) == (USER, PASSWORD)
        writer.write(b"\x01\x00" if is_known else b"\x01\x01")
        if not is_known:
            return
        kind = (await reader.readexactly(4))[3]
        host = ".".join(map(str, await reader.readexactly(4))) if kind == 1 else await _text(reader)
        self.targets.append((host, int.from_bytes(await reader.readexactly(2), "big")))
        if self._hangs_up == "connect":
            return
        answers, panel = await asyncio.open_connection(*self.targets[-1])
        writer.write(bytes([5, self._says, 0, 1, 0, 0, 0, 0, 0, 0]))
        if self._says:
            panel.close()
            return
        await _tunnel(reader, writer, answers, panel, gives_back=self._hangs_up != "request")


async def _text(reader: asyncio.StreamReader, skip: int = 0) -> str:
    size = (await reader.readexactly(skip + 1))[skip]
    return (await reader.readexactly(size)).decode()


async def _tunnel(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    answers: asyncio.StreamReader,
    panel: asyncio.StreamWriter,
    *,
    gives_back: bool = True,
) -> None:
    there = asyncio.create_task(_copy(reader, panel))
    try:
        if gives_back:
            await _copy(answers, writer)
        else:
            await answers.read(1)
    finally:
        there.cancel()
        await asyncio.gather(there, return_exceptions=True)
        panel.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
