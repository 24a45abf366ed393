"""Live output on a terminal: a progress bar, and boards that are redrawn."""

import io
import logging
import os
import stat
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TextIO

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
from ..journal import (
    DEFAULT_PANEL,
    OPEN_STATES,
    ConsumerHealth,
    DeskHealth,
    EventKind,
    JournalEvent,
    Summary,
    UnknownOrder,
)
from ..results import OrderStatus, Status
from ._entries import format_time, summary_view
from ._output import STYLES, cell, money, plural, shorten, statuses_table, table

__all__ = [
    "Board",
    "StatusBoard",
    "can_redraw",
    "closed_of",
    "counting",
    "describe_lag",
    "event_row",
    "lagging",
    "live",
    "notices",
    "progress",
]

EVENTS_SHOWN = 8
"""How many of the latest changes the board shows."""

UNKNOWN_SHOWN = 5
"""Unknown orders that the board shows; `smmfanfast unknown` shows all."""

REDRAWN_PER_S = 4.0
"""How often a board is redrawn per second."""

BAR_COLUMNS = 40
"""Width of a bar, in columns."""

LAG = timedelta(minutes=15)
"""How long an event waits for a consumer before that is shown: one that runs takes seconds."""

EVENT_STYLES = {
    EventKind.UNKNOWN: "bold red",
    EventKind.LATE: "bold red",
    EventKind.REFUSED: "magenta",
    EventKind.MISSING: "yellow",
    EventKind.HELD: "yellow",
    EventKind.ACCEPTED: "cyan",
    EventKind.FINISHED: "green",
}
"""Colours of events; the others have none."""


def can_redraw(console: Console) -> bool:
    """Whether output can be redrawn: the terminal is not a dumb one."""
    return console.is_terminal and not console.is_dumb_terminal


@contextmanager
def counting(console: Console, what: str) -> Generator[Callable[[], None], None, None]:
    """Show a progress bar while rows go to a file; yield a function that advances it by one.

    Rows on a terminal, also those of a pipe that ends there, show the progress themselves.
    """
    if not console.is_terminal or not _is_file(sys.stdout):
        # Some releases of rich print a line at the end even if they show no bar.
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


