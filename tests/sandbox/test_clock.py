import math

import pytest

from smmfanfast_async.sandbox.clock import PanelClock


def test_the_panel_s_time_is_real_time_by_speed_from_zero() -> None:
    real_s = [100.0]
    clock = PanelClock(lambda: real_s[0], 3600)
    assert clock.now_s() == 0

    real_s[0] = 102.0

    assert clock.now_s() == 7200


def test_at_speed_zero_only_steps_move_the_clock() -> None:
    real_s = [100.0]
    clock = PanelClock(lambda: real_s[0], 0)
    real_s[0] = 500.0

    clock.advance(30)
    clock.advance(0)

    assert clock.now_s() == 30


@pytest.mark.parametrize("number", [-1.0, math.inf, math.nan])
def test_time_never_goes_back_and_is_a_number(number: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        PanelClock(lambda: 0.0, number)
    with pytest.raises(ValueError, match="seconds"):
        PanelClock(lambda: 0.0, 1).advance(number)
