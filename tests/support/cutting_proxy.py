"""A proxy on loopback that cuts a database's connection at a commit."""

import asyncio
import re
from contextlib import suppress
from typing import Literal

from .loopback import LoopbackServer

__all__ = ["CuttingProxy"]

CHUNK_BYTES = 65536

COMMIT = re.compile(rb"COMMIT(?!TED)")
"""What ends a transaction; one begins with ISOLATION LEVEL READ COMMITTED."""


class CuttingProxy(LoopbackServer):
    """Passes bytes on to a port, and cuts as many connections at a COMMIT as `cuts` names.

    "before" cuts before the server sees it, "after" when the server has answered and the client has
    not heard: it can't tell the one from the other.
    """

    def __init__(self, port: int) -> None:
        super().__init__()
        self.cuts: list[Literal["before", "after"]] = []
        self._to = port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
