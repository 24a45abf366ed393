"""A machine that was suspended in the middle of an order sends nothing afterwards."""

import time
from typing import Any

import pytest

from smmfanfast_async import _clock
from smmfanfast_async.errors import JournalError
from smmfanfast_async.journal import Entry
from smmfanfast_async.journal.sql import SQLJournal

from .world import S, ShiftedClock, World, order


@pytest.mark.parametrize("standing_still", ["monotonic", "boot"])
@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
@pytest.mark.asyncio
async def test_order_that_another_desk_has_retried_meanwhile_does_not_leave(
    world: World, monkeypatch: pytest.MonkeyPatch, standing_still: str
) -> None:
    clock = ShiftedClock()
    journal = SQLJournal(world.url, clock=clock)
    desk = await world.desk(journal=journal, record_balance=False)
    other = await world.desk(journal=SQLJournal(world.url, clock=clock), record_balance=False)
    start_attempt = SQLJournal.start_attempt

    async def suspended_afterwards(self: SQLJournal, *args: Any, **options: Any) -> Entry | None:
        started = await start_attempt(self, *args, **options)
        monkeypatch.setattr(SQLJournal, "start_attempt", start_attempt)
        clock.advance(3600)
        # `time.monotonic` stands still in both cases; the system counts suspension in one.
        late = {"monotonic": "boot_s", "boot": "wall_s"}[standing_still]
        read = {"boot_s": _clock.boot_time_s, "wall_s": time.time}
        monkeypatch.setattr(_clock.SHARED, late, lambda: read[late]() + 3600)
        if late == "boot_s":  # and the wall clock has moved as well
            monkeypatch.setattr(_clock.SHARED, "wall_s", lambda: time.time() + 3600)
        await other._journal.expire_leases()
        await other.resolve("a", placed=False, decided_by="operator")
        await other.retry("a", decided_by="operator")
        await other.place(order(), ref="a")
        return started

    monkeypatch.setattr(SQLJournal, "start_attempt", suspended_afterwards)
    entry = await desk.place(order(), ref="a")

    assert len(world.panel.calls("add")) == 1
    assert entry.state is S.ACCEPTED
    assert entry.order in world.panel.orders


@pytest.mark.asyncio
async def test_outcome_is_recorded_after_a_suspension_though_the_network_is_late(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.desk(record_balance=False)
    record_outcome = SQLJournal.record_outcome
    failures = 0

    async def unreachable(self: SQLJournal, *args: Any) -> Entry:
        nonlocal failures
        failures += 1
        if failures == 1:
            monkeypatch.setattr(_clock.SHARED, "boot_s", lambda: _clock.boot_time_s() + 3600)
        if failures < 3:
            raise JournalError("is not reachable yet")
        return await record_outcome(self, *args)

    monkeypatch.setattr(SQLJournal, "record_outcome", unreachable)

    assert (await desk.place(order(), ref="a")).state is S.ACCEPTED
