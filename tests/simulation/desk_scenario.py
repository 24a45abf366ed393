"""Everything that a seed chooses for desks over several panels."""

from decimal import Decimal
from random import Random

from attrs import evolve, frozen

from smmfanfast_async.desk import Router, cheapest_first, in_order

from .network import PORT, Partition
from .scenario import Crash, Faults, Setup, maybe, rng_of, setup_of

__all__ = ["HEAL_S", "DeskScenario", "PanelPlan", "Placing", "ProcessPlan"]

SPAN_S = 40.0
"""Seconds in which orders are placed, processes start and crash, and partitions begin."""

HEAL_S = 170.0
"""Seconds after which nothing fails any more, and every account has money."""

ADD_KINDS = (
    "silent", "silent", "page", "bad gateway", "failed", "cut", "later", "later", "both",
    "refused, and more", "refused, and more", "placed, then an unexpected answer", "refused",
    "refused", "refused with 400", "no service", "no service", "active", "limited", "challenged",
)  # fmt: skip
"""How an `add` is answered if something goes wrong: often so that the order goes on to another
panel, or must not."""


@frozen(kw_only=True)
class PanelPlan:
    """One panel, the way to it, and the settings of the clients that call it."""

    name: str
    number: int
    rate: Decimal
    balance: Decimal
    faults: Faults
    partitions: list[Partition]
    crashes_s: list[float]
    restart_s: float
    crash_dark: bool
    setup: Setup

    @property
    def port(self) -> int:
        """Its port; no panel is at the port that one of the answers redirects to."""
        return PORT + 10 * self.number

    @property
    def service(self) -> int:
        """Its id of the product."""
        return 5 + self.number


@frozen
class ProcessPlan:
    """One process with a desk."""

    start_s: float
    crash: Crash | None
    """None for one that lives on."""


@frozen(kw_only=True)
class Placing:
    """One call of `OrderDesk.place`."""

    ref: str
    process: int
    """Which process makes it, if that one is alive by then."""
    at_s: float
    wait_s: float | None
    cancel_after_s: float | None


@frozen(kw_only=True)
class DeskScenario:
    """One seed, expanded."""

    seed: int
    panels: list[PanelPlan]
    processes: list[ProcessPlan]
    placings: list[Placing]
    router: Router
    queue_active_links: bool
    record_balance: bool
    has_rates: bool
    """Whether the panels' currencies are given, and need not be read."""
    has_circuit: bool
    disk_s: float
    """Seconds that each call to the database takes."""
    has_person: bool
    """Whether a person looks at what is unknown the day after, and has it sent again if the panel
    has no order."""

    @classmethod
    def of(cls, seed: int) -> "DeskScenario":
        """Expand a seed."""
        rng = rng_of(seed, "desk")
        processes = _processes(rng)
        return cls(
            seed=seed,
            panels=_panels(rng, seed),
            processes=processes,
            placings=_placings(rng, len(processes)),
            router=rng.choice((cheapest_first, in_order)),
            queue_active_links=rng.random() < 0.5,
            record_balance=rng.random() < 0.3,
            has_rates=rng.random() < 0.5,
            has_circuit=rng.random() < 0.4,
            disk_s=rng.choice((0.0, 0.0, 0.002, 0.02)),
            has_person=rng.random() < 0.5,
        )


def _panels(rng: Random, seed: int) -> list[PanelPlan]:
    names = ("alpha", "beta", "gamma")[: rng.choice((2, 2, 3))]
    rates = rng.sample(("0.9", "1", "1.1"), len(names))
    return [
        PanelPlan(
            name=name,
            number=number,
            rate=Decimal(rate),
            balance=Decimal(rng.choice(("2.5", "1000"))),
            faults=Faults(
                f"{seed}/{name}",
                rng.choice((0.0, 0.1, 0.3, 0.5)),
                rng.choice((5.0, 200.0)),
                read_share=0.2,
                add_kinds=ADD_KINDS,
            ),
            partitions=[_partition(rng) for _ in range(rng.choice((0, 1, 1, 2)))],
            crashes_s=[rng.random() * SPAN_S for _ in range(rng.choice((0, 0, 0, 1)))],
            restart_s=rng.choice((0.05, 5.0, 60.0)),
            crash_dark=rng.random() < 0.3,
            # Without a limit of calls per minute, which would only make all of it take longer.
            setup=evolve(
                setup_of(rng, seed), calls_per_minute=None, timeout_s=rng.choice((5.0, 20.0))
            ),
        )
        for number, (name, rate) in enumerate(zip(names, rates, strict=True))
    ]


def _partition(rng: Random) -> Partition:
    start_s = rng.random() * SPAN_S
    end_s = min(start_s + rng.choice((rng.random() * 2, rng.random() * 30, 120.0)), HEAL_S)
    return Partition(rng.choice(("up", "down")), start_s, end_s)


def _processes(rng: Random) -> list[ProcessPlan]:
    """Choose one process that lives on, and perhaps one before it or beside it."""
    crash = Crash(rng.random() * SPAN_S, rng.choice((None, "fin", "rst")))
    living = ProcessPlan(0.0, None)
    return rng.choice((
        [living],
        [ProcessPlan(0.0, crash), ProcessPlan(crash.at_s + rng.choice((0.1, 5.0)), None)],
        [ProcessPlan(0.0, crash), living],
        [living, living],
    ))  # fmt: skip


def _placings(rng: Random, processes: int) -> list[Placing]:
    placings: list[Placing] = []
    for number in range(rng.randint(3, 6)):
        at_s = rng.random() * rng.choice((2.0, SPAN_S))
        process = rng.randrange(processes)
        for _ in range(rng.choice((1, 1, 2))):
            placing = Placing(
                ref=f"ref-{number}",
                process=process % processes,
                at_s=at_s,
                wait_s=maybe(rng, 0.3, rng.choice((0.2, 10.0, 200.0))),
                cancel_after_s=maybe(rng, 0.2, rng.choice((0.2, 3.0, 100.0))),
            )
            placings.append(placing)
            process += rng.choice((0, 1, 1))
            at_s += rng.choice((0.0, 0.01, rng.random() * SPAN_S))
    return placings
