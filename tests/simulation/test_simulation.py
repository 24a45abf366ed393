"""The client under every kind of failure, seed by seed."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smmfanfast_async import Client

from .broken import BROKEN
from .run import Report, simulate
from .verdict import verdict

ONLY = os.environ.get("SMMFANFAST_SEED")
SHORT_SEEDS = 200
SEEDS = int(os.environ.get("SMMFANFAST_SEEDS", "2000"))
BLOCK = 100
"""Seeds per test: few enough to be repeated quickly."""

TESTS = Path(__file__).parent.parent


def blocks() -> Iterator[Any]:
    """Yield ranges of seeds; those beyond the first few are for the slow run."""
    if ONLY is not None:
        yield range(int(ONLY), int(ONLY) + 1)
        return
    for first in range(0, max(SEEDS, SHORT_SEEDS), BLOCK):
        seeds = range(first, first + BLOCK)
        marks = [pytest.mark.slow] if first >= SHORT_SEEDS else []
        yield pytest.param(seeds, marks=marks, id=f"{seeds[0]}-{seeds[-1]}")


def digest_of(runs: Iterable[object]) -> str:
    return hashlib.sha256(repr([*runs]).encode()).hexdigest()


def digest(seeds: range) -> str:
    return digest_of(simulate(seed).trace for seed in seeds)


@pytest.mark.parametrize("seeds", [*blocks()])
def test_no_order_is_doubled_and_every_result_is_correct(seeds: range) -> None:
    wrong = {seed: errors for seed in seeds if (errors := verdict(simulate(seed)))}

    assert not wrong, "\n".join(
        f"replay with SMMFANFAST_SEED={seed}: {'; '.join(errors)}" for seed, errors in wrong.items()
    )


@pytest.mark.parametrize(
    ("client_class", "message"), BROKEN, ids=[each.__name__ for each, _ in BROKEN]
)
def test_each_broken_client_is_found_within_400_seeds(
    client_class: type[Client], message: str
) -> None:
    errors = (text for seed in range(400) for text in verdict(simulate(seed, client_class)))

    assert any(message in text for text in errors)


def test_same_seed_has_the_same_trace_again() -> None:
    seeds = range(40)

    assert digest(seeds) == digest(seeds)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_same_seed_has_the_same_trace_in_another_process(hash_seed: str) -> None:
    code = "from simulation.test_simulation import digest; print(digest(range(40)))"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(TESTS)}
    other = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True
    )

    assert other.stdout.strip() == digest(range(40))


def test_other_seeds_have_other_traces() -> None:
    assert len({repr(simulate(seed).trace) for seed in range(40)}) == 40


def reports() -> Iterator[Report]:
    return (simulate(seed) for seed in range(400))


def test_calls_end_in_every_possible_way() -> None:
    results = Counter(
        (call.verb == "add", call.result) for each in reports() for call in each.calls
    )

    adds = {"placed", "refused", "not sent", "unknown", "cancelled", "crashed"}
    reads = {"read", "no read", "not sent", "not found", "cancelled", "crashed"}
    assert {result for is_add, result in results if is_add} >= adds
    assert {result for is_add, result in results if not is_add} >= reads
    assert results[True, "placed"] > 100
    assert results[True, "unknown"] > 100


def test_unknown_and_cancelled_adds_may_have_stored_orders() -> None:
    stored = Counter(
        call.result
        for each in reports()
        for call in each.calls
        if f"https://example.com/{call.name}" in each.ledger.orders.values()
    )

    assert min(stored[result] for result in ("placed", "unknown", "cancelled", "crashed")) > 5


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
def test_every_kind_of_failure_occurs(event: str) -> None:
    assert any(event in text for each in reports() for _, text in each.trace)
