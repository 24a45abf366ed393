"""An order's life in a journal: its states, the legal moves between them, what a journal must do.

How this works. An order that is to be placed gets an `Entry` under a name of the caller's own, its
*ref*, before anything is sent. Each attempt to send it first moves the entry to SENDING, durably;
whatever becomes of the attempt moves it on. `MOVES` is the whole of what may follow what. A move
names the state and the attempt that it starts from, and a journal carries it out only where both
are still true, so that of two who want the same move one gets it::

    PREPARED ──> SENDING ──> ACCEPTED ──> FINISHED        the panel gave an id; the id is final
       ↑  ↑       │  │  └──> REFUSED ───> PREPARED        the panel said no; `retry` alone goes on
       │  └───────┘  └─────> UNKNOWN ───> ACCEPTED, REFUSED, WITHDRAWN
       │  proved not sent      nothing goes from UNKNOWN to SENDING: a person or a late answer
     HELD <── SENDING          another order for the same link is under way at the panel

Nobody holds a lock over a network call. SENDING has a lease instead, a time by which the attempt is
over; once it is past, the outcome counts as UNKNOWN. Pure: no SQL, no clock.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from attrs import field, frozen

from .errors import ErrorKind, InvalidOrderError
from .results import OrderStatus, Status

__all__ = [
    "MOVES",
    "Claim",
    "Entry",
    "EntryState",
    "Event",
    "EventKind",
    "Journal",
    "NewEntry",
    "Observation",
    "Outcome",
    "Summary",
    "UnknownOrder",
    "checked_ref",
]

MAX_REF_CHARACTERS = 200
"""The longest ref: room for two UUIDs and words around them, short enough for any index."""

MAX_REASON_CHARACTERS = 500
"""How much of the panel's words is kept, in characters; as much as an error keeps of a body."""


class EntryState(StrEnum):
    """Where an order stands between the caller and the panel."""

    PREPARED = "prepared"
    """Written down; nothing of it is on its way. A running desk sends it when it is due."""
    HELD = "held"
    """The panel has an active order with the same link: it is sent when that one ends."""
    SENDING = "sending"
    """On its way, or about to be; after its lease the outcome counts as unknown."""
    ACCEPTED = "accepted"
    """The panel gave an id; it is followed until it is final."""
    REFUSED = "refused"
    """The panel said no, before it made an order. Nothing sends it again but `retry`."""
    UNKNOWN = "unknown"
    """An order may exist. Nothing sends it again; a person says what is true (`resolve`)."""
    WITHDRAWN = "withdrawn"
    """Not ordered: taken back before it was sent, or found not placed by a person."""
    FINISHED = "finished"
    """Final at the panel."""


_S = EntryState

MOVES: Mapping[EntryState, frozenset[EntryState]] = {
    _S.PREPARED: frozenset({_S.SENDING, _S.WITHDRAWN}),
    _S.HELD: frozenset({_S.PREPARED, _S.WITHDRAWN}),
    _S.SENDING: frozenset({_S.PREPARED, _S.HELD, _S.ACCEPTED, _S.REFUSED, _S.UNKNOWN}),
    _S.UNKNOWN: frozenset({_S.ACCEPTED, _S.REFUSED, _S.WITHDRAWN}),
    _S.REFUSED: frozenset({_S.PREPARED}),
    # The panel's late word that there is an order counts more than a person's that there is none.
    _S.WITHDRAWN: frozenset({_S.PREPARED, _S.ACCEPTED}),
    _S.ACCEPTED: frozenset({_S.FINISHED}),
    _S.FINISHED: frozenset(),
}
"""What may follow what. A move that is not here is a bug, and no journal carries it out."""

OPEN_STATES = frozenset(EntryState) - {_S.REFUSED, _S.WITHDRAWN, _S.FINISHED}
"""States that something still follows upon, or must."""

SPENDING_STATES = frozenset(EntryState) - {_S.REFUSED, _S.WITHDRAWN}
"""States in which the price counts against a budget: money that is spent, or may be."""


