"""Attempts: what is retried, what is not, and the outcome of an order being sent."""

import asyncio
import logging
import pickle
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import cast

import attrs
import pytest
from support.calls import BALANCE, FakeClock, decode_balance_reply, open_runner
from support.wire import Answer, Drop, Request, Silence, WireServer, reply

from smmfanfast_async import (
    SMMFANFAST,
    AddedOrder,
    ClosedError,
    NoResponseError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    PausedError,
    RateLimitError,
    RefusedError,
    RetryPolicy,
    ServerError,
    UnsupportedActionError,
)
from smmfanfast_async._engine import runner as calls_module
from smmfanfast_async._engine.limiter import Clock
from smmfanfast_async._engine.policy import RateLimiter
from smmfanfast_async._engine.runner import Runner, Settings
from smmfanfast_async._wire.decode import (
    ServiceRows,
    decode_call,
    decode_services,
    read_ahead,
)
from smmfanfast_async.results import Balance, Response

ORDER = {"action": "add", "service": "5", "link": "https://example.com", "quantity": "10"}


@attrs.define
class Scene:
    """A runner, its server, and the pauses it made."""

    calls: Runner
    server: WireServer
    pauses: list[float]
    settings: Settings

    async def read(self) -> Balance:
        return await self.calls.read({"action": "balance"}, decode_balance_reply, self.settings)

    async def send(self, wait_s: float | None = None) -> AddedOrder:
        return await self.calls.send_order(ORDER, self.settings, wait_s)


def decode_other(response: Response) -> object:
    return decode_call(response, SMMFANFAST, "other")


@asynccontextmanager
async def open_scene(
    *answers: Answer,
    url: str | None = None,
    timeout_s: float = 5.0,
    concurrency: int = 2,
    per_minute: int | None = None,
    add_concurrency: int = 1,
    max_attempts: int = 3,
) -> AsyncIterator[Scene]:
    """Open a runner on a server; pauses are recorded and take no time."""
    clock = FakeClock()
    limiter = RateLimiter(max_concurrency=concurrency, per_minute=per_minute)
    async with (
        WireServer(*(answers or (BALANCE,))) as server,
        open_runner(
            url or server.url, clock, rate_limiter=limiter, add_concurrency=add_concurrency
        ) as calls,
    ):
        yield Scene(
            calls, server, clock.pauses, Settings(timeout_s, RetryPolicy(max_attempts=max_attempts))
        )


# --- long responses ------------------------------------------------------------------------------

CATALOGUE = reply(
    "[" + ",".join(f'{{"service":"{each}","desc":"{"x" * 99}"}}' for each in range(1, 3001)) + "]"
)


def decode_rows(response: Response) -> ServiceRows:
    return decode_services(response, SMMFANFAST)


async def services(scene: Scene) -> ServiceRows:
    return await scene.calls.read({"action": "services"}, decode_rows, scene.settings)


Steps = Generator[None, None, Response]


def call_after_each_step(monkeypatch: pytest.MonkeyPatch, step: Callable[[], None]) -> None:
    """Call `step` after each step of decoding."""

    def steps(response: Response, *, keep_raw: bool) -> Steps:
        taken = read_ahead(response, keep_raw=keep_raw)
        while True:
            try:
                next(taken)
            except StopIteration as end:
                return cast("Response", end.value)
            step()
            yield

    monkeypatch.setattr(calls_module, "read_ahead", steps)


