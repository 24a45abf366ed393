"""Coalescing: what is shared, when a batch starts, and that every caller gets an outcome."""

import asyncio
import copy
import gc
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context, ContextVar
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual import run, turns

from smmfanfast_async._engine.coalescer import (
    DELAY_S,
    EXPIRY_RESOLUTION_S,
    MAX_DELAY_S,
    BatchCancelledError,
    Coalescer,
)

Result = list[str]
Outcome = Mapping[str, Result | Exception] | Exception | None


class Fetches:
    """Fetches that complete only when the test calls `complete`."""

    def __init__(self, *, size: int = 3, concurrency: int = 2, delay_s: float = DELAY_S) -> None:
        self.batches: list[list[str]] = []
        self.groups: list[str] = []
        self.left_s: list[float] = []
        self.open: list[asyncio.Future[Outcome]] = []
        self.cancelled = 0
        self.coalescer = Coalescer[str, str, Result](
            self.fetch, size=size, concurrency=concurrency, delay_s=delay_s
        )

    async def fetch(
        self, keys: list[str], group: str, timeout_s: float
    ) -> Mapping[str, Result | Exception]:
        self.batches.append(keys)
        self.groups.append(group)
        self.left_s.append(timeout_s)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.open.append(future)
        try:
            outcome = await future
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return {key: [key] for key in keys} if outcome is None else outcome

    def ask(self, key: str, timeout_s: float = 60, group: str = "") -> "asyncio.Task[Result]":
        return asyncio.ensure_future(self.coalescer.load(key, timeout_s=timeout_s, group=group))

    def ask_all(self, keys: str) -> "list[asyncio.Task[Result]]":
        return [self.ask(key) for key in keys]

    async def complete(self, number: int, outcome: Outcome = None) -> None:
        self.open[number].set_result(outcome)
        await turns()


def with_fetches(main: Callable[[Fetches], Awaitable[None]], **options: Any) -> None:
    async def on_loop() -> None:
        await main(Fetches(**options))

    run(on_loop())


# --- what is shared ------------------------------------------------------------------------------


def test_callers_of_one_tick_share_batches() -> None:
    async def main(fetches: Fetches) -> None:
        tasks = fetches.ask_all("abcde")
        await turns()

        assert fetches.batches == [["a", "b", "c"], ["d", "e"]]
        await fetches.complete(1)
        await fetches.complete(0)
        assert [task.result() for task in tasks] == [[key] for key in "abcde"]

    with_fetches(main)


