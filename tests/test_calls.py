"""The loop of attempts: what is repeated, what is not, and what becomes of an order on its way."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from attrs import evolve
from support.wire import Answer, Drop, Silence, WireServer, reply
from yarl import URL

from smmfanfast_async import (
    SMMFANFAST,
    ClosedError,
    NoReplyError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    RateLimitedError,
    RefusedError,
    RetryPolicy,
    ServerError,
    UnsupportedActionError,
)
from smmfanfast_async import _calls as calls_module
from smmfanfast_async._calls import Calls
from smmfanfast_async._decode import decode_balance, decode_call
from smmfanfast_async._transport import Secret, Transport
from smmfanfast_async.results import Balance, Reply

BALANCE = reply('{"status":"success","balance":"1.50","currency":"USD"}')
ORDER = {"action": "add", "service": "5", "link": "https://example.com", "quantity": "10"}


@asynccontextmanager
async def calls_to(
    *answers: Answer, url: str | None = None, **options: Any
) -> AsyncIterator[tuple[Calls, WireServer, list[float]]]:
    """Open calls on a server; pauses are noted and not waited for."""
    settings: dict[str, Any] = {"timeout_s": 5.0, "retry": RetryPolicy(), "concurrency": 2}
    async with WireServer(*(answers or (BALANCE,))) as server:
        transport = Transport(URL(url or server.url), Secret("test-key"))
        calls = Calls(transport, SMMFANFAST, **settings | options)
        pauses: list[float] = []

        async def sleep(pause_s: float) -> None:
            pauses.append(pause_s)

        calls._sleep = sleep
        calls._random = lambda: 1.0
        try:
            yield calls, server, pauses
        finally:
            await calls.close()


def balance_of(found: Reply) -> Balance:
    return decode_balance(found, SMMFANFAST)


async def read(calls: Calls) -> Balance:
    return await calls.read({"action": "balance"}, balance_of)


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_read_is_repeated_until_it_succeeds() -> None:
    async with calls_to(reply("down", 503), Drop(), BALANCE) as (calls, server, pauses):
        found = await read(calls)

    assert str(found.balance) == "1.50"
    assert len(server.requests) == 3
    assert pauses == [0.5, 1.0]


@pytest.mark.asyncio
async def test_a_read_is_given_up_after_its_attempts() -> None:
    async with calls_to(reply("down", 503)) as (calls, server, pauses):
        with pytest.raises(ServerError):
            await read(calls)

    assert len(server.requests) == 3
    assert len(pauses) == 2


@pytest.mark.asyncio
async def test_a_refusal_is_not_repeated() -> None:
    async with calls_to(reply('{"error":"Invalid API key"}')) as (calls, server, _):
        with pytest.raises(RefusedError):
            await read(calls)

    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_a_panel_that_names_a_wait_is_waited_for() -> None:
    limited = reply("", 429, [("Retry-After", "4")])
    async with calls_to(limited, BALANCE) as (calls, _, pauses):
        await read(calls)

    assert pauses == [4.0]


@pytest.mark.asyncio
async def test_a_wait_beyond_the_deadline_is_raised_at_once() -> None:
    async with calls_to(reply("", 429, [("Retry-After", "20")])) as (calls, server, pauses):
        with pytest.raises(RateLimitedError) as caught:
            await read(calls)

    assert caught.value.retry_after_s == 20.0
    assert (len(server.requests), pauses) == (1, [])


@pytest.mark.asyncio
async def test_an_empty_quota_makes_each_call_once() -> None:
    async with calls_to(reply("down", 503)) as (calls, server, _):
        calls._quota.tokens = 4
        with pytest.raises(ServerError):
            await read(calls)

    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_a_success_at_once_earns_quota_and_a_repeated_one_does_not() -> None:
    async with calls_to(BALANCE, reply("down", 503), BALANCE) as (calls, _, _pauses):
        calls._quota.tokens = 100
        await read(calls)
        assert calls._quota.tokens == 101

        await read(calls)
        assert calls._quota.tokens == 96


@pytest.mark.asyncio
async def test_silence_ends_with_the_deadline() -> None:
    async with calls_to(Silence(), timeout_s=0.1) as (calls, server, _):
        with pytest.raises(NoReplyError):
            await read(calls)

    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_waiting_for_a_place_ends_with_the_deadline() -> None:
    async with calls_to(Silence(), timeout_s=0.2, concurrency=1) as (calls, server, _):
        outcomes = await asyncio.gather(read(calls), read(calls), return_exceptions=True)

    # One was on its way until the end, the other never left.
    assert {type(each) for each in outcomes} == {NoReplyError, NotSentError}
    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_an_action_the_panel_has_not_is_not_sent() -> None:
    async with calls_to() as (calls, server, _):
        with pytest.raises(UnsupportedActionError, match="no action 'refill'"):
            await calls.read({"action": "refill"}, balance_of)

    assert server.requests == []


@pytest.mark.asyncio
async def test_a_call_that_may_change_something_is_made_once() -> None:
    async with calls_to(reply("down", 503)) as (calls, server, pauses):
        with pytest.raises(ServerError) as caught:
            await calls.once({"action": "odd"}, lambda found: decode_call(found, SMMFANFAST, "odd"))

    assert (len(server.requests), pauses) == (1, [])
    assert not caught.value.safe_to_repeat
    assert caught.value.maybe_placed


# --- orders --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_an_order_is_placed() -> None:
    async with calls_to(reply('{"status":"success","order":32}')) as (calls, server, _):
        assert (await calls.send_order(ORDER)).order == "32"

    assert len(server.requests) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", [
    Drop(), Drop(reset=True), Silence(), reply(b"x" * 70_000), reply("", 200), reply("down", 503),
])  # fmt: skip
async def test_an_order_without_a_sure_answer_is_unknown_and_not_sent_again(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "ADD_TIMEOUT_S", 0.2)
    async with calls_to(answer) as (calls, server, pauses):
        with pytest.raises(OutcomeUnknownError) as caught:
            await calls.send_order(ORDER)

    assert len(server.requests) == 1
    assert pauses == []
    assert caught.value.form == ORDER
    assert caught.value.sent_at is not None
    assert caught.value.sent_at.tzinfo is not None


@pytest.mark.asyncio
async def test_an_order_that_did_not_leave_is_sent_again() -> None:
    async with calls_to(url="http://127.0.0.1:1/") as (calls, _, pauses):
        with pytest.raises(NotSentError):
            await calls.send_order(ORDER)

    assert pauses == [0.5, 1.0]


@pytest.mark.asyncio
async def test_an_empty_quota_does_not_send_an_order_again() -> None:
    async with calls_to(url="http://127.0.0.1:1/") as (calls, _, pauses):
        calls._quota.tokens = 0
        with pytest.raises(NotSentError):
            await calls.send_order(ORDER)

    assert pauses == []


@pytest.mark.asyncio
async def test_orders_go_one_at_a_time() -> None:
    async with calls_to(Silence()) as (calls, server, _):
        sends = [asyncio.create_task(calls.send_order(ORDER)) for _ in range(3)]
        await server.has_received()
        await asyncio.sleep(0.01)

        assert len(server.requests) == 1
        for send in sends:
            send.cancel()
        await asyncio.gather(*sends, return_exceptions=True)
        for task in list(calls._sends):
            task.cancel()


@pytest.mark.asyncio
async def test_a_profile_may_allow_more_orders_at_once() -> None:
    profile = evolve(SMMFANFAST, add_concurrency=3)
    async with WireServer(reply('{"order":1}')) as server:
        calls = Calls(
            Transport(URL(server.url), Secret("test-key")), profile,
            timeout_s=5, retry=RetryPolicy(), concurrency=2,
        )  # fmt: skip
        await asyncio.gather(*(calls.send_order(ORDER) for _ in range(3)))
        await calls.close()

    assert len(server.requests) == 3


@pytest.mark.asyncio
async def test_a_cancelled_caller_leaves_its_order_on_its_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "smmfanfast_async")
    async with calls_to(reply('{"order":7}')) as (calls, server, _):
        caller = asyncio.create_task(calls.send_order(ORDER))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

    # Closing let it arrive.
    assert len(server.requests) == 1
    assert "order 7 placed" in caplog.text


@pytest.mark.asyncio
async def test_closing_gives_up_an_order_that_does_not_arrive(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(calls_module, "CLOSE_GRACE_S", 0.05)
    async with calls_to(Silence()) as (calls, server, _):
        caller = asyncio.create_task(calls.send_order(ORDER))
        await server.has_received()
        waiting = asyncio.create_task(calls.send_order(ORDER))
        await asyncio.sleep(0.01)
        unstarted = asyncio.create_task(calls.send_order(ORDER))
        await calls.close()

        with pytest.raises(OutcomeUnknownError, match="closed before an answer came"):
            await caller
        with pytest.raises(ClosedError, match="before the order was sent"):
            await waiting
        with pytest.raises(ClosedError):
            await unstarted
    assert "outcome unknown" in caplog.text
    assert calls._sends == set()
    assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_an_order_cancelled_before_its_first_step_was_not_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "smmfanfast_async")
    async with calls_to() as (calls, server, _):
        caller = asyncio.create_task(calls.send_order(ORDER))
        await asyncio.sleep(0)
        for task in list(calls._sends):
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

    assert "was not sent" in caplog.text
    assert server.requests == []


@pytest.mark.asyncio
async def test_a_failed_order_is_logged_without_its_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with calls_to(reply('{"error":"Bad Link"}')) as (calls, _, _pauses):
        with pytest.raises(PanelError):
            await calls.send_order(ORDER)

    assert "Bad Link" in caplog.text
    assert "test-key" not in caplog.text


@pytest.mark.asyncio
async def test_after_closing_nothing_is_called() -> None:
    async with calls_to() as (calls, _, _pauses):
        await calls.close()

        with pytest.raises(ClosedError):
            await read(calls)
        with pytest.raises(ClosedError):
            await calls.send_order(ORDER)
        with pytest.raises(ClosedError):
            await calls.once({"action": "odd"}, balance_of)
