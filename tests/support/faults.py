"""A panel that fails on purpose, in plain sockets or TLS, and keeps a ledger of what it stored.

A `Plan` defines for one connection how far the panel reads, whether it stores the order, what it
answers and how the connection ends. Tests compare the outcome of the client with the ledger.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Sequence
from typing import Literal
from urllib.parse import parse_qsl

from attrs import frozen

from .loopback import CLOSE_S, LoopbackServer

__all__ = ["FIN", "HANG", "RST", "FaultPanel", "Plan", "Proxy", "answer", "free_port"]

DRIP_S = 0.02
"""Seconds between two bytes of a dripping answer."""

End = Literal["stay", "fin", "rst", "hang"]
FIN: End = "fin"
RST: End = "rst"
HANG: End = "hang"


@frozen(kw_only=True)
class Plan:
    """What the panel does with one connection."""

    reads: Literal["nothing", "head", "body"] = "body"
    stores: bool = False
    """Whether the order is stored once its whole body was read."""
    raw: bytes = b""
    """The response, byte for byte; ORDER in it is replaced by the stored order's id."""
    drips: bool = False
    """Whether the response is sent byte by byte."""
    end: End = "stay"
    """What follows the response."""


def answer(
    body: bytes | str = b"",
    status: int = 200,
    headers: Sequence[tuple[str, str]] = (),
    *,
    length: int | None = None,
) -> bytes:
    """Return the bytes of an HTTP response; `length` overrides the real length."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
    if not any(name.lower() == "transfer-encoding" for name, _ in headers):
        lines.append(f"Content-Length: {len(content) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + content


class FaultPanel(LoopbackServer):
    """Follows one plan per connection, the last one for all further connections."""

    ends = (OSError, *LoopbackServer.ends)  # TLS has errors of its own for a cut

    def __init__(self, *plans: Plan, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.plans = list(plans)
        self.ledger: dict[str, str] = {}
        """Order id → link."""
        self.bodies: list[dict[str, str]] = []
        """Forms that were read completely."""
        self.bytes_seen = 0
        self.open = 0
        self._form_read = asyncio.Event()

    @property
    def url(self) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{'127.0.0.1' if self._tls is None else 'localhost'}:{self.port}/api/v1"

    async def has_read(self, bodies: int = 1) -> None:
        """Wait until this many forms were read completely."""
        async with asyncio.timeout(CLOSE_S):
            while len(self.bodies) < bodies:
                self._form_read.clear()
                await self._form_read.wait()

    async def is_left(self) -> None:
        """Wait until no connection is open; raise `TimeoutError` if one stays open."""
        async with asyncio.timeout(CLOSE_S):
            while self.open:  # noqa: ASYNC110  # there is no event for a closing socket
                await asyncio.sleep(0.005)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Follow the plans of a connection."""
        self.open += 1
        try:
            while await self._follow(self._next(), reader, writer):
                pass
        finally:
            self.open -= 1

    def _next(self) -> Plan:
        return self.plans.pop(0) if len(self.plans) > 1 else self.plans[0]

    async def _follow(
        self, plan: Plan, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        order = await self._read(plan, reader)
        raw = plan.raw.replace(b"ORDER", order.encode())
        if plan.drips:
            for byte in raw:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(DRIP_S)
        elif raw:
            writer.write(raw)
            await writer.drain()
        return await self._end(plan.end, reader, writer)

    async def _read(self, plan: Plan, reader: asyncio.StreamReader) -> str:
        if plan.reads == "nothing":
            return ""
        head = await reader.readuntil(b"\r\n\r\n")
        self.bytes_seen += len(head)
        if plan.reads == "head":
            return ""
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        form = dict(parse_qsl((await reader.readexactly(length)).decode()))
        self.bodies.append(form)
        self._form_read.set()
        if not plan.stores or form.get("action") != "add":
            return "00000"
        # As many characters as the placeholder, so that lengths stay correct.
        order = str(31_000 + len(self.bodies))
        self.ledger[order] = form["link"]
        return order

    async def _end(
        self, end: End, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        match end:
            case "stay":
                return True
            case "hang":
                # Until the client disconnects; its remaining bytes are ignored.
                while await reader.read(65536):
                    pass
            case "rst":
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            case "fin":
                pass
        return False


class Proxy:
    """An HTTP proxy that answers CONNECT with scripted bytes, or not at all."""

    def __init__(self, raw: bytes, end: End = FIN) -> None:
        self.panel = FaultPanel(Plan(reads="head", raw=raw, end=end))

    async def __aenter__(self) -> str:
        await self.panel.__aenter__()
        return f"http://127.0.0.1:{self.panel.port}"

    async def __aexit__(self, *exc: object) -> None:
        await self.panel.__aexit__(None, None, None)


def free_port() -> int:
    """Return a port without a listener."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
