"""What of an account is under way: what a desk looks at before it settles an order by balance."""

from datetime import datetime

from attrs import frozen

from .entry import Entry

__all__ = ["Activity", "Settlement"]


@frozen(kw_only=True)
class Activity:
    """What of an account is under way, as it was at one moment.

    Attributes:
        at: The moment, by the journal's clock, aware UTC.
        in_flight: How many attempts are in flight, on any machine.
        unknown: The orders whose outcome is unknown, the oldest first.
        position: The position of the account's last event; 0 for none.
    """

    at: datetime
    in_flight: int
    unknown: tuple[Entry, ...]
    position: int


@frozen(kw_only=True)
class Settlement:
    """An attempt that is to be settled as refused, since the balance shows no order.

    Attributes:
        ref: The caller's name of the order.
        attempt: The number of the attempt.
        reason: The evidence, as text.
    """

    ref: str
    attempt: int
    reason: str
