"""One record of the panel → `OrderStatus` or `Service`, by the fast road and by the lenient one."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cache, partial
from itertools import repeat
from operator import eq
from typing import TYPE_CHECKING, Any, Optional, TypeVar

import msgspec
from msgspec.structs import force_setattr

from ...orders import MAX_ID_CHARACTERS, parse_id
from ...results import Count, OrderStatus, Service
from .numbers import PLAIN_AMOUNT, amount_text, count, flag
from .refusals import is_failing
from .values import Record, id_text, is_list

if TYPE_CHECKING:
    from cattrs import Converter

__all__ = [
    "FAST_PATH_REFUSALS",
    "fast_entries",
    "fast_services",
    "fast_status",
    "lenient_service",
    "lenient_status",
    "raw_entries",
    "raw_list",
]

FAST_PATH_REFUSALS = (msgspec.MsgspecError, ArithmeticError, RecursionError, ValueError)
"""What the fast road raises for an answer that it does not take whole."""

_OURS = ("extra", "raw")
"""Fields that are ours, and no panel's."""

_OUR_NAME = "a field of the panel with the name of ours"

T = TypeVar("T", OrderStatus, Service)

Entry = OrderStatus | str | bytes
"""A status, the bare text of a refusal, or a record that is still unread."""

Entries = dict[str, Entry]
"""A batch, by id."""


# --- the lenient road: the standard library's JSON, then cattrs ----------------------------------


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("not a text")
    return str(value)


def _id(value: object) -> str | None:
    return None if value is None or value == "" else _sure_id(value)


def _sure_id(value: object) -> str:
    if id_text(value) is None:
        raise ValueError("not an id")
    return parse_id(value, "reply")


def _ids(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not is_list(value):
        raise ValueError("not a list of ids")
    return tuple(map(_sure_id, value))


class _AmountText:
    """Stands for the text of an amount, in the table of hooks."""


class _Currency:
    """Stands for the name of a currency, in the table of hooks."""


def _currency(value: object) -> str | None:
    return None if _is_null(value) else _text(value)


@cache
def _converter() -> "Converter":
    """Make the one converter of the library, with every leniency towards the panel as a hook.

    - text: null is absent, a number is its digits, anything else is unreadable
    - ids: an int or a text without comma, blank or control character; null and "" are absent
    - money and counts: through the gate of `numbers`; words such as "N/A" are absent
    - flags: 0, 1, true and their texts
    - a record: fields by the panel's names; what is unknown or unreadable goes into `extra`;
      an order's `remains` with a plus sign is negative
    """
    # Here and not above: most programs never meet an odd record, and all of them start.
    from cattrs import Converter  # noqa: PLC0415

    converter = Converter()
    kinds: tuple[tuple[Any, Callable[[object], object]], ...] = (
        (str | None, _text),
        (tuple[str, ...], _ids),
        (_AmountText, amount_text),
        (_Currency, _currency),
        (Optional[Count], count),  # noqa: UP045  # pyright takes no | with Annotated here
        (bool | None, flag),
    )
    for kind, read in kinds:
        # By predicate, since cattrs takes only classes and unions by themselves.
        converter.register_structure_hook_func(partial(eq, kind), partial(_without_type, read))
    # A plain class has a hook of its own, which goes before any predicate.
    converter.register_structure_hook(str, partial(_without_type, _id))
    converter.register_structure_hook(OrderStatus, _record_hook(converter, OrderStatus))
    converter.register_structure_hook(Service, _record_hook(converter, Service))
    return converter


def _without_type(read: Callable[[object], object], value: object, _: object) -> object:
    return read(value)


def _record_hook(converter: "Converter", cls: type[T]) -> Callable[[Record, type[T]], T]:
    # "name" and "category" are plain text with a default, "status" is text that must be there:
    # all of them are read as text, while plain `str` stands for an id.
    special: dict[str, Any] = {"order": str, "service": str}
    special |= {"name": str | None, "category": str | None}
    special |= {"raw_status": str | None, "currency": _Currency}
    special |= {"raw_charge": _AmountText, "raw_rate": _AmountText}
    known: dict[str, tuple[str, Any, Callable[[object, Any], object]]] = {}
    for field in msgspec.structs.fields(cls):
        if field.name not in _OURS:
            kind = special.get(field.name, field.type)
            # The hook is looked up here, once: `Converter.structure` would do so for every value.
            hook = converter.get_structure_hook(kind)
            known[field.encode_name] = (field.name, kind, hook)

    def structure(record: Record, _: type[T]) -> T:
        values: dict[str, Any] = {}
        extra: dict[str, object] = {}
        for key, value in record.items():
            if key not in known:
                # On the fast road null under a name of ours, or its text, is the same as nothing.
                if key not in _OURS or not _is_null(value):
                    extra[key] = value
                continue
            name, kind, read_value = known[key]
            try:
                read = read_value(_signed(value) if name == "remains" else value, kind)
            except ValueError:
                extra[key] = value
                continue
            if read is not None:
                values[name] = read
        return cls(**values, extra=extra or None)

    return structure


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.lower() == "null")


