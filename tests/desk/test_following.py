"""Following orders to a final status, in few calls, through outages, by any number of desks."""

import asyncio
import json
import math
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from smmfanfast_async import SMMFANFAST, RetryPolicy
from smmfanfast_async._clock import elapsed_s
from smmfanfast_async._engine.policy import PollPolicy
from smmfanfast_async.desk import OrderDesk, following
from smmfanfast_async.desk.send_tasks import made_progress
from smmfanfast_async.errors import (
    AuthenticationError,
    ClosedError,
    ErrorKind,
    JournalError,
    OrderNotFoundError,
)
from smmfanfast_async.journal import CallReservation, Claim, Entry, EventKind, NewEntry, Outcome
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault
from smmfanfast_async.sandbox.replies import HttpReply

from .world import (
    WAIT_S,
    S,
    ShiftedClock,
    SteppedClock,
    World,
    eventually,
    in_state,
    order,
    read_events,
    timed_desk,
)

BOTH = pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
SELDOM = PollPolicy(min_interval_s=600.0, max_interval_s=600.0)


async def placed(desk: OrderDesk, count: int) -> list[Entry]:
    return [await desk.place(order(n), ref=f"r{n}") for n in range(count)]


async def all_in_state(desk: OrderDesk, state: S, count: int) -> None:
    async def is_counted() -> bool:
        return (await desk.summary()).by_state.get(state) == count

    await eventually(is_counted)


def ids_of(form: Mapping[str, str]) -> list[str]:
    return (form.get("orders") or form["order"]).split(",")


@pytest.mark.asyncio
async def test_order_is_followed_until_its_status_is_final(world: World) -> None:
    desk = await world.desk()
    (entry,) = await placed(desk, 1)

    async with world.following(desk):
        for status in ("processing", "in progress", "completed"):
            world.panel.set_status(entry.order_id(), status)
            await eventually(lambda status=status: _has(desk, "r0", status))
        await in_state(desk, "r0", S.FINISHED)

    kinds = [each.kind for each in await read_events(desk)]
    assert kinds[0] is EventKind.ACCEPTED
    assert set(kinds[1:-1]) <= {EventKind.CHANGED}
    assert kinds[-1] is EventKind.FINISHED


async def _has(desk: OrderDesk, ref: str, status: str) -> bool:
    entry = await desk.find(ref)
    return entry is not None and entry.raw_status == status


async def desk_with_due_orders(world: World, count: int, **profile: int) -> OrderDesk:
    """Return a desk whose orders are all due, and final at the panel."""
    clock = ShiftedClock()
    desk = await world.desk(
        await world.client(profile=attrs.evolve(SMMFANFAST, **profile)),
        journal=SQLJournal(world.url, clock=clock),
        record_balance=False,
    )
    await placed(desk, count)
    clock.advance(1)
    world.panel.finish_all()
    return desk


@pytest.mark.asyncio
async def test_due_orders_are_checked_in_full_batches(world: World) -> None:
    desk = await desk_with_due_orders(world, 50, ids_per_call=20, concurrency=2)

    async with world.following(desk):
        await all_in_state(desk, S.FINISHED, 50)

    calls = [len(ids_of(form)) for form in world.panel.calls("status")]
    assert sorted(calls) == [10, 20, 20]


@pytest.mark.asyncio
async def test_orders_are_claimed_for_all_calls_that_may_be_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await desk_with_due_orders(world, 25, ids_per_call=2, concurrency=30)
    claim, claimed = desk._journal.claim, list[int]()

    async def count(limit: int, **options: Any) -> list[Claim]:
        claims = await claim(limit, **options)
        claimed.append(len(claims))
        return claims

    monkeypatch.setattr(desk._journal, "claim", count)
    async with world.following(desk):
        await all_in_state(desk, S.FINISHED, 25)

    assert claimed[:2] == [20, 5]
    assert {len(ids_of(form)) for form in world.panel.calls("status")} == {1, 2}


@BOTH
@pytest.mark.asyncio
async def test_two_followers_check_each_order_once(world: World) -> None:
    profile = attrs.evolve(SMMFANFAST, ids_per_call=5)
    desks = [
        await world.desk(await world.client(profile=profile), record_balance=False)
        for _ in range(2)
    ]
    await placed(desks[0], 24)
    world.panel.finish_all()

    async with world.following(*desks):
        await all_in_state(desks[0], S.FINISHED, 24)

    asked = Counter(each for form in world.panel.calls("status") for each in ids_of(form))
    assert set(asked.values()) == {1}
    assert len(asked) == 24


