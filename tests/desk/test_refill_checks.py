"""Accepted refills are checked in batches, and one that fails costs no other its check."""

import asyncio
from datetime import timedelta
from typing import Any

import attrs
import pytest

from smmfanfast_async import API_V2, Client, NotSentError, PanelError
from smmfanfast_async._engine.policy import PollPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.desk.rate_limit import AccountRateLimit
from smmfanfast_async.desk.refill_checks import RefillChecks
from smmfanfast_async.errors import ErrorKind, JournalError
from smmfanfast_async.journal import OrderRequest, RequestKind, RequestState
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import SandboxService

from .world import S, ShiftedClock, SteppedClock, World, eventually, in_state, order

pytestmark = pytest.mark.asyncio

R = RequestState
PROFILE = attrs.evolve(API_V2, calls_per_minute=None)
SERVICES = (
    SandboxService(
        service=1, name="One", category="c", rate=1, max=10**6, refill=True, cancel=True
    ),
)
BROKEN = "<html>internal error</html>"


@pytest.fixture
def world_options() -> dict[str, Any]:
    return {"dialect": "api-v2", "services": SERVICES}


class Checks:
    """The checks of a desk with accepted refills, one round at a time."""

    def __init__(self, world: World, desk: OrderDesk, wall: ShiftedClock) -> None:
        self.world = world
        self.desk = desk
        self.wall = wall
        self.clock = SteppedClock()
        self.checks: RefillChecks = attrs.evolve(
            desk._follower.refill_checks,
            clock=self.clock.clock,
            poll=PollPolicy(min_interval_s=30, max_interval_s=50),
        )

    async def round(self, seconds: float = 60.0) -> list[str]:
        """Let time pass and check what is due; return the ids of each call."""
        self.wall.advance(seconds)
        self.clock.advance(seconds)
        before = len(self.calls())
        await self.checks.run_once()
        return self.calls()[before:]

    def calls(self) -> list[str]:
        return [
            form.get("refills") or form["refill"]
            for form in self.world.panel.calls("refill_status")
        ]

    async def requests(self) -> list[OrderRequest]:
        return [each async for each in self.desk.requests(kinds=[RequestKind.REFILL])]


async def checks_of(world: World, count: int, **changes: Any) -> Checks:
    """Return the checks of a desk with some accepted refills, 1, 2, 3 and so on."""
    wall = ShiftedClock()
    client = await world.client(profile=attrs.evolve(PROFILE, **changes))
    desk = await world.desk(client, SQLJournal(world.url, clock=wall), account="shop")
    refs = [f"ref-{number}" for number in range(1, count + 1)]
    for ref in refs:
        entry = await desk.place(order(ref), ref=ref)
        world.panel.set_status(entry.order_id(), "completed")
    async with world.following(desk):
        for ref in refs:
            await in_state(desk, ref, S.FINISHED)
    for ref in refs:
        assert (await desk.refill(ref, decided_by="me")).state is R.ACCEPTED
    return Checks(world, desk, wall)


async def test_due_refills_share_a_call(world: World) -> None:
    checks = await checks_of(world, 3)
    world.panel.set_refill_status(2, "completed")

    assert await checks.round() == ["1,2,3"]

    words = [(each.state, each.raw_status) for each in await checks.requests()]
    assert words == [(R.ACCEPTED, "Pending"), (R.FINISHED, "Completed"), (R.ACCEPTED, "Pending")]
    assert await checks.round(0) == []
    assert await checks.round() == ["1,3"]


async def test_panel_that_takes_one_id_is_asked_for_one(world: World) -> None:
    checks = await checks_of(world, 2, single_id_actions={"refill_status"})
    world.panel.answer_next("refill_status", '{"status": "Completed"}')

    await checks.round()

    assert [form["refill"] for form in world.panel.calls("refill_status")] == ["1"]
    assert [each.state for each in await checks.requests()] == [R.FINISHED, R.ACCEPTED]


async def test_outage_changes_nothing_and_is_asked_ever_more_seldom(world: World) -> None:
    checks = await checks_of(world, 2)
    before = await checks.requests()
    world.panel.fail_at_rate("http_500", rate=1.0, action="refill_status")
    assert len(await checks.round()) == 2  # with one retry
    checks.wall.advance(60)
    await checks.checks.run_once()  # due, but the desk backs off
    assert len(checks.calls()) == 2
    [alone] = await checks.round(1)  # one alone, once
    assert alone in ("1", "2")
    assert await checks.requests() == before

    world.panel.clear_faults()
    assert await checks.round(600) in (["1"], ["2"])
    [together] = await checks.round(600)
    assert set(together.split(",")) == {"1", "2"}
    assert [each.raw_status for each in await checks.requests()] == ["Pending", "Pending"]


