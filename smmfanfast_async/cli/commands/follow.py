"""`follow`: all orders of the journal, to the end."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.text import Text

from ...desk import OrderDesk
from ...journal import EntryState, JournalEvent, Summary, UnknownOrder
from .. import _output as output
from .._codes import INTERRUPTED, LEFT_UNKNOWN, OK
from .._entries import UNDER_WAY, summary_view
from .._errors import handle_errors, print_line
from .._live import Board, can_redraw, event_row, live, notices
from .._options import Flag, JournalOptions

if TYPE_CHECKING:
    from .._journal import CountingJournal

__all__ = ["follow"]

COUNT_EVERY_S = 1.0
"""Seconds between two counts of the orders, where counting takes no time itself."""

COUNT_SHARE = 0.1
"""The most of the time that counting takes: a journal of millions is counted more seldom."""

_HERE = JournalOptions()


class _View(Protocol):
    """What shows how it goes."""

    def event(self, event: JournalEvent) -> None:
        """Show a change."""
        ...

    def say(self, text: str) -> None:
        """Show a word on what goes wrong."""
        ...

    def count(self, summary: Summary, checks: int, unknown: list[UnknownOrder]) -> None:
        """Show how the orders stand by now."""
        ...


@handle_errors
async def follow(
    *,
    consumer: str = "smmfanfast-follow",
    every: float = 5.0,
    until_final: Flag = False,
    panel: JournalOptions = _HERE,
) -> int:
    """Send what is due and follow all orders of the journal to the end; Ctrl-C ends it.

    Any number of these may run, on any number of machines that share the journal. An outage of the
    panel marks no order. With --json each change is a JSON object on a line of its own, once for
    each --consumer: it goes on where the last run ended.

    Parameters
    ----------
    consumer
        A name under which the journal keeps how far the changes were shown.
    every
        Seconds between two looks at an order that moves, at the least.
    until_final
        End when nothing is left that a desk can do: all is final, refused, or unknown. Exit code 7
        if orders are unknown then, which a person has to settle; 130 after Ctrl-C.
    """
    console, errors = Console(), Console(stderr=True)
    is_cut = False
    async with panel.desk(makes=True, every_s=every) as (_, desk, journal):
        with _view(console, errors, as_json=panel.json) as view, notices(view.say):
            try:
                await _first_of(
                    desk.follow(),
                    _tell(desk, consumer, view),
                    _count(desk, journal, view, until_final=until_final),
                )
                await _tell(desk, consumer, view, wait=False)
            except asyncio.CancelledError:
                is_cut = True
                view.say("ended; what is under way at the panel goes on")
            found = await desk.summary()
            view.count(found, journal.checks, await desk.unknown())
    if not panel.json and not can_redraw(console):
        console.print(summary_view(found))
    if not until_final:
        return OK
    return INTERRUPTED if is_cut else _end(found)


def _end(found: Summary) -> int:
    number = found.by_state.get(EntryState.UNKNOWN, 0)
    if not number:
        return OK
    which = "1 order is" if number == 1 else f"{number} orders are"
    print_line(f"{which} unknown", "bold red", hint="`smmfanfast unknown` shows the evidence")
    return LEFT_UNKNOWN


async def _first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Do some works at once until one ends, which ends the others; raise what it raises."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _tell(desk: OrderDesk, consumer: str, view: _View, *, wait: bool = True) -> None:
    async with aclosing(desk.events(consumer, wait=wait)) as events:
        async for event in events:
            view.event(event)


async def _count(
    desk: OrderDesk, journal: "CountingJournal", view: _View, *, until_final: bool
) -> None:
    """Count now and then; come to an end where nothing is left to do, if that is wanted."""
    while True:
        begun_s = time.monotonic()
        summary = await desk.summary()
        unknown = await desk.unknown() if summary.by_state.get(EntryState.UNKNOWN) else []
        view.count(summary, journal.checks, unknown)
        if until_final and not any(summary.by_state.get(state) for state in UNDER_WAY):
            return
        taken_s = time.monotonic() - begun_s
        await asyncio.sleep(max(COUNT_EVERY_S, taken_s / COUNT_SHARE))


@contextmanager
def _view(console: Console, errors: Console, *, as_json: bool) -> Generator[_View, None, None]:
    """Give what shows how it goes: a board where a terminal can draw it, lines elsewhere."""
    if as_json or not can_redraw(console):
        yield _Lines(_as_json(console) if as_json else _as_line(console), errors)
        return
    board = Board()
    with live(console, board):
        yield board


def _as_json(console: Console) -> Callable[[JournalEvent], None]:
    return lambda event: output.print_json(console, event)


def _as_line(console: Console) -> Callable[[JournalEvent], None]:
    return lambda event: output.print_line(console, event_row(event), widths=EVENT_WIDTHS)


EVENT_WIDTHS = (8, 24, 9, 12, 12, 8, 8, 0)
"""Signs that the cells of a change take on a line: time, ref, what, order, status, charge, remains,
words."""


class _Lines:
    """A line for each change, and nothing for counts."""

    def __init__(self, show: Callable[[JournalEvent], None], errors: Console) -> None:
        self._show = show
        self._errors = errors

    def event(self, event: JournalEvent) -> None:
        """Show a change."""
        self._show(event)

    def say(self, text: str) -> None:
        """Show a word on what goes wrong."""
        self._errors.print(Text(text, style="yellow"), soft_wrap=True)

    def count(self, summary: Summary, checks: int, unknown: list[UnknownOrder]) -> None:
        """Show nothing: whoever reads lines reads the changes."""
