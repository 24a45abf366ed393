"""Projects that do not use the fixtures do not import the heavy modules."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("aiohttp", "sqlalchemy", "msgspec", "smmfanfast_async.client", "smmfanfast_async.sandbox")


def run(*command: str, at: Path) -> str:
    completed = subprocess.run(  # noqa: S603  # this interpreter, and code from this file
        [sys.executable, *command], capture_output=True, text=True, check=False, cwd=at
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def test_importing_the_plugin_loads_only_pytest(tmp_path: Path) -> None:
    code = (
        "import sys, pytest; before = set(sys.modules);"
        "import smmfanfast_async.integrations.pytest_plugin;"
        "print(*(set(sys.modules) - before - set(sys.stdlib_module_names)))"
    )
    loaded = {name for name in run("-c", code, at=tmp_path).split() if "." not in name}

    assert loaded - set(sys.stdlib_module_names) == {"smmfanfast_async"}


@pytest.mark.parametrize("name", HEAVY)
def test_run_without_the_fixtures_loads_no_heavy_module(tmp_path: Path, name: str) -> None:
    (tmp_path / "test_user.py").write_text(
        "import sys\n\n\ndef test_user(request):\n"
        "    assert request.config.pluginmanager.hasplugin('smmfanfast')\n"
        f"    assert {name!r} not in sys.modules\n"
    )

    assert "1 passed" in run("-m", "pytest", "-q", "-p", "no:hypothesispytest", at=tmp_path)
