"""A clock that is set back holds up no attempt for as long as it was set back."""

from datetime import timedelta

import pytest
from support.journals import Journals, S, begun, outcome, prepared


@pytest.mark.parametrize(("back_s", "is_given_up"), [(1500, False), (3600, True)])
@pytest.mark.asyncio
async def test_an_attempt_that_ends_further_ahead_than_any_is_given_up(
    journals: Journals,
    back_s: int,
    *,
    is_given_up: bool,
) -> None:
    journal = await journals()
    await begun(journal)  # and its process is killed
    journals.clock.go(-back_s)

    lapsed = [entry.ref for entry in await journal.lapse()]

    assert lapsed == ["a"] * is_given_up
    await prepared(journal, "b")
    other = await journal.begin("b", 0, lease=timedelta(minutes=4), places=1)
    assert (other is not None) is is_given_up


@pytest.mark.asyncio
async def test_what_was_given_up_so_and_lived_is_lifted_by_its_answer(journals: Journals) -> None:
    journal = await journals()
    entry = await begun(journal)
    journals.clock.go(-3600)
    await journal.lapse()

    settled = await journal.settle("a", entry.attempt, outcome(S.ACCEPTED, "32"))

    assert (settled.state, settled.order) == (S.ACCEPTED, "32")
