"""The fast path: msgspec decodes a whole batch or catalogue in C, then Python checks it in bulk.

msgspec rejects whatever is irregular, and `lenient` reads that instead. What msgspec accepts
although it may mean something else is found here, record by record.

The speed tricks of decoding are here, in `results` (the classes) and in `services` (the fragments).
What each saves was measured on CPython 3.11 with the bodies of `benchmarks/decoding.py`: a batch of
100 statuses, the same with one or two irregular records, and a catalogue of 2,000 services.

- msgspec structs as results: a batch takes 1.2 times what `orjson.loads` takes for bare dicts;
  frozen attrs classes with the same fields take 4.4 times.
- Amounts stay text until they are read (`OrderStatus.charge`): creating all `Decimal`s would take a
  third of the time of decoding a batch.
- `_find_irregular` checks a column of all records at once, without calling a Python function per
  record. Calling `_is_regular` for each takes 2.2 times as long for a regular batch.
- `_find_unusual_amounts` checks all amounts by one regular expression over the joined text. One
  match per amount takes 1.2 times as long for a batch, 1.1 times for a catalogue.
- `parse_entries_fast` searches for "+" and "/" before it decodes. Without that, a batch with
  irregular records takes 1.3 times as long.
- `_normalize_ids` checks the ids of a catalogue as one text. Calling `parse_id` for each takes 1.1
  times as long.
- Words are shared: a status kept in memory is a quarter smaller than with status words and
  currencies of its own. Categories and types of services are shared too (`interned`).
- A catalogue is decoded in fragments, so that an irregular service costs a second decoding of its
  fragment only. This is not for speed in the regular case, which takes 3 to 6 % more time.
"""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from ...orders import MAX_ID_CHARACTERS, parse_id
from ...results import OrderStatus, Service
from .ids import assign_order_id, parse_ids
from .numbers import PLAIN_AMOUNT
from .refusals import is_failure

__all__ = [
    "FAST_PATH_ERRORS",
    "parse_entries_fast",
    "parse_services_fast",
    "parse_status_fast",
    "split_entries",
    "split_items",
]

FAST_PATH_ERRORS = (msgspec.MsgspecError, ArithmeticError, RecursionError, ValueError)
"""What the fast path raises for a body that it does not accept as a whole."""

Entry = OrderStatus | str | bytes
"""A status, the bare text of a refusal, or a record that is not decoded yet."""

Entries = dict[str, Entry]
"""A batch, by id."""

_BATCH_DECODER: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(
    dict[str, OrderStatus | str], strict=False
)
_ENTRY_DECODER: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(OrderStatus | str, strict=False)
_STATUS_DECODER = msgspec.json.Decoder(OrderStatus, strict=False)
_SERVICES_DECODER = msgspec.json.Decoder(list[Service], strict=False)
_RAW_OBJECT_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_LIST_DECODER = msgspec.json.Decoder(list[msgspec.Raw])

_AMOUNT = re.compile(PLAIN_AMOUNT)
_AMOUNT_LINES = re.compile(f"(?:{PLAIN_AMOUNT}\n)*+")
# A charge or rate that is a JSON number and is kept as it was written: "-0" is 0 in JSON, and one
# of many digits is not an amount. A quote without a backslash before it, followed by a name, a
# quote and a colon, is not a part of a string.
_BARE_AMOUNT = re.compile(
    rb'(?<!\\)"(charge|rate)":\s*((?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,20})?)(?=\s*[,}])'
)

# A count such as "2.000", which msgspec reads as 2 (see `parse_count`). The first search is fast.
_ZEROS_AFTER_POINT = re.compile(rb'[.]000"')
_AMBIGUOUS_COUNT = re.compile(
    rb'"(?:start_count|remains|runs|posts|min|max)"\s*:\s*"-?[1-9][0-9]{0,2}[.]000"'
)
MAX_AMBIGUOUS_COUNT = 999
"""The largest count that msgspec reads from an ambiguous text."""


def split_entries(body: bytes) -> dict[str, bytes]:
    """Split a batch into its entries without decoding them; return {} if it cannot be split."""
    try:
        return {order: bytes(raw) for order, raw in _RAW_OBJECT_DECODER.decode(body).items()}
    except FAST_PATH_ERRORS:
        return {}


