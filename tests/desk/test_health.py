"""The health of a desk: on request, and for the hook of `follow`."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from smmfanfast_async.errors import ClosedError, InvalidSettingsError, JournalError
from smmfanfast_async.journal import Circuit, CircuitState, DeskHealth, NewEntry
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault

from .world import S, ShiftedClock, World, eventually, in_state, order, read_events, timed_desk

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])


@BOTH
@pytest.mark.asyncio
async def test_health_after_a_restart_is_what_it_was(world: World) -> None:
    clock = ShiftedClock()
    journal = SQLJournal(world.url, clock=clock)
    desk = await world.desk(journal=journal, budget_per_day=Decimal(9))
    await desk.place(order("a"), ref="a")
    await read_events(desk, "mail")
    world.panel.fail_next(Fault.DROP_AFTER, action="add")
    lost = await desk.place(order("b"), ref="b")
    waiting = await desk.place(order("c"), ref="c")
    before = await desk.health()
    await desk.aclose()

    again = await world.desk(journal=journal, budget_per_day=Decimal(9))
    health = await again.health()

    assert (health.unknown, health.prepared, health.sending, health.held) == (1, 1, 0, 0)
    assert health.oldest_unknown_at == lost.settled_at
    assert health.oldest_prepared_at == waiting.created_at
    assert health.oldest_due_check_at is not None
    assert health.budget_left == Decimal(6)
    assert (health.consumers["mail"].lag, health.panels["default"].circuit) == (
        1,
        CircuitState.OPEN,
    )
    assert health.at > before.at
    assert {**health.to_dict(), "at": 0} == {**before.to_dict(), "at": 0}


@pytest.mark.asyncio
async def test_panel_without_a_client_is_missing(world: World) -> None:
    desk = await world.desk()
    entry = await desk.place(order("a"), ref="a")
    journal = desk._journal
    for panel in ("gone", "former"):
        await journal.change_circuit(panel, lambda *_: Circuit(failure_count=1))
    # An order is open at one of the two.
    due_at = entry.created_at
    new = NewEntry(ref="b", form={"link": "b"}, due_at=due_at, budget_day="2030-05-17")
    await journal.create(new)
    await journal.start_attempt("b", 0, lease=timedelta(minutes=4), max_in_flight=1, panel="gone")

    panels = (await desk.health()).panels

    assert {name: panel.state for name, panel in panels.items()} == {
        "default": "ok",
        "gone": "missing",
    }


@pytest.mark.asyncio
async def test_follow_reports_at_once_and_at_each_interval(world: World) -> None:
    seen: list[DeskHealth] = []
    desk = await world.desk(
        desk_class=timed_desk(health_s=0.02), on_health=seen.append, record_balance=True
    )
    world.panel.fail_next(Fault.DROP_AFTER, action="add")
    await desk.place(order("a"), ref="a")

    async with world.following(desk):
        await eventually(lambda: len(seen) >= 3)

    assert {each.unknown for each in seen} == {1}
    # The balance that was read after the order whose outcome is unknown.
    panel = seen[-1].panels["default"]
    assert (panel.balance, panel.currency) == (Decimal(10**6 - 1), "USD")
    assert panel.balance_at is not None


@pytest.mark.asyncio
async def test_hook_that_fails_is_logged_and_called_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[DeskHealth] = []

    def hook(health: DeskHealth) -> None:
        calls.append(health)
        raise ZeroDivisionError

    desk = await world.desk(desk_class=timed_desk(health_s=0.02), on_health=hook)
    await desk.place(order("a"), ref="a")
    world.panel.finish_all()

    async with world.following(desk):
        await eventually(lambda: len(calls) >= 2)
        await in_state(desk, "a", S.FINISHED)

    assert "on_health failed" in caplog.text


@pytest.mark.asyncio
async def test_reports_continue_after_the_journal_was_down(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    health, failures = SQLJournal.health, [JournalError("is restarting")]

    async def restarting(self: SQLJournal, **options: Any) -> DeskHealth:
        if failures:
            raise failures.pop()
        return await health(self, **options)

    monkeypatch.setattr(SQLJournal, "health", restarting)
    seen: list[DeskHealth] = []
    desk = await world.desk(desk_class=timed_desk(health_s=0.02), on_health=seen.append)

    async with world.following(desk):
        await eventually(lambda: seen)

    assert "is restarting" in caplog.text


@pytest.mark.asyncio
async def test_health_needs_an_open_desk(world: World) -> None:
    desk = await world.desk()
    await desk.aclose()

    with pytest.raises(ClosedError):
        await desk.health()


async def _awaited(_: DeskHealth) -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(("hook", "reason"), [(5, "callable"), (_awaited, "plain function")])
@pytest.mark.asyncio
async def test_hook_must_be_a_plain_function(world: World, hook: Any, reason: str) -> None:
    with pytest.raises(InvalidSettingsError, match=f"on_health.*{reason}"):
        await world.desk(on_health=hook)
