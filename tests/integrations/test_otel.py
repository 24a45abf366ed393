"""Spans of calls and attempts, as an exporter receives them."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from support.wire import Silence, WireServer, reply

from smmfanfast_async import (
    Client,
    DefaultOrder,
    OutcomeUnknownError,
    PanelError,
    RefusedError,
    RetryPolicy,
)
from smmfanfast_async.events import (
    AttemptFinished,
    BalanceChecked,
    CallFinished,
    CallStarted,
    OrdersTracked,
)
from smmfanfast_async.integrations.otel import TracingHook
from smmfanfast_async.sandbox import Sandbox

KEY = "test-tracing-marker"
LINK = "https://example.com/marked-link"
ORDER = DefaultOrder(service=5, link=LINK, quantity=1000)
IMMEDIATELY = RetryPolicy(base_delay_s=0.0)


class SpanRecorder:
    """A tracer provider that keeps its spans, and a hook that uses it."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.hook = TracingHook(self.provider)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All finished spans, in the order in which they ended."""
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [each for each in self.spans if each.name == name]

    def children_of(self, span: ReadableSpan) -> list[ReadableSpan]:
        own = span.get_span_context()
        assert own is not None
        return [each for each in self.spans if each.parent and each.parent.span_id == own.span_id]


@pytest.fixture
def recorder() -> SpanRecorder:
    return SpanRecorder()


def create_client(panel: Sandbox, recorder: SpanRecorder, **options: Any) -> Client:
    return Client(
        panel.api_key, base_url=panel.url, on_event=recorder.hook, retry=IMMEDIATELY, **options
    )


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    assert span.attributes is not None
    return span.attributes


# --- calls and attempts --------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_call_is_a_client_span_with_its_attempts_as_children(recorder: SpanRecorder) -> None:
    async with Sandbox() as panel, create_client(panel, recorder) as client:
        await client.balance()

    attempt, call = recorder.spans
    port = int(panel.url.split(":")[2].split("/")[0])
    assert (call.name, call.kind, call.status.status_code) == (
        "smm.balance", SpanKind.CLIENT, StatusCode.UNSET,
    )  # fmt: skip
    assert attributes(call) == {
        "server.address": "127.0.0.1",
        "server.port": port,
        "smm.action": "balance",
        "smm.id_count": 0,
        "smm.attempts": 1,
    }
    assert (attempt.name, attempt.kind) == ("POST", SpanKind.CLIENT)
    assert attributes(attempt) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": port,
        "url.full": panel.url,
    }
    assert recorder.children_of(call) == [attempt]
    assert attempt.instrumentation_scope is not None
    assert attempt.instrumentation_scope.name == "smmfanfast_async"


@pytest.mark.asyncio
async def test_attempt_span_lies_within_its_call(recorder: SpanRecorder) -> None:
    async with Sandbox() as panel, create_client(panel, recorder) as client:
        await client.balance()

    attempt, call = recorder.spans
    assert None not in (call.start_time, call.end_time, attempt.start_time, attempt.end_time)
    # The start of an attempt is calculated from its end, with another clock.
    slack_ns = 1_000_000
    assert call.start_time <= attempt.start_time + slack_ns  # type: ignore[operator]  # see above
    assert attempt.start_time <= attempt.end_time <= call.end_time  # type: ignore[operator]


@pytest.mark.asyncio
async def test_each_retry_is_numbered_and_marked_on_its_call(recorder: SpanRecorder) -> None:
    async with Sandbox() as panel, create_client(panel, recorder) as client:
        panel.fail_next("http_503", action="balance")
        panel.fail_next("rate_limit", action="balance", retry_after_s=0)
        await client.balance()

    call = recorder.named("smm.balance")[0]
    attempts = [attributes(each) for each in recorder.children_of(call)]
    assert [each.get("http.request.resend_count") for each in attempts] == [None, 1, 2]
    assert [each["http.response.status_code"] for each in attempts] == [503, 429, 200]
    assert [each.get("error.type") for each in attempts] == ["503", "429", None]
    assert [each.get("smm.error.kind") for each in attempts] == ["server", "rate_limit", None]
    assert [each.status.status_code for each in recorder.children_of(call)] == [
        StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET,
    ]  # fmt: skip
    assert [(each.name, dict(each.attributes or {})) for each in call.events] == [
        ("smm.retry", {"smm.attempt": 2, "smm.delay_s": 0.0}),
        ("smm.retry", {"smm.attempt": 3, "smm.delay_s": 0.0}),
    ]
    assert call.status.status_code is StatusCode.UNSET
    assert attributes(call)["smm.attempts"] == 3


