"""Input of commands: ids without blocking, orders from options, answers to questions."""

import asyncio
import io
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
from rich.console import Console
from rich.prompt import Confirm
from rich.text import Text

from ..errors import InvalidCode, InvalidOrderError
from ..orders import API_V2_ORDER_TYPES, Order
from ._errors import print_line

__all__ = ["build_order", "confirm", "ids_from", "parse_expiry", "parse_extra", "parse_lines"]

CHUNK_BYTES = 64 * 1024
"""How much is read at a time: some thousand ids."""

MAX_ID_BYTES = 1024 * 1024
"""The longest id; a longer run of bytes without a separator is cut."""

_SEPARATORS = (b" ", b",", b"\n", b"\t", b"\r")

_BYTE_ORDER_MARK = "\ufeff"


def ids_from(source: Any) -> Iterator[str] | AsyncIterator[str]:
    """Return the ids in a text file, a pipe or a terminal, separated by white space or commas.

    A pipe is read as it fills, so that the first ids are requested while others still arrive. Bytes
    that are not UTF-8 make an invalid id, and do not stop the reading.
    """
    try:
        mode = os.fstat(source.fileno()).st_mode
    except (OSError, io.UnsupportedOperation):
        return _of_file(source)
    # An event loop cannot wait for anything else, such as a file or /dev/null.
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or source.isatty():
        return _of_pipe(source)
    return _of_file(source)


class _Words:
    """Splits chunks of bytes into words; the last word of a chunk may continue in the next."""

    def __init__(self) -> None:
        self._partial = b""

    def of(self, chunk: bytes) -> list[str]:
        """Return the words that are complete with this chunk."""
        whole, self._partial = _cut(self._partial + chunk)
        return _split(whole)

    def last(self) -> list[str]:
        """Return the word that the end of input completes, if there is one."""
        return _split(self._partial)


def _split(text: bytes) -> list[str]:
    words = text.decode(errors="replace").replace(_BYTE_ORDER_MARK, " ").replace(",", " ")
    return words.split()


def _cut(text: bytes) -> tuple[bytes, bytes]:
    """Split after the last separator; a longer word than `MAX_ID_BYTES` is cut there."""
    end = max(map(text.rfind, _SEPARATORS)) + 1
    if end == 0 and len(text) >= MAX_ID_BYTES:
        end = len(text)
    return text[:end], text[end:]


def _of_file(file: Any) -> Iterator[str]:
    # In chunks too: all ids may be on one line.
    source = getattr(file, "buffer", file)
    words = _Words()
    while chunk := source.read(CHUNK_BYTES):
        yield from words.of(chunk if isinstance(chunk, bytes) else chunk.encode(errors="replace"))
    yield from words.last()


async def _of_pipe(pipe: Any) -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    source = _own_terminal(pipe) if pipe.isatty() else pipe
    # Other processes may share the pipe, so its mode is restored. The loop closes its own end.
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
    """Open the terminal again: non-blocking mode set on stdin would apply to stdout too."""
    path = os.ttyname(terminal.fileno())
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOCTTY), "rb", buffering=0)


def build_order(order_type: str, options: dict[str, Any]) -> Order:
    """Create an order of a type from the options that were given.

    Raises `InvalidOrderError` for an unknown type, an option that is not a field of the type, and a
    required field that was not given.
    """
    if order_type not in API_V2_ORDER_TYPES:
        reason = f"is not an order type; known are {', '.join(API_V2_ORDER_TYPES)}"
        code = InvalidCode.UNSUPPORTED_TYPE
        raise InvalidOrderError("add", "TYPE", order_type, reason, code=code)
    cls = API_V2_ORDER_TYPES[order_type]
    given = {name: value for name, value in options.items() if value is not None}
    fields = {field.name: field for field in attrs.fields(cls)}
    for name, value in given.items():
        if name not in fields:
            known = ", ".join(
                known for known in fields if known not in {"extra", "allowed_delays_minutes"}
            )
            reason = f"is not a field of this type; its fields are {known}"
            code = InvalidCode.UNKNOWN_FIELD
            raise InvalidOrderError(cls.__name__, name, value, reason, code=code)
    for name, field in fields.items():
        if field.default is attrs.NOTHING and name not in given:
            reason = f"is missing: add --{name.replace('_', '-')}"
            raise InvalidOrderError(cls.__name__, name, None, reason, code=InvalidCode.MISSING)
    return cls(**given)


def parse_expiry(text: str | None) -> Any:
    """Parse a day as the panel writes it (31/12/2030) or in ISO format (2030-12-31)."""
    if text is None:
        return None
    for form in ("%d/%m/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007  # a day has no time zone
        except ValueError:
            continue
    reason = "is not a day such as 31/12/2030 or 2030-12-31"
    code = InvalidCode.NOT_A_DATE
    raise InvalidOrderError("SubscriptionsOrder", "expiry", text, reason, code=code)


def parse_extra(pairs: list[str] | None) -> dict[str, str] | None:
    """Parse `name=value` pairs."""
    if not pairs:
        return None
    extra: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise InvalidOrderError("add", "extra", pair, "is not name=value")
        extra[name] = value
    return extra


def parse_lines(items: list[str] | None) -> list[str] | None:
    """Return the items of a list option; `@path` is replaced by the lines of the file."""
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
    """Whether a text is the path of a file; user names and comments have no slash or suffix."""
    # Not by pathlib, which raises for a text that is too long for a name.
    is_file = os.path.isfile(text)  # noqa: PTH113
    return is_file or (" " not in text and ("/" in text or text.endswith((".txt", ".csv"))))


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "cannot be read: it is not in UTF-8"
    raise InvalidOrderError("add", "file", str(path), reason)


# --- questions -----------------------------------------------------------------------------------

CHOICES = (" [y/N]", "bold magenta")
"""The answers and their style; without one it is no."""


def confirm(question: str, option: str) -> bool:
    """Return whether the user answers yes; the end of input counts as no.

    Without a terminal, print which option confirms instead and return False. Ctrl-C at the question
    raises KeyboardInterrupt at once.
    """
    if not sys.stdin.isatty():
        print_line(f"nothing was sent: there is no terminal to confirm at; add {option}", "red")
        return False
    console = Console(stderr=True)
    try:
        with _interruptible():
            shown = Text.assemble(question, CHOICES)
            if Confirm.ask(
                shown, console=console, default=False, show_choices=False, show_default=False
            ):
                return True
    except EOFError:
        console.print()
    print_line("nothing was sent", "yellow")
    return False


@contextmanager
def _interruptible() -> Generator[None, None, None]:
    """Make Ctrl-C interrupt the wait for an answer.

    The event loop would deliver it at the next await, and there is none before the answer.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
