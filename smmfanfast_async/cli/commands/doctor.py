"""`doctor`: is everything in place."""

from rich.console import Console

from .. import _doctor
from .. import _output as output
from .._codes import OK, REFUSED
from .._ending import handle_errors
from .._panel import JournalOptions

__all__ = ["doctor"]

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}

_HERE = JournalOptions()


@handle_errors
async def doctor(*, panel: JournalOptions = _HERE) -> int:
    """Look whether key, address, connection and balance are in order.

    It tells where each setting comes from, and never the key. Exit code 1 if something is wrong.
    """
    findings = await _doctor.examine(panel)
    if panel.json:
        output.print_json(
            Console(),
            [{"name": each.name, "said": each.said, "level": each.level} for each in findings],
        )
    else:
        shown = output.table("smmfanfast doctor", "", "what", "found")
        for each in findings:
            sign, style = MARKS[each.level]
            shown.add_row(*map(output.cell, (sign, each.name, each.said), (style, "", "")))
        output.show(shown)
    return REFUSED if any(each.level == "error" for each in findings) else OK
