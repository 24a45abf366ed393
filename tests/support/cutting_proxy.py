"""A proxy on loopback that closes a database connection at a commit."""

import asyncio
import re
from contextlib import suppress
from typing import Literal

from .loopback import LoopbackServer

__all__ = ["CuttingProxy"]

CHUNK_BYTES = 65536

COMMIT = re.compile(rb"COMMIT(?!TED)")
"""The end of a transaction, but not ISOLATION LEVEL READ COMMITTED at its start."""


class CuttingProxy(LoopbackServer):
    """Forward bytes to a port, and close one connection at a COMMIT for each item of `cuts`.

    "before" closes it before the server receives the COMMIT, "after" once the server has answered
    and the client has not received that: the client cannot distinguish the two.
    """

    def __init__(self, port: int) -> None:
        super().__init__()
        self.cuts: list[Literal["before", "after"]] = []
        self._port = port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        responses, server = await asyncio.open_connection("127.0.0.1", self._port)
        copying = asyncio.create_task(_copy(responses, writer))
        try:
            while data := await reader.read(CHUNK_BYTES):
                if COMMIT.search(data) and self.cuts:
                    copying.cancel()
                    # It reads until it is cancelled, and two tasks cannot read at once.
                    await asyncio.gather(copying, return_exceptions=True)
                    if self.cuts.pop(0) == "after":
                        server.write(data)
                        await responses.read(CHUNK_BYTES)
                    return
                server.write(data)
        except ConnectionError:
            pass
        finally:
            copying.cancel()
            writer.close()
            server.close()
            await asyncio.gather(copying, return_exceptions=True)
            for each in (writer, server):
                with suppress(ConnectionError):
                    await each.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
    writer.close()
