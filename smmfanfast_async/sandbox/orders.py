"""Orders of the sandbox: as requested, and as stored."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from attrs import field, frozen

from .services import SandboxService

__all__ = ["FINAL_STATES", "OrderRequest", "State", "StoredOrder", "parse_state"]


class State(StrEnum):
    """The status of an order; the value is the text that the panel prints.

    Lower case as in the document's samples ("pending", "processing"); the other texts are seen.
    """

    PENDING = "pending"
    """Accepted, not started."""
    PROCESSING = "processing"
    """Assigned to a provider, not started."""
    IN_PROGRESS = "in progress"
    """Being delivered: `remains` decreases."""
    ACTIVE = "active"
    """Only subscriptions and drip-feeds: further orders will be created."""
    COMPLETED = "completed"
    """Final: everything was delivered."""
    PARTIAL = "partial"
    """Final: some pieces were delivered, the rest was refunded."""
    CANCELED = "canceled"
    """Final: the full price was refunded."""
    REFUNDED = "refunded"
    """Final: the full price was refunded after delivery had started."""
    EXPIRED = "expired"
    """Final, only subscriptions: the expiry date was reached."""


FINAL_STATES = frozenset(
    {State.COMPLETED, State.PARTIAL, State.CANCELED, State.REFUNDED, State.EXPIRED}
)
"""States that an order never leaves on its own."""


def parse_state(word: str) -> State:
    """Return the state with this name, ignoring case, spaces, `_` and `-`; ValueError if none."""
    normalized = _normalize_word(word)
    for state in State:
        if _normalize_word(state) == normalized:
            return state
    raise ValueError(f"{word!r} is not a status; use one of {', '.join(State)}")


def _normalize_word(word: str) -> str:
    return word.lower().replace(" ", "").replace("_", "").replace("-", "")


@frozen(kw_only=True)
class OrderRequest:
    """An order form that passed every check except those for funds and active links."""

    service: SandboxService
    """The service as it was when the order was created; later price changes have no effect."""
    fields: Mapping[str, str] = field(repr=False)
    """The whole form without `key` and `action`, as decoded by the panel; read-only."""
    link: str
    """The target page; "" for a subscription without one."""
    quantity: int
    """Total pieces: for a drip-feed `runs` times the requested quantity, 0 for a subscription."""
    price: Decimal
    """The price charged immediately; 0 for a subscription."""
    runs: int | None = None
    """Runs of a drip-feed; None for any other order."""
    interval_s: float = 0
    """Seconds between two runs."""
    per_post: tuple[int, int] | None = None
    """Minimum and maximum pieces per post of a subscription; None for any other order."""
    posts: int | None = None
    """New posts requested for a subscription; None leaves the number to the sandbox."""
    old_posts: int = 0
    """Additional existing posts; only API v2 supports them."""


@frozen(kw_only=True)
class StoredOrder:
    """The stored data of one order at one moment."""

    order: str
    """The id, as text."""
    service: str
    """The id of its service."""
    type: str
    """The order type of its service."""
    status: State
    """The status; it compares equal to the text that the panel prints."""
    link: str
    """The target page; "" for a subscription without one."""
    quantity: int
    """Total pieces; 0 for a subscription, whose pieces are in its `orders`."""
    price: Decimal
    """The price when it was created, 4 decimals; 0 for a subscription."""
    charge: Decimal
    """The part of the account's money spent on it, net of refunds, 4 decimals. A drip-feed
    transfers its charge to its runs, so the sum of `charge` over all orders is the money spent."""
    start_count: int
    """The count at the start of delivery; 0 before it."""
    remains: int
    """Pieces still to be delivered; 0 before the start (as in the document's sample)."""
    created_s: float
    """Creation time in panel seconds; negative for one of the `existing_orders`."""
    fields: Mapping[str, str]
    """The whole form without `key` and `action`, as decoded by the panel; read-only."""
    parent: str | None = None
    """The id of the drip-feed or subscription that created it; None if a request did."""
    runs: int | None = None
    """Runs of a drip-feed started so far; None for any other order."""
    posts: int | None = None
    """Posts of a subscription ordered so far; None for any other order."""
    orders: tuple[str, ...] = ()
    """Ids of the orders it has created."""

    @property
    def is_final(self) -> bool:
        """Whether its status no longer changes on its own."""
        return self.status in FINAL_STATES
