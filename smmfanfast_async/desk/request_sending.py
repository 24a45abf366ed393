"""One refill or cancellation through its attempts: start, send, record the outcome.

How this works. As `sending` does with orders: an attempt first moves the request to SENDING, when
its turn has come and before its first byte; that transition is the permission to send. Each call is
about one order, since one lost answer must not leave many requests unknown. Calls in flight at a
panel are as many as its orders in flight may be (`add_concurrency`), counted apart from those.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from attrs import define, field, frozen

from .._engine.limiter import Clock
from .._engine.policy import RetryPolicy
from ..client import Client
from ..errors import (
    ClosedError,
    InvalidResponseError,
    JournalError,
    NoResponseError,
    PanelError,
    RateLimitError,
    RefusedError,
)
from ..journal import Journal, OrderRequest, RequestKind, RequestOutcome, RequestState
from ..results import CancelResult, RefillResult
from .outcomes import NOT_SENT_RETRY_S
from .rate_limit import AccountRateLimit, wait_after
from .recording import record_patiently
from .sending import NotStartedError
from .timing import Timing

__all__ = [
    "RequestSender",
    "client_for",
    "outcome_of_answer",
    "outcome_of_request_error",
    "panel_of",
]

REQUEST_TIMEOUT_S = 140.0
"""Seconds for one attempt, as for an order: a proxy in front of a panel gives up after 120 s."""

NO_ID = "the panel accepted it without an id, so that it cannot be followed"

_LOG = logging.getLogger("smmfanfast_async")
_R = RequestState


@define
class _Attempt:
    """One attempt, before and after it started."""

    request: OrderRequest | None = None
    """The request as it went to SENDING; None before that, and then nothing was sent."""
    started_s: float = 0.0
    """When that was, by `clock`."""


@frozen(kw_only=True)
class RequestSender:
    """Sends the refills and cancellations of one account, attempt by attempt."""

    clients: Mapping[str, Client]
    """The client of each panel."""
    journal: Journal
    rate_limits: Mapping[str, AccountRateLimit]
    """The rate limit of each panel."""
    first_check_s: float
    """Seconds after which an accepted refill, or the order of a cancellation, is checked."""
    rng: Callable[[], float]
    """Returns random numbers from 0 up to 1."""
    timing: Timing
    clock: Clock
    """Must be the clock of the clients: `write_within_s` is measured on it."""
    _turns: dict[str, asyncio.Semaphore] = field(factory=dict)
    """For each panel as many turns as requests of this desk may be in flight there."""

    async def send(self, request: OrderRequest) -> OrderRequest:
        """Send a request that is PREPARED, or wait for one that is SENDING; return how it ended.

        It is returned as PREPARED if it was proved not sent, and as SENDING if another desk is
        sending it for longer than `other_desk_s`.
        """
        if request.state is _R.PREPARED:
            request = await self._send_prepared(request)
        if request.state is _R.SENDING:
            request = await self._wait_for_other_desk(request)
        return request

    async def _send_prepared(self, request: OrderRequest) -> OrderRequest:
        client = client_for(self.clients, request)
        if client is None:
            return request  # for another desk
        turn = self._turns.setdefault(
            panel_of(request), asyncio.Semaphore(client.profile.add_concurrency)
        )
        deadline_s = self.clock.now_s() + self.timing.slot_wait_s
        try:
            async with asyncio.timeout(self.timing.slot_wait_s):
                await turn.acquire()
        except TimeoutError:
            return await self._reload(request)
        try:
            return await self._take_turn(client, request, deadline_s)
        finally:
            turn.release()

    async def _take_turn(
        self, client: Client, request: OrderRequest, deadline_s: float
    ) -> OrderRequest:
        """Make one attempt when a slot is free; return the request as it is if none is in time."""
        while True:
            try:
                return await self._attempt(client, request)
            except NotStartedError:
                pass
            poll_s = self.timing.min_poll_s
            while True:
                # This also ends a cancellation whose order has ended.
                await self.journal.expire_requests()
                current = await self._reload(request)
                is_same = current.state is _R.PREPARED and current.attempt == request.attempt
                if not is_same or self.clock.now_s() > deadline_s:
                    return current
                in_flight = await self.journal.count_requests(panel_of(request))
                if in_flight < client.profile.add_concurrency:
                    break
                await self.clock.sleep(poll_s * (0.5 + self.rng() / 2))
                poll_s = min(poll_s * 2, self.timing.max_poll_s)

    async def _attempt(self, client: Client, request: OrderRequest) -> OrderRequest:
        assert request.order is not None, "only requests about orders are PREPARED"  # noqa: S101
        rate_limit = self.rate_limits[panel_of(request)]
        attempt = _Attempt()
        once = client.with_options(timeout_s=REQUEST_TIMEOUT_S, retry=RetryPolicy(max_attempts=1))
        try:
            async with rate_limit.turn():
                result = await once.send_request(
                    request.kind.value, request.order,
                    before=lambda: self._start(client, request, attempt),
                )  # fmt: skip
        except PanelError as error:
            if attempt.request is None:
                if isinstance(error, JournalError | ClosedError):
                    raise
                return await self._postpone(request, error)
            if isinstance(error, RateLimitError) and error.retry_after_s:
                await rate_limit.pause(error.retry_after_s)
            outcome = outcome_of_request_error(
                error, request.kind, self._now(attempt), first_check_s=self.first_check_s
            )
            return await self._record(attempt.request, outcome)
        except asyncio.CancelledError:
            if attempt.request is not None:
                _LOG.warning(
                    "the %s of %r is being sent, and the desk was closed meanwhile",
                    request.kind, request.ref,
                )  # fmt: skip
            raise
        # The panel answered, so the attempt was started.
        assert attempt.request is not None  # noqa: S101
        outcome = outcome_of_answer(result, self._now(attempt), first_check_s=self.first_check_s)
        return await self._record(attempt.request, outcome)

    async def _start(self, client: Client, request: OrderRequest, attempt: _Attempt) -> float:
        """Get permission to send, or raise; return the moment after which no byte may leave."""
        started_s = self.clock.now_s()
        started = await self.journal.start_request(
            request,
            lease=timedelta(seconds=self.timing.lease_s),
            max_in_flight=client.profile.add_concurrency,
        )
        if started is None:
            raise NotStartedError("no slot is free, or the request has changed")
        attempt.request, attempt.started_s = started, started_s
        return started_s + self.timing.write_within_s

    def _now(self, attempt: _Attempt) -> datetime:
        """Return the journal's time without calling the journal, which may be unavailable."""
        # A request that is SENDING has a time of sending.
        assert attempt.request is not None  # noqa: S101
        assert attempt.request.sent_at is not None  # noqa: S101
        return attempt.request.sent_at + timedelta(seconds=self.clock.now_s() - attempt.started_s)

    async def _postpone(self, request: OrderRequest, error: PanelError) -> OrderRequest:
        """Leave a request that was not sent for later."""
        until = await self.journal.now() + timedelta(seconds=wait_after(error, NOT_SENT_RETRY_S))
        await self.journal.postpone_request(
            request, until=until, error_kind=error.kind, reason=error.text
        )
        return await self._reload(request)

    async def _record(self, request: OrderRequest, outcome: RequestOutcome) -> OrderRequest:
        """Record an outcome (`record_patiently`).

        Raises `NoResponseError` if it cannot be recorded: the request will count as unknown, and
        the outcome is in the error and in the log.
        """
        refill = f" (refill {outcome.refill})" if outcome.refill else ""
        return await record_patiently(
            lambda: self.journal.record_request(request, outcome),
            f"the {request.kind} of {request.ref!r} is {outcome.state}{refill}",
            on_failure=lambda text: NoResponseError(
                text, was_written=True, action=request.kind.value, order=request.order
            ),
            timing=self.timing,
            clock=self.clock,
        )

    async def _wait_for_other_desk(self, request: OrderRequest) -> OrderRequest:
        """Wait until an attempt of another desk has ended, by its lease at the latest."""
        deadline_s = self.clock.now_s() + self.timing.other_desk_s
        poll_s = self.timing.min_poll_s
        while True:
            current = await self._reload(request)
            if current.state is not _R.SENDING or self.clock.now_s() > deadline_s:
                return current
            await self.clock.sleep(poll_s)
            poll_s = min(poll_s * 2, self.timing.max_poll_s)
            await self.journal.expire_requests()

    async def _reload(self, request: OrderRequest) -> OrderRequest:
        async for each in self.journal.requests(ref=request.ref, kinds=[request.kind]):
            if each.number == request.number:
                return each
        raise JournalError(f"has lost a {request.kind} of {request.ref!r}")


