"""A question at the terminal before money is spent."""

import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.prompt import Confirm

from ._errors import print_line

__all__ = ["confirm"]


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
            if Confirm.ask(question, console=console, default=False):
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
