"""Decode the response to `add`: the order was placed, it was refused, or it is unknown."""

from collections.abc import Mapping
from datetime import datetime

from ..._text import raw_text
from ...errors import BlockedError, OutcomeUnknownError
from ...profile import Profile
from ...results import AddedOrder, Response
from .ids import find_id_values, parse_new_id
from .json_values import Record, is_object, parse_strict_json
from .refusals import MAX_TEXT_CHARACTERS, create_refusal, find_error_text
from .responses import NoJSONError, find_json, format_evidence

__all__ = ["decode_added"]

MAX_REFUSAL_CHARACTERS = 4 * MAX_TEXT_CHARACTERS
"""The longest JSON of a refusal, in characters: `sanitize` reads no more of a text, and its end may
say that an order exists. The longest refusal seen has below 300."""

# Client errors that do not prove that no order was created: time-outs and conflicts.
_INCONCLUSIVE_STATUSES = frozenset({408, 409, 425})


def decode_added(
    reply: Response, profile: Profile, form: Mapping[str, str], sent_at: datetime
) -> AddedOrder:
    """Return the order if it was placed; raise the refusal, or `OutcomeUnknownError`.

    Placed requires HTTP 2xx, one JSON object, a usable id and no error in it. Refused requires a
    text of `profile.refusals` under HTTP 2xx or 400–429 without an id under any usual name, or a
    challenge before the panel.
    Everything else raises `OutcomeUnknownError` with `form` and `sent_at` as evidence.
    """
    raw = raw_text(reply.body)

    def unknown(reason: str, order: str | None = None) -> OutcomeUnknownError:
        error = OutcomeUnknownError(
            reason,
            form=form,
            sent_at=sent_at,
            excerpt=format_evidence(reply.body),
            http_status=reply.status,
            order=order,
        )
        return error.with_raw(raw)

    status = reply.status
    if reply.is_challenge and status in (403, 429, 503):
        blocked = BlockedError(
            "stopped by a challenge before reaching the panel", http_status=status, action="add"
        )
        raise blocked.with_raw(raw)
    if not (200 <= status < 300 or 400 <= status < 430) or status in _INCONCLUSIVE_STATUSES:
        raise unknown("inconclusive HTTP status")
    try:
        record, length = _parse_object(reply.body)
    except NoJSONError as error:
        raise unknown(f"invalid response: {error}") from None
    text = find_error_text(record, is_http_error=status >= 400)
    order = parse_new_id(record.get("order"))
    ids = find_id_values(record)
    if text is not None and ids:
        order = order or next(filter(None, map(parse_new_id, ids)), None)
        raise unknown(f"the response contains both an order id and an error: {text}", order)
    if text is not None:
        if length > MAX_REFUSAL_CHARACTERS or profile.refusal_kind(text) is None:
            raise unknown(f"error that may have occurred after the order was created: {text}")
        raise create_refusal(text, profile, reply, "add", raw=raw)
    if status >= 400 or order is None:
        order = order or next(filter(None, map(parse_new_id, ids)), None)
        raise unknown("no usable order id", order)
    return AddedOrder(order=order, raw=raw)


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
