"""Read the fields of a request as PHP's `$_REQUEST` has them. Pure.

PHP reads the query string and the bodies of HTML forms, urlencoded and multipart; a field of the
body replaces one of the query string, and the last of equal names wins. It reads no other body.
Every value is valid Unicode text.
"""

import json
import re
from string import hexdigits
from typing import cast

__all__ = ["MAX_FIELDS", "decode_percent", "read_fields"]

MAX_FIELDS = 1000
"""The most fields of a body or query string, like PHP's own `max_input_vars`; a larger one is read
as empty."""

MAX_PART_HEAD_BYTES = 8 * 1024
"""The longest head of a part of a multipart body; a part with a longer one is not read."""

_FORM = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_JSON = ("/json", "+json")  # as Laravel recognizes it

_ESCAPE = re.compile(rb"%([0-9a-fA-F]{2})")
_BYTES = {
    (first + second).encode(): bytes.fromhex(first + second)
    for first in hexdigits
    for second in hexdigits
}
_BOUNDARY = re.compile(r';[ \t]*boundary=(?:"([^"]+)"|([^";, \t]+))', re.IGNORECASE)
_DISPOSITION = re.compile(rb"(?:^|\r\n)content-disposition:([^\r\n]*)", re.IGNORECASE)
_NAME = re.compile(rb';[ \t]*name=(?:"([^"]*)"|([^"; \t]*))', re.IGNORECASE)
_FILE_NAME = re.compile(rb";[ \t]*filename\*?=", re.IGNORECASE)


def read_fields(
    *,
    query: str,
    content_type: str,
    body: bytes,
    reads_json: bool = False,
    only_json: bool = False,
) -> dict[str, str]:
    """Return the fields of a request; values are decoded once.

    `query` is the query string as it was sent, `content_type` the whole header, "" if it is
    missing. JSON objects are read only with `reads_json` (some panels do): texts and numbers, and
    true and false as PHP's "1" and "". With `only_json` nothing else is read. Everything that is
    not understood is read as empty.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    is_json = media_type.endswith(_JSON)
    if only_json:
        return _read_json(body) if is_json else {}
    fields = _read_pairs(query.encode(errors="surrogateescape"))
    if media_type == _FORM:
        fields |= _read_pairs(body)
    elif media_type == _MULTIPART:
        fields |= _read_multipart(content_type, body)
    elif is_json and reads_json:
        fields |= _read_json(body)
    return fields


def decode_percent(encoded: bytes) -> str:
    """Return a value with `+` and percent escapes decoded; other percent signs stay.

    `urllib.parse.unquote` does the same, but takes a second and 200 times the memory for a body of
    percent signs.
    """
    return _decode(_ESCAPE.sub(_unescape, encoded.replace(b"+", b" ")))


def _unescape(found: re.Match[bytes]) -> bytes:
    return _BYTES[found[1]]


def _read_pairs(encoded: bytes) -> dict[str, str]:
    pairs = encoded.split(b"&", MAX_FIELDS)
    if len(pairs) > MAX_FIELDS:
        return {}
    # Equal signs without a name, and pairs without either, are skipped.
    split = (pair.partition(b"=") for pair in pairs)
    return {decode_percent(name): decode_percent(value) for name, _, value in split if name}


def _read_multipart(content_type: str, body: bytes) -> dict[str, str]:
    """Return the fields of a multipart body; files are left out, as in `$_REQUEST`."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        return {}
    delimiter = b"\r\n--" + (found[1] or found[2]).encode(errors="surrogateescape")
    parts = (b"\r\n" + body).split(delimiter, MAX_FIELDS + 2)
    # Before the first delimiter is a preamble; what follows the last one begins with "--".
    fields: dict[str, str] = {}
    for count, part in enumerate(parts[1:]):
        if part.startswith(b"--"):
            break
        if count == MAX_FIELDS:
            return {}
        head, _, value = part.partition(b"\r\n\r\n")
        name = _read_part_name(head)
        if name:
            fields[name] = _decode(value)
    return fields


def _read_part_name(head: bytes) -> str:
    """Return the name of a field; "" for a file or a part without a name."""
    if len(head) > MAX_PART_HEAD_BYTES:
        return ""
    disposition = _DISPOSITION.search(head)
    if disposition is None or _FILE_NAME.search(disposition[1]):
        return ""
    name = _NAME.search(disposition[1])
    return "" if name is None else _decode(name[1] or name[2] or b"")


def _read_json(body: bytes) -> dict[str, str]:
    # Numbers stay the text that was sent: no digit is lost, and a long one is not calculated.
    try:
        decoded: object = json.loads(
            _decode(body), parse_int=str, parse_float=str, parse_constant=str
        )
    except (ValueError, RecursionError):
        return {}
    if not isinstance(decoded, dict):
        return {}
    values = cast("dict[str, object]", decoded)  # an object of JSON
    if len(values) > MAX_FIELDS:
        return {}
    fields: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, bool):
            fields[_replace_surrogates(name)] = "1" if value else ""
        elif isinstance(value, str):
            fields[_replace_surrogates(name)] = _replace_surrogates(value)
    return fields


def _decode(encoded: bytes) -> str:
    return encoded.decode(errors="replace")


def _replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which JSON can contain and no encoding can express."""
    return text.encode(errors="replace").decode()
