"""Waiting for an order to be placed, and Ctrl-C or SIGTERM meanwhile.

What has not been sent is withdrawn, and that is said; what is being sent cannot be taken back, so
its outcome is waited for and reported.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from shlex import quote
from typing import Any

from .._clock import elapsed_s
from .._text import sanitize
from ..client import Client
from ..desk import OrderDesk
from ..errors import ClosedError, InvalidOrderError, JournalError
from ..journal import Entry
from ..results import AddedOrder
from ._codes import INTERRUPTED
from ._entries import report_placed
from ._errors import print_line
from ._options import JournalOptions

__all__ = ["finish_adding", "finish_placing"]

POLL_S = 0.05
"""Seconds between tries to withdraw an order that is being written into the journal."""

WRITE_WITHIN_S = 60.0
"""Seconds from the start of an attempt until its first byte must have left, as in a desk."""


async def finish_placing(
    desk: OrderDesk,
    ref: str,
    placing: Coroutine[Any, Any, Entry],
    options: JournalOptions,
    *,
    was_waiting: bool = False,
) -> int:
    """Wait for an order of a desk, report it, and return the exit code.

    `was_waiting` tells that the ref was known and its order was not placed yet.
    """
    task = asyncio.ensure_future(placing)
    try:
        entry = await asyncio.shield(task)
    except asyncio.CancelledError:
        if await _withdraw(desk, ref, task):
            # Only the waiting ends by this. A desk sends nothing that is withdrawn.
            task.cancel()
            await asyncio.wait({task})
            print_line(
                "interrupted before the order was sent: it is withdrawn",
                "yellow",
                hint=f"`smmfanfast retry {quote(sanitize(ref))} --by NAME` sends it",
            )
            return INTERRUPTED
        _tell_to_wait()
        entry = await task
    return report_placed(entry, options, was_waiting=was_waiting)


async def _withdraw(desk: OrderDesk, ref: str, task: "asyncio.Task[Entry]") -> bool:
    """Withdraw an order; return False if it is being sent, has ended or cannot be withdrawn."""
    while not task.done():
        try:
            await desk.withdraw(ref, decided_by="smmfanfast", note="interrupted before it was sent")
        except JournalError as error:
            print_line(f"the order cannot be withdrawn: {error}", "yellow")
            return False
        except InvalidOrderError:
            if await desk.find(ref) is not None:
                return False
        else:
            return True
        await asyncio.sleep(POLL_S)
    return False


async def finish_adding(client: Client, form: Mapping[str, str]) -> AddedOrder | None:
    """Place an order without a ref; return None if it was withdrawn before it was sent."""
    is_started = is_interrupted = False

    async def permit() -> float:
        nonlocal is_started
        if is_interrupted:
            raise ClosedError("the order was withdrawn", action="add")
        is_started = True
        return elapsed_s() + WRITE_WITHIN_S

    task = asyncio.ensure_future(client.send_form(form, before=permit))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        is_interrupted = True
    try:
        if is_started:
            _tell_to_wait()
            return await task
    except ClosedError:
        pass  # the attempt failed before anything was sent, and there was no other
    task.cancel()
    await asyncio.wait({task})
    print_line("interrupted before the order was sent: nothing was sent", "yellow")
    return None


def _tell_to_wait() -> None:
    print_line(
        "the order is being sent and cannot be cancelled; waiting for its outcome",
        "yellow",
        hint="a second Ctrl-C exits without it: the order may have been placed",
    )
