"""Measure `iter_statuses` from a thousand to a million ids: time, and memory of its process.

`python benchmarks/scaling.py URL COUNT` is such a process; `measure_scaling` starts one per size.
"""

import asyncio
import json
import re
import resource
import sys
import time
from pathlib import Path

from panel import KEY, Panel

from smmfanfast_async import Client, PanelError

HIGH_WATER = re.compile(r"VmHWM:\s+(\d+) kB")
WARM_UP = 100
FIRST_ID = 1_000_001


def get_peak_bytes() -> int:
    """Return the peak memory of this process.

    `ru_maxrss` alone is not sufficient on Linux: a child starts with its parent's value at the
    fork.
    """
    status = Path("/proc/self/status")
    if status.exists() and (match := HIGH_WATER.search(status.read_text(encoding="ascii"))):
        return int(match[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


async def measure_stream(url: str, count: int) -> dict[str, float]:
    """Iterate over many ids from a generator, keeping nothing."""
    async with Client(KEY, base_url=url) as client:
        await client.statuses(range(1, WARM_UP + 1))
        before = get_peak_bytes()
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        received = 0
        async for _, result in client.iter_statuses(range(FIRST_ID, FIRST_ID + count)):
            received += not isinstance(result, PanelError)
        wall_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    if received != count:
        raise RuntimeError(f"expected {count} statuses, received {received}")
    return {
        "ids": count,
        "seconds": wall_s,
        "cpu_seconds": cpu_s,
        "peak_mb": get_peak_bytes() / 1e6,
        "grown_mb": (get_peak_bytes() - before) / 1e6,
    }


async def measure_scaling(
    panel: Panel, sizes: tuple[int, ...], latencies_ms: tuple[int, ...]
) -> list[dict[str, float]]:
    """Measure every size at every latency."""
    rows = []
    for latency_ms in latencies_ms:
        for size in sizes:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(Path(__file__)),
                panel.url(latency_ms),
                str(size),
                stdout=asyncio.subprocess.PIPE,
            )
            out, _ = await process.communicate()
            rows.append({"latency_ms": latency_ms, **json.loads(out)})
    return rows


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure_stream(sys.argv[1], int(sys.argv[2])))))
