"""The shared polling schedule: which changes are yielded, when orders are polled, closing."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual import run, turns

from smmfanfast_async import (
    AuthenticationError,
    ClosedError,
    ErrorKind,
    OrderNotFoundError,
    OrderStatus,
    PanelError,
    ServerError,
    WaitTimeoutError,
)
from smmfanfast_async._engine.instrumentation import Instrumentation
from smmfanfast_async._engine.policy import PollPolicy
from smmfanfast_async._engine.polling import MAX_ROUND_IDS, MISSING_AFTER, Poller, Until
from smmfanfast_async.changes import ChangeKind, StatusChange
from smmfanfast_async.events import Event, OrderChanged, OrdersTracked

POLICY = PollPolicy()
LEFT_OUT = PanelError("left out of the answer", kind=ErrorKind.NOT_FOUND, action="status")
UNKNOWN_ID = OrderNotFoundError("Incorrect order ID", action="status")
DOWN = ServerError("bad gateway", http_status=502, action="status")

Answer = OrderStatus | PanelError


def status(raw_status: str, **fields: int) -> OrderStatus:
    return OrderStatus(raw_status=raw_status, **fields)


class Panel:
    """Answers polls from `orders` and records when they happened."""

    def __init__(self, **orders: Answer) -> None:
        self.orders = {name.removeprefix("o"): answer for name, answer in orders.items()}
        self.polls: list[tuple[float, list[str]]] = []
        self.delay_s = 0.0
        self.failure: BaseException | None = None
        self.events: list[Event] = []
        self.poller = Poller(self.poll, POLICY, lambda: 0.5, Instrumentation(self.events.append))

    async def poll(self, orders: list[str]) -> AsyncGenerator[tuple[str, Answer], None]:
        self.polls.append((asyncio.get_running_loop().time(), orders))
        await asyncio.sleep(self.delay_s)
        if self.failure is not None:
            raise self.failure
        for order in orders:
            yield order, self.orders.get(order, UNKNOWN_ID)

    @property
    def times_s(self) -> list[float]:
        return [at_s for at_s, _ in self.polls]

    async def collect(
        self,
        *orders: str,
        until: Until | None = None,
        timeout_s: float | None = None,
        into: list[StatusChange] | None = None,
    ) -> list[StatusChange]:
        changes: list[StatusChange] = [] if into is None else into
        async with aclosing(self.poller.watch(orders, until, timeout_s)) as stream:
            async for change in stream:
                changes.append(change)  # noqa: PERF401  # kept if an error follows
        return changes

    def change_later(self, delay_s: float, order: str, answer: Answer) -> None:
        asyncio.get_running_loop().call_later(delay_s, self.orders.__setitem__, order, answer)


def kinds(changes: list[StatusChange]) -> list[ChangeKind]:
    return [change.kind for change in changes]


def raw_statuses(change: StatusChange) -> tuple[str | None, str | None]:
    before, after = change.before, change.after
    return before and before.raw_status, after and after.raw_status


# --- yielded changes -----------------------------------------------------------------------------


def test_changes_are_yielded_from_first_poll_until_final() -> None:
    async def main() -> list[StatusChange]:
        panel = Panel(o1=status("Pending"))
        panel.change_later(7, "1", status("In progress", remains=9))
        panel.change_later(14, "1", status("In progress", remains=4))
        panel.change_later(21, "1", status("Completed"))
        return await panel.collect("1")

    changes = run(main())

    assert kinds(changes) == ["first", "status", "progress", "finished"]
    assert [raw_statuses(change) for change in changes] == [
        (None, "Pending"),
        ("Pending", "In progress"),
        ("In progress", "In progress"),
        ("In progress", "Completed"),
    ]


def test_unchanged_status_is_not_yielded() -> None:
    async def main() -> tuple[list[StatusChange], int]:
        panel = Panel(o1=status("Pending"))
        panel.change_later(3600, "1", status("Completed"))
        return await panel.collect("1"), len(panel.polls)

    changes, polls = run(main())

    assert kinds(changes) == ["first", "finished"]
    assert polls > 10


def test_backward_moves_and_unknown_statuses_are_yielded() -> None:
    async def main() -> list[StatusChange]:
        panel = Panel(o1=status("In progress"))
        panel.change_later(8, "1", status("Pending"))
        panel.change_later(16, "1", status("Sleeping"))
        panel.change_later(24, "1", status("Completed"))
        return await panel.collect("1")

    assert kinds(run(main())) == ["first", "backwards", "unknown_word", "finished"]


def test_watching_no_orders_ends_at_once() -> None:
    panel = Panel()

    assert run(panel.collect()) == []
    assert panel.polls == []


def test_id_the_panel_never_knew_is_missing_at_once() -> None:
    panel = Panel(o1=status("Completed"))

    changes = run(panel.collect("1", "2"))

    assert [(change.order, change.kind) for change in changes] == [
        ("1", "finished"),
        ("2", "missing"),
    ]
    assert changes[1].after is None
    assert isinstance(changes[1].error, OrderNotFoundError)


@pytest.mark.parametrize("answer", [UNKNOWN_ID, LEFT_OUT])
def test_known_order_is_missing_after_three_polls(answer: PanelError) -> None:
    async def main() -> tuple[list[StatusChange], int]:
        panel = Panel(o1=status("Pending"))
        panel.change_later(1, "1", answer)
        return await panel.collect("1"), len(panel.polls)

    changes, polls = run(main())

    assert kinds(changes) == ["first", "missing"]
    assert raw_statuses(changes[1]) == ("Pending", None)
    assert polls == 1 + MISSING_AFTER


def test_order_omitted_from_the_start_is_missing_after_three_polls() -> None:
    panel = Panel(o1=LEFT_OUT)

    assert kinds(run(panel.collect("1"))) == ["missing"]
    assert len(panel.polls) == MISSING_AFTER


def test_order_that_reappears_in_time_is_not_missing() -> None:
    async def main() -> list[StatusChange]:
        panel = Panel(o1=status("Pending"))
        for begun_s in (1, 30, 60):
            panel.change_later(begun_s, "1", LEFT_OUT)
            panel.change_later(begun_s + 9, "1", status("Pending"))
        panel.change_later(90, "1", status("Completed"))
        return await panel.collect("1")

    assert kinds(run(main())) == ["first", "finished"]


def test_failed_poll_is_repeated() -> None:
    async def main() -> tuple[list[StatusChange], int]:
        panel = Panel(o1=DOWN)
        panel.change_later(120, "1", status("Completed"))
        return await panel.collect("1"), len(panel.polls)

    changes, polls = run(main())

    assert kinds(changes) == ["finished"]
    assert polls > 3


def test_until_ends_watching_before_an_order_is_final() -> None:
    async def main() -> tuple[list[StatusChange], int]:
        panel = Panel(o1=status("Pending"))
        panel.change_later(7, "1", status("In progress", start_count=5))
        changes = await panel.collect("1", until=lambda current: current.start_count is not None)
        return changes, len(panel.polls)

    changes, polls = run(main())

    assert kinds(changes) == ["first", "status"]
    assert polls == 3


# --- several watchers ----------------------------------------------------------------------------


def test_watchers_share_polls_and_have_their_own_first_change() -> None:
    async def main() -> tuple[Panel, list[list[StatusChange]]]:
        panel = Panel(o1=status("Pending"), o2=status("Pending"), o3=status("Pending"))
        for order in ("1", "2", "3"):
            panel.change_later(30, order, status("Completed"))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(panel.collect(*orders))
                for orders in (["1", "2"], ["2", "3"], ["1", "2", "3"])
            ]
        return panel, [task.result() for task in tasks]

    panel, collected = run(main())

    assert [len(changes) for changes in collected] == [4, 4, 6]
    assert all(sorted(orders) == ["1", "2", "3"] for _, orders in panel.polls)
    assert len(panel.polls) < 8


def test_late_watcher_gets_a_fresh_status_at_once() -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"))
        first = asyncio.ensure_future(panel.collect("1"))
        await asyncio.sleep(2)
        second: list[StatusChange] = []
        watching = asyncio.ensure_future(panel.collect("1", into=second))
        await turns()

        assert kinds(second) == ["first"]
        assert len(panel.polls) == 1
        panel.orders["1"] = status("Completed")
        assert kinds(await watching) == ["first", "finished"]
        await first

    run(main())


def test_late_watcher_is_done_if_the_fresh_status_is_enough() -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"))
        first = asyncio.ensure_future(panel.collect("1"))
        await asyncio.sleep(2)

        assert kinds(await panel.collect("1", until=lambda current: True)) == ["first"]
        assert len(panel.polls) == 1
        first.cancel()
        await asyncio.wait({first})

    run(main())


def test_late_watcher_gets_the_status_of_an_unchanged_order() -> None:
    async def main() -> None:
        panel = Panel(o1=status("In progress", start_count=5))
        first = asyncio.ensure_future(panel.collect("1"))
        await asyncio.sleep(3700)

        before = len(panel.polls)
        assert panel.times_s[-1] < 3700 - POLICY.min_interval_s
        changes = await panel.collect("1", until=lambda current: True, timeout_s=60)

        assert kinds(changes) == ["first"]
        assert len(panel.polls) == before + 1
        first.cancel()
        await asyncio.wait({first})

    run(main())


def test_simultaneous_watchers_cause_one_poll() -> None:
    async def main() -> None:
        panel = Panel(o1=status("In progress"))
        first = asyncio.ensure_future(panel.collect("1"))
        await asyncio.sleep(3700)
        before = len(panel.polls)

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(panel.collect("1", until=lambda current: True))

        assert len(panel.polls) == before + 1
        first.cancel()
        await asyncio.wait({first})

    run(main())


def test_before_is_the_status_this_watcher_consumed_last() -> None:
    async def main() -> list[StatusChange]:
        panel = Panel(o1=status("Pending"))
        first = asyncio.ensure_future(panel.collect("1"))
        await asyncio.sleep(3600)
        panel.orders["1"] = status("In progress")
        changes: list[StatusChange] = []
        second = asyncio.ensure_future(panel.collect("1", into=changes))
        await asyncio.sleep(5)
        panel.orders["1"] = status("Completed")
        await asyncio.gather(first, second)
        return changes

    changes = run(main())

    assert kinds(changes) == ["first", "finished"]
    assert raw_statuses(changes[0]) == (None, "In progress")


def test_joining_a_failing_order_polls_it_at_once() -> None:
    async def main() -> None:
        panel = Panel(o1=DOWN)
        first = asyncio.ensure_future(panel.collect("1"))
        await asyncio.sleep(86_400)
        panel.orders["1"] = status("Completed")
        asked_s = asyncio.get_running_loop().time()

        await panel.collect("1")

        assert asyncio.get_running_loop().time() - asked_s < 10
        await first

    run(main())


def test_slow_watcher_delays_no_other_and_gets_one_merged_change() -> None:
    async def main() -> tuple[list[StatusChange], list[StatusChange]]:
        panel = Panel(o1=status("Pending"))
        panel.change_later(10, "1", status("Processing"))
        panel.change_later(20, "1", status("In progress"))
        panel.change_later(60, "1", status("Completed"))
        quick = asyncio.ensure_future(panel.collect("1"))
        slow: list[StatusChange] = []
        async with aclosing(panel.poller.watch(["1"], None, None)) as stream:
            async for change in stream:
                slow.append(change)
                await asyncio.sleep(40)
        return await quick, slow

    quick, slow = run(main())

    assert kinds(quick) == ["first", "status", "status", "finished"]
    assert kinds(slow) == ["first", "status", "finished"]
    assert [raw_statuses(change) for change in slow][1] == ("Pending", "In progress")


def test_change_reverted_while_the_watcher_is_busy_is_dropped() -> None:
    async def main() -> list[StatusChange]:
        panel = Panel(o1=status("In progress"))
        panel.change_later(10, "1", status("Paused"))
        panel.change_later(25, "1", status("In progress"))
        panel.change_later(60, "1", status("Completed"))
        slow: list[StatusChange] = []
        async with aclosing(panel.poller.watch(["1"], None, None)) as stream:
            async for change in stream:
                slow.append(change)
                await asyncio.sleep(45)
        return slow

    assert kinds(run(main())) == ["first", "finished"]


@pytest.mark.parametrize("orders", [("1", "2"), ("1", "2", "3")])
def test_change_reverted_while_busy_with_another_order_is_dropped(orders: tuple[str, ...]) -> None:
    """Pending, processing and pending again, while the caller handles another order's change."""

    async def main() -> list[StatusChange]:
        panel = Panel(**{f"o{order}": status("Pending") for order in orders})
        for order in orders:
            panel.change_later(10, order, status("Processing"))
            panel.change_later(30, order, status("Processing" if order == "1" else "Pending"))
            panel.change_later(200, order, status("Completed"))
        slow: list[StatusChange] = []
        async with aclosing(panel.poller.watch(orders, None, None)) as stream:
            async for change in stream:
                slow.append(change)
                if change.order == "1":
                    await asyncio.sleep(50 if change.kind is ChangeKind.STATUS else 0)
        return slow

    changes = run(main())

    assert kinds([each for each in changes if each.order == "1"]) == ["first", "status", "finished"]
    for order in orders[1:]:
        assert kinds([each for each in changes if each.order == order]) == ["first", "finished"]