@pytest.mark.asyncio
async def test_two_follow_calls_of_one_desk_check_each_order_once(world: World) -> None:
    desk = await world.desk()
    await placed(desk, 5)
    world.panel.finish_all()

    async with world.following(desk, desk):
        await all_in_state(desk, S.FINISHED, 5)

    asked = [each for form in world.panel.calls("status") for each in ids_of(form)]
    assert sorted(asked) == sorted(world.panel.orders)


@pytest.mark.asyncio
async def test_running_desk_sends_the_order_of_a_dead_desk(world: World) -> None:
    class Dying(SQLJournal):
        async def start_attempt(self, *_: object, **__: object) -> None:
            raise JournalError("is dead")

    dead = await world.desk(journal=Dying(world.url))
    with pytest.raises(JournalError):
        await dead.place(order(), ref="a")
    clock = ShiftedClock()
    desk = await world.desk(journal=SQLJournal(world.url, clock=clock))
    async with world.following(desk):
        await asyncio.sleep(0.1)
        assert not world.panel.orders, "it is left to its caller for a minute"
        clock.advance(61)
        await in_state(desk, "a", S.ACCEPTED)

    assert len(world.panel.orders) == 1


@pytest.mark.asyncio
async def test_outage_changes_no_order_and_causes_few_calls(world: World) -> None:
    profile = attrs.evolve(SMMFANFAST, concurrency=1)
    client, clock = await world.client(profile=profile), SteppedClock()
    client._runner.rng = lambda: 0.0
    desk = await world.desk(client, desk_class=timed_desk(clock.clock))
    entries = await placed(desk, 30)
    before = [entry async for entry in desk.entries()]
    world.panel.fail_at_rate(Fault.HTTP_503, rate=1.0)

    async with world.following(desk) as (task,):
        await eventually(lambda: desk._follower.backoff.failures)
        first = len(world.panel.calls("status"))
        await asyncio.sleep(0.1)
        assert len(world.panel.calls("status")) == first, "no call during the backoff"
        clock.advance(1.0)
        await eventually(lambda: desk._follower.backoff.failures == 2)
        later = len(world.panel.calls("status")) - first
        during = [entry async for entry in desk.entries()]
        assert not task.done()

    assert during == before
    assert len(entries) == 30
    # The call and its retry, and two ids alone.
    assert first == 4
    assert later == 1


@pytest.mark.asyncio
async def test_while_calls_fail_one_order_is_probed_without_retries(world: World) -> None:
    clock = SteppedClock()
    client = await world.client(retry=RetryPolicy(max_attempts=3, base_delay_s=0.0))
    desk = await world.desk(client, desk_class=timed_desk(clock.clock))
    await placed(desk, 8)
    backoff = desk._follower.backoff
    backoff.failures = 1
    world.panel.fail_at_rate(Fault.HTTP_503, rate=1.0, action="status")

    async with world.following(desk):
        for failures in (2, 3, 4):
            await eventually(lambda failures=failures: backoff.failures == failures)
            await asyncio.sleep(0.05)
            assert len(world.panel.calls("status")) == failures - 1
            clock.advance(1.0)

    assert all(len(ids_of(form)) == 1 for form in world.panel.calls("status"))


@BOTH
@pytest.mark.asyncio
async def test_rate_limit_pauses_every_desk_of_the_journal(world: World) -> None:
    desks = [await world.desk(record_balance=False) for _ in range(2)]
    await placed(desks[0], 3)
    world.panel.fail_at_rate(Fault.RATE_LIMIT, rate=1.0, action="status", retry_after_s=600)

    def pauses_s() -> list[float]:
        return [desk._follower.backoff.until_s - elapsed_s() for desk in desks]

    async with world.following(*desks):
        await eventually(lambda: all(500 < each <= 615 for each in pauses_s()))

    # Each has one call in flight before it learns of the other's pause.
    assert len(world.panel.calls("status")) <= 2


@pytest.mark.asyncio
async def test_absurd_retry_after_is_capped_while_following(world: World) -> None:
    desk = await world.desk(record_balance=False)
    await placed(desk, 1)
    body = json.dumps({"error": "Too many requests"})
    world.panel.answer_next("status", body, 429, **{"Retry-After": "9" * 12})

    async with world.following(desk) as (task,):
        await eventually(lambda: desk._follower.backoff.failures)
        assert not task.done()

    assert desk._follower.backoff.until_s - elapsed_s() <= 915


