"""A browser for all tests, and a page for each that may neither fail nor ask another host."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome
from support.chromium import open_browser

from .running import Page, Running, running


@pytest.fixture(scope="session")
def browser() -> Iterator[Chrome]:
    browser = open_browser()
    yield browser
    browser.quit()


@pytest.fixture
def sandbox() -> Iterator[Running]:
    with running(seed=1) as sandbox:
        yield sandbox


@pytest.fixture
def page(browser: Chrome, sandbox: Running) -> Iterator[Page]:
    """A page in its own tab; afterwards its console is empty and it asked only its own server."""
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    read_requests(browser)
    read_console(browser)
    page = Page(browser, sandbox)
    page.resize(1280, 800)
    yield page
    console, requests = read_console(browser), read_requests(browser)
    for handle in browser.window_handles:
        if handle != first:
            browser.switch_to.window(handle)
            browser.close()
    browser.switch_to.window(first)
    own = urlsplit(sandbox.panel.control_url).netloc
    assert console == []
    assert {urlsplit(each).netloc for each in requests} <= {own}


def read_console(browser: Chrome) -> list[str]:
    """Return what pages wrote into the console since the last call."""
    return [entry["message"] for entry in browser.get_log("browser")]


def read_requests(browser: Chrome) -> list[str]:
    """Return the addresses that pages asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in urls if urlsplit(url).scheme not in {"about", "data", "chrome"}]
