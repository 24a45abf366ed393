"""What moves on a terminal: a bar that counts, and boards that show what changes."""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress import (
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .._text import sanitize
from ..errors import PanelError
from ..journal import OPEN_STATES, EventKind, JournalEvent, Summary, UnknownOrder
from ..results import OrderStatus, Status
from ._entries import summary_view, when
from ._output import STYLES, cell, money, statuses_table, table

__all__ = ["Board", "StatusBoard", "can_redraw", "counting", "event_row", "live", "notices"]

EVENTS_SHOWN = 8
"""Changes that the board shows, the latest."""

UNKNOWN_SHOWN = 5
"""Unknown orders that the board shows; `smmfanfast unknown` shows all."""

REDRAWN_PER_S = 4.0
"""How often a board is drawn in a second."""

BAR_COLUMNS = 40
"""Width of a bar, in columns."""

EVENT_STYLES = {
    EventKind.UNKNOWN: "bold red",
    EventKind.LATE: "bold red",
    EventKind.REFUSED: "magenta",
    EventKind.MISSING: "yellow",
    EventKind.HELD: "yellow",
    EventKind.ACCEPTED: "cyan",
    EventKind.FINISHED: "green",
}
"""Colours of what happened to an order; the rest has none."""


def can_redraw(console: Console) -> bool:
    """Whether what was drawn can be drawn over: a terminal that understands how."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def counting(console: Console, what: str) -> Generator[Callable[[], None], None, None]:
    """Show a bar that counts, on a terminal alone; gives what counts one more."""
    if not console.is_terminal:
        # Some releases of rich end a bar with a line even where they show none.
        yield lambda: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} {task.description}"),
        TaskProgressColumn(show_speed=True),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=None)
        yield lambda: progress.advance(task)


@contextmanager
def live(
    console: Console, board: RenderableType, *, stays: bool = True
) -> Generator[None, None, None]:
    """Draw a board again and again while it changes; at the end it stays, or is wiped off."""
    with Live(board, console=console, refresh_per_second=REDRAWN_PER_S, transient=not stays):
        yield


class _Notices(logging.Handler):
    """Hands on what the library logs, cleaned."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record on."""
        self._say(sanitize(record.getMessage()))


@contextmanager
def notices(say: Callable[[str], None]) -> Generator[None, None, None]:
    """Hand on what the library warns of meanwhile, such as a panel that does not answer."""
    log = logging.getLogger("smmfanfast_async")
    handler = _Notices(say)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def event_row(event: JournalEvent) -> list[Text]:
    """Make the cells of what happened to an order."""
    status = "" if event.raw_status is None else STYLES.get(Status.parse(event.raw_status), "")
    return [
        cell(f"{event.at:%H:%M:%S}", "dim"),
        cell(event.ref),
        cell(event.kind.value, EVENT_STYLES.get(event.kind, "")),
        cell(event.order),
        cell(event.raw_status, status),
        cell(money(event.charge)),
        cell(event.remains),
        cell(event.text or ""),
    ]


class Board:
    """What `smmfanfast follow` shows: counts, money, the last changes, and what is unknown."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_s = clock()
        self._summary: Summary | None = None
        self._checks = 0
        self._unknown: list[UnknownOrder] = []
        self._events: deque[JournalEvent] = deque(maxlen=EVENTS_SHOWN)
        self._notice = ""

    def event(self, event: JournalEvent) -> None:
        """Show a change."""
        self._events.append(event)

    def say(self, text: str) -> None:
        """Show a word on what goes wrong."""
        self._notice = text

    def count(self, summary: Summary, checks: int, unknown: list[UnknownOrder]) -> None:
        """Show how the orders stand by now."""
        self._summary, self._checks, self._unknown = summary, checks, unknown

    def __rich__(self) -> RenderableType:
        """Draw it."""
        if self._summary is None:
            return Text("reading the journal …", style="dim")
        parts: list[RenderableType] = [self._head(self._summary), summary_view(self._summary)]
        if self._events:
            parts.append(self._changes())
        if self._unknown:
            parts.append(self._to_resolve())
        if self._notice:
            parts.append(Text(self._notice, style="yellow"))
        return Group(*parts)

    def _head(self, summary: Summary) -> Table:
        total = sum(summary.by_state.values())
        over = total - sum(summary.by_state.get(state, 0) for state in OPEN_STATES)
        passed_s = max(self._clock() - self._began_s, 0.001)
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(f"{over} of {total} orders are over", style="bold"),
            ProgressBar(
                total=max(total, 1),
                completed=over,
                width=BAR_COLUMNS,
                complete_style="green",
            ),
            Text(f"{self._checks / passed_s:.1f} checks/s", style="cyan"),
            Text(f"{passed_s:.0f} s", style="dim"),
        )
        return head

    def _changes(self) -> Table:
        numbers = ("charge", "remains")
        names = ("at (UTC)", "ref", "what", "order", "status", "charge", "remains", "words")
        made = table("Last changes", *names, right=numbers)
        for event in self._events:
            made.add_row(*event_row(event))
        return made

    def _to_resolve(self) -> Group:
        number = len(self._unknown)
        # A title would be broken where the table is narrow.
        head = Text(f"{number} unknown: see `smmfanfast unknown`", style="bold red")
        made = table("", "ref", "sent (UTC)", "why")
        for each in self._unknown[:UNKNOWN_SHOWN]:
            entry = each.entry
            cells = (entry.ref, when(entry.sent_at), entry.reason)
            made.add_row(*(cell(value, "red") for value in cells))
        return Group(head, made)


FRAME_LINES = 6
"""Lines of a terminal that a board needs beside its rows."""


class StatusBoard:
    """The orders that landed last, as many as the terminal is high, and how many there are."""

    def __init__(self, total: int, *, counts_final: bool = False) -> None:
        self._total = total
        self._counts_final = counts_final
        self._ended: set[str] = set()
        self.rows: dict[str, OrderStatus | PanelError] = {}
        """All of them, the latest at the end."""

    def land(self, order: str, result: OrderStatus | PanelError, *, is_final: bool = False) -> None:
        """Show how an order stands; which words are final is the profile's, so it is told."""
        if is_final:
            self._ended.add(order)
        self.rows.pop(order, None)
        self.rows[order] = result

    @property
    def title(self) -> str:
        """Say how far it is."""
        if not self._counts_final:
            return f"{len(self.rows)} of {self._total} orders"
        return f"{len(self._ended)} of {self._total} orders are final"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        most = max(console.size.height - FRAME_LINES, 1)
        yield statuses_table(self.title, list(self.rows.items())[-most:])
