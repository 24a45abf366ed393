"""Send one form and return status and body, over the shared connector.

How this works. A failure must be classified as "proved not sent" or "maybe sent". Each request
carries a payload that can be written once and records that writing started (the first witness); if
aiohttp has an `UploadTracker`, it counts the bytes sent (the second). A failure is a `NotSentError`
only if both witnesses saw nothing *and* the exception is one that arises before sending; anything
unproven is a `NoResponseError`. The class of the exception alone decides nothing: a timeout, a
disconnect or an aiohttp `ClientResponseError` can occur before and after the first byte.

The key is inserted by the payload at the moment of writing, and no frame of this package contains
it afterwards. Redirects are not followed, and the defaults of a session are not relied on.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
from aiohttp import hdrs
from multidict import CIMultiDict
from yarl import URL

from ..._secrets import Key, Secret
from ...errors import READS, ClosedError, InvalidSettingsError, NotSentError, PanelError
from ...orders.form_names import FormNames
from ...results import Response
from .address import check_proxy, is_loopback, parse_url
from .answer import build_response, read_body
from .connection import KeptResponse, is_early, middlewares_for
from .failure import map_failure
from .form import STANDARD_NAMES, SingleUseForm, encode_request

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
"""Seconds for DNS, TCP and TLS together; a host that takes longer is considered down."""

CLOSE_TIMEOUT_S = 5.0
"""Seconds that closing the session may take."""

MAX_CONNECTIONS = 100
"""Connections of the client's own connector: aiohttp's default, above any profile's concurrency."""

_HEADERS = CIMultiDict(
    {
        hdrs.ACCEPT: "application/json",
        hdrs.ACCEPT_ENCODING: "gzip, deflate",
        hdrs.USER_AGENT: USER_AGENT,
    }
)
_CLOSE_HEADERS = CIMultiDict({hdrs.CONNECTION: "close"})
_NEW_CONNECTION_HEADERS = CIMultiDict({**_HEADERS, **_CLOSE_HEADERS})
# A cache on the way must not answer an order with the answer to an earlier one.
_NO_CACHE_HEADERS = {hdrs.CACHE_CONTROL: "no-cache, no-store"}

# Available since aiohttp 3.14.4.
_UPLOAD_TRACKER = getattr(aiohttp, "UploadTracker", None)


class RequestLimits(NamedTuple):
    """The limits of one request."""

    timeout_s: float
    """Seconds from the start of the request to the end of the response."""
    max_body_bytes: int
    """Maximum size of the response, compressed and decompressed."""
    write_deadline_s: float | None = None
    """Time of `elapsed_s` after which sending must not start, in case the process or the machine
    was suspended in the meantime; None for no deadline."""


