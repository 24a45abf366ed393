"""Map a failed request to an error of this package, by what the failure proves."""

import asyncio
import re
from typing import Any

import aiohttp

from ..._secrets import MASK, Secret
from ..._text import sanitize
from ...errors import NoResponseError, NotSentError, PanelError, strip_frames
from .form import SingleUseForm

__all__ = ["map_failure"]

MAX_MESSAGE_CHARACTERS = 500
"""How much of a foreign error's text is kept, in characters."""

# Failures that arise before the request is written, according to the source of aiohttp. None of
# them proves anything without the witnesses.
_ERRORS_BEFORE_SENDING: tuple[type[BaseException], ...] = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
    TimeoutError,
    asyncio.CancelledError,
    # From asyncio streams, which aiohttp does not use; aiohttp-socks reads from a proxy with them.
    asyncio.IncompleteReadError,
)

# aiohttp-socks has its own exception classes and talks only to the proxy: its errors arise before
# there is a connection to the panel. It is recognized by name and never imported.
_SOCKS_LIBRARIES = {"aiohttp_socks", "python_socks"}

# A user name and password in a URL, and the header that carries them to a proxy.
_LOGIN = re.compile(r"//[^/\s@]*@")
_LOGIN_HEADER = "Authorization"


def map_failure(error: BaseException, payload: SingleUseForm, tracker: Any) -> PanelError:
    """Return the error for a failed request; its text contains no key and no proxy password."""
    secret, action = payload.secret, payload.action
    message = f"{type(error).__name__}: {_redact(str(error), secret)}".rstrip(": ")
    # The tracker counts only the last attempt, and there must not have been an earlier one.
    tracker_saw_nothing = tracker is None or (tracker.bytes_written == 0 and tracker.attempts <= 1)
    nothing_written = not payload.write_started and tracker_saw_nothing
    failure: PanelError
    if nothing_written and (payload.is_revoked or _may_precede_sending(error)):
        failure = NotSentError(message, action=action)
    else:
        failure = NoResponseError(message, was_written=payload.was_written, action=action)
    failure.__cause__ = _safe_cause(error, secret)
    return failure


def _may_precede_sending(error: BaseException) -> bool:
    is_closed = isinstance(error, RuntimeError) and "closed" in str(error).lower()
    library = type(error).__module__.partition(".")[0]
    return is_closed or library in _SOCKS_LIBRARIES or isinstance(error, _ERRORS_BEFORE_SENDING)


def _redact(text: str, secret: Secret) -> str:
    return sanitize(_LOGIN.sub("//***@", _mask_key(text, secret)), MAX_MESSAGE_CHARACTERS)


def _mask_key(text: str, secret: Secret) -> str:
    text = secret.mask_text(text)
    # aiohttp quotes data that it cannot parse as the repr of bytes, which doubles each backslash,
    # and that quotation as the repr of a text, which doubles it again.
    while r"\\" in text:
        text = secret.mask_text(text.replace(r"\\", "\\"))
    return text


def _safe_cause(error: BaseException, secret: Secret) -> BaseException | None:
    """Return a foreign error without its frames; None if it or a cause shows a secret.

    It may contain data from the peer, or the headers that a proxy rejected.
    """
    current: BaseException | None = error
    while current is not None:
        shown = f"{current} {current!r}"
        if (
            MASK.decode() in _mask_key(shown, secret)
            or _LOGIN.search(shown)
            or _LOGIN_HEADER in shown
        ):
            return None
        current = current.__cause__ or current.__context__
    return strip_frames(error)
