"""Decode the catalogue of services, and the balance of the account."""

import re
from collections.abc import Generator, Iterable, Iterator

import msgspec
from msgspec.structs import force_setattr

from ..._text import normalize_word, raw_text
from ...profile import Profile
from ...results import Balance, Response, Service
from .fast import FAST_PATH_ERRORS, parse_services_fast, split_items
from .fragments import split_fragments
from .json_values import is_list, is_object, parse_lenient_json, parse_strict_json
from .lenient import parse_service_lenient
from .numbers import parse_amount
from .refusals import find_error_text
from .responses import (
    format_evidence,
    invalid_response,
    parse_answer,
    raise_http_error,
    unwrap_single,
)

__all__ = ["ServiceRows", "decode_balance", "decode_services", "read_ahead"]

FRAGMENT_BYTES = 64 * 1024
"""The size of the fragments in which a catalogue is decoded, some 160 services. An irregular
service costs a second decoding of its fragment, not of the whole catalogue, and a fragment takes a
third of a millisecond, for 3 to 6 % more time in all."""

FRAME_BYTES = 1024
"""The maximum size of what surrounds a list, before it and after it: a BOM,
`{"status":"success","data":` (seen) and `}` have less than 50 bytes."""

_START = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\n\r]*([\[{])")
_DATA_LIST = re.compile(rb'"data"[ \t\n\r]*:[ \t\n\r]*\[')


class ServiceRows(msgspec.Struct, frozen=True):
    """A catalogue, in the panel's order."""

    services: list[Service]
    unreadable: tuple[str, ...] = ()
    """The records without a usable id, the first 500 characters of each, sanitized."""


class ReplyReadAhead(Response, frozen=True, kw_only=True):
    """The response with a catalogue that `read_ahead` has decoded already."""

    rows: ServiceRows
    """What `decode_services` returns for it."""


def decode_services(reply: Response, profile: Profile, *, keep_raw: bool = False) -> ServiceRows:
    """Return the catalogue. A record without a usable id does not affect the others.

    `keep_raw` keeps with each service the fragment of the response that it was read from.
    """
    if isinstance(reply, ReplyReadAhead):
        return reply.rows
    raise_http_error(reply, profile, "services")
    decoder = _CatalogueDecoder(keep_raw=keep_raw)
    try:
        for fragment in _split_catalogue(reply.body):
            decoder.decode_list(fragment)
    except FAST_PATH_ERRORS:
        decoder = _CatalogueDecoder(keep_raw=keep_raw)
        decoder.decode_each(_parse_records(reply, profile))
    return decoder.result()


def read_ahead(reply: Response, *, keep_raw: bool = False) -> Generator[None, None, Response]:
    """Decode a long catalogue in steps; return the response with the decoded catalogue.

    The caller may run other tasks after each step, which takes less than a millisecond. If the
    response cannot be split into fragments, it is returned unchanged, for `decode_services`.
    """
    decoder = _CatalogueDecoder(keep_raw=keep_raw)
    try:
        if reply.status == 200:
            for fragment in _split_catalogue(reply.body):
                decoder.decode_list(fragment)
                yield
            return ReplyReadAhead(**msgspec.structs.asdict(reply), rows=decoder.result())
    except FAST_PATH_ERRORS:
        pass
    return reply


def _split_catalogue(body: bytes) -> Iterator[bytes]:
    """Split a catalogue that is a list, or an object with the list in "data", into fragments.

    Raises `ValueError` if it is neither.
    """
    match = _START.match(body)
    if match is None:
        raise ValueError("neither list nor object")
    start = match.start(1)
    if match[1] == b"[":
        return split_fragments(body, FRAGMENT_BYTES, start)
    data = _DATA_LIST.search(body, start, FRAME_BYTES)
    end = body.rfind(b"]", max(len(body) - FRAME_BYTES, 0)) + 1
    if data is None or end <= data.end():
        raise ValueError("no list in the field data, or an empty one")
    # If the object with an empty list is valid JSON, and the list is, so are both together.
    frame = parse_strict_json((body[start : data.end()] + b"]" + body[end:]).decode())
    if not is_object(frame) or frame.get("data") != [] or find_error_text(frame) is not None:
        raise ValueError("not a successful response with a list in the field data")
    return split_fragments(body, FRAGMENT_BYTES, data.end() - 1, end)


class _CatalogueDecoder:
    """Collects the services of a catalogue, fragment by fragment."""

    def __init__(self, *, keep_raw: bool) -> None:
        self._keep_raw = keep_raw
        self._services: list[Service] = []
        self._unreadable: list[str] = []
        self._interned: dict[str | None, str | None] = {}

    def result(self) -> ServiceRows:
        return ServiceRows(self._services, tuple(self._unreadable))

    def decode_list(self, body: bytes) -> None:
        """Decode a list of records; raise one of `FAST_PATH_ERRORS` if it is not a list."""
        try:
            services = parse_services_fast(body, self._interned)
        except FAST_PATH_ERRORS:
            self.decode_each(split_items(body))
            return
        if self._keep_raw:
            for service, raw in zip(services, split_items(body), strict=True):
                force_setattr(service, "raw", raw_text(raw))
        self._services += services

    def decode_each(self, records: Iterable[object]) -> None:
        """Decode records one by one, parsed ones or bytes; collect the unreadable ones."""
        for record in records:
            try:
                service = self._decode_service(record)
            except ValueError:
                self._unreadable.append(format_evidence(record))
                continue
            if self._keep_raw:
                raw = raw_text(record) if isinstance(record, bytes) else format_evidence(record)
                force_setattr(service, "raw", raw)
            self._services.append(service)

    def _decode_service(self, record: object) -> Service:
        if isinstance(record, bytes):
            try:
                return parse_services_fast(b"[%b]" % record, self._interned)[0]
            except FAST_PATH_ERRORS:
                record = parse_lenient_json(record.decode(errors="replace"))
        if not is_object(record):
            raise ValueError("not a service")
        return parse_service_lenient(record)


def _parse_records(reply: Response, profile: Profile) -> Iterable[object]:
    """Return the records of a catalogue that cannot be split: bytes if they are well-formed."""
    try:
        return split_items(reply.body)
    except FAST_PATH_ERRORS:
        pass
    answer = parse_answer(reply, profile, "services")
    data = answer.get("data", answer) if is_object(answer) else answer
    if is_list(data):
        return data
    # The panel sends "data": "Empty Data" if no service is active (seen).
    if isinstance(data, str) and normalize_word(data) == "emptydata":
        return []
    # Keyed by id, or by position in the panel's own list (assumed); a record's own id has priority.
    if is_object(data) and any(is_object(record) for record in data.values()):
        return [
            {"service": key, **record} if is_object(record) else record
            for key, record in data.items()
        ]
    raise invalid_response(reply, "not a list of services", "services")


def decode_balance(reply: Response, profile: Profile) -> Balance:
    """Return the balance; raise `InvalidResponseError` if it is not a number, never return 0."""
    answer = unwrap_single(parse_answer(reply, profile, "balance"))
    if not is_object(answer):
        raise invalid_response(reply, "not an object", "balance")
    try:
        balance = parse_amount(answer.get("balance"))
    except ValueError:
        balance = None
    if balance is None:
        raise invalid_response(reply, "the balance is missing or not a number", "balance")
    currency = answer.get("currency")
    return Balance(
        balance=balance,
        currency=currency if isinstance(currency, str) else None,
        raw=raw_text(reply.body),
    )
