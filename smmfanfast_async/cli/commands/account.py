"""`balance`: the balance of the account."""

from rich.console import Console

from .. import _output as output
from .._codes import OK
from .._errors import handle_errors
from .._options import CommonOptions

__all__ = ["balance"]

_HERE = CommonOptions()


@handle_errors
async def balance(*, options: CommonOptions = _HERE) -> int:
    """Run `smmfanfast balance`."""
    async with options.client() as client:
        account_balance = await client.balance()
    if options.json:
        output.print_json(Console(), account_balance)
    else:
        text = f"{account_balance.balance} {account_balance.currency or ''}".strip()
        Console().print(output.cell(text, "bold"))
    return OK
