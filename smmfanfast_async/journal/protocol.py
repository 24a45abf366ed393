"""The `Journal` protocol: what a desk needs of a journal, whatever stores it."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from ..errors import ErrorKind
from .activity import Activity, Settlement
from .circuit import Circuit
from .consumers import ConsumerClaim, StreamKind
from .entry import (
    DEFAULT_PANEL,
    Entry,
    JournalEvent,
    NewEntry,
    Outcome,
    Summary,
    UnknownOrder,
)
from .health import DeskHealth
from .observations import CallReservation, Claim, Observation
from .request_protocol import RequestJournal
from .service_protocol import ServiceJournal
from .states import EntryState

__all__ = ["Journal"]


class Journal(RequestJournal, ServiceJournal, Protocol):
    """What a desk needs of a journal. A method that writes returns once the data is durable.

    Every method raises `JournalError` if the database cannot be reached, written or understood.
    Nothing was sent because of that call; retrying is safe. All times are aware UTC. Orders, events
    and consumers belong to one account (`for_account`); `now` is the same for all.
    """

    def for_account(self, account: str) -> "Journal":
        """Return this journal for one account; journals made this way share connections."""
        ...

    async def open(self, panels: Collection[str] = (DEFAULT_PANEL,)) -> None:
        """Connect and prepare the schema, migrating an older version.

        `panels` are the names of the panels that the account is going to use, and keeps from then
        on; a journal that is only read needs none.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections, unless another account still uses them. May be called twice."""
        ...

    async def now(self) -> datetime:
        """Return the time of the clock that all users of this journal share."""
        ...

    async def create(
        self,
        new: NewEntry,
        *,
        budget: Decimal | None = None,
        connection: object | None = None,
        is_only_account: bool = False,
    ) -> Entry:
        """Record an order as PREPARED, or return the existing entry of its ref.

        The `max_charge` of an existing entry is replaced by that of `new`, if it has one and the
        order is not placed yet.

        Args:
            budget: The highest total price of all orders with the same `budget_day`, in the
                account's currency; None for no limit. An order without a price is not limited.
            connection: A transaction of the caller's own on the same database: the entry exists
                once the caller commits. None for a transaction of its own.
            is_only_account: Whether to reject a new ref under which another account of this journal
                holds the same form, unless it is refused or withdrawn there. Two accounts that
                create it at the same moment are not rejected.

        Raises:
            RefConflictError: The ref names an order with another form, or belongs to another
                account (`is_only_account`). Use another ref.
            SpendingLimitError: The price exceeds what is left of the budget; nothing was recorded.
        """
        ...

    async def find(self, ref: str, *, connection: object | None = None) -> Entry | None:
        """Return the entry of a ref, None if there is none.

        With `connection`, as the caller's own transaction sees it (see `create`).
        """
        ...

    def entries(
        self,
        *,
        states: Collection[EntryState] = (),
        statuses: Collection[str] = (),
        panels: Collection[str] = (),
        ref_prefix: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Entry]:
        """Yield entries, the oldest first, page by page, in bounded memory.

        Empty values and None disable a filter. `statuses` are values of `Status`, `panels` are
        names as in `Entry.panel`, `ref_prefix` is the start of the ref (case-sensitive), and
        `created_at` is at or after `since` and before `until`.
        """
        ...

    async def start_attempt(
        self,
        ref: str,
        attempt: int,
        *,
        lease: timedelta,
        max_in_flight: int,
        balance_before: Decimal | None = None,
        price: Decimal | None = None,
        budget: Decimal | None = None,
        panel: str = DEFAULT_PANEL,
        service: str | None = None,
        exchange_rate: Decimal = Decimal(1),
    ) -> Entry | None:
        """Move PREPARED to SENDING and count the attempt, durably, before anything is sent.

        Return None, changing nothing, if the entry does not match (another state or another number
        of attempts than `attempt`, or it is pinned to another panel, or this panel refused it), if
        it has a `max_charge` and `price` is None, or if `max_in_flight` attempts at the panel are
        already in flight, on any machine. After `lease` the attempt counts as given up
        (`expire_leases`).

        Args:
            panel: The panel that it is to be sent to, which becomes that of the entry.
            service: The id of the service there.
            exchange_rate: What a unit of that panel's currency is worth in the desk's.
            price: The order's price of today, which becomes that of the entry; None to leave it as
                it is.
            budget: The highest total price of today's orders, this one among them from now on; None
                for no limit. An order without a price is not limited.

        Raises:
            SpendingLimitError: The price exceeds the entry's `max_charge` or what is left of the
                budget; nothing was changed.
        """
        ...

    async def postpone(
        self, ref: str, attempt: int, *, until: datetime, kind: ErrorKind, reason: str
    ) -> None:
        """Make a PREPARED entry due later, and record why; do nothing if it does not match."""
        ...

    async def count_in_flight(self, panel: str = DEFAULT_PANEL) -> int:
        """Return how many attempts at a panel are in flight, on any machine."""
        ...

    async def refuse(self, ref: str, attempt: int, *, kind: ErrorKind, reason: str) -> Entry | None:
        """Move PREPARED to REFUSED, as no panel can take the order; None if it does not match."""
        ...

    async def record_outcome(
        self, ref: str, attempt: int, outcome: Outcome, started: Entry | None = None
    ) -> Entry:
        """Record the outcome of an attempt and return the resulting entry.

        PREPARED releases the entry from its panel, unless it is pinned there. HELD and UNKNOWN pin
        it. REFUSED, and PREPARED with `Outcome.is_rerouted`, are noted in `Entry.refused_by`.

        If the attempt was given up in the meantime (UNKNOWN by its lease, or WITHDRAWN by a
        person), ACCEPTED still applies, and so does REFUSED to UNKNOWN. ACCEPTED also applies for
        an earlier attempt while no later one is in flight or unknown (PREPARED after a retry, HELD,
        REFUSED, WITHDRAWN): the ref has its order, and nothing is sent. An outcome that is not a
        legal transition any more is recorded as an event if it names an order, and is otherwise
        ignored. An id that belongs to another ref makes the outcome UNKNOWN.

        Args:
            started: What `start_attempt` returned. An order of an earlier attempt is at the panel
                of that attempt, which becomes that of the entry; None stands for the last attempt.
        """
        ...

    async def apply_decision(
        self,
        ref: str,
        from_states: Collection[EntryState],
        outcome: Outcome,
        *,
        budget_day: str | None = None,
        budget: Decimal | None = None,
        price: Decimal | None = None,
        max_charge: Decimal | None = None,
        panel: str | None = None,
    ) -> Entry | None:
        """Apply a person's decision; return None if the entry is in none of `from_states`.

        What is to be sent again forgets which panels refused it.

        Args:
            budget_day: The UTC day whose budget an order that is to be sent again counts against,
                such as "2030-12-31"; None to leave the day as it is.
            budget: The highest total price of that day's orders; None for no limit.
            price: The order's price of today; None to leave it as it is.
            max_charge: The limit from now on; None to leave it as it is.
            panel: The panel that an order that is to be sent again is pinned to; None to leave a
                pinned one where it is, and any other to all panels.

        Raises:
            RefConflictError: The order already belongs to another ref. Check the id.
            SpendingLimitError: The price exceeds what is left of the budget; nothing was changed.
            JournalError: The decision is not a legal transition, or the form that would have to be
                sent again was purged; nothing was changed.
        """
        ...

    async def expire_leases(self) -> list[Entry]:
        """Move every SENDING whose lease has expired to UNKNOWN, and return those entries."""
        ...

    async def due_to_send(self, limit: int) -> list[Entry]:
        """Return PREPARED entries that are due; HELD ones whose wait is over become PREPARED.

        Of those that are held for one link, the oldest alone: the panel takes one at a time.
        """
        ...

    async def claim(
        self, limit: int, *, lease: timedelta, panel: str = DEFAULT_PANEL
    ) -> list[Claim]:
        """Claim accepted orders at a panel that are due, the longest due first, then finished ones.

        Other desks skip them until `lease` has passed; then they are due again.
        """
        ...

    async def record_statuses(self, observations: Sequence[Observation]) -> list[Entry]:
        """Record the results of checks whose claim is still valid; return the changed entries."""
        ...

    async def release(self, claims: Sequence[tuple[Claim, datetime | None]]) -> None:
        """Make claimed orders due again, each at its time, if its claim is still valid.

        None for a finished order that is not checked again.

        Nothing else of them changes, and no event is recorded.
        """
        ...

    async def reschedule_far_future(
        self, limit: int, *, ahead: timedelta, panel: str = DEFAULT_PANEL
    ) -> int:
        """Make due what is due later than `ahead` from now; return how many, `limit` at most.

        This happens if the clock was set back after their time was set. It covers orders that are
        followed at a panel, and all orders that are to be sent.
        """
        ...

    async def next_due(self) -> datetime | None:
        """Return when the next order is due to be sent or checked; None if there is none."""
        ...

    async def open_panels(self) -> list[str]:
        """Return the names of the panels where orders of the account are not over."""
        ...

    async def paused_panels(self) -> Mapping[str, datetime]:
        """Return the panels whose calls are paused, and until when."""
        ...

    async def reserve_call(
        self, interval: timedelta, *, panel: str = DEFAULT_PANEL
    ) -> CallReservation:
        """Reserve the next call to a panel, `interval` after the last one reserved on any machine.

        No reserved call comes before the end of a `pause`.
        """
        ...

    async def cancel_call(self, reservation: CallReservation) -> None:
        """Give back the time of a call of which nothing was sent, at most once.

        It is free again if no call was reserved since; otherwise nothing changes, since that call
        is one interval after this one already.
        """
        ...

    async def pause(self, until: datetime, *, panel: str = DEFAULT_PANEL) -> None:
        """Delay calls to a panel reserved from now on until that time, on any machine.

        A pause is never shortened. One that ends more than half an hour from now was set before
        the clock was set back, and does not count.
        """
        ...

    async def circuit(self, panel: str) -> Circuit:
        """Return the circuit of a panel; one that is closed if none is recorded."""
        ...

    async def change_circuit(
        self, panel: str, change: Callable[[Circuit, datetime], Circuit]
    ) -> tuple[Circuit, Circuit]:
        """Replace the circuit of a panel by what `change` makes of it and of the time.

        No other change comes between. Returns the circuit before and after. `change` is pure: it
        may be called more than once.
        """
        ...

    async def make_due(self, postponed_until: datetime) -> None:
        """Make PREPARED entries due that are due at exactly that time: they waited for a panel."""
        ...

    async def health(self, *, budget: Decimal | None = None) -> DeskHealth:
        """Return the account's state in numbers, whatever the number of orders that are final.

        `budget` is the day's budget, of which what is left is returned.
        """
        ...

    async def unknown(self) -> list[UnknownOrder]:
        """Return the orders whose outcome is unknown, the oldest first, with their evidence."""
        ...

    async def activity(self, limit: int) -> Activity:
        """Return what of the account is under way, with up to `limit` unknown orders."""
        ...

    async def has_unchecked(self, since: datetime) -> bool:
        """Return whether an accepted order may have moved money without that being recorded.

        It was not checked since that time, the panel did not know it, or the panel delivers it by
        orders of its own.
        """
        ...

    async def same_link(self, entry: Entry, *, since: datetime, limit: int) -> list[Entry]:
        """Return up to `limit` other orders of the account with the link of an order.

        Those that may be at a panel without their id being known here, or may come there: PREPARED,
        HELD, SENDING, UNKNOWN; and those whose last attempt ended since then. An order without a
        link has none.
        """
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> list[Entry]:
        """Move UNKNOWN attempts with an error answer to REFUSED; all of them, or none.

        Return the entries, or nothing if one of them does not match: another state or attempt, an
        order id that came meanwhile, `is_error_answer` cleared, or `was_unknown` set. A settled
        entry has `was_unknown` set; the text of its event is the reason.
        """
        ...

    async def stop_settling(self, ref: str, attempt: int) -> None:
        """Clear `is_error_answer` of an UNKNOWN attempt, so that only a person settles it."""
        ...

    async def summary(self) -> Summary:
        """Return the account's orders and money in numbers."""
        ...

    async def events(self, after: int, limit: int) -> list[JournalEvent]:
        """Return up to `limit` events after a position, in order.

        Events become visible in the order of their positions: none is added before one that was
        returned.
        """
        ...

    async def position(self, consumer: str, *, stream: StreamKind = StreamKind.ORDERS) -> int:
        """Return the position that a consumer has acknowledged; 0 for none.

        Raises `InvalidSettingsError` for a name that is not a string of 1 to 200 characters.
        """
        ...

    async def claim_consumer(
        self,
        consumer: str,
        owner: str,
        *,
        lease: timedelta,
        stream: StreamKind = StreamKind.ORDERS,
    ) -> ConsumerClaim | None:
        """Claim a consumer of a stream until the lease is over, or renew the owner's own claim.

        Returns None while another owner has it. A new claim has a version of its own; a renewed
        one keeps it. A row that a caller's transaction has locked is not waited for.

        Raises `InvalidSettingsError` for a name that is not a string of 1 to 200 characters.
        """
        ...

    async def release_consumer(self, claim: ConsumerClaim) -> None:
        """End the lease of a claim, if it is the latest of its consumer."""
        ...

    async def acknowledge(
        self,
        claim: ConsumerClaim,
        position: int,
        *,
        lease: timedelta,
        connection: object | None = None,
    ) -> None:
        """Record that a consumer has processed the events up to a position, and renew the lease.

        With `connection`, as for `create`, it becomes true with the caller's commit.

        Raises `StaleEventError` if the claim is not the latest of its consumer, and, with
        `connection`, if the position is acknowledged already: the effects of the caller's
        transaction have happened before.
        """
        ...

    async def purge(self, older_than: datetime) -> int:
        """Delete the form, link and messages of closed entries; return how many entries.

        Entries created before `older_than` that are refused, withdrawn or finished, and their
        requests as old that are over. Ref, id, state and money stay; so does the digest that a
        later `create` is checked against. It takes many short transactions; after an interruption,
        the next call continues.
        """
        ...
