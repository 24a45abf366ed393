"""Serve the control API and the page for browsers, on the loopback address only.

How this works. The API and the page have a port of their own, so that nothing that the panel
answers (as a panel does, with `text/html`) runs in the origin of the page. A request needs the
token, which is new for each sandbox and is sent in a header: a page of another site cannot know it,
and could not send the header either. `Host` and `Origin` are checked as well, so that such a page
gets nothing at all, whatever name it gave to this address.

A stream of events is a loop for each page: it compares the revision of the sandbox with the one it
sent last, sends the state if it differs, and waits. So there is nothing to queue: a slow page gets
fewer events, and one that does not read is disconnected.
"""

import asyncio
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import cast

from aiohttp import hdrs, web

from .control import Control, ControlError
from .listening import HOST, abort, close_listener, limit_buffer, open_listener, port_of
from .origins import is_own_page
from .rows import Json

__all__ = ["API_PATH", "MAX_CONTROL_BODY_BYTES", "MAX_STREAMS", "PAGE_FILES", "ControlServer"]

API_PATH = "/control/v1"
"""The path of the API; an incompatible change gets another number."""

MAX_CONTROL_BODY_BYTES = 64 * 1024
"""The longest body of a command: the longest service that anyone writes. A longer one gets 413."""

READ_TIMEOUT_S = 10.0
"""Real seconds that a client may take to send a command, then it gets 408."""

MAX_STREAMS = 32
"""The most pages with a stream of events at once; a further one gets 503."""

EVENT_INTERVAL_S = 0.25
"""Real seconds between two events of a stream: a person sees no shorter ones."""

WRITE_TIMEOUT_S = 10.0
"""Real seconds that a page may take to read an event; then it is disconnected."""

MAX_BUFFERED_BYTES = 64 * 1024
"""Bytes of events that wait for a page to read them, before the stream waits too."""

MAX_KEPT_ERRORS = 10
"""The most errors of the sandbox itself kept for `close()`."""

PAGE_FOLDER = Path(__file__).parent / "page"

PAGE_FILES: Mapping[str, str] = {
    "index.html": "text/html",
    "console.css": "text/css",
    "icon.svg": "image/svg+xml",
    "app.js": "text/javascript",
    "api.js": "text/javascript",
    "account.js": "text/javascript",
    "arabic.js": "text/javascript",
    "clock.js": "text/javascript",
    "dom.js": "text/javascript",
    "english.js": "text/javascript",
    "faults.js": "text/javascript",
    "list.js": "text/javascript",
    "orders.js": "text/javascript",
    "record.js": "text/javascript",
    "services.js": "text/javascript",
    "text.js": "text/javascript",
    "traffic.js": "text/javascript",
}
"""The files of the page and their types: nothing else is served."""

