"""No key or password is shown or logged, and no link is logged."""

import asyncio
import logging
import traceback

import pytest

from smmfanfast_async.errors import ClosedError, PanelError
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault

from .world import World, eventually, order, read_events

KEY, PASSWORD, LINK = "test-key", "test-password", "links.test"


@pytest.fixture
def backend() -> str:
    return "postgresql"


@pytest.mark.asyncio
async def test_no_secret_is_shown_and_no_link_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    journal = SQLJournal(world.url)
    desk = await world.desk(journal=journal, circuit=None)
    shown: list[str] = []
    for n, fault in enumerate(("drop_after", "http_500", "html_page", "php_notice", "blocked")):
        world.panel.fail_next(fault, action="add")
        entry = await desk.place(order(n), ref=f"r{n}")
        shown.append(repr(entry))
        try:
            entry.order_id()
        except PanelError as error:
            shown.append("".join(traceback.format_exception(error)))
    world.panel.answer_next("add", '{"error": "Not enough funds"}')
    shown.append(repr(await desk.place(order("f"), ref="f")))
    world.panel.fail_next(Fault.HTTP_503, action="status")
    async with world.following(desk):
        await eventually(lambda: world.panel.calls("status"))
        await asyncio.sleep(0.05)
    shown += map(
        repr, (desk, journal, desk._sender, desk._follower, desk._admission, desk._event_reader)
    )
    shown += map(repr, await desk.unknown())
    shown += map(repr, await read_events(desk))
    await desk.aclose()
    with pytest.raises(ClosedError) as caught:
        await desk.place(order(), ref="z")
    shown.append("".join(traceback.format_exception(caught.value)))

    for text in (*shown, caplog.text):
        assert KEY not in text
        assert PASSWORD not in text
    assert LINK not in caplog.text
    assert caplog.records
