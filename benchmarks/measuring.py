"""Measure alternatives in alternating rounds; report median and quartiles."""

import inspect
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

__all__ = ["Rounds", "Spread", "Work", "in_turns", "ratio", "spread"]

Work = Callable[[], object] | Callable[[], Awaitable[object]]
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
    times: Rounds = {name: [] for name in alternatives}
    for number in range(rounds + 1):
        names = list(alternatives) if number % 2 else list(alternatives)[::-1]
        for name in names:
            start = clock()
            outcome = alternatives[name]()
            if inspect.isawaitable(outcome):
                await outcome
            elapsed = clock() - start
            del outcome  # freed here, not during the next measurement
            if number:
                times[name].append(elapsed / (shares or {}).get(name, 1))
    return times