@pytest.mark.asyncio
async def test_missing_extra_or_bad_ids_do_not_affect_others(world: World) -> None:
    clock = ShiftedClock()
    journal = SQLJournal(world.url, clock=clock)
    desk = await world.desk(journal=journal, poll=SELDOM, record_balance=False)
    entries = await placed(desk, 4)
    clock.advance(601)
    ids = [each.order_id() for each in entries]
    row = {"charge": "1", "start_count": "5", "status": "Completed", "remains": "0"}
    rows: dict[str, Any] = {
        ids[0]: row, ids[1]: "Incorrect order ID", ids[3]: row | {"status": "Levitating"},
        "99999": row,
    }  # fmt: skip
    world.panel.answer_next("status", json.dumps(rows))

    async with world.following(desk):
        await in_state(desk, "r0", S.FINISHED)

    entry_by_ref = {entry.ref: entry async for entry in desk.entries()}
    assert [entry_by_ref[f"r{n}"].miss_count for n in range(4)] == [0, 1, 0, 0]
    assert entry_by_ref["r1"].state is S.ACCEPTED
    assert entry_by_ref["r2"].checked_at is None, "an order that the answer left out is unchanged"
    due_at = await desk._journal.next_due()
    assert due_at is not None
    assert (due_at - clock()).total_seconds() > 400, "and checked at the usual time"
    assert entry_by_ref["r3"].raw_status == "Levitating"
    assert entry_by_ref["r3"].state is S.ACCEPTED


@pytest.mark.asyncio
async def test_order_unknown_to_the_panel_is_reported_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.desk()
    await placed(desk, 1)
    world.panel.on_request = lambda form: (
        world.panel.answer_next("status", '{"error": "Incorrect order ID"}')
        if form["action"] == "status"
        else None
    )

    async with world.following(desk) as (task,):
        await eventually(lambda: len(world.panel.calls("status")) > 6)
        assert not task.done()

    entry = await in_state(desk, "r0", S.ACCEPTED)
    assert entry.miss_count > 3
    assert [each.kind.value for each in await read_events(desk)] == ["accepted", "missing"]


@pytest.mark.asyncio
async def test_order_missing_for_long_is_checked_seldom(
    world: World,
) -> None:
    desk = await world.desk(poll=PollPolicy(), rng=lambda: 0.5)
    (entry,) = await placed(desk, 1)
    follower, now = desk._follower, entry.created_at + timedelta(days=1)

    def wait_s(misses: int) -> float:
        claim = Claim(key=1, version=1, entry=attrs.evolve(entry, miss_count=misses))
        due = follower._due_at(claim, OrderNotFoundError("gone"), now)
        return (due - now).total_seconds()

    assert [wait_s(misses) for misses in range(5)] == [600, 5, 5, 600, 600]


@pytest.mark.asyncio
async def test_status_may_go_back_until_it_is_final(world: World) -> None:
    desk = await world.desk()
    (entry,) = await placed(desk, 1)

    async with world.following(desk):
        for status in ("in progress", "pending", "canceled"):
            world.panel.set_status(entry.order_id(), status)
            await eventually(lambda status=status: _has(desk, "r0", status))
        await in_state(desk, "r0", S.FINISHED)
        calls = len(world.panel.calls("status"))
        await asyncio.sleep(0.1)

    assert len(world.panel.calls("status")) == calls


WRONG_KEY = '{"error": "Invalid API key"}'
NO_ACCOUNT = '{"error": "The account does not exists"}'


@pytest.mark.asyncio
async def test_rejected_key_ends_follow_and_changes_no_order(world: World) -> None:
    desk = await world.desk(record_balance=False)
    await placed(desk, 3)
    world.panel.answer_next("status", WRONG_KEY)
    world.panel.answer_next("balance", WRONG_KEY)

    with pytest.raises(AuthenticationError):
        await asyncio.wait_for(desk.follow(), WAIT_S)

    assert (await desk.summary()).by_state == {S.ACCEPTED: 3}


@pytest.mark.asyncio
async def test_follow_tells_of_attempts_that_a_dead_desk_left(world: World) -> None:
    desk = await world.desk()
    await desk._journal.create(await _new(desk, "a"))
    await desk._journal.start_attempt("a", 0, lease=timedelta(0), max_in_flight=9)

    told: list[bool] = []
    desk._follower.on_events = lambda: told.append(True)

    async with world.following(desk):
        await eventually(lambda: bool(told))

    assert (await in_state(desk, "a", S.UNKNOWN)).kind is ErrorKind.TIMEOUT


@pytest.mark.asyncio
async def test_text_about_one_order_does_not_end_follow(world: World) -> None:
    desk = await world.desk(record_balance=False, circuit=None)
    for n in range(3):
        await desk._journal.create(await _new(desk, f"r{n}"))
    world.panel.answer_next("add", WRONG_KEY)

    async with world.following(desk):
        await in_state(desk, "r0", S.REFUSED)
        await in_state(desk, "r2", S.ACCEPTED)


