"""The values written to a journal and read from it."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from attrs import field, frozen

from .._amounts import EXACT, step_of
from .._serialization import JsonFields, Serializable
from ..errors import (
    AuthenticationError,
    BlockedError,
    ErrorKind,
    InsufficientFundsError,
    InvalidCode,
    InvalidOrderError,
    NotSentError,
    OutcomeUnknownError,
    RefusedError,
)
from ..results import OrderStatus, Status
from .request_states import RequestState
from .states import OPEN_STATES, EntryState

__all__ = [
    "DEFAULT_PANEL",
    "MAX_REASON_CHARACTERS",
    "MAX_REF_CHARACTERS",
    "Entry",
    "EventKind",
    "JournalEvent",
    "NewEntry",
    "Outcome",
    "Summary",
    "UnknownOrder",
    "parse_ref",
    "refused_error",
]

_S = EntryState

_FIELDS_OF_PARENTS = frozenset({"runs", "posts"})
"""Fields of the form of an order that the panel delivers by orders of its own."""

DEFAULT_PANEL = "default"
"""The name of the panel of a desk over one client. A desk that grows to several panels gives this
name to the one that it had, so that its orders stay there."""

MAX_REF_CHARACTERS = 200
"""The longest ref: enough for two UUIDs with text around them, short enough for any index."""

MAX_REASON_CHARACTERS = 500
"""How much of the panel's message is kept, in characters; as much as an error keeps of a body."""


def parse_ref(ref: object) -> str:
    """Return a ref of 1 to 200 printable characters, or raise `InvalidOrderError`."""
    if not isinstance(ref, str) or not ref.strip() or not ref.isprintable():
        reason = "must be a non-blank string of printable characters"
        raise InvalidOrderError("OrderDesk", "ref", ref, reason, code=_code_of_ref(ref))
    if len(ref) > MAX_REF_CHARACTERS:
        reason = f"is longer than {MAX_REF_CHARACTERS} characters"
        code = InvalidCode.TOO_LONG
        raise InvalidOrderError(
            "OrderDesk", "ref", ref, reason, code=code, limit=MAX_REF_CHARACTERS
        )
    return ref


def _code_of_ref(ref: object) -> InvalidCode:
    if ref is None or (isinstance(ref, str) and not ref.strip()):
        return InvalidCode.MISSING
    return InvalidCode.INVALID_CHARACTERS if isinstance(ref, str) else InvalidCode.NOT_A_TEXT


@frozen(kw_only=True)
class NewEntry:
    """An order to be recorded.

    Attributes:
        ref: The caller's name of the order (the idempotency key); unique within an account.
        form: The fields to send, without the API key.
        link: What the panel tells active orders apart by; None for orders without a link, such as
            subscriptions.
        quantity: The total quantity; None if the form does not state one.
        price: The price by the catalogue, otherwise the highest possible one, in the account's
            currency; None if neither is known.
        max_charge: The highest acceptable price on the day it is sent, in the account's currency;
            None for no limit.
        due_at: From when on a running desk sends it, aware UTC.
        budget_day: The UTC day whose budget it counts against, such as "2030-12-31".
        routes: The panels that may take it, and the id of the service at each; empty for an order
            of a desk over one panel.
    """

    ref: str
    form: Mapping[str, str] = field(repr=False)
    link: str | None = field(default=None, repr=False)
    quantity: int | None = None
    price: Decimal | None = None
    max_charge: Decimal | None = None
    due_at: datetime
    budget_day: str
    routes: Mapping[str, str] = field(factory=dict[str, str])


