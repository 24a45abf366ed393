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


@pytest.mark.parametrize("number", [-1.0, math.inf, math.nan])
def test_negative_and_non_finite_times_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        PanelClock(lambda: 0.0, number)
    with pytest.raises(ValueError, match="seconds"):
        PanelClock(lambda: 0.0, 1).advance(number)
