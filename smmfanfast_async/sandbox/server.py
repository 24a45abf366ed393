"""The sandbox's HTTP server: forms in, replies out, on the loopback address alone.

It decides nothing: a function that it is given turns the form into a `Reply`. The server reads,
waits, sends or cuts, and it ends everything it began.
"""

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from aiohttp import web

from .replies import HttpReply

__all__ = ["CLOSE_TIMEOUT_S", "HOST", "MAX_BODY_BYTES", "MOVED_PATH", "PATH", "PanelServer"]

HOST = "127.0.0.1"
"""The only address that is ever bound: a default bind would open all interfaces (measured)."""

PATH = "/api/v1"
"""The path of the document's API URL."""

MOVED_PATH = "/moved"
"""What stands behind the path of a second door to the same panel, where redirects point if nothing
else is said."""

MAX_BODY_BYTES = 2 * 1024 * 1024
"""The longest form: some 250 000 ids. A longer one gets 413."""

MAX_FIELDS = 1000
"""The most fields read from a form, as PHP's own `max_input_vars`; a longer one reads as empty."""

MAX_KEPT_ERRORS = 10
"""The most errors of our own kept for `close()`; the first ones tell the most."""

CLOSE_TIMEOUT_S = 5.0
"""Real seconds that a handler may take to end at the close, once its connection is cut."""

_CONTENT_TYPE = "text/html; charset=UTF-8"
_FORM = "application/x-www-form-urlencoded"


class PanelServer:
    """A listening socket and the connections it has taken."""

    def __init__(self, respond: Callable[[Mapping[str, str]], HttpReply], path: str = PATH) -> None:
        """`respond` gets the fields of a form at `path`, decoded once, the last of each name."""
        self._respond = respond
        self._path = path
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()
        self._requests: dict[int, web.Request] = {}
        self._errors: list[Exception] = []

    async def start(self, port: int) -> int:
        """Listen on `port`, 0 for a free one, and give the port; OSError if it is taken."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post(self._path, self._handle)
        app.router.add_post(self._path + MOVED_PATH, self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_TIMEOUT_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        address: tuple[str, int] = runner.addresses[0]
        return address[1]

    async def close(self) -> None:
        """Cut what is under way, stop listening, and raise what went wrong in the handlers.

        An error of `respond` is a bug of the sandbox: its client saw a bare 500, so it is raised
        here once more, in an ExceptionGroup.
        """
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self._closing.set()
        for request in self._requests.values():
            _abort(request)
        await runner.cleanup()
        if self._errors:
            raise ExceptionGroup("the sandbox failed while it answered", self._errors)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._requests[id(request)] = request
        try:
            return await self._respond_to(request)
        except web.HTTPException:
            raise
        except Exception as error:
            if len(self._errors) < MAX_KEPT_ERRORS:
                self._errors.append(error)
            raise
        finally:
            del self._requests[id(request)]

    async def _respond_to(self, request: web.Request) -> web.StreamResponse:
        try:
            body = await request.read()
        except (ConnectionError, web.RequestPayloadError):
            # The client went away in the middle of its form, or the form is spoilt: nothing was
            # asked.
            return web.Response(status=400)
        reply = self._respond(_parse_form(body) if request.content_type == _FORM else {})
        if reply.wait_s and await self._is_closing_within(reply.wait_s):
            reply = HttpReply(is_dropped=True)
        if reply.is_dropped:
            _abort(request)
            return web.Response()
        headers = {"Content-Type": _CONTENT_TYPE, **reply.headers}
        return web.Response(status=reply.http_status, headers=headers, body=reply.body)

    async def _is_closing_within(self, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                return await self._closing.wait()
        except TimeoutError:
            return False


def _parse_form(body: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(
            body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS
        )
    except ValueError:
        return {}
    return dict(pairs)


def _abort(request: web.Request) -> None:
    """Cut a connection: what waits to be sent is thrown away, so no half answer leaves."""
    if request.transport is not None:
        request.transport.abort()
