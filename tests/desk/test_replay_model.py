"""An order is never placed twice by settling it with a second call: random lives of orders."""

from random import Random

import pytest
from support import virtual

from smmfanfast_async.desk import replay_rules, replaying

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
    monkeypatch.setattr(replaying, "REPLAY_MARGIN_S", 30.0)

    assert live(range(300))[1]