@pytest.mark.asyncio
async def test_other_tasks_run_between_steps_of_a_long_catalogue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns: list[str] = []
    loop = asyncio.get_running_loop()

    def step() -> None:
        turns.append("step")
        loop.call_soon(turns.append, "other")

    call_after_each_step(monkeypatch, step)
    async with open_scene(CATALOGUE) as scene:
        rows = await services(scene)

    assert len(CATALOGUE.raw) > calls_module.INLINE_BODY_BYTES
    assert [each.service for each in rows.services] == [str(each) for each in range(1, 3001)]
    assert turns == ["step", "other"] * (len(turns) // 2)
    assert len(turns) >= 10


@pytest.mark.asyncio
async def test_short_catalogue_is_decoded_in_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[None] = []
    call_after_each_step(monkeypatch, lambda: steps.append(None))
    async with open_scene(reply('[{"service":"5"}]')) as scene:
        rows = await services(scene)

    assert [each.service for each in rows.services] == ["5"]
    assert steps == []


@pytest.mark.asyncio
async def test_decoding_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_scene(CATALOGUE, timeout_s=5.0) as scene:
        clock = scene.calls.clock

        def step() -> None:
            scene.calls.clock = Clock(now_s=lambda: clock.now_s() + 5.0, sleep=clock.sleep)

        call_after_each_step(monkeypatch, step)
        with pytest.raises(NoResponseError, match="response could not be decoded within 5 s"):
            await services(scene)

        assert not scene.calls._active_reads


@pytest.mark.asyncio
async def test_closing_ends_decoding_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    started = asyncio.Event()
    call_after_each_step(monkeypatch, started.set)
    async with open_scene(CATALOGUE) as scene:
        caller = asyncio.create_task(services(scene))
        await started.wait()
        await scene.calls.close()

        with pytest.raises((NoResponseError, ClosedError)):
            await caller
        assert caller.cancelling() == 0
        assert not scene.calls._active_reads


@pytest.mark.asyncio
async def test_cancelling_ends_decoding_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[None] = []
    started = asyncio.Event()

    def step() -> None:
        steps.append(None)
        started.set()

    call_after_each_step(monkeypatch, step)
    async with open_scene(CATALOGUE) as scene:
        caller = asyncio.create_task(services(scene))
        await started.wait()
        caller.cancel()

        with pytest.raises(asyncio.CancelledError):
            await caller
        assert not scene.calls._active_reads
    assert len(steps) <= 2


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_read_is_retried_until_it_succeeds() -> None:
    async with open_scene(reply("down", 503), Drop(), BALANCE) as scene:
        balance = await scene.read()

    assert str(balance.balance) == "1.50"
    assert len(scene.server.requests) == 3
    assert scene.pauses == [0.5, 1.0]


@pytest.mark.asyncio
async def test_read_fails_after_its_attempts() -> None:
    async with open_scene(reply("down", 503)) as scene:
        with pytest.raises(ServerError):
            await scene.read()

    assert len(scene.server.requests) == 3
    assert len(scene.pauses) == 2


@pytest.mark.asyncio
async def test_bisecting_is_paid_from_the_retry_budget() -> None:
    async with open_scene() as scene:
        paid = [scene.calls.spend_retry(ServerError("down")) for _ in range(1000)]

    assert paid[0] is True
    assert paid[-1] is False
    assert paid == sorted(paid, reverse=True)


@pytest.mark.asyncio
async def test_refusal_is_not_retried() -> None:
    async with open_scene(reply('{"error":"Invalid API key"}')) as scene:
        with pytest.raises(RefusedError):
            await scene.read()

    assert len(scene.server.requests) == 1


@pytest.mark.asyncio
async def test_retry_after_is_waited_for() -> None:
    limited = reply("", 429, [("Retry-After", "4")])
    async with open_scene(limited, BALANCE) as scene:
        await scene.read()

    assert scene.pauses == [4.0]


@pytest.mark.asyncio
async def test_retry_after_beyond_the_deadline_is_raised_at_once() -> None:
    async with open_scene(reply("", 429, [("Retry-After", "20")])) as scene:
        with pytest.raises(RateLimitError) as caught:
            await scene.read()

    assert caught.value.retry_after_s == 20.0
    assert (len(scene.server.requests), scene.pauses) == (1, [])


@pytest.mark.asyncio
async def test_exhausted_budget_makes_each_call_once() -> None:
    async with open_scene(reply("down", 503)) as scene:
        scene.calls._retry_budget.tokens = 4
        with pytest.raises(ServerError):
            await scene.read()

    assert len(scene.server.requests) == 1


@pytest.mark.asyncio
async def test_only_success_at_the_first_attempt_deposits_budget() -> None:
    async with open_scene(BALANCE, reply("down", 503), BALANCE) as scene:
        scene.calls._retry_budget.tokens = 100
        await scene.read()
        assert scene.calls._retry_budget.tokens == 101

        await scene.read()
        assert scene.calls._retry_budget.tokens == 96


@pytest.mark.asyncio
async def test_missing_answer_ends_at_the_deadline() -> None:
    async with open_scene(Silence(), timeout_s=1, max_attempts=1) as scene:
        with pytest.raises(NoResponseError):
            await scene.read()

    assert len(scene.server.requests) == 1


@pytest.mark.asyncio
async def test_waiting_for_a_slot_ends_at_the_deadline() -> None:
    async with open_scene(Silence(), timeout_s=1, concurrency=1, max_attempts=1) as scene:
        outcomes = await asyncio.gather(scene.read(), scene.read(), return_exceptions=True)

    # One was in flight until the deadline, the other was never sent.
    assert {type(each) for each in outcomes} == {NoResponseError, NotSentError}
    assert len(scene.server.requests) == 1


@pytest.mark.asyncio
async def test_unsupported_action_is_not_sent() -> None:
    async with open_scene() as scene:
        with pytest.raises(UnsupportedActionError, match="does not support the action 'refill'"):
            await scene.calls.read({"action": "refill"}, decode_balance_reply, scene.settings)

    assert scene.server.requests == []


@pytest.mark.asyncio
async def test_call_that_may_change_something_is_sent_once() -> None:
    async with open_scene(reply("down", 503)) as scene:
        with pytest.raises(ServerError) as caught:
            await scene.calls.send_once({"action": "other"}, decode_other, scene.settings)

    assert (len(scene.server.requests), scene.pauses) == (1, [])
    assert not caught.value.safe_to_retry
    assert caught.value.maybe_placed


# --- rate limits, pauses -------------------------------------------------------------------------


LIMITED = reply('{"error":"Too many requests"}', 429, [("Retry-After", "3")])


@pytest.mark.asyncio
async def test_429_pauses_every_call_of_the_account() -> None:
    async with open_scene(LIMITED, BALANCE) as scene:
        patient = scene.settings
        once = Settings(5.0, RetryPolicy(max_attempts=1))
        with pytest.raises(RateLimitError):
            await scene.calls.read({"action": "balance"}, decode_balance_reply, once)
        await scene.calls.read({"action": "balance"}, decode_balance_reply, patient)

    assert scene.pauses == [3.0]


@pytest.mark.asyncio
async def test_pause_longer_than_a_call_may_wait_sends_nothing() -> None:
    limited = reply("", 429, [("Retry-After", "100")])
    async with open_scene(limited, BALANCE, timeout_s=500) as scene:
        with pytest.raises(RateLimitError):
            await scene.read()
        with pytest.raises(PausedError, match="another 100 s") as caught:
            await scene.read()
        with pytest.raises(PausedError, match=r"^add: all calls wait"):
            await scene.send()

    assert caught.value.retry_after_s == 100.0
    assert not caught.value.maybe_sent
    assert len(scene.server.requests) == 1


@pytest.mark.asyncio
async def test_429_halves_concurrency_and_success_raises_it() -> None:
    async with open_scene(LIMITED, BALANCE, concurrency=8) as scene:
        limiter = scene.calls._limiter.rate_limiter
        await scene.read()
        assert limiter.concurrency == 5  # 8 halved, and one success

        await scene.read()
        assert limiter.concurrency == 6


@pytest.mark.asyncio
async def test_429_on_an_order_pauses_the_account_too() -> None:
    async with open_scene(LIMITED, BALANCE) as scene:
        with pytest.raises(RateLimitError):
            await scene.send()
        await scene.read()

    assert scene.pauses == [3.0]


@pytest.mark.asyncio
async def test_wait_named_in_a_refusal_text_is_kept() -> None:
    spam = reply('{"error":"Spam protection: please wait 7 seconds"}')
    async with open_scene(spam, BALANCE, timeout_s=60) as scene:
        await scene.read()

    assert scene.pauses == [7.0]


@pytest.mark.asyncio
async def test_rate_limit_is_kept() -> None:
    async with open_scene(per_minute=2, timeout_s=100) as scene:
        for _ in range(5):
            await scene.read()

    assert scene.pauses == [60.0, 60.0]


@pytest.mark.asyncio
async def test_calls_that_reach_no_panel_do_not_use_up_the_rate() -> None:
    async with open_scene(url="http://127.0.0.1:1/", per_minute=1, max_attempts=1) as scene:
        for _ in range(3):
            with pytest.raises(NotSentError):
                await scene.read()
            with pytest.raises(NotSentError):
                await scene.send()

    assert scene.pauses == []


@pytest.mark.asyncio
async def test_order_that_may_not_start_does_not_use_up_the_rate() -> None:
    async def refuse() -> float:
        raise LookupError("another worker sends it")

    async with open_scene(per_minute=1) as scene:
        for _ in range(3):
            with pytest.raises(LookupError):
                await scene.calls.send_order(ORDER, scene.settings, before=refuse)
        await scene.read()

    assert scene.pauses == []


@pytest.mark.asyncio
async def test_calls_start_in_the_order_of_arrival() -> None:
    async with open_scene(concurrency=1) as scene:
        done: list[int] = []

        async def read_numbered(number: int) -> None:
            await scene.read()
            done.append(number)

        await asyncio.gather(*map(read_numbered, range(6)))

    assert done == [0, 1, 2, 3, 4, 5]
    assert scene.server.connections == 1


# --- orders --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_order_is_placed() -> None:
    async with open_scene(reply('{"status":"success","order":32}')) as scene:
        assert (await scene.send()).order == "32"

    assert len(scene.server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [
    Drop(), Drop(reset=True), Silence(), reply(b"x" * 70_000), reply("", 200), reply("down", 503),
])  # fmt: skip
async def test_order_without_proof_is_unknown_and_not_sent_again(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "ADD_TIMEOUT_S", 0.2)
    async with open_scene(answer) as scene:
        with pytest.raises(OutcomeUnknownError) as caught:
            await scene.send()

    assert len(scene.server.requests) == 1
    assert scene.pauses == []
    assert caught.value.form == ORDER
    assert caught.value.sent_at is not None
    assert caught.value.sent_at.tzinfo is not None


@pytest.mark.asyncio
async def test_unsent_order_is_retried() -> None:
    async with open_scene(url="http://127.0.0.1:1/") as scene:
        with pytest.raises(NotSentError):
            await scene.send()

    assert scene.pauses == [0.5, 1.0]


@pytest.mark.asyncio
async def test_exhausted_budget_does_not_retry_an_order() -> None:
    async with open_scene(url="http://127.0.0.1:1/") as scene:
        scene.calls._retry_budget.tokens = 0
        with pytest.raises(NotSentError):
            await scene.send()

    assert scene.pauses == []


@pytest.mark.asyncio
async def test_orders_are_sent_one_at_a_time() -> None:
    async with open_scene(Silence()) as scene:
        sends = [asyncio.create_task(scene.send()) for _ in range(3)]
        await scene.server.has_received()
        await asyncio.sleep(0.01)

        assert len(scene.server.requests) == 1
        await cancel_all(scene, sends)


@pytest.mark.asyncio
async def test_add_concurrency_allows_several_orders_at_once() -> None:
    async with open_scene(Silence(), add_concurrency=2, concurrency=5) as scene:
        sends = [asyncio.create_task(scene.send()) for _ in range(3)]
        await scene.server.has_received(2)
        await asyncio.sleep(0.01)

        assert len(scene.server.requests) == 2
        await cancel_all(scene, sends)


async def cancel_all(scene: Scene, sends: list[asyncio.Task[AddedOrder]]) -> None:
    for task in [*sends, *scene.calls._order_tasks]:
        task.cancel()
    await asyncio.gather(*sends, return_exceptions=True)


@pytest.mark.asyncio
async def test_cancelled_caller_does_not_cancel_its_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "smmfanfast_async")
    async with open_scene(reply('{"order":7}')) as scene:
        caller = asyncio.create_task(scene.send())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

    # Closing waited for the response.
    assert len(scene.server.requests) == 1
    assert "order 7 placed" in caplog.text


