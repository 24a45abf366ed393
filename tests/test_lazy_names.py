"""Names that are loaded on first use are visible to people and tools like any others."""

import rlcompleter
import subprocess
import sys

import pytest

import smmfanfast_async
from smmfanfast_async import orders


def output_of(code: str) -> str:
    """Run code in a new interpreter that has not loaded this package; return its output."""
    return subprocess.run(  # noqa: S603  # this interpreter, and code from this file
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_star_import_binds_every_public_name() -> None:
    names = output_of("from smmfanfast_async import *; print(*sorted(globals()))").split()

    assert set(smmfanfast_async.__all__) <= set(names)
    assert not {"import_module", "logging", "TYPE_CHECKING"} & set(names)


INVALID = ("Code", "OrderError", "ResponseError", "SettingsError")


@pytest.mark.parametrize(
    ("start", "names"),
    [
        ("Cli", ["s.Client("]),
        ("InvalidO", ["s.InvalidOrderError("]),
        ("Inval", [f"s.Invalid{each}(" for each in INVALID]),
    ],
)
def test_tab_completes_names_that_are_not_loaded_yet(start: str, names: list[str]) -> None:
    code = (
        "import rlcompleter, smmfanfast_async as s\n"
        "complete = rlcompleter.Completer({'s': s}).complete\n"
        f"print(*iter(lambda indexes=iter(range(99)): complete('s.{start}', next(indexes)), None))"
    )

    assert sorted(output_of(code).split()) == sorted(names)


def test_tab_completes_each_name_of_dir() -> None:
    completer = rlcompleter.Completer({"s": smmfanfast_async})
    names = [completer.complete("s.", place) for place in range(len(smmfanfast_async.__all__) + 99)]

    shown = {each.removeprefix("s.").rstrip("()") for each in names if each is not None}
    assert set(dir(smmfanfast_async)) - {"__version__"} <= shown


def test_help_shows_every_name_and_points_to_modules() -> None:
    page = output_of("import smmfanfast_async; help(smmfanfast_async)")

    assert [name for name in smmfanfast_async.__all__ if name[0] != "_" and name not in page] == []
    assert smmfanfast_async.__version__ in page
    assert "class Client(" in page
    assert "python -m pydoc smmfanfast_async.desk" in page


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Clinet'"):
        _ = smmfanfast_async.Clinet  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        exec("from smmfanfast_async import Clinet")  # noqa: S102  # as in an interactive session


@pytest.mark.parametrize(
    ("module", "table", "word"),
    [("standard", "ORDER_TYPES", "package"), ("api_v2", "API_V2_ORDER_TYPES", "poll")],
)
def test_order_types_are_loaded_when_one_is_used(module: str, table: str, word: str) -> None:
    full_name = f"smmfanfast_async.orders.{module}"
    code = (
        "import sys\n"
        "from smmfanfast_async import Client, DefaultOrder, orders\n"
        f"print({full_name!r} in sys.modules, {word!r} in [*orders.{table}])\n"
        f"print(orders.{table}[{word!r}].__module__, orders.{module}.__name__)"
    )

    assert output_of(code).split() == ["False", "True", full_name, full_name]
    assert orders.__getattr__(module) is sys.modules[full_name]


def test_order_types_are_listed_and_described_before_they_are_loaded() -> None:
    page = output_of("from smmfanfast_async import orders; print(*dir(orders)); help(orders)")

    listed = page.partition("\n")[0].split()
    assert set(orders.__all__) <= set(listed) & set(dir(orders))
    names = {each.__name__ for each in orders.API_V2_ORDER_TYPES.values()}
    assert {name for name in names if f"class {name}(" not in page} == set()


def test_unknown_order_type_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"orders' has no attribute 'DefaultOrdr'"):
        _ = orders.DefaultOrdr  # type: ignore[attr-defined]
