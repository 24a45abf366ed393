"""What is on offer, and what is left on the account."""

from collections.abc import Iterable

from attrs import frozen

from .._text import same_word
from ..profile import Profile
from ..results import Balance, Reply, Service
from .answers import answer_of, check_http, object_of, shown, unreadable
from .numbers import amount
from .records import FAST_ROAD_REFUSALS, fast_service, fast_services, lenient_service, raw_list
from .values import is_list, is_object, lenient_json

__all__ = ["ServiceRows", "decode_balance", "decode_services"]


@frozen
class ServiceRows:
    """A catalogue as it came, in the panel's order."""

    services: list[Service]
    unreadable: tuple[str, ...] = ()
    """Rows without a usable id, the first 500 characters of each, cleaned."""


def decode_services(reply: Reply, profile: Profile) -> ServiceRows:
    """Read the catalogue. A row that has no usable id is set aside, the others stay."""
    try:
        if reply.status == 200:
            return ServiceRows(fast_services(reply.body))
    except FAST_ROAD_REFUSALS:
        pass
    check_http(reply, profile, "services")
    services: list[Service] = []
    odd: list[str] = []
    shared: dict[str, str] = {}
    for row in _service_rows(reply, profile):
        try:
            services.append(_service_of(row, shared))
        except ValueError:
            odd.append(shown(row))
    return ServiceRows(services, tuple(odd))


def _service_rows(reply: Reply, profile: Profile) -> Iterable[object]:
    """Give the rows, unread where they are well-formed."""
    try:
        return [bytes(row) for row in raw_list(reply.body)]
    except FAST_ROAD_REFUSALS:
        pass
    value = answer_of(reply, profile, "services")
    data = value.get("data", value) if is_object(value) else value
    if is_list(data):
        return data
    # "data": "Empty Data" is this panel's word for no active service (seen).
    if isinstance(data, str) and same_word(data) == "emptydata":
        return []
    # Keyed by id, or by place in the panel's own list (assumed): an id in the row counts first.
    if is_object(data) and any(is_object(row) for row in data.values()):
        return [{"service": key, **row} if is_object(row) else row for key, row in data.items()]
    raise unreadable(reply, "not a list of services", "services")


def _service_of(row: object, shared: dict[str, str]) -> Service:
    if isinstance(row, bytes):
        try:
            return fast_service(row, shared)
        except FAST_ROAD_REFUSALS:
            row = lenient_json(row.decode(errors="replace"))
    if not is_object(row):
        raise ValueError("not a service")
    return lenient_service(row)


def decode_balance(reply: Reply, profile: Profile) -> Balance:
    """Read the balance; `UnreadableReplyError` where it is no number, never 0 for that."""
    answer = object_of(reply, profile, "balance")
    try:
        found = amount(answer.get("balance"))
    except ValueError:
        found = None
    if found is None:
        raise unreadable(reply, "no balance that is a number", "balance")
    currency = answer.get("currency")
    return Balance(balance=found, currency=currency if isinstance(currency, str) else None)
