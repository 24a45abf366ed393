"""Random lives of an account: a panel, its money, and a journal, all without I/O.

A life is drawn from a seed: orders that are placed at once, late or not at all, charged at once or
late, canceled and refunded; orders and deposits from elsewhere; checks of statuses, failing
readings, persons, restarts and several desks. The real `Settler` runs in it. Whether it was wrong
is decided by what the panel has, never by what the journal says.
"""

import heapq
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Any

import attrs
from attrs import define, field
from support.journals import START

from smmfanfast_async._engine.limiter import Clock
from smmfanfast_async.desk.rate_limit import AccountRateLimit
from smmfanfast_async.desk.settling import READ_EVERY_S, Settler
from smmfanfast_async.desk.timing import Timing
from smmfanfast_async.errors import NotSentError, PanelError
from smmfanfast_async.journal import (
    DEFAULT_PANEL,
    Activity,
    Entry,
    EntryState,
    EventKind,
    JournalEvent,
    Settlement,
)
from smmfanfast_async.results import Balance

__all__ = ["LATEST_S", "Life"]

S = EntryState
LATEST_S = 880.0
"""Seconds after an attempt until which the panel may insert and charge its order: the bound that
`SETTLE_AFTER_S` assumes. An order is inserted 100 s late in the fault that was seen."""

LIFE_S = 6000.0
"""Seconds that a life lasts."""

CENT, EXACT_STEP = Decimal("0.01"), Decimal("0.0001")


@define
class Stored:
    """An order of ours in the journal, and what the panel really has."""

    entry: Entry
    is_placed: bool = False
    """Whether the panel has an order for it, or gets one later."""
    status: str = "In progress"
    """The status at the panel."""
    charge: Decimal = Decimal(0)
    """What the panel says that it costs, net of refunds."""
    checked_s: float = -1.0
    """When the desk last checked it; -1 before that."""


