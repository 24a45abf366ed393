"""For everybody: Arabic, narrow screens, the keyboard alone, light and dark, and screen readers."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_core_python.selenium import Axe
from selenium.webdriver import ActionChains, Keys

from .running import VIEWS, Page, Running

SERIOUS = {"serious", "critical"}


def fill_with_life(sandbox: Running) -> None:
    panel = sandbox.panel
    for number in range(6):
        sandbox.add(number)
        sandbox.call(panel.advance, 60)
    sandbox.call(panel.set_status, 1, "completed")
    sandbox.call(panel.set_status, 2, "partial", remains=400)
    sandbox.call(panel.set_status, 3, "canceled")
    sandbox.call(panel.set_status, 4, "in progress")
    sandbox.call(panel.set_available, 9, available=False)
    for fault in ("http_502", "drop_after"):
        sandbox.call(panel.fail_next, fault)
        sandbox.add(9)
    sandbox.call(panel.fail_next, "empty", times=3, action="add")
    sandbox.call(panel.fail_at_rate, "delay", rate=0.5)


def wait_until_filled(page: Page, view: str) -> None:
    """Wait for what a view fetches."""
    selectors = {
        "orders": ".row", "traffic": ".row", "services": ".row", "faults": ".faults .tag",
        "clock": "output.big", "account": "rect.spent", "record": "#test-text",
    }  # fmt: skip
    page.wait(lambda: page.find(selectors[view]))
    page.wait(lambda: page.text("#test-text")) if view == "record" else None


def faults_of(page: Page) -> list[str]:
    """Return the serious faults that axe-core finds."""
    found: dict[str, Any] = Axe().run(page.browser)
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]} {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 380])
@pytest.mark.parametrize("language", ["en", "ar"])
def test_accessibility_rules_find_no_serious_fault(
    page: Page, sandbox: Running, scheme: str, width: int, language: str
) -> None:
    fill_with_life(sandbox)
    page.resize(width, 800)
    page.use_colours(scheme)
    page.open()
    if language == "ar":
        page.find("#language").click()
    for view in VIEWS:
        page.show(view)
        wait_until_filled(page, view)
        assert faults_of(page) == [], view
        if page.all(".row"):
            page.open_row()
            assert faults_of(page) == [], f"one of {view}"
            page.find("dialog .top button").click()


def test_every_text_has_its_arabic(page: Page) -> None:
    page.open()
    english, arabic = page.browser.execute_async_script(
        "Promise.all([import('/english.js'), import('/arabic.js')])"
        ".then(files => arguments[0](files.map(file => file.default)))"
    )

    assert list(english) == list(arabic)
    for key, text in english.items():
        holes = [part.split("}")[0] for part in text.split("{")[1:]]
        assert [part.split("}")[0] for part in arabic[key].split("{")[1:]] == holes, key
    same = {key for key in english if english[key] == arabic[key]}
    assert same == {"title", "speedShort", "percent"}


def test_arabic_reads_from_right_to_left(page: Page, sandbox: Running) -> None:
    fill_with_life(sandbox)
    page.open()
    page.find("#language").click()
    assert page.script("return [document.documentElement.lang, document.documentElement.dir]") == [
        "ar", "rtl",
    ]  # fmt: skip
    titles = []
    for view in VIEWS:
        page.show(view)
        wait_until_filled(page, view)
        titles.append(page.text("h1"))
        nav, main = page.find("nav").rect, page.find("main").rect
        assert nav["x"] > main["x"]
    assert titles[:3] == ["الطلبات", "الاتصالات", "الخدمات"]

    page.show("orders")
    page.open_row()
    assert "التسلسل الزمني" in page.text("dialog")
    page.find("dialog .top button").click()
    page.browser.refresh()
    page.wait_text("h1", "الطلبات")
    page.find("#language").click()
    page.wait_text("h1", "Orders")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_narrow_screen_shows_everything_without_scrolling_sideways(
    page: Page, sandbox: Running, language: str
) -> None:
    fill_with_life(sandbox)
    page.resize(380, 760)
    page.open()
    if language == "ar":
        page.find("#language").click()
    for view in VIEWS:
        page.show(view)
        wait_until_filled(page, view)
        widths = page.script(
            "const main = document.querySelector('main');"
            "return [document.documentElement.scrollWidth, main.scrollWidth - main.clientWidth]"
        )
        assert widths == [380, 0], view
        cut = page.script(
            "return [...document.querySelectorAll('main button, main input, main select, .mark')]"
            ".filter(e => e.offsetParent).map(e => e.getBoundingClientRect())"
            ".filter(box => box.width && (box.left < 0 || box.right > 380)).length"
        )
        assert cut == 0, view
    page.show("orders")
    page.open_row()
    box = page.find("dialog").rect
    assert (box["x"], box["width"]) == (0, 380)


def press(page: Page, *keys: str) -> None:
    ActionChains(page.browser).send_keys(*keys).perform()


def press_until(page: Page, key: str, condition: Callable[[], object], most: int = 60) -> None:
    """Press a key until something is focused."""
    for _ in range(most):
        if condition():
            return
        press(page, key)
    raise AssertionError(f"not reached: {page.script('return document.activeElement.outerHTML')}")


def focused(page: Page, selector: str) -> bool:
    return bool(page.script("return document.activeElement.matches(arguments[0])", selector))


def test_everything_is_done_by_the_keyboard_alone(page: Page, sandbox: Running) -> None:
    for number in range(3):
        sandbox.add(number)
    page.load()
    page.wait_rows("#3", "#2", "#1")

    press(page, Keys.TAB)
    assert focused(page, "a.skip")
    press(page, Keys.ENTER)
    assert focused(page, "main")
    press_until(page, Keys.TAB, lambda: focused(page, ".row"))
    press(page, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
    assert page.script("return document.activeElement.textContent").startswith("#2")

    press(page, Keys.ENTER)
    page.wait_text("dialog h2", "Order 2")
    press_until(page, Keys.TAB, lambda: focused(page, "dialog select"))
    press(page, "Canc")
    press_until(page, Keys.TAB, lambda: focused(page, "dialog form button"))
    press(page, Keys.SPACE)
    page.wait_text("dialog .mark", "Canceled")
    press(page, Keys.ESCAPE)
    page.wait(lambda: not page.find("dialog").is_displayed())
    assert page.script("return document.activeElement.textContent").startswith("#2")

    press_until(page, Keys.TAB, lambda: focused(page, "nav a[href='#faults']"))
    press(page, Keys.ENTER)
    page.wait_text("h1", "Faults")
    page.wait(lambda: page.all("main select option[value='drop_after']"))
    press_until(page, Keys.TAB, lambda: focused(page, "main button[type='submit']"))
    press(page, Keys.ENTER)
    page.wait_text(".faults", "drop_after")
    assert sandbox.panel.pending_faults[0].fault == "drop_after"


def test_row_keeps_the_focus_while_orders_arrive(page: Page, sandbox: Running) -> None:
    sandbox.add(1)
    page.open()
    page.wait_rows("#1")
    page.script("document.querySelector('.row').focus()")
    for number in range(2, 5):
        sandbox.add(number)
    page.wait_rows("#4", "#3", "#2", "#1")

    assert page.script("return document.activeElement.textContent").startswith("#1")


def test_theme_follows_the_system_and_the_switch(page: Page) -> None:
    def background() -> str:
        return str(page.script("return getComputedStyle(document.body).backgroundColor"))

    page.use_colours("dark")
    page.open()
    dark = background()
    page.find(".switches button").click()
    light = background()
    assert dark != light
    page.browser.refresh()
    page.wait(lambda: page.find("h1"))
    assert background() == light
    page.find(".switches button").click()
    assert background() == dark