def panel_of(request: OrderRequest) -> str:
    """Return the panel of a request about an order that a panel has."""
    assert request.panel is not None, "only what was withdrawn unsent has none"  # noqa: S101
    return request.panel


def client_for(clients: Mapping[str, Client], request: OrderRequest) -> Client | None:
    """Return the client that can send a request; None if there is none here."""
    client = clients.get(panel_of(request))
    return client if client and request.kind.value in client.profile.actions else None


def outcome_of_answer(
    result: RefillResult | CancelResult, now: datetime, *, first_check_s: float
) -> RequestOutcome:
    """Return the outcome that the panel's acceptance of a request means."""
    check_at = now + timedelta(seconds=first_check_s)
    if isinstance(result, CancelResult):
        return RequestOutcome(state=_R.ACCEPTED, order_due_at=check_at)
    if not result.refill:
        return RequestOutcome(state=_R.FINISHED, reason=NO_ID)
    return RequestOutcome(state=_R.ACCEPTED, refill=result.refill, due_at=check_at)


def outcome_of_request_error(
    error: PanelError, kind: RequestKind, now: datetime, *, first_check_s: float
) -> RequestOutcome:
    """Return the outcome that an error of an attempt means for its request.

    A text that no profile lists is a refusal too, unlike that of an order: what it may hide costs
    no money twice.
    """
    reason, error_kind = error.text or error.kind.value, error.kind
    if not error.maybe_sent or isinstance(error, RateLimitError):
        due_at = now + timedelta(seconds=wait_after(error, NOT_SENT_RETRY_S))
        return RequestOutcome(
            state=_R.PREPARED, error_kind=error_kind, reason=reason, due_at=due_at
        )
    if isinstance(error, RefusedError):
        return RequestOutcome(state=_R.REFUSED, error_kind=error_kind, reason=reason)
    if isinstance(error, InvalidResponseError) and error.excerpt:
        reason = f"{reason}: {error.excerpt}"
    is_cancel = kind is RequestKind.CANCEL
    return RequestOutcome(
        state=_R.UNKNOWN,
        error_kind=error_kind,
        reason=reason,
        order_due_at=now + timedelta(seconds=first_check_s) if is_cancel else None,
    )
