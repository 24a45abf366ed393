"""One order through its attempts: start, send, record the outcome.

How this works. An attempt first moves the entry to SENDING, when its turn has come and before its
first byte; that transition is the permission to send, and only one desk on all machines gets it.
The panel's answer becomes an `Outcome` (`outcome_of_error`), and recording it is retried until it
succeeds. All of this runs in a task of the desk: cancelling a caller changes nothing.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import attrs
from attrs import define, frozen

from .._engine.limiter import Clock
from .._engine.policy import RetryPolicy
from .._wire.encode import Form
from ..client import Client
from ..errors import (
    ClosedError,
    InvalidOrderError,
    JournalError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    RefusedError,
    SpendingLimitError,
)
from ..journal import DEFAULT_PANEL, Entry, EntryState, Journal, Outcome
from .balances import read_balance
from .circuit_breaker import CircuitBreaker, CircuitOpenError
from .outcomes import LIMIT_RETRY_S, NOT_SENT_RETRY_S, outcome_of_error
from .pricing import Pricing
from .rate_limit import AccountRateLimit
from .recording import record_patiently
from .replaying import Replayer
from .timing import Timing

__all__ = ["Sender"]

_LOG = logging.getLogger("smmfanfast_async")
_S = EntryState


class NotStartedError(Exception):
    """The attempt was not started: its turn did not come, or the entry has changed."""

    maybe_sent = False


@define
class _Attempt:
    """One attempt, before and after it started."""

    entry: Entry | None = None
    """The entry as it went to SENDING; None before that, and then nothing was sent."""
    started_s: float = 0.0
    """When that was, by `clock`."""
    is_cancelled: bool = False
    """Whether its task was cancelled: it must not start any more."""

    def now(self, now_s: float) -> datetime:
        """Return the journal's time without calling the journal, which may be unavailable."""
        # An entry that is SENDING has a time of sending.
        assert self.entry is not None  # noqa: S101
        assert self.entry.sent_at is not None  # noqa: S101
        return self.entry.sent_at + timedelta(seconds=now_s - self.started_s)