def test_first_change_is_first_even_if_until_accepts_it() -> None:
    """A change before the first poll of an order is yielded as its first status."""

    async def main() -> list[StatusChange]:
        panel = Panel(o1=status("Pending"), o2=status("Pending"))
        panel.change_later(8, "2", status("In progress"))
        panel.change_later(60, "1", status("Completed"))
        panel.change_later(60, "2", status("Completed"))
        slow: list[StatusChange] = []
        async with aclosing(panel.poller.watch(["1", "2"], None, None)) as stream:
            async for change in stream:
                slow.append(change)
                await asyncio.sleep(30)
        return [change for change in slow if change.order == "2"]

    changes = run(main())

    assert kinds(changes) == ["first", "finished"]
    assert raw_statuses(changes[0]) == (None, "In progress")


def test_each_watcher_of_a_missing_order_gets_its_own_error() -> None:
    async def main() -> list[list[StatusChange]]:
        panel = Panel()
        return await asyncio.gather(panel.collect("1"), panel.collect("1"))

    (first,), (second,) = run(main())

    assert isinstance(first.error, OrderNotFoundError)
    assert isinstance(second.error, OrderNotFoundError)
    assert first.error is not second.error


def test_watcher_that_breaks_off_does_not_affect_another() -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"), o2=status("Pending"))
        first = asyncio.ensure_future(panel.collect("1", "2"))
        other = asyncio.ensure_future(panel.collect("1"))
        await asyncio.sleep(3)
        first.cancel()
        await asyncio.wait({first})
        panel.orders["1"] = status("Completed")

        assert kinds(await other) == ["first", "finished"]
        assert panel.polls[-1][1] == ["1"]

    run(main())


