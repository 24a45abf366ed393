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


def ids_from(source: Any) -> Iterator[str] | AsyncIterator[str]:
    """Give the ids of a text file, a pipe or a terminal: what stands between blanks and commas.

    A pipe is read as it fills, so that the first ids are asked for while others still come.
    """
    try:
        is_file = stat.S_ISREG(os.fstat(source.fileno()).st_mode)
    except (OSError, io.UnsupportedOperation):
        is_file = True
    return _of_lines(source) if is_file else _of_pipe(source)


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _of_lines(lines: Any) -> Iterator[str]:
    for line in lines:
        yield from _words(line)


async def _of_pipe(pipe: Any) -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    begun = b""
    try:
        while chunk := await reader.read(CHUNK_BYTES):
            # The last word of a chunk may go on in the next one.
            whole, mark, begun = _cut(begun + chunk)
            for word in _words((whole + mark).decode(errors="replace")):
                yield word
        for word in _words(begun.decode(errors="replace")):
            yield word
    finally:
        transport.close()


def _cut(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Cut behind the last mark between two ids; what has no end by `MAX_ID_BYTES` is cut there."""
    at = max(text.rfind(mark) for mark in (b" ", b",", b"\n", b"\t", b"\r"))
    if at < 0 and len(text) < MAX_ID_BYTES:
        return b"", b"", text
    at = at if at >= 0 else len(text) - 1
    return text[:at], text[at : at + 1], text[at + 1 :]
