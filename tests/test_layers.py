"""The layers of DESIGN: which module may import which, checked on the source."""

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import smmfanfast_async

PACKAGE = Path(smmfanfast_async.__file__).parent

LAYERS = {
    "_amounts": 0,
    "_clock": 0,
    "_text": 0,
    "_serialization": 1,
    "errors": 1,
    "_refusals": 2,
    "_secrets": 2,
    "orders": 2,
    "results": 2,
    "_settings": 3,
    "profile": 3,
    "catalogue": 3,
    "changes": 3,
    "journal": 4,
    "events": 4,
    "refusal_texts": 4,
    "_wire.transport": 4,
    "_wire.encode": 4,
    "_wire.decode": 4,
    "journal.sql": 5,
    "_engine": 5,
    "client": 6,
    "desk": 7,
    "integrations.otel": 8,
    "integrations.prometheus": 8,
    "sandbox": 9,
    "cli": 10,
    "integrations.pytest_plugin": 10,
    "__main__": 11,
    "__init__": 11,
}
"""Modules import only from layers below their own."""

THIRD_PARTY = {
    "_serialization": {"attrs", "pydantic", "pydantic_core", "typing_extensions"},
    "orders": {"attrs"},
    "results": {"msgspec"},
    "profile": {"attrs"},
    "catalogue": {"attrs", "msgspec"},
    "changes": {"msgspec"},
    "events": {"msgspec"},
    "journal": {"attrs"},
    "journal.sql": {"attrs", "msgspec", "sqlalchemy"},
    "_wire.transport": {"aiohttp", "multidict", "yarl"},
    "_wire.encode": {"attrs"},
    "_wire.decode": {"cattrs", "msgspec"},
    "_engine": {"attrs"},
    "desk": {"attrs"},
    "integrations.otel": {"attrs", "opentelemetry"},
    "integrations.prometheus": {"attrs", "prometheus_client"},
    "integrations.pytest_plugin": {"attrs", "pytest"},
    "sandbox": {"aiohttp", "attrs"},
    "cli": {"attrs", "cyclopts", "msgspec", "rich"},
}
"""Third-party imports of a module; none if it is not listed."""

HOMES = {
    "aiohttp": {"_wire.transport", "sandbox"},
    "cattrs": {"_wire.decode"},
    "msgspec": {"_wire.decode", "catalogue", "changes", "cli", "events", "journal.sql", "results"},
    "sqlalchemy": {"journal.sql"},
    "opentelemetry": {"integrations.otel"},
    "pydantic": {"_serialization"},
    "pydantic_core": {"_serialization"},
    "prometheus_client": {"integrations.prometheus"},
}
"""Libraries that only these modules import."""

