"""`refill`, `refill-status` and `cancel`: calls of API v2 panels about any number of ids."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, TypeAlias

from attrs import frozen
from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from ...client import Client
from ...errors import (
    ClosedError,
    InvalidSettingsError,
    PanelError,
    RateLimitError,
    RefusedError,
    UnsupportedActionError,
)
from ...journal import RequestKind
from ...orders import parse_ids
from ...results import CancelResult, RefillResult, RefillStatus
from .. import _output as output
from .._codes import INTERRUPTED, OK, PARTLY, USAGE
from .._errors import handle_errors, print_line
from .._input import confirm, ids_from
from .._options import CommonOptions, Flag, JournalOptions, PanelName, refuse_panel
from .._output import STYLES, cell, plural
from .requests import request_by_ref

__all__ = ["cancel", "refill", "refill_status"]

Ids = Annotated[str, Parameter(allow_leading_hyphen=True)]
Result: TypeAlias = RefillResult | RefillStatus | CancelResult
Results: TypeAlias = Mapping[str, Result | PanelError]
Show: TypeAlias = Callable[[str, Result | PanelError], None]

_HERE = CommonOptions()
_JOURNAL = JournalOptions()


@handle_errors
async def refill(
    *ids: Ids,
    ref: str | None = None,
    by: str | None = None,
    yes: Flag = False,
    panel: PanelName = None,
    options: JournalOptions = _JOURNAL,
) -> int:
    """Run `smmfanfast refill`.

    Parameters
    ----------
    ids
        Ids of orders; - alone reads them from standard input, separated by white space or commas.
    ref
        Your name of an order in the journal, instead of ids: the request is recorded, and made
        once.
    by
        Who decides, with --ref; recorded in the journal.
    yes
        Do not ask before requesting.
    """
    if ref is not None:
        refuse_panel(panel)
        return await request_by_ref(RequestKind.REFILL, ref, ids, by, options, agreed=yes)
    return await _run(_REFILL, ids, options, panel, agreed=yes)


@handle_errors
async def refill_status(*ids: Ids, panel: PanelName = None, options: CommonOptions = _HERE) -> int:
    """Run `smmfanfast refill-status`.

    Parameters
    ----------
    ids
        Ids of refills, as `smmfanfast refill` prints them; - alone reads them from standard input.
    """
    return await _run(_REFILL_STATUS, ids, options, panel, agreed=True)


@handle_errors
async def cancel(
    *ids: Ids,
    ref: str | None = None,
    by: str | None = None,
    yes: Flag = False,
    panel: PanelName = None,
    options: JournalOptions = _JOURNAL,
) -> int:
    """Run `smmfanfast cancel`.

    Parameters
    ----------
    ids
        Ids of orders; - alone reads them from standard input, separated by white space or commas.
    ref
        Your name of an order in the journal, instead of ids: the request is recorded, and made
        once.
    by
        Who decides, with --ref; recorded in the journal.
    yes
        Do not ask before requesting.
    """
    if ref is not None:
        refuse_panel(panel)
        return await request_by_ref(RequestKind.CANCEL, ref, ids, by, options, agreed=yes)
    return await _run(_CANCEL, ids, options, panel, agreed=yes)


# --- the calls -----------------------------------------------------------------------------------


@frozen(kw_only=True)
class _Call:
    """What differs between the three."""

    action: str
    noun: str
    """What the ids are of."""
    send: Callable[[Client, list[str]], Awaitable[Results]]
    question: str | None
    """What to ask before something is changed; None for a call that changes nothing."""


async def _send_refills(client: Client, ids: list[str]) -> Results:
    # The form for one id is known to every panel that has the action.
    return await (client.refills(ids) if len(ids) > 1 else _single(ids[0], client.refill))


async def _send_refill_statuses(client: Client, ids: list[str]) -> Results:
    return await client.refill_statuses(ids)


async def _send_cancels(client: Client, ids: list[str]) -> Results:
    return await client.cancel(ids)


async def _single(one: str, call: Callable[[str], Awaitable[Result]]) -> Results:
    try:
        return {one: await call(one)}
    except ClosedError:
        raise
    except PanelError as error:
        return {one: error}


_REFILL = _Call(
    action="refill", noun="order", send=_send_refills, question="Request a refill of {}?"
)
_REFILL_STATUS = _Call(
    action="refill_status", noun="refill", send=_send_refill_statuses, question=None
)
_CANCEL = _Call(action="cancel", noun="order", send=_send_cancels, question="Request to cancel {}?")


async def _run(
    call: _Call, ids: Sequence[str], options: CommonOptions, panel: str | None, *, agreed: bool
) -> int:
    """Send a call in batches; print the results of each as it ends; return the exit code."""
    asked = parse_ids(await _read(ids), call.noun)
    async with options.client(panel) as client:
        if call.action not in client.profile.actions:
            text = f"{client.profile.name} does not support the action {call.action!r}"
            raise UnsupportedActionError(text, action=call.action)
        if call.question is not None and not agreed:
            shown = f"{plural(len(asked), call.noun)} at {client.base_url}"
            if not confirm(call.question.format(shown), "--yes"):
                return USAGE
        with _printer(call, as_json=options.json) as show:
            return await _send_all(call, client, asked, show)


async def _read(ids: Sequence[str]) -> list[str]:
    read = list(ids)
    if read == ["-"]:
        source = ids_from(sys.stdin)
        if isinstance(source, AsyncIterator):
            read = [each async for each in source]
        else:
            read = list(source)
    if not read:
        raise InvalidSettingsError("ids", "are missing: add some, or - to read standard input")
    return read


async def _send_all(call: _Call, client: Client, ids: list[str], show: Show) -> int:
    """Send the batches one after the other, and no more of them after Ctrl-C."""
    failed: list[PanelError] = []
    size = client.profile.ids_per_call
    is_interrupted = False
    for start in range(0, len(ids), size):
        batch = asyncio.ensure_future(call.send(client, ids[start : start + size]))
        try:
            results = await asyncio.shield(batch)
        except asyncio.CancelledError:
            is_interrupted = True
            results = await _end(batch, is_change=call.question is not None)
        for each, result in results.items():
            show(each, result)
            if isinstance(result, PanelError):
                failed.append(result)
        if is_interrupted:
            left = max(len(ids) - start - size, 0)
            print_line(f"interrupted: {plural(left, call.noun)} not requested", "yellow")
            break
    if call.question is not None:
        _warn(failed, call.noun)
    return INTERRUPTED if is_interrupted else PARTLY if failed else OK


async def _end(batch: "asyncio.Future[Results]", *, is_change: bool) -> Results:
    """Cancel a batch that changes nothing; wait for the results of any other."""
    if is_change:
        print_line(
            "a request is being sent and cannot be taken back; waiting for its outcome",
            "yellow",
            hint="a second Ctrl-C exits without it: it may have taken effect",
        )
        return await batch
    batch.cancel()
    await asyncio.wait({batch})
    return {}


def _warn(failed: list[PanelError], noun: str) -> None:
    """Print for how many ids it is not known what the panel did."""
    no_effect = (RefusedError, RateLimitError)
    number = sum(each.maybe_sent and not isinstance(each, no_effect) for each in failed)
    if number:
        print_line(
            f"the request for {plural(number, noun)} may have taken effect: check before repeating",
            "yellow",
        )


# --- output --------------------------------------------------------------------------------------

COLUMNS = {
    "refill": ("order", "refill", "note"),
    "refill_status": ("refill", "status", "note"),
    "cancel": ("order", "cancel", "note"),
}
"""The columns of each call; the second shows the kind of an error too."""


@contextmanager
def _printer(call: _Call, *, as_json: bool) -> Generator[Show, None, None]:
    """Yield what shows a result: a table at the end on a terminal, a line at once elsewhere."""
    console = Console()
    rows: list[list[Text]] = []

    def show(each: str, result: Result | PanelError) -> None:
        if as_json:
            output.print_json(console, {call.noun: each} | _object(result))
        elif console.is_terminal:
            rows.append(_row(each, result))
        else:
            output.print_row(console, _row(each, result))

    try:
        yield show
    finally:
        if rows:
            output.show(output.table("", *COLUMNS[call.action], rows=rows))


def _object(result: Result | PanelError) -> dict[str, Any]:
    match result:
        case RefillStatus():
            return {"status": result.status.value, "raw_status": result.raw_status}
        case CancelResult():
            return {"cancel": "requested"}
        case _:
            fields: dict[str, Any] = output.plain(result)
            return fields


def _row(each: str, result: Result | PanelError) -> list[Text]:
    match result:
        case PanelError():
            return [cell(each), cell(result.kind.value, "red"), cell(result.text)]
        case RefillStatus():
            word = cell(result.raw_status, STYLES.get(result.status, ""))
            return [cell(each), word, cell(None)]
        case RefillResult():
            return [cell(each), cell(result.refill, "green"), cell(None)]
        case _:
            return [cell(each), cell("requested", "green"), cell(None)]
