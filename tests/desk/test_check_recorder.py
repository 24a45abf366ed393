"""Recording checks: the results of all calls that have landed in one transaction."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from smmfanfast_async.desk.check_recorder import MAX_CALLS, CheckedOrders, CheckRecorder
from smmfanfast_async.errors import JournalError
from smmfanfast_async.journal import Claim, Entry, EntryState, Observation

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class RecordingJournal:
    """Keeps what is recorded; waits before each transaction, and rejects some refs."""

    def __init__(self) -> None:
        self.may_write = asyncio.Event()
        self.recorded: list[list[str]] = []
        self.released: list[list[str]] = []
        self.rejected: set[str] = set()

    async def record_statuses(self, observations: Sequence[Observation]) -> list[Entry]:
        await self.may_write.wait()
        refs = [each.claim.entry.ref for each in observations]
        if self.rejected & set(refs):
            raise JournalError("cannot be stored")
        self.recorded.append(refs)
        return [each.claim.entry for each in observations]

    async def release(self, claims: Sequence[tuple[Claim, datetime | None]]) -> None:
        self.released.append([claim.entry.ref for claim, _ in claims])


def claim_of(ref: str) -> Claim:
    return Claim(key=1, version=1, entry=Entry(ref=ref, state=EntryState.ACCEPTED, created_at=NOW))


def checked(ref: str, *unanswered: str) -> CheckedOrders:
    observation = Observation(claim=claim_of(ref), status=None, due_at=NOW)
    return CheckedOrders([observation], [(claim_of(each), NOW) for each in unanswered])


async def record_all(journal: Any, *results: CheckedOrders) -> int:
    """Record results of which the first is being written when the others land."""
    told: list[None] = []
    recorder = CheckRecorder(journal=journal, on_events=lambda: told.append(None))
    async with asyncio.TaskGroup() as group:
        for each in results:
            group.create_task(recorder.record(each))
            await asyncio.sleep(0)
        journal.may_write.set()
    return len(told)


@pytest.mark.asyncio
async def test_results_that_land_during_a_transaction_share_the_next() -> None:
    journal = RecordingJournal()

    told = await record_all(journal, checked("a"), checked("b", "x"), checked("c", "y"))

    assert journal.recorded == [["a"], ["b", "c"]]
    assert journal.released == [[], ["x", "y"]]
    assert told == 2


@pytest.mark.asyncio
async def test_a_transaction_records_a_limited_number_of_calls() -> None:
    journal = RecordingJournal()
    refs = [str(number) for number in range(MAX_CALLS + 3)]

    await record_all(journal, *map(checked, refs))

    assert [len(each) for each in journal.recorded] == [1, MAX_CALLS, 2]
    assert [ref for each in journal.recorded for ref in each] == refs


@pytest.mark.asyncio
async def test_result_that_cannot_be_stored_costs_no_other_call_its_results(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = RecordingJournal()
    journal.rejected = {"c"}

    with caplog.at_level(logging.WARNING):
        await record_all(journal, *map(checked, ("a", "b", "c", "d")))

    assert journal.recorded == [["a"], ["b"], ["d"]]
    assert [each.getMessage() for each in caplog.records] == ["journal: cannot be stored"]


@pytest.mark.asyncio
async def test_result_of_a_single_call_is_tried_once(caplog: pytest.LogCaptureFixture) -> None:
    journal = RecordingJournal()
    journal.rejected = {"a"}

    with caplog.at_level(logging.WARNING):
        await record_all(journal, checked("a"))

    assert journal.recorded == []
    assert [each.getMessage() for each in caplog.records] == ["journal: cannot be stored"]
