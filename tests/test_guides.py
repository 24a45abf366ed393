"""The guides: every Python block runs, every link leads somewhere, every list is complete."""

import ast
import asyncio
import configparser
import inspect
import json
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
PACKAGE = ROOT / "smmfanfast_async"

MAX_README_LINES = 299
"""The README is an overview; details belong in a guide next to the code."""

REQUIRED = {
    "README.md",
    "CHANGELOG.md",
    ".github/CONTRIBUTING.md",
    ".github/README.ar.md",
    ".github/SECURITY.md",
    "benchmarks/README.md",
    "smmfanfast_async/README.md",
    "smmfanfast_async/cli/README.md",
    "smmfanfast_async/desk/README.md",
    "smmfanfast_async/sandbox/README.md",
    "tests/README.md",
    "tests/recipes/README.md",
    "tests/samples/README.md",
}

SEARCHED = (
    "*.md",
    ".github/*.md",
    "benchmarks/**/*.md",
    "smmfanfast_async/**/*.md",
    "tests/**/*.md",
)
"""Where guides are: not in environments, builds or caches, which contain foreign ones."""

HOMES = (ROOT, PACKAGE, ROOT / "tests")
"""Folders of the files that the guides for contributors name."""

LANGUAGES = {"python", "sh", "toml", "text", "dockerfile", "ini"}

IGNORED_MODULES = {"__pycache__", "py", "README"}
"""Entries of the package folder that are not modules; `py` is the stem of `py.typed`."""


def read(guide: str) -> str:
    return (ROOT / guide).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def is_program(block: str) -> bool:
    return "asyncio.run(" in block


def prose_of(guide: str) -> str:
    return re.sub(r"^```.*?^```$", "", read(guide), flags=re.DOTALL | re.MULTILINE)


