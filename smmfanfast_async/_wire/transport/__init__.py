"""One form out, status and bytes back, over the shared connector.

How this works. Sending is split into what proves and what doubts. Each request carries a payload
that writes itself once and remembers that it was asked to (the first witness); where aiohttp has an
`UploadTracker` it counts the bytes that left (the second). A failure is `NotSentError` only if both
witnesses saw nothing *and* the exception is one that arises before the send; anything unproven is
`NoResponseError`. The class of the exception alone decides nothing: a time-out, a disconnect or an
aiohttp `ClientResponseError` can each come before and after the bytes.

The key is written into the bytes inside the payload, at the moment of writing, and is in no frame
of ours after that. Redirects are not followed, no default of a session is trusted.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from aiohttp import hdrs
from attrs import frozen
from multidict import CIMultiDict
from yarl import URL

from ..._secrets import Key, Secret
from ...errors import READS, ClosedError, InvalidSettingsError, PanelError
from ...results import Response
from .address import check_proxy, is_loopback, parse_url
from .answer import build_response, read_body
from .connection import middlewares_for
from .failure import map_failure
from .form import SingleUseForm

__all__ = [
    "Connector",
    "RequestLimits",
    "Session",
    "TraceConfig",
    "Transport",
    "is_loopback",
    "parse_url",
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

_HEADERS = CIMultiDict(
    {
        hdrs.ACCEPT: "application/json",
        hdrs.ACCEPT_ENCODING: "gzip, deflate",
        hdrs.USER_AGENT: USER_AGENT,
    }
)
_CLOSE_HEADERS = CIMultiDict({hdrs.CONNECTION: "close"})
_NEW_CONNECTION_HEADERS = CIMultiDict({**_HEADERS, **_CLOSE_HEADERS})

# aiohttp has it from 3.14.4 on.
_UPLOAD_TRACKER = getattr(aiohttp, "UploadTracker", None)


@frozen
class RequestLimits:
    """What bounds one request."""

    timeout_s: float
    """Seconds from the begin of the request to the end of the answer."""
    max_body_bytes: int
    """The longest answer that is taken, decompressed."""
    write_deadline_s: float | None = None
    """The moment of the monotonic clock after which nothing of it may leave any more, for a process
    that stood still meanwhile; None for none."""


class Transport:
    """Posts forms to one address. Belongs to one event loop, from the first call on."""

    def __init__(
        self,
        url: URL,
        key: Key,
        *,
        session: aiohttp.ClientSession | None = None,
        connector: aiohttp.BaseConnector | None = None,
        proxy: Secret | None = None,
        trust_env: bool = False,
        trace_configs: Sequence[aiohttp.TraceConfig] = (),
    ) -> None:
        if proxy is not None:
            check_proxy(proxy)
        if trust_env and session is not None:
            reason = "is for the client's own session: the one that was given has its own trust_env"
            raise InvalidSettingsError("trust_env", reason)
        self.url = url
        self._key = key
        self._given_session = session
        self._connector = connector
        self._owns_connector = connector is None
        self._proxy = proxy
        self._trust_env = trust_env
        self._trace_configs = tuple(trace_configs)
        self._own_session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_closed = False

    async def post(
        self, form: Mapping[str, str], limits: RequestLimits, *, new_connection: bool = False
    ) -> Response:
        """Post a form once and read the whole answer.

        `fresh` takes a connection that nobody used before and closes it afterwards. Raises
        `NotSentError`, `NoResponseError`, `ClosedError`, `InvalidSettingsError` where there is no key
        to be had, or `InvalidResponseError` for an answer over the limit.
        """
        session = self._get_session()
        payload = SingleUseForm(self._key.current(), form, limits.write_deadline_s)
        # What changes nothing may be asked again either way, and needs no second witness.
        tracker = _create_upload_tracker() if payload.action not in READS else None
        failure: PanelError
        try:
            return await self._exchange(
                session, payload, limits, tracker, new_connection=new_connection
            )
        except PanelError as error:
            failure = error
        except asyncio.CancelledError as error:
            # aiohttp cancels what waits when its connector closes; that is no wish of our caller's.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise error.with_traceback(None) from None
            failure = map_failure(error, payload, tracker)
        except Exception as error:  # noqa: BLE001  # a fault of any kind leaves the outcome open
            failure = map_failure(error, payload, tracker)
        # Out here, without the foreign error for a context, and without the frames below: in both
        # may be what the peer sent, as it came.
        try:
            raise failure.with_traceback(None)
        finally:
            del failure

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        payload: SingleUseForm,
        limits: RequestLimits,
        tracker: object,
        *,
        new_connection: bool,
    ) -> Response:
        async with session.post(
            self.url,
            data=payload,
            **self._request_options(session, limits, tracker, new_connection=new_connection),
        ) as response:
            secret = payload.secret
            body = await read_body(response, limits.max_body_bytes, payload.action, secret)
            return build_response(response, body, secret)

    def _request_options(
        self,
        session: aiohttp.ClientSession,
        limits: RequestLimits,
        tracker: object,
        *,
        new_connection: bool,
    ) -> dict[str, Any]:
        options: dict[str, Any] = {
            "allow_redirects": False,
            "raise_for_status": False,
            "middlewares": middlewares_for(session, new_connection=new_connection),
            "auto_decompress": False,
            "timeout": aiohttp.ClientTimeout(
                total=limits.timeout_s,
                connect=CONNECT_TIMEOUT_S,
                sock_connect=CONNECT_TIMEOUT_S,
            ),
            "proxy": None if self._proxy is None else self._proxy.reveal(),
        }
        if self._given_session is not None:
            options["headers"] = _NEW_CONNECTION_HEADERS if new_connection else _HEADERS
        elif new_connection:
            options["headers"] = _CLOSE_HEADERS
        if tracker is not None:
            options["upload_tracker"] = tracker
        if new_connection:
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

    def _get_session(self) -> aiohttp.ClientSession:
        """Give the session for a request; ours is made at its first request."""
        self.check_usable()
        if self._given_session is not None:
            return self._given_session
        if self._connector is None:
            self._connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS)
        if self._own_session is None:
            self._own_session = aiohttp.ClientSession(
                connector=self._connector,
                connector_owner=False,
                # With the session: given with each request, aiohttp merges them one by one.
                headers=_HEADERS,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=self._trust_env,
                trace_configs=list(self._trace_configs),
            )
        return self._own_session

    async def close(self) -> None:
        """Close what is ours; a session or connector that was given stays open."""
        self.is_closed = True
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            if self._own_session is not None:
                await self._own_session.close()
            if self._owns_connector and self._connector is not None:
                await self._connector.close()


def _create_upload_tracker() -> Any:
    """Make the second witness, None where aiohttp has none."""
    return None if _UPLOAD_TRACKER is None else _UPLOAD_TRACKER()
