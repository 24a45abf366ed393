"""`balance` and `services`: what is there before an order."""

from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from .. import _output as output
from .._ending import OK, guarded
from .._panel import Panel, amount_of

__all__ = ["balance", "services"]

MAX_SERVICES_SHOWN = 1000
"""Rows of a table of services; `--json` gives all."""

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


@guarded
async def services(
    *,
    search: str = "",
    order_type: Annotated[str | None, Parameter(name="--type")] = None,
    max_rate: str | None = None,
    panel: Panel = _HERE,
) -> int:
    """Show what is on offer.

    Parameters
    ----------
    search
        Words that the name or the category must hold.
    order_type
        Only services of an order type, such as custom_comments.
    max_rate
        Only services up to this rate.
    """
    most = amount_of("max_rate", max_rate)
    async with panel.client() as client:
        catalogue = await client.services()
    found = catalogue.search(search, type=order_type, max_rate=most)
    if panel.json:
        output.print_json(Console(), found)
        return OK
    title = f"{len(found)} of {len(catalogue)} services"
    Console().print(output.services_table(found[:MAX_SERVICES_SHOWN], title))
    return OK
