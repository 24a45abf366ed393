"""How a command ends: its exit code, and an error on one line."""

import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from shlex import quote
from typing import ParamSpec

from rich.console import Console
from rich.text import Text

from .._text import cleaned
from ..errors import (
    ErrorKind,
    JournalError,
    NoReplyError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    UnsupportedActionError,
    WaitTimeoutError,
)

__all__ = [
    "JOURNAL",
    "NETWORK",
    "OK",
    "PARTLY",
    "REFUSED",
    "UNKNOWN",
    "USAGE",
    "exit_code",
    "guarded",
    "print_error",
]

OK, REFUSED, USAGE, UNKNOWN, NETWORK, PARTLY, JOURNAL = range(7)
"""Exit codes; `cli` says what each means."""

_BY_CLASS: tuple[tuple[type[PanelError], int], ...] = (
    (OutcomeUnknownError, UNKNOWN),
    (NotSentError, NETWORK),
    (NoReplyError, NETWORK),
    (WaitTimeoutError, PARTLY),
    (JournalError, JOURNAL),
    (UnsupportedActionError, USAGE),
)
_USAGE_KINDS = {ErrorKind.INVALID, ErrorKind.CONFLICT, ErrorKind.BUDGET}

P = ParamSpec("P")


def exit_code(error: PanelError) -> int:
    """Give the exit code of an error."""
    for cls, code in _BY_CLASS:
        if isinstance(error, cls):
            return code
    return USAGE if error.kind in _USAGE_KINDS else REFUSED


def guarded(command: Callable[P, Awaitable[int]]) -> Callable[P, Awaitable[int]]:
    """Turn an error of ours into a line on stderr and an exit code."""

    @wraps(command)
    async def run(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            code = await command(*args, **kwargs)
            # What is still in the buffer must not fail later, where nobody catches it.
            sys.stdout.flush()
        except PanelError as error:
            print_error(Console(stderr=True), error)
            return exit_code(error)
        return code

    return run


def print_error(console: Console, error: PanelError, ref: str | None = None) -> None:
    """Print an error on one line, and what to do after an unknown outcome on a second."""
    console.print(Text.assemble(("error: ", "bold red"), cleaned(str(error))), soft_wrap=True)
    if not isinstance(error, OutcomeUnknownError):
        return
    hint = "An order may exist. Look at the panel's list of orders before you place it again."
    if ref is not None:
        shown = quote(cleaned(ref))
        hint = (
            "An order may exist. Look at the panel's list of orders, then say what is true:\n"
            f"  smmfanfast resolve {shown} --order ID --by NAME\n"
            f"  smmfanfast resolve {shown} --not-placed --by NAME"
        )
    console.print(Text(hint, style="yellow"), soft_wrap=True)
