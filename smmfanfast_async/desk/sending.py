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

from attrs import frozen

from .._policy import RetryPolicy
from ..client import Client
from ..errors import (
    ClosedError,
    ErrorKind,
    JournalError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    RateLimitedError,
    RefusedError,
)
from ..journal import Entry, EntryState, Journal, Outcome
from .pace import Pace

__all__ = ["HOLD_S", "LEASE_S", "Sender", "outcome_of"]

WRITE_WITHIN_S = 60.0
"""Seconds from the begin of an attempt within which its bytes have to leave: a pace, a connection
and a slow disk fit; a process that was stopped for longer must not send any more."""

LEASE_S = 240.0
"""Seconds after which an attempt without an outcome counts as unknown: what left at the end of
`WRITE_WITHIN_S` is answered, or given up, 140 s later."""

HOLD_S = 600.0
"""Seconds after which an order that is held is tried again, should the one before it not be ours."""

AGAIN_S = 30.0
"""Seconds after which a running desk tries again what was proved not sent."""

BALANCE_TIMEOUT_S = 5.0
"""Seconds for reading a balance as evidence: it must not hold up an order for long."""

POLL_S, LONGEST_POLL_S = 0.02, 0.5
"""Seconds between looks for a free place, or at what another desk is sending, doubling."""

PLACE_WAIT_S = 600.0
"""Seconds that an order waits for its turn among the account's; then a running desk sends it."""

OUTCOME_WAIT_S = 900.0
"""Seconds for which an outcome is tried to be written, each try repeated for half a minute:
a full disk or a database that is down takes a person some minutes."""

_LOG = logging.getLogger("smmfanfast_async")
_S = EntryState


class NotBegunError(Exception):
    """The attempt was not begun: no place is free, or the entry is not as it was."""


