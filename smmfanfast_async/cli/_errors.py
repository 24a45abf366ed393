"""How a command ends: its exit code, and an error on one line with a hint of what to do."""

import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import cleandoc
from itertools import pairwise
from shlex import quote
from typing import ParamSpec

from rich.console import Console
from rich.text import Text

from .._text import sanitize
from ..errors import (
    ErrorKind,
    JournalError,
    NoResponseError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    UnsupportedActionError,
    WaitTimeoutError,
)
from ._codes import JOURNAL, NETWORK, PARTLY, REFUSED, UNKNOWN, USAGE

__all__ = ["exit_code", "handle_errors", "print_error", "print_line"]

_BY_CLASS: tuple[tuple[type[PanelError], int], ...] = (
    (OutcomeUnknownError, UNKNOWN),
    (NotSentError, NETWORK),
    (NoResponseError, NETWORK),
    (WaitTimeoutError, PARTLY),
    (JournalError, JOURNAL),
    (UnsupportedActionError, USAGE),
)
_USAGE_KINDS = {ErrorKind.INVALID, ErrorKind.CONFLICT, ErrorKind.BUDGET}

HINTS = {
    ErrorKind.AUTH: "`smmfanfast doctor` tells where the key comes from",
    ErrorKind.BLOCKED: "open the panel in a browser; its protection stopped the call",
    ErrorKind.BUDGET: "nothing was sent; a higher --max-charge would allow it",
    ErrorKind.CONFLICT: "`smmfanfast orders --ref` shows what this ref stands for",
    ErrorKind.DUPLICATE: "wait until the order with this link is final",
    ErrorKind.FUNDS: "`smmfanfast balance` shows what is left",
    ErrorKind.JOURNAL: "look at --journal, or SMMFANFAST_JOURNAL",
    ErrorKind.MALFORMED: "is this the address of the API? `smmfanfast doctor` shows it",
    ErrorKind.NETWORK: "`smmfanfast doctor` shows the address that is tried",
    ErrorKind.NOT_FOUND: "is the id one of this account, on this panel?",
    ErrorKind.RATE_LIMIT: "wait a while, then try again",
    ErrorKind.SERVER: "the panel failed; try again later",
    ErrorKind.SERVICE: "`smmfanfast services` shows what is on offer",
    ErrorKind.TIMEOUT: "it goes on at the panel; `smmfanfast status` shows how it stands",
    ErrorKind.UNSUPPORTED: "`--profile api-v2` stands for panels that can do more",
}
"""What to do about an error; those of wrong input say it themselves."""

P = ParamSpec("P")


def exit_code(error: PanelError) -> int:
    """Give the exit code of an error."""
    for cls, code in _BY_CLASS:
        if isinstance(error, cls):
            return code
    return USAGE if error.kind in _USAGE_KINDS else REFUSED


def handle_errors(command: Callable[P, Awaitable[int]]) -> Callable[P, Awaitable[int]]:
    """Turn an error of ours into a line on stderr and an exit code."""

    @wraps(command)
    async def run(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            code = await command(*args, **kwargs)
            # What is still in the buffer must not fail later, where nobody catches it.
            sys.stdout.flush()
        except PanelError as error:
            print_error(error)
            return exit_code(error)
        return code

    run.__doc__ = _flowing(command.__doc__ or "")
    return run


def _flowing(text: str) -> str:
    """Join the lines of each paragraph of a help text: a terminal is as wide as it is."""
    lines = cleandoc(text).splitlines()
    flowing = lines[:1]
    for before, line in pairwise(lines):
        is_rule = "---" in (before[:3], line[:3])
        if line and before and not is_rule and _indent(line) == _indent(before):
            flowing[-1] += f" {line.lstrip()}"
        else:
            flowing.append(line)
    return "\n".join(flowing)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def print_line(text: str, style: str = "", *, hint: str = "", head: str = "") -> None:
    """Print a line on stderr, cleaned; a `head` such as "error" stands before, a hint behind."""
    parts = [(f"{head}: ", style)] if head else []
    shown = Text.assemble(*parts, (sanitize(text), "" if head else style))
    if hint:
        shown.append(f" (hint: {hint})", style="dim")
    Console(stderr=True).print(shown, soft_wrap=True)


def print_error(error: PanelError, ref: str | None = None) -> None:
    """Print an error on one line, and what to do after an unknown outcome below it."""
    if not isinstance(error, OutcomeUnknownError):
        print_line(str(error), "bold red", head="error", hint=HINTS.get(error.kind, ""))
        return
    print_line(str(error), "bold red", head="error")
    if ref is None:
        print_line(
            "An order may exist. Look at the panel's list of orders before you place it again.",
            "yellow",
        )
        return
    print_line(
        "An order may exist. Look at the panel's list of orders, then say what is true:", "yellow"
    )
    for fact in ("--order ID", "--not-placed"):
        command = f"smmfanfast resolve {quote(sanitize(ref))} {fact} --by NAME"
        Console(stderr=True).print(Text(f"  {command}", style="yellow"), soft_wrap=True)
