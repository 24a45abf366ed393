"""Refills and cancellations of orders: the values written to a journal and read from it."""

from datetime import datetime
from typing import ClassVar

from attrs import field, frozen

from .._serialization import JsonFields, Serializable
from ..errors import ErrorKind
from ..results import FINAL_STATUSES, RefillStatus, Status
from .entry import Entry
from .request_states import OPEN_REQUEST_STATES, RequestKind, RequestState
from .states import EntryState

__all__ = [
    "FINAL_REFILL_STATUSES",
    "OrderRequest",
    "RefillClaim",
    "RefillObservation",
    "RequestOutcome",
    "may_request",
]


FINAL_REFILL_STATUSES = FINAL_STATUSES | {Status.REJECTED, Status.ERROR}
"""Statuses after which nothing more happens to a refill (assumed; documented by API v2 panels are
completed, rejected and error)."""

_REFILLABLE = {Status.COMPLETED, Status.PARTIAL}


def may_request(kind: RequestKind, entry: Entry) -> bool:
    """Return whether an order can be refilled or canceled in its state."""
    if kind is RequestKind.REFILL:
        return entry.state is EntryState.FINISHED and entry.status in _REFILLABLE
    # What is not sent yet is withdrawn.
    return entry.state in (EntryState.PREPARED, EntryState.HELD, EntryState.ACCEPTED)


@frozen(kw_only=True)
class OrderRequest(Serializable):
    """A refill or a cancellation in the journal as it was when it was read.

    All times are aware UTC.

    Attributes:
        ref: The caller's name of the order.
        kind: Refill or cancellation.
        number: 1 for the first request of this kind for this order, 2 for the next one.
        state: The state between the caller and the panel; see `RequestState`.
        attempt: The number of attempts to send it that were started; 0 before the first.
        panel: The name of the order's panel; None for one that was withdrawn before it was sent.
        order: The panel's id of the order; None as for `panel`.
        refill: The panel's id of the refill; None before it is known, and for cancellations.
        raw_status: The panel's word, at most 200 characters: of the refill, or of the order at the
            end of a cancellation; None before it is known.
        reason: Why it is refused, unknown or not sent yet, or what a person decided, at most 500
            characters; None if there is no message, and after `purge`.
        error_kind: The same as an `ErrorKind`; None without an error.
        decided_by: Who requested it; None after `purge`.
        created_at: When it was recorded.
        sent_at: When the last attempt started; None before the first.
        changed_at: When its state or the panel's word last changed.
        settled_at: When it was refused or finished; None while it is open.
        is_new: Whether the call that returned it has recorded it. It does not count in comparisons.
    """

    _json: ClassVar[JsonFields] = JsonFields(
        computed={"status": "status", "is_open": "is_open"}, raw=frozenset({"reason"})
    )

    ref: str
    kind: RequestKind
    number: int
    state: RequestState
    attempt: int = 0
    panel: str | None = None
    order: str | None = None
    refill: str | None = None
    raw_status: str | None = None
    reason: str | None = None
    error_kind: ErrorKind | None = None
    decided_by: str | None = None
    created_at: datetime
    sent_at: datetime | None = None
    changed_at: datetime
    settled_at: datetime | None = None
    is_new: bool = field(default=False, eq=False)

    @property
    def status(self) -> Status | None:
        """`raw_status` as a known status; None before it is known."""
        return None if self.raw_status is None else Status.parse(self.raw_status)

    @property
    def is_open(self) -> bool:
        """Whether the desk still has something to do, or a person must decide."""
        return self.state in OPEN_REQUEST_STATES


@frozen(kw_only=True)
class RequestOutcome:
    """The outcome of an attempt of a request, or a person's decision about it.

    Attributes:
        state: The next state of the request.
        refill: The panel's id of the refill; None without an id.
        error_kind: The cause as an `ErrorKind`; None without a cause.
        reason: The cause as text; None without a message.
        due_at: When it is sent again, or the refill is checked, next; None for never.
        order_due_at: When the order is checked, at the latest; None to leave that as it is.
        decided_by: The person who decided it; None if no person did.
    """

    state: RequestState
    refill: str | None = None
    error_kind: ErrorKind | None = None
    reason: str | None = None
    due_at: datetime | None = None
    order_due_at: datetime | None = None
    decided_by: str | None = None


@frozen(kw_only=True)
class RefillClaim:
    """An accepted refill that only one desk may check until the claim expires.

    Attributes:
        key: The journal's own key of the request.
        version: The version of the claim, a fencing token: a later claim invalidates this one.
        request: The request when it was claimed.
        refill: The panel's id of the refill.
    """

    key: int
    version: int
    request: OrderRequest
    refill: str


@frozen(kw_only=True)
class RefillObservation:
    """The result of checking a claimed refill.

    Attributes:
        claim: The claim under which the refill was checked.
        status: Its status; None if the panel did not return one.
        due_at: When to check next, aware UTC, if it is not final.
        is_final: Whether the status is final by the panel's own list
            (`Profile.final_refill_statuses`).
        error_kind: Why the panel refused to return a status; None if it did not refuse.
        reason: The same as text.
    """

    claim: RefillClaim
    status: RefillStatus | None
    due_at: datetime
    is_final: bool = False
    error_kind: ErrorKind | None = None
    reason: str | None = None
