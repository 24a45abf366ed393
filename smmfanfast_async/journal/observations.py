"""What a desk has reserved in a journal: orders to check, with what it found, and calls."""

from datetime import datetime, timedelta
from decimal import Decimal

from attrs import frozen

from ..results import OrderStatus
from .entry import DEFAULT_PANEL, Entry

__all__ = ["CallReservation", "Claim", "Observation"]


@frozen(kw_only=True)
class Claim:
    """An accepted or finished order that only one desk may check until the claim expires.

    Attributes:
        key: The journal's own key of the entry.
        version: The version of the claim, a fencing token: a later claim invalidates this one.
        entry: The order when it was claimed.
    """

    key: int
    version: int
    entry: Entry


@frozen(kw_only=True)
class Observation:
    """The result of checking a claimed order.

    Attributes:
        claim: The claim under which the order was checked.
        status: The order's status; None if the panel answered and did not know the id.
        due_at: When to check next, aware UTC, if it is not final.
        recheck_at: When to check it again although it is final, aware UTC; None for never.
        is_final: Whether the status is final by the panel's own list (`Profile.final_statuses`).
        charge: What the orders that it created cost together; None for other orders, and if that is
            not known: then the charge of `status` counts.
        currency: The currency of `charge`; None if the panel did not state one.
        has_open_orders: Whether orders that it created are still open, or not known yet: it is not
            final before they are.
    """

    claim: Claim
    status: OrderStatus | None
    due_at: datetime
    recheck_at: datetime | None = None
    is_final: bool = False
    charge: Decimal | None = None
    currency: str | None = None
    has_open_orders: bool = False


@frozen(kw_only=True)
class CallReservation:
    """The time of one call to a panel, reserved on all machines.

    Attributes:
        wait: How long to wait for it.
        call_at: When the call may be made, aware UTC.
        next_call_at: When the call after it may be made, if none was reserved since.
        panel: The name of the panel.
    """

    wait: timedelta
    call_at: datetime
    next_call_at: datetime
    panel: str = DEFAULT_PANEL
