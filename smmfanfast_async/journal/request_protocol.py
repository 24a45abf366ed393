"""The part of the `Journal` protocol about refills and cancellations."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from ..errors import ErrorKind
from .request_states import RequestKind, RequestState
from .requests import OrderRequest, RefillClaim, RefillObservation, RequestOutcome

__all__ = ["RequestJournal"]


class RequestJournal(Protocol):
    """What a desk needs of a journal for refills and cancellations; errors as in `Journal`."""

    async def create_request(
        self, ref: str, kind: RequestKind, *, decided_by: str, grace: timedelta
    ) -> OrderRequest | None:
        """Record a refill or a cancellation as PREPARED, due after `grace`, or return the open one.

        Return None, changing nothing, if the state of the order forbids it (`may_request`), or the
        ref has no entry. The cancellation of a PREPARED or HELD order withdraws it in the same
        transaction and is FINISHED.
        """
        ...

    async def start_request(
        self, request: OrderRequest, *, lease: timedelta, max_in_flight: int
    ) -> OrderRequest | None:
        """Move PREPARED to SENDING and count the attempt, durably, before anything is sent.

        Return None, changing nothing, if the request does not match (another state or attempt), if
        its order has ended meanwhile, or if `max_in_flight` requests are in flight at its panel, on
        any machine.
        """
        ...

    async def count_requests(self, panel: str) -> int:
        """Return how many requests are in flight at a panel, on any machine."""
        ...

    async def postpone_request(
        self, request: OrderRequest, *, until: datetime, error_kind: ErrorKind, reason: str
    ) -> None:
        """Make a PREPARED request due later, and record why; do nothing if it does not match."""
        ...

    async def record_request(self, request: OrderRequest, outcome: RequestOutcome) -> OrderRequest:
        """Record the outcome of an attempt of a request and return what results.

        After the lease of the attempt (UNKNOWN), an answer of the panel still applies. What cannot
        apply any more is recorded as an event if it names a refill, and is otherwise ignored.
        """
        ...

    async def decide_request(
        self,
        ref: str,
        kind: RequestKind,
        from_states: Collection[RequestState],
        outcome: RequestOutcome,
    ) -> OrderRequest | None:
        """Apply a person's decision about the last request of a kind.

        Return None, changing nothing, if there is none or it is in none of `from_states`.
        """
        ...

    async def expire_requests(self) -> list[OrderRequest]:
        """Move requests whose lease has expired to UNKNOWN, and end cancellations of ended orders.

        Return what changed. `record_statuses` ends the cancellations of the orders that it finishes
        itself; this ends those that were being sent at that moment.
        """
        ...

    async def due_requests(self, limit: int, *, ahead: timedelta) -> list[OrderRequest]:
        """Return requests to be sent and refills to be checked that are due, the oldest first.

        What is due later than `ahead` from now was so before the clock was set back, and is due.
        """
        ...

    async def claim_refills(
        self, panel: str, limit: int, *, lease: timedelta, ahead: timedelta
    ) -> list[RefillClaim]:
        """Claim accepted refills at a panel that are due, as `claim` does with orders."""
        ...

    async def record_refills(self, observations: Sequence[RefillObservation]) -> list[OrderRequest]:
        """Record checks of refills whose claim is still valid; return the changed requests."""
        ...

    def requests(
        self,
        *,
        ref: str | None = None,
        kinds: Collection[RequestKind] = (),
        states: Collection[RequestState] = (),
    ) -> AsyncIterator[OrderRequest]:
        """Yield requests, the oldest first, in bounded memory. None and empty filters match all."""
        ...
