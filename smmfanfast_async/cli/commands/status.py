"""`status`: how orders stand, any number of them."""

import sys
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from ...errors import InvalidSettingsError, PanelError
from .. import _output as output
from .._ending import OK, PARTLY, guarded
from .._input import ids_from
from .._live import counting
from .._panel import Panel

__all__ = ["status"]

_HERE = Panel()


@guarded
async def status(
    *ids: Annotated[str, Parameter(allow_leading_hyphen=True)], panel: Panel = _HERE
) -> int:
    """Show how orders stand, any number of them; exit code 5 if some ids have errors.

    With --json each order is a JSON object on a line of its own, printed as it comes.

    Parameters
    ----------
    ids
        Ids of orders; a lone - reads them from standard input, between blanks, commas or lines,
        and prints each order as its batch lands.
    """
    if ids == ("-",):
        return await _status_stream(panel)
    if not ids:
        raise InvalidSettingsError("ids", "are missing: give some, or - to read standard input")
    async with panel.client() as client:
        found = await client.statuses(ids)
    for order, result in found.items() if panel.json else ():
        output.print_json(Console(), {"order": order} | output.plain(result))
    if not panel.json:
        Console().print(output.statuses_table(f"{len(found)} orders", found.items()))
    return PARTLY if any(isinstance(each, PanelError) for each in found.values()) else OK


async def _status_stream(panel: Panel) -> int:
    """Show the orders named on standard input as they land, under a bar that counts them."""
    console = Console()
    failed = 0
    async with panel.client() as client:
        with counting(Console(stderr=True), "orders") as counted:
            async for order, result in client.iter_statuses(ids_from(sys.stdin)):
                failed += isinstance(result, PanelError)
                if panel.json:
                    output.print_json(console, {"order": order} | output.plain(result))
                else:
                    output.print_line(console, output.status_row(order, result))
                counted()
    return PARTLY if failed else OK
