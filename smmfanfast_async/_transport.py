"""One form out, status and bytes back, over the shared connector.

How this works. Sending is split into what proves and what doubts. Each request carries a payload
that writes itself once and remembers that it was asked to (the first witness); where aiohttp has an
`UploadTracker` it counts the bytes that left (the second). A failure is `NotSentError` only if both
witnesses saw nothing *and* the exception is one that arises before the send; anything unproven is
`NoReplyError`. The class of the exception alone decides nothing: a time-out, a disconnect or an
aiohttp `ClientResponseError` can each come before and after the bytes.

The key is written into the bytes inside the payload, at the moment of writing, and is in no frame
of ours after that. Redirects are not followed, no default of a session is trusted.
"""

import asyncio
import re
import time
import zlib
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote_plus

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractStreamWriter
from attrs import frozen
from multidict import CIMultiDict, istr
from yarl import URL

from ._settings import Secret
from ._text import raw_text
from .errors import (
    ClosedError,
    InvalidSettingsError,
    NoReplyError,
    NotSentError,
    PanelError,
    UnreadableReplyError,
    without_frames,
)
from .results import Reply

__all__ = [
    "Connector",
    "Limits",
    "Session",
    "TraceConfig",
    "Transport",
    "checked_url",
    "is_loopback",
]

Session = aiohttp.ClientSession
Connector = aiohttp.BaseConnector
TraceConfig = aiohttp.TraceConfig

USER_AGENT = "smmfanfast_async"
CONNECT_TIMEOUT_S = 10.0
"""Seconds for DNS, TCP and TLS together: longer is a host that is down."""

CLOSE_TIMEOUT_S = 5.0
"""Seconds that closing the session may take."""

MAX_CONNECTIONS = 100
"""Connections of a connector of ours, aiohttp's own default; the profile's concurrency is lower."""

FIRST_MOMENT_S = 10**9
"""From here on a reset is a moment, seconds since 1970, and not a span: it is in the year 2001."""

MAX_SECONDS_DIGITS = 12
"""Digits of a number of seconds; with more it is no number that anyone meant."""

_RATE_LIMIT_RESET, _CF_MITIGATED = istr("X-RateLimit-Reset"), istr("cf-mitigated")
_HEADERS = CIMultiDict(
    {
        hdrs.ACCEPT: "application/json",
        hdrs.ACCEPT_ENCODING: "gzip, deflate",
        hdrs.USER_AGENT: USER_AGENT,
    }
)
_FRESH_HEADERS = CIMultiDict({**_HEADERS, hdrs.CONNECTION: "close"})

# aiohttp has it from 3.14.4 on.
_UPLOAD_TRACKER = getattr(aiohttp, "UploadTracker", None)

# Failures that arise before the request is written, as far as aiohttp's source goes. The last
# counts only beside the witnesses, like every other of them.
_BEFORE_THE_SEND: tuple[type[BaseException], ...] = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
    TimeoutError,
    asyncio.CancelledError,
)


@frozen
class Limits:
    """What bounds one request."""

    read_timeout_s: float
    """Seconds from the begin of the request to the end of the answer."""
    body_bytes: int
    """The longest answer that is taken, decompressed."""
    write_by_s: float | None = None
    """The moment of the monotonic clock after which nothing of it may leave any more, for a process
    that stood still meanwhile; None for none."""


def is_loopback(url: URL) -> bool:
    """Say whether an address is on this machine."""
    host = url.host or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def checked_url(text: str) -> URL:
    """Give the address, or raise `InvalidSettingsError` if the key must not be sent there."""
    try:
        url = URL(text)
    except (ValueError, TypeError) as error:
        raise InvalidSettingsError("base_url", "is no address") from error
    if not url.host or url.scheme not in {"http", "https"}:
        raise InvalidSettingsError("base_url", "is no address with http or https and a host")
    if url.user is not None or url.password is not None:
        raise InvalidSettingsError("base_url", "holds a user name or password")
    if url.query_string or url.fragment:
        raise InvalidSettingsError("base_url", "holds a query or a fragment")
    if url.scheme == "http" and not is_loopback(url):
        reason = f"has host {url.host!r} and needs https: http would show the key on its way"
        raise InvalidSettingsError("base_url", reason)
    return url


