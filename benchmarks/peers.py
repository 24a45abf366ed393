"""Clients of such panels that PyPI has, used as their READMEs say, beside ours.

Each is installed by `pip install NAME` into an environment of its own in a temporary folder, and
run there by `SCRIPT`. One that can't be installed or run is reported with the reason.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from contestants import coalesced
from panel import KEY, Panel

from smmfanfast_async import Client, DefaultOrder, PanelError

STATUSES = 1000
FIRST_ID = 10_001
INSTALL_TIMEOUT_S = 180
RUN_TIMEOUT_S = 60
ENVIRONMENT = {"NO_PROXY": "*", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True)
class Peer:
    """How the README of a peer says it is used."""

    package: str
    make: str
    single: str
    many: str
    add: str


PEERS = (
    Peer(
        "babismm",
        "from smm import SMM; client = SMM(api_url=url, api_key=key)",
        "client.get_status",
        "client.get_multi_status",
        "client.add_order",
    ),
    Peer(
        "safesmm",
        "from safesmm import SafeSMM; client = SafeSMM(key, api_url=url)",
        "client.status",
        "client.multi_status",
        "client.add_order",
    ),
    Peer(
        "smmpy",
        "from smmpy import smm; client = smm(url, key)",
        "client.get_status",
        "client.get_multi_status",
        "client.add_order",
    ),
)

SCRIPT = """
import json, sys, time
url, what, count, key = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
{make}
ids = list(range({first}, {first} + count))
begin = time.perf_counter()
if what == "single":
    answer = [{single}(each) for each in ids]
elif what == "many":
    answer = {many}(ids)
else:
    try:
        answer = {add}(service=5, link="https://example.com/p", quantity=10)
        answer = "answered: " + str(answer)
    except Exception as error:
        answer = type(error).__name__
found = answer if isinstance(answer, str) else len(answer)
print(json.dumps({{"seconds": time.perf_counter() - begin, "found": found}}))
"""


class PeerFailedError(Exception):
    """A peer could not be installed or run."""


async def output_of(command: list[str], timeout_s: float) -> str:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **ENVIRONMENT},
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise PeerFailedError(f"no end after {timeout_s:g} s") from error
    if process.returncode:
        lines = err.decode(errors="replace").strip().splitlines()
        raise PeerFailedError(lines[-1] if lines else f"ended with {process.returncode}")
    return out.decode()


async def measured(panel: Panel, peer: Peer, folder: Path) -> dict[str, object]:
    """Install a peer and let it do what ours does."""
    await output_of([sys.executable, "-m", "venv", str(folder)], INSTALL_TIMEOUT_S)
    python = str(folder / "bin" / "python") if os.name != "nt" else str(folder / "Scripts/python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    await output_of([*install, peer.package], INSTALL_TIMEOUT_S)
    version = f"import importlib.metadata as m; print(m.version({peer.package!r}))"
    row: dict[str, object] = {
        "name": peer.package,
        "version": (await output_of([python, "-c", version], RUN_TIMEOUT_S)).strip(),
    }
    script = SCRIPT.format(first=FIRST_ID, **vars(peer))
    for what in ("single", "many", "add"):
        url = panel.url(is_lost=what == "add")
        await panel.counts()
        out = await output_of([python, "-c", script, url, what, str(STATUSES), KEY], RUN_TIMEOUT_S)
        counts, found = await panel.counts(), json.loads(out)
        row |= {f"{what}_requests": counts.requests, f"{what}_seconds": found["seconds"]}
        if what == "many":
            row["most_ids"] = counts.most_ids
        if what == "add":
            row |= {"orders_placed": counts.orders, "add_says": found["found"]}
    return row


async def ours(panel: Panel) -> dict[str, object]:
    """Do the same with the client."""
    row: dict[str, object] = {"name": "smmfanfast_async", "version": "this"}
    ids = range(FIRST_ID, FIRST_ID + STATUSES)
    async with Client(KEY, base_url=panel.url()) as client:
        for what, work in (("single", coalesced), ("many", by_statuses)):
            await panel.counts()
            begin_s = time.perf_counter()
            await work(client, ids)
            counts = await panel.counts()
            row |= {
                f"{what}_requests": counts.requests,
                f"{what}_seconds": time.perf_counter() - begin_s,
            }
        row["most_ids"] = counts.most_ids
    async with Client(KEY, base_url=panel.url(is_lost=True)) as client:
        begin_s = time.perf_counter()
        try:
            order = DefaultOrder(service=5, link="https://example.com/p", quantity=10)
            says = f"answered: {await client.add(order)}"
        except PanelError as error:
            says = type(error).__name__
        counts = await panel.counts()
        row |= {
            "add_requests": counts.requests,
            "add_seconds": time.perf_counter() - begin_s,
            "orders_placed": counts.orders,
            "add_says": says,
        }
    return row


async def by_statuses(client: Client, ids: range) -> object:
    """Ask about all ids at once."""
    return await client.statuses(ids)


async def peers(panel: Panel) -> list[dict[str, object]]:
    """Measure ours and every peer."""
    rows = [await ours(panel)]
    for peer in PEERS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows.append(await measured(panel, peer, Path(folder)))
            except PeerFailedError as error:
                rows.append({"name": peer.package, "failed": str(error)})
    return rows
