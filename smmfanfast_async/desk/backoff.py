"""How long a desk waits after failed calls. Pure: time and randomness are arguments.

How this works. Each desk counts its own failures and waits longer after each one. Every wait, of a
desk or of an order, is lengthened by a random share: desks that met the same outage do not retry at
the same moment, and the orders that they released do not become due at the same moment.
"""

from attrs import define

__all__ = ["Backoff", "add_jitter"]

JITTER_SHARE = 0.5
"""How much longer a wait may be at random, as a share of it."""

MAX_JITTER_S = 15.0
"""How much longer in seconds at most: a pause of minutes need not be lengthened by minutes."""

MAX_DOUBLINGS = 10
"""Doublings of a backoff: the longest is reached before, and a float overflows at 1024."""


def add_jitter(wait_s: float, fraction: float) -> float:
    """Return a wait lengthened at random; `fraction` is a random number from 0 up to 1."""
    return wait_s + fraction * min(wait_s * JITTER_SHARE, MAX_JITTER_S)


@define(kw_only=True)
class Backoff:
    """Until when a desk makes no status call, by the desk's clock in seconds."""

    min_s: float
    """Seconds of backoff after one failure; doubles with each further one."""
    max_s: float
    """Longest backoff, in seconds."""
    failures: int = 0
    """Consecutive calls that failed as a whole."""
    until_s: float = 0.0
    """No call is made before this moment."""
    _failed_at_s: float = 0.0

    def remaining_s(self, now_s: float) -> float:
        """Return how long the backoff still lasts; 0 if a call may be made."""
        return max(self.until_s - now_s, 0.0)

    def on_success(self) -> None:
        """Record a call that returned the status of at least one order."""
        self.failures = 0

    def on_failure(self, started_s: float, now_s: float) -> float:
        """Record a call that failed as a whole; return how long to back off.

        Calls that were in flight together, judged by when they started, count as one failure.
        """
        if started_s >= self._failed_at_s:
            self.failures += 1
            self._failed_at_s = now_s
        doublings = min(max(self.failures - 1, 0), MAX_DOUBLINGS)
        return min(self.min_s * 2.0**doublings, self.max_s)

    def pause(self, wait_s: float, now_s: float, fraction: float) -> None:
        """Make no call for `wait_s` seconds; a longer backoff that is already set stays."""
        if now_s + wait_s > self.until_s:
            self.until_s = now_s + add_jitter(wait_s, fraction)