class _OneShotForm(aiohttp.Payload):
    """A form that goes out once; asked a second time it raises instead of ordering twice."""

    def __init__(
        self, secret: Secret, form: Mapping[str, str], write_by_s: float | None = None
    ) -> None:
        super().__init__(None, content_type="application/x-www-form-urlencoded")
        self._secret = secret
        self._write_by_s = write_by_s
        self._rest = _urlencoded(form)
        # "key=", "&" and what stands for the key; the bytes themselves are made when they leave.
        self._size = len("key=&") + len(quote_plus(secret.reveal())) + len(self._rest)
        self.was_asked = False
        self.was_written = False

    def __repr__(self) -> str:
        return "<form, key hidden>"

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Show the form without the key."""
        return f"key=***&{self._rest.decode(encoding, errors)}"

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write key and form, once."""
        if self.was_asked:
            raise RuntimeError("a form was asked to be sent twice; it was not")
        if self._write_by_s is not None and time.monotonic() > self._write_by_s:
            # Looked at here and nowhere earlier: a process may be stopped while it connects.
            raise TimeoutError("too late to send it; nothing was sent")
        self.was_asked = True
        failure: BaseException
        try:
            await writer.write(self._bytes())
        except BaseException as error:  # noqa: BLE001  # raised again below, without its frames
            failure = error
        else:
            self.was_written = True
            return
        # The frames below hold the bytes, and the bytes the key.
        raise failure.with_traceback(None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write key and form, once; the length is our own, so it can't be shorter."""
        await self.write(writer)

    def _bytes(self) -> bytes:
        return b"key=" + quote_plus(self._secret.reveal()).encode() + b"&" + self._rest


# What goes as it is, and the comma between ids.
_PLAIN_OR_COMMA = re.compile(r"[A-Za-z0-9_.~,-]*")


def _urlencoded(form: Mapping[str, str]) -> bytes:
    """Encode a form as `urllib.parse.urlencode` does, ids by the hundred in a tenth of its time.

    That goes through a text with a comma in it sign by sign: 29 µs for 100 ids, when reading the
    answer to them takes 70.
    """
    return "&".join([f"{_quoted(name)}={_quoted(text)}" for name, text in form.items()]).encode()


def _quoted(text: str) -> str:
    if _PLAIN_OR_COMMA.fullmatch(text):
        return text.replace(",", "%2C")
    return quote_plus(text)


class _ClosingResponse(aiohttp.ClientResponse):
    """A response whose connection is closed behind it, whatever the peer says of keep-alive.

    aiohttp pools a connection again at the end of the answer even if the request said
    `Connection: close` (measured); the next `add` would take it, and it may be dead by then.
    """

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Mark the connection before the answer can hand it back."""
        connection.protocol.force_close()
        return await super().start(connection)


class Transport:
    """Posts forms to one address. Belongs to one event loop, from the first call on."""

    def __init__(
        self,
        url: URL,
        secret: Secret,
        *,
        session: aiohttp.ClientSession | None = None,
        connector: aiohttp.BaseConnector | None = None,
        proxy: str | None = None,
        trace_configs: Sequence[aiohttp.TraceConfig] = (),
    ) -> None:
        self.url = url
        self._secret = secret
        self._given_session = session
        self._connector = connector
        self._owns_connector = connector is None
        self._proxy = proxy
        self._trace_configs = tuple(trace_configs)
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_closed = False

    async def post(self, form: Mapping[str, str], limits: Limits, *, fresh: bool = False) -> Reply:
        """Post a form once and read the whole answer.

        `fresh` takes a connection that nobody used before and closes it afterwards. Raises
        `NotSentError`, `NoReplyError`, `ClosedError`, or `UnreadableReplyError` for an answer over
        the limit.
        """
        session = self._session(fresh=fresh)
        payload = _OneShotForm(self._secret, form, limits.write_by_s)
        tracker = _UPLOAD_TRACKER() if _UPLOAD_TRACKER is not None else None
        action = form.get("action")
        try:
            async with session.post(
                self.url, data=payload, **self._options(limits, tracker, fresh=fresh)
            ) as response:
                body = await _capped_body(response, limits.body_bytes, action)
                return _reply(response, body)
        except PanelError:
            raise
        except asyncio.CancelledError as error:
            # aiohttp cancels what waits when its connector closes; that is no wish of our caller's.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise _failure(error, payload, tracker, action) from without_frames(error)
        except Exception as error:  # noqa: BLE001  # a fault of any kind leaves the outcome open
            raise _failure(error, payload, tracker, action) from without_frames(error)

    def _options(self, limits: Limits, tracker: object, *, fresh: bool) -> dict[str, Any]:
        options: dict[str, Any] = {
            "allow_redirects": False,
            "raise_for_status": False,
            # A middleware of a given session might send again, or send another body.
            "middlewares": (),
            "auto_decompress": False,
            "timeout": aiohttp.ClientTimeout(
                total=limits.read_timeout_s,
                connect=CONNECT_TIMEOUT_S,
                sock_connect=CONNECT_TIMEOUT_S,
            ),
            "proxy": self._proxy,
            "headers": _FRESH_HEADERS if fresh else _HEADERS,
        }
        if tracker is not None:
            options["upload_tracker"] = tracker
        if fresh:
            # A name of its own in the pool, so that no idle connection is taken: over https the
            # host said out loud, over http (loopback) a setting for TLS that nothing reads.
            if self.url.scheme == "https":
                options["server_hostname"] = self.url.host
            else:
                options["ssl"] = False
        return options

    def check_usable(self) -> None:
        """Raise `ClosedError` if nothing can be sent from here, or not any more."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise ClosedError("the client is used from another event loop than before")
        if self.is_closed:
            raise ClosedError("the client is closed")
        if self._given_session is not None and self._given_session.closed:
            raise ClosedError("the session that was given is closed")
        if self._connector is not None and self._connector.closed:
            raise ClosedError("the connector that was given is closed")

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        """Give the session for a request; ours are made at their first request."""
        self.check_usable()
        if self._given_session is not None:
            return self._given_session
        if self._connector is None:
            self._connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS)
        if fresh not in self._sessions:
            self._sessions[fresh] = aiohttp.ClientSession(
                connector=self._connector,
                connector_owner=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                response_class=_ClosingResponse if fresh else aiohttp.ClientResponse,
                trace_configs=list(self._trace_configs),
            )
        return self._sessions[fresh]

    async def close(self) -> None:
        """Close what is ours; a session or connector that was given stays open."""
        self.is_closed = True
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            for session in self._sessions.values():
                await session.close()
            if self._owns_connector and self._connector is not None:
                await self._connector.close()