@pytest.mark.asyncio
async def test_failed_call_names_its_error(recorder: SpanRecorder) -> None:
    async with Sandbox() as panel, create_client(panel, recorder) as client:
        panel.fail_next("drop_after", action="balance", times=3)
        with pytest.raises(PanelError):
            await client.balance()

    call = recorder.named("smm.balance")[0]
    for each in (call, *recorder.children_of(call)):
        assert each.status.status_code is StatusCode.ERROR
        assert each.status.description is None
        assert attributes(each)["error.type"] == "NoResponseError"
        assert attributes(each)["smm.error.kind"] == "network"
        assert "http.response.status_code" not in attributes(each)


@pytest.mark.asyncio
async def test_cancelled_caller_ends_the_spans(recorder: SpanRecorder) -> None:
    async with (
        WireServer(Silence()) as server,
        Client(KEY, base_url=server.url, on_event=recorder.hook) as client,
    ):
        caller = asyncio.create_task(client.balance())
        await server.has_received()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

        assert [attributes(each)["error.type"] for each in recorder.spans] == ["CancelledError"] * 2
        assert not [each for each in recorder.spans if "smm.error.kind" in attributes(each)]


# --- orders --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_placed_order_is_marked_with_its_id(recorder: SpanRecorder) -> None:
    async with Sandbox() as panel, create_client(panel, recorder) as client:
        added = await client.add(ORDER)

    call = attributes(recorder.named("smm.add")[0])
    assert (call["smm.outcome"], call["smm.order"], call["smm.service"]) == (
        "placed", added.order, "5",
    )  # fmt: skip


@pytest.mark.asyncio
async def test_lost_answer_is_marked_as_unknown(recorder: SpanRecorder) -> None:
    async with Sandbox() as panel, create_client(panel, recorder) as client:
        panel.fail_next("drop_after", action="add")
        with pytest.raises(OutcomeUnknownError):
            await client.add(ORDER)
        assert len(panel.orders) == 1

    call = recorder.named("smm.add")[0]
    assert call.status.status_code is StatusCode.ERROR
    assert attributes(call)["smm.outcome"] == "unknown"
    assert attributes(call)["error.type"] == "OutcomeUnknownError"
    assert "smm.order" not in attributes(call)
    assert len(recorder.children_of(call)) == 1


@pytest.mark.asyncio
async def test_refusal_with_http_200_is_a_failed_span(recorder: SpanRecorder) -> None:
    async with Sandbox(balance=Decimal(0)) as panel, create_client(panel, recorder) as client:
        with pytest.raises(RefusedError):
            await client.add(ORDER)

    call = recorder.named("smm.add")[0]
    attempt = recorder.children_of(call)[0]
    assert attributes(call)["smm.outcome"] == "refused"
    assert attributes(attempt)["http.response.status_code"] == 200
    assert attributes(attempt)["error.type"] == "InsufficientFundsError"


# --- parents -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_current_span_of_the_caller_is_the_parent(recorder: SpanRecorder) -> None:
    tracer = recorder.provider.get_tracer("example_bot")
    async with Sandbox() as panel, create_client(panel, recorder) as client:
        added = await client.add(ORDER)
        with tracer.start_as_current_span("handler"):
            await client.balance()
            await client.status(added.order)
            await client.add(DefaultOrder(service=5, link=f"{LINK}/2", quantity=1000))
            assert trace.get_current_span().get_span_context().is_valid
        await client.services()

    handler = recorder.named("handler")[0]
    assert [each.name for each in recorder.children_of(handler)] == [
        "smm.balance", "smm.status", "smm.add",
    ]  # fmt: skip
    assert recorder.named("smm.services")[0].parent is None


