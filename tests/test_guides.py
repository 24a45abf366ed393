"""The README runs: each Python block against a sandbox, whole programs in a process."""

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import smmfanfast_async
from smmfanfast_async import Client
from smmfanfast_async.cli._codes import MEANINGS
from smmfanfast_async.cli._commands import COMMANDS
from smmfanfast_async.sandbox import Sandbox

ROOT = Path(smmfanfast_async.__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
PROGRAMS = [block for block in BLOCKS if "asyncio.run(" in block]
SNIPPETS = [block for block in BLOCKS if "asyncio.run(" not in block]


@pytest.mark.asyncio
async def test_every_block_runs_in_the_readers_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    async with Sandbox(balance=Decimal(10_000), existing_orders=5) as panel:
        monkeypatch.setenv("SMMFANFAST_API_KEY", panel.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", panel.url)
        async with Client.from_env() as client:
            names: dict[str, Any] = {"client": client}
            for snippet in SNIPPETS:
                await run_block(snippet, names)
                made = names["client"]
                if made is not client:
                    await made.aclose()
                names["client"] = client


async def run_block(source: str, names: dict[str, Any]) -> None:
    code = compile(source, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)  # noqa: S307  # the README's own text
    if inspect.isawaitable(result):
        await result


@pytest.mark.asyncio
@pytest.mark.parametrize("program", PROGRAMS)
async def test_every_program_runs_by_itself(program: str) -> None:
    async with Sandbox() as panel:
        environment = {
            **os.environ,
            "SMMFANFAST_API_KEY": panel.api_key,
            "SMMFANFAST_BASE_URL": panel.url,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-W", "error", "-c", program,
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        printed, errors = await process.communicate()

        assert errors.decode() == ""
        assert printed.decode().strip()
        assert len(panel.orders) == 1


def test_the_start_section_has_the_two_commands() -> None:
    start = README.split("## Start")[1].split("\n## ")[0]
    commands = re.findall(r"^```sh\n(.*?)^```$", start, re.DOTALL | re.MULTILINE)

    assert "smmfanfast demo" in commands[0]
    assert "-m pytest" in commands[1]
    assert all(command.count("\n") == 1 for command in commands[:2])


def test_every_link_leads_somewhere() -> None:
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    # As GitHub names them.
    anchors = {"#" + re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}
    links = [each for each in re.findall(r"\]\(([^)]+)\)", prose) if "://" not in each]

    assert [each for each in links if each.startswith("#") and each not in anchors] == []
    assert [each for each in links if not each.startswith("#") and not (ROOT / each).exists()] == []


def test_every_command_and_exit_code_is_named() -> None:
    section = README.split("\n## From the command line")[1].split("\n## ")[0]
    codes = {f"\n| {code} | " for code in MEANINGS}
    commands = {f"`{each.name}`" for group in COMMANDS.values() for each in group}

    assert {each for each in codes | commands if each not in section} == set()


def test_no_block_holds_what_looks_like_a_real_key() -> None:
    assert re.findall(r"[0-9a-f]{24,}", README) == []


def test_the_house_in_the_readme_names_every_room() -> None:
    house = README.split("## How it is built")[1].split("```")[1]
    rooms = {
        each.stem
        for each in (ROOT / "smmfanfast_async").iterdir()
        if each.suffix == ".py" or (each.is_dir() and each.name != "__pycache__")
    }

    assert {room for room in rooms if room not in house} == set()
