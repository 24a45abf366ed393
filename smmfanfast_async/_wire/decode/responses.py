"""Parse HTTP responses: return the *answer*, the JSON value in the body, or raise the error."""

import re
import reprlib
from itertools import islice
from json import JSONDecodeError
from typing import TypeVar

from ..._text import raw_text, sanitize
from ...errors import (
    AuthenticationError,
    BlockedError,
    InvalidResponseError,
    PanelError,
    RateLimitError,
    ServerError,
)
from ...profile import Profile
from ...results import Response
from .json_values import (
    NestedTooDeepError,
    is_list,
    is_object,
    parse_lenient_json_at,
    replace_lone_surrogates,
)
from .refusals import MAX_TEXT_CHARACTERS, create_refusal, find_error_text, find_retry_after_s

__all__ = [
    "NoJSONError",
    "find_json",
    "format_evidence",
    "invalid_response",
    "parse_answer",
    "parse_value",
    "raise_http_error",
    "unwrap",
    "unwrap_data",
    "unwrap_single",
]

MAX_NOISE_CHARACTERS = 64 * 1024
"""How far into a body its JSON may start: after a page of PHP notices, not later."""

MAX_JSON_STARTS = 32
"""How many brackets are tried as the start of the JSON: notices contain a few, attacks many."""

# A name with a colon, or an open bracket or separator at the end: the text after it is nested.
_OPEN_JSON = re.compile(r'"\s*:|[\[{,:]\s*\Z')

# Bounded in width and depth: an unexpected value may be nested as deep as it can be parsed.
_EVIDENCE = reprlib.Repr()
_EVIDENCE.maxdict = _EVIDENCE.maxlist = 50
_EVIDENCE.maxstring = _EVIDENCE.maxother = MAX_TEXT_CHARACTERS

_WRAPPER_FIELDS = frozenset(
    {"data", "status", "success", "message", "msg", "code", "error", "errors"}
)
"""Names of the fields of an answer that has its content under `data`."""

R = TypeVar("R")


class NoJSONError(Exception):
    """The body contains no JSON, or is ambiguous."""


def find_json(body: bytes) -> tuple[str, object]:
    """Return the one JSON value in a body, as text and parsed; ignore a BOM and noise before it.

    Noise (PHP notices, HTML; seen) is ignored only if the body is unambiguous: the value is not a
    part of a larger one that starts before it, and only whitespace follows it.
    """
    text = replace_lone_surrogates(body.decode(errors="replace").removeprefix("\ufeff").strip())
    for start in _find_starts(text):
        try:
            value, end = parse_lenient_json_at(text, start)
        except NestedTooDeepError as error:
            raise NoJSONError(str(error)) from error
        except JSONDecodeError as error:
            # Brackets in noise fail within a few words. What is valid JSON for so long is the
            # response itself, truncated or malformed.
            if error.pos - start > MAX_NOISE_CHARACTERS:
                break
            continue
        if end == len(text) and not _OPEN_JSON.search(text[:start]):
            return text[start:], value
        if is_object(value):
            raise NoJSONError("more than one JSON value")
    raise NoJSONError("not JSON" if text else "empty")


def _find_starts(text: str) -> list[int]:
    """Return where the JSON may start: a string at the very start, a bracket also after noise."""
    brackets = (each.start() for each in re.finditer(r"[{\[]", text[:MAX_NOISE_CHARACTERS]))
    return [0] if text[:1] == '"' else list(islice(brackets, MAX_JSON_STARTS))


def invalid_response(
    reply: Response, reason: str, action: str, order: str | None = None
) -> InvalidResponseError:
    """Return the error for a response whose meaning is not certain."""
    error = InvalidResponseError(
        reason,
        excerpt=format_evidence(reply.body),
        http_status=reply.status,
        action=action,
        order=order,
    )
    return error.with_raw(raw_text(reply.body))


def raise_http_error(reply: Response, profile: Profile, action: str) -> None:
    """Raise the error that the HTTP status means by itself; return if it is a success."""
    status = reply.status
    if 200 <= status < 300:
        return
    raw = raw_text(reply.body)
    if reply.is_challenge:
        blocked = BlockedError(
            "stopped by a challenge before reaching the panel", http_status=status, action=action
        )
        raise blocked.with_raw(raw)
    if 300 <= status < 400:
        target = sanitize(reply.location or "an unknown address", MAX_TEXT_CHARACTERS)
        raise invalid_response(reply, f"redirected to {target}; redirects are not followed", action)
    text = _find_http_error_text(reply)
    wait_s = find_retry_after_s(text or "", reply)
    if status == 429:
        raise RateLimitError(
            text or "", http_status=status, retry_after_s=wait_s, action=action
        ).with_raw(raw)
    if status >= 500:
        failed = ServerError(
            text or format_evidence(reply.body),
            http_status=status,
            retry_after_s=wait_s,
            action=action,
        )
        raise failed.with_raw(raw)
    if text is None and status == 401:
        # The web server or the framework rejects the key; its page has no message of the panel.
        rejected = AuthenticationError("unauthorized", http_status=status, action=action)
        raise rejected.with_raw(raw)
    if text is None and status == 403:
        blocked = BlockedError("forbidden by the web server", http_status=status, action=action)
        raise blocked.with_raw(raw)
    if text is None:
        raise invalid_response(reply, "HTTP error without a message from the panel", action)
    raise create_refusal(text, profile, reply, action, raw=raw)


def _find_http_error_text(reply: Response) -> str | None:
    try:
        _, value = find_json(reply.body)
    except NoJSONError:
        return None
    return find_error_text(value, is_http_error=True) if is_object(value) else None


def parse_value(reply: Response, profile: Profile, action: str, order: str | None = None) -> object:
    """Return the JSON value of a response, even if it is a refusal; raise an HTTP error."""
    raise_http_error(reply, profile, action)
    try:
        _, value = find_json(reply.body)
    except NoJSONError as error:
        raise invalid_response(reply, str(error), action, order) from None
    return value


def parse_answer(
    reply: Response, profile: Profile, action: str, order: str | None = None
) -> object:
    """Return the JSON value of a response; raise an HTTP error, or a refusal (also a bare text)."""
    value = parse_value(reply, profile, action, order)
    text = value if isinstance(value, str) else find_error_text(value) if is_object(value) else None
    if text is not None:
        raise create_refusal(text, profile, reply, action, order, raw=raw_text(reply.body))
    return value


def unwrap_single(answer: object) -> object:
    """Return the one record of an answer that has it under `data` or in a list (seen)."""
    inner = unwrap_data(answer)
    return inner[0] if is_list(inner) and len(inner) == 1 else inner


def unwrap_data(answer: object) -> object:
    """Return what is under `data` if the rest of an answer only wraps it (seen).

    A refusal is returned as it is, and so is any other answer.
    """
    if not is_object(answer) or not _WRAPPER_FIELDS.issuperset(answer) or find_error_text(answer):
        return answer
    data = answer.get("data")
    return data if (is_object(data) or is_list(data)) and data else answer


def unwrap(result: R | PanelError) -> R:
    """Return a result, or raise the error that is in its place."""
    if isinstance(result, PanelError):
        raise result
    return result


def format_evidence(value: object) -> str:
    """Return the start of a body or value, sanitized, to be kept in an error."""
    if isinstance(value, bytes):
        return sanitize(
            value[: MAX_TEXT_CHARACTERS * 8].decode(errors="replace"), MAX_TEXT_CHARACTERS
        )
    return sanitize(_EVIDENCE.repr(value), MAX_TEXT_CHARACTERS)
