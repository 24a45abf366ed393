"""What is kept costs memory: each thing is made in a process of its own and weighed there.

`python benchmarks/memory.py WHAT` is such a process; `weighed` starts it.
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


def our_catalogue(body: bytes) -> object:
    """Read a catalogue as the client does."""
    rows = decode_services(Response(status=200, body=body), SMMFANFAST)
    return Catalogue.from_services(rows.services, datetime.now(UTC), rows.unreadable)


def our_statuses(body: bytes, ids: list[str]) -> dict[str, object]:
    """Read a batch as the client does."""
    found = decode_statuses(Response(status=200, body=body), SMMFANFAST, ids).found
    # As `Client.statuses` keeps them: the id in a status stands for the key.
    return {getattr(each, "order", order): each for order, each in found.items()}


def weigh_catalogue(rows: int, *, ours: bool) -> dict[str, float]:
    """Weigh a catalogue, and what reading it takes beside that."""
    body = services_body(rows)
    read = our_catalogue if ours else orjson.loads
    read(services_body(1))  # what is made once
    tracemalloc.start()
    kept = read(body)
    weight, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return {"kept": weight, "peak": peak, "transient": peak - weight, "body": len(body)}


def weigh_statuses(count: int, *, ours: bool) -> dict[str, float]:
    """Weigh many statuses, read batch by batch."""
    our_statuses(status_body([b"1"]), ["1"])
    tracemalloc.start()
    kept: dict[str, object] = {}
    for start in range(FIRST_ID, FIRST_ID + count, BATCH):
        ids = [str(order) for order in range(start, start + BATCH)]
        body = status_body([order.encode() for order in ids])
        kept |= our_statuses(body, ids) if ours else orjson.loads(body)
        del ids, body
    weight, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"kept": weight, "peak": peak, "transient": peak - weight, "body": 0}


async def weighed(what: str, count: int, who: str) -> dict[str, float]:
    """Weigh something in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__)),
        what,
        str(count),
        who,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    found: dict[str, float] = json.loads(out)
    return found


async def memory(rows: int, statuses: int) -> dict[str, float]:
    """Compare what is kept of a catalogue and of statuses with dicts."""
    ours = await weighed("catalogue", rows, "ours")
    dicts = await weighed("catalogue", rows, "dicts")
    our_rows = await weighed("statuses", statuses, "ours")
    dict_rows = await weighed("statuses", statuses, "dicts")
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
    weigh = {"catalogue": weigh_catalogue, "statuses": weigh_statuses}[sys.argv[1]]
    print(json.dumps(weigh(int(sys.argv[2]), ours=sys.argv[3] == "ours")))
