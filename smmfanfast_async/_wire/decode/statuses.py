"""Decode the status of one order, or of a batch of orders."""

from collections.abc import Collection, Mapping, Sequence
from typing import cast

import msgspec
from msgspec.structs import force_setattr

from ..._text import raw_text
from ...errors import AuthenticationError, InvalidResponseError, PanelError
from ...profile import Profile
from ...results import OrderStatus, Response
from .fast import FAST_PATH_ERRORS, parse_entries_fast, parse_status_fast, split_entries
from .ids import format_id
from .json_values import Record, is_list, is_object, parse_lenient_json
from .lenient import parse_status_lenient
from .refusals import create_refusal, find_error_text, is_failed_state
from .responses import (
    format_evidence,
    parse_answer,
    parse_value,
    raise_http_error,
    unwrap_data,
    unwrap_single,
)

__all__ = ["Batch", "decode_status", "decode_statuses"]

_ORDER_FIELDS = frozenset({"charge", "remains", "start_count", "runs", "posts"})


class Batch(msgspec.Struct, frozen=True):
    """A batch of statuses: one entry for each requested id, in the order of the request."""

    found: dict[str, OrderStatus | PanelError]
    unexpected: int = 0
    """The number of ids in the response that were not requested; their entries are dropped."""


def decode_status(
    reply: Response, profile: Profile, order: str, *, keep_raw: bool = False
) -> OrderStatus:
    """Return the status of one order, or raise its error. `keep_raw` keeps the response with it."""
    status = _decode_status(reply, profile, order)
    if keep_raw:
        force_setattr(status, "raw", raw_text(reply.body))
    return status


def _decode_status(reply: Response, profile: Profile, order: str) -> OrderStatus:
    try:
        if reply.status == 200:
            return parse_status_fast(reply.body, order)
    except FAST_PATH_ERRORS:
        pass
    answer = unwrap_single(parse_value(reply, profile, "status", order))
    # A record under its id, as in a batch, is accepted too (assumed).
    entry = answer.get(order, answer) if is_object(answer) and "status" not in answer else answer
    names_order = is_object(entry) and entry.get("order") not in (None, "")
    is_row = entry is not answer or names_order
    result = _decode_entry(entry, profile, reply, order, is_row=is_row)
    if isinstance(result, PanelError):
        if entry is not answer:
            _mark_about_order(result)
        raise result.with_raw(raw_text(reply.body))
    return result


def decode_statuses(
    reply: Response, profile: Profile, orders: Sequence[str], *, keep_raw: bool = False
) -> Batch:
    """Return the status, or the error, of each of several orders.

    `keep_raw` keeps with each status the fragment of the response that it was read from. Raises
    only what concerns the batch as a whole: a refusal, or a failed or invalid response.
    """
    entries, others = _parse_entries(reply, profile, orders)
    batch: dict[str, object] = entries
    unexpected = 0
    raw_of_all: str | None = None
    if list(entries) != list(orders):
        batch = {order: entries.get(order) for order in orders}
        others = [each for each, entry in batch.items() if not isinstance(entry, OrderStatus)]
        unexpected = len(entries.keys() - batch.keys())
        if unexpected == len(entries):
            # No requested id is in it, so the whole of it is the evidence for each of them.
            raw_of_all = raw_text(reply.body)
    for order in others:
        batch[order] = result = _decode_entry(batch[order], profile, reply, order)
        _mark_about_order(result)
        if raw_of_all is not None and isinstance(result, PanelError):
            result.raw = raw_of_all
    if keep_raw:
        _keep_raw(batch, reply.body)
    # Every entry that was not a status has just become a status or an error; no type checker can
    # infer that.
    return Batch(cast("dict[str, OrderStatus | PanelError]", batch), unexpected)


def _mark_about_order(result: OrderStatus | PanelError) -> None:
    """Mark the error of one entry that reads as if the key were rejected."""
    if isinstance(result, AuthenticationError):
        result.is_about_order = True


def _keep_raw(batch: Mapping[str, object], body: bytes) -> None:
    fragments = split_entries(body)
    for order, status in batch.items():
        if isinstance(status, OrderStatus):
            force_setattr(status, "raw", raw_text(fragments.get(order, body)))


