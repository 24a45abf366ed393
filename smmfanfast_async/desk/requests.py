"""Refills and cancellations by ref: check, record, wait for the outcome, decide unknown ones."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta

import attrs
from attrs import define

from ..client import Client
from ..errors import (
    InvalidCode,
    InvalidOrderError,
    PanelError,
    UnsupportedActionError,
)
from ..journal import (
    Entry,
    EntryState,
    Journal,
    OrderRequest,
    RequestKind,
    RequestOutcome,
    RequestState,
    may_request,
)
from ..orders import parse_id
from .admission import PLACE_GRACE_S
from .arguments import parse_decided_by
from .pricing import cached_catalogue
from .request_sending import RequestSender
from .tasks import Tasks, result_of

__all__ = ["Requests"]

_R = RequestState
_RULES = {
    RequestKind.CANCEL: "only accepted orders, and those that are not sent yet, can be canceled",
    RequestKind.REFILL: "only finished orders that are completed or partial can be refilled",
}


@define(kw_only=True)
class Requests(Tasks[tuple[str, RequestKind], OrderRequest]):
    """The refills and cancellations of one account, with at most one task for each."""

    clients: Mapping[str, Client]
    """The client of each panel."""
    journal: Journal
    sender: RequestSender
    check_open: Callable[[], None]
    """Raises `ClosedError` if the desk is not open."""

    async def request(self, ref: str, kind: RequestKind, *, decided_by: str) -> OrderRequest:
        """Request a refill or a cancellation, once; see `OrderDesk.refill` and `cancel`."""
        decider = parse_decided_by(decided_by)
        entry = await self.journal.find(ref)
        if entry is not None and may_request(kind, entry):
            await self._check_panel(kind, entry)
        request = await self.journal.create_request(
            ref, kind, decided_by=decider, grace=timedelta(seconds=PLACE_GRACE_S)
        )
        self.on_done()
        if request is None:
            raise await self._wrong_state(ref, kind)
        if request.state not in (_R.PREPARED, _R.SENDING):
            return request
        task = self.start(request)
        await asyncio.wait({task})
        return attrs.evolve(result_of(task, kind.value), is_new=request.is_new)

    async def resolve(
        self,
        ref: str,
        kind: RequestKind,
        *,
        decided_by: str,
        refill: int | str | None,
        made: bool | None,
    ) -> OrderRequest:
        """Record what became of the last request; see `OrderDesk.resolve_request`."""
        kind = _parse_kind(kind)
        if (refill is None) == (made is None) or (refill is not None and kind is not _REFILL):
            shown = f"refill={refill!r}, made={made!r}"
            reason = f"must be either made=True or made=False{_OR_ID if kind is _REFILL else ''}"
            raise InvalidOrderError("OrderDesk.resolve_request", "made", shown, reason)
        decider = parse_decided_by(decided_by)
        await self.journal.expire_requests()
        now = await self.journal.now()
        if made is False:
            states = {_R.PREPARED, _R.ACCEPTED, _R.UNKNOWN}
            outcome = RequestOutcome(state=_R.REFUSED, reason="not made")
        elif kind is RequestKind.CANCEL:
            states = {_R.UNKNOWN}
            outcome = RequestOutcome(state=_R.ACCEPTED, reason="made", order_due_at=now)
        elif refill is None:
            states = {_R.UNKNOWN}
            outcome = RequestOutcome(state=_R.FINISHED, reason="made")
        else:
            refill_id = parse_id(refill, "OrderDesk.resolve_request", name="refill")
            states = {_R.UNKNOWN}
            outcome = RequestOutcome(state=_R.ACCEPTED, refill=refill_id, due_at=now)
        decided = await self.journal.decide_request(
            ref, kind, states, attrs.evolve(outcome, decided_by=decider)
        )
        self.on_done()
        if decided is None:
            raise await self._wrong_request(ref, kind)
        return decided

    def start(self, request: OrderRequest) -> "asyncio.Task[OrderRequest]":
        """Send a request, or join the task that does."""
        self.check_open()
        key = request.ref, request.kind
        task = self.tasks.get(key)
        if task is None:
            task = asyncio.create_task(self.sender.send(request))
            self.add(key, task)
        return task

    def _describe_failure(self, key: tuple[str, RequestKind]) -> str:
        ref, kind = key
        return f"the {kind} of {ref!r} failed"

    async def _check_panel(self, kind: RequestKind, entry: Entry) -> None:
        """Raise `UnsupportedActionError` if the panel or the service has no such request."""
        if entry.state in (EntryState.PREPARED, EntryState.HELD):
            return  # it is withdrawn, without a call
        client = self.clients.get(entry.panel or "")
        if client is None:
            text = f"this desk has no client of panel {entry.panel!r}"
            raise UnsupportedActionError(text, action=kind.value, order=entry.order)
        if kind.value not in client.profile.actions:
            text = f"{client.profile.name} does not support the action {kind.value!r}"
            raise UnsupportedActionError(text, action=kind.value, order=entry.order)
        if await _is_unsupported(client, kind, entry):
            text = f"service {entry.service} does not support {kind.value!r}"
            raise UnsupportedActionError(text, action=kind.value, order=entry.order)

    async def _wrong_state(self, ref: str, kind: RequestKind) -> InvalidOrderError:
        entry = await self.journal.find(ref)
        if entry is None:
            code, reason = InvalidCode.UNKNOWN_REF, "is not in the journal"
        else:
            status = f" ({entry.raw_status})" if entry.raw_status else ""
            code, reason = InvalidCode.WRONG_STATE, f"is {entry.state}{status}; {_RULES[kind]}"
        return InvalidOrderError("OrderDesk", "ref", ref, reason, code=code)

    async def _wrong_request(self, ref: str, kind: RequestKind) -> InvalidOrderError:
        states = [each.state async for each in self.journal.requests(ref=ref, kinds=[kind])]
        if not states:
            code, reason = InvalidCode.UNKNOWN_REF, f"has no {kind} in the journal"
        else:
            code = InvalidCode.WRONG_STATE
            reason = (
                f"has a {kind} that is {states[-1]}; only unknown ones can be resolved, and"
                " prepared or accepted ones with made=False"
            )
        return InvalidOrderError("OrderDesk", "ref", ref, reason, code=code)


_REFILL = RequestKind.REFILL
_OR_ID = ", or the panel's id of the refill"


def _parse_kind(kind: object) -> RequestKind:
    try:
        return RequestKind(kind)  # type: ignore[arg-type]  # whatever it is
    except ValueError:
        reason = f"must be one of {', '.join(RequestKind)}"
        raise InvalidOrderError(
            "OrderDesk.resolve_request", "kind", kind, reason, code=InvalidCode.NOT_ALLOWED
        ) from None


async def _is_unsupported(client: Client, kind: RequestKind, entry: Entry) -> bool:
    """Return whether the catalogue in memory says that the order's service has no such request."""
    try:
        catalogue = await cached_catalogue(client)
    except PanelError:
        return False
    # That of the panel, also if the order names a product.
    service = catalogue.find(entry.service or "")
    if service is None:
        return False
    flag = service.refill if kind is RequestKind.REFILL else service.cancel
    return flag is False
