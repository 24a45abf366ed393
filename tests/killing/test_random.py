"""Processes are killed at random while answers are lost; the journal must be correct afterwards.

The normal run kills for a second or two. `-m slow` kills for a minute per test, or for
`SMMFANFAST_KILL_S` seconds; `SMMFANFAST_SEED=7` chooses the same moments again.
"""

import asyncio
import os
import random
import time

import pytest
from support.killing import PATIENT, Child, entries_of, event_positions, eventually, verify
from support.postgres import shared_server

from smmfanfast_async.journal import EntryState
from smmfanfast_async.sandbox import Fault, Sandbox

SHORT_S = 1.5
KILL_S = float(os.environ.get("SMMFANFAST_KILL_S", "60"))
SEED = int(os.environ.get("SMMFANFAST_SEED", "0") or 0)
IN_FLIGHT = {EntryState.PREPARED, EntryState.SENDING}


async def kill_repeatedly(
    url: str,
    panel: Sandbox,
    refs: list[str],
    rand: random.Random,
    *,
    name: str,
    reads: list[list[int]],
    kill_s: float,
) -> None:
    """Start a process and kill it at a random moment, at least once and for `kill_s` seconds."""
    until_s = time.monotonic() + kill_s
    while not reads or time.monotonic() < until_s:
        shuffled = rand.sample(refs, len(refs))
        child = await Child.start(
            url, panel, refs=shuffled, follow=True, consumer=name, stay_s=60,
            clock_off_s=rand.choice([0, 0, 0, 3600, -3600]),
        )  # fmt: skip
        # Only after its first order, since a child spends most of its time starting.
        await child.until("entry")
        await asyncio.sleep(rand.uniform(0.0, 0.8))
        await child.kill()
        reads.append([each["event"] for each in child.reports if "event" in each])


async def place_the_rest(url: str, panel: Sandbox, refs: list[str]) -> None:
    """Place every ref in one more process, and wait until nothing is in flight."""
    child = await Child.start(url, panel, refs=refs, follow=True, stay_s=600)
    await child.until("done")

    async def is_done() -> bool:
        return not any(each.state in IN_FLIGHT for each in (await entries_of(url)).values())

    await eventually(is_done)
    await child.kill()


async def read_to_the_end(url: str, panel: Sandbox, name: str, reads: list[list[int]]) -> None:
    """Continue reading as a consumer that was killed, until it has read every event."""
    positions = set(await event_positions(url))
    child = await Child.start(url, panel, consumer=name, stay_s=600)
    before = {each for read in reads for each in read}

    def has_read_all() -> bool:
        return before | {each["event"] for each in child.reports if "event" in each} >= positions

    try:
        await eventually(has_read_all)
    finally:
        await child.kill()
        reads.append([each["event"] for each in child.reports if "event" in each])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("processes", "kill_s"),
    [
        pytest.param(2, SHORT_S, id="short"),
        pytest.param(1, KILL_S, marks=pytest.mark.slow, id="one process"),
        pytest.param(4, KILL_S, marks=pytest.mark.slow, id="four processes"),
    ],
)
async def test_random_kills_double_no_order_and_lose_no_event(
    url: str, panel: Sandbox, processes: int, kill_s: float
) -> None:
    panel.fail_at_rate(Fault.DROP_AFTER, rate=0.15, action="add")
    panel.fail_at_rate(Fault.DROP_BEFORE, rate=0.05, action="add")
    refs = [f"ref-{number}" for number in range(40 if kill_s > SHORT_S else 10)]
    reads_by_name: dict[str, list[list[int]]] = {
        f"mail-{number}": [] for number in range(processes)
    }
    async with asyncio.TaskGroup() as group:
        for number, (name, reads) in enumerate(reads_by_name.items()):
            rand = random.Random(f"{SEED}/{number}")
            killing = kill_repeatedly(url, panel, refs, rand, name=name, reads=reads, kill_s=kill_s)
            group.create_task(killing)
    panel.clear_faults()

    await place_the_rest(url, panel, refs)

    entries = await entries_of(url)
    assert set(entries) == set(refs), f"SMMFANFAST_SEED={SEED}"
    verify(entries, panel, refs)
    positions = await event_positions(url)
    assert positions == list(range(1, len(positions) + 1))
    for name, reads in reads_by_name.items():
        await read_to_the_end(url, panel, name, reads)
        assert all(read == sorted(read) for read in reads)


@pytest.mark.asyncio
@pytest.mark.parametrize("kill_s", [SHORT_S, pytest.param(KILL_S, marks=pytest.mark.slow)])
async def test_restarting_postgresql_under_load_loses_nothing(
    panel: Sandbox, kill_s: float
) -> None:
    server = shared_server()
    url = await server.fresh()
    rand = random.Random(SEED)
    refs = [f"ref-{number}" for number in range(60 if kill_s > SHORT_S else 12)]
    panel.fail_at_rate(Fault.DROP_AFTER, rate=0.1, action="add")
    options = {"follow": True, "stay_s": 600, **PATIENT}
    children = [
        await Child.start(url, panel, refs=rand.sample(refs, len(refs)), **options)
        for _ in range(2)
    ]
    until_s = time.monotonic() + kill_s
    while time.monotonic() < until_s:
        await asyncio.sleep(rand.uniform(0.5, 1.5))
        await asyncio.to_thread(server.restart, rand.choice(["fast", "immediate"]))
    for child in children:
        await child.until("done")
    for child in children:
        await child.kill()
    panel.clear_faults()

    await place_the_rest(url, panel, refs)

    entries = await entries_of(url)
    assert set(entries) == set(refs)
    verify(entries, panel, refs)
