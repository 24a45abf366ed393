"""The panel's clock: real time multiplied by a speed, plus manual steps."""

import math
from collections.abc import Callable

__all__ = ["PanelClock"]


class PanelClock:
    """Count panel seconds since the clock was created; it never goes back."""

    def __init__(self, clock: Callable[[], float], speed: float) -> None:
        """Start at 0. `clock` returns real seconds; `speed` is panel seconds per real second."""
        self._clock = clock
        self._speed = _check_speed(speed)
        self._origin_s = clock()
        self._stepped_s = 0.0

    def now_s(self) -> float:
        """Return panel seconds since the start."""
        return self._stepped_s + (self._clock() - self._origin_s) * self._speed

    @property
    def speed(self) -> float:
        """Panel seconds per real second."""
        return self._speed

    def set_speed(self, speed: float) -> None:
        """Run at another speed from this moment on, at least 0; ValueError for any other value."""
        checked = _check_speed(speed)
        self._stepped_s = self.now_s()
        self._origin_s = self._clock()
        self._speed = checked

    def advance(self, seconds: float) -> None:
        """Advance by `seconds` panel seconds, at least 0; ValueError for any other value."""
        if not (math.isfinite(self._stepped_s + seconds) and seconds >= 0):
            raise ValueError(f"seconds must be a finite number of at least 0, not {seconds}")
        self._stepped_s += seconds


def _check_speed(speed: float) -> float:
    if not (math.isfinite(speed) and speed >= 0):
        raise ValueError(f"speed must be a finite number of at least 0, not {speed}")
    return speed
