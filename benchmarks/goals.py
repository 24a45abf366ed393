"""The goals: what a figure owes and what is wanted of it, and the table that says what is met."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from measuring import Spread

__all__ = ["GOALS", "Goal", "table"]


@dataclass(frozen=True)
class Goal:
    """A bound on a figure, and the one that is hoped for."""

    figure: str
    what: str
    owed: float
    wanted: float | None = None
    at_least: bool = False
    unit: str = ""

    def meets(self, value: float, bound: float) -> bool:
        """Whether a value keeps to a bound."""
        return value >= bound if self.at_least else value <= bound

    def verdict(self, value: float) -> str:
        """Say in one word what a value meets."""
        if not self.meets(value, self.owed):
            return "NO"
        if self.wanted is None or self.meets(value, self.wanted):
            return "yes"
        return "owed only"

    def bound(self, bound: float | None) -> str:
        """Write a bound."""
        if bound is None:
            return "-"
        return f"{'≥' if self.at_least else '≤'} {bound:g}{self.unit}"


GOALS = (
    Goal("batch / orjson", "decode 100 statuses, typed / orjson.loads", 2.2, 1.6),
    Goal("batch, odd / orjson", "the same, 1.5 % odd records", 3.2, 2.4),
    Goal("catalogue of 5000 / orjson", "decode 5,000 services / orjson.loads", 2.6, 1.7),
    Goal("catalogue of 10000 / orjson", "decode 10,000 services / orjson.loads", 2.0, 1.3),
    Goal("batch, cattrs / ours", "plain cattrs / ours, statuses", 3.5, 4.8, at_least=True),
    Goal(
        "catalogue of 5000, cattrs / ours", "plain cattrs / ours, services", 2.5, 3.4, at_least=True
    ),
    Goal("streamed / json", "iter_statuses / aiohttp batches, r.json(), CPU", 1.0, 0.75),
    Goal("streamed / orjson", "iter_statuses / aiohttp batches, orjson, CPU", 1.15, 0.85),
    Goal("one by one / streamed", "a request an order / iter_statuses, CPU", 35, 55, at_least=True),
    Goal(
        "one by one / coalesced", "a request an order / await status(), CPU", 7, 10, at_least=True
    ),
    Goal("coalesced / bare futures", "await status() in tasks / bare futures, CPU", 1.4, 1.15),
    Goal("burst, requests / needed", "1,050 callers at once: requests / needed", 1.0),
    Goal("trickle, median ms", "5,000 calls/s at 50 ms: median latency", 130, 65, unit=" ms"),
    Goal("trickle, requests", "the same: requests for 2,000 calls", 250, 100),
    Goal("explicit / ideal", "50 ms, iter_statuses / ideal", 1.15, 1.06),
    Goal("coalesced / ideal", "50 ms, await status() / ideal", 1.6, 1.25),
    Goal("catalogue kept / dicts", "10,000 services kept / dicts kept", 0.8, 0.6),
    Goal("catalogue peak / orjson", "peak memory reading them / orjson's peak", 0.4, 0.2),
    Goal("statuses kept / dicts", "100,000 statuses kept / dicts kept", 0.7, 0.4),
    Goal("import / aiohttp", "import / import aiohttp", 1.25, 1.12),
    Goal("help / aiohttp", "smmfanfast --help / import aiohttp", 0.5, 0.35),
)

HEADS = ("goal", "measured (spread)", "owed", "wanted", "met?")


def shown(value: Spread) -> str:
    """Write a median and its spread in three digits."""
    if value.rounds == 1:
        return number(value.median)
    return f"{number(value.median)} ({number(value.low)}–{number(value.high)})"


def number(value: float) -> str:
    """Write a number in about three digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004  # three digits


def table(figures: Mapping[str, Spread]) -> tuple[str, list[str]]:
    """Draw the table; say too which goals are not met."""
    rows = [HEADS]
    missed = []
    for goal in GOALS:
        value = figures.get(goal.figure)
        verdict = "not measured" if value is None else goal.verdict(value.median)
        if verdict == "NO":
            missed.append(goal.what)
        measured = "-" if value is None else shown(value) + goal.unit
        rows.append((goal.what, measured, goal.bound(goal.owed), goal.bound(goal.wanted), verdict))
    return aligned(rows), missed


def aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Write rows in columns, a line under the first."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
