"""From an HTTP answer to the JSON value in it, or to the error that it is."""

import re
import reprlib
from itertools import islice
from json import JSONDecodeError
from typing import TypeVar

from ..._text import raw_text, sanitize
from ...errors import BlockedError, InvalidResponseError, PanelError, RateLimitError, ServerError
from ...profile import Profile
from ...results import Response
from .refusals import MAX_TEXT_CHARACTERS, asked_wait_s, error_text, refusal
from .values import NestedTooDeepError, is_object, json_at, without_lone_surrogates

__all__ = [
    "NoAnswerError",
    "answer_of",
    "check_http",
    "check_refusal",
    "excerpt",
    "json_of",
    "object_of",
    "shown",
    "unreadable",
    "unwrap",
    "value_of",
]

MAX_NOISE_CHARACTERS = 64 * 1024
"""How far into an answer its JSON may begin: a page of PHP notices, not more."""

MAX_JSON_STARTS = 32
"""How many brackets are tried as the begin of the JSON: notices hold a few, attacks many."""

# A pair, or a bracket that is open: what follows stands inside of something.
_BEGUN = re.compile(r'"\s*:|[\[{,:]\s*\Z')

# Bounded in width and depth: what is odd may be nested as deep as it can be read.
_SHOWN = reprlib.Repr()
_SHOWN.maxdict = _SHOWN.maxlist = 50
_SHOWN.maxstring = _SHOWN.maxother = MAX_TEXT_CHARACTERS

R = TypeVar("R")


class NoAnswerError(Exception):
    """The body holds no JSON, or more than one reading of it is possible."""


def excerpt(reply: Response) -> str:
    """Give the begin of a body, cleaned, as evidence."""
    return shown(reply.body)


def json_of(body: bytes) -> tuple[str, object]:
    """Give the one JSON value in a body, as text and read, less BOM, blanks and noise in front.

    Noise (PHP notices, HTML; seen) is left out only if just one reading is possible: what stands
    before the value is not the begin of a larger one, what stands behind it is blank.
    """
    text = without_lone_surrogates(body.decode(errors="replace").removeprefix("\ufeff").strip())
    for start in _starts(text):
        try:
            value, end = json_at(text, start)
        except NestedTooDeepError as error:
            raise NoAnswerError(str(error)) from error
        except JSONDecodeError as error:
            # Noise ends at its first words; what goes on for so long is the answer, cut or broken.
            if error.pos - start > MAX_NOISE_CHARACTERS:
                break
            continue
        if end == len(text) and not _BEGUN.search(text[:start]):
            return text[start:], value
        if is_object(value):
            raise NoAnswerError("more than one answer")
    raise NoAnswerError("not JSON" if text else "empty")


def _starts(text: str) -> list[int]:
    """Give the places where the JSON may begin: a bare text at the very begin, brackets further."""
    brackets = (each.start() for each in re.finditer(r"[{\[]", text[:MAX_NOISE_CHARACTERS]))
    return [0] if text[:1] == '"' else list(islice(brackets, MAX_JSON_STARTS))


def unreadable(reply: Response, why: str, action: str, order: str | None = None) -> PanelError:
    """Make the error of an answer that says nothing sure."""
    error = InvalidResponseError(
        why, excerpt=excerpt(reply), http_status=reply.status, action=action, order=order
    )
    return error.with_raw(raw_text(reply.body))


def check_http(reply: Response, profile: Profile, action: str) -> None:
    """Raise what the HTTP status says by itself; return where the body is to be read."""
    status = reply.status
    if 200 <= status < 300:
        return
    raw = raw_text(reply.body)
    if reply.is_challenge:
        blocked = BlockedError("challenged before the panel", http_status=status, action=action)
        raise blocked.with_raw(raw)
    if 300 <= status < 400:
        target = sanitize(reply.location or "nowhere", MAX_TEXT_CHARACTERS)
        raise unreadable(reply, f"redirected to {target}; redirects are not followed", action)
    text = _http_error_text(reply)
    wait_s = asked_wait_s(text or "", reply)
    if status == 429:
        raise RateLimitError(
            text or "", http_status=status, retry_after_s=wait_s, action=action
        ).with_raw(raw)
    if status >= 500:
        failed = ServerError(
            text or excerpt(reply), http_status=status, retry_after_s=wait_s, action=action
        )
        raise failed.with_raw(raw)
    if text is None:
        raise unreadable(reply, "an HTTP error without the panel's word", action)
    raise refusal(text, profile, reply, action, raw=raw)


def _http_error_text(reply: Response) -> str | None:
    try:
        _, value = json_of(reply.body)
    except NoAnswerError:
        return None
    return error_text(value, http_failed=True) if is_object(value) else None


def value_of(reply: Response, profile: Profile, action: str, order: str | None = None) -> object:
    """Give the JSON value of a reply, whatever it says; raise what the HTTP status says."""
    check_http(reply, profile, action)
    try:
        _, value = json_of(reply.body)
    except NoAnswerError as error:
        raise unreadable(reply, str(error), action, order) from None
    return value


def answer_of(reply: Response, profile: Profile, action: str, order: str | None = None) -> object:
    """Give the JSON value of a reply, or raise the refusal that it is."""
    value = value_of(reply, profile, action, order)
    check_refusal(value, reply, profile, action, order)
    return value


def check_refusal(
    value: object, reply: Response, profile: Profile, action: str, order: str | None = None
) -> None:
    """Raise the refusal that an answer is, a bare text among them; return if it is none."""
    text = value if isinstance(value, str) else error_text(value) if is_object(value) else None
    if text is not None:
        raise refusal(text, profile, reply, action, order, raw=raw_text(reply.body))


def object_of(
    reply: Response, profile: Profile, action: str, order: str | None = None
) -> dict[str, object]:
    """Give the JSON object of a reply, or raise the refusal that it is."""
    value = answer_of(reply, profile, action, order)
    if not is_object(value):
        raise unreadable(reply, "not an object", action, order)
    return value


def unwrap(found: R | PanelError) -> R:
    """Give a result, or raise the error that stands in its place."""
    if isinstance(found, PanelError):
        raise found
    return found


def shown(value: object) -> str:
    """Give the begin of what came, cleaned, as evidence."""
    if isinstance(value, bytes):
        return sanitize(
            value[: MAX_TEXT_CHARACTERS * 8].decode(errors="replace"), MAX_TEXT_CHARACTERS
        )
    return sanitize(_SHOWN.repr(value), MAX_TEXT_CHARACTERS)
