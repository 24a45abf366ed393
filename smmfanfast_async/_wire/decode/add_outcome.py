"""Decode the response to `add`: the order was placed, it was refused, or it is unknown."""

import re
from collections.abc import Mapping
from datetime import datetime

from ..._text import normalize_text, raw_text
from ...errors import (
    AuthenticationError,
    BlockedError,
    ErrorKind,
    OutcomeUnknownError,
    RateLimitError,
    RefusedError,
)
from ...profile import Profile
from ...results import AddedOrder, Response
from .ids import find_id_values, parse_new_id
from .json_values import Record, is_object, parse_strict_json
from .refusals import (
    MAX_TEXT_CHARACTERS,
    NO_MESSAGE,
    create_refusal,
    find_error_text,
    find_retry_after_s,
)
from .responses import NoJSONError, find_json, format_evidence

__all__ = ["decode_added"]

MAX_REFUSAL_CHARACTERS = 4 * MAX_TEXT_CHARACTERS
"""The longest JSON of a refusal, in characters: `sanitize` reads no more of a text, and its end may
say that an order exists. The longest refusal seen has below 300."""

# Client errors that do not prove that no order was created: time-outs, and an early repetition.
_INCONCLUSIVE_STATUSES = frozenset({408, 425})

_UNAUTHORIZED = frozenset(
    {
        "unauthorized",
        "unauthenticated",
        "not authenticated",
        "authentication required",
        "authentication failed",
        "access denied",
        "forbidden",
    }
)
"""Texts of web frameworks under HTTP 401 and 403, which check the key before anything else (seen).
Under another HTTP status they may come from another server behind the panel."""

_MAY_HAVE_PLACED = re.compile(
    r"provider|upstream|supplier|queue|creat|plac|accept|pending|saved|process|success|\border\b",
    re.IGNORECASE,
)
"""Words under HTTP 429 with which even that may be about an order that exists."""

_ID_NAME = re.compile(rb'"(?:order|orders|order_?ids?|ids?)"\s*:', re.IGNORECASE)
"""The name of an order's id in a body that is not JSON, such as a truncated one."""


def decode_added(
    reply: Response, profile: Profile, form: Mapping[str, str], sent_at: datetime
) -> AddedOrder:
    """Return the order if it was placed; raise the refusal, or `OutcomeUnknownError`.

    Placed requires HTTP 2xx, one JSON object, a usable id and no error in it. Refused requires a
    text that the profile recognizes, under HTTP 2xx or 400–429 without an id under any usual name;
    under HTTP 409 it has to be that of a duplicate. HTTP 429 without an id is a refusal by itself:
    limiters answer before the panel's own code does (seen in 9 of 9). So is a challenge.
    Everything else raises `OutcomeUnknownError` with `form` and `sent_at` as evidence.
    """
    raw = raw_text(reply.body)

    def unknown(
        reason: str, order: str | None = None, *, is_error_answer: bool = False
    ) -> OutcomeUnknownError:
        error = OutcomeUnknownError(
            reason,
            form=form,
            sent_at=sent_at,
            excerpt=format_evidence(reply.body),
            http_status=reply.status,
            order=order,
            is_error_answer=is_error_answer,
        )
        return error.with_raw(raw)

    status = reply.status
    _raise_if_challenged(reply, raw)
    if not (200 <= status < 300 or 400 <= status < 430) or status in _INCONCLUSIVE_STATUSES:
        raise unknown("inconclusive HTTP status")
    try:
        record, length = _parse_object(reply.body)
    except NoJSONError as error:
        if status == 429 and not _ID_NAME.search(reply.body):
            raise _create_rate_limit("", reply, raw) from None
        raise unknown(f"invalid response: {error}") from None
    text = find_error_text(record, is_http_error=status >= 400)
    order = parse_new_id(record.get("order"))
    ids = find_id_values(record)
    order = order or next(filter(None, map(parse_new_id, ids)), None)
    if text is not None and ids:
        raise unknown(f"the response contains both an order id and an error: {text}", order)
    refusal = None if ids else _find_refusal(text, reply, profile, raw)
    if refusal is not None and length <= MAX_REFUSAL_CHARACTERS:
        raise refusal
    if text is not None:
        reason = f"error that may have occurred after the order was created: {text}"
        raise unknown(reason, is_error_answer=_is_error_answer(reply.body, text, length))
    placed = parse_new_id(record.get("order"))
    if status >= 400 or placed is None:
        raise unknown("no usable order id", order)
    return AddedOrder(order=placed, raw=raw)


def _raise_if_challenged(reply: Response, raw: str) -> None:
    if reply.is_challenge and reply.status in (403, 429, 503):
        text = "stopped by a challenge before reaching the panel"
        raise BlockedError(text, http_status=reply.status, action="add").with_raw(raw)


def _find_refusal(
    text: str | None, reply: Response, profile: Profile, raw: str
) -> RefusedError | RateLimitError | None:
    """Return the error of a response without an id if it proves that there is no order."""
    status = reply.status
    kind = None if text is None else profile.refusal_kind(text)
    if text is not None and (kind is ErrorKind.DUPLICATE or (kind and status != 409)):
        return create_refusal(text, profile, reply, "add", raw=raw)
    is_unauthorized = text is not None and normalize_text(text) in _UNAUTHORIZED
    if is_unauthorized and status in (401, 403) and profile.refusal_grammar:
        rejected = AuthenticationError(text or "", http_status=status, action="add")
        return rejected.with_raw(raw)
    if status == 429 and not _MAY_HAVE_PLACED.search(text or raw):
        return _create_rate_limit(text or "", reply, raw)
    return None


def _is_error_answer(body: bytes, text: str, length: int) -> bool:
    """Return whether the JSON is the whole body, and its error has a text that is kept whole."""
    is_whole = len(body.decode(errors="replace").removeprefix("\ufeff").strip()) == length
    return is_whole and text != NO_MESSAGE and length <= MAX_REFUSAL_CHARACTERS


def _create_rate_limit(text: str, reply: Response, raw: str) -> RateLimitError:
    wait_s = find_retry_after_s(text, reply)
    error = RateLimitError(text, http_status=reply.status, retry_after_s=wait_s, action="add")
    return error.with_raw(raw)


def _parse_object(body: bytes) -> tuple[Record, int]:
    """Return the JSON object of a body, and the length of its text.

    Raises `NoJSONError` if it is not one, or ambiguous.
    """
    text = find_json(body)[0]
    try:
        value = parse_strict_json(text)
    except ValueError as error:
        raise NoJSONError(str(error)) from error
    if not is_object(value):
        raise NoJSONError("not an object")
    return value, len(text)
