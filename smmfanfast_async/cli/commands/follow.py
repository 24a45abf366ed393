"""`follow`: all orders in the journal, to the end."""

import asyncio
import time
from collections.abc import Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console

from ...desk import OrderDesk
from ...journal import ConsumerHealth, EntryState, JournalEvent, Summary, UnknownOrder
from .. import _output as output
from .._codes import INTERRUPTED, LEFT_UNKNOWN, OK
from .._entries import IN_FLIGHT, format_time
from .._errors import handle_errors, print_line
from .._live import (
    Board,
    can_redraw,
    closed_of,
    describe_lag,
    event_row,
    lagging,
    live,
    notices,
    progress,
)
from .._options import CheckCounter, Flag, JournalOptions, mention_other_accounts
from .._output import plural

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

    def lag(self, consumers: Sequence[ConsumerHealth]) -> None:
        """Show the consumers of events that lag."""
        ...

    def stop(self) -> None:
        """Leave nothing behind at the end that changes."""
        ...


@handle_errors
async def follow(
    *,
    consumer: str = "smmfanfast-follow",
    every: float = 5.0,
    until_final: Flag = False,
    settle_by_balance: Flag = False,
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
    settle_by_balance
        Refuse an order whose outcome is unknown if the panel answered it with an error and the
        balance, read every two minutes for a quarter of an hour, shows no charge.
    """
    is_interrupted = False
    async with options.desk(
        may_create=True, every_s=every, settle_by_balance=settle_by_balance
    ) as opened:
        desk, counter = opened.desk, opened.counter
        with _view(as_json=options.json) as view, notices(view.notify):
            try:
                await _first_of(
                    desk.follow(),
                    _show_events(desk, consumer, view),
                    _count(desk, counter, view, consumer, until_final=until_final),
                )
                await _show_events(desk, consumer, view, wait=False)
            except asyncio.CancelledError:
                is_interrupted = True
                view.stop()
            summary = await desk.summary()
            view.count(summary, counter.checks, await desk.unknown())
        if not summary.by_state:
            await mention_other_accounts(opened.journal)
    if is_interrupted:
        return _stop(summary, INTERRUPTED if until_final else OK)
    return _finish(summary)


def _stop(summary: Summary, code: int) -> int:
    """Print on one line what is left; return the exit code."""
    closed, total = closed_of(summary)
    number = summary.by_state.get(EntryState.UNKNOWN, 0)
    unknown = f", {number} {'is' if number == 1 else 'are'} unknown" if number else ""
    print_line(
        f"stopped: {progress(closed, total, 'closed')}{unknown}; orders in progress continue at "
        "the panel",
        "yellow",
    )
    return code


def _finish(summary: Summary) -> int:
    """Print on one line if a person has to do something; return the exit code."""
    number = summary.by_state.get(EntryState.UNKNOWN, 0)
    if not number:
        return OK
    which = f"{plural(number, 'order')} {'is' if number == 1 else 'are'} unknown"
    print_line(which, "bold red", hint="`smmfanfast unknown` shows the evidence")
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
    desk: OrderDesk, counter: CheckCounter, view: _View, consumer: str, *, until_final: bool
) -> None:
    """Count the orders regularly; with `until_final`, return when nothing is left to do."""
    while True:
        started_s = time.monotonic()
        summary = await desk.summary()
        unknown = await desk.unknown() if summary.by_state.get(EntryState.UNKNOWN) else []
        view.count(summary, counter.checks, unknown)
        view.lag(lagging(await desk.health(), besides=consumer))
        if until_final and not any(summary.by_state.get(state) for state in IN_FLIGHT):
            return
        taken_s = time.monotonic() - started_s
        await asyncio.sleep(max(COUNT_EVERY_S, taken_s / COUNT_SHARE))


@contextmanager
def _view(*, as_json: bool) -> Generator[_View, None, None]:
    """Yield a board if the terminal can redraw it, lines otherwise."""
    console = Console()
    if as_json or not can_redraw(console):
        yield _Lines(console, as_json=as_json)
        return
    board = Board()
    with live(console, board, stays=lambda: not board.is_stopped):
        yield board


EVENT_WIDTHS = (19, 24, 9, 12, 12, 8, 8, 0, 0)
"""Columns of the cells on a line: time, ref, event, order, status, charge, remains, message,
panel."""


class _Lines:
    """Prints a line for each event and nothing for totals."""

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console = console
        self._as_json = as_json
        self._lagging: set[str] = set()

    def event(self, event: JournalEvent) -> None:
        """Show an event."""
        if self._as_json:
            output.print_json(self._console, event)
        else:
            # With the day, as lines are kept in a file.
            cells = [output.cell(format_time(event.at)), *event_row(event)[1:]]
            output.print_row(self._console, cells, widths=EVENT_WIDTHS)

    def notify(self, text: str) -> None:
        """Show a warning."""
        print_line(text, "yellow")

    def count(self, summary: Summary, checks: int, unknown: list[UnknownOrder]) -> None:
        """Show nothing: a stream of lines contains events only."""

    def lag(self, consumers: Sequence[ConsumerHealth]) -> None:
        """Warn of a consumer when it starts to lag."""
        for each in consumers:
            if each.consumer not in self._lagging:
                self.notify(describe_lag(each))
        self._lagging = {each.consumer for each in consumers}

    def stop(self) -> None:
        """Do nothing: lines stay."""
