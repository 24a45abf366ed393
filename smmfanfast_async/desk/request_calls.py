"""The part of `OrderDesk` about refills and cancellations."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping

from .._engine.limiter import Clock
from .._engine.policy import PollPolicy
from ..journal import Journal, OrderRequest, RequestKind, RequestState
from .panels import DeskPanel
from .refill_checks import RefillChecks
from .request_sending import RequestSender
from .requests import Requests
from .timing import Timing

__all__ = ["RequestCalls", "create_requests"]


class RequestCalls:
    """What a desk does about an order that the panel has (API v2). The desk sets the attributes."""

    _journal: Journal
    _requests: Requests
    _check_open: Callable[[], None]

    async def cancel(self, ref: str, *, decided_by: str) -> OrderRequest:
        """Request the cancellation of an order (API v2), once, and return the request.

        One that is not sent yet is withdrawn instead. While a cancellation is open, the same one is
        returned, from any process. Cancelling the caller changes nothing.

        Args:
            decided_by: Who decides; stays in the journal until `purge`.

        Returns:
            The request: ACCEPTED, until the order has ended, in which state ever; FINISHED;
            REFUSED; UNKNOWN (the end of the order ends it too, or `resolve_request`); PREPARED if
            it was proved not sent: a running desk sends it.

        Raises:
            InvalidOrderError: Nothing was sent: the order is being sent, unknown or final, or the
                ref is not in the journal.
            UnsupportedActionError: Nothing was sent: the panel has no cancellations, or not for
                this service, by the catalogue that is in memory.
            ClosedError, JournalError: Calling again is safe.
            NoResponseError: The journal could not record the outcome. Calling again is safe: it
                will be UNKNOWN.
        """
        self._check_open()
        return await self._requests.request(ref, RequestKind.CANCEL, decided_by=decided_by)

    async def refill(self, ref: str, *, decided_by: str) -> OrderRequest:
        """Request a refill of a completed or partial order (API v2), once; return the request.

        Returns and raises as `cancel` does. An accepted refill is followed by its id until its
        status is final; one without an id is FINISHED at once.
        """
        self._check_open()
        return await self._requests.request(ref, RequestKind.REFILL, decided_by=decided_by)

    async def resolve_request(
        self,
        ref: str,
        kind: RequestKind,
        *,
        decided_by: str,
        refill: int | str | None = None,
        made: bool | None = None,
    ) -> OrderRequest:
        """Record what became of a refill or cancellation that is unknown, after checking the panel.

        Args:
            decided_by: Who decides; stays in the journal until `purge`.
            refill: The panel's id of the refill, if it exists there; it is then followed.
            made: Whether the request was made. False also ends one that is not sent yet, or that
                the panel accepted and does not carry out; another one can be made then.

        Raises:
            InvalidOrderError: Nothing was changed: the request's state forbids it, or an argument
                is not valid.
            ClosedError, JournalError: Call again.
        """
        self._check_open()
        return await self._requests.resolve(
            ref, kind, decided_by=decided_by, refill=refill, made=made
        )

    def requests(
        self,
        *,
        ref: str | None = None,
        kinds: Collection[RequestKind] = (),
        states: Collection[RequestState] = (),
    ) -> AsyncIterator[OrderRequest]:
        """Iterate over refills and cancellations, the oldest first. Raises as `unknown` does."""
        self._check_open()
        return self._journal.requests(ref=ref, kinds=kinds, states=states)


def create_requests(
    panels: Mapping[str, DeskPanel],
    journal: Journal,
    *,
    poll: PollPolicy,
    rng: Callable[[], float],
    check_open: Callable[[], None],
    on_events: Callable[[], None],
    timing: Timing,
    clock: Clock,
) -> tuple[Requests, RefillChecks]:
    """Return what sends the requests of a desk over these panels, and what follows them."""
    clients = {name: each.client for name, each in panels.items()}
    rate_limits = {name: each.rate_limit for name, each in panels.items()}
    sender = RequestSender(
        clients=clients, journal=journal, rate_limits=rate_limits, rng=rng,
        first_check_s=poll.min_interval_s, timing=timing, clock=clock,
    )  # fmt: skip
    requests = Requests(
        clients=clients, journal=journal, sender=sender, check_open=check_open, on_done=on_events
    )
    checks = RefillChecks(
        clients=clients, journal=journal, rate_limits=rate_limits, poll=poll, rng=rng,
        start=requests.start, on_events=on_events, timing=timing, clock=clock,
    )  # fmt: skip
    return requests, checks
