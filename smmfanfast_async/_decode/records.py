"""One record of the panel → `OrderStatus` or `Service`, by the fast road and by the lenient one."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from operator import eq
from typing import Any, Optional, TypeVar

import msgspec
from cattrs import Converter
from msgspec.structs import force_setattr

from ..orders import checked_id
from ..results import Count, OrderStatus, Service
from .numbers import amount, count, flag, in_gate
from .refusals import is_failing
from .values import Record, id_text, is_list, lenient_json

__all__ = [
    "FAST_ROAD_REFUSALS",
    "fast_entries",
    "fast_service",
    "fast_services",
    "fast_status",
    "fast_statuses",
    "lenient_service",
    "lenient_status",
    "raw_list",
]

FAST_ROAD_REFUSALS = (msgspec.MsgspecError, ArithmeticError, RecursionError, ValueError)
"""What the fast road raises for an answer that it does not take whole."""

PLAIN_RATE_DIGITS = 20
"""A rate of up to so many plain digits needs no gate."""

T = TypeVar("T", OrderStatus, Service)


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
    return checked_id(value, "reply")


def _ids(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if not is_list(value):
        raise ValueError("not a list of ids")
    return tuple(map(_sure_id, value))


def _configured_converter() -> Converter:
    """Make the one converter of the library, with every leniency towards the panel as a hook.

    - text: null is absent, a number is its digits, anything else is unreadable
    - ids: an int or a text without comma, blank or control character; null and "" are absent
    - money and counts: through the gate of `numbers`; words such as "N/A" are absent
    - flags: 0, 1, true and their texts
    - a record: fields by the panel's names; what is unknown or unreadable goes into `extra`;
      an order's `remains` with a plus sign is negative
    """
    converter = Converter()
    kinds: tuple[tuple[Any, Callable[[object], object]], ...] = (
        (str | None, _text),
        (tuple[str, ...], _ids),
        (Decimal | None, amount),
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


def _record_hook(converter: Converter, cls: type[T]) -> Callable[[Record, type[T]], T]:
    # "name" and "category" are plain text with a default, "status" is text that must be there:
    # all of them are read as text, while the plain `str` of an id is read as an id.
    ids = {"order", "service"}
    known: dict[str, tuple[str, Any]] = {
        field.encode_name: (
            field.name,
            field.type if field.type is not str or field.name in ids else str | None,
        )
        for field in msgspec.structs.fields(cls)
        if field.name != "extra"
    }

    def structure(record: Record, _: type[T]) -> T:
        values: dict[str, Any] = {}
        extra: dict[str, object] = {}
        for key, value in record.items():
            if key not in known:
                extra[key] = value
                continue
            name, kind = known[key]
            try:
                read: object = converter.structure(
                    _signed(value) if name == "remains" else value, kind
                )
            except ValueError:
                extra[key] = value
                continue
            if read is not None:
                values[name] = read
        return cls(**values, extra=extra or None)

    return structure


def _signed(remains: object) -> object:
    # The panel's script stores what a provider gave too much with a plus sign (seen).
    is_over = isinstance(remains, str) and remains.strip().startswith("+")
    return f"-{str(remains).strip()[1:]}" if is_over else remains


_CONVERTER = _configured_converter()


def lenient_status(record: Record, order: str) -> OrderStatus:
    """Read an odd record about `order`; `ValueError` if it has no status or is of another order."""
    if not isinstance(record.get("status"), str):
        raise ValueError("no status in the answer for this order")
    found = _CONVERTER.structure(record, OrderStatus)
    return _identified(found, order)


def _identified(found: OrderStatus, order: str) -> OrderStatus:
    if found.order == "":
        # What can't be read as an id is no id left out.
        if found.extra and "order" in found.extra:
            raise ValueError("the id in the answer for this order can't be read")
        force_setattr(found, "order", order)
    elif found.order != order:
        raise ValueError(f"the answer for this order is about order {found.order}")
    return found


def lenient_service(record: Record) -> Service:
    """Read an odd service; `ValueError` if it has no usable id."""
    if _id(record.get("service")) is None:
        raise ValueError("no id")
    return _CONVERTER.structure(record, Service)


# --- the fast road -------------------------------------------------------------------------------


class _ServiceOnWire(
    msgspec.Struct, kw_only=True, gc=False, forbid_unknown_fields=True, rename=None
):
    """A service as msgspec reads it, before the rate has passed the gate."""

    # A float is no id; were it not named here, 4.99999999999999999999 would come as 5.
    service: str | int | float
    name: str | None = None
    category: str | None = None
    rate: msgspec.Raw = msgspec.Raw(b"null")
    min: Count | None = None
    max: Count | None = None
    type: str | None = None
    desc: str | None = None
    dripfeed: bool | None = None
    refill: bool | None = None
    cancel: bool | None = None


_STATUSES = msgspec.json.Decoder(dict[str, OrderStatus | str], strict=False)
_STATUS = msgspec.json.Decoder(OrderStatus, strict=False)
_SERVICES = msgspec.json.Decoder(list[_ServiceOnWire], strict=False)
_SERVICE = msgspec.json.Decoder(_ServiceOnWire, strict=False)
_RAW_MAPPING = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def raw_list(body: bytes) -> list[msgspec.Raw]:
    """Split a list into its items unread; raises one of `FAST_ROAD_REFUSALS`."""
    return _RAW_LIST.decode(body)


def fast_statuses(body: bytes) -> dict[str, OrderStatus | str]:
    """Read a whole batch, bare texts of refused ids among it, in C; check what C does not.

    Raises one of `FAST_ROAD_REFUSALS` if any record is odd; then nothing of it counts.
    """
    found = _STATUSES.decode(body)
    _check(body, found)
    return found


def fast_entries(body: bytes) -> dict[str, OrderStatus | str | bytes]:
    """Read a batch record by record, and leave the odd ones unread.

    Raises one of `FAST_ROAD_REFUSALS` if the answer is not made of entries.
    """
    unread = _RAW_MAPPING.decode(body)
    found: dict[str, OrderStatus | str] = {}
    for order, raw in unread.items():
        try:
            found[order] = _STATUS.decode(raw)
        except FAST_ROAD_REFUSALS:
            continue
    try:
        _check(b"".join(map(unread.__getitem__, found)), found)
    except FAST_ROAD_REFUSALS:
        # One of them is odd all the same: each is to be looked at by itself.
        found = {}
    return found | {order: bytes(raw) for order, raw in unread.items() if order not in found}


def fast_status(body: bytes, order: str) -> OrderStatus:
    """Read one record about `order`, as `fast_statuses` does."""
    found = _STATUS.decode(body)
    _check(body, {order: found})
    return found


def _check(body: bytes, found: Mapping[str, OrderStatus | str]) -> None:
    """Hold each record to its id, and refuse what msgspec takes for a number and we do not.

    msgspec hands the text of an amount to `Decimal`, which takes "NaN", endless exponents, digits
    of all scripts and `1_000`. Other digits need bytes beyond ASCII or an escape; an underscore has
    to be that of a name or a status word, which are counted. One loop, for a plain record no calls
    but in C: it runs for each status ever read, and is the larger half of what reading one costs.
    """
    _check_signs(body, found)
    underscores = body.count(b"_")
    for order, record in found.items():
        if isinstance(record, str):
            continue
        if record.order != order:
            _identified(record, order)
        charge = record.charge
        if charge is None:
            _check_shape(record)
        elif not in_gate(charge).is_finite():
            raise ValueError("not a finite number")
        if record.start_count is not None:
            underscores -= 1
    if underscores:
        _check_underscores(body, found)


def _check_signs(body: bytes, found: Mapping[str, OrderStatus | str]) -> None:
    if not body.isascii() or b"\\" in body:
        raise ValueError("signs that may be digits of another script")
    # "extra" is our name, and no field of the panel. A lone sign is found ten times faster.
    if b"x" in body and b'"extra"' in body:
        raise ValueError("a field that has our name")
    if b"[" in body:
        for record in _records(found):
            _ids(list(record.orders))


def _check_shape(record: OrderStatus) -> None:
    """Leave alone what may be a refusal: a word of failure, and no field of an order beside it."""
    counts = (record.start_count, record.remains, record.runs, record.posts)
    if counts == (None, None, None, None) and is_failing(record.raw_status):
        raise ValueError("an error of the call, or of the order")


def _check_underscores(body: bytes, found: Mapping[str, OrderStatus | str]) -> None:
    words = sum(record.raw_status.count("_") for record in _records(found))
    # With the colon behind it, since "start_count" may be a word too.
    if body.count(b"_") != body.count(b'"start_count":') + words:
        raise ValueError("underscores that may stand in a number")


def _records(found: Mapping[str, OrderStatus | str]) -> list[OrderStatus]:
    return [record for record in found.values() if not isinstance(record, str)]


def fast_services(body: bytes) -> list[Service]:
    """Read a whole catalogue in C, then pass the rates; raises as `fast_statuses` does."""
    shared: dict[str, str] = {}
    return [_service(each, shared) for each in _SERVICES.decode(body)]


def fast_service(body: bytes, shared: dict[str, str]) -> Service:
    """Read one service; `shared` holds the categories already met, so that each is kept once."""
    return _service(_SERVICE.decode(body), shared)


def _service(wire: _ServiceOnWire, shared: dict[str, str]) -> Service:
    category = wire.category or ""
    return Service(
        service=checked_id(wire.service, "reply"),
        name=wire.name or "",
        category=shared.setdefault(category, category),
        rate=_rate(bytes(wire.rate)),
        min=wire.min,
        max=wire.max,
        type=wire.type,
        desc=wire.desc,
        dripfeed=wire.dripfeed,
        refill=wire.refill,
        cancel=wire.cancel,
    )


def _rate(raw: bytes) -> Decimal | None:
    # The plainest form, quoted or not, is nearly every one: digits, a point, digits.
    digits = raw.strip(b'"')
    if (
        not digits.isascii()
        or len(digits) > PLAIN_RATE_DIGITS
        or not digits.replace(b".", b"", 1).isdigit()
    ):
        return amount(lenient_json(raw.decode()))
    return Decimal(digits.decode())