@pytest.mark.asyncio
async def test_follow_ends_if_the_client_is_closed_while_the_key_is_in_doubt(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client, record_balance=False, circuit=None)
    await desk._journal.create(await _new(desk, "r0"))
    world.panel.answer_next("add", WRONG_KEY)
    world.panel.answer_next("balance", "", 503)

    following = asyncio.create_task(desk.follow())
    await eventually(lambda: bool(world.panel.calls("balance")))
    await client.aclose()

    with pytest.raises(ClosedError):
        await asyncio.wait_for(following, WAIT_S)


@pytest.mark.asyncio
async def test_rejected_key_ends_follow_before_all_orders_fail(
    world: World,
) -> None:
    desk = await world.desk(record_balance=False)
    for n in range(30):
        await desk._journal.create(await _new(desk, f"r{n}"))
    for _ in range(30):
        world.panel.answer_next("add", WRONG_KEY)
    # What cannot be told yet is asked again, and nothing is sent meanwhile.
    world.panel.answer_next("balance", "", 503)
    for _ in range(9):
        world.panel.answer_next("balance", WRONG_KEY)

    with pytest.raises(AuthenticationError):
        await asyncio.wait_for(desk.follow(), WAIT_S)

    # What was taken from the journal before the first refusal is still sent.
    assert (await desk.summary()).by_state[S.PREPARED] >= 30 - 2 * following.SEND_BATCH
    assert len(world.panel.calls("balance")) >= 2


@pytest.mark.asyncio
async def test_panel_without_a_balance_call_is_believed_about_the_key(world: World) -> None:
    profile = attrs.evolve(SMMFANFAST, actions=SMMFANFAST.actions - {"balance"})
    desk = await world.desk(await world.client(profile=profile), record_balance=False)
    await desk._journal.create(await _new(desk, "a"))
    world.panel.answer_next("add", WRONG_KEY)

    with pytest.raises(AuthenticationError, match="Invalid API key"):
        await asyncio.wait_for(desk.follow(), WAIT_S)


@pytest.mark.asyncio
async def test_client_closed_while_the_key_is_confirmed_ends_follow(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client, record_balance=False)
    await desk._journal.create(await _new(desk, "a"))
    world.panel.answer_next("add", WRONG_KEY)
    real = client._runner.transport.check_usable

    def closed() -> None:
        if world.panel.calls("add"):
            raise ClosedError("the client is closed")
        real()

    client._runner.transport.check_usable = closed  # type: ignore[method-assign]

    with pytest.raises(ClosedError):
        await asyncio.wait_for(desk.follow(), WAIT_S)


@pytest.mark.asyncio
async def test_order_refused_in_the_words_of_a_wrong_key_ends_nothing(world: World) -> None:
    """The key works: the balance can be read."""
    desk = await world.desk(record_balance=False)
    for ref in "abc":
        await desk._journal.create(await _new(desk, ref))
    world.panel.answer_next("add", NO_ACCOUNT)

    async with world.following(desk) as (task,):
        await all_in_state(desk, S.ACCEPTED, 2)
        await all_in_state(desk, S.REFUSED, 1)
        assert not task.done()


@pytest.mark.parametrize("others", [0, 5])
@pytest.mark.asyncio
async def test_status_in_the_words_of_a_wrong_key_ends_nothing(world: World, others: int) -> None:
    """Whether the order is the only one that is left, or one of several in an answer."""
    desk = await world.desk(record_balance=False)
    entries = await placed(desk, 1 + others)
    bad = entries[0].order_id()
    world.panel.finish_all()
    row = {"charge": "1", "start_count": "5", "status": "Completed", "remains": "0"}

    def answer(form: Mapping[str, str]) -> None:
        if form["action"] != "status" or bad not in ids_of(form):
            return
        rows = dict.fromkeys(ids_of(form), row) | {bad: json.loads(NO_ACCOUNT)}
        body = json.dumps(rows) if "orders" in form else NO_ACCOUNT
        world.panel.answer_next("status", body)

    world.panel.on_request = answer
    async with world.following(desk) as (task,):
        await eventually(lambda: desk._follower.failed_orders.interval_s(bad))
        if others:
            await all_in_state(desk, S.FINISHED, others)
        assert not task.done()

    assert desk._follower.backoff.failures == 0
    assert (await in_state(desk, "r0", S.ACCEPTED)).miss_count == 0


