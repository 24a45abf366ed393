"""Orders wait while their panel fails, over all desks of the account."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest

from smmfanfast_async import SMMFANFAST
from smmfanfast_async.desk import CircuitPolicy, OrderDesk
from smmfanfast_async.desk.circuit_breaker import _next_look
from smmfanfast_async.errors import (
    AuthenticationError,
    ClosedError,
    ErrorKind,
    JournalError,
    NotSentError,
)
from smmfanfast_async.journal import Circuit, CircuitState, PanelHealth
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault

from .world import (
    WAIT_S,
    S,
    ShiftedClock,
    World,
    eventually,
    hold_answers,
    in_state,
    order,
    timed_desk,
)

UNLISTED = '{"error": "something that is listed nowhere"}'
BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


async def desk_of(world: World, clock: ShiftedClock, **options: Any) -> OrderDesk:
    options.setdefault("record_balance", False)
    return await world.desk(journal=SQLJournal(world.url, clock=clock), **options)


async def open_circuit(world: World, desk: OrderDesk, ref: str = "lost") -> None:
    world.panel.fail_next(Fault.DROP_BEFORE, action="add")
    assert (await desk.place(order(ref), ref=ref)).state is S.UNKNOWN


async def panel_of(desk: OrderDesk) -> PanelHealth:
    return (await desk.health()).panels["default"]


# --- opening -------------------------------------------------------------------------------------


@BOTH
@pytest.mark.asyncio
async def test_outage_makes_one_unknown_order_and_not_fifty(
    world: World, clock: ShiftedClock
) -> None:
    desk = await desk_of(world, clock)
    world.panel.fail_at_rate(Fault.DROP_AFTER, rate=1.0, action="add")

    entries = await asyncio.gather(*(desk.place(order(n), ref=f"r{n}") for n in range(50)))

    states = [each.state for each in entries]
    assert (states.count(S.UNKNOWN), states.count(S.PREPARED)) == (1, 49)
    assert len(world.panel.calls("add")) == 1
    waiting = next(each for each in entries if each.state is S.PREPARED)
    assert waiting.kind is ErrorKind.NETWORK
    assert "the panel fails (network), and orders wait until it is back" in str(waiting.reason)
    with pytest.raises(NotSentError, match="orders wait"):
        waiting.order_id()


@pytest.mark.asyncio
async def test_three_failures_in_a_row_open_the_circuit(world: World, clock: ShiftedClock) -> None:
    desk = await desk_of(world, clock)
    for n in range(2):
        world.panel.answer_next("add", UNLISTED)
        await desk.place(order(n), ref=f"a{n}")
    # An order that is accepted, or refused for its own sake, ends the series.
    world.panel.answer_next("add", '{"error": "Bad Link"}')
    assert (await desk.place(order("bad"), ref="bad")).state is S.REFUSED
    assert (await panel_of(desk)).failure_count == 0
    for n in range(3):
        world.panel.answer_next("add", UNLISTED)
        assert (await desk.place(order(f"b{n}"), ref=f"b{n}")).state is S.UNKNOWN

    waiting = await desk.place(order("c"), ref="c")

    assert (waiting.state, waiting.attempt) == (S.PREPARED, 0)
    panel = await panel_of(desk)
    assert (panel.circuit, panel.reason) == (CircuitState.OPEN, ErrorKind.UNKNOWN)


@pytest.mark.asyncio
async def test_panel_that_cannot_be_reached_opens_the_circuit(
    world: World, clock: ShiftedClock
) -> None:
    desk = await desk_of(world, clock)
    await desk._sender.client.services()
    await world.panel.close()

    entries = [await desk.place(order(n), ref=f"r{n}") for n in range(5)]

    assert {each.state for each in entries} == {S.PREPARED}
    assert (await panel_of(desk)).failure_count == 3


@pytest.mark.asyncio
async def test_failed_checks_open_the_circuit_and_go_on(world: World, clock: ShiftedClock) -> None:
    desk = await desk_of(world, clock)
    await desk.place(order("a"), ref="a")
    world.panel.finish_all()
    world.panel.fail_at_rate(Fault.HTTP_503, rate=1.0, action="status")

    async def is_open() -> bool:
        return (await panel_of(desk)).circuit is CircuitState.OPEN

    async with world.following(desk):
        await eventually(is_open)
        assert (await desk.place(order("b"), ref="b")).state is S.PREPARED
        world.panel.clear_faults()
        await in_state(desk, "a", S.FINISHED)

    assert len(world.panel.calls("add")) == 1


@pytest.mark.asyncio
async def test_without_a_policy_every_order_is_sent(world: World, clock: ShiftedClock) -> None:
    desk = await desk_of(world, clock, circuit=None)
    await open_circuit(world, desk)

    assert (await desk.place(order("a"), ref="a")).state is S.ACCEPTED
    await desk._panels["default"].breaker.tend()
    assert await panel_of(desk) == PanelHealth(panel="default", circuit=CircuitState.CLOSED)


# --- probing -------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("is_back", [True, False])
@pytest.mark.asyncio
async def test_one_of_four_desks_probes(world: World, clock: ShiftedClock, is_back: bool) -> None:  # noqa: FBT001
    desks = [await desk_of(world, clock) for _ in range(4)]
    await open_circuit(world, desks[0])
    clock.advance(31)
    if not is_back:
        world.panel.fail_next(Fault.HTTP_503, action="balance")

    entries = await asyncio.gather(
        *(desk.place(order(n), ref=f"r{n}") for n, desk in enumerate(desks))
    )

    assert len(world.panel.calls("balance")) == 1
    states = {each.state for each in entries}
    assert (S.ACCEPTED in states) is is_back
    assert states <= {S.ACCEPTED, S.PREPARED}
    assert (await panel_of(desks[3])).circuit is (
        CircuitState.CLOSED if is_back else CircuitState.OPEN
    )


@pytest.mark.asyncio
async def test_killed_prober_is_replaced_after_its_lease(world: World, clock: ShiftedClock) -> None:
    first, second = [await desk_of(world, clock) for _ in range(2)]
    await open_circuit(world, first)
    clock.advance(31)
    hold_answers(first._sender.client, "balance")
    probing = asyncio.create_task(first.place(order("a"), ref="a"))
    await eventually(lambda: world.panel.calls("balance"))
    probing.cancel()
    await first._sends.cancel_all()

    meanwhile = await second.place(order("b"), ref="b")
    clock.advance(31)
    later = await second.place(order("b"), ref="b")

    assert (meanwhile.state, later.state) == (S.PREPARED, S.ACCEPTED)
    assert len(world.panel.calls("balance")) == 2


@pytest.mark.asyncio
async def test_order_that_came_during_a_probe_is_due_when_it_succeeds(
    world: World, clock: ShiftedClock
) -> None:
    first, second = [await desk_of(world, clock) for _ in range(2)]
    await open_circuit(world, first)
    clock.advance(31)
    released = hold_answers(first._sender.client, "balance")
    probing = asyncio.create_task(first.place(order("a"), ref="a"))
    await eventually(lambda: world.panel.calls("balance"))
    assert (await second.place(order("b"), ref="b")).state is S.PREPARED

    released.set()

    assert (await probing).state is S.ACCEPTED
    assert [each.ref for each in await second._journal.due_to_send(9)] == ["b"]


@pytest.mark.asyncio
async def test_order_that_waits_for_a_panel_that_is_back_is_due(
    world: World, clock: ShiftedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await desk_of(world, clock)
    await open_circuit(world, desk)
    postpone = desk._journal.postpone

    async def close_first(*args: Any, **options: Any) -> Any:
        await desk._journal.change_circuit("default", lambda _, now: Circuit())
        return await postpone(*args, **options)

    monkeypatch.setattr(desk._journal, "postpone", close_first)

    assert (await desk.place(order("a"), ref="a")).state is S.PREPARED
    assert [each.ref for each in await desk._journal.due_to_send(9)] == ["a"]


@BOTH
@pytest.mark.asyncio
async def test_follow_probes_and_sends_what_waited(world: World, clock: ShiftedClock) -> None:
    desk = await desk_of(world, clock)
    await open_circuit(world, desk)
    refs = [f"r{n}" for n in range(5)]
    for ref in refs:
        assert (await desk.place(order(ref), ref=ref)).state is S.PREPARED
    clock.advance(31)

    async with world.following(desk):
        for ref in refs:
            await in_state(desk, ref, S.ACCEPTED)

    assert len(world.panel.calls("balance")) == 1


@pytest.mark.asyncio
async def test_failed_probes_wait_twice_as_long(world: World, clock: ShiftedClock) -> None:
    desk = await desk_of(world, clock, circuit=CircuitPolicy(open_s=10, max_open_s=30))
    await open_circuit(world, desk)
    world.panel.fail_at_rate(Fault.HTTP_503, rate=1.0, action="balance")
    waits: list[int] = []
    for _ in range(3):
        panel = await panel_of(desk)
        assert panel.open_until is not None
        waits.append(round((panel.open_until - clock.last).total_seconds()))
        clock.advance(waits[-1] + 1)
        assert (await desk.place(order("a"), ref="a")).state is S.PREPARED

    assert waits == [10, 20, 30]
    assert len(world.panel.calls("balance")) == 3


@pytest.mark.asyncio
async def test_probe_that_the_rate_limit_holds_back_has_failed(
    world: World, clock: ShiftedClock
) -> None:
    desk = await desk_of(world, clock, calls_per_minute=60_000)
    await open_circuit(world, desk)
    clock.advance(31)
    await desk._sender.rate_limit.pause(60.0)

    entry = await desk.place(order("a"), ref="a")

    assert (entry.state, entry.kind) == (S.PREPARED, ErrorKind.NETWORK)
    assert world.panel.calls("balance") == []


@pytest.mark.asyncio
async def test_panel_without_a_balance_is_tried_with_an_order(
    world: World, clock: ShiftedClock
) -> None:
    profile = attrs.evolve(SMMFANFAST, actions=SMMFANFAST.actions - {"balance"})
    desk = await desk_of(world, clock, client=await world.client(profile=profile))
    await open_circuit(world, desk)
    assert (await desk.place(order("a"), ref="a")).state is S.PREPARED
    clock.advance(31)
    await open_circuit(world, desk, "a")  # the one that is tried
    clock.advance(31)
    assert (await desk.place(order("b"), ref="b")).state is S.PREPARED
    clock.advance(31)

    assert (await desk.place(order("b"), ref="b")).state is S.ACCEPTED
    assert world.panel.calls("balance") == []


def test_order_is_looked_at_again_when_that_may_help() -> None:
    now = datetime(2030, 5, 17, tzinfo=UTC)
    soon, later = now + timedelta(seconds=9), now + timedelta(seconds=30)

    assert _next_look(Circuit(open_until=later), now) == later
    assert _next_look(Circuit(open_until=later, probe_until=soon), now) == soon
    # Another desk has probed since, in vain; its time is over too.
    assert _next_look(Circuit(open_until=now), now) == now + timedelta(seconds=30)


# --- funds and keys ------------------------------------------------------------------------------


def set_balance(world: World, amount: int) -> None:
    world.panel._panel.ledger.balance = Decimal(amount)


@BOTH
@pytest.mark.parametrize("record_balance", [True, False])
@pytest.mark.asyncio
async def test_orders_wait_until_the_balance_rises(
    world: World,
    clock: ShiftedClock,
    record_balance: bool,  # noqa: FBT001
) -> None:
    desk = await desk_of(world, clock, record_balance=record_balance)
    set_balance(world, 5)
    large = {"quantity": 10_000}
    assert (await desk.place(order("a", **large), ref="a")).state is S.REFUSED

    waiting = await desk.place(order("b", **large), ref="b")
    small = await desk.place(order("small"), ref="small")

    assert (waiting.state, waiting.kind) == (S.PREPARED, ErrorKind.FUNDS)
    assert "the balance is too low, and orders above it wait until it rises" in str(waiting.reason)
    assert small.state is S.ACCEPTED
    panel = await panel_of(desk)
    assert (panel.reason, panel.balance) == (ErrorKind.FUNDS, Decimal(5))

    set_balance(world, 50)
    assert (await desk.retry("a", decided_by="operator")).state is S.ACCEPTED
    assert (await panel_of(desk)).circuit is CircuitState.CLOSED
    # It was to be looked at half a minute later.
    async with world.following(desk):
        await in_state(desk, "b", S.ACCEPTED)


@pytest.mark.asyncio
async def test_balance_that_should_have_been_enough_stops_no_order(
    world: World, clock: ShiftedClock
) -> None:
    desk = await desk_of(world, clock, record_balance=True)
    world.panel.answer_next("add", '{"error": "Not enough funds"}')
    assert (await desk.place(order("a"), ref="a")).state is S.REFUSED

    assert (await desk.place(order("b"), ref="b")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_lack_of_funds_with_a_balance_that_cannot_be_read(
    world: World, clock: ShiftedClock
) -> None:
    desk = await desk_of(world, clock)
    world.panel.answer_next("add", '{"error": "Not enough funds"}')
    world.panel.fail_next(Fault.HTTP_503, action="balance", times=2)
    assert (await desk.place(order("a"), ref="a")).state is S.REFUSED

    assert (await desk.place(order("b"), ref="b")).state is S.PREPARED
    clock.advance(31)
    assert (await desk.place(order("b"), ref="b")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_order_refused_in_the_words_of_a_wrong_key_stops_no_other(
    world: World, clock: ShiftedClock
) -> None:
    desk = await desk_of(world, clock)
    world.panel.answer_next("add", '{"error": "Invalid API key"}')
    assert (await desk.place(order("a"), ref="a")).state is S.REFUSED

    assert (await desk.place(order("b"), ref="b")).state is S.ACCEPTED
    assert len(world.panel.calls("balance")) == 1


@pytest.mark.asyncio
async def test_orders_wait_for_a_key_that_is_accepted(world: World, clock: ShiftedClock) -> None:
    desk = await desk_of(world, clock)
    for action in ("add", "balance"):
        world.panel.answer_next(action, '{"error": "Invalid API key"}')
    assert (await desk.place(order("a"), ref="a")).state is S.REFUSED

    waiting = await desk.place(order("b"), ref="b")

    assert (waiting.state, waiting.kind) == (S.PREPARED, ErrorKind.AUTH)
    assert "the panel rejects the API key" in str(waiting.reason)
    assert (await desk.place(order("b"), ref="b")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_follow_ends_if_orders_wait_for_a_rejected_key(
    world: World, clock: ShiftedClock
) -> None:
    desk = await desk_of(world, clock)
    for action in ("add", "balance", "balance"):
        world.panel.answer_next(action, '{"error": "Invalid API key"}')
    await desk.place(order("a"), ref="a")
    assert (await desk.place(order("b"), ref="b")).state is S.PREPARED

    # Not half a minute later, and for this key: another desk may have had another one.
    with pytest.raises(AuthenticationError):
        await asyncio.wait_for(desk.follow(), WAIT_S)

    async with world.following(desk):
        await in_state(desk, "b", S.ACCEPTED)


# --- the journal and the client fail -------------------------------------------------------------


@pytest.mark.asyncio
async def test_outcome_stands_if_the_circuit_cannot_be_recorded(
    world: World, clock: ShiftedClock, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    desk = await desk_of(world, clock)

    async def fails(*_: object) -> None:
        raise JournalError("is restarting")

    monkeypatch.setattr(SQLJournal, "change_circuit", fails)
    await open_circuit(world, desk)

    assert "is restarting" in caplog.text
    assert (await in_state(desk, "lost", S.UNKNOWN)).kind is ErrorKind.UNKNOWN


@pytest.mark.asyncio
async def test_client_closed_during_a_probe_sends_nothing(
    world: World, clock: ShiftedClock
) -> None:
    client = await world.client()
    desk = await desk_of(world, clock, client=client)
    await open_circuit(world, desk)
    await desk.place(order("a"), ref="a")
    clock.advance(31)
    await client.aclose()

    with pytest.raises(ClosedError):
        await desk.place(order("a"), ref="a")

    assert (await in_state(desk, "a", S.PREPARED)).attempt == 0


@pytest.mark.asyncio
async def test_opening_and_closing_are_in_the_log(
    world: World, clock: ShiftedClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    desk = await desk_of(world, clock, desk_class=timed_desk(health_s=0.02))
    await open_circuit(world, desk)
    assert "orders wait for the panel (network); it is probed at " in caplog.text

    # Without an order that is due, `follow` probes by itself.
    async with world.following(desk):
        clock.advance(31)
        await eventually(lambda: "the panel works: orders are sent again" in caplog.text)
