"""`status`: how orders stand, any number of them."""

import asyncio
import sys
from collections.abc import Callable, Generator
from contextlib import aclosing, contextmanager
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from ...errors import InvalidSettingsError, PanelError
from ...results import OrderStatus
from .. import _output as output
from .._boards import StatusBoard
from .._codes import INTERRUPTED, OK, PARTLY
from .._ending import handle_errors, print_line
from .._input import ids_from
from .._live import can_redraw, counting, live
from .._panel import CommonOptions

__all__ = ["status"]

Show = Callable[[str, OrderStatus | PanelError], None]

_HERE = CommonOptions()


@handle_errors
async def status(
    *ids: Annotated[str, Parameter(allow_leading_hyphen=True)], panel: CommonOptions = _HERE
) -> int:
    """Show how orders stand, any number of them; exit code 5 if some ids have errors.

    On a terminal it is a table, elsewhere a line for each order, and with --json a JSON object on a
    line of its own, each printed as its batch lands. Ctrl-C ends it with what has landed.

    Parameters
    ----------
    ids
        Ids of orders; a lone - reads them from standard input, between blanks, commas or lines.
    """
    if not ids:
        raise InvalidSettingsError("ids", "are missing: give some, or - to read standard input")
    wanted = ids_from(sys.stdin) if ids == ("-",) else dict.fromkeys(ids)
    total = len(wanted) if isinstance(wanted, dict) else None
    failed = False
    async with panel.client() as client:
        with _shown(panel, total) as show:
            try:
                async with aclosing(client.iter_statuses(wanted)) as found:
                    async for order, result in found:
                        failed |= isinstance(result, PanelError)
                        show(order, result)
            except asyncio.CancelledError:
                print_line("ended before all were asked about", "yellow")
                return INTERRUPTED
    return PARTLY if failed else OK


@contextmanager
def _shown(panel: CommonOptions, total: int | None) -> Generator[Show, None, None]:
    """Give what shows an order: in a table where it has an end and a terminal, on a line else."""
    console = Console()
    if total is not None and can_redraw(console) and not panel.json:
        board = StatusBoard(total)
        try:
            with live(console, board, stays=False):
                yield board.land
        finally:
            if board.rows:
                output.show(output.statuses_table(board.title, board.rows.items()))
        return
    with counting(Console(stderr=True), "orders") as counted:

        def show(order: str, result: OrderStatus | PanelError) -> None:
            if panel.json:
                output.print_json(console, {"order": order} | output.plain(result))
            else:
                output.print_line(console, output.status_row(order, result))
            counted()

        yield show
