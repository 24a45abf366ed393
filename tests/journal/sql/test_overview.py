"""The queries about a journal as a whole, on both databases."""

from datetime import timedelta

import pytest
from support.journals import START, Journals, accept, claim_due, new_entry, observe

from smmfanfast_async.journal.sql import SQLJournal


@pytest.mark.asyncio
async def test_accounts_are_counted_in_all_and_by_ref(journals: Journals) -> None:
    first, second = await journals("first"), await journals("second")
    await first.create(new_entry("one"))
    await first.create(new_entry("two"))
    await second.create(new_entry("two"))

    assert await first.accounts() == await second.accounts() == {"first": 2, "second": 1}
    assert await first.accounts("two") == {"first": 1, "second": 1}
    assert await second.accounts("one") == {"first": 1}
    assert await second.accounts("none") == {}


@pytest.mark.asyncio
async def test_journal_without_an_account_counts_those_of_others(journals: Journals) -> None:
    whole = SQLJournal(journals.url)
    await whole.open()
    try:
        assert await whole.accounts() == {}
        await (await journals("shop")).create(new_entry("one"))
        assert await whole.accounts() == {"shop": 1}
        assert await whole.find("one") is None
    finally:
        await whole.aclose()


@pytest.mark.asyncio
async def test_orders_to_send_and_to_check_are_overdue(journals: Journals) -> None:
    journal = await journals()
    await journal.create(new_entry("to-send"))
    await accept(journal, "to-check", "7")
    later = START + timedelta(hours=1)

    assert await journal.overdue(START - timedelta(hours=1)) == (0, None)
    assert await journal.overdue(later) == (2, None)
    assert await (await journals("other")).overdue(later) == (0, None)

    journals.clock.advance(60)
    (claim,) = await claim_due(journal)
    await journal.record_statuses([observe(claim, "Pending")])

    checked_at = START + timedelta(seconds=60)
    assert await journal.overdue(later) == (1, checked_at)