def anchors_of(guide: str) -> set[str]:
    """Return the anchors that GitHub derives from the headings of a guide."""
    headings = re.findall(r"^#+ (.+)$", prose_of(guide), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


GUIDES = sorted({
    path.relative_to(ROOT).as_posix() for pattern in SEARCHED for path in ROOT.glob(pattern)
})  # fmt: skip
WITH_SNIPPETS = [
    guide for guide in GUIDES if not all(map(is_program, blocks(read(guide), "python")))
]
PROGRAMS = [
    pytest.param(block, id=f"{guide}-{number}")
    for guide in GUIDES
    for number, block in enumerate(filter(is_program, blocks(read(guide), "python")))
]


def test_every_guide_is_found() -> None:
    assert set(GUIDES) == REQUIRED


@pytest.mark.asyncio
@pytest.mark.parametrize("guide", WITH_SNIPPETS)
async def test_blocks_run_in_reading_order(
    guide: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    async with Sandbox(balance=Decimal(10_000), existing_orders=5) as panel:
        monkeypatch.setenv("SMMFANFAST_API_KEY", panel.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", panel.url)
        async with Client.from_env() as client:
            names: dict[str, Any] = {"client": client}
            for block in blocks(read(guide), "python"):
                if is_program(block):
                    run_imports(block, names)
                    continue
                await run_block(guide, block, names)
                if names["client"] is not client:
                    await names["client"].aclose()
                names["client"] = client


def run_imports(program: str, names: dict[str, Any]) -> None:
    """Bind the names that a program imports: the blocks after it use them too."""
    imports = [
        node for node in ast.parse(program).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    exec(compile(ast.Module(imports, []), "imports", "exec"), names)  # noqa: S102  # our own text


async def run_block(guide: str, source: str, names: dict[str, Any]) -> None:
    code = compile(source, guide, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)  # noqa: S307  # the guide's own text
    if inspect.isawaitable(result):
        await result


@pytest.mark.asyncio
@pytest.mark.parametrize("program", PROGRAMS)
async def test_program_runs_in_a_process(program: str) -> None:
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
        output, errors = await process.communicate()

        assert errors.decode() == ""
        assert output.decode().strip()
        # A program that starts its own sandbox must not use the configured panel.
        assert len(panel.orders) == ("from_env" in program)


def test_readme_is_a_front_page() -> None:
    lines = read("README.md").splitlines()
    programs = list(filter(is_program, blocks("\n".join(lines[:40]) + "\n", "python")))

    assert len(lines) <= MAX_README_LINES
    assert len(programs) == 1
    assert "from_env" not in programs[0]


def test_start_section_has_the_two_commands() -> None:
    start = read("README.md").split("\n## Start\n")[1].split("\n## ")[0]
    commands = blocks(start, "sh")

    assert "smmfanfast demo" in commands[0]
    assert "-m pytest" in commands[1]
    assert all(command.count("\n") == 1 for command in commands[:2])


@pytest.mark.parametrize("guide", GUIDES)
def test_every_link_has_a_target(guide: str) -> None:
    broken: list[str] = []
    for link in re.findall(r"\]\(([^)]+)\)", prose_of(guide)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (ROOT / guide).parent / path if path else ROOT / guide
        relative = os.path.relpath(target, ROOT)
        if not target.exists() or (anchor and anchor not in anchors_of(relative)):
            broken.append(link)

    assert broken == []


@pytest.mark.parametrize("guide", GUIDES)
def test_every_block_names_its_language(guide: str) -> None:
    fences = re.findall(r"^```(.*)$", read(guide), re.MULTILINE)

    assert set(fences[::2]) <= LANGUAGES
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize("guide", GUIDES)
def test_shell_blocks_use_existing_commands(guide: str) -> None:
    known = {each.name for group in COMMANDS.values() for each in group}
    shell = "\n".join(blocks(read(guide), "sh"))

    assert set(re.findall(r"\bsmmfanfast ([a-z]+)", shell)) <= known


def test_service_and_container_start_and_stop_alike() -> None:
    guide = read("smmfanfast_async/desk/README.md")
    (dockerfile,), (unit,) = blocks(guide, "dockerfile"), blocks(guide, "ini")
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(unit)
    steps = dict(line.split(maxsplit=1) for line in dockerfile.replace("\\\n", " ").splitlines())
    health = json.loads(steps["HEALTHCHECK"].partition(" CMD ")[2])
    start = json.loads(steps["CMD"])
    known = {each.name for group in COMMANDS.values() for each in group}

    assert health[0] == "smmfanfast"
    assert health[1] in known
    assert set(parser["Service"]["ExecStart"].split()[1:]) <= set(start)
    assert (ROOT / "tests/recipes" / f"{start[1].partition(':')[0]}.py").exists()
    assert steps["STOPSIGNAL"] == parser["Service"]["KillSignal"] == "SIGTERM"
    assert int(parser["Service"]["TimeoutStopSec"]) == 60
    assert steps["VOLUME"] == steps["WORKDIR"]
    assert "SMMFANFAST_API_KEY_FILE" in steps["ENV"]
    assert "SMMFANFAST_API_KEY_FILE" in parser["Service"]["Environment"]


def test_cli_guide_names_commands_and_exit_codes() -> None:
    guide = read("smmfanfast_async/cli/README.md")
    codes = {f"\n| {code} | " for code in MEANINGS}
    commands = {f"`{each.name}`" for group in COMMANDS.values() for each in group}

    assert {each for each in codes | commands if each not in guide} == set()


@pytest.mark.parametrize("guide", [".github/CONTRIBUTING.md", "tests/README.md"])
def test_named_files_and_folders_exist(guide: str) -> None:
    names = set(re.findall(r"`([\w./*]+(?:\.py|/))`", prose_of(guide)))
    missing = {name for name in names if not any(any(home.glob(name)) for home in HOMES)}

    assert len(names) > 10
    assert missing == set()


@pytest.mark.parametrize("guide", GUIDES)
def test_no_guide_has_a_text_like_a_real_key(guide: str) -> None:
    assert re.findall(r"[0-9a-f]{24,}", read(guide)) == []


def test_layout_lists_exactly_the_modules() -> None:
    layout = read(".github/CONTRIBUTING.md").split("\n## Layout\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| \d+ \| (.+?) \|", layout, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}
    modules = {each.stem for each in PACKAGE.iterdir()} - IGNORED_MODULES

    assert {each.split(".")[0] for each in listed} == modules
    assert {each for each in listed if not module_path(each)} == set()


def module_path(name: str) -> Path | None:
    """Return the file or folder of a module named as in `journal.sql`, None if there is none."""
    path = PACKAGE.joinpath(*name.split("."))
    return next((each for each in (path, path.with_suffix(".py")) if each.exists()), None)
