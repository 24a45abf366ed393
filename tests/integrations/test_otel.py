"""Spans of calls and attempts, as an exporter gets them."""

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
AT_ONCE = RetryPolicy(base_delay_s=0.0)


class Traced:
    """A tracer whose spans are kept, and the hook on it."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.hook = TracingHook(self.provider)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All spans that ended, in the order of their ends."""
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [each for each in self.spans if each.name == name]

    def children_of(self, span: ReadableSpan) -> list[ReadableSpan]:
        own = span.get_span_context()
        assert own is not None
        return [each for each in self.spans if each.parent and each.parent.span_id == own.span_id]


@pytest.fixture
def traced() -> Traced:
    return Traced()


def client_of(panel: Sandbox, traced: Traced, **options: Any) -> Client:
    return Client(panel.api_key, base_url=panel.url, on_event=traced.hook, retry=AT_ONCE, **options)


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    assert span.attributes is not None
    return span.attributes


# --- calls and attempts --------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_call_is_a_client_span_with_its_attempt_below(traced: Traced) -> None:
    async with Sandbox() as panel, client_of(panel, traced) as client:
        await client.balance()

    attempt, call = traced.spans
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
    assert traced.children_of(call) == [attempt]
    assert attempt.instrumentation_scope is not None
    assert attempt.instrumentation_scope.name == "smmfanfast_async"


@pytest.mark.asyncio
async def test_an_attempt_lies_within_its_call(traced: Traced) -> None:
    async with Sandbox() as panel, client_of(panel, traced) as client:
        await client.balance()

    attempt, call = traced.spans
    assert None not in (call.start_time, call.end_time, attempt.start_time, attempt.end_time)
    # The begin of an attempt is reckoned back from its end, by another clock.
    slack_ns = 1_000_000
    assert call.start_time <= attempt.start_time + slack_ns  # type: ignore[operator]  # see above
    assert attempt.start_time <= attempt.end_time <= call.end_time  # type: ignore[operator]


@pytest.mark.asyncio
async def test_each_retry_is_numbered_and_marked_on_its_call(traced: Traced) -> None:
    async with Sandbox() as panel, client_of(panel, traced) as client:
        panel.fail_next("http_503", action="balance")
        panel.fail_next("rate_limit", action="balance", retry_after_s=0)
        await client.balance()

    call = traced.named("smm.balance")[0]
    attempts = [attributes(each) for each in traced.children_of(call)]
    assert [each.get("http.request.resend_count") for each in attempts] == [None, 1, 2]
    assert [each["http.response.status_code"] for each in attempts] == [503, 429, 200]
    assert [each.get("error.type") for each in attempts] == ["503", "429", None]
    assert [each.get("smm.error.kind") for each in attempts] == ["server", "rate_limit", None]
    assert [each.status.status_code for each in traced.children_of(call)] == [
        StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET,
    ]  # fmt: skip
    assert [(each.name, dict(each.attributes or {})) for each in call.events] == [
        ("smm.retry", {"smm.attempt": 2, "smm.delay_s": 0.0}),
        ("smm.retry", {"smm.attempt": 3, "smm.delay_s": 0.0}),
    ]
    assert call.status.status_code is StatusCode.UNSET
    assert attributes(call)["smm.attempts"] == 3


@pytest.mark.asyncio
async def test_failed_call_names_its_error(traced: Traced) -> None:
    async with Sandbox() as panel, client_of(panel, traced) as client:
        panel.fail_next("drop_after", action="balance", times=3)
        with pytest.raises(PanelError):
            await client.balance()

    call = traced.named("smm.balance")[0]
    for each in (call, *traced.children_of(call)):
        assert each.status.status_code is StatusCode.ERROR
        assert each.status.description is None
        assert attributes(each)["error.type"] == "NoResponseError"
        assert attributes(each)["smm.error.kind"] == "network"
        assert "http.response.status_code" not in attributes(each)


@pytest.mark.asyncio
async def test_cancelled_caller_ends_the_spans(traced: Traced) -> None:
    async with (
        WireServer(Silence()) as server,
        Client(KEY, base_url=server.url, on_event=traced.hook) as client,
    ):
        caller = asyncio.create_task(client.balance())
        await server.has_received()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller

        assert [attributes(each)["error.type"] for each in traced.spans] == ["CancelledError"] * 2
        assert not [each for each in traced.spans if "smm.error.kind" in attributes(each)]


# --- orders --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_placed_order_is_marked_with_its_id(traced: Traced) -> None:
    async with Sandbox() as panel, client_of(panel, traced) as client:
        added = await client.add(ORDER)

    found = attributes(traced.named("smm.add")[0])
    assert (found["smm.outcome"], found["smm.order"], found["smm.service"]) == (
        "placed", added.order, "5",
    )  # fmt: skip


@pytest.mark.asyncio
async def test_lost_answer_is_marked_as_unknown(traced: Traced) -> None:
    async with Sandbox() as panel, client_of(panel, traced) as client:
        panel.fail_next("drop_after", action="add")
        with pytest.raises(OutcomeUnknownError):
            await client.add(ORDER)
        assert len(panel.orders) == 1

    call = traced.named("smm.add")[0]
    assert call.status.status_code is StatusCode.ERROR
    assert attributes(call)["smm.outcome"] == "unknown"
    assert attributes(call)["error.type"] == "OutcomeUnknownError"
    assert "smm.order" not in attributes(call)
    assert len(traced.children_of(call)) == 1


