"""Bad ids that make whole batches fail: no other id is lost, in few requests, by any call."""

import asyncio
import math
import random
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual import run

from smmfanfast_async import (
    AuthenticationError,
    ClosedError,
    RefusedError,
    RetryPolicy,
    ServerError,
)
from smmfanfast_async._engine.failed_batches import (
    MAX_ALONE_INTERVAL_S,
    MAX_FAILED_IDS,
    MAX_REMEMBER_S,
    MAX_UNPROVED,
    MIN_PATIENCE_S,
    PATIENCE_FACTOR,
    RECHECK_AFTER,
    REMEMBER_S,
    FailedBatch,
    FailedIds,
    alone_interval_s,
)
from smmfanfast_async._engine.policy import BUDGET_TOKENS, RETRY_COST, BatchSize, PollPolicy
from smmfanfast_async._engine.polling import Poller
from smmfanfast_async._engine.runner import Settings
from smmfanfast_async.changes import ChangeKind
from smmfanfast_async.results import Response

from .test_statuses import DOWN, WRONG_KEY, Panel, errors_in, with_panel

USUAL = RetryPolicy(base_delay_s=0)
NOT_FOUND = Response(status=200, body=b'{"error":"Incorrect order ID"}')
BROKEN = Response(status=200, body=b'{"error":"Something went wrong"}')
NO_ACCOUNT = Response(status=200, body=b'{"error":"The account does not exists"}')
SILENT = None
MODES = pytest.mark.parametrize(
    "mode",
    [DOWN, NOT_FOUND, BROKEN, NO_ACCOUNT, SILENT],
    ids=["HTTP 502", "unknown id", "error object", "auth text", "no answer"],
)
COUNTS = pytest.mark.parametrize(
    ("n", "k"), [(1, 1), (2, 1), (100, 1), (240, 4), (300, 3), (1000, 10)]
)


def most_requests(n: int, k: int) -> float:
    return math.ceil(n / 100) + 3 * k * (math.log2(100) + 1)


def spread(n: int, k: int) -> set[str]:
    """Return k of the ids 1 to n, at irregular distances."""
    return {str(1 + (37 + each * each * 61) % n) for each in range(k)}


def spoil(panel: Panel, bad: set[str], mode: Response | None) -> None:
    if mode is None:
        panel.slow = bad
    else:
        panel.poison, panel.bad_answer = bad, mode


def polling(panel: Panel) -> Poller:
    fetch = partial(
        panel.statuses.stream, settings=Settings(60, USUAL), concurrency=3, ordered=False
    )
    return Poller(fetch, PollPolicy(), lambda: 0.5)


def test_positions_are_different() -> None:
    assert [len(spread(n, k)) for n, k in [(240, 4), (300, 3), (1000, 10)]] == [4, 3, 10]


# --- each call -----------------------------------------------------------------------------------


@MODES
@COUNTS
@pytest.mark.parametrize("by_batches", [False, True])
def test_statuses_lose_no_other_row(
    mode: Response | None, n: int, k: int, *, by_batches: bool
) -> None:
    async def main(panel: Panel) -> None:
        bad = spread(n, k)
        spoil(panel, bad, mode)
        found = await panel.all(range(1, n + 1), retry=USUAL, by_batches=by_batches)

        assert list(found) == [str(each) for each in range(1, n + 1)]
        assert set(errors_in(found)) == bad
        assert all(error.order == order for order, error in errors_in(found).items())
        assert len(panel.requested) <= most_requests(n, k)

        panel.requested.clear()
        found = await panel.all(range(1, n + 1), retry=USUAL)
        assert set(errors_in(found)) == bad
        assert len(panel.requested) <= math.ceil(n / 100) + 2 * k + 1

    with_panel(main)


@MODES
@pytest.mark.parametrize(("n", "k"), [(300, 3), (1000, 10)])
def test_status_loses_no_other_caller(mode: Response | None, n: int, k: int) -> None:
    async def main(panel: Panel) -> None:
        bad = spread(n, k)
        spoil(panel, bad, mode)

        async def ask() -> set[str]:
            results = await asyncio.gather(
                *(panel.statuses.get(str(each), Settings(60, USUAL)) for each in range(1, n + 1)),
                return_exceptions=True,
            )
            return {str(at + 1) for at, each in enumerate(results) if isinstance(each, Exception)}

        assert await ask() == bad
        assert len(panel.requested) <= most_requests(n, k)

        panel.requested.clear()
        assert await ask() == bad
        assert len(panel.requested) <= math.ceil(n / 100) + 2 * k + 1

    # All batches at once: one that gets no answer holds its slot for half of the time limit.
    with_panel(main, concurrency=10)


