"""How long a desk is quiet: growing, bounded, and not the same on two machines."""

import pytest

from smmfanfast_async.desk import backoff
from smmfanfast_async.desk.backoff import Backoff, spread_s


@pytest.fixture(autouse=True)
def _real_waits(_short_waits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "BACKOFF_S", 1.0)
    monkeypatch.setattr(backoff, "MAX_BACKOFF_S", 60.0)


def test_each_failure_doubles_the_quiet_up_to_the_longest() -> None:
    kept = Backoff()

    waits_s = [kept.failed(float(now_s), float(now_s)) for now_s in range(1, 1200)]

    assert waits_s[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert set(waits_s[8:]) == {60}


def test_calls_that_fail_together_count_as_one_failure() -> None:
    kept = Backoff()

    waits_s = [kept.failed(begun_s, now_s=10.0) for begun_s in (8.0, 8.5, 9.0)]

    assert waits_s == [1, 1, 1]
    assert kept.failed(10.0, now_s=11.0) == 2


def test_a_success_begins_anew_and_a_late_failure_after_it_is_a_first_one() -> None:
    kept = Backoff()
    for now_s in (1.0, 2.0, 3.0):
        kept.failed(now_s, now_s)

    kept.succeeded()

    assert kept.failures == 0
    assert kept.failed(2.5, now_s=3.1) == 1
    assert kept.failed(3.1, now_s=3.2) == 1


@pytest.mark.parametrize(("wait_s", "random", "expected"), [
    (0.0, 0.9, 0.0), (1.0, 0.0, 1.0), (1.0, 0.5, 1.25), (60.0, 1.0, 75.0), (900.0, 1.0, 915.0),
])  # fmt: skip
def test_a_wait_is_late_by_a_share_of_it_and_seconds_at_most(
    wait_s: float, random: float, expected: float
) -> None:
    assert spread_s(wait_s, random) == expected


def test_a_shorter_quiet_does_not_end_a_longer_one() -> None:
    kept = Backoff()

    kept.pause(60.0, now_s=100.0, random=0.5)
    kept.pause(1.0, now_s=100.0, random=0.5)

    assert kept.wait_s(100.0) == 67.5
    assert kept.wait_s(167.5) == kept.wait_s(999.0) == 0


def test_hearing_of_the_same_pause_again_makes_it_no_longer() -> None:
    kept = Backoff()
    kept.pause(60.0, now_s=100.0, random=0.1)

    for second in range(1, 60):
        kept.pause(60.0 - second, now_s=100.0 + second, random=0.9)

    assert kept.until_s == 161.5
