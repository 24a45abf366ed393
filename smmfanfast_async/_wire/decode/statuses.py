"""How orders stand: the answer about one, and about a batch."""

from collections.abc import Mapping, Sequence
from typing import cast

from attrs import frozen
from msgspec.structs import force_setattr

from ..._text import raw_text
from ...errors import InvalidResponseError, PanelError
from ...profile import Profile
from ...results import OrderStatus, Response
from .answers import answer_of, check_http, shown, value_of
from .records import (
    FAST_PATH_REFUSALS,
    fast_entries,
    fast_status,
    lenient_status,
    raw_entries,
)
from .refusals import error_text, refusal
from .values import Record, id_text, is_list, is_object, lenient_json

__all__ = ["Batch", "decode_status", "decode_statuses"]

_ORDER_FIELDS = frozenset({"charge", "remains", "start_count", "runs", "posts"})


@frozen
class Batch:
    """A batch of statuses: one entry for each id asked, in that order."""

    found: dict[str, OrderStatus | PanelError]
    unexpected: int = 0
    """Ids that came back and were not asked for: dropped."""


def decode_status(
    reply: Response, profile: Profile, order: str, *, keep_raw: bool = False
) -> OrderStatus:
    """Read the answer about one order; raise its error. `keep_raw` keeps the answer with it."""
    status = _status(reply, profile, order)
    if keep_raw:
        force_setattr(status, "raw", raw_text(reply.body))
    return status


def _status(reply: Response, profile: Profile, order: str) -> OrderStatus:
    try:
        if reply.status == 200:
            return fast_status(reply.body, order)
    except FAST_PATH_REFUSALS:
        pass
    answer = value_of(reply, profile, "status", order)
    # Under its id, as in a batch, it is taken too (assumed).
    entry = answer.get(order, answer) if is_object(answer) and "status" not in answer else answer
    found = _status_of(entry, profile, reply, order)
    if isinstance(found, PanelError):
        raise found.with_raw(raw_text(reply.body))
    return found


def decode_statuses(
    reply: Response, profile: Profile, orders: Sequence[str], *, keep_raw: bool = False
) -> Batch:
    """Read the answer about some orders: for each its status, or its own error.

    `keep_raw` keeps with each status the piece of the answer that it was read from. Raises only
    what concerns the batch as a whole: a refusal, a failed or unreadable answer.
    """
    found, are_statuses = _entries(reply, profile, orders)
    batch: dict[str, object] = found
    strays = 0
    if list(found) != list(orders):
        are_statuses = False
        batch = {order: found.get(order) for order in orders}
        strays = len(found.keys() - batch.keys())
    if not are_statuses:
        for order in [each for each, entry in batch.items() if not isinstance(entry, OrderStatus)]:
            batch[order] = _status_of(batch[order], profile, reply, order)
    if keep_raw:
        _keep_raw(batch, reply.body)
    # What was no status became one just above, or an error: no type checker sees that.
    return Batch(cast("dict[str, OrderStatus | PanelError]", batch), strays)


def _keep_raw(batch: Mapping[str, object], body: bytes) -> None:
    pieces = raw_entries(body)
    for order, status in batch.items():
        if isinstance(status, OrderStatus):
            force_setattr(status, "raw", raw_text(pieces.get(order, body)))


def _entries(
    reply: Response, profile: Profile, orders: Sequence[str]
) -> tuple[dict[str, object], bool]:
    """Split a batch into the entries of its ids; those that are odd but well-formed stay unread.

    Says too whether all of them are statuses. An answer with no id of ours in it is an empty map,
    or a refusal of the call as a whole: that is a mapping of texts too, {"error": "…"}.
    """
    check_http(reply, profile, "status")
    whole: object
    are_statuses = False
    try:
        whole, are_statuses = fast_entries(reply.body)
    except FAST_PATH_REFUSALS:
        whole = value_of(reply, profile, "status")
    if is_list(whole):
        whole = _keyed(whole, orders)
    entries = whole if is_object(whole) else {}
    if entries.keys().isdisjoint(orders):
        answer_of(reply, profile, "status")
    return entries, are_statuses


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
    entry: object, profile: Profile, reply: Response, order: str
) -> OrderStatus | PanelError:
    """Read one entry of a batch: unread bytes, a record, a bare text, None where absent."""
    try:
        return _read(entry, profile, reply, order)
    except ValueError as error:
        evidence = "" if entry is None else shown(entry)
        unreadable = InvalidResponseError(
            str(error), excerpt=evidence, http_status=reply.status, action="status", order=order
        )
        return unreadable.with_raw(_raw_of(entry))


def _raw_of(entry: object) -> str | None:
    """Give the text of one entry: as it came where it is unread, else as it was read."""
    if entry is None:
        return None
    return raw_text(entry) if isinstance(entry, bytes) else shown(entry)


def _read(entry: object, profile: Profile, reply: Response, order: str) -> OrderStatus | PanelError:
    # The fast road has refused bytes already.
    read = lenient_json(entry.decode(errors="replace")) if isinstance(entry, bytes) else entry
    if isinstance(read, str):
        return refusal(read, profile, reply, "status", order)
    if read is None:
        raise ValueError("the answer does not mention this order")
    if not is_object(read):
        raise ValueError("not a status")
    if not _tells_of_order(read) and (text := error_text(read)):
        return refusal(text, profile, reply, "status", order, raw=_raw_of(entry))
    return lenient_status(read, order)


def _tells_of_order(entry: Record) -> bool:
    """Whether `status` is the word of an order, and `error` what ails it, not the call."""
    return isinstance(entry.get("status"), str) and not _ORDER_FIELDS.isdisjoint(entry)
