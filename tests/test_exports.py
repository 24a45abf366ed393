"""What `import smmfanfast_async` provides, and what it does not load."""

import inspect
import subprocess
import sys
from importlib.metadata import version

import pytest

import smmfanfast_async
from smmfanfast_async import errors, orders, profile, results

PUBLIC = sorted(name for name in smmfanfast_async.__all__ if name != "__version__")


def test_all_is_sorted_and_complete() -> None:
    assert sorted(smmfanfast_async.__all__) == sorted(set(smmfanfast_async.__all__))
    assert all(hasattr(smmfanfast_async, name) for name in smmfanfast_async.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_class_and_function_has_a_docstring(name: str) -> None:
    value = getattr(smmfanfast_async, name)
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return

    assert (value.__doc__ or "").strip()
    for attribute, member in vars(value).items() if inspect.isclass(value) else ():
        if inspect.isfunction(member) and not attribute.startswith("_"):
            assert member.__doc__, f"{name}.{attribute}"


@pytest.mark.parametrize("module", [errors, orders, results])
def test_user_facing_classes_are_exported_at_the_top(module: object) -> None:
    classes = {name for name, each in vars(module).items() if inspect.isclass(each)}
    exported = {name for name in classes & set(module.__all__) if name != "Response"}

    assert exported <= set(smmfanfast_async.__all__)


def test_profiles_are_public() -> None:
    assert {"SMMFANFAST", "API_V2", "Profile"} <= set(profile.__all__)


def test_version_is_that_of_the_package() -> None:
    assert smmfanfast_async.__version__ == version("smmfanfast_async")


def test_import_does_not_load_sandbox_cli_or_database() -> None:
    code = "import sys, smmfanfast_async; print([n for n in sys.modules])"
    loaded = subprocess.run(  # noqa: S603  # this interpreter, and code from this file
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    for name in (
        "smmfanfast_async.sandbox",
        "smmfanfast_async.cli",
        "rich",
        "cyclopts",
        "sqlalchemy",
        "opentelemetry",
        "prometheus_client",
    ):
        assert f"'{name}'" not in loaded


def test_names_and_modules_are_loaded_on_first_use() -> None:
    code = (
        "import smmfanfast_async as s; "
        "print(s.errors.PanelError is s.PanelError, sorted(s.__all__) == dir(s), hasattr(s, 'No'))"
    )
    found = subprocess.run(  # noqa: S603  # this interpreter, and code from this file
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    assert found.split() == ["True", "True", "False"]
    assert smmfanfast_async.__getattr__("errors") is errors
    assert dir(smmfanfast_async) == sorted(smmfanfast_async.__all__)
