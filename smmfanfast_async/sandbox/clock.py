"""The panel's clock: real time multiplied by a speed, plus manual steps."""

import math
from collections.abc import Callable

__all__ = ["PanelClock"]


class PanelClock:
    """Count panel seconds since the clock was created; it never goes back."""

    def __init__(self, clock: Callable[[], float], speed: float) -> None:
        """Start at 0. `clock` returns real seconds; `speed` is panel seconds per real second."""
        if not (math.isfinite(speed) and speed >= 0):
            raise ValueError(f"speed must be a finite number of at least 0, not {speed}")
        self._clock = clock
        self._speed = speed
        self._origin_s = clock()
        self._stepped_s = 0.0

    def now_s(self) -> float:
        """Return panel seconds since the start."""
        return self._stepped_s + (self._clock() - self._origin_s) * self._speed

    def advance(self, seconds: float) -> None:
        """Advance by `seconds` panel seconds, at least 0; ValueError for any other value."""
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"seconds must be a finite number of at least 0, not {seconds}")
        self._stepped_s += seconds
