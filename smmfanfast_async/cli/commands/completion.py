"""`completion`: what lets a shell complete the commands, their options and fixed values."""

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
        "# To have it in every bash: with the package bash-completion,",
        "#   mkdir -p ~/.local/share/bash-completion/completions",
        "#   smmfanfast completion bash > ~/.local/share/bash-completion/completions/smmfanfast",
        "# without that package, once:",
        "#   echo 'source <(smmfanfast completion bash)' >> ~/.bashrc",
    ),
    "zsh": (
        "# To have it in every zsh, in a folder of $fpath:",
        "#   mkdir -p ~/.zfunc && smmfanfast completion zsh > ~/.zfunc/_smmfanfast",
        "# and in ~/.zshrc:",
        "#   fpath+=~/.zfunc; autoload -Uz compinit && compinit",
    ),
    "fish": (
        "# To have it in every fish:",
        "#   smmfanfast completion fish > ~/.config/fish/completions/smmfanfast.fish",
    ),
}
"""How each script is put into its place; it stands in the script."""


@handle_errors
async def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print a script that lets a shell complete commands, options and their fixed values.

    It says at its begin how to install it. For this shell alone: source <(smmfanfast completion
    bash)

    Parameters
    ----------
    shell
        Which shell.
    """
    # zsh looks at the first line for what the file is for, so ours come behind it.
    for name in (each.name for commands in COMMANDS.values() for each in commands):
        # Loaded by being named; some releases of cyclopts write nothing of one that is not.
        app[name]
    script = app.generate_completion(shell=shell)
    # Where it has nothing to offer, bash offers files: a profile may be a name or a file.
    script = script.replace("\ncomplete -F ", "\ncomplete -o default -F ")
    first, _, rest = script.partition("\n")
    sys.stdout.write("\n".join((first, *INSTALLING[shell], rest, *_last_lines(shell, script))))
    return OK


def _last_lines(shell: str, script: str) -> tuple[str, ...]:
    """Give what makes a zsh script work from a folder of $fpath and by `source` alike."""
    function = re.search(r"^(_\w+)\(\)", script, re.MULTILINE)
    if shell != "zsh" or function is None:
        return ()
    name = function[1]
    return (
        # As a completion the file is a function of its own name, each time it is called.
        f"if [[ $funcstack[1] == (_smmfanfast|{name}) ]]; then",
        f'  {name} "$@"',
        "else",
        f"  compdef {name} smmfanfast",
        "fi",
        "",
    )
