"""Who may import whom: the house as two tables, held against the imports in the source."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import smmfanfast_async

HOUSE = Path(smmfanfast_async.__file__).parent

FLOORS = {
    "kinds": 0,
    "_text": 0,
    "errors": 1,
    "orders": 2,
    "results": 2,
    "profile": 3,
    "_policy": 2,
    "_batching": 2,
    "_streaming": 2,
    "_caching": 2,
    "_settings": 2,
    "_transport": 3,
    "_encode": 4,
    "_decode": 4,
    "catalogue": 3,
    "journal": 3,
    "changes": 3,
    "events": 4,
    "_telling": 5,
    "_polling": 6,
    "_gate": 3,
    "_calls": 6,
    "sql_journal": 4,
    "_statuses": 7,
    "_offers": 7,
    "client": 8,
    "desk": 9,
    "otel": 9,
    "prometheus": 9,
    "sandbox": 10,
    "cli": 11,
    "pytest_plugin": 11,
    "__init__": 12,
    "__main__": 12,
}
"""Imports of our own run downwards only."""

OUTSIDE = {
    "orders": {"attrs"},
    "results": {"msgspec"},
    "profile": {"attrs"},
    "_policy": {"attrs"},
    "_transport": {"aiohttp", "attrs", "multidict", "yarl"},
    "_encode": {"attrs"},
    "_decode": {"attrs", "cattrs", "msgspec"},
    "catalogue": {"attrs"},
    "changes": {"attrs"},
    "events": {"attrs"},
    "journal": {"attrs"},
    "sql_journal": {"attrs", "sqlalchemy"},
    "desk": {"attrs"},
    "otel": {"attrs", "opentelemetry"},
    "prometheus": {"attrs", "prometheus_client"},
    "_caching": {"attrs"},
    "_polling": {"attrs"},
    "_offers": {"attrs"},
    "_gate": {"attrs"},
    "_calls": {"attrs"},
    "client": {"attrs"},
    "sandbox": {"aiohttp", "attrs"},
    "cli": {"attrs", "cyclopts", "rich"},
    "pytest_plugin": {"attrs", "pytest"},
}
"""What a room may import that is neither ours nor the standard library's; nothing if not listed."""

PURE = {
    "kinds",
    "_text",
    "errors",
    "orders",
    "results",
    "profile",
    "_policy",
    "_encode",
    "_decode",
    "catalogue",
    "changes",
    "events",
    "journal",
}
IMPURE = {
    "asyncio",
    "aiohttp",
    "time",
    "random",
    "logging",
    "sqlite3",
    "sqlalchemy",
    "socket",
    "os",
}

DECODE_FLOORS = {
    "numbers": 0,
    "pieces": 0,
    "values": 1,
    "refusals": 2,
    "records": 3,
    "answers": 3,
    "added": 4,
    "statuses": 4,
    "services": 4,
    "refills": 4,
    "__init__": 5,
}


def files_of(room: str) -> list[Path]:
    folder = HOUSE / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [HOUSE / f"{room}.py"]


def rooms() -> set[str]:
    return {
        each.stem
        for each in HOUSE.iterdir()
        if each.suffix == ".py" or (each.is_dir() and (each / "__init__.py").exists())
    }


def imports(file: Path) -> Iterator[str]:
    """Give the full names of the modules that a file imports, ours and others'."""
    package = ["smmfanfast_async", *file.relative_to(HOUSE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield base
            # `from . import demo` names modules, not what is in them.
            yield from (f"{base}.{each.name}" for each in node.names if node.module is None)


def own_rooms(room: str) -> set[str]:
    found = {name for file in files_of(room) for name in imports(file)}
    ours = {name.split(".")[1] for name in found if name.startswith("smmfanfast_async.")}
    return (ours & rooms()) - {room}


def outside(room: str) -> set[str]:
    return {name.split(".")[0] for file in files_of(room) for name in imports(file)}


def test_every_room_has_a_floor() -> None:
    assert rooms() == set(FLOORS)


@pytest.mark.parametrize("room", sorted(FLOORS))
def test_imports_run_downwards(room: str) -> None:
    higher = {each for each in own_rooms(room) if FLOORS[each] >= FLOORS[room]}

    assert higher == set()


@pytest.mark.parametrize("room", sorted(FLOORS))
def test_outside_imports_are_those_of_the_table(room: str) -> None:

    found = outside(room) - set(sys.stdlib_module_names) - {"smmfanfast_async"}

    assert found <= OUTSIDE.get(room, set())


@pytest.mark.parametrize("room", sorted(PURE))
def test_pure_rooms_touch_neither_clock_nor_network(room: str) -> None:
    assert outside(room) & IMPURE == set()


@pytest.mark.parametrize(("library", "homes"), [
    ("aiohttp", {"_transport", "sandbox"}),
    ("cattrs", {"_decode"}),
    ("msgspec", {"_decode", "results"}),
    ("opentelemetry", {"otel"}),
    ("prometheus_client", {"prometheus"}),
])  # fmt: skip
def test_a_library_is_imported_where_it_belongs(library: str, homes: set[str]) -> None:
    assert {room for room in FLOORS if library in outside(room)} == homes


def test_encoding_and_decoding_do_not_know_each_other() -> None:
    assert "_decode" not in own_rooms("_encode")
    assert "_encode" not in own_rooms("_decode")


def test_the_sandbox_shares_no_code_with_the_client() -> None:
    assert own_rooms("sandbox") == set()


def test_no_room_of_the_client_knows_what_is_built_on_it() -> None:
    above = {room for room, floor in FLOORS.items() if floor > FLOORS["client"]}

    assert {
        room for room in FLOORS if FLOORS[room] <= FLOORS["client"] and own_rooms(room) & above
    } == set()


def test_the_parts_of_decoding_build_on_each_other_downwards() -> None:
    for file in files_of("_decode"):
        used = {name.split(".")[2] for name in imports(file) if "._decode." in name}
        higher = {each for each in used if DECODE_FLOORS[each] >= DECODE_FLOORS[file.stem]}

        assert higher == set(), file.name


def test_no_room_is_longer_than_one_purpose() -> None:
    too_long = {
        file.name: lines
        for file in HOUSE.rglob("*.py")
        if (lines := len(file.read_text().splitlines())) > 460
    }

    assert too_long == {}
