"""Ids from standard input, as they come, without holding up what is under way."""

import asyncio
import io
import os
import stat
from collections.abc import AsyncIterator, Iterator
from typing import Any

__all__ = ["ids_from"]

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
