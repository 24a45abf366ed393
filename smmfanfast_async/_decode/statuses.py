"""How orders stand: the answer about one, and about a batch."""

from collections.abc import Sequence
from typing import cast

from attrs import frozen

from .._text import raw_text
from ..errors import PanelError, UnreadableReplyError
from ..profile import Profile
from ..results import OrderStatus, Reply
from .answers import answer_of, check_http, shown, value_of
from .records import FAST_ROAD_REFUSALS, fast_entries, fast_status, lenient_status
from .refusals import error_text, refusal
from .values import Record, id_text, is_list, is_object, lenient_json

__all__ = ["Batch", "decode_status", "decode_statuses"]

_ORDER_FIELDS = frozenset({"charge", "remains", "start_count", "runs", "posts"})


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
    answer = value_of(reply, profile, "status", order)
    # Under its id, as in a batch, it is taken too (assumed).
    entry = answer.get(order, answer) if is_object(answer) and "status" not in answer else answer
    found = _status_of(entry, profile, reply, order)
    if isinstance(found, PanelError):
        raise found.with_raw(raw_text(reply.body))
    return found


def decode_statuses(reply: Reply, profile: Profile, orders: Sequence[str]) -> Batch:
    """Read the answer about some orders: for each its status, or its own error.

    Raises only what concerns the batch as a whole: a refusal, a failed or unreadable answer.
    """
    found = _entries(reply, profile, orders)
    batch: dict[str, object] = found
    strays = 0
    if list(found) != list(orders):
        batch = {order: found.get(order) for order in orders}
        strays = len(found.keys() - batch.keys())
    for order in [each for each, entry in batch.items() if not isinstance(entry, OrderStatus)]:
        batch[order] = _status_of(batch[order], profile, reply, order)
    # What was no status became one just above, or an error: no type checker sees that.
    return Batch(cast("dict[str, OrderStatus | PanelError]", batch), strays)


def _entries(reply: Reply, profile: Profile, orders: Sequence[str]) -> dict[str, object]:
    """Split a batch into the entries of its ids; those that are odd but well-formed stay unread.

    An answer with no id of ours in it is an empty map, or a refusal of the call as a whole: that is
    a mapping of texts too, {"error": "…"}.
    """
    check_http(reply, profile, "status")
    whole: object
    try:
        whole = fast_entries(reply.body)
    except FAST_ROAD_REFUSALS:
        whole = value_of(reply, profile, "status")
    if is_list(whole):
        whole = _keyed(whole, orders)
    entries = whole if is_object(whole) else {}
    if entries.keys().isdisjoint(orders):
        answer_of(reply, profile, "status")
    return entries


def _keyed(entries: list[object], orders: Sequence[str]) -> dict[str, object]:
    """Key a list: PHP prints an object whose keys run from 0 as a list (seen).

    So places are ids only where all of them were asked for; elsewhere an entry has to name its own.
    """
    by_place = {str(place) for place in range(len(entries))} <= set(orders)
    keyed: dict[str, object] = {}
    for place, entry in enumerate(entries):
        named = id_text(entry.get("order")) if is_object(entry) else None
        keyed[named or (str(place) if by_place else f"place {place}")] = entry
    return keyed


def _status_of(
    entry: object, profile: Profile, reply: Reply, order: str
) -> OrderStatus | PanelError:
    """Read one entry of a batch: unread bytes, a record, a bare text, None where absent."""
    try:
        return _read(entry, profile, reply, order)
    except ValueError as error:
        evidence = "" if entry is None else shown(entry)
        return UnreadableReplyError(str(error), evidence, reply.status, "status", order)


def _read(entry: object, profile: Profile, reply: Reply, order: str) -> OrderStatus | PanelError:
    if isinstance(entry, bytes):
        # The fast road has refused it already.
        entry = lenient_json(entry.decode(errors="replace"))
    if isinstance(entry, str):
        return refusal(entry, profile, reply, "status", order)
    if entry is None:
        raise ValueError("the answer does not mention this order")
    if not is_object(entry):
        raise ValueError("not a status")
    if not _tells_of_order(entry) and (text := error_text(entry)):
        return refusal(text, profile, reply, "status", order)
    return lenient_status(entry, order)


def _tells_of_order(entry: Record) -> bool:
    """Whether `status` is the word of an order, and `error` what ails it, not the call."""
    return isinstance(entry.get("status"), str) and not _ORDER_FIELDS.isdisjoint(entry)