@pytest.mark.asyncio
async def test_bad_order_that_is_left_alone_is_no_outage(world: World) -> None:
    desk = await world.desk(record_balance=False)
    entries = await placed(desk, 3)
    bad = entries[1].order_id()
    world.panel.finish_all()

    def fail(form: Mapping[str, str]) -> None:
        if form["action"] == "status" and bad in ids_of(form):
            world.panel.answer_next("status", "", 500)

    world.panel.on_request = fail
    async with world.following(desk):
        await all_in_state(desk, S.FINISHED, 2)
        await eventually(lambda: desk._follower.failed_orders.interval_s(bad))
    # As if its time had come again, for this desk and for its client.
    desk._follower.failed_orders.on_success([bad])
    await desk._journal.reschedule_far_future(1, ahead=timedelta(seconds=1))
    async with world.following(desk):
        await eventually(lambda: desk._follower.failed_orders.interval_s(bad))

    assert desk._follower.backoff.failures == 0
    assert (await in_state(desk, "r1", S.ACCEPTED)).miss_count == 0


async def accepted(desk: OrderDesk, url: str, count: int) -> None:
    """Write accepted orders with the ids 1 to `count` into a journal on SQLite."""
    entry = await desk._journal.create(await _new(desk, "r1"))
    started = await desk._journal.start_attempt(
        "r1", entry.attempt, lease=timedelta(minutes=1), max_in_flight=1
    )
    assert started is not None
    outcome = Outcome(state=S.ACCEPTED, order="1", due_at=await desk._journal.now())
    await desk._journal.record_outcome("r1", started.attempt, outcome)
    # Copied in one statement: a thousand transactions would take half a minute.
    with closing(sqlite3.connect(url.removeprefix("sqlite+aiosqlite:///"))) as database, database:
        names = [row[1] for row in database.execute("PRAGMA table_info(smm_orders)")]
        copied = {"id": "n", "ref": "'r' || n", "panel_order": "n", "order_number": "n"}
        values = ", ".join(copied.get(name, name) for name in names)
        database.execute(
            # The names come from the table itself.
            "WITH RECURSIVE numbers(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers"  # noqa: S608
            f" WHERE n < {count}) INSERT INTO smm_orders ({', '.join(names)})"
            f" SELECT {values} FROM smm_orders, numbers WHERE ref = 'r1'"
        )


@pytest.mark.parametrize(
    ("body", "status"),
    [("", 500), ('{"error": "Incorrect order ID"}', 200), ('{"error": "Oops"}', 200)],
    ids=["HTTP 500", "unknown id", "error object"],
)
@pytest.mark.asyncio
async def test_bad_orders_delay_no_other(world: World, body: str, status: int) -> None:
    """Every batch with one of 30 orders fails; the clocks stand still until all others ended."""
    now = datetime.now(UTC)
    clock = SteppedClock()
    client = await world.client(retry=RetryPolicy(base_delay_s=0.0))
    client._runner.rng = random.Random(7).random
    desk = await world.desk(
        client,
        SQLJournal(world.url, clock=lambda: now),
        desk_class=timed_desk(clock.clock),
        record_balance=False,
        poll=PollPolicy(),
    )
    await accepted(desk, world.url, 1000)
    bad = {str(1 + (37 + each * each * 61) % 1000) for each in range(30)}
    row = {"charge": "1", "start_count": "5", "status": "Completed", "remains": "0"}

    def answer(form: Mapping[str, str]) -> None:
        if form["action"] == "status":
            ids = ids_of(form)
            found = json.dumps(dict.fromkeys(ids, row) if "orders" in form else row)
            is_bad = not bad.isdisjoint(ids)
            world.panel.answer_next("status", body if is_bad else found, status if is_bad else 200)

    world.panel.on_request = answer
    async with world.following(desk):
        await all_in_state(desk, S.FINISHED, 1000 - len(bad))

    assert desk._follower.backoff.failures == 0
    assert len(world.panel.calls("status")) <= 10 + 3 * len(bad) * (math.log2(100) + 1)


def refuse_with(world: World, bad: str) -> None:
    """Make the panel refuse every call that includes one id."""

    def refuse(form: Mapping[str, str]) -> None:
        if form["action"] == "status" and bad in ids_of(form):
            world.panel.answer_next("status", '{"error": "Incorrect order ID"}')

    world.panel.on_request = refuse


@pytest.mark.asyncio
async def test_id_that_spoils_a_batch_is_found(world: World) -> None:
    desk = await world.desk(record_balance=False)
    entries = await placed(desk, 5)
    refuse_with(world, entries[2].order_id())

    async with world.following(desk):
        await eventually(lambda: _missed(desk, "r2"))

    assert [entry.miss_count async for entry in desk.entries() if entry.ref != "r2"] == [0] * 4


