"""Orders in the journal, shown as tables, CSV and JSON."""

import csv
from collections.abc import AsyncIterable, Iterable
from datetime import datetime
from shlex import quote
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .._text import sanitize
from ..errors import InvalidCode, InvalidOrderError, NotSentError, PanelError
from ..journal import OPEN_STATES, Entry, EntryState, Summary, UnknownOrder
from ..results import Status
from ._codes import OK
from ._errors import exit_code, print_error
from ._options import JournalOptions
from ._output import STATE_STYLES, STYLES, cell, money, plain, print_json, table

__all__ = [
    "IN_FLIGHT",
    "counts",
    "csv_cell",
    "entries_table",
    "entry_object",
    "entry_row",
    "evidence",
    "format_time",
    "report_placed",
    "show_entry",
    "summary_view",
    "unknown_object",
    "where",
    "write_csv",
]

COLUMNS = (
    "ref", "state", "order", "status", "price", "charge", "currency", "quantity", "start_count",
    "remains", "service", "link", "created_at", "sent_at", "settled_at", "changed_at", "kind",
    "reason", "panel",
)  # fmt: skip
"""Columns of the CSV."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t")
"""Characters that start a formula in a spreadsheet."""


IN_FLIGHT = OPEN_STATES - {EntryState.UNKNOWN}
"""States that change without the decision of a person."""


class _File(Protocol):
    def write(self, text: str, /) -> Any:
        """Write some text."""
        ...


def format_time(moment: datetime | None) -> str | None:
    """Return a time for display, in UTC; None for None."""
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def entries_table(entries: Iterable[Entry], title: str) -> Table:
    """Return a table of orders."""
    listed = list(entries)
    columns = ["ref", "state", "order", "status", "price", "charge", "remains", "created (UTC)"]
    numbers = ("price", "charge", "remains")
    rows = [[*entry_row(each)[:-2], _created(each), cell(each.panel)] for each in listed]
    if any(each.routes for each in listed):
        columns.append("panel")
    else:
        # Narrow: all are at one panel.
        rows = [row[:-1] for row in rows]
    return table(title, *columns, right=numbers, rows=rows)


def _created(entry: Entry) -> Text:
    """Return the time of creation, shorter than in a row: terminals are narrow."""
    return cell(f"{entry.created_at:%Y-%m-%d %H:%M}", "dim")


def entry_row(entry: Entry) -> list[Text]:
    """Return the cells of an order."""
    return [
        cell(entry.ref),
        cell(entry.state.value, STATE_STYLES.get(entry.state, "")),
        cell(entry.order),
        cell(entry.raw_status, STYLES.get(entry.status or Status.PENDING, "")),
        *map(cell, (money(entry.price), money(entry.charge), entry.remains)),
        cell(format_time(entry.created_at), "dim"),
        cell(entry.panel),
    ]


def entry_object(entry: Entry) -> dict[str, Any]:
    """Return an order as a JSON object."""
    fields: dict[str, Any] = plain(entry)
    return fields | {"status": entry.status}


async def write_csv(file: _File, entries: AsyncIterable[Entry]) -> None:
    """Write orders as CSV, each row as it is read."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    async for each in entries:
        values = entry_object(each) | {"service": each.form.get("service")}
        writer.writerow([csv_cell(values[name]) for name in COLUMNS])