def _is_file(stream: TextIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (OSError, io.UnsupportedOperation):
        return False


@contextmanager
def live(
    console: Console, board: RenderableType, *, stays: Callable[[], bool] = lambda: True
) -> Generator[None, None, None]:
    """Redraw a board while it changes; `stays` tells at the end whether it is erased."""
    with Live(board, console=console, refresh_per_second=REDRAWN_PER_S) as screen:
        try:
            yield
        finally:
            screen.transient = not stays()


class _Notices(logging.Handler):
    """Passes on what the library logs, sanitized."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._notify = notify

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on a record."""
        self._notify(sanitize(record.getMessage()))


@contextmanager
def notices(notify: Callable[[str], None]) -> Generator[None, None, None]:
    """Pass on the warnings of the library, such as about a panel that does not respond."""
    log = logging.getLogger("smmfanfast_async")
    handler = _Notices(notify)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def event_row(event: JournalEvent) -> list[Text]:
    """Return the cells of an event."""
    status = "" if event.raw_status is None else STYLES.get(Status.parse(event.raw_status), "")
    text = ": ".join(filter(None, [event.request_state, event.text]))
    return [
        cell(f"{event.at:%H:%M:%S}", "dim"),
        cell(event.ref),
        cell(event.kind.value, EVENT_STYLES.get(event.kind, "")),
        cell(event.order),
        cell(event.raw_status, status),
        cell(money(event.charge)),
        cell(event.remains),
        cell(text),
        cell(event.panel),
    ]


def lagging(health: DeskHealth, *, besides: str = "") -> list[ConsumerHealth]:
    """Return the consumers of events whose oldest event waits for longer than `LAG`."""
    before = health.at - LAG
    return [
        each
        for name, each in health.consumers.items()
        if name != besides and each.oldest_at is not None and each.oldest_at < before
    ]


def describe_lag(consumer: ConsumerHealth) -> str:
    """Return in words how far a consumer is behind."""
    name, behind = sanitize(consumer.consumer), plural(consumer.lag, "event")
    return f"consumer {name} is {behind} behind, since {format_time(consumer.oldest_at)} UTC"


def closed_of(summary: Summary) -> tuple[int, int]:
    """Return how many orders are closed, and how many there are."""
    total = sum(summary.by_state.values())
    return total - sum(summary.by_state.get(state, 0) for state in OPEN_STATES), total


def progress(done: int, total: int, what: str) -> str:
    """Return the progress in words: "1 of 3 orders is closed"."""
    verb = "is" if 1 in {done, total} else "are"
    return f"{done} of {plural(total, 'order')} {verb} {what}"


class Board:
    """The board of `smmfanfast follow`: counts, money, latest changes and unknown orders."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started_s = clock()
        self._summary: Summary | None = None
        self._checks = 0
        self._unknown: list[UnknownOrder] = []
        self._events: deque[JournalEvent] = deque(maxlen=EVENTS_SHOWN)
        self._lagging: Sequence[ConsumerHealth] = ()
        self._notice = ""
        self.is_stopped = False
        """Whether following was interrupted, so that the board is erased."""

    def stop(self) -> None:
        """Erase the board at its end."""
        self.is_stopped = True

    def event(self, event: JournalEvent) -> None:
        """Show an event."""
        self._events.append(event)

    def notify(self, text: str) -> None:
        """Show a warning."""
        self._notice = text

    def count(self, summary: Summary, checks: int, unknown: list[UnknownOrder]) -> None:
        """Show the current totals."""
        self._summary, self._checks, self._unknown = summary, checks, unknown

    def lag(self, consumers: Sequence[ConsumerHealth]) -> None:
        """Show the consumers that lag."""
        self._lagging = consumers

    def __rich__(self) -> RenderableType:
        """Render the board."""
        if self._summary is None:
            return Text("reading the journal …", style="dim")
        parts: list[RenderableType] = [self._head(self._summary), summary_view(self._summary)]
        if self._events:
            parts += [Text(), self._changes()]
        if self._unknown:
            parts += [Text(), self._to_resolve()]
        parts += [Text(describe_lag(each), style="yellow") for each in self._lagging]
        if self._notice:
            parts.append(Text(self._notice, style="yellow"))
        return Group(*parts)

    def _head(self, summary: Summary) -> Table:
        closed, total = closed_of(summary)
        elapsed_s = max(self._clock() - self._started_s, 0.001)
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(progress(closed, total, "closed"), style="bold"),
            ProgressBar(
                total=max(total, 1),
                completed=closed,
                width=BAR_COLUMNS,
                complete_style="green",
            ),
            Text(f"{self._checks / elapsed_s:.1f} checks/s", style="cyan"),
            Text(f"{elapsed_s:.0f} s", style="dim"),
        )
        return head

    def _changes(self) -> Table:
        numbers = ("charge", "remains")
        names = ["at (UTC)", "ref", "event", "order", "status", "charge", "remains", "message"]
        rows = list(map(event_row, self._events))
        if {each.panel for each in self._events} <= {None, DEFAULT_PANEL}:
            rows = [row[:-1] for row in rows]
        else:
            names.append("panel")
        return shorten(table("Latest changes", *names, right=numbers, rows=rows))

    def _to_resolve(self) -> Group:
        number = len(self._unknown)
        # A table title would be wrapped if the table is narrow.
        head = Text(f"{number} unknown: see `smmfanfast unknown`", style="bold red")
        shown = [each.entry for each in self._unknown[:UNKNOWN_SHOWN]]
        values = ((each.ref, format_time(each.sent_at), each.reason) for each in shown)
        rows = ([cell(each, "red") for each in row] for row in values)
        return Group(head, shorten(table("", "ref", "sent (UTC)", "reason", rows=rows)))


FRAME_LINES = 6
"""Lines of a terminal that a board needs in addition to its rows."""


class StatusBoard:
    """The latest statuses, as many as fit the terminal, and their number."""

    def __init__(self, total: int, *, counts_final: bool = False) -> None:
        self._total = total
        self._counts_final = counts_final
        self._final: set[str] = set()
        self.rows: dict[str, OrderStatus | PanelError] = {}
        """All statuses by order, the latest last."""

    def update(
        self, order: str, result: OrderStatus | PanelError, *, is_final: bool = False
    ) -> None:
        """Show the status of an order; the caller knows from the profile if it is final."""
        if is_final:
            self._final.add(order)
        self.rows.pop(order, None)
        self.rows[order] = result

    @property
    def title(self) -> str:
        """The progress, in words."""
        if not self._counts_final:
            return f"{len(self.rows)} of {plural(self._total, 'order')}"
        return progress(len(self._final), self._total, "final")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the board."""
        max_rows = max(console.size.height - FRAME_LINES, 1)
        yield shorten(statuses_table(self.title, list(self.rows.items())[-max_rows:]))
