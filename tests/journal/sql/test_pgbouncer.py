"""A journal behind PgBouncer: another server connection for each transaction, and few of them."""

import asyncio
from collections.abc import Iterator
from typing import Literal, cast

import pytest
from support.journals import accept, all_events, claim_due, observe, open_journals
from support.pgbouncer import PgBouncer
from support.postgres import PostgresServer

from smmfanfast_async.journal import EntryState

S = EntryState


@pytest.fixture(scope="module", params=["session", "transaction"])
def pooler(request: pytest.FixtureRequest, postgres: PostgresServer) -> Iterator[PgBouncer]:
    mode = cast("Literal['session', 'transaction']", request.param)
    pooler = PgBouncer(postgres, mode)
    pooler.start()
    yield pooler
    pooler.stop()


@pytest.mark.asyncio
async def test_twenty_at_once_are_ordered_followed_and_told(
    pooler: PgBouncer, postgres: PostgresServer
) -> None:
    await postgres.fresh()
    async with open_journals(pooler.url) as journals:
        first, second = await journals(), await journals()
        both = (first, second)
        entries = await asyncio.gather(*(accept(both[n % 2], f"r{n}") for n in range(20)))
        claims = await claim_due(first, 20)
        observed = await first.record_statuses([observe(claim) for claim in claims])
        events = await all_events(second)
        summary = await second.summary()

    assert [entry.state for entry in entries] == [S.ACCEPTED] * 20
    assert len(claims) == len(observed) == 20
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert sum(summary.by_state.values()) == 20