@pytest.mark.asyncio
async def test_refused_batch_is_not_a_result_for_each_order(world: World) -> None:
    """Without retry budget in the client, a refused batch is not bisected."""
    client = await world.client()
    desk = await world.desk(client, record_balance=False)
    entries = await placed(desk, 5)
    refuse_with(world, entries[2].order_id())
    client._runner._retry_budget.tokens = -10_000

    async with world.following(desk) as (task,):
        await eventually(lambda: len(world.panel.calls("status")) > 10)
        assert not task.done()

    assert [entry.miss_count async for entry in desk.entries() if entry.ref != "r2"] == [0] * 4


async def _missed(desk: OrderDesk, ref: str) -> bool:
    entry = await desk.find(ref)
    return entry is not None and entry.miss_count > 0


@pytest.mark.asyncio
async def test_closed_client_ends_follow(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client)
    await placed(desk, 1)
    task = asyncio.create_task(desk.follow())
    await eventually(lambda: world.panel.calls("status"))

    await client.aclose()

    with pytest.raises(ClosedError):
        await asyncio.wait_for(task, WAIT_S)


@pytest.mark.asyncio
async def test_closed_client_ends_a_follow_that_only_sends(world: World) -> None:
    client = await world.client()
    desk = await world.desk(client, record_balance=False)
    await desk._journal.create(await _new(desk, "a"))
    await client.aclose()

    with pytest.raises(ClosedError):
        await asyncio.wait_for(desk.follow(), WAIT_S)


async def _new(desk: OrderDesk, ref: str) -> Any:
    now = await desk._journal.now()
    form = {"action": "add", "service": "1", "link": f"https://links.test/{ref}", "quantity": "9"}
    return NewEntry(ref=ref, form=form, due_at=now, budget_day=now.date().isoformat())


@pytest.mark.parametrize("method", [
    "claim", "record_statuses", "due_to_send", "expire_leases", "reschedule_far_future",
    "reserve_call", "now",
])  # fmt: skip
@pytest.mark.parametrize("calls_per_minute", [None, 60_000])
@pytest.mark.asyncio
async def test_database_outage_does_not_end_follow(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str, calls_per_minute: int | None
) -> None:
    clock = ShiftedClock()
    journal = SQLJournal(world.url, clock=clock)
    desk = await world.desk(
        journal=journal, calls_per_minute=calls_per_minute, record_balance=False
    )
    await placed(desk, 1)
    world.panel.finish_all()
    real, failures = getattr(SQLJournal, method), 0

    async def failing(self: SQLJournal, *args: Any, **options: Any) -> Any:
        nonlocal failures
        failures += 1
        if failures <= 3:
            clock.advance(121)  # past the claims that could not be used
            raise JournalError("is restarting")
        return await real(self, *args, **options)

    monkeypatch.setattr(SQLJournal, method, failing)
    async with world.following(desk) as (task,):
        await in_state(desk, "r0", S.FINISHED)
        await eventually(lambda: failures > 2)
        assert not task.done()


