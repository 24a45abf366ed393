"""Everything that a seed chooses: who calls what and when, and what goes wrong on the way."""

import math
from random import Random
from typing import Literal

from attrs import field, frozen

from smmfanfast_async import RetryPolicy

from .network import Cut, End, Link, Partition
from .panel import ADD_KINDS, READ_KINDS, Answer

__all__ = ["Crash", "Op", "Scenario", "Setup"]

SPAN_S = 60.0
"""Seconds in which most of a scenario happens."""

_HARMLESS = {
    "add": ("placed", "placed, id as text", "placed, chunked", "created", "refused"),
    "read": ("right", "right, chunked"),
}


@frozen(kw_only=True)
class Op:
    """One call of the client."""

    verb: Literal["add", "status", "balance"]
    after_s: float
    """Seconds that the task waits before it calls."""
    cancel_after_s: float | None = None
    cancel_after_turns: int | None = None
    """Turns of the loop, to meet the moments between two awaits."""
    wait_s: float | None = None
    settles: bool = False
    """Whether an outcome that came too late for `wait_s` is awaited after all."""


@frozen
class Crash:
    """The end of the client's process."""

    at_s: float
    how: End | None
    """What its kernel tells the panel; None for nothing."""


@frozen(kw_only=True)
class Setup:
    """What a client is made with."""

    retry: RetryPolicy = field(factory=RetryPolicy)
    timeout_s: float = 60.0
    concurrency: int = 10
    add_concurrency: int = 1
    calls_per_minute: int | None = None
    connections: int = 100
    owns_connector: bool = True
    """Whether the connector is the client's to close, or was given."""
    draw_seed: int = 0
    """What the lots of the pauses are drawn from."""


@frozen(kw_only=True)
class Scenario:
    """One seed, laid out."""

    seed: int
    tasks: list[list[Op]]
    setup: Setup
    close_at_s: float | None
    """None for a close when everything is done."""
    close_after_turns: int
    closes: int
    """How often it is closed at once."""
    crash: Crash | None
    partitions: list[Partition]
    panel_crashes_s: list[float]
    restart_s: float
    crash_dark: bool
    badness: float = field(repr=False)
    """How likely it is that something goes wrong with a connection or an answer."""

    @classmethod
    def of(cls, seed: int) -> "Scenario":
        """Lay a seed out."""
        dice = _dice(seed, "scenario")
        badness = dice.choice((0.0, 0.1, 0.3, 0.6))
        return cls(
            seed=seed,
            tasks=[_ops(dice) for _ in range(dice.randint(1, 4))],
            setup=_setup(dice, seed),
            close_at_s=_maybe(dice, 0.25, dice.choice((1.0, SPAN_S))),
            close_after_turns=dice.choice((0, 0, dice.randint(1, 40))),
            closes=dice.choice((1, 1, 2)),
            crash=_crash(dice) if dice.random() < 0.2 else None,
            partitions=[_partition(dice) for _ in range(dice.choice((0, 0, 1, 2)))],
            panel_crashes_s=[dice.random() * SPAN_S for _ in range(dice.choice((0, 0, 0, 1, 2)))],
            restart_s=dice.choice((0.05, 5.0, 100.0)),
            crash_dark=dice.random() < 0.3,
            badness=badness,
        )

    def link(self, _: str, number: int) -> Link:
        """Choose what a connection is like."""
        dice = _dice(self.seed, "link", number)
        fate = "accept"
        if dice.random() < self.badness / 2:
            fate = dice.choice(("refuse", "refuse", "hang"))
        return Link(
            fate=fate,
            latency_s=dice.choice((0.0, 0.001, 0.05, dice.random() * 3)),
            jitter_s=dice.choice((0.0, 0.02, 1.0)),
            pieces=dice.choice((1, 2, 5)),
            cut=_cut(dice) if dice.random() < self.badness / 2 else None,
            seed=f"{self.seed}/pieces/{number}",
        )

    def answer(self, wire: int, request: int, action: str) -> Answer:
        """Choose what becomes of a request."""
        dice = _dice(self.seed, "answer", wire, request)
        is_bad = dice.random() < self.badness
        group = "add" if action == "add" else "read"
        kinds = ADD_KINDS if action == "add" else READ_KINDS
        kind = dice.choice(list(kinds) if is_bad else _HARMLESS[group])
        stores = kinds[kind].stores
        crash = dice.choice(("before", "after")) if dice.random() < self.badness / 6 else None
        return Answer(
            kind=kind,
            stores=group == "add" and (dice.random() < 0.5 if stores is None else stores),
            store_after_s=_span_s(dice),
            answer_after_s=_span_s(dice),
            ends="fin" if kind == "cut" else dice.choice((None, None, "fin", "rst")),
            crash=crash,
            outlives=dice.random() < 0.7,
        )


def _dice(seed: int, *names: object) -> Random:
    """Give a generator of its own to each thing, so that none depends on the order of others."""
    return Random(f"{seed}/{'/'.join(map(str, names))}")


def _maybe(dice: Random, chance: float, max_interval_s: float) -> float | None:
    return dice.random() * max_interval_s if dice.random() < chance else None


def _span_s(dice: Random) -> float:
    return dice.choice((0.0, 0.001, 0.2, dice.random() * 5, dice.random() * 200))


def _setup(dice: Random, seed: int) -> Setup:
    return Setup(
        retry=RetryPolicy(
            max_attempts=dice.randint(1, 4), base_delay_s=dice.choice((0.1, 0.5, 5.0))
        ),
        timeout_s=dice.choice((1.0, 10.0, 60.0)),
        concurrency=dice.choice((1, 2, 10)),
        add_concurrency=dice.choice((1, 1, 2, 4)),
        calls_per_minute=dice.choice((None, None, 30, 3)),
        connections=dice.choice((1, 3, 100)),
        owns_connector=dice.random() < 0.5,
        draw_seed=seed,
    )


def _ops(dice: Random) -> list[Op]:
    return [_op(dice) for _ in range(dice.randint(1, 4))]


def _op(dice: Random) -> Op:
    return Op(
        verb=dice.choice(("add", "add", "add", "status", "balance")),
        after_s=dice.choice((0.0, dice.random(), dice.random() * 20)),
        cancel_after_s=_maybe(dice, 0.2, dice.choice((0.2, 3.0, 150.0))),
        cancel_after_turns=dice.randint(0, 30) if dice.random() < 0.1 else None,
        wait_s=_maybe(dice, 0.3, dice.choice((0.2, 10.0, 200.0))),
        settles=dice.random() < 0.5,
    )


def _crash(dice: Random) -> Crash:
    return Crash(dice.random() * dice.choice((2.0, SPAN_S)), dice.choice((None, "fin", "rst")))


def _partition(dice: Random) -> Partition:
    begin_s = dice.random() * SPAN_S
    span_s = dice.choice((dice.random() * 2, dice.random() * 30, 300.0, math.inf))
    return Partition(dice.choice(("up", "down")), begin_s, begin_s + span_s)


def _cut(dice: Random) -> Cut:
    return Cut(dice.choice(("up", "down")), dice.randint(0, 400), dice.choice(("fin", "rst")))
