"""The command line as cyclopts reads it; a command is loaded when it is called."""

import sys

from cyclopts import App, CycloptsError
from rich.console import Console
from rich.text import Text

from .. import __version__
from .._text import cleaned
from ._commands import COMMANDS, HOW, examples_of
from ._ending import USAGE

__all__ = ["app", "run"]

app = App(
    name="smmfanfast",
    version=__version__,
    help=f"An SMM panel from the command line.\n\n{HOW}",
    # Texts are shown as they are written: examples hold signs that markdown would take for its own.
    help_format="plaintext",
)

for _commands in COMMANDS.values():
    for _each in _commands:
        app.command(
            f"{__package__}.commands.{_each.function}",
            name=_each.name,
            help_epilogue=examples_of(_each),
        )


def run(words: list[str]) -> None:
    """Carry out what was typed, and leave with its exit code; wrong words are said on a line."""
    try:
        app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        said = Text.assemble(("error: ", "bold red"), cleaned(str(error)))
        Console(stderr=True).print(said, soft_wrap=True)
        sys.exit(USAGE)
