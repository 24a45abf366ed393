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
- `_find_unusual_amounts` checks all amounts as one text. One match per amount takes 1.3 times as
  long for a batch, 1.1 times for a catalogue.
- The usual irregular counts are rewritten as msgspec reads them (`_rewrite_counts`): reading two
  records on the lenient path takes half as long as all others together.
- A batch with another irregular record is decoded in fragments, and only the fragment that has it
  record by record. Decoding all records one by one takes 1.6 times as long.
- Charges that are JSON numbers get quotes before a batch is decoded, if the first one is a number.
- `rfind` finds a rare first character three times as fast as `find` or a regular expression.
- `_normalize_ids` checks the ids of a catalogue as one text. Calling `parse_id` for each takes 1.1
  times as long.
- Words are shared: a status kept in memory is a quarter smaller than with status words and
  currencies of its own. Categories and types of services are shared too (`interned`).
- A catalogue is decoded in fragments too, so that an irregular service costs a second decoding of
  its fragment only. This is not for speed in the regular case, which takes 3 to 6 % more time.
"""

import re
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, cast

import msgspec
from msgspec.structs import force_setattr

from ...orders import MAX_ID_CHARACTERS, parse_id
from ...results import OrderStatus, Service
from .fragments import split_fragments
from .ids import assign_order_id, parse_ids
from .numbers import PLAIN_AMOUNT, parse_amount_text
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

FRAGMENT_BYTES = 2048
"""The least size of a fragment of a batch: seventeen records, one of which may be irregular."""

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
_DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_TOO_MANY_ZEROS = b"0" * 21
_AMOUNT_LINES = re.compile(f"(?:{PLAIN_AMOUNT}\n)*+")
# A charge or rate that is a JSON number and is kept as it was written: "-0" is 0 in JSON, and one
# of many digits is not an amount. A quote without a backslash before it, followed by a name, a
# quote and a colon, is not a part of a string.
_PLAIN_NUMBER = rb"\s*((?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,20})?)"
_BARE_AMOUNT = re.compile(rb'(?<!\\)"(charge|rate)":%b(?=\s*[,}])' % _PLAIN_NUMBER)
_BARE_CHARGE = re.compile(_PLAIN_NUMBER)
_CHARGE = b'"charge":'

# A count such as "2.000", which msgspec reads as 2 (see `parse_count`). The first search is fast.
_ZEROS_AFTER_POINT = b'.000"'
_AMBIGUOUS_COUNT = re.compile(
    rb'"(?:start_count|remains|runs|posts|min|max)"\s*:\s*"-?[1-9][0-9]{0,2}[.]000"'
)
MAX_AMBIGUOUS_COUNT = 999
"""The largest count that msgspec reads from an ambiguous text."""

# The text of a count, and another one that means the same: `remains` with a plus sign is negative,
# and words for an absent number are null (seen, see `lenient`).
_COUNT_SPELLINGS = (
    (b'"remains":"+', b'"remains":"-'),
    *(
        (b'"%b":"%b"' % (name, word), b'"%b":null' % name)
        for word in (b"N/A", b"", b"Unknown")
        for name in (b"start_count", b"remains")
    ),
)


def split_entries(body: bytes) -> dict[str, bytes]:
    """Split a batch into its entries without decoding them; return {} if it cannot be split."""
    try:
        return {order: bytes(raw) for order, raw in _RAW_OBJECT_DECODER.decode(body).items()}
    except FAST_PATH_ERRORS:
        return {}


def split_items(body: bytes) -> list[bytes]:
    """Split a list into its items without decoding them; raise one of `FAST_PATH_ERRORS`."""
    return [bytes(item) for item in _RAW_LIST_DECODER.decode(body)]


def parse_entries_fast(body: bytes) -> tuple[Entries, list[str]]:
    """Decode a batch; bare texts of refused ids stay texts, irregular records stay bytes.

    Return also the ids whose entry is not a status. Raise one of `FAST_PATH_ERRORS` if the body is
    not made of entries.
    """
    entries, text = _parse_at_once(body)
    if entries is None:
        entries = _parse_in_fragments(body)
    irregular, others = _find_irregular(entries, text)
    if irregular:
        raw = _RAW_OBJECT_DECODER.decode(body)
        entries |= {order: bytes(raw[order]) for order in irregular}
        others += irregular
    return entries, others


def _parse_at_once(body: bytes) -> tuple[Entries | None, bytes]:
    """Decode entries in one step; None if one of them is irregular. Return also the text decoded.

    "+5" and "N/A" are the usual irregularities, and nothing else in a batch has their characters:
    searching for them is faster than decoding half of the batch in vain.
    """
    text = _quote_charges(body)
    for mark in (b"+", b"/"):
        if mark in text:
            text = _rewrite_records(text, mark)
            if mark in text:
                return None, text
    try:
        return cast("Entries", _BATCH_DECODER.decode(text)), text
    except FAST_PATH_ERRORS:
        return None, text


def _rewrite_records(text: bytes, mark: bytes) -> bytes:
    """Rewrite the counts of each record that contains a mark."""
    parts: list[bytes] = []
    end = 0
    while (at := text.find(mark, end)) >= 0:
        start = max(text.rfind(b"{", end, at), end)
        stop = text.find(b"}", at) + 1 or len(text)
        parts += text[end:start], _rewrite_counts(text[start:stop])
        end = stop
    return b"".join([*parts, text[end:]])


def _rewrite_counts(record: bytes) -> bytes:
    """Rewrite the usual counts that msgspec rejects, as it reads them.

    In a record nothing but the field itself has such a text: in a string its quotes are escaped,
    and a record with a name that only ends like it is rejected.
    """
    for old, new in _COUNT_SPELLINGS:
        record = record.replace(old, new)
    return record


def _parse_in_fragments(body: bytes) -> Entries:
    """Decode a batch with irregular entries; those stay bytes."""
    try:
        entries: Entries = {}
        for fragment in split_fragments(body, FRAGMENT_BYTES, brackets=b"{}"):
            entries |= _parse_at_once(fragment)[0] or _parse_each_entry(fragment)
    except FAST_PATH_ERRORS:  # it was split in a wrong place, or is not made of entries
        return _parse_each_entry(body)
    return entries


def _parse_each_entry(body: bytes) -> Entries:
    entries: Entries = {}
    for order, raw in _RAW_OBJECT_DECODER.decode(body).items():
        try:
            entries[order] = _ENTRY_DECODER.decode(raw)
        except FAST_PATH_ERRORS:
            entries[order] = _parse_rewritten(bytes(raw))
    return entries


def _parse_rewritten(entry: bytes) -> Entry:
    """Decode an entry with unusual counts or a bare amount; return it unchanged if irregular."""
    rewritten = _rewrite_counts(_quote_amounts(entry))
    try:
        return entry if rewritten == entry else cast("Entry", _ENTRY_DECODER.decode(rewritten))
    except FAST_PATH_ERRORS:
        return entry


def _quote_charges(body: bytes) -> bytes:
    """Put quotes around charges that are JSON numbers, if the first one is.

    A charge that is not a plain number, or the last value of its record, is left as it is.
    """
    first = body.find(_CHARGE)
    if first < 0 or not _BARE_CHARGE.match(body, first + len(_CHARGE)):
        return body
    start, *parts = body.split(_CHARGE)
    quoted = [start]
    for part in parts:
        number, comma, rest = part.partition(b",")
        is_plain = _BARE_CHARGE.fullmatch(number)
        quoted.append(b'"%b"%b%b' % (number.lstrip(), comma, rest) if is_plain else part)
    return _CHARGE.join(quoted)


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


def _find_irregular(entries: Entries, text: bytes) -> tuple[list[str], list[str]]:
    """Return the ids of records that msgspec accepts and this library does not, and of no records.

    Set the id of the other records if it was omitted. `text` is what they were decoded from. The
    columns of regular records are checked all at once, because this runs for each status ever read:
    no Python function is called per record.
    """
    records: Any = entries
    others: list[str] = []
    try:
        charges = [record.raw_charge or "" for record in records.values()]
    except AttributeError:  # one is the bare text of a refusal, or not decoded
        others = [order for order, each in entries.items() if each.__class__ is not OrderStatus]
        records = entries.copy()
        for order in others:
            del records[order]
        charges = [record.raw_charge or "" for record in records.values()]
    ids = list(records)
    if _has_ambiguous_count(text):
        ambiguous = {order for order, record in records.items() if _may_be_ambiguous(record)}
        return _find_odd(records, ids, ambiguous), others
    # "extra" and "raw" have letters that nothing else in a batch has, unless they are escaped.
    may_fill_own_fields = b"x" in text or b"w" in text or b"\\" in text
    if may_fill_own_fields and not _are_own_fields_empty(records.values()):
        return _find_odd(records, ids), others
    if not _assign_ids(records.values(), ids):
        return _find_odd(records, ids), others
    suspects = _find_unusual_amounts(charges)
    if b"[" in text:
        suspects += [index for index, record in enumerate(records.values()) if record.orders]
    if not suspects:
        return [], others
    return _find_odd(records, [ids[index] for index in dict.fromkeys(suspects)]), others


def _assign_ids(records: Collection[OrderStatus], ids: list[str]) -> bool:
    """Set the ids of records if they were omitted, or are numbers; return whether all are right."""
    own_ids: list[object] = [record.order for record in records]
    if own_ids == ids:
        return True
    is_omitted = own_ids.count("") == len(ids)
    if not is_omitted and [str(each) if type(each) is int else each for each in own_ids] != ids:
        return False
    deque(map(force_setattr, records, repeat("order"), ids), 0)  # a loop in C
    return True


def _find_odd(
    records: Mapping[str, OrderStatus], suspects: list[str], ambiguous: Collection[str] = ()
) -> list[str]:
    """Return those of some ids whose records are irregular."""
    return [
        order for order in suspects if order in ambiguous or not _is_regular(records[order], order)
    ]


def _has_ambiguous_count(text: bytes) -> bool:
    return text.rfind(_ZEROS_AFTER_POINT) >= 0 and _AMBIGUOUS_COUNT.search(text) is not None


def _may_be_ambiguous(record: OrderStatus) -> bool:
    counts = (record.start_count, record.remains, record.runs, record.posts)
    return any(each is not None and 0 < abs(each) <= MAX_AMBIGUOUS_COUNT for each in counts)


def _find_unusual_amounts(amounts: list[str]) -> list[int]:
    """Return the indexes of texts that are not amounts in the usual format."""
    lines = "\n".join(amounts) + "\n"
    if _are_short_amounts(lines, len(amounts)):
        return []
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


def _are_short_amounts(lines: str, count: int) -> bool:
    """Return whether each line is one point with 1 to 20 digits on both sides, as usual."""
    if not lines.isascii():
        return False
    zeros = lines.encode().translate(_DIGITS_AS_ZEROS)
    return (
        zeros.translate(None, b"0") == b".\n" * count
        and zeros.count(b"0.0") == count
        and _TOO_MANY_ZEROS not in zeros
    )


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
    try:
        # "1,234.50" and "N/A" are read here too: the rest of the record need not be read again.
        force_setattr(record, "raw_charge", parse_amount_text(record.raw_charge))
    except ValueError:
        return False
    return True


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