@frozen(kw_only=True)
class Sender:
    """Sends the orders of one account to one panel, attempt by attempt."""

    client: Client
    journal: Journal
    pricing: Pricing
    rate_limit: AccountRateLimit
    breaker: CircuitBreaker
    retry: RetryPolicy
    """When an order that was proved not sent is retried at once."""
    queue_active_links: bool
    """Whether an order waits if the panel has an active one with its link."""
    record_balance: bool
    """Whether the balance is read before each attempt, and after one that ends unknown."""
    first_check_s: float
    """Seconds after which the status of an accepted order is checked for the first time."""
    rng: Callable[[], float]
    """Returns random numbers from 0 up to 1."""
    slots: int
    """Attempts of the account that may be in flight at once, on all machines together."""
    local_slots: asyncio.Semaphore
    """As many as `slots`, for this desk. Its orders take turns: each one reads the balance when its
    turn comes, not while earlier orders are spending, and only one of them polls for a slot among
    the orders of other desks."""
    timing: Timing
    clock: Clock
    """Must be the clock of the client: `write_within_s` is measured on it."""
    panel: str = DEFAULT_PANEL
    on_currency: Callable[[str | None], None] = lambda _: None
    """Called with the currency of each balance."""
    replayer: Replayer | None = None
    """Settles unknown orders by sending them once more; None for no such call."""

    async def send(self, entry: Entry, *, is_awaited: bool) -> Entry:
        """Send an entry that is PREPARED, or wait for one that is SENDING; return how it ended.

        It is returned as PREPARED if it was proved not sent and retrying at once cannot help, or if
        it waits for the panel, and as SENDING if another desk is sending it for longer than
        `other_desk_s`. `is_awaited`: whether a caller waits for it.
        """
        retries = 0
        while True:
            if entry.state is _S.SENDING:
                entry = await self.wait_for_other_desk(entry.ref)
            if entry.state is not _S.PREPARED:
                return entry
            try:
                entry, error = await self.take_turn(entry, is_awaited=is_awaited)
            except (NotStartedError, CircuitOpenError):
                return await self.reload(entry.ref)
            if error is None:
                continue
            delay_s = self.retry.delay_s(error, retries, self.rng())
            if delay_s is None:
                return entry
            await self.clock.sleep(delay_s)
            retries += 1

    async def take_turn(self, entry: Entry, *, is_awaited: bool) -> tuple[Entry, PanelError | None]:
        """Make one attempt when its turn comes; return its error if nothing was sent.

        Raises `NotStartedError` if its turn does not come within `slot_wait_s`, and
        `CircuitOpenError` if it waits for the panel.
        """
        deadline_s = self.clock.now_s() + self.timing.slot_wait_s
        try:
            async with asyncio.timeout(self.timing.slot_wait_s):
                await self.local_slots.acquire()
        except TimeoutError as error:
            raise NotStartedError("timed out waiting for this desk's other orders") from error
        try:
            while True:
                try:
                    await self.breaker.check(entry, is_awaited=is_awaited)
                    return await self._attempt(entry)
                except NotStartedError:
                    current = await self.reload(entry.ref)
                is_elsewhere = current.panel not in (None, self.panel)
                if (
                    current.state is not _S.PREPARED
                    or current.attempt != entry.attempt
                    or is_elsewhere
                ):
                    return current, None
                entry = current  # its limit may have changed
                await self._wait_for_slot(deadline_s)
        finally:
            self.local_slots.release()

    async def _wait_for_slot(self, deadline_s: float) -> None:
        """Wait until other desks leave a slot free."""
        poll_s = self.timing.min_poll_s
        while True:
            if self.clock.now_s() > deadline_s:
                raise NotStartedError("timed out waiting for the account's other orders")
            await self.clock.sleep(poll_s * (0.5 + self.rng() / 2))
            await self.journal.expire_leases()
            if await self.journal.count_in_flight(self.panel) < self.slots:
                return
            poll_s = min(poll_s * 2, self.timing.max_poll_s)

    async def _attempt(self, entry: Entry) -> tuple[Entry, PanelError | None]:
        try:
            price = await self.pricing.price_entry(entry, entry.max_charge)
            return await self._attempt_at(entry, price)
        except (InvalidOrderError, NotSentError, RefusedError, SpendingLimitError) as error:
            # None of them is raised once an attempt has started: a limit is broken, or the price
            # that it is compared with is not available.
            await self._postpone(entry, error)
            if isinstance(error, NotSentError):
                return await self.reload(entry.ref), error
            raise

    async def _postpone(self, entry: Entry, error: PanelError) -> None:
        """Leave an order for later that its limit does not allow now, as prices may fall again."""
        wait_s = NOT_SENT_RETRY_S if isinstance(error, NotSentError) else LIMIT_RETRY_S
        until = await self.journal.now() + timedelta(seconds=wait_s)
        await self.journal.postpone(
            entry.ref, entry.attempt, until=until, kind=error.kind, reason=error.text
        )

    async def _attempt_at(
        self, entry: Entry, price: Decimal | None
    ) -> tuple[Entry, PanelError | None]:
        balance = await self._read_balance()
        attempt, form = _Attempt(), self.pricing.form_for(entry)
        once = self.client.with_options(retry=RetryPolicy(max_attempts=1))
        try:
            async with self.rate_limit.turn():
                added = await once.send_form(
                    form,
                    before=lambda: self._start_attempt(entry, attempt, balance, price),
                )
        except PanelError as error:
            if attempt.entry is None and isinstance(error, NotSentError):
                return entry, error
            if attempt.entry is None:
                raise  # the journal or the client is unavailable, and nothing was sent
            outcome, last_error = await self._outcome_of_error(error, attempt, form)
            recorded = await self._record_outcome(attempt.entry, outcome)
            await self.breaker.record(last_error, attempt.entry)
            return recorded, error if recorded.state is _S.PREPARED else None
        except asyncio.CancelledError:
            attempt.is_cancelled = True
            if attempt.entry is not None:
                _LOG.warning("%r is being sent, and the desk was closed meanwhile", entry.ref)
            raise
        # The panel answered, so the attempt was started.
        assert attempt.entry is not None  # noqa: S101
        accepted = Outcome(state=_S.ACCEPTED, order=added.order)
        recorded = await self._record_outcome(attempt.entry, self._followed(accepted, attempt))
        await self.breaker.record(None)
        return recorded, None

    async def _start_attempt(
        self, entry: Entry, attempt: _Attempt, balance: Decimal | None, price: Decimal | None
    ) -> float:
        """Get permission to send, or raise; return the moment after which no byte may leave."""
        started_s = self.clock.now_s()
        if attempt.is_cancelled:
            # The desk was closed while the client had this in its queue.
            raise ClosedError("the desk was closed", action="add")
        started = await self.journal.start_attempt(
            entry.ref,
            entry.attempt,
            lease=timedelta(seconds=self.timing.lease_s),
            max_in_flight=self.slots,
            balance_before=balance,
            price=price,
            budget=self.pricing.budget,
            panel=self.panel,
            service=entry.routes.get(self.panel, entry.form.get("service")),
            exchange_rate=self.pricing.exchange_rate,
        )
        if started is None:
            raise NotStartedError("no slot is free, or the entry has changed")
        attempt.entry, attempt.started_s = started, started_s
        # If cancelled meanwhile: a moment that has passed, so that nothing leaves.
        return started_s if attempt.is_cancelled else started_s + self.timing.write_within_s

    async def _outcome_of_error(
        self, error: PanelError, attempt: _Attempt, form: Form
    ) -> tuple[Outcome, PanelError | None]:
        """Return the outcome of an attempt, and the error of its last call; None for an order."""
        # Called only for attempts that were started.
        assert attempt.entry is not None  # noqa: S101
        await self.rate_limit.pause_after(error)
        outcome = outcome_of_error(
            error,
            attempt.entry,
            attempt.now(self.clock.now_s()),
            queue_active_links=self.queue_active_links,
            panel=self.panel,
        )
        if not isinstance(error, OutcomeUnknownError):
            return outcome, error
        last_error: PanelError | None = error
        if self.replayer is not None:
            outcome, last_error = await self.replayer.settle(
                outcome, error, attempt.entry, form, attempt.started_s
            )
        if outcome.state is _S.ACCEPTED:
            return self._followed(outcome, attempt), None
        return attrs.evolve(outcome, balance_after=await self._read_balance()), last_error

    def _followed(self, accepted: Outcome, attempt: _Attempt) -> Outcome:
        """Return the outcome of an accepted order with the time of its first check."""
        due_at = attempt.now(self.clock.now_s()) + timedelta(seconds=self.first_check_s)
        return attrs.evolve(accepted, due_at=due_at)

    async def _record_outcome(self, entry: Entry, outcome: Outcome) -> Entry:
        """Record an outcome (`record_patiently`).

        Raises `OutcomeUnknownError` if it cannot be recorded and an order may exist: the entry
        will count as unknown, and the order's id, if there is one, is in the error and in the log.
        """
        return await record_patiently(
            lambda: self.journal.record_outcome(entry.ref, entry.attempt, outcome, entry),
            f"{entry.ref!r} is {outcome.state} (order {outcome.order})",
            on_failure=lambda text: OutcomeUnknownError(
                text, form=entry.form, sent_at=entry.sent_at, order=outcome.order
            ),
            timing=self.timing,
            clock=self.clock,
        )

    async def wait_for_other_desk(self, ref: str) -> Entry:
        """Wait until an attempt of another desk has ended, by its lease at the latest.

        The entry is returned as SENDING if even its lease does not end, as under a clock that was
        set back.
        """
        deadline_s = self.clock.now_s() + self.timing.other_desk_s
        poll_s = self.timing.min_poll_s
        while True:
            entry = await self.reload(ref)
            if entry.state is not _S.SENDING or self.clock.now_s() > deadline_s:
                return entry
            await self.clock.sleep(poll_s)
            poll_s = min(poll_s * 2, self.timing.max_poll_s)
            if poll_s == self.timing.max_poll_s:
                await self.journal.expire_leases()

    async def reload(self, ref: str) -> Entry:
        """Return the entry of a ref as it is now."""
        entry = await self.journal.find(ref)
        if entry is None:
            raise JournalError(f"has lost the entry {ref!r}")
        return entry

    async def _read_balance(self) -> Decimal | None:
        """Return the balance as evidence; None if it cannot be read, which is harmless."""
        if not self.record_balance:
            return None
        timeout_s = self.timing.balance_timeout_s
        try:
            read = await read_balance(
                self.client, self.rate_limit, timeout_s=timeout_s, max_wait_s=timeout_s
            )
        except PanelError as error:
            _LOG.info("the balance could not be read as evidence: %s", error)
            return None
        if read is None:
            return None
        self.on_currency(read.currency)
        self.breaker.on_balance(read)
        return read.balance
