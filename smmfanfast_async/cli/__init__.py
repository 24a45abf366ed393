"""The command line, `smmfanfast`: what the client can do, for people and for scripts.

Tables are for people, `--json` is for programs. Exit codes are in `_codes`.

`_commands` is the table of commands, each of which lives in `commands`; `_app` is the table as
cyclopts reads it.
"""

import codecs
import io
import logging
import os
import signal
import sys
from importlib import import_module
from types import FrameType

from .. import __version__
from ._codes import INTERRUPTED, NOT_WRITTEN, PIPE_CLOSED
from ._commands import overview

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    logging.captureWarnings(capture=True)
    prepare_streams()
    try:
        _run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read has enough, as `head` has.
        _print_no_more()
        sys.exit(PIPE_CLOSED)
    except OSError as error:
        # All else that a system can refuse is one of our own errors by now.
        _print_no_more()
        print(f"error: the answer can't be written: {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(NOT_WRITTEN)


def _print_no_more() -> None:
    """Let what Python writes at its end go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _as_ctrl_c(_: int, __: FrameType | None) -> None:
    """Take a service manager's SIGTERM for Ctrl-C: claims are given back, answers arrive."""
    signal.raise_signal(signal.SIGINT)


def _run(words: list[str]) -> None:
    # The two questions that are asked most are answered without loading anything.
    if words in ([], ["-h"], ["--help"]):
        print(overview(), flush=True)  # noqa: T201  # a command line prints
    elif words == ["--version"]:
        print(__version__, flush=True)  # noqa: T201
    else:
        signal.signal(signal.SIGTERM, _as_ctrl_c)
        import_module("._app", __name__).run(words)


IN_ASCII = {"–": "-", "…": "...", "→": "->", "✓": "+", "✗": "x", "×": "x", "•": "*"}
"""What our own signs become on a terminal that does not know them; all else becomes "?"."""

_HANDLER = "smmfanfast-in-ascii"

_MISSING = (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_WRONLY, "w"), ("stderr", os.O_WRONLY, "w"))


def prepare_streams() -> None:
    """Let no sign of a panel and no stream that the caller closed end a command with a traceback.

    A stream that is closed (`>&-`) is one to nowhere: were its number left free, the next
    connection or file would get it.
    """
    for name, flags, mode in _MISSING:
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))
    codecs.register_error(_HANDLER, _replace_in_ascii)
    for stream in (sys.stdout, sys.stderr):
        # A test or a program around us may have put anything here.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _replace_in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Give what stands for signs that an encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(IN_ASCII.get(sign, "?") for sign in signs), error.end
