import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from smmfanfast_async import sandbox

ROOMS = sorted(Path(sandbox.__file__).parent.glob("*.py"))


def imported(room: Path) -> Iterator[tuple[int, str]]:
    """Give (level, first name) of every import: level 0 is from outside, 1 from this package."""
    for node in ast.walk(ast.parse(room.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, (node.module or "").split(".")[0]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.stem)
def test_the_sandbox_shares_no_code_with_the_client(room: Path) -> None:
    assert all(level <= 1 and name != "smmfanfast_async" for level, name in imported(room))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.stem)
def test_only_the_server_touches_the_network_and_only_the_face_the_time(room: Path) -> None:
    outside = {name for level, name in imported(room) if level == 0}

    assert ("aiohttp" in outside, "asyncio" in outside) == (room.stem == "server",) * 2
    assert ("time" in outside) == (room.stem == "sandbox")


def test_the_public_names_are_sorted_and_there() -> None:
    assert sorted(sandbox.__all__) == sandbox.__all__
    assert {"Fault", "Sandbox", "SandboxService", "StoredOrder"} <= set(sandbox.__all__)
    assert all(hasattr(sandbox, name) for name in sandbox.__all__)