def checked_ref(ref: object) -> str:
    """Give a ref, or raise `InvalidOrderError`: a text of 1 to 200 printable characters."""
    if not isinstance(ref, str) or not ref.strip() or not ref.isprintable():
        raise InvalidOrderError("OrderDesk", "ref", ref, "is not a text of printable characters")
    if len(ref) > MAX_REF_CHARACTERS:
        raise InvalidOrderError(
            "OrderDesk", "ref", ref, f"is longer than {MAX_REF_CHARACTERS} characters"
        )
    return ref


@frozen(kw_only=True)
class NewEntry:
    """An order that is to be written down."""

    ref: str
    """The caller's name of the order; unique within an account."""
    form: Mapping[str, str] = field(repr=False)
    """What is to be sent, without the key."""
    link: str | None = field(default=None, repr=False)
    """What the order is about, as far as the panel tells orders apart by it; None without a link,
    such as for subscriptions."""
    quantity: int | None = None
    """How many in all; None where the form does not say."""
    price: Decimal | None = None
    """What it costs by the catalogue, else the most it may cost; None where neither is known."""
    due_at: datetime
    """From when on a running desk sends it, aware UTC."""
    booked_on: str
    """The UTC day whose budget it counts against, as 2030-12-31."""


@frozen(kw_only=True)
class Entry:
    """An order in the journal, as it stood when it was read. All times are aware UTC."""

    ref: str
    """The caller's name of the order."""
    state: EntryState
    """Where it stands; see `EntryState`."""
    attempt: int = 0
    """Attempts to send it that were begun; 0 before the first."""
    form: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    """What is sent, without the key; empty after `purge`."""
    link: str | None = field(default=None, repr=False)
    """What the order is about; None without a link, and after `purge`."""
    quantity: int | None = None
    """How many in all; None where the form does not say."""
    price: Decimal | None = None
    """What it costs by the catalogue, or the most it may cost; None where neither was known."""
    order: str | None = None
    """The panel's id; None before it is known. In UNKNOWN, an id that stood beside an error."""
    kind: ErrorKind | None = None
    """Why it is refused, held or unknown, as a word; None otherwise."""
    reason: str | None = None
    """The same in words, the panel's own where it said some, at most 500 characters; None where
    there is nothing to say."""
    was_unknown: bool = False
    """Whether an earlier attempt ended unknown, and a person said that it placed nothing."""
    created_at: datetime
    """When it was written down."""
    sent_at: datetime | None = None
    """When the last attempt began; None before the first."""
    settled_at: datetime | None = None
    """When the last attempt ended, as far as this journal knows; None before that."""
    balance_before: Decimal | None = None
    """The account's balance just before the last attempt; None where it was not read."""
    balance_after: Decimal | None = None
    """The balance just after an attempt that ended unknown; None where it was not read."""
    raw_status: str | None = None
    """The panel's last word on it; None before the first look."""
    charge: Decimal | None = None
    """What the panel last said it cost, net of what came back; None where it said nothing."""
    currency: str | None = None
    """Of `charge`; None where the panel did not say."""
    start_count: int | None = None
    """The counter before the start; None where not known."""
    remains: int | None = None
    """How many are still to come; None where not known."""
    checked_at: datetime | None = None
    """When the panel last answered about it; None before that."""
    changed_at: datetime | None = None
    """When something about it last changed at the panel; None before the first look."""
    misses: int = 0
    """Looks in a row that the panel answered without knowing the id."""

    @property
    def status(self) -> Status | None:
        """`raw_status` as one of the known words; None before the first look."""
        return None if self.raw_status is None else Status.of(self.raw_status)

    @property
    def is_open(self) -> bool:
        """Whether something still follows, or a person has to say what is true."""
        return self.state in OPEN_STATES

    @property
    def refund_share(self) -> Decimal | None:
        """The share of the price that came back, 0 to 1; None where not known (yet)."""
        if self.order is None or self.raw_status is None or self.quantity is None:
            return None
        seen = OrderStatus(order=self.order, raw_status=self.raw_status, remains=self.remains)
        return seen.refund_share(self.quantity)


@frozen(kw_only=True)
class Outcome:
    """What became of an attempt, or what a person found out about it."""

    state: EntryState
    """Where the entry goes."""
    order: str | None = None
    """The panel's id; for UNKNOWN, one that stood beside an error."""
    kind: ErrorKind | None = None
    """Why, as a word."""
    reason: str | None = None
    """Why, in words."""
    balance_after: Decimal | None = None
    """The balance after an attempt that ended unknown, if it could be read."""
    due_at: datetime | None = None
    """When it is looked at, or tried again, next; None for never."""
    by: str | None = None
    """Who says so, where it is a person."""


