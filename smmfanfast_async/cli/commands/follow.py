"""`follow`: all orders in the journal, to the end."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.text import Text

from ...desk import OrderDesk
from ...journal import EntryState, JournalEvent, Summary, UnknownOrder
from .. import _output as output
from .._codes import INTERRUPTED, LEFT_UNKNOWN, OK
from .._entries import IN_FLIGHT, summary_view
from .._errors import handle_errors, print_line
from .._live import Board, can_redraw, event_row, live, notices
from .._options import Flag, JournalOptions

if TYPE_CHECKING:
    from .._journal import CountingJournal

__all__ = ["follow"]

COUNT_EVERY_S = 1.0
"""Seconds between two counts of the orders."""

COUNT_SHARE = 0.1
"""The largest share of the time spent on counting: large journals are counted less often."""

_HERE = JournalOptions()


class _View(Protocol):
    """Shows the progress."""

    def event(self, event: JournalEvent) -> None:
        """Show an event."""
        ...

    def notify(self, text: str) -> None:
        """Show a warning."""
        ...

    def count(self, summary: Summary, checks: int, unknown: list[UnknownOrder]) -> None:
        """Show the current totals."""
        ...


@handle_errors
async def follow(
    *,
    consumer: str = "smmfanfast-follow",
    every: float = 5.0,
    until_final: Flag = False,
    options: JournalOptions = _HERE,
) -> int:
    """Run `smmfanfast follow`.

    Parameters
    ----------
    consumer
        The name under which the journal stores which changes were shown.
    every
        Minimum seconds between two status checks of an active order.
    until_final
        Exit when nothing is left to do: all orders are final, refused, or unknown. Exit code 7 if
        the outcome of some is unknown and a person has to resolve them; 130 after Ctrl-C.
    """
    console, errors = Console(), Console(stderr=True)
    is_interrupted = False
    async with options.desk(may_create=True, every_s=every) as (_, desk, journal):
        with _view(console, errors, as_json=options.json) as view, notices(view.notify):
            try:
                await _first_of(
                    desk.follow(),
                    _show_events(desk, consumer, view),
                    _count(desk, journal, view, until_final=until_final),
                )
                await _show_events(desk, consumer, view, wait=False)
            except asyncio.CancelledError:
                is_interrupted = True
                view.notify("stopped; orders in progress continue at the panel")
            summary = await desk.summary()
            view.count(summary, journal.checks, await desk.unknown())
    if not options.json and not can_redraw(console):
        console.print(summary_view(summary))
    if not until_final:
        return OK
    return INTERRUPTED if is_interrupted else _finish(summary)


def _finish(summary: Summary) -> int:
    number = summary.by_state.get(EntryState.UNKNOWN, 0)
    if not number:
        return OK
    which = "1 order is" if number == 1 else f"{number} orders are"
    print_line(f"{which} unknown", "bold red", hint="`smmfanfast unknown` shows the evidence")
    return LEFT_UNKNOWN


async def _first_of(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run coroutines until one ends, then cancel the others; raise what it raised."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _show_events(desk: OrderDesk, consumer: str, view: _View, *, wait: bool = True) -> None:
    async with desk.events(consumer, wait=wait) as events:
        async for event in events:
            view.event(event)


async def _count(
    desk: OrderDesk, journal: "CountingJournal", view: _View, *, until_final: bool
) -> None:
    """Count the orders regularly; with `until_final`, return when nothing is left to do."""
    while True:
        started_s = time.monotonic()
        summary = await desk.summary()
        unknown = await desk.unknown() if summary.by_state.get(EntryState.UNKNOWN) else []
        view.count(summary, journal.checks, unknown)
        if until_final and not any(summary.by_state.get(state) for state in IN_FLIGHT):
            return
        taken_s = time.monotonic() - started_s
        await asyncio.sleep(max(COUNT_EVERY_S, taken_s / COUNT_SHARE))


@contextmanager
def _view(console: Console, errors: Console, *, as_json: bool) -> Generator[_View, None, None]:
    """Yield a board if the terminal can redraw it, lines otherwise."""
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
"""Columns of the cells on a line: time, ref, event, order, status, charge, remains, message."""


class _Lines:
    """Prints a line for each event and nothing for totals."""

    def __init__(self, show: Callable[[JournalEvent], None], errors: Console) -> None:
        self._show = show
        self._errors = errors

    def event(self, event: JournalEvent) -> None:
        """Show an event."""
        self._show(event)

    def notify(self, text: str) -> None:
        """Show a warning."""
        self._errors.print(Text(text, style="yellow"), soft_wrap=True)

    def count(self, summary: Summary, checks: int, unknown: list[UnknownOrder]) -> None:
        """Show nothing: a stream of lines contains events only."""
