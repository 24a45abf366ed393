"""What became of an order that was sent."""

from collections.abc import Mapping
from datetime import datetime

from ..._text import raw_text
from ...errors import BlockedError, OutcomeUnknownError
from ...profile import Profile
from ...results import AddedOrder, Response
from .answers import NoAnswerError, excerpt, json_of
from .refusals import error_text, refusal
from .values import Record, is_object, parse_new_id, strict_json

__all__ = ["decode_added"]

# Statuses that say nothing sure of what became of an order: time-outs and conflicts.
_DOUBTFUL_STATUSES = frozenset({408, 409, 425})


def decode_added(
    reply: Response, profile: Profile, form: Mapping[str, str], sent_at: datetime
) -> AddedOrder:
    """Tell the outcome of an `add`: placed, refused, or unknown.

    Placed needs a 2xx answer, one JSON object, a usable id and no error in it. Refused needs a text
    of `profile.refusals` under 2xx or 400–429, or a challenge at the edge. All else raises
    `OutcomeUnknownError` with `form` and `sent_at` as evidence.
    """
    raw = raw_text(reply.body)

    def unknown(why: str, order: str | None = None) -> OutcomeUnknownError:
        error = OutcomeUnknownError(
            why,
            form=form,
            sent_at=sent_at,
            excerpt=excerpt(reply),
            http_status=reply.status,
            order=order,
        )
        return error.with_raw(raw)

    status = reply.status
    if reply.is_challenge and status in (403, 429, 503):
        blocked = BlockedError("challenged before the panel", http_status=status, action="add")
        raise blocked.with_raw(raw)
    if not (200 <= status < 300 or 400 <= status < 430) or status in _DOUBTFUL_STATUSES:
        raise unknown("no answer of the panel")
    try:
        pairs = _pairs_of(reply.body)
    except NoAnswerError as error:
        raise unknown(f"the answer is unreadable: {error}") from None
    text = error_text(pairs, http_failed=status >= 400)
    order = parse_new_id(pairs.get("order"))
    if text is not None and "order" in pairs:
        raise unknown(f"an error beside an order id: {text}", order)
    if text is not None:
        said = refusal(text, profile, reply, "add", raw=raw)
        if profile.refusal_kind(text) is None:
            raise unknown(f"an error that may have come after the order: {text}")
        raise said
    if status >= 400 or order is None:
        raise unknown("no usable order id", order)
    return AddedOrder(order=order, raw=raw)


def _pairs_of(body: bytes) -> Record:
    try:
        value = strict_json(json_of(body)[0])
    except ValueError as error:
        raise NoAnswerError(str(error)) from error
    if not is_object(value):
        raise NoAnswerError("not an object")
    return value
