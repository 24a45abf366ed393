"""An order's life in a journal: its states, the legal moves between them, what a journal must do.

How this works. An order that is to be placed gets an `Entry` under a name of the caller's own, its
*ref*, before anything is sent. Each attempt to send it first moves the entry to SENDING, durably;
whatever becomes of the attempt moves it on. `TRANSITIONS` is the whole of what may follow what. A move
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

from .entry import (
    MAX_REASON_CHARACTERS,
    MAX_REF_CHARACTERS,
    Claim,
    Entry,
    EventKind,
    JournalEvent,
    NewEntry,
    Observation,
    Outcome,
    Summary,
    UnknownOrder,
    parse_ref,
)
from .protocol import Journal
from .states import OPEN_STATES, SPENDING_STATES, TRANSITIONS, EntryState

__all__ = [
    "MAX_REASON_CHARACTERS",
    "MAX_REF_CHARACTERS",
    "OPEN_STATES",
    "SPENDING_STATES",
    "TRANSITIONS",
    "Claim",
    "Entry",
    "EntryState",
    "EventKind",
    "Journal",
    "JournalEvent",
    "NewEntry",
    "Observation",
    "Outcome",
    "Summary",
    "UnknownOrder",
    "parse_ref",
]
