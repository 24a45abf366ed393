"""Events and log records, and that emitting them does not affect a call."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from decimal import Decimal
from typing import Any

import attrs
import pytest
from support.calls import BALANCE, FakeClock, decode_balance_reply, open_runner
from support.wire import Answer, Drop, Silence, WireServer, reply
from support.wire import Reply as Raw

from smmfanfast_async import (
    SMMFANFAST,
    Client,
    ClosedError,
    ErrorKind,
    InvalidSettingsError,
    NoResponseError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    RefusedError,
    RetryPolicy,
    ServerError,
)
from smmfanfast_async._engine import instrumentation
from smmfanfast_async._engine.instrumentation import CallTrace, Instrumentation
from smmfanfast_async._engine.runner import Runner, Settings
from smmfanfast_async._wire.decode import decode_call
from smmfanfast_async.events import (
    AttemptFinished,
    BalanceBelowThreshold,
    BalanceChecked,
    CallFinished,
    CallStarted,
    Event,
    OrderSettled,
    OutcomeUnknown,
    PlacementOutcome,
    RetryScheduled,
    Throttled,
    combine_hooks,
)
from smmfanfast_async.results import AddedOrder, Balance, Response

KEY = "test-telling-marker"
ORDER = {"action": "add", "service": "5", "link": "https://example.com/p", "quantity": "10"}
LIMITED = reply('{"error":"slower"}', 429, [("Retry-After", "7")])
SEEN = BalanceChecked(balance=Decimal(1), currency=None)


@attrs.define
class Scene:
    """A runner, its server, and the events it emitted."""

    calls: Runner
    server: WireServer
    events: list[Event]
    settings: Settings

    async def read(self) -> Balance:
        return await self.calls.read({"action": "balance"}, decode_balance_reply, self.settings)

    async def send(self, **options: Any) -> AddedOrder:
        return await self.calls.send_order(ORDER, self.settings, **options)


@asynccontextmanager
async def open_scene(
    *answers: Answer,
    url: str | None = None,
    has_hook: bool = True,
    settings: Settings | None = None,
) -> AsyncIterator[Scene]:
    """Open a runner on a server; pauses take no time."""
    events: list[Event] = []
    async with WireServer(*(answers or (BALANCE,))) as server:
        address = url or server.url
        instrumentation_with_hook = Instrumentation(
            events.append if has_hook else None, url=address
        )
        async with open_runner(
            address, FakeClock(), key=KEY, instrumentation=instrumentation_with_hook
        ) as calls:
            yield Scene(calls, server, events, settings or Settings(60.0, RetryPolicy()))


def names(events: list[Event]) -> list[str]:
    return [type(each).__name__ for each in events]


def fields(record: logging.LogRecord) -> dict[str, object]:
    """Return the fields of this package in a record, without the call id."""
    own_fields = {name: each for name, each in vars(record).items() if name.startswith("smm_")}
    assert own_fields.pop("smm_call_id", "0" * 16)
    return own_fields


# --- reads ---------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_retried_read_emits_each_step() -> None:
    async with open_scene(reply("", 503), BALANCE) as scene:
        await scene.read()

        started, first, retry, second, finished = scene.events
        call = scene.events[0].call_id  # type: ignore[union-attr]  # checked below
        assert started == CallStarted(
            call_id=call, action="balance", id_count=0, url=scene.server.url
        )
        assert first == AttemptFinished(
            call_id=call, action="balance", id_count=0, attempt=1, duration_s=0.0, http_status=503,
            body_bytes=0, error="ServerError", kind=ErrorKind.SERVER,
        )  # fmt: skip
        assert retry == RetryScheduled(
            call_id=call, action="balance", attempt=2, delay_s=0.5, error="ServerError",
            kind=ErrorKind.SERVER,
        )  # fmt: skip
        assert second == AttemptFinished(
            call_id=call, action="balance", id_count=0, attempt=2, duration_s=0.0, http_status=200,
            body_bytes=54, error=None, kind=None,
        )  # fmt: skip
        assert finished == CallFinished(
            call_id=call, action="balance", attempts=2, duration_s=0.5, error=None, kind=None
        )


@pytest.mark.asyncio
async def test_missing_answer_has_no_status_and_no_length() -> None:
    async with open_scene(Drop(), settings=Settings(60.0, RetryPolicy(max_attempts=1))) as scene:
        with pytest.raises(NoResponseError):
            await scene.read()

        _, request, finished = scene.events
        assert isinstance(request, AttemptFinished)
        assert (request.http_status, request.body_bytes) == (None, None)
        assert isinstance(finished, CallFinished)
        assert (request.error, request.kind) == (finished.error, finished.kind)
        assert (finished.error, finished.kind) == ("NoResponseError", ErrorKind.NETWORK)


@pytest.mark.asyncio
async def test_throttling_is_emitted_with_the_new_concurrency() -> None:
    async with open_scene(LIMITED, BALANCE) as scene:
        await scene.read()

        assert [each for each in scene.events if isinstance(each, Throttled)] == [
            Throttled(action="balance", delay_s=7.0, concurrency=1)
        ]


@pytest.mark.asyncio
async def test_refusal_with_429_throttles_too() -> None:
    async with open_scene(reply('{"error":"invalid API key"}', 429)) as scene:
        with pytest.raises(PanelError):
            await scene.read()

        assert "Throttled" in names(scene.events)


@pytest.mark.asyncio
async def test_call_without_retries_is_emitted_too() -> None:
    async with open_scene(reply("", 503)) as scene:
        with pytest.raises(ServerError):
            await scene.calls.send_once(
                {"action": "other"}, lambda response: decode_call(response, SMMFANFAST, "other"),
                scene.settings,
            )  # fmt: skip

        assert names(scene.events) == ["CallStarted", "AttemptFinished", "CallFinished"]


@pytest.mark.asyncio
async def test_cancelled_call_is_emitted_as_cancelled() -> None:
    async with open_scene(Silence()) as scene:
        caller = asyncio.create_task(scene.read())
        await scene.server.has_received()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

        _, request, finished = scene.events
        for each in (request, finished):
            assert isinstance(each, AttemptFinished | CallFinished)
            assert (each.error, each.kind) == ("CancelledError", None)


@pytest.mark.asyncio
async def test_internal_error_ends_a_call_as_well() -> None:
    def broken(_: Response) -> Balance:
        raise ZeroDivisionError

    async with open_scene() as scene:
        with pytest.raises(ZeroDivisionError):
            await scene.calls.read({"action": "balance"}, broken, scene.settings)

        finished = scene.events[-1]
        assert isinstance(finished, CallFinished)
        assert (finished.error, finished.kind) == ("ZeroDivisionError", None)


@pytest.mark.asyncio
async def test_ids_are_counted_and_never_named() -> None:
    async with open_scene(reply('{"1":"Incorrect order ID"}')) as scene:
        for form in ({"orders": "xyz,222,333"}, {"order": "xyz"}, {"refills": "xyz,222"}):
            await scene.calls.send_once(
                {"action": "status", **form}, lambda response: response.status, scene.settings
            )

        assert [each.id_count for each in scene.events if isinstance(each, CallStarted)] == [
            3,
            1,
            2,
        ]
        assert not [each for each in scene.events if "xyz" in repr(each)]


# --- orders --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_placed_order_is_emitted_with_its_id() -> None:
    async with open_scene(reply('{"status":"success","order":7}')) as scene:
        await scene.send()

        assert names(scene.events) == [
            "CallStarted",
            "AttemptFinished",
            "OrderSettled",
            "CallFinished",
        ]
        assert scene.events[2] == OrderSettled(
            call_id=scene.events[0].call_id,  # type: ignore[union-attr]  # a CallStarted, as above
            outcome=PlacementOutcome.PLACED, service="5", order="7", duration_s=0.0, error=None,
            kind=None,
        )  # fmt: skip


@pytest.mark.asyncio
async def test_refused_order_is_emitted_with_the_error_kind() -> None:
    async with open_scene(reply('{"error":"Not enough funds on balance"}')) as scene:
        with pytest.raises(RefusedError):
            await scene.send()

        outcome = scene.events[2]
        assert isinstance(outcome, OrderSettled)
        assert (outcome.outcome, outcome.order) == (PlacementOutcome.REFUSED, None)
        assert (outcome.error, outcome.kind) == ("InsufficientFundsError", ErrorKind.FUNDS)


@pytest.mark.asyncio
async def test_unsent_order_is_emitted_after_its_retries() -> None:
    async with open_scene(url="http://127.0.0.1:1/api/v1") as scene:
        with pytest.raises(NotSentError):
            await scene.send()

        retries = [each for each in scene.events if isinstance(each, RetryScheduled)]
        assert [(each.attempt, each.error) for each in retries] == [
            (2, "NotSentError"), (3, "NotSentError"),
        ]  # fmt: skip
        outcome = scene.events[-2]
        assert isinstance(outcome, OrderSettled)
        assert outcome.outcome is PlacementOutcome.NOT_SENT
        assert outcome.duration_s == 1.5


UNKNOWN: list[tuple[Answer, str, int | None, str | None]] = [
    (Drop(), "NoResponseError", None, None),
    (reply("", 502), "OutcomeUnknownError", 502, None),
    (reply('{"order":7,"error":"unexpected"}'), "OutcomeUnknownError", 200, "7"),
    (reply("x" * 70_000), "InvalidResponseError", 200, None),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("answer", "error", "status", "order"), UNKNOWN)
async def test_unknown_outcome_is_emitted_with_its_cause(
    answer: Answer, error: str, status: int | None, order: str | None
) -> None:
    async with open_scene(answer) as scene:
        with pytest.raises(OutcomeUnknownError) as caught:
            await scene.send()

        assert names(scene.events) == [
            "CallStarted",
            "AttemptFinished",
            "OutcomeUnknown",
            "CallFinished",
        ]
        assert scene.events[2] == OutcomeUnknown(
            call_id=scene.events[0].call_id,  # type: ignore[union-attr]  # a CallStarted, as above
            service="5", order=order, sent_at=caught.value.sent_at, http_status=status,
            error=error, duration_s=0.0,
        )  # fmt: skip


@pytest.mark.asyncio
async def test_order_events_continue_after_its_caller_is_gone() -> None:
    async with open_scene(reply('{"status":"success","order":7}')) as scene:
        caller = asyncio.create_task(scene.send())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await scene.calls.close()

        assert names(scene.events)[-2:] == ["OrderSettled", "CallFinished"]


@pytest.mark.asyncio
async def test_order_cancelled_before_its_first_step_is_not_sent() -> None:
    async with open_scene() as scene:
        caller = asyncio.create_task(scene.send())
        await asyncio.sleep(0)
        for task in list(scene.calls._order_tasks):
            task.cancel()
        with pytest.raises(ClosedError):
            await caller

        outcome = scene.events[1]
        assert isinstance(outcome, OrderSettled)
        assert (outcome.outcome, outcome.kind) == (PlacementOutcome.NOT_SENT, ErrorKind.CLOSED)


def _raise_cancelled_error() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.cancel()
    future.result()


def _cancel_current_task() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.asyncio
@pytest.mark.parametrize("fail", [_raise_cancelled_error, _cancel_current_task])
async def test_failing_hook_does_not_change_a_placed_order(
    fail: Callable[[], None],
) -> None:
    events: list[Event] = []

    def hook(event: Event) -> None:
        events.append(event)
        if isinstance(event, AttemptFinished):
            fail()

    async with (
        WireServer(reply('{"order":7}')) as server,
        Client(KEY, base_url=server.url, on_event=hook) as client,
    ):
        added = await client._runner.send_order(ORDER, client._settings)

    assert added.order == "7"
    outcome = events[2]
    assert isinstance(outcome, OrderSettled)
    assert (outcome.outcome, outcome.order) == (PlacementOutcome.PLACED, "7")


@pytest.mark.asyncio
async def test_failure_before_sending_is_emitted_as_not_sent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "smmfanfast_async")

    async def before() -> float:
        raise ZeroDivisionError

    async with open_scene() as scene:
        with pytest.raises(ZeroDivisionError):
            await scene.send(before=before)

        assert names(scene.events) == ["CallStarted", "OrderSettled", "CallFinished"]
        outcome = scene.events[1]
        assert isinstance(outcome, OrderSettled)
        assert (outcome.outcome, outcome.error) == (PlacementOutcome.NOT_SENT, "ZeroDivisionError")
    assert caplog.messages == ["add: ZeroDivisionError; nothing was sent"]


@pytest.mark.asyncio
async def test_internal_error_on_an_answer_leaves_outcome_unknown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> AddedOrder:
        raise ZeroDivisionError

    monkeypatch.setattr("smmfanfast_async._engine.runner.decode_added", broken)
    async with open_scene(reply('{"order":7}')) as scene:
        with pytest.raises(ZeroDivisionError):
            await scene.send()

        unknown = scene.events[2]
        assert isinstance(unknown, OutcomeUnknown)
        assert (unknown.error, unknown.sent_at) == ("ZeroDivisionError", None)
    assert caplog.records[-1].levelno == logging.WARNING
    assert caplog.messages[-1] == "add: ZeroDivisionError; the order may have been placed"


# --- events without a hook, context --------------------------------------------------------------


@pytest.mark.asyncio
async def test_no_event_is_made_without_a_listener(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_if_created(*_: object, **__: object) -> None:
        raise AssertionError

    caplog.set_level(logging.ERROR, "smmfanfast_async")
    for name in (
        "CallTrace",
        "AttemptTrace",
        "Throttled",
        "RetryScheduled",
        "BalanceChecked",
        "OrderSettled",
    ):
        monkeypatch.setattr(instrumentation, name, fail_if_created)
    monkeypatch.setattr("smmfanfast_async._engine.statuses.BatchFinished", fail_if_created)
    monkeypatch.setattr("smmfanfast_async._engine.polling.OrderChanged", fail_if_created)
    monkeypatch.setattr("smmfanfast_async._engine.polling.OrdersTracked", fail_if_created)
    async with open_scene(LIMITED, BALANCE, reply('{"order":7}'), has_hook=False) as scene:
        await scene.read()
        await scene.send()
    done = reply('{"order":"1","status":"Completed"}')
    async with WireServer(BALANCE, done) as server, Client(KEY, base_url=server.url) as client:
        await client.balance()
        await client.wait(1)


@pytest.mark.asyncio
async def test_hook_runs_in_the_context_of_the_caller() -> None:
    context: ContextVar[str] = ContextVar("context", default="none")
    contexts: list[tuple[str, str]] = []

    def hook(event: Event) -> None:
        if isinstance(event, CallStarted):
            contexts.append((event.action, context.get()))

    done = reply('{"order":"1","status":"Completed"}')
    answers = (BALANCE, reply('{"order":7}'), done)
    async with (
        WireServer(*answers) as server,
        Client(KEY, base_url=server.url, on_event=hook) as client,
    ):
        context.set("caller")
        await client.balance()
        await client._runner.send_order(ORDER, client._settings)
        await client.status(1)
        await client.wait(1)

    # A shared poll runs outside the context of any caller.
    assert contexts == [
        ("balance", "caller"), ("add", "caller"), ("status", "caller"), ("status", "none"),
    ]  # fmt: skip


# --- hooks that fail -----------------------------------------------------------------------------


def test_failing_hook_is_logged_once_per_event_class(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def hook(event: Event) -> None:
        raise ValueError(KEY)

    instrumentation_with_hook = Instrumentation(hook)
    fell = BalanceBelowThreshold(threshold=Decimal(2), balance=Decimal(1), currency=None)
    for event in (SEEN, SEEN, fell, SEEN, fell):
        instrumentation_with_hook.emit(event)

    failures = [each for each in caplog.records if each.getMessage().startswith("on_event")]
    assert [each.getMessage() for each in failures] == [
        "on_event raised ValueError at BalanceChecked; logged once",
        "on_event raised ValueError at BalanceBelowThreshold; logged once",
    ]
    assert [fields(each) for each in failures] == [
        {"smm_event": "BalanceChecked", "smm_error": "ValueError"},
        {"smm_event": "BalanceBelowThreshold", "smm_error": "ValueError"},
    ]


def test_exception_name_cannot_forge_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    def hook(event: Event) -> None:
        raise type("Other\nERROR forged " + "x" * 1000, (Exception,), {})

    Instrumentation(hook).emit(SEEN)

    message = caplog.records[0].getMessage()
    assert message.startswith("on_event raised Other ERROR forged xxx")
    assert len(message) < 200


def test_combined_hooks_are_called_and_logged_separately(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def first(event: Event) -> None:
        raise ValueError

    def second(event: Event) -> None:
        raise KeyError

    events: list[Event] = []
    instrumentation_with_hook = Instrumentation(
        combine_hooks(first, combine_hooks(second, events.append))
    )
    instrumentation_with_hook.emit(SEEN)
    instrumentation_with_hook.emit(SEEN)

    assert events == [SEEN, SEEN]
    assert [vars(each)["smm_error"] for each in caplog.records] == ["ValueError", "KeyError"]


@pytest.mark.asyncio
@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
async def test_process_ending_exceptions_pass_the_hook(ending: type[BaseException]) -> None:
    def hook(event: Event) -> None:
        if isinstance(event, BalanceChecked):
            raise ending

    async with (
        WireServer(BALANCE) as server,
        Client(KEY, base_url=server.url, on_event=hook) as client,
    ):
        with pytest.raises(ending):
            await client.balance()


async def coroutine_hook(event: Event) -> None:
    """Do nothing; the result would have to be awaited."""


class CoroutineCallable:
    """An object whose call would have to be awaited."""

    async def __call__(self, event: Event) -> None:
        """Do nothing; the result would have to be awaited."""


@pytest.mark.parametrize(
    "hook", [coroutine_hook, CoroutineCallable(), 5, combine_hooks(print, coroutine_hook)]
)  # type: ignore[arg-type]  # the invalid value under test
def test_hook_that_is_not_a_plain_function_is_rejected(hook: Any) -> None:
    with pytest.raises(InvalidSettingsError, match="on_event"):
        Client(KEY, base_url="http://127.0.0.1:1", on_event=hook)


# --- the log -------------------------------------------------------------------------------------


@pytest.fixture
def debug(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "smmfanfast_async")
    return caplog


Line = tuple[int, str, dict[str, object]]


def lines(caplog: pytest.LogCaptureFixture) -> list[Line]:
    return [
        (each.levelno, each.getMessage(), fields(each))
        for each in caplog.records
        if each.name == "smmfanfast_async"
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("has_hook", [True, False])
async def test_requests_and_retries_are_logged_with_their_fields(
    debug: pytest.LogCaptureFixture, *, has_hook: bool
) -> None:
    async with open_scene(LIMITED, BALANCE, has_hook=has_hook) as scene:
        await scene.read()

    about: dict[str, object] = {
        "smm_error": "RateLimitError", "smm_http_status": 429, "smm_kind": "rate_limit",
    }  # fmt: skip
    attempt: dict[str, object] = {"smm_action": "balance", "smm_id_count": 0, "smm_duration_s": 0.0}
    assert lines(debug) == [
        (
            logging.INFO, "balance: too many requests; all calls wait 7.0 s",
            {"smm_action": "balance", "smm_delay_s": 7.0},
        ),
        (
            logging.DEBUG, "balance: RateLimitError after 0.000 s",
            {**attempt, "smm_attempt": 1, **about},
        ),
        (
            logging.INFO, "balance: slower (HTTP 429); retrying in 7.0 s",
            {"smm_action": "balance", "smm_attempt": 2, "smm_delay_s": 7.0, **about},
        ),
        (
            logging.DEBUG, "balance: answered after 0.000 s",
            {**attempt, "smm_attempt": 2, "smm_http_status": 200},
        ),
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_log_records_of_one_call_share_its_id(debug: pytest.LogCaptureFixture) -> None:
    async with open_scene(reply("", 503), BALANCE) as scene:
        await scene.read()
        await scene.read()

    call_ids = [
        vars(each)["smm_call_id"] for each in debug.records if each.name == "smmfanfast_async"
    ]
    assert call_ids[0] == call_ids[1] == call_ids[2] != call_ids[3]


ENDS: list[tuple[Answer, int, str, dict[str, object]]] = [
    (
        reply('{"order":7}'), logging.DEBUG, "order 7 placed",
        {"smm_outcome": "placed", "smm_order": "7"},
    ),
    (
        reply('{"error":"Not enough funds on balance"}'), logging.INFO,
        "add: Not enough funds on balance (HTTP 200)",
        {
            "smm_outcome": "refused", "smm_error": "InsufficientFundsError", "smm_kind": "funds",
            "smm_http_status": 200,
        },
    ),
    (
        reply("", 502), logging.WARNING,
        ("add: outcome unknown: inconclusive HTTP status (HTTP 502); the order may have been"
         " placed: check the panel before ordering again"),
        {
            "smm_outcome": "unknown", "smm_error": "OutcomeUnknownError", "smm_kind": "unknown",
            "smm_http_status": 502,
        },
    ),
]  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize(("answer", "level", "text", "expected"), ENDS)
async def test_order_outcome_is_logged_with_its_fields(
    answer: Answer, level: int, text: str, expected: dict[str, object],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG, "smmfanfast_async")
    async with open_scene(answer, has_hook=False) as scene:
        with suppress(PanelError):
            await scene.send()

    always = {"smm_action": "add", "smm_duration_s": 0.0, "smm_service": "5"}
    assert lines(caplog)[-1] == (level, text, always | expected)


@pytest.mark.asyncio
async def test_order_retry_log_states_that_nothing_was_sent(
    debug: pytest.LogCaptureFixture,
) -> None:
    async with open_scene(url="http://127.0.0.1:1/api/v1") as scene:
        with pytest.raises(NotSentError):
            await scene.send()

    retries = [text for level, text, _ in lines(debug) if level == logging.INFO][:2]
    assert all(each.endswith(pause) for each, pause in zip(
        retries, ("; nothing was sent; retrying in 0.5 s", "; nothing was sent; retrying in 1.0 s"),
        strict=True,
    ))  # fmt: skip


@pytest.mark.asyncio
async def test_panel_text_cannot_forge_a_log_line_or_show_the_key(
    debug: pytest.LogCaptureFixture,
) -> None:
    forged = "no\\r\\nWARNING forged\\u2028line\\u001b[2J"
    async with open_scene(reply(f'{{"error":"{forged}"}}')) as scene:
        with pytest.raises(PanelError):
            await scene.send()
        with pytest.raises(PanelError):
            await scene.read()
    async with open_scene(reply("", 503, [("X", "y")])) as scene:
        with pytest.raises(PanelError):
            await scene.send()

    assert "WARNING forged line" in debug.text
    for record in debug.records:
        said = [record.getMessage(), *map(str, fields(record).values())]
        assert not [each for each in said if not each.isprintable() or KEY in each]


@pytest.mark.asyncio
async def test_foreign_error_text_cannot_forge_a_log_line(debug: pytest.LogCaptureFixture) -> None:
    broken = Raw(b"HTTP/1.1 200 OK\r\nOdd header: x\r\nWARNING forged\r\n\r\n")
    async with WireServer(broken) as server:
        retry = RetryPolicy(base_delay_s=0.0, max_attempts=2)
        async with Client(KEY, base_url=server.url, retry=retry) as client:
            with pytest.raises(NoResponseError):
                await client.balance()
            await client.statuses([1, 2])
            with pytest.raises(OutcomeUnknownError):
                await client._runner.send_order(ORDER, client._settings)

    messages = [text for _, text, _ in lines(debug)]
    assert all(each.isprintable() for each in messages)


def test_bisected_batches_and_unexpected_ids_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "smmfanfast_async")
    instrumentation_with_hook = Instrumentation()
    instrumentation_with_hook.batch_bisected(
        ServerError("down", http_status=502, action="status"), 100
    )
    instrumentation_with_hook.unexpected_ids(2)

    about = {"smm_error": "ServerError", "smm_kind": "server", "smm_http_status": 502}
    assert lines(caplog) == [
        (
            logging.INFO, "status: down (HTTP 502); 100 ids are fetched again in halves",
            {"smm_action": "status", "smm_id_count": 100, **about},
        ),
        (
            logging.WARNING, "status: the response held 2 ids that were not requested",
            {"smm_action": "status", "smm_id_count": 2},
        ),
    ]  # fmt: skip


def test_foreign_names_are_sanitized(debug: pytest.LogCaptureFixture) -> None:
    error = NoResponseError("cut\nWARNING forged", action="status")
    Instrumentation().retry_scheduled(error, 1.0, 0, None)

    assert debug.records[0].getMessage() == "status: cut WARNING forged; retrying in 1.0 s"


def test_balance_that_crosses_a_threshold_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "smmfanfast_async")
    instrumentation_with_hook = Instrumentation(thresholds=[Decimal("0.5")])
    instrumentation_with_hook.balance_checked(Balance(balance=Decimal("0.25"), currency="USD\n"))
    instrumentation_with_hook.balance_checked(Balance(balance=Decimal("1E+1")))

    assert lines(caplog) == [
        (
            logging.WARNING, "the balance 0.25 USD is below 0.5",
            {"smm_balance": "0.25", "smm_currency": "USD", "smm_threshold": "0.5"},
        ),
        (
            logging.INFO, "the balance 10 is above 0.5",
            {"smm_balance": "10", "smm_threshold": "0.5"},
        ),
    ]  # fmt: skip


def test_call_ids_differ() -> None:
    instrumentation_with_hook = Instrumentation(print)
    traces = [
        CallTrace(instrumentation_with_hook, {"action": "balance"}, lambda: 0.0) for _ in range(100)
    ]

    assert len({each.call_id for each in traces}) == 100