def test_order_without_watchers_is_not_polled() -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"))
        panel.delay_s = 3
        async with aclosing(panel.poller.watch(["1"], None, None)) as stream:
            await anext(stream)
            polls = len(panel.polls)
        await asyncio.sleep(3600)

        assert len(panel.polls) == polls

    run(main())


def test_answer_for_an_unwatched_order_is_dropped() -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"), o2=status("Completed"))
        panel.delay_s = 3
        leaving = asyncio.ensure_future(panel.collect("1"))
        staying = asyncio.ensure_future(panel.collect("2"))
        await asyncio.sleep(1)
        leaving.cancel()

        assert kinds(await staying) == ["finished"]

    run(main())


# --- failing `until`, failing polls --------------------------------------------------------------


def failing_until(current: OrderStatus) -> bool:
    raise LookupError("no such field")


def reading_a_cancelled_task(found: OrderStatus) -> bool:
    raise asyncio.CancelledError


@pytest.mark.parametrize(("until", "error"), [
    (failing_until, LookupError), (reading_a_cancelled_task, asyncio.CancelledError),
])  # fmt: skip
def test_failing_until_ends_only_its_own_watcher(until: Until, error: type[BaseException]) -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"))
        wrong = asyncio.ensure_future(panel.collect("1", until=until))
        right = asyncio.ensure_future(panel.collect("1"))
        other = asyncio.ensure_future(panel.collect("2", "1"))
        with pytest.raises(error):
            await wrong
        panel.orders["1"] = status("Completed")

        assert kinds(await right) == ["first", "finished"]
        assert kinds(await other) == ["first", "missing", "finished"]

    run(main())


