"""Measure every performance goal of the project and report which are met.

Run `python benchmarks/run.py` from the root of the project, with the extra `bench` installed. It
takes about ten minutes; `--quick` is a smoke test of a minute that checks no goal. Ratios are
measured within one run, in rounds that alternate between alternatives; the spread is the middle
half. `--json FILE` stores the figures, `--from FILE` shows and draws stored ones, `--charts` draws
speed.svg and scaling.svg next to this file.
"""

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import decoding
import wire
from charts import write_charts
from goals import format_goals, format_number, format_spread, format_table
from importing import measure_imports
from measuring import Spread, create_parser
from memory import measure_memory
from panel import Panel, run_panel
from peers import STATUSES, measure_peers
from poison import measure_poison
from scaling import measure_scaling

HERE = Path(__file__).parent
LIBRARIES = ("aiohttp", "attrs", "cattrs", "msgspec", "orjson", "pydantic", "httpx")


@dataclass(frozen=True)
class Size:
    """The size of each measurement."""

    rounds: int
    decode_times: int
    statuses: int
    slow_rounds: int
    slow_statuses: int
    trickle: int
    catalogues: tuple[int, ...]
    kept: tuple[int, int]
    sizes: tuple[int, ...]
    latencies_ms: tuple[int, ...]


FULL = Size(
    rounds=15,
    decode_times=200,
    statuses=10_000,
    slow_rounds=7,
    slow_statuses=10_000,
    trickle=2000,
    catalogues=(5000, 10_000),
    kept=(10_000, 100_000),
    sizes=(1_000, 10_000, 100_000, 1_000_000),
    latencies_ms=(0, 50, 200),
)
QUICK = Size(
    rounds=2,
    decode_times=10,
    statuses=1000,
    slow_rounds=1,
    slow_statuses=1000,
    trickle=200,
    catalogues=(500,),
    kept=(500, 1000),
    sizes=(1000,),
    latencies_ms=(0, 50),
)

Results = dict[str, Any]


def describe_machine() -> dict[str, object]:
    """Return the hardware and versions that the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "load_at_start": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
    }


async def log_duration(name: str, work: Awaitable[Any]) -> Any:
    """Run a part and print its duration to the error stream."""
    start_s = time.perf_counter()
    result = await work
    print(f"  {name}: {time.perf_counter() - start_s:.0f} s", file=sys.stderr, flush=True)
    return result


async def measure(panel: Panel, size: Size, *, with_peers: bool) -> Results:
    """Measure all parts, one after the other."""
    figures: dict[str, Spread] = {}
    times = size.decode_times
    figures |= await log_duration("decoding statuses", decoding.decode_batches(size.rounds, times))
    part = decoding.decode_real_batches(size.rounds, times // 2)
    figures |= await log_duration("decoding real batches", part)
    for rows in size.catalogues:
        part = decoding.decode_catalogue(rows, size.rounds)
        figures |= await log_duration(f"decoding {rows} services", part)
    slow = size.slow_rounds
    parts = {
        "CPU per status": wire.measure_cpu(panel, size.rounds, size.statuses),
        "CPU per status, real batches": wire.measure_real_cpu(panel, size.rounds, size.statuses),
        "bad ids": measure_poison(panel),
        "latency": wire.measure_latency(panel, slow, size.slow_statuses),
        "bursts": wire.measure_bursts(panel, slow),
        "trickles": wire.measure_trickles(panel, slow, size.trickle),
        "pauses of the loop": wire.measure_pauses(panel, slow),
        "imports": measure_imports(size.rounds),
    }
    for what, part in parts.items():
        figures |= await log_duration(what, part)
    memory_figures = await log_duration("memory", measure_memory(*size.kept))
    figures |= {name: Spread(value, value, value, 1) for name, value in memory_figures.items()}
    steps = await log_duration("scaling", measure_scaling(panel, size.sizes, size.latencies_ms))
    return {
        "machine": describe_machine(),
        "figures": {name: asdict(value) for name, value in figures.items()},
        "scaling": steps,
        "peers": await log_duration("peers", measure_peers(panel)) if with_peers else [],
    }


def format_peers(rows: list[dict[str, Any]]) -> str:
    """Return the table of other clients on PyPI."""
    heads = (
        "client",
        f"{STATUSES} single calls",
        f"{STATUSES} ids at once",
        "max ids per request",
        "orders placed, response lost",
        "its result",
    )
    lines: list[tuple[str, ...]] = [heads]
    for row in rows:
        if "failed" in row:
            lines.append((row["name"], f"not measured: {row['failed']}", "", "", "", ""))
            continue
        lines.append(
            (
                f"{row['name']} {row['version']}",
                f"{row['single_requests']} requests, {row['single_seconds']:.2f} s",
                f"{row['many_requests']} requests, {row['many_seconds']:.2f} s",
                str(row["most_ids"]),
                str(row["orders_placed"]),
                str(row["add_says"]),
            )
        )
    return format_table(lines)


def format_scaling(rows: list[dict[str, float]]) -> str:
    """Return the table of sizes."""
    heads = ("ids", "latency", "seconds", "CPU seconds", "peak memory", "grown by")
    lines: list[tuple[str, ...]] = [heads]
    lines += [
        (
            f"{row['ids']:,.0f}",
            f"{row['latency_ms']:.0f} ms",
            format_number(row["seconds"]),
            format_number(row["cpu_seconds"]),
            f"{row['peak_mb']:.0f} MB",
            f"{row['grown_mb']:.1f} MB",
        )
        for row in rows
    ]
    return format_table(lines)


def print_results(results: Results) -> list[str]:
    """Print all tables; return the goals that are not met."""
    figures = {name: Spread(**value) for name, value in results["figures"].items()}
    goals, missed = format_goals(figures)
    print(", ".join(f"{name} {value}" for name, value in results["machine"].items()))
    print(f"\n{goals}\n")
    rows: list[tuple[str, ...]] = [("figure", "median (spread)")]
    print(format_table(rows + [(name, format_spread(value)) for name, value in figures.items()]))
    print(f"\n{format_scaling(results['scaling'])}")
    if results["peers"]:
        print(f"\n{format_peers(results['peers'])}")
    return missed


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = create_parser(__doc__)
    parser.add_argument("--charts", action="store_true", help="draw speed.svg and scaling.svg")
    parser.add_argument("--no-peers", action="store_true", help="install nothing from PyPI")
    return parser.parse_args()


async def main() -> int:
    """Measure or load stored figures; show, store and draw them."""
    options = parse_arguments()
    if options.stored:
        results = json.loads(options.stored.read_text(encoding="utf-8"))
    else:
        with_peers = not (options.quick or options.no_peers)
        async with run_panel() as panel:
            results = await measure(panel, QUICK if options.quick else FULL, with_peers=with_peers)
    missed = print_results(results)
    if options.json:
        text = json.dumps(results, indent=2, ensure_ascii=False)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.charts:
        write_charts(results, HERE)
    if options.quick:
        print("\nsmoke test: no goal was checked")
        return 0
    for what in missed:
        print(f"not met: {what}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
