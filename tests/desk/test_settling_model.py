"""The balance never settles an order that the panel has: random lives of an account."""

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


@pytest.mark.asyncio
async def test_model_finds_settling_without_a_second_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settling, "SETTLE_AFTER_S", 0.0)

    assert (await live(range(100)))[1]


@pytest.mark.asyncio
async def test_model_finds_a_wait_that_is_shorter_than_charges_are_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settling, "SETTLE_AFTER_S", 300.0)

    assert (await live(range(150)))[1]


@pytest.mark.asyncio
async def test_model_finds_refunds_that_are_overlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    def overlook(_: JournalEvent) -> bool:
        return False

    monkeypatch.setattr(settling_rules, "_may_refund", overlook)

    assert (await live(range(380, 450)))[1]
