"""`OrderDesk`: place orders by ref, follow them, and resolve unknown outcomes."""

import asyncio
import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import ClassVar, NoReturn, Self

import attrs

from .._engine.limiter import Clock
from .._engine.policy import PollPolicy, RetryPolicy
from ..client import Client
from ..errors import ClosedError
from ..journal import Entry, EntryState, Journal, UnknownOrder
from ..orders import Order
from . import assembly
from .admission import MAY_BE_STORED, Admission
from .arguments import check_replays, check_settings, check_settling, parse_decided_by
from .circuit import DEFAULT_CIRCUIT, CircuitPolicy
from .deadline import Deadline
from .deciding import Decisions
from .event_calls import EventCalls
from .event_reader import EventReader
from .health import HealthCalls, HealthHook, check_hook
from .ownership import Ownership
from .panels import create_panels, parse_panels, warn_of_missing
from .query_calls import QueryCalls
from .quoting import Quoting
from .rechecks import Rechecks
from .request_calls import RequestCalls, create_requests
from .routed_sending import RoutedSender
from .routing import RouteQuote, Router, cheapest_first
from .send_tasks import SendTasks
from .settling import Settler
from .timing import Timing
from .watching import create_watch

__all__ = ["OrderDesk"]

_S = EntryState


class OrderDesk(EventCalls, HealthCalls, QueryCalls, RequestCalls):
    """Places each order once, under a ref of the caller's own, and follows it to its final status.

    The `ref` is the idempotency key: the same ref always means the same order.

    Use it with `async with`: it opens and closes the journal, and leaves the client open. Any
    number of desks, in any number of processes and on any machines that share the journal, work
    together.

    Args:
        journal: A `SQLJournal`, or another `Journal`.
        client: The client, or several by the name of their panel; then `account` and `products` are
            required. Name the panel that a desk over one client had "default".
        products: The service of each product at each panel, `{"likes": {"alpha": 5, "beta": 881}}`:
            orders name the product. Which services are equal is for you to say.
        exchange_rates: What a unit of a panel's currency is worth in the desk's, in which prices,
            limits and budgets are; 1 by default.
        router: Which panel is first: `cheapest_first` or `in_order` (of `products`).
        account: The name under which the orders are kept; by default the client's short HMAC of its
            key and address. Choose one of your own before you change a key or move to another
            address, so that the orders stay together. Without it, a ref under which another account
            of the journal holds the same order is rejected (`RefConflictError`).
        budget_per_day: What the orders of a UTC day may cost together, in the account's currency;
            None for no limit. Orders whose price is not known in advance are then rejected.
        queue_active_links: If the panel reports an active order with the same link, hold the order
            and send it when that one ends, instead of returning it as refused.
        record_balance: Read the balance before each order, and after one whose outcome is unknown.
            One more call per order, and the evidence a person needs to resolve it.
        calls_per_minute: The rate limit of each panel that all desks of the account share; the
            profile's by default. Calls made directly on the client do not count.
        retry: When an order that was proved not sent is retried at once.
        poll: How often the status of an order is checked, by its age and its status.
        recheck_days: For how many days a finished order is checked again, ever more seldom, since
            panels refund some orders later; 0 for never, at most 366. What changes is an event.
        settle_by_balance: Whether `follow` may refuse an order whose outcome is unknown: if the
            panel answered it with an error and the balance shows no charge. See the guide.
        settle_by_replay: Whether an order that the panel answered with an error is sent once more,
            half a minute or a minute later, where the panel repeats an equal order instead of
            creating another one (`Profile.replay_window_s`), to learn its id. See the guide.
        circuit: When no orders are sent to a panel that fails, by any desk of the account: they
            wait as PREPARED. None sends them in any case.
        on_health: Called by `follow` with the result of `health`, at once and every 15 seconds.
        watch_services_every_s: How often `follow` fetches the catalogue to see what became of the
            services of `products`, or, without products, of those that open orders name, in
            seconds, 60 to 86,400: see `service_events`. None to watch none.

    Raises:
        InvalidSettingsError: A budget that is not an amount, a rate that is not above 0, or the
            like.
    """

    _timing: ClassVar[Timing] = Timing()
    _clock: ClassVar[Clock] = Clock()

    def __init__(
        self,
        client: Client | Mapping[str, Client],
        journal: Journal,
        *,
        account: str | None = None,
        products: Mapping[str, Mapping[str, int | str]] | None = None,
        exchange_rates: Mapping[str, Decimal] | None = None,
        router: Router = cheapest_first,
        budget_per_day: Decimal | None = None,
        queue_active_links: bool = False,
        record_balance: bool = True,
        calls_per_minute: int | None = None,
        retry: RetryPolicy | None = None,
        poll: PollPolicy | None = None,
        recheck_days: float = 30,
        settle_by_balance: bool = False,
        settle_by_replay: bool = False,
        circuit: CircuitPolicy | None = DEFAULT_CIRCUIT,
        on_health: HealthHook | None = None,
        watch_services_every_s: float | None = None,
        rng: Callable[[], float] = random.random,
    ) -> None:
        check_settings(budget_per_day, calls_per_minute, account, recheck_days)
        check_hook(on_health)
        setup = parse_panels(client, account, products, exchange_rates)
        check_settling(
            setup.first.profile, is_asked_for=settle_by_balance, has_balances=record_balance,
            is_routed=setup.is_routed,
        )  # fmt: skip
        check_replays(setup.clients, is_asked_for=settle_by_replay)
        self._journal = journal.for_account(setup.account)
        self._panels = panels = create_panels(
            setup, self._journal, self._clock, budget_per_day, calls_per_minute, circuit,
            self._timing.balance_timeout_s,
        )  # fmt: skip
        self._budget = budget_per_day
        self._quoting = Quoting(panels, setup.products, self._journal, router, budget_per_day)
        first = next(iter(panels.values()))
        self._admission = Admission(
            journal=self._journal, pricing=self._quoting if setup.is_routed else first.pricing,
            is_account_given=setup.is_account_given,
        )  # fmt: skip
        on_events, timing, clock = self._notify, self._timing, self._clock
        self._decisions = Decisions(
            journal=self._journal, budget=budget_per_day, on_events=on_events
        )
        poll = poll or PollPolicy()
        senders = assembly.create_senders(
            panels, self._journal, retry=retry, poll=poll, queue_active_links=queue_active_links,
            record_balance=record_balance, rng=rng, settle_by_replay=settle_by_replay,
            check_open=self._check_open, timing=timing, clock=clock,
        )  # fmt: skip
        self._sender = senders[first.name]
        routed = RoutedSender(journal=self._journal, quoting=self._quoting, senders=senders)
        self._sends = SendTasks(
            journal=self._journal, send=routed.send if setup.is_routed else self._sender.send,
            check_open=self._check_open, on_done=self._notify, reload_s=self._timing.reload_s,
        )  # fmt: skip
        self._requests, refill_checks = create_requests(
            panels, self._journal, poll=poll, rng=rng, check_open=self._check_open,
            on_events=on_events, timing=timing, clock=clock,
        )  # fmt: skip
        self._event_reader = EventReader(self._journal, timing, clock, check_open=self._check_open)
        self._settler = Settler(
            client=first.client, journal=self._journal, rate_limit=first.rate_limit,
            on_events=on_events, timing=timing, clock=clock,
        )  # fmt: skip
        self._followers = assembly.create_followers(
            panels, self._journal, poll=poll, rng=rng, send=self._sends.start, on_events=on_events,
            rechecks=Rechecks(recheck_days, setup.account), refill_checks=refill_checks,
            read_health=self._read_health, on_health=on_health,
            watch=create_watch(
                panels, setup.products, self._journal, watch_services_every_s,
                on_events=on_events, timing=timing, clock=clock,
            ),
            settle=self._settler.run if settle_by_balance else None, timing=timing, clock=clock,
        )  # fmt: skip
        self._follower = self._followers[0]
        self._is_open = False
        self._ownership = Ownership()

    def __repr__(self) -> str:
        return f"<OrderDesk {self._journal!r} {'open' if self._is_open else 'closed'}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an OrderDesk holds connections and cannot be copied or pickled")

    async def open(self) -> None:
        """Open the journal, and mark attempts whose lease has expired as unknown.

        Raises:
            ClosedError: The desk was closed before. Create a new one.
            JournalError: The journal could not be opened; it is closed again.
        """
        if self._follower.closed.is_set():
            raise ClosedError("the desk is closed; create a new one")
        await self._journal.open(self._panels)
        try:
            await self._journal.expire_leases()
            await self._journal.expire_requests()
            await warn_of_missing(self._journal, self._panels)
        except BaseException:
            # `aclose` is not called for a desk that did not open.
            await self._journal.aclose()
            raise
        self._ownership.take()
        self._is_open = True

    async def aclose(self) -> None:
        """Wait at most 15 seconds for orders in flight, then close the journal.

        An attempt that has not ended by then counts as unknown once its lease expires. `follow` and
        readers of events end. A second call does nothing; afterwards every method raises
        `ClosedError`. In a process that was forked since `open`, it leaves the parent's desk alone.
        """
        self._is_open = False
        if self._ownership.is_of_parent:
            return  # the tasks, and the thread or connection of the database, are the parent's
        try:
            await self._event_reader.close()
            grace_s = self._timing.close_grace_s
            await assembly.close_all(self._followers, grace_s)
            await asyncio.gather(self._sends.wait_all(grace_s), self._requests.wait_all(grace_s))
        finally:
            await asyncio.gather(self._sends.cancel_all(), self._requests.cancel_all())
            await self._journal.aclose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
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
        """Place an order under a ref, once, however often this is called.

        The same ref with the same content returns the same entry at any time, from any process: a
        double tap, a repeated job, a restart. Cancelling the caller changes nothing.

        Args:
            max_charge: Highest acceptable price in the account's currency. It is stored with the
                order and checked against the catalogue (at most `services_ttl_s` old) before the
                order is stored and before each attempt to send it, by any desk. Given for a
                ref that is not placed yet, it replaces the ref's limit; None leaves that as it is.
            wait_s: How long to wait, in seconds, for journal, catalogue and outcome; sending
                continues, and the entry is returned as it is by then. None waits for the outcome.

        Returns:
            The entry. `Entry.state` is ACCEPTED or FINISHED; REFUSED (see `retry`); UNKNOWN (see
            `resolve`); HELD; SENDING if `wait_s` was too short; PREPARED if the order was proved
            not sent, or waits for a panel that fails (`circuit`; `kind` and `reason` say why):
            call again, or let a running desk send it. `Entry.order_id()` returns the panel's id or
            raises.

        Raises:
            InvalidOrderError, SpendingLimitError: Nothing was sent. Correct the order or the limit.
                An order that is stored already stays PREPARED: a running desk tries again every ten
                minutes and sends it once its limit allows; `withdraw` takes it back.
            RefConflictError: Nothing was sent: the ref belongs to other content, or another account
                of the journal holds it for the same order. Use another ref, or pass `account`.
            RefusedError: Nothing was sent: the panel refused to return the catalogue.
            NotSentError, ClosedError: Nothing was sent, such as when the catalogue is not
                available. Calling again with the same ref is safe.
            JournalError: The journal is not available, or did not answer within `wait_s` (inside a
                transaction of your own, use `enqueue`). Calling again with the same ref is safe.
            OutcomeUnknownError: An order may exist, and the journal could not record its outcome.
                Calling again with the same ref is safe: it will be UNKNOWN.
        """
        self._check_open()
        deadline = Deadline.after(wait_s)
        entry = await self._admission.create_entry(order, ref, max_charge, deadline=deadline)
        placed = await self._sends.wait(entry, deadline.remaining_s())
        return attrs.evolve(placed, is_new=entry.is_new)

    async def enqueue(
        self,
        order: Order,
        *,
        ref: str,
        connection: object,
        max_charge: Decimal | None = None,
    ) -> Entry:
        """Store an order inside a transaction of the caller's own; a running desk sends it.

        Once the transaction is committed, a desk that runs `follow` sends the order within about a
        second; if it is rolled back, the order never existed. With a budget, other orders of the
        day wait for the commit.

        Args:
            connection: An `AsyncConnection` or `AsyncSession` of SQLAlchemy on the journal's
                database.
            max_charge: As for `place`.

        Returns:
            The new entry, PREPARED, or the one that has this ref already.

        Raises:
            InvalidSettingsError: `connection` is not a transaction on the journal's database.
            NotSentError: The catalogue is not in memory: call `Client.services()` before.
            PanelError: As for `place`, except that nothing is sent here. Calling again is safe.
        """
        self._check_open()
        return await self._admission.create_entry(order, ref, max_charge, connection=connection)

    # --- following -------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Send due orders and check accepted ones, until cancelled or the desk is closed.

        One call per process is enough; any number share the work. An outage of the panel or of the
        database changes no order: work continues afterwards.

        Raises:
            AuthenticationError: The panel rejects the key, for `balance` too. Call again with one
                that is valid.
            ClosedError: The desk is not open, or the client is closed.
        """
        self._check_open()
        try:
            await assembly.follow_all(self._followers)
        except ClosedError:
            if not self._follower.closed.is_set():
                raise

    def _notify(self) -> None:
        self._event_reader.notify()
        for each in self._followers:
            each.wakeup.set()

    # --- decisions of a person -------------------------------------------------------------------

    async def unknown(self) -> list[UnknownOrder]:
        """Return the orders whose outcome is unknown, the oldest first, with their evidence.

        Raises:
            ClosedError: The desk is not open.
            JournalError: The journal is not available. Call again.
        """
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
        """Record what happened to an order whose outcome is unknown, after checking the panel.

        Args:
            decided_by: Who decides; stays in the journal, as does `note`.
            order: The panel's id, if the order exists there; it is then followed.
            placed: False if the order does not exist there; `retry` can then send it again.

        Returns:
            The entry, ACCEPTED or WITHDRAWN.

        Raises:
            InvalidOrderError: Nothing was changed: the outcome is not unknown, or an argument is
                not valid.
            RefConflictError: Nothing was changed: the order belongs to another ref.
            ClosedError, JournalError: Call again.
        """
        self._check_open()
        return await self._decisions.resolve(
            ref, decided_by=decided_by, order=order, placed=placed, note=note
        )

    async def withdraw(self, ref: str, *, decided_by: str, note: str = "") -> Entry:
        """Withdraw an order that was not sent: PREPARED or HELD. Raises as `resolve` does."""
        self._check_open()
        return await self._decisions.withdraw(ref, decided_by=decided_by, note=note)

    async def retry(
        self,
        ref: str,
        *,
        decided_by: str,
        panel: str | None = None,
        max_charge: Decimal | None = None,
        wait_s: float | None = None,
    ) -> Entry:
        """Send an order again that was refused or withdrawn.

        Args:
            panel: The panel that it is sent to, and stays at. None tries all again, or, for an
                order that was held or unknown before, the one where it was.
            decided_by: Who decides; stays in the journal.
            max_charge: As for `place`; None keeps the limit that the order has.
            wait_s: As for `place`.

        Returns:
            The entry, as `place` does.

        Raises:
            InvalidOrderError: Nothing was sent: the order is neither refused nor withdrawn.
            SpendingLimitError: Nothing was sent: the order's limit or the day's budget does not
                cover today's price.
            PanelError: As for `place`.
        """
        self._check_open()
        decider = parse_decided_by(decided_by)
        deadline = Deadline.after(wait_s)
        price = await self._admission.price_again(ref, max_charge, deadline, panel)
        previous = self._sends.tasks.get(ref)
        async with deadline.limit_journal(MAY_BE_STORED):
            entry = await self._decisions.retry(
                ref, decided_by=decider, price=price, max_charge=max_charge, panel=panel
            )
        if previous is not None:
            # It has recorded the refusal and is about to return it: that is not our answer.
            await asyncio.wait({previous}, timeout=deadline.remaining_s())
        return await self._sends.wait(entry, deadline.remaining_s())

    async def quote(self, order: Order) -> tuple[RouteQuote, ...]:
        """Return what each panel offers for an order, in the order of products; store nothing.

        `place` takes the first that the router returns of those that have no `reason`. Raises
        `InvalidOrderError` if the order names no product of this desk, `ClosedError`, and
        `JournalError` if the journal is not available.
        """
        self._check_open()
        return tuple(await self._quoting.of_order(order))

    def _check_open(self) -> None:
        if not self._is_open:
            raise ClosedError("the desk is not open")
        self._ownership.check()
