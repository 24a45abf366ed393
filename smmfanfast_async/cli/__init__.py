"""The command line, `smmfanfast`: the features of the client for people and scripts.

Tables are for people, `--json` is for programs. The exit codes are in `_codes`.

`_commands` is the table of commands, `commands` contains their functions, and `_app` registers them
with cyclopts.
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
        # The reader closed the pipe, as `head` does.
        _discard_output()
        sys.exit(PIPE_CLOSED)
    except OSError as error:
        # Any other system error has been mapped to a PanelError before.
        _discard_output()
        print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(NOT_WRITTEN)


def _discard_output() -> None:
    """Redirect stdout to the null device: Python flushes it once more on exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(_: int, frame: FrameType | None) -> None:
    """Handle SIGTERM of a service manager as Ctrl-C: claims are released, responses awaited."""
    on_interrupt = signal.getsignal(signal.SIGINT)
    # `prepare_signals` has replaced what is not a function.
    assert callable(on_interrupt)  # noqa: S101
    on_interrupt(signal.SIGINT, frame)


def prepare_signals() -> None:
    """Handle SIGTERM, also if Ctrl-C is ignored, as a shell arranges for `smmfanfast follow &`.

    asyncio handles Ctrl-C by a function of its own only in place of Python's default one. So that
    is restored, and the signal blocked instead of ignored: it still has no effect.
    """
    if not callable(signal.getsignal(signal.SIGINT)):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _end)


def _run(arguments: list[str]) -> None:
    # Help and version are printed without loading any library.
    if arguments in ([], ["-h"], ["--help"]):
        print(overview(), flush=True)  # noqa: T201  # a command line prints
    elif arguments == ["--version"]:
        print(__version__, flush=True)  # noqa: T201
    else:
        prepare_signals()
        import_module("._app", __name__).run(arguments)


IN_ASCII = {"–": "-", "…": "...", "→": "->", "✓": "+", "✗": "x", "×": "x", "•": "*"}
"""Replacements of our own characters in an encoding without them; others become "?"."""

_HANDLER = "smmfanfast-in-ascii"

_MISSING = (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_WRONLY, "w"), ("stderr", os.O_WRONLY, "w"))


def prepare_streams() -> None:
    """Prepare the standard streams, so that no character and no closed stream raises.

    A closed stream (`>&-`) is opened on the null device: if its descriptor stayed free, the next
    connection or file would get it.
    """
    for name, flags, mode in _MISSING:
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))
    codecs.register_error(_HANDLER, _replace_in_ascii)
    for stream in (sys.stdout, sys.stderr):
        # A test or an embedding program may have replaced the stream.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _replace_in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Return the replacement of characters that an encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(IN_ASCII.get(each, "?") for each in characters), error.end