@frozen(kw_only=True)
class Sender:
    """Takes orders through their attempts, for one account."""

    client: Client
    journal: Journal
    pace: Pace
    retry: RetryPolicy
    """When what was proved not sent is tried again at once."""
    queue_active_links: bool
    """Whether an order waits where the panel has an active one with its link."""
    with_evidence: bool
    """Whether the balance is read before each attempt, and after one that ends unknown."""
    first_look_s: float
    """Seconds after which an order that the panel took is looked at for the first time."""
    draw: Callable[[], float]
    """Gives random numbers from 0 up to 1."""

    async def settled(self, entry: Entry) -> Entry:
        """Send an order that is PREPARED, wait for one that is on its way; give what became of it.

        Gives it as PREPARED where it was proved not sent and another try can't help now.
        """
        repeats = 0
        while True:
            if entry.state is _S.SENDING:
                entry = await self._elsewhere(entry.ref)
            if entry.state is not _S.PREPARED:
                return entry
            entry, error = await self._attempt(entry)
            if error is None:
                continue
            pause_s = self.retry.pause_s(error, repeats, self.draw())
            if pause_s is None:
                return entry
            await asyncio.sleep(pause_s)
            repeats += 1

    async def _attempt(self, entry: Entry) -> tuple[Entry, PanelError | None]:
        """Make an attempt once a place is free; give its error where nothing was sent."""
        deadline_s = time.monotonic() + PLACE_WAIT_S
        pause_s = POLL_S
        while True:
            try:
                return await self._send(entry)
            except NotBegunError:
                found = await self._now(entry.ref)
                if found.state is not _S.PREPARED or found.attempt != entry.attempt:
                    return found, None
            if time.monotonic() > deadline_s:
                text = f"its turn did not come within {PLACE_WAIT_S:g} s"
                return entry, NotSentError(text, None, None, None, "add")
            await self.journal.lapse()
            await asyncio.sleep(pause_s * (0.5 + self.draw() / 2))
            pause_s = min(pause_s * 2, LONGEST_POLL_S)

    async def _send(self, entry: Entry) -> tuple[Entry, PanelError | None]:
        balance = await self._balance()
        begun: list[Entry] = []

        async def begin() -> float:
            started_s = time.monotonic()
            found = await self.journal.begin(
                entry.ref,
                entry.attempt,
                lease=timedelta(seconds=LEASE_S),
                places=self.client.profile.add_concurrency,
                balance_before=balance,
            )
            if found is None:
                raise NotBegunError
            begun.append(found)
            return started_s + WRITE_WITHIN_S

        await self.pace.wait()
        once = self.client.with_options(retry=RetryPolicy(attempts=1))
        error: PanelError | None = None
        try:
            added = await once.send_form(entry.form, before=begin)
        except PanelError as caught:
            if not begun:
                if isinstance(caught, NotSentError):
                    return entry, caught
                raise  # the journal or the client is not there, and nothing was sent
            error = caught
            outcome = await self._outcome_of(caught, begun[0])
        else:
            due_at = await self.journal.now() + timedelta(seconds=self.first_look_s)
            outcome = Outcome(state=_S.ACCEPTED, order=added.order, due_at=due_at)
        settled = await self._written(begun[0], outcome)
        return settled, error if settled.state is _S.PREPARED else None

    async def _outcome_of(self, error: PanelError, begun: Entry) -> Outcome:
        after: Decimal | None = None
        if isinstance(error, OutcomeUnknownError):
            after = await self._balance()
        now = await self.journal.now()
        return outcome_of(
            error, begun, now, queue_active_links=self.queue_active_links, balance_after=after
        )

    async def _written(self, begun: Entry, outcome: Outcome) -> Entry:
        """Write an outcome, however long the database takes to come back.

        Raises `OutcomeUnknownError` where it can't be written and an order may exist: the entry
        will count as unknown, and the order's id, if there is one, is in the error and in the log.
        """
        deadline_s = time.monotonic() + OUTCOME_WAIT_S
        while True:
            try:
                return await self.journal.settle(begun.ref, begun.attempt, outcome)
            except JournalError as error:
                about = f"{begun.ref!r} is {outcome.state} (order {outcome.order})"
                _LOG.error("%s, and the journal can't keep it yet: %s", about, error)
                if time.monotonic() > deadline_s:
                    text = f"{about}, and the journal could not keep it: {error.text}"
                    raise OutcomeUnknownError(
                        text, begun.form, begun.sent_at, "", None, outcome.order
                    ) from error
            await asyncio.sleep(LONGEST_POLL_S)

    async def _elsewhere(self, ref: str) -> Entry:
        """Wait until an attempt that another desk makes is over, by its lease at the latest."""
        pause_s = POLL_S
        while True:
            entry = await self._now(ref)
            if entry.state is not _S.SENDING:
                return entry
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_POLL_S)
            if pause_s == LONGEST_POLL_S:
                await self.journal.lapse()

    async def _now(self, ref: str) -> Entry:
        entry = await self.journal.find(ref)
        if entry is None:
            raise JournalError(f"has lost the entry {ref!r}")
        return entry

    async def _balance(self) -> Decimal | None:
        """Read the balance as evidence; None where that fails, which harms nothing."""
        if not self.with_evidence:
            return None
        reader = self.client.with_options(
            timeout_s=BALANCE_TIMEOUT_S, retry=RetryPolicy(attempts=1)
        )
        try:
            await self.pace.wait()
            return (await reader.balance()).balance
        except PanelError as error:
            _LOG.info("no balance as evidence: %s", error)
            return None


def outcome_of(
    error: PanelError,
    begun: Entry,
    now: datetime,
    *,
    queue_active_links: bool,
    balance_after: Decimal | None = None,
) -> Outcome:
    """Say what an error of an attempt means for its entry. Pure.

    "Active order with this link" is a refusal, but where an earlier attempt ended unknown it may be
    that very order: nobody decides that but a person.
    """
    reason = error.text
    if isinstance(error, RefusedError):
        if error.kind is ErrorKind.DUPLICATE and begun.was_unknown:
            return Outcome(state=_S.UNKNOWN, kind=error.kind, reason=reason)
        if error.kind is ErrorKind.DUPLICATE and queue_active_links:
            due_at = now + timedelta(seconds=HOLD_S)
            return Outcome(state=_S.HELD, kind=error.kind, reason=reason, due_at=due_at)
        return Outcome(state=_S.REFUSED, kind=error.kind, reason=reason)
    if isinstance(error, NotSentError | ClosedError | RateLimitedError):
        wait_s = max(AGAIN_S, error.retry_after_s or 0.0)
        due_at = now + timedelta(seconds=wait_s)
        return Outcome(state=_S.PREPARED, kind=error.kind, reason=reason, due_at=due_at)
    excerpt = error.excerpt if isinstance(error, OutcomeUnknownError) else ""
    return Outcome(
        state=_S.UNKNOWN,
        order=error.order,
        kind=error.kind,
        reason=f"{reason}: {excerpt}" if excerpt else reason,
        balance_after=balance_after,
    )
