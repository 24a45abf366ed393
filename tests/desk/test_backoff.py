"""How long a desk backs off: growing, limited, and different on two machines."""

import pytest

from smmfanfast_async.desk.backoff import Backoff, add_jitter


def new_backoff() -> Backoff:
    return Backoff(min_s=1.0, max_s=60.0)


def test_each_failure_doubles_the_backoff_up_to_the_limit() -> None:
    backoff = new_backoff()

    waits_s = [backoff.on_failure(float(now_s), float(now_s)) for now_s in range(1, 1200)]

    assert waits_s[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert set(waits_s[8:]) == {60}


def test_calls_that_fail_together_count_as_one_failure() -> None:
    backoff = new_backoff()

    waits_s = [backoff.on_failure(started_s, now_s=10.0) for started_s in (8.0, 8.5, 9.0)]

    assert waits_s == [1, 1, 1]
    assert backoff.on_failure(10.0, now_s=11.0) == 2


def test_success_resets_the_failures() -> None:
    backoff = new_backoff()
    for now_s in (1.0, 2.0, 3.0):
        backoff.on_failure(now_s, now_s)

    backoff.on_success()

    assert backoff.failures == 0
    assert backoff.on_failure(2.5, now_s=3.1) == 1
    assert backoff.on_failure(3.1, now_s=3.2) == 1


@pytest.mark.parametrize(("wait_s", "fraction", "expected"), [
    (0.0, 0.9, 0.0), (1.0, 0.0, 1.0), (1.0, 0.5, 1.25), (60.0, 1.0, 75.0), (900.0, 1.0, 915.0),
])  # fmt: skip
def test_jitter_is_a_share_of_the_wait_and_limited(
    wait_s: float, fraction: float, expected: float
) -> None:
    assert add_jitter(wait_s, fraction) == expected


def test_shorter_backoff_does_not_shorten_a_longer_one() -> None:
    backoff = new_backoff()

    backoff.pause(60.0, now_s=100.0, fraction=0.5)
    backoff.pause(1.0, now_s=100.0, fraction=0.5)

    assert backoff.remaining_s(100.0) == 67.5
    assert backoff.remaining_s(167.5) == backoff.remaining_s(999.0) == 0


def test_repeating_a_pause_does_not_lengthen_it() -> None:
    backoff = new_backoff()
    backoff.pause(60.0, now_s=100.0, fraction=0.1)

    for second in range(1, 60):
        backoff.pause(60.0 - second, now_s=100.0 + second, fraction=0.9)

    assert backoff.until_s == 161.5
