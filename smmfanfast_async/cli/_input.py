"""Ids from standard input, as they come, without holding up what is under way."""

import asyncio
import io
import os
import stat
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from ..errors import InvalidOrderError
from ..orders import API_V2_ORDER_TYPES, Order

__all__ = ["ids_from", "order_of", "parse_expiry", "parse_extra", "parse_lines"]

CHUNK_BYTES = 64 * 1024
"""How much is read at a time: some thousand ids."""

MAX_ID_BYTES = 1024 * 1024
"""The longest run of bytes without a blank that is waited through for its end."""

_MARKS = (b" ", b",", b"\n", b"\t", b"\r")

_BYTE_ORDER_MARK = "\ufeff"


def ids_from(source: Any) -> Iterator[str] | AsyncIterator[str]:
    """Give the ids of a text file, a pipe or a terminal: what stands between blanks and commas.

    A pipe is read as it fills, so that the first ids are asked for while others still come. What
    is no UTF-8 is part of a wrong id rather than the end of the reading.
    """
    try:
        mode = os.fstat(source.fileno()).st_mode
    except (OSError, io.UnsupportedOperation):
        return _of_file(source)
    # An event loop can't wait for anything else, such as a file or /dev/null.
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or source.isatty():
        return _of_pipe(source)
    return _of_file(source)


class _Words:
    """Makes words of bytes that come in chunks; the last word of a chunk may go on in the next."""

    def __init__(self) -> None:
        self._begun = b""

    def of(self, chunk: bytes) -> list[str]:
        """Give the words that are whole with this chunk."""
        whole, self._begun = _cut(self._begun + chunk)
        return _split(whole)

    def last(self) -> list[str]:
        """Give the word that only the end has made whole, if there is one."""
        return _split(self._begun)


def _split(text: bytes) -> list[str]:
    words = text.decode(errors="replace").replace(_BYTE_ORDER_MARK, " ").replace(",", " ")
    return words.split()


def _cut(text: bytes) -> tuple[bytes, bytes]:
    """Cut behind the last mark between two ids; what has no end by `MAX_ID_BYTES` is cut there."""
    end = max(map(text.rfind, _MARKS)) + 1
    if end == 0 and len(text) >= MAX_ID_BYTES:
        end = len(text)
    return text[:end], text[end:]


def _of_file(file: Any) -> Iterator[str]:
    # In chunks too: all ids may stand on one line.
    source = getattr(file, "buffer", file)
    words = _Words()
    while chunk := source.read(CHUNK_BYTES):
        yield from words.of(chunk if isinstance(chunk, bytes) else chunk.encode(errors="replace"))
    yield from words.last()


async def _of_pipe(pipe: Any) -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    source = _own_terminal(pipe) if pipe.isatty() else pipe
    # Others may share the pipe: they shall find it as it was. The loop closes its own end of it.
    shared = os.dup(source.fileno())
    was_blocking = os.get_blocking(shared)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), source
    )
    words = _Words()
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            for word in words.of(chunk):
                yield word
        for word in words.last():
            yield word
    finally:
        transport.close()
        os.set_blocking(shared, was_blocking)
        os.close(shared)


def _own_terminal(terminal: Any) -> Any:
    """Open a terminal anew: what the loop sets on the one of stdin it would set on stdout too."""
    path = os.ttyname(terminal.fileno())
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOCTTY), "rb", buffering=0)


def order_of(order_type: str, options: dict[str, Any]) -> Order:
    """Build an order of a type from the options that were given.

    Raises `InvalidOrderError` for a type there is none of, an option its form has no field for,
    and a field that it needs and was not given.
    """
    if order_type not in API_V2_ORDER_TYPES:
        reason = f"is no order type; there are {', '.join(API_V2_ORDER_TYPES)}"
        raise InvalidOrderError("add", "TYPE", order_type, reason)
    cls = API_V2_ORDER_TYPES[order_type]
    given = {name: value for name, value in options.items() if value is not None}
    fields = {field.name: field for field in attrs.fields(cls)}
    for name, value in given.items():
        if name not in fields:
            known = ", ".join(
                known for known in fields if known not in {"extra", "allowed_delays_minutes"}
            )
            raise InvalidOrderError(cls.__name__, name, value, f"is no field of it; it has {known}")
    for name, field in fields.items():
        if field.default is attrs.NOTHING and name not in given:
            raise InvalidOrderError(
                cls.__name__, name, None, f"is missing: give --{name.replace('_', '-')}"
            )
    return cls(**given)


def parse_expiry(text: str | None) -> Any:
    """Read a day written as on the panel (31/12/2030) or as a program would (2030-12-31)."""
    if text is None:
        return None
    for form in ("%d/%m/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007  # a day has no time zone
        except ValueError:
            continue
    raise InvalidOrderError("SubscriptionsOrder", "expiry", text, "is no day as d/m/Y or Y-m-d")


def parse_extra(pairs: list[str] | None) -> dict[str, str] | None:
    """Read `name=value` pairs."""
    if not pairs:
        return None
    extra: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise InvalidOrderError("add", "extra", pair, "is no name=value")
        extra[name] = value
    return extra


def parse_lines(items: list[str] | None) -> list[str] | None:
    """Give the items of a list option; `@path` stands for the lines of a file."""
    if not items:
        return None
    lines: list[str] = []
    for item in items:
        if item.startswith("@") and len(items) == 1 and _is_path(item[1:]):
            lines += _lines_of(Path(item[1:]))
        else:
            lines.append(item)
    return lines


def _is_path(text: str) -> bool:
    """Whether a text is a file's path; a user's name or a comment has neither slash nor ending."""
    # Not by pathlib, which raises for a text that is too long for a name.
    is_file = os.path.isfile(text)  # noqa: PTH113
    return is_file or (" " not in text and ("/" in text or text.endswith((".txt", ".csv"))))


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        reason = f"can't be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "can't be read: it is not in UTF-8"
    raise InvalidOrderError("add", "file", str(path), reason)
