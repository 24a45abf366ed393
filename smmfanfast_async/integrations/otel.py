"""A hook that creates OpenTelemetry spans (extra `otel`).

    client = Client(key, on_event=TracingHook())

Each call is a span of kind CLIENT, `smm.<action>`, below the caller's current span; each of its
attempts is a child of it, `POST`, with the attributes of OpenTelemetry's conventions for HTTP
clients. The parent of a batch of statuses is the span of its first caller; the polls of `wait` and
`watch`, which are shared, have no parent.

A span holds no body, key, link or text of the panel. No header is added to requests.
"""

import time
from http import HTTPStatus
from urllib.parse import urlsplit

from attrs import frozen
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, TracerProvider
from opentelemetry.util.types import AttributeValue

from ..errors import ErrorKind
from ..events import (
    AttemptFinished,
    CallFinished,
    CallStarted,
    Event,
    OrderSettled,
    OutcomeUnknown,
    RetryScheduled,
)

__all__ = ["TracingHook"]

_NS = 1_000_000_000
"""Nanoseconds in a second: OpenTelemetry's times are nanoseconds since 1970."""


@frozen
class _OpenCall:
    """The span of a call in progress, and what its attempts share with it."""

    span: Span
    server: dict[str, AttributeValue]
    url: str


class TracingHook:
    """Creates a span for each call and each attempt; may be shared by any number of clients.

    `tracer_provider` provides the tracer; by default it is OpenTelemetry's global one at the time
    the hook is created.

    Attributes of a call's span: `server.address`, `server.port`, `error.type`, and our own
    `smm.action`, `smm.id_count`, `smm.attempts`, `smm.error.kind` (`ErrorKind`); for an
    order also `smm.service`, `smm.order` and `smm.outcome` (`placed`, `refused`, `not_sent`,
    `unknown`). A retry is an event on it, `smm.retry`, with `smm.attempt` and `smm.delay_s`.

    Attributes of an attempt's span: `http.request.method`, `http.response.status_code`,
    `http.request.resend_count` from the second attempt on, `server.address`, `server.port`,
    `url.full`, `error.type`, `smm.error.kind`.

    `error.type` is the class of the error ("NoResponseError"; "CancelledError" if the caller was
    cancelled); for an attempt with an HTTP status of 400 or above it is that status.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer: Tracer = trace.get_tracer("smmfanfast_async", tracer_provider=tracer_provider)
        self._calls: dict[str, _OpenCall] = {}

    def __call__(self, event: Event) -> None:
        """Record an event of a client."""
        # The call is unknown here if the hook failed at its start, or was added later.
        match event:
            case CallStarted():
                self._start(event)
            case CallFinished():
                call = self._calls.pop(event.call_id, None)
                if call is not None:
                    _end(call.span, event)
            case AttemptFinished() | RetryScheduled() | OrderSettled() | OutcomeUnknown():
                call = self._calls.get(event.call_id)
                if call is not None:
                    self._record(call, event)
            case _:
                pass

    def _start(self, event: CallStarted) -> None:
        url = urlsplit(event.url)
        server: dict[str, AttributeValue] = {
            "server.address": url.hostname or "",
            "server.port": url.port or (443 if url.scheme == "https" else 80),
        }
        span = self._tracer.start_span(
            f"smm.{event.action}",
            kind=SpanKind.CLIENT,
            attributes={**server, "smm.action": event.action, "smm.id_count": event.id_count},
        )
        self._calls[event.call_id] = _OpenCall(span, server, event.url)

    def _record(
        self,
        call: _OpenCall,
        event: AttemptFinished | RetryScheduled | OrderSettled | OutcomeUnknown,
    ) -> None:
        match event:
            case AttemptFinished():
                self._record_attempt(call, event)
            case RetryScheduled():
                details = {"smm.attempt": event.attempt, "smm.delay_s": event.delay_s}
                call.span.add_event("smm.retry", details)
            case OrderSettled():
                _set_outcome(call.span, event.outcome.value, event)
            case _:
                _set_outcome(call.span, "unknown", event)

    def _record_attempt(self, call: _OpenCall, event: AttemptFinished) -> None:
        ended_ns = time.time_ns()
        attributes: dict[str, AttributeValue] = {
            **call.server,
            "http.request.method": "POST",
            "url.full": call.url,
        }
        if event.attempt > 1:
            attributes["http.request.resend_count"] = event.attempt - 1
        span = self._tracer.start_span(
            "POST",
            context=trace.set_span_in_context(call.span),
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=ended_ns - int(event.duration_s * _NS),
        )
        status = event.http_status
        if status is not None:
            span.set_attribute("http.response.status_code", status)
        if event.error is not None:
            is_failing = status is not None and status >= HTTPStatus.BAD_REQUEST
            _fail(span, str(status) if is_failing else event.error, event.kind)
        span.end(ended_ns)


def _set_outcome(span: Span, outcome: str, event: OrderSettled | OutcomeUnknown) -> None:
    span.set_attribute("smm.outcome", outcome)
    for name, text in (("smm.service", event.service), ("smm.order", event.order)):
        if text is not None:
            span.set_attribute(name, text)


def _end(span: Span, event: CallFinished) -> None:
    span.set_attribute("smm.attempts", event.attempts)
    if event.error is not None:
        _fail(span, event.error, event.kind)
    span.end()


def _fail(span: Span, error_type: str, kind: ErrorKind | None) -> None:
    # Without a description: the text of the panel may quote a link.
    span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("error.type", error_type)
    if kind is not None:
        span.set_attribute("smm.error.kind", kind.value)
