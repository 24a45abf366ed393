"""Measure the memory of decoded objects, each in a process of its own.

`python benchmarks/memory.py SUBJECT COUNT DECODER` is such a process; `run_measurement` starts it.
"""

import asyncio
import json
import sys
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import orjson
from panel import services_body, status_body

from smmfanfast_async import SMMFANFAST, Catalogue
from smmfanfast_async._wire.decode import decode_services, decode_statuses
from smmfanfast_async.results import Response

BATCH = 100
FIRST_ID = 1_000_001


def decode_catalogue(body: bytes) -> object:
    """Decode a catalogue as the client does."""
    rows = decode_services(Response(status=200, body=body), SMMFANFAST)
    return Catalogue.from_services(rows.services, datetime.now(UTC), rows.unreadable)


def decode_status_batch(body: bytes, ids: list[str]) -> dict[str, object]:
    """Decode a batch as the client does."""
    statuses = decode_statuses(Response(status=200, body=body), SMMFANFAST, ids).found
    # Like `Client.statuses`, which uses the id in a status as the key.
    return {getattr(each, "order", order): each for order, each in statuses.items()}


def measure_catalogue(rows: int, *, ours: bool) -> dict[str, float]:
    """Measure a decoded catalogue, and the additional memory while decoding it."""
    body = services_body(rows)
    decode = decode_catalogue if ours else orjson.loads
    decode(services_body(1))  # objects that are created once
    tracemalloc.start()
    kept = decode(body)
    weight, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return {"kept": weight, "peak": peak, "transient": peak - weight, "body": len(body)}


def measure_statuses(count: int, *, ours: bool) -> dict[str, float]:
    """Measure many statuses, decoded batch by batch."""
    decode_status_batch(status_body([b"1"]), ["1"])
    tracemalloc.start()
    kept: dict[str, object] = {}
    for start in range(FIRST_ID, FIRST_ID + count, BATCH):
        ids = [str(order) for order in range(start, start + BATCH)]
        body = status_body([order.encode() for order in ids])
        kept |= decode_status_batch(body, ids) if ours else orjson.loads(body)
        del ids, body
    weight, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"kept": weight, "peak": peak, "transient": peak - weight, "body": 0}


async def run_measurement(subject: str, count: int, decoder: str) -> dict[str, float]:
    """Run a measurement in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__)),
        subject,
        str(count),
        decoder,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    figures: dict[str, float] = json.loads(out)
    return figures


async def measure_memory(rows: int, statuses: int) -> dict[str, float]:
    """Compare the memory of a catalogue and of statuses with that of dicts."""
    ours = await run_measurement("catalogue", rows, "ours")
    dicts = await run_measurement("catalogue", rows, "dicts")
    our_rows = await run_measurement("statuses", statuses, "ours")
    dict_rows = await run_measurement("statuses", statuses, "dicts")
    return {
        "catalogue kept / dicts": ours["kept"] / dicts["kept"],
        "catalogue peak / orjson": ours["peak"] / dicts["peak"],
        "catalogue transient / orjson": ours["transient"] / max(dicts["transient"], 1),
        "statuses kept / dicts": our_rows["kept"] / dict_rows["kept"],
        "catalogue body, MB": ours["body"] / 1e6,
        "catalogue kept, MB": ours["kept"] / 1e6,
        "catalogue transient, MB": ours["transient"] / 1e6,
        "catalogue transient, orjson, MB": dicts["transient"] / 1e6,
        "statuses kept, MB": our_rows["kept"] / 1e6,
        "bytes a status": our_rows["kept"] / statuses,
        "bytes a status, dicts": dict_rows["kept"] / statuses,
    }


if __name__ == "__main__":
    measure = {"catalogue": measure_catalogue, "statuses": measure_statuses}[sys.argv[1]]
    print(json.dumps(measure(int(sys.argv[2]), ours=sys.argv[3] == "ours")))
