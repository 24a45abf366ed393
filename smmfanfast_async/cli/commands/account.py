"""`balance`: the balance of the account."""

from rich.console import Console

from .. import _output as output
from .._codes import OK
from .._errors import handle_errors
from .._options import CommonOptions

__all__ = ["balance"]

_HERE = CommonOptions()


@handle_errors
async def balance(*, panel: CommonOptions = _HERE) -> int:
    """Run `smmfanfast balance`."""
    async with panel.client() as client:
        found = await client.balance()
    if panel.json:
        output.print_json(Console(), found)
    else:
        Console().print(output.cell(f"{found.balance} {found.currency or ''}".strip(), "bold"))
    return OK
