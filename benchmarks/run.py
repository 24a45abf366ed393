"""Measure everything that the project promises about speed, and say what is met.

Run `python benchmarks/run.py` from the root of the project, with the extra `bench` installed. It
takes some ten minutes; `--quick` is a smoke test of a minute, in which no bound is held. Ratios
are taken inside one run, in rounds where contestants take turns; the spread is the middle half.
`--json FILE` keeps the figures, `--from FILE` shows and draws kept ones, `--charts` draws
speed.svg and scaling.svg beside this file.
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
from charts import draw
from goals import aligned, number, shown, table
from importing import imports
from measuring import Spread
from memory import memory
from panel import Panel, started
from peers import STATUSES, peers
from scaling import scaled

HERE = Path(__file__).parent
LIBRARIES = ("aiohttp", "attrs", "cattrs", "msgspec", "orjson", "pydantic", "httpx")


@dataclass(frozen=True)
class Size:
    """How much is measured."""

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


def machine() -> dict[str, object]:
    """Say what the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "load_at_start": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
    }


async def told(what: str, work: Awaitable[Any]) -> Any:
    """Do a part and say on the error stream how long it took."""
    begin_s = time.perf_counter()
    found = await work
    print(f"  {what}: {time.perf_counter() - begin_s:.0f} s", file=sys.stderr, flush=True)
    return found


async def measure(panel: Panel, size: Size, *, with_peers: bool) -> Results:
    """Measure all parts, one after the other."""
    figures: dict[str, Spread] = {}
    times = size.decode_times
    figures |= await told("decoding statuses", decoding.decode_batches(size.rounds, times))
    for rows in size.catalogues:
        part = decoding.decode_catalogue(rows, size.rounds)
        figures |= await told(f"decoding {rows} services", part)
    slow = size.slow_rounds
    parts = {
        "CPU a status": wire.cpu_a_status(panel, size.rounds, size.statuses),
        "latency": wire.with_latency(panel, slow, size.slow_statuses),
        "bursts": wire.bursts(panel, slow),
        "trickles": wire.trickles(panel, slow, size.trickle),
        "pauses of the loop": wire.pauses(panel, slow),
        "imports": imports(size.rounds),
    }
    for what, part in parts.items():
        figures |= await told(what, part)
    weights = await told("memory", memory(*size.kept))
    figures |= {name: Spread(value, value, value, 1) for name, value in weights.items()}
    steps = await told("scaling", scaled(panel, size.sizes, size.latencies_ms))
    return {
        "machine": machine(),
        "figures": {name: asdict(value) for name, value in figures.items()},
        "scaling": steps,
        "peers": await told("peers", peers(panel)) if with_peers else [],
    }


def peers_table(rows: list[dict[str, Any]]) -> str:
    """Draw the table of the clients that PyPI has."""
    heads = (
        "client",
        f"{STATUSES} single calls",
        f"{STATUSES} ids at once",
        "most ids a request",
        "orders placed, answer lost",
        "what it says then",
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
    return aligned(lines)


def scaling_table(rows: list[dict[str, float]]) -> str:
    """Draw the table of sizes."""
    heads = ("ids", "latency", "seconds", "CPU seconds", "peak memory", "grown by")
    lines: list[tuple[str, ...]] = [heads]
    lines += [
        (
            f"{row['ids']:,.0f}",
            f"{row['latency_ms']:.0f} ms",
            number(row["seconds"]),
            number(row["cpu_seconds"]),
            f"{row['peak_mb']:.0f} MB",
            f"{row['grown_mb']:.1f} MB",
        )
        for row in rows
    ]
    return aligned(lines)


def show(results: Results) -> list[str]:
    """Print all tables; give the goals that are not met."""
    figures = {name: Spread(**value) for name, value in results["figures"].items()}
    goals, missed = table(figures)
    print(", ".join(f"{name} {value}" for name, value in results["machine"].items()))
    print(f"\n{goals}\n")
    rows: list[tuple[str, ...]] = [("figure", "median (spread)")]
    print(aligned(rows + [(name, shown(value)) for name, value in figures.items()]))
    print(f"\n{scaling_table(results['scaling'])}")
    if results["peers"]:
        print(f"\n{peers_table(results['peers'])}")
    return missed


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test, not a measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures here")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="kept", help="show kept figures")
    parser.add_argument("--charts", action="store_true", help="draw speed.svg and scaling.svg")
    parser.add_argument("--no-peers", action="store_true", help="install nothing from PyPI")
    return parser.parse_args()


async def main() -> int:
    """Measure or take what was kept; show it, keep it, draw it."""
    chosen = arguments()
    if chosen.kept:
        results = json.loads(chosen.kept.read_text(encoding="utf-8"))
    else:
        with_peers = not (chosen.quick or chosen.no_peers)
        async with started() as panel:
            results = await measure(panel, QUICK if chosen.quick else FULL, with_peers=with_peers)
    missed = show(results)
    if chosen.json:
        text = json.dumps(results, indent=2, ensure_ascii=False)
        chosen.json.write_text(text + "\n", encoding="utf-8")
    if chosen.charts:
        draw(results, HERE)
    if chosen.quick:
        print("\na smoke test: no bound was held")
        return 0
    for what in missed:
        print(f"not met: {what}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
