"""Processes that are killed at random while answers are lost; what is left must be true.

`SMMFANFAST_KILL_S=600` kills for ten minutes a test instead of some seconds, `SMMFANFAST_SEED=7`
replays the moments of a seed.
"""

import asyncio
import os
import random
import time

import pytest
from support.killing import Child, entries_of, event_positions, until, verify
from support.postgres import shared_server

from smmfanfast_async.journal import EntryState
from smmfanfast_async.sandbox import Fault, Sandbox

KILL_S = float(os.environ.get("SMMFANFAST_KILL_S", "6"))
SEED = int(os.environ.get("SMMFANFAST_SEED", "0") or 0)
ON_THE_WAY = {EntryState.PREPARED, EntryState.SENDING}


async def killed_again_and_again(
    url: str, panel: Sandbox, refs: list[str], rand: random.Random, seen: list[list[int]], name: str
) -> None:
    """Start a process and kill it at a random moment, until the time is over."""
    until_s = time.monotonic() + KILL_S
    while time.monotonic() < until_s:
        mixed = rand.sample(refs, len(refs))
        child = await Child.start(
            url, panel, refs=mixed, follow=True, consumer=name, stay_s=60,
            clock_off_s=rand.choice([0, 0, 0, 3600, -3600]),
        )  # fmt: skip
        # From its first order on, since most of its time a child only starts.
        await child.until("entry")
        await asyncio.sleep(rand.uniform(0.0, 0.8))
        await child.kill()
        seen.append([each["event"] for each in child.said if "event" in each])


async def settled(url: str, panel: Sandbox, refs: list[str]) -> None:
    """Let one more process place every ref, and wait until nothing is on its way."""
    child = await Child.start(url, panel, refs=refs, follow=True, stay_s=600)
    await child.until("done")

    async def is_quiet() -> bool:
        return not any(each.state in ON_THE_WAY for each in (await entries_of(url)).values())

    await until(is_quiet)
    await child.kill()


async def read_to_the_end(url: str, panel: Sandbox, name: str, reads: list[list[int]]) -> None:
    """Let a consumer that was killed read on until it has seen all there is, or say what not."""
    positions = set(await event_positions(url))
    child = await Child.start(url, panel, consumer=name, stay_s=600)
    before = {each for read in reads for each in read}

    def has_seen_all() -> bool:
        return before | {each["event"] for each in child.said if "event" in each} >= positions

    try:
        await until(has_seen_all)
    finally:
        await child.kill()
        reads.append([each["event"] for each in child.said if "event" in each])


@pytest.mark.asyncio
@pytest.mark.parametrize("processes", [1, 4])
async def test_killed_at_random_no_ref_is_ordered_twice_and_no_event_lost(
    url: str, panel: Sandbox, processes: int
) -> None:
    panel.fail_at_rate(Fault.DROP_AFTER, rate=0.15, action="add")
    panel.fail_at_rate(Fault.DROP_BEFORE, rate=0.05, action="add")
    refs = [f"ref-{number}" for number in range(40)]
    seen: dict[str, list[list[int]]] = {f"mail-{number}": [] for number in range(processes)}
    async with asyncio.TaskGroup() as group:
        for number, (name, reads) in enumerate(seen.items()):
            rand = random.Random(f"{SEED}/{number}")
            group.create_task(killed_again_and_again(url, panel, refs, rand, reads, name))
    panel.clear_faults()

    await settled(url, panel, refs)

    entries = await entries_of(url)
    assert set(entries) == set(refs), f"SMMFANFAST_SEED={SEED}"
    verify(entries, panel, refs)
    positions = await event_positions(url)
    assert positions == list(range(1, len(positions) + 1))
    for name, reads in seen.items():
        await read_to_the_end(url, panel, name, reads)
        assert all(read == sorted(read) for read in reads)


@pytest.mark.asyncio
async def test_a_postgresql_that_restarts_under_load_loses_nothing(panel: Sandbox) -> None:
    server = shared_server()
    url = await server.fresh()
    rand = random.Random(SEED)
    refs = [f"ref-{number}" for number in range(60)]
    panel.fail_at_rate(Fault.DROP_AFTER, rate=0.1, action="add")
    options = {"follow": True, "stay_s": 600, "lease_s": 60, "write_within_s": 30}
    children = [
        await Child.start(url, panel, refs=rand.sample(refs, len(refs)), **options)
        for _ in range(2)
    ]
    until_s = time.monotonic() + KILL_S
    while time.monotonic() < until_s:
        await asyncio.sleep(rand.uniform(0.5, 1.5))
        await asyncio.to_thread(server.restart, rand.choice(["fast", "immediate"]))
    for child in children:
        await child.until("done")
    for child in children:
        await child.kill()
    panel.clear_faults()

    await settled(url, panel, refs)

    entries = await entries_of(url)
    assert set(entries) == set(refs)
    verify(entries, panel, refs)