@frozen(kw_only=True)
class Entry(Serializable):
    """An order in the journal as it was when it was read. All times are aware UTC.

    Attributes:
        ref: The caller's name of the order (the idempotency key); unique within an account.
        state: The state between the caller and the panel; see `EntryState`.
        attempt: The number of attempts to send it that were started; 0 before the first.
        form: The fields that are sent, without the API key; empty after `purge`.
        link: The link that the order is for; None for orders without one and after `purge`.
        quantity: The total quantity; None if the form does not state one.
        price: The price by the catalogue, otherwise the highest possible one, in the account's
            currency; None if neither was known. It is that of the last attempt if there is a limit.
        max_charge: The highest acceptable price, in the account's currency: no attempt starts while
            the catalogue's price is higher. None for no limit.
        panel: The name of the panel that the last attempt was made at, and where the order is, or
            may be; None before the first, and while any panel may be next.
        service: The id of the service at that panel; None before the first attempt.
        exchange_rate: What a unit of that panel's currency was worth in the desk's.
        routes: The panels that may take it, and the id of the service at each; empty for an order
            of a desk over one panel.
        refused_by: The panels that refused it, and why, since a person last had it sent.
        is_pinned: Whether it stays at its panel: it was held or unknown there, or a person chose
            it. Only `retry` with another panel moves it.
        order: The panel's id; None before it is known. In UNKNOWN, an id that came with an error.
        kind: Why it is refused, held or unknown, or why it waits as PREPARED, as an `ErrorKind`;
            None otherwise.
        reason: The same as text, the panel's own message if it sent one, at most 500 characters; of
            an accepted order, why it is, if the panel's first answer did not say so. None if there
            is no message, and after `purge`.
        was_unknown: Whether an earlier attempt ended unknown and a person, or the desk by the
            balance, decided that it had placed nothing.
        created_at: When the entry was created.
        sent_at: When the last attempt started; None before the first.
        settled_at: When the last attempt ended, as far as this journal knows; None before that.
        balance_before: The account's balance just before the last attempt, in its currency; None
            if it was not read.
        balance_after: The balance just after an attempt that ended unknown; None if it was not
            read.
        is_error_answer: In UNKNOWN, whether the panel answered, completely, with an error that
            names no order, and no balance has shown since that there may be one: only then may
            `OrderDesk(settle_by_balance=True)` settle it. False in other states.
        raw_status: The last status as the panel wrote it, at most 200 characters; None before the
            first check.
        charge: The last charge that the panel reported, net of refunds, in `currency`; None if it
            reported none. For a drip-feed order or subscription, the sum of those of the orders
            that it created, once all are final.
        currency: The currency of `charge`, such as "USD"; None if the panel did not state one.
        start_count: The counter before the order started; None if not known.
        remains: How many are still to be delivered; None if not known.
        checked_at: When the panel last answered a check of this order; None before that.
        changed_at: When a check last changed the state, the status or a number of the order, or
            when the order was accepted; None before that.
        miss_count: How many checks in succession the panel answered without knowing the id.
        is_new: Whether the call that returned it has created it: False for a ref that was known
            before, and for whatever is read. It does not count in comparisons. After an answer of
            the database that was lost, it may be False for a new one, never True for a known one.
    """

    _json: ClassVar[JsonFields] = JsonFields(
        computed={name: name for name in ("status", "is_open", "refund_share", "refund")},
        raw=frozenset({"reason"}),
        form=frozenset({"form", "link"}),
    )

    ref: str
    state: EntryState
    attempt: int = 0
    form: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    link: str | None = field(default=None, repr=False)
    quantity: int | None = None
    price: Decimal | None = None
    max_charge: Decimal | None = None
    panel: str | None = None
    service: str | None = None
    exchange_rate: Decimal = Decimal(1)
    routes: Mapping[str, str] = field(factory=dict[str, str])
    refused_by: Mapping[str, ErrorKind] = field(factory=dict[str, ErrorKind])
    is_pinned: bool = False
    order: str | None = None
    kind: ErrorKind | None = None
    reason: str | None = None
    was_unknown: bool = False
    created_at: datetime
    sent_at: datetime | None = None
    settled_at: datetime | None = None
    balance_before: Decimal | None = None
    balance_after: Decimal | None = None
    is_error_answer: bool = False
    raw_status: str | None = None
    charge: Decimal | None = None
    currency: str | None = None
    start_count: int | None = None
    remains: int | None = None
    checked_at: datetime | None = None
    changed_at: datetime | None = None
    miss_count: int = 0
    is_new: bool = field(default=False, eq=False)

    @property
    def status(self) -> Status | None:
        """`raw_status` as a known status; None before the first check."""
        return None if self.raw_status is None else Status.parse(self.raw_status)

    @property
    def is_open(self) -> bool:
        """Whether the desk still has something to do, or a person must record the outcome."""
        return self.state in OPEN_STATES

    def order_id(self) -> str:
        """Return the panel's id of an accepted or finished order, or raise why there is none.

        Raises:
            RefusedError: The panel refused before creating an order; the subclass matches `kind`
                (`AuthenticationError`, `InsufficientFundsError`, `BlockedError`). Retry after
                fixing the cause.
            NotSentError: The order is prepared, held or withdrawn: it is not being sent.
            OutcomeUnknownError: The order is being sent, or an order may exist. Check the panel
                before ordering again.
        """
        state, reason = self.state, self.reason or ""
        if state in (_S.ACCEPTED, _S.FINISHED) and self.order is not None:
            return self.order
        if state is _S.REFUSED:
            raise refused_error(reason, self.kind)
        if state in (_S.UNKNOWN, _S.SENDING):
            text = reason or "the order is being sent"
            raise OutcomeUnknownError(text, form=self.form, sent_at=self.sent_at, order=self.order)
        raise NotSentError(f"{state}{reason and ': '}{reason}", action="add")

    @property
    def refund_share(self) -> Decimal | None:
        """The share of the price that was refunded, 0 to 1; None if not known (yet).

        Not known for orders with runs or posts, since their child orders are refunded one by one.
        """
        status = self._refundable
        if status is None or self.quantity is None:
            return None
        return status.refund_share(self.quantity)

    @property
    def refund(self) -> Decimal | None:
        """The part of the price that was refunded, not rounded; None if not known (yet)."""
        status = self._refundable
        if status is None or self.quantity is None or self.price is None:
            return None
        return status.refund(self.price, self.quantity)

    @property
    def _refundable(self) -> OrderStatus | None:
        """The status if the order is known to be without child orders; None otherwise."""
        if self.order is None or self.raw_status is None or _FIELDS_OF_PARENTS & self.form.keys():
            return None
        # After `purge` the form is empty; orders with children have neither of these (seen).
        if not self.form and self.charge is None and self.remains is None:
            return None
        return OrderStatus(order=self.order, raw_status=self.raw_status, remains=self.remains)


