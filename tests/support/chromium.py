"""A real browser without a window: Debian's Chromium and its driver.

If they are not installed, root on Debian installs them by apt; otherwise an error names them.
"""

import shutil

from selenium import webdriver

from .debian import require

__all__ = ["open_browser"]

PACKAGES = ["chromium", "chromium-driver", "fonts-dejavu-core"]
"""Debian's packages: the browser, its driver, and a font that has Arabic letters."""

SCRIPT_S = 120.0
"""Seconds that a script in the page may take: a check for accessibility takes a few."""


def open_browser(*arguments: str, language: str = "en") -> webdriver.Chrome:
    """Start a browser in which everything is logged: its console and its requests."""
    chromium, driver = require(PACKAGES, _programs)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
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
    service = webdriver.ChromeService(driver)
    browser = webdriver.Chrome(options=options, service=service)
    browser.set_script_timeout(SCRIPT_S)
    return browser


def _programs() -> tuple[str, str] | None:
    """Return the paths of the browser and of its driver; None if one is missing."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    return None if chromium is None or driver is None else (chromium, driver)
