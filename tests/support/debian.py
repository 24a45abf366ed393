"""Programs that tests need, from Debian's packages.

What is missing is installed by apt if root runs the tests; otherwise an error names the packages.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["require", "require_program"]

T = TypeVar("T")


def require(
    packages: list[str],
    find: Callable[[], T | None],
    *,
    prepare: Callable[[], None] = lambda: None,
) -> T:
    """Return what `find` returns; if that is None, prepare and install the packages first."""
    found = find()
    if found is not None:
        return found
    with (Path(tempfile.gettempdir()) / "smm-apt.lock").open("w") as lock:
        # Tests may run in several processes, and apt allows one at a time.
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = find()
        if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
            prepare()
            _install(packages)
            found = find()
    assert found is not None, f"these tests need Debian's {', '.join(packages)}: install them"
    return found


def require_program(name: str, package: str) -> Path:
    """Return the path of a program, also of one that only root usually runs."""

    def find() -> Path | None:
        path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        return None if path is None else Path(path)

    return require([package], find)


def _install(packages: list[str]) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (
        ["update", "-q"],
        ["install", "-y", "-q", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(  # noqa: S603  # fixed arguments
            ["apt-get", *arguments],  # noqa: S607
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"apt-get {' '.join(arguments)}: {done.stderr[-2000:]}"
