"""`unknown`, `resolve`, `retry` and `withdraw`: what a person decides about an order."""

from rich.console import Console

from ...errors import InvalidSettingsError
from .. import _output as output
from .._codes import OK
from .._entries import evidence, placed, show_entry, unknown_object
from .._errors import handle_errors
from .._options import Flag, JournalOptions

__all__ = ["resolve", "retry", "unknown", "withdraw"]

_HERE = JournalOptions()


@handle_errors
async def unknown(*, panel: JournalOptions = _HERE) -> int:
    """Show the orders that may or may not exist, with what speaks for and against each.

    None of it is proof: look at the panel's own list of orders, then say what is true with
    `smmfanfast resolve`. With --json each order is a JSON object on a line of its own.
    """
    console = Console()
    async with panel.desk() as opened:
        found = await opened.desk.unknown()
    for each in found:
        if panel.json:
            output.print_json(console, unknown_object(each))
        else:
            console.print(evidence(each))
    if not found and not panel.json:
        console.print("No order is unknown.", style="green")
    return OK


@handle_errors
async def resolve(
    ref: str,
    *,
    by: str,
    order: str | None = None,
    not_placed: Flag = False,
    note: str = "",
    panel: JournalOptions = _HERE,
) -> int:
    """Say what is true of an order that is unknown; look at the panel's list of orders before.

    With --order it is followed from then on; with --not-placed it counts as not ordered, and
    `smmfanfast retry` may send it again.

    Parameters
    ----------
    ref
        Your name of the order.
    by
        Who decides; it stays in the journal.
    order
        The panel's id, where the order is on the panel's list.
    not_placed
        There is no such order on the panel's list.
    note
        Why; it stays in the journal.
    """
    if (order is None) != not_placed:
        raise InvalidSettingsError("order", "or --not-placed has to be given, one of the two")
    async with panel.desk() as opened:
        placed_or_not = False if not_placed else None
        entry = await opened.desk.resolve(
            ref, decided_by=by, order=order, placed=placed_or_not, note=note
        )
    show_entry(entry, panel)
    return OK


@handle_errors
async def retry(ref: str, *, by: str, panel: JournalOptions = _HERE) -> int:
    """Send an order again that the panel refused, or that was found not placed. It costs money.

    Parameters
    ----------
    ref
        Your name of the order.
    by
        Who decides; it stays in the journal.
    """
    async with panel.desk() as opened:
        entry = await opened.desk.retry(ref, decided_by=by)
    return placed(entry, panel)


@handle_errors
async def withdraw(ref: str, *, by: str, note: str = "", panel: JournalOptions = _HERE) -> int:
    """Take back an order that was not sent yet: prepared or held.

    Parameters
    ----------
    ref
        Your name of the order.
    by
        Who decides; it stays in the journal.
    note
        Why; it stays in the journal.
    """
    async with panel.desk() as opened:
        entry = await opened.desk.withdraw(ref, decided_by=by, note=note)
    show_entry(entry, panel)
    return OK
