"""Decode the responses of API v2 panels to refills and cancellations, and undocumented calls."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from ..._text import raw_text
from ...errors import InvalidResponseError, PanelError
from ...profile import Profile
from ...results import CancelResult, RefillResult, RefillStatus, Response
from .fast import FAST_PATH_ERRORS, split_items
from .ids import format_id, parse_new_id
from .json_values import Record, is_list, is_object
from .refusals import create_refusal, find_error_text, is_accepted, is_failed_state
from .responses import (
    format_evidence,
    invalid_response,
    parse_answer,
    parse_value,
    unwrap,
    unwrap_data,
    unwrap_single,
)

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

    A list of one and an object under `data` are accepted too (seen). A response that names another
    order raises `InvalidResponseError`.
    """
    return _decode_single("refill", reply, profile, order, _decode_refill)


def decode_refills(
    reply: Response, profile: Profile, orders: Sequence[str]
) -> dict[str, RefillResult | PanelError]:
    """Return the refill, or the error, of each order in `[{order, refill: 1 | {"error": …}}]`.

    For one order, `{"refill": 1}` is accepted too (seen).
    """
    return _decode_items("order", "refill", reply, profile, orders, _decode_refill)


def decode_refill_statuses(
    reply: Response, profile: Profile, refills: Sequence[str]
) -> dict[str, RefillStatus | PanelError]:
    """Return the status, or the error, of each refill in `[{refill, status | {"error": …}}]`.

    The single `{"status": …}` of one refill is accepted too, and an object keyed by id (seen).
    "Fail" and "Error" are states of a refill, unless a text says why the call was refused (seen).
    """
    if len(refills) == 1:
        value = unwrap_single(parse_value(reply, profile, "refill_status", refills[0]))
        if is_object(value) and is_failed_state(value) and not value.keys() - {"status", "refill"}:
            refill = refills[0]
            if _may_be_about(value, "refill", refill):
                item = _Item(value, raw_text(reply.body))
                return {refill: _decode_refill_status(item, profile, reply, refill)}
    return _decode_items("refill", "refill_status", reply, profile, refills, _decode_refill_status)


def decode_cancels(
    reply: Response, profile: Profile, orders: Sequence[str]
) -> dict[str, CancelResult | PanelError]:
    """Return the result, or the error, of each order in `[{order, cancel: 1 | {"error": …}}]`.

    `{"cancel": {"status": "Success"}}` is accepted too, and for one order `{"cancel": 1}` and a
    sentence such as `{"success": "…"}` (seen).
    """
    return _decode_items("order", "cancel", reply, profile, orders, _decode_cancel)


def decode_cancel(reply: Response, profile: Profile, order: str) -> CancelResult:
    """Return the result in `{"cancel": 1}` (seen at panels that cancel one id), or raise its error.

    A list of one, an object under `data` and a sentence such as `{"success": "…"}` are accepted too
    (seen). A response that names another order raises `InvalidResponseError`.
    """
    return _decode_single("cancel", reply, profile, order, _decode_cancel)


def decode_call(reply: Response, profile: Profile, action: str) -> object:
    """Return the JSON of an undocumented call; numbers are int, `Decimal`, or text if too large."""
    return parse_answer(reply, profile, action)


class _Item(msgspec.Struct, frozen=True):
    """What a response contains about one order or refill."""

    record: Record
    raw: str
    """The fragment of the response that it was read from."""


_DecodeItem = Callable[[_Item, Profile, Response, str], R | PanelError]


def _may_be_about(answer: Record, field: str, requested: str) -> bool:
    """Return whether the response to a single request has the requested id, or no id at all."""
    value = answer.get(field)
    return value is None or value == "" or format_id(value) == requested


def _decode_single(
    action: str, reply: Response, profile: Profile, order: str, decode_item: _DecodeItem[R]
) -> R:
    """Return the result for the one order of a call, or raise its error."""
    answer = unwrap_single(parse_answer(reply, profile, action, order))
    if not is_object(answer):
        raise invalid_response(reply, "not an object", action, order)
    if not _may_be_about(answer, "order", order):
        raise invalid_response(reply, "the response is about another order", action, order)
    return unwrap(decode_item(_Item(answer, raw_text(reply.body)), profile, reply, order))


def _decode_items(
    field: str,
    action: str,
    reply: Response,
    profile: Profile,
    ids: Sequence[str],
    decode_item: _DecodeItem[R],
) -> dict[str, R | PanelError]:
    """Return the result or error of each id; `field` is the one that contains the id."""
    answer = unwrap_data(parse_answer(reply, profile, action))
    single = unwrap_single(answer)
    only = ids[0]
    is_single = len(ids) == 1 and is_object(single) and only not in single
    if is_single and is_object(single) and _may_be_about(single, field, only):
        return {only: decode_item(_Item(single, raw_text(reply.body)), profile, reply, only)}
    by_id = _group_by_id(field, answer, reply.body)
    # If no requested id is in it, the whole response is the evidence for each of them.
    raw_of_all = raw_text(reply.body) if by_id.keys().isdisjoint(ids) else None
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
            results[each] = error.with_raw(" ".join(item.raw for item in items) or raw_of_all)
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
    """Return a refill; its id is "" if the panel accepts it without one."""
    value = item.record.get("refill")
    refill = parse_new_id(value.get("id", value.get("refill")) if is_object(value) else value)
    if _find_text(item, "refill", profile, "refill"):
        return _create_error(item, "refill", "refill", profile, reply, order)
    if refill is None and not _is_accepted(item, "refill"):
        return _create_error(item, "refill", "refill", profile, reply, order)
    return RefillResult(order=order, refill=refill or "", raw=item.raw)


def _decode_cancel(
    item: _Item, profile: Profile, reply: Response, order: str
) -> CancelResult | PanelError:
    value = item.record.get("cancel")
    is_flag = value is True or parse_new_id(value) is not None
    if _find_text(item, "cancel", profile, "cancel") or not (
        is_flag or _is_accepted(item, "cancel")
    ):
        return _create_error(item, "cancel", "cancel", profile, reply, order)
    return CancelResult(order=order, raw=item.raw)


def _is_accepted(item: _Item, field: str) -> bool:
    """Return whether a record accepts a request without a value of its own, or in an object."""
    value = item.record.get(field, item.record)
    return is_object(value) and is_accepted(value)


def _find_text(item: _Item, field: str, profile: Profile, action: str) -> str | None:
    """Return the text of the refusal in `field`, beside it, or in a sentence under `success`."""
    value = item.record.get(field)
    text = find_error_text(item.record) or (find_error_text(value) if is_object(value) else None)
    sentence = item.record.get("success")
    if text is None and isinstance(sentence, str) and profile.refusal_kind(sentence, action):
        return sentence
    return text


def _decode_refill_status(
    item: _Item, profile: Profile, reply: Response, refill: str
) -> RefillStatus | PanelError:
    status = item.record.get("status")
    is_state = isinstance(status, str) and bool(status.strip())
    if not is_state or (find_error_text(item.record) and not is_failed_state(item.record)):
        return _create_error(item, "status", "refill_status", profile, reply, refill)
    return RefillStatus(refill=refill, raw_status=str(status), raw=item.raw)


def _create_error(
    item: _Item, field: str, action: str, profile: Profile, reply: Response, order: str
) -> PanelError:
    """Return the refusal in `field` or beside it, or the error for an item without either."""
    text = _find_text(item, field, profile, action)
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
