"""All that the panel took, looked at until it is final, by any number of desks.

How this works. Orders that are due are claimed from the journal, as many as one status call holds;
the claim takes them out of other desks' way and lapses by itself. What the call gave is written in
one statement, each order only where its claim still holds, so that a desk that was stopped can't
write late. A call that fails marks nothing: its orders are due again once the claim is over, and
the desk is quiet for a while.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from attrs import define, field

from .._policy import PollPolicy
from ..client import Client
from ..errors import AuthError, ClosedError, ErrorKind, JournalError, PanelError, RateLimitedError
from ..journal import Claim, Entry, Journal, Observation
from ..results import OrderStatus, Status
from .pace import Pace

__all__ = ["Follower"]

CLAIM_S = 120.0
"""Seconds that a claim lasts: twice what a status call may take with all its repeats."""

IDLE_S = 1.0
"""Seconds after which the journal is asked again where nothing is due: another desk may have taken
an order, or a caller committed one."""

SEND_EVERY_S = 1.0
"""Seconds between looks for what is to be sent."""

BEAT_S = 5.0
"""Seconds between looks for attempts that were given up, and for a pause of the account's calls."""

QUIET_S, LONGEST_QUIET_S = 1.0, 60.0
"""Seconds of quiet after a call that failed, doubling with each that follows: a panel that is down
for an hour gets a call a minute from each desk."""

SEND_ROWS = 100
"""Orders that are fetched at a time to be sent."""

_LOG = logging.getLogger("smmfanfast_async")
_MOVING = {Status.PROCESSING, Status.IN_PROGRESS, Status.ACTIVE}


@define(kw_only=True)
class Follower:
    """Follows the orders of one account."""

    client: Client
    journal: Journal
    pace: Pace
    poll: PollPolicy
    draw: Callable[[], float]
    send: Callable[[Entry], "asyncio.Task[Entry]"]
    """Sends an order, or joins who does."""
    told: Callable[[], None]
    """Is called when there are events."""
    woken: asyncio.Event = field(factory=asyncio.Event)
    """Set where something may be due sooner than was known."""
    _failures: int = 0
    _quiet_until_s: float = 0.0

    async def run(self) -> None:
        """Send, look and recover until cancelled, or until the key is refused (`AuthError`)."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._beat())
                group.create_task(self._send_due())
                group.create_task(self._look())
        except* (AuthError, ClosedError) as errors:
            # One error, as of any other call, and not the group that the tasks make of it.
            raise _first(errors) from None

    # --- what is to be sent, and what was given up -----------------------------------------------

    async def _beat(self) -> None:
        while True:
            try:
                if await self.journal.lapse():
                    self.told()
                if self.pace.calls_per_minute is None:
                    # With a pace, each call's place comes after a pause anyway.
                    pause = await self.journal.permit(timedelta(0))
                    self._be_quiet(pause.total_seconds())
            except JournalError as error:
                _LOG.warning("%s", error)
            await asyncio.sleep(BEAT_S)

    async def _send_due(self) -> None:
        while True:
            try:
                for entry in await self.journal.due_to_send(SEND_ROWS):
                    await self._quiet_over()
                    await asyncio.wait({self.send(entry)})
            except JournalError as error:
                _LOG.warning("%s", error)
            await asyncio.sleep(SEND_EVERY_S)

    # --- looks -----------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Claim and ask, with as many calls under way as the panel's profile allows."""
        places = asyncio.Semaphore(self.client.profile.concurrency)
        async with asyncio.TaskGroup() as group:
            while True:
                await places.acquire()
                claims = await self._claimed()
                if claims:
                    task = group.create_task(self._look_at(claims))
                    task.add_done_callback(lambda _: places.release())
                else:
                    places.release()
                    await self._idle()

    async def _claimed(self) -> list[Claim]:
        await self._quiet_over()
        try:
            lease = timedelta(seconds=CLAIM_S)
            return await self.journal.claim(self.client.profile.ids_per_call, lease=lease)
        except JournalError as error:
            _LOG.warning("%s", error)
            return []

    async def _idle(self) -> None:
        self.woken.clear()
        try:
            async with asyncio.timeout(IDLE_S):
                await self.woken.wait()
        except TimeoutError:
            return

    async def _look_at(self, claims: Sequence[Claim]) -> None:
        """Ask about some orders in one call, and write what it gave."""
        await self.pace.wait()
        by_order = {claim.entry.order: claim for claim in claims if claim.entry.order}
        found = await self.client.statuses(by_order)
        now = await self.journal.now()
        observations = [
            Observation(
                claim=claim,
                status=result if isinstance(result, OrderStatus) else None,
                due_at=self._due_at(claim, result, now),
            )
            for order, result in found.items()
            if (claim := by_order.get(order)) and _says_something(result)
        ]
        try:
            if await self.journal.observe(observations):
                self.told()
        except JournalError as error:
            _LOG.warning("%s", error)
        await self._heed(list(found.values()))

    def _due_at(self, claim: Claim, result: OrderStatus | PanelError, now: datetime) -> datetime:
        entry = claim.entry
        is_moving = isinstance(result, OrderStatus) and result.status in _MOVING
        moved = isinstance(result, OrderStatus) and result.raw_status != entry.raw_status
        since = entry.changed_at or entry.created_at
        still_s = 0.0 if moved or entry.misses else (now - since).total_seconds()
        interval_s = self.poll.interval_s(still_s, self.draw(), is_moving=is_moving)
        return now + timedelta(seconds=interval_s)

    async def _heed(self, results: Sequence[OrderStatus | PanelError]) -> None:
        """Be quiet after a call that failed whole; let all machines pause where the panel asks."""
        errors = [each for each in results if isinstance(each, PanelError)]
        if any(not isinstance(each, PanelError) or _says_something(each) for each in results):
            self._failures = 0
            return
        refused = next((each for each in errors if isinstance(each, AuthError)), None)
        if refused is not None:
            raise refused
        self._failures += 1
        wait_s = min(QUIET_S * 2.0 ** min(self._failures - 1, 10), LONGEST_QUIET_S)
        limited = next((each for each in errors if isinstance(each, RateLimitedError)), None)
        if limited is not None:
            wait_s = max(wait_s, limited.retry_after_s or 0.0)
            try:
                await self.journal.pause(await self.journal.now() + timedelta(seconds=wait_s))
            except JournalError as error:
                _LOG.warning("%s", error)
        if errors:
            _LOG.warning("%s; quiet for %.0f s", errors[0], wait_s)
        self._be_quiet(wait_s)

    def _be_quiet(self, wait_s: float) -> None:
        self._quiet_until_s = max(self._quiet_until_s, time.monotonic() + wait_s)

    async def _quiet_over(self) -> None:
        wait_s = self._quiet_until_s - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _says_something(result: OrderStatus | PanelError) -> bool:
    """Whether an answer is about this order: its status, or that the panel does not know it."""
    return isinstance(result, OrderStatus) or result.kind is ErrorKind.NOT_FOUND
