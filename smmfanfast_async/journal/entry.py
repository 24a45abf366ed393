"""What is written in a journal and read from it, as values."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from attrs import field, frozen

from ..errors import (
    AuthenticationError,
    BlockedError,
    ErrorKind,
    InsufficientFundsError,
    InvalidOrderError,
    NotSentError,
    OutcomeUnknownError,
    RefusedError,
)
from ..results import OrderStatus, Status
from .states import OPEN_STATES, EntryState

__all__ = [
    "MAX_REASON_CHARACTERS",
    "MAX_REF_CHARACTERS",
    "Claim",
    "Entry",
    "EventKind",
    "JournalEvent",
    "NewEntry",
    "Observation",
    "Outcome",
    "Summary",
    "UnknownOrder",
    "parse_ref",
    "refused_error",
]

_S = EntryState

MAX_REF_CHARACTERS = 200
"""The longest ref: room for two UUIDs and words around them, short enough for any index."""

MAX_REASON_CHARACTERS = 500
"""How much of the panel's words is kept, in characters; as much as an error keeps of a body."""


def parse_ref(ref: object) -> str:
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
    budget_day: str
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
    miss_count: int = 0
    """Looks in a row that the panel answered without knowing the id."""

    @property
    def status(self) -> Status | None:
        """`raw_status` as one of the known words; None before the first look."""
        return None if self.raw_status is None else Status.parse(self.raw_status)

    @property
    def is_open(self) -> bool:
        """Whether something still follows, or a person has to say what is true."""
        return self.state in OPEN_STATES

    def order_id(self) -> str:
        """Give the panel's id, or raise what stands against it.

        `RefusedError`, `NotSentError` for one that is not on its way (prepared, held, withdrawn),
        `OutcomeUnknownError` for one whose outcome is not known, or not yet.
        """
        state, said = self.state, self.reason or ""
        if state in (_S.ACCEPTED, _S.FINISHED) and self.order is not None:
            return self.order
        if state is _S.REFUSED:
            raise refused_error(said, self.kind)
        if state in (_S.UNKNOWN, _S.SENDING):
            text = said or "it is on its way"
            raise OutcomeUnknownError(text, form=self.form, sent_at=self.sent_at, order=self.order)
        raise NotSentError(f"{state}{said and ': '}{said}", action="add")

    @property
    def refund_share(self) -> Decimal | None:
        """The share of the price that came back, 0 to 1; None where not known (yet)."""
        if self.order is None or self.raw_status is None or self.quantity is None:
            return None
        seen = OrderStatus(order=self.order, raw_status=self.raw_status, remains=self.remains)
        return seen.refund_share(self.quantity)


_REFUSALS: Mapping[ErrorKind, type[RefusedError]] = {
    ErrorKind.AUTH: AuthenticationError,
    ErrorKind.FUNDS: InsufficientFundsError,
    ErrorKind.BLOCKED: BlockedError,
}


def refused_error(text: str, kind: ErrorKind | None) -> RefusedError:
    """Make the error of a refusal again, by its word."""
    found = RefusedError if kind is None else _REFUSALS.get(kind, RefusedError)
    return found(text, kind=kind, action="add")


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
    decided_by: str | None = None
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
    is_over: bool = False
    """Whether this is an end by a word of the panel's own (`Profile.final_statuses`)."""


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
class JournalEvent:
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
    def drop_matches_price(self) -> bool | None:
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
    refunded: Decimal
    """What came back of finished orders: price less charge, where both are known."""
    at_risk: Decimal
    """Prices of orders that are unknown or on their way."""