@pytest.mark.asyncio
async def test_closing_ends_an_unanswered_order_as_unknown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(calls_module, "CLOSE_GRACE_S", 0.05)
    async with open_scene(Silence()) as scene:
        caller = asyncio.create_task(scene.send())
        await scene.server.has_received()
        waiting = asyncio.create_task(scene.send())
        await asyncio.sleep(0.01)
        unstarted = asyncio.create_task(scene.send())
        await scene.calls.close()

        with pytest.raises(OutcomeUnknownError, match="closed before an answer came"):
            await caller
        with pytest.raises(ClosedError, match="closed before it was sent"):
            await waiting
        with pytest.raises(ClosedError):
            await unstarted
    assert "outcome unknown" in caplog.text
    assert scene.calls._order_tasks == set()
    assert len(scene.server.requests) == 1


@pytest.mark.asyncio
async def test_closing_ends_reads_without_cancelling_their_callers() -> None:
    async with open_scene(Silence(), concurrency=1) as scene:
        reads = [asyncio.create_task(scene.read()) for _ in range(3)]
        await scene.server.has_received()
        await scene.calls.close()

        for read in reads:
            with pytest.raises((NoResponseError, ClosedError)):
                await read
            assert read.cancelling() == 0
        assert not scene.calls._active_reads


