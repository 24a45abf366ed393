"""Amounts are added exactly, whatever the caller's decimal context does."""

import decimal
from collections.abc import Iterator
from decimal import Decimal

import pytest
from support.journals import (
    LEASE,
    Journals,
    accept,
    claim_due,
    new_entry,
    observe,
    outcome,
    prepare,
    start,
)

from smmfanfast_async import SpendingLimitError
from smmfanfast_async.journal import EntryState
from smmfanfast_async.journal.sql import SQLJournal

S = EntryState
PRICE = Decimal("12345678.51102")


@pytest.fixture(autouse=True)
def coarse_context() -> Iterator[None]:
    """Six digits, and an error for each rounding."""
    with decimal.localcontext(prec=6, traps=[decimal.Inexact, decimal.InvalidOperation]):
        yield


@pytest.mark.asyncio
async def test_summary_is_exact(journal: SQLJournal) -> None:
    for ref in ("a", "b", "c"):
        await accept(journal, ref, price=PRICE)
    claims = await claim_due(journal)
    await journal.record_statuses(
        [
            observe(each, "Partial", raw_charge="345678.00001")
            for each in claims
            if each.entry.ref == "c"
        ]
    )
    for ref in ("d", "e"):
        await start(journal, ref, price=PRICE)

    found = await journal.summary()

    assert (found.spent, found.refunded, found.at_risk) == (
        Decimal("25037035.02205"), Decimal("12000000.51101"), Decimal("24691357.02204"),
    )  # fmt: skip


@pytest.mark.asyncio
async def test_budget_of_a_day_is_exact(journal: SQLJournal) -> None:
    for ref in ("a", "b", "c"):
        await prepare(journal, ref, price=PRICE)
    cent_more = Decimal("37037035.54306")

    with pytest.raises(SpendingLimitError) as caught:
        await journal.create(new_entry("d", price=Decimal("0.01001")), budget=cent_more)
    await journal.create(new_entry("d", price=Decimal("0.01")), budget=cent_more)

    assert caught.value.spent == Decimal("37037035.53306")


@pytest.mark.asyncio
async def test_budget_at_the_price_of_the_day_is_exact(journal: SQLJournal) -> None:
    await prepare(journal, "a", price=PRICE)
    await prepare(journal, "b", price=PRICE)
    limit, risen = Decimal("24691357.02205"), Decimal("12345678.51103")

    with pytest.raises(SpendingLimitError) as caught:
        await journal.start_attempt(
            "b", 0, lease=LEASE, max_in_flight=1, price=Decimal("12345678.51104"), budget=limit
        )
    entry = await journal.start_attempt(
        "b", 0, lease=LEASE, max_in_flight=1, price=risen, budget=limit
    )

    assert (caught.value.spent, caught.value.price) == (PRICE, Decimal("12345678.51104"))
    assert entry is not None
    assert entry.price == risen


@pytest.mark.asyncio
async def test_evidence_is_exact(journals: Journals) -> None:
    journal = await journals()
    await prepare(journal, price=PRICE)
    await journal.start_attempt(
        "a", 0, lease=LEASE, max_in_flight=1, balance_before=Decimal("99999999.99999")
    )
    await journal.record_outcome(
        "a", 1, outcome(S.UNKNOWN, balance_after=Decimal("87654321.48897"))
    )

    [unknown] = await journal.unknown()

    assert (unknown.balance_drop, unknown.drop_matches_price) == (PRICE, True)
    assert unknown.drop_difference == 0
