"""The pace of a desk: what it takes per minute, and that nothing uses it up in vain."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from yarl import URL

from smmfanfast_async._clock import elapsed_s
from smmfanfast_async._engine.limiter import Clock
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.desk.rate_limit import AccountRateLimit
from smmfanfast_async.errors import JournalError, NotSentError, ServerError
from smmfanfast_async.journal import CallReservation
from smmfanfast_async.journal.sql import SQLJournal

from .world import S, World, eventually, in_state, order, timed_desk

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
START = datetime(2026, 1, 1, tzinfo=UTC)
DEAD_PORT = URL("http://127.0.0.1:1/api/v1")


class SkippingClock:
    """A clock for a desk and its journal that only sleeping moves, by exactly that long."""

    def __init__(self) -> None:
        self.slept_s = 0.0
        self._start_s = elapsed_s()
        self.clock = Clock(now_s=lambda: self._start_s + self.slept_s, sleep=self._sleep)

    async def _sleep(self, wait_s: float) -> None:
        self.slept_s += wait_s
        await asyncio.sleep(0)

    def __call__(self) -> datetime:
        return START + timedelta(seconds=self.slept_s)


async def paced_desk(
    world: World, clock: SkippingClock, client: Any = None, **options: Any
) -> OrderDesk:
    journal = SQLJournal(world.url, clock=clock)
    return await world.desk(client, journal, desk_class=timed_desk(clock.clock), **options)


# --- orders a minute -----------------------------------------------------------------------------


@pytest.mark.parametrize(("calls_per_minute", "record_balance", "orders_a_minute"), [
    (60, True, 30),
    (60, False, 60),
    (12, True, 6),
    (12, False, 12),
    # The balance would have to wait for more than 5 s, and is not read while orders queue.
    (10, True, 10),
    (10, False, 10),
])  # fmt: skip
@pytest.mark.asyncio
async def test_orders_a_minute_with_and_without_the_balance(
    world: World, calls_per_minute: int, orders_a_minute: int, *, record_balance: bool
) -> None:
    clock, added_at_s = SkippingClock(), list[float]()

    def note(form: Mapping[str, str]) -> None:
        if form["action"] == "add":
            added_at_s.append(clock.slept_s)

    desk = await paced_desk(
        world, clock, calls_per_minute=calls_per_minute, record_balance=record_balance
    )
    world.panel.on_request = note
    for number in range(orders_a_minute + 2):
        await desk.place(order(number), ref=f"r{number}")

    # The first order waits for nothing, so the minute begins after it.
    minute = [each for each in added_at_s if 0 < each - added_at_s[0] <= 60]
    assert len(minute) == orders_a_minute
    reads = len(world.panel.calls("balance"))
    assert reads == {(True, True): len(added_at_s), (True, False): 1}.get(
        (record_balance, calls_per_minute >= 12), 0
    )


# --- attempts that do not reach the panel --------------------------------------------------------


@BOTH
@pytest.mark.asyncio
async def test_orders_to_a_dead_port_do_not_wait_for_each_other(world: World) -> None:
    clock = SkippingClock()
    client = await world.client()
    await client.services()  # so that prices are known
    client._runner.transport.url = DEAD_PORT
    desk = await paced_desk(world, clock, client, calls_per_minute=6, circuit=None)
    for number in range(5):
        entry = await desk.place(order(number), ref=f"r{number}")
        assert (entry.state, entry.attempt) == (S.PREPARED, 1)

    assert clock.slept_s == 0
    other = await paced_desk(world, clock, calls_per_minute=6, record_balance=False)
    assert (await other.place(order("b"), ref="b")).state is S.ACCEPTED
    assert clock.slept_s == 0


@pytest.mark.asyncio
async def test_attempt_that_may_not_start_gives_its_turn_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, start, refusals = SkippingClock(), SQLJournal.start_attempt, 3

    async def refuse(self: SQLJournal, *args: Any, **options: Any) -> Any:
        nonlocal refusals
        refusals -= 1
        return await start(self, *args, **options) if refusals < 0 else None

    monkeypatch.setattr(SQLJournal, "start_attempt", refuse)
    desk = await paced_desk(world, clock, calls_per_minute=1, record_balance=False)
    entry = await desk.place(order(), ref="a")

    assert entry.state is S.ACCEPTED
    assert clock.slept_s < 1, "polls for a slot, no minute"


@pytest.mark.asyncio
async def test_failing_checks_of_a_dead_panel_give_their_turns_back(world: World) -> None:
    returned: list[CallReservation] = []

    class Recorded(SQLJournal):
        async def cancel_call(self, reservation: CallReservation) -> None:
            returned.append(reservation)
            await super().cancel_call(reservation)

    client = await world.client()
    client._runner.rng = lambda: 0.0  # retries at once
    desk = await world.desk(
        client, Recorded(world.url), calls_per_minute=60_000, record_balance=False
    )
    await desk.place(order(), ref="a")
    world.panel.finish_all()
    url, client._runner.transport.url = client._runner.transport.url, DEAD_PORT
    async with world.following(desk):
        await eventually(lambda: len(returned) > 2)
        client._runner.transport.url = url
        await in_state(desk, "a", S.FINISHED)


@pytest.mark.asyncio
async def test_every_failing_check_has_a_turn_of_its_own(world: World) -> None:
    reserved = 0

    class Counting(SQLJournal):
        async def reserve_call(self, interval: timedelta, **_: object) -> CallReservation:
            nonlocal reserved
            reserved += 1
            return await super().reserve_call(interval)

    client = await world.client()
    client._runner.rng = lambda: 0.0  # retries at once
    desk = await world.desk(
        client, Counting(world.url), calls_per_minute=60_000, record_balance=False
    )
    await desk.place(order(), ref="a")
    world.panel.finish_all()
    for _ in range(4):
        world.panel.answer_next("status", "down", http_status=502)
    async with world.following(desk):
        await in_state(desk, "a", S.FINISHED)

    assert reserved == 1 + len(world.panel.calls("status")) == 1 + 5


# --- one turn ------------------------------------------------------------------------------------


class FakeJournal:
    """Reserves calls a given wait away, and records which are cancelled."""

    def __init__(self, wait_s: float, error: Exception | None = None) -> None:
        self.wait = timedelta(seconds=wait_s)
        self.error = error
        self.cancelled: list[CallReservation] = []

    async def reserve_call(self, interval: timedelta, **_: object) -> CallReservation:
        call_at = START + self.wait
        return CallReservation(wait=self.wait, call_at=call_at, next_call_at=call_at + interval)

    async def cancel_call(self, reservation: CallReservation) -> None:
        self.cancelled.append(reservation)
        if self.error is not None:
            raise self.error


def rate_limit(journal: Any, sleep: Any = asyncio.sleep) -> AccountRateLimit:
    return AccountRateLimit(journal, 60, Clock(sleep=sleep))


@pytest.mark.asyncio
async def test_turn_that_is_too_far_away_reserves_nothing() -> None:
    journal = FakeJournal(30.0)
    async with rate_limit(journal).turn(5.0) as turn:
        assert turn.wait_s == 30

    assert len(journal.cancelled) == 1


@pytest.mark.asyncio
async def test_cancelled_wait_gives_its_turn_back() -> None:
    async def cancel(_: float) -> None:
        raise asyncio.CancelledError

    journal = FakeJournal(3.0)
    with pytest.raises(asyncio.CancelledError):
        await rate_limit(journal, cancel).wait()

    assert len(journal.cancelled) == 1


@pytest.mark.parametrize(
    ("error", "returned"), [(NotSentError("refused"), 1), (ServerError("down"), 0), (KeyError(), 0)]
)
@pytest.mark.asyncio
async def test_only_a_call_that_was_not_sent_gives_its_turn_back(
    error: Exception, returned: int
) -> None:
    journal = FakeJournal(0.0)
    with pytest.raises(type(error)):
        async with rate_limit(journal).turn():
            raise error

    assert len(journal.cancelled) == returned


@pytest.mark.parametrize("error", [JournalError("is restarting"), TimeoutError()])
@pytest.mark.asyncio
async def test_turn_is_lost_if_the_journal_is_unavailable(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "smmfanfast_async")
    journal = FakeJournal(30.0, error)
    turn = await rate_limit(journal).wait(5.0)

    assert turn.wait_s == 30
    assert "could not be given back" in caplog.text


@pytest.mark.asyncio
async def test_without_a_rate_nothing_is_reserved_or_given_back() -> None:
    limit = AccountRateLimit(FakeJournal(30.0), None)  # type: ignore[arg-type]
    turn = await limit.wait()
    await limit.give_back(turn)

    assert turn.wait_s == 0