def test_until_failing_on_a_fresh_status_ends_only_its_watcher() -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"))
        right = asyncio.ensure_future(panel.collect("1"))
        await asyncio.sleep(1)
        with pytest.raises(LookupError):
            await panel.collect("1", until=failing_until)
        panel.orders["1"] = status("Completed")

        assert kinds(await right) == ["first", "finished"]

    run(main())


def test_broken_poll_ends_every_watcher() -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"))
        watchers = [asyncio.ensure_future(panel.collect("1")) for _ in range(2)]
        await asyncio.sleep(1)
        panel.failure = LookupError("an internal error")

        results = await asyncio.gather(*watchers, return_exceptions=True)

        assert [type(result) for result in results] == [LookupError, LookupError]
        assert results[0] is not results[1]
        panel.failure = None
        panel.orders["1"] = status("Completed")
        assert kinds(await panel.collect("1")) == ["finished"]

    run(main())


@pytest.mark.parametrize("failure", [
    ClosedError("the client is closed"), AuthenticationError("Invalid API key", http_status=401),
])  # fmt: skip
def test_error_of_a_whole_poll_ends_every_watcher(failure: PanelError) -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"), o2=status("Pending"))
        panel.failure = failure
        results = await asyncio.gather(
            panel.collect("1"), panel.collect("2", "1"), return_exceptions=True
        )

        assert [type(result) for result in results] == [type(failure)] * 2
        assert results[0] is not results[1]

    run(main())


