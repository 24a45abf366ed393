"""How a request treats its connection, and what may ride along with it.

Both are middlewares of aiohttp, which take effect for one request on any session, our own or one
that was given, and leave all others on it alone.
"""

from typing import Any

import aiohttp
from aiohttp import ClientHandlerType, ClientMiddlewareType, hdrs

__all__ = ["middlewares_for"]


class _ClosingResponse(aiohttp.ClientResponse):
    """A response whose connection is closed behind it, whatever the peer says of keep-alive.

    aiohttp pools a connection again at the end of the answer even if the request said
    `Connection: close` (measured); the next `add` would take it, and it may be dead by then.
    """

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """Mark the connection before the answer can hand it back."""
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
    """Give the middlewares of a request; a session's own might send again, or another body.

    A session that trusts the environment would send a password of ~/.netrc to the panel, if there
    is one for its host (read in aiohttp 3.13 and 3.14): it is taken off again.
    """
    closing = (_close_after_response,) if new_connection else ()
    return (*closing, _remove_netrc_login) if _may_use_netrc(session) else closing


def _may_use_netrc(session: aiohttp.ClientSession) -> bool:
    if not isinstance(session, aiohttp.ClientSession):
        return True  # something around one, and nobody knows of what kind
    # A login of the session's own was meant, and goes before a .netrc.
    has_own = session.trust_env and (session.auth or hdrs.AUTHORIZATION in session.headers)
    return session.trust_env and not has_own