async def test_refill_that_breaks_its_call_costs_no_other_its_check(world: World) -> None:
    checks = await checks_of(world, 3)

    def break_call(form: Any) -> None:
        if form["action"] == "refill_status" and "2" in form["refills"].split(","):
            world.panel.answer_next("refill_status", BROKEN)

    world.panel.on_request = break_call
    for each in ("1", "3"):
        world.panel.set_refill_status(each, "completed")

    async def others_are_done() -> bool:
        await checks.round()
        return [each.state for each in await checks.requests()] == [
            R.FINISHED, R.ACCEPTED, R.FINISHED,
        ]  # fmt: skip

    await eventually(others_are_done)


async def test_check_of_which_nothing_was_sent_gives_its_turn_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = await checks_of(world, 1)
    returned: list[object] = []

    async def give_back(_: object, turn: object) -> None:
        returned.append(turn)

    monkeypatch.setattr(AccountRateLimit, "give_back", give_back)

    async def fail(_: Client, refills: list[str]) -> dict[str, PanelError]:
        return {each: NotSentError("connection refused") for each in refills}

    monkeypatch.setattr(Client, "refill_statuses", fail)

    assert await checks.round() == []
    assert len(returned) == 1


async def test_too_many_requests_pause_the_account(world: World) -> None:
    checks = await checks_of(world, 1)
    world.panel.answer_next("refill_status", "", 429, **{"Retry-After": "600"})

    assert await checks.round() == ["1"]

    reserved = await checks.desk._journal.reserve_call(timedelta(0))
    assert reserved.wait > timedelta(minutes=9)
    assert await checks.round(60) == []
    [request] = await checks.requests()
    assert (request.state, request.reason) == (R.ACCEPTED, None)


async def test_unknown_refill_is_told_and_stays_open(world: World) -> None:
    checks = await checks_of(world, 2)
    rows = '[{"refill": 1, "status": {"error": "Refill not found"}}, {"refill": 2, "status": "x"}]'
    world.panel.answer_next("refill_status", rows)

    await checks.round()

    first, second = await checks.requests()
    assert (first.state, first.error_kind) == (R.ACCEPTED, ErrorKind.NOT_FOUND)
    assert (second.state, second.raw_status) == (R.ACCEPTED, "x")
    await checks.round()
    assert (await checks.requests())[0].error_kind is None


async def test_record_without_an_answer_is_checked_again(world: World) -> None:
    checks = await checks_of(world, 2)
    world.panel.answer_next("refill_status", '[{"refill": 1, "status": "Completed"}]')

    await checks.round()

    assert [each.state for each in await checks.requests()] == [R.FINISHED, R.ACCEPTED]
    assert await checks.round() == ["2"]


async def test_word_that_the_profile_calls_final_ends_a_refill(world: World) -> None:
    checks = await checks_of(world, 1, final_refill_statuses=frozenset({"all done"}))
    world.panel.answer_next("refill_status", '[{"refill": 1, "status": "All_Done"}]')

    await checks.round()

    [request] = await checks.requests()
    assert (request.state, request.raw_status) == (R.FINISHED, "All_Done")


async def test_refills_wait_for_the_rate_of_the_account(world: World) -> None:
    checks = await checks_of(world, 1)
    slow = AccountRateLimit(checks.desk._journal, 1, checks.clock.clock)
    await checks.desk._journal.reserve_call(timedelta(minutes=5))
    checks.checks = attrs.evolve(checks.checks, rate_limits={"default": slow})

    assert await checks.round(10) == []
    assert await checks.round(20) == []  # not due before that


async def test_refill_that_another_desk_has_claimed_is_skipped(world: World) -> None:
    checks = await checks_of(world, 1)
    journal = checks.desk._journal
    due_requests = journal.due_requests

    async def find_and_lose(*args: Any, **options: Any) -> list[OrderRequest]:
        due = await due_requests(*args, **options)
        lease, ahead = timedelta(minutes=2), timedelta(hours=1)
        assert len(await journal.claim_refills("default", 9, lease=lease, ahead=ahead)) == 1
        return due

    journal.due_requests = find_and_lose  # type: ignore[method-assign]

    assert await checks.round() == []


@pytest.mark.parametrize("is_known", [True, False])
async def test_refill_at_a_panel_that_cannot_be_asked_waits(
    world: World, *, is_known: bool
) -> None:
    checks = await checks_of(world, 1)
    client = await world.client(
        profile=attrs.evolve(PROFILE, actions=PROFILE.actions - {"refill_status"})
    )
    clients = {"default": client} if is_known else {}
    checks.checks = attrs.evolve(checks.checks, clients=clients)

    assert await checks.round() == []


async def test_outage_of_the_journal_ends_no_checks(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    checks = await checks_of(world, 1)
    journal = checks.desk._journal
    find, failures = journal.due_requests, [1]

    async def fail_once(*args: Any, **options: Any) -> list[OrderRequest]:
        if failures.pop() if failures else 0:
            raise JournalError("it is down")
        return await find(*args, **options)

    journal.due_requests = fail_once  # type: ignore[method-assign]
    checks.wall.advance(60)
    running = asyncio.create_task(checks.desk._follower.refill_checks.run())
    await eventually(checks.calls)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert "it is down" in caplog.text
