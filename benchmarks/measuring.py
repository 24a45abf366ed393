"""How things are measured: contestants take turns inside each round; median and quartiles."""

import inspect
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

__all__ = ["Rounds", "Spread", "Work", "in_turns", "ratio", "spread"]

Work = Callable[[], object] | Callable[[], Awaitable[object]]
Rounds = dict[str, list[float]]
"""What each contestant took, round by round."""

MIN_FOR_QUARTILES = 4
"""With fewer values the spread is from the least to the largest."""


@dataclass(frozen=True)
class Spread:
    """A median, and where the middle half of the values lies."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: list[float]) -> Spread:
    """Sum up values."""
    low, high = min(values), max(values)
    if len(values) >= MIN_FOR_QUARTILES:
        low, _, high = statistics.quantiles(values, n=4)
    return Spread(statistics.median(values), low, high, len(values))


def ratio(found: Rounds, upper: str, lower: str) -> Spread:
    """Compare two contestants round by round."""
    return spread([a / b for a, b in zip(found[upper], found[lower], strict=True)])


async def in_turns(
    contestants: Mapping[str, Work],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
    shares: Mapping[str, int] | None = None,
) -> Rounds:
    """Time all contestants in turn, every other round backwards; a first round warms up.

    `shares` divides what a contestant takes, such as by the number of its statuses.
    """
    found: Rounds = {name: [] for name in contestants}
    for number in range(rounds + 1):
        names = list(contestants) if number % 2 else list(contestants)[::-1]
        for name in names:
            begin = clock()
            outcome = contestants[name]()
            if inspect.isawaitable(outcome):
                await outcome
            taken = clock() - begin
            del outcome  # what it made ends here, not in the time of the next one
            if number:
                found[name].append(taken / (shares or {}).get(name, 1))
    return found