HEADERS: Mapping[str, str] = {
    # No inline script or style, nothing from elsewhere, no HTML made from texts.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of every answer."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlServer:
    """A listening socket for the control API, and for the page if it has one."""

    def __init__(self, control: Control, *, port: int, with_page: bool) -> None:
        """Create a server with a new token; `port` 0 is any free one."""
        self.token = secrets.token_urlsafe(32)
        self._control = control
        self._port = port
        self._with_page = with_page
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()
        self._streams = 0
        self._errors: list[Exception] = []

    @property
    def url(self) -> str:
        """The URL of the API; RuntimeError before the start."""
        if not self._port:
            raise RuntimeError("the control API has no URL before the sandbox is started")
        return f"http://{HOST}:{self._port}{API_PATH}"

    @property
    def console_url(self) -> str:
        """The address of the page, with its token; RuntimeError if there is none."""
        if not self._with_page:
            raise RuntimeError("the sandbox has no console: create it with console=True")
        # After a `#`: a browser does not send it, so it is in no log and no Referer.
        return f"{self.url.removesuffix(API_PATH)}/#token={self.token}"

    async def start(self) -> None:
        """Listen, unless already listening, and print the address of the page.

        Raises OSError if the port is in use.
        """
        if self._runner is not None:
            return
        self._closing.clear()
        app = web.Application(client_max_size=MAX_CONTROL_BODY_BYTES, middlewares=[self._guard])
        app.on_response_prepare.append(_add_headers)
        app.router.add_get(API_PATH, self._describe)
        app.router.add_get(f"{API_PATH}/events", self._stream)
        app.router.add_get(f"{API_PATH}/{{name}}", self._read)
        app.router.add_get(f"{API_PATH}/{{name}}/{{item}}", self._read)
        app.router.add_post(f"{API_PATH}/{{command}}", self._run)
        if self._with_page:
            for name, content_type in PAGE_FILES.items():
                path = "/" if name == "index.html" else f"/{name}"
                app.router.add_get(path, _serve_file(PAGE_FOLDER / name, content_type))
        self._runner = await open_listener(app, self._port)
        self._port = port_of(self._runner)
        if self._with_page:
            print(f"Console of the sandbox: {self.console_url}", flush=True)  # noqa: T201

    async def close(self) -> None:
        """End all streams, stop listening, and raise the errors of the handlers."""
        runner, self._runner = self._runner, None
        if runner is None:
            return
        self._closing.set()
        await close_listener(runner)
        if self._errors:
            raise ExceptionGroup("the control API of the sandbox failed", self._errors)

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Refuse other sites and requests without the token; answer errors as JSON."""
        sent = request.headers
        hosts, origins = sent.getall(hdrs.HOST, []), sent.getall(hdrs.ORIGIN, [])
        if not is_own_page(hosts, origins, sent.getall("Sec-Fetch-Site", []), self._port):
            return _answer({"error": "only pages and programs of this machine are answered"}, 403)
        if request.path.startswith(API_PATH) and not self._has_token(request):
            text = "send the token of the sandbox as the header Authorization: Bearer TOKEN"
            return _answer({"error": text}, 401)
        try:
            return await handler(request)
        except ControlError as error:
            return _answer({"error": error.text}, error.http_status)
        except web.HTTPException as error:
            return _answer({"error": error.reason}, error.status)
        except Exception as error:
            if len(self._errors) < MAX_KEPT_ERRORS:
                self._errors.append(error)
            raise

    def _has_token(self, request: web.Request) -> bool:
        """Return whether a request has the token; compared in constant time."""
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        sent = token.strip().encode(errors="replace")
        return hmac.compare_digest(sent, self.token.encode()) and scheme.lower() == "bearer"

    async def _describe(self, _request: web.Request) -> web.Response:
        return _answer(self._control.describe())

    async def _read(self, request: web.Request) -> web.Response:
        item = request.match_info.get("item")
        return _answer(self._control.read(request.match_info["name"], item, request.query))

    async def _run(self, request: web.Request) -> web.Response:
        arguments = await _read_arguments(request)
        return _answer(self._control.run(request.match_info["command"], arguments))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Send the state whenever it changed, at most once in `EVENT_INTERVAL_S`."""
        if self._streams >= MAX_STREAMS:
            return _answer({"error": f"{MAX_STREAMS} pages are open; close one"}, 503)
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream"})
        self._streams += 1
        try:
            await response.prepare(request)
            await self._send_events(request, response)
        except (TimeoutError, ConnectionError):
            # The page does not read, or is gone.
            abort(request.transport)
        finally:
            self._streams -= 1
        return response

    async def _send_events(self, request: web.Request, response: web.StreamResponse) -> None:
        limit_buffer(request.transport, MAX_BUFFERED_BYTES)
        sent = b""
        while not self._closing.is_set():
            state = _encode(self._control.read("state", None, {}))
            if state != sent:
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await response.write(b"event: state\ndata: " + state + b"\n\n")
                sent = state
            try:
                async with asyncio.timeout(EVENT_INTERVAL_S):
                    await self._closing.wait()
            except TimeoutError:
                continue


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _serve_file(path: Path, content_type: str) -> _Handler:
    body = path.read_bytes()

    async def serve(_request: web.Request) -> web.Response:  # aiohttp awaits it
        return web.Response(body=body, content_type=content_type, charset="utf-8")

    return serve


async def _read_arguments(request: web.Request) -> Mapping[str, object]:
    """Return the JSON object that a command is sent with; nothing for an empty body."""
    if request.can_read_body and request.content_type != "application/json":
        raise ControlError(415, "send the arguments as JSON, with Content-Type: application/json")
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            body = await request.read()
    except TimeoutError:
        raise ControlError(408, "the arguments did not arrive in time") from None
    except (ConnectionError, web.RequestPayloadError):
        raise ControlError(400, "the arguments are incomplete") from None
    try:
        arguments: object = json.loads(
            body or b"{}", parse_float=Decimal, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise ControlError(400, "the arguments must be a JSON object")
    return cast("Mapping[str, object]", arguments)


def _refuse_constant(text: str) -> object:
    raise ValueError(text)


def _encode(value: Json) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def _answer(value: Json, http_status: int = 200) -> web.Response:
    return web.Response(
        status=http_status,
        body=_encode(value) + b"\n",
        content_type="application/json",
        charset="utf-8",
    )
