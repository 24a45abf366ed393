"""Random lives of orders at a panel that repeats equal ones, on a clock of their own, without I/O.

A life is drawn from a seed: desks that crash between any two steps or close, orders that are equal
or not, and a panel that creates an order before its answer, after it, late or not at all, answers
with an id, an error, a refusal or nothing, and keeps requests waiting. The real `Sender` and
`Replayer` run in it. Whether they were wrong is decided by what the panel has.
"""

import asyncio
import itertools
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import attrs
from attrs import define, field
from support.journals import START

from smmfanfast_async import RetryPolicy
from smmfanfast_async._engine.limiter import Clock
from smmfanfast_async.desk.circuit_breaker import CircuitBreaker
from smmfanfast_async.desk.rate_limit import AccountRateLimit
from smmfanfast_async.desk.replaying import Replayer
from smmfanfast_async.desk.sending import Sender
from smmfanfast_async.desk.timing import Timing
from smmfanfast_async.errors import (
    ClosedError,
    ErrorKind,
    JournalError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    RateLimitError,
    RefusedError,
)
from smmfanfast_async.journal import DEFAULT_PANEL, Entry, EntryState, Outcome
from smmfanfast_async.results import AddedOrder

__all__ = ["SETTLED", "Life"]

S = EntryState
SETTLED = "settled by the panel's repeated answer"
"""How the reason of an order begins that a second call has settled."""

LATE_AFTER_ERROR_S = 15.0
"""Seconds after a complete error within which the panel creates the order: what `REPLAY_AFTER_S`
assumes."""

LONGEST_HOLD_S = 25.0
"""Seconds for which a request waits before it is handled: what `REPLAY_MARGIN_S` assumes."""

LATE_AFTER_SILENCE_S = 880.0
"""Seconds after which the panel may still create an order that it did not answer."""

LIFE_S = 700.0

KINDS = ("id", "error", "silence", "refused", "page")
"""How the panel answers: a page is that of a gateway, or an error that is not complete."""

FIRST_WEIGHTS = (0.2, 0.5, 0.08, 0.04, 0.18)
LATER_WEIGHTS = (0.6, 0.15, 0.15, 0.05, 0.05)

OUTSIDE = "outside"
Key = tuple[tuple[str, str], ...]


@define
class Placed:
    """An order that the panel has, or is going to create."""

    order: str
    ref: str
    """Whose call created it."""
    key: Key
    created_s: float