def _parse_entries(
    reply: Response, profile: Profile, orders: Sequence[str]
) -> tuple[dict[str, object], Collection[str]]:
    """Return the entries of a batch by id; those that are irregular but well-formed stay bytes.

    Return also the ids whose entry is not a status. A response without any requested id is an empty
    batch, or a refusal of the whole call: {"error": "…"} is a mapping of texts too.
    """
    raise_http_error(reply, profile, "status")
    answer: object
    others: Collection[str] | None = None
    try:
        answer, others = parse_entries_fast(reply.body)
    except FAST_PATH_ERRORS:
        answer = parse_value(reply, profile, "status")
    if is_list(answer):
        answer = _key_by_id(answer, orders)
    entries = answer if is_object(answer) else {}
    if entries.keys().isdisjoint(orders):
        only = orders[0] if len(orders) == 1 else None
        # Parsed again: the fast path has taken the fields of a bare status for entries.
        value = parse_value(reply, profile, "status", only)
        single = unwrap_single(value)
        if only is not None and is_object(single) and _may_be_bare_status(single, only):
            return {only: single}, (only,)
        parse_answer(reply, profile, "status", only)
        inner = unwrap_data(value)
        if inner is not value:
            wrapped = _key_by_id(inner, orders) if is_list(inner) else inner
            entries = wrapped if is_object(wrapped) else {}
            return entries, entries
    return entries, entries if others is None else others


def _key_by_id(entries: list[object], orders: Sequence[str]) -> dict[str, object]:
    """Return the entries of a list by id. PHP prints an object with keys from 0 as a list (seen).

    So indexes are ids only if all of them were requested; otherwise an entry has to contain its id.
    """
    are_indexes_ids = {str(index) for index in range(len(entries))} <= set(orders)
    by_id: dict[str, object] = {}
    for index, entry in enumerate(entries):
        order = format_id(entry.get("order")) if is_object(entry) else None
        by_id[order or (str(index) if are_indexes_ids else f"index {index}")] = entry
    return by_id


def _decode_entry(
    entry: object, profile: Profile, reply: Response, order: str, *, is_row: bool = True
) -> OrderStatus | PanelError:
    """Return the status or error of an entry: bytes, a record, a bare text, or None if absent.

    `is_row` says that it is known to be about this order, by its key or its own field.
    """
    try:
        return _parse_entry(entry, profile, reply, order, is_row=is_row)
    except ValueError as error:
        evidence = "" if entry is None else format_evidence(entry)
        invalid = InvalidResponseError(
            str(error), excerpt=evidence, http_status=reply.status, action="status", order=order
        )
        return invalid.with_raw(_format_raw(entry))


def _format_raw(entry: object) -> str | None:
    """Return the text of an entry: as it came if it is bytes, else as it was parsed."""
    if entry is None:
        return None
    return raw_text(entry) if isinstance(entry, bytes) else format_evidence(entry)


def _parse_entry(
    entry: object, profile: Profile, reply: Response, order: str, *, is_row: bool
) -> OrderStatus | PanelError:
    # The fast path has rejected bytes already.
    value = entry
    if isinstance(entry, bytes):
        value = parse_lenient_json(entry.decode(errors="replace"))
    if isinstance(value, str):
        return create_refusal(value, profile, reply, "status", order)
    if value is None:
        raise ValueError("the response does not mention this order")
    if not is_object(value):
        raise ValueError("not a status")
    is_state = _describes_order(value) or (is_row and is_failed_state(value))
    if not is_state and (text := find_error_text(value)):
        return create_refusal(text, profile, reply, "status", order, raw=_format_raw(entry))
    return parse_status_lenient(value, order)


def _describes_order(entry: Record) -> bool:
    """Return whether `status` and `error` are about the order, not about the call."""
    return isinstance(entry.get("status"), str) and not _ORDER_FIELDS.isdisjoint(entry)


def _may_be_bare_status(answer: Record, order: str) -> bool:
    """Return whether a panel may have answered one id with its status alone (assumed)."""
    names_order = isinstance(answer.get("status"), str) and format_id(answer.get("order")) == order
    return names_order or _describes_order(answer)
