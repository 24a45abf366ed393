"""All that the panel took, looked at until it is final, by any number of desks.

How this works. Orders that are due are claimed from the journal, as many as one status call holds;
the claim takes them out of other desks' way and lapses by itself. What the call gave is written in
one statement, each order only where its claim still holds, so that a desk that was stopped can't
write late. A call that fails marks nothing: the desk is quiet for a while, gives its claims back,
and their orders are due again for anybody about when the quiet is over.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import cast

from attrs import define, field

from .._engine.policy import PollPolicy, RetryPolicy
from ..client import Client
from ..errors import (
    AuthenticationError,
    ClosedError,
    ErrorKind,
    JournalError,
    PanelError,
    RateLimitError,
)
from ..journal import Claim, Entry, EntryState, Journal, Observation
from ..results import OrderStatus, Status
from .backoff import Backoff, spread_s
from .rate_limit import MAX_WAIT_S, AccountRateLimit

__all__ = ["Follower"]

CLAIM_S = 120.0
"""Seconds that a claim lasts: twice what a status call may take with all its repeats."""

IDLE_S = 1.0
"""Seconds after which the journal is asked again where nothing is due: another desk may have taken
an order, or a caller committed one."""

SEND_EVERY_S = 1.0
"""Seconds between looks for what is to be sent."""

MAINTENANCE_S = 5.0
"""Seconds between looks for attempts that were given up, and for a pause of the account's calls."""

RESCHEDULE_ORDERS = 1000
"""Orders whose far too late due time is corrected at a time: some milliseconds of a database."""

RELEASE_S = 5.0
"""Seconds for which a `follow` that is stopped is held up to give its claims back; what it can't is
due again once the claims are over."""

SENDS_AT_ONCE = 10
"""Orders that are taken up at a time to be sent: more than have a place, so that one that waits for
another desk does not hold up all, and few, so that a caller's own order is soon among them."""

CHECK_TIMEOUT_S = 60.0
"""Seconds for one status call with all its repeats, whatever the client's own are: a claim must
outlast it."""

CHECK_ATTEMPTS = 2
"""How often a status call is made, whatever the client does: once would not let it be made in
halves, which finds the one id that spoils it; what fails for longer is left to the next look."""

RATE_LIMIT_WAIT_S = 30.0
"""Seconds that claimed orders wait for their place in the pace; a claim must outlast these too."""

QUICK_MISSES = 3
"""Looks in a row that miss an order and are made again soon: the panel may have been half awake.
What it does not know after that it is asked as seldom as for any other that stands still."""

_LOG = logging.getLogger("smmfanfast_async")
_MOVING = {Status.PROCESSING, Status.IN_PROGRESS, Status.ACTIVE}


