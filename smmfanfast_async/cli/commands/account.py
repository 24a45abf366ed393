"""`balance`: what is left on the account."""

from rich.console import Console

from .. import _output as output
from .._codes import OK
from .._ending import guarded
from .._panel import Panel

__all__ = ["balance"]

_HERE = Panel()


@guarded
async def balance(*, panel: Panel = _HERE) -> int:
    """Show what is left on the account."""
    async with panel.client() as client:
        found = await client.balance()
    if panel.json:
        output.print_json(Console(), found)
    else:
        Console().print(output.cell(f"{found.balance} {found.currency or ''}".strip(), "bold"))
    return OK
