"""Batches of ids: what fails whole is halved, errors are each order's own, streams are bounded."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual import run, turns

from smmfanfast_async import (
    SMMFANFAST,
    AuthenticationError,
    ClosedError,
    InvalidOrderError,
    NoResponseError,
    OrderNotFoundError,
    OrderStatus,
    PanelError,
    RetryPolicy,
    ServerError,
)
from smmfanfast_async._engine.limiter import Clock
from smmfanfast_async._engine.policy import BUDGET_TOKENS, RETRY_COST, TIMEOUT_COST, RateLimiter
from smmfanfast_async._engine.runner import Runner, Settings
from smmfanfast_async._engine.statuses import MIN_SPLIT_S, Ids, Statuses
from smmfanfast_async._wire.transport import RequestLimits
from smmfanfast_async.results import Response

ONCE = RetryPolicy(max_attempts=1)
TWICE = RetryPolicy(max_attempts=2, base_delay_s=0)
DOWN = Response(status=502, body=b"bad gateway")
WRONG_KEY = Response(status=200, body=b'{"error":"Invalid API key"}')
WORKING = Response(status=200, body=b'{"balance":"1.50","currency":"USD"}')
REFUSED = Response(status=200, body=b'{"error":"Too many orders"}')


class Panel:
    """Stands for the transport: answers status calls from rules, and notes what was asked."""

    def __init__(self, *, concurrency: int = 3) -> None:
        self.requested: list[list[str]] = []
        self.balances: list[Response] = []
        """The next answers to `balance`; then it works."""
        self.balance_calls = 0
        self.held = self.peak = 0
        self.max_ids = 100
        self.too_many: Response | None = DOWN
        """What comes for more than `most`; None if nothing does."""
        self.poison: set[str] = set()
        self.bad_answer = DOWN
        """What comes for a batch with an id of `poison`."""
        self.slow: set[str] = set()
        self.times_s: list[float] = []
        self.answer: Response | None = None
        self.unexpected_ids: list[str] = []
        self.delay_s = 0.01
        self.is_closed = False
        loop = asyncio.get_running_loop()
        self.calls = Runner(
            self,  # type: ignore[arg-type]  # as far as it is asked here
            SMMFANFAST,
            rate_limiter=RateLimiter(concurrency),
            add_concurrency=1,
            clock=Clock(loop.time, asyncio.sleep),
            rng=lambda: 0.5,
        )
        self.statuses = Statuses(self.calls, concurrency=concurrency)

    def check_usable(self) -> None:
        if self.is_closed:
            raise ClosedError("the client is closed")

    async def post(self, form: Mapping[str, str], limits: RequestLimits) -> Response:
        if form["action"] == "balance":
            self.balance_calls += 1
            return self.balances.pop(0) if self.balances else WORKING
        ids = unquote(form.get("orders") or form["order"]).split(",")
        self.requested.append(ids)
        self.times_s.append(asyncio.get_running_loop().time())
        self.held += 1
        self.peak = max(self.peak, self.held)
        try:
            async with asyncio.timeout(limits.timeout_s):
                await asyncio.sleep(self.delay_s)
                if self.slow & set(ids) or (len(ids) > self.max_ids and self.too_many is None):
                    await asyncio.Event().wait()
        except TimeoutError as error:
            raise NoResponseError("timed out", action="status") from error
        finally:
            self.held -= 1
        return self.answer or self.reply_to(ids, is_batch="orders" in form)

    def reply_to(self, ids: list[str], *, is_batch: bool) -> Response:
        if len(ids) > self.max_ids and self.too_many is not None:
            return self.too_many
        if self.poison & set(ids):
            return self.bad_answer
        found = {each: self.row(each) for each in [*ids, *self.unexpected_ids]}
        body: Any = found if is_batch else found[ids[0]]
        if isinstance(body, str):
            body = {"error": body}
        return Response(status=200, body=json.dumps(body).encode())

    @staticmethod
    def row(order: str) -> dict[str, str] | str:
        if order.isdecimal() and int(order) > 900_000:
            return "Incorrect order ID"
        return {"order": order, "status": "Completed", "charge": "0.1"}

    @property
    def sizes(self) -> list[int]:
        return [len(ids) for ids in self.requested]

    async def all(
        self,
        ids: Ids,
        *,
        timeout_s: float = 60,
        retry: RetryPolicy = TWICE,
        concurrency: int = 3,
        ordered: bool = True,
        by_batches: bool = False,
    ) -> dict[str, OrderStatus | PanelError]:
        if by_batches:
            rows: dict[str, OrderStatus | PanelError] = {}
            async for batch in self.statuses.stream_batches(
                ids, Settings(timeout_s, retry), concurrency=concurrency, ordered=ordered
            ):
                assert 0 < len(batch) <= SMMFANFAST.ids_per_call
                rows |= batch
            return rows
        stream = self.statuses.stream(
            ids, Settings(timeout_s, retry), concurrency=concurrency, ordered=ordered
        )
        return {order: result async for order, result in stream}


def with_panel(main: Callable[[Panel], Awaitable[None]], **options: int) -> None:
    async def on_loop() -> None:
        await main(Panel(**options))

    run(on_loop())


def errors_in(found: Mapping[str, OrderStatus | PanelError]) -> dict[str, PanelError]:
    return {order: each for order, each in found.items() if isinstance(each, PanelError)}


# --- batches that fail whole ---------------------------------------------------------------------


@pytest.mark.parametrize("too_many", [DOWN, REFUSED], ids=["failing", "refusing"])
def test_oversized_batch_is_split_and_the_size_remembered(
    too_many: Response,
) -> None:
    async def main(panel: Panel) -> None:
        panel.max_ids, panel.too_many = 50, too_many
        assert not errors_in(await panel.all(range(1, 101)))
        tries = 2 if too_many is DOWN else 1
        assert panel.sizes == [100] * tries + [1, 50, 49]

        panel.requested.clear()
        assert not errors_in(await panel.all(range(1, 51)))
        assert panel.sizes == [50]

    with_panel(main)


@pytest.mark.parametrize("poison", ["1", "37", "100"])
def test_bad_id_is_isolated_by_bisecting(poison: str) -> None:
    async def main(panel: Panel) -> None:
        panel.poison = {poison}
        found = await panel.all(range(1, 101), retry=RetryPolicy(max_attempts=2, base_delay_s=0))

        assert list(found) == [str(each) for each in range(1, 101)]
        errors = errors_in(found)
        assert list(errors) == [poison]
        assert isinstance(errors[poison], ServerError)
        assert errors[poison].order == poison
        assert len(panel.requested) <= 2 + 1 + 2 * 7

    with_panel(main)


def test_slow_batch_is_bisected_while_there_is_time() -> None:
    async def main(panel: Panel) -> None:
        panel.max_ids, panel.too_many = 50, None
        found = await panel.all(range(1, 101), timeout_s=60)

        assert not errors_in(found)
        assert panel.sizes == [100, 1, 50, 49]
        assert panel.times_s == pytest.approx([0, 30, 30, 30], abs=0.1)

    with_panel(main)


def test_short_timeout_goes_to_the_whole_batch() -> None:
    async def main(panel: Panel) -> None:
        panel.delay_s = MIN_SPLIT_S - 2
        found = await panel.all(range(1, 101), timeout_s=MIN_SPLIT_S - 1)

        assert not errors_in(found)
        assert panel.sizes == [100]

    with_panel(main)


def test_long_timeout_is_shared_by_batch_and_single_ids() -> None:
    async def main(panel: Panel) -> None:
        panel.delay_s = 1000
        found = await panel.all([1, 2], timeout_s=40)

        assert {type(error) for error in errors_in(found).values()} == {NoResponseError}
        assert panel.requested == [["1", "2"], ["2"], ["1"]]
        assert panel.times_s == pytest.approx([0, 20, 20 + 20 / 3], abs=0.01)
        assert asyncio.get_running_loop().time() < 40

    with_panel(main)


@pytest.mark.parametrize("slow", ["1", "100"])
def test_unanswered_id_leaves_time_for_the_other_half(slow: str) -> None:
    async def main(panel: Panel) -> None:
        panel.slow = {slow}
        found = await panel.all(range(1, 101), timeout_s=60)

        assert list(errors_in(found)) == [slow]
        assert asyncio.get_running_loop().time() <= 60

    with_panel(main)


def test_bad_id_is_found_without_retries() -> None:
    async def main(panel: Panel) -> None:
        panel.poison = {"7"}
        found = await panel.all(range(1, 101), retry=ONCE)

        assert list(errors_in(found)) == ["7"]

    with_panel(main)


@pytest.mark.parametrize(("attempts", "extra"), [(1, 2), (2, 2), (3, 2), (5, 2)])
def test_outage_costs_two_extra_requests_a_batch(attempts: int, extra: int) -> None:
    async def main(panel: Panel) -> None:
        panel.answer = DOWN
        retry = RetryPolicy(max_attempts=attempts, base_delay_s=0)
        found = await panel.all(range(1, 101), retry=retry)

        assert len(errors_in(found)) == 100
        assert not any(error.is_about_order for error in errors_in(found).values())
        assert len(panel.requested) == attempts + extra
        assert panel.calls._retry_budget.tokens == BUDGET_TOKENS - RETRY_COST * (attempts + 1)

    with_panel(main)


def test_outage_costs_no_more_than_the_retry_budget() -> None:
    async def main(panel: Panel) -> None:
        panel.answer = DOWN
        found = await panel.all(range(1, 10_001))

        assert len({id(error) for error in found.values()}) == 10_000
        assert len(panel.requested) <= 100 + BUDGET_TOKENS // RETRY_COST
        panel.requested.clear()
        await panel.all(range(1, 201))
        assert panel.sizes == [100, 100]

    with_panel(main)


def test_probe_after_a_timeout_costs_more() -> None:
    async def main(panel: Panel) -> None:
        panel.delay_s = 1000
        await panel.all([1, 2], timeout_s=40)

        assert panel.calls._retry_budget.tokens == BUDGET_TOKENS - 2 * TIMEOUT_COST

    with_panel(main)


@pytest.mark.parametrize("answer", [
    Response(status=429, body=b'{"error":"Too many requests"}', retry_after_s=900.0),
    Response(status=403, body=b"<html>", is_challenge=True),
])  # fmt: skip
def test_batch_is_not_bisected_if_fewer_ids_cannot_help(answer: Response) -> None:
    async def main(panel: Panel) -> None:
        panel.answer = answer
        found = await panel.all(range(1, 101))

        assert len(errors_in(found)) == 100
        assert len(panel.requested) == 1

    with_panel(main)


def test_batch_size_grows_back_to_the_profile_limit() -> None:
    async def main(panel: Panel) -> None:
        panel.max_ids = 50
        await panel.all(range(1, 101))
        panel.max_ids = 100
        panel.requested.clear()

        await panel.all(range(1, 100 * 60 + 1), concurrency=1)

        assert panel.sizes[0] == 50
        assert panel.sizes[-3:] == [100, 100, 100]

    with_panel(main)


# --- errors of all, errors of one ----------------------------------------------------------------


def test_unknown_id_gets_its_own_error() -> None:
    async def main(panel: Panel) -> None:
        found = await panel.all([1, 900_001, 2])

        assert list(found) == ["1", "900001", "2"]
        assert [type(each) for each in found.values()] == [
            OrderStatus, OrderNotFoundError, OrderStatus,
        ]  # fmt: skip
        assert len(panel.requested) == 1

    with_panel(main)


def test_wrong_key_is_detected_once_per_slot_not_per_batch() -> None:
    async def main(panel: Panel) -> None:
        panel.answer, panel.balances = WRONG_KEY, [WRONG_KEY] * 3
        found = await panel.all(range(1, 5001), concurrency=3)

        assert len(found) == 5000
        assert {type(each) for each in found.values()} == {AuthenticationError}
        assert all(each.order == order for order, each in errors_in(found).items())
        assert len(panel.requested) == 3

    with_panel(main)


def test_invalid_id_gets_its_error_in_order_and_is_not_sent() -> None:
    async def main(panel: Panel) -> None:
        odd: list[Any] = ["1", "2,3", 0, None, 1.5, "", 4, True]
        found = await panel.all(odd)

        assert list(found) == ["1", "2,3", "0", "None", "1.5", "", "4", "True"]
        assert set(errors_in(found)) == {"2,3", "0", "None", "1.5", "", "True"}
        assert {type(each) for each in errors_in(found).values()} == {InvalidOrderError}
        assert panel.requested == [["1", "4"]]
        assert errors_in(await panel.all(["a b", ""])).keys() == {"a b", ""}
        assert len(panel.requested) == 1

    with_panel(main)


def test_oversized_int_does_not_affect_another_id() -> None:
    async def main(panel: Panel) -> None:
        found = await panel.all([1, 10**5000, 2])

        assert [type(each) for each in found.values()] == [
            OrderStatus, InvalidOrderError, OrderStatus,
        ]  # fmt: skip
        assert panel.requested == [["1", "2"]]

    with_panel(main)


def test_unexpected_ids_are_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "smmfanfast_async")

    async def main(panel: Panel) -> None:
        panel.unexpected_ids = ["77", "78"]

        assert list(await panel.all([1, 2])) == ["1", "2"]

    with_panel(main)

    assert "status: the response held 2 ids that were not requested" in caplog.text


def test_closed_error_is_raised_instead_of_returned() -> None:
    async def main(panel: Panel) -> None:
        stream = panel.statuses.stream(
            range(1, 1000), Settings(60, TWICE), concurrency=1, ordered=True
        )
        await anext(stream)
        panel.is_closed = True
        with pytest.raises(ClosedError):
            [each async for each in stream]
        with pytest.raises(ClosedError):
            await panel.all([1])

    with_panel(main)


def test_closing_between_whole_batches_is_raised() -> None:
    async def main(panel: Panel) -> None:
        batches = panel.statuses.stream_batches(
            range(1, 1000), Settings(60, TWICE), concurrency=1, ordered=True
        )
        assert list(await anext(batches)) == [str(each) for each in range(1, 101)]
        panel.is_closed = True
        with pytest.raises(ClosedError):
            [each async for each in batches]

    with_panel(main)


# --- streams -------------------------------------------------------------------------------------


def numbers(count: int, taken: list[int]) -> Iterator[int]:
    for number in range(1, count + 1):
        taken.append(number)
        yield number


async def numbers_as_they_come(count: int, taken: list[int]) -> AsyncIterator[int]:
    try:
        for number in numbers(count, taken):
            yield number
    finally:
        taken.append(0)


@pytest.mark.parametrize("name", ["stream", "stream_batches"])
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("source", [numbers, numbers_as_they_come])
def test_only_a_few_batches_are_read_ahead(
    source: Callable[[int, list[int]], Ids], name: str, *, ordered: bool
) -> None:
    async def main(panel: Panel) -> None:
        taken: list[int] = []
        stream = getattr(panel.statuses, name)(
            source(100_000, taken), Settings(60, TWICE), concurrency=3, ordered=ordered
        )
        async with aclosing(stream):
            await anext(stream)
            await asyncio.sleep(10)

            assert max(taken) <= 5 * 100
            assert panel.peak <= 3
        assert taken[-1] == 0 or source is numbers

    with_panel(main)


@pytest.mark.parametrize("ordered", [True, False])
def test_breaking_off_ends_requests_and_closes_the_ids(*, ordered: bool) -> None:
    async def main(panel: Panel) -> None:
        taken: list[int] = []
        stream = panel.statuses.stream(
            numbers_as_they_come(1000, taken), Settings(60, TWICE), concurrency=3, ordered=ordered
        )
        async with aclosing(stream):
            async for order, _ in stream:
                panel.delay_s = 30
                if order == "150" or len(panel.requested) > 3:
                    break

        assert taken[-1] == 0
        assert panel.held == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with_panel(main)


@pytest.mark.parametrize("ordered", [True, False])
def test_breaking_off_between_batches_ends_requests(*, ordered: bool) -> None:
    async def main(panel: Panel) -> None:
        taken: list[int] = []
        batches = panel.statuses.stream_batches(
            numbers_as_they_come(1000, taken), Settings(60, TWICE), concurrency=3, ordered=ordered
        )
        async with aclosing(batches):
            async for _ in batches:
                panel.delay_s = 30
                break

        assert taken[-1] == 0
        assert panel.held == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with_panel(main)


def test_slow_batch_delays_other_batches_only_if_ordered() -> None:
    async def main(panel: Panel) -> None:
        panel.slow = {"1"}
        firsts = {}
        for ordered in (True, False):
            batches = panel.statuses.stream_batches(
                range(1, 301), Settings(10, ONCE), concurrency=3, ordered=ordered
            )
            firsts[ordered] = [next(iter(batch)) async for batch in batches]

        assert firsts[True] == ["1", "101", "201"]
        assert sorted(firsts[False]) == ["1", "101", "201"]
        assert firsts[False][-1] == "1"

    with_panel(main)


def test_invalid_ids_have_errors_in_their_batch() -> None:
    async def main(panel: Panel) -> None:
        found = await panel.all(["7", "a b", None, "7", 900_001], by_batches=True)  # type: ignore[list-item]

        assert list(found) == ["7", "a b", "None", "900001"]
        assert {name: type(each) for name, each in found.items()} == {
            "7": OrderStatus,
            "a b": InvalidOrderError,
            "None": InvalidOrderError,
            "900001": OrderNotFoundError,
        }
        assert panel.requested == [["7", "900001"]]

    with_panel(main)


@pytest.mark.parametrize("name", ["stream", "stream_batches"])
def test_single_text_instead_of_ids_is_rejected(name: str) -> None:
    async def main(panel: Panel) -> None:
        stream = getattr(panel.statuses, name)(
            "12", Settings(60, TWICE), concurrency=1, ordered=True
        )
        with pytest.raises(InvalidOrderError, match="must be a list of ids"):
            await anext(stream)
        assert panel.requested == []

    with_panel(main)


@pytest.mark.parametrize("ids", [[], iter([])])
def test_no_ids_make_no_batch(ids: Ids) -> None:
    async def main(panel: Panel) -> None:
        assert await panel.all(ids, by_batches=True) == {}
        assert panel.requested == []

    with_panel(main)


def test_ids_may_come_from_any_iterable() -> None:
    async def main(panel: Panel) -> None:
        found = await panel.all(numbers_as_they_come(250, []))

        assert list(found) == [str(each) for each in range(1, 251)]
        assert panel.sizes == [100, 100, 50]

    with_panel(main)


@settings(deadline=None, max_examples=60)
@given(
    ids=st.lists(st.integers(1, 400), max_size=400),
    poison=st.sets(st.integers(1, 400), max_size=3),
    most=st.integers(1, 120),
    ordered=st.booleans(),
    concurrency=st.integers(1, 4),
    by_batches=st.booleans(),
)
def test_every_id_gets_its_own_answer_in_any_history(
    ids: list[int],
    poison: set[int],
    most: int,
    concurrency: int,
    *,
    ordered: bool,
    by_batches: bool,
) -> None:
    async def main(panel: Panel) -> None:
        panel.max_ids = most
        panel.poison = {str(each) for each in poison}
        panel.calls._retry_budget.tokens = 10**6
        found = await panel.all(
            ids, timeout_s=1e6, retry=RetryPolicy(max_attempts=2, base_delay_s=0),
            concurrency=concurrency, ordered=ordered, by_batches=by_batches,
        )  # fmt: skip

        assert set(found) == {str(each) for each in ids}
        assert set(errors_in(found)) == panel.poison & set(found)
        assert all(each.order == order for order, each in found.items())
        assert panel.peak <= concurrency
        assert all(size <= 100 for size in panel.sizes)

    with_panel(main, concurrency=concurrency)


# --- one status for each of many callers ---------------------------------------------------------


def test_callers_share_requests_and_get_their_own_results() -> None:
    async def main(panel: Panel) -> None:
        orders = [*map(str, range(1, 250)), "900001", "249"]
        results = await asyncio.gather(
            *(panel.statuses.get(order, Settings(60, TWICE)) for order in orders),
            return_exceptions=True,
        )

        assert sum(panel.sizes) == 250
        assert len(panel.requested) == 3
        assert isinstance(results[249], OrderNotFoundError)
        assert results[248] == results[250]
        assert results[248] is not results[250]

    with_panel(main)


def test_callers_with_different_retry_policies_do_not_share() -> None:
    async def main(panel: Panel) -> None:
        await asyncio.gather(
            *(panel.statuses.get(str(order), Settings(60, retry))
              for order in range(1, 5) for retry in (ONCE, TWICE))
        )  # fmt: skip

        assert sorted(panel.sizes) == [4, 4]

    with_panel(main)


def test_raw_texts_are_kept_only_on_request() -> None:
    async def main(panel: Panel) -> None:
        kept = Settings(60, TWICE, keep_raw=True)
        results = await asyncio.gather(
            *(panel.statuses.get(str(order), how)
              for order in (1, 2, 3) for how in (Settings(60, TWICE), kept)),
        )  # fmt: skip
        alone = await panel.statuses.get("4", kept)

        assert sorted(panel.sizes) == [1, 3, 3]
        assert [each.raw is None for each in results] == [True, False] * 3
        assert all(json.loads(each.raw)["status"] for each in (*results[1::2], alone))

    with_panel(main)


def test_bad_id_does_not_affect_another_caller() -> None:
    async def main(panel: Panel) -> None:
        panel.poison = {"5"}
        results = await asyncio.gather(
            *(panel.statuses.get(str(order), Settings(60, TWICE)) for order in range(1, 11)),
            return_exceptions=True,
        )

        wrong = [each for each in results if isinstance(each, BaseException)]
        assert [type(each) for each in wrong] == [ServerError]
        assert isinstance(results[4], ServerError)

    with_panel(main)


def test_timeout_includes_the_wait_for_a_slot() -> None:
    async def main(panel: Panel) -> None:
        panel.delay_s = 1000
        with pytest.raises(NoResponseError, match="no answer within 5 s") as caught:
            await panel.statuses.get("7", Settings(5, ONCE))
        await turns()

        assert (caught.value.order, caught.value.action) == ("7", "status")
        assert panel.held == 0

    with_panel(main)


def test_closing_tells_whether_a_request_was_sent() -> None:
    async def main(panel: Panel) -> None:
        panel.delay_s = 1000
        asked = asyncio.ensure_future(panel.statuses.get("7", Settings(60, ONCE)))
        await turns()
        waiting = asyncio.ensure_future(panel.statuses.get("8", Settings(60, ONCE)))
        await turns()

        await panel.statuses.close()

        with pytest.raises(NoResponseError, match="closed before an answer came"):
            await asked
        with pytest.raises(ClosedError, match="closed before the request was sent") as caught:
            await waiting
        assert caught.value.order == "8"
        assert panel.held == 0

    with_panel(main, concurrency=1)


def test_closing_meanwhile_is_reported_to_each_caller() -> None:
    async def main(panel: Panel) -> None:
        callers = [
            asyncio.ensure_future(panel.statuses.get(order, Settings(60, ONCE))) for order in "12"
        ]
        await turns(1)
        panel.is_closed = True
        results = await asyncio.gather(*callers, return_exceptions=True)

        assert [type(each) for each in results] == [ClosedError, ClosedError]
        assert results[0] is not results[1]

    with_panel(main)
