"""Every number that a caller sets has bounds, and what exceeds them is an error that names it."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from smmfanfast_async import Client, RetryPolicy
from smmfanfast_async._engine.policy import PollPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.errors import InvalidSettingsError
from smmfanfast_async.journal.sql import SQLJournal

HUGE = 10**5000
NO_COUNT = [0, -1, 1.0, 60.5, math.inf, math.nan, True, "60", 10**20, HUGE]
NO_SECONDS = [-1, -0.5, math.inf, -math.inf, math.nan, True, "60", 10**20, HUGE, 1e300]


def client(**options: Any) -> Client:
    return Client("test-numbers", base_url="http://127.0.0.1:9", **options)


def desk(**options: Any) -> OrderDesk:
    return OrderDesk(client(), SQLJournal("sqlite+aiosqlite:///never.db"), **options)


def test_counts_are_integers_within_bounds() -> None:
    makers: dict[str, Callable[..., object]] = {
        "concurrency": client,
        "add_concurrency": client,
        "calls_per_minute": client,
        "max_attempts": RetryPolicy,
    }
    for name, maker in makers.items():
        maker(**{name: 1})
        for wrong in NO_COUNT:
            with pytest.raises(InvalidSettingsError, match=name):
                maker(**{name: wrong})
    for wrong in NO_COUNT:
        with pytest.raises(InvalidSettingsError, match="calls_per_minute"):
            desk(calls_per_minute=wrong)
        with pytest.raises(InvalidSettingsError, match="concurrency"):
            client().with_options(concurrency=wrong)  # type: ignore[arg-type]  # that is the test


def test_seconds_and_shares_are_finite_numbers_within_bounds() -> None:
    makers: dict[str, Callable[..., object]] = {
        "timeout_s": client,
        "services_ttl_s": client,
        "base_delay_s": RetryPolicy,
        "max_delay_s": RetryPolicy,
        "max_retry_after_s": RetryPolicy,
        "min_interval_s": PollPolicy,
        "max_interval_s": PollPolicy,
        "active_factor": PollPolicy,
        "idle_factor": PollPolicy,
    }
    for name, maker in makers.items():
        maker(**{name: 1})
        maker(**{name: 0.5})
        for wrong in NO_SECONDS:
            with pytest.raises(InvalidSettingsError, match=name):
                maker(**{name: wrong})
    for wrong in NO_SECONDS:
        with pytest.raises(InvalidSettingsError, match="timeout_s"):
            client().with_options(timeout_s=wrong)  # type: ignore[arg-type]  # that is the test


def test_only_time_limits_must_be_above_zero() -> None:
    with pytest.raises(InvalidSettingsError, match="timeout_s 0 must be greater than 0"):
        client(timeout_s=0)
    client(services_ttl_s=0)
    RetryPolicy(base_delay_s=0, max_delay_s=0, max_retry_after_s=0)


@pytest.mark.asyncio
async def test_seconds_of_a_call_are_within_bounds() -> None:
    for wrong in (math.nan, math.inf, 10**20):
        with pytest.raises(InvalidSettingsError, match="max_age_s"):
            await client().services(max_age_s=wrong)
        with pytest.raises(InvalidSettingsError, match="wait_s"):
            await client().add(None, wait_s=wrong)  # type: ignore[arg-type]  # not reached
