"""`unknown`, `resolve`, `retry` and `withdraw`: decisions about single orders."""

from rich.console import Console

from ...errors import InvalidSettingsError
from .. import _output as output
from .._codes import OK
from .._entries import evidence, show_entry, unknown_object
from .._errors import handle_errors
from .._options import Flag, JournalOptions, PanelName, mention_other_accounts, parse_amount
from .._placing import finish_placing

__all__ = ["resolve", "retry", "unknown", "withdraw"]

_HERE = JournalOptions()


@handle_errors
async def unknown(*, options: JournalOptions = _HERE) -> int:
    """Run `smmfanfast unknown`."""
    console = Console()
    async with options.reading() as journal:
        orders = await journal.unknown()
        if not orders and not (await journal.summary()).by_state:
            await mention_other_accounts(journal)
    for each in orders:
        if options.json:
            output.print_json(console, unknown_object(each))
        else:
            output.show(evidence(each))
    if not orders and not options.json:
        console.print("No order has an unknown outcome.", style="green")
    return OK


@handle_errors
async def resolve(
    ref: str,
    *,
    by: str,
    order: str | None = None,
    not_placed: Flag = False,
    note: str = "",
    options: JournalOptions = _HERE,
) -> int:
    """Run `smmfanfast resolve`.

    Parameters
    ----------
    ref
        Your name of the order.
    by
        Who decides; recorded in the journal.
    order
        The panel's id, if the order is on the panel's list.
    not_placed
        The order is not on the panel's list.
    note
        Why; recorded in the journal.
    """
    if (order is None) != not_placed:
        raise InvalidSettingsError("order", "or --not-placed is required, and only one of the two")
    async with options.desk() as opened:
        await opened.require(ref)
        placed_or_not = False if not_placed else None
        entry = await opened.desk.resolve(
            ref, decided_by=by, order=order, placed=placed_or_not, note=note
        )
    show_entry(entry, options)
    return OK


@handle_errors
async def retry(
    ref: str,
    *,
    by: str,
    max_charge: str | None = None,
    panel: PanelName = None,
    options: JournalOptions = _HERE,
) -> int:
    """Run `smmfanfast retry`.

    Parameters
    ----------
    ref
        Your name of the order.
    by
        Who decides; recorded in the journal.
    max_charge
        The highest acceptable price from now on; nothing is sent above that.
    """
    limit = parse_amount("max_charge", max_charge)
    async with options.desk() as opened:
        await opened.require(ref)
        retrying = opened.desk.retry(ref, decided_by=by, max_charge=limit, panel=panel)
        return await finish_placing(opened.desk, ref, retrying, options, was_waiting=True)


@handle_errors
async def withdraw(ref: str, *, by: str, note: str = "", options: JournalOptions = _HERE) -> int:
    """Run `smmfanfast withdraw`.

    Parameters
    ----------
    ref
        Your name of the order.
    by
        Who decides; recorded in the journal.
    note
        Why; recorded in the journal.
    """
    async with options.desk() as opened:
        await opened.require(ref)
        entry = await opened.desk.withdraw(ref, decided_by=by, note=note)
    show_entry(entry, options)
    return OK
