"""Make the pictures of the console that the guides show.

    cd tests && python -m sandbox.browser.screenshot [FOLDER]

It needs the extra `browser`. With a folder it takes every view there, to be looked at: in light and
dark, in Arabic and on a narrow screen.
"""

import sys
from pathlib import Path

from support.chromium import open_browser

from .running import VIEWS, Page, Running, running

PICTURE = Path(__file__).parents[3] / ".github" / "console.png"
SERVICES = ("5", "20", "10", "80", "12", "5", "84", "20", "60", "9")
LOOKS = {
    "light": (1180, 720, "light", False),
    "dark": (1180, 720, "dark", False),
    "arabic": (1180, 720, "light", True),
    "narrow": (380, 760, "dark", False),
}


def use(sandbox: Running) -> None:
    """Make a bot order for a while, with some answers lost."""
    panel = sandbox.panel
    for number, service in enumerate(SERVICES, start=1):
        if number in {4, 8}:
            sandbox.call(panel.fail_next, "drop_after", action="add")
        sandbox.add(number, service=service)
        sandbox.send(action="status", orders=",".join(map(str, range(1, number + 1))))
        sandbox.call(panel.advance, 540)
    sandbox.call(panel.set_status, 7, "partial", remains=280)
    sandbox.call(panel.set_status, 5, "canceled")
    sandbox.call(panel.fail_next, "rate_limit", times=2, action="status")


def take(page: Page, folder: Path | None) -> None:
    """Take one picture for the guides, or all of them into a folder."""
    if folder is None:
        page.resize(1180, 720)
        page.use_colours("light")
        page.open()
        page.wait(lambda: len(page.rows()) == len(SERVICES))
        page.browser.save_screenshot(PICTURE)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for look, (width, height, scheme, is_arabic) in LOOKS.items():
        page.resize(width, height)
        page.use_colours(scheme)
        page.open()
        if is_arabic:
            page.find("#language").click()
            page.wait(lambda: page.script("return document.documentElement.dir") == "rtl")
        for view in VIEWS:
            page.show(view)
            page.wait(
                lambda: page.script("return document.querySelector('main').innerText.length") > 60
            )
            page.browser.save_screenshot(folder / f"{look}-{view}.png")
        page.show("orders")
        page.open_row(6)
        page.browser.save_screenshot(folder / f"{look}-order.png")
        page.find("dialog .top button").click()
        if is_arabic:
            page.find("#language").click()


if __name__ == "__main__":
    browser = open_browser()
    try:
        with running(seed=5) as sandbox:
            use(sandbox)
            take(Page(browser, sandbox), Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    finally:
        browser.quit()