PURE = {
    "_amounts",
    "_serialization",
    "_text",
    "_refusals",
    "errors",
    "orders",
    "results",
    "profile",
    "refusal_texts",
    "catalogue",
    "changes",
    "events",
    "journal",
    "_wire.encode",
    "_wire.decode",
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

ENGINE_LAYERS = {
    "policy": 0,
    "cache": 0,
    "waiters": 0,
    "coalescer": 1,
    "streaming": 0,
    "event_log": 0,
    "id_keys": 0,
    "replays": 0,
    "failed_batches": 1,
    "instrumentation": 1,
    "limiter": 1,
    "polling": 2,
    "order_send": 2,
    "runner": 3,
    "statuses": 4,
    "catalogue_cache": 4,
    "api_v2_calls": 4,
    "client_core": 5,
    "__init__": 6,
}
DECODE_LAYERS = {
    "numbers": 0,
    "fragments": 0,
    "json_values": 1,
    "ids": 2,
    "refusals": 2,
    "fast": 3,
    "lenient": 3,
    "responses": 3,
    "add_outcome": 4,
    "statuses": 4,
    "services": 4,
    "api_v2": 4,
    "__init__": 5,
}

MAX_LINES = 480
"""A longer module has more than one purpose."""

MAX_ERROR_LINES = 600
"""`errors` holds the whole exception tree in one file, with the words for its kinds and codes."""

CONTAINERS = {"_wire/__init__.py", "integrations/__init__.py"}
"""Folders that only group modules: a docstring and nothing else."""


def module_of(file: Path) -> str:
    """Return the entry of `LAYERS` that a file belongs to."""
    name = ".".join(file.relative_to(PACKAGE).with_suffix("").parts)
    return entry_of(name)


def entry_of(name: str) -> str:
    found = [each for each in LAYERS if name == each or name.startswith(f"{each}.")]
    assert found, f"{name} has no layer"
    return max(found, key=len)


def files_of(module: str) -> list[Path]:
    return [file for file in all_files() if module_of(file) == module]


def all_files() -> list[Path]:
    files = sorted(PACKAGE.rglob("*.py"))
    return [file for file in files if str(file.relative_to(PACKAGE)) not in CONTAINERS]


@functools.cache
def imports(file: Path) -> tuple[str, ...]:
    """Return the full name of each module, or name in a module, that a file imports."""
    return tuple(_imports(file))


def _imports(file: Path) -> Iterator[str]:
    package = ["smmfanfast_async", *file.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            # `from . import demo` names a module, `from .demo import x` what is in it.
            yield from (
                [f"{base}.{each.name}" for each in node.names] if node.module is None else [base]
            )


def own_imports(module: str) -> set[str]:
    names = {name for file in files_of(module) for name in imports(file)}
    ours = {name.split(".", 1)[1] for name in names if name.startswith("smmfanfast_async.")}
    # Names that the package itself defines, such as `__version__`, belong to no module.
    entries = {each.split(".")[0] for each in LAYERS} | {"_wire", "integrations"}
    return {entry_of(name) for name in ours if name.split(".")[0] in entries} - {module}


def foreign_imports(module: str) -> set[str]:
    names = {name.split(".")[0] for file in files_of(module) for name in imports(file)}
    return names - {"smmfanfast_async"}


def test_every_module_has_a_layer() -> None:
    assert {module_of(file) for file in all_files()} == set(LAYERS)


def test_package_has_about_twenty_entries() -> None:
    entries = [each for each in PACKAGE.iterdir() if each.suffix == ".py" or each.is_dir()]
    entries = [each for each in entries if each.name != "__pycache__"]

    assert len(entries) <= 25


@pytest.mark.parametrize("module", sorted(LAYERS))
def test_imports_run_downwards(module: str) -> None:
    assert {each for each in own_imports(module) if LAYERS[each] >= LAYERS[module]} == set()


@pytest.mark.parametrize("module", sorted(LAYERS))
def test_third_party_imports_are_listed(module: str) -> None:
    found = foreign_imports(module) - set(sys.stdlib_module_names)

    assert found <= THIRD_PARTY.get(module, set())


@pytest.mark.parametrize("module", sorted(PURE))
def test_pure_modules_touch_neither_clock_nor_network(module: str) -> None:
    assert foreign_imports(module) & IMPURE == set()


def test_retry_policy_is_pure() -> None:
    policy = PACKAGE / "_engine" / "policy.py"

    assert {name.split(".")[0] for name in imports(policy)} & IMPURE == set()


@pytest.mark.parametrize("library", sorted(HOMES))
def test_libraries_are_imported_in_one_place(library: str) -> None:
    assert {module for module in LAYERS if library in foreign_imports(module)} == HOMES[library]


def test_encode_and_decode_do_not_know_each_other() -> None:
    assert "_wire.decode" not in own_imports("_wire.encode")
    assert "_wire.encode" not in own_imports("_wire.decode")


def test_client_imports_no_journal() -> None:
    assert own_imports("client") & {"journal", "journal.sql"} == set()


def test_sandbox_shares_no_code_with_the_client() -> None:
    assert own_imports("sandbox") == set()


@pytest.mark.parametrize(("package", "layers"), [
    ("_engine", ENGINE_LAYERS),
    ("_wire.decode", DECODE_LAYERS),
])  # fmt: skip
def test_parts_of_a_package_import_downwards(package: str, layers: dict[str, int]) -> None:
    prefix = f"smmfanfast_async.{package}."
    for file in files_of(package):
        used = {name.removeprefix(prefix) for name in imports(file) if name.startswith(prefix)}

        assert {each for each in used if layers[each] >= layers[file.stem]} == set(), file.name


def test_no_module_is_too_long() -> None:
    lengths = {str(file): len(file.read_text().splitlines()) for file in all_files()}

    assert lengths.pop(str(PACKAGE / "errors.py")) <= MAX_ERROR_LINES
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}
