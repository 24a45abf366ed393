"""The cyclopts application; the module of a command is loaded when the command is called."""

import sys

from cyclopts import App, CycloptsError

from .. import __version__
from ._codes import USAGE
from ._commands import COMMANDS, PROGRAM_SUMMARY, examples_of, help_of
from ._errors import print_line

__all__ = ["app", "run"]

app = App(
    name="smmfanfast",
    version=__version__,
    help=PROGRAM_SUMMARY,
    # Plain text, because examples contain characters that are markup in Markdown.
    help_format="plaintext",
)

for _commands in COMMANDS.values():
    for _each in _commands:
        app.command(
            f"{__package__}.commands.{_each.function}",
            name=_each.name,
            help=help_of(_each),
            help_epilogue=examples_of(_each),
        )


def run(arguments: list[str]) -> None:
    """Run a command and exit with its code; print invalid arguments as an error on one line."""
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print_line(str(error), "bold red", head="error", hint=_help_for(arguments))
        sys.exit(USAGE)


def _help_for(arguments: list[str]) -> str:
    known = {each.name for commands in COMMANDS.values() for each in commands}
    command = f"{arguments[0]} " if arguments[0] in known else ""
    return f"see smmfanfast {command}--help"
