"""Orders whose outcome is unknown are settled by a second call, on a panel that repeats orders."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest
from support.journals import budget_sums

from smmfanfast_async import SMMFANFAST, Client, InvalidSettingsError
from smmfanfast_async._clock import elapsed_s
from smmfanfast_async._engine.limiter import Clock
from smmfanfast_async.desk import CircuitPolicy, OrderDesk
from smmfanfast_async.desk.deadline import NO_DEADLINE
from smmfanfast_async.desk.replay_rules import MIN_WINDOW_S
from smmfanfast_async.errors import ClosedError, ErrorKind, JournalError
from smmfanfast_async.journal import DEFAULT_PANEL, Circuit, Entry, EventKind
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault

from .world import (
    S,
    ShiftedClock,
    World,
    eventually,
    hold_answers,
    in_state,
    order,
    read_events,
    timed_desk,
)

WINDOW_S = 120.0
REPEATING = attrs.evolve(SMMFANFAST, replay_window_s=WINDOW_S)
ODD = '{"error": "Something odd"}'
SETTLED = "settled by the panel's repeated answer: sent once more after 60 s"
BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
PLACED = pytest.mark.parametrize("is_placed", [True, False], ids=["created", "not created"])


@pytest.fixture
def world_options() -> dict[str, Any]:
    return {"profile": REPEATING}


class QuickClock:
    """A clock whose sleeps take no time; `during` runs once, in the first long one."""

    def __init__(self) -> None:
        self.time_s = elapsed_s()
        self.clock = Clock(now_s=lambda: self.time_s, sleep=self._sleep)
        self.during: Callable[[], Awaitable[object]] | None = None

    async def _sleep(self, wait_s: float) -> None:
        self.time_s += max(wait_s, 0.0)
        during = self.during
        if wait_s >= 1 and during is not None:
            self.during = None
            await during()
        await asyncio.sleep(0)


class Shop:
    """A desk that settles by replay, and what happens to its orders."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.quick = QuickClock()

    async def open(
        self, client: Client | Mapping[str, Client] | None = None, **options: Any
    ) -> OrderDesk:
        options = {"account": "shop", "settle_by_replay": True, "circuit": None} | options
        return await self.world.desk(
            client or await self.world.client(profile=REPEATING),
            desk_class=timed_desk(self.quick.clock), **options,
        )  # fmt: skip

    def fail_next(self, *, is_placed: bool = False, body: str = ODD) -> None:
        self.world.panel.answer_next("add", body, is_applied=is_placed)

    @property
    def adds(self) -> int:
        return len(self.world.panel.calls("add"))

    @property
    def created(self) -> int:
        return len(self.world.panel.orders)


@pytest.fixture
def shop(world: World) -> Shop:
    return Shop(world)


def answers(entry: Entry) -> tuple[S, bool, str | None]:
    return entry.state, entry.is_error_answer, entry.order


# --- settled -------------------------------------------------------------------------------------


@BOTH
@PLACED
@pytest.mark.asyncio
async def test_second_call_settles_the_order_with_its_evidence(shop: Shop, is_placed: bool) -> None:  # noqa: FBT001
    desk = await shop.open(budget_per_day=Decimal(5))
    shop.fail_next(is_placed=is_placed)

    entry = await desk.place(order(), ref="a")

    assert (shop.adds, shop.created) == (2, 1)
    assert [*shop.world.panel.orders] == [entry.order_id()]
    assert (entry.state, entry.attempt, entry.was_unknown) == (S.ACCEPTED, 1, False)
    assert entry.reason is not None
    assert entry.reason.startswith(SETTLED)
    assert f"answered with order {entry.order}" in entry.reason
    assert "Something odd" in entry.reason
    [event] = await read_events(desk)
    assert (event.kind, event.order, event.text) == (
        EventKind.ACCEPTED, entry.order, entry.reason,
    )  # fmt: skip
    running, counted = await budget_sums(desk._journal)
    assert [*running.values()] == [*counted.values()] == [Decimal(1)]


