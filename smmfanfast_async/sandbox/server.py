"""The HTTP server of the sandbox: fields in, replies out, only on the loopback address.

It makes no decisions: a function passed to it turns fields into an `HttpReply`. The server reads,
waits, sends or aborts, and ends everything that it started. It logs nothing, because a URL or a
malformed request can contain a key.
"""

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import hdrs, web

from .fields import read_fields
from .listening import HOST, abort, close_listener, open_listener, port_of
from .origins import is_foreign
from .replies import HttpReply

__all__ = ["HOST", "MAX_BODY_BYTES", "MOVED_PATH", "PATH", "PanelServer"]

PATH = "/api/v1"
"""The path of the document's API URL."""

MOVED_PATH = "/moved"
"""The suffix of a second path to the same panel, the default target of redirects."""

MAX_BODY_BYTES = 2 * 1024 * 1024
"""The longest body: about two million characters. A longer one gets 413."""

READ_TIMEOUT_S = 30.0
"""Real seconds that a client may take to send its body, then it gets 408: a loopback client needs
milliseconds, and one that stopped must not hold its connection."""

MAX_KEPT_ERRORS = 10
"""The most errors of the sandbox itself kept for `close()`; the first ones are the most useful."""

_CONTENT_TYPE = "text/html; charset=UTF-8"
_FOREIGN = (
    "this sandbox answers only programs and pages of this machine: send requests to 127.0.0.1, "
    "localhost or [::1], without the Origin of another site\n"
)


class PanelServer:
    """A listening socket and its connections."""

    def __init__(
        self,
        respond: Callable[[Mapping[str, str]], HttpReply],
        path: str = PATH,
        *,
        reads_json: bool = False,
        request_format: str = "form",
    ) -> None:
        """`respond` receives the fields of each request to `path`, also with a slash after it.

        `reads_json`: whether JSON bodies are read; see `read_fields`. `request_format`: "json" for
        JSON bodies and nothing else, "get" for query strings and nothing else; the other method
        then gets 405.
        """
        self._respond = respond
        self._path = path
        self._reads_json = reads_json
        self._request_format = request_format
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()
        self._errors: list[Exception] = []

    async def start(self, port: int) -> int:
        """Listen on `port`, 0 for any free port, and return the port; OSError if it is in use."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        for path in (self._path, self._path + MOVED_PATH):
            for spelling in (path, path + "/"):
                if self._request_format != "get":
                    app.router.add_post(spelling, self._handle)
                if self._request_format != "json":
                    app.router.add_get(spelling, self._handle, allow_head=False)
        self._runner = await open_listener(app, port)
        return port_of(self._runner)

    async def close(self) -> None:
        """Abort all connections, stop listening, and raise the errors of the handlers.

        An error of `respond` is a bug of the sandbox. The client saw only a bare 500, so the error
        is raised here again, in an ExceptionGroup.
        """
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self._closing.set()
        await close_listener(runner)
        if self._errors:
            raise ExceptionGroup("the sandbox failed while answering requests", self._errors)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._respond_to(request)
        except web.HTTPException:
            raise
        except Exception as error:
            if len(self._errors) < MAX_KEPT_ERRORS:
                self._errors.append(error)
            raise

    async def _respond_to(self, request: web.Request) -> web.StreamResponse:
        if _is_foreign(request):
            return web.Response(status=403, text=_FOREIGN)
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                # Like PHP, which reads no fields from the body of a GET.
                body = await request.read() if request.method == hdrs.METH_POST else b""
        except TimeoutError:
            return web.Response(status=408)
        except (ConnectionError, web.RequestPayloadError):
            # The client disconnected while sending the form, or the body is corrupt: there is no
            # request to answer.
            return web.Response(status=400)
        fields = read_fields(
            query=request.raw_path.partition("?")[2],
            content_type=request.headers.get(hdrs.CONTENT_TYPE, ""),
            body=body,
            reads_json=self._reads_json,
            only_json=self._request_format == "json",
        )
        reply = self._respond(fields)
        if reply.wait_s and await self._is_closing_within(reply.wait_s):
            reply = HttpReply(is_dropped=True)
        if reply.is_dropped:
            abort(request.transport)
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
