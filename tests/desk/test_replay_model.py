"""An order is never placed twice by settling it with a second call: random lives of orders."""

from random import Random

import pytest
from support import virtual

from smmfanfast_async.desk import replay_rules, replaying
from smmfanfast_async.journal import Entry, EntryState, Outcome

from .replay_model import Life


def live(seeds: range, **options: bool) -> tuple[int, list[tuple[int, list[str]]]]:
    """Run lives; return how many orders were settled, and what was wrong, by seed."""
    settled, wrong = 0, list[tuple[int, list[str]]]()
    for seed in seeds:
        life = Life(Random(seed), **options)  # no secret
        virtual.run(life.run())
        settled += life.settled()
        if life.wrong():
            wrong.append((seed, life.wrong()))
    return settled, wrong


def test_nothing_is_ordered_twice_or_named_wrongly() -> None:
    settled, wrong = live(range(200))

    assert wrong == []
    assert settled > 20


@pytest.mark.slow
def test_nothing_is_ordered_twice_or_named_wrongly_in_10_000_lives() -> None:
    settled, wrong = live(range(10_000))

    assert wrong == []
    assert settled > 1000


# --- the model finds each broken rule -------------------------------------------------------------


def test_model_finds_a_margin_that_is_too_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_rules, "REPLAY_MARGIN_S", 1.0)

    assert any("2 orders" in each for each in texts(live(range(350, 400))))


def test_model_finds_a_second_call_that_comes_too_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_rules, "REPLAY_AFTER_S", 0.0)

    assert any("2 orders" in each for each in texts(live(range(100, 150))))


def test_model_finds_answers_that_are_no_complete_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_unknown(outcome: Outcome, _: Entry) -> bool:
        return outcome.state is EntryState.UNKNOWN

    monkeypatch.setattr(replaying, "may_replay", is_unknown)

    assert any("2 orders" in each for each in texts(live(range(40, 90))))


def test_model_finds_equal_orders_that_are_overlooked(monkeypatch: pytest.MonkeyPatch) -> None:
    def overlook(*_: object) -> bool:
        return False

    monkeypatch.setattr(replay_rules, "_may_be_equal", overlook)

    assert any("has the order of r" in each for each in texts(live(range(100, 170))))


def test_model_finds_equal_orders_that_are_only_looked_for_before_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def overlook(*_: object) -> None:
        pass

    monkeypatch.setattr(replaying.Replayer, "_find_obstacle_after", overlook)

    assert any("has the order of r" in each for each in texts(live(range(2190, 2230))))


def test_equal_orders_from_outside_are_the_limit() -> None:
    """The panel returns their ids to every call, also to the first one of an order."""
    settled, wrong = live(range(50), has_equal_outside=True)

    assert settled
    found = texts((settled, wrong))
    assert found
    assert all(each.endswith("has the order of outside") for each in found)


def texts(lives: tuple[int, list[tuple[int, list[str]]]]) -> list[str]:
    """Return what was wrong in lives."""
    return [each for _, found in lives[1] for each in found]