@MODES
def test_watch_loses_no_other_order(mode: Response | None) -> None:
    async def main(panel: Panel) -> None:
        bad = spread(300, 3)
        spoil(panel, bad, mode)

        poller = polling(panel)
        seen: dict[str, ChangeKind] = {}
        try:
            async with asyncio.timeout(3600):
                ids = [str(each) for each in range(1, 301)]
                async for change in poller.watch(ids, None, None):
                    seen[change.order] = change.kind
        except TimeoutError:
            assert mode is not NOT_FOUND
        finally:
            await poller.close()

        final = {order for order, kind in seen.items() if kind is ChangeKind.FINISHED}
        assert final == {str(each) for each in range(1, 301)} - bad
        assert set(seen) - final == (bad if mode is NOT_FOUND else set())
        # In an hour: what bisecting takes, and each bad id alone at growing intervals.
        assert len(panel.requested) <= most_requests(300, 3) + 3 * 2 * 10

    with_panel(main)


def test_text_about_one_row_ends_no_other_watch() -> None:
    """An answer for one order reads as if the key were rejected, alone and in a batch."""

    class Panel1(Panel):
        @staticmethod
        def row(order: str) -> dict[str, str] | str:
            return "The account does not exists" if order == "1" else Panel.row(order)

    async def main() -> None:
        panel = Panel1()

        poller = polling(panel)

        async def watch(*orders: str) -> list[str]:
            seen: list[str] = []
            with suppress(TimeoutError):
                async with asyncio.timeout(600):
                    async for change in poller.watch(orders, None, None):
                        seen += [change.order]
                    seen += ["all"]
            return seen

        try:
            assert await asyncio.gather(watch("1"), watch("2"), watch("1", "3")) == [
                [], ["2", "all"], ["3"],
            ]  # fmt: skip
        finally:
            await poller.close()

    run(main())


# --- what a rejected key looks like --------------------------------------------------------------


def test_text_about_one_row_is_an_error_of_that_row() -> None:
    async def main(panel: Panel) -> None:
        panel.row = lambda order: (  # type: ignore[method-assign]
            "The account does not exists" if order in {"1", "101"} else Panel.row(order)
        )
        found = await panel.all(range(1, 2001))

        errors = errors_in(found)
        assert list(errors) == ["1", "101"]
        assert all(isinstance(error, AuthenticationError) for error in errors.values())
        assert all(error.is_about_order for error in errors.values())
        assert len(panel.requested) == 20
        assert panel.balance_calls == 0

    with_panel(main)


def test_whole_answer_is_about_its_order_if_the_balance_can_be_read() -> None:
    async def main(panel: Panel) -> None:
        panel.poison, panel.bad_answer = {"1"}, NO_ACCOUNT
        (error,) = errors_in(await panel.all([1])).values()

        assert panel.balance_calls == 1
        assert isinstance(error, AuthenticationError)
        assert error.is_about_order
        assert not errors_in(await panel.all([2]))

    with_panel(main)


def test_text_in_the_entry_of_a_single_id_is_about_that_id() -> None:
    async def main(panel: Panel) -> None:
        body = b'{"1": {"error": "The account does not exists"}}'
        panel.answer = Response(status=200, body=body)
        (error,) = errors_in(await panel.all([1])).values()

        assert isinstance(error, AuthenticationError)
        assert error.is_about_order
        assert panel.balance_calls == 0

    with_panel(main)


def test_unclear_answer_to_the_balance_call_rejects_no_key() -> None:
    async def main(panel: Panel) -> None:
        panel.poison, panel.bad_answer, panel.balances = {"1"}, NO_ACCOUNT, [DOWN]
        (error,) = errors_in(await panel.all([1])).values()

        assert isinstance(error, ServerError)
        assert error.action == "balance"
        assert not error.is_about_order

    with_panel(main)


def test_client_closed_while_confirming_is_reported() -> None:
    async def main(panel: Panel) -> None:
        panel.answer = WRONG_KEY
        asking = asyncio.ensure_future(panel.all([1]))
        await asyncio.sleep(panel.delay_s / 2)
        panel.is_closed = True
        with pytest.raises(ClosedError):
            await asking

    with_panel(main)


