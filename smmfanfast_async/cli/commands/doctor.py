"""`doctor`: is everything in place."""

from rich.console import Console

from .. import _doctor
from .. import _output as output
from .._ending import OK, REFUSED, guarded
from .._panel import Panel

__all__ = ["doctor"]

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}

_HERE = Panel()


@guarded
async def doctor(*, panel: Panel = _HERE) -> int:
    """Look whether key, address, connection and balance are in order."""
    findings = await _doctor.examine(panel.options())
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
        Console().print(shown)
    return REFUSED if any(each.level == "error" for each in findings) else OK
