"""Everything that a seed chooses: the calls, their times, and what fails."""

import math
from collections.abc import Sequence
from random import Random
from typing import Literal

from attrs import define, field, frozen

from smmfanfast_async import RetryPolicy

from .network import Cut, End, Link, Partition, Wire
from .panel import ADD_KINDS, READ_KINDS, Answer

__all__ = ["Crash", "Faults", "Op", "Scenario", "Setup", "maybe", "rng_of", "setup_of"]

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
    waits_for_outcome: bool = False
    """Whether an outcome that was too late for `wait_s` is awaited afterwards."""


@frozen
class Crash:
    """The end of the client's process."""

    at_s: float
    how: End | None
    """What its kernel sends to the panel; None for nothing."""


@frozen(kw_only=True)
class Setup:
    """The settings of a client."""

    retry: RetryPolicy = field(factory=RetryPolicy)
    timeout_s: float = 60.0
    concurrency: int = 10
    add_concurrency: int = 1
    calls_per_minute: int | None = None
    connections: int = 100
    owns_connector: bool = True
    """Whether the connector is the client's to close, or was given."""
    rng_seed: int = 0
    """Seed of the random numbers for delays."""


@define
class Faults:
    """What goes wrong at one panel, and on the way to it."""

    seed: str
    rate: float
    """How likely it is that something goes wrong with a connection or an answer."""
    slow_s: float = 200.0
    """The longest that the panel takes to store an order, and to answer."""
    read_share: float = 1.0
    """How likely that is for the answer to a read, as a share of `rate`."""
    add_kinds: Sequence[str] = tuple(ADD_KINDS)
    """How an `add` is answered then."""
    _requests: dict[int, int] = field(factory=dict)

    def link(self, _: str, number: int) -> Link:
        """Choose what a connection is like."""
        rng = rng_of(self.seed, "link", number)
        fate = "accept"
        if rng.random() < self.rate / 2:
            fate = rng.choice(("refuse", "refuse", "hang"))
        return Link(
            fate=fate,
            latency_s=rng.choice((0.0, 0.001, 0.05, rng.random() * 3)),
            jitter_s=rng.choice((0.0, 0.02, 1.0)),
            pieces=rng.choice((1, 2, 5)),
            cut=_cut(rng) if rng.random() < self.rate / 2 else None,
            seed=f"{self.seed}/pieces/{number}",
        )

    def answer(self, wire: Wire, action: str, _: str) -> Answer:
        """Choose what happens to the next request of a connection."""
        request = self._requests[wire.number] = self._requests.get(wire.number, 0) + 1
        rng = rng_of(self.seed, "answer", wire.number, request)
        group = "add" if action == "add" else "read"
        is_bad = rng.random() < self.rate * (1.0 if action == "add" else self.read_share)
        kinds = ADD_KINDS if action == "add" else READ_KINDS
        bad_kinds = self.add_kinds if action == "add" else tuple(READ_KINDS)
        kind = rng.choice(bad_kinds if is_bad else _HARMLESS[group])
        stores = kinds[kind].stores
        crash = rng.choice(("before", "after")) if rng.random() < self.rate / 6 else None
        return Answer(
            kind=kind,
            stores=group == "add" and (rng.random() < 0.5 if stores is None else stores),
            store_after_s=self._span_s(rng),
            answer_after_s=self._span_s(rng),
            ends="fin" if kind == "cut" else rng.choice((None, None, "fin", "rst")),
            crash=crash,
            outlives=rng.random() < 0.7,
        )

    def _span_s(self, rng: Random) -> float:
        return rng.choice((0.0, 0.001, 0.2, rng.random() * 5, rng.random() * self.slow_s))


@frozen(kw_only=True)
class Scenario:
    """One seed, expanded."""

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
    fault_rate: float = field(repr=False)
    """How likely it is that something goes wrong with a connection or an answer."""

    @classmethod
    def of(cls, seed: int) -> "Scenario":
        """Expand a seed."""
        rng = rng_of(seed, "scenario")
        fault_rate = rng.choice((0.0, 0.1, 0.3, 0.6))
        return cls(
            seed=seed,
            tasks=[_ops(rng) for _ in range(rng.randint(1, 4))],
            setup=setup_of(rng, seed),
            close_at_s=maybe(rng, 0.25, rng.choice((1.0, SPAN_S))),
            close_after_turns=rng.choice((0, 0, rng.randint(1, 40))),
            closes=rng.choice((1, 1, 2)),
            crash=_crash(rng) if rng.random() < 0.2 else None,
            partitions=[_partition(rng) for _ in range(rng.choice((0, 0, 1, 2)))],
            panel_crashes_s=[rng.random() * SPAN_S for _ in range(rng.choice((0, 0, 0, 1, 2)))],
            restart_s=rng.choice((0.05, 5.0, 100.0)),
            crash_dark=rng.random() < 0.3,
            fault_rate=fault_rate,
        )

    @property
    def faults(self) -> Faults:
        """What goes wrong at the panel, and on the way to it."""
        return Faults(f"{self.seed}", self.fault_rate)


def rng_of(seed: object, *names: object) -> Random:
    """Return a generator for each purpose, so that none depends on the order of the others."""
    return Random(f"{seed}/{'/'.join(map(str, names))}")


def maybe(rng: Random, chance: float, max_s: float) -> float | None:
    """Return a time up to a maximum, or, unless a chance comes true, None."""
    return rng.random() * max_s if rng.random() < chance else None


def setup_of(rng: Random, seed: int) -> Setup:
    """Choose the settings of a client."""
    return Setup(
        retry=RetryPolicy(max_attempts=rng.randint(1, 4), base_delay_s=rng.choice((0.1, 0.5, 5.0))),
        timeout_s=rng.choice((1.0, 10.0, 60.0)),
        concurrency=rng.choice((1, 2, 10)),
        add_concurrency=rng.choice((1, 1, 2, 4)),
        calls_per_minute=rng.choice((None, None, 30, 3)),
        connections=rng.choice((1, 3, 100)),
        owns_connector=rng.random() < 0.5,
        rng_seed=seed,
    )


def _ops(rng: Random) -> list[Op]:
    return [_op(rng) for _ in range(rng.randint(1, 4))]


def _op(rng: Random) -> Op:
    return Op(
        verb=rng.choice(("add", "add", "add", "status", "balance")),
        after_s=rng.choice((0.0, rng.random(), rng.random() * 20)),
        cancel_after_s=maybe(rng, 0.2, rng.choice((0.2, 3.0, 150.0))),
        cancel_after_turns=rng.randint(0, 30) if rng.random() < 0.1 else None,
        wait_s=maybe(rng, 0.3, rng.choice((0.2, 10.0, 200.0))),
        waits_for_outcome=rng.random() < 0.5,
    )


def _crash(rng: Random) -> Crash:
    return Crash(rng.random() * rng.choice((2.0, SPAN_S)), rng.choice((None, "fin", "rst")))


def _partition(rng: Random) -> Partition:
    start_s = rng.random() * SPAN_S
    span_s = rng.choice((rng.random() * 2, rng.random() * 30, 300.0, math.inf))
    return Partition(rng.choice(("up", "down")), start_s, start_s + span_s)


def _cut(rng: Random) -> Cut:
    return Cut(rng.choice(("up", "down")), rng.randint(0, 400), rng.choice(("fin", "rst")))
