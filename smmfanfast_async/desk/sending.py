"""One order through its attempts: written down, on its way, and what became of it.

How this works. An attempt first moves the entry to SENDING, in the moment its turn has come and
before its first byte; the move is the right to send, and only one desk of all machines gets it.
Whatever the panel says becomes an `Outcome` (`outcome_of`), which is written until it is. The whole
runs in a task of the desk: a caller who goes away changes nothing.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from attrs import define, frozen

from .._engine.policy import RetryPolicy
from ..client import Client
from ..errors import (
    ClosedError,
    JournalError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    RateLimitError,
)
from ..journal import Entry, EntryState, Journal, Outcome
from .outcomes import outcome_of
from .rate_limit import AccountRateLimit

__all__ = ["Sender"]

WRITE_WITHIN_S = 60.0
"""Seconds from the begin of an attempt within which its bytes have to leave: a pace, a connection
and a slow disk fit; a process that was stopped for longer must not send any more."""

LEASE_S = 240.0
"""Seconds after which an attempt without an outcome counts as unknown: what left at the end of
`WRITE_WITHIN_S` is answered, or given up, 140 s later."""

BALANCE_TIMEOUT_S = 5.0
"""Seconds for reading a balance as evidence: it must not hold up an order for long."""

POLL_S, LONGEST_POLL_S = 0.02, 0.5
"""Seconds between looks for a free place, or at what another desk is sending, doubling."""

OTHER_DESK_S = 2 * LEASE_S
"""Seconds for which an attempt of another desk is waited for; its lease ends it long before, unless
the clock was set back."""

SLOT_WAIT_S = 600.0
"""Seconds that an order waits for its turn among the account's; then a running desk sends it."""

OUTCOME_WAIT_S = 900.0
"""Seconds for which an outcome is tried to be written, each try repeated for half a minute:
a full disk or a database that is down takes a person some minutes."""

_LOG = logging.getLogger("smmfanfast_async")
_S = EntryState


class NotStartedError(Exception):
    """The attempt was not begun: its turn did not come, or the entry is not as it was."""


@define
class _Attempt:
    """An attempt, as far as it is begun."""

    begun: Entry | None = None
    """The entry as it went to SENDING; None before that, and then nothing was sent."""
    begun_s: float = 0.0
    """When that was, on the monotonic clock."""
    is_given_up: bool = False
    """Whether nobody waits for its outcome any more: it must not begin then."""

    def now(self) -> datetime:
        """Give the journal's time without asking the journal, which may be gone by now."""
        # What has begun has a time of sending.
        assert self.begun is not None  # noqa: S101
        assert self.begun.sent_at is not None  # noqa: S101
        return self.begun.sent_at + timedelta(seconds=time.monotonic() - self.begun_s)


