"""The contract of every journal for watched services: who watches, and what is recorded once."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from support.journals import LEASE, START, Clock, Journals, accept, new_entry, reach

from smmfanfast_async import JournalError, Service, ServiceChange, StaleEventError
from smmfanfast_async.journal import (
    Comparison,
    EntryState,
    NewServiceEvent,
    ServiceEventKind,
    ServiceRound,
    StreamKind,
    WatchClaim,
    WatchedService,
)
from smmfanfast_async.journal.sql import SQLJournal

K = ServiceEventKind
HOUR = timedelta(hours=1)


def service(name: str = "5", rate: str = "1.50", **values: object) -> Service:
    return Service(service=name, name="Likes \x00", raw_rate=rate, extra={"a": [1]}, **values)  # type: ignore[arg-type]


async def claimed(journal: SQLJournal, *services: str, panel: str = "default") -> WatchClaim | None:
    return await journal.claim_watch(panel, services or ("5",), interval=HOUR, lease=LEASE)


def listing(*rows: Service, kind: K | None = None) -> Comparison:
    """Return a comparison that keeps these rows, and tells the same of each."""

    def compare(before: Mapping[str, WatchedService], now: datetime) -> ServiceRound:
        kept = [WatchedService(service=each.service, row=each, checked_at=now) for each in rows]
        told = [
            NewServiceEvent(
                service=each.service, kind=kind, after=each,
                before=before[each.service].row if each.service in before else None,
            )
            for each in rows if kind is not None
        ]  # fmt: skip
        return ServiceRound(rows=kept, events=told)

    return compare


async def kept(journal: SQLJournal, panel: str = "default") -> dict[str, WatchedService]:
    """Return what is kept of a panel's services, as the next comparison gets it."""
    journal_clock = await journal.now()
    seen: dict[str, WatchedService] = {}

    def compare(before: Mapping[str, WatchedService], now: datetime) -> ServiceRound:
        assert now == journal_clock
        seen.update(before)
        return ServiceRound(rows=(), events=())

    claim = await journal.claim_watch(panel, ["none"], interval=HOUR, lease=LEASE)
    assert claim is not None
    assert await journal.record_services(claim, 1, compare)
    return seen


@pytest.mark.asyncio
async def test_one_desk_watches_a_panel_at_a_time(journals: Journals, clock: Clock) -> None:
    first, second = await journals(), await journals()
    claim = await claimed(first)
    assert claim == WatchClaim(panel="default", version=1, at=START)

    assert await claimed(second) is None
    assert await claimed(second, panel="other") is not None, "which has a row only since"
    clock.advance(LEASE.total_seconds())
    taken = await claimed(second)

    assert taken is not None
    assert taken.version == 2
    assert not await first.record_services(claim, 3, listing(service(), kind=K.CHANGED))
    await first.record_watch_failure(claim, "too late")
    assert await first.service_events(0, 9) == []
    assert (await first.health()).panels["default"].services_reason is None


@pytest.mark.asyncio
async def test_racing_desks_get_one_claim(journals: Journals) -> None:
    desks = [await journals() for _ in range(4)]

    claims = await asyncio.gather(*(claimed(each) for each in desks))

    assert sum(each is not None for each in claims) == 1


@pytest.mark.asyncio
async def test_services_are_due_when_they_are_new_or_an_interval_old(
    journal: SQLJournal, clock: Clock
) -> None:
    claim = await claimed(journal)
    assert claim is not None
    assert await journal.record_services(claim, 3, listing(service()))
    clock.advance(3599)

    assert await claimed(journal) is None
    clock.advance(1)
    later = await claimed(journal)
    assert later is not None
    assert (later.count, later.watched_at) == (3, START)
    assert await journal.record_services(later, 4, listing(service()))
    # A service of another desk is new.
    assert await claimed(journal, "5", "6") is not None
    assert await journal.claim_watch("default", [], interval=HOUR, lease=LEASE) is None


@pytest.mark.asyncio
async def test_clock_that_was_ahead_delays_nothing(journal: SQLJournal, clock: Clock) -> None:
    clock.advance(86_400)
    claim = await claimed(journal)
    assert claim is not None
    clock.advance(-86_400)

    again = await claimed(journal)  # the lease
    assert again is not None
    clock.advance(86_400)
    assert await journal.record_services(again, 3, listing(service()))
    clock.advance(-86_400)
    assert await claimed(journal) is not None  # the time of the check


@pytest.mark.asyncio
async def test_rows_and_events_are_read_as_they_were_written(journal: SQLJournal) -> None:
    claim = await claimed(journal)
    assert claim is not None
    old, new = service(), service(rate="2", min=1, max=9, dripfeed=True, desc="ü")
    assert await journal.record_services(claim, 3, listing(old))
    assert await kept(journal) == {"5": WatchedService(service="5", row=old, checked_at=START)}

    def remove(before: Mapping[str, WatchedService], now: datetime) -> ServiceRound:
        rows = [
            WatchedService(
                service="5", row=new, checked_at=now, missing_since=START - HOUR, is_removed=True
            ),
            WatchedService(service="6", row=None, checked_at=now, is_removed=True),
        ]
        events = [
            NewServiceEvent(service="5", kind=K.CHANGED, before=old, after=new),
            NewServiceEvent(service="5", kind=K.REMOVED, before=new, after=None),
        ]
        return ServiceRound(rows=rows, events=events)

    claim = await claimed(journal, "6")
    assert claim is not None
    assert await journal.record_services(claim, 3, remove)
    assert await kept(journal) == {each.service: each for each in remove({}, START).rows}
    changed, removed = await journal.service_events(0, 9)
    assert (changed.position, changed.at, changed.panel, changed.kind) == (
        1, START, "default", K.CHANGED,
    )  # fmt: skip
    assert changed.change == ServiceChange(old, new)
    assert changed.change.price_increased
    assert (removed.position, removed.before, removed.after, removed.change) == (2, new, None, None)
    assert changed.to_dict()["before"]["rate"] == "1.50"
    assert await journal.service_events(1, 9) == [removed]
    assert await journal.service_events(0, 1) == [changed]


