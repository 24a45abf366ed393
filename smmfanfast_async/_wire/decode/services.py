"""What is on offer, and what is left on the account."""

import re
from collections.abc import Generator, Iterable, Iterator

import msgspec
from attrs import frozen
from msgspec.structs import force_setattr

from ..._text import normalize_word, raw_text
from ...profile import Profile
from ...results import Balance, Response, Service
from .answers import answer_of, check_http, object_of, shown, unreadable
from .numbers import amount
from .pieces import fragments
from .records import FAST_PATH_REFUSALS, fast_services, lenient_service, raw_list
from .refusals import error_text
from .values import is_list, is_object, lenient_json, strict_json

__all__ = ["ServiceRows", "decode_balance", "decode_services", "read_ahead"]

PIECE_BYTES = 64 * 1024
"""A catalogue is read in pieces of so many bytes, some 160 services: an odd one costs its piece a
second look, not the whole, and one piece takes a third of a millisecond, for 3 % more in all."""

FRAME_BYTES = 1024
"""How much may stand in front of a list, and behind it: a BOM, `{"status":"success","data":` (seen)
and `}` have below 50 bytes."""

_BEGIN = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\n\r]*([\[{])")
_DATA = re.compile(rb'"data"[ \t\n\r]*:[ \t\n\r]*\[')


@frozen
class ServiceRows:
    """A catalogue as it came, in the panel's order."""

    services: list[Service]
    unreadable: tuple[str, ...] = ()
    """Rows without a usable id, the first 500 characters of each, cleaned."""


class ReplyReadAhead(Response, frozen=True, kw_only=True):
    """A catalogue that has been read already, step by step."""

    rows: ServiceRows
    """What `decode_services` makes of it."""


def decode_services(reply: Response, profile: Profile, *, keep_raw: bool = False) -> ServiceRows:
    """Read the catalogue. A row that has no usable id is set aside, the others stay.

    `keep_raw` keeps with each service the piece of the answer that it was read from.
    """
    if isinstance(reply, ReplyReadAhead):
        return reply.rows
    check_http(reply, profile, "services")
    rows = _Rows(keep_raw=keep_raw)
    try:
        for piece in _pieces(reply.body):
            rows.take(piece)
    except FAST_PATH_REFUSALS:
        rows = _Rows(keep_raw=keep_raw)
        rows.take_each(_service_rows(reply, profile))
    return rows.read()


def read_ahead(reply: Response, *, keep_raw: bool = False) -> Generator[None, None, Response]:
    """Read a long catalogue in steps; return the reply with what was read in it.

    After each step, which takes less than a millisecond, others may have their turn. The reply
    comes back as it was where it has no pieces to read one by one: `decode_services` is for it.
    """
    rows = _Rows(keep_raw=keep_raw)
    try:
        if reply.status == 200:
            for piece in _pieces(reply.body):
                rows.take(piece)
                yield
            return ReplyReadAhead(**msgspec.structs.asdict(reply), rows=rows.read())
    except FAST_PATH_REFUSALS:
        pass
    return reply


def _pieces(body: bytes) -> Iterator[bytes]:
    """Cut the list of a catalogue, bare or as "data" of an object; `ValueError` for any other."""
    first = _BEGIN.match(body)
    if first is None:
        raise ValueError("neither list nor object")
    begin = first.start(1)
    if first[1] == b"[":
        return fragments(body, PIECE_BYTES, begin)
    data = _DATA.search(body, begin, FRAME_BYTES)
    end = body.rfind(b"]", max(len(body) - FRAME_BYTES, 0)) + 1
    if data is None or end <= data.end():
        raise ValueError("no list as data, or an empty one")
    # If what is around an empty list is JSON, and the list is, so are both together.
    frame = strict_json((body[begin : data.end()] + b"]" + body[end:]).decode())
    if not is_object(frame) or frame.get("data") != [] or error_text(frame) is not None:
        raise ValueError("not an answer that is well")
    return fragments(body, PIECE_BYTES, data.end() - 1, end)


class _Rows:
    """The services of a catalogue, as they are read."""

    def __init__(self, *, keep_raw: bool) -> None:
        self._keep_raw = keep_raw
        self._services: list[Service] = []
        self._odd: list[str] = []
        self._shared: dict[str | None, str | None] = {}

    def read(self) -> ServiceRows:
        return ServiceRows(self._services, tuple(self._odd))

    def take(self, body: bytes) -> None:
        """Read a list; one of `FAST_PATH_REFUSALS` if it is none."""
        try:
            services = fast_services(body, self._shared)
        except FAST_PATH_REFUSALS:
            self.take_each(raw_list(body))
            return
        if self._keep_raw:
            for service, raw in zip(services, raw_list(body), strict=True):
                force_setattr(service, "raw", raw_text(raw))
        self._services += services

    def take_each(self, rows: Iterable[object]) -> None:
        """Read rows, those that are bytes unread until here; set the unreadable ones aside."""
        for row in rows:
            try:
                self._take_one(row)
            except ValueError:
                self._odd.append(shown(row))

    def _take_one(self, row: object) -> None:
        service = self._service(row)
        if self._keep_raw:
            force_setattr(service, "raw", raw_text(row) if isinstance(row, bytes) else shown(row))
        self._services.append(service)

    def _service(self, row: object) -> Service:
        if isinstance(row, bytes):
            try:
                return fast_services(b"[%b]" % row, self._shared)[0]
            except FAST_PATH_REFUSALS:
                row = lenient_json(row.decode(errors="replace"))
        if not is_object(row):
            raise ValueError("not a service")
        return lenient_service(row)


def _service_rows(reply: Response, profile: Profile) -> Iterable[object]:
    """Give the rows of what is not cut: unread where they are well-formed."""
    try:
        return raw_list(reply.body)
    except FAST_PATH_REFUSALS:
        pass
    value = answer_of(reply, profile, "services")
    data = value.get("data", value) if is_object(value) else value
    if is_list(data):
        return data
    # "data": "Empty Data" is this panel's word for no active service (seen).
    if isinstance(data, str) and normalize_word(data) == "emptydata":
        return []
    # Keyed by id, or by place in the panel's own list (assumed): an id in the row counts first.
    if is_object(data) and any(is_object(row) for row in data.values()):
        return [{"service": key, **row} if is_object(row) else row for key, row in data.items()]
    raise unreadable(reply, "not a list of services", "services")


def decode_balance(reply: Response, profile: Profile) -> Balance:
    """Read the balance; `InvalidResponseError` where it is no number, never 0 for that."""
    answer = object_of(reply, profile, "balance")
    try:
        found = amount(answer.get("balance"))
    except ValueError:
        found = None
    if found is None:
        raise unreadable(reply, "no balance that is a number", "balance")
    currency = answer.get("currency")
    return Balance(
        balance=found,
        currency=currency if isinstance(currency, str) else None,
        raw=raw_text(reply.body),
    )
