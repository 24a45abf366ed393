"""`requests`, `resolve-request`, `refill --ref` and `cancel --ref`: requests in the journal."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from ...errors import InvalidSettingsError
from ...journal import OrderRequest, RequestKind, RequestState
from ...results import Status
from .. import _output as output
from .._codes import NETWORK, OK, REFUSED, UNKNOWN, USAGE
from .._entries import format_time
from .._errors import handle_errors, print_line
from .._input import confirm
from .._options import Flag, JournalOptions, mention_other_accounts
from .._output import REQUEST_STYLES, STYLES, cell, plural

__all__ = ["request_by_ref", "requests", "resolve_request"]

Kinds = Annotated[list[RequestKind] | None, Parameter(negative=())]
States = Annotated[list[RequestState] | None, Parameter(negative=())]

COLUMNS = (
    "ref", "request", "number", "state", "order", "refill", "status", "created (UTC)", "note",
)  # fmt: skip

CODES = {
    RequestState.PREPARED: NETWORK,
    RequestState.SENDING: UNKNOWN,
    RequestState.UNKNOWN: UNKNOWN,
    RequestState.REFUSED: REFUSED,
}
"""The exit code of a request that was made just now; OK for the other states."""

HINTS = {
    RequestState.PREPARED: "it is not sent yet: `smmfanfast follow` sends it",
    RequestState.UNKNOWN: "it may have been made: check the panel, then `resolve-request`",
}

_HERE = JournalOptions()


@handle_errors
async def requests(
    *,
    ref: str | None = None,
    kind: Kinds = None,
    state: States = None,
    options: JournalOptions = _HERE,
) -> int:
    """Run `smmfanfast requests`.

    Parameters
    ----------
    ref
        Only requests about this order.
    kind
        Only refills, or only cancellations (cancel).
    state
        Only requests in this state, such as unknown; repeat it for more.
    """
    async with options.reading() as journal:
        found = [
            each async for each in journal.requests(ref=ref, kinds=kind or (), states=state or ())
        ]
        if not found and not (await journal.summary()).by_state:
            await mention_other_accounts(journal)
    _show(found, options)
    return OK


@handle_errors
async def resolve_request(
    ref: str,
    kind: RequestKind,
    *,
    by: str,
    refill: str | None = None,
    made: Flag = False,
    not_made: Flag = False,
    options: JournalOptions = _HERE,
) -> int:
    """Run `smmfanfast resolve-request`.

    Parameters
    ----------
    ref
        Your name of the order.
    kind
        What was requested: refill or cancel.
    by
        Who decides; recorded in the journal.
    refill
        The panel's id of the refill, if the panel's page shows one.
    made
        The panel's page shows that it was made.
    not_made
        It was not made; this also ends one that the panel does not carry out.
    """
    if [refill is not None, made, not_made].count(True) != 1:
        reason = "--not-made or --refill is required, and only one of the three"
        raise InvalidSettingsError("made", reason)
    async with options.desk() as opened:
        await opened.require(ref)
        request = await opened.desk.resolve_request(
            ref, kind, decided_by=by, refill=refill, made=None if refill is not None else made
        )
    _show([request], options)
    return OK


async def request_by_ref(
    kind: RequestKind,
    ref: str,
    ids: Sequence[str],
    by: str | None,
    options: JournalOptions,
    *,
    agreed: bool,
) -> int:
    """Request a refill or a cancellation of an order in the journal; return the exit code."""
    if ids:
        raise InvalidSettingsError("ref", "and ids of the panel cannot be combined")
    if by is None:
        raise InvalidSettingsError("by", "is missing: who decides; recorded in the journal")
    async with options.desk() as opened:
        await opened.require(ref)
        what = "Request a refill of" if kind is RequestKind.REFILL else "Request to cancel"
        if not agreed and not confirm(f"{what} {ref} at {opened.place}?", "--yes"):
            return USAGE
        call = opened.desk.refill if kind is RequestKind.REFILL else opened.desk.cancel
        request = await call(ref, decided_by=by)
    _show([request], options)
    if request.state in HINTS:
        print_line(HINTS[request.state], "yellow")
    return CODES.get(request.state, OK)


def _show(found: Sequence[OrderRequest], options: JournalOptions) -> None:
    """Print requests: a table on a terminal, otherwise a line or a JSON object for each."""
    console = Console()
    if options.json:
        for each in found:
            output.print_json(console, each)
    elif console.is_terminal:
        rows = map(_row, found)
        output.show(output.table(plural(len(found), "request"), *COLUMNS, rows=rows))
    else:
        for each in found:
            output.print_row(console, _row(each))


def _row(request: OrderRequest) -> list[Text]:
    word = STYLES.get(request.status or Status.PENDING, "")
    return [
        cell(request.ref),
        cell(request.kind.value),
        cell(request.number),
        cell(request.state.value, REQUEST_STYLES.get(request.state, "")),
        cell(request.order),
        cell(request.refill),
        cell(request.raw_status, word),
        cell(format_time(request.created_at), "dim"),
        cell(request.reason),
    ]