@pytest.mark.parametrize("callers", [1, 99, 100, 101, 1000])
def test_burst_makes_the_fewest_requests(callers: int) -> None:
    async def main() -> int:
        fetched = 0

        async def fetch(keys: list[int], group: str, timeout_s: float) -> dict[int, int]:
            nonlocal fetched
            fetched += 1
            await asyncio.sleep(0.05)
            return {key: key for key in keys}

        coalescer = Coalescer[int, str, int](fetch, size=100, concurrency=4)
        loads = (coalescer.load(key, timeout_s=60, group="") for key in range(callers))
        assert await asyncio.gather(*loads) == list(range(callers))
        return fetched

    assert run(main()) == -(-callers // 100)


def test_lone_caller_is_fetched_on_the_next_tick() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("a")
        await turns(3)

        assert fetches.batches == [["a"]]
        assert asyncio.get_running_loop().time() == 0
        await fetches.complete(0)

    with_fetches(main)


def test_waiting_key_is_fetched_once_and_the_result_copied() -> None:
    async def main(fetches: Fetches) -> None:
        tasks = fetches.ask_all("aaba")
        await turns()
        await fetches.complete(0)

        assert fetches.batches == [["a", "b"]]
        first, second, _, third = [task.result() for task in tasks]
        assert first == second == third == ["a"]
        assert len({id(first), id(second), id(third)}) == 3

    with_fetches(main)


def test_key_in_flight_is_fetched_again_for_a_new_caller() -> None:
    async def main(fetches: Fetches) -> None:
        old = fetches.ask("a")
        await turns()
        new = fetches.ask("a")
        await asyncio.sleep(DELAY_S)
        await fetches.complete(0, {"a": ["old"]})
        assert not new.done()
        await fetches.complete(1, {"a": ["new"]})

        assert (old.result(), new.result()) == (["old"], ["new"])

    with_fetches(main)


def test_groups_never_share_a_batch_and_take_turns() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("w")
        await turns()
        for group in "xy":
            for key in "abcde":
                fetches.ask(key, group=group)
        for number in range(5):
            await turns()
            await fetches.complete(number)

        assert fetches.groups == ["", "x", "y", "x", "y"]
        assert fetches.batches[1:] == [[*"abc"], [*"abc"], [*"de"], [*"de"]]

    with_fetches(main, concurrency=1)


# --- when a batch starts -------------------------------------------------------------------------


def test_full_batch_starts_at_once_and_the_rest_on_the_next_tick() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("x")
        await turns()
        fetches.ask_all("abcd")
        await turns(2)

        assert fetches.batches == [["x"], ["a", "b", "c"]]
        await asyncio.sleep(DELAY_S)
        assert fetches.batches == [["x"], ["a", "b", "c"], ["d"]]
        for number in range(3):
            await fetches.complete(number)

    with_fetches(main, concurrency=3)


def test_batch_stays_open_while_another_is_in_flight() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("x")
        await turns()
        fetches.ask("a")
        await asyncio.sleep(DELAY_S / 2)
        fetches.ask("b")
        assert len(fetches.batches) == 1
        await asyncio.sleep(DELAY_S / 2)

        assert fetches.batches[1:] == [["a", "b"]]
        await fetches.complete(0)
        await fetches.complete(1)

    with_fetches(main)


def test_without_delay_a_batch_starts_on_the_next_tick() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("x")
        await turns()
        fetches.ask("a")
        await turns(3)

        assert fetches.batches[1:] == [["a"]]
        await fetches.complete(0)
        await fetches.complete(1)

    with_fetches(main, delay_s=0)


def test_delay_is_bounded() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("x")
        await turns()
        fetches.ask("a")
        await asyncio.sleep(MAX_DELAY_S)
        await turns()

        assert fetches.batches[1:] == [["a"]]
        await fetches.complete(0)
        await fetches.complete(1)

    with_fetches(main, delay_s=3600)


def test_keys_accumulate_until_a_slot_is_free() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("x")
        await turns()
        for key in "abcdefg":
            fetches.ask(key)
            await asyncio.sleep(1)
        assert fetches.batches == [["x"]]

        await fetches.complete(0)
        assert fetches.batches[1:] == [["a", "b", "c"]]
        await fetches.complete(1)
        assert fetches.batches[2:] == [["d", "e", "f"]]
        await fetches.complete(2)
        assert fetches.batches[3:] == [["g"]]
        await fetches.complete(3)

    with_fetches(main, concurrency=1)


def test_free_slot_waits_for_the_open_batch() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("x")
        await turns()
        fetches.ask("a")
        await turns()
        await fetches.complete(0)
        assert len(fetches.batches) == 1
        fetches.ask("b")
        await asyncio.sleep(DELAY_S)

        assert fetches.batches[1:] == [["a", "b"]]
        await fetches.complete(1)

    with_fetches(main)


# --- errors --------------------------------------------------------------------------------------


class UncopyableError(Exception):
    """Has a required keyword argument, so that `copy` cannot rebuild it."""

    def __init__(self, *, name: str) -> None:
        super().__init__()
        self.name = name


def test_each_key_has_its_own_result_or_error() -> None:
    async def main(fetches: Fetches) -> None:
        good, bad, left_out = fetches.ask_all("abc")
        await turns()
        await fetches.complete(0, {"a": ["a"], "b": LookupError("no b")})

        assert good.result() == ["a"]
        assert repr(bad.exception()) == "LookupError('no b')"
        assert repr(left_out.exception()) == "KeyError('c')"

    with_fetches(main)


def test_each_waiter_gets_its_own_error_object_with_the_cause() -> None:
    async def main(fetches: Fetches) -> None:
        tasks = fetches.ask_all("aab")
        await turns()
        failure = LookupError("broken")
        failure.__cause__ = OSError("the disk")
        await fetches.complete(0, failure)

        errors = [task.exception() for task in tasks]
        assert [repr(error) for error in errors] == ["LookupError('broken')"] * 3
        assert len({id(error) for error in [*errors, failure]}) == 4
        assert all(error and error.__cause__ is failure.__cause__ for error in errors)

    with_fetches(main)


def test_error_that_cannot_be_copied_is_shared() -> None:
    async def main(fetches: Fetches) -> None:
        tasks = fetches.ask_all("ab")
        await turns()
        failure = UncopyableError(name="x")
        with pytest.raises(TypeError):
            copy.copy(failure)
        await fetches.complete(0, failure)

        assert [task.exception() for task in tasks] == [failure, failure]

    with_fetches(main)


class UncopyableResult(list[str]):
    def __copy__(self) -> "UncopyableResult":
        raise TypeError("cannot be copied")


def test_result_that_cannot_be_copied_is_shared() -> None:
    async def main(fetches: Fetches) -> None:
        tasks = fetches.ask_all("aab")
        await turns()
        one = UncopyableResult()
        await fetches.complete(0, {"a": one, "b": ["b"]})

        assert tasks[0].result() is tasks[1].result() is one
        assert tasks[2].result() == ["b"]

    with_fetches(main)


def test_failed_fetch_frees_its_slot() -> None:
    async def main(fetches: Fetches) -> None:
        first = fetches.ask("a")
        await turns()
        second = fetches.ask("b")
        await fetches.complete(0, LookupError("broken"))
        await fetches.complete(1)

        assert isinstance(first.exception(), LookupError)
        assert second.result() == ["b"]

    with_fetches(main, concurrency=1)


# --- cancelled callers ---------------------------------------------------------------------------


def test_cancelled_caller_does_not_affect_another() -> None:
    async def main(fetches: Fetches) -> None:
        tasks = fetches.ask_all("aab")
        await turns()
        tasks[0].cancel()
        await turns()
        await fetches.complete(0)

        assert tasks[0].cancelled()
        assert [tasks[1].result(), tasks[2].result()] == [["a"], ["b"]]

    with_fetches(main)


def test_key_without_waiters_is_not_fetched() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("x")
        await turns()
        tasks = fetches.ask_all("aabc")
        await turns()
        for task in (tasks[0], tasks[1], tasks[3]):
            task.cancel()
        await turns()
        await fetches.complete(0)
        await fetches.complete(1)

        assert fetches.batches[1:] == [["b"]]

    with_fetches(main, concurrency=1)


def test_key_removed_as_its_batch_starts_is_not_fetched() -> None:
    async def main(fetches: Fetches) -> None:
        tasks = fetches.ask_all("ab")
        await turns(1)  # they wait, and the batch starts in the next loop iteration
        tasks[0].cancel()
        await turns()

        assert fetches.batches == [["b"]]
        await fetches.complete(0)

    with_fetches(main)


def test_group_without_waiters_is_removed() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("x")
        await turns()
        task = fetches.ask("a", group="other")
        await turns()
        task.cancel()
        await turns()
        assert fetches.coalescer._groups == {}
        await fetches.complete(0)

        assert fetches.batches == [["x"]]

    with_fetches(main, concurrency=1)


def test_last_waiter_of_a_batch_cancels_its_fetch() -> None:
    async def main(fetches: Fetches) -> None:
        tasks = fetches.ask_all("ab")
        await turns()
        tasks[0].cancel()
        await turns()
        assert fetches.cancelled == 0
        tasks[1].cancel()
        await turns()

        assert fetches.cancelled == 1
        late = fetches.ask("c")
        await turns()
        await fetches.complete(1)
        assert late.result() == ["c"]

    with_fetches(main, concurrency=1)


@pytest.mark.parametrize("outcome", [None, LookupError("broken")])
@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("keys", ["ab", "aa"])
def test_cancellation_as_the_answer_arrives_is_harmless(
    outcome: Outcome, turn: int, keys: str
) -> None:
    """For every loop iteration between the response and the next step of the caller."""

    async def main(fetches: Fetches) -> None:
        task, other = fetches.ask_all(keys)
        await turns()
        fetches.open[0].set_result(outcome)
        await turns(turn)
        task.cancel()
        await turns()

        assert task.done()
        assert task.cancelled() is (turn < 3)
        assert other.done()
        for each in (task, other):
            if not each.cancelled():
                each.exception()

    with_fetches(main)


# --- time ----------------------------------------------------------------------------------------


def test_each_caller_has_its_own_timeout() -> None:
    async def main(fetches: Fetches) -> None:
        loop = asyncio.get_running_loop()
        ended_s: dict[str, float] = {}

        async def asks(name: str, key: str, timeout_s: float) -> None:
            with pytest.raises(TimeoutError):
                await fetches.coalescer.load(key, timeout_s=timeout_s, group="")
            ended_s[name] = loop.time()

        times_s = {"long": 9.0, "short": 1.0, "near": 1.01, "middle": 5.0}
        async with asyncio.TaskGroup() as group:
            for name, timeout_s in times_s.items():
                group.create_task(asks(name, "a" if name == "long" else name, timeout_s))

        for name, timeout_s in times_s.items():
            assert timeout_s - 1e-6 <= ended_s[name] <= timeout_s + EXPIRY_RESOLUTION_S + 1e-6
        await turns()
        assert fetches.cancelled == len(fetches.batches)

    with_fetches(main)


def test_timeout_applies_while_waiting_for_a_slot() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("x")
        await turns()
        with pytest.raises(TimeoutError):
            await fetches.ask("a", timeout_s=2)
        await fetches.complete(0)

        assert fetches.batches == [["x"]]

    with_fetches(main, concurrency=1)


def test_fetch_gets_the_latest_deadline_of_its_waiters() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("a", timeout_s=5)
        fetches.ask("a", timeout_s=30)
        fetches.ask("b", timeout_s=10)
        await turns()
        await fetches.complete(0)

        assert fetches.left_s == [30]

    with_fetches(main)


def test_later_caller_may_time_out_before_the_first() -> None:
    async def main(fetches: Fetches) -> None:
        fetches.ask("x")
        await turns()
        first = fetches.ask("a", timeout_s=60)
        await turns()
        second = fetches.ask("a", timeout_s=1)
        await asyncio.wait({second})

        assert isinstance(second.exception(), TimeoutError)
        assert not first.done()
        await fetches.complete(0)
        await fetches.complete(1)

    with_fetches(main, concurrency=1)


# --- closing -------------------------------------------------------------------------------------


def test_closing_ends_waiting_and_tells_what_was_in_flight() -> None:
    async def main(fetches: Fetches) -> None:
        on_the_way, waiting = fetches.ask("a"), None
        await turns()
        waiting = fetches.ask("b")
        await turns()
        fetches.coalescer.close()
        await fetches.coalescer.wait_closed()
        fetches.coalescer.close()

        assert fetches.cancelled == 1
        for task, was_asked in ((on_the_way, True), (waiting, False)):
            with pytest.raises(BatchCancelledError) as caught:
                await task
            assert caught.value.was_sent is was_asked
            assert copy.copy(caught.value).was_sent is was_asked

    with_fetches(main, concurrency=1)


def test_closing_right_after_a_batch_started_ends_it() -> None:
    async def main(fetches: Fetches) -> None:
        tasks = fetches.ask_all("abc")
        await turns(1)
        fetches.coalescer.close()
        await fetches.coalescer.wait_closed()

        assert fetches.batches == []
        for task in tasks:
            with pytest.raises(BatchCancelledError):
                await task

    with_fetches(main)


def test_fetch_cancelled_from_outside_leaves_no_waiter() -> None:
    async def main(fetches: Fetches) -> None:
        task = fetches.ask("a")
        await turns()
        fetches.open[0].cancel()

        with pytest.raises(BatchCancelledError) as caught:
            await task
        assert caught.value.was_sent

    with_fetches(main)


# --- several event loops -------------------------------------------------------------------------


def test_coalescer_works_on_consecutive_loops() -> None:
    fetches = Fetches()

    async def main(number: int) -> None:
        task = fetches.ask("a")
        await turns()
        await fetches.complete(number)
        assert task.result() == ["a"]

    for number in range(3):
        run(main(number))


def test_second_concurrent_loop_is_rejected() -> None:
    fetches = Fetches()

    async def ask() -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            await fetches.coalescer.load("b", timeout_s=1, group="")

    async def main() -> None:
        task = fetches.ask("a")
        await turns()
        await asyncio.to_thread(asyncio.run, ask())
        fetches.open[0].set_result(None)
        assert await task == ["a"]

    asyncio.run(main())


@pytest.mark.parametrize("is_closed_first", [True, False])
def test_leftovers_of_a_closed_loop_delay_nothing(*, is_closed_first: bool) -> None:
    fetches = Fetches()
    loop = asyncio.new_event_loop()
    left = loop.create_task(fetches.coalescer.load("a", timeout_s=60, group=""))
    loop.run_until_complete(turns())
    flights = [flight.task for flight in fetches.coalescer._batches]
    loop.close()

    async def main() -> None:
        task = fetches.ask("a")
        await turns()
        await fetches.complete(1)
        assert task.result() == ["a"]

    if is_closed_first:
        fetches.coalescer.close()
        run(fetches.coalescer.wait_closed())
    run(main())
    for task in [left, *flights]:
        assert task is not None
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # intentional


# --- random schedules ----------------------------------------------------------------------------

SIZE, CONCURRENCY = 3, 2


class Model:
    """A simple model of the queue of each group, compared with what is fetched."""

    def __init__(self, delay_s: float, fates: list[tuple[float, str]]) -> None:
        self.queues: dict[str, dict[str, set[int]]] = {}
        self.starting: dict[asyncio.Task[Any] | None, tuple[str, dict[str, set[int]]]] = {}
        self.gone: set[int] = set()
        self.deadlines_s: dict[int, float] = {}
        self.in_flight = self.fetched = self.asked = 0
        self.fates = fates
        model = self

        class ObservedCoalescer(Coalescer[str, str, Result]):
            def _start_batch(self, group: str) -> None:
                planned = model.start(group)
                super()._start_batch(group)
                model.starting[list(self._batches)[-1].task] = group, planned

        self.coalescer = ObservedCoalescer(
            self.fetch, size=SIZE, concurrency=CONCURRENCY, delay_s=delay_s
        )

    def is_expired(self, callers: set[int]) -> bool:
        now_s = asyncio.get_running_loop().time()
        return all(self.deadlines_s[each] <= now_s for each in callers)

    def drop_expired(self, group: str) -> None:
        """Drop expired keys that the coalescer has dropped before their callers are informed."""
        queue, waiting = self.queues[group], self.coalescer._groups.get(group, {})
        for key in [key for key, callers in queue.items() if self.is_expired(callers)]:
            if key not in waiting:
                del queue[key]

    def start(self, group: str) -> dict[str, set[int]]:
        self.drop_expired(group)
        queue = self.queues[group]
        return {key: queue.pop(key) for key in list(queue)[:SIZE]}

    async def fetch(
        self, keys: list[str], group: str, timeout_s: float
    ) -> Mapping[str, Result | Exception]:
        task = asyncio.current_task()
        assert task in self.starting  # a KeyError would look like an error of a key
        planned_group, planned = self.starting.pop(task)
        assert planned_group == group
        wanted = {key: left for key, callers in planned.items() if (left := callers - self.gone)}
        # At the moment of its deadline a key may or may not be dropped.
        assert keys == [key for key in wanted if key in keys]
        assert {key for key, left in wanted.items() if not self.is_expired(left)} <= set(keys)
        self.in_flight += 1
        assert self.in_flight <= CONCURRENCY
        delay_s, fate = self.fates[self.fetched % len(self.fates)]
        self.fetched += 1
        self.asked += len(keys)
        try:
            await asyncio.sleep(delay_s)
        finally:
            self.in_flight -= 1
        if fate == "fail":
            raise LookupError("broken")
        results: dict[str, Result | Exception] = {key: [key] for key in keys}
        if fate == "mixed":
            results[keys[0]] = LookupError("one of them")
            results.pop(keys[-1], None)
        return results

    async def call(self, number: int, call: tuple[float, str, str, float, float | None]) -> None:
        at_s, key, group, timeout_s, cancel_s = call
        await asyncio.sleep(at_s)
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        task = loop.create_task(self.load(number, key, group, timeout_s))
        if cancel_s is not None:
            loop.call_later(cancel_s, task.cancel)
        await asyncio.wait({task})
        assert loop.time() - started_s <= timeout_s + EXPIRY_RESOLUTION_S + 1e-6
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            assert task.result() == [key]
        else:
            assert isinstance(error, LookupError | TimeoutError | BatchCancelledError), error

    async def load(self, number: int, key: str, group: str, timeout_s: float) -> Result:
        queue = self.queues.setdefault(group, {})
        self.drop_expired(group)
        self.deadlines_s[number] = asyncio.get_running_loop().time() + timeout_s
        queue.setdefault(key, set()).add(number)
        try:
            return await self.coalescer.load(key, timeout_s=timeout_s, group=group)
        finally:
            self.gone.add(number)
            for waiting in self.queues.values():
                for name in [name for name, callers in waiting.items() if callers <= self.gone]:
                    del waiting[name]

    async def close(self) -> None:
        for waiting in self.queues.values():
            waiting.clear()
        self.coalescer.close()
        await self.coalescer.wait_closed()


GRID_S = st.integers(0, 40).map(lambda step: step / 20)
"""Times on a coarse grid: simultaneous events are the most error-prone."""


@settings(deadline=None, max_examples=400)
@given(
    calls=st.lists(
        st.tuples(
            GRID_S,
            st.sampled_from("abcdefg"),
            st.sampled_from("xy"),
            GRID_S.map(lambda span_s: span_s + 0.05),
            st.none() | GRID_S,
        ),
        max_size=30,
    ),
    fates=st.lists(
        st.tuples(GRID_S, st.sampled_from(["fine", "fine", "fail", "mixed"])), min_size=1
    ),
    delay_s=st.sampled_from([0.0, DELAY_S, MAX_DELAY_S]),
    close_s=st.none() | GRID_S,
)
def test_every_caller_ends_and_bounds_hold_in_any_history(
    calls: list[tuple[float, str, str, float, float | None]],
    fates: list[tuple[float, str]],
    delay_s: float,
    close_s: float | None,
) -> None:
    """First come, first served; no unwanted key is fetched; concurrency is bounded."""

    async def main() -> None:
        model = Model(delay_s, fates)
        async with asyncio.TaskGroup() as group:
            for number, call in enumerate(calls):
                group.create_task(model.call(number, call))
            if close_s is not None:
                await asyncio.sleep(close_s)
                await model.close()
        await turns()

        assert model.asked <= len(calls)
        assert model.in_flight == 0
        assert not model.coalescer._batches
        assert not model.coalescer._groups

    run(main())


@pytest.mark.asyncio
async def test_caller_may_be_cancelled_at_the_moment_of_closing() -> None:
    async def never(keys: list[str], group: str, timeout_s: float) -> Mapping[str, int | Exception]:
        raise AssertionError

    coalescer = Coalescer[str, str, int](never, size=2, concurrency=1)
    caller = asyncio.create_task(coalescer.load("a", timeout_s=10.0, group="x"))
    await asyncio.sleep(0)
    coalescer.close()
    caller.cancel()

    with pytest.raises(asyncio.CancelledError):
        await caller
    await coalescer.wait_closed()


# --- contexts ------------------------------------------------------------------------------------

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")


def ask_as(fetches: Fetches, request: str, key: str) -> "asyncio.Task[Result]":
    """Ask for a key in a context of its own, as a web framework calls a handler."""

    async def handler() -> Result:
        REQUEST.set(request)
        return await fetches.coalescer.load(key, timeout_s=60, group="")

    return asyncio.create_task(handler(), context=Context())


class TracedFetches(Fetches):
    """Fetches that note in whose context they run."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.requests: list[str] = []

    async def fetch(
        self, keys: list[str], group: str, timeout_s: float
    ) -> Mapping[str, Result | Exception]:
        self.requests.append(REQUEST.get())
        return await super().fetch(keys, group, timeout_s)


@pytest.mark.parametrize("delay_s", [0.0, DELAY_S])
def test_batch_runs_in_the_context_of_its_first_key(delay_s: float) -> None:
    """Also if all slots were busy, and the end of another batch starts it."""

    async def main() -> TracedFetches:
        fetches = TracedFetches(size=2, concurrency=1, delay_s=delay_s)
        asked = [ask_as(fetches, f"request-{key}", key) for key in "01234567"]
        for number in range(4):
            await asyncio.sleep(2 * DELAY_S)
            fetches.open[number].set_result(None)
        await asyncio.gather(*asked)
        return fetches

    fetches = run(main())

    assert fetches.batches == [["0", "1"], ["2", "3"], ["4", "5"], ["6", "7"]]
    assert fetches.requests == ["request-0", "request-2", "request-4", "request-6"]


def test_batch_whose_first_key_is_gone_runs_in_an_empty_context() -> None:
    async def main() -> TracedFetches:
        fetches = TracedFetches(size=2, concurrency=1, delay_s=0)
        asked = [ask_as(fetches, f"request-{key}", key) for key in "01234"]
        await turns()
        asked[2].cancel()
        await turns()
        for number in range(2):
            fetches.open[number].set_result(None)
            await turns()
        await asyncio.gather(*asked, return_exceptions=True)
        return fetches

    fetches = run(main())

    assert fetches.batches == [["0", "1"], ["3", "4"]]
    assert fetches.requests == ["request-0", "none"]


def test_context_of_a_caller_is_not_kept() -> None:
    class Session:
        """What an application keeps in a context."""

    held: ContextVar[Session] = ContextVar("held")

    async def handler(fetches: Fetches, key: str, dead: "weakref.WeakSet[Session]") -> Result:
        session = Session()
        dead.add(session)
        held.set(session)
        del session
        return await fetches.coalescer.load(key, timeout_s=60, group="")

    async def main() -> int:
        fetches = Fetches(size=1, concurrency=1)
        dead: weakref.WeakSet[Session] = weakref.WeakSet()
        first = asyncio.create_task(handler(fetches, "1", dead), context=Context())
        await turns()
        second = asyncio.create_task(handler(fetches, "2", dead), context=Context())
        await turns()
        fetches.open[0].set_result(None)
        await first
        del first
        await turns()
        gc.collect()
        left = len(dead)
        fetches.open[1].set_result(None)
        await second
        return left

    assert run(main()) == 1
