"""What a journal keeps of several panels: pinned orders, and the rate of calls to each."""

from datetime import timedelta
from decimal import Decimal

import pytest
from support.journals import LEASE, START, outcome, prepare, start

from smmfanfast_async.journal import EntryState
from smmfanfast_async.journal.sql import SQLJournal

S = EntryState
SECOND = timedelta(seconds=1)


async def pinned(journal: SQLJournal) -> int:
    """Prepare an order that was held at the default panel; return the number of its attempts."""
    held = await start(journal)
    await journal.record_outcome("a", held.attempt, outcome(S.HELD, due_at=START))
    [entry] = await journal.due_to_send(9)
    assert (entry.state, entry.is_pinned) == (S.PREPARED, True)
    return held.attempt


@pytest.mark.asyncio
async def test_pinned_order_is_not_started_at_another_panel(journal: SQLJournal) -> None:
    attempt = await pinned(journal)

    options = {"lease": LEASE, "max_in_flight": 9}
    assert await journal.start_attempt("a", attempt, panel="beta", **options) is None
    started = await journal.start_attempt("a", attempt, **options)
    assert started is not None
    assert started.state is S.SENDING


@pytest.mark.asyncio
async def test_pinned_order_that_the_panel_refuses_goes_nowhere_else(journal: SQLJournal) -> None:
    attempt = await pinned(journal)
    await journal.start_attempt("a", attempt, lease=LEASE, max_in_flight=9)

    rerouted = outcome(S.PREPARED, is_rerouted=True, due_at=START)
    entry = await journal.record_outcome("a", attempt + 1, rerouted)

    assert (entry.state, entry.panel) == (S.REFUSED, "default")


@pytest.mark.asyncio
async def test_order_with_a_limit_is_not_started_without_a_price(journal: SQLJournal) -> None:
    await prepare(journal, max_charge=Decimal(1))

    assert await journal.start_attempt("a", 0, lease=LEASE, max_in_flight=9) is None


@pytest.mark.asyncio
async def test_panel_that_was_not_named_before_has_a_rate_of_its_own(journal: SQLJournal) -> None:
    assert (await journal.reserve_call(SECOND)).wait == timedelta(0)
    reserved = [await journal.reserve_call(SECOND, panel="new") for _ in range(2)]

    assert [each.wait for each in reserved] == [timedelta(0), SECOND]
    await journal.cancel_call(reserved[1])
    assert (await journal.reserve_call(SECOND, panel="new")).wait == SECOND


@pytest.mark.asyncio
async def test_late_order_of_an_earlier_attempt_is_at_the_panel_of_that_attempt(
    journal: SQLJournal,
) -> None:
    await prepare(journal)
    options = {"lease": LEASE, "max_in_flight": 9}
    first = await journal.start_attempt(
        "a", 0, panel="alpha", service="1", exchange_rate=Decimal(2), price=Decimal(3), **options
    )
    assert first is not None
    await journal.record_outcome("a", 1, outcome(S.PREPARED, due_at=START))
    await journal.start_attempt("a", 1, panel="beta", service="11", **options)
    refused = await journal.record_outcome("a", 2, outcome(S.REFUSED))
    assert refused.panel == "beta"

    accepted = outcome(S.ACCEPTED, "7", due_at=START)
    entry = await journal.record_outcome("a", 1, accepted, started=first)

    assert (entry.state, entry.order, entry.panel, entry.service) == (S.ACCEPTED, "7", "alpha", "1")
    assert (entry.exchange_rate, entry.price) == (2, 3)