@pytest.mark.asyncio
async def test_shared_polls_have_no_parent(recorder: SpanRecorder) -> None:
    tracer = recorder.provider.get_tracer("example_bot")
    async with Sandbox() as panel, create_client(panel, recorder) as client:
        added = await client.add(ORDER)
        panel.finish_all()
        with tracer.start_as_current_span("handler"):
            await client.wait(added.order)

    assert recorder.named("smm.status")[0].parent is None


@pytest.mark.asyncio
async def test_many_clients_share_a_hook(recorder: SpanRecorder) -> None:
    async with (
        Sandbox() as panel,
        create_client(panel, recorder) as one,
        create_client(panel, recorder) as other,
    ):
        await asyncio.gather(*(each.balance() for each in (one, other) * 5))

    calls = recorder.named("smm.balance")
    assert len(calls) == 10
    assert all(len(recorder.children_of(each)) == 1 for each in calls)
    assert recorder.hook._calls == {}


# --- privacy -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_no_trace_header_is_sent_to_the_panel(recorder: SpanRecorder) -> None:
    tracer = recorder.provider.get_tracer("example_bot")
    async with (
        WireServer(reply('{"balance":"1"}'), reply('{"order":7}')) as server,
        Client(KEY, base_url=server.url, on_event=recorder.hook) as client,
    ):
        with tracer.start_as_current_span("handler"):
            await client.balance()
            await client.add(ORDER)

    assert len(server.requests) == 2
    for request in server.requests:
        head = request.head.lower()
        assert not [each for each in ("traceparent", "tracestate", "baggage", "b3") if each in head]


@pytest.mark.asyncio
async def test_no_span_holds_the_key_a_link_or_panel_text(recorder: SpanRecorder) -> None:
    async with Sandbox(api_key=KEY) as panel, create_client(panel, recorder) as client:
        added = await client.add(ORDER)
        panel.fail_next("drop_after", action="add")
        for service in (5, 99999):
            with pytest.raises(PanelError):
                await client.add(DefaultOrder(service=service, link=LINK, quantity=1000))
        await client.statuses([added.order, 987654])

    shown = "".join(each.to_json() for each in recorder.spans)
    assert len(recorder.spans) == 8
    for each in (KEY, "marked-link", "example.com", "Incorrect", "987654"):
        assert each not in shown


# --- special cases -------------------------------------------------------------------------------


def test_events_without_a_known_call_are_ignored(recorder: SpanRecorder) -> None:
    recorder.hook(
        AttemptFinished(
            call_id="unknown", action="status", id_count=1, attempt=1, duration_s=0.1,
            http_status=200, body_bytes=2, error=None, kind=None,
        )
    )  # fmt: skip
    recorder.hook(
        CallFinished(
            call_id="unknown",
            action="status",
            attempts=1,
            duration_s=0.1,
            error=None,
            kind=None,
        )
    )
    recorder.hook(BalanceChecked(balance=Decimal(1), currency=None))
    recorder.hook(OrdersTracked(order_count=1))

    assert recorder.spans == ()


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://panel.example/api/v1", "panel.example", 443),
        ("http://localhost/api/v1", "localhost", 80),
        ("http://[::1]:8080/api", "::1", 8080),
    ],
)
def test_default_port_is_named(recorder: SpanRecorder, url: str, host: str, port: int) -> None:
    recorder.hook(CallStarted(call_id="1", action="balance", id_count=0, url=url))
    recorder.hook(
        CallFinished(
            call_id="1", action="balance", attempts=0, duration_s=0.0, error=None, kind=None
        )
    )

    call = attributes(recorder.spans[0])
    assert (call["server.address"], call["server.port"]) == (host, port)


def test_global_provider_is_the_default() -> None:
    hook = TracingHook()
    hook(CallStarted(call_id="1", action="balance", id_count=0, url="https://panel.example"))
    hook(
        CallFinished(
            call_id="1", action="balance", attempts=0, duration_s=0.0, error=None, kind=None
        )
    )

    assert hook._calls == {}
