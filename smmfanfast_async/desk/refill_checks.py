"""Sending the refills and cancellations that are due, and checking accepted refills.

How this works. One read finds what is due. Requests are sent by tasks of the desk; refills of a
panel are claimed, as many as fit into one call, and asked for together. A call that answers for
none of them is an outage: the desk backs off, and asks for one refill at a time until one is
answered, so that a refill that breaks the call costs no other its check. The end of an order ends
its cancellation; nothing is asked for that here.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from attrs import define, field

from .._engine.failed_batches import FailedIds
from .._engine.limiter import Clock
from .._engine.policy import PollPolicy
from ..client import Client
from ..errors import ErrorKind, JournalError, PanelError, RefusedError
from ..journal import (
    Journal,
    OrderRequest,
    RefillClaim,
    RefillObservation,
    RequestState,
)
from ..results import RefillStatus
from .backoff import Backoff, add_jitter
from .checking import IN_WORK, back_off, checking_client
from .rate_limit import MAX_WAIT_S, AccountRateLimit
from .request_sending import client_for, panel_of
from .timing import Timing

__all__ = ["RefillChecks"]

DUE_BATCH = 100
"""Requests that are read at a time: few are ever due."""

SEND_BATCH = 10
"""Requests that are begun at a time: they wait for one another at their panel."""

_LOG = logging.getLogger("smmfanfast_async")


@define(kw_only=True)
class RefillChecks:
    """Follows the refills and cancellations of one account."""

    clients: Mapping[str, Client]
    """The client of each panel."""
    journal: Journal
    rate_limits: Mapping[str, AccountRateLimit]
    """The rate limit of each panel."""
    poll: PollPolicy
    rng: Callable[[], float]
    start: Callable[[OrderRequest], object]
    """Sends a request, or joins the task that does."""
    on_events: Callable[[], None]
    """Called when there are new events."""
    timing: Timing
    clock: Clock
    backoffs: dict[str, Backoff] = field(factory=dict)
    """Until when no call is made at a panel, after calls that failed."""
    failed_refills: FailedIds = field(factory=FailedIds)
    """Refills that failed when they were asked for alone."""

    async def run(self) -> None:
        """Send and check what is due until cancelled. Raises `ClosedError` if it is closed."""
        while True:
            try:
                await self.run_once()
            except JournalError as error:
                _LOG.warning("%s", error)
            await self.clock.sleep(self.timing.send_interval_s)

    async def run_once(self) -> None:
        """Begin to send what is due, and check the refills that are."""
        due = await self.journal.due_requests(DUE_BATCH, ahead=self._ahead())
        prepared = [
            each for each in due
            if each.state is RequestState.PREPARED and client_for(self.clients, each)
        ]  # fmt: skip
        for request in prepared[:SEND_BATCH]:
            self.start(request)
        accepted = [each for each in due if each.state is RequestState.ACCEPTED]
        for panel in dict.fromkeys(map(panel_of, accepted)):
            client = self.clients.get(panel)
            if client is not None and "refill_status" in client.profile.actions:
                await self._check(panel, client)

    def _ahead(self) -> timedelta:
        """Return how far ahead this desk ever sets a due time."""
        return timedelta(seconds=2 * max(self.poll.max_interval_s, MAX_WAIT_S))

    async def _check(self, panel: str, client: Client) -> None:
        """Check some refills of a panel in one call, and record the result."""
        backoff = self.backoffs.setdefault(
            panel, Backoff(min_s=self.timing.min_backoff_s, max_s=self.timing.max_backoff_s)
        )
        if backoff.remaining_s(self.clock.now_s()):
            return
        limit = 1 if backoff.failures else client.profile.ids_in_call("refill_status")
        claims = await self.journal.claim_refills(
            panel, limit, lease=timedelta(seconds=self.timing.claim_s), ahead=self._ahead()
        )
        if not claims:
            return
        started_s = self.clock.now_s()
        rate_limit = self.rate_limits[panel]
        turn = await rate_limit.wait(self.timing.rate_limit_wait_s)
        wait_s = turn.wait_s
        results: Mapping[str, RefillStatus | PanelError] = {}
        if not wait_s:
            checking = checking_client(client, rate_limit, is_single=limit == 1)
            results = await checking.refill_statuses([each.refill for each in claims])
            if any(map(_is_answer, results.values())):
                backoff.on_success()
            else:
                errors = list(results.values())
                wait_s = await back_off(
                    backoff, errors, rate_limit, started_s=started_s, clock=self.clock,
                    rng=self.rng, left_out="checks of refills",
                )  # fmt: skip
                if not any(isinstance(each, PanelError) and each.maybe_sent for each in errors):
                    await rate_limit.give_back(turn)
                if len(claims) == 1:
                    self.failed_refills.on_failure(claims[0].refill, self.clock.now_s())
        now = await self.journal.now()
        observations = [
            self._observe(each, results.get(each.refill), now, wait_s) for each in claims
        ]
        if await self.journal.record_refills(observations):
            self.on_events()

    def _observe(
        self,
        claim: RefillClaim,
        result: RefillStatus | PanelError | None,
        now: datetime,
        wait_s: float,
    ) -> RefillObservation:
        """Return what to record of a refill; after a failed call only when it is due again."""
        request = claim.request
        status = result if isinstance(result, RefillStatus) else None
        if wait_s:
            interval_s = add_jitter(wait_s, self.rng())
        else:
            has_changed = status is not None and status.raw_status != request.raw_status
            unchanged_s = 0.0 if has_changed else (now - request.changed_at).total_seconds()
            is_moving = status is not None and status.status in IN_WORK
            interval_s = self.poll.interval_s(unchanged_s, self.rng(), is_moving=is_moving)
        if status is not None:
            self.failed_refills.on_success([claim.refill])
        interval_s = max(interval_s, self.failed_refills.interval_s(claim.refill))
        error_kind, reason = request.error_kind, request.reason
        if status is not None:
            error_kind = reason = None
        elif isinstance(result, RefusedError) and not wait_s:
            error_kind, reason = result.kind, result.text
        return RefillObservation(
            claim=claim,
            status=status,
            due_at=now + timedelta(seconds=interval_s),
            is_final=status is not None and self._is_final(claim, status),
            error_kind=error_kind,
            reason=reason,
        )

    def _is_final(self, claim: RefillClaim, status: RefillStatus) -> bool:
        profile = self.clients[panel_of(claim.request)].profile
        return profile.is_final_refill_status(status.raw_status)


def _is_answer(result: RefillStatus | PanelError) -> bool:
    """Return whether a result says something of this refill: its status, or that it is missing."""
    return isinstance(result, RefillStatus) or result.kind is ErrorKind.NOT_FOUND
