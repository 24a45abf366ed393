"""A process is killed at each step of placing, and another one continues."""

import pytest
from support.killing import PATIENT, Child, entries_of, event_positions, eventually, verify

from smmfanfast_async.journal import EntryState
from smmfanfast_async.sandbox import Fault, Sandbox

from .panels import SLOW_S

REFS = ["one", "two", "three"]


async def kill_at(url: str, panel: Sandbox, point: str, **task: object) -> None:
    """Run a process up to a point, and kill it there."""
    child = await Child.start(url, panel, point=point, **task)
    await child.until("at")
    await child.kill()


async def continue_in_another_process(url: str, panel: Sandbox) -> None:
    """Place the same refs in another process that also follows; it waits for expired leases."""
    child = await Child.start(url, panel, refs=REFS, follow=True, stay_s=0.3, **PATIENT)
    await child.until("done")
    await child.wait()
    assert child.process.exitcode == 0


@pytest.mark.asyncio
async def test_kill_before_the_intent_is_committed_leaves_nothing(url: str, panel: Sandbox) -> None:
    await kill_at(url, panel, "intent", refs=REFS)
    assert await entries_of(url) == {}

    await continue_in_another_process(url, panel)

    entries = await entries_of(url)
    assert {entries[ref].state for ref in REFS} <= {EntryState.ACCEPTED, EntryState.FINISHED}
    assert len(panel.orders) == 3
    verify(entries, panel, REFS)


@pytest.mark.asyncio
async def test_kill_between_commit_and_send_is_unknown_and_not_sent(
    url: str, panel: Sandbox
) -> None:
    await kill_at(url, panel, "started", refs=REFS)
    assert len(panel.orders) == 0

    await continue_in_another_process(url, panel)

    entries = await entries_of(url)
    assert entries["one"].state is EntryState.UNKNOWN
    assert len(panel.orders) == 2
    verify(entries, panel, REFS)


@pytest.mark.asyncio
async def test_kill_between_send_and_answer_is_unknown_and_sent_once(
    url: str, panel: Sandbox
) -> None:
    panel.fail_next(Fault.DELAY, action="add", delay_s=SLOW_S)
    child = await Child.start(url, panel, refs=REFS)
    await eventually(lambda: bool(panel.orders))
    await child.kill()

    await continue_in_another_process(url, panel)

    entries = await entries_of(url)
    assert entries["one"].state is EntryState.UNKNOWN
    assert len(panel.orders) == 3
    verify(entries, panel, REFS)


@pytest.mark.asyncio
async def test_kill_between_answer_and_commit_is_unknown_and_sent_once(
    url: str, panel: Sandbox
) -> None:
    await kill_at(url, panel, "outcome", refs=REFS)
    assert len(panel.orders) == 1

    await continue_in_another_process(url, panel)

    entries = await entries_of(url)
    assert entries["one"].state is EntryState.UNKNOWN
    assert len(panel.orders) == 3
    verify(entries, panel, REFS)


@pytest.mark.asyncio
async def test_kill_while_resolving_leaves_the_order_unknown(url: str, panel: Sandbox) -> None:
    await kill_at(url, panel, "started", refs=REFS)
    await continue_in_another_process(url, panel)
    events = await event_positions(url)

    await kill_at(url, panel, "resolve", resolve="one")

    entries = await entries_of(url)
    assert entries["one"].state is EntryState.UNKNOWN
    assert await event_positions(url) == events
    verify(entries, panel, REFS)


@pytest.mark.asyncio
async def test_process_suspended_past_its_lease_sends_nothing(url: str, panel: Sandbox) -> None:
    child = await Child.start(url, panel, refs=["one"], point="started")
    await child.until("at")
    other = await Child.start(url, panel, refs=["two"], follow=True, stay_s=600, **PATIENT)
    await other.until("done")

    async def has_expired() -> bool:
        return (await entries_of(url))["one"].state is EntryState.UNKNOWN

    await eventually(has_expired)
    await other.kill()

    child.resume()
    await child.until("done")
    await child.wait()

    entries = await entries_of(url)
    assert [each.link.rpartition("/")[2] for each in panel.orders.values()] == ["two"]
    assert entries["one"].state is EntryState.UNKNOWN
    verify(entries, panel, ["one", "two"])


@pytest.mark.parametrize("count", [4, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.asyncio
async def test_many_processes_with_one_ref_place_one_order(
    url: str, panel: Sandbox, count: int
) -> None:
    children = [await Child.start(url, panel, refs=["one"], **PATIENT) for _ in range(count)]
    reports = [await child.until("entry") for child in children]
    for child in children:
        await child.wait()

    assert len(panel.orders) == 1
    assert {(each["state"], each["order"]) for each in reports} == {("accepted", *panel.orders)}
