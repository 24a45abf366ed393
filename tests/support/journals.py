"""Orders for journals, brought to a state by the journal's own moves, under a clock that is set."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from smmfanfast_async.journal import (
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
from smmfanfast_async.results import OrderStatus

__all__ = [
    "ACCOUNT",
    "DAY",
    "LEASE",
    "START",
    "Clock",
    "Journals",
    "accepted",
    "all_events",
    "begun",
    "claimed",
    "in_state",
    "journals_on",
    "look",
    "new",
    "outcome",
    "prepared",
]

S = EntryState
START = datetime(2030, 5, 17, 12, tzinfo=UTC)
DAY = "2030-05-17"
LEASE = timedelta(minutes=4)
ACCOUNT = "an-account"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def go(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class Journals:
    """Makes journals on one database, each with connections of its own, as machines have."""

    def __init__(self, url: str, clock: Clock, stack: AsyncExitStack) -> None:
        self.url = url
        self.clock = clock
        self.stack = stack

    async def __call__(
        self, account: str = ACCOUNT, *, clock: Callable[[], datetime] | None = None
    ) -> SQLJournal:
        made = SQLJournal(self.url, clock=clock or self.clock).for_account(account)
        self.stack.push_async_callback(made.aclose)
        await made.open()
        return made


@asynccontextmanager
async def journals_on(url: str) -> AsyncIterator[Journals]:
    async with AsyncExitStack() as stack:
        yield Journals(url, Clock(), stack)


def new(ref: str = "a", **changes: Any) -> NewEntry:
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


async def prepared(journal: Journal, ref: str = "a", **changes: Any) -> Entry:
    return await journal.create(new(ref, **changes))


async def begun(journal: Journal, ref: str = "a", *, places: int = 99, **changes: Any) -> Entry:
    entry = await prepared(journal, ref, **changes)
    moved = await journal.start_attempt(ref, entry.attempt, lease=LEASE, max_in_flight=places)
    assert moved is not None
    return moved


async def accepted(
    journal: Journal, ref: str = "a", order: str | None = None, **changes: Any
) -> Entry:
    entry = await begun(journal, ref, **changes)
    said = outcome(S.ACCEPTED, order or f"id-{ref}", due_at=START)
    return await journal.record_outcome(ref, entry.attempt, said)


async def in_state(journal: Journal, state: EntryState, ref: str = "a", **changes: Any) -> Entry:
    """Bring a new order to a state."""
    if state is S.PREPARED:
        return await prepared(journal, ref, **changes)
    if state is S.WITHDRAWN:
        await prepared(journal, ref, **changes)
        moved = await journal.apply_decision(ref, {S.PREPARED}, outcome(S.WITHDRAWN))
        assert moved is not None
        return moved
    if state in (S.ACCEPTED, S.FINISHED):
        entry = await accepted(journal, ref, **changes)
        if state is S.ACCEPTED:
            return entry
        claims = await claimed(journal)
        await journal.record_statuses([look(each) for each in claims if each.entry.ref == ref])
        found = await journal.find(ref)
        assert found is not None
        return found
    entry = await begun(journal, ref, **changes)
    if state is S.SENDING:
        return entry
    return await journal.record_outcome(ref, entry.attempt, outcome(state))


async def claimed(journal: Journal, limit: int = 1000) -> list[Claim]:
    return await journal.claim(limit, lease=LEASE)


def look(claim: Claim, word: str | None = "Completed", **values: Any) -> Observation:
    """Give a look at a claimed order; None for an id that the panel did not know."""
    assert claim.entry.order is not None
    status = (
        None if word is None else OrderStatus(order=claim.entry.order, raw_status=word, **values)
    )
    return Observation(claim=claim, status=status, due_at=START + timedelta(hours=1))


async def all_events(journal: Journal) -> list[JournalEvent]:
    return await journal.events(0, 100_000)
