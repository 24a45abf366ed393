"""Elapsed time that includes the time in which the machine was suspended."""

import time
from collections.abc import Callable

__all__ = ["ElapsedClock", "boot_time_s", "elapsed_s"]

MIN_JUMP_S = 1.0
"""How far the wall clock must get ahead between two readings to count as a suspension, in seconds:
more than a clock is slewed or rounded by, and less than any time limit of an order."""


def boot_time_s() -> float:
    """Return the seconds since the system started, with suspension where the system counts it."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class ElapsedClock:
    """A clock that never goes back and does not stand still while the machine is suspended.

    `time.monotonic` stands still on Linux and macOS if the lid is closed, and every clock of a
    virtual machine does while it is paused. Afterwards its wall clock is set right: what that one
    gains on the other counts as time too, whatever the reason. A limit may then end early, and
    never late.
    """

    def __init__(
        self, boot_s: Callable[[], float] = boot_time_s, wall_s: Callable[[], float] = time.time
    ) -> None:
        self.boot_s = boot_s
        self.wall_s = wall_s
        self._suspended_s = 0.0
        self._difference_s: float | None = None

    def now_s(self) -> float:
        """Return the elapsed seconds; only differences mean something."""
        boot_s = self.boot_s()
        difference_s = self.wall_s() - boot_s
        if self._difference_s is not None and difference_s - self._difference_s > MIN_JUMP_S:
            self._suspended_s += difference_s - self._difference_s
        self._difference_s = difference_s
        return boot_s + self._suspended_s


SHARED = ElapsedClock()


def elapsed_s() -> float:
    """Return the time of the clock that bounds sending and judges leases."""
    return SHARED.now_s()
