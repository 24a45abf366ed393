"""What other sites, other names of this machine and hostile texts can do: nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, urlsplit

import pytest
from selenium.webdriver import Chrome
from support.chromium import open_browser

from smmfanfast_async.sandbox import SandboxService

from .conftest import read_console, read_requests
from .running import VIEWS, Page, Running, running

SCRIPT = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'


ATTACKS = 4
"""The attacks of `test_page_cannot_run_what_is_injected`."""


@contextmanager
def site(html: str) -> Iterator[str]:
    """Serve one page as another site of this machine; yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that the library calls
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def visitor(browser: Chrome) -> Iterator[Chrome]:
    """A tab for a foreign page, whose messages in the console are its own."""
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    yield browser
    read_console(browser)
    browser.close()
    browser.switch_to.window(first)


def test_texts_of_bots_and_services_are_shown_as_text(page: Page, sandbox: Running) -> None:
    panel = sandbox.panel
    hostile = SandboxService(
        service="7", name=SCRIPT, category=SCRIPT, rate="1", type="custom_comments", max=9
    )
    sandbox.call(panel.add_service, hostile)
    # API v2 would keep the tags; this panel strips them unless they are encoded twice.
    sandbox.add(service="7", link=f"https://x.com/{SCRIPT.replace('<', '< ')}", comments=SCRIPT)
    sandbox.send(**{"action": SCRIPT, SCRIPT: SCRIPT, "order": SCRIPT})
    page.open()
    for view in VIEWS:
        page.show(view)
        if view in {"orders", "traffic", "services"}:
            page.wait(lambda: page.all(".row"))
            page.open_row()
            page.find("dialog .top button").click()
    page.show("traffic")
    page.wait(lambda: SCRIPT in page.rows()[0])
    page.open_row()
    page.wait(lambda: SCRIPT in page.text("dialog dl.form"))
    page.find("dialog .top button").click()
    page.show("services")
    page.fill("Name, category, type or id", "onerror")
    page.wait_rows(SCRIPT)
    assert page.script("return [window.hit, document.images.length]") == [None, 1]


def test_page_cannot_run_what_is_injected(page: Page) -> None:
    """The policy holds even if a mistake put a text into the page as HTML or code."""
    page.open()
    refused = page.script(
        """
        const refused = [];
        for (const attack of [
            () => { document.body.innerHTML = arguments[0]; },
            () => { document.createElement('script').text = 'window.hit = 1'; },
            () => { setTimeout('window.hit = 1'); },
        ]) {
            try { attack(); } catch (error) { refused.push(error.name); }
        }
        const link = document.createElement('a');
        link.href = 'javascript:window.hit=1';
        link.click();
        return refused;
        """,
        SCRIPT,
    )
    assert refused[:2] == ["TypeError", "TypeError"]
    assert page.script("return window.hit") is None
    # The browser reports each attack, the last one a moment later.
    reports: list[str] = []
    page.wait(lambda: reports.extend(read_console(page.browser)) or len(reports) >= ATTACKS)
    assert len(reports) == ATTACKS, reports


@pytest.mark.parametrize("address", ["", "#token=wrong", "#orders"])
def test_page_without_the_token_shows_nothing(
    page: Page, sandbox: Running, address: str
) -> None:  # fmt: skip
    sandbox.add()
    page.browser.get(sandbox.panel.console_url.partition("#")[0] + address)
    page.wait_text("h1", "This page needs its token")
    assert "example1" not in page.browser.page_source
    if "wrong" in address:
        page.forget_refusals(401)


def test_address_with_the_token_can_be_pasted_later(page: Page, sandbox: Running) -> None:
    page.browser.get(sandbox.panel.console_url.partition("#")[0])
    page.wait_text("h1", "This page needs its token")
    page.browser.get(sandbox.panel.console_url)
    page.wait_text("h1", "Orders")
    page.wait(lambda: page.find(".live:not(.lost)"))


def test_token_leaves_the_address_of_the_page(page: Page, sandbox: Running) -> None:
    page.open()
    assert sandbox.panel.control_token not in page.browser.current_url
    assert sandbox.panel.control_token not in page.browser.page_source
    page.browser.refresh()
    page.wait(lambda: page.find(".live:not(.lost)"))


def test_another_site_changes_and_reads_nothing(visitor: Chrome, sandbox: Running) -> None:
    """The worst case: a page of another local server that knows the token."""
    url, token = sandbox.panel.control_url, sandbox.panel.control_token
    page = urlsplit(url).netloc
    attack = f"""
        <iframe id="frame" src="http://{page}/"></iframe>
        <form id="form" method="post" action="{url}/finish_all" target="other"></form>
        <iframe name="other"></iframe>
        <script>
        document.getElementById("form").submit();
        async function attack() {{
            const results = [];
            const bearer = {{Authorization: "Bearer {token}"}};
            for (const [path, options] of [
                ["/finish_all", {{method: "POST", headers: bearer}}],
                ["/finish_all", {{method: "POST", body: "{{}}"}}],
                ["/finish_all", {{method: "POST", mode: "no-cors"}}],
                ["/state", {{headers: bearer}}],
                ["/state", {{}}],
            ]) {{
                try {{
                    const answer = await fetch("{url}" + path, options);
                    results.push(answer.type === "opaque" ? "opaque" : await answer.text());
                }} catch (error) {{ results.push(error.name); }}
            }}
            return results;
        }}
        </script>
    """
    with site(attack) as address:
        visitor.get(address)
        results = visitor.execute_async_script("attack().then(arguments[0])")

    assert results == ["TypeError"] * 5
    assert sandbox.panel.now_s == 0


def test_name_that_is_bound_to_this_machine_gets_nothing(sandbox: Running) -> None:
    """DNS rebinding: the browser believes that the console belongs to another site."""
    port = urlsplit(sandbox.panel.control_url).port
    token = sandbox.panel.control_token
    rebound = open_browser("--host-resolver-rules=MAP evil.example 127.0.0.1")
    try:
        for path in ("/", "/app.js", "/control/v1/state"):
            rebound.get(f"http://evil.example:{port}{path}")
            assert "only pages and programs of this machine" in rebound.page_source
        answer = rebound.execute_async_script(
            "fetch('/control/v1/finish_all', {method: 'POST', headers: {"
            "'Content-Type': 'application/json', Authorization: 'Bearer ' + arguments[0]}})"
            ".then(answer => arguments[1](answer.status))",
            token,
        )
        assert (answer, sandbox.panel.now_s) == (403, 0)
    finally:
        rebound.quit()


def test_answer_of_the_panel_does_not_run_in_the_origin_of_the_page(
    page: Page, sandbox: Running
) -> None:
    """A panel answers with `text/html`, also what a request names."""
    address = f"{sandbox.panel.url}?key=test-key&action=status&orders={quote(SCRIPT)}"
    page.open()
    page.browser.get(address)
    assert page.script("return [location.origin, sessionStorage.length]") == [
        sandbox.panel.url.removesuffix("/api/v1"), 0,
    ]  # fmt: skip
    page.forget_refusals(404)  # the panel has no icon
    read_requests(page.browser)


def test_sandbox_without_console_has_no_page(visitor: Chrome) -> None:
    with running(console=False, control=True) as sandbox:
        visitor.get(sandbox.panel.control_url.removesuffix("/control/v1"))
        assert "Not Found" in visitor.page_source
