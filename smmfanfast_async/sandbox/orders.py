"""An order of the sandbox: as it was asked for, and as it is stored."""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from attrs import field, frozen

from .services import SandboxService

__all__ = ["FINAL_STATES", "State", "StoredOrder", "OrderRequest", "parse_state"]


class State(StrEnum):
    """Where an order is; the value is the word that the panel prints.

    Lower case as in the document's samples ("pending", "processing"); the other words are seen.
    """

    PENDING = "pending"
    """Taken, nothing done yet."""
    PROCESSING = "processing"
    """Handed on, not started yet."""
    IN_PROGRESS = "in progress"
    """Pieces are coming: `remains` falls."""
    ACTIVE = "active"
    """Only subscriptions and drip-feeds: more orders will come of it."""
    COMPLETED = "completed"
    """Final: everything was delivered."""
    PARTIAL = "partial"
    """Final: some pieces were delivered, the money of the rest went back."""
    CANCELED = "canceled"
    """Final: all money went back."""
    REFUNDED = "refunded"
    """Final: all money went back after the work had begun."""
    EXPIRED = "expired"
    """Final, only subscriptions: its date has come."""


FINAL_STATES = frozenset(
    {State.COMPLETED, State.PARTIAL, State.CANCELED, State.REFUNDED, State.EXPIRED}
)
"""States that an order never leaves by itself."""


def parse_state(word: str) -> State:
    """Give the state a word means, without case, blanks, `_` and `-`; ValueError for none."""
    bare = _normalize_word(word)
    for state in State:
        if _normalize_word(state) == bare:
            return state
    raise ValueError(f"{word!r} is no status; there are: {', '.join(State)}")


def _normalize_word(word: str) -> str:
    return word.lower().replace(" ", "").replace("_", "").replace("-", "")


@frozen(kw_only=True)
class OrderRequest:
    """An order form that passed every check but those of funds and of active links."""

    service: SandboxService
    """The service as it stood when the order was made; a later price changes nothing."""
    fields: Mapping[str, str] = field(repr=False)
    """The whole form without `key` and `action`, as the panel understood it; read only."""
    link: str
    """The page; "" for a subscription without one."""
    quantity: int
    """Pieces in all: for a drip-feed `runs` times the quantity asked, 0 for a subscription."""
    price: Decimal
    """What is charged at once; 0 for a subscription."""
    runs: int | None = None
    """Parts of a drip-feed; None for any other order."""
    interval_s: float = 0
    """Seconds between two runs."""
    per_post: tuple[int, int] | None = None
    """Least and most pieces for each post of a subscription; None for any other order."""
    posts: int | None = None
    """New posts a subscription was asked for; None leaves it to the sandbox."""
    old_posts: int = 0
    """Posts from before that come beside them; API v2 alone reads it."""


@frozen(kw_only=True)
class StoredOrder:
    """What the panel has stored of one order, at one moment."""

    order: str
    """The id, as text."""
    service: str
    """The id of its service."""
    type: str
    """The order type of its service."""
    status: State
    """A state; it compares equal to the word that the panel prints."""
    link: str
    """The page; "" for a subscription without one."""
    quantity: int
    """Pieces in all; 0 for a subscription, whose pieces are in its `orders`."""
    price: Decimal
    """What it cost when it was made, 4 decimals; 0 for a subscription."""
    charge: Decimal
    """What it holds of the account's money, net of refunds, 4 decimals. A drip-feed hands its
    money on to its runs, so the sum of `charge` over all orders is the money spent."""
    start_count: int
    """The count found at the start; 0 before it."""
    remains: int
    """Pieces still to come; 0 before the start (as in the document's sample)."""
    created_s: float
    """Panel seconds at which it was made; below 0 for one of the `existing_orders`."""
    fields: Mapping[str, str]
    """The whole form without `key` and `action`, as the panel understood it; read only."""
    parent: str | None = None
    """The drip-feed or subscription that made it; None if a request did."""
    runs: int | None = None
    """Runs of a drip-feed begun so far; None for any other order."""
    posts: int | None = None
    """Posts of a subscription ordered so far; None for any other order."""
    orders: tuple[str, ...] = ()
    """Ids of the orders it has made."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.status in FINAL_STATES
