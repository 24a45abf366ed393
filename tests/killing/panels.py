"""Several panels, and what they answer to the orders of processes that are killed."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal

from support.killing import Child

from smmfanfast_async.sandbox import Fault, Sandbox
from smmfanfast_async.sandbox.replies import HttpReply

__all__ = [
    "ANSWERS",
    "KILLS",
    "SLOW_S",
    "Panel",
    "Panels",
    "is_stored",
    "open_panels",
    "panels_with",
    "refuse",
    "urls_of",
]

SLOW_S = 120.0
"""Longer than any test here: an answer that never comes."""


class Panel(Sandbox):
    """A panel whose account may be empty for a while.

    Its orders end at once. While one is active, a panel refuses another with the same link, which
    would hide that a desk has sent it twice.
    """

    is_empty = False

    def _respond(self, form: Mapping[str, str]) -> HttpReply:
        if form["action"] != "add":
            return super()._respond(form)
        if self.is_empty:
            return HttpReply(http_status=200, body=b'{"error": "Not enough funds"}', headers={})
        reply = super()._respond(form)
        self.finish_all()
        return reply


Panels = dict[str, Panel]


def refuse(panel: Panel) -> None:
    panel.is_empty = True


ANSWERS: dict[str, Callable[[Panel], None]] = {
    "refused": refuse,
    # Without a pause, which would end at a time of its own.
    "not_sent": lambda panel: panel.fail_next(Fault.RATE_LIMIT, action="add", retry_after_s=0),
    "lost": lambda panel: panel.fail_next(Fault.DROP_AFTER, action="add"),
    "slow": lambda panel: panel.fail_next(Fault.DELAY, action="add", delay_s=SLOW_S),
    "id": lambda panel: None,
}
"""What a panel answers to an order; all but "refused" to one only."""

KILLS = [
    *(
        (answer, point)
        for answer in ANSWERS
        if answer != "slow"
        for point in ("started", "outcome")
    ),
    ("slow", "sending"),
]
"""Each answer with the points at which the process is killed: nothing follows a slow answer."""


def is_stored(answer: str, point: str) -> bool:
    """Return whether the panel stored the order of the process that was killed."""
    return point == "sending" or (point == "outcome" and answer in ("lost", "id"))


@asynccontextmanager
async def open_panels(*names: str) -> AsyncIterator[Panels]:
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(Panel(balance=Decimal(10**6))) for name in names
        }
        # A test that failed has left its children running.
        for child in list(Child.alive):
            await child.kill()


def urls_of(panels: Panels) -> dict[str, str]:
    return {name: panel.url for name, panel in panels.items()}


def panels_with(panels: Panels, ref: str) -> list[str]:
    """Return the name of a panel for each order that is stored for a ref."""
    return [
        name for name, panel in panels.items()
        for each in panel.orders.values() if each.link.rpartition("/")[2] == ref
    ]  # fmt: skip
