"""What became of an order of the journal, said in a line, with its exit code."""

from rich.console import Console
from rich.text import Text

from .._text import sanitize
from ..errors import InvalidOrderError, NotSentError, PanelError
from ..journal import Entry, EntryState
from . import _output as output
from ._codes import OK
from ._ending import exit_code, print_error
from ._entries import entry_object
from ._panel import JournalOptions

__all__ = ["placed", "show_entry"]

WAITS = {
    EntryState.PREPARED: "not sent yet: call it again, or let `smmfanfast follow` send it",
    EntryState.HELD: "held until another order with this link ends; `smmfanfast follow` sends it",
}
"""What is not sent, and how it goes on."""


def show_entry(entry: Entry, panel: JournalOptions) -> None:
    """Show how an order stands."""
    if panel.json:
        output.print_json(Console(), entry_object(entry))
        return
    about = f", order {sanitize(entry.order)}" if entry.order else ""
    text = Text.assemble(
        (sanitize(entry.ref), "bold"),
        " is ",
        (entry.state.value, output.STATE_STYLES.get(entry.state, "")),
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
