"""The balance never settles an order that the panel has: random lives of an account."""

from datetime import datetime
from random import Random

import pytest

from smmfanfast_async.desk import settling, settling_rules
from smmfanfast_async.journal import JournalEvent

from .settling_model import Life


async def live(seeds: range) -> tuple[int, list[tuple[int, list[str]]]]:
    """Run lives; return how many orders were settled, and which wrongly, by seed."""
    settled, wrong = 0, list[tuple[int, list[str]]]()
    for seed in seeds:
        life = Life(Random(seed))  # no secret
        await life.run()
        settled += len(life.settled)
        if life.wrong():
            wrong.append((seed, life.wrong()))
    return settled, wrong


@pytest.mark.asyncio
async def test_no_order_that_exists_is_settled() -> None:
    settled, wrong = await live(range(250))

    assert wrong == []
    assert settled > 25


@pytest.mark.slow
@pytest.mark.asyncio
async def test_no_order_that_exists_is_settled_in_10_000_lives() -> None:
    settled, wrong = await live(range(10_000))

    assert wrong == []
    assert settled > 1000


# --- the model finds each broken rule -------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("wait_s", [0.0, 300.0])
async def test_model_finds_a_second_reading_that_comes_too_soon(
    monkeypatch: pytest.MonkeyPatch, wait_s: float
) -> None:
    monkeypatch.setattr(settling, "SETTLE_AFTER_S", wait_s)

    assert (await live(range(50)))[1]


@pytest.mark.asyncio
async def test_model_finds_refunds_that_are_overlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    def overlook(_: JournalEvent) -> bool:
        return False

    monkeypatch.setattr(settling_rules, "_may_refund", overlook)

    assert (await live(range(200, 250)))[1]


@pytest.mark.asyncio
async def test_model_finds_orders_that_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def all_checked(_: Life, since: datetime) -> bool:
        return since.year < 0

    monkeypatch.setattr(Life, "has_unchecked", all_checked)

    assert (await live(range(260, 300)))[1]
