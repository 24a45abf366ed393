"""The running sum of what a day's orders cost: exact, bounded in rows, and right when they race."""

import asyncio
import random
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select
from support.journals import DAY, LEASE, START, Journals, budget_sums, new_entry, outcome, start

from smmfanfast_async import SpendingLimitError
from smmfanfast_async.journal import EntryState
from smmfanfast_async.journal.sql import SQLJournal, day_budget
from smmfanfast_async.journal.sql.schema import budget_changes

S = EntryState
LIMIT = Decimal(1000)


async def count_changes(journal: SQLJournal) -> int:
    engine = journal._database._engine
    assert engine is not None
    async with engine.connect() as connection:
        count = await connection.execute(select(func.count()).select_from(budget_changes))
        return count.scalar_one()


@pytest.mark.asyncio
async def test_check_reads_a_bounded_number_of_amounts(
    journal: SQLJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_budget, "MAX_CHANGES", 5)
    monkeypatch.setattr(day_budget, "FOLD_ROWS", 4)
    for number in range(20):  # without a budget, nothing is read or replaced
        await journal.create(new_entry(f"a{number}", price=Decimal("0.1")))
    assert await count_changes(journal) == 20

    for number in range(20):
        await journal.create(new_entry(f"b{number}", price=Decimal("0.1")), budget=LIMIT)
        assert await count_changes(journal) <= 6

    with pytest.raises(SpendingLimitError) as caught:
        await journal.create(new_entry("c", price=Decimal("0.01")), budget=Decimal(4))
    assert caught.value.spent == Decimal(4)
    assert await budget_sums(journal) == ({DAY: Decimal(4)}, {DAY: Decimal(4)})


@pytest.mark.asyncio
async def test_purge_replaces_the_amounts_of_old_days_by_their_sums(
    journal: SQLJournal, journals: Journals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_budget, "FOLD_ROWS", 2)
    days = [DAY, "2030-05-18", "2030-05-19"]
    for number in range(9):
        await journal.create(new_entry(f"a{number}", budget_day=days[number % 3]))
    before = await budget_sums(journal)
    journals.clock.time = START + timedelta(days=2)

    await journal.purge(START + timedelta(days=99))

    assert await budget_sums(journal) == before
    assert await count_changes(journal) == 1 + 1 + 3


@pytest.mark.asyncio
async def test_running_sum_is_right_after_concurrent_changes(journals: Journals) -> None:
    """Placed, refused, withdrawn, and retried at another price or on another day."""
    machines = [await journals() for _ in range(3)]
    rng = random.Random(5)

    async def one(number: int) -> None:
        journal, ref = machines[number % 3], f"r{number}"
        budget = LIMIT if number % 2 else None
        await journal.create(new_entry(ref, price=Decimal(number) / 8), budget=budget)
        for attempt in range(rng.randint(1, 3)):
            price = Decimal(rng.randint(1, 99)) / 8
            await journal.start_attempt(
                ref, attempt, lease=LEASE, max_in_flight=99, price=price, budget=budget
            )
            state = rng.choice([S.REFUSED, S.UNKNOWN])
            await journal.record_outcome(ref, attempt + 1, outcome(state))
            await journal.apply_decision(ref, {S.UNKNOWN}, outcome(S.WITHDRAWN))
            day = rng.choice([DAY, "2030-05-18"])
            await journal.apply_decision(
                ref, {S.REFUSED, S.WITHDRAWN}, outcome(S.PREPARED), budget_day=day, budget=budget
            )

    await asyncio.gather(*(one(number) for number in range(30)))

    running, counted = await budget_sums(machines[0])
    assert running == counted
    assert set(counted) == {DAY, "2030-05-18"}


@pytest.mark.asyncio
async def test_no_budget_is_exceeded_while_others_are_refused(journals: Journals) -> None:
    machines = [await journals() for _ in range(3)]
    budget = Decimal("3.75")  # three orders
    refused = [await start(machines[0], f"old{number}") for number in range(3)]

    async def create(number: int) -> bool:
        try:
            await machines[number % 3].create(new_entry(f"n{number}"), budget=budget)
        except SpendingLimitError:
            return False
        return True

    *_, first, second, third = await asyncio.gather(
        *(machines[1].record_outcome(each.ref, 1, outcome(S.REFUSED)) for each in refused),
        *(create(number) for number in range(3)),
    )
    later = [await create(number) for number in range(3, 9)]

    assert [first, second, third, *later].count(True) == 3
    running, counted = await budget_sums(machines[0])
    assert running == counted == {DAY: budget}
