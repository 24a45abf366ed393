"""Listen on the loopback address, and stop at once: for the panel and for its control API."""

import asyncio
import logging

from aiohttp import web

__all__ = [
    "CLOSE_TIMEOUT_S",
    "HOST",
    "abort",
    "close_listener",
    "limit_buffer",
    "open_listener",
    "port_of",
]

HOST = "127.0.0.1"
"""The only address that is bound: a default bind would open all interfaces (measured)."""

CLOSE_TIMEOUT_S = 5.0
"""Real seconds that a handler may take to end at close after its connection was aborted."""

# Outside the tree of loggers: no handler of the program receives its records.
_SILENT = logging.Logger("sandbox", level=logging.CRITICAL + 1)  # noqa: LOG001


async def open_listener(app: web.Application, port: int) -> web.AppRunner:
    """Serve an application on `port`, 0 for any free port; OSError if it is in use."""
    runner = web.AppRunner(app, access_log=None, logger=_SILENT, shutdown_timeout=CLOSE_TIMEOUT_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner


def port_of(runner: web.AppRunner) -> int:
    """Return the port that a runner listens on."""
    address: tuple[str, int] = runner.addresses[0]
    return address[1]


async def close_listener(runner: web.AppRunner) -> None:
    """Abort all connections and stop listening."""
    # Also those whose request is answered but not read: closing them would wait for the client.
    for connection in () if runner.server is None else runner.server.connections:
        abort(connection.transport)
    await runner.cleanup()


def abort(transport: asyncio.Transport | None) -> None:
    """Abort a connection; buffered data is discarded, so no partial answer is sent."""
    if transport is not None:
        transport.abort()


def limit_buffer(transport: asyncio.Transport | None, size_bytes: int) -> None:
    """Make a writer wait once so many bytes are not read yet; a closed connection has no limit."""
    if transport is not None:
        transport.set_write_buffer_limits(size_bytes)
