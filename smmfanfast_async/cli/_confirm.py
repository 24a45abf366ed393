"""A question to the person at the terminal, before money is spent."""

import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.prompt import Confirm

from ._errors import print_line

__all__ = ["agrees"]


def agrees(question: str, option: str) -> bool:
    """Ask for a yes; without a terminal, say which option stands for it. An end of input is a no.

    Ctrl-C at the question ends the command at once, as KeyboardInterrupt.
    """
    if not sys.stdin.isatty():
        print_line(f"nothing was sent: there is no terminal to ask at; add {option}", "red")
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
    """Let Ctrl-C end the wait for an answer.

    An event loop takes it as a wish to be told at the next await, and none comes before the answer.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
