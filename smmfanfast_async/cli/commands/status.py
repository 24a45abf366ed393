"""`status`: the status of any number of orders; `watch`: their changes until each is final."""

import asyncio
import sys
from collections.abc import Callable, Generator
from contextlib import aclosing, contextmanager
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from ..._engine.policy import PollPolicy
from ...changes import ChangeKind, StatusChange
from ...errors import InvalidSettingsError, OrderNotFoundError, PanelError
from ...results import OrderStatus
from .. import _output as output
from .._codes import INTERRUPTED, OK, PARTLY
from .._errors import handle_errors, print_line
from .._input import ids_from
from .._live import StatusBoard, can_redraw, counting, live
from .._options import CommonOptions, PanelName

__all__ = ["status", "watch"]

Show = Callable[[str, OrderStatus | PanelError], None]

_HERE = CommonOptions()


@handle_errors
async def status(
    *ids: Annotated[str, Parameter(allow_leading_hyphen=True)],
    panel: PanelName = None,
    options: CommonOptions = _HERE,
) -> int:
    """Run `smmfanfast status`.

    Parameters
    ----------
    ids
        Ids of orders; - alone reads them from standard input, separated by white space or commas.
    """
    if not ids:
        raise InvalidSettingsError("ids", "are missing: add some, or - to read standard input")
    wanted = ids_from(sys.stdin) if ids == ("-",) else dict.fromkeys(ids)
    total = len(wanted) if isinstance(wanted, dict) else None
    failed, missing = False, 0
    async with options.client(panel) as client:
        with _status_output(options, total) as show:
            try:
                async with aclosing(client.iter_statuses(wanted)) as statuses:
                    async for order, result in statuses:
                        failed |= isinstance(result, PanelError)
                        missing += isinstance(result, OrderNotFoundError)
                        show(order, result)
            except asyncio.CancelledError:
                print_line("interrupted before all statuses were requested", "yellow")
                return INTERRUPTED
    if missing:
        text = f"{output.plural(missing, 'id')} not known at {client.base_url}"
        print_line(text, "yellow", hint="they may belong to another account or panel")
    return PARTLY if failed else OK


@contextmanager
def _status_output(options: CommonOptions, total: int | None) -> Generator[Show, None, None]:
    """Yield what shows a status: a table for known ids on a terminal, lines otherwise."""
    console = Console()
    if total is not None and can_redraw(console) and not options.json:
        board = StatusBoard(total)
        try:
            with live(console, board, stays=lambda: False):
                yield board.update
        finally:
            if board.rows:
                output.show(output.statuses_table(board.title, board.rows.items()))
        return
    with counting(Console(stderr=True), "orders") as counted:

        def show(order: str, result: OrderStatus | PanelError) -> None:
            if options.json:
                output.print_json(console, {"order": order} | output.plain(result))
            else:
                output.print_row(console, output.status_row(order, result))
            counted()

        yield show


_LAST = {ChangeKind.FINISHED, ChangeKind.MISSING}
"""Kinds of change after which an order has no more."""


@handle_errors
async def watch(
    *ids: str,
    timeout_s: Annotated[float | None, Parameter(name="--timeout")] = None,
    every: float = 5.0,
    panel: PanelName = None,
    options: CommonOptions = _HERE,
) -> int:
    """Run `smmfanfast watch`.

    Parameters
    ----------
    ids
        Ids of orders.
    timeout_s
        Seconds after which it stops; without it, it stops when the last order is final.
    every
        Minimum seconds between two status checks of an active order.
    """
    if not ids:
        raise InvalidSettingsError("ids", "are missing: add some")
    missing = False
    async with options.client(panel, poll=PollPolicy(min_interval_s=every)) as client:
        changes = client.watch(ids, timeout_s=timeout_s)
        with _change_output(Console(), as_json=options.json, total=len(set(ids))) as show:
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
    """Yield what shows a change: a table if the terminal can redraw it, lines otherwise."""
    if as_json:
        yield lambda change: output.print_json(console, change_object(change))
    elif can_redraw(console):
        board = StatusBoard(total, counts_final=True)
        with live(console, board):
            yield lambda change: board.update(*_result(change), is_final=change.kind in _LAST)
    else:
        yield lambda change: output.print_row(console, output.status_row(*_result(change)))


def change_object(change: StatusChange) -> dict[str, Any]:
    """Return a change as a JSON object."""
    order, result = _result(change)
    fields: dict[str, Any] = output.plain(result)
    return {"order": order, "change": change.kind.value} | fields


def _result(change: StatusChange) -> tuple[str, OrderStatus | PanelError]:
    result = change.error or change.after
    # A missing order has an error, any other a status.
    assert result is not None  # noqa: S101
    return change.order, result