def split_items(body: bytes) -> list[bytes]:
    """Split a list into its items without decoding them; raise one of `FAST_PATH_ERRORS`."""
    return [bytes(item) for item in _RAW_LIST_DECODER.decode(body)]


def parse_entries_fast(body: bytes) -> tuple[Entries, bool]:
    """Decode a batch; bare texts of refused ids stay texts, irregular records stay bytes.

    Return also whether all entries are statuses. Raise one of `FAST_PATH_ERRORS` if the body is not
    made of entries.
    """
    # "+5" and "N/A" are the usual irregularities, and nothing else in a batch has these characters:
    # searching for them is faster than decoding half of the batch in vain.
    if b"+" not in body and b"/" not in body:
        try:
            entries: Entries = _BATCH_DECODER.decode(body)
        except FAST_PATH_ERRORS:
            return _parse_each_entry(body), False
        irregular, has_only_statuses = _find_irregular(entries, body)
        if irregular:
            raw = _RAW_OBJECT_DECODER.decode(body)
            entries |= {order: bytes(raw[order]) for order in irregular}
        return entries, has_only_statuses and not irregular
    return _parse_each_entry(body), False


def _parse_each_entry(body: bytes) -> Entries:
    """Decode a batch with irregular entries, entry by entry."""
    raw_entries = _RAW_OBJECT_DECODER.decode(body)
    decode = _ENTRY_DECODER.decode
    entries: Entries = {}
    decoded: list[msgspec.Raw] = []
    for order, raw in raw_entries.items():
        try:
            entries[order] = decode(raw)
        except FAST_PATH_ERRORS:
            entries[order] = bytes(raw)
        else:
            decoded.append(raw)
    if not decoded and (quoted := _quote_amounts(body)) is not body:
        return {
            order: entries[order] if isinstance(entry, bytes) else entry
            for order, entry in _parse_each_entry(quoted).items()
        }
    irregular, _ = _find_irregular(entries, b"".join(decoded))
    return entries | {order: bytes(raw_entries[order]) for order in irregular}


def _quote_amounts(body: bytes) -> bytes:
    """Put quotes around amounts that are bare numbers; return the same object if there are none."""
    return _BARE_AMOUNT.sub(rb'"\1":"\2"', body) if _BARE_AMOUNT.search(body) else body


def parse_status_fast(body: bytes, order: str) -> OrderStatus:
    """Decode the record of one order; raise one of `FAST_PATH_ERRORS` if it is irregular."""
    body = _quote_amounts(body)
    status = _STATUS_DECODER.decode(body)
    irregular, _ = _find_irregular({order: status}, body)
    if irregular:
        raise ValueError("irregular, although msgspec accepts it")
    return status


def _find_irregular(entries: Entries, text: bytes) -> tuple[list[str], bool]:
    """Return the ids of records that msgspec accepts and this library does not.

    Set the id of the other records if it was omitted. Return also whether all entries are records.
    `text` is what they were decoded from. The columns of regular records are checked all at once,
    because this runs for each status ever read: no Python function is called per record.
    """
    records: Any = entries
    has_only_records = True
    try:
        charges = [record.raw_charge or "" for record in records.values()]
    except AttributeError:  # one is the bare text of a refusal, or not decoded
        has_only_records = False
        records = {order: each for order, each in entries.items() if isinstance(each, OrderStatus)}
        charges = [record.raw_charge or "" for record in records.values()]
    have_own_ids = [record.order for record in records.values()] == list(records)
    # "extra" and "raw" have letters that nothing else in a batch has, unless they are escaped.
    may_fill_own_fields = b"x" in text or b"w" in text or b"\\" in text
    if _has_ambiguous_count(text):
        return [
            order
            for order, record in records.items()
            if not _is_regular(record, order) or _may_be_ambiguous(record)
        ], has_only_records
    if not have_own_ids or (may_fill_own_fields and not _are_own_fields_empty(records.values())):
        irregular = [order for order, record in records.items() if not _is_regular(record, order)]
        return irregular, has_only_records
    suspects = _find_unusual_amounts(charges)
    if b"[" in text:
        suspects += [index for index, record in enumerate(records.values()) if record.orders]
    if not suspects:
        return [], has_only_records
    ids = list(records)
    suspect_ids = [ids[index] for index in dict.fromkeys(suspects)]
    irregular = [order for order in suspect_ids if not _is_regular(records[order], order)]
    return irregular, has_only_records


