"""The verbs that API v2 panels have beyond the document, and undocumented calls."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import frozen

from ..._text import raw_text
from ...errors import InvalidResponseError, PanelError
from ...profile import Profile
from ...results import CancelResult, RefillResult, RefillStatus, Response
from .answers import answer_of, object_of, shown, unreadable, unwrap
from .records import FAST_PATH_REFUSALS, raw_list
from .refusals import error_text, refusal
from .values import Record, id_text, is_list, is_object, parse_new_id

__all__ = [
    "decode_call",
    "decode_cancels",
    "decode_refill",
    "decode_refill_statuses",
    "decode_refills",
]

R = TypeVar("R")


def decode_refill(reply: Response, profile: Profile, order: str) -> RefillResult:
    """Read `{"refill": "1"}`; raise its error. One that names another order is unreadable."""
    answer = object_of(reply, profile, "refill", order)
    if not _may_be_about(answer, "order", order):
        raise unreadable(reply, "the answer is about another order", "refill", order)
    return unwrap(_refill_of(_Row(answer, raw_text(reply.body)), profile, reply, order))


def decode_refills(
    reply: Response, profile: Profile, orders: Sequence[str]
) -> dict[str, RefillResult | PanelError]:
    """Read `[{order, refill: 1 | {"error": …}}]`: for each order its refill or its own error."""
    return _rows_by("order", "refill", reply, profile, orders, _refill_of)


def decode_refill_statuses(
    reply: Response, profile: Profile, refills: Sequence[str]
) -> dict[str, RefillStatus | PanelError]:
    """Read `[{refill, status | {"error": …}}]`, or the lone `{"status": …}` of one refill.

    An object that has the ids for keys is read too (seen).
    """
    if len(refills) == 1:
        answer = answer_of(reply, profile, "refill_status", refills[0])
        asked = refills[0]
        if is_object(answer) and asked not in answer and _may_be_about(answer, "refill", asked):
            row = _Row(answer, raw_text(reply.body))
            return {refills[0]: _refill_status_of(row, profile, reply, refills[0])}
    return _rows_by("refill", "refill_status", reply, profile, refills, _refill_status_of)


def decode_cancels(
    reply: Response, profile: Profile, orders: Sequence[str]
) -> dict[str, CancelResult | PanelError]:
    """Read `[{order, cancel: 1 | {"error": …}}]`: for each order its word or its own error."""
    return _rows_by("order", "cancel", reply, profile, orders, _cancel_of)


def decode_call(reply: Response, profile: Profile, action: str) -> object:
    """Give the JSON of an undocumented call; numbers are int, `Decimal`, or text as they came."""
    return answer_of(reply, profile, action)


@frozen
class _Row:
    """What an answer says about one order or refill."""

    record: Record
    raw: str
    """The piece of the answer that it was read from."""


_Make = Callable[[_Row, Profile, Response, str], R | PanelError]


def _may_be_about(answer: Record, field: str, asked: str) -> bool:
    """Whether an answer to one question names what was asked about, or nothing at all."""
    named = answer.get(field)
    return named is None or named == "" or id_text(named) == asked


def _rows_by(
    field: str, action: str, reply: Response, profile: Profile, ids: Sequence[str], make: _Make[R]
) -> dict[str, R | PanelError]:
    answer = answer_of(reply, profile, action)
    rows = answer if is_list(answer) else [answer]
    if is_object(answer) and field not in answer:
        # Two copies of such a panel answer by id, as for statuses (seen).
        rows = [{field: each, **row} for each, row in answer.items() if is_object(row)]
    by_id: dict[str | None, list[_Row]] = {}
    for row, raw in zip(rows, _pieces(reply.body, rows), strict=True):
        if is_object(row):
            by_id.setdefault(id_text(row.get(field)), []).append(_Row(row, raw))
    found: dict[str, R | PanelError] = {}
    for each in ids:
        told = by_id.get(each, [])
        if len(told) == 1:
            found[each] = make(told[0], profile, reply, each)
        else:
            # Two rows may say two things, and which of them is true nobody can tell.
            why = "mentions this id more than once" if told else "does not mention this id"
            error = InvalidResponseError(
                f"the answer {why}", http_status=reply.status, action=action, order=each
            )
            found[each] = error.with_raw(" ".join(row.raw for row in told) or None)
    return found


def _pieces(body: bytes, rows: Sequence[object]) -> list[str]:
    """Give the text of each row of an answer: as it came where the answer is a plain list."""
    try:
        pieces = raw_list(body)
    except FAST_PATH_REFUSALS:
        pieces = []
    # A lone object, or a list behind a PHP notice, is shown as it was read.
    return [*map(raw_text, pieces)] if len(pieces) == len(rows) else [*map(shown, rows)]


def _refill_of(
    row: _Row, profile: Profile, reply: Response, order: str
) -> RefillResult | PanelError:
    refill = parse_new_id(row.record.get("refill"))
    if refill is None or error_text(row.record):
        return _refused(row, "refill", "refill", profile, reply, order)
    return RefillResult(order=order, refill=refill, raw=row.raw)


def _cancel_of(
    row: _Row, profile: Profile, reply: Response, order: str
) -> CancelResult | PanelError:
    word = row.record.get("cancel")
    if (word is not True and parse_new_id(word) is None) or error_text(row.record):
        return _refused(row, "cancel", "cancel", profile, reply, order)
    return CancelResult(order=order, raw=row.raw)


def _refill_status_of(
    row: _Row, profile: Profile, reply: Response, refill: str
) -> RefillStatus | PanelError:
    word = row.record.get("status")
    if not isinstance(word, str) or not word.strip() or error_text(row.record):
        return _refused(row, "status", "refill_status", profile, reply, refill)
    return RefillStatus(refill=refill, raw_status=word, raw=row.raw)


def _refused(
    row: _Row, field: str, action: str, profile: Profile, reply: Response, each: str
) -> PanelError:
    """Make the error that stands under `field` or beside it."""
    value = row.record.get(field)
    text = error_text(row.record) or (error_text(value) if is_object(value) else None)
    if text is not None:
        return refusal(text, profile, reply, action, each, raw=row.raw)
    evidence = shown(row.record)
    error = InvalidResponseError(
        f"no {field} in the answer",
        excerpt=evidence,
        http_status=reply.status,
        action=action,
        order=each,
    )
    return error.with_raw(row.raw)
