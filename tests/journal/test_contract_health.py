"""What a journal says of an account as a whole, and the circuits of its panels."""

import asyncio
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from support.journals import (
    ACCOUNT,
    DAY,
    START,
    Clock,
    Journals,
    accept,
    new_entry,
    outcome,
    prepare,
    reach,
    start,
)

from smmfanfast_async.errors import ErrorKind
from smmfanfast_async.journal import (
    PROBE_LEASE,
    Circuit,
    CircuitState,
    ConsumerHealth,
    DeskHealth,
    EntryState,
    PanelHealth,
)
from smmfanfast_async.journal.sql import SQLJournal

S = EntryState
OPENED = Circuit(
    failure_count=3,
    open_until=START + timedelta(seconds=30),
    reason=ErrorKind.FUNDS,
    balance=Decimal("1.50"),
    currency="USD",
    balance_at=START,
)


def open_it(_before: Circuit, _now: datetime) -> Circuit:
    return OPENED


def count_it(before: Circuit, _now: datetime) -> Circuit:
    return Circuit(failure_count=before.failure_count + 1)


def claim_it(before: Circuit, now: datetime) -> Circuit:
    return before if before.is_probed(now) else Circuit(probe_until=now + PROBE_LEASE)


@pytest.mark.asyncio
async def test_account_without_anything_is_all_zero(journal: SQLJournal) -> None:
    assert await journal.health() == DeskHealth(
        at=START, prepared=0, held=0, sending=0, unknown=0, oldest_unknown_at=None,
        oldest_prepared_at=None, oldest_due_check_at=None, requests_unknown=0,
        budget_left=None,
        panels={"default": PanelHealth(panel="default", circuit=CircuitState.CLOSED)},
    )  # fmt: skip


@pytest.mark.asyncio
async def test_orders_are_counted_by_state(journals: Journals, clock: Clock) -> None:
    journal = await journals()
    for number, state in enumerate(S):
        for each in range(number + 1):
            await reach(journal, state, f"{state}-{each}")
    clock.advance(60)
    await reach(journal, S.UNKNOWN, "later")
    await prepare(journal, "later-too")

    health = await journal.health()

    counts = {state: number + 1 for number, state in enumerate(S)}
    assert health.prepared == counts[S.PREPARED] + 1
    assert (health.held, health.sending) == (counts[S.HELD], counts[S.SENDING])
    assert health.unknown == counts[S.UNKNOWN] + 1
    assert health.oldest_unknown_at == health.oldest_prepared_at == START
    assert health.oldest_due_check_at is not None
    other = await (await journals("other")).health()
    assert (other.prepared, other.unknown) == (0, 0)


@pytest.mark.asyncio
async def test_next_check_is_the_earliest(journal: SQLJournal) -> None:
    for ref, minutes in (("a", 9), ("b", 3), ("c", 5)):
        due_at = START + timedelta(minutes=minutes)
        entry = await start(journal, ref)
        accepted = outcome(S.ACCEPTED, f"order-{ref}", due_at=due_at)
        await journal.record_outcome(ref, entry.attempt, accepted)

    assert (await journal.health()).oldest_due_check_at == START + timedelta(minutes=3)


@pytest.mark.asyncio
async def test_budget_left_is_that_of_the_day(journal: SQLJournal, clock: Clock) -> None:
    for ref in ("a", "b"):
        await journal.create(new_entry(ref, price=Decimal("1.25"), budget_day=DAY))

    assert (await journal.health(budget=Decimal(2))).budget_left == Decimal("-0.50")
    clock.advance(86_400)
    assert (await journal.health(budget=Decimal(2))).budget_left == Decimal(2)


@pytest.mark.asyncio
async def test_lag_of_each_consumer_is_told(journal: SQLJournal, clock: Clock) -> None:
    lease = timedelta(minutes=1)
    claims = {name: await journal.claim_consumer(name, "me", lease=lease) for name in "ab"}
    await accept(journal, "one", "1")
    clock.advance(5)
    await accept(journal, "two", "2")
    for name, position in (("a", 1), ("b", 2)):
        claim = claims[name]
        assert claim is not None
        await journal.acknowledge(claim, position, lease=lease)
    assert claims["b"] is not None
    await journal.release_consumer(claims["b"])

    later = START + timedelta(seconds=5)
    assert (await journal.health()).consumers == {
        "a": ConsumerHealth(
            consumer="a", position=1, lag=1, oldest_at=later, lease_until=later + lease
        ),
        "b": ConsumerHealth(consumer="b", position=2, lag=0, oldest_at=None, lease_until=None),
    }


@pytest.mark.asyncio
async def test_panels_show_their_circuits(journal: SQLJournal, clock: Clock) -> None:
    await journal.change_circuit("alpha", open_it)
    await journal.change_circuit("beta", count_it)

    panels = (await journal.health()).panels

    assert panels["alpha"] == PanelHealth(
        panel="alpha", circuit=CircuitState.OPEN, reason=ErrorKind.FUNDS, failure_count=3,
        open_until=OPENED.open_until, balance=Decimal("1.50"), currency="USD", balance_at=START,
    )  # fmt: skip
    assert panels["beta"] == PanelHealth(panel="beta", circuit=CircuitState.CLOSED, failure_count=1)
    clock.advance(30)
    assert (await journal.health()).panels["alpha"].circuit is CircuitState.HALF_OPEN


@pytest.mark.asyncio
async def test_circuit_belongs_to_one_panel_of_one_account(journals: Journals) -> None:
    journal, other = await journals(), await journals("other")

    assert await journal.circuit("alpha") == Circuit()
    assert await journal.change_circuit("alpha", open_it) == (Circuit(), OPENED)

    assert await journal.circuit("alpha") == OPENED
    assert await (await journals(ACCOUNT)).circuit("alpha") == OPENED
    assert await journal.circuit("beta") == await other.circuit("alpha") == Circuit()
    assert await journal.change_circuit("alpha", lambda before, _: before) == (OPENED, OPENED)


@pytest.mark.asyncio
async def test_changes_of_several_machines_follow_each_other(journals: Journals) -> None:
    machines = [await journals() for _ in range(4)]

    await asyncio.gather(*(
        machine.change_circuit("alpha", count_it) for machine in machines for _ in range(5)
    ))  # fmt: skip

    assert (await machines[0].circuit("alpha")).failure_count == 20


@pytest.mark.asyncio
async def test_one_machine_gets_the_right_to_probe(journals: Journals) -> None:
    machines = [await journals() for _ in range(4)]

    changes = await asyncio.gather(
        *(machine.change_circuit("alpha", claim_it) for machine in machines)
    )

    assert sum(before != after for before, after in changes) == 1


@pytest.mark.asyncio
async def test_orders_that_waited_for_a_panel_are_made_due(
    journals: Journals, clock: Clock
) -> None:
    journal = await journals()
    until = START + timedelta(minutes=9)
    for ref, due_at in (("a", until), ("b", until), ("c", until + timedelta(microseconds=1))):
        await prepare(journal, ref, due_at=due_at)
    await prepare(await journals("other"), "a", due_at=until)
    clock.advance(1)

    await journal.make_due(until)

    assert {each.ref for each in await journal.due_to_send(9)} == {"a", "b"}
    assert await (await journals("other")).due_to_send(9) == []
