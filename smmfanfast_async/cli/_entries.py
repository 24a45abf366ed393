"""Orders of the journal as tables, CSV and JSON."""

import csv
from collections.abc import AsyncIterable, Iterable
from datetime import datetime
from shlex import quote
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .._text import sanitize
from ..errors import InvalidOrderError, NotSentError, PanelError
from ..journal import OPEN_STATES, Entry, EntryState, Summary, UnknownOrder
from ..results import Status
from ._codes import OK
from ._errors import exit_code, print_error
from ._options import JournalOptions
from ._output import STATE_STYLES, STYLES, cell, money, plain, print_json, table

__all__ = [
    "UNDER_WAY",
    "counts",
    "csv_cell",
    "entries_table",
    "entry_object",
    "evidence",
    "placed",
    "show_entry",
    "summary_view",
    "unknown_object",
    "when",
    "write_csv",
]

COLUMNS = (
    "ref", "state", "order", "status", "price", "charge", "currency", "quantity", "start_count",
    "remains", "service", "link", "created_at", "sent_at", "settled_at", "changed_at", "kind",
    "reason",
)  # fmt: skip
"""Columns of the CSV."""

FORMULA_SIGNS = ("=", "+", "-", "@", "\t")
"""Signs with which a cell begins that a spreadsheet would run as a formula."""


UNDER_WAY = OPEN_STATES - {EntryState.UNKNOWN}
"""States upon which something follows without a person."""


class _File(Protocol):
    def write(self, text: str, /) -> Any:
        """Write some text."""
        ...


def when(moment: datetime | None) -> str | None:
    """Write a moment for people, in UTC; None as it is."""
    return None if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def entries_table(entries: Iterable[Entry], title: str) -> Table:
    """Show orders, a row each."""
    numbers = ("price", "charge", "remains")
    columns = (
        "ref",
        "state",
        "order",
        "status",
        "price",
        "charge",
        "remains",
        "written down (UTC)",
    )
    made = table(title, *columns, right=numbers)
    for each in entries:
        made.add_row(
            cell(each.ref),
            cell(each.state.value, STATE_STYLES.get(each.state, "")),
            cell(each.order),
            cell(each.raw_status, STYLES.get(each.status or Status.PENDING, "")),
            *map(cell, (money(each.price), money(each.charge), each.remains)),
            cell(when(each.created_at), "dim"),
        )
    return made


def entry_object(entry: Entry) -> dict[str, Any]:
    """Give an order as JSON knows it."""
    found: dict[str, Any] = plain(entry)
    return found | {"status": entry.status}


async def write_csv(file: _File, entries: AsyncIterable[Entry]) -> None:
    """Write orders as CSV, a row as it is read."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    async for each in entries:
        values = entry_object(each) | {"service": each.form.get("service")}
        writer.writerow([csv_cell(values[name]) for name in COLUMNS])


def csv_cell(value: object) -> object:
    """Make a cell that no spreadsheet runs and no terminal obeys; numbers are as they are."""
    if not isinstance(value, str):
        return value
    text = sanitize(value)
    return f"'{text}" if text.startswith(FORMULA_SIGNS) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "", 1).isdecimal()


# --- what is unknown -----------------------------------------------------------------------------


def unknown_object(unknown: UnknownOrder) -> dict[str, Any]:
    """Give an unknown order with its evidence as JSON knows it."""
    found: dict[str, Any] = plain(unknown)
    return found | {"drop_matches_price": unknown.drop_matches_price}


def evidence(unknown: UnknownOrder) -> RenderableType:
    """Show what speaks for and against an order, and how to say what is true."""
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
    times = f"{when(entry.sent_at) or '–'} UTC, attempt {entry.attempt}"
    facts = [
        ("sent", cell(times)),
        ("what", cell(_asked(entry))),
        ("what came back", cell(entry.reason)),
        ("balance", _balance(unknown)),
        ("same link", _link(unknown)),
    ]
    if entry.order is not None:
        facts.append(("id in the answer", cell(entry.order, "yellow")))
    if entry.was_unknown:
        facts.append(("before", cell("an earlier attempt was unknown too", "yellow")))
    return facts


def _asked(entry: Entry) -> str:
    quantity = "" if entry.quantity is None else f"{entry.quantity} of "
    return f"{quantity}service {entry.form.get('service', '–')} for {entry.link or 'no link'}"


def _balance(unknown: UnknownOrder) -> Text:
    entry, drop = unknown.entry, unknown.balance_drop
    price = (
        "the price is not known" if entry.price is None else f"the price is {money(entry.price)}"
    )
    if drop is None:
        return cell(f"not read before and after; {price}")
    fits = {
        True: (": it fits an order", "yellow"),
        False: (": it does not fit", ""),
        None: ("", ""),
    }
    said, style = fits[unknown.drop_matches_price]
    return cell(f"fell by {money(drop)}; {price}{said}", style)


def _link(unknown: UnknownOrder) -> Text:
    if unknown.link_reported_active:
        return cell("the panel has said since that an order with this link is active", "yellow")
    if unknown.other_refs:
        return cell(f"also open here: {', '.join(unknown.other_refs)}")
    return cell("nothing else is known")


# --- sums ----------------------------------------------------------------------------------------


def counts(summary: Summary) -> Group:
    """Show how many orders stand where, on two lines."""
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
    """Show an account's orders in numbers."""
    sums = {"spent": summary.spent, "given back": summary.refunded, "at risk": summary.at_risk}
    amounts = [(f"{name} {money(amount)}", "") for name, amount in sums.items()]
    if summary.at_risk:
        amounts[-1] = (amounts[-1][0], "bold red")
    return Group(counts(summary), _line("money  ", amounts))


WAITS = {
    EntryState.PREPARED: "not sent yet: call it again, or let `smmfanfast follow` send it",
    EntryState.HELD: "held until another order with this link ends; `smmfanfast follow` sends it",
}
"""What is not sent, and how it goes on."""


def show_entry(entry: Entry, panel: JournalOptions) -> None:
    """Show how an order stands."""
    if panel.json:
        print_json(Console(), entry_object(entry))
        return
    about = f", order {sanitize(entry.order)}" if entry.order else ""
    text = Text.assemble(
        (sanitize(entry.ref), "bold"),
        " is ",
        (entry.state.value, STATE_STYLES.get(entry.state, "")),
        about,
    )
    Console().print(text, soft_wrap=True)


def placed(entry: Entry, panel: JournalOptions) -> int:
    """Show what became of an order that was to be placed, and give the exit code for it."""
    if panel.json:
        show_entry(entry, panel)
    try:
        order = entry.order_id()
    except PanelError as error:
        said = _said(entry, error)
        print_error(said, entry.ref)
        return exit_code(said)
    if not panel.json:
        line = f"order {sanitize(order)} placed as {sanitize(entry.ref)}"
        Console().print(Text(line, style="bold green"), soft_wrap=True)
    return OK


def _said(entry: Entry, error: PanelError) -> PanelError:
    """Say of an order that is not sent what can be done about it."""
    if entry.state is EntryState.WITHDRAWN:
        how = "is withdrawn; `smmfanfast retry` sends it again"
        return InvalidOrderError("add", "ref", entry.ref, how)
    if entry.state in WAITS:
        why = f" ({entry.reason})" if entry.reason else ""
        return NotSentError(f"{WAITS[entry.state]}{why}", action="add")
    return error
