"""Draw the charts of the README as SVG from the figures of a run, for light and dark themes."""

import math
from pathlib import Path
from typing import Any

__all__ = ["write_charts"]

STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif;
  font-size: 13px; fill: #6e7781; }
.title { font-size: 15px; font-weight: 600; }
.strong { font-weight: 600; }
.small { font-size: 12px; }
.grid { stroke: #8c959f; stroke-opacity: .3; stroke-width: 1; }
@media (prefers-color-scheme: light) { text { fill: #57606a; } .title, .strong { fill: #24292f; } }
@media (prefers-color-scheme: dark) { text { fill: #9ea7b3; } .title, .strong { fill: #e6edf3; } }
"""
"""The default colour is readable on white and on black, for viewers without colour schemes."""
OURS, OTHER = "#1f9e78", "#8c98a8"
LINES = ("#1f9e78", "#3f7fd9", "#c9762b")
WIDTH = 840
ROW, BAR = 27, 17
LABEL_WIDTH, VALUE_WIDTH = 290, 130

Bar = tuple[str, float, str, bool]
"""Label, value, formatted value, and whether it is this package's."""


def draw_text(x: float, y: float, content: str, *, kind: str = "", anchor: str = "start") -> str:
    """Return a text element."""
    safe = content.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{safe}</text>'


def draw_bar(y: float, width: float, color: str) -> str:
    """Return a bar element."""
    position = f'x="{LABEL_WIDTH}" y="{y:.1f}" width="{width:.1f}" height="{BAR}"'
    return f'<rect {position} rx="3" fill="{color}"/>'


def build_svg(height: float, label: str, parts: list[str]) -> str:
    """Return a complete SVG document."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" role="img" aria-label="{label}">\n'
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def draw_bars(top: float, title: str, rows: list[Bar]) -> tuple[list[str], float]:
    """Return bars that start at 0, and the y coordinate below them."""
    parts = [draw_text(0, top + 15, title, kind="title")]
    longest = max(value for _, value, _, _ in rows)
    space = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    y = top + 28
    for label, value, formatted, is_ours in rows:
        kind = "strong" if is_ours else ""
        length = max(space * value / longest, 2)
        parts += [
            draw_text(LABEL_WIDTH - 12, y + BAR - 4, label, kind=kind, anchor="end"),
            draw_bar(y, length, OURS if is_ours else OTHER),
            draw_text(LABEL_WIDTH + length + 8, y + BAR - 4, formatted, kind=kind),
        ]
        y += ROW
    return parts, y + 14


def get_medians(results: dict[str, Any]) -> dict[str, float]:
    """Return only the medians."""
    return {name: value["median"] for name, value in results["figures"].items()}


def draw_speed(results: dict[str, Any]) -> str:
    """Return the chart of requests, CPU time and decoding time."""
    figures = get_medians(results)

    def cpu(label: str, name: str, *, is_ours: bool = False) -> Bar:
        value = figures[f"CPU a status, {name}, µs"]
        return (label, value, f"{value:.1f} µs" if value < 100 else f"{value:.0f} µs", is_ours)  # noqa: PLR2004  # three digits

    def requests(label: str, name: str, *, is_ours: bool = False) -> Bar:
        value = figures[f"requests for 1000, {name}"]
        return (label, value, f"{value:,.0f}", is_ours)

    def reading(label: str, value: float, *, is_ours: bool = False) -> Bar:
        return (label, value, f"{value:.1f}×", is_ours)

    has_batches = "CPU a status, batches, µs" in figures  # older stored figures lack it
    whole_batches = (
        [cpu("iter_status_batches(), typed", "batches", is_ours=True)] if has_batches else []
    )
    groups: tuple[tuple[str, list[Bar]], ...] = (
        (
            "Requests for 1,000 orders",
            [
                requests("one request per order", "one by one"),
                requests("await status() in 1,000 tasks", "coalesced", is_ours=True),
            ],
        ),
        (
            "CPU time per status, end to end (less is better)",
            [
                cpu("aiohttp, one request per order", "one by one"),
                cpu("await status(), typed", "coalesced", is_ours=True),
                cpu("aiodataloader, dicts", "aiodataloader"),
                cpu("httpx, batches by hand, dicts", "httpx"),
                cpu("aiohttp, batches by hand, dicts", "json"),
                cpu("the same with orjson, dicts", "orjson"),
                cpu("iter_statuses(), typed", "ours", is_ours=True),
                *whole_batches,
            ],
        ),
        (
            "Time to decode 100 statuses, relative to orjson.loads (less is better)",
            [
                reading("cattrs, typed", figures["batch, cattrs / orjson"]),
                reading("pydantic, typed", figures["batch, pydantic / orjson"]),
                reading("json.loads, dicts", figures["batch, json / orjson"]),
                reading("smmfanfast_async, typed", figures["batch / orjson"], is_ours=True),
                reading("orjson.loads, dicts", 1.0),
            ],
        ),
    )
    parts: list[str] = []
    y = 4.0
    for title, rows in groups:
        bars, y = draw_bars(y, title, rows)
        parts += bars
    return build_svg(y, "Requests, CPU time and decoding time compared with alternatives", parts)


class Plot:
    """A plot area with a logarithmic scale of ids on the x axis."""

    def __init__(self, left: float, width: float, sizes: list[float], top: float = 44) -> None:
        self.left, self.width, self.top, self.height = left, width, top, 220.0
        self.low, self.high = math.log10(min(sizes)), math.log10(max(sizes))

    def x(self, size: float) -> float:
        """Return the x coordinate of a number of ids."""
        span = self.high - self.low or 1
        return self.left + self.width * (math.log10(size) - self.low) / span

    def y(self, share: float) -> float:
        """Return the y coordinate of a share of the height."""
        return self.top + self.height * (1 - share)

    def frame(self, title: str, sizes: list[float], ticks: list[tuple[float, str]]) -> list[str]:
        """Return the title, the scale of ids, and labelled lines at some shares of the height."""
        parts = [draw_text(self.left - 44, 18, title, kind="title")]
        for share, name in ticks:
            y = self.y(share)
            right = self.left + self.width
            parts += [
                f'<line class="grid" x1="{self.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>',
                draw_text(self.left - 8, y + 4, name, kind="small", anchor="end"),
            ]
        for size in sizes:
            parts.append(draw_text(self.x(size), self.y(0) + 20, f"{size:,.0f}", anchor="middle"))
        return parts

    def line(self, points: list[tuple[float, float]], color: str) -> list[str]:
        """Return a line through points of (ids, share of the height)."""
        points_xy = [(self.x(size), self.y(share)) for size, share in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points_xy)
        dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in points_xy]
        line = f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.5"/>'
        return [line, *dots]


def format_seconds(seconds: float) -> str:
    """Format a power of ten of seconds."""
    return f"{seconds:,.0f} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def draw_scaling(results: dict[str, Any]) -> str:
    """Return the chart of time and memory over the number of ids."""
    rows = results["scaling"]
    sizes = sorted({row["ids"] for row in rows})
    latencies = sorted({row["latency_ms"] for row in rows})
    low = math.floor(math.log10(min(row["seconds"] for row in rows)))
    high = math.ceil(math.log10(max(row["seconds"] for row in rows)))
    max_mb = math.ceil(max(row["peak_mb"] for row in rows) / 25) * 25
    time_plot, memory_plot = Plot(56, 310, sizes), Plot(480, 310, sizes)
    powers = range(low, high + 1)
    steps = range(0, max_mb + 1, 25)
    parts = time_plot.frame(
        "iter_statuses(): time",
        sizes,
        [((each - low) / (high - low), format_seconds(10.0**each)) for each in powers],
    )
    parts += memory_plot.frame(
        "peak memory of the whole process",
        sizes,
        [(each / max_mb, f"{each} MB") for each in steps],
    )
    y = time_plot.y(0) + 48
    for index, (latency, color) in enumerate(zip(latencies, LINES, strict=False)):
        latency_rows = sorted(
            (row for row in rows if row["latency_ms"] == latency), key=lambda r: r["ids"]
        )
        shares = [
            (row["ids"], (math.log10(row["seconds"]) - low) / (high - low)) for row in latency_rows
        ]
        parts += time_plot.line(shares, color)
        parts += memory_plot.line(
            [(row["ids"], row["peak_mb"] / max_mb) for row in latency_rows], color
        )
        x = 56 + index * 170
        parts += [
            f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{color}"/>',
            draw_text(x + 12, y, f"{latency:.0f} ms per request"),
        ]
    parts.append(draw_text(WIDTH - 4, y, "ids, 10 requests at once", anchor="end"))
    return build_svg(y + 14, "Time and memory of iter_statuses over the number of ids", parts)


def write_charts(results: dict[str, Any], folder: Path) -> None:
    """Write both charts to a folder."""
    for name, picture in (("speed", draw_speed(results)), ("scaling", draw_scaling(results))):
        (folder / f"{name}.svg").write_text(picture, encoding="utf-8")
        print(f"wrote {name}.svg")
