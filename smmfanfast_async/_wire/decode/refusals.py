"""Recognize refusals in every format that panels use, and create the errors for them."""

import re
from collections.abc import Mapping

from ..._text import normalize_word, sanitize
from ...errors import (
    CANNOT_CREATE_ORDER,
    AuthenticationError,
    BlockedError,
    ErrorKind,
    InsufficientFundsError,
    OrderNotFoundError,
    RateLimitError,
    RefusedError,
)
from ...profile import Profile
from ...results import Response
from .json_values import Record, is_list, is_object

__all__ = [
    "MAX_TEXT_CHARACTERS",
    "NO_MESSAGE",
    "create_refusal",
    "find_error_text",
    "find_retry_after_s",
    "is_accepted",
    "is_failed_state",
    "is_failure",
]

MAX_TEXT_CHARACTERS = 500
"""An error keeps this much of a panel's text."""

MAX_NESTING = 6
"""How deep the text of an error may be nested in lists and objects; the deepest seen is 3."""

NO_MESSAGE = "refused without a message"
"""The text of a refusal that has none."""

_FAILURE_WORDS = frozenset({"error", "fail", "failed", "failure", "false"})
_SUCCESS_WORDS = frozenset({"success", "successful", "ok", "true", "accepted"})
_TEXT_FIELDS = ("message", "msg", "error", "errors", "detail", "description")

_BY_KIND: Mapping[ErrorKind, type[RefusedError]] = {
    ErrorKind.AUTH: AuthenticationError,
    ErrorKind.FUNDS: InsufficientFundsError,
    ErrorKind.NOT_FOUND: OrderNotFoundError,
    ErrorKind.BLOCKED: BlockedError,
}
# `re` compiles it when it is first needed.
_WAIT = r"\b(?:wait|retry (?:after|in)|try again (?:after|in))\D{0,20}([0-9]{1,6})\s*(s|m)"
_RATE_LIMIT_PHRASES = ("spam protection", "too many requests", "rate limit")


def find_error_text(answer: Record, *, is_http_error: bool = False) -> str | None:
    """Return the text of the refusal in a JSON object, None if it is not a refusal.

    Panels use these formats (`tests/samples` has each with its source): `error`, `errors`, and a
    failing `status` or `success` with a text beside it or in `data`. `message` alone counts only
    under a failing HTTP status.
    `"error": null` and `""` are not errors. True or a number is one, and its text is in another
    field.
    """
    for name in ("error", "errors"):
        value = answer.get(name)
        if not isinstance(value, int) and (text := _flatten(value)):
            message = _flatten(answer.get("message")) if name == "errors" else ""
            return f"{message}: {text}" if message else text
    has_failed = _has_failed(answer)
    if not (has_failed or is_http_error):
        return None
    data = answer.get("data")
    objects = (answer, data if is_object(data) else {"message": data})
    texts = (_flatten(each.get(name)) for each in objects for name in _TEXT_FIELDS)
    return next(filter(None, texts), NO_MESSAGE if has_failed else None)


def is_failure(status: object) -> bool:
    """Return whether a value of the field `status` means that the call or the order failed."""
    return status is False or (isinstance(status, str) and normalize_word(status) in _FAILURE_WORDS)


def is_failed_state(answer: Record) -> bool:
    """Return whether a record only says that an order or refill failed: {"status": "Fail"} (seen).

    It is the state of what was asked about, not a refusal: nothing else failed, and no text says
    why a call was refused.
    """
    rest = {name: value for name, value in answer.items() if name != "status"}
    status = answer.get("status")
    return (
        isinstance(status, str)
        and is_failure(status)
        and find_error_text(rest) is None
        and (find_error_text(answer) == NO_MESSAGE)
    )


def is_accepted(answer: Record) -> bool:
    """Return whether a record says that a request was accepted, in words or by a flag (seen)."""
    success, status = answer.get("success"), answer.get("status")
    is_stated = isinstance(success, str) and success.strip() not in ("", "0")
    is_word = isinstance(status, str) and normalize_word(status) in _SUCCESS_WORDS
    is_accepted = is_stated or success is True or status is True or is_word
    return is_accepted and find_error_text(answer) is None


