"""A hook that makes spans of OpenTelemetry (extra `otel`).

    client = Client(key, on_event=TracingHook())

Each call is a span of kind CLIENT, `smm.<action>`, below the caller's current span; each of its
attempts is a child of it, `POST`, with the attributes of OpenTelemetry's conventions for HTTP
clients. A batch of statuses that many asked for hangs below the span of who asked first; the looks
of `wait` and `watch`, which are everybody's, hang below none.

A span holds no body, no key, no link and no words of the panel. No header is sent to the panel.
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
class _Open:
    """The span of a call that has not ended yet, and what its attempts share with it."""

    span: Span
    place: dict[str, AttributeValue]
    url: str


class TracingHook:
    """Makes a span of each call and of each attempt; may be shared by any number of clients.

    `tracer_provider` is where the tracer comes from; OpenTelemetry's global one by default, taken
    when the hook is made.

    Attributes of a call's span: `server.address`, `server.port`, `error.type`, and our own
    `smm.action`, `smm.ids` (how many), `smm.attempts`, `smm.error.kind` (`ErrorKind`); of that of
    an order also `smm.service`, `smm.order` and `smm.outcome` (`placed`, `refused`, `not_sent`,
    `unknown`). A retry is an event on it, `smm.retry`, with `smm.attempt` and `smm.delay_s`.

    Attributes of an attempt's span: `http.request.method`, `http.response.status_code`,
    `http.request.resend_count` from the second attempt on, `server.address`, `server.port`,
    `url.full`, `error.type`, `smm.error.kind`.

    `error.type` is the class of the error ("NoResponseError"; "CancelledError" where the caller was
    cancelled), for an attempt with an HTTP status from 400 on that status.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer: Tracer = trace.get_tracer("smmfanfast_async", tracer_provider=tracer_provider)
        self._open: dict[str, _Open] = {}

    def __call__(self, event: Event) -> None:
        """Take an event of a client."""
        # A call is not open here if the hook failed at its begin, or was not asked then.
        match event:
            case CallStarted():
                self._begin(event)
            case CallFinished():
                call = self._open.pop(event.call_id, None)
                if call is not None:
                    _end(call.span, event)
            case AttemptFinished() | RetryScheduled() | OrderSettled() | OutcomeUnknown():
                call = self._open.get(event.call_id)
                if call is not None:
                    self._step(call, event)
            case _:
                pass

    def _begin(self, event: CallStarted) -> None:
        url = urlsplit(event.url)
        place: dict[str, AttributeValue] = {
            "server.address": url.hostname or "",
            "server.port": url.port or (443 if url.scheme == "https" else 80),
        }
        span = self._tracer.start_span(
            f"smm.{event.action}",
            kind=SpanKind.CLIENT,
            attributes={**place, "smm.action": event.action, "smm.ids": event.id_count},
        )
        self._open[event.call_id] = _Open(span, place, event.url)

    def _step(
        self, call: _Open, event: AttemptFinished | RetryScheduled | OrderSettled | OutcomeUnknown
    ) -> None:
        match event:
            case AttemptFinished():
                self._attempt(call, event)
            case RetryScheduled():
                details = {"smm.attempt": event.attempt, "smm.delay_s": event.delay_s}
                call.span.add_event("smm.retry", details)
            case OrderSettled():
                _mark(call.span, event.outcome.value, event)
            case _:
                _mark(call.span, "unknown", event)

    def _attempt(self, call: _Open, event: AttemptFinished) -> None:
        ended_ns = time.time_ns()
        attributes: dict[str, AttributeValue] = {
            **call.place,
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


def _mark(span: Span, outcome: str, event: OrderSettled | OutcomeUnknown) -> None:
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
    # Without a description: the panel's words may quote a link.
    span.set_status(Status(StatusCode.ERROR))
    span.set_attribute("error.type", error_type)
    if kind is not None:
        span.set_attribute("smm.error.kind", kind.value)
