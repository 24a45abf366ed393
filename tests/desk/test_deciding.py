"""A person's verbs: unknown, resolve, withdraw, retry; and what a late answer does."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from smmfanfast_async.desk import OrderDesk, sending
from smmfanfast_async.errors import ErrorKind, InvalidOrderError, RefConflictError
from smmfanfast_async.journal import Entry
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault

from .world import S, World, in_state, order, soon, told

ACTIVE = '{"error": "You have an active order with this link. Please wait"}'


async def lost(world: World, desk: OrderDesk, ref: str = "a", fault: str = "drop_after") -> Entry:
    world.panel.fail_next(fault, action="add")
    entry = await desk.place(order(ref), ref=ref)
    assert entry.state is S.UNKNOWN
    return entry


@pytest.mark.asyncio
async def test_unknown_gives_the_evidence(world: World) -> None:
    desk = await world.desk()
    await lost(world, desk, "a")
    await lost(world, desk, "b", "drop_before")

    first, second = await desk.unknown()

    assert (first.entry.ref, second.entry.ref) == ("a", "b")
    assert (first.balance_drop, first.drop_matches_price) == (Decimal(1), True)
    assert (second.balance_drop, second.drop_matches_price) == (Decimal(0), False)


@pytest.mark.asyncio
async def test_resolve_with_the_panels_id_lets_it_be_followed(world: World) -> None:
    desk = await world.desk()
    await lost(world, desk)
    (stored,) = world.panel.orders

    entry = await desk.resolve("a", order=int(stored), decided_by="somebody", note="in the list")

    assert (entry.state, entry.order, entry.reason) == (S.ACCEPTED, stored, "in the list")
    assert (await told(desk))[-1].text == "by somebody: in the list"
    world.panel.set_status(stored, "completed")
    async with world.following(desk):
        await in_state(desk, "a", S.FINISHED)


@pytest.mark.asyncio
async def test_resolve_as_not_placed_lets_retry_send_it(world: World) -> None:
    desk = await world.desk()
    await lost(world, desk, fault="drop_before")

    withdrawn = await desk.resolve("a", placed=False, decided_by=" somebody ")
    again = await desk.place(order("a"), ref="a")
    retried = await desk.retry("a", decided_by="somebody")

    assert (withdrawn.state, withdrawn.reason) == (S.WITHDRAWN, "not placed")
    assert again == withdrawn, "placing does not undo what a person said"
    assert (retried.state, retried.attempt, retried.was_unknown) == (S.ACCEPTED, 2, True)
    assert len(world.panel.orders) == 1


@pytest.mark.asyncio
async def test_an_active_link_after_an_unknown_attempt_is_unknown_again(world: World) -> None:
    desk = await world.desk(queue_active_links=True)
    await lost(world, desk)  # it was placed, and a person says that it was not
    await desk.resolve("a", placed=False, decided_by="somebody")

    entry = await desk.retry("a", decided_by="somebody")

    assert (entry.state, entry.kind) == (S.UNKNOWN, ErrorKind.DUPLICATE)
    (evidence,) = await desk.unknown()
    assert evidence.link_reported_active


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"placed": True},
        {"order": 5, "placed": False},
        {"order": 5, "placed": True},
        {"order": -1},
        {"order": "x y"},
        {"placed": False, "by": " "},
        {"placed": False, "by": "a" * 201},
        {"placed": False, "by": "a\nb"},
        {"placed": False, "by": 5},
    ],
)
@pytest.mark.asyncio
async def test_a_decision_that_says_nothing_clear_is_refused(
    world: World, wrong: dict[str, Any]
) -> None:
    desk = await world.desk()
    entry = await lost(world, desk)

    with pytest.raises(InvalidOrderError):
        await desk.resolve("a", **{"by": "somebody"} | wrong)

    assert await desk.find("a") == entry


@pytest.mark.asyncio
async def test_verbs_are_refused_where_the_state_does_not_fit(world: World) -> None:
    desk = await world.desk()
    await desk.place(order(), ref="a")

    with pytest.raises(InvalidOrderError, match="is accepted; it would have to be unknown"):
        await desk.resolve("a", placed=False, decided_by="somebody")
    with pytest.raises(InvalidOrderError, match="is accepted; it would have to be held or prepar"):
        await desk.withdraw("a", decided_by="somebody")
    with pytest.raises(InvalidOrderError, match="it would have to be refused or withdrawn"):
        await desk.retry("a", decided_by="somebody")
    with pytest.raises(InvalidOrderError, match="is not in the journal"):
        await desk.retry("b", decided_by="somebody")


@pytest.mark.asyncio
async def test_an_order_of_another_ref_is_not_given_away(world: World) -> None:
    desk = await world.desk()
    placed = await desk.place(order("b"), ref="b")
    await lost(world, desk)

    with pytest.raises(RefConflictError):
        await desk.resolve("a", order=placed.order_id(), decided_by="somebody")


@pytest.mark.asyncio
async def test_a_refused_order_is_sent_again_by_retry_alone(world: World) -> None:
    desk = await world.desk()
    world.panel.say("add", '{"error": "Not enough funds"}')
    await desk.place(order(), ref="a")

    async with world.following(desk):
        await asyncio.sleep(0.1)
        assert len(world.panel.asked("add")) == 1
        entry = await desk.retry("a", decided_by="somebody")

    assert (entry.state, entry.attempt) == (S.ACCEPTED, 2)


@pytest.mark.asyncio
async def test_retry_is_answered_by_its_own_attempt(world: World) -> None:
    """The sending that wrote the refusal may not be over when somebody retries."""
    desk = await world.desk()
    world.panel.say("add", '{"error": "Not enough funds"}')
    refused = await desk.place(order(), ref="a")

    async def ending() -> Entry:
        await asyncio.sleep(0.1)
        return refused

    desk._sends["a"] = task = asyncio.create_task(ending())
    task.add_done_callback(lambda done: desk._sent("a", done))
    entry = await desk.retry("a", decided_by="somebody")

    assert (entry.state, entry.attempt) == (S.ACCEPTED, 2)


@pytest.mark.asyncio
async def test_retry_waits_as_long_as_it_is_told(world: World) -> None:
    desk = await world.desk()
    world.panel.say("add", '{"error": "Not enough funds"}')
    await desk.place(order(), ref="a")
    world.panel.fail_next(Fault.DELAY, action="add", delay_s=0.3)

    entry = await desk.retry("a", decided_by="somebody", wait_s=0.1)

    assert entry.state is S.SENDING
    assert (await desk.place(order(), ref="a")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_what_was_not_sent_can_be_withdrawn(world: World) -> None:
    desk = await world.desk(record_balance=False)
    await desk.place(order("first"), ref="first")
    await world.panel.close()
    await desk.place(order(), ref="a")

    entry = await desk.withdraw("a", decided_by="somebody", note="too late")

    await world.panel.start()
    assert (entry.state, entry.reason) == (S.WITHDRAWN, "too late")
    assert (await desk.place(order(), ref="a")).state is S.WITHDRAWN
    assert "https://links.test/a" not in world.links()


@pytest.mark.asyncio
async def test_a_late_answer_lifts_what_its_lease_made_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LEASE_S", 0.1)
    desk = await world.desk()
    world.panel.fail_next(Fault.DELAY, action="add", delay_s=0.6)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await soon(lambda: world.panel.asked("add"))

    async def lapsed() -> bool:
        return bool(await desk.unknown())

    await soon(lapsed)

    assert (await task).state is S.ACCEPTED
    assert [each.kind.value for each in await told(desk)] == ["unknown", "accepted"]


@pytest.mark.asyncio
async def test_an_active_link_is_refused_by_default(world: World) -> None:
    desk = await world.desk()
    world.panel.say("add", ACTIVE)

    entry = await desk.place(order(), ref="a")

    assert (entry.state, entry.kind) == (S.REFUSED, ErrorKind.DUPLICATE)


@pytest.mark.asyncio
async def test_an_order_for_an_active_link_is_held_and_sent_when_the_other_ends(
    world: World,
) -> None:
    desk = await world.desk(queue_active_links=True)
    first = await desk.place(order(), ref="first")
    second = await desk.place(order(), ref="second")
    assert (second.state, second.kind) == (S.HELD, ErrorKind.DUPLICATE)

    async with world.following(desk):
        await asyncio.sleep(0.1)
        assert len(world.panel.asked("add")) == 2, "not tried while the other is active"
        world.panel.set_status(first.order_id(), "completed")
        entry = await in_state(desk, "second", S.ACCEPTED)

    assert entry.order in world.panel.orders
    assert (await in_state(desk, "first", S.FINISHED)).order == first.order
    kinds = [each.kind.value for each in await told(desk) if each.ref == "second"]
    assert kinds == ["held", "released", "accepted"]


@pytest.mark.asyncio
async def test_a_held_order_can_be_withdrawn(world: World) -> None:
    desk = await world.desk(queue_active_links=True)
    await desk.place(order(), ref="first")
    await desk.place(order(), ref="second")

    assert (await desk.withdraw("second", decided_by="somebody")).state is S.WITHDRAWN


@pytest.mark.asyncio
async def test_summary_counts_orders_and_money(world: World) -> None:
    desk = await world.desk()
    first = await desk.place(order(), ref="first")
    await desk.place(order("b"), ref="b")
    await lost(world, desk, "c")
    world.panel.set_status(first.order_id(), "partial", remains=250)
    async with world.following(desk):
        await in_state(desk, "first", S.FINISHED)

        async def seen() -> bool:
            return "unseen" not in (await desk.summary()).by_status

        await soon(seen)

    found = await desk.summary()

    assert found.by_state == {S.FINISHED: 1, S.ACCEPTED: 1, S.UNKNOWN: 1}
    assert found.by_status == {"partial": 1, "pending": 1}
    assert (found.spent, found.refunded, found.at_risk) == (
        Decimal("1.75"), Decimal("0.25"), Decimal(1),
    )  # fmt: skip
    assert (await in_state(desk, "first", S.FINISHED)).refund_share == Decimal("0.25")


@pytest.mark.asyncio
async def test_purge_forgets_words_and_keeps_the_ref(world: World) -> None:
    desk = await world.desk()
    world.panel.say("add", '{"error": "Not enough funds"}')
    await desk.place(order(), ref="a")
    await desk.place(order("b"), ref="b")

    assert await desk.purge(timedelta(hours=1)) == 0
    assert await desk.purge(timedelta(0)) == 1

    entry = await desk.find("a")
    assert entry is not None
    assert (entry.form, entry.link, entry.price) == ({}, None, Decimal(1))
    assert await desk.place(order(), ref="a") == entry, "the ref stays taken"
    with pytest.raises(RefConflictError):
        await desk.place(order("other"), ref="a")


@pytest.mark.asyncio
async def test_entries_are_found_by_state_begin_and_time(world: World) -> None:
    desk = await world.desk()
    for ref in ("a-1", "a-2", "b-1"):
        await desk.place(order(ref), ref=ref)
    await lost(world, desk, "a-3")

    async def refs(**options: Any) -> list[str]:
        return [entry.ref async for entry in desk.entries(**options)]

    assert await refs() == ["a-1", "a-2", "b-1", "a-3"]
    assert await refs(states={S.UNKNOWN}) == ["a-3"]
    assert await refs(ref_prefix="a-", states=[S.ACCEPTED]) == ["a-1", "a-2"]


@pytest.mark.asyncio
async def test_a_desk_that_opens_gives_up_what_a_dead_one_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LEASE_S", 0.05)
    desk = await world.desk()
    world.panel.fail_next(Fault.DELAY, action="add", delay_s=0.4)
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await soon(lambda: world.panel.asked("add"))
    await asyncio.sleep(0.06)

    other = await world.desk(journal=SQLJournal(world.url))

    entry = await other.find("a")
    assert entry is not None
    assert entry.state is S.UNKNOWN
    await task
