"""Results as tables for people, as rows and JSON for programs, with the panel's text sanitized.

On a terminal, rows are a table. Anywhere else each row is one line: its cells complete, separated
by tabs and without a heading, as `cut` and `awk` read them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

import attrs
from rich import box
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from .._amounts import EXACT
from .._text import sanitize
from ..errors import InvalidOrderError, PanelError
from ..journal import EntryState, RequestState
from ..results import OrderStatus, Service, Status

__all__ = [
    "REQUEST_STYLES",
    "STATE_STYLES",
    "STYLES",
    "cell",
    "error_object",
    "money",
    "plain",
    "plural",
    "print_json",
    "print_row",
    "services_table",
    "shorten",
    "show",
    "status_row",
    "statuses_table",
    "table",
]

MAX_CELL_CHARACTERS = 200
"""The longest text of a panel in a cell of a table; the rest is cut."""

MAX_WIDTH = 4096
"""The widest text in columns if the output has no width of its own, as a file."""

STATUS_WIDTHS = (12, 12, 14, 10, 10, 0)
"""Columns of the cells on a line: order, status, charge, start, remains, note."""

NONE, NONE_IN_A_ROW = "–", "-"
"""What a cell shows for None; in a row for programs an empty cell shows it too, so that it counts
as one for `awk`."""

HIDDEN_FIELDS = {"raw", "raw_charge", "raw_rate"}
"""Fields that repeat others in the panel's own notation."""

STYLES: Mapping[Status, str] = {
    Status.COMPLETED: "green",
    Status.PARTIAL: "yellow",
    Status.CANCELED: "magenta",
    Status.REFUNDED: "magenta",
    Status.FAILED: "red",
    Status.ERROR: "red",
    Status.REJECTED: "red",
    Status.UNKNOWN: "red",
}
"""Colours of statuses; open orders have none."""


STATE_STYLES: Mapping[EntryState, str] = {
    EntryState.HELD: "yellow",
    EntryState.ACCEPTED: "cyan",
    EntryState.REFUSED: "magenta",
    EntryState.UNKNOWN: "bold red",
    EntryState.WITHDRAWN: "dim",
    EntryState.FINISHED: "green",
}
"""Colours of the states of orders in a journal."""

REQUEST_STYLES: Mapping[RequestState, str] = {
    RequestState.ACCEPTED: "cyan",
    RequestState.REFUSED: "magenta",
    RequestState.UNKNOWN: "bold red",
    RequestState.FINISHED: "green",
}
"""Colours of the states of refills and cancellations in a journal."""


def cell(value: object, style: str = "") -> Text:
    """Return a cell as a `Text`, in which nothing is markup; "–" for None."""
    if value is None:
        return Text(NONE, style="dim")
    return Text(sanitize(str(value)), style=style)


