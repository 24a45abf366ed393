"""`OrderDesk`: the verbs of placing by ref, following, and settling what is unknown."""

import asyncio
import copy
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import aclosing
from datetime import datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import NoReturn, Self

from .._engine.policy import PollPolicy, RetryPolicy
from .._settings import check_above_0
from ..client import Client
from ..errors import ClosedError, InvalidOrderError, InvalidSettingsError, PanelError
from ..journal import Entry, EntryState, Journal, JournalEvent, Outcome, Summary, UnknownOrder
from ..orders import Order, parse_id
from .admission import PLACE_GRACE_S, Admission, is_amount
from .feed import Feed
from .following import Follower
from .rate_limit import AccountRateLimit
from .sending import Sender

__all__ = ["OrderDesk"]

CLOSE_GRACE_S = 15.0
"""Seconds that closing waits for orders on their way and for their outcomes to be written."""

MAX_ACCOUNT_CHARACTERS = 64
"""The longest name of an account, in characters: what a journal's rows hold."""

MAX_DECIDED_BY_CHARACTERS = 200
"""The longest name of who decides, in characters."""

_LOG = logging.getLogger("smmfanfast_async")
_S = EntryState


class OrderDesk:
    """Places orders once, by refs of the caller's own, and follows them to the end.

    Use it with `async with`: it opens and closes the journal, and leaves the client open. Any
    number of desks, in as many processes and on as many machines as share the journal, work
    together.

    - `journal`: a `SQLJournal`, or another `Journal`.
    - `account`: the name the orders are kept under; the client's short HMAC of its key by default.
      Give one of your own before you change a key, so that the orders stay together.
    - `budget_per_day`: what the orders of a UTC day may cost together, in the account's currency;
      None for no bound. Orders whose price can't be known before are refused then.
    - `queue_active_links`: where the panel says that it has an active order with the same link,
      hold the order and send it when that one ends, instead of giving it as refused.
    - `record_balance`: read the balance before each order, and after one whose outcome is unknown.
      One more call an order, and what a person needs to find out what became of it.
    - `calls_per_minute`: the pace that all desks of the account keep together; the profile's by
      default. Calls made directly on the client are not counted in it.
    - `retry`: when an order that was proved not sent is tried again at once.
    - `poll`: how often an order is looked at; by its age and its state.

    Raises `InvalidSettingsError` for a budget that is no amount, and the like.
    """

    def __init__(
        self,
        client: Client,
        journal: Journal,
        *,
        account: str | None = None,
        budget_per_day: Decimal | None = None,
        queue_active_links: bool = False,
        record_balance: bool = True,
        calls_per_minute: int | None = None,
        retry: RetryPolicy | None = None,
        poll: PollPolicy | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        _check_settings(budget_per_day, calls_per_minute, account)
        self._journal = journal.for_account(account or client.account)
        self._budget = budget_per_day
        self._admission = Admission(client=client, journal=self._journal, budget=budget_per_day)
        pace = AccountRateLimit(self._journal, calls_per_minute or client.profile.calls_per_minute)
        poll = poll or PollPolicy()
        self._sender = Sender(
            client=client,
            journal=self._journal,
            rate_limit=pace,
            retry=retry or RetryPolicy(),
            queue_active_links=queue_active_links,
            record_balance=record_balance,
            first_look_s=poll.min_interval_s,
            rng=rng,
            slots=client.profile.add_concurrency,
            locks=asyncio.Semaphore(client.profile.add_concurrency),
        )
        self._feed = Feed(self._journal)
        self._follower = Follower(
            client=client,
            journal=self._journal,
            rate_limit=pace,
            poll=poll,
            rng=rng,
            send=self._sending,
            on_events=self._tell,
        )
        self._sends: dict[str, asyncio.Task[Entry]] = {}
        self._is_open = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<OrderDesk {self._journal!r} {'open' if self._is_open else 'closed'}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an OrderDesk holds connections: it is not copied or pickled")

    async def open(self) -> None:
        """Open the journal, and let attempts that were given up count as unknown.

        Raises `ClosedError` where the desk was closed: make another one.
        """
        if self._follower.closed.is_set():
            raise ClosedError("the desk is closed; make another one")
        await self._journal.open()
        try:
            await self._journal.expire_leases()
        except BaseException:
            # Nobody closes what could not be opened.
            await self._journal.aclose()
            raise
        self._loop = asyncio.get_running_loop()
        self._is_open = True

    async def aclose(self) -> None:
        """Let orders on their way end, at most 15 seconds, then close the journal.

        What is not over by then counts as unknown once its lease is past. `follow` ends, and so do
        readers of events. A second call does nothing; afterwards every verb raises `ClosedError`.
        """
        self._is_open = False
        self._feed.close()
        sends = list(self._sends.values())
        try:
            await self._follower.close(CLOSE_GRACE_S)
            if sends:
                await asyncio.wait(sends, timeout=CLOSE_GRACE_S)
        finally:
            for task in sends:
                task.cancel()
            await asyncio.gather(*sends, return_exceptions=True)
            await self._journal.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # --- placing ---------------------------------------------------------------------------------

    async def place(
        self,
        order: Order,
        *,
        ref: str,
        max_charge: Decimal | None = None,
        wait_s: float | None = None,
    ) -> Entry:
        """Place an order under a name of your own, once, however often this is called.

        The same ref and the same content give the same entry at any time, from any process: a
        double tap, a job that is run again, a restart. Other content raises `RefConflictError`.
        What became of it is told by `Entry.state`, and `Entry.placed()` gives the panel's id or
        raises: ACCEPTED or FINISHED; REFUSED (see `retry`); UNKNOWN (see `resolve`); HELD; PREPARED
        where it was proved not sent: call again, or let a running desk send it.

        The order is checked against the catalogue and priced before it is written down:
        `InvalidOrderError` for what the service does not take, `SpendingLimitError` above
        `max_charge` or the day's budget, `NotSentError` where the catalogue can't be had. A limit
        holds by the price at that time; a rate that rises before the panel sees it is not caught.

        `wait_s` bounds the waiting, not the sending; the entry is given as it stands then, and
        `NotSentError` raised where it could not even be priced. A caller who is cancelled changes
        nothing either. `JournalError`: nothing was sent.
        """
        self._check_open()
        begun_s = time.monotonic()
        entry = await self._admission.create_entry(order, ref, max_charge, wait_s=wait_s)
        if wait_s is not None:
            wait_s = max(wait_s - (time.monotonic() - begun_s), 0.0)
        return await self._awaited(entry, wait_s)

    async def enqueue(
        self,
        order: Order,
        *,
        ref: str,
        connection: object,
        max_charge: Decimal | None = None,
    ) -> Entry:
        """Write an order down inside a transaction of the caller's own; a running desk sends it.

        `connection` is an `AsyncConnection` or `AsyncSession` of SQLAlchemy on the journal's
        database. Once the transaction is committed, a desk that runs `follow` sends the order
        within about a second; if it is rolled back, nothing was ever there. Checks, prices and
        errors are those of `place`. With a budget, other orders of the day wait for the commit.
        """
        self._check_open()
        return await self._admission.create_entry(order, ref, max_charge, connection=connection)

    async def _awaited(self, entry: Entry, wait_s: float | None = None) -> Entry:
        """Wait for what becomes of an entry, in a task that outlives the caller."""
        if entry.state not in (_S.PREPARED, _S.SENDING):
            return entry
        task = self._sending(entry)
        done, _ = await asyncio.wait({task}, timeout=wait_s)
        if not done:
            return await self._require_entry(entry.ref)
        if task.cancelled():
            raise ClosedError("the desk was closed", action="add")
        try:
            return task.result()
        except PanelError as error:
            # Others may wait for the same order, and each gets an error object of their own.
            raise copy.copy(error) from error

    def _sending(self, entry: Entry) -> "asyncio.Task[Entry]":
        """Send an entry, or join the task that does."""
        self._check_open()
        task = self._sends.get(entry.ref)
        if task is None:
            task = asyncio.create_task(self._sender.settled(entry))
            self._sends[entry.ref] = task
            task.add_done_callback(lambda done: self._sent(entry.ref, done))
        return task

    def _sent(self, ref: str, task: "asyncio.Task[Entry]") -> None:
        del self._sends[ref]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Told here, since its caller may be gone, or be the follower.
            about = None if isinstance(error, PanelError) else error
            _LOG.warning("%r could not be sent: %s", ref, error, exc_info=about)
        self._tell()

    # --- following -------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Send what is due and follow what the panel took, until cancelled.

        One call of it a process is enough; any number of processes share the work. An outage of
        the panel or of the database marks no order: it goes on when they are back. Raises
        `AuthenticationError` where the panel refuses the key, `ClosedError` where the desk or the client is
        closed.
        """
        self._check_open()
        await self._follower.run()

    async def events(
        self, consumer: str, *, wait: bool = True
    ) -> AsyncGenerator[JournalEvent, None]:
        """Give what happened to orders, in order, each event at least once for a consumer.

        `consumer` is a name of yours, such as "mail"; how far it came is kept in the journal. An
        event is done with when the next one is asked for, and acknowledged some later: after a
        crash the last ones come again. `wait=False` ends at the last event instead of waiting.
        """
        self._check_open()
        async with aclosing(self._feed.read(consumer, wait=wait)) as events:
            async for event in events:
                yield event

    def _tell(self) -> None:
        self._feed.tell()
        self._follower.woken.set()

    # --- a person's verbs ------------------------------------------------------------------------

    async def unknown(self) -> list[UnknownOrder]:
        """Give the orders whose outcome nobody knows, the oldest first, with their evidence."""
        self._check_open()
        await self._journal.expire_leases()
        return await self._journal.unknown()

    async def resolve(
        self,
        ref: str,
        *,
        decided_by: str,
        order: int | str | None = None,
        placed: bool | None = None,
        note: str = "",
    ) -> Entry:
        """Say what is true of an order whose outcome is unknown: look at the panel's list first.

        Either `order`, the panel's id, or `placed=False`: there is none, and `retry` may send it
        again. `by` says who decides, `note` why; both stay in the journal. Raises
        `InvalidOrderError` where the entry is not unknown, `RefConflictError` where the order
        belongs to another ref already.
        """
        self._check_open()
        if (order is None) == (placed is None) or placed:
            shown = f"order={order!r}, placed={placed!r}"
            reason = "is neither the panel's id nor placed=False"
            raise InvalidOrderError("OrderDesk.resolve", "order", shown, reason)
        who = _parse_decided_by(decided_by)
        if order is None:
            outcome = Outcome(state=_S.WITHDRAWN, reason=note or "not placed", decided_by=who)
        else:
            found = parse_id(order, "OrderDesk.resolve")
            now = await self._journal.now()
            outcome = Outcome(
                state=_S.ACCEPTED, order=found, reason=note or None, due_at=now, decided_by=who
            )
        return await self._decided(ref, {_S.UNKNOWN}, outcome)

    async def withdraw(self, ref: str, *, decided_by: str, note: str = "") -> Entry:
        """Take back an order that was not sent: PREPARED or HELD. Errors as of `resolve`."""
        self._check_open()
        outcome = Outcome(
            state=_S.WITHDRAWN,
            reason=note or "taken back",
            decided_by=_parse_decided_by(decided_by),
        )
        return await self._decided(ref, {_S.PREPARED, _S.HELD}, outcome)

    async def retry(self, ref: str, *, decided_by: str, wait_s: float | None = None) -> Entry:
        """Send an order again that was refused, or found not placed. Otherwise as `place`."""
        self._check_open()
        now = await self._journal.now()
        outcome = Outcome(
            state=_S.PREPARED,
            reason="to be sent again",
            due_at=now + timedelta(seconds=PLACE_GRACE_S),
            decided_by=_parse_decided_by(decided_by),
        )
        ending = self._sends.get(ref)
        entry = await self._decided(
            ref, {_S.REFUSED, _S.WITHDRAWN}, outcome, budget_day=now.date().isoformat()
        )
        if ending is not None:
            # It has written that the order is refused, and is about to say so: not our answer.
            await asyncio.wait({ending}, timeout=wait_s)
        return await self._awaited(entry, wait_s)

    async def _decided(
        self,
        ref: str,
        from_states: Collection[EntryState],
        outcome: Outcome,
        *,
        budget_day: str | None = None,
    ) -> Entry:
        entry = await self._journal.apply_decision(
            ref,
            from_states,
            outcome,
            budget_day=budget_day,
            budget=self._budget if budget_day else None,
        )
        self._tell()
        if entry is not None:
            return entry
        found = await self._journal.find(ref)
        stands = "is not in the journal" if found is None else f"is {found.state}"
        reason = f"{stands}; it would have to be {' or '.join(sorted(from_states))}"
        raise InvalidOrderError("OrderDesk", "ref", ref, reason)

    # --- questions -------------------------------------------------------------------------------

    async def find(self, ref: str) -> Entry | None:
        """Give an entry, None where there is none."""
        self._check_open()
        return await self._journal.find(ref)

    def entries(
        self,
        *,
        states: Collection[EntryState] = (),
        statuses: Collection[str] = (),
        ref_prefix: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Entry]:
        """Give entries, the oldest first, in bounded memory; what is left out does not filter.

        `statuses` are words of `Status`, `ref_prefix` is how the ref begins, `since` and `until`
        bound the time at which it was written down.
        """
        self._check_open()
        return self._journal.entries(
            states=states, statuses=statuses, ref_prefix=ref_prefix, since=since, until=until
        )

    async def summary(self) -> Summary:
        """Count the account's orders and money."""
        self._check_open()
        return await self._journal.summary()

    async def purge(self, older_than: timedelta) -> int:
        """Forget links, forms and words of orders that are over and older; give how many.

        Refs, ids, states and money stay, and a ref stays taken.
        """
        self._check_open()
        return await self._journal.purge(await self._journal.now() - older_than)

    async def _require_entry(self, ref: str) -> Entry:
        entry = await self._journal.find(ref)
        assert entry is not None, "an entry is never deleted"  # noqa: S101
        return entry

    def _check_open(self) -> None:
        if not self._is_open:
            raise ClosedError("the desk is not open")
        if asyncio.get_running_loop() is not self._loop:
            text = "the desk is used from another event loop than it was opened in"
            raise ClosedError(text)


def _check_settings(budget: object, calls_per_minute: int | None, account: str | None) -> None:
    if budget is not None and not is_amount(budget):
        raise InvalidSettingsError("budget_per_day", f"{budget!r} is no amount of money")
    if calls_per_minute is not None:
        check_above_0("calls_per_minute", calls_per_minute)
    if account is not None and not 0 < len(account) <= MAX_ACCOUNT_CHARACTERS:
        reason = f"{account!r} is not a name of 1 to {MAX_ACCOUNT_CHARACTERS} characters"
        raise InvalidSettingsError("account", reason)


def _parse_decided_by(by: str) -> str:
    is_name = isinstance(by, str) and by.strip() and by.isprintable()
    if not is_name or len(by) > MAX_DECIDED_BY_CHARACTERS:
        reason = f"is not a name of 1 to {MAX_DECIDED_BY_CHARACTERS} printable characters"
        raise InvalidOrderError("OrderDesk", "by", by, reason)
    return by.strip()
