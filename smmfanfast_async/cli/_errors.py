"""Errors of a command: the exit code, and a message on one line with a hint what to do."""

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
    ErrorKind.AUTH: "`smmfanfast doctor` shows where the key comes from",
    ErrorKind.BLOCKED: "open the panel in a browser: its bot protection stopped the call",
    ErrorKind.BUDGET: "nothing was sent; raise --max-charge to allow it",
    ErrorKind.CONFLICT: "`smmfanfast orders --ref` shows the order with this ref",
    ErrorKind.DUPLICATE: "wait until the order with this link is final",
    ErrorKind.FUNDS: "`smmfanfast balance` shows what is left",
    ErrorKind.JOURNAL: "check --journal or SMMFANFAST_JOURNAL",
    ErrorKind.MALFORMED: "check that the address is that of the API: `smmfanfast doctor` shows it",
    ErrorKind.NETWORK: "check the address: `smmfanfast doctor` shows it",
    ErrorKind.NOT_FOUND: "check that the id belongs to this account on this panel",
    ErrorKind.RATE_LIMIT: "wait a while, then try again",
    ErrorKind.SERVER: "the panel failed; try again later",
    ErrorKind.SERVICE: "`smmfanfast services` lists the services",
    ErrorKind.TIMEOUT: "the panel continues; `smmfanfast status` shows the status",
    ErrorKind.UNSUPPORTED: "use `--profile api-v2` if the panel supports more actions",
}
"""What to do about an error; messages about invalid input say it themselves."""

P = ParamSpec("P")


def exit_code(error: PanelError) -> int:
    """Return the exit code of an error."""
    for cls, code in _BY_CLASS:
        if isinstance(error, cls):
            return code
    return USAGE if error.kind in _USAGE_KINDS else REFUSED


def handle_errors(command: Callable[P, Awaitable[int]]) -> Callable[P, Awaitable[int]]:
    """Turn a PanelError of a command into a line on stderr and an exit code."""

    @wraps(command)
    async def run(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            code = await command(*args, **kwargs)
            # Flushing later, on exit, could fail where the error is not caught.
            sys.stdout.flush()
        except PanelError as error:
            print_error(error)
            return exit_code(error)
        return code

    run.__doc__ = _unwrap_paragraphs(command.__doc__ or "")
    return run


def _unwrap_paragraphs(text: str) -> str:
    """Join the lines of each paragraph of a help text, so that the terminal can wrap it."""
    lines = cleandoc(text).splitlines()
    unwrapped = lines[:1]
    for before, line in pairwise(lines):
        is_rule = "---" in (before[:3], line[:3])
        if line and before and not is_rule and _indent(line) == _indent(before):
            unwrapped[-1] += f" {line.lstrip()}"
        else:
            unwrapped.append(line)
    return "\n".join(unwrapped)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def print_line(text: str, style: str = "", *, hint: str = "", head: str = "") -> None:
    """Print a sanitized line on stderr: `head` (such as "error"), text, hint."""
    parts = [(f"{head}: ", style)] if head else []
    shown = Text.assemble(*parts, (sanitize(text), "" if head else style))
    if hint:
        shown.append(f" (hint: {hint})", style="dim")
    Console(stderr=True).print(shown, soft_wrap=True)


def print_error(error: PanelError, ref: str | None = None) -> None:
    """Print an error on one line; below it, what to do after an unknown outcome."""
    if not isinstance(error, OutcomeUnknownError):
        print_line(str(error), "bold red", head="error", hint=HINTS.get(error.kind, ""))
        return
    print_line(str(error), "bold red", head="error")
    if ref is None:
        print_line(
            "The order may have been placed: check the panel before ordering again.",
            "yellow",
        )
        return
    print_line(
        "The order may have been placed: check the panel, then record the outcome:",
        "yellow",
    )
    for fact in ("--order ID", "--not-placed"):
        command = f"smmfanfast resolve {quote(sanitize(ref))} {fact} --by NAME"
        Console(stderr=True).print(Text(f"  {command}", style="yellow"), soft_wrap=True)
