"""Desks over several panels on one journal, under every kind of failure, seed by seed."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from smmfanfast_async.journal import EntryState

from .broken_desks import BROKEN_DESKS
from .desk_run import DeskReport, simulate_desks
from .desk_verdict import desk_verdict, orders_of
from .test_simulation import ONLY, SEEDS, TESTS, digest_of

SHORT_SEEDS = 40
DESK_SEEDS = SEEDS // 4
"""A seed of desks takes some times as long as one of a client."""

BLOCK = 20
"""Seeds per slow test: few enough to be repeated quickly."""

LEAST = {
    "accepted at alpha": 20,
    "accepted at beta": 20,
    "accepted at gamma": 5,
    "rerouted at alpha": 3,
    "rerouted at beta": 3,
    "unknown at alpha": 5,
    "unknown at beta": 5,
    "unknown with 0 orders": 3,
    "unknown with 1 orders": 3,
    "accepted at a second panel": 2,
    "unknown at a second panel": 1,
    "accepted the day after": 3,
    "refused the day after": 3,
    "delayed on the way to alpha": 20,
    "delayed on the way to beta": 20,
    "delayed on the way to gamma": 20,
    "a process crashed": 10,
    "a call returned": 50,
    "a call cancelled": 10,
    "a call crashed": 10,
    "a call raised NotSentError": 10,
}
"""What the short run contains, and how often at least."""


def run(seed: int, **classes: Any) -> DeskReport:
    with TemporaryDirectory() as folder:
        return simulate_desks(seed, Path(folder, "journal.db"), **classes)


def errors_of(reports: Iterable[DeskReport]) -> str:
    """Return what is wrong in some runs, a line for each."""
    wrong = ((each.scenario.seed, desk_verdict(each)) for each in reports)
    return "\n".join(
        f"replay with SMMFANFAST_SEED={seed}: {'; '.join(errors)}"
        for seed, errors in wrong
        if errors
    )


def happenings_of(report: DeskReport) -> Iterator[str]:
    """Yield what happened in a run that the short run must contain, each as often as it did."""
    yield from ("a process crashed" for _, text in report.trace if text == "process: crash")
    yield from (f"a call {each.result}" for each in report.placed)
    for event in report.events:
        yield f"{event.kind} at {event.panel}"
    for panel, delayed in report.delayed.items():
        yield from (f"delayed on the way to {panel}" for _ in range(delayed))
    for ref, entry in report.entries.items():
        is_second = entry.panel is not None and set(entry.refused_by) - {entry.panel}
        if is_second:
            yield f"{entry.state} at a second panel"
        if ref in report.decided:
            yield f"{entry.state} the day after"
        elif entry.state is EntryState.UNKNOWN:
            yield f"unknown with {len(orders_of(report, ref))} orders"


def digest(seeds: range) -> str:
    """Return a digest of what happens on the network, and of what the journal records."""
    return digest_of((each.trace, each.events) for each in map(run, seeds))


def test_each_ref_has_one_order_over_all_panels_and_the_journal_says_where() -> None:
    """In the first seeds, which also differ and contain every kind of end."""
    reports = [run(seed) for seed in range(SHORT_SEEDS)] if ONLY is None else [run(int(ONLY))]

    assert not errors_of(reports)
    if ONLY is None:
        happened = Counter(each for report in reports for each in happenings_of(report))
        assert not {name: happened[name] for name, least in LEAST.items() if happened[name] < least}
        assert len({repr(each.trace) for each in reports}) == SHORT_SEEDS


@pytest.mark.slow
@pytest.mark.skipif(ONLY is not None, reason="one seed is replayed")
@pytest.mark.parametrize("first", range(SHORT_SEEDS, DESK_SEEDS, BLOCK))
def test_each_ref_has_one_order_in_many_more_seeds(first: int) -> None:
    assert not errors_of(map(run, range(first, first + BLOCK)))


@pytest.mark.parametrize("name", BROKEN_DESKS)
def test_each_broken_desk_is_found_within_200_seeds(name: str) -> None:
    classes, message = BROKEN_DESKS[name]
    errors = (text for seed in range(200) for text in desk_verdict(run(seed, **classes)))

    assert any(message in text for text in errors)


def test_same_seed_has_the_same_run_in_another_process() -> None:
    code = "from simulation.test_desk_simulation import digest; print(digest(range(4)))"
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": str(TESTS)}
    other = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True
    )

    assert other.stdout.strip() == digest(range(4))
