"""Decode the responses of API v2 panels to refills and cancellations, and undocumented calls."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from attrs import frozen

from ..._text import raw_text
from ...errors import InvalidResponseError, PanelError
from ...profile import Profile
from ...results import CancelResult, RefillResult, RefillStatus, Response
from .fast import FAST_PATH_ERRORS, split_items
from .ids import format_id, parse_new_id
from .json_values import Record, is_list, is_object
from .refusals import create_refusal, find_error_text
from .responses import format_evidence, invalid_response, parse_answer, parse_object, unwrap

__all__ = [
    "decode_call",
    "decode_cancel",
    "decode_cancels",
    "decode_refill",
    "decode_refill_statuses",
    "decode_refills",
]

R = TypeVar("R")


def decode_refill(reply: Response, profile: Profile, order: str) -> RefillResult:
    """Return the refill in `{"refill": "1"}`, or raise its error.

    A response that names another order raises `InvalidResponseError`.
    """
    answer = parse_object(reply, profile, "refill", order)
    if not _may_be_about(answer, "order", order):
        raise invalid_response(reply, "the response is about another order", "refill", order)
    return unwrap(_decode_refill(_Item(answer, raw_text(reply.body)), profile, reply, order))


def decode_refills(
    reply: Response, profile: Profile, orders: Sequence[str]
) -> dict[str, RefillResult | PanelError]:
    """Return the refill, or the error, of each order in `[{order, refill: 1 | {"error": …}}]`."""
    return _decode_items("order", "refill", reply, profile, orders, _decode_refill)


def decode_refill_statuses(
    reply: Response, profile: Profile, refills: Sequence[str]
) -> dict[str, RefillStatus | PanelError]:
    """Return the status, or the error, of each refill in `[{refill, status | {"error": …}}]`.

    The single `{"status": …}` of one refill is accepted too, and an object keyed by id (seen).
    """
    if len(refills) == 1:
        refill = refills[0]
        answer = parse_answer(reply, profile, "refill_status", refill)
        if is_object(answer) and refill not in answer and _may_be_about(answer, "refill", refill):
            item = _Item(answer, raw_text(reply.body))
            return {refill: _decode_refill_status(item, profile, reply, refill)}
    return _decode_items("refill", "refill_status", reply, profile, refills, _decode_refill_status)


def decode_cancels(
    reply: Response, profile: Profile, orders: Sequence[str]
) -> dict[str, CancelResult | PanelError]:
    """Return the result, or the error, of each order in `[{order, cancel: 1 | {"error": …}}]`."""
    return _decode_items("order", "cancel", reply, profile, orders, _decode_cancel)


def decode_cancel(reply: Response, profile: Profile, order: str) -> CancelResult:
    """Return the result in `{"cancel": 1}` (seen at panels that cancel one id), or raise its error.

    A response that names another order raises `InvalidResponseError`.
    """
    answer = parse_object(reply, profile, "cancel", order)
    if not _may_be_about(answer, "order", order):
        raise invalid_response(reply, "the response is about another order", "cancel", order)
    return unwrap(_decode_cancel(_Item(answer, raw_text(reply.body)), profile, reply, order))


def decode_call(reply: Response, profile: Profile, action: str) -> object:
    """Return the JSON of an undocumented call; numbers are int, `Decimal`, or text if too large."""
    return parse_answer(reply, profile, action)


@frozen
class _Item:
    """What a response contains about one order or refill."""

    record: Record
    raw: str
    """The fragment of the response that it was read from."""


_DecodeItem = Callable[[_Item, Profile, Response, str], R | PanelError]


def _may_be_about(answer: Record, field: str, requested: str) -> bool:
    """Return whether the response to a single request has the requested id, or no id at all."""
    value = answer.get(field)
    return value is None or value == "" or format_id(value) == requested


def _decode_items(
    field: str,
    action: str,
    reply: Response,
    profile: Profile,
    ids: Sequence[str],
    decode_item: _DecodeItem[R],
) -> dict[str, R | PanelError]:
    """Return the result or error of each id; `field` is the one that contains the id."""
    by_id = _group_by_id(field, parse_answer(reply, profile, action), reply.body)
    results: dict[str, R | PanelError] = {}
    for each in ids:
        items = by_id.get(each, [])
        if len(items) == 1:
            results[each] = decode_item(items[0], profile, reply, each)
        else:
            # Two items may contradict each other, and there is no way to know which one is true.
            verb = "mentions this id more than once" if items else "does not mention this id"
            error = InvalidResponseError(
                f"the response {verb}", http_status=reply.status, action=action, order=each
            )
            results[each] = error.with_raw(" ".join(item.raw for item in items) or None)
    return results


def _group_by_id(field: str, answer: object, body: bytes) -> dict[str | None, list[_Item]]:
    """Return the items of a response by the id in `field`."""
    records = answer if is_list(answer) else [answer]
    if is_object(answer) and field not in answer:
        # Two copies of such a panel send an object keyed by id, as for statuses (seen).
        records = [{field: each, **value} for each, value in answer.items() if is_object(value)]
    by_id: dict[str | None, list[_Item]] = {}
    for record, raw in zip(records, _split_raw(body, records), strict=True):
        if is_object(record):
            by_id.setdefault(format_id(record.get(field)), []).append(_Item(record, raw))
    return by_id


def _split_raw(body: bytes, records: Sequence[object]) -> list[str]:
    """Return the text of each record of a response: as it came if the response is a plain list."""
    try:
        fragments = split_items(body)
    except FAST_PATH_ERRORS:
        fragments = []
    if len(fragments) == len(records):
        return [*map(raw_text, fragments)]
    # A single object, or a list after a PHP notice, is formatted from the parsed value.
    return [*map(format_evidence, records)]


def _decode_refill(
    item: _Item, profile: Profile, reply: Response, order: str
) -> RefillResult | PanelError:
    refill = parse_new_id(item.record.get("refill"))
    if refill is None or find_error_text(item.record):
        return _create_error(item, "refill", "refill", profile, reply, order)
    return RefillResult(order=order, refill=refill, raw=item.raw)


def _decode_cancel(
    item: _Item, profile: Profile, reply: Response, order: str
) -> CancelResult | PanelError:
    value = item.record.get("cancel")
    if (value is not True and parse_new_id(value) is None) or find_error_text(item.record):
        return _create_error(item, "cancel", "cancel", profile, reply, order)
    return CancelResult(order=order, raw=item.raw)


def _decode_refill_status(
    item: _Item, profile: Profile, reply: Response, refill: str
) -> RefillStatus | PanelError:
    status = item.record.get("status")
    if not isinstance(status, str) or not status.strip() or find_error_text(item.record):
        return _create_error(item, "status", "refill_status", profile, reply, refill)
    return RefillStatus(refill=refill, raw_status=status, raw=item.raw)


def _create_error(
    item: _Item, field: str, action: str, profile: Profile, reply: Response, order: str
) -> PanelError:
    """Return the refusal in `field` or beside it, or the error for an item without either."""
    value = item.record.get(field)
    text = find_error_text(item.record) or (find_error_text(value) if is_object(value) else None)
    if text is not None:
        return create_refusal(text, profile, reply, action, order, raw=item.raw)
    error = InvalidResponseError(
        f"no {field} in the response",
        excerpt=format_evidence(item.record),
        http_status=reply.status,
        action=action,
        order=order,
    )
    return error.with_raw(item.raw)
