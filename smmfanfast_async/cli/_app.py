"""The command line as cyclopts reads it; a command is loaded when it is called."""

from cyclopts import App

from .. import __version__
from ._commands import COMMANDS, HOW, examples_of

__all__ = ["app"]

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
