"""The contract of every journal for consumers: one worker at a time, effects that happen once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from support.journals import Clock, Journals

from smmfanfast_async import InvalidSettingsError, JournalError, StaleEventError
from smmfanfast_async.journal import ConsumerClaim
from smmfanfast_async.journal.sql import SQLJournal

LEASE = timedelta(seconds=60)


async def claimed(journal: SQLJournal, owner: str = "one", consumer: str = "mail") -> ConsumerClaim:
    claim = await journal.claim_consumer(consumer, owner, lease=LEASE)
    assert claim is not None
    return claim


@pytest.mark.asyncio
async def test_one_worker_reads_a_consumer_at_a_time(journals: Journals, clock: Clock) -> None:
    first, second = await journals(), await journals()
    claim = await claimed(first)

    assert await second.claim_consumer("mail", "two", lease=LEASE) is None
    assert (await claimed(second, "two", "chat")).position == 0
    clock.advance(60)
    taken = await claimed(second, "two")

    assert taken.version > claim.version
    assert await first.claim_consumer("mail", "one", lease=LEASE) is None


@pytest.mark.asyncio
async def test_claim_is_renewed_by_its_owner(journal: SQLJournal, clock: Clock) -> None:
    claim = await claimed(journal)
    clock.advance(59)

    assert await claimed(journal) == claim
    clock.advance(59)
    assert await journal.claim_consumer("mail", "two", lease=LEASE) is None


@pytest.mark.asyncio
async def test_released_consumer_is_taken_at_once(journals: Journals) -> None:
    first, second = await journals(), await journals()
    claim = await claimed(first)
    await first.release_consumer(claim)
    taken = await claimed(second, "two")

    await first.release_consumer(claim)  # no longer the latest: nothing happens

    assert await first.claim_consumer("mail", "three", lease=LEASE) is None
    assert taken.version > claim.version


@pytest.mark.parametrize("has_acknowledged", [False, True])
@pytest.mark.asyncio
async def test_lease_of_a_clock_that_was_ahead_does_not_outlast_it(
    journal: SQLJournal, clock: Clock, *, has_acknowledged: bool
) -> None:
    clock.advance(3600)
    claim = await claimed(journal)
    if has_acknowledged:
        await journal.acknowledge(claim, 1, lease=LEASE)
    clock.advance(-3600)

    assert (await claimed(journal, "two")).version > claim.version


@pytest.mark.asyncio
async def test_racing_workers_get_one_claim(journals: Journals) -> None:
    workers = [await journals() for _ in range(4)]

    claims = await asyncio.gather(*(
        worker.claim_consumer("mail", f"w{n}", lease=LEASE) for n, worker in enumerate(workers)
    ))  # fmt: skip

    assert sum(claim is not None for claim in claims) == 1


@pytest.mark.asyncio
async def test_position_only_increases(journal: SQLJournal) -> None:
    assert await journal.position("mail") == 0
    claim = await claimed(journal)

    for position in (3, 2, 7, 7):
        await journal.acknowledge(claim, position, lease=LEASE)

    assert await journal.position("mail") == 7
    assert (await claimed(journal)).position == 7
    assert await journal.position("chat") == 0


@pytest.mark.asyncio
async def test_acknowledging_renews_the_lease(journal: SQLJournal, clock: Clock) -> None:
    claim = await claimed(journal)
    clock.advance(59)
    await journal.acknowledge(claim, 1, lease=LEASE)
    clock.advance(59)

    assert await journal.claim_consumer("mail", "two", lease=LEASE) is None


@pytest.mark.asyncio
async def test_overtaken_worker_cannot_acknowledge(journal: SQLJournal, clock: Clock) -> None:
    claim = await claimed(journal)
    clock.advance(60)
    await claimed(journal, "two")

    with pytest.raises(StaleEventError):
        await journal.acknowledge(claim, 5, lease=LEASE)

    assert await journal.position("mail") == 0


@pytest.mark.asyncio
async def test_worker_that_nobody_overtook_may_still_acknowledge(
    journal: SQLJournal, clock: Clock
) -> None:
    claim = await claimed(journal)
    clock.advance(600)

    await journal.acknowledge(claim, 5, lease=LEASE)

    assert await journal.position("mail") == 5


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["", "x" * 201, 7])
async def test_name_is_a_short_string(journal: SQLJournal, name: Any) -> None:
    with pytest.raises(InvalidSettingsError):
        await journal.position(name)
    with pytest.raises(InvalidSettingsError):
        await journal.claim_consumer(name, "one", lease=LEASE)


# --- in a transaction of the caller's own --------------------------------------------------------


@pytest_asyncio.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    """The caller's own connections, and a table of the caller's."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE mine (n INTEGER)"))
    yield engine
    await engine.dispose()