@pytest.mark.asyncio
async def test_results_without_a_time_to_record_are_left_to_the_next_check(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ShiftedClock()
    desk = await world.desk(journal=SQLJournal(world.url, clock=clock), record_balance=False)
    await placed(desk, 1)
    world.panel.finish_all()
    real, failures = SQLJournal.now, 0

    async def failing(self: SQLJournal) -> datetime:
        nonlocal failures
        task = asyncio.current_task()
        assert task is not None
        is_check = task.get_coro().__qualname__ == "Follower._check"  # type: ignore[union-attr]
        if is_check and not failures:
            failures += 1
            clock.advance(121)  # past the claim that could not be used
            raise JournalError("is restarting")
        return await real(self)

    monkeypatch.setattr(SQLJournal, "now", failing)
    async with world.following(desk):
        await in_state(desk, "r0", S.FINISHED)

    assert failures == 1
    assert len(world.panel.calls("status")) == 2


@pytest.mark.asyncio
async def test_failure_to_record_a_pause_does_not_end_follow(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object, **__: object) -> None:
        raise JournalError("is restarting")

    monkeypatch.setattr(SQLJournal, "pause", gone)
    desk = await world.desk(record_balance=False)
    await placed(desk, 1)
    world.panel.fail_next(Fault.RATE_LIMIT, action="status", retry_after_s=60)

    async with world.following(desk) as (task,):
        await eventually(lambda: desk._follower.backoff.failures)
        assert not task.done()


@pytest.mark.asyncio
async def test_claims_are_released_if_the_rate_limit_takes_too_long(world: World) -> None:
    desk = await world.desk(calls_per_minute=60_000, record_balance=False)
    await placed(desk, 1)
    await desk._sender.rate_limit.pause(300.0)

    async with world.following(desk):
        await eventually(lambda: desk._follower.backoff.until_s)
        await asyncio.sleep(0.2)

    assert 200 < desk._follower.backoff.until_s - elapsed_s() <= 315
    assert not world.panel.calls("status")
    due_at = await desk._journal.next_due()
    assert due_at is not None
    assert 200 < (due_at - datetime.now(UTC)).total_seconds() <= 315, "no claim delays it longer"


@pytest.mark.asyncio
async def test_cancelling_follow_leaves_no_task(world: World) -> None:
    desk = await world.desk()
    await placed(desk, 1)
    world.panel.fail_next(Fault.DELAY, action="status", delay_s=5.0)
    task = asyncio.create_task(desk.follow())
    await eventually(lambda: world.panel.calls("status"))
    others = asyncio.all_tasks() - {task}

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    def names() -> set[str]:
        left = asyncio.all_tasks() - others
        return {each.get_coro().__qualname__ for each in left}  # type: ignore[union-attr]

    await eventually(lambda: not any(name.startswith("Follower") for name in names()))


@pytest.mark.asyncio
async def test_claims_are_released_if_their_check_is_cancelled_before_it_begins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.desk()
    await placed(desk, 3)
    create_task = asyncio.TaskGroup.create_task
    following: list[asyncio.Task[None]] = []

    def cancel_at_once(group: asyncio.TaskGroup, coro: Any, **options: Any) -> "asyncio.Task[Any]":
        task = create_task(group, coro, **options)
        if coro.__qualname__ == "Follower._check":
            checking = asyncio.current_task()
            assert checking is not None
            for each in (task, checking, following[0]):
                each.cancel()  # the task of the check has not run yet
        return task

    monkeypatch.setattr(asyncio.TaskGroup, "create_task", cancel_at_once)
    following.append(asyncio.create_task(desk.follow()))

    with pytest.raises(asyncio.CancelledError):
        await following[0]

    assert world.panel.calls("status") == []
    refs: set[str] = set()

    async def all_due() -> bool:
        claims = await desk._journal.claim(10, lease=timedelta(minutes=2))
        refs.update(each.entry.ref for each in claims)
        return len(refs) == 3

    await eventually(all_due)


@pytest.mark.asyncio
async def test_follower_with_expired_claim_cannot_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ShiftedClock()
    # One call at a time: the stopped follower must not claim the order again itself.
    profile = attrs.evolve(SMMFANFAST, concurrency=1)
    stopped, desk = [
        await world.desk(
            await world.client(profile=profile), journal=SQLJournal(world.url, clock=clock)
        )
        for _ in range(2)
    ]
    (entry,) = await placed(desk, 1)
    released = asyncio.Event()
    record, late = stopped._journal.record_statuses, asyncio.Event()
    written: list[Any] = []

    async def record_late(observations: Any) -> Any:
        late.set()
        await released.wait()
        written.append(await record(observations))
        return []

    monkeypatch.setattr(stopped._journal, "record_statuses", record_late)
    async with world.following(stopped):
        await late.wait()
        clock.advance(121)
        world.panel.set_status(entry.order_id(), "completed")
        async with world.following(desk):
            await in_state(desk, "r0", S.FINISHED)
        released.set()
        await eventually(lambda: written)

    assert written[0] == []
    assert (await in_state(desk, "r0", S.FINISHED)).raw_status == "completed"


@pytest.mark.asyncio
async def test_order_without_a_turn_does_not_delay_others(
    world: World,
) -> None:
    desk = await world.desk(record_balance=False)
    stuck = asyncio.Event()

    async def never() -> Entry:
        await stuck.wait()
        raise ClosedError("over")

    await desk._journal.create(await _new(desk, "stuck"))
    task = asyncio.create_task(never())
    desk._sends.tasks["stuck"] = task
    await desk._journal.create(await _new(desk, "next"))

    async with world.following(desk):
        await in_state(desk, "next", S.ACCEPTED)

    task.cancel()
    del desk._sends.tasks["stuck"]


@pytest.mark.asyncio
async def test_cancelled_send_does_not_end_follow(world: World) -> None:
    desk = await world.desk(record_balance=False)

    async def never() -> Entry:
        await asyncio.Event().wait()
        raise ClosedError("over")

    await desk._journal.create(await _new(desk, "a"))
    desk._sends.tasks["a"] = stuck = asyncio.create_task(never())
    stuck.add_done_callback(lambda done: desk._sends._on_task_done("a", done))

    async with world.following(desk):
        await asyncio.sleep(0.1)
        stuck.cancel()
        await in_state(desk, "a", S.ACCEPTED)


@pytest.mark.asyncio
async def test_failed_send_is_logged_and_retried(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start, tries = SQLJournal.start_attempt, 0

    async def failing(self: SQLJournal, *args: Any, **options: Any) -> Any:
        nonlocal tries
        tries += 1
        if tries <= 2:
            raise JournalError("is full")
        return await start(self, *args, **options)

    monkeypatch.setattr(SQLJournal, "start_attempt", failing)
    desk = await world.desk(record_balance=False)
    await desk._journal.create(await _new(desk, "a"))

    async with world.following(desk):
        await in_state(desk, "a", S.ACCEPTED)

    assert caplog.text.count("'a' could not be sent: journal: is full") == 2
    assert len(world.panel.orders) == 1


@pytest.mark.asyncio
async def test_rate_limit_holds_across_two_desks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal's clock does not move, so each reserved wait is exact."""
    interval_s = 0.05
    now = datetime.now(UTC)
    desks = [
        await world.desk(journal=SQLJournal(world.url, clock=lambda: now), calls_per_minute=1200)
        for _ in range(2)
    ]
    reserve, waits_s, arrived_s = SQLJournal.reserve_call, [], []

    async def recording(self: SQLJournal, interval: timedelta, **options: Any) -> CallReservation:
        reserved = await reserve(self, interval, **options)
        waits_s.append(reserved.wait.total_seconds())
        return reserved

    def note(form: Mapping[str, str]) -> None:
        if form["action"] != "services":
            arrived_s.append(time.monotonic())

    monkeypatch.setattr(SQLJournal, "reserve_call", recording)
    world.panel.on_request = note
    started_s = time.monotonic()
    await asyncio.gather(
        *(desk.place(order((desk is desks[0], n)), ref=f"{id(desk)}-{n}")
          for n in range(3) for desk in desks)
    )  # fmt: skip

    # A balance and an add of each order. An attempt that got no slot is begun again: it reads the
    # balance once more, and what it reserved is given back, to be reserved again.
    assert len(world.panel.orders) == 6
    assert len(waits_s) >= len(arrived_s) >= 12
    steps = sorted({round(wait_s / interval_s, 3) for wait_s in waits_s})
    assert steps == list(range(len(steps)))
    # No more calls arrived by any moment than had been reserved for it; timers are not exact.
    assert all(at_s - started_s > n * interval_s - 0.01 for n, at_s in enumerate(arrived_s))


@pytest.mark.asyncio
async def test_check_with_only_errors_changes_no_order(world: World) -> None:
    desk = await world.desk()
    await placed(desk, 2)
    world.panel.scripted["status"] = [HttpReply(http_status=500) for _ in range(12)]

    async with world.following(desk):
        await eventually(lambda: desk._follower.backoff.failures)

    assert [entry.checked_at async for entry in desk.entries()] == [None, None]


@pytest.mark.asyncio
async def test_expired_lease_creates_an_event(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = await world.desk()
    entry = await desk._journal.create(await _new(desk, "a"))
    started = await desk._journal.start_attempt(
        "a", entry.attempt, lease=timedelta(0), max_in_flight=1
    )
    assert started is not None

    async with world.following(desk):
        await in_state(desk, "a", S.UNKNOWN)

    assert [each.kind.value for each in await read_events(desk)] == ["unknown"]


@pytest.mark.asyncio
async def test_only_a_prepared_entry_is_no_progress() -> None:
    async def sent(state: S) -> Entry:
        return Entry(ref="a", state=state, created_at=datetime.now(UTC))

    tasks = {state: asyncio.create_task(sent(state)) for state in S}
    await asyncio.wait(tasks.values())

    assert {state for state, task in tasks.items() if not made_progress(task)} == {S.PREPARED}


@BOTH
@pytest.mark.asyncio
async def test_final_status_of_the_profile_ends_an_order(world: World) -> None:
    profile = attrs.evolve(SMMFANFAST, final_statuses=frozenset({"processing"}))
    desk = await world.desk(await world.client(profile=profile))
    (entry,) = await placed(desk, 1)
    world.panel.set_status(entry.order_id(), "processing")

    async with world.following(desk):
        entry = await in_state(desk, "r0", S.FINISHED)

    assert entry.raw_status == "processing"
    assert [each.kind for each in await read_events(desk)][-1] is EventKind.FINISHED
