"""The circuit of a panel, as a journal keeps it: whether orders are sent there. Pure."""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from attrs import frozen

from ..errors import ErrorKind

__all__ = ["MAX_OPEN", "PROBE_LEASE", "Circuit", "CircuitState"]

MAX_OPEN = timedelta(hours=1)
"""The longest time for which a circuit can be open. One that ends later was opened before the clock
was set back, and its time is over."""

PROBE_LEASE = timedelta(seconds=30)
"""How long one desk has the right to probe a panel: longer than the probe with its waits, so that
there is one at a time, and short, so that one of a desk that was killed delays the next only
little."""


class CircuitState(StrEnum):
    """Whether orders are sent to a panel."""

    CLOSED = "closed"
    """Orders are sent."""
    OPEN = "open"
    """The panel failed: orders wait as PREPARED."""
    HALF_OPEN = "half_open"
    """The wait is over: one call that orders nothing shows whether the panel is back."""


@frozen(kw_only=True)
class Circuit:
    """The circuit of one panel, shared by all desks of the account. All times are aware UTC.

    Attributes:
        failure_count: Calls that failed in a row; while it is open, each failed probe counts too.
        open_until: When the panel is probed; None while orders are sent.
        probe_until: Until when one desk has the right to probe it; None if none does.
        reason: Why orders are not sent: FUNDS, AUTH, or the failure of the last call; None while
            they are.
        balance: The balance that was last recorded, in `currency`; None if there is none.
        currency: The currency of the balance, None if the panel stated none.
        balance_at: When that balance was recorded.
    """

    failure_count: int = 0
    open_until: datetime | None = None
    probe_until: datetime | None = None
    reason: ErrorKind | None = None
    balance: Decimal | None = None
    currency: str | None = None
    balance_at: datetime | None = None

    def state(self, now: datetime) -> CircuitState:
        """Return whether orders are sent at that time."""
        if self.open_until is None:
            return CircuitState.CLOSED
        is_waiting = now < self.open_until <= now + MAX_OPEN
        return CircuitState.OPEN if is_waiting else CircuitState.HALF_OPEN

    def is_probed(self, now: datetime) -> bool:
        """Return whether a desk has the right to probe the panel at that time."""
        return self.probe_until is not None and now < self.probe_until <= now + PROBE_LEASE
