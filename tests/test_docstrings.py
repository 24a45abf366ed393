"""Every public name says what it is, and so does each of its methods, properties and fields.

Read from the source and not from the objects: a string under a field is in no object.
"""

import ast
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import pytest

import smmfanfast_async

HOUSE = Path(smmfanfast_async.__file__).parent

BY_PATH = (
    "desk",
    "events",
    "journal",
    "otel",
    "prometheus",
    "pytest_plugin",
    "sandbox",
    "sql_journal",
)
"""Rooms that are imported by their own path."""

ROOMS = {"": ("kinds", *smmfanfast_async._ROOMS)} | {room: (room,) for room in BY_PATH}
"""For each place that names are imported from, where they are made; "" is the top."""


def files_of(room: str) -> list[Path]:
    folder = HOUSE / room
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [HOUSE / f"{room}.py"]


def names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [each.id for each in targets if isinstance(each, ast.Name)]


def is_text(node: ast.stmt | None) -> bool:
    """Whether a statement is a bare text that says something."""
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and bool(str(value.value).strip())


def with_next(body: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, ast.stmt | None]]:
    return zip(body, [*body[1:], None], strict=True)


def is_told(node: ast.stmt, after: ast.stmt | None) -> bool:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return bool((ast.get_docstring(node) or "").strip())
    return is_text(after)


def is_of_another(node: ast.stmt) -> bool:
    """Whether a part of a class is told elsewhere: an overload or a setter, where its function is;
    a variable of the class, such as `panel_type`, where a base begins it."""
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.annotation).startswith("ClassVar")
    decorators = [ast.unparse(each) for each in getattr(node, "decorator_list", [])]
    return any(each == "overload" or each.endswith(".setter") for each in decorators)


def untold(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Give the public methods, properties and fields of a class that have no text."""
    for node, after in with_next(body):
        is_part = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.AnnAssign)
        if is_part and not is_told(node, after) and not is_of_another(node):
            yield from (name for name in names_of(node) if not name.startswith("_"))


def wanting(place: str) -> list[str]:
    """Give what of a place has no docstring."""
    module = import_module(f"smmfanfast_async.{place}".rstrip("."))
    wanted = set(module.__all__)
    found: list[str] = []
    for file in (each for room in ROOMS[place] for each in files_of(room)):
        for node, after in with_next(ast.parse(file.read_text(encoding="utf-8")).body):
            for name in names_of(node):
                if name not in wanted:
                    continue
                wanted.discard(name)
                found += [] if is_told(node, after) else [name]
                if isinstance(node, ast.ClassDef):
                    listed = ast.get_docstring(node) or ""
                    found += [
                        f"{name}.{each}"
                        for each in untold(node.body)
                        if f"\n    {each}: " not in listed
                    ]
    return found + sorted(f"{name}: not found" for name in wanted - {"__version__"})


@pytest.mark.parametrize("place", sorted(ROOMS))
def test_every_public_name_method_and_field_has_a_docstring(place: str) -> None:
    assert wanting(place) == []


def test_every_room_has_a_docstring() -> None:
    silent = [
        str(file.relative_to(HOUSE))
        for file in HOUSE.rglob("*.py")
        if not (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").strip()
    ]

    assert silent == []
