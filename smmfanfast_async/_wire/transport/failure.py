"""What a failure of a request proves; the one place where foreign exceptions become ours."""

import asyncio
import re
from typing import Any

import aiohttp

from ..._secrets import MASK, Secret
from ..._text import sanitize
from ...errors import NoResponseError, NotSentError, PanelError, without_frames
from .form import OneShotForm

__all__ = ["map_failure"]

MAX_WORDS_CHARACTERS = 500
"""How much of a foreign error's text ours keeps."""

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
    # Of asyncio's own streams, with which aiohttp reads no answer, but aiohttp-socks a proxy's.
    asyncio.IncompleteReadError,
)

# aiohttp-socks says so in classes of its own, and it speaks to the proxy alone: what it raises
# arises before there is a connection to the panel. It is known by its name and never imported.
_SOCKS_LIBRARIES = {"aiohttp_socks", "python_socks"}

# A user name and password in an address, and what stands for them in the headers to a proxy.
_LOGIN = re.compile(r"//[^/\s@]*@")
_LOGIN_HEADER = "Authorization"


def map_failure(error: BaseException, payload: OneShotForm, tracker: Any) -> PanelError:
    """Say what a failure proves, in words that hold neither the key nor a proxy's password."""
    secret, action = payload.secret, payload.action
    words = f"{type(error).__name__}: {_harmless(str(error), secret)}".rstrip(": ")
    # The tracker counts the last attempt alone, and there must not have been another.
    is_clean = tracker is None or (tracker.bytes_written == 0 and tracker.attempts <= 1)
    untouched = not payload.was_asked and is_clean
    failure: PanelError
    if untouched and _is_before_the_send(error):
        failure = NotSentError(words, action=action)
    else:
        failure = NoResponseError(words, was_written=payload.was_written, action=action)
    failure.__cause__ = _cause(error, secret)
    return failure


def _is_before_the_send(error: BaseException) -> bool:
    is_closed = isinstance(error, RuntimeError) and "closed" in str(error).lower()
    library = type(error).__module__.partition(".")[0]
    return is_closed or library in _SOCKS_LIBRARIES or isinstance(error, _BEFORE_THE_SEND)


def _harmless(text: str, secret: Secret) -> str:
    return sanitize(_LOGIN.sub("//***@", _masked(text, secret)), MAX_WORDS_CHARACTERS)


def _masked(text: str, secret: Secret) -> str:
    text = secret.masked(text)
    # aiohttp quotes what it can't parse as Python writes bytes, each backslash twice, and that
    # quotation as Python writes a text, each twice again.
    while r"\\" in text:
        text = secret.masked(text.replace(r"\\", "\\"))
    return text


def _cause(error: BaseException, secret: Secret) -> BaseException | None:
    """Give a foreign error without its frames, or None where it or its causes show a secret.

    A peer's bytes may be in it, and the headers that a proxy refused.
    """
    each: BaseException | None = error
    while each is not None:
        shown = f"{each} {each!r}"
        if (
            MASK.decode() in _masked(shown, secret)
            or _LOGIN.search(shown)
            or _LOGIN_HEADER in shown
        ):
            return None
        each = each.__cause__ or each.__context__
    return without_frames(error)
