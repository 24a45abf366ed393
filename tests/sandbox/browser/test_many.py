"""Many orders, requests and pages: the page stays usable, and does not grow."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from smmfanfast_async.sandbox import SandboxService

from .running import Page, Running, running

ORDERS = 100_000
REQUESTS = 10_000
MOST_ROWS = 60
"""Rows that exist on a screen of 800 pixels: those in sight, and the margin on both sides."""

MOST_NODES = 1600
"""Nodes and listeners of a page with a full list: about 1,100. Ten more left by each of 160 events
would be too many."""

CHEAP = SandboxService(service=5, name="Cheap", category="x", rate="0", type="package")


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A sandbox with as many orders as the parameter says."""
    with running(existing_orders=getattr(request, "param", 100), services=[CHEAP]) as sandbox:
        yield sandbox


def fill_traffic(sandbox: Running) -> None:
    def send() -> None:
        for number in range(REQUESTS):
            sandbox.panel._respond({"key": "test-key", "action": "status", "order": str(number)})

    sandbox.call(send)


@pytest.mark.parametrize("sandbox", [ORDERS], indirect=True)
def test_hundred_thousand_orders_and_ten_thousand_requests_are_usable(
    page: Page, sandbox: Running
) -> None:
    fill_traffic(sandbox)
    page.open()
    page.wait_text(".count", "100,000 in the list")
    assert 10 < len(page.rows()) < MOST_ROWS

    page.script("document.querySelector('.list').scrollTop = 60 * 50_000")
    page.wait(lambda: any(row.startswith("#50000") for row in page.rows()))
    assert len(page.rows()) < MOST_ROWS
    page.script("document.querySelector('.list').scrollTop = 1e9")
    page.wait(lambda: page.rows()[-1].startswith("#1Cheap"))
    page.choose("Status", "Canceled")
    page.wait(lambda: page.rows() and all("Canceled" in row for row in page.rows()))
    page.fill("Part of a link", "example/99")
    page.wait(lambda: page.rows() and all("example/99" in row for row in page.rows()))

    page.show("traffic")
    page.wait_text(".count", "10,000 in the list")
    page.fill("Form or answer", "7777")
    page.wait(lambda: page.rows() and "order=7777" in page.rows()[0])
    page.open_row()
    page.wait_text("dialog dl.form", "7777")
    page.find("dialog .top button").click()
    page.show("record")
    page.wait_text("main", "Only the first 500 steps")


def count_nodes(page: Page) -> int:
    """Return how many nodes and listeners the page holds, after its garbage is collected."""
    page.browser.execute_cdp_cmd("HeapProfiler.enable", {})
    page.browser.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    counters = page.browser.execute_cdp_cmd("Memory.getDOMCounters", {})
    return int(counters["nodes"] + counters["jsEventListeners"])


def test_page_does_not_grow_while_much_happens(page: Page, sandbox: Running) -> None:
    """What an hour brings, in a short time: each step is an event that the page shows."""
    page.open()
    page.wait(page.rows)

    # By scripts only: the driver keeps each element that it has found.
    badge = "return document.querySelector('nav a[href=\"#traffic\"] .badge').textContent"

    for number in range(1, 161):
        sandbox.send(action="status", order=str(number))
        page.wait(lambda count=f"{number}": page.script(badge) == count)
        page.script("location.hash = arguments[0]", "traffic" if number % 2 else "orders")
    page.script("location.hash = 'orders'")
    page.wait(lambda: page.rows() and page.rows()[0].startswith("#100"))

    # What the last events left is collected within moments; what a leak left, never.
    page.wait(lambda: count_nodes(page) < MOST_NODES)


def test_ten_pages_at_once_are_all_live(page: Page, sandbox: Running, browser: Chrome) -> None:
    """A browser opens six connections to one address: ten streams would block each other."""
    handles = []
    for _ in range(10):
        browser.switch_to.new_window("tab")
        handles.append(browser.current_window_handle)
        page.open("traffic")
    sandbox.send(action="balance")
    for handle in handles:
        browser.switch_to.window(handle)
        page.wait_rows("1balance")

    # The page with the stream is closed: another one takes over.
    browser.switch_to.window(handles[0])
    browser.close()
    sandbox.send(action="services")
    for handle in handles[1:]:
        browser.switch_to.window(handle)
        page.wait_rows("2services", "1balance")
    control = sandbox.panel._control
    assert control is not None
    assert control._streams == 1