def test_client_closed_while_bisecting_is_reported() -> None:
    async def main(panel: Panel) -> None:
        panel.poison = {"7"}
        asking = asyncio.ensure_future(panel.all(range(1, 101)))
        await asyncio.sleep(5.5 * panel.delay_s)
        panel.is_closed = True
        with pytest.raises(ClosedError):
            await asking

    with_panel(main)


def test_rejected_key_is_not_about_an_order() -> None:
    async def main(panel: Panel) -> None:
        panel.answer, panel.balances = WRONG_KEY, [WRONG_KEY]
        errors = errors_in(await panel.all(range(1, 101)))

        assert len(errors) == 100
        assert not any(error.is_about_order for error in errors.values())
        assert len(panel.requested) == 1

    with_panel(main)


def test_panel_without_a_balance_call_is_believed() -> None:
    async def main(panel: Panel) -> None:
        actions = panel.calls.profile.actions - {"balance"}
        panel.calls.profile = attrs.evolve(panel.calls.profile, actions=actions)
        panel.answer = WRONG_KEY
        (error,) = errors_in(await panel.all([1])).values()

        assert isinstance(error, AuthenticationError)
        assert not error.is_about_order
        assert panel.balance_calls == 0

    with_panel(main)


# --- the panel -----------------------------------------------------------------------------------


def test_panel_that_only_answers_single_ids_is_learned() -> None:
    async def main(panel: Panel) -> None:
        panel.max_ids = 1
        assert not errors_in(await panel.all(range(1, 101), retry=USUAL))
        assert len(panel.requested) <= 100 + 2 + 7

        panel.requested.clear()
        assert not errors_in(await panel.all(range(1, 51), retry=USUAL))
        assert panel.sizes == [1] * 50 or max(panel.sizes) <= 2

    with_panel(main)


def test_outage_that_begins_while_bisecting_is_noticed() -> None:
    async def main(panel: Panel) -> None:
        panel.poison = {"1"}
        reply_to = panel.reply_to

        def down_later(ids: list[str], *, is_batch: bool) -> Response:
            return DOWN if len(panel.requested) > 6 else reply_to(ids, is_batch=is_batch)

        panel.reply_to = down_later  # type: ignore[method-assign]
        found = await panel.all(range(1, 101))

        assert len(panel.requested) <= 6 + RECHECK_AFTER + 1
        assert not any(error.is_about_order for error in errors_in(found).values())
        assert errors_in(found)

    with_panel(main)


def test_rate_limit_while_bisecting_is_waited_for() -> None:
    async def main(panel: Panel) -> None:
        panel.poison = {"7"}
        reply_to, limited = panel.reply_to, [5, 9]

        def limited_twice(ids: list[str], *, is_batch: bool) -> Response:
            if len(panel.requested) in limited:
                return Response(status=429, body=b'{"error":"Slow down"}', retry_after_s=2.0)
            return reply_to(ids, is_batch=is_batch)

        panel.reply_to = limited_twice  # type: ignore[method-assign]

        assert list(errors_in(await panel.all(range(1, 101), retry=USUAL))) == ["7"]

    with_panel(main)


@pytest.mark.parametrize("retry_after_s", [900.0, 59.9, 0.1])
def test_rate_limit_that_takes_too_long_ends_bisecting(retry_after_s: float) -> None:
    async def main(panel: Panel) -> None:
        panel.poison = {"7"}
        reply_to = panel.reply_to

        def limited_later(ids: list[str], *, is_batch: bool) -> Response:
            if len(panel.requested) > 4:
                return Response(status=429, body=b"{}", retry_after_s=retry_after_s)
            return reply_to(ids, is_batch=is_batch)

        panel.reply_to = limited_later  # type: ignore[method-assign]
        attempts = 2
        if retry_after_s < 1:
            attempts, panel.calls._retry_budget.tokens = 9, 2 * RETRY_COST
        retry = RetryPolicy(max_attempts=attempts, base_delay_s=0, max_retry_after_s=100.0)
        found = await panel.all(range(1, 101), retry=retry)

        assert errors_in(found)
        assert len(panel.requested) <= 7

    with_panel(main)


def test_unknown_id_makes_no_other_id_unknown() -> None:
    """Without budget for a probe, it is not known which of the ids the panel does not know."""

    async def main(panel: Panel) -> None:
        panel.poison, panel.bad_answer = {"7"}, NOT_FOUND
        panel.calls._retry_budget.tokens = 0
        errors = errors_in(await panel.all(range(1, 11)))

        assert {type(error) for error in errors.values()} == {RefusedError}
        assert {error.text for error in errors.values()} == {"Incorrect order ID"}

    with_panel(main)