@frozen(kw_only=True)
class Claim:
    """An accepted order that one desk may look at until its claim lapses."""

    key: int
    """The journal's own key of the entry."""
    number: int
    """Which claim on it this is: a later one makes it worthless (a fence)."""
    entry: Entry
    """The order as it stands."""


@frozen(kw_only=True)
class Observation:
    """What a look at a claimed order gave."""

    claim: Claim
    """Of whose order."""
    status: OrderStatus | None
    """How it stands; None where the panel answered and did not know the id."""
    due_at: datetime
    """When to look again."""


class EventKind(StrEnum):
    """What an event tells."""

    ACCEPTED = "accepted"
    """The panel gave an id."""
    REFUSED = "refused"
    """The panel said no."""
    UNKNOWN = "unknown"
    """An order may exist; somebody has to look."""
    HELD = "held"
    """It waits for another order with the same link."""
    RELEASED = "released"
    """It waits no longer, or was proved not sent: it is to be sent (again)."""
    WITHDRAWN = "withdrawn"
    """Taken back, or found not placed."""
    CHANGED = "changed"
    """The panel's word or a number changed."""
    MISSING = "missing"
    """The panel answered some times running without knowing the id; the entry stays as it is."""
    FINISHED = "finished"
    """Final at the panel."""
    LATE = "late"
    """An answer came for an attempt that was given up, and tells of an order; see `order`."""


@frozen(kw_only=True)
class Event:
    """Something that happened to an entry, in the order of its happening."""

    position: int
    """Its place in the account's row of events, 1 for the first, without gaps."""
    at: datetime
    """When it was written, aware UTC."""
    ref: str
    """The caller's name of the order."""
    kind: EventKind
    """What happened."""
    attempt: int
    """The attempt that it belongs to."""
    order: str | None = None
    """The panel's id; None where there is none."""
    raw_status: str | None = None
    """The panel's word; None before the first look."""
    charge: Decimal | None = None
    """What it cost by then; None where the panel did not say."""
    remains: int | None = None
    """How many were still to come; None where not known."""
    text: str | None = None
    """The panel's words, or who decided and why; None where there is nothing to say."""


@frozen(kw_only=True)
class UnknownOrder:
    """An order whose outcome nobody knows, with what speaks for and against it.

    None of it is proof: a balance falls by other orders too, and rises by deposits; an order that
    the panel inserts late shows in neither. Look at the panel's own list of orders, then `resolve`.
    """

    entry: Entry
    """What was sent, when, and what came back."""
    balance_drop: Decimal | None
    """By how much the balance fell from just before the attempt to just after; None where either
    was not read."""
    link_reported_active: bool
    """Whether the panel has said since that there is an active order with this link."""
    other_refs: tuple[str, ...]
    """Refs of other open orders in this journal with the same link: they may be what is active."""

    @property
    def drop_fits(self) -> bool | None:
        """Whether the balance fell by just the price; None where one of the two is not known."""
        if self.balance_drop is None or self.entry.price is None:
            return None
        return self.balance_drop == self.entry.price


@frozen(kw_only=True)
class Summary:
    """An account's orders in numbers; money in the account's currency."""

    by_state: Mapping[EntryState, int]
    """How many orders stand where; states without orders are left out."""
    by_status: Mapping[str, int]
    """How many accepted and finished orders have which status word (`Status`), "unseen" before the
    first look."""
    spent: Decimal
    """Charges of accepted and finished orders, net of what came back; the price where the panel
    gives no charge."""
    given_back: Decimal
    """What came back of finished orders: price less charge, where both are known."""
    at_risk: Decimal
    """Prices of orders that are unknown or on their way."""


