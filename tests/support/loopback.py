"""Base class of the loopback servers: it starts, closes and leaves nothing behind."""

import asyncio
import ssl
from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self

__all__ = ["CLOSE_S", "LoopbackServer"]

CLOSE_S = 5.0
"""Maximum seconds to close a server."""


class LoopbackServer(ABC):
    """Accepts connections on a free port; closing it ends all of them."""

    ends: ClassVar[tuple[type[BaseException], ...]] = (
        ConnectionError,
        asyncio.IncompleteReadError,
        asyncio.CancelledError,
    )
    """Exceptions that may end a connection without an error of the server."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        async with asyncio.timeout(CLOSE_S):
            await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self.serve(reader, writer)
        except self.ends:
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; it is closed afterwards."""
