"""Decisions of a person: unknown, resolve, withdraw, retry; and what a late answer does."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.errors import (
    ErrorKind,
    InvalidCode,
    InvalidOrderError,
    InvalidSettingsError,
    RefConflictError,
)
from smmfanfast_async.journal import Entry, Outcome
from smmfanfast_async.journal.sql import SQLJournal

from .world import S, ShiftedClock, World, eventually, hold_answers, in_state, order, read_events

ACTIVE = '{"error": "You have an active order with this link. Please wait"}'


async def place_unknown(
    world: World, desk: OrderDesk, ref: str = "a", fault: str = "drop_after"
) -> Entry:
    world.panel.fail_next(fault, action="add")
    entry = await desk.place(order(ref), ref=ref)
    assert entry.state is S.UNKNOWN
    return entry


@pytest.mark.asyncio
async def test_unknown_returns_the_evidence(world: World) -> None:
    desk = await world.desk(circuit=None)
    await place_unknown(world, desk, "a")
    await place_unknown(world, desk, "b", "drop_before")

    first, second = await desk.unknown()

    assert (first.entry.ref, second.entry.ref) == ("a", "b")
    assert (first.balance_drop, first.drop_matches_price) == (Decimal(1), True)
    assert (second.balance_drop, second.drop_matches_price) == (Decimal(0), False)


@pytest.mark.asyncio
async def test_decision_that_is_not_possible_says_why_as_a_code(world: World) -> None:
    desk = await world.desk()
    await desk.place(order("a"), ref="a")

    for ref, code in (("a", InvalidCode.WRONG_STATE), ("b", InvalidCode.UNKNOWN_REF)):
        with pytest.raises(InvalidOrderError) as caught:
            await desk.resolve(ref, placed=False, decided_by="operator")

        assert (caught.value.field, caught.value.code) == ("ref", code)


@pytest.mark.asyncio
async def test_order_resolved_with_an_id_is_followed(world: World) -> None:
    desk = await world.desk()
    await place_unknown(world, desk)
    (stored,) = world.panel.orders

    entry = await desk.resolve("a", order=int(stored), decided_by="operator", note="in the list")

    assert (entry.state, entry.order, entry.reason) == (S.ACCEPTED, stored, "in the list")
    assert (await read_events(desk))[-1].text == "by operator: in the list"
    world.panel.set_status(stored, "completed")
    async with world.following(desk):
        await in_state(desk, "a", S.FINISHED)


@pytest.mark.asyncio
async def test_order_resolved_as_not_placed_can_be_retried(world: World) -> None:
    desk = await world.desk(circuit=None)
    await place_unknown(world, desk, fault="drop_before")

    withdrawn = await desk.resolve("a", placed=False, decided_by=" operator ")
    again = await desk.place(order("a"), ref="a")
    retried = await desk.retry("a", decided_by="operator")

    assert (withdrawn.state, withdrawn.reason) == (S.WITHDRAWN, "not placed")
    assert again == withdrawn, "placing does not undo a decision"
    assert (retried.state, retried.attempt, retried.was_unknown) == (S.ACCEPTED, 2, True)
    assert len(world.panel.orders) == 1


@pytest.mark.asyncio
async def test_active_link_after_unknown_attempt_is_unknown_again(world: World) -> None:
    desk = await world.desk(queue_active_links=True, circuit=None)
    await place_unknown(world, desk)  # it was placed, and a person decides that it was not
    await desk.resolve("a", placed=False, decided_by="operator")

    entry = await desk.retry("a", decided_by="operator")

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
        {"placed": False, "decided_by": " "},
        {"placed": False, "decided_by": "a" * 201},
        {"placed": False, "decided_by": "a\nb"},
        {"placed": False, "decided_by": 5},
    ],
)
@pytest.mark.asyncio
async def test_ambiguous_decision_is_rejected(world: World, wrong: dict[str, Any]) -> None:
    desk = await world.desk()
    entry = await place_unknown(world, desk)

    with pytest.raises(InvalidOrderError):
        await desk.resolve("a", **{"decided_by": "operator"} | wrong)

    assert await desk.find("a") == entry


@pytest.mark.asyncio
async def test_decision_is_rejected_in_a_state_that_forbids_it(world: World) -> None:
    desk = await world.desk()
    await desk.place(order(), ref="a")

    with pytest.raises(InvalidOrderError, match="is already accepted; only orders with an unkn"):
        await desk.resolve("a", placed=False, decided_by="operator")
    with pytest.raises(InvalidOrderError, match="only prepared or held orders can be withdrawn"):
        await desk.withdraw("a", decided_by="operator")
    with pytest.raises(InvalidOrderError, match="only refused or withdrawn orders can be retried"):
        await desk.retry("a", decided_by="operator")
    with pytest.raises(InvalidOrderError, match="is not in the journal"):
        await desk.retry("b", decided_by="operator")


@pytest.mark.asyncio
async def test_order_of_another_ref_cannot_resolve(world: World) -> None:
    desk = await world.desk()
    placed = await desk.place(order("b"), ref="b")
    await place_unknown(world, desk)

    with pytest.raises(RefConflictError):
        await desk.resolve("a", order=placed.order_id(), decided_by="operator")


@pytest.mark.asyncio
async def test_only_retry_sends_a_refused_order_again(world: World) -> None:
    desk = await world.desk()
    world.panel.answer_next("add", '{"error": "Not enough funds"}')
    await desk.place(order(), ref="a")

    async with world.following(desk):
        await asyncio.sleep(0.1)
        assert len(world.panel.calls("add")) == 1
        entry = await desk.retry("a", decided_by="operator")

    assert (entry.state, entry.attempt) == (S.ACCEPTED, 2)


@pytest.mark.asyncio
async def test_retry_returns_the_outcome_of_its_own_attempt(world: World) -> None:
    """The task that recorded the refusal may not have ended when the order is retried."""
    desk = await world.desk()
    world.panel.answer_next("add", '{"error": "Not enough funds"}')
    refused = await desk.place(order(), ref="a")

    async def previous() -> Entry:
        await asyncio.sleep(0.1)
        return refused

    desk._sends.tasks["a"] = task = asyncio.create_task(previous())
    task.add_done_callback(lambda done: desk._sends._on_task_done("a", done))
    entry = await desk.retry("a", decided_by="operator")

    assert (entry.state, entry.attempt) == (S.ACCEPTED, 2)


@pytest.mark.asyncio
async def test_retry_respects_wait_s(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client)
    world.panel.answer_next("add", '{"error": "Not enough funds"}')
    await desk.place(order(), ref="a")
    released = hold_answers(client, "add")

    # In which a busy machine too reads and writes the journal.
    entry = await desk.retry("a", decided_by="operator", wait_s=3.0)

    assert entry.state in {S.PREPARED, S.SENDING}
    released.set()
    assert (await desk.place(order(), ref="a")).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_order_not_sent_can_be_withdrawn(world: World) -> None:
    desk = await world.desk(record_balance=False)
    await desk.place(order("first"), ref="first")
    await world.panel.close()
    await desk.place(order(), ref="a")

    entry = await desk.withdraw("a", decided_by="operator", note="too late")

    await world.panel.start()
    assert (entry.state, entry.reason) == (S.WITHDRAWN, "too late")
    assert (await desk.place(order(), ref="a")).state is S.WITHDRAWN
    assert "https://links.test/a" not in world.links()


@pytest.mark.asyncio
async def test_late_answer_resolves_expired_attempt(world: World) -> None:
    client, clock = await world.client(), ShiftedClock()
    desk = await world.desk(client, SQLJournal(world.url, clock=clock))
    released = hold_answers(client, "add")
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await eventually(lambda: world.panel.calls("add"))

    clock.advance(241)
    assert [each.entry.ref for each in await desk.unknown()] == ["a"]
    released.set()

    assert (await task).state is S.ACCEPTED
    assert [each.kind.value for each in await read_events(desk)] == ["unknown", "accepted"]


@pytest.mark.asyncio
async def test_order_for_active_link_is_refused_by_default(world: World) -> None:
    desk = await world.desk()
    world.panel.answer_next("add", ACTIVE)

    entry = await desk.place(order(), ref="a")

    assert (entry.state, entry.kind) == (S.REFUSED, ErrorKind.DUPLICATE)


@pytest.mark.asyncio
async def test_queued_order_is_sent_when_the_active_one_ends(
    world: World,
) -> None:
    desk = await world.desk(queue_active_links=True)
    first = await desk.place(order(), ref="first")
    second = await desk.place(order(), ref="second")
    assert (second.state, second.kind) == (S.HELD, ErrorKind.DUPLICATE)

    async with world.following(desk):
        await asyncio.sleep(0.1)
        assert len(world.panel.calls("add")) == 2, "not sent while the other is active"
        world.panel.set_status(first.order_id(), "completed")
        entry = await in_state(desk, "second", S.ACCEPTED)

    assert entry.order in world.panel.orders
    assert (await in_state(desk, "first", S.FINISHED)).order == first.order
    kinds = [each.kind.value for each in await read_events(desk) if each.ref == "second"]
    # It may have been checked already.
    assert kinds[:3] == ["held", "released", "accepted"]


@pytest.mark.asyncio
async def test_held_order_can_be_withdrawn(world: World) -> None:
    desk = await world.desk(queue_active_links=True)
    await desk.place(order(), ref="first")
    await desk.place(order(), ref="second")

    assert (await desk.withdraw("second", decided_by="operator")).state is S.WITHDRAWN


@pytest.mark.asyncio
async def test_summary_counts_orders_and_money(world: World) -> None:
    desk = await world.desk()
    first = await desk.place(order(), ref="first")
    await desk.place(order("b"), ref="b")
    await place_unknown(world, desk, "c")
    world.panel.set_status(first.order_id(), "partial", remains=250)
    async with world.following(desk):
        await in_state(desk, "first", S.FINISHED)

        async def has_status() -> bool:
            return "unseen" not in (await desk.summary()).by_status

        await eventually(has_status)

    summary = await desk.summary()

    assert summary.by_state == {S.FINISHED: 1, S.ACCEPTED: 1, S.UNKNOWN: 1}
    assert summary.by_status == {"partial": 1, "pending": 1}
    assert (summary.spent, summary.refunded, summary.at_risk) == (
        Decimal("1.75"), Decimal("0.25"), Decimal(1),
    )  # fmt: skip
    assert (await in_state(desk, "first", S.FINISHED)).refund_share == Decimal("0.25")


@pytest.mark.asyncio
async def test_purge_deletes_content_and_keeps_the_ref(world: World) -> None:
    desk = await world.desk()
    world.panel.answer_next("add", '{"error": "Not enough funds"}')
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
async def test_entries_filter_by_state_and_ref_prefix(world: World) -> None:
    desk = await world.desk()
    for ref in ("a-1", "a-2", "b-1"):
        await desk.place(order(ref), ref=ref)
    await place_unknown(world, desk, "a-3")

    async def refs(**options: Any) -> list[str]:
        return [entry.ref async for entry in desk.entries(**options)]

    assert await refs() == ["a-1", "a-2", "b-1", "a-3"]
    assert await refs(states={S.UNKNOWN}) == ["a-3"]
    assert await refs(ref_prefix="a-", states=[S.ACCEPTED]) == ["a-1", "a-2"]
    assert await refs(states=["unknown"], statuses=(), panels=("default",)) == ["a-3"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"states": ["unknown", "lost"]}, "states has 'lost', which is none of prepared, "),
        ({"states": "unknown"}, "states must be several in a tuple or list, not 'unknown'"),
        ({"panels": "alpha"}, "panels must be several in a tuple or list, not 'alpha'"),
        ({"statuses": "pending"}, "statuses must be several in a tuple or list, not 'pending'"),
    ],
)
async def test_filter_that_could_match_nothing_is_refused(
    world: World, filters: dict[str, Any], message: str
) -> None:
    desk = await world.desk()

    with pytest.raises(InvalidSettingsError, match=message):
        desk.entries(**filters)


@pytest.mark.asyncio
async def test_opening_expires_attempts_of_a_dead_desk(world: World) -> None:
    client, clock = await world.client(), ShiftedClock()
    desk = await world.desk(client, SQLJournal(world.url, clock=clock))
    released = hold_answers(client, "add")
    task = asyncio.create_task(desk.place(order(), ref="a"))
    await eventually(lambda: world.panel.calls("add"))
    clock.advance(241)

    other = await world.desk(journal=SQLJournal(world.url, clock=clock))

    entry = await other.find("a")
    assert entry is not None
    assert entry.state is S.UNKNOWN
    released.set()
    await task


@pytest.mark.asyncio
async def test_late_answer_after_a_retry_is_the_order_and_nothing_is_sent_again(
    world: World,
) -> None:
    slow, clock = await world.client(), ShiftedClock()
    answered = hold_answers(slow, "add")
    first = await world.desk(slow, SQLJournal(world.url, clock=clock))
    placing = asyncio.create_task(first.place(order(), ref="a"))
    await eventually(lambda: world.panel.orders)
    clock.advance(first._timing.lease_s + 1)
    second = await world.desk(await world.client(), SQLJournal(world.url, clock=clock))
    assert [each.entry.ref for each in await second.unknown()] == ["a"]
    await second.resolve("a", placed=False, decided_by="operator")
    await second._journal.apply_decision(
        "a", {S.WITHDRAWN}, Outcome(state=S.PREPARED, due_at=await second._journal.now())
    )

    answered.set()
    placed = await placing
    async with world.following(second):
        again = await second.place(order(), ref="a")

    assert (placed.state, again.order) == (S.ACCEPTED, placed.order)
    assert len(world.panel.calls("add")) == 1


@pytest.mark.asyncio
async def test_order_of_another_ref_is_not_accepted_in_another_spelling(world: World) -> None:
    desk = await world.desk()
    placed = await desk.place(order(), ref="a")
    await place_unknown(world, desk, "b")

    with pytest.raises(RefConflictError, match="already belongs to ref 'a'"):
        await desk.resolve("b", order=f"0{placed.order}", decided_by="operator")
