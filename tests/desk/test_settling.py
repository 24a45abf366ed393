"""Orders whose outcome is unknown are settled by the balance, each rule on a sandbox."""

import asyncio
import logging
from decimal import Decimal
from typing import Any

import attrs
import pytest
from support.journals import claim_due, observe

from smmfanfast_async import SMMFANFAST, InvalidSettingsError
from smmfanfast_async.desk import OrderDesk, settling
from smmfanfast_async.desk.settling import READ_EVERY_S
from smmfanfast_async.desk.settling_rules import SETTLE_AFTER_S
from smmfanfast_async.journal import Entry, EventKind
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault

from .world import (
    S,
    ShiftedClock,
    SteppedClock,
    World,
    eventually,
    hold_answers,
    in_state,
    order,
    read_events,
    timed_desk,
)

ODD = '{"error": "Something odd"}'
STEPS = int(SETTLE_AFTER_S // READ_EVERY_S) + 2
"""Readings that settle an order if nothing happens, the first one among them."""
BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])


class Account:
    """A desk that settles, whose clock and whose journal's clock are moved together."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stepped = SteppedClock()
        self.shifted = ShiftedClock()

    async def open(self, **options: Any) -> OrderDesk:
        return await self.world.desk(
            journal=SQLJournal(self.world.url, clock=self.shifted),
            desk_class=timed_desk(self.stepped.clock),
            settle_by_balance=True, account="shop", **options,
        )  # fmt: skip

    def advance(self, seconds: float) -> None:
        self.stepped.advance(seconds)
        self.shifted.advance(seconds)

    async def watch(self, *desks: OrderDesk, steps: int = STEPS) -> None:
        """Let desks read the balance some times, two minutes apart."""
        for _ in range(steps):
            for desk in desks:
                await desk._settler.step()
            self.advance(READ_EVERY_S + 1)

    async def place_odd(self, desk: OrderDesk, ref: str = "a", answer: str = ODD) -> Entry:
        """Place an order that the panel answers with an error, and does not create."""
        self.world.panel.answer_next("add", answer)
        entry = await desk.place(order(ref), ref=ref)
        assert entry.state is S.UNKNOWN
        return entry

    async def check(self, desk: OrderDesk, *, charge: str | None, status: str) -> None:
        """Record a check of all accepted orders."""
        self.advance(1000)
        observations = [
            attrs.evolve(
                observe(each, status, raw_charge=charge, currency="USD"),
                due_at=await desk._journal.now(),
            )
            for each in await claim_due(desk._journal)
        ]
        await desk._journal.record_statuses(observations)


@pytest.fixture
def account(world: World) -> Account:
    return Account(world)


async def state_of(desk: OrderDesk, ref: str = "a") -> tuple[S, bool]:
    entry = await desk.find(ref)
    assert entry is not None
    return entry.state, entry.is_error_answer


LEFT_OPEN = (S.UNKNOWN, True)
LEFT_TO_A_PERSON = (S.UNKNOWN, False)


@BOTH
@pytest.mark.asyncio
async def test_order_is_refused_with_its_evidence_and_can_be_retried(
    account: Account, world: World
) -> None:
    desk = await account.open()
    before = await account.place_odd(desk)

    await account.watch(desk, steps=STEPS - 1)
    assert await state_of(desk) == LEFT_OPEN
    await account.watch(desk, steps=1)

    entry = await desk.find("a")
    assert entry is not None
    assert (entry.state, entry.was_unknown) == (S.REFUSED, True)
    event = (await read_events(desk))[-1]
    assert (event.kind, event.attempt, event.text) == (EventKind.REFUSED, 1, entry.reason)
    assert event.text is not None
    assert event.text.startswith(
        "settled by the balance: 1000000.00 before and after the attempt of"
        f" {before.sent_at:%Y-%m-%d %H:%M:%S} UTC, 1000000.00 at "
    )
    assert "no other order in between; the answer was: error that may" in event.text
    assert "Something odd" in event.text
    assert (await desk.retry("a", decided_by="ann")).state is S.ACCEPTED
    assert len(world.links()) == 1


@pytest.mark.asyncio
async def test_active_order_with_the_link_of_a_settled_one_may_be_its_own(
    account: Account, world: World
) -> None:
    desk = await account.open(queue_active_links=True)
    await account.place_odd(desk)
    await account.watch(desk)
    world.panel.answer_next("add", '{"error": "You have an active order with this link"}')

    entry = await desk.retry("a", decided_by="ann")

    assert (entry.state, entry.is_error_answer) == (S.UNKNOWN, False)
    await account.watch(desk)
    assert await state_of(desk) == LEFT_TO_A_PERSON


@pytest.mark.asyncio
async def test_order_that_was_settled_before_is_not_settled_again(account: Account) -> None:
    """Its first attempt may have been charged late."""
    desk = await account.open()
    await account.place_odd(desk)
    await account.watch(desk)
    account.world.panel.answer_next("add", ODD)

    await desk.retry("a", decided_by="ann")
    await account.watch(desk)

    entry = await desk.find("a")
    assert entry is not None
    assert (entry.state, entry.attempt, entry.was_unknown) == (S.UNKNOWN, 2, True)


@pytest.mark.asyncio
async def test_late_charge_leaves_the_order_to_a_person_for_good(
    account: Account, world: World
) -> None:
    """The order is inserted 100 s after the answer; a deposit hides it after that."""
    desk = await account.open()
    await account.place_odd(desk)
    await account.watch(desk, steps=1)
    world.panel.top_up(Decimal(-1))
    await account.watch(desk, steps=1)
    assert await state_of(desk) == LEFT_TO_A_PERSON

    world.panel.top_up(Decimal(1))
    calls = len(world.panel.calls("balance"))
    await account.watch(desk, await account.open(), steps=2 * STEPS)

    assert await state_of(desk) == LEFT_TO_A_PERSON
    assert len(world.panel.calls("balance")) == calls


@pytest.mark.asyncio
@pytest.mark.parametrize("amount", ["1", "-2.50", "0.01"], ids=["deposit", "website", "rounding"])
async def test_money_from_elsewhere_leaves_the_order_to_a_person(
    account: Account, world: World, amount: str
) -> None:
    desk = await account.open()
    await account.place_odd(desk)
    world.panel.top_up(Decimal(amount))

    await account.watch(desk)

    assert await state_of(desk) == LEFT_TO_A_PERSON


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.DROP_BEFORE, Fault.HTTP_502])
async def test_order_without_an_answer_is_left_to_a_person(
    account: Account, world: World, fault: Fault
) -> None:
    """Whether the panel has it or not, the balance alone proves nothing."""
    desk = await account.open()
    world.panel.fail_next(fault, action="add")
    assert (await desk.place(order("a"), ref="a")).state is S.UNKNOWN
    calls = len(world.panel.calls("balance"))

    await account.watch(desk)

    assert await state_of(desk) == LEFT_TO_A_PERSON
    assert len(world.panel.calls("balance")) == calls


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("charge", "status", "expected"),
    [
        ("1", "In progress", S.REFUSED),
        ("1", "Completed", S.REFUSED),
        (None, "In progress", S.UNKNOWN),
        ("0.5", "In progress", S.UNKNOWN),
        ("0", "Canceled", S.UNKNOWN),
    ],
)
async def test_drop_is_explained_by_accepted_orders(
    account: Account, charge: str | None, status: str, expected: S
) -> None:
    desk = await account.open()
    await account.place_odd(desk)
    await desk.place(order("b"), ref="b")
    await account.watch(desk, steps=1)  # its charge is not known yet

    await account.check(desk, charge=charge, status=status)
    await account.watch(desk)
    await account.check(desk, charge=charge, status=status)
    await account.watch(desk)

    assert (await state_of(desk))[0] is expected
    if expected is S.REFUSED:
        entry = await desk.find("a")
        assert entry is not None
        assert "the orders accepted since (1) cost 1.00; " in (entry.reason or "")


@pytest.mark.asyncio
async def test_order_is_settled_only_after_a_check_of_the_accepted_ones(account: Account) -> None:
    """One that was canceled meanwhile would hide a charge of the same amount."""
    desk = await account.open()
    await desk.place(order("b"), ref="b")
    await account.check(desk, charge="1", status="In progress")
    await account.place_odd(desk)

    await account.watch(desk, steps=2 * STEPS)
    assert await state_of(desk) == LEFT_OPEN
    await account.check(desk, charge="1", status="In progress")
    await account.watch(desk, steps=2)

    assert (await state_of(desk))[0] is S.REFUSED


@pytest.mark.asyncio
async def test_several_orders_are_settled_together(account: Account) -> None:
    desk = await account.open()
    await account.place_odd(desk)
    await account.watch(desk, steps=3)
    await account.place_odd(desk, "b")

    await account.watch(desk, steps=STEPS - 1)
    assert [await state_of(desk, ref) for ref in "ab"] == [LEFT_OPEN, LEFT_OPEN]
    await account.watch(desk, steps=1)

    assert [(await state_of(desk, ref))[0] for ref in "ab"] == [S.REFUSED, S.REFUSED]


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", ["<html>", '{"error": "Something odd", "order": 7}'])
async def test_order_without_a_complete_error_answer_settles_none(
    account: Account, answer: str
) -> None:
    desk = await account.open()
    await account.place_odd(desk)
    await account.place_odd(desk, "b", answer)

    await account.watch(desk)
    assert [await state_of(desk, ref) for ref in "ab"] == [LEFT_OPEN, LEFT_TO_A_PERSON]

    await desk.resolve("b", placed=False, decided_by="ann")
    await account.watch(desk)
    assert (await state_of(desk))[0] is S.REFUSED


@pytest.mark.asyncio
async def test_order_that_a_person_found_leaves_those_before_to_a_person(
    account: Account, world: World
) -> None:
    """Its charge may have been before the balance that the other one is compared with."""
    desk = await account.open()
    await account.place_odd(desk, "b", "<html>")
    await account.place_odd(desk)
    world.panel.top_up(Decimal(-1))

    await desk.resolve("b", order=7, decided_by="ann")
    await account.watch(desk, steps=1)
    await account.check(desk, charge="1", status="In progress")
    await account.watch(desk)

    assert await state_of(desk) == LEFT_OPEN
    assert desk._settler._obstacle == "'b' was on its way at the same time"


@pytest.mark.asyncio
async def test_reading_while_an_order_is_on_its_way_does_not_count(
    account: Account, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await account.open()
    await account.place_odd(desk)
    await account.watch(desk, steps=1)
    answered = asyncio.Event()
    record_outcome = SQLJournal.record_outcome

    async def held(self: SQLJournal, *args: Any) -> Entry:
        await answered.wait()
        return await record_outcome(self, *args)

    monkeypatch.setattr(SQLJournal, "record_outcome", held)
    world.panel.answer_next("add", '{"error": "Bad Link"}')
    entry = await desk.place(order("b"), ref="b", wait_s=0.2)
    await in_state(desk, "b", S.SENDING)

    calls = len(world.panel.calls("balance"))
    await account.watch(desk, steps=3)
    assert len(world.panel.calls("balance")) == calls
    answered.set()
    assert (await desk.place(order("b"), ref="b")).state is S.REFUSED
    assert entry.state in (S.PREPARED, S.SENDING)

    await account.watch(desk, steps=STEPS - 1)  # it begins anew
    assert await state_of(desk) == LEFT_OPEN
    await account.watch(desk, steps=1)
    assert (await state_of(desk))[0] is S.REFUSED


@pytest.mark.asyncio
async def test_reading_during_which_an_order_ends_as_unknown_does_not_count(
    account: Account, world: World
) -> None:
    desk = await account.open()
    await account.place_odd(desk)
    released = hold_answers(desk._settler.client, "balance")

    step = asyncio.create_task(desk._settler.step())
    await eventually(lambda: len(world.panel.calls("balance")) == 3)
    await account.place_odd(await account.open(), "b")
    released.set()
    await step

    assert desk._settler._still is None


@BOTH
@pytest.mark.asyncio
async def test_two_desks_settle_an_order_once(account: Account) -> None:
    desks = [await account.open() for _ in range(2)]
    await account.place_odd(desks[0])

    await account.watch(*desks)

    kinds = [each.kind for each in await read_events(desks[0])]
    assert kinds == [EventKind.UNKNOWN, EventKind.REFUSED]


@pytest.mark.asyncio
async def test_price_below_the_decimals_of_the_balance_settles_nothing(
    account: Account, world: World
) -> None:
    desk = await account.open()
    for _ in range(2):
        world.panel.answer_next("balance", '{"balance": "1000000.00000", "currency": "USD"}')
    await account.place_odd(desk)
    for _ in range(STEPS):
        world.panel.answer_next("balance", '{"balance": "1000000", "currency": "USD"}')

    await account.watch(desk)

    assert await state_of(desk) == LEFT_OPEN


@pytest.mark.asyncio
async def test_balance_in_another_currency_begins_anew(account: Account, world: World) -> None:
    desk = await account.open()
    await account.place_odd(desk)
    await account.watch(desk, steps=STEPS - 1)
    world.panel.answer_next("balance", '{"balance": "1000000.00000", "currency": "EUR"}')

    await account.watch(desk, steps=STEPS)
    assert await state_of(desk) == LEFT_OPEN
    await account.watch(desk, steps=1)

    assert (await state_of(desk))[0] is S.REFUSED


@pytest.mark.asyncio
@pytest.mark.parametrize("limit", [0, 1])
async def test_too_much_that_happened_is_left_to_a_person(
    account: Account, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """One event before the reading, or two in all, are as many as are read."""
    monkeypatch.setattr(settling, "MAX_EVENTS", limit)
    desk = await account.open()
    await account.place_odd(desk)
    await desk.place(order("b"), ref="b")

    await account.watch(desk)

    assert await state_of(desk) == LEFT_OPEN
    assert desk._settler._obstacle == "too much happened since"


@pytest.mark.asyncio
async def test_balance_that_cannot_be_read_changes_nothing(
    account: Account, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await account.open()
    await account.place_odd(desk)
    await account.watch(desk, steps=2)
    world.panel.answer_next("balance", "<html>", http_status=502)
    with pytest.raises(Exception, match="502"):
        await account.watch(desk, steps=1)

    assert await state_of(desk) == LEFT_OPEN
    caplog.set_level(logging.INFO, "smmfanfast_async")
    await account.watch(desk)
    assert (await state_of(desk))[0] is S.REFUSED
    assert "'a' is refused: settled by the balance" in caplog.text


@pytest.mark.asyncio
async def test_reading_does_not_wait_for_the_rate_limit(account: Account, world: World) -> None:
    desk = await account.open(calls_per_minute=1)
    activity = await desk._journal.activity(1)

    assert await desk._settler._read(activity) is not None
    assert await desk._settler._read(activity) is None, "the next turn is a minute away"
    assert len(world.panel.calls("balance")) == 1


@pytest.mark.asyncio
async def test_running_desk_settles(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    desk = await account.open()
    await account.place_odd(desk)
    account.world.panel.answer_next("balance", "<html>", http_status=502)

    async with account.world.following(desk):

        async def advance() -> bool:
            account.advance(READ_EVERY_S / 2)
            await asyncio.sleep(0.02)
            return (await state_of(desk))[0] is S.REFUSED

        while not await advance():
            pass

    assert "unknown orders cannot be settled by the balance now: " in caplog.text


@pytest.mark.asyncio
async def test_orders_are_left_to_a_person_by_default(account: Account, world: World) -> None:
    desk = await world.desk()
    await account.place_odd(desk)

    assert desk._follower.settle is None


@pytest.mark.asyncio
async def test_settling_needs_the_balance(world: World) -> None:
    with pytest.raises(InvalidSettingsError, match="needs record_balance=True"):
        await world.desk(settle_by_balance=True, record_balance=False)
    profile = attrs.evolve(SMMFANFAST, actions=SMMFANFAST.actions - {"balance"})
    client = await world.client(profile=profile)
    with pytest.raises(InvalidSettingsError, match="needs the action 'balance'"):
        await world.desk(client, settle_by_balance=True)
