"""A process is killed while it orders at one of two panels, and another one continues.

The truth is what the panels stored: over both of them, one order for a ref at most, whatever the
first panel answers, at whichever panel the process is killed, and at whichever point.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from decimal import Decimal

import pytest
import pytest_asyncio
from support.killing import PATIENT, Child, entries_of, verify

from smmfanfast_async.journal import EntryState
from smmfanfast_async.sandbox import Fault, Sandbox
from smmfanfast_async.sandbox.replies import HttpReply


class Panel(Sandbox):
    """A panel whose account may be empty for a while."""

    is_empty = False

    def _respond(self, form: Mapping[str, str]) -> HttpReply:
        if self.is_empty and form["action"] == "add":
            return HttpReply(http_status=200, body=b'{"error": "Not enough funds"}', headers={})
        return super()._respond(form)


Panels = dict[str, Panel]


def refuse(panel: Panel) -> None:
    panel.is_empty = True


ANSWERS: dict[str, Callable[[Panel], None]] = {
    "refused": refuse,
    "not_sent": lambda panel: panel.fail_next(Fault.RATE_LIMIT, action="add"),
    "lost": lambda panel: panel.fail_next(Fault.DROP_AFTER, action="add"),
    "id": lambda panel: None,
}
"""What a panel answers to the order that the process is killed at."""

FAST = {("refused", "first", "outcome"), ("id", "second", "outcome"), ("id", "second", "started")}
"""What the normal suite runs, on SQLite; the rest is slow."""

CASES = [
    pytest.param(
        backend, answer, number, point,
        marks=[] if backend == "sqlite" and (answer, number, point) in FAST else [pytest.mark.slow],
    )
    for backend in ("sqlite", "postgresql")
    for answer in ANSWERS
    for number in ("first", "second")
    for point in ("started", "outcome")
]  # fmt: skip


@pytest_asyncio.fixture
async def panels() -> AsyncIterator[Panels]:
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(Panel(balance=Decimal(10**6)))
            for name in ("alpha", "beta")
        }
        for child in list(Child.alive):
            await child.kill()


@pytest.mark.parametrize(("backend", "answer", "number", "point"), CASES)
@pytest.mark.asyncio
async def test_kill_at_one_of_two_panels_leaves_one_order_at_most(
    url: str, panels: Panels, answer: str, number: str, point: str
) -> None:
    alpha, beta = panels.values()
    urls = {name: panel.url for name, panel in panels.items()}
    if number == "second":
        refuse(alpha)
    asked = beta if number == "second" else alpha
    ANSWERS[answer](asked)

    child = await Child.start(
        url, alpha, panels=urls, refs=["one"], point=point, passed=int(number == "second")
    )
    await child.until("at")
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
    assert entry.panel == ("beta" if number == "second" else "alpha")
    stored = [name for name, panel in panels.items() for _ in panel.orders]
    was_sent = point == "outcome" and answer in ("lost", "id")
    assert stored == ([entry.panel] if was_sent else [])
