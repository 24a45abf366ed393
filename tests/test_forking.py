"""Servers that load the program and fork their workers then, such as `gunicorn --preload`."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smmfanfast_async import Client, ClosedError, DefaultOrder
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Sandbox

CHILD_S = 120
"""Seconds for a program and its forked children; each takes about one."""

START = """
import asyncio, json, os
from smmfanfast_async import Client, DefaultOrder, PanelError
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal

client = Client.from_env()
desk = OrderDesk(client, SQLJournal("sqlite+aiosqlite:///orders.db"))

def order(name):
    return DefaultOrder(service=5, link=f"https://example.com/{name}", quantity=1000)

async def try_out(call):
    try:
        async with asyncio.timeout(60):
            return str(getattr(await call, "state", "done"))
    except PanelError as error:
        return f"{type(error).__name__}: {error}"

def report(**results):
    os.write(1, (json.dumps(results) + "\\n").encode())

async def serve(name):
    async with client, desk:
        report(name=name, state=await try_out(desk.place(order(name), ref=name)))
"""

USED_BEFORE = """
async def use():
    await client.status(1)
    await desk.open()
    return await try_out(desk.place(order("before"), ref="before"))

async def use_again():
    return {
        "status": await try_out(client.status(1)),
        "place": await try_out(desk.place(order("forked"), ref="forked")),
        "close": await try_out(desk.aclose()),
    }

loop = asyncio.new_event_loop()
report(at="parent", place=loop.run_until_complete(use()))
child = os.fork()
if child == 0:
    report(at="child, same loop", **loop.run_until_complete(use_again()))
    report(at="child, own loop", **asyncio.run(use_again()))
    client = Client.from_env()
    desk = OrderDesk(client, SQLJournal("sqlite+aiosqlite:///orders.db"))
    asyncio.run(serve("after"))
    os._exit(0)
os.waitpid(child, 0)
placed = try_out(desk.place(order("later"), ref="later"))
report(at="parent, later", place=loop.run_until_complete(placed))
loop.run_until_complete(desk.aclose())
loop.run_until_complete(client.aclose())
loop.close()
"""

CREATED_BEFORE = """
children = []
for name in ("first", "second"):
    child = os.fork()
    if child == 0:
        asyncio.run(serve(name))
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
"""


async def run(program: str, panel: Sandbox, folder: Path) -> list[dict[str, Any]]:
    """Run a program, and return what it and its forked children reported."""
    environment = {
        **os.environ,
        "SMMFANFAST_API_KEY": panel.api_key,
        "SMMFANFAST_BASE_URL": panel.url,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", START + program,
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(CHILD_S):
        output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.asyncio
async def test_what_was_used_before_a_fork_says_so(tmp_path: Path) -> None:
    async with Sandbox(existing_orders=1, speed=0) as panel:
        before, same_loop, own_loop, after, later = await run(USED_BEFORE, panel, tmp_path)

        assert before["place"] == after["state"] == later["place"] == "accepted"
        for forked in (same_loop, own_loop):
            assert forked["status"].startswith("ClosedError: ")
            assert "create it after the fork" in forked["status"]
            assert forked["place"].startswith("ClosedError: ")
            assert forked["close"] == "done"
        assert "open one after the fork" in same_loop["place"]
        assert len(panel.orders) == 4  # the one that exists, before, after and later


@pytest.mark.asyncio
async def test_what_is_created_before_a_fork_serves_each_worker(tmp_path: Path) -> None:
    async with Sandbox(speed=0) as panel:
        reports = await run(CREATED_BEFORE, panel, tmp_path)

        assert sorted(each["name"] for each in reports) == ["first", "second"]
        assert {each["state"] for each in reports} == {"accepted"}
        assert len(panel.orders) == 2


@pytest.mark.asyncio
async def test_forked_process_leaves_the_desk_of_its_parent_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = DefaultOrder(service=5, link="https://example.com/a", quantity=1000)
    parent = os.getpid()
    async with Sandbox(speed=0, existing_orders=1) as panel:
        client = Client(panel.api_key, base_url=panel.url)
        desk = OrderDesk(client, SQLJournal(f"sqlite+aiosqlite:///{tmp_path / 'orders.db'}"))
        async with client, desk:
            await client.status(1)
            with monkeypatch.context() as patch:
                patch.setattr(os, "getpid", lambda: parent + 1)
                with pytest.raises(ClosedError, match="create it after the fork"):
                    await client.status(1)
                with pytest.raises(ClosedError, match="open one after the fork"):
                    await desk.place(order, ref="a")
                await desk.aclose()
                await desk.aclose()
            desk._is_open = True  # the copy of the parent was never closed
            assert (await desk.place(order, ref="a")).state == "accepted"
