"""When finished orders are checked again: some panels refund an order days after it was final.

How this works. A finished order is due again when it has been unchanged for one day, then for two,
four, eight and so on, and for the last time after `days`: six times in 30 days. All orders of an
account are due at the same minute of an hour, so that a status call asks for a hundred of them.
"""

from datetime import UTC, datetime, timedelta
from zlib import crc32

from attrs import frozen

from ..journal import Entry, EntryState
from ..results import OrderStatus

__all__ = ["MAX_RECHECK_DAYS", "Rechecks"]

MAX_RECHECK_DAYS = 366
"""The longest time for which finished orders are checked again: panels refund within days."""

FIRST = timedelta(days=1)
"""From the final status to the first check after it."""

GRID = timedelta(hours=1)
"""From one moment at which finished orders are due to the next: in that time, some accumulate."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class Rechecks:
    """When the finished orders of one account are checked again."""

    days: float
    """For how many days an order is checked again after its last change; 0 for never."""
    account: str
    """The account: its checks do not fall on the same minute as those of all others."""

    def next_at(self, entry: Entry, status: OrderStatus | None, now: datetime) -> datetime | None:
        """Return when an order is checked again that is final after a check; None for never.

        `entry` is the order before that check, `status` what the check returned, None for nothing.
        """
        last = timedelta(days=self.days)
        changed_at = now if _has_changed(entry, status) else entry.changed_at or entry.created_at
        unchanged = now - changed_at
        if unchanged >= last:
            return None
        age = max(FIRST, 2 * (unchanged // FIRST) * FIRST)  # in whole days, as the grid adds a part
        return self._next_on_grid(changed_at + min(age, last))

    def _next_on_grid(self, at: datetime) -> datetime:
        """Return the first moment from `at` on at which finished orders are due."""
        offset = timedelta(seconds=crc32(self.account.encode()) % GRID.total_seconds())
        return at + -(at - _EPOCH - offset) % GRID


def _has_changed(entry: Entry, status: OrderStatus | None) -> bool:
    if entry.state is not EntryState.FINISHED:
        return True
    if status is None:
        return False
    return status.status is not entry.status or status.charge not in (None, entry.charge)
