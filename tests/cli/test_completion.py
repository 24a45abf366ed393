"""`completion`: the scripts, run by the shells that they are written for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import OK
from smmfanfast_async.cli._commands import COMMANDS
from smmfanfast_async.cli.commands import completion as completion_command
from smmfanfast_async.orders import API_V2_ORDER_TYPES

BASH = """
source "$1"; shift
COMP_WORDS=(smmfanfast "$@") COMP_CWORD=$#
_smmfanfast
printf '%s\\n' "${COMPREPLY[@]}"
"""

NAMES = [command.name for commands in COMMANDS.values() for command in commands]

CASES = [
    (("",), set(NAMES)),
    (("with",), {"withdraw"}),
    (("services", "--ex"), {"--exit-code"}),
    (("add", ""), set(API_V2_ORDER_TYPES)),
    (("add", "default", "--max-"), {"--max-charge"}),
    (("balance", "--profile", "api"), {"api-v2"}),
    (("orders", "--state", "acc"), {"accepted"}),
    (("orders", "--status", "in"), {"in-progress"}),
    (("services", "--type", "subs"), {"subscriptions"}),
    (("completion", ""), {"bash", "zsh", "fish"}),
]


async def run(*args: str) -> int:
    return int(await app.run_async(list(args), result_action="return_value"))


async def write_script(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Write the script of a shell to a file, as the script itself instructs."""
    assert await run("completion", shell) == OK
    path = folder / "_smmfanfast"
    path.write_text(capsys.readouterr().out)
    return path


def output_lines(*args: str | Path) -> list[str]:
    """Run a shell and return the lines it prints."""
    result = subprocess.run(args, check=True, capture_output=True, text=True)  # noqa: S603  # ours
    assert result.stderr == ""
    return result.stdout.splitlines()


@pytest.mark.asyncio
@pytest.mark.parametrize(("args", "completions"), CASES)
async def test_bash_completes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], completions: set[str]
) -> None:
    path = await write_script("bash", tmp_path, capsys)

    assert set(output_lines("bash", "-c", BASH, "bash", path, *args)) == completions


@pytest.mark.asyncio
@pytest.mark.parametrize("option", ["--key-file", "--journal"])
async def test_bash_completes_files(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
) -> None:
    path = await write_script("bash", tmp_path, capsys)
    (tmp_path / "mine.toml").touch()
    monkeypatch.chdir(tmp_path)

    assert output_lines("bash", "-c", BASH, "bash", path, "summary", option, "mi") == ["mine.toml"]


@pytest.mark.asyncio
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_script_states_how_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    lines = (await write_script(shell, tmp_path, capsys)).read_text().splitlines()

    assert tuple(lines[1:]) > completion_command.INSTALLING[shell]
    assert any(f"smmfanfast completion {shell} >" in line for line in lines[1:6])
    assert all(name in "\n".join(lines) for name in [*NAMES, "--key-file", "api-v2"])


@pytest.mark.asyncio
async def test_zsh_script_registers_or_runs_its_function(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (await write_script("zsh", tmp_path, capsys)).read_text().splitlines()

    assert lines[0] == "#compdef smmfanfast"
    # cyclopts decides how the function is named.
    name = next(line for line in lines if line.endswith("smmfanfast() {")).removesuffix("() {")
    assert lines[-5:] == [
        f"if [[ $funcstack[1] == (_smmfanfast|{name}) ]]; then",
        f'  {name} "$@"',
        "else",
        f"  compdef {name} smmfanfast",
        "fi",
    ]


ZSH = """
autoload -Uz compinit && compinit -u -D
source "$1"
print -r -- $_comps[smmfanfast]
"""


ZSH_TWICE = """
fpath=($1 $fpath); autoload -Uz _smmfanfast
_arguments() { print asked }
_smmfanfast; _smmfanfast
"""
"""Complete twice from a folder of $fpath, without the list that only the editor can show."""


@pytest.mark.asyncio
@pytest.mark.parametrize("shell", ["zsh", "fish"])
async def test_zsh_and_fish_accept_their_scripts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    """If the shell is not installed, only the text is checked, by the tests above."""
    path = await write_script(shell, tmp_path, capsys)
    if shutil.which(shell) is None:
        return
    if shell == "zsh":
        assert output_lines("zsh", "-f", "-c", ZSH, "zsh", path)[0].endswith("smmfanfast")
        assert output_lines("zsh", "-f", "-c", ZSH_TWICE, "zsh", tmp_path) == ["asked", "asked"]
    else:
        line = f"source {path}; complete -C 'smmfanfast balance --profile api'"
        assert output_lines("fish", "--no-config", "-c", line)[0].startswith("api-v2")


@pytest.mark.asyncio
async def test_unrecognized_zsh_script_is_printed_unchanged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """cyclopts decides how the function of a script is named."""
    monkeypatch.setattr(type(app), "generate_completion", lambda _, shell: "#compdef x\nrest\n")

    assert await run("completion", "zsh") == OK

    assert capsys.readouterr().out.endswith("\nrest\n")


def test_script_can_be_sourced_from_the_command() -> None:
    """`source <(smmfanfast completion bash)` reads what a separate process prints."""
    line = f"source <({sys.executable} -m smmfanfast_async completion bash); complete -p smmfanfast"

    assert output_lines("bash", "-c", line) == ["complete -o default -F _smmfanfast smmfanfast"]
