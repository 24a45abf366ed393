"""The verbs that API v2 panels have beyond the document, and undocumented calls."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..errors import InvalidOrderError, PanelError, UnreadableReplyError
from ..orders import checked_id
from ..profile import Profile
from ..results import CancelResult, RefillResult, RefillStatus, Reply
from .answers import answer_of, object_of, raised, shown
from .refusals import error_text, refusal
from .values import Record, is_list, is_object

__all__ = [
    "decode_call",
    "decode_cancels",
    "decode_refill",
    "decode_refill_statuses",
    "decode_refills",
]

R = TypeVar("R")


def decode_refill(reply: Reply, profile: Profile, order: str) -> RefillResult:
    """Read `{"refill": "1"}`; raise its error."""
    answer = object_of(reply, profile, "refill", order)
    return raised(_refill_of(answer, profile, reply, order))


def decode_refills(
    reply: Reply, profile: Profile, orders: Sequence[str]
) -> dict[str, RefillResult | PanelError]:
    """Read `[{order, refill: 1 | {"error": …}}]`: for each order its refill or its own error."""
    return _rows_by("order", "refill", reply, profile, orders, _refill_of)


def decode_refill_statuses(
    reply: Reply, profile: Profile, refills: Sequence[str]
) -> dict[str, RefillStatus | PanelError]:
    """Read `[{refill, status | {"error": …}}]`, or the lone `{"status": …}` of one refill."""
    if len(refills) == 1:
        answer = answer_of(reply, profile, "refill_status", refills[0])
        if is_object(answer):
            return {refills[0]: _refill_status_of(answer, profile, reply, refills[0])}
    return _rows_by("refill", "refill_status", reply, profile, refills, _refill_status_of)


def decode_cancels(
    reply: Reply, profile: Profile, orders: Sequence[str]
) -> dict[str, CancelResult | PanelError]:
    """Read `[{order, cancel: 1 | {"error": …}}]`: for each order its word or its own error."""
    return _rows_by("order", "cancel", reply, profile, orders, _cancel_of)


def decode_call(reply: Reply, profile: Profile, action: str) -> object:
    """Give the JSON of an undocumented call; numbers are int, `Decimal`, or text as they came."""
    return answer_of(reply, profile, action)


_Make = Callable[[Record, Profile, Reply, str], R | PanelError]


def _rows_by(
    field: str, action: str, reply: Reply, profile: Profile, ids: Sequence[str], make: _Make[R]
) -> dict[str, R | PanelError]:
    answer = answer_of(reply, profile, action)
    rows = answer if is_list(answer) else [answer]
    by_id = {str(row[field]): row for row in rows if is_object(row) and field in row}
    missing = "the answer does not mention this id"
    return {
        each: make(by_id[each], profile, reply, each)
        if each in by_id
        else UnreadableReplyError(missing, "", reply.status, action, each)
        for each in ids
    }


def _refill_of(
    row: Record, profile: Profile, reply: Reply, order: str
) -> RefillResult | PanelError:
    refill = _accepted(row, "refill", profile, reply, order)
    return refill if isinstance(refill, PanelError) else RefillResult(order=order, refill=refill)


def _cancel_of(
    row: Record, profile: Profile, reply: Reply, order: str
) -> CancelResult | PanelError:
    word = _accepted(row, "cancel", profile, reply, order)
    return word if isinstance(word, PanelError) else CancelResult(order=order)


def _refill_status_of(
    row: Record, profile: Profile, reply: Reply, refill: str
) -> RefillStatus | PanelError:
    word = _accepted(row, "status", profile, reply, refill, action="refill_status")
    return word if isinstance(word, PanelError) else RefillStatus(refill=refill, raw_status=word)


def _accepted(
    row: Record,
    field: str,
    profile: Profile,
    reply: Reply,
    each: str,
    action: str | None = None,
) -> str | PanelError:
    """Give the word or id under `field` as text, or the error that stands there or in its place."""
    value = row.get(field)
    holder = value if is_object(value) else row
    if text := error_text(holder):
        status = reply.status
        return refusal(text, profile, http_status=status, action=action or field, order=each)
    if isinstance(value, str) and value.strip():
        return value
    try:
        return checked_id(value, "reply", field)
    except InvalidOrderError:
        return UnreadableReplyError(
            f"no {field} in the answer",
            shown(row),
            reply.status,
            action or field,
            each,
        )
