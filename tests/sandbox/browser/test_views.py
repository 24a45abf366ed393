"""Each view and each action, in English on a wide screen."""

from decimal import Decimal

import pytest
from selenium.webdriver.support.ui import Select

from smmfanfast_async.sandbox import Fault

from .running import Page, Running


def allow_clipboard(page: Page) -> None:
    page.browser.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]},
    )


def read_clipboard(page: Page) -> str:
    text: str = page.browser.execute_async_script(
        "navigator.clipboard.readText().then(arguments[0], error => arguments[0](String(error)))"
    )
    return text


def test_orders_appear_and_progress_while_the_page_is_open(page: Page, sandbox: Running) -> None:
    page.open()
    page.wait_text(".empty", "No orders yet")
    assert sandbox.panel.url in page.text(".empty")

    sandbox.add(1)
    page.wait_rows("#1Instagram Followers [15K] https://instagram.com/p/example1Pending")
    sandbox.add(2)
    page.wait_rows("#2", "#1")
    sandbox.call(sandbox.panel.set_status, 1, "in progress")
    page.wait_rows("#2", "In progress")
    sandbox.call(sandbox.panel.finish_all)
    page.wait(lambda: all("progress" not in row for row in page.rows()))
    assert page.text("header").count("997.96") == 1


def test_orders_are_filtered(page: Page, sandbox: Running) -> None:
    sandbox.add(1)
    sandbox.add(2, service="9")
    sandbox.add(3)
    sandbox.call(sandbox.panel.set_status, 1, "completed")
    page.open()
    page.wait_rows("#3", "#2", "#1")

    page.choose("Status", "Completed")
    page.wait_rows("#1")
    page.choose("Status", "Open")
    page.wait_rows("#3", "#2")
    page.fill("Service id", "9")
    page.wait_rows("#2")
    assert page.text(".count") == "1 in the list"
    page.fill("Part of a link", "nothing")
    page.wait_text(".empty", "Nothing matches")
    page.fill("Service id", "")
    page.fill("Part of a link", "EXAMPLE3")
    page.wait_rows("#3")


def test_order_shows_its_timeline_and_follows_it(page: Page, sandbox: Running) -> None:
    sandbox.call(sandbox.panel.fail_next, Fault.DROP_AFTER, action="add")
    assert sandbox.add() == ""
    page.open()
    page.open_row()
    page.wait_text(".timeline", "Request 1 · add")
    assert "drop_after" in page.text(".timeline")
    assert "https://instagram.com/p/example1" in page.text("dl.facts")
    assert "quantity" in page.text("dl.form")

    sandbox.send(action="status", order="1")
    page.wait_text(".timeline", '"status": "pending"')
    sandbox.call(sandbox.panel.finish_all)
    page.wait_text(".timeline", "In progress")

    page.find(".timeline .request button").click()
    page.wait_text("dialog h2", "Request 1")
    page.wait_text("dialog", "No answer")
    page.button("Created order 1").click()
    page.wait_text("dialog h2", "Order 1")


def test_status_of_an_order_is_set(page: Page, sandbox: Running) -> None:
    sandbox.add()
    page.open()
    page.open_row()
    page.choose("Status", "Partial", "dialog")
    page.fill("Remains", "250", "dialog")
    page.button("Set status", "dialog").click()
    page.notice("Saved")
    page.wait_text("dialog .mark", "Partial")

    assert sandbox.panel.orders["1"].charge == Decimal("0.7650")


def test_orders_of_a_drip_feed_are_linked(page: Page, sandbox: Running) -> None:
    sandbox.add(runs="2", interval="10")
    sandbox.call(sandbox.panel.finish_all)
    page.open()
    page.wait_rows("#3", "#2", "#1")
    page.open_row(2)
    page.button("#3", "dialog").click()
    page.wait_text("dialog h2", "Order 3")
    page.button("#1", "dialog").click()
    page.wait_text("dialog h2", "Order 1")


def test_traffic_shows_what_was_sent_and_answered(page: Page, sandbox: Running) -> None:
    sandbox.send(action="balance")
    sandbox.call(sandbox.panel.fail_next, Fault.HTTP_502)
    sandbox.add()
    sandbox.call(sandbox.panel.fail_next, Fault.DROP_BEFORE)
    sandbox.add()
    page.open("traffic")
    page.wait_rows("closeddrop_before", "502http_502", "balance–200")

    page.choose("Fault", "With any fault")
    page.wait_rows("3add", "2add")
    page.choose("Fault", "Without a fault")
    page.wait_rows("1balance")
    page.choose("Fault", "All")
    page.choose("Action", "add")
    page.fill("Form or answer", "bad gateway")
    page.wait_rows("2add")
    sandbox.add(7)
    page.fill("Form or answer", "example7")
    page.wait_rows("4add")

    page.open_row()
    page.wait_text("dialog pre", '"status": "success"')
    assert "Carried out" in page.text("dialog .marks")
    assert page.text("dialog dl.form").splitlines()[:2] == ["key", "•••"]
    assert sandbox.panel.api_key not in page.browser.page_source


def test_request_is_copied_as_curl(page: Page, sandbox: Running) -> None:
    sandbox.add()
    page.open("traffic")
    allow_clipboard(page)
    page.open_row()
    page.button("Copy as curl").click()
    page.notice("Copied")

    copied = read_clipboard(page)
    assert '"key=$SMMFANFAST_API_KEY"' in copied
    assert copied.endswith(sandbox.panel.url)


