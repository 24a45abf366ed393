"""Four processes place the same orders at three panels, and one of them is killed.

The one that comes first to the point of the case, at the panel of the case, is killed there. The
other three go on while empty panels stay empty, until each is done; then one more process places
the same orders again. The truth is what the three panels stored.

Nothing waits for time to pass: the lease of the order that the killed process was sending is ended
by the test, and those of all others are long.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from attrs import frozen
from support.killing import (
    PATIENT,
    Child,
    entries_of,
    eventually,
    expire_lease,
    first_at_point,
    verify,
)

from smmfanfast_async.journal import Entry, EntryState

from .panels import ANSWERS, KILLS, Panels, is_stored, open_panels, panels_with, refuse, urls_of

REFS = [f"ref-{number}" for number in range(8)]
ORDERS_OF_REFS = [REFS, REFS, REFS[4:] + REFS[:4], REFS[4:] + REFS[:4]]
"""The order in which each process places them: some begin with the same one, some do not."""
SENT = {EntryState.ACCEPTED, EntryState.FINISHED}


@frozen
class Case:
    answer: str
    """What the panel answers: to the killed process, if it came so far, and to another one."""
    number: str
    """Whether the panel is the first, or the second: then the first one is empty."""
    point: str
    """Where the process is killed."""

    @property
    def panel(self) -> str:
        return "beta" if self.number == "second" else "alpha"

    def prepare(self, panels: Panels) -> None:
        if self.number == "second":
            refuse(panels["alpha"])
        ANSWERS[self.answer](panels[self.panel])
        if self.point == "outcome":
            ANSWERS[self.answer](panels[self.panel])


FAST = {
    Case("refused", "first", "outcome"),
    Case("lost", "first", "started"),
    Case("lost", "second", "outcome"),
    Case("slow", "first", "sending"),
    Case("id", "second", "intent"),
}
"""What the normal suite runs, on SQLite; the rest is slow."""

CASES = [
    pytest.param(
        backend, case, id=f"{backend}-{answer}-{number}-{point}",
        marks=[] if backend == "sqlite" and case in FAST else [pytest.mark.slow],
    )
    for backend in ("sqlite", "postgresql")
    for answer, point in [*KILLS, *((each, "intent") for each in ANSWERS if each != "slow")]
    for number in ("first", "second")
    for case in [Case(answer, number, point)]
]  # fmt: skip

CAUGHT = [
    ("fails over after an unknown outcome", Case("lost", "first", "intent")),
    ("fails over after an unknown outcome", Case("lost", "first", "started")),
    ("fails over after an unknown outcome", Case("lost", "second", "outcome")),
    ("sends again after an expired lease", Case("id", "first", "outcome")),
    ("sends again after an expired lease", Case("slow", "second", "sending")),
]
"""Faults of a desk, and cases in which it orders twice."""


@pytest_asyncio.fixture
async def panels() -> AsyncIterator[Panels]:
    async with open_panels("alpha", "beta", "gamma") as opened:
        yield opened


async def kill_one(url: str, panels: Panels, case: Case, first: Path, **task: object) -> str | None:
    """Run the case to its end; return the ref that the killed process was sending, if any."""
    case.prepare(panels)
    options = {"panels": urls_of(panels), **PATIENT}
    at_panel = None if case.point == "intent" else case.panel
    children = [
        await Child.start(
            url, panels["alpha"], refs=refs, point=case.point, at_panel=at_panel,
            first=str(first), **options, **task,
        )
        for refs in ORDERS_OF_REFS
    ]  # fmt: skip
    killed = await first_at_point(children)
    if case.point == "sending":
        await eventually(lambda: bool(panels[case.panel].orders))
    await killed.kill()
    ref = None
    if case.point != "intent":
        # The panel takes one order at a time, and no other process gets there before this one.
        [ref] = [
            each.ref for each in (await entries_of(url)).values()
            if each.state is EntryState.SENDING and each.panel == case.panel
        ]  # fmt: skip
        await expire_lease(url, ref)
    for child in children:
        if child is not killed:
            await end(child)
    for panel in panels.values():
        panel.is_empty = False
    await end(await Child.start(url, panels["alpha"], refs=REFS, follow=True, **options))
    return ref


async def end(child: Child) -> None:
    """Wait until a child has placed every order, and has ended."""
    await child.until("done")
    await child.wait()
    assert {each["entry"] for each in child.reports if "entry" in each} == set(REFS)


async def verified(url: str, panels: Panels) -> dict[str, Entry]:
    """Compare the journal with all three panels."""
    alpha, *others = panels.values()
    entries = await entries_of(url)
    assert set(entries) == set(REFS)
    verify(entries, alpha, REFS, *others)
    return entries


@pytest.mark.parametrize(("backend", "case"), CASES)
@pytest.mark.asyncio
async def test_kill_of_one_of_four_processes_leaves_one_order_at_most(
    url: str, panels: Panels, tmp_path: Path, case: Case
) -> None:
    killed = await kill_one(url, panels, case, tmp_path / "first")

    entries = await verified(url, panels)
    assert panels[case.panel].pending_faults == ()
    unknown = {ref for ref, entry in entries.items() if entry.state is EntryState.UNKNOWN}
    assert {entries[ref].panel for ref in unknown} <= {case.panel}
    if killed is not None:
        unknown.remove(killed)
        is_there = is_stored(case.answer, case.point)
        assert panels_with(panels, killed) == ([case.panel] if is_there else [])
    # The answer to another process was lost too.
    assert len(unknown) == (case.answer == "lost")
    for ref in set(REFS) - {killed}:
        assert entries[ref].state in SENT or ref in unknown
        assert panels_with(panels, ref) == [entries[ref].panel]


@pytest.mark.parametrize("backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("broken", "case"), CAUGHT)
@pytest.mark.asyncio
async def test_desk_with_a_fault_is_caught(
    url: str, panels: Panels, tmp_path: Path, broken: str, case: Case
) -> None:
    await kill_one(url, panels, case, tmp_path / "first", broken=broken)

    with pytest.raises(AssertionError, match="ordered twice"):
        await verified(url, panels)


@pytest.mark.parametrize("backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
@pytest.mark.asyncio
async def test_process_that_was_about_to_send_a_placed_order_does_not(
    url: str, panels: Panels
) -> None:
    alpha = panels["alpha"]
    options = {"panels": urls_of(panels), "refs": ["one"], **PATIENT}
    children = [await Child.start(url, alpha, point="ready", **options) for _ in ORDERS_OF_REFS[1:]]
    for child in children:
        await child.until("at")
    other = await Child.start(url, alpha, **options)
    placed = await other.until("entry")

    for child in children:
        child.resume()

    assert [await child.until("entry") for child in children] == [placed] * len(children)
    for child in (other, *children):
        await child.wait()
    verify(await entries_of(url), alpha, ["one"], panels["beta"], panels["gamma"])
    assert panels_with(panels, "one") == ["alpha"]