@pytest.mark.asyncio
async def test_a_refusal_under_200_is_a_failure_all_the_same(traced: Traced) -> None:
    async with Sandbox(balance=Decimal(0)) as panel, client_of(panel, traced) as client:
        with pytest.raises(RefusedError):
            await client.add(ORDER)

    call = traced.named("smm.add")[0]
    attempt = traced.children_of(call)[0]
    assert attributes(call)["smm.outcome"] == "refused"
    assert attributes(attempt)["http.response.status_code"] == 200
    assert attributes(attempt)["error.type"] == "InsufficientFundsError"


# --- parents -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_the_callers_current_span_is_the_parent(traced: Traced) -> None:
    tracer = traced.provider.get_tracer("a bot")
    async with Sandbox() as panel, client_of(panel, traced) as client:
        added = await client.add(ORDER)
        with tracer.start_as_current_span("handler"):
            await client.balance()
            await client.status(added.order)
            await client.add(DefaultOrder(service=5, link=f"{LINK}/2", quantity=1000))
            assert trace.get_current_span().get_span_context().is_valid
        await client.services()

    handler = traced.named("handler")[0]
    assert [each.name for each in traced.children_of(handler)] == [
        "smm.balance", "smm.status", "smm.add",
    ]  # fmt: skip
    assert traced.named("smm.services")[0].parent is None


@pytest.mark.asyncio
async def test_shared_polls_have_no_parent(traced: Traced) -> None:
    tracer = traced.provider.get_tracer("a bot")
    async with Sandbox() as panel, client_of(panel, traced) as client:
        added = await client.add(ORDER)
        panel.finish_all()
        with tracer.start_as_current_span("handler"):
            await client.wait(added.order)

    assert traced.named("smm.status")[0].parent is None


@pytest.mark.asyncio
async def test_many_clients_share_a_hook(traced: Traced) -> None:
    async with (
        Sandbox() as panel,
        client_of(panel, traced) as one,
        client_of(panel, traced) as other,
    ):
        await asyncio.gather(*(each.balance() for each in (one, other) * 5))

    calls = traced.named("smm.balance")
    assert len(calls) == 10
    assert all(len(traced.children_of(each)) == 1 for each in calls)
    assert traced.hook._calls == {}


# --- what leaves ---------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_no_trace_header_is_sent_to_the_panel(traced: Traced) -> None:
    tracer = traced.provider.get_tracer("a bot")
    async with (
        WireServer(reply('{"balance":"1"}'), reply('{"order":7}')) as server,
        Client(KEY, base_url=server.url, on_event=traced.hook) as client,
    ):
        with tracer.start_as_current_span("handler"):
            await client.balance()
            await client.add(ORDER)

    assert len(server.requests) == 2
    for request in server.requests:
        head = request.head.lower()
        assert not [each for each in ("traceparent", "tracestate", "baggage", "b3") if each in head]


@pytest.mark.asyncio
async def test_no_span_holds_the_key_a_link_or_panel_text(traced: Traced) -> None:
    async with Sandbox(api_key=KEY) as panel, client_of(panel, traced) as client:
        added = await client.add(ORDER)
        panel.fail_next("drop_after", action="add")
        for service in (5, 99999):
            with pytest.raises(PanelError):
                await client.add(DefaultOrder(service=service, link=LINK, quantity=1000))
        await client.statuses([added.order, 987654])

    shown = "".join(each.to_json() for each in traced.spans)
    assert len(traced.spans) == 8
    for each in (KEY, "marked-link", "example.com", "Incorrect", "987654"):
        assert each not in shown


# --- what does not fit ---------------------------------------------------------------------------


def test_events_without_a_known_call_are_ignored(traced: Traced) -> None:
    traced.hook(
        AttemptFinished(
            call_id="never started", action="status", id_count=1, attempt=1, duration_s=0.1,
            http_status=200, body_bytes=2, error=None, kind=None,
        )
    )  # fmt: skip
    traced.hook(
        CallFinished(
            call_id="never begun",
            action="status",
            attempts=1,
            duration_s=0.1,
            error=None,
            kind=None,
        )
    )
    traced.hook(BalanceChecked(balance=Decimal(1), currency=None))
    traced.hook(OrdersTracked(order_count=1))

    assert traced.spans == ()


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://panel.example/api/v1", "panel.example", 443),
        ("http://localhost/api/v1", "localhost", 80),
        ("http://[::1]:8080/api", "::1", 8080),
    ],
)
def test_default_port_is_named(traced: Traced, url: str, host: str, port: int) -> None:
    traced.hook(CallStarted(call_id="1", action="balance", id_count=0, url=url))
    traced.hook(
        CallFinished(
            call_id="1", action="balance", attempts=0, duration_s=0.0, error=None, kind=None
        )
    )

    found = attributes(traced.spans[0])
    assert (found["server.address"], found["server.port"]) == (host, port)


def test_without_a_provider_it_is_the_global_one() -> None:
    hook = TracingHook()
    hook(CallStarted(call_id="1", action="balance", id_count=0, url="https://panel.example"))
    hook(
        CallFinished(
            call_id="1", action="balance", attempts=0, duration_s=0.0, error=None, kind=None
        )
    )

    assert hook._calls == {}
