"""A server on loopback that answers each request with scripted bytes, or not at all."""

import asyncio
import socket
import struct
from collections.abc import Sequence
from urllib.parse import parse_qsl

from attrs import field, frozen

from .loopback import CLOSE_S, LoopbackServer


@frozen
class Drop:
    """Close the connection instead of answering."""

    read: bool = True
    """Whether the request is read first."""
    reset: bool = False
    """Whether to reset the connection instead of closing it."""


@frozen
class Silence:
    """Read the request and do not answer until the server closes."""


@frozen
class Reply:
    """The bytes of a response."""

    raw: bytes
    close: bool = False
    """Whether the connection is closed afterwards without announcement."""


Answer = Reply | Drop | Silence


def reply(
    body: bytes | str = b"",
    status: int = 200,
    headers: Sequence[tuple[str, str]] = (),
    *,
    close: bool = False,
) -> Reply:
    """Create an HTTP response with the right Content-Length."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers)]
    if not any(name.lower() in {"content-length", "transfer-encoding"} for name, _ in headers):
        lines.append(f"Content-Length: {len(content)}")
    return Reply("\r\n".join([*lines, "", ""]).encode() + content, close)


@frozen
class Request:
    """A request as the server read it."""

    connection: int
    head: str
    body: str
    fields: dict[str, str] = field(init=False)

    @fields.default
    def _parse(self) -> dict[str, str]:
        return dict(parse_qsl(self.body, keep_blank_values=True))


class WireServer(LoopbackServer):
    """Answers requests from a script; the last answer repeats forever."""

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self.answers = list(answers)
        self.requests: list[Request] = []
        self._request_read = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"

    async def has_received(self, number: int = 1) -> None:
        """Wait until this many requests were read."""
        async with asyncio.timeout(CLOSE_S):
            while len(self.requests) < number:
                self._request_read.clear()
                await self._request_read.wait()

    async def answer_later(self, request: Request) -> Answer:
        """Like `answer_to`, for a server that waits for something first."""
        return self.answer_to(request)

    def answer_to(self, request: Request) -> Answer:
        """Choose the answer to a request; subclasses may override this."""
        return self._next()

    def _next(self) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection one by one."""
        number = self.connections
        while await self._answer(reader, writer, number):
            pass

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> bool:
        if isinstance(self.answers[0], Drop) and not self.answers[0].read:
            return self._drop(writer, self._next())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lengths = [
            int(line.split(":")[1])
            for line in head.splitlines()
            if line.lower().startswith("content-length")
        ]
        body = (await reader.readexactly(lengths[0])).decode() if lengths else ""
        request = Request(number, head, body)
        self.requests.append(request)
        self._request_read.set()
        answer = await self.answer_later(request)
        if isinstance(answer, Silence):
            await asyncio.Event().wait()
        if not isinstance(answer, Reply):
            return self._drop(writer, answer)
        writer.write(answer.raw)
        await writer.drain()
        return not answer.close

    @staticmethod
    def _drop(writer: asyncio.StreamWriter, answer: Answer) -> bool:
        if isinstance(answer, Drop) and answer.reset:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return False
