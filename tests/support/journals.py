"""Orders brought to a state by the journal's own methods, with a clock that tests control."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import select

from smmfanfast_async.journal import (
    SPENDING_STATES,
    Claim,
    Entry,
    EntryState,
    Journal,
    JournalEvent,
    NewEntry,
    Observation,
    Outcome,
)
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.journal.sql.schema import budget_changes, orders
from smmfanfast_async.results import OrderStatus

__all__ = [
    "ACCOUNT",
    "DAY",
    "LEASE",
    "START",
    "Clock",
    "Journals",
    "accept",
    "all_events",
    "budget_sums",
    "claim_due",
    "new_entry",
    "observe",
    "open_journals",
    "outcome",
    "prepare",
    "reach",
    "start",
]

S = EntryState
START = datetime(2030, 5, 17, 12, tzinfo=UTC)
DAY = "2030-05-17"
LEASE = timedelta(minutes=4)
ACCOUNT = "an-account"


class Clock:
    """A clock that stands still until it is advanced."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Journals:
    """Open journals on one database, each with connections of its own, like separate machines."""

    def __init__(self, url: str | Path, clock: Clock, stack: AsyncExitStack) -> None:
        self.url = url
        self.clock = clock
        self.stack = stack

    async def __call__(
        self, account: str = ACCOUNT, *, clock: Callable[[], datetime] | None = None
    ) -> SQLJournal:
        journal = SQLJournal(self.url, clock=clock or self.clock).for_account(account)
        self.stack.push_async_callback(journal.aclose)
        await journal.open()
        return journal


@asynccontextmanager
async def open_journals(url: str | Path) -> AsyncIterator[Journals]:
    async with AsyncExitStack() as stack:
        yield Journals(url, Clock(), stack)


def new_entry(ref: str = "a", **changes: Any) -> NewEntry:
    values: dict[str, Any] = {
        "ref": ref,
        "form": {"action": "add", "service": "5", "link": f"https://x.test/{ref}"},
        "link": f"https://x.test/{ref}",
        "quantity": 1000,
        "price": Decimal("1.25"),
        "due_at": START,
        "budget_day": DAY,
    }
    return NewEntry(**values | changes)


def outcome(state: EntryState, order: str | None = None, **values: Any) -> Outcome:
    return Outcome(state=state, order=order, **{"due_at": None} | values)


async def prepare(journal: Journal, ref: str = "a", **changes: Any) -> Entry:
    return await journal.create(new_entry(ref, **changes))


async def start(
    journal: Journal, ref: str = "a", *, max_in_flight: int = 99, **changes: Any
) -> Entry:
    entry = await prepare(journal, ref, **changes)
    started = await journal.start_attempt(
        ref, entry.attempt, lease=LEASE, max_in_flight=max_in_flight
    )
    assert started is not None
    return started


async def accept(
    journal: Journal, ref: str = "a", order: str | None = None, **changes: Any
) -> Entry:
    entry = await start(journal, ref, **changes)
    result = outcome(S.ACCEPTED, order or f"id-{ref}", due_at=START)
    return await journal.record_outcome(ref, entry.attempt, result)


async def reach(journal: Journal, state: EntryState, ref: str = "a", **changes: Any) -> Entry:
    """Create an order and bring it to a state."""
    if state is S.PREPARED:
        return await prepare(journal, ref, **changes)
    if state is S.WITHDRAWN:
        await prepare(journal, ref, **changes)
        withdrawn = await journal.apply_decision(ref, {S.PREPARED}, outcome(S.WITHDRAWN))
        assert withdrawn is not None
        return withdrawn
    if state in (S.ACCEPTED, S.FINISHED):
        entry = await accept(journal, ref, **changes)
        if state is S.ACCEPTED:
            return entry
        claims = await claim_due(journal)
        await journal.record_statuses([observe(each) for each in claims if each.entry.ref == ref])
        finished = await journal.find(ref)
        assert finished is not None
        return finished
    entry = await start(journal, ref, **changes)
    if state is S.SENDING:
        return entry
    return await journal.record_outcome(ref, entry.attempt, outcome(state))


async def claim_due(journal: Journal, limit: int = 1000) -> list[Claim]:
    return await journal.claim(limit, lease=LEASE)


def observe(claim: Claim, raw_status: str | None = "Completed", **values: Any) -> Observation:
    """Return an observation of a claimed order; without a status, the panel did not know its id."""
    assert claim.entry.order is not None
    status = (
        None
        if raw_status is None
        else OrderStatus(order=claim.entry.order, raw_status=raw_status, **values)
    )
    return Observation(claim=claim, status=status, due_at=START + timedelta(hours=1))


async def all_events(journal: Journal) -> list[JournalEvent]:
    return await journal.events(0, 100_000)


async def budget_sums(journal: SQLJournal) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return what each day's orders cost together: by the running sum, and by the orders."""
    engine = journal._database._engine
    assert engine is not None
    running: defaultdict[str, Decimal] = defaultdict(Decimal)
    counted: defaultdict[str, Decimal] = defaultdict(Decimal)
    async with engine.connect() as connection:
        changes = select(budget_changes.c.day, budget_changes.c.amount)
        for day, amount in await connection.execute(changes):
            running[day] += amount
        rows = select(orders.c.budget_day, orders.c.price, orders.c.state)
        for day, price, state in await connection.execute(rows):
            if price is not None and state in SPENDING_STATES:
                counted[day] += price
    return _without_zeros(running), _without_zeros(counted)


def _without_zeros(sums: dict[str, Decimal]) -> dict[str, Decimal]:
    return {day: amount for day, amount in sums.items() if amount}