def _signed(remains: object) -> object:
    # The panel's script stores what a provider gave too much with a plus sign (seen).
    is_over = isinstance(remains, str) and remains.strip().startswith("+")
    return f"-{str(remains).strip()[1:]}" if is_over else remains


def lenient_status(record: Record, order: str) -> OrderStatus:
    """Read an odd record about `order`; `ValueError` if it has no status or is of another order."""
    if not isinstance(record.get("status"), str):
        raise ValueError("no status in the answer for this order")
    found = _converter().structure(record, OrderStatus)
    return _identified(found, order)


def _identified(found: OrderStatus, order: str) -> OrderStatus:
    if id_text(found.order) != order:
        if found.order != "":
            raise ValueError(f"the answer for this order is about order {found.order}")
        # What can't be read as an id is no id left out.
        if found.extra and "order" in found.extra:
            raise ValueError("the id in the answer for this order can't be read")
    # It was left out, or came as a number.
    force_setattr(found, "order", order)
    return found


def lenient_service(record: Record) -> Service:
    """Read an odd service; `ValueError` if it has no usable id."""
    if _id(record.get("service")) is None:
        raise ValueError("no id")
    return _converter().structure(record, Service)


# --- the fast road -------------------------------------------------------------------------------


_STATUSES: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(
    dict[str, OrderStatus | str], strict=False
)
_ENTRY: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder(OrderStatus | str, strict=False)
_STATUS = msgspec.json.Decoder(OrderStatus, strict=False)
_SERVICES = msgspec.json.Decoder(list[Service], strict=False)
_AMOUNT = re.compile(PLAIN_AMOUNT)
_AMOUNTS = re.compile(f"(?:{PLAIN_AMOUNT}\n)*+")
# A charge or rate that came as a JSON number and is kept as it was written: "-0" is 0 to JSON, and
# one of many digits is no amount. Where a quote has no backslash before it and a name and a colon
# behind it, it is no part of a text.
_BARE_AMOUNT = re.compile(
    rb'(?<!\\)"(charge|rate)":\s*((?:0|[1-9][0-9]{0,19})(?:\.[0-9]{1,20})?)(?=\s*[,}])'
)
_RAW_MAPPING = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def raw_entries(body: bytes) -> dict[str, bytes]:
    """Split a batch into its entries unread; nothing where it can't be split."""
    try:
        return {order: bytes(raw) for order, raw in _RAW_MAPPING.decode(body).items()}
    except FAST_PATH_REFUSALS:
        return {}


def raw_list(body: bytes) -> list[bytes]:
    """Split a list into its items unread; raises one of `FAST_PATH_REFUSALS`."""
    return [bytes(item) for item in _RAW_LIST.decode(body)]


def fast_entries(body: bytes) -> tuple[Entries, bool]:
    """Read a batch, bare texts of refused ids among it; what is odd stays unread, as bytes.

    Says too whether all of them are statuses. Raises one of `FAST_PATH_REFUSALS` if the answer is
    not made of entries.
    """
    # "+5" and "N/A" are the usual oddities, and nothing else in a batch has these signs: they are
    # found sooner than by decoding half of it in vain.
    if b"+" not in body and b"/" not in body:
        try:
            found: Entries = _STATUSES.decode(body)
        except FAST_PATH_REFUSALS:
            return _parted(body), False
        odd, are_statuses = _odd_ones(found, body)
        if odd:
            unread = _RAW_MAPPING.decode(body)
            found |= {order: bytes(unread[order]) for order in odd}
        return found, are_statuses and not odd
    return _parted(body), False


def _parted(body: bytes) -> Entries:
    """Read a batch in which some entry is odd, entry by entry."""
    unread = _RAW_MAPPING.decode(body)
    read = _ENTRY.decode
    found: Entries = {}
    plain: list[msgspec.Raw] = []
    for order, raw in unread.items():
        try:
            found[order] = read(raw)
        except FAST_PATH_REFUSALS:
            found[order] = bytes(raw)
        else:
            plain.append(raw)
    if not plain and (texts := _with_texts(body)) is not body:
        quoted = _parted(texts)
        return {
            order: found[order] if isinstance(entry, bytes) else entry
            for order, entry in quoted.items()
        }
    odd, _ = _odd_ones(found, b"".join(plain))
    return found | {order: bytes(unread[order]) for order in odd}


def _with_texts(body: bytes) -> bytes:
    """Put quotes around amounts that came as bare numbers; the same object if there are none."""
    return _BARE_AMOUNT.sub(rb'"\1":"\2"', body) if _BARE_AMOUNT.search(body) else body


