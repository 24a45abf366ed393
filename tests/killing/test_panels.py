"""A process is killed while it orders at one of two panels, and another one continues.

The truth is what the panels stored: over both of them, one order for a ref at most, whatever the
first panel answers, at whichever panel the process is killed, and at whichever point.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.killing import PATIENT, Child, entries_of, eventually, verify

from smmfanfast_async.journal import EntryState

from .panels import ANSWERS, KILLS, Panels, is_stored, open_panels, panels_with, refuse, urls_of

FAST = {("refused", "first", "outcome"), ("id", "second", "outcome"), ("id", "second", "started")}
"""What the normal suite runs, on SQLite; the rest is slow."""

CASES = [
    pytest.param(
        backend, answer, number, point,
        marks=[] if backend == "sqlite" and (answer, number, point) in FAST else [pytest.mark.slow],
    )
    for backend in ("sqlite", "postgresql")
    for answer, point in KILLS
    for number in ("first", "second")
]  # fmt: skip


@pytest_asyncio.fixture
async def panels() -> AsyncIterator[Panels]:
    async with open_panels("alpha", "beta") as opened:
        yield opened


@pytest.mark.parametrize(("backend", "answer", "number", "point"), CASES)
@pytest.mark.asyncio
async def test_kill_at_one_of_two_panels_leaves_one_order_at_most(
    url: str, panels: Panels, answer: str, number: str, point: str
) -> None:
    alpha, beta = panels.values()
    if number == "second":
        refuse(alpha)
    name = "beta" if number == "second" else "alpha"
    ANSWERS[answer](panels[name])
    urls = urls_of(panels)

    child = await Child.start(url, alpha, panels=urls, refs=["one"], point=point, at_panel=name)
    await child.until("at")
    if point == "sending":
        await eventually(lambda: bool(panels[name].orders))
    await child.kill()
    for panel in panels.values():
        panel.is_empty = False
    other = await Child.start(url, alpha, panels=urls, refs=["one"], follow=True, **PATIENT)
    await other.until("done")
    await other.wait()

    entries = await entries_of(url)
    verify(entries, alpha, ["one"], beta)
    entry = entries["one"]
    assert entry.state is EntryState.UNKNOWN
    assert entry.panel == name
    assert panels_with(panels, "one") == ([name] if is_stored(answer, point) else [])