@pytest.mark.asyncio
async def test_settled_order_is_followed_and_logged(
    shop: Shop, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    shifted = ShiftedClock()
    desk = await shop.open(journal=SQLJournal(world.url, clock=shifted))
    shop.fail_next(is_placed=True)
    with caplog.at_level(logging.INFO, logger="smmfanfast_async"):
        entry = await desk.place(order(), ref="a", wait_s=60)
    assert any(each.message.startswith("'a' is accepted: settled") for each in caplog.records)

    world.panel.finish_all()
    shifted.advance(WINDOW_S)  # the desk's clock is ahead by the time for which it waited
    async with world.following(desk):
        await in_state(desk, "a", S.FINISHED)

    assert entry.state is S.ACCEPTED


@pytest.mark.asyncio
async def test_order_that_nobody_waits_for_is_settled(shop: Shop) -> None:
    """As a desk that follows sends it."""
    desk = await shop.open()
    entry = await desk._admission.create_entry(order(), "a", None, deadline=NO_DEADLINE)
    shop.fail_next()

    settled = await desk._sends.start(entry)

    assert (settled.state, shop.adds, shop.created) == (S.ACCEPTED, 2, 1)


@pytest.mark.asyncio
async def test_order_of_a_product_is_settled_at_its_panel(shop: Shop, world: World) -> None:
    desk = await shop.open(
        {"alpha": await world.client(profile=REPEATING)}, products={"likes": {"alpha": 1}}
    )
    shop.fail_next(is_placed=True)

    entry = await desk.place(order(service="likes"), ref="a")

    assert (entry.state, entry.panel, shop.created) == (S.ACCEPTED, "alpha", 1)


# --- not sent once more --------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_it_is_off_by_default(shop: Shop) -> None:
    desk = await shop.open(settle_by_replay=False)
    shop.fail_next(is_placed=True)

    entry = await desk.place(order(), ref="a")

    assert (answers(entry), shop.adds) == ((S.UNKNOWN, True, None), 1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fault", "applied"),
    [
        (Fault.DROP_AFTER, None), (Fault.DROP_BEFORE, None), (Fault.HTTP_500, True),
        (Fault.HTTP_502, True), (Fault.HTTP_503, True), (Fault.HTML_PAGE, True),
        (Fault.TRUNCATED_BODY, None), (Fault.EMPTY, True), (Fault.REDIRECT, True),
    ],
)  # fmt: skip
async def test_order_without_a_complete_error_is_not_sent_again(
    shop: Shop,
    fault: Fault,
    applied: bool | None,  # noqa: FBT001
) -> None:
    desk = await shop.open()
    shop.world.panel.fail_next(fault, action="add", applied=applied, location="https://x.test/")

    entry = await desk.place(order(), ref="a")

    assert (entry.state, shop.adds) == (S.UNKNOWN, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [
        f"<b>Notice</b>: odd {ODD}", '{"error": "odd", "order": 7}', '{"error": ""}',
        '{"order": 0}', '{"error": "x", "error": "y"}', "[]",
    ],
)  # fmt: skip
async def test_order_with_another_answer_is_not_sent_again(shop: Shop, body: str) -> None:
    desk = await shop.open()
    shop.fail_next(body=body)

    entry = await desk.place(order(), ref="a")

    assert (entry.state, shop.adds) == (S.UNKNOWN, 1)


@pytest.mark.asyncio
async def test_too_little_of_the_window_is_left_after_a_slow_answer(shop: Shop) -> None:
    desk = await shop.open()
    shop.fail_next(is_placed=True)
    shop.world.panel.on_request = lambda form: _pass(shop, form, 81)

    entry = await desk.place(order(), ref="a")

    assert (answers(entry), shop.adds) == ((S.UNKNOWN, True, None), 1)


def _pass(shop: Shop, form: Any, seconds: float) -> None:
    if form["action"] == "add":
        shop.quick.time_s += seconds


@pytest.mark.asyncio
async def test_order_that_was_unknown_before_is_left_to_a_person(shop: Shop) -> None:
    desk = await shop.open(record_balance=False)
    shop.world.panel.fail_next(Fault.DROP_BEFORE, action="add")
    await desk.place(order(), ref="a")
    await desk.resolve("a", placed=False, decided_by="ann")
    shop.fail_next()

    entry = await desk.retry("a", decided_by="ann")

    assert (answers(entry), shop.adds) == ((S.UNKNOWN, True, None), 2)


async def unsettled(shop: Shop, desk: OrderDesk, *, is_error_answer: bool = True) -> Entry:
    """Place an order that the panel answers with an error, and that is not sent once more."""
    shop.fail_next(is_placed=True)
    before = shop.adds
    entry = await desk.place(order(), ref="a")
    assert (entry.state, entry.is_error_answer) == (S.UNKNOWN, is_error_answer)
    assert entry.reason is not None
    assert entry.reason.startswith("error that may have occurred")
    assert shop.adds == before + 1
    return entry


@BOTH
@pytest.mark.asyncio
async def test_equal_order_of_another_ref_prevents_it(shop: Shop) -> None:
    """Its answer was lost: the panel would return its id."""
    desk = await shop.open()
    shop.world.panel.fail_next(Fault.DROP_AFTER, action="add")
    await desk.place(order(), ref="b")

    await unsettled(shop, desk)


@BOTH
@pytest.mark.asyncio
async def test_order_of_another_service_with_its_link_does_not_prevent_it(shop: Shop) -> None:
    desk = await shop.open()
    await desk.place(order(service=3), ref="b")
    shop.world.panel.finish_all()
    shop.fail_next(is_placed=True)

    assert (await desk.place(order(), ref="a")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_rate_limit_that_leaves_no_call_in_time_prevents_it(shop: Shop) -> None:
    desk = await shop.open(calls_per_minute=1, record_balance=False)

    await unsettled(shop, desk)


@pytest.mark.asyncio
async def test_circuit_that_opened_meanwhile_prevents_it(shop: Shop) -> None:
    desk = await shop.open(circuit=CircuitPolicy())

    async def open_circuit() -> None:
        def opened(_: Circuit, now: datetime) -> Circuit:
            return Circuit(failure_count=3, open_until=now, reason=ErrorKind.NETWORK)

        await desk._journal.change_circuit(DEFAULT_PANEL, opened)

    shop.quick.during = open_circuit

    await unsettled(shop, desk)


@pytest.mark.asyncio
async def test_desk_that_closes_meanwhile_records_the_first_answer(
    shop: Shop, world: World
) -> None:
    desk = await shop.open()
    closing: list[asyncio.Task[None]] = []

    async def close() -> None:
        closing.append(asyncio.create_task(desk.aclose()))
        await asyncio.sleep(0)

    shop.quick.during = close
    shop.fail_next(is_placed=True)
    await desk.place(order(), ref="a")
    await asyncio.gather(*closing)

    entry = await (await shop.open()).find("a")
    assert entry is not None
    assert (answers(entry), shop.adds) == ((S.UNKNOWN, True, None), 1)


@pytest.mark.asyncio
async def test_client_that_closes_meanwhile_prevents_it(shop: Shop, world: World) -> None:
    client = await world.client(profile=REPEATING)
    desk = await shop.open(client)
    shop.quick.during = client.aclose

    await unsettled(shop, desk)


@BOTH
@pytest.mark.asyncio
async def test_attempt_that_was_given_up_meanwhile_is_not_sent_again(
    shop: Shop, world: World
) -> None:
    """Its lease has expired: a person may have had it sent again."""
    shifted = ShiftedClock()
    desk = await shop.open(journal=SQLJournal(world.url, clock=shifted))

    async def give_up() -> None:
        shifted.advance(241)
        await desk._journal.expire_leases()

    shop.quick.during = give_up
    shop.fail_next(is_placed=True)

    entry = await desk.place(order(), ref="a")

    assert (answers(entry), shop.adds) == ((S.UNKNOWN, False, None), 1)


@pytest.mark.asyncio
async def test_journal_that_cannot_tell_prevents_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> Any:
        raise JournalError("is gone")

    monkeypatch.setattr(SQLJournal, "same_link", broken)

    await unsettled(shop, await shop.open())


# --- sent once more, and not settled -------------------------------------------------------------


async def sent_twice(shop: Shop, *, first: str = ODD, **options: Any) -> tuple[OrderDesk, Entry]:
    """Place an order whose second call the caller has scripted; return it as UNKNOWN."""
    desk = await shop.open(**options)
    shop.world.panel.scripted.setdefault("add", []).reverse()
    shop.fail_next(is_placed=True, body=first)
    shop.world.panel.scripted["add"].reverse()
    entry = await desk.place(order(), ref="a")
    assert (entry.state, shop.adds, shop.created) == (S.UNKNOWN, 2, 1)
    return desk, entry


@pytest.mark.asyncio
async def test_second_error_leaves_it_to_the_balance_or_a_person(shop: Shop) -> None:
    shop.fail_next(body='{"error": "Odd again"}')

    _, entry = await sent_twice(shop)

    assert answers(entry) == (S.UNKNOWN, True, None)
    assert entry.reason is not None
    assert entry.reason.startswith("sent once more, answered with: error that may have occurred")
    assert "Odd again" in entry.reason
    assert "the first answer was: error that may" in entry.reason
    assert entry.balance_after == Decimal("999999.00")


@pytest.mark.asyncio
async def test_second_answer_that_is_no_answer_leaves_it_to_a_person(shop: Shop) -> None:
    shop.fail_next(body="<html>Bad gateway</html>")

    _, entry = await sent_twice(shop)

    assert answers(entry) == (S.UNKNOWN, False, None)


@pytest.mark.asyncio
async def test_refusal_of_the_second_call_refuses_nothing(shop: Shop) -> None:
    shop.fail_next(body='{"error": "Not enough funds on balance"}')

    _, entry = await sent_twice(shop, circuit=CircuitPolicy())

    assert (answers(entry), entry.kind) == ((S.UNKNOWN, False, None), ErrorKind.UNKNOWN)


@pytest.mark.asyncio
async def test_active_order_with_the_link_is_evidence(shop: Shop) -> None:
    shop.fail_next(body='{"error": "You have an active order with this link"}')

    desk, entry = await sent_twice(shop, queue_active_links=True)

    assert entry.kind is ErrorKind.DUPLICATE
    assert [each.link_reported_active for each in await desk.unknown()] == [True]


@pytest.mark.asyncio
async def test_second_call_that_is_throttled_changes_nothing(shop: Shop) -> None:
    shop.world.panel.answer_next("add", "", 429, **{"Retry-After": "9"})

    desk, entry = await sent_twice(shop, record_balance=False)

    assert answers(entry) == (S.UNKNOWN, True, None)
    assert DEFAULT_PANEL in await desk._journal.paused_panels()


@pytest.mark.asyncio
async def test_lost_second_answer_opens_the_circuit_as_any_other(shop: Shop, world: World) -> None:
    desk = await shop.open(circuit=CircuitPolicy())
    shop.fail_next(is_placed=True)

    async def drop() -> None:
        world.panel.fail_next(Fault.DROP_AFTER, action="add")

    shop.quick.during = drop

    entry = await desk.place(order(), ref="a")

    assert (answers(entry), shop.adds, shop.created) == ((S.UNKNOWN, False, None), 2, 1)
    assert (await desk._journal.circuit(DEFAULT_PANEL)).open_until is not None


@BOTH
@pytest.mark.asyncio
async def test_id_of_another_ref_leaves_it_unknown(shop: Shop, world: World) -> None:
    other = await shop.open()
    known = await other.place(order("other"), ref="b")
    desk = await shop.open()  # another client, which has not seen that order
    shop.fail_next()
    shop.fail_next(body=f'{{"order": {known.order}}}')

    entry = await desk.place(order(), ref="a")

    assert (entry.state, entry.kind) == (S.UNKNOWN, ErrorKind.CONFLICT)
    assert entry.reason == f"order {known.order} already belongs to ref 'b'"


@pytest.mark.asyncio
async def test_id_that_the_client_got_before_leaves_it_unknown(shop: Shop, world: World) -> None:
    client = await world.client(profile=REPEATING)
    desk = await shop.open(client)
    added = await client.add(order())  # equal, and not in the journal
    shop.fail_next()

    entry = await desk.place(order(), ref="a")

    assert answers(entry) == (S.UNKNOWN, False, added.order)
    assert shop.created == 1


@pytest.mark.asyncio
async def test_answer_after_the_window_is_evidence_only(shop: Shop, world: World) -> None:
    desk = await shop.open()
    shop.fail_next()
    world.panel.on_request = lambda form: _pass(shop, form, 61.0 if shop.adds == 2 else 0)

    entry = await desk.place(order(), ref="a")

    assert answers(entry) == (S.UNKNOWN, False, next(iter(world.panel.orders)))
    assert entry.reason is not None
    assert "after the window had ended" in entry.reason


def on_second_look(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Awaitable[None]]) -> None:
    """Do something before the second look for equal orders, after the second call."""
    same_link, looks = SQLJournal.same_link, itertools.count(1)

    async def look(journal: SQLJournal, *args: Any, **options: Any) -> list[Entry]:
        if next(looks) == 2:
            await act()
        return await same_link(journal, *args, **options)

    monkeypatch.setattr(SQLJournal, "same_link", look)


@BOTH
@pytest.mark.asyncio
async def test_equal_order_that_was_sent_meanwhile_may_be_the_one(
    shop: Shop, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = attrs.evolve(REPEATING, add_concurrency=2)
    desk = await shop.open(await world.client(profile=profile))
    other = await shop.open(await world.client(profile=profile))

    async def place_equal() -> None:
        assert (await other.place(order(), ref="b")).state is S.ACCEPTED

    on_second_look(monkeypatch, place_equal)
    shop.fail_next()

    entry = await desk.place(order(), ref="a")

    [created] = shop.world.panel.orders
    assert answers(entry) == (S.UNKNOWN, False, created)
    assert entry.reason is not None
    assert "'b' may be an equal order" in entry.reason


@pytest.mark.asyncio
async def test_journal_that_cannot_tell_afterwards_leaves_the_id_as_evidence(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await shop.open()

    async def fail() -> None:
        raise JournalError("is gone")

    on_second_look(monkeypatch, fail)
    shop.fail_next(is_placed=True)

    entry = await desk.place(order(), ref="a")

    [created] = shop.world.panel.orders
    assert answers(entry) == (S.UNKNOWN, False, created)
    assert entry.reason is not None
    assert "the journal cannot say" in entry.reason


# --- cancelled -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_second_call_that_is_cancelled_in_flight_leaves_an_attempt_without_an_answer(
    shop: Shop, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    shifted = ShiftedClock()
    client = await world.client(profile=REPEATING)
    desk = await shop.open(client, journal=SQLJournal(world.url, clock=shifted))
    shop.fail_next(is_placed=True)
    released: list[asyncio.Event] = []

    async def hold() -> None:
        released.append(hold_answers(client, "add"))

    shop.quick.during = hold
    placing = asyncio.create_task(desk.place(order(), ref="a"))
    await eventually(lambda: shop.adds == 2)

    await desk._sends.cancel_all()
    with pytest.raises(ClosedError):
        await placing
    released[0].set()

    assert "'a' is sent once more, and the desk was closed meanwhile" in caplog.text
    shifted.advance(241)
    [unknown] = await desk.unknown()
    assert answers(unknown.entry) == (S.UNKNOWN, False, None)
    assert shop.created == 1


@pytest.mark.asyncio
async def test_second_call_that_is_cancelled_in_a_queue_never_leaves(
    shop: Shop, world: World
) -> None:
    client = await world.client(profile=REPEATING)
    desk = await shop.open(client)
    shop.fail_next(is_placed=True)

    async def take_the_slot() -> None:
        await client._runner._order_slots.acquire()

    shop.quick.during = take_the_slot
    placing = asyncio.create_task(desk.place(order(), ref="a"))
    await eventually(lambda: shop.adds == 1 and client._runner._order_slots._waiters)

    await desk._sends.cancel_all()
    with pytest.raises(ClosedError):
        await placing
    client._runner._order_slots.release()
    await eventually(lambda: not client._runner._order_tasks)

    assert shop.adds == 1


# --- settings ------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("window_s", [None, MIN_WINDOW_S - 1])
async def test_it_needs_a_panel_that_repeats_orders_for_long_enough(
    shop: Shop, world: World, window_s: float | None
) -> None:
    client = await world.client(profile=attrs.evolve(SMMFANFAST, replay_window_s=window_s))

    with pytest.raises(InvalidSettingsError, match="replay_window_s is at least 40"):
        await shop.open(client)