class Journal(Protocol):
    """What a desk needs of a journal. Every method that writes has written when it returns.

    All raise `JournalError` where the database can't be reached, written or understood.
    """

    def for_account(self, account: str) -> "Journal":
        """Give this journal for one account; they share connections."""
        ...

    async def open(self) -> None:
        """Connect, and see that the schema is this version's, migrating an older one."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...

    async def now(self) -> datetime:
        """Give the time by the clock that all users of this journal share."""
        ...

    async def write_down(
        self,
        new: NewEntry,
        *,
        budget: Decimal | None = None,
        connection: object | None = None,
    ) -> Entry:
        """Write an order down as PREPARED, or give the entry that has its ref already.

        Raises `RefConflictError` where that has another form, `SpendingLimitError` where the day's
        budget does not hold the price. `connection` is a transaction of the caller's own on the
        same database: what is written is there once the caller commits.
        """
        ...

    async def find(self, ref: str) -> Entry | None:
        """Give an entry, None where there is none."""
        ...

    def entries(
        self,
        *,
        states: Collection[EntryState] = (),
        statuses: Collection[str] = (),
        ref_begin: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Entry]:
        """Give entries, the oldest first, page by page, in bounded memory.

        Empty collections and None leave a filter out. `statuses` are words of `Status`, `ref_begin`
        is how the ref begins, `since` and `until` bound `created_at`.
        """
        ...

    async def begin(
        self,
        ref: str,
        attempt: int,
        *,
        lease: timedelta,
        places: int,
        balance_before: Decimal | None = None,
    ) -> Entry | None:
        """Move PREPARED to SENDING and count the attempt, durably; None where it can't be done now.

        It can't where the entry is not as it was (other state or attempt), or where `places`
        attempts of the account are on their way already, on any machine.
        """
        ...

    async def settle(self, ref: str, attempt: int, outcome: Outcome) -> Entry:
        """Write what became of an attempt, and give the entry as it stands then.

        Where the attempt was given up meanwhile (UNKNOWN by its lease, or WITHDRAWN by a person) an
        ACCEPTED, or for UNKNOWN a REFUSED, still lifts it. What can't be a move any more is kept as
        an event where it tells of an order, and else changes nothing.
        """
        ...

    async def decide(
        self,
        ref: str,
        since: Collection[EntryState],
        outcome: Outcome,
        *,
        booked_on: str | None = None,
        budget: Decimal | None = None,
    ) -> Entry | None:
        """Carry out a person's move; None where the entry is in none of the states `since`.

        `booked_on` and `budget` are for one that is to be sent again; `SpendingLimitError` as in
        `write_down`. Raises `RefConflictError` where the order is another ref's already.
        """
        ...

    async def lapse(self) -> list[Entry]:
        """Move every SENDING whose lease is past to UNKNOWN, and give those entries."""
        ...

    async def due_to_send(self, limit: int) -> list[Entry]:
        """Give PREPARED entries that are due, and HELD ones once they are PREPARED again."""
        ...

    async def claim(self, limit: int, *, lease: timedelta) -> list[Claim]:
        """Take accepted orders that are due, the longest due first, out of everybody else's way."""
        ...

    async def observe(self, observations: Sequence[Observation]) -> list[Entry]:
        """Write what looks gave, where the claim still holds; give the entries that changed."""
        ...

    async def next_due(self) -> datetime | None:
        """Give the moment at which the next order is due to be sent or looked at; None for none."""
        ...

    async def permit(self, interval: timedelta) -> timedelta:
        """Take a place in the account's pace, `interval` after the last one taken on any machine.

        Gives how long to wait for it. A pause by `pause` comes before all places.
        """
        ...

    async def pause(self, until: datetime) -> None:
        """Let no call of the account out before that moment, on any machine."""
        ...

    async def unknown(self) -> list[UnknownOrder]:
        """Give the orders whose outcome nobody knows, the oldest first, with their evidence."""
        ...

    async def summary(self) -> Summary:
        """Count the account's orders and money."""
        ...

    async def events(self, after: int, limit: int) -> list[Event]:
        """Give the events after a position, in order; all before the last are there."""
        ...

    async def position(self, consumer: str) -> int:
        """Give the position that a consumer has acknowledged; 0 for none."""
        ...

    async def acknowledge(self, consumer: str, position: int) -> None:
        """Write that a consumer is done with the events up to a position; never backwards."""
        ...

    async def purge(self, older_than: datetime) -> int:
        """Forget form, link and the panel's words of entries that are over; give how many.

        Ref, id, state and money stay; so does the digest that a later `write_down` is held to.
        """
        ...