@pytest.mark.asyncio
async def test_cancelled_close_leaves_nothing_behind() -> None:
    async with open_scene(Silence()) as scene:
        caller = asyncio.create_task(scene.send())
        await scene.server.has_received()
        closing = asyncio.create_task(scene.calls.close())
        await asyncio.sleep(0.01)
        closing.cancel()

        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(OutcomeUnknownError):
            await caller
        assert scene.calls._order_tasks == set()


@pytest.mark.asyncio
async def test_order_task_cancelled_before_its_first_step_is_not_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "smmfanfast_async")
    async with open_scene() as scene:
        caller = asyncio.create_task(scene.send())
        await asyncio.sleep(0)
        for task in list(scene.calls._order_tasks):
            task.cancel()
        with pytest.raises(ClosedError):
            await caller

    assert "before the order was sent" in caplog.text
    assert scene.server.requests == []


@pytest.mark.asyncio
async def test_failed_order_is_logged_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_scene(reply('{"error":"Bad Link"}')) as scene:
        with pytest.raises(PanelError):
            await scene.send()

    assert "Bad Link" in caplog.text
    assert "test-key" not in caplog.text


@pytest.mark.asyncio
async def test_nothing_is_sent_after_closing() -> None:
    async with open_scene() as scene:
        await scene.calls.close()

        with pytest.raises(ClosedError):
            await scene.read()
        with pytest.raises(ClosedError):
            await scene.send()
        with pytest.raises(ClosedError):
            await scene.calls.send_once({"action": "other"}, decode_other, scene.settings)