def test_wrong_key_ends_every_watcher_naming_its_own_order() -> None:
    async def main() -> list[object]:
        panel = Panel(o1=status("Pending"), o2=AuthenticationError("Invalid API key"))
        return await asyncio.gather(panel.collect("1"), panel.collect("2"), return_exceptions=True)

    first, second = run(main())

    assert isinstance(first, AuthenticationError)
    assert isinstance(second, AuthenticationError)
    assert (first.order, second.order) == ("1", "2")


def test_changes_before_an_error_are_yielded_first() -> None:
    async def main() -> list[StatusChange]:
        panel = Panel(o1=status("Pending"), o2=AuthenticationError("Invalid API key"))
        changes: list[StatusChange] = []
        with pytest.raises(AuthenticationError):
            await panel.collect("1", "2", into=changes)
        return changes

    assert kinds(run(main())) == ["first"]


# --- time ----------------------------------------------------------------------------------------


def test_timeout_names_the_order_its_status_and_the_poll_error() -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"), o2=DOWN)
        plain = "^status of order 1: not final within 9 s$"
        with pytest.raises(WaitTimeoutError, match=plain) as caught:
            await panel.collect("1", timeout_s=9)
        assert (caught.value.order, caught.value.raw_status) == ("1", "Pending")
        with pytest.raises(WaitTimeoutError, match="2 orders not final within 9 s"):
            await panel.collect("1", "2", timeout_s=9)
        with pytest.raises(WaitTimeoutError, match=r"last poll failed: .*bad gateway") as caught:
            await panel.collect("2", timeout_s=9)
        assert caught.value.raw_status is None
        assert asyncio.get_running_loop().time() == pytest.approx(27, abs=0.01)

    run(main())


