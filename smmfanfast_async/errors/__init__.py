"""Every exception of the library.

Each answers three questions, as attributes:

- ``sent``: may a byte of the request have left this machine? False is a proof, True is not.
- ``maybe_placed``: may an order exist because of this call?
- ``safe_to_repeat``: can the same call again do harm? True says that it can not.

::

    PanelError
    ├── InvalidOrderError      (also ValueError) refused when built, nothing sent
    ├── InvalidSettingsError   (also ValueError) a key, address or number a client can't work with
    ├── UnsupportedActionError this panel has no such verb, nothing sent
    ├── ClosedError            (also RuntimeError) closed, or used from another event loop
    ├── RefConflictError       the ref belongs to an order of other content
    ├── SpendingLimitError     dearer than `max_charge`, or more than the day's budget; nothing sent
    ├── JournalError           the journal of orders can't be written or read; nothing was sent
    ├── NotSentError           proved: no byte of the request left
    │   └── PausedError        (also RateLimitedError) held back: the panel asked for a longer wait
    ├── NoReplyError           it may have left, no whole answer came back
    ├── UnreadableReplyError   an answer came back that means nothing sure
    ├── ServerError            HTTP 5xx: the panel, or what stands before it, failed
    ├── WaitTimeoutError       (also TimeoutError) the order was not final in time
    ├── RateLimitedError       asked too often; `retry_after_s` says when, if the panel did
    ├── RefusedError           the panel said no and did nothing
    │   ├── AuthError          wrong key, or an account that is blocked
    │   ├── FundsError         the balance is too low
    │   ├── OrderNotFoundError the panel does not know this id as yours
    │   └── BlockedError       stopped at the edge, before the panel
    └── OutcomeUnknownError    `add` alone: an order may exist; never repeat it blindly

What the panel answered is in `raw`, cleaned and cut. No error holds the key: an answer that says it
back has `***` in its place, and forms are kept without it. All of them copy and pickle.
"""

from ..kinds import ErrorKind
from .answered import (
    AuthError,
    BlockedError,
    FundsError,
    NoReplyError,
    OrderNotFoundError,
    RateLimitedError,
    RefusedError,
    ServerError,
    UnreadableReplyError,
    WaitTimeoutError,
)
from .before import (
    ClosedError,
    InvalidOrderError,
    InvalidSettingsError,
    JournalError,
    NotSentError,
    PausedError,
    RefConflictError,
    SpendingLimitError,
    UnsupportedActionError,
)
from .outcome import OutcomeUnknownError
from .root import PanelError

# For our own rooms: no name that users say.
from .root import without_frames as without_frames

__all__ = [
    "AuthError",
    "BlockedError",
    "ClosedError",
    "ErrorKind",
    "FundsError",
    "InvalidOrderError",
    "InvalidSettingsError",
    "JournalError",
    "NoReplyError",
    "NotSentError",
    "OrderNotFoundError",
    "OutcomeUnknownError",
    "PanelError",
    "PausedError",
    "RateLimitedError",
    "RefConflictError",
    "RefusedError",
    "ServerError",
    "SpendingLimitError",
    "UnreadableReplyError",
    "UnsupportedActionError",
    "WaitTimeoutError",
]