@define
class Life:
    """One account from its first order on, on a clock of its own."""

    rng: Random
    now_s: float = 0.0
    balance: Decimal = Decimal(1000)
    step: Decimal = EXACT_STEP
    rounding: str = ROUND_HALF_EVEN
    stored: dict[str, Stored] = field(factory=dict[str, Stored])
    log: list[JournalEvent] = field(factory=list[JournalEvent])
    in_flight: int = 0
    attempts_left: int = 0
    """How many attempts are still to end."""
    is_over: bool = False
    """Whether nothing can be settled any more."""
    settled: dict[str, bool] = field(factory=dict[str, bool])
    """The refs that were settled, and whether the panel had canceled the order by then."""
    _agenda: list[tuple[float, int, Callable[[], Any]]] = field(factory=list)
    _numbers: "itertools.count[int]" = field(factory=itertools.count)

    # --- time ------------------------------------------------------------------------------------

    def at(self, when_s: float, what: Callable[[], Any]) -> None:
        heapq.heappush(self._agenda, (max(when_s, self.now_s), next(self._numbers), what))

    @property
    def time(self) -> datetime:
        return START + timedelta(seconds=self.now_s)

    async def run(self) -> None:
        self._draw()
        while self._agenda:
            self.now_s, _, what = heapq.heappop(self._agenda)
            if self.now_s > LIFE_S or self.is_over:
                return
            result = what()
            if result is not None:
                await result

    def wrong(self) -> list[str]:
        """Return the refs that were settled although the panel has an order, or gets one.

        An order that the panel had canceled by then, and paid back, is none: nothing was spent, and
        nothing is delivered. Its charge and its refund can fall between the same two readings.
        """
        return [
            ref
            for ref, was_canceled in self.settled.items()
            if self.stored[ref].is_placed and not was_canceled
        ]

    # --- what is drawn ---------------------------------------------------------------------------

    def _draw(self) -> None:
        rng = self.rng
        if rng.random() < 0.3:
            self.step = CENT
        self.rounding = rng.choice([ROUND_HALF_EVEN, ROUND_DOWN])
        # Few prices, so that orders and refunds of the same amount are common.
        prices = [Decimal(rng.randint(50, 40_000)) * EXACT_STEP for _ in range(rng.randint(1, 2))]
        if self.step == CENT and rng.random() < 0.7:
            prices = [each.quantize(CENT) or CENT for each in prices]
        for number in range(rng.randint(0, 3)):
            self._old_order(f"old{number}", rng.choice(prices))
        start_s = 0.0
        self.attempts_left = rng.randint(1, 5)
        for number in range(self.attempts_left):
            took_s = rng.uniform(0.2, 5) if rng.random() < 0.9 else rng.uniform(5, 140)
            ref, price = f"r{number}", rng.choice(prices)
            self.at(start_s, lambda r=ref, p=price, t=took_s: self._attempt(r, p, t))
            # Mostly one at a time; a few accounts allow two.
            start_s += took_s + 0.1 if rng.random() < 0.95 else 0.1
            start_s += rng.choice([0.0, rng.uniform(0, 60), rng.uniform(0, 2000)])
        self._draw_elsewhere()
        checks_s = rng.choice([30.0, 120.0, 600.0, 3000.0])
        self.at(rng.uniform(0, checks_s), lambda: self._check_all(checks_s))
        for _ in range(1 if rng.random() < 0.7 else 2):
            self._desk(rng.uniform(0, READ_EVERY_S))
        if rng.random() < 0.2:
            self.at(rng.uniform(0, LIFE_S), self._resolve_one)

    def _draw_elsewhere(self) -> None:
        """Draw spending, refunds and deposits that the journal does not know."""
        rng = self.rng
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            amount, when_s = Decimal(rng.randint(1, 40_000)) * EXACT_STEP, rng.uniform(0, LIFE_S)
            self.at(when_s, lambda a=amount: self._pay(a))
            if rng.random() < 0.3:
                self.at(when_s + rng.uniform(0, 3000), lambda a=amount: self._pay(-a))
        for _ in range(rng.choice([0, 0, 0, 1])):
            amount = Decimal(rng.randint(1, 400_000)) * EXACT_STEP
            self.at(rng.uniform(0, LIFE_S), lambda a=amount: self._pay(-a))

    def _pay(self, amount: Decimal) -> None:
        self.balance -= amount

    def shown_balance(self) -> Decimal:
        return self.balance.quantize(self.step, rounding=self.rounding)

    # --- orders at the panel ---------------------------------------------------------------------

    def _old_order(self, ref: str, price: Decimal) -> None:
        """Create an order that was accepted and charged before the life began."""
        entry = Entry(
            ref=ref, state=S.ACCEPTED, attempt=1, price=price, order=ref, created_at=self.time,
            sent_at=self.time - timedelta(hours=2), settled_at=self.time - timedelta(hours=2),
        )  # fmt: skip
        self.stored[ref] = Stored(entry, is_placed=True, charge=price)
        self._draw_end(ref)

    def _attempt(self, ref: str, price: Decimal, took_s: float) -> None:
        entry = Entry(
            ref=ref, state=S.SENDING, attempt=1, price=price, created_at=self.time,
            panel=DEFAULT_PANEL, sent_at=self.time, balance_before=self.shown_balance(),
        )  # fmt: skip
        stored = self.stored[ref] = Stored(entry)
        self.in_flight += 1
        rng = self.rng
        outcome = rng.choices(
            ["accepted", "error", "silence", "refused"], [0.45, 0.45, 0.04, 0.06]
        )[0]
        if outcome == "accepted" or (outcome != "refused" and rng.random() < 0.4):
            inserted_s = 0.0
            if outcome != "accepted":
                inserted_s = rng.choice([0.0, 100.0, rng.uniform(0, LATEST_S)])
            latest_s = rng.choice([inserted_s, inserted_s, rng.uniform(inserted_s, LATEST_S)])
            stored.is_placed = True
            stored.charge = price
            self.at(self.now_s + latest_s, lambda: self._pay(price))
            self._draw_end(ref, after_s=latest_s)
            if outcome != "accepted" and rng.random() < 0.3:
                self._hide(self.now_s + latest_s)
        self.at(self.now_s + took_s, lambda: self._answer(ref, outcome))

    def _hide(self, charged_s: float) -> None:
        """Let the panel cancel an older order at about the time of a charge, as in an incident."""
        older = [ref for ref, each in self.stored.items() if each.entry.state is S.ACCEPTED]
        if older:
            ref = self.rng.choice(older)
            self.at(charged_s + self.rng.uniform(-50, 50), lambda: self._end(ref, "Canceled"))

    def _draw_end(self, ref: str, *, after_s: float = 0.0) -> None:
        """Let the panel complete an order, or cancel it and give its money back."""
        end_s = self.now_s + after_s + self.rng.uniform(1, LIFE_S)
        end = self.rng.choice(["Completed", "Completed", "Canceled"])
        self.at(end_s, lambda: self._end(ref, end))

    def _end(self, ref: str, status: str) -> None:
        stored = self.stored[ref]
        if stored.status != "In progress":
            return
        stored.status = status
        if status == "Canceled":
            self._pay(-stored.charge)
            stored.charge = Decimal(0)

    # --- the journal -----------------------------------------------------------------------------

    def _record(self, ref: str, kind: EventKind, **changes: Any) -> None:
        stored = self.stored[ref]
        stored.entry = entry = attrs.evolve(stored.entry, **changes)
        self.log.append(JournalEvent(
            position=len(self.log) + 1, at=self.time, ref=ref, kind=kind, attempt=entry.attempt,
            order=entry.order, raw_status=entry.raw_status, charge=entry.charge,
        ))  # fmt: skip

    def _answer(self, ref: str, outcome: str) -> None:
        self.in_flight -= 1
        self.attempts_left -= 1
        if outcome == "accepted":
            self._record(ref, EventKind.ACCEPTED, state=S.ACCEPTED, order=ref, settled_at=self.time)
        elif outcome == "refused":
            self._record(ref, EventKind.REFUSED, state=S.REFUSED, settled_at=self.time)
        else:
            self._record(
                ref, EventKind.UNKNOWN, state=S.UNKNOWN, settled_at=self.time,
                balance_after=self.shown_balance(), is_error_answer=outcome == "error",
                reason="error",
            )  # fmt: skip

    def _check_all(self, every_s: float) -> None:
        """Check all accepted orders, as a desk that follows does."""
        for ref, stored in self.stored.items():
            entry = stored.entry
            if entry.state is not S.ACCEPTED:
                continue
            stored.checked_s = self.now_s
            if (entry.raw_status, entry.charge) == (stored.status, stored.charge):
                continue
            is_final = stored.status != "In progress"
            self._record(
                ref, EventKind.FINISHED if is_final else EventKind.CHANGED,
                state=S.FINISHED if is_final else S.ACCEPTED, raw_status=stored.status,
                charge=stored.charge, changed_at=self.time,
            )  # fmt: skip
        self.at(self.now_s + every_s, lambda: self._check_all(every_s))

    def _resolve_one(self) -> None:
        """Let a person find out what happened to the oldest unknown order, if the panel has it."""
        for ref, stored in self.stored.items():
            if stored.entry.state is S.UNKNOWN:
                if stored.is_placed:
                    self._record(ref, EventKind.ACCEPTED, state=S.ACCEPTED, order=ref)
                else:
                    self._record(ref, EventKind.WITHDRAWN, state=S.WITHDRAWN)
                return

    def _unknown(self) -> tuple[Entry, ...]:
        return tuple(each.entry for each in self.stored.values() if each.entry.state is S.UNKNOWN)

    async def activity(self, limit: int) -> Activity:
        return Activity(
            at=self.time, in_flight=self.in_flight, unknown=self._unknown()[:limit],
            position=len(self.log),
        )  # fmt: skip

    async def has_unchecked(self, since: datetime) -> bool:
        return any(
            each.entry.state is S.ACCEPTED and START + timedelta(seconds=each.checked_s) < since
            for each in self.stored.values()
        )

    async def events(self, after: int, limit: int) -> list[JournalEvent]:
        return self.log[after : after + limit]

    async def find(self, ref: str) -> Entry | None:
        return self.stored[ref].entry

    async def stop_settling(self, ref: str, attempt: int) -> None:
        assert attempt == 1
        self.stored[ref].entry = attrs.evolve(self.stored[ref].entry, is_error_answer=False)

    async def settle(self, settlements: Sequence[Settlement]) -> list[Entry]:
        for each in settlements:
            entry = self.stored[each.ref].entry
            if entry.state is not S.UNKNOWN or not entry.is_error_answer:
                return []
        for each in settlements:
            self._record(
                each.ref, EventKind.REFUSED, state=S.REFUSED, was_unknown=True,
                is_error_answer=False, reason=each.reason,
            )  # fmt: skip
            self.settled[each.ref] = self.stored[each.ref].status == "Canceled"
        return [self.stored[each.ref].entry for each in settlements]

    # --- the desk --------------------------------------------------------------------------------

    async def balance_call(self) -> Balance:
        if self.rng.random() < 0.03:
            raise NotSentError("no connection", action="balance")
        return Balance(balance=self.shown_balance(), currency="USD")

    def _desk(self, start_s: float) -> None:
        """Start a desk that settles, and start it anew now and then."""
        panel: Any = _Panel(self)
        journal: Any = self
        settler = Settler(
            client=panel, journal=journal, rate_limit=AccountRateLimit(journal, None),
            on_events=lambda: None, timing=Timing(), clock=Clock(now_s=lambda: self.now_s),
        )  # fmt: skip
        end_s = self.rng.uniform(0, LIFE_S) if self.rng.random() < 0.2 else LIFE_S

        async def step() -> None:
            with suppress(PanelError):
                await settler.step()
            candidates = any(each.is_error_answer for each in self._unknown())
            self.is_over = not candidates and self.attempts_left == 0
            if self.now_s > end_s:
                self._desk(self.now_s + self.rng.uniform(0, 600))
            else:
                self.at(self.now_s + READ_EVERY_S, step)

        self.at(start_s, step)


@define
class _Panel:
    """What a settler needs of a client."""

    life: Life

    def with_options(self, **_: Any) -> "_Panel":
        return self

    async def balance(self) -> Balance:
        return await self.life.balance_call()