def test_bad_id_that_is_polled_alone_for_long_does_not_become_an_outage() -> None:
    async def main(panel: Panel) -> None:
        panel.poison, once = {"7"}, RetryPolicy(max_attempts=1)
        await panel.all([1, 2])
        for _ in range(2 * BUDGET_TOKENS // RETRY_COST):
            (error,) = errors_in(await panel.all([7], retry=once)).values()
            assert error.is_about_order

        assert panel.calls._retry_budget.tokens == BUDGET_TOKENS

    with_panel(main)


def test_single_id_is_bad_if_the_panel_answers_another() -> None:
    async def main(panel: Panel) -> None:
        panel.poison = {"7"}
        (error,) = errors_in(await panel.all([7])).values()
        assert not error.is_about_order, "it may be an outage"

        await panel.all([1, 2])
        (error,) = errors_in(await panel.all([7])).values()
        assert error.is_about_order
        assert panel.requested[-1] == ["1"]

        panel.poison = set()
        assert not errors_in(await panel.all([7]))
        panel.requested.clear()
        await panel.all([1, 7])
        assert panel.requested == [["1", "7"]], "an id that was answered may be in a batch again"

    with_panel(main)


def test_known_id_that_is_unknown_meanwhile_proves_that_the_panel_answers() -> None:
    async def main(panel: Panel) -> None:
        panel.statuses._known_id = "900001"
        panel.poison = {"7"}
        (error,) = errors_in(await panel.all([7])).values()

        assert error.is_about_order

    with_panel(main)


def test_id_that_failed_alone_is_in_a_batch_again_after_ten_minutes() -> None:
    async def main(panel: Panel) -> None:
        panel.poison = {"7"}
        await panel.all(range(1, 11))
        await asyncio.sleep(REMEMBER_S - 5)
        panel.requested.clear()
        await panel.all(range(1, 11))
        assert panel.sizes[:2] == [9, 1]

        await asyncio.sleep(2 * REMEMBER_S + 5)
        panel.poison = set()
        panel.requested.clear()
        assert not errors_in(await panel.all(range(1, 11)))
        assert panel.sizes == [10]

    with_panel(main)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), mode=st.sampled_from([DOWN, NOT_FOUND, BROKEN, SILENT]))
