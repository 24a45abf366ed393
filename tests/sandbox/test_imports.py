"""What the modules of the sandbox import, and its public names."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from smmfanfast_async import sandbox

MODULES = sorted(Path(sandbox.__file__).parent.glob("*.py"))

SERVERS = {"server", "control_server", "listening"}


def imports_of(module: Path) -> Iterator[tuple[int, str]]:
    """Yield (level, first name) of every import: level 0 is external, 1 this package."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, (node.module or "").split(".")[0]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_sandbox_shares_no_code_with_the_client(module: Path) -> None:
    assert all(level <= 1 and name != "smmfanfast_async" for level, name in imports_of(module))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_only_servers_use_the_network_and_only_sandbox_the_time(module: Path) -> None:
    external = {name for level, name in imports_of(module) if level == 0}

    assert ("aiohttp" in external, "asyncio" in external) == (module.stem in SERVERS,) * 2
    assert ("time" in external) == (module.stem == "sandbox")


def test_public_names_are_sorted_and_exist() -> None:
    assert sorted(sandbox.__all__) == sandbox.__all__
    assert {"Fault", "Sandbox", "SandboxService", "StoredOrder"} <= set(sandbox.__all__)
    assert all(hasattr(sandbox, name) for name in sandbox.__all__)