def _has_ambiguous_count(text: bytes) -> bool:
    return _ZEROS_AFTER_POINT.search(text) is not None and _AMBIGUOUS_COUNT.search(text) is not None


def _may_be_ambiguous(record: OrderStatus) -> bool:
    counts = (record.start_count, record.remains, record.runs, record.posts)
    return any(each is not None and 0 < abs(each) <= MAX_AMBIGUOUS_COUNT for each in counts)


def _find_unusual_amounts(amounts: list[str]) -> list[int]:
    """Return the indexes of texts that are not amounts in the usual format."""
    lines = "\n".join(amounts) + "\n"
    if lines.count("\n") > len(amounts):  # one contains a line end
        return [index for index, amount in enumerate(amounts) if not _AMOUNT.fullmatch(amount)]
    unusual: list[int] = []
    start = index = 0
    # Each match ends where the next unusual line starts. It may be empty, so it is never None.
    while (end := _AMOUNT_LINES.match(lines, start).end()) < len(lines):  # type: ignore[union-attr]
        index += lines.count("\n", start, end)
        unusual.append(index)
        index += 1
        start = lines.index("\n", end) + 1
    return unusual


def _is_regular(record: OrderStatus, order: str) -> bool:
    """Return whether a record means what msgspec decoded; set its id if it was omitted."""
    try:
        assign_order_id(record, order)
        parse_ids(list(record.orders))
    except ValueError:
        return False
    if record.extra is not None or record.raw is not None:
        return False
    if record.raw_charge is None:
        return not _may_be_refusal(record)
    return _AMOUNT.fullmatch(record.raw_charge) is not None


def _may_be_refusal(record: OrderStatus) -> bool:
    """Return whether its status is a word for a failure, without any field of an order."""
    counts = (record.start_count, record.remains, record.runs, record.posts)
    return counts == (None, None, None, None) and is_failure(record.raw_status)


def parse_services_fast(body: bytes, interned: dict[str | None, str | None]) -> list[Service]:
    """Decode a list of services in C, then check what msgspec does not check.

    `interned` has the categories and types that occurred before, so that each is kept in memory
    once. Raises one of `FAST_PATH_ERRORS` if a service is irregular.
    """
    try:
        services = _SERVICES_DECODER.decode(body)
    except msgspec.ValidationError:
        quoted = _quote_amounts(body)
        if quoted is body:
            raise
        services = _SERVICES_DECODER.decode(quoted)
    if _has_ambiguous_count(body):
        raise ValueError("a minimum or maximum is either a fraction or thousands")
    rates = [service.raw_rate for service in services]
    unusual = _find_unusual_amounts([rate or "" for rate in rates])
    if any(rates[index] is not None for index in unusual):
        raise ValueError("a rate is not in the usual format")
    if not _are_own_fields_empty(services):
        raise ValueError("a field of the panel has the name of one that this library fills")
    _normalize_ids(services)
    intern = interned.setdefault
    categories = [service.category for service in services]
    types = [service.type for service in services]
    # Loops in C: `deque` with a length of 0 only consumes the iterator.
    deque(map(force_setattr, services, repeat("category"), map(intern, categories, categories)), 0)
    deque(map(force_setattr, services, repeat("type"), map(intern, types, types)), 0)
    return services


def _are_own_fields_empty(records: Iterable[OrderStatus | Service]) -> bool:
    """Return whether the panel has filled none of the fields that only this library fills."""
    return False not in [record.extra is None and record.raw is None for record in records]


def _normalize_ids(services: Sequence[Service]) -> None:
    """Make all ids texts that `parse_id` accepts; raise `ValueError` if one breaks its rules.

    They are checked as one text if they are as plain as those of most panels: letters and digits
    pass the rules except for zeros, and a text that is not less than "1" does not start with one.
    """
    ids: list[object] = [service.service for service in services]
    texts = [each for each in ids if isinstance(each, str)]
    if (
        len(texts) < len(ids)
        or not "".join(texts).isalnum()
        or min(texts) < "1"
        or max(map(len, texts)) > MAX_ID_CHARACTERS
    ):
        for service in services:
            force_setattr(service, "service", parse_id(service.service, "reply"))
