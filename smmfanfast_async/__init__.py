"""An asyncio client for SMM-panel APIs.

Four promises: it never orders twice and never loses an order, every status call is a batch, no row
is lost, and the key never leaks.

The rooms of this package, from the ground up: `errors`; `orders` (what we say), `results` (what the
panel says), `profile` (what differs between panels); `catalogue` (services, checks, quotes);
`client` (the verbs). Beside them stand, imported by their own path: `desk` (place once, follow to
the end) with its `journal` and `sql_journal`, `sandbox` (a panel on this machine to test against)
and `cli` (the command line); `events` (what `on_event` is told, and the fields of the log), with
`otel` and `prometheus` (hooks that pass it on); `pytest_plugin` (fixtures for tests of bots).

What `help()` can't show: each field of a class has its text under it in the source, where editors
find it; and the rooms with a path of their own have a page each, such as
`python -m pydoc smmfanfast_async.desk`.
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
    "Status",
    "StatusChange",
    "SubscriptionsOrder",
    "UnsupportedActionError",
    "WaitTimeoutError",
    "WebTrafficOrder",
    "__version__",
    "total_quantity",
]

_ROOMS = (
    "errors",
    "orders",
    "profile",
    "_engine.policy",
    "results",
    "changes",
    "catalogue",
    "client",
)
"""Where the public names live, from the ground up."""


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for, so that a command line need not wait for aiohttp."""
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    for room in _ROOMS if name in __all__ else ():
        module = import_module(f"{__name__}.{room}")
        if name in module.__all__:
            value: object = getattr(module, name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


# Whoever uses the library says where its log goes; until then it goes nowhere.
logging.getLogger(__name__).addHandler(logging.NullHandler())
