"""The command line as cyclopts reads it; a command is loaded when it is called."""

import sys

from cyclopts import App, CycloptsError

from .. import __version__
from ._codes import USAGE
from ._commands import COMMANDS, HOW, examples_of
from ._errors import print_line

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
        print_line(str(error), "bold red", head="error", hint=_help_for(words))
        sys.exit(USAGE)


def _help_for(words: list[str]) -> str:
    known = {each.name for commands in COMMANDS.values() for each in commands}
    command = f"{words[0]} " if words[0] in known else ""
    return f"see smmfanfast {command}--help"
