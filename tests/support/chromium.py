"""A real browser without a window: Debian's Chromium and its driver.

If they are not installed, root on Debian installs them by apt; otherwise an error names them.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from selenium import webdriver

__all__ = ["open_browser"]

PROGRAMS = {"chromium": "chromium", "chromedriver": "chromium-driver"}
"""The programs, and the Debian packages that have them."""

SCRIPT_S = 120.0
"""Seconds that a script in the page may take: a check for accessibility takes a few."""


def open_browser(*arguments: str, language: str = "en") -> webdriver.Chrome:
    """Start a browser in which everything is logged: its console and its requests."""
    _install_missing()
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in (
        "--headless=new",
        f"--accept-lang={language}",
        f"--lang={language}",
        # Chromium refuses its own sandbox as root, and a container has little shared memory.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--hide-scrollbars",
        *arguments,
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(str(shutil.which("chromedriver")))
    browser = webdriver.Chrome(options=options, service=service)
    browser.set_script_timeout(SCRIPT_S)
    return browser


def _install_missing() -> None:
    # Tests may run in several processes, and apt allows one at a time.
    with (Path(tempfile.gettempdir()) / "smm-chromium-install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _missing() and os.geteuid() == 0 and shutil.which("apt-get"):
            _install(_missing())
        assert not _missing(), f"these tests need a browser: install Debian's {_missing()}"


def _missing() -> list[str]:
    return [package for program, package in PROGRAMS.items() if not shutil.which(program)]


def _install(packages: list[str]) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (
        ["update", "-q"],
        # With a font that has Arabic letters.
        ["install", "-y", "-q", "--no-install-recommends", *packages, "fonts-dejavu-core"],
    ):
        done = subprocess.run(  # noqa: S603  # fixed arguments
            ["apt-get", *arguments],  # noqa: S607
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"apt-get {' '.join(arguments)}: {done.stderr[-2000:]}"