@frozen(kw_only=True)
class Sender:
    """Takes orders through their attempts, for one account."""

    client: Client
    journal: Journal
    rate_limit: AccountRateLimit
    retry: RetryPolicy
    """When what was proved not sent is tried again at once."""
    queue_active_links: bool
    """Whether an order waits where the panel has an active one with its link."""
    record_balance: bool
    """Whether the balance is read before each attempt, and after one that ends unknown."""
    first_look_s: float
    """Seconds after which an order that the panel took is looked at for the first time."""
    rng: Callable[[], float]
    """Gives random numbers from 0 up to 1."""
    slots: int
    """Attempts that may be on their way at once, on all machines together."""
    locks: asyncio.Semaphore
    """As many turns as places. This desk's orders have them one after the other: so each reads the
    balance when it is its turn, not while those before it spend, and one of them looks for a place
    among other desks' orders, not all."""

    async def settled(self, entry: Entry) -> Entry:
        """Send an order that is PREPARED, wait for one that is on its way; give what became of it.

        Gives it as PREPARED where it was proved not sent and another try can't help now, and as
        SENDING where another desk is sending it for longer than it may.
        """
        repeats = 0
        while True:
            if entry.state is _S.SENDING:
                entry = await self._wait_for_other_desk(entry.ref)
            if entry.state is not _S.PREPARED:
                return entry
            try:
                entry, error = await self._attempt(entry)
            except NotStartedError:
                return await self._now(entry.ref)
            if error is None:
                continue
            pause_s = self.retry.delay_s(error, repeats, self.rng())
            if pause_s is None:
                return entry
            await asyncio.sleep(pause_s)
            repeats += 1

    async def _attempt(self, entry: Entry) -> tuple[Entry, PanelError | None]:
        """Make an attempt when its turn has come; give its error where nothing was sent.

        Raises `NotStartedError` where its turn does not come.
        """
        deadline_s = time.monotonic() + SLOT_WAIT_S
        try:
            async with asyncio.timeout(SLOT_WAIT_S):
                await self.locks.acquire()
        except TimeoutError as error:
            raise NotStartedError("its turn among this desk's orders did not come") from error
        try:
            while True:
                try:
                    return await self._send(entry)
                except NotStartedError:
                    found = await self._now(entry.ref)
                if found.state is not _S.PREPARED or found.attempt != entry.attempt:
                    return found, None
                await self._place_among_desks(deadline_s)
        finally:
            self.locks.release()

    async def _place_among_desks(self, deadline_s: float) -> None:
        """Wait until other desks have left a place."""
        pause_s = POLL_S
        while True:
            if time.monotonic() > deadline_s:
                raise NotStartedError("its turn among the account's orders did not come")
            await asyncio.sleep(pause_s * (0.5 + self.rng() / 2))
            await self.journal.expire_leases()
            if await self.journal.count_in_flight() < self.slots:
                return
            pause_s = min(pause_s * 2, LONGEST_POLL_S)

    async def _send(self, entry: Entry) -> tuple[Entry, PanelError | None]:
        balance = await self._balance()
        await self.rate_limit.wait()
        attempt = _Attempt()
        once = self.client.with_options(retry=RetryPolicy(max_attempts=1))
        try:
            added = await once.send_form(
                entry.form, before=lambda: self._start_attempt(entry, attempt, balance)
            )
        except PanelError as error:
            if attempt.begun is None and isinstance(error, NotSentError):
                return entry, error
            if attempt.begun is None:
                raise  # the journal or the client is not there, and nothing was sent
            outcome = await self._outcome_of(error, attempt)
            settled = await self._record_outcome(attempt.begun, outcome)
            return settled, error if settled.state is _S.PREPARED else None
        except asyncio.CancelledError:
            attempt.is_given_up = True
            if attempt.begun is not None:
                _LOG.warning("%r is on its way, and the desk was closed meanwhile", entry.ref)
            raise
        # An answer came, so it was begun.
        assert attempt.begun is not None  # noqa: S101
        due_at = attempt.now() + timedelta(seconds=self.first_look_s)
        accepted = Outcome(state=_S.ACCEPTED, order=added.order, due_at=due_at)
        return await self._record_outcome(attempt.begun, accepted), None

    async def _start_attempt(
        self, entry: Entry, attempt: _Attempt, balance: Decimal | None
    ) -> float:
        """Get the right to send, or raise; give the moment after which nothing may leave."""
        begun_s = time.monotonic()
        if attempt.is_given_up:
            # The desk was closed while the client had this in its queue.
            raise ClosedError("the desk was closed", action="add")
        begun = await self.journal.start_attempt(
            entry.ref,
            entry.attempt,
            lease=timedelta(seconds=LEASE_S),
            max_in_flight=self.slots,
            balance_before=balance,
        )
        if begun is None:
            raise NotStartedError("no place is free, or the entry is not as it was")
        attempt.begun, attempt.begun_s = begun, begun_s
        # Given up meanwhile: a moment that is past, so that nothing leaves.
        return begun_s if attempt.is_given_up else begun_s + WRITE_WITHIN_S

    async def _outcome_of(self, error: PanelError, attempt: _Attempt) -> Outcome:
        # Whoever has begun and failed is asked about.
        assert attempt.begun is not None  # noqa: S101
        after = await self._balance() if isinstance(error, OutcomeUnknownError) else None
        if isinstance(error, RateLimitError) and error.retry_after_s:
            await self.rate_limit.pause(error.retry_after_s)
        return outcome_of(
            error,
            attempt.begun,
            attempt.now(),
            queue_active_links=self.queue_active_links,
            balance_after=after,
        )

    async def _record_outcome(self, begun: Entry, outcome: Outcome) -> Entry:
        """Write an outcome, however long the database takes to come back.

        Raises `OutcomeUnknownError` where it can't be written and an order may exist: the entry
        will count as unknown, and the order's id, if there is one, is in the error and in the log.
        """
        deadline_s = time.monotonic() + OUTCOME_WAIT_S
        about = f"{begun.ref!r} is {outcome.state} (order {outcome.order})"
        while True:
            try:
                return await self.journal.record_outcome(begun.ref, begun.attempt, outcome)
            except asyncio.CancelledError:
                _LOG.error("%s, and the desk was closed before the journal could keep it", about)
                raise
            except JournalError as error:
                _LOG.error("%s, and the journal can't keep it yet: %s", about, error)
                if time.monotonic() > deadline_s:
                    text = f"{about}, and the journal could not keep it: {error.text}"
                    raise OutcomeUnknownError(
                        text, form=begun.form, sent_at=begun.sent_at, order=outcome.order
                    ) from error
            await asyncio.sleep(LONGEST_POLL_S)

    async def _wait_for_other_desk(self, ref: str) -> Entry:
        """Wait until an attempt that another desk makes is over, by its lease at the latest.

        Gives it as SENDING where even its lease does not end, as under a clock that was set back.
        """
        deadline_s = time.monotonic() + OTHER_DESK_S
        pause_s = POLL_S
        while True:
            entry = await self._now(ref)
            if entry.state is not _S.SENDING or time.monotonic() > deadline_s:
                return entry
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_POLL_S)
            if pause_s == LONGEST_POLL_S:
                await self.journal.expire_leases()

    async def _now(self, ref: str) -> Entry:
        entry = await self.journal.find(ref)
        if entry is None:
            raise JournalError(f"has lost the entry {ref!r}")
        return entry

    async def _balance(self) -> Decimal | None:
        """Read the balance as evidence; None where that fails, which harms nothing."""
        if not self.record_balance:
            return None
        reader = self.client.with_options(
            timeout_s=BALANCE_TIMEOUT_S, retry=RetryPolicy(max_attempts=1)
        )
        try:
            if await self.rate_limit.wait(BALANCE_TIMEOUT_S):
                return None
            return (await reader.balance()).balance
        except PanelError as error:
            _LOG.info("no balance as evidence: %s", error)
            return None
