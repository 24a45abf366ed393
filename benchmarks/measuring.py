"""Measure alternatives in alternating rounds; report median and quartiles."""

import argparse
import inspect
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Contestant",
    "Rounds",
    "Spread",
    "Work",
    "create_parser",
    "in_turns",
    "ratio",
    "spread",
    "take_turns",
]

Work = Callable[[], object] | Callable[[], Awaitable[object]]
Contestant = Callable[[], Awaitable[tuple[int, float]]]
"""Does some work; returns how much, and in how many seconds."""
Rounds = dict[str, list[float]]
"""The time of each alternative, round by round."""

MIN_FOR_QUARTILES = 4
"""With fewer values the spread is from the smallest to the largest."""


@dataclass(frozen=True)
class Spread:
    """A median, and the range of the middle half of the values."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: list[float]) -> Spread:
    """Summarise values."""
    low, high = min(values), max(values)
    if len(values) >= MIN_FOR_QUARTILES:
        low, _, high = statistics.quantiles(values, n=4)
    return Spread(statistics.median(values), low, high, len(values))


def ratio(times: Rounds, upper: str, lower: str) -> Spread:
    """Compare two alternatives round by round."""
    return spread([a / b for a, b in zip(times[upper], times[lower], strict=True)])


async def in_turns(
    alternatives: Mapping[str, Work],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
    shares: Mapping[str, int] | None = None,
) -> Rounds:
    """Time all alternatives in turn, every other round in reverse; the first round is a warm-up.

    `shares` divides the time of an alternative, for example by the number of its statuses.
    """

    def timed(name: str, work: Work) -> Contestant:
        async def run() -> tuple[int, float]:
            start = clock()
            outcome = work()
            if inspect.isawaitable(outcome):
                await outcome
            elapsed = clock() - start
            del outcome  # freed here, not during the next measurement
            return (shares or {}).get(name, 1), elapsed

        return run

    contestants = {name: timed(name, work) for name, work in alternatives.items()}
    return await take_turns(contestants, rounds)


async def take_turns(contestants: Mapping[str, Contestant], rounds: int) -> Rounds:
    """Return the seconds per unit of each contestant, round by round, as `in_turns` does."""
    times: Rounds = {name: [] for name in contestants}
    for number in range(rounds + 1):
        names = list(contestants) if number % 2 else list(contestants)[::-1]
        for name in names:
            units, elapsed_s = await contestants[name]()
            if number:
                times[name].append(elapsed_s / units)
    return times


def create_parser(doc: str | None) -> argparse.ArgumentParser:
    """Create the parser of a benchmark's command line; `doc` is the docstring of its module."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test, not a measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="store the figures here")
    parser.add_argument(
        "--from", type=Path, metavar="FILE", dest="stored", help="show stored figures"
    )
    return parser
