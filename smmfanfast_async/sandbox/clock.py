"""The panel's clock: real time, times a speed, plus what was stepped by hand."""

import math
from collections.abc import Callable

__all__ = ["PanelClock"]


class PanelClock:
    """Panel seconds since the clock was made; it never goes back."""

    def __init__(self, clock: Callable[[], float], speed: float) -> None:
        """Start at 0; `clock` gives real seconds, `speed` is panel seconds in a real one."""
        if not (math.isfinite(speed) and speed >= 0):
            raise ValueError(f"speed {speed} is not a number of at least 0")
        self._clock = clock
        self._speed = speed
        self._origin_s = clock()
        self._stepped_s = 0.0

    def now_s(self) -> float:
        """Panel seconds since the start."""
        return self._stepped_s + (self._clock() - self._origin_s) * self._speed

    def advance(self, seconds: float) -> None:
        """Step by `seconds` panel seconds, 0 or more; ValueError for anything else."""
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"seconds {seconds} is not a number of at least 0")
        self._stepped_s += seconds