def plural(number: int, noun: str) -> str:
    """Return a number with a noun that takes an "s": "1 order", "2 orders"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def money(amount: Decimal | None) -> str | None:
    """Return an amount for display, without trailing zeros; None for None."""
    return None if amount is None else f"{EXACT.normalize(amount):f}"


def table(
    title: str, *columns: str, right: Iterable[str] = (), rows: Iterable[Iterable[Text]] = ()
) -> Table:
    """Return a table; the columns named in `right` contain numbers."""
    made = Table(
        title=title or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        header_style="bold cyan",
        # Narrow: most terminals have 80 columns.
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def shorten(made: Table) -> Table:
    """Cut the long cells of a table; their number in characters is `MAX_CELL_CHARACTERS`."""
    for each in _cells(made):
        each.truncate(MAX_CELL_CHARACTERS, overflow="ellipsis")
    return made


def _cells(made: Table) -> Iterator[Text]:
    for column in made.columns:
        for each in column.cells:
            # Each row consists of what `cell` returns.
            assert isinstance(each, Text)  # noqa: S101
            yield each


def show(shown: RenderableType) -> None:
    """Print a table or a text on stdout: rows for programs unless stdout is a terminal.

    A terminal narrower than the longest words wraps the lines itself: otherwise rich would give
    some cells no columns at all.
    """
    console = Console()
    if isinstance(shown, Table) and shown.show_header:
        if not console.is_terminal:
            for row in zip(*(column.cells for column in shown.columns), strict=True):
                print_row(console, cast("Iterable[Text]", row))
            return
        shorten(shown)
    size = Measurement.get(console, console.options.update(width=MAX_WIDTH), shown)
    console.width = max(console.width, size.minimum) if console.is_terminal else size.maximum
    console.print(shown, crop=False)


def services_table(services: Iterable[Service], title: str) -> Table:
    """Return a table of services."""
    columns = ("id", "name", "type", "rate", "min", "max", "drip")
    rows = map(_service_row, services)
    return table(title, *columns, right=("rate", "min", "max"), rows=rows)


def _service_row(each: Service) -> list[Text]:
    drip = None if each.dripfeed is None else "yes" if each.dripfeed else "no"
    values = (each.service, each.name, each.type, each.rate, each.min, each.max, drip)
    return list(map(cell, values))


def statuses_table(title: str, rows: Iterable[tuple[str, OrderStatus | PanelError]]) -> Table:
    """Return a table of statuses and errors."""
    columns = ("order", "status", "charge", "start", "remains", "note")
    cells = (status_row(order, result) for order, result in rows)
    return table(title, *columns, right=("charge", "start", "remains"), rows=cells)


def status_row(order: str, result: OrderStatus | PanelError) -> list[Text]:
    """Return the cells of one order."""
    if isinstance(result, PanelError):
        return [cell(order), cell(result.kind.value, "red"), *[cell(None)] * 3, cell(result.text)]
    money = None if result.charge is None else f"{result.charge} {result.currency or ''}".strip()
    number = plural(len(result.orders), "order")
    note = f"{number}: {', '.join(result.orders)}" if result.orders else ""
    return [
        cell(order),
        cell(result.raw_status, STYLES.get(result.status, "")),
        cell(money),
        cell(result.start_count),
        cell(result.remains),
        cell(note),
    ]


def print_row(
    console: Console, cells: Iterable[Text], *, widths: Iterable[int] = STATUS_WIDTHS
) -> None:
    """Print cells on a line: separated by tabs, on a terminal in columns of fixed width.

    The widths are fixed since the next rows are not known yet.
    """
    if not console.is_terminal:
        values = (each.plain for each in cells)
        row = "\t".join(NONE_IN_A_ROW if each in {"", NONE} else each for each in values)
        console.file.write(f"{row}\n")
        console.file.flush()
        return
    for width, each in zip(widths, cells, strict=True):
        each.truncate(MAX_CELL_CHARACTERS, overflow="ellipsis")
        each.append(" " * max(width - each.cell_len, 0) + "  ")
        console.print(each, end="", soft_wrap=True)
    console.print()


def plain(value: Any) -> Any:
    """Convert a result to JSON types; money is text, so that no digit is lost."""
    match value:
        case PanelError():
            return {"error": error_object(value)}
        case OrderStatus() | Service():
            return _record(value)
        case Decimal() | datetime():
            return str(value) if isinstance(value, Decimal) else value.isoformat()
        case Mapping():
            pairs = cast("Mapping[object, Any]", value)  # `match` cannot narrow them
            return {str(key): plain(each) for key, each in pairs.items()}
        case list() | tuple():
            items = cast("Iterable[Any]", value)
            return list(map(plain, items))
        case _:
            return _fields(value) if _field_names(value) else value


def _record(value: OrderStatus | Service) -> dict[str, Any]:
    if isinstance(value, Service):
        return _fields(value) | {"rate": plain(value.rate)}
    first = {"order": value.order, "status": value.status.value}
    return first | _fields(value) | {"charge": plain(value.charge)}


def _field_names(value: Any) -> tuple[str, ...]:
    """Return the field names of a struct or an attrs object; empty for anything else."""
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]  # its type arguments are unknown
    if attrs.has(kind):
        return tuple(each.name for each in attrs.fields(kind))
    names: tuple[str, ...] = getattr(value, "__struct_fields__", ())
    return tuple(name for name in names if name not in HIDDEN_FIELDS)


def _fields(value: Any) -> dict[str, Any]:
    return {name: plain(getattr(value, name)) for name in _field_names(value)}


def error_object(error: PanelError) -> dict[str, Any]:
    """Return an error as a JSON object: what happened, and whether a retry is safe."""
    invalid = (
        {"field": error.field, "code": error.code.value, "limit": error.limit}
        if isinstance(error, InvalidOrderError)
        else {}
    )
    return {
        "kind": error.kind.value,
        "text": error.text,
        "order": error.order,
        "http_status": error.http_status,
        "retry_after_s": error.retry_after_s,
        "maybe_sent": error.maybe_sent,
        "maybe_placed": error.maybe_placed,
        "safe_to_retry": error.safe_to_retry,
        **invalid,
    }


def print_json(console: Console, value: object) -> None:
    """Print one JSON value on a line; in ASCII, so that no control character reaches a tty."""
    console.file.write(json.dumps(plain(value), ensure_ascii=True) + "\n")
    console.file.flush()