_REFUSALS: Mapping[ErrorKind, type[RefusedError]] = {
    ErrorKind.AUTH: AuthenticationError,
    ErrorKind.FUNDS: InsufficientFundsError,
    ErrorKind.BLOCKED: BlockedError,
}


def refused_error(text: str, kind: ErrorKind | None) -> RefusedError:
    """Return the error of a recorded refusal, of the class that its kind had."""
    error_class = RefusedError if kind is None else _REFUSALS.get(kind, RefusedError)
    return error_class(text, kind=kind, action="add")


@frozen(kw_only=True)
class Outcome:
    """The outcome of an attempt, or a person's decision about it.

    Attributes:
        state: The next state of the entry.
        order: The panel's id; for UNKNOWN, an id that came with an error. None without an id.
        kind: The cause as an `ErrorKind`; None without a cause.
        reason: The cause as text; None without a message.
        balance_after: The balance after an attempt that ended unknown; None if it was not read.
        due_at: When it is checked, or sent again, next; None for never.
        decided_by: The person who decided it; None if no person did.
        is_error_answer: For UNKNOWN, whether the panel answered the attempt, completely, with an
            error that names no order.
        is_rerouted: With PREPARED: the panel refused, and another one is to be tried. An entry that
            is pinned to the panel becomes REFUSED instead.
    """

    state: EntryState
    order: str | None = None
    kind: ErrorKind | None = None
    reason: str | None = None
    balance_after: Decimal | None = None
    due_at: datetime | None = None
    decided_by: str | None = None
    is_error_answer: bool = False
    is_rerouted: bool = False


class EventKind(StrEnum):
    """What happened to an entry."""

    ACCEPTED = "accepted"
    """The panel returned an id."""
    REFUSED = "refused"
    """The panel refused."""
    UNKNOWN = "unknown"
    """An order may exist; a person must check the panel."""
    HELD = "held"
    """It waits for another order with the same link."""
    RELEASED = "released"
    """Its wait is over, or it was proved not sent: it is to be sent (again)."""
    REROUTED = "rerouted"
    """A panel refused it, and another one is to be tried."""
    WITHDRAWN = "withdrawn"
    """Withdrawn, or found not placed."""
    CHANGED = "changed"
    """The panel reported another status or another number, perhaps of an order that is finished:
    then it may have been refunded since."""
    MISSING = "missing"
    """The panel repeatedly did not know the id; the entry is unchanged."""
    FINISHED = "finished"
    """Final at the panel."""
    LATE = "late"
    """An answer with an order id arrived for an attempt that was given up; see `order`."""
    REFILL_CHANGED = "refill_changed"
    """A refill of the order changed: see `request_state`, and `raw_status` for the panel's word."""
    CANCEL_CHANGED = "cancel_changed"
    """A cancellation of the order changed: see `request_state`; the order itself has events of its
    own."""