@pytest.mark.parametrize(
    "answer", [status("Completed"), AuthenticationError("Invalid API key"), UNKNOWN_ID]
)
def test_change_at_the_moment_of_the_timeout_is_yielded_first(answer: Answer) -> None:
    """The timer has fired already, the watcher has not run yet."""

    async def main() -> None:
        panel = Panel(o1=answer)
        panel.delay_s = 1000
        watching = asyncio.ensure_future(panel.collect("1", timeout_s=5))
        await turns()
        at_s = asyncio.get_running_loop().time() + 5
        watched = panel.poller._orders["1"]
        asyncio.get_running_loop().call_at(
            at_s + 1e-10, lambda: panel.poller._record_result("1", watched, answer)
        )
        await asyncio.wait({watching})

        if isinstance(answer, AuthenticationError):
            assert isinstance(watching.exception(), AuthenticationError)
        else:
            assert [each.order for each in watching.result()] == ["1"]

    run(main())


def test_constantly_busy_watcher_still_times_out() -> None:
    async def watch_slowly(poller: Poller) -> None:
        async with aclosing(poller.watch([*"1234"], None, 60)) as stream:
            async for _ in stream:
                await asyncio.sleep(7)

    async def main() -> float:
        loop = asyncio.get_running_loop()

        async def poll(orders: list[str]) -> AsyncGenerator[tuple[str, Answer], None]:
            for order in orders:
                yield order, status("In progress", remains=int(loop.time() * 1000))

        poller = Poller(poll, PollPolicy(min_interval_s=5, max_interval_s=5), lambda: 0.5)
        with pytest.raises(WaitTimeoutError):
            await watch_slowly(poller)
        return loop.time()

    assert run(main()) < 60 + 5 * 7


def test_interval_grows_without_changes_and_is_bounded() -> None:
    async def main() -> list[float]:
        panel = Panel(o1=status("Pending"))
        with pytest.raises(WaitTimeoutError):
            await panel.collect("1", timeout_s=3 * 86_400)
        return panel.times_s

    times_s = run(main())
    gaps_s = [later - sooner for sooner, later in pairwise(times_s)]

    assert gaps_s[0] == pytest.approx(POLICY.min_interval_s, abs=1)
    assert all(later >= sooner - 1e-6 for sooner, later in pairwise(gaps_s))
    assert gaps_s[-1] == pytest.approx(POLICY.max_interval_s)
    assert len(times_s) < 3 * 86_400 / POLICY.max_interval_s + 60


def test_change_resets_the_interval() -> None:
    async def main() -> list[float]:
        panel = Panel(o1=status("Pending"))
        panel.change_later(40_000, "1", status("In progress"))
        with pytest.raises(WaitTimeoutError):
            await panel.collect("1", timeout_s=42_000)
        return panel.times_s

    times_s = run(main())
    seen_s = next(at_s for at_s in times_s if at_s >= 40_000)
    then_s = next(at_s for at_s in times_s if at_s > seen_s)

    assert then_s - seen_s == pytest.approx(POLICY.min_interval_s)


def test_omitted_order_is_polled_again_soon() -> None:
    async def main() -> list[float]:
        panel = Panel(o1=status("Pending"))
        panel.change_later(40_000, "1", LEFT_OUT)
        await panel.collect("1")
        return panel.times_s

    *_, first, second, third = run(main())

    assert third - second == second - first == pytest.approx(POLICY.min_interval_s)


def test_polls_due_at_about_the_same_time_are_merged() -> None:
    async def main() -> list[list[str]]:
        panel = Panel(o1=status("Pending"), o2=status("Pending"))
        watchers = [asyncio.ensure_future(panel.collect("1"))]
        await asyncio.sleep(0.5)
        watchers.append(asyncio.ensure_future(panel.collect("2")))
        await asyncio.sleep(20)
        panel.orders = dict.fromkeys("12", status("Completed"))
        await asyncio.gather(*watchers)
        return [sorted(orders) for _, orders in panel.polls]

    polls = run(main())

    assert polls[:2] == [["1"], ["2"]]
    assert polls[2:] == [["1", "2"]] * len(polls[2:])


