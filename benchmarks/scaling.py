"""`iter_statuses` from a thousand to a million ids: time, and memory of a process of its own.

`python benchmarks/scaling.py URL COUNT` is such a process; `scaled` starts one for each size.
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


def peak_bytes() -> int:
    """Give the most memory that this process has had in use.

    `ru_maxrss` alone won't do on Linux: a child begins with what its parent had at the fork.
    """
    status = Path("/proc/self/status")
    if status.exists() and (mark := HIGH_WATER.search(status.read_text(encoding="ascii"))):
        return int(mark[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


async def stream(url: str, count: int) -> dict[str, float]:
    """Go through many ids, which come from a generator, and keep nothing."""
    async with Client(KEY, base_url=url) as client:
        await client.statuses(range(1, WARM_UP + 1))
        before = peak_bytes()
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        found = 0
        async for _, result in client.iter_statuses(range(FIRST_ID, FIRST_ID + count)):
            found += not isinstance(result, PanelError)
        wall_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
    if found != count:
        raise RuntimeError(f"{found} statuses came, {count} were asked for")
    return {
        "ids": count,
        "seconds": wall_s,
        "cpu_seconds": cpu_s,
        "peak_mb": peak_bytes() / 1e6,
        "grown_mb": (peak_bytes() - before) / 1e6,
    }


async def scaled(
    panel: Panel, sizes: tuple[int, ...], latencies_ms: tuple[int, ...]
) -> list[dict[str, float]]:
    """Measure every size at every latency."""
    found = []
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
            found.append({"latency_ms": latency_ms, **json.loads(out)})
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(stream(sys.argv[1], int(sys.argv[2])))))