def csv_cell(value: object) -> object:
    """Return a CSV cell without formulas and control characters; numbers are unchanged."""
    if not isinstance(value, str):
        return value
    text = sanitize(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdecimal()


# --- unknown orders -----------------------------------------------------------------------------


def unknown_object(unknown: UnknownOrder) -> dict[str, Any]:
    """Return an unknown order with its evidence as a JSON object."""
    fields: dict[str, Any] = plain(unknown)
    return fields | {
        "drop_difference": unknown.drop_difference,
        "drop_matches_price": unknown.drop_matches_price,
    }


def evidence(unknown: UnknownOrder) -> RenderableType:
    """Return the evidence for and against an order, and how to record its outcome."""
    entry = unknown.entry
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")
    for name, said in _facts(unknown):
        shown.add_row(name, said)
    ref = sanitize(entry.ref)
    how = f"smmfanfast resolve {quote(ref)} --order ID | --not-placed --by NAME"
    return Group(
        Text.assemble(("\n? ", "bold red"), (ref, "bold red")), shown, Text(how, style="cyan")
    )


def _facts(unknown: UnknownOrder) -> list[tuple[str, Text]]:
    entry = unknown.entry
    times = f"{format_time(entry.sent_at) or '–'} UTC, attempt {entry.attempt}"
    facts = [
        ("sent", cell(times)),
        *([("panel", cell(entry.panel))] if entry.routes else []),
        ("order", cell(_describe(entry))),
        ("response", cell(entry.reason)),
        ("balance", _balance(unknown)),
        ("same link", _link(unknown)),
    ]
    if entry.order is not None:
        facts.append(("id in the response", cell(entry.order, "yellow")))
    if entry.was_unknown:
        facts.append(("before", cell("an earlier attempt was unknown too", "yellow")))
    return facts


def _describe(entry: Entry) -> str:
    quantity = "" if entry.quantity is None else f"{entry.quantity} of "
    return f"{quantity}service {entry.form.get('service', '–')} for {entry.link or 'no link'}"


def _balance(unknown: UnknownOrder) -> Text:
    entry, drop = unknown.entry, unknown.balance_drop
    price = "the price is unknown" if entry.price is None else f"the price is {money(entry.price)}"
    if drop is None:
        return cell(f"not recorded before and after; {price}")
    verdicts = {
        True: (": it matches an order", "yellow"),
        False: (": it does not match", ""),
        None: ("" if entry.price is None else ": the balances have too few decimals to tell", ""),
    }
    verdict, style = verdicts[unknown.drop_matches_price]
    difference = unknown.drop_difference
    by = f" (a difference of {money(difference)})" if difference else ""
    return cell(f"fell by {money(drop)}; {price}{verdict}{by}", style)


def _link(unknown: UnknownOrder) -> Text:
    if unknown.link_reported_active:
        return cell("the panel has since reported that an order with this link is active", "yellow")
    if unknown.other_refs:
        return cell(f"also open here: {', '.join(unknown.other_refs)}")
    return cell("no other information")


# --- totals --------------------------------------------------------------------------------------


def counts(summary: Summary) -> Group:
    """Return the number of orders by state and by status, on two lines."""
    by_state = [
        (f"{state.value} {number}", STATE_STYLES.get(state, ""))
        for state in EntryState
        if (number := summary.by_state.get(state))
    ]
    by_status = [
        (f"{sanitize(word)} {number}", STYLES.get(Status.parse(word), ""))
        for word, number in sorted(summary.by_status.items(), key=lambda item: -item[1])
    ]
    return Group(_line("orders ", by_state), _line("status ", by_status))


def _line(name: str, words: list[tuple[str, str]]) -> Text:
    joined = Text("  ").join(Text(word, style) for word, style in words or [("none", "dim")])
    return Text.assemble((f"{name} ", "dim"), joined)


def summary_view(summary: Summary) -> Group:
    """Return the totals of an account's orders."""
    sums = {"spent": summary.spent, "refunded": summary.refunded, "at risk": summary.at_risk}
    amounts = [(f"{name} {money(amount)}", "") for name, amount in sums.items()]
    if summary.at_risk:
        amounts[-1] = (amounts[-1][0], "bold red")
    if summary.cost_unknown:
        amounts.append((f"cost unknown of {summary.cost_unknown}", "yellow"))
    return Group(counts(summary), _line("money  ", amounts))


WAITS = {
    EntryState.PREPARED: "not sent yet: repeat the command, or run `smmfanfast follow` to send it",
    EntryState.HELD: "held until another order with this link is final; run `smmfanfast follow`",
}
"""States of orders that are not sent yet, and what happens next."""


def show_entry(entry: Entry, options: JournalOptions) -> None:
    """Print the state of an order."""
    if options.json:
        print_json(Console(), entry_object(entry))
        return
    about = f", order {sanitize(entry.order)}" if entry.order else ""
    text = Text.assemble(
        (sanitize(entry.ref), "bold"),
        " is ",
        (entry.state.value, STATE_STYLES.get(entry.state, "")),
        about,
        where(entry),
    )
    Console().print(text, soft_wrap=True)


def where(entry: Entry) -> str:
    """Return which of several panels took an order, and which refused it; empty for one panel."""
    if not entry.routes or entry.panel is None:
        return ""
    refused = ", ".join(f"{panel}: {kind.value}" for panel, kind in entry.refused_by.items())
    by = f" (refused by {sanitize(refused)})" if refused else ""
    return f" at {sanitize(entry.panel)}{by}"


def report_placed(entry: Entry, options: JournalOptions, *, was_waiting: bool = False) -> int:
    """Print the outcome of placing an order, or that it was placed before; return the exit code.

    `was_waiting` tells that the ref was known and its order was not placed yet.
    """
    order, failure = "", None
    try:
        order = entry.order_id()
    except PanelError as error:
        failure = _explain(entry, error)
    was_placed = failure is None and not entry.is_new and not was_waiting
    if options.json:
        print_json(Console(), entry_object(entry) | {"already_placed": was_placed})
    if failure is not None:
        print_error(failure, entry.ref)
        return exit_code(failure)
    if not options.json:
        already = "already " if was_placed else ""
        line = f"order {sanitize(order)} {already}placed as {sanitize(entry.ref)}{where(entry)}"
        Console().print(Text(line, style="bold green"), soft_wrap=True)
    return OK


def _explain(entry: Entry, error: PanelError) -> PanelError:
    """Return the error, or one that says what to do about an order that is not sent."""
    if entry.state is EntryState.WITHDRAWN:
        how = "is withdrawn; `smmfanfast retry` sends it again"
        return InvalidOrderError("add", "ref", entry.ref, how, code=InvalidCode.WRONG_STATE)
    if entry.state in WAITS:
        why = f" ({entry.reason})" if entry.reason else ""
        return NotSentError(f"{WAITS[entry.state]}{why}", kind=entry.kind, action="add")
    return error