@define
class Life:
    """One account at one panel, on the virtual clock of the running loop."""

    rng: Random
    window_s: float = 60.0
    has_equal_outside: bool = False
    """Whether equal orders come from outside of the journal: the limit of the rules."""
    entries: dict[str, Entry] = field(factory=dict[str, Entry])
    leases: dict[str, float] = field(factory=dict[str, float])
    placed: list[Placed] = field(factory=list[Placed])
    called: set[str] = field(factory=set[str])
    """The refs that have reached the panel."""
    slots: int = 1
    is_over: bool = False
    _tasks: "list[asyncio.Task[Any]]" = field(factory=list)
    _numbers: "itertools.count[int]" = field(factory=lambda: itertools.count(1))

    @property
    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def time(self) -> datetime:
        return START + timedelta(seconds=self.now_s)

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work)
        self._tasks.append(task)
        return task

    async def run(self) -> None:
        self._draw()
        await asyncio.sleep(LIFE_S)
        self.is_over = True
        for task in self._tasks:
            task.cancel()
        results = await asyncio.gather(*self._tasks, return_exceptions=True)
        bugs = [each for each in results if isinstance(each, Exception)]
        assert not [each for each in bugs if not isinstance(each, PanelError)], bugs

    # --- the verdict -----------------------------------------------------------------------------

    def wrong(self) -> list[str]:
        """Return what must not happen: two orders of a ref, a wrong id, an order that is lost."""
        found: list[str] = []
        owners = {each.order: each.ref for each in self.placed}
        for ref, entry in self.entries.items():
            count = sum(each.ref == ref for each in self.placed)
            if count > 1:
                found.append(f"{ref} has {count} orders")
            if self.is_settled(entry) and owners[entry.order or ""] != ref:
                found.append(f"{ref} has the order of {owners[entry.order or '']}")
            if count and entry.state in (S.PREPARED, S.REFUSED, S.WITHDRAWN, S.HELD):
                found.append(f"{ref} is {entry.state}, and has an order")
        return found

    def settled(self) -> int:
        return sum(map(self.is_settled, self.entries.values()))

    @staticmethod
    def is_settled(entry: Entry) -> bool:
        return entry.state is S.ACCEPTED and (entry.reason or "").startswith(SETTLED)

    # --- what is drawn ---------------------------------------------------------------------------

    def _draw(self) -> None:
        rng = self.rng
        self.window_s = rng.choice([60.0, 60.0, 120.0, 45.0, 600.0])
        self.slots = rng.choice([1, 1, 2, 3])
        desks = [Desk(self) for _ in range(rng.choice([1, 2]))]
        links = [f"l{n}" for n in range(rng.choice([1, 3, 9]))]
        start_s = 0.0
        for number in range(rng.randint(1, 4)):
            ref, link = f"r{number}", rng.choice(links)
            form = {"service": rng.choice("55556"), "link": link}
            users = rng.sample(desks, rng.randint(1, len(desks)))
            self.start(self._order(ref, form, start_s, users))
            start_s += rng.choice([0.0, rng.uniform(0, 60), rng.uniform(0, 150)])
            self._draw_outside(form, start_s)
        if rng.random() < 0.3:
            self.start(rng.choice(desks).end(rng.uniform(0, 200), is_crash=rng.random() < 0.7))
        self.start(self._watch())
        if rng.random() < 0.3:
            self.start(self._resolve(rng.uniform(0, LIFE_S), rng.choice(desks)))

    async def _order(
        self, ref: str, form: Mapping[str, str], after_s: float, desks: Sequence["Desk"]
    ) -> None:
        """Place an order by one desk, or by several at once."""
        await asyncio.sleep(after_s)
        self.entries[ref] = Entry(
            ref=ref, state=S.PREPARED, form=form, link=form["link"], created_at=self.time
        )
        for desk in desks:
            self.start(desk.place(ref))

    def _draw_outside(self, form: Mapping[str, str], start_s: float) -> None:
        """Draw orders that the journal does not know."""
        rng = self.rng
        if rng.random() < 0.3:
            before_s = -self.window_s - rng.uniform(0, 60)
            self.create(OUTSIDE, _key(form), before_s)
        if rng.random() < 0.3:
            self.start(self._create_later(OUTSIDE, _key({**form, "service": "9"}), start_s))
        if self.has_equal_outside:
            self.start(self._create_later(OUTSIDE, _key(form), start_s + rng.uniform(0, 30)))

    async def _watch(self) -> None:
        """End leases that are over, as every desk does."""
        while True:
            await asyncio.sleep(5)
            self.end_leases()

    def end_leases(self) -> None:
        for ref, entry in self.entries.items():
            if entry.state is S.SENDING and self.now_s > self.leases[ref]:
                self.entries[ref] = attrs.evolve(entry, state=S.UNKNOWN, reason="given up")

    async def _resolve(self, at_s: float, desk: "Desk") -> None:
        """Resolve an unknown order as a person does, who looks at the panel, and send it again."""
        await asyncio.sleep(at_s)
        for ref, entry in self.entries.items():
            if entry.state is not S.UNKNOWN:
                continue
            mine = [each for each in self.placed if each.ref == ref]
            taken = {each.order for each in self.entries.values()}
            if mine and mine[0].order not in taken:
                changes: dict[str, Any] = {"state": S.ACCEPTED, "order": mine[0].order}
            elif mine:
                return  # another ref has its id
            else:
                changes = {"state": S.PREPARED, "was_unknown": True}
            self.entries[ref] = attrs.evolve(entry, reason=None, **changes)
            self.start(desk.place(ref))
            return

    # --- the panel -------------------------------------------------------------------------------

    def create(self, ref: str, key: Key, created_s: float) -> str:
        """Create an order, perhaps in the future: a person who asks is told of that too."""
        placed = Placed(str(next(self._numbers)), ref, key, created_s)
        self.placed.append(placed)
        return placed.order

    async def _create_later(self, ref: str, key: Key, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self.create(ref, key, self.now_s)

    def find_equal(self, key: Key) -> str | None:
        """Return the last equal order within the window."""
        now_s = self.now_s
        return next(
            (
                each.order
                for each in sorted(self.placed, key=lambda each: -each.created_s)
                if each.key == key and each.created_s <= now_s < each.created_s + self.window_s
            ),
            None,
        )

    async def answer(self, form: Mapping[str, str]) -> AddedOrder:
        """Handle a request that has left: it returns an order, raises an error, or never ends."""
        rng, ref = self.rng, form["ref"]
        key = _key({name: value for name, value in form.items() if name != "ref"})
        is_second = ref in self.called
        self.called.add(ref)
        await asyncio.sleep(rng.choice([0.05, rng.uniform(0, 2), rng.uniform(0, LONGEST_HOLD_S)]))
        order = self.find_equal(key)
        kind = rng.choices(KINDS, LATER_WEIGHTS if is_second else FIRST_WEIGHTS)[0]
        late_s = 0.0
        if order is None and kind != "refused" and (kind == "id" or rng.random() < 0.5):
            if kind == "id" or rng.random() < 0.5:
                order = self.create(ref, key, self.now_s)
            else:
                is_error = kind == "error"
                late_s = rng.uniform(0, LATE_AFTER_ERROR_S if is_error else LATE_AFTER_SILENCE_S)
        await asyncio.sleep(rng.choice([0.1, 0.1, rng.uniform(0, 5), rng.uniform(0, 60)]))
        if late_s:
            self.create(ref, key, self.now_s + late_s)
        if kind == "id" and order is not None:
            return AddedOrder(order=order)
        if kind == "refused":
            duplicate = ErrorKind.DUPLICATE if rng.random() < 0.5 else ErrorKind.FUNDS
            raise RefusedError("no", kind=duplicate, action="add")
        if kind == "silence":
            await asyncio.Event().wait()
        if rng.random() < 0.03 and order is None and not late_s:
            raise RateLimitError("slow down", retry_after_s=3.0, action="add")
        raise OutcomeUnknownError("odd", is_error_answer=kind == "error")


def _key(form: Mapping[str, str]) -> Key:
    return tuple(sorted(form.items()))


@define
class Desk:
    """A process: it makes steps until it crashes or the life is over."""

    life: Life
    is_open: bool = True
    is_dead: bool = False
    _tasks: "list[asyncio.Task[Any]]" = field(factory=list)

    async def step(self) -> None:
        """Pass a moment in which the process may crash: then it never continues."""
        if self.life.is_over:
            raise asyncio.CancelledError
        if self.life.rng.random() < 0.003:
            self.is_dead = True
        if self.is_dead:
            await asyncio.Event().wait()
        await asyncio.sleep(self.life.rng.choice([0.0, 0.001, 0.05]))

    def check_open(self) -> None:
        if not self.is_open:
            raise ClosedError("the desk is not open")

    async def end(self, after_s: float, *, is_crash: bool) -> None:
        await asyncio.sleep(after_s)
        self.is_open = False
        await asyncio.sleep(0 if is_crash else 15)
        self.is_dead = True

    async def place(self, ref: str) -> Entry:
        sender = self._sender()
        while True:
            await self.step()
            self.check_open()
            entry = await sender.send(await sender.reload(ref), is_awaited=True)
            if entry.state is not S.PREPARED:
                return entry
            await asyncio.sleep(30)

    def _sender(self) -> Sender:
        client: Any = FakeClient(self)
        journal: Any = FakeJournal(self)
        pricing: Any = FakePricing()
        timing, clock = Timing(slot_wait_s=5000), Clock(now_s=lambda: self.life.now_s)
        shared: dict[str, Any] = {
            "client": client, "journal": journal, "rate_limit": AccountRateLimit(journal, None),
            "breaker": CircuitBreaker(
                policy=None, client=client, journal=journal, balance_timeout_s=5,
                rate_limit=AccountRateLimit(journal, None),
            ),
            "panel": DEFAULT_PANEL, "timing": timing, "clock": clock,
        }  # fmt: skip
        replayer = Replayer(window_s=self.life.window_s, check_open=self.check_open, **shared)
        return Sender(
            pricing=pricing, retry=RetryPolicy(max_attempts=1), queue_active_links=False,
            record_balance=False, first_check_s=5.0, rng=self.life.rng.random,
            slots=self.life.slots, local_slots=asyncio.Semaphore(self.life.slots),
            replayer=replayer, **shared,
        )  # fmt: skip


class FakePricing:
    """Prices nothing; the form also says which order it is, for the verdict."""

    budget = None
    exchange_rate = 1

    async def price_entry(self, *_: object) -> None:
        return None

    def form_for(self, entry: Entry) -> dict[str, str]:
        return {**entry.form, "ref": entry.ref}


@define
class FakeClient:
    """Sends orders as a client does, over a network that may take long."""

    desk: Desk

    def with_options(self, **_: Any) -> "FakeClient":
        return self

    async def send_form(
        self, form: Any, *, before: Any, wait_s: float | None = None, timeout_s: float = 140.0
    ) -> AddedOrder:
        life = self.desk.life
        await asyncio.sleep(life.rng.choice([0.0] * 9 + [20.0]))  # for a slot
        await self.desk.step()
        write_by_s = await before()
        await self.desk.step()
        await asyncio.sleep(life.rng.choice([0.0, 0.1, 0.2, 10.0]))  # to connect
        await self.desk.step()
        if life.now_s > write_by_s or life.rng.random() < 0.02:
            raise NotSentError("too late, or no connection", action="add")
        call = life.start(life.answer(form))
        await asyncio.wait({call}, timeout=timeout_s)
        await self.desk.step()
        if not call.done():
            raise OutcomeUnknownError("no answer")
        return call.result()


@define
class FakeJournal:
    """The journal of a life, as one desk uses it."""

    desk: Desk

    @property
    def _entries(self) -> dict[str, Entry]:
        return self.desk.life.entries

    async def now(self) -> datetime:
        return self.desk.life.time

    async def find(self, ref: str) -> Entry:
        await self._may_fail()
        return self._entries[ref]

    async def _may_fail(self) -> None:
        await self.desk.step()
        if self.desk.life.rng.random() < 0.005:
            raise JournalError("is not available")

    async def start_attempt(
        self, ref: str, attempt: int, *, lease: timedelta, max_in_flight: int, **_: Any
    ) -> Entry | None:
        await self.desk.step()
        life, entry = self.desk.life, self._entries[ref]
        in_flight = await self.count_in_flight()
        if entry.state is not S.PREPARED or entry.attempt != attempt or in_flight >= max_in_flight:
            return None
        life.leases[ref] = life.now_s + lease.total_seconds()
        started = self._entries[ref] = attrs.evolve(
            entry, state=S.SENDING, attempt=attempt + 1, sent_at=life.time, panel=DEFAULT_PANEL
        )
        await self.desk.step()
        return started

    async def record_outcome(
        self, ref: str, attempt: int, outcome: Outcome, _started: Entry
    ) -> Entry:
        await self.desk.step()
        entry = self._entries[ref]
        owner = next((e.ref for e in self._entries.values() if e.order == outcome.order), ref)
        state = outcome.state
        if state is S.ACCEPTED and owner != ref:
            state = S.UNKNOWN
        if attempt == entry.attempt and (
            entry.state is S.SENDING or (entry.state is S.UNKNOWN and state is S.ACCEPTED)
        ):
            is_accepted = state is S.ACCEPTED
            entry = self._entries[ref] = attrs.evolve(
                entry, state=state, order=outcome.order if is_accepted else None,
                reason=outcome.reason, settled_at=self.desk.life.time, is_pinned=True,
            )  # fmt: skip
        await self.desk.step()
        return entry

    async def same_link(self, entry: Entry, *, since: datetime, limit: int) -> Sequence[Entry]:
        await self._may_fail()
        may_be_there = (S.PREPARED, S.HELD, S.SENDING, S.UNKNOWN)
        return [
            each
            for each in self._entries.values()
            if each.link == entry.link
            and each.ref != entry.ref
            and (
                each.state in may_be_there
                or (each.settled_at is not None and each.settled_at >= since)
            )
        ][:limit]

    async def count_in_flight(self, *_: object) -> int:
        return sum(each.state is S.SENDING for each in self._entries.values())

    async def expire_leases(self) -> None:
        self.desk.life.end_leases()

    async def pause(self, *_: object, **__: object) -> None:
        await self.desk.step()

    async def postpone(self, *_: object, **__: object) -> None:
        await self.desk.step()