@define(kw_only=True)
class Follower:
    """Follows the orders of one account."""

    client: Client
    journal: Journal
    rate_limit: AccountRateLimit
    poll: PollPolicy
    rng: Callable[[], float]
    send: Callable[[Entry], "asyncio.Task[Entry]"]
    """Sends an order, or joins who does."""
    on_events: Callable[[], None]
    """Is called when there are events."""
    woken: asyncio.Event = field(factory=asyncio.Event)
    """Set where something may be due sooner than was known."""
    closed: asyncio.Event = field(factory=asyncio.Event)
    """Set where the desk is closed."""
    backoff: Backoff = field(factory=Backoff)
    """Until when nothing is asked, after calls that failed."""
    _runs: int = 0
    _run_ended: asyncio.Event = field(factory=asyncio.Event)

    async def run(self) -> None:
        """Send, look and recover until cancelled, closed, or refused with the key (`AuthenticationError`)."""
        self._runs += 1
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._until_closed())
                group.create_task(self._maintain())
                group.create_task(self._send_due())
                group.create_task(self._check_due())
        except* (AuthenticationError, ClosedError) as errors:
            # One error, as of any other call, and not the group that the tasks make of it.
            raise _first(errors) from None
        finally:
            self._runs -= 1
            self._run_ended.set()

    async def close(self, timeout_s: float) -> None:
        """End every `run` with `ClosedError`, and wait for that."""
        self.closed.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._runs:
                    self._run_ended.clear()
                    await self._run_ended.wait()

    # --- what is to be sent, and what was given up -----------------------------------------------

    async def _maintain(self) -> None:
        while True:
            try:
                if await self.journal.expire_leases():
                    self.on_events()
                await self._reschedule_far_future()
                if self.rate_limit.calls_per_minute is None:
                    # With a pace, each call's place comes after a pause anyway.
                    pause = await self.journal.reserve_call(timedelta(0))
                    self._back_off(pause.total_seconds())
            except JournalError as error:
                _LOG.warning("%s", error)
            await asyncio.sleep(MAINTENANCE_S)

    async def _reschedule_far_future(self) -> None:
        """Let orders be due whose time is further ahead than this desk sets any.

        The clock was set back since. Where another desk's `poll` sets times further ahead, those
        orders are looked at more often than it would, and no harm is done.
        """
        longest_s = 2 * max(self.poll.min_interval_s, self.poll.max_interval_s, MAX_WAIT_S)
        ahead = timedelta(seconds=longest_s)
        while (
            await self.journal.reschedule_far_future(RESCHEDULE_ORDERS, ahead=ahead)
            == RESCHEDULE_ORDERS
        ):
            self.woken.set()

    async def _until_closed(self) -> None:
        await self.closed.wait()
        raise ClosedError("the desk was closed")

    async def _send_due(self) -> None:
        in_flight: set[asyncio.Task[Entry]] = set()
        while True:
            await self._quiet_over()
            try:
                due = await self.journal.due_to_send(SENDS_AT_ONCE)
            except JournalError as error:
                _LOG.warning("%s", error)
                due = []
            in_flight |= {self.send(entry) for entry in due}
            done: set[asyncio.Task[Entry]] = set()
            if in_flight:
                done, in_flight = await asyncio.wait(in_flight, timeout=SEND_EVERY_S)
            if not any(_went_on(task) for task in done):
                await asyncio.sleep(SEND_EVERY_S)

    # --- looks -----------------------------------------------------------------------------------

    async def _check_due(self) -> None:
        """Claim and ask, with as many calls under way as the panel's profile allows.

        While calls fail there is one at a time, it asks about one order, and it is made once: that
        tells whether the panel is back, holds no other order up, and can't be misunderstood.
        """
        usual = self.client.with_options(
            timeout_s=CHECK_TIMEOUT_S, retry=RetryPolicy(max_attempts=CHECK_ATTEMPTS)
        )
        probing = usual.with_options(retry=RetryPolicy(max_attempts=1))
        in_flight: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                most = 1 if self.backoff.failures else self.client.profile.concurrency
                while len(in_flight) >= most:
                    await asyncio.wait(in_flight, return_when=asyncio.FIRST_COMPLETED)
                    most = 1 if self.backoff.failures else most
                limit = 1 if self.backoff.failures else self.client.profile.ids_per_call
                claims = await self._claimed(limit)
                if not claims:
                    await self._idle()
                    continue
                client = probing if limit == 1 else usual
                task = group.create_task(self._check(claims, client))
                in_flight.add(task)
                task.add_done_callback(in_flight.discard)

    async def _claimed(self, limit: int) -> list[Claim]:
        """Take what is due, and wait for its turn in the pace; nothing where that is far."""
        await self._quiet_over()
        try:
            claims = await self._taken(limit)
            async with self._given_back_if_stopped(claims):
                wait_s = await self.rate_limit.wait(RATE_LIMIT_WAIT_S) if claims else 0.0
        except JournalError as error:
            _LOG.warning("%s", error)
            return []
        if wait_s:
            # To have waited would have outlasted the claim.
            self._back_off(wait_s)
            await self._release(claims, wait_s)
            return []
        return claims

    async def _taken(self, limit: int) -> list[Claim]:
        """Claim what is due; who is stopped meanwhile gives back what it gets."""
        claim = self.journal.claim(limit, lease=timedelta(seconds=CLAIM_S))
        claiming = asyncio.ensure_future(claim)
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with suppress(TimeoutError, JournalError):
                async with asyncio.timeout(RELEASE_S):
                    await self._release(await claiming, 0.0)
            raise

    async def _idle(self) -> None:
        self.woken.clear()
        try:
            async with asyncio.timeout(IDLE_S):
                await self.woken.wait()
        except TimeoutError:
            return

    async def _check(self, claims: Sequence[Claim], client: Client) -> None:
        """Ask about some orders in one call, and write what it gave."""
        begun_s = time.monotonic()
        by_order = {claim.entry.order_id(): claim for claim in claims}
        async with self._given_back_if_stopped(claims):
            found = await client.statuses(by_order)
        if _is_about_each(list(found.values())):
            await self._write(by_order, found)
            self.backoff.succeeded()
            return
        errors = [each for each in found.values() if isinstance(each, PanelError)]
        await self._release(claims, await self._heed(errors, begun_s))
        for error in errors:
            if isinstance(error, AuthenticationError):
                raise error

    async def _write(
        self, by_order: Mapping[str, Claim], found: Mapping[str, OrderStatus | PanelError]
    ) -> None:
        """Write what a look gave; of what it says nothing about, write when to look again."""
        observations: list[Observation] = []
        unsaid: list[tuple[Claim, datetime]] = []
        try:
            now = await self.journal.now()
            for order, result in found.items():
                claim = by_order[order]
                due_at = self._due_at(claim, result, now)
                status = result if isinstance(result, OrderStatus) else None
                if _says_something(result):
                    is_over = status is not None and self._is_over(status)
                    observations.append(
                        Observation(claim=claim, status=status, due_at=due_at, is_over=is_over)
                    )
                else:
                    unsaid.append((claim, due_at))
            if await self.journal.record_statuses(observations):
                self.on_events()
            await self.journal.release(unsaid)
        except JournalError as error:
            _LOG.warning("%s", error)

    def _is_over(self, status: OrderStatus) -> bool:
        return self.client.profile.is_final_status(status.raw_status)

    @asynccontextmanager
    async def _given_back_if_stopped(self, claims: Sequence[Claim]) -> AsyncGenerator[None, None]:
        """Give claims back at once where what they were taken for is stopped, or the client closed.

        Whoever follows next need not wait for them to be over.
        """
        try:
            yield
        except BaseException:
            with suppress(TimeoutError):
                async with asyncio.timeout(RELEASE_S):
                    await self._release(claims, 0.0)
            raise

    async def _release(self, claims: Sequence[Claim], wait_s: float) -> None:
        """Let claimed orders be due again after a wait, each a little later than the wait is."""
        try:
            now = await self.journal.now()
            waits_s = [spread_s(wait_s, self.rng()) for _ in claims]
            due = [now + timedelta(seconds=each) for each in waits_s]
            await self.journal.release(list(zip(claims, due, strict=True)))
        except JournalError as error:
            # They are due again once the claims are over.
            _LOG.warning("%s", error)

    def _due_at(self, claim: Claim, result: OrderStatus | PanelError, now: datetime) -> datetime:
        entry = claim.entry
        is_moving = isinstance(result, OrderStatus) and result.status in _MOVING
        moved = isinstance(result, OrderStatus) and result.raw_status != entry.raw_status
        since = entry.changed_at or entry.created_at
        is_fresh = moved or 0 < entry.miss_count < QUICK_MISSES
        still_s = 0.0 if is_fresh else (now - since).total_seconds()
        interval_s = self.poll.interval_s(still_s, self.rng(), is_moving=is_moving)
        return now + timedelta(seconds=interval_s)

    async def _heed(self, errors: Sequence[PanelError], begun_s: float) -> float:
        """Be quiet after a call that failed whole, for as many seconds as are given.

        All machines pause where the panel asks for it.
        """
        wait_s = self.backoff.failed(begun_s, time.monotonic())
        limited = next((each for each in errors if isinstance(each, RateLimitError)), None)
        if limited is not None:
            wait_s = min(max(wait_s, limited.retry_after_s or 0.0), MAX_WAIT_S)
            await self.rate_limit.pause(wait_s)
        _LOG.warning("%s; quiet for %.0f s", errors[0], wait_s)
        self._back_off(wait_s)
        return wait_s

    def _back_off(self, wait_s: float) -> None:
        self.backoff.pause(wait_s, time.monotonic(), self.rng())

    async def _quiet_over(self) -> None:
        while True:
            # Looked at again: a call that was under way may have failed meanwhile.
            wait_s = self.backoff.wait_s(time.monotonic())
            if wait_s == 0:
                return
            await asyncio.sleep(wait_s)


