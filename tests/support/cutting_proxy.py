"""A proxy on loopback that cuts a database's connection at a commit."""

import asyncio
import re
from contextlib import suppress
from typing import Literal, Self

__all__ = ["CuttingProxy"]

CHUNK_BYTES = 65536

COMMIT = re.compile(rb"COMMIT(?!TED)")
"""What ends a transaction; one begins with ISOLATION LEVEL READ COMMITTED."""


class CuttingProxy:
    """Passes bytes on to a port, and cuts as many connections at a COMMIT as `cuts` names.

    "before" cuts before the server sees it, "after" when the server has answered and the client has
    not heard: it can't tell the one from the other.
    """

    def __init__(self, port: int) -> None:
        self.cuts: list[Literal["before", "after"]] = []
        self.port = 0
        self._to = port
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._pass_on(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, server = await asyncio.open_connection("127.0.0.1", self._to)
        back = asyncio.create_task(_copy(answers, writer))
        try:
            while data := await reader.read(CHUNK_BYTES):
                if COMMIT.search(data) and self.cuts:
                    back.cancel()
                    # It reads until it has heard of that, and two can't read at once.
                    await asyncio.gather(back, return_exceptions=True)
                    if self.cuts.pop(0) == "after":
                        server.write(data)
                        await answers.read(CHUNK_BYTES)
                    return
                server.write(data)
        except ConnectionError:
            pass
        finally:
            back.cancel()
            writer.close()
            server.close()
            await asyncio.gather(back, return_exceptions=True)
            for each in (writer, server):
                with suppress(ConnectionError):
                    await each.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
    writer.close()
