"""Every public name has a docstring, and so has each of its methods, properties and fields.

Read from the source and not from the objects: a string under a field is not stored in any object.
"""

import ast
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import pytest

import smmfanfast_async

PACKAGE = Path(smmfanfast_async.__file__).parent

BY_PATH = (
    "desk",
    "events",
    "integrations.otel",
    "integrations.prometheus",
    "integrations.pytest_plugin",
    "journal",
    "journal.sql",
    "sandbox",
)
"""Modules that are imported by their own path."""

SOURCES = {"": smmfanfast_async._MODULES} | {module: (module,) for module in BY_PATH}
"""For each module that names are imported from, where they are defined; "" is the package."""


def files_of(module: str) -> list[Path]:
    path = PACKAGE / module.replace(".", "/")
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def names_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [each.id for each in targets if isinstance(each, ast.Name)]


def is_text(node: ast.stmt | None) -> bool:
    """Return whether a statement is a bare, non-empty string."""
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and bool(str(value.value).strip())


def with_next(body: Sequence[ast.stmt]) -> Iterator[tuple[ast.stmt, ast.stmt | None]]:
    return zip(body, [*body[1:], None], strict=True)


def is_documented(node: ast.stmt, after: ast.stmt | None) -> bool:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return bool((ast.get_docstring(node) or "").strip())
    return is_text(after)


def is_documented_elsewhere(node: ast.stmt) -> bool:
    """Return whether the docstring of a member is elsewhere: an overload or a setter has it at its
    function; a class variable, such as `panel_type`, at the base class that declares it."""
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.annotation).startswith("ClassVar")
    decorators = [ast.unparse(each) for each in getattr(node, "decorator_list", [])]
    return any(each == "overload" or each.endswith(".setter") for each in decorators)


def undocumented_members(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Yield the public methods, properties and fields of a class without a docstring."""
    for node, after in with_next(body):
        is_part = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.AnnAssign)
        if is_part and not is_documented(node, after) and not is_documented_elsewhere(node):
            yield from (name for name in names_of(node) if not name.startswith("_"))


def undocumented(module_name: str) -> list[str]:
    """Return the public names of a module, and their members, without a docstring."""
    module = import_module(f"smmfanfast_async.{module_name}".rstrip("."))
    remaining = set(module.__all__)
    missing: list[str] = []
    for file in (each for source in SOURCES[module_name] for each in files_of(source)):
        for node, after in with_next(ast.parse(file.read_text(encoding="utf-8")).body):
            for name in names_of(node):
                if name not in remaining:
                    continue
                remaining.discard(name)
                missing += [] if is_documented(node, after) else [name]
                if isinstance(node, ast.ClassDef):
                    listed = ast.get_docstring(node) or ""
                    missing += [
                        f"{name}.{each}"
                        for each in undocumented_members(node.body)
                        if f"\n    {each}: " not in listed
                    ]
    return missing + sorted(f"{name}: not found" for name in remaining - {"__version__"})


@pytest.mark.parametrize("module_name", sorted(SOURCES))
def test_every_public_name_method_and_field_has_a_docstring(module_name: str) -> None:
    assert undocumented(module_name) == []


def test_every_module_has_a_docstring() -> None:
    without_docstring = [
        str(file.relative_to(PACKAGE))
        for file in PACKAGE.rglob("*.py")
        if not (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").strip()
    ]

    assert without_docstring == []