def _went_on(task: "asyncio.Task[Entry]") -> bool:
    """Whether a sending came to an end that is not the same again at once.

    Raises `ClosedError` where there is nothing to send with any more, and `AuthenticationError` where every
    other order would be refused just so; other errors are in the log.
    """
    if task.cancelled():
        return False
    error = task.exception()
    if isinstance(error, ClosedError):
        raise error
    if error is not None:
        return False
    entry = task.result()
    if entry.state is EntryState.REFUSED and entry.kind is ErrorKind.AUTH:
        entry.order_id()  # raises
    return entry.state is not EntryState.PREPARED


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give the first error of a group that may hold groups."""
    found = errors.exceptions[0]
    while isinstance(found, BaseExceptionGroup):
        # What a group in a group holds is not told to a type checker.
        found = cast("BaseExceptionGroup[BaseException]", found).exceptions[0]
    return found


def _is_about_each(results: Sequence[OrderStatus | PanelError]) -> bool:
    """Whether a call's results tell of its orders, and not of the call alone.

    That none of several orders is known may be the panel's word for one bad id among them.
    """
    if len(results) > 1 and all(isinstance(each, PanelError) for each in results):
        return False
    return any(_says_something(each) for each in results)


def _says_something(result: OrderStatus | PanelError) -> bool:
    """Whether an answer is about this order: its status, or that the panel does not know it."""
    return isinstance(result, OrderStatus) or result.kind is ErrorKind.NOT_FOUND