@pytest.mark.asyncio
async def test_positions_continue_over_panels_and_accounts_have_their_own(
    journals: Journals,
) -> None:
    journal, other = await journals(), await journals("another")
    for each, panel in ((journal, "a"), (other, "a"), (journal, "b")):
        claim = await claimed(each, panel=panel)
        assert claim is not None
        await each.record_services(claim, 1, listing(service(), kind=K.RESTORED))

    told = await journal.service_events(0, 9)
    assert [(each.position, each.panel) for each in told] == [(1, "a"), (2, "b")]
    assert [each.position for each in await other.service_events(0, 9)] == [1]
    assert await journal.events(0, 9) == []


@pytest.mark.asyncio
async def test_failed_comparison_changes_nothing(journal: SQLJournal, clock: Clock) -> None:
    claim = await claimed(journal)
    assert claim is not None

    def fail(before: Mapping[str, WatchedService], now: datetime) -> ServiceRound:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        await journal.record_services(claim, 3, fail)
    clock.advance(LEASE.total_seconds())
    again = await claimed(journal)

    assert again is not None
    assert (again.count, again.watched_at) == (None, None)


@pytest.mark.asyncio
async def test_failure_is_in_the_health_until_an_answer_is_recorded(
    journal: SQLJournal, clock: Clock
) -> None:
    claim = await claimed(journal)
    assert claim is not None
    await journal.record_watch_failure(claim, "no\x1b answer" + "." * 600)

    panel = (await journal.health()).panels["default"]
    assert panel.services_reason is not None
    assert panel.services_reason.startswith("no")
    assert "\x1b" not in panel.services_reason
    assert len(panel.services_reason) <= 500
    assert "services_reason" not in panel.to_dict()
    assert panel.services_at is None
    assert await claimed(journal) is None, "nobody asks again at once"
    clock.advance(LEASE.total_seconds())
    claim = await claimed(journal)
    assert claim is not None
    assert await journal.record_services(claim, 3, listing(service()))
    panel = (await journal.health()).panels["default"]
    assert (panel.services_reason, panel.services_at) == (None, clock.time)


@pytest.mark.asyncio
async def test_consumers_of_services_are_not_those_of_orders(
    journal: SQLJournal, clock: Clock
) -> None:
    await accept(journal, "a")
    watch = await claimed(journal)
    assert watch is not None
    rows = service("5"), service("6"), service("7")
    assert await journal.record_services(watch, 3, listing(*rows, kind=K.CHANGED))
    at = clock.time
    orders = await journal.claim_consumer("shop", "one", lease=LEASE)
    services = await journal.claim_consumer("shop", "two", lease=LEASE, stream=StreamKind.SERVICES)
    assert orders is not None
    assert services is not None

    await journal.acknowledge(services, 2, lease=LEASE)

    assert await journal.position("shop") == 0
    assert await journal.position("shop", stream=StreamKind.SERVICES) == 2
    health = await journal.health()
    assert (health.consumers["shop"].lag, health.consumers["shop"].oldest_at) == (1, START)
    found = health.service_consumers["shop"]
    assert (found.position, found.lag, found.oldest_at) == (2, 1, at)
    await journal.release_consumer(services)
    assert await journal.claim_consumer("shop", "three", lease=LEASE) is None
    taken = await journal.claim_consumer("shop", "three", lease=LEASE, stream=StreamKind.SERVICES)
    assert taken is not None
    with pytest.raises(StaleEventError):
        await journal.acknowledge(services, 3, lease=LEASE)
    await journal.acknowledge(orders, 1, lease=LEASE)


@pytest.mark.asyncio
async def test_services_of_open_orders_are_found(journal: SQLJournal) -> None:
    for number, state in enumerate(EntryState):
        form = {"action": "add", "service": str(number), "link": "l", "quantity": "1"}
        await reach(journal, state, f"r{number}", form=form, link=f"l{number}")
    await journal.create(new_entry("product", form={"service": "likes"}, routes={"default": "9"}))
    await journal.create(new_entry("unnamed", form={"link": "x"}))
    started = await journal.create(new_entry("started", form={"service": "77", "link": "s"}))
    await journal.start_attempt(
        "started", started.attempt, lease=LEASE, max_in_flight=99, service="78"
    )

    found = await journal.ordered_services()

    assert set(found) >= {str(list(EntryState).index(EntryState.PREPARED)), "78"}
    assert not {"9", "likes", "77"} & set(found)
    assert found == sorted(found)


@pytest.mark.asyncio
async def test_damaged_row_is_an_error_of_the_journal(journal: SQLJournal) -> None:
    claim = await claimed(journal)
    assert claim is not None
    await journal.record_services(claim, 1, listing(service(), kind=K.CHANGED))
    engine = journal._database._engine
    assert engine is not None
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE smm_service_events SET after = '{}'"))

    with pytest.raises(JournalError, match="a watched service cannot be read"):
        await journal.service_events(0, 9)


def test_change_has_the_comparisons_of_a_catalogue() -> None:
    assert ServiceChange(service(), service(rate="1.4")).price_decreased
    assert service().rate == Decimal("1.50")
