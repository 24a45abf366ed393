"""Other clients of such panels on PyPI, used as their READMEs describe, compared with this one.

Each is installed by `pip install NAME` into an environment of its own in a temporary folder, and
run there by `SCRIPT`. One that cannot be installed or run is reported with the reason.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from contestants import fetch_with_status
from panel import KEY, Panel

from smmfanfast_async import Client, DefaultOrder, PanelError

STATUSES = 1000
FIRST_ID = 10_001
INSTALL_TIMEOUT_S = 180
RUN_TIMEOUT_S = 60
ENVIRONMENT = {"NO_PROXY": "*", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True)
class Peer:
    """The usage of a peer according to its README."""

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
start = time.perf_counter()
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
result = answer if isinstance(answer, str) else len(answer)
print(json.dumps({{"seconds": time.perf_counter() - start, "result": result}}))
"""


class PeerFailedError(Exception):
    """A peer could not be installed or run."""


async def run_command(command: list[str], timeout_s: float) -> str:
    """Run a command and return its output."""
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
        raise PeerFailedError(f"timed out after {timeout_s:g} s") from error
    if process.returncode:
        lines = err.decode(errors="replace").strip().splitlines()
        raise PeerFailedError(lines[-1] if lines else f"exit status {process.returncode}")
    return out.decode()


async def measure_peer(panel: Panel, peer: Peer, folder: Path) -> dict[str, object]:
    """Install a peer and measure the same operations as for the client."""
    await run_command([sys.executable, "-m", "venv", str(folder)], INSTALL_TIMEOUT_S)
    python = str(folder / "bin" / "python") if os.name != "nt" else str(folder / "Scripts/python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    await run_command([*install, peer.package], INSTALL_TIMEOUT_S)
    version = f"import importlib.metadata as m; print(m.version({peer.package!r}))"
    row: dict[str, object] = {
        "name": peer.package,
        "version": (await run_command([python, "-c", version], RUN_TIMEOUT_S)).strip(),
    }
    script = SCRIPT.format(first=FIRST_ID, **vars(peer))
    for what in ("single", "many", "add"):
        url = panel.url(is_lost=what == "add")
        await panel.fetch_counts()
        out = await run_command(
            [python, "-c", script, url, what, str(STATUSES), KEY], RUN_TIMEOUT_S
        )
        counts, output = await panel.fetch_counts(), json.loads(out)
        row |= {f"{what}_requests": counts.requests, f"{what}_seconds": output["seconds"]}
        if what == "many":
            row["most_ids"] = counts.max_ids
        if what == "add":
            row |= {"orders_placed": counts.orders, "add_says": output["result"]}
    return row


async def measure_client(panel: Panel) -> dict[str, object]:
    """Measure the client."""
    row: dict[str, object] = {"name": "smmfanfast_async", "version": "this"}
    ids = range(FIRST_ID, FIRST_ID + STATUSES)
    async with Client(KEY, base_url=panel.url()) as client:
        for what, work in (("single", fetch_with_status), ("many", fetch_with_statuses)):
            await panel.fetch_counts()
            start_s = time.perf_counter()
            await work(client, ids)
            counts = await panel.fetch_counts()
            row |= {
                f"{what}_requests": counts.requests,
                f"{what}_seconds": time.perf_counter() - start_s,
            }
        row["most_ids"] = counts.max_ids
    async with Client(KEY, base_url=panel.url(is_lost=True)) as client:
        start_s = time.perf_counter()
        try:
            order = DefaultOrder(service=5, link="https://example.com/p", quantity=10)
            says = f"answered: {await client.add(order)}"
        except PanelError as error:
            says = type(error).__name__
        counts = await panel.fetch_counts()
        row |= {
            "add_requests": counts.requests,
            "add_seconds": time.perf_counter() - start_s,
            "orders_placed": counts.orders,
            "add_says": says,
        }
    return row


async def fetch_with_statuses(client: Client, ids: range) -> object:
    """Fetch all ids with one call."""
    return await client.statuses(ids)


async def measure_peers(panel: Panel) -> list[dict[str, object]]:
    """Measure the client and every peer."""
    rows = [await measure_client(panel)]
    for peer in PEERS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows.append(await measure_peer(panel, peer, Path(folder)))
            except PeerFailedError as error:
                rows.append({"name": peer.package, "failed": str(error)})
    return rows