def test_position_of_bad_ids_does_not_matter(data: st.DataObject, mode: Response | None) -> None:
    n = data.draw(st.integers(20, 300))
    bad = data.draw(st.sets(st.integers(1, n), min_size=1, max_size=max(n // 30, 1)))

    async def main(panel: Panel) -> None:
        ids = {str(each) for each in bad}
        spoil(panel, ids, mode)
        # Which ids are asked alone must not be known to the one who places the bad ones.
        panel.calls.rng = random.Random(n).random
        found = await panel.all(range(1, n + 1), retry=USUAL)

        assert set(errors_in(found)) == ids
        assert len(panel.requested) <= most_requests(n, len(bad))

    with_panel(main)


# --- the decisions -------------------------------------------------------------------------------


def outcome(batch: FailedBatch, bad: Iterable[str], most: int = 100) -> list[list[str]]:
    """Answer what a batch asks as a panel that fails for some ids; return what was asked."""
    asked: list[list[str]] = []
    while batch.ask:
        asked.append(batch.ask)
        if set(bad) & set(batch.ask) or len(batch.ask) > most:
            batch.on_failure()
        else:
            batch.on_answer(0.1)
    return asked


def new_batch(n: int, known_id: str | None = None, **options: int) -> FailedBatch:
    return FailedBatch(
        [str(each) for each in range(1, n + 1)], BatchSize(100), lambda: 1.0, known_id, **options
    )


def test_outage_ends_after_two_probes() -> None:
    batch = new_batch(100)

    assert outcome(batch, batch.ids) == [["100"], ["99"]]
    assert batch.bad == []
    assert not batch.is_up


def test_second_probe_is_an_id_that_was_answered_before() -> None:
    batch = new_batch(100, known_id="777")

    asked = outcome(batch, {"100", "3"})

    assert asked[:3] == [["100"], ["777"], [str(each) for each in range(1, 100)]]
    assert set(batch.bad) == {"100", "3"}


def test_more_probes_may_be_allowed() -> None:
    batch = new_batch(100, max_probes=3)

    assert outcome(batch, {"100", "99"})[2] == ["98"]
    assert set(batch.bad) == {"100", "99"}


def test_batch_of_two_bad_ids_is_an_outage() -> None:
    batch = new_batch(2, max_probes=5)

    assert outcome(batch, {"1", "2"}) == [["2"], ["1"]]
    assert batch.bad == []


def test_size_is_learned_while_bisecting() -> None:
    batch = new_batch(100)

    asked = outcome(batch, (), most=10)

    assert batch.bad == []
    assert batch.size.current <= 7
    assert len(asked) <= 1 + 8 + 100 // 6


def test_single_id_is_bad_if_the_panel_is_up() -> None:
    batch = FailedBatch(["1"], BatchSize(100), lambda: 0.0, "1", is_up=True)
    assert (batch.ask, batch.bad) == ([], ["1"])

    batch = FailedBatch(["1"], BatchSize(100), lambda: 0.0, "1")
    assert (batch.ask, batch.bad) == ([], [])


def test_many_failures_are_checked_by_an_id_that_was_answered() -> None:
    batch = new_batch(100)
    bad = {str(each) for each in range(1, 51)}

    asked = outcome(batch, bad)

    assert set(batch.bad) == bad
    assert asked.count(["100"]) > 1
    assert len(asked) <= 2 * 100 * (1 + 1 / RECHECK_AFTER)


def test_bad_ids_before_an_outage_stay_bad() -> None:
    batch = new_batch(100)
    batch.on_answer(0.1)
    while batch.ask != ["1"]:
        batch.on_failure()
    batch.on_failure()
    batch.on_answer(0.1)
    assert batch.bad == ["1"]

    while batch.ask:
        batch.on_failure()

    assert batch.bad == ["1"]
    assert not batch.is_up


@pytest.mark.parametrize("bad", [{"1"}, {"50"}, {"99"}, {"3", "4", "70"}])
def test_outage_during_a_bisection_makes_one_innocent_id_bad_at_most(
    bad: set[str],
) -> None:
    usual = outcome(new_batch(100), bad)

    for moment in range(1, len(usual)):
        batch = new_batch(100)
        for number in range(len(usual) + RECHECK_AFTER):
            if not batch.ask:
                break
            if number >= moment or bad & set(batch.ask):
                batch.on_failure()
            else:
                batch.on_answer(0.1)
        assert not batch.ask
        assert len(set(batch.bad) - bad) <= MAX_UNPROVED, moment


def test_wait_is_a_share_of_the_time_and_some_times_the_slowest_answer() -> None:
    batch = new_batch(100)
    assert batch.wait_s(8.0) == 1.0

    batch.on_answer(0.01)
    assert batch.wait_s(4.0) == 4.0 / (2 + 6)
    assert batch.wait_s(1000.0) == MIN_PATIENCE_S

    batch.on_answer(1.0)
    assert batch.wait_s(1000.0) == PATIENCE_FACTOR


def test_failed_ids_are_remembered_for_longer_each_time() -> None:
    failed = FailedIds()
    now_s = 0.0
    spans_s: list[float] = []
    for failures in range(1, 12):
        failed.on_failure("7", now_s)
        failed.on_failure("7", now_s + 0.5)
        assert failed.interval_s("7") == alone_interval_s(failures)
        spans_s.append(failed.by_id["7"].until_s - now_s)
        assert failed.asked_alone(["6", "7"], now_s + spans_s[-1] - 1) == ["7"]
        assert failed.asked_alone(["6", "7"], now_s + spans_s[-1]) == []
        now_s += failed.interval_s("7")

    assert spans_s[:3] == [REMEMBER_S, 2 * REMEMBER_S, 4 * REMEMBER_S]
    assert spans_s[-1] == MAX_REMEMBER_S
    failed.on_success(["1", "7"])
    assert (len(failed), failed.interval_s("7")) == (0, 0.0)


def test_failed_ids_are_bounded() -> None:
    failed = FailedIds()
    for number in range(MAX_FAILED_IDS + 5):
        failed.on_failure(str(number), 0.0)

    assert len(failed) == MAX_FAILED_IDS
    assert failed.asked_alone(["4", "5"], 1.0) == ["5"]


def test_intervals_of_an_id_alone_grow() -> None:
    assert [alone_interval_s(failures) for failures in range(4)] == [0, 60, 120, 240]
    assert alone_interval_s(10**6) == MAX_ALONE_INTERVAL_S


def test_known_id_of_another_batch_is_not_bad_in_this_one() -> None:
    batch = FailedBatch(["1", "2"], BatchSize(100), lambda: 0.0, "9")
    batch.ask = ["9"]

    batch._add_bad()

    assert batch.bad == []
