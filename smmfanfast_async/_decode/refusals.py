"""Every way in which a panel says no, and which error it becomes."""

import re
from collections.abc import Mapping

from .._text import cleaned, same_word
from ..errors import (
    AuthError,
    BlockedError,
    ErrorKind,
    FundsError,
    OrderNotFoundError,
    RateLimitedError,
    RefusedError,
)
from ..profile import Profile
from .values import Record, is_list, is_object

__all__ = ["MAX_TEXT_CHARACTERS", "error_text", "refusal", "wait_asked_s"]

MAX_TEXT_CHARACTERS = 500
"""How much of a panel's text an error keeps."""

_FAILING = frozenset({"error", "fail", "failed", "failure", "false"})
_TEXT_FIELDS = ("error", "message", "msg", "errors", "detail", "description")
# Beside one of these, "status" tells of an order and not of the call.
_ORDER_FIELDS = frozenset({"charge", "remains", "start_count", "runs", "posts"})

_BY_KIND: Mapping[ErrorKind, type[RefusedError]] = {
    ErrorKind.AUTH: AuthError,
    ErrorKind.FUNDS: FundsError,
    ErrorKind.NOT_FOUND: OrderNotFoundError,
    ErrorKind.BLOCKED: BlockedError,
}
_WAIT = re.compile(r"\bwait\D{0,20}(\d{1,6})\s*(s|sec|second|m|min|minute)", re.IGNORECASE)
_LIMIT_WORDS = ("spam protection", "too many requests", "rate limit")


def error_text(answer: Record, *, http_failed: bool = False) -> str | None:
    """Find the text of a refusal in an answer, None if it is no refusal.

    The shapes are those of the wire notes: `error`, `errors`, a failing `status` or `success` with
    a text beside it or in `data`; `message` alone counts under a failing HTTP status only.
    `"error": null` and `""` are no error.
    """
    for name in ("error", "errors"):
        if text := _flat(answer.get(name)):
            beside = _flat(answer.get("message")) if name == "errors" else ""
            return f"{beside}: {text}" if beside else text
    failed = http_failed or _fails(answer)
    if not failed:
        return None
    data = answer.get("data")
    for holder in (answer, data) if is_object(data) else (answer,):
        for name in _TEXT_FIELDS:
            if text := _flat(holder.get(name)):
                return text
    return "refused without a word" if _fails(answer) else None


def _fails(answer: Record) -> bool:
    if answer.get("success") is False:
        return True
    if not _ORDER_FIELDS.isdisjoint(answer):
        return False
    status = answer.get("status")
    return status is False or (isinstance(status, str) and same_word(status) in _FAILING)


def _flat(value: object) -> str:
    """Make one line of an error's value, whatever nesting it came in; "" for no error."""
    if isinstance(value, str):
        return cleaned(value, MAX_TEXT_CHARACTERS)
    if is_object(value):
        parts = [f"{name}: {text}" for name, each in value.items() if (text := _flat(each))]
        # {"error": {"message": …}} is a text in a box, not a field with an error.
        boxed = [text for name in _TEXT_FIELDS if (text := _flat(value.get(name)))]
        return cleaned("; ".join(boxed[:1] or parts), MAX_TEXT_CHARACTERS)
    if is_list(value):
        return cleaned("; ".join(filter(None, map(_flat, value))), MAX_TEXT_CHARACTERS)
    return "error" if value is True else "" if value in (None, False, 0) else str(value)


def refusal(
    text: str, profile: Profile, *, http_status: int, action: str, order: str | None = None
) -> RefusedError | RateLimitedError:
    """Make the error of a text; `kind` is UNKNOWN where the profile does not list it."""
    shown = cleaned(text, MAX_TEXT_CHARACTERS)
    kind = profile.refusal_kind(shown)
    wait_s = wait_asked_s(shown)
    if kind is None and (wait_s is not None or any(each in shown.lower() for each in _LIMIT_WORDS)):
        return RateLimitedError(shown, None, http_status, wait_s, action, order)
    found = kind or ErrorKind.UNKNOWN
    return _BY_KIND.get(found, RefusedError)(shown, found, http_status, None, action, order)


def wait_asked_s(text: str) -> float | None:
    """Read "wait N seconds" or minutes out of a text; None where it asks for no wait."""
    asked = _WAIT.search(text)
    if asked is None:
        return None
    return float(asked[1]) * (60 if asked[2].lower().startswith("m") else 1)
