"""The panel's clock: speed, manual steps, invalid values."""

import math

import pytest

from smmfanfast_async.sandbox.clock import PanelClock


def test_panel_time_is_real_time_multiplied_by_speed() -> None:
    real_s = [100.0]
    clock = PanelClock(lambda: real_s[0], 3600)
    assert clock.now_s() == 0

    real_s[0] = 102.0

    assert clock.now_s() == 7200


def test_only_advance_moves_a_clock_with_speed_zero() -> None:
    real_s = [100.0]
    clock = PanelClock(lambda: real_s[0], 0)
    real_s[0] = 500.0

    clock.advance(30)
    clock.advance(0)

    assert clock.now_s() == 30


def test_new_speed_counts_from_its_own_moment() -> None:
    real_s = [100.0]
    clock = PanelClock(lambda: real_s[0], 60)
    real_s[0] = 110.0

    clock.set_speed(1)
    real_s[0] = 115.0

    assert (clock.now_s(), clock.speed) == (605, 1)


def test_time_stays_finite() -> None:
    clock = PanelClock(lambda: 0.0, 0)
    clock.advance(1.7e308)

    with pytest.raises(ValueError, match="seconds"):
        clock.advance(1.7e308)


@pytest.mark.parametrize("number", [-1.0, math.inf, math.nan])
def test_negative_and_non_finite_times_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        PanelClock(lambda: 0.0, number)
    with pytest.raises(ValueError, match="seconds"):
        PanelClock(lambda: 0.0, 1).advance(number)
    with pytest.raises(ValueError, match="speed"):
        PanelClock(lambda: 0.0, 1).set_speed(number)
