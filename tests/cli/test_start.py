"""The start of the command line: its help, and that no unneeded library is loaded."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from smmfanfast_async import cli
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import USAGE
from smmfanfast_async.cli._commands import COMMANDS, Command, overview
from smmfanfast_async.sandbox import Sandbox

ALL_COMMANDS = [command for commands in COMMANDS.values() for command in commands]

LOADED = """
import sys
from contextlib import suppress
from smmfanfast_async.cli import main
with suppress(SystemExit):
    main()
print(",".join({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest_asyncio.fixture
async def panel(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    async with Sandbox(speed=0) as sandbox:
        monkeypatch.setenv("SMMFANFAST_API_KEY", sandbox.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", sandbox.url)
        yield sandbox


async def run_and_list_packages(*args: str) -> tuple[str, set[str]]:
    """Run a command in a new process; return its output and the packages it loaded."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOADED, *args, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    return out.decode(), set(err.decode().splitlines()[-1].split(","))


@pytest.mark.asyncio
@pytest.mark.parametrize("args", [(), ("--help",), ("-h",)])
async def test_help_needs_no_library(args: tuple[str, ...]) -> None:
    shown, loaded = await run_and_list_packages(*args)

    assert shown == overview() + "\n"
    assert loaded & {"aiohttp", "sqlalchemy", "cyclopts", "rich", "attr", "msgspec", "asyncio"} == (
        set()
    )


@pytest.mark.parametrize("args", [[], ["--help"]])
def test_overview_is_printed_without_arguments(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["smmfanfast", *args])

    cli.main()

    assert capsys.readouterr().out == overview() + "\n"


@pytest.mark.asyncio
async def test_version_needs_no_library() -> None:
    shown, loaded = await run_and_list_packages("--version")

    assert shown == f"{cli.__version__}\n"
    assert loaded & {"aiohttp", "sqlalchemy", "cyclopts", "rich"} == set()


@pytest.mark.asyncio
async def test_command_without_a_journal_loads_no_database(panel: Sandbox) -> None:
    shown, loaded = await run_and_list_packages("balance", "--json")

    assert json.loads(shown)["currency"] == "USD"
    assert loaded & {"sqlalchemy", "aiosqlite"} == set()


@pytest.mark.asyncio
async def test_add_without_a_ref_loads_no_database(panel: Sandbox) -> None:
    args = ["add", "default", "--service", "5", "--link", "https://instagram.com/example"]
    shown, loaded = await run_and_list_packages(*args, "--quantity", "500", "--yes", "--json")

    assert json.loads(shown)["order"] == "1"
    assert loaded & {"sqlalchemy", "aiosqlite"} == set()


def test_overview_lists_every_command_within_80_columns() -> None:
    lines = overview().splitlines()

    assert max(map(len, lines)) <= 80
    for command in ALL_COMMANDS:
        assert f"  {command.name:<15}{command.summary}" in lines


@pytest.mark.asyncio
@pytest.mark.parametrize("command", ALL_COMMANDS, ids=lambda command: command.name)
async def test_command_help_has_examples_of_that_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setenv("COLUMNS", "160")

    await app.run_async([command.name, "--help"], result_action="return_value")

    shown = capsys.readouterr().out
    assert command.examples
    for example in command.examples:
        assert example.startswith(command.name)
        assert f"  smmfanfast {example}" in shown


@pytest.mark.parametrize(("args", "message"), [
    (["nonsense"], "nonsense"),
    (["balance", "--nonsense"], "--nonsense"),
    (["resolve", "one"], "--by"),
    (["add", "default", "--service", "5", "--quantity", "many"], "many"),
    (["balance", "\x1b[31m"], "[31m"),
])  # fmt: skip
def test_invalid_arguments_are_reported_on_one_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    message: str,
) -> None:
    """The exact text differs between releases of cyclopts."""
    monkeypatch.setattr(sys, "argv", ["smmfanfast", *args])

    with pytest.raises(SystemExit) as caught:
        cli.main()

    error = capsys.readouterr().err
    assert caught.value.code == USAGE
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert "\x1b" not in error