def _failure(
    error: BaseException, payload: _OneShotForm, tracker: Any, action: str | None
) -> PanelError:
    """Say what a failure proves; the one place where foreign exceptions become ours."""
    words = f"{type(error).__name__}: {error}".rstrip(": ")
    # The tracker counts the last attempt alone, and there must not have been another.
    is_clean = tracker is None or (tracker.bytes_written == 0 and tracker.attempts <= 1)
    untouched = not payload.was_asked and is_clean
    closed = isinstance(error, RuntimeError) and "closed" in str(error).lower()
    if untouched and (closed or isinstance(error, _BEFORE_THE_SEND)):
        return NotSentError(words, None, None, None, action)
    return NoReplyError(words, payload.was_written, action)


async def _capped_body(response: aiohttp.ClientResponse, most: int, action: str | None) -> bytes:
    """Read an answer up to a cap that holds for the sent and for the unpacked bytes alike.

    Unpacked here and not by aiohttp, whose chunks may be tens of megabytes: of a bomb no more than
    the cap is ever made.
    """
    unpack = _unpacker(response.headers.get(hdrs.CONTENT_ENCODING, ""))
    body = bytearray()
    sent = 0
    async for chunk in response.content.iter_any():
        sent += len(chunk)
        body += chunk if unpack is None else unpack.decompress(chunk, most + 1 - len(body))
        if len(body) > most or sent > most:
            response.close()
            text = f"the answer is longer than {most} bytes"
            error = UnreadableReplyError(text, "", response.status, action)
            raise error.with_raw(raw_text(bytes(body)))
    if unpack is not None and not unpack.eof:
        raise aiohttp.ClientPayloadError("the packed answer is cut")
    return bytes(body)


def _unpacker(encoding: str) -> "zlib._Decompress | None":
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            # 32 above the largest window: zlib finds out by itself which of the two it is.
            return zlib.decompressobj(wbits=zlib.MAX_WBITS + 32)
        case _:
            raise aiohttp.ClientPayloadError("packed in a way that was not asked for")


def _reply(response: aiohttp.ClientResponse, body: bytes) -> Reply:
    headers = response.headers
    return Reply(
        status=response.status,
        body=body,
        retry_after_s=_retry_after_s(headers, time.time()),
        location=headers.get(hdrs.LOCATION),
        is_challenge=headers.get(_CF_MITIGATED, "").lower() == "challenge",
    )


def _retry_after_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Read Retry-After (seconds or a date) or X-RateLimit-Reset (seconds, or seconds since 1970).

    None for what is neither, or lies in the past.
    """
    if hdrs.RETRY_AFTER not in headers and _RATE_LIMIT_RESET not in headers:
        return None
    reset_s = _seconds(headers.get(_RATE_LIMIT_RESET, ""))
    if reset_s is not None and reset_s >= FIRST_MOMENT_S:
        reset_s = max(reset_s - now_s, 0.0)
    text = headers.get(hdrs.RETRY_AFTER, "")
    wait_s = _seconds(text)
    if wait_s is None:
        try:
            wait_s = parsedate_to_datetime(text).timestamp() - now_s
        except (ValueError, TypeError):
            return reset_s
    return wait_s if wait_s >= 0 else None


def _seconds(text: str) -> float | None:
    digits = text.strip()
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= MAX_SECONDS_DIGITS
    return float(digits) if is_number else None
