"""Middlewares for one request: close its connection, and remove a login from ~/.netrc.

A middleware of aiohttp applies to a single request on any session, the client's own or a given
one, and does not affect other requests on it.
"""

from typing import Any

import aiohttp
from aiohttp import ClientHandlerType, ClientMiddlewareType, hdrs

__all__ = ["middlewares_for"]


class _ClosingResponse(aiohttp.ClientResponse):
    """A response whose connection is closed after it, whatever the peer says about keep-alive.

    aiohttp returns a connection to the pool after the response even if the request had
    `Connection: close` (measured); the next `add` would reuse it, and it may be dead by then.
    """

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Mark the connection before the response can return it to the pool."""
        connection.protocol.force_close()
        return await super().start(connection)


async def _close_after_response(
    request: aiohttp.ClientRequest, handler: ClientHandlerType
) -> aiohttp.ClientResponse:
    request.response_class = _ClosingResponse
    return await handler(request)


async def _remove_netrc_login(
    request: aiohttp.ClientRequest, handler: ClientHandlerType
) -> aiohttp.ClientResponse:
    request.headers.popall(hdrs.AUTHORIZATION, None)
    return await handler(request)


def middlewares_for(
    session: aiohttp.ClientSession, *, new_connection: bool
) -> tuple[ClientMiddlewareType, ...]:
    """Return the middlewares of a request, in place of the session's own.

    Those might send again, or send another body. A session that trusts the environment would send
    a password from ~/.netrc to the panel if there is one for its host (seen in the source of
    aiohttp 3.13 and 3.14): it is removed.
    """
    closing = (_close_after_response,) if new_connection else ()
    return (*closing, _remove_netrc_login) if _may_use_netrc(session) else closing


def _may_use_netrc(session: aiohttp.ClientSession) -> bool:
    if not isinstance(session, aiohttp.ClientSession):
        return True  # a wrapper with unknown settings
    # A login set on the session is intentional and takes precedence over .netrc.
    has_own = session.trust_env and (session.auth or hdrs.AUTHORIZATION in session.headers)
    return session.trust_env and not has_own
