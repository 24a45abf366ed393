"""A sandbox in a thread of its own, for a test that drives a browser, and a page of its console."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from smmfanfast_async.sandbox import Sandbox

DEADLINE_S = 120
"""Seconds that a test waits for anything: much more than a busy machine needs."""

VIEWS = ("orders", "traffic", "services", "faults", "clock", "account", "record")

T = TypeVar("T")


class Running:
    """A sandbox that runs until the end of the test."""

    def __init__(self, panel: Sandbox, loop: asyncio.AbstractEventLoop) -> None:
        self.panel = panel
        self._loop = loop

    def call(self, method: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Call a method of the sandbox in its own loop."""

        async def run() -> T:
            result = method(*arguments, **options)
            return await result if asyncio.iscoroutine(result) else result

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(DEADLINE_S)

    def send(self, **fields: str) -> str:
        """Send a form to the panel as a bot does; "" if the connection is closed."""
        url = urlsplit(self.panel.url)
        connection = HTTPConnection(url.netloc, timeout=DEADLINE_S)
        body = urlencode({"key": self.panel.api_key, **fields})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            connection.request("POST", url.path, body, headers)
            return connection.getresponse().read().decode()
        except (HTTPException, ConnectionError):
            return ""
        finally:
            connection.close()

    def add(self, number: int = 1, **fields: str) -> str:
        """Order a thousand pieces of service 5."""
        link = f"https://instagram.com/p/example{number}"
        return self.send(
            **{"action": "add", "service": "5", "link": link, "quantity": "1000", **fields}
        )


@contextmanager
def running(**settings: Any) -> Iterator[Running]:
    """Run a sandbox with a console; its clock stands still unless `settings` say otherwise."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    panel = Sandbox(**{"speed": 0.0, "console": True, **settings})
    sandbox = Running(panel, loop)
    try:
        sandbox.call(panel.start)
        yield sandbox
    finally:
        sandbox.call(panel.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE_S)
        loop.close()


class Page:
    """The console in one browser, by what a person sees and does."""

    def __init__(self, browser: Chrome, sandbox: Running) -> None:
        self.browser = browser
        self.sandbox = sandbox

    def open(self, view: str = "orders") -> "Page":
        """Open the console and choose a view."""
        return self.load().show(view)

    def load(self) -> "Page":
        """Open the address that the sandbox printed, and wait until it is live."""
        self.browser.get(self.sandbox.panel.console_url)
        self.wait(lambda: self.find(".live:not(.lost)"))
        return self

    def show(self, view: str) -> "Page":
        """Choose a view in the navigation."""
        link = self.find(f"nav a[href='#{view}']")
        # On a narrow screen the navigation is swiped.
        self.script("arguments[0].scrollIntoView({block: 'nearest', inline: 'center'})", link)
        link.click()
        self.wait(lambda: self.find(f"nav a[href='#{view}'][aria-current]"))
        return self

    def wait(self, condition: Callable[[], T]) -> T:
        """Wait until a condition holds; elements that are replaced meanwhile do not matter."""
        from selenium.common.exceptions import (  # noqa: PLC0415
            NoSuchElementException,
            StaleElementReferenceException,
        )

        ignored = (NoSuchElementException, StaleElementReferenceException, IndexError)
        waiting = WebDriverWait(self.browser, DEADLINE_S, 0.05, ignored)
        return waiting.until(lambda _: condition())

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def button(self, text: str, within: str = "body") -> WebElement:
        """Return the visible button with this text."""
        path = f".//button[normalize-space(.)={text!r}]"
        found = self.find(within).find_elements(By.XPATH, path)
        return next(each for each in found if each.is_displayed())

    def field(self, label: str, within: str = "body") -> WebElement:
        """Return the visible field with this label."""
        path = f".//label[span[normalize-space(.)={label!r}]]//*[self::input or self::select]"
        found = self.find(within).find_elements(By.XPATH, path)
        return next(each for each in found if each.is_displayed())

    def fill(self, label: str, text: str, within: str = "body") -> None:
        field = self.field(label, within)
        field.clear()
        field.send_keys(text)

    def choose(self, label: str, text: str, within: str = "body") -> None:
        Select(self.field(label, within)).select_by_visible_text(text)

    def rows(self) -> list[str]:
        """Return the texts of the rows of a list."""
        return self.script("return [...document.querySelectorAll('.row')].map(e => e.textContent)")

    def wait_rows(self, *parts: str) -> None:
        """Wait until the list has exactly these rows, each with its part."""

        def matches() -> bool:
            rows = self.rows()
            return len(rows) == len(parts) and all(
                part in row for part, row in zip(parts, rows, strict=True)
            )

        try:
            self.wait(matches)
        except Exception as error:
            raise AssertionError(f"expected {parts}, found {self.rows()}") from error

    def open_row(self, number: int = 0) -> None:
        self.wait(lambda: self.all(".row")[number]).click()
        self.wait(lambda: self.find("dialog[open] .body > *"))

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def wait_text(self, selector: str, part: str) -> None:
        self.wait(lambda: part in self.text(selector))

    def notice(self, text: str) -> None:
        """Wait until the page says something."""
        self.wait_text("p.notice", text)

    def forget_refusals(self, status: int) -> None:
        """Forget that the browser reported answers with this status: the test asked for them."""
        messages = self.wait(lambda: [each["message"] for each in self.browser.get_log("browser")])
        assert all(f"status of {status}" in each for each in messages)

    def script(self, source: str, *arguments: object) -> Any:
        return self.browser.execute_script(source, *arguments)

    def resize(self, width: int, height: int) -> None:
        """Set the page to a width that a window cannot have."""
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )

    def use_colours(self, scheme: str) -> None:
        self.browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
