"""The examples in the help of each command, executed by bash as they are written."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.command import command

from smmfanfast_async.cli import _commands
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import OK, PARTLY, REFUSED, UNKNOWN
from smmfanfast_async.cli._commands import COMMANDS
from smmfanfast_async.sandbox import Fault, Sandbox

ADD = ["add", "default", "--service", "5", "--quantity", "500", "--yes"]
LINK = "https://instagram.com/before"

EXAMPLES = [
    example
    for commands in COMMANDS.values()
    for command in commands
    for example in command.examples
]
ENDLESS = {example for example in EXAMPLES if example.split()[0] in {"sandbox", "follow"}} - {
    "follow --until-final"
}
AT_ONCE = [example for example in EXAMPLES if example not in ENDLESS]

DEADLINE_S = 120.0
"""Maximum seconds for an example."""

OTHER_CODES = {
    "status 32 33 34": PARTLY,
    "status - --json < ids.txt": PARTLY,
    "watch 32 33": PARTLY,
    "watch 32 --timeout 600 --json": PARTLY,
    "services --diff catalogue.json --exit-code": REFUSED,
    "refill 32 33 --profile api-v2 --yes": PARTLY,
    "refill-status 7 8 --profile api-v2": PARTLY,
    "cancel 32 33 --profile api-v2 --yes": PARTLY,
    "cancel --ref invoice-77 --by ann --profile api-v2 --yes": REFUSED,
    "cancel - --profile api-v2 --yes --json < ids.txt": PARTLY,
}
"""Exit codes of examples whose subject does not exist in the prepared state."""


PANELS = """\
account = "shop"
[panels.alpha]
base_url = "{}"
key_env = "SMMFANFAST_API_KEY"
[products.likes]
alpha = 5
"""


@pytest_asyncio.fixture
async def panel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A panel, and a folder with what the examples read."""
    async with Sandbox(speed=0) as sandbox:
        home = tmp_path / "home"
        home.mkdir()
        write(home / ".smmfanfast-key", sandbox.api_key)
        write(tmp_path / "ids.txt", "32 33\n34\n")
        write(tmp_path / "lines.txt", "one\ntwo\nthree\nfour\nfive\n")
        write(tmp_path / "panel.toml", f'base_url = "{sandbox.url}"\n')
        write(tmp_path / "panels.toml", PANELS.format(sandbox.url))
        for name, value in {
            "SMMFANFAST_API_KEY": sandbox.api_key,
            "SMMFANFAST_BASE_URL": sandbox.url,
            "SMMFANFAST_JOURNAL": str(tmp_path / "orders.db"),
            "HOME": str(home),
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        yield sandbox


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


async def run(*args: str) -> int:
    return int(await app.run_async(list(args), result_action="return_value"))


async def start_example(
    example: str, command: str = f"{sys.executable} -m smmfanfast_async"
) -> asyncio.subprocess.Process:
    """Start an example in bash, in its own process group."""
    command = f'smmfanfast() {{ {command} "$@"; }}\nsmmfanfast {example}'
    return await asyncio.create_subprocess_exec(
        "bash", "-c", command, env={**os.environ, "COLUMNS": "100"}, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


async def prepare(panel: Sandbox, example: str) -> None:
    """Create the orders and files that an example refers to."""
    command = example.split(maxsplit=1)[0]
    if command in {"resolve", "retry"}:
        panel.fail_next(Fault.EMPTY, action="add")
        assert await run(*ADD, "--link", LINK, "--ref", "invoice-77") == UNKNOWN
    if command in {"requests", "resolve-request"} or example.startswith("cancel --ref"):
        assert await run(*ADD, "--link", LINK, "--ref", "invoice-77") == OK
    if command in {"requests", "resolve-request"}:
        panel.fail_next(Fault.DROP_AFTER, action="cancel")
        lost = "cancel --ref invoice-77 --by ann --profile api-v2 --yes"
        assert await run(*lost.split()) == UNKNOWN
    if command == "retry":
        assert await run("resolve", "invoice-77", "--not-placed", "--by", "ann") == OK
        panel.finish_all()
    if command in {"orders", "summary", "unknown", "follow", "health"}:
        assert await run(*ADD, "--link", LINK, "--ref", "invoice-1") == OK
        panel.finish_all()
    if "--diff" in example:
        assert await run("services", "--save", "catalogue.json") == OK
        path = Path("catalogue.json")
        path.write_text(path.read_text().replace('"rate": "1.02"', '"rate": "1.00"'))  # noqa: ASYNC240


@pytest.mark.asyncio
@pytest.mark.parametrize("example", [
    each for each in AT_ONCE if not each.startswith(("withdraw", "demo", "follow"))
])  # fmt: skip
async def test_help_example_succeeds(panel: Sandbox, example: str) -> None:
    await prepare(panel, example)
    process = await start_example(
        example if "--yes" in example or "add" not in example else f"{example} --yes", command()
    )

    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()

    assert "Traceback" not in err.decode()
    assert (process.returncode, err.decode()) == (OTHER_CODES.get(example, OK), err.decode())
    assert out or err or ">" in example or "unknown" in example


@pytest.mark.asyncio
async def test_follow_examples_stop_on_ctrl_c(panel: Sandbox) -> None:
    examples = [each for each in ENDLESS if each.startswith("follow")]
    assert examples
    for example in examples:
        await run(*ADD, "--link", LINK, "--ref", "invoice-1")
        process = await start_example(example)
        assert process.stdout is not None
        assert await process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        async with asyncio.timeout(DEADLINE_S):
            await process.communicate()

        assert process.returncode in {OK, 130}


@pytest.mark.parametrize("example", [each for each in EXAMPLES if each not in AT_ONCE])
def test_endless_example_is_parsed(example: str) -> None:
    command, bound, _ = app.parse_args(example.split())

    assert command.__name__ == example.split(maxsplit=1)[0]
    assert len(bound.arguments) >= len(example.split()) // 3


def test_example_lines_fit_80_columns() -> None:
    lines = [
        line
        for commands in COMMANDS.values()
        for each in commands
        for line in _commands.examples_of(each).splitlines()
    ]

    assert max(map(len, lines)) <= 80