def _has_failed(answer: Record) -> bool:
    success, error = answer.get("success"), answer.get("error")
    return (
        success in (False, "0", "false")
        or (isinstance(error, int) and error != 0)
        or is_failure(answer.get("status"))
    )


def _flatten(value: object, depth: int = MAX_NESTING) -> str:
    """Return the value of an error field, however nested, as one line; "" if it is not an error."""
    if isinstance(value, str):
        return sanitize(value, MAX_TEXT_CHARACTERS)
    if is_object(value) and depth:
        # {"error": {"message": …}} is a nested text, not an error about a field named "message".
        for name in _TEXT_FIELDS:
            if text := _flatten(value.get(name), depth - 1):
                return text
        parts = [
            f"{name}: {text}" for name, each in value.items() if (text := _flatten(each, depth - 1))
        ]
        return sanitize("; ".join(parts), MAX_TEXT_CHARACTERS)
    if is_list(value) and depth:
        parts = [text for each in value if (text := _flatten(each, depth - 1))]
        return sanitize("; ".join(parts), MAX_TEXT_CHARACTERS)
    if is_object(value) or is_list(value):
        return "error" if value else ""
    # True and numbers are flags and codes; a text in another field is more useful.
    return "" if value in (None, False, True) else str(value)


def create_refusal(
    text: str,
    profile: Profile,
    reply: Response,
    action: str,
    order: str | None = None,
    *,
    raw: str | None = None,
) -> RefusedError | RateLimitError:
    """Return the error for the text of a refusal; `kind` is UNKNOWN if the profile lacks the text.

    `raw` is what contained the text: the response, or its fragment about one order. None if there
    was nothing but the text, as in a batch {"2": "Incorrect order ID"}.
    """
    sanitized = sanitize(text, MAX_TEXT_CHARACTERS)
    error = _create_refusal(sanitized, profile, reply, action, order)
    return error.with_raw(sanitized if raw is None else raw)


def _create_refusal(
    text: str, profile: Profile, reply: Response, action: str, order: str | None
) -> RefusedError | RateLimitError:
    kind = profile.refusal_kind(text, action)
    wait_s = find_retry_after_s(text, reply)
    if kind is ErrorKind.RATE_LIMIT or (kind is None and _is_rate_limit(text)):
        return RateLimitError(
            text, http_status=reply.status, retry_after_s=wait_s, action=action, order=order
        )
    if kind is None and reply.status in (401, 403) and action in CANNOT_CREATE_ORDER:
        # Whatever its words, such an answer is about the key or the account.
        kind = ErrorKind.AUTH
    kind = kind or ErrorKind.UNKNOWN
    return _BY_KIND.get(kind, RefusedError)(
        text,
        kind=kind,
        http_status=reply.status,
        retry_after_s=wait_s,
        action=action,
        order=order,
    )


def _is_rate_limit(text: str) -> bool:
    lower = text.lower()
    return _find_wait(text) is not None or any(each in lower for each in _RATE_LIMIT_PHRASES)


def _find_wait(text: str) -> "re.Match[str] | None":
    # Few texts have one of the words, and looking for them is faster than the pattern.
    lower = text.lower()
    is_likely = "wait" in lower or "retry" in lower or "again" in lower
    return re.search(_WAIT, text, re.IGNORECASE) if is_likely else None


def find_retry_after_s(text: str, reply: Response) -> float | None:
    """Return the seconds to wait: from the header, else from "wait N seconds" in the text.

    "Retry after" and "try again in" N seconds or minutes count too. None if neither has a time.
    """
    wait = _find_wait(text)
    if reply.retry_after_s is not None or wait is None:
        return reply.retry_after_s
    return float(wait[1]) * (60 if wait[2] in "mM" else 1)
