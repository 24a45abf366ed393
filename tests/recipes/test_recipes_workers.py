"""The FastAPI recipe on a real uvicorn with two workers: orders in flight survive SIGTERM."""

import asyncio
import os
import signal
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from smmfanfast_async.sandbox import Fault, Sandbox

SERVER_S = 120
"""Seconds for a server to start, and for it to stop; it needs about two."""

SHOP = """
import with_fastapi
with_fastapi.SESSIONS["Bearer ann"] = 7
app = with_fastapi.app
"""
BUYER = {"Authorization": "Bearer ann"}
ORDERS = 6
DELAY_S = 0.5
"""How long the panel takes for an order: the server is stopped meanwhile."""


LINKS = [f"https://example.com/in-flight/{number}" for number in range(ORDERS)]


def count_stored(folder: Path) -> int:
    """Return how many orders the journal has."""
    with closing(sqlite3.connect(folder / "orders.db", timeout=SERVER_S)) as journal:
        (count,) = journal.execute("SELECT count(*) FROM smm_orders").fetchone()
        return int(count)


async def start_server(folder: Path, port: int) -> asyncio.subprocess.Process:
    """Start uvicorn with two workers, and wait until it answers."""
    (folder / "shop.py").write_text(SHOP)
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{folder}"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uvicorn", "shop:app", "--workers", "2", "--port", str(port),
        "--timeout-graceful-shutdown", "60", "--log-level", "warning",
        cwd=folder, env=environment,
    )  # fmt: skip
    async with asyncio.timeout(SERVER_S), httpx.AsyncClient(trust_env=False) as http:
        while True:
            try:
                await http.get(f"http://127.0.0.1:{port}/orders/x", headers=BUYER)
            except httpx.TransportError:
                await asyncio.sleep(0.05)  # it does not listen yet
            else:
                return process


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.asyncio
async def test_stopped_server_answers_and_records_what_is_in_flight(
    panel: Sandbox, tmp_path: Path
) -> None:
    port = free_port()
    process = await start_server(tmp_path, port)
    panel.fail_next(Fault.DELAY, action="add", times=ORDERS, delay_s=DELAY_S)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", timeout=SERVER_S, trust_env=False
    ) as http:
        calls = [
            asyncio.create_task(
                http.post(
                    "/orders",
                    json={"service": 5, "link": link, "quantity": 1000},
                    headers={**BUYER, "Idempotency-Key": link},
                )
            )
            for link in LINKS
        ]
        async with asyncio.timeout(SERVER_S):
            # The worker that stores them is another process.
            while count_stored(tmp_path) < ORDERS or not panel.requests["add"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            answers = await asyncio.gather(*calls)
            await process.wait()

    assert [answer.status_code for answer in answers] == [200] * ORDERS
    assert {answer.json()["order"] for answer in answers} <= set(panel.orders)
    assert sum(each.link in LINKS for each in panel.orders.values()) == ORDERS
    assert process.returncode in {0, -signal.SIGTERM}
