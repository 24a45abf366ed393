"""Every way in which a panel says no, and which error it becomes."""

import re
from collections.abc import Mapping

from ..._text import normalize_word, sanitize
from ...errors import (
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
from .values import Record, is_list, is_object

__all__ = ["MAX_TEXT_CHARACTERS", "asked_wait_s", "error_text", "is_failing", "refusal"]

MAX_TEXT_CHARACTERS = 500
"""How much of a panel's text an error keeps."""

MAX_NESTING = 6
"""How deep a text of an error may stand in lists and objects; the deepest seen is 3."""

_FAILING = frozenset({"error", "fail", "failed", "failure", "false"})
_TEXT_FIELDS = ("message", "msg", "error", "errors", "detail", "description")

_BY_KIND: Mapping[ErrorKind, type[RefusedError]] = {
    ErrorKind.AUTH: AuthenticationError,
    ErrorKind.FUNDS: InsufficientFundsError,
    ErrorKind.NOT_FOUND: OrderNotFoundError,
    ErrorKind.BLOCKED: BlockedError,
}
_WAIT = re.compile(r"\bwait\D{0,20}([0-9]{1,6})\s*(s|m)", re.IGNORECASE)
_LIMIT_WORDS = ("spam protection", "too many requests", "rate limit")


def error_text(answer: Record, *, http_failed: bool = False) -> str | None:
    """Find the text of a refusal in an answer, None if it is no refusal.

    The shapes are those of the wire notes: `error`, `errors`, a failing `status` or `success` with
    a text beside it or in `data`; `message` alone counts under a failing HTTP status only.
    `"error": null` and `""` are no error; true or a number is one, its text stands elsewhere.
    """
    for name in ("error", "errors"):
        value = answer.get(name)
        if not isinstance(value, int) and (text := _flat(value)):
            beside = _flat(answer.get("message")) if name == "errors" else ""
            return f"{beside}: {text}" if beside else text
    failed = _fails(answer)
    if not (failed or http_failed):
        return None
    data = answer.get("data")
    holders = (answer, data if is_object(data) else {"message": data})
    texts = (_flat(holder.get(name)) for holder in holders for name in _TEXT_FIELDS)
    return next(filter(None, texts), "refused without a word" if failed else None)


def is_failing(word: object) -> bool:
    """Whether a value of `status` says that something failed: the call, or an order."""
    return word is False or (isinstance(word, str) and normalize_word(word) in _FAILING)


def _fails(answer: Record) -> bool:
    success, error = answer.get("success"), answer.get("error")
    return (
        success in (False, "0", "false")
        or (isinstance(error, int) and error != 0)
        or is_failing(answer.get("status"))
    )


def _flat(value: object, depth: int = MAX_NESTING) -> str:
    """Make one line of an error's value, whatever nesting it came in; "" for no error."""
    if isinstance(value, str):
        return sanitize(value, MAX_TEXT_CHARACTERS)
    if is_object(value) and depth:
        # {"error": {"message": …}} is a text in a box, not a field with an error.
        for name in _TEXT_FIELDS:
            if text := _flat(value.get(name), depth - 1):
                return text
        parts = [
            f"{name}: {text}" for name, each in value.items() if (text := _flat(each, depth - 1))
        ]
        return sanitize("; ".join(parts), MAX_TEXT_CHARACTERS)
    if is_list(value) and depth:
        parts = [text for each in value if (text := _flat(each, depth - 1))]
        return sanitize("; ".join(parts), MAX_TEXT_CHARACTERS)
    if is_object(value) or is_list(value):
        return "error" if value else ""
    # True and numbers are marks and codes; a text beside them says more.
    return "" if value in (None, False, True) else str(value)


def refusal(
    text: str,
    profile: Profile,
    reply: Response,
    action: str,
    order: str | None = None,
    *,
    raw: str | None = None,
) -> RefusedError | RateLimitError:
    """Make the error of a text; `kind` is UNKNOWN where the profile does not list it.

    `raw` is what the text stood in: the answer, or the piece of it about one order. None where the
    text is all there was, as in a batch {"2": "Incorrect order ID"}.
    """
    shown = sanitize(text, MAX_TEXT_CHARACTERS)
    error = _refusal(shown, profile, reply, action, order)
    return error.with_raw(shown if raw is None else raw)


def _refusal(
    shown: str, profile: Profile, reply: Response, action: str, order: str | None
) -> RefusedError | RateLimitError:
    kind = profile.refusal_kind(shown)
    wait_s = asked_wait_s(shown, reply)
    if kind is ErrorKind.RATE_LIMIT or (kind is None and _is_limit(shown)):
        return RateLimitError(
            shown, http_status=reply.status, retry_after_s=wait_s, action=action, order=order
        )
    found = kind or ErrorKind.UNKNOWN
    return _BY_KIND.get(found, RefusedError)(
        shown,
        kind=found,
        http_status=reply.status,
        retry_after_s=wait_s,
        action=action,
        order=order,
    )


def _is_limit(text: str) -> bool:
    return _WAIT.search(text) is not None or any(each in text.lower() for each in _LIMIT_WORDS)


def asked_wait_s(text: str, reply: Response) -> float | None:
    """Give the wait of the header, or of "wait N seconds" in a text; None where neither asks."""
    asked = _WAIT.search(text)
    if reply.retry_after_s is not None or asked is None:
        return reply.retry_after_s
    return float(asked[1]) * (60 if asked[2] in "mM" else 1)
