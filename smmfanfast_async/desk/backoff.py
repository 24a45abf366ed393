"""How long a desk is quiet after calls that failed. Pure: time and randomness are arguments.

How this works. Each desk counts its own failures and waits longer after each. What waits, a desk or
an order, is late by a random share of its wait: machines that met the same outage ask again one
after the other, and what they gave back is not due in one moment.
"""

from attrs import define

__all__ = ["BACKOFF_S", "MAX_BACKOFF_S", "Backoff", "spread_s"]

BACKOFF_S, MAX_BACKOFF_S = 1.0, 60.0
"""Seconds of quiet after a call that failed, doubling with each that follows: a panel that is down
for an hour gets a call a minute from each desk."""

SPREAD = 0.5
"""How much longer a wait may be at random, as a share of it."""

LONGEST_SPREAD_S = 15.0
"""How much longer in seconds at most: after a pause of minutes nobody need be late by minutes."""

MAX_DOUBLINGS = 10
"""Doublings of a quiet: the longest is reached before, and a float overflows at 1024."""


def spread_s(wait_s: float, random: float) -> float:
    """Give a wait that is lengthened at random; `random` is a number from 0 up to 1."""
    return wait_s + random * min(wait_s * SPREAD, LONGEST_SPREAD_S)


@define
class Backoff:
    """Until when a desk asks nothing, by a monotonic clock in seconds."""

    failures: int = 0
    """Calls that failed whole, one after the other."""
    until_s: float = 0.0
    """Nothing is asked before this moment."""
    _failed_at_s: float = 0.0

    def wait_s(self, now_s: float) -> float:
        """Say how long the desk is still quiet; 0 where it may ask."""
        return max(self.until_s - now_s, 0.0)

    def succeeded(self) -> None:
        """Take note of a call that told something."""
        self.failures = 0

    def failed(self, begun_s: float, now_s: float) -> float:
        """Take note of a call that failed whole; give for how long to be quiet then.

        Calls that were under way together, by when they were begun, fail as one.
        """
        if begun_s >= self._failed_at_s:
            self.failures += 1
            self._failed_at_s = now_s
        doublings = min(max(self.failures - 1, 0), MAX_DOUBLINGS)
        return min(BACKOFF_S * 2.0**doublings, MAX_BACKOFF_S)

    def pause(self, wait_s: float, now_s: float, random: float) -> None:
        """Be quiet for some time from now on, or until later where that is known already."""
        if now_s + wait_s > self.until_s:
            self.until_s = now_s + spread_s(wait_s, random)