def fast_status(body: bytes, order: str) -> OrderStatus:
    """Read one record about `order`, as `fast_entries` does."""
    body = _with_texts(body)
    found = _STATUS.decode(body)
    odd, _ = _odd_ones({order: found}, body)
    if odd:
        raise ValueError("odd in a way that msgspec takes")
    return found


def _odd_ones(found: Entries, text: bytes) -> tuple[list[str], bool]:
    """Give the records that msgspec takes and we do not; hold all others to their ids.

    Says too whether all that was found are records. `text` is what they were read from. Plain
    records are looked at field by field, all of them at once: no call of Python is made for one of
    them, since this runs for each status ever read.
    """
    rows: Any = found
    are_records = True
    try:
        charges = [record.raw_charge or "" for record in rows.values()]
    except AttributeError:  # one is the bare text of a refusal, or unread
        are_records = False
        rows = {order: each for order, each in found.items() if isinstance(each, OrderStatus)}
        charges = [record.raw_charge or "" for record in rows.values()]
    are_named = [record.order for record in rows.values()] == list(rows)
    # "extra" and "raw" have signs that nothing else in a batch has, unless they are coded.
    may_have_ours = b"x" in text or b"w" in text or b"\\" in text
    if not are_named or (may_have_ours and not _have_nothing_of_ours(rows.values())):
        odd = [order for order, record in rows.items() if not _is_plain(record, order)]
        return odd, are_records
    unusual = _unusual(charges)
    if b"[" in text:
        unusual += [place for place, record in enumerate(rows.values()) if record.orders]
    if not unusual:
        return [], are_records
    orders = list(rows)
    suspects = [orders[place] for place in dict.fromkeys(unusual)]
    return [order for order in suspects if not _is_plain(rows[order], order)], are_records


def _unusual(charges: list[str]) -> list[int]:
    """Give the places of charges that are no amounts as they are usually written."""
    lines = "\n".join(charges) + "\n"
    if lines.count("\n") > len(charges):  # one has a line end in it
        return [place for place, charge in enumerate(charges) if not _AMOUNT.fullmatch(charge)]
    unusual: list[int] = []
    begin = place = 0
    # Each match ends where the next unusual line begins; it may be empty, so there always is one.
    while (end := _AMOUNTS.match(lines, begin).end()) < len(lines):  # type: ignore[union-attr]
        place += lines.count("\n", begin, end)
        unusual.append(place)
        place += 1
        begin = lines.index("\n", end) + 1
    return unusual


def _is_plain(record: OrderStatus, order: str) -> bool:
    """Whether a record means what msgspec made of it; hold it to its id."""
    try:
        _identified(record, order)
        _ids(list(record.orders))
    except ValueError:
        return False
    if record.extra is not None or record.raw is not None:
        return False
    if record.raw_charge is None:
        return not _may_be_a_refusal(record)
    return _AMOUNT.fullmatch(record.raw_charge) is not None


def _may_be_a_refusal(record: OrderStatus) -> bool:
    """Whether it is a word of failure with no field of an order beside it."""
    counts = (record.start_count, record.remains, record.runs, record.posts)
    return counts == (None, None, None, None) and is_failing(record.raw_status)


def fast_services(body: bytes, shared: dict[str | None, str | None]) -> list[Service]:
    """Read a list of services in C, then check what C does not; raises as `fast_entries` does.

    `shared` holds the categories and types already met, so that each is kept once.
    """
    try:
        rows = _SERVICES.decode(body)
    except msgspec.ValidationError:
        texts = _with_texts(body)
        if texts is body:
            raise
        rows = _SERVICES.decode(texts)
    rates = [row.raw_rate for row in rows]
    if any(rates[place] is not None for place in _unusual([rate or "" for rate in rates])):
        raise ValueError("not an amount as it is usually written")
    if not _have_nothing_of_ours(rows):
        raise ValueError(_OUR_NAME)
    _check_ids(rows)
    share = shared.setdefault
    categories, kinds = [row.category for row in rows], [row.type for row in rows]
    deque(map(force_setattr, rows, repeat("category"), map(share, categories, categories)), 0)
    deque(map(force_setattr, rows, repeat("type"), map(share, kinds, kinds)), 0)
    return rows


def _have_nothing_of_ours(rows: Iterable[OrderStatus | Service]) -> bool:
    """Whether no panel has filled a field that is ours."""
    return False not in [row.extra is None and row.raw is None for row in rows]


def _check_ids(rows: Sequence[Service]) -> None:
    """Hold all ids to the rule of `parse_id`: at once, if they are as plain as those of a panel.

    Letters and digits pass the rule, but for zeros; texts from "1" on do not begin with one.
    """
    ids: list[object] = [row.service for row in rows]
    texts = [each for each in ids if isinstance(each, str)]
    if (
        len(texts) < len(ids)
        or not "".join(texts).isalnum()
        or min(texts) < "1"
        or max(map(len, texts)) > MAX_ID_CHARACTERS
    ):
        for row in rows:
            force_setattr(row, "service", parse_id(row.service, "reply"))