async def apply(journal: SQLJournal, claim: ConsumerClaim, connection: AsyncConnection) -> None:
    await connection.execute(text("INSERT INTO mine VALUES (1)"))
    await journal.acknowledge(claim, 1, lease=LEASE, connection=connection)


async def effects(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        count: int = (await connection.execute(text("SELECT count(*) FROM mine"))).scalar_one()
        return count


@pytest.mark.asyncio
async def test_position_moves_with_the_callers_commit(
    journal: SQLJournal, engine: AsyncEngine
) -> None:
    claim = await claimed(journal)
    async with engine.connect() as connection:
        await apply(journal, claim, connection)
        await connection.rollback()
    assert await journal.position("mail") == await effects(engine) == 0

    async with AsyncSession(engine) as session, session.begin():
        await session.execute(text("INSERT INTO mine VALUES (1)"))
        await journal.acknowledge(claim, 1, lease=LEASE, connection=session)

    assert await journal.position("mail") == await effects(engine) == 1


@pytest.mark.asyncio
async def test_second_effect_of_an_event_is_rolled_back(
    journal: SQLJournal, engine: AsyncEngine
) -> None:
    """As after a commit whose answer was lost: the caller tries again."""
    claim = await claimed(journal)

    async def apply_once() -> None:
        async with engine.begin() as connection:
            await apply(journal, claim, connection)

    await apply_once()
    with pytest.raises(StaleEventError):
        await apply_once()

    assert await effects(engine) == 1


@pytest.mark.asyncio
async def test_connection_without_a_transaction_is_refused(journal: SQLJournal, url: str) -> None:
    claim = await claimed(journal)
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        with pytest.raises(InvalidSettingsError, match="no open transaction"):
            await journal.acknowledge(claim, 1, lease=LEASE, connection=connection)
    wrong: Any = "a connection"
    with pytest.raises(InvalidSettingsError, match="is not an AsyncConnection"):
        await journal.acknowledge(claim, 1, lease=LEASE, connection=wrong)
    await engine.dispose()


@pytest.mark.asyncio
async def test_other_database_is_an_error(journal: SQLJournal) -> None:
    claim = await claimed(journal)
    engine = create_async_engine("sqlite+aiosqlite://")

    with pytest.raises(JournalError, match="no such table"):
        async with engine.begin() as connection:
            await journal.acknowledge(claim, 1, lease=LEASE, connection=connection)

    await engine.dispose()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
@pytest.mark.asyncio
async def test_acknowledgement_that_is_not_committed_means_in_use(
    journals: Journals, url: str, clock: Clock
) -> None:
    """PostgreSQL alone: SQLite has one writer, so nobody takes over meanwhile."""
    first, second = await journals(), await journals()
    claim = await claimed(first)
    engine = create_async_engine(url)

    async def renewed_and_taken(connection: AsyncConnection) -> None:
        await first.acknowledge(claim, 1, lease=LEASE, connection=connection)
        clock.advance(600)
        assert await second.claim_consumer("mail", "two", lease=LEASE) is None
        assert (await claimed(first)).version == claim.version, "its own lock does not stop it"

    async with engine.begin() as connection:
        await renewed_and_taken(connection)
    await engine.dispose()

    assert await second.position("mail") == 1