@frozen(kw_only=True)
class JournalEvent(Serializable):
    """Something that happened to an entry. Events are numbered in the order they were recorded.

    Attributes:
        position: Its number among the account's events, 1 for the first, without gaps.
        at: When it was recorded, aware UTC.
        ref: The caller's name of the order.
        kind: What happened; see `EventKind`.
        attempt: The number of the attempt that it belongs to; 0 before the first.
        panel: The name of the panel that it happened at; None if no panel was concerned.
        order: The panel's id; None if there is none.
        raw_status: The status as the panel wrote it; None before the first check.
        charge: The charge at that time, in the currency of the entry; None if the panel reported
            none.
        remains: How many were still to be delivered; None if not known.
        text: The panel's message, or who decided and why, at most 500 characters; None without a
            message, and after `purge`.
        request_state: The state of the refill or cancellation that `kind` is about; None for events
            about the order.
    """

    _json: ClassVar[JsonFields] = JsonFields(raw=frozenset({"text"}))

    position: int
    at: datetime
    ref: str
    kind: EventKind
    attempt: int
    panel: str | None = None
    order: str | None = None
    raw_status: str | None = None
    charge: Decimal | None = None
    remains: int | None = None
    text: str | None = None
    request_state: RequestState | None = None


@frozen(kw_only=True)
class UnknownOrder(Serializable):
    """An order whose outcome is unknown, with the evidence for and against its existence.

    None of it is proof: a balance is also lowered by other orders and raised by deposits, and an
    order that the panel creates late shows in neither. Check the panel's own list of orders, then
    `resolve`.

    Attributes:
        entry: What was sent, when, and the answer.
        balance_drop: How much lower the balance was just after the attempt than just before it, in
            the panel's currency; None if one of the two was not read.
        link_reported_active: Whether the panel has reported, since the attempt, an active order
            with this link.
        other_refs: Refs of this journal's other orders with the same link that are accepted, being
            sent or unknown, 20 at most: one of them may be the active one.
    """

    _json: ClassVar[JsonFields] = JsonFields(
        computed={name: name for name in ("drop_difference", "drop_matches_price")}
    )

    entry: Entry
    balance_drop: Decimal | None
    link_reported_active: bool
    other_refs: tuple[str, ...]

    @property
    def drop_difference(self) -> Decimal | None:
        """How much more than the price the balance fell, below 0 for less; None if not known.

        In the desk's currency.
        """
        if self.balance_drop is None or self.entry.price is None:
            return None
        drop = EXACT.multiply(self.balance_drop, self.entry.exchange_rate)
        return EXACT.subtract(drop, self.entry.price)

    @property
    def drop_matches_price(self) -> bool | None:
        """Whether the balance fell by the price; None if that cannot be told.

        Panels round a balance: a difference below the last decimal of the balance with fewer
        decimals is none. A price below that decimal cannot be told from no drop.
        """
        difference, price = self.drop_difference, self.entry.price
        if difference is None or price is None or self.balance_drop is None:
            return None
        balances = (self.entry.balance_before, self.entry.balance_after)
        read = [each for each in balances if each is not None] or [self.balance_drop]
        step = EXACT.multiply(max(map(step_of, read)), self.entry.exchange_rate)
        if not difference:
            return True
        if EXACT.abs(difference) >= step:
            return False
        return True if price >= step else None


@frozen(kw_only=True)
class Summary(Serializable):
    """An account's orders in numbers; money in the account's currency.

    Attributes:
        by_state: How many orders are in each state; states without orders are left out.
        by_status: How many accepted and finished orders have each status (`Status`), "unseen"
            before the first check.
        spent: The charges of accepted and finished orders, net of refunds; the price of an order
            for which the panel reports no charge (yet).
        refunded: What was refunded for finished orders: price less charge, if both are known.
        at_risk: The prices of orders that are unknown or being sent.
        cost_unknown: How many accepted and finished orders have neither a charge nor a price, such
            as running subscriptions: what they cost is missing in `spent`.
    """

    by_state: Mapping[EntryState, int]
    by_status: Mapping[str, int]
    spent: Decimal
    refunded: Decimal
    at_risk: Decimal
    cost_unknown: int = 0
