"""The command line, `smmfanfast`: what the client can do, for people and for scripts.

Tables are for people, `--json` is for programs. Exit codes: 0 done; 1 the panel refused or failed;
2 wrong input or settings, nothing sent; 3 an order's outcome is unknown; 4 the panel was not
reached or gave no answer, or an order is not sent yet; 5 some of the ids have errors, or are not
final in time; 6 the journal of orders can't be written or read, nothing sent.

`_commands` is the table of commands, each of which lives in `commands`; `_app` is the table as
cyclopts reads it.
"""

import logging
import os
import sys
from importlib import import_module

from .. import __version__
from ._commands import overview

__all__ = ["main"]

INTERRUPTED, PIPE_CLOSED = 130, 141
"""Exit codes as a shell gives them for the signals of Ctrl-C and of a reader who is gone."""


def main() -> None:
    """Run the command line."""
    logging.captureWarnings(capture=True)
    try:
        _run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read has enough, as `head` has; what Python writes at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PIPE_CLOSED)


def _run(words: list[str]) -> None:
    # The two questions that are asked most are answered without loading anything.
    if words in ([], ["-h"], ["--help"]):
        print(overview(), flush=True)  # noqa: T201  # a command line prints
    elif words == ["--version"]:
        print(__version__, flush=True)  # noqa: T201
    else:
        import_module("._app", __name__).run(words)
