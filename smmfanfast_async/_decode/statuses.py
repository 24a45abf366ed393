"""How orders stand: the answer about one, and about a batch."""

from collections.abc import Sequence

from attrs import frozen

from ..errors import PanelError, UnreadableReplyError
from ..profile import Profile
from ..results import OrderStatus, Reply
from .answers import (
    NoAnswerError,
    answer_of,
    check_http,
    json_part,
    object_of,
    raised,
    shown,
    unreadable,
)
from .records import FAST_ROAD_REFUSALS, fast_status, fast_statuses, lenient_status, raw_mapping
from .refusals import error_text, refusal
from .values import Record, is_list, is_object, lenient_json

__all__ = ["Batch", "decode_status", "decode_statuses"]


@frozen
class Batch:
    """A batch of statuses: one entry for each id asked, in that order."""

    found: dict[str, OrderStatus | PanelError]
    strays: int = 0
    """Ids that came back and were not asked for: dropped."""


def decode_status(reply: Reply, profile: Profile, order: str) -> OrderStatus:
    """Read the answer about one order; raise its error."""
    try:
        if reply.status == 200:
            return fast_status(reply.body, order)
    except FAST_ROAD_REFUSALS:
        pass
    answer = object_of(reply, profile, "status", order)
    inner = answer.get(order)
    record = inner if is_object(inner) else answer
    return raised(_status_of(record, profile, reply, order))


def decode_statuses(reply: Reply, profile: Profile, orders: Sequence[str]) -> Batch:
    """Read the answer about some orders: for each its status, or its own error.

    Raises only what concerns the batch as a whole: a refusal, a failed or unreadable answer.
    """
    found: Record = {}
    if reply.status == 200:
        try:
            found = fast_statuses(reply.body)
        except FAST_ROAD_REFUSALS:
            found = {}
    # An error of the whole answer is a mapping of texts too: {"error": "…"} holds no id asked for.
    if not found or found.keys().isdisjoint(orders):
        found = _entries(reply, profile, orders)
    batch: dict[str, OrderStatus | PanelError] = {}
    for order in orders:
        entry = found.get(order)
        batch[order] = (
            entry if isinstance(entry, OrderStatus) else _status_of(entry, profile, reply, order)
        )
    return Batch(batch, len(found.keys() - batch.keys()))


def _entries(reply: Reply, profile: Profile, orders: Sequence[str]) -> Record:
    """Split a batch into the entries of its ids, unread where they are well-formed.

    An answer with no id of ours in it is an empty map, or a refusal of the call as a whole.
    """
    check_http(reply, profile, "status")
    try:
        part = json_part(reply.body)
    except NoAnswerError as error:
        raise unreadable(reply, str(error), "status") from None
    try:
        entries: object = {order: bytes(raw) for order, raw in raw_mapping(part.encode()).items()}
    except FAST_ROAD_REFUSALS:
        entries = lenient_json(part)[0]
    if is_list(entries):
        entries = _keyed(entries)
    if not is_object(entries):
        raise unreadable(reply, "neither an object nor a list", "status")
    if entries.keys().isdisjoint(orders):
        answer_of(reply, profile, "status")
    return entries


def _keyed(entries: list[object]) -> dict[str, object]:
    """Key a list: PHP prints an object whose keys run from 0 as a list (seen)."""
    keyed: dict[str, object] = {}
    for index, entry in enumerate(entries):
        named = entry.get("order") if is_object(entry) else None
        keyed[str(index) if named is None else str(named)] = entry
    return keyed


def _status_of(
    entry: object, profile: Profile, reply: Reply, order: str
) -> OrderStatus | PanelError:
    """Read one entry of a batch: unread bytes, a record, a bare text, None where absent."""
    if isinstance(entry, bytes):
        try:
            return fast_status(entry, order)
        except FAST_ROAD_REFUSALS:
            entry = lenient_json(entry.decode())[0]
    text = entry if isinstance(entry, str) else None
    if is_object(entry) and ("status" in entry or (text := error_text(entry)) is None):
        return _lenient_status(entry, reply, order)
    if text is not None:
        return refusal(text, profile, http_status=reply.status, action="status", order=order)
    why = "the answer does not mention this order" if entry is None else "not a status"
    return _entry_error(why, entry, reply, order)


def _lenient_status(entry: Record, reply: Reply, order: str) -> OrderStatus | PanelError:
    try:
        return lenient_status(entry, order)
    except ValueError as error:
        return _entry_error(str(error), entry, reply, order)


def _entry_error(why: str, entry: object, reply: Reply, order: str) -> UnreadableReplyError:
    evidence: str = "" if entry is None else shown(entry)
    return UnreadableReplyError(why, evidence, reply.status, "status", order)
