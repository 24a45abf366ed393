"""`completion`: a script for a shell that completes commands, options and fixed values."""

import re
import sys
from typing import Literal

from .._app import app
from .._codes import OK
from .._commands import COMMANDS
from .._errors import handle_errors

__all__ = ["INSTALLING", "completion"]

INSTALLING = {
    "bash": (
        "# To enable it in every bash: with the package bash-completion,",
        "#   mkdir -p ~/.local/share/bash-completion/completions",
        "#   smmfanfast completion bash > ~/.local/share/bash-completion/completions/smmfanfast",
        "# without that package, once:",
        "#   echo 'source <(smmfanfast completion bash)' >> ~/.bashrc",
    ),
    "zsh": (
        "# To enable it in every zsh, in a folder of $fpath:",
        "#   mkdir -p ~/.zfunc && smmfanfast completion zsh > ~/.zfunc/_smmfanfast",
        "# and in ~/.zshrc:",
        "#   fpath+=~/.zfunc; autoload -Uz compinit && compinit",
    ),
    "fish": (
        "# To enable it in every fish:",
        "#   smmfanfast completion fish > ~/.config/fish/completions/smmfanfast.fish",
    ),
}
"""How to install each script; part of the script."""


@handle_errors
async def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Run `smmfanfast completion`.

    Parameters
    ----------
    shell
        The shell.
    """
    # zsh reads the first line, `#compdef`, so the instructions come after it.
    for name in (each.name for commands in COMMANDS.values() for each in commands):
        # Loads the command; some releases of cyclopts omit commands that are not loaded.
        app[name]
    script = app.generate_completion(shell=shell)
    first, _, rest = script.partition("\n")
    sys.stdout.write("\n".join((first, *INSTALLING[shell], rest, *_last_lines(shell, script))))
    return OK


def _last_lines(shell: str, script: str) -> tuple[str, ...]:
    """Return the lines that bash and zsh need in addition."""
    function = re.search(r"^(_\w+)\(\)", script, re.MULTILINE)
    if shell == "fish" or function is None:
        return ()
    name = function[1]
    if shell == "bash":
        # If there is nothing to offer, bash completes files: --profile accepts a name or a file.
        return (f"complete -o default -F {name} smmfanfast", "")
    return (
        # From $fpath, the file itself is the function that zsh calls for each completion.
        f"if [[ $funcstack[1] == (_smmfanfast|{name}) ]]; then",
        f'  {name} "$@"',
        "else",
        f"  compdef {name} smmfanfast",
        "fi",
        "",
    )
