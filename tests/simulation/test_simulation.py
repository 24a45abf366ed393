"""The client in a world where everything goes wrong, seed by seed."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from smmfanfast_async import Client

from .broken import BROKEN
from .run import Report, simulate
from .verdict import verdict

ONLY = os.environ.get("SMMFANFAST_SEED")
SEEDS = int(os.environ.get("SMMFANFAST_SEEDS", "2000"))
BLOCK = 100
"""Seeds a test: short enough to be run again, long enough to be worth a line."""

TESTS = Path(__file__).parent.parent


def blocks() -> list[range]:
    if ONLY is not None:
        return [range(int(ONLY), int(ONLY) + 1)]
    return [range(begin, min(begin + BLOCK, SEEDS)) for begin in range(0, SEEDS, BLOCK)]


def digest(seeds: range) -> str:
    traces = [simulate(seed).trace for seed in seeds]
    return hashlib.sha256(repr(traces).encode()).hexdigest()


@pytest.mark.parametrize("seeds", blocks(), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_no_order_is_doubled_and_no_caller_is_told_a_lie(seeds: range) -> None:
    wrong = {seed: found for seed in seeds if (found := verdict(simulate(seed)))}

    assert not wrong, "\n".join(
        f"replay with SMMFANFAST_SEED={seed}: {'; '.join(found)}" for seed, found in wrong.items()
    )


@pytest.mark.parametrize(("client_class", "words"), BROKEN, ids=lambda each: str(each)[-40:-2])
def test_a_client_with_a_fault_is_caught_within_400_seeds(
    client_class: type[Client], words: str
) -> None:
    found = (text for seed in range(400) for text in verdict(simulate(seed, client_class)))

    assert any(words in text for text in found)


def test_the_same_seed_gives_the_same_trace_again() -> None:
    seeds = range(40)

    assert digest(seeds) == digest(seeds)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_the_same_seed_gives_the_same_trace_in_another_process(hash_seed: str) -> None:
    code = "from simulation.test_simulation import digest; print(digest(range(40)))"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(TESTS)}
    other = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True
    )

    assert other.stdout.strip() == digest(range(40))


def test_other_seeds_give_other_traces() -> None:
    assert len({repr(simulate(seed).trace) for seed in range(40)}) == 40


def reports() -> Iterator[Report]:
    return (simulate(seed) for seed in range(800))


def test_callers_meet_every_end_that_a_call_may_have() -> None:
    told = Counter((call.verb == "add", call.told) for each in reports() for call in each.calls)

    adds = {"placed", "refused", "not sent", "unknown", "cancelled", "crashed"}
    reads = {"read", "no read", "not sent", "not found", "cancelled", "crashed"}
    assert {word for is_add, word in told if is_add} >= adds
    assert {word for is_add, word in told if not is_add} >= reads
    assert told[True, "placed"] > 100
    assert told[True, "unknown"] > 100


def test_orders_are_stored_behind_unknown_outcomes_and_cancelled_callers() -> None:
    behind = Counter(
        call.told
        for each in reports()
        for call in each.calls
        if f"https://example.com/{call.name}" in each.ledger.orders.values()
    )

    assert min(behind[told] for told in ("placed", "unknown", "cancelled", "crashed")) > 10


@pytest.mark.parametrize(
    "event",
    [
        "up: rst",
        "down: rst",
        "down: fin",
        "cut: fin",
        "cut: rst",
        "panel: crash",
        "panel: start",
        "client: crash",
        "client: aclose",
        "panel: stored",
    ],
)
def test_the_world_knows_every_way_to_fail(event: str) -> None:
    assert any(event in text for each in reports() for _, text in each.trace)
