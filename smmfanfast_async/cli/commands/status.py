"""`status`: how orders stand, any number of them."""

import asyncio
import sys
from collections.abc import Callable, Generator
from contextlib import aclosing, contextmanager
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from ..._engine.policy import PollPolicy
from ...changes import ChangeKind, StatusChange
from ...errors import InvalidSettingsError, PanelError
from ...results import OrderStatus
from .. import _output as output
from .._codes import INTERRUPTED, OK, PARTLY
from .._errors import handle_errors, print_line
from .._input import ids_from
from .._live import StatusBoard, can_redraw, counting, live
from .._options import CommonOptions

__all__ = ["status", "watch"]

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
        with _status_output(panel, total) as show:
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
def _status_output(panel: CommonOptions, total: int | None) -> Generator[Show, None, None]:
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


_HERE = CommonOptions()

_LAST = {ChangeKind.FINISHED, ChangeKind.MISSING}
"""Changes after which none comes for an order."""


@handle_errors
async def watch(
    *ids: str,
    timeout_s: Annotated[float | None, Parameter(name="--timeout")] = None,
    every: float = 5.0,
    panel: CommonOptions = _HERE,
) -> int:
    """Watch some orders until each is final; Ctrl-C ends it, the orders go on.

    On a terminal it is a table, elsewhere a line for each change, and with --json a JSON object on
    a line of its own. Exit code 5 if an id is not known to the panel, or if orders are still open
    after --timeout; 130 after Ctrl-C.

    Parameters
    ----------
    ids
        Ids of orders.
    timeout_s
        Seconds after which it ends; without it there is no end before the last order's.
    every
        Seconds between two looks at an order that moves, at the least.
    """
    if not ids:
        raise InvalidSettingsError("ids", "are missing: give some")
    missing = False
    async with panel.client(poll=PollPolicy(min_interval_s=every)) as client:
        changes = client.watch(ids, timeout_s=timeout_s)
        with _change_output(Console(), as_json=panel.json, total=len(set(ids))) as show:
            try:
                async with aclosing(changes):
                    async for change in changes:
                        missing |= change.kind is ChangeKind.MISSING
                        show(change)
            except asyncio.CancelledError:
                return INTERRUPTED
    return PARTLY if missing else OK


@contextmanager
def _change_output(
    console: Console, *, as_json: bool, total: int
) -> Generator[Callable[[StatusChange], None], None, None]:
    """Give what shows a change: a table that is drawn over where that works, lines elsewhere."""
    if as_json:
        yield lambda change: output.print_json(console, change_object(change))
    elif can_redraw(console):
        board = StatusBoard(total, counts_final=True)
        with live(console, board):
            yield lambda change: board.land(*_result(change), is_final=change.kind in _LAST)
    else:
        yield lambda change: output.print_line(console, output.status_row(*_result(change)))


def change_object(change: StatusChange) -> dict[str, Any]:
    """Give a change as JSON knows it."""
    order, result = _result(change)
    found: dict[str, Any] = output.plain(result)
    return {"order": order, "change": change.kind.value} | found


def _result(change: StatusChange) -> tuple[str, OrderStatus | PanelError]:
    found = change.error or change.after
    # What is missing has an error, all else a status.
    assert found is not None  # noqa: S101
    return change.order, found
