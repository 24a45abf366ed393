"""The goals: the required and target bound of each figure, and the table of results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from measuring import Spread

__all__ = ["GOALS", "Goal", "format_goals"]


@dataclass(frozen=True)
class Goal:
    """A required bound on a figure, and an optional target."""

    figure: str
    description: str
    required: float
    target: float | None = None
    is_minimum: bool = False
    unit: str = ""

    def is_met(self, value: float, bound: float) -> bool:
        """Return whether a value satisfies a bound."""
        return value >= bound if self.is_minimum else value <= bound

    def verdict(self, value: float) -> str:
        """Return a short verdict on a value."""
        if not self.is_met(value, self.required):
            return "NO"
        if self.target is None or self.is_met(value, self.target):
            return "yes"
        return "required only"

    def format_bound(self, bound: float | None) -> str:
        """Format a bound."""
        if bound is None:
            return "-"
        return f"{'≥' if self.is_minimum else '≤'} {bound:g}{self.unit}"


GOALS = (
    Goal("batch / orjson", "decode 100 statuses, typed / orjson.loads", 1.2, 1.1),
    Goal("batch, refused / orjson", "the same, 2 refused ids", 1.5, 1.3),
    Goal("batch, malformed / orjson", "the same, 1.5 % malformed records", 2.4, 2.0),
    Goal("batch, refused, malformed / orjson", "the same, both", 2.4, 2.0),
    Goal("catalogue of 5000 / orjson", "decode 5,000 services / orjson.loads", 1.7, 1.4),
    Goal("catalogue of 10000 / orjson", "decode 10,000 services / orjson.loads", 1.3, 1.0),
    Goal("batch, cattrs / ours", "plain cattrs / ours, statuses", 3.5, 4.8, is_minimum=True),
    Goal(
        "catalogue of 5000, cattrs / ours",
        "plain cattrs / ours, services",
        2.5,
        3.4,
        is_minimum=True,
    ),
    Goal("streamed / json", "iter_statuses / aiohttp batches, r.json(), CPU", 0.95, 0.8),
    Goal("streamed / orjson", "iter_statuses / aiohttp batches, orjson, CPU", 1.08, 0.9),
    Goal("batches / json", "iter_status_batches / aiohttp batches, r.json(), CPU", 0.85, 0.7),
    Goal("batches / orjson", "iter_status_batches / aiohttp batches, orjson, CPU", 1.0, 0.85),
    Goal(
        "streamed / orjson, real, malformed",
        "iter_statuses / orjson, 2 % refused, 1.5 % malformed",
        1.25,
        1.0,
    ),
    Goal(
        "one by one / batches",
        "a request per order / iter_status_batches, CPU",
        45,
        60,
        is_minimum=True,
    ),
    Goal(
        "one by one / coalesced",
        "a request per order / await status(), CPU",
        10,
        12,
        is_minimum=True,
    ),
    Goal("coalesced / aiodataloader", "await status() / aiodataloader, dicts, CPU", 1.0, 0.9),
    Goal("coalesced / bare futures", "await status() in tasks / bare futures, CPU", 1.4, 1.15),
    Goal("burst, requests / needed", "1,050 callers at once: requests / needed", 1.0),
    Goal("bad ids, other rows lost", "bad ids: other rows without a status", 0),
    Goal("bad ids, requests / bound", "bad ids: requests / bound", 1.0),
    Goal("trickle, median ms", "5,000 calls/s at 50 ms: median latency", 80, 60, unit=" ms"),
    Goal("trickle, requests", "the same: requests for 2,000 calls", 120, 85),
    Goal("explicit / ideal", "50 ms, iter_statuses / ideal", 1.12, 1.06),
    Goal("coalesced / ideal", "50 ms, await status() / ideal", 1.3, 1.2),
    Goal("catalogue kept / dicts", "10,000 services kept / dicts kept", 0.65, 0.5),
    Goal("catalogue peak / orjson", "peak memory reading them / orjson's peak", 0.4, 0.2),
    Goal("statuses kept / dicts", "100,000 statuses kept / dicts kept", 0.55, 0.4),
    Goal(
        "import of Client, DefaultOrder / aiohttp",
        "import of Client and DefaultOrder / import aiohttp",
        1.2,
        1.1,
    ),
    Goal("help / aiohttp", "smmfanfast --help / import aiohttp", 0.35),
)

HEADS = ("goal", "measured (spread)", "required", "target", "met?")


def format_spread(value: Spread) -> str:
    """Format a median and its spread with three digits."""
    if value.rounds == 1:
        return format_number(value.median)
    return f"{format_number(value.median)} ({format_number(value.low)}–{format_number(value.high)})"


def format_number(value: float) -> str:
    """Format a number with about three digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004  # three digits


def format_goals(figures: Mapping[str, Spread]) -> tuple[str, list[str]]:
    """Return the table, and the descriptions of the goals that are not met."""
    rows = [HEADS]
    missed = []
    for goal in GOALS:
        value = figures.get(goal.figure)
        verdict = "not measured" if value is None else goal.verdict(value.median)
        if verdict == "NO":
            missed.append(goal.description)
        measured = "-" if value is None else format_spread(value) + goal.unit
        rows.append(
            (
                goal.description,
                measured,
                goal.format_bound(goal.required),
                goal.format_bound(goal.target),
                verdict,
            )
        )
    return format_table(rows), missed


def format_table(rows: Sequence[tuple[str, ...]]) -> str:
    """Format rows as columns, with a line under the first row."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
