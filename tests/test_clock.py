"""The clock that bounds sending: it does not stand still while the machine is suspended."""

import time

import pytest

from smmfanfast_async import _clock
from smmfanfast_async._clock import MIN_JUMP_S, ElapsedClock, boot_time_s


class Times:
    """Two clocks of a machine."""

    def __init__(self) -> None:
        self.boot_s, self.wall_s = 100.0, 5000.0
        self.clock = ElapsedClock(boot_s=lambda: self.boot_s, wall_s=lambda: self.wall_s)

    def pass_by(self, boot_s: float, wall_s: float) -> float:
        """Return how much time has passed by the clock."""
        before_s = self.clock.now_s()
        self.boot_s += boot_s
        self.wall_s += wall_s
        return self.clock.now_s() - before_s


@pytest.mark.parametrize(
    ("boot_s", "wall_s", "expected_s"),
    [
        (10, 10, 10),
        (3600, 3600, 3600),
        (0, 3600, 3600),  # the boot clock stood still
        (5, 3600, 3600),
        (5, -3600, 5),  # the wall clock was set back
        (5, 5 + MIN_JUMP_S, 5),  # slewed or rounded
        (5, 5.5 + MIN_JUMP_S, 5.5 + MIN_JUMP_S),
    ],
)
def test_the_later_of_two_clocks_counts(boot_s: float, wall_s: float, expected_s: float) -> None:
    assert Times().pass_by(boot_s, wall_s) == pytest.approx(expected_s)


def test_suspension_counts_once_and_after_a_wall_clock_that_was_set_back() -> None:
    times = Times()

    passed_s = [times.pass_by(1, -7200), times.pass_by(1, 3601), times.pass_by(1, 1)]

    assert passed_s == pytest.approx([1, 3601, 1])


def test_boot_clock_is_the_one_of_the_system_that_counts_suspension(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 7, raising=False)
    monkeypatch.setattr(time, "clock_gettime", lambda clock: clock * 100.0, raising=False)
    assert boot_time_s() == 700.0

    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    monkeypatch.setattr(time, "monotonic", lambda: 3.0)
    assert boot_time_s() == 3.0


def test_all_limits_share_one_clock() -> None:
    before_s = _clock.SHARED.now_s()

    assert before_s <= _clock.elapsed_s() <= _clock.SHARED.now_s()
