"""The HTTP server of the sandbox: forms in, replies out, only on the loopback address.

It makes no decisions: a function passed to it turns a form into an `HttpReply`. The server reads,
waits, sends or aborts, and ends everything that it started.
"""

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from aiohttp import hdrs, web

from .origins import is_foreign
from .replies import HttpReply

__all__ = ["CLOSE_TIMEOUT_S", "HOST", "MAX_BODY_BYTES", "MOVED_PATH", "PATH", "PanelServer"]

HOST = "127.0.0.1"
"""The only address that is bound: a default bind would open all interfaces (measured)."""

PATH = "/api/v1"
"""The path of the document's API URL."""

MOVED_PATH = "/moved"
"""The suffix of a second path to the same panel, the default target of redirects."""

MAX_BODY_BYTES = 2 * 1024 * 1024
"""The longest form: about 250 000 ids. A longer one gets 413."""

MAX_FIELDS = 1000
"""The most fields of a form, like PHP's own `max_input_vars`; a larger form is read as empty."""

MAX_KEPT_ERRORS = 10
"""The most errors of the sandbox itself kept for `close()`; the first ones are the most useful."""

CLOSE_TIMEOUT_S = 5.0
"""Real seconds that a handler may take to end at close after its connection was aborted."""

_CONTENT_TYPE = "text/html; charset=UTF-8"
_FOREIGN = (
    "this sandbox answers only programs and pages of this machine: send requests to 127.0.0.1, "
    "localhost or [::1], without the Origin of another site\n"
)
_FORM = "application/x-www-form-urlencoded"


class PanelServer:
    """A listening socket and its connections."""

    def __init__(self, respond: Callable[[Mapping[str, str]], HttpReply], path: str = PATH) -> None:
        """`respond` receives the fields of a form posted to `path`.

        Values are decoded once; of repeated names the last value is used.
        """
        self._respond = respond
        self._path = path
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()
        self._requests: dict[int, web.Request] = {}
        self._errors: list[Exception] = []

    async def start(self, port: int) -> int:
        """Listen on `port`, 0 for any free port, and return the port; OSError if it is in use."""
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
        """Abort all connections, stop listening, and raise the errors of the handlers.

        An error of `respond` is a bug of the sandbox. The client saw only a bare 500, so the error
        is raised here again, in an ExceptionGroup.
        """
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self._closing.set()
        for request in self._requests.values():
            _abort(request)
        await runner.cleanup()
        if self._errors:
            raise ExceptionGroup("the sandbox failed while answering requests", self._errors)

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
        if _is_foreign(request):
            return web.Response(status=403, text=_FOREIGN)
        try:
            body = await request.read()
        except (ConnectionError, web.RequestPayloadError):
            # The client disconnected while sending the form, or the body is corrupt: there is no
            # request to answer.
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


def _is_foreign(request: web.Request) -> bool:
    names = (hdrs.HOST, hdrs.ORIGIN, "Sec-Fetch-Site")
    return is_foreign(*(request.headers.getall(name, []) for name in names))


def _parse_form(body: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(
            body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS
        )
    except ValueError:
        return {}
    return dict(pairs)


def _abort(request: web.Request) -> None:
    """Abort a connection; buffered data is discarded, so no partial answer is sent."""
    if request.transport is not None:
        request.transport.abort()
