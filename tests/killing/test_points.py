"""A process that is killed at each step of placing, and another that takes up what it left."""

import pytest
from support.killing import Child, entries_of, event_positions, until, verify

from smmfanfast_async.journal import EntryState
from smmfanfast_async.sandbox import Fault, Sandbox

REFS = ["one", "two", "three"]


async def killed(url: str, panel: Sandbox, point: str, **asked: object) -> None:
    """Let a process do its work up to a point, and kill it there."""
    child = await Child.start(url, panel, point=point, **asked)
    await child.until("at")
    await child.kill()


async def taken_up(url: str, panel: Sandbox) -> None:
    """Let another process place the same refs, and follow for a while."""
    child = await Child.start(url, panel, refs=REFS, follow=True, stay_s=1.5)
    await child.until("done")
    await child.ended()
    assert child.process.returncode == 0


@pytest.mark.asyncio
async def test_killed_before_the_intent_is_committed_nothing_was_there(
    url: str, panel: Sandbox
) -> None:
    await killed(url, panel, "intent", refs=REFS)
    assert await entries_of(url) == {}

    await taken_up(url, panel)

    entries = await entries_of(url)
    assert [entries[ref].state for ref in REFS] == [EntryState.ACCEPTED] * 3
    verify(entries, panel, REFS)


@pytest.mark.asyncio
async def test_killed_between_commit_and_send_it_is_unknown_and_never_sent(
    url: str, panel: Sandbox
) -> None:
    await killed(url, panel, "begun", refs=REFS)
    assert len(panel.orders) == 0

    await taken_up(url, panel)

    entries = await entries_of(url)
    assert entries["one"].state is EntryState.UNKNOWN
    assert len(panel.orders) == 2
    verify(entries, panel, REFS)


@pytest.mark.asyncio
async def test_killed_between_send_and_answer_it_is_unknown_and_there_once(
    url: str, panel: Sandbox
) -> None:
    panel.fail_next(Fault.DELAY, action="add", delay_s=3.0)
    child = await Child.start(url, panel, refs=REFS)
    await until(lambda: bool(panel.orders))
    await child.kill()

    await taken_up(url, panel)

    entries = await entries_of(url)
    assert entries["one"].state is EntryState.UNKNOWN
    assert len(panel.orders) == 3
    verify(entries, panel, REFS)


@pytest.mark.asyncio
async def test_killed_between_answer_and_commit_it_is_unknown_and_there_once(
    url: str, panel: Sandbox
) -> None:
    await killed(url, panel, "outcome", refs=REFS)
    assert len(panel.orders) == 1

    await taken_up(url, panel)

    entries = await entries_of(url)
    assert entries["one"].state is EntryState.UNKNOWN
    assert len(panel.orders) == 3
    verify(entries, panel, REFS)


@pytest.mark.asyncio
async def test_killed_while_a_person_resolves_it_stays_unknown(url: str, panel: Sandbox) -> None:
    await killed(url, panel, "begun", refs=REFS)
    await taken_up(url, panel)
    events = await event_positions(url)

    await killed(url, panel, "resolve", resolve="one")

    entries = await entries_of(url)
    assert entries["one"].state is EntryState.UNKNOWN
    assert await event_positions(url) == events
    verify(entries, panel, REFS)


@pytest.mark.asyncio
async def test_a_process_that_was_stopped_past_its_lease_sends_nothing(
    url: str, panel: Sandbox
) -> None:
    child = await Child.start(url, panel, refs=["one"], point="begun", still_s=0.3)
    await child.until("at")
    child.stop()
    other = await Child.start(url, panel, refs=["two"], follow=True, stay_s=1.5)
    await other.until("done")
    await other.ended()
    assert (await entries_of(url))["one"].state is EntryState.UNKNOWN

    child.go_on()
    await child.until("done")
    await child.ended()

    entries = await entries_of(url)
    assert [each.link.rpartition("/")[2] for each in panel.orders.values()] == ["two"]
    assert entries["one"].state is EntryState.UNKNOWN
    verify(entries, panel, ["one", "two"])


@pytest.mark.asyncio
async def test_twenty_processes_with_one_ref_make_one_order(url: str, panel: Sandbox) -> None:
    children = [
        await Child.start(url, panel, refs=["one"], lease_s=60, write_within_s=30)
        for _ in range(20)
    ]
    said = [await child.until("entry") for child in children]
    for child in children:
        await child.ended()

    assert len(panel.orders) == 1
    assert {(each["state"], each["order"]) for each in said} == {("accepted", *panel.orders)}