def test_services_are_found_and_changed(page: Page, sandbox: Running) -> None:
    page.open("services")
    page.wait(lambda: len(page.rows()) > 5)
    page.fill("Name, category, type or id", "15k followers")
    page.wait_rows("5Instagram Followers [15K]")

    page.open_row()
    page.fill("Rate per 1000", "0.90", "dialog")
    page.fill("Minimum", "5", "dialog")
    page.fill("Maximum", "7", "dialog")
    page.button("Save").click()
    page.notice("Saved")
    page.wait_rows("0.90")
    service = sandbox.panel.services["5"]
    assert (service.rate, service.min, service.max) == (Decimal("0.90"), 5, 7)

    page.open_row()
    page.field("Available", "dialog").click()
    page.button("Save").click()
    page.wait_rows("Not available")
    assert "5" not in sandbox.panel.services

    page.open_row()
    page.field("Available", "dialog").click()
    page.fill("Maximum", "3", "dialog")
    page.button("Save").click()
    page.notice("max must be from min (5)")
    assert page.find("dialog .notice").is_displayed()
    page.forget_refusals(400)


def test_faults_are_switched_on_and_used_up(page: Page, sandbox: Running) -> None:
    page.open("faults")
    page.wait_text(".faults", "No faults")
    page.wait(lambda: Select(page.field("Fault")).options)
    page.choose("Fault", "drop_after – Done, but the answer is lost")
    page.choose("Action", "add")
    page.fill("Requests", "2")
    page.button("Switch on").click()
    page.wait_text(".faults", "2 left")
    assert sandbox.add() == ""
    page.wait_text(".faults", "1 left")

    page.choose("Fault", "delay – The right answer, late")
    page.fill("Delay in seconds", "0.5")
    page.field("At a rate").click()
    page.fill("Rate in %", "2.5")
    page.button("Switch on").click()
    page.wait_text(".faults", "2.5 %")
    (scripted, rate), = sandbox.panel.fault_rates  # fmt: skip
    assert (scripted.fault, scripted.delay_s, scripted.action, rate) == ("delay", 0.5, "add", 0.025)

    page.choose("Fault", "rate_limit – 429 with Retry-After")
    page.fill("Retry-After in seconds", "7")
    page.field("For the next requests").click()
    page.choose("Action", "Any action")
    page.button("Switch on").click()
    page.wait_text(".faults", "rate_limit")
    assert sandbox.panel.pending_faults[-1].retry_after_s == 7

    page.button("Clear all").click()
    page.wait_text(".faults", "No faults")
    assert sandbox.panel.pending_faults == sandbox.panel.fault_rates == ()


def test_clock_is_stepped_and_set(page: Page, sandbox: Running) -> None:
    sandbox.add()
    page.open("clock")
    page.wait_text("output.big", "00:00:00")
    page.button("+ 1 hour").click()
    page.wait_text("output.big", "01:00:00")
    page.fill("Seconds", "90")
    page.button("Advance").click()
    page.wait_text("output.big", "01:01:30")
    page.button("Finish all orders").click()
    page.wait_text("output.big", "07:01:30")
    assert sandbox.panel.orders["1"].is_final

    page.button("60×").click()
    page.wait(lambda: page.button("60×").get_attribute("aria-pressed") == "true")
    page.wait(lambda: page.text("output.big") > "07:01:30")
    page.fill("Speed", "2.5")
    page.button("Set speed").click()
    page.wait_text("header .tag", "2.5×")
    page.button("Stop").click()
    page.wait_text("header .tag", "stopped")
    assert sandbox.panel.speed == 0


def test_account_is_topped_up_and_drawn(page: Page, sandbox: Running) -> None:
    page.open("account")
    page.wait_text(".chart", "Nothing was spent yet")
    sandbox.add()
    page.wait_text("output.big", "998.98 USD")
    page.wait(lambda: page.all(".chart rect.spent"))
    sandbox.call(sandbox.panel.set_status, 1, "canceled")
    page.wait(
        lambda: any(
            float(each.get_attribute("height")) for each in page.all(".chart rect.refunded")
        )
    )

    page.fill("Amount", "12.5")
    page.button("Top up").click()
    page.wait_text("output.big", "1,012.50 USD")
    page.fill("Amount", "a lot")
    page.button("Top up").click()
    page.notice("amount must be an amount, not 'a lot'")
    page.forget_refusals(400)
    page.find("summary").click()
    assert "1.02" in page.text("table")


def test_what_happened_is_copied_as_a_test_that_runs(
    page: Page, sandbox: Running, pytester: pytest.Pytester
) -> None:
    page.open("faults")
    page.wait(lambda: Select(page.field("Fault")).options)
    page.choose("Action", "add")
    page.button("Switch on").click()
    page.notice("Switched on")
    sandbox.add(1)
    sandbox.add(2)
    page.show("clock")
    page.button("+ 10 minutes").click()
    page.notice("The clock was advanced")
    page.show("orders")
    page.open_row(1)
    page.choose("Status", "Canceled", "dialog")
    page.button("Set status", "dialog").click()
    page.wait_text("dialog .mark", "Canceled")
    page.find("dialog .top button").click()
    page.show("record")
    page.wait_text("#test-text", "set_status")
    allow_clipboard(page)
    page.button("Copy the test").click()
    page.notice("Copied")

    copied = read_clipboard(page)
    assert copied == page.script("return document.getElementById('test-text').textContent")
    assert "dict(fault='drop_after', times=1, action='add')" in copied
    pytester.makepyfile(copied)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_page_says_when_the_sandbox_is_gone_and_comes_back(page: Page, sandbox: Running) -> None:
    page.open()
    sandbox.call(sandbox.panel.close)
    page.wait_text(".live", "Not connected")
    # A browser reports each connection that is refused.
    sandbox.call(sandbox.panel.start)
    page.wait_text(".live", "Live")
    sandbox.add()
    page.wait_rows("#1")
    assert all("ERR_" in each["message"] for each in page.browser.get_log("browser"))