class Transport:
    """Sends forms to one URL. Bound to the event loop of the first call."""

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
        names: FormNames = STANDARD_NAMES,
        request_format: str = "form",
    ) -> None:
        if proxy is not None:
            check_proxy(proxy)
        if trust_env and session is not None:
            reason = "applies to the client's own session: set it on the given session instead"
            raise InvalidSettingsError("trust_env", reason)
        self.url = url
        self._key = key
        self._given_session = session
        self._connector = connector
        self._owns_connector = connector is None
        self._proxy = proxy
        self._trust_env = trust_env
        self._trace_configs = tuple(trace_configs)
        self._names = names
        self._request_format = request_format
        self._own_session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self.is_closed = False

    def check_form(self, form: Mapping[str, str]) -> None:
        """Raise `InvalidOrderError` for a form that this panel cannot be sent."""
        encode_request(form, self._names, self._request_format)

    async def post(
        self, form: Mapping[str, str], limits: RequestLimits, *, new_connection: bool = False
    ) -> Response:
        """Send a form once and return the complete response.

        With `new_connection`, an unused connection is opened, and closed afterwards.

        Raises:
            NotSentError: Proved that nothing was sent. Retrying is safe.
            NoResponseError: The request may have been sent.
            ClosedError, InvalidSettingsError: Closed, or no key is available. Nothing was sent.
            InvalidOrderError: The form cannot be sent to this panel. Nothing was sent.
            InvalidResponseError: The response exceeds the size limit.
        """
        deadline_s = asyncio.get_running_loop().time() + limits.timeout_s
        payload = self._create_payload(form, limits)
        if not new_connection:
            try:
                return await self._post_once(payload, limits, new_connection=False)
            except NotSentError:
                if not payload.is_revoked:
                    raise
            # Data arrived on a connection from the pool, which is closed by now.
            left_s = max(deadline_s - asyncio.get_running_loop().time(), 0.0)
            limits = limits._replace(timeout_s=left_s)
            payload = self._create_payload(form, limits)
        return await self._post_once(payload, limits, new_connection=True)

    def _create_payload(self, form: Mapping[str, str], limits: RequestLimits) -> SingleUseForm:
        self.check_usable()
        return SingleUseForm(
            self._key.current(),
            form,
            limits.write_deadline_s,
            names=self._names,
            request_format=self._request_format,
        )

    async def _post_once(
        self, payload: SingleUseForm, limits: RequestLimits, *, new_connection: bool
    ) -> Response:
        session = self._get_session()
        # An action that changes nothing can be repeated in any case and needs no second witness.
        tracker = _create_upload_tracker() if payload.action not in READS else None
        failure: PanelError
        try:
            return await self._exchange(
                session, payload, limits, tracker, new_connection=new_connection
            )
        except PanelError as error:
            failure = error
        except asyncio.CancelledError as error:
            # aiohttp cancels pending requests when its connector closes; the caller did not cancel.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise error.with_traceback(None) from None
            failure = map_failure(error, payload, tracker)
        except Exception as error:  # noqa: BLE001  # any error leaves the outcome unknown
            failure = map_failure(error, payload, tracker)
        # Raised here, without the foreign error as context and without the frames below: both may
        # contain unmasked data from the peer.
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
        # A wrapper of a session may have these two methods and no `request`.
        send = session.get if self._request_format == "get" else session.post
        async with send(
            self.url,
            data=payload,
            **self._request_options(session, limits, tracker, new_connection=new_connection),
        ) as response:
            if is_early(response, write_started=payload.write_started):
                payload.is_revoked = True
                response.close()
                raise ConnectionError("an answer came before the request was sent")
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
            "middlewares": middlewares_for(
                session, is_own=self._given_session is None, new_connection=new_connection
            ),
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
        if self._request_format == "get":
            options["headers"] = CIMultiDict({**options.get("headers", {}), **_NO_CACHE_HEADERS})
            options["skip_auto_headers"] = (hdrs.CONTENT_TYPE,)
        if tracker is not None:
            options["upload_tracker"] = tracker
        if new_connection:
            # A separate key in the pool, so that no idle connection is reused: over https the host
            # name set explicitly, over http (loopback) a TLS setting that has no effect.
            if self.url.scheme == "https":
                options["server_hostname"] = self.url.host
            else:
                options["ssl"] = False
        return options

    def check_usable(self) -> None:
        """Raise `ClosedError` if closed, or used from another event loop or a forked process."""
        loop, pid = asyncio.get_running_loop(), os.getpid()
        if self._loop is None:
            self._loop, self._pid = loop, pid
        if self._pid != pid:
            # The connections are the parent's: both would read the answers to each other's calls.
            raise ClosedError(
                "the client was used before this process was forked: create it after the fork"
            )
        if self._loop is not loop:
            raise ClosedError("the client was used in another event loop before")
        if self.is_closed:
            raise ClosedError("the client is closed")
        if self._given_session is not None and self._given_session.closed:
            raise ClosedError("the given session is closed")
        if self._connector is not None and self._connector.closed:
            raise ClosedError("the given connector is closed")

    def _get_session(self) -> aiohttp.ClientSession:
        """Return the session for a request; the client's own is created for the first one."""
        self.check_usable()
        if self._given_session is not None:
            return self._given_session
        if self._connector is None:
            self._connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS)
        if self._own_session is None:
            self._own_session = aiohttp.ClientSession(
                connector=self._connector,
                connector_owner=False,
                # Set here because aiohttp merges the headers of a request one by one.
                headers=_HEADERS,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=self._trust_env,
                trace_configs=list(self._trace_configs),
                response_class=KeptResponse,
            )
        return self._own_session

    async def close(self) -> None:
        """Close the client's own session and connector; given ones stay open."""
        self.is_closed = True
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            if self._own_session is not None:
                await self._own_session.close()
            if self._owns_connector and self._connector is not None:
                await self._connector.close()


def _create_upload_tracker() -> Any:
    """Return the second witness; None if this aiohttp has no tracker."""
    return None if _UPLOAD_TRACKER is None else _UPLOAD_TRACKER()
