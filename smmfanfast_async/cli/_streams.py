"""The standard streams, made fit for whatever is read from them and printed to them."""

import codecs
import io
import os
import sys

__all__ = ["make_fit"]

IN_ASCII = {"–": "-", "…": "...", "→": "->", "✓": "+", "✗": "x", "×": "x", "•": "*"}
"""What our own signs become on a terminal that does not know them; all else becomes "?"."""

_HANDLER = "smmfanfast-in-ascii"

_MISSING = (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_WRONLY, "w"), ("stderr", os.O_WRONLY, "w"))


def make_fit() -> None:
    """Let no sign of a panel and no stream that the caller closed end a command with a traceback.

    A stream that is closed (`>&-`) is one to nowhere: were its number left free, the next
    connection or file would get it.
    """
    for name, flags, mode in _MISSING:
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))
    codecs.register_error(_HANDLER, _in_ascii)
    for stream in (sys.stdout, sys.stderr):
        # A test or a program around us may have put anything here.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Give what stands for signs that an encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(IN_ASCII.get(sign, "?") for sign in signs), error.end
