"""The life of an order in a journal: its states, the legal transitions, and the `Journal` protocol.

How this works. An order that is to be placed gets an `Entry` before anything is sent. The entry is
identified by the caller's *ref*, which is the idempotency key. Each attempt to send the order first
moves the entry to SENDING, durably; the outcome of the attempt moves it on. `TRANSITIONS` lists
every legal transition. A transition names the state and the attempt that it starts from, and a
journal applies it only if both still match, so that one of two concurrent writers succeeds::

    PREPARED ──> SENDING ──> ACCEPTED ──> FINISHED        the panel returned an id; the id is final
       ↑  ↑       │  │  └──> REFUSED ───> PREPARED        the panel refused; only `retry` goes on
       │  └───────┘  └─────> UNKNOWN ───> ACCEPTED, REFUSED, WITHDRAWN
       │ proved not sent       never from UNKNOWN to SENDING: a person, a late answer or, if
       │                       asked for, the balance decides
     HELD <── SENDING          another order for the same link is active at the panel

No lock is held during a network call. SENDING has a lease instead, the time by which the attempt
must have ended; after it has expired, the outcome counts as UNKNOWN. Pure: no SQL, no clock.
"""

from .activity import Activity, Settlement
from .circuit import MAX_OPEN, PROBE_LEASE, Circuit, CircuitState
from .consumers import ConsumerClaim, StreamKind
from .entry import (
    DEFAULT_PANEL,
    MAX_REASON_CHARACTERS,
    MAX_REF_CHARACTERS,
    Entry,
    EventKind,
    JournalEvent,
    NewEntry,
    Outcome,
    Summary,
    UnknownOrder,
    parse_ref,
)
from .health import ConsumerHealth, DeskHealth, PanelHealth
from .observations import CallReservation, Claim, Observation
from .protocol import Journal
from .request_states import OPEN_REQUEST_STATES, REQUEST_TRANSITIONS, RequestKind, RequestState
from .requests import (
    FINAL_REFILL_STATUSES,
    OrderRequest,
    RefillClaim,
    RefillObservation,
    RequestOutcome,
    may_request,
)
from .services import (
    Comparison,
    NewServiceEvent,
    ServiceEvent,
    ServiceEventKind,
    ServiceRound,
    WatchClaim,
    WatchedService,
)
from .states import OPEN_STATES, SPENDING_STATES, TRANSITIONS, EntryState

__all__ = [
    "DEFAULT_PANEL",
    "FINAL_REFILL_STATUSES",
    "MAX_OPEN",
    "MAX_REASON_CHARACTERS",
    "MAX_REF_CHARACTERS",
    "OPEN_REQUEST_STATES",
    "OPEN_STATES",
    "PROBE_LEASE",
    "REQUEST_TRANSITIONS",
    "SPENDING_STATES",
    "TRANSITIONS",
    "Activity",
    "CallReservation",
    "Circuit",
    "CircuitState",
    "Claim",
    "Comparison",
    "ConsumerClaim",
    "ConsumerHealth",
    "DeskHealth",
    "Entry",
    "EntryState",
    "EventKind",
    "Journal",
    "JournalEvent",
    "NewEntry",
    "NewServiceEvent",
    "Observation",
    "OrderRequest",
    "Outcome",
    "PanelHealth",
    "RefillClaim",
    "RefillObservation",
    "RequestKind",
    "RequestOutcome",
    "RequestState",
    "ServiceEvent",
    "ServiceEventKind",
    "ServiceRound",
    "Settlement",
    "StreamKind",
    "Summary",
    "UnknownOrder",
    "WatchClaim",
    "WatchedService",
    "may_request",
    "parse_ref",
]
