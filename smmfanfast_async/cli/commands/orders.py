"""`orders` and `summary`: the orders in the journal."""

import sys
from collections import deque
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from ...errors import InvalidSettingsError
from ...journal import Entry, EntryState
from ...results import Status
from .. import _output as output
from .._codes import OK
from .._entries import entries_table, entry_object, summary_view, write_csv
from .._errors import handle_errors
from .._options import Flag, JournalOptions

__all__ = ["orders", "summary"]

ORDERS_SHOWN = 1000
"""Rows of a table of orders, the newest; `--json` and `--csv` print all."""

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
    csv
        Print CSV for spreadsheets; no cell is run as a formula.
    """
    if csv and options.json:
        raise InvalidSettingsError("csv", "and --json cannot be combined")
    start, end = _parse_time("since", since), _parse_time("until", until)
    async with options.desk() as opened:
        entries = opened.desk.entries(
            states=state or (), statuses=status or (), ref_prefix=ref, since=start, until=end
        )
        if csv:
            await write_csv(sys.stdout, entries)
            return OK
        newest: deque[Entry] = deque(maxlen=ORDERS_SHOWN)
        total = 0
        console = Console()
        async for entry in entries:
            total += 1
            if options.json:
                output.print_json(console, entry_object(entry))
            else:
                newest.append(entry)
    if not options.json:
        output.show(entries_table(newest, _title(len(newest), total)))
    return OK


def _title(shown: int, total: int) -> str:
    more = "" if shown == total else f", the newest {shown} of them (--json and --csv print all)"
    return f"{total} orders{more}"


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
    async with options.desk() as opened:
        totals = await opened.desk.summary()
    if options.json:
        output.print_json(Console(), totals)
    else:
        Console().print(summary_view(totals))
    return OK