@pytest.mark.asyncio
async def test_order_with_a_shorter_time_out_is_not_waited_for_longer() -> None:
    async with open_scene(Silence()) as scene, asyncio.timeout(60):
        # Not sent, on a machine that is too slow to connect in time.
        with pytest.raises((OutcomeUnknownError, NotSentError)):
            await scene.calls.send_order(ORDER, scene.settings, timeout_s=0.5)


# --- wait_s --------------------------------------------------------------------------------------


class LateOrder(WireServer):
    """Answers an order once `may_answer` is set."""

    def __init__(self) -> None:
        super().__init__(reply(""))
        self.may_answer = asyncio.Event()

    async def answer_later(self, request: Request) -> Answer:
        await self.may_answer.wait()
        return reply('{"order":77}')


@pytest.mark.asyncio
async def test_order_in_flight_can_be_awaited_after_wait_s() -> None:
    async with LateOrder() as server, open_scene(url=server.url) as scene:
        with pytest.raises(OutcomeUnknownError, match="still being sent") as caught:
            await scene.send(wait_s=0.05)
        server.may_answer.set()

        assert (await caught.value.wait_for_outcome()).order == "77"
        assert (await caught.value.wait_for_outcome()).order == "77"
    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_copied_error_cannot_wait_for_the_outcome() -> None:
    async with LateOrder() as server, open_scene(url=server.url) as scene:
        with pytest.raises(OutcomeUnknownError) as caught:
            await scene.send(wait_s=0.05)
        clone = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  # our own bytes
        server.may_answer.set()

        with pytest.raises(OutcomeUnknownError):
            await clone.wait_for_outcome()
        assert str(clone) == str(caught.value)


@pytest.mark.asyncio
async def test_order_not_sent_within_wait_s_is_withdrawn() -> None:
    async with LateOrder() as server, open_scene(url=server.url) as scene:
        first = asyncio.create_task(scene.send())
        await server.has_received()

        with pytest.raises(NotSentError, match=r"timed out after 0\.05 s waiting to be sent"):
            await scene.send(wait_s=0.05)
        server.may_answer.set()
        assert (await first).order == "77"

    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_answer_within_wait_s_is_returned() -> None:
    async with open_scene(reply('{"order":5}')) as scene:
        assert (await scene.send(wait_s=5)).order == "5"
