"""What a failure of a request proves; the one place where foreign exceptions become ours."""

import asyncio
import re
from typing import Any

import aiohttp

from ..._secrets import MASK, Secret
from ..._text import sanitize
from ...errors import NoResponseError, NotSentError, PanelError, without_frames
from .form import SingleUseForm

__all__ = ["map_failure"]

MAX_MESSAGE_CHARACTERS = 500
"""How much of a foreign error's text ours keeps."""

# Failures that arise before the request is written, as far as aiohttp's source goes. The last
# counts only beside the witnesses, like every other of them.
_ERRORS_BEFORE_SENDING: tuple[type[BaseException], ...] = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
    TimeoutError,
    asyncio.CancelledError,
    # Of asyncio's own streams, with which aiohttp reads no answer, but aiohttp-socks a proxy's.
    asyncio.IncompleteReadError,
)

# aiohttp-socks says so in classes of its own, and it speaks to the proxy alone: what it raises
# arises before there is a connection to the panel. It is known by its name and never imported.
_SOCKS_LIBRARIES = {"aiohttp_socks", "python_socks"}

# A user name and password in an address, and what stands for them in the headers to a proxy.
_LOGIN = re.compile(r"//[^/\s@]*@")
_LOGIN_HEADER = "Authorization"


def map_failure(error: BaseException, payload: SingleUseForm, tracker: Any) -> PanelError:
    """Say what a failure proves, in words that hold neither the key nor a proxy's password."""
    secret, action = payload.secret, payload.action
    message = f"{type(error).__name__}: {_redact(str(error), secret)}".rstrip(": ")
    # The tracker counts the last attempt alone, and there must not have been another.
    tracker_saw_nothing = tracker is None or (tracker.bytes_written == 0 and tracker.attempts <= 1)
    nothing_written = not payload.write_started and tracker_saw_nothing
    failure: PanelError
    if nothing_written and _may_precede_sending(error):
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
    # aiohttp quotes what it can't parse as Python writes bytes, each backslash twice, and that
    # quotation as Python writes a text, each twice again.
    while r"\\" in text:
        text = secret.mask_text(text.replace(r"\\", "\\"))
    return text


def _safe_cause(error: BaseException, secret: Secret) -> BaseException | None:
    """Give a foreign error without its frames, or None where it or its causes show a secret.

    A peer's bytes may be in it, and the headers that a proxy refused.
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
    return without_frames(error)
