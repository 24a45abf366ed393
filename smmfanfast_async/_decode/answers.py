"""From an HTTP answer to the JSON value in it, or to the error that it is."""

import re
from typing import TypeVar

from .._text import cleaned
from ..errors import BlockedError, PanelError, RateLimitedError, ServerError, UnreadableReplyError
from ..profile import Profile
from ..results import Reply
from .refusals import MAX_TEXT_CHARACTERS, error_text, refusal
from .values import is_object, lenient_json

__all__ = [
    "NoAnswerError",
    "answer_of",
    "check_http",
    "excerpt",
    "json_part",
    "object_of",
    "raised",
    "shown",
    "unreadable",
]

MAX_NOISE_BYTES = 64 * 1024
"""How far into an answer its JSON may begin: a page of PHP notices, not more."""

MAX_JSON_STARTS = 32
"""How many brackets are tried as the begin of the JSON: notices hold a few, attacks many."""

R = TypeVar("R")


class NoAnswerError(Exception):
    """The body holds no JSON, or more than one reading of it is possible."""


def excerpt(reply: Reply) -> str:
    """Give the begin of a body, cleaned, as evidence."""
    head = reply.body[: MAX_TEXT_CHARACTERS * 8].decode(errors="replace")
    return cleaned(head, MAX_TEXT_CHARACTERS)


def json_part(body: bytes) -> str:
    """Give the text of the one JSON value in a body, less BOM, blanks and noise in front of it.

    Noise (PHP notices, HTML; seen) is left out only if just one reading is possible: what stands
    before the value holds no other pair, what stands behind it is blank.
    """
    text = body.decode(errors="replace").removeprefix("\ufeff").strip()
    starts = [0] if text[:1] in ("{", "[", '"') else []
    starts += [each.start() for each in re.finditer(r"[{\[]", text[:MAX_NOISE_BYTES])]
    for start in starts[:MAX_JSON_STARTS]:
        try:
            value, end = lenient_json(text, start)
        except ValueError:
            continue
        except RecursionError as error:
            raise NoAnswerError("nested too deep") from error
        if not text[end:].strip() and '":' not in text[:start]:
            return text[start:]
        if is_object(value):
            raise NoAnswerError("more than one answer")
    raise NoAnswerError("not JSON" if text else "empty")


def _value(body: bytes) -> object:
    return lenient_json(json_part(body))[0]


def unreadable(reply: Reply, why: str, action: str, order: str | None = None) -> PanelError:
    """Make the error of an answer that says nothing sure."""
    return UnreadableReplyError(why, excerpt(reply), reply.status, action, order)


def check_http(reply: Reply, profile: Profile, action: str) -> None:
    """Raise what the HTTP status says by itself; return where the body is to be read."""
    status = reply.status
    if 200 <= status < 300:
        return
    if reply.is_challenge:
        raise BlockedError("challenged before the panel", None, status, None, action)
    if 300 <= status < 400:
        target = cleaned(reply.location or "nowhere", MAX_TEXT_CHARACTERS)
        raise unreadable(reply, f"redirected to {target}; redirects are not followed", action)
    text = _http_error_text(reply)
    wait_s = reply.retry_after_s
    if status == 429:
        said = refusal(text or "", profile, http_status=status, action=action)
        raise RateLimitedError(text or "", None, status, wait_s or said.retry_after_s, action)
    if status >= 500:
        raise ServerError(text or excerpt(reply), None, status, wait_s, action)
    if text is None:
        raise unreadable(reply, "an HTTP error without the panel's word", action)
    raise refusal(text, profile, http_status=status, action=action)


def _http_error_text(reply: Reply) -> str | None:
    try:
        value = _value(reply.body)
    except NoAnswerError:
        return None
    return error_text(value, http_failed=True) if is_object(value) else None


def answer_of(reply: Reply, profile: Profile, action: str, order: str | None = None) -> object:
    """Give the JSON value of a reply, or raise the refusal that it is."""
    check_http(reply, profile, action)
    try:
        value = _value(reply.body)
    except NoAnswerError as error:
        raise unreadable(reply, str(error), action, order) from None
    if is_object(value) and (text := error_text(value)):
        raise refusal(text, profile, http_status=reply.status, action=action, order=order)
    if isinstance(value, str):
        raise refusal(value, profile, http_status=reply.status, action=action, order=order)
    return value


def object_of(
    reply: Reply, profile: Profile, action: str, order: str | None = None
) -> dict[str, object]:
    """Give the JSON object of a reply, or raise the refusal that it is."""
    value = answer_of(reply, profile, action, order)
    if not is_object(value):
        raise unreadable(reply, "not an object", action, order)
    return value


def raised(found: R | PanelError) -> R:
    """Give a result, or raise the error that stands in its place."""
    if isinstance(found, PanelError):
        raise found
    return found


def shown(value: object) -> str:
    """Give the begin of what came, cleaned, as evidence."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else repr(value)
    return cleaned(text, MAX_TEXT_CHARACTERS)