def test_polling_round_is_bounded() -> None:
    async def main() -> list[int]:
        panel = Panel()
        await panel.collect(*map(str, range(MAX_ROUND_IDS + 10)))
        return [len(orders) for _, orders in panel.polls]

    assert run(main()) == [MAX_ROUND_IDS, 10]


# --- closing -------------------------------------------------------------------------------------


def test_closing_ends_every_watcher_and_poll() -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"), o2=status("Pending"))
        watchers = [asyncio.ensure_future(panel.collect(*orders)) for orders in ("1", "12")]
        await asyncio.sleep(1)
        panel.delay_s = 30
        await asyncio.sleep(10)

        await panel.poller.close()

        results = await asyncio.gather(*watchers, return_exceptions=True)
        assert [type(result) for result in results] == [ClosedError, ClosedError]
        assert results[0] is not results[1]
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await panel.poller.close()

    run(main())


def test_slow_watcher_gets_pending_changes_after_closing() -> None:
    async def main() -> None:
        panel = Panel(o1=status("Completed"), o2=status("Completed"), o3=status("Pending"))
        stream = panel.poller.watch("123", None, None)
        first = await anext(stream)
        await turns()
        await panel.poller.close()

        assert first.order == "1"
        assert [(await anext(stream)).order for _ in range(2)] == ["2", "3"]
        with pytest.raises(ClosedError):
            await anext(stream)

    run(main())


def test_task_cancelled_from_outside_leaves_no_watcher_waiting() -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"))
        watching = asyncio.ensure_future(panel.collect("1"))
        await asyncio.sleep(1)
        assert panel.poller._task is not None
        panel.poller._task.cancel()

        with pytest.raises(ClosedError):
            await watching
        panel.orders["1"] = status("Completed")
        assert kinds(await panel.collect("1")) == ["finished"]

    run(main())


def test_watching_works_again_after_all_watchers_left() -> None:
    async def main() -> None:
        panel = Panel(o1=status("Pending"))
        panel.delay_s = 1
        for wait_s in (0.0, 0.5, 2.0, 4.0):
            watching = asyncio.ensure_future(panel.collect("1"))
            await asyncio.sleep(wait_s)
            watching.cancel()
            await turns(1)
        panel.orders["1"] = status("Completed")

        assert kinds(await panel.collect("1")) == ["finished"]

    run(main())


def test_unwatched_orders_use_no_memory() -> None:
    async def main() -> None:
        panel = Panel(**{f"o{number}": status("Pending") for number in range(3000)})
        staying = asyncio.ensure_future(panel.collect("0"))
        for _ in range(3):
            leaving = asyncio.ensure_future(panel.collect(*map(str, range(1, 3000))))
            await asyncio.sleep(2)
            leaving.cancel()
            await asyncio.wait({leaving})

        await asyncio.sleep(10)
        assert len(panel.poller._orders) == 1
        assert len(panel.poller._schedule) < 3000
        staying.cancel()
        await asyncio.wait({staying})
        assert panel.poller._schedule == []

    run(main())


# --- random schedules ----------------------------------------------------------------------------

STATUSES = ["Pending", "Processing", "In progress", "Paused", "Other", "Completed", "Partial"]
WatchPlan = tuple[float, list[str], float | None, float | None]


