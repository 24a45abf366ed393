"""`orders` and `summary`: the orders in the journal."""

import sys
from collections import deque
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from ...errors import InvalidSettingsError
from ...journal import Entry, EntryState, Journal
from ...results import Status
from .. import _output as output
from .._codes import OK
from .._entries import entries_table, entry_object, entry_row, summary_view, write_csv
from .._errors import handle_errors, print_line
from .._options import Flag, JournalOptions, Many, mention_other_accounts

__all__ = ["orders", "summary"]

ORDERS_SHOWN = 1000
"""Rows of a table of orders on a terminal, the newest; any other output has all."""

States = Annotated[list[EntryState] | None, Parameter(negative=())]
Statuses = Annotated[list[Status] | None, Parameter(negative=())]

_HERE = JournalOptions()


@handle_errors
async def orders(
    *,
    state: States = None,
    status: Statuses = None,
    ref: str = "",
    since: str | None = None,
    until: str | None = None,
    panel: Many = None,
    csv: Flag = False,
    options: JournalOptions = _HERE,
) -> int:
    """Run `smmfanfast orders`.

    Parameters
    ----------
    state
        Only orders in this state, such as accepted or unknown; repeat it for more.
    status
        Only orders with this status, such as in_progress; repeat it for more.
    ref
        Only orders whose ref starts with this.
    since
        Only orders created at or after this time: 2030-12-31 or 2030-12-31T18:00, UTC.
    until
        Only orders created before this time.
    panel
        Only orders at this panel, by its name in the --panels file; repeat it for more.
    csv
        Print CSV for spreadsheets; no cell is run as a formula.
    """
    if csv and options.json:
        raise InvalidSettingsError("csv", "and --json cannot be combined")
    start, end = _parse_time("since", since), _parse_time("until", until)
    async with options.reading() as journal:
        entries = journal.entries(
            states=state or (), statuses=status or (), panels=panel or (), ref_prefix=ref,
            since=start, until=end,
        )  # fmt: skip
        if csv:
            await write_csv(sys.stdout, entries)
            return OK
        if not await _show(entries, as_json=options.json):
            totals = await journal.summary()
            if not totals.by_state:
                await mention_other_accounts(journal)
            elif panel:
                await _mention_panels(journal, panel)
    return OK


async def _show(entries: AsyncIterator[Entry], *, as_json: bool) -> int:
    """Print orders: the newest as a table on a terminal, otherwise each as it is read.

    Return how many there were.
    """
    console = Console()
    newest: deque[Entry] = deque(maxlen=ORDERS_SHOWN)
    total = 0
    async for entry in entries:
        total += 1
        if as_json:
            output.print_json(console, entry_object(entry))
        elif console.is_terminal:
            newest.append(entry)
        else:
            output.print_row(console, entry_row(entry))
    if newest:
        output.show(entries_table(newest, _title(len(newest), total)))
    elif console.is_terminal and not as_json and not total:
        console.print("no orders", style="dim")
    return total


async def _mention_panels(journal: Journal, asked: Collection[str]) -> None:
    """Print on stderr which panels a journal knows, if one that was asked for is not among them."""
    known = (await journal.health()).panels
    for name in asked:
        if name not in known:
            hint = f"it has {', '.join(sorted(known))}"
            print_line(f"the journal has no panel {name!r}", "yellow", hint=hint)


def _title(shown: int, total: int) -> str:
    more = "" if shown == total else f", the newest {shown} of them (a pipe gets all)"
    return f"{output.plural(total, 'order')}{more}"


def _parse_time(name: str, text: str | None) -> datetime | None:
    """Parse a day or a time; without a time zone it is UTC."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        reason = f"{text!r} is not a day or time such as 2030-12-31 or 2030-12-31T18:00"
        raise InvalidSettingsError(name, reason) from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


@handle_errors
async def summary(*, options: JournalOptions = _HERE) -> int:
    """Run `smmfanfast summary`."""
    async with options.reading() as journal:
        totals = await journal.summary()
        if not totals.by_state:
            await mention_other_accounts(journal)
    if options.json:
        output.print_json(Console(), totals)
    else:
        output.show(summary_view(totals))
    return OK
