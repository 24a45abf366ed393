"""Decide which connection a request may use, and what happens to it afterwards.

How this works. An answer belongs to the question that was asked on its connection. aiohttp returns
a connection to its pool after a response and hands it out again as long as it is connected, even if
data arrived in between: a proxy that answers twice would then give the answer of one request to the
next one (measured on 3.14.5). Three checks prevent it:

- a connection in the pool has a parser that closes it when anything arrives (`_IdleParser`);
- a form is not written to a connection with data that arrived before it (`has_early_data`), also
  data that the event loop has not read yet;
- a response that is there before the form was written is not an answer (`is_early`).

A request that may change something gets an unused connection, which is closed afterwards: data that
arrives while a request is on its way cannot be told from its answer.

Response classes and middlewares of aiohttp apply to a single request on any session, the client's
own or a given one, and do not affect other requests on it.
"""

import select
from functools import partial
from typing import Any

import aiohttp
from aiohttp import ClientHandlerType, ClientMiddlewareType, hdrs
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict, CIMultiDictProxy

__all__ = ["KeptResponse", "has_early_data", "is_early", "middlewares_for"]

_MARK = "_smmfanfast_was_pooled"
"""Attribute of a connection that has been in the pool before."""


class _IdleParser:
    """The parser of a connection in the pool, until the next request brings its own.

    aiohttp closes a connection whose parser raises, and the pool hands out no closed ones.
    """

    def feed_data(self, data: bytes) -> tuple[tuple[()], bool, bytes]:
        """Raise if there is any data; aiohttp passes none to resume a paused parser."""
        if data:
            raise ConnectionError("data arrived on an idle connection")
        return (), False, b""

    def feed_eof(self) -> None:
        """Accept that the peer closes an idle connection."""


_IDLE_PARSER = _IdleParser()


def _guard_idle(protocol: Any) -> None:
    """Prepare a connection for the pool; aiohttp calls this right before it is returned."""
    setattr(protocol, _MARK, True)
    protocol._parser = _IDLE_PARSER  # noqa: SLF001  # aiohttp has no public way to replace it


class _GuardedResponse(aiohttp.ClientResponse):
    """A response to a request of this package."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Read the headers; hide the query of a redirect before any trace hook sees it.

        A server that moves a GET request repeats its query in `Location`, and so the key.
        """
        response = await super().start(connection)
        location = self._headers.get(hdrs.LOCATION, "")
        if self.method == hdrs.METH_GET and "?" in location:
            headers = CIMultiDict(self._headers)
            headers[hdrs.LOCATION] = f"{location.partition('?')[0]}?***"
            self._headers = CIMultiDictProxy(headers)
            self._cache.pop("headers", None)
            self._raw_headers = tuple(
                (name.encode(), value.encode(errors="replace")) for name, value in headers.items()
            )
        return response


class KeptResponse(_GuardedResponse):
    """A response whose connection is returned to the pool, and closed if data arrives there."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Guard the connection as soon as the response is complete."""
        connection.add_callback(partial(_guard_idle, connection.protocol))
        return await super().start(connection)


class _ClosingResponse(_GuardedResponse):
    """A response whose connection is closed after it, whatever the peer says about keep-alive.

    aiohttp returns a connection to the pool after the response even if the request had
    `Connection: close` (measured); the next `add` would reuse it, and it may be dead by then.
    """

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Have the connection marked right before the response returns it to the pool.

        Not earlier: the form may not have been written yet (`has_early_data`).
        """
        connection.add_callback(connection.protocol.force_close)
        return await super().start(connection)


def has_early_data(writer: AbstractStreamWriter) -> bool:
    """Return whether something arrived on a connection before the request is written to it.

    On one from the pool, data or an end that the event loop has not read yet counts too. A new one
    is not checked for that: TLS sends session tickets after the handshake.
    """
    protocol = getattr(writer, "protocol", None)
    if not isinstance(protocol, ResponseHandler):
        return False  # a wrapper of another library
    return protocol.should_close or (hasattr(protocol, _MARK) and _is_readable(protocol.transport))


def _is_readable(transport: Any) -> bool:
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is None:
        return False
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def is_early(response: object, *, write_started: bool) -> bool:
    """Return whether a response came before the request was written.

    Responses of other classes are those of test doubles, which write nothing.
    """
    return isinstance(response, _GuardedResponse) and not write_started


async def _close_after_response(
    request: aiohttp.ClientRequest, handler: ClientHandlerType
) -> aiohttp.ClientResponse:
    request.response_class = _ClosingResponse
    return await handler(request)


async def _guard_after_response(
    request: aiohttp.ClientRequest, handler: ClientHandlerType
) -> aiohttp.ClientResponse:
    request.response_class = KeptResponse
    return await handler(request)


async def _remove_netrc_login(
    request: aiohttp.ClientRequest, handler: ClientHandlerType
) -> aiohttp.ClientResponse:
    request.headers.popall(hdrs.AUTHORIZATION, None)
    return await handler(request)


def middlewares_for(
    session: aiohttp.ClientSession, *, is_own: bool, new_connection: bool
) -> tuple[ClientMiddlewareType, ...]:
    """Return the middlewares of a request, in place of the session's own.

    Those might send again, or send another body. A session that trusts the environment would send
    a password from ~/.netrc to the panel if there is one for its host (seen in the source of
    aiohttp 3.13 and 3.14): it is removed. The client's own session (`is_own`) has `KeptResponse` as
    its response class, which saves most requests a middleware.
    """
    chosen: tuple[ClientMiddlewareType, ...] = ()
    if new_connection:
        chosen = (_close_after_response,)
    elif not is_own:
        chosen = (_guard_after_response,)
    return (*chosen, _remove_netrc_login) if _may_use_netrc(session) else chosen


def _may_use_netrc(session: aiohttp.ClientSession) -> bool:
    if not isinstance(session, aiohttp.ClientSession):
        return True  # a wrapper with unknown settings
    # A login set on the session is intentional and takes precedence over .netrc.
    has_own = session.trust_env and (session.auth or hdrs.AUTHORIZATION in session.headers)
    return session.trust_env and not has_own