@settings(deadline=None, max_examples=150)
@given(
    moves=st.lists(
        st.tuples(
            st.floats(0, 400), st.sampled_from("123"), st.sampled_from([*STATUSES, None, 502])
        ),
        max_size=12,
    ),
    watches=st.lists(
        st.tuples(
            st.floats(0, 300),
            st.lists(st.sampled_from("123"), max_size=3),
            st.none() | st.floats(0, 200),
            st.none() | st.floats(0, 200),
        ),
        max_size=6,
    ),
    delay_s=st.floats(0, 12),
    close_s=st.none() | st.floats(0, 400),
)
def test_every_watcher_ends_with_a_consistent_history(
    moves: list[tuple[float, str, str | int | None]],
    watches: list[WatchPlan],
    delay_s: float,
    close_s: float | None,
) -> None:
    """Watchers start, end, are cancelled and time out while orders change at random."""

    async def main() -> None:
        panel = Panel(**{f"o{order}": status("Pending") for order in "123"})
        panel.delay_s = delay_s
        for at_s, order, raw_status in moves:
            panel.change_later(at_s, order, answer_for(raw_status))
        for order in "123":
            panel.change_later(500, order, status("Completed"))
        tasks = [asyncio.ensure_future(watch_for_a_while(panel, *plan)) for plan in watches]
        if close_s is not None:
            await asyncio.sleep(close_s)
            await panel.poller.close()
            # The client rejects watchers that arrive after closing.
            await asyncio.sleep(310)
            await panel.poller.close()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, WaitTimeoutError | ClosedError), result
        assert not panel.poller._orders
        assert not panel.poller._schedule

    run(main())


async def watch_for_a_while(
    panel: Panel, at_s: float, orders: list[str], timeout_s: float | None, cancel_s: float | None
) -> None:
    """Watch from a time on, for a limited time; the changes must be consistent."""
    await asyncio.sleep(at_s)
    with suppress(TimeoutError):
        async with asyncio.timeout(cancel_s):
            await watch_and_check(panel, orders, timeout_s)


async def watch_and_check(panel: Panel, orders: list[str], timeout_s: float | None) -> None:
    last: dict[str, OrderStatus | None] = {}
    async with aclosing(panel.poller.watch(orders, None, timeout_s)) as stream:
        async for change in stream:
            assert change.before == last.get(change.order)
            assert change.before != change.after or change.kind == "missing"
            assert (change.kind == "missing") == (change.after is None)
            last[change.order] = change.after
    assert set(last) == set(orders)
    assert all(each is None or each.is_final for each in last.values())


def answer_for(raw_status: str | int | None) -> Answer:
    if raw_status is None:
        return LEFT_OUT
    return DOWN if isinstance(raw_status, int) else status(raw_status)


# --- emitted events ------------------------------------------------------------------------------


def test_each_consumed_change_is_emitted_as_enum_values() -> None:
    async def main() -> list[Event]:
        panel = Panel(o1=status("Pending"), o2=UNKNOWN_ID)
        panel.change_later(7, "1", status("Other raw_status", remains=9))
        panel.change_later(14, "1", status("Completed"))
        await panel.collect("1", "2")
        return panel.events

    emitted = [
        (each.order, each.kind, each.before, each.after)
        for each in run(main())
        if isinstance(each, OrderChanged)
    ]

    assert emitted == [
        ("1", "first", None, "pending"),
        ("2", "missing", None, None),
        ("1", "unknown_word", "pending", "unknown"),
        ("1", "finished", "unknown", "completed"),
    ]


def tracked_counts(events: list[Event]) -> list[int]:
    return [each.order_count for each in events if isinstance(each, OrdersTracked)]


def test_order_count_is_emitted_when_it_changes() -> None:
    async def main() -> list[Event]:
        panel = Panel(o1=status("Pending"), o2=status("Pending"), o3=status("Completed"))
        panel.change_later(20, "1", status("Completed"))
        panel.change_later(40, "2", status("Completed"))
        await asyncio.gather(panel.collect("1", "2", "3"), panel.collect("1"))
        return panel.events

    assert tracked_counts(run(main())) == [3, 2, 1, 0]


def test_breaking_off_reduces_the_order_count() -> None:
    async def main() -> list[Event]:
        panel = Panel(o1=status("Pending"), o2=status("Pending"))
        with suppress(WaitTimeoutError):
            await panel.collect("1", "2", timeout_s=30)
        return panel.events

    assert tracked_counts(run(main())) == [2, 0]


def test_wrong_key_resets_the_order_count() -> None:
    async def main() -> list[Event]:
        panel = Panel(o1=AuthenticationError("no", action="status"))
        with suppress(AuthenticationError):
            await panel.collect("1")
        return panel.events

    assert tracked_counts(run(main())) == [1, 0]
