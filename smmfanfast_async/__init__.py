"""An asyncio client for SMM-panel APIs.

It makes four guarantees:

- It never orders twice and never loses an order: `add` ends as placed, refused, not sent, or
  unknown.
- Every status call is a batch: a thousand concurrent `status()` calls make ten requests.
- Bad records are isolated: a malformed field or an invalid id never affects another record.
- The API key never leaks into text, logs, tracebacks, stored rows, or to another host.

The modules, lowest layer first (imports run downwards only):

- `errors`: the exception tree, with `ErrorKind`.
- `orders`: the orders that are sent, one class for each type; `results`: what the panel returns.
- `profile`: how panels differ: limits, parameter names, refusal texts.
- `catalogue`: services, order checks and prices; `changes`: what changed between two statuses.
- `events`: the values passed to `on_event`, and the fields of the log.
- `_wire`: values to bytes and back (`encode`, `decode`), and the connections (`transport`).
- `_engine`: how a call runs: slots, retries, batching, polling, caching, instrumentation.
- `client`: `Client`, one coroutine for each API action.

Imported by their own path:

- `desk`: place each order once by your reference, and follow it until it is final; with its
  `journal` (pure) and `journal.sql` (SQLite, PostgreSQL).
- `refusal_texts`: refusals in seven languages, to be added to a profile.
- `integrations`: `otel` and `prometheus` (hooks for `on_event`), `pytest_plugin` (fixtures).
- `sandbox`: a panel on this machine to test against; `cli`: the command line.

`help()` does not show the text under each field of a class; editors find it in the source. Modules
imported by their own path have a page each, such as `python -m pydoc smmfanfast_async.desk`.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._engine.policy import PollPolicy, RetryPolicy
    from .catalogue import Catalogue, CatalogueDiff, ServiceChange, total_quantity
    from .changes import ChangeKind, StatusChange
    from .client import Client
    from .errors import (
        AuthenticationError,
        BlockedError,
        ClosedError,
        ErrorKind,
        InsufficientFundsError,
        InvalidCode,
        InvalidOrderError,
        InvalidResponseError,
        InvalidSettingsError,
        JournalError,
        NoResponseError,
        NotSentError,
        OrderNotFoundError,
        OutcomeUnknownError,
        PanelError,
        PausedError,
        RateLimitError,
        RefConflictError,
        RefusedError,
        ServerError,
        SpendingLimitError,
        StaleEventError,
        UnsupportedActionError,
        WaitTimeoutError,
    )
    from .orders import (
        API_V2_ORDER_TYPES,
        ORDER_TYPES,
        CommentLikesOrder,
        CommentRepliesOrder,
        CustomCommentsOrder,
        CustomCommentsPackageOrder,
        DefaultOrder,
        InvitesFromGroupsOrder,
        MentionsCustomListOrder,
        MentionsHashtagOrder,
        MentionsMediaLikersOrder,
        MentionsOrder,
        MentionsUserFollowersOrder,
        MentionsWithHashtagsOrder,
        Order,
        PackageOrder,
        PollOrder,
        SeoOrder,
        SubscriptionsOrder,
        WebTrafficOrder,
    )
    from .profile import API_V2, SMMFANFAST, Profile, Refusal
    from .results import (
        AddedOrder,
        Balance,
        CancelResult,
        OrderStatus,
        RefillResult,
        RefillStatus,
        Service,
        Status,
    )

__version__ = "1.0.0"

__all__ = [
    "API_V2",
    "API_V2_ORDER_TYPES",
    "ORDER_TYPES",
    "SMMFANFAST",
    "AddedOrder",
    "AuthenticationError",
    "Balance",
    "BlockedError",
    "CancelResult",
    "Catalogue",
    "CatalogueDiff",
    "ChangeKind",
    "Client",
    "ClosedError",
    "CommentLikesOrder",
    "CommentRepliesOrder",
    "CustomCommentsOrder",
    "CustomCommentsPackageOrder",
    "DefaultOrder",
    "ErrorKind",
    "InsufficientFundsError",
    "InvalidCode",
    "InvalidOrderError",
    "InvalidResponseError",
    "InvalidSettingsError",
    "InvitesFromGroupsOrder",
    "JournalError",
    "MentionsCustomListOrder",
    "MentionsHashtagOrder",
    "MentionsMediaLikersOrder",
    "MentionsOrder",
    "MentionsUserFollowersOrder",
    "MentionsWithHashtagsOrder",
    "NoResponseError",
    "NotSentError",
    "Order",
    "OrderNotFoundError",
    "OrderStatus",
    "OutcomeUnknownError",
    "PackageOrder",
    "PanelError",
    "PausedError",
    "PollOrder",
    "PollPolicy",
    "Profile",
    "RateLimitError",
    "RefConflictError",
    "RefillResult",
    "RefillStatus",
    "Refusal",
    "RefusedError",
    "RetryPolicy",
    "SeoOrder",
    "ServerError",
    "Service",
    "ServiceChange",
    "SpendingLimitError",
    "StaleEventError",
    "Status",
    "StatusChange",
    "SubscriptionsOrder",
    "UnsupportedActionError",
    "WaitTimeoutError",
    "WebTrafficOrder",
    "__version__",
    "total_quantity",
]

_MODULES = (
    "errors",
    "orders",
    "profile",
    "_engine.policy",
    "results",
    "changes",
    "catalogue",
    "client",
)
"""Modules that define the public names, lowest layer first."""


def __getattr__(name: str) -> object:
    """Load a name when it is first used, so that the command line need not wait for aiohttp."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    for module_name in _MODULES if name in __all__ else ():
        module = import_module(f"{__name__}.{module_name}")
        if name in module.__all__:
            value: object = getattr(module, name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


# The application configures where the log goes; until then it is discarded.
logging.getLogger(__name__).addHandler(logging.NullHandler())
