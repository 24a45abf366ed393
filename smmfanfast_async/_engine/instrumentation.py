"""Emit events to the hook and the log. Failures here never affect the call.

How this works. `Instrumentation` belongs to a client; all events of calls are made here, and `emit`
passes each to the log (`event_log`) and to the hook. While there is a hook, or the log is at DEBUG,
each call has a `CallTrace` and each attempt an `AttemptTrace`, which measure and emit; otherwise
there are none. An event is made only if there is a hook or its level of the log is on.
"""

import logging
import secrets
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Self

from .._text import sanitize
from ..errors import ErrorKind, InvalidSettingsError, OutcomeUnknownError, PanelError
from ..events import (
    AttemptFinished,
    BalanceBelowThreshold,
    BalanceChecked,
    BalanceRecovered,
    CallFinished,
    CallStarted,
    CombinedHooks,
    Event,
    Hook,
    OrderSettled,
    OutcomeUnknown,
    PlacementOutcome,
    RetryScheduled,
    Throttled,
)
from ..results import AddedOrder, Balance, Response
from .event_log import BatchBisected, HookFailed, UnexpectedIds, is_logged, log_event
from .policy import BalanceThresholds

__all__ = ["AttemptTrace", "CallTrace", "Instrumentation"]

MAX_NAME_CHARACTERS = 100
"""The most characters of the name of a foreign class in the log."""

CALL_ID_BYTES = 8
"""Random bytes in a call id: among a million calls, the chance that two share one is 1 in 30
million."""

_ID_FIELDS = ("orders", "order", "refills", "refill")

_LEVELS: dict[PlacementOutcome | None, int] = {
    PlacementOutcome.PLACED: logging.DEBUG,
    PlacementOutcome.REFUSED: logging.INFO,
    PlacementOutcome.NOT_SENT: logging.INFO,
    None: logging.WARNING,
}
"""Level at which an outcome is logged; None is an unknown one."""


class Instrumentation:
    """Emits the events of a client to one hook and the log.

    `url` is the address of the client's calls, `thresholds` are those of the balance. Raises
    `InvalidSettingsError` for a hook that is not callable or would have to be awaited, and for a
    threshold that is not an amount above 0.
    """

    def __init__(
        self, hook: Hook | None = None, *, url: str = "", thresholds: Iterable[Decimal] = ()
    ) -> None:
        self.hook = hook
        """The hook; None for none, so that callers need not make an event."""
        self.url = url
        self._hooks = tuple(_flatten(hook))
        self._thresholds = BalanceThresholds.create(thresholds)
        self._failed: set[tuple[int, type[Event]]] = set()

    def emit(self, event: Event, error: BaseException | None = None) -> None:
        """Log an event and pass it to the hook; `error` is what it is about, for the log alone.

        What a hook raises is logged, once for each class of event.
        """
        log_event(event, error)
        for index, hook in enumerate(self._hooks):
            try:
                hook(event)
            # Whatever it raises, the call continues. Reading the result of a cancelled task raises
            # `CancelledError` although this call was not cancelled.
            except (Exception, CancelledError) as raised:  # noqa: BLE001
                self._on_hook_failed(index, type(event), raised)

    def trace(self, form: Mapping[str, str], now_s: Callable[[], float]) -> "CallTrace | None":
        """Return a trace for a call; None if neither a hook nor the log at DEBUG needs one."""
        if self.hook is None and not is_logged(logging.DEBUG):
            return None
        return CallTrace(self, form, now_s)

    def retry_scheduled(
        self, error: PanelError, delay_s: float, retries: int, trace: "CallTrace | None"
    ) -> None:
        """Report that a call will be retried; `retries` is the number of retries so far."""
        if self._is_needed(logging.INFO):
            event = RetryScheduled(
                call_id="" if trace is None else trace.call_id,
                action=error.action or "",
                attempt=retries + 2,
                delay_s=delay_s,
                error=type(error).__name__,
                kind=error.kind,
            )
            self.emit(event, error)

    def throttled(self, action: str, delay_s: float, concurrency: int) -> None:
        """Report that the panel asked for a pause of all calls."""
        if self._is_needed(logging.INFO):
            self.emit(Throttled(action=action, delay_s=delay_s, concurrency=concurrency))

    def batch_bisected(self, error: PanelError, id_count: int) -> None:
        """Log that a batch failed as a whole and is fetched again in halves."""
        log_event(BatchBisected(id_count=id_count), error)

    def unexpected_ids(self, id_count: int) -> None:
        """Log that a response held ids that were not requested."""
        log_event(UnexpectedIds(id_count=id_count))

    def order_settled(
        self,
        form: Mapping[str, str],
        result: AddedOrder | BaseException,
        duration_s: float,
        trace: "CallTrace | None",
        *,
        was_in_flight: bool,
    ) -> None:
        """Report the outcome of an order; `was_in_flight` tells whether it may have been sent."""
        error = result if isinstance(result, BaseException) else None
        outcome = _outcome(error, was_in_flight=was_in_flight)
        if self._is_needed(_LEVELS[outcome]):
            call_id = "" if trace is None else trace.call_id
            event = _order_event(call_id, form.get("service"), result, outcome, duration_s)
            self.emit(event, error)
        if trace is not None:
            trace.finish(error)

    def balance_checked(self, found: Balance) -> None:
        """Report a balance, and whether it crossed a threshold."""
        balance, currency = found.balance, found.currency
        if self.hook is not None:
            self.emit(BalanceChecked(balance=balance, currency=currency))
        if (crossed := self._thresholds.on_decrease(balance)) is not None:
            self.emit(BalanceBelowThreshold(threshold=crossed, balance=balance, currency=currency))
        elif (crossed := self._thresholds.on_recovery(balance)) is not None:
            self.emit(BalanceRecovered(threshold=crossed, balance=balance, currency=currency))

    def _is_needed(self, level: int) -> bool:
        """Return whether a hook or the log takes an event of this level."""
        return self.hook is not None or is_logged(level)

    def _on_hook_failed(self, index: int, event: type[Event], error: BaseException) -> None:
        if (index, event) in self._failed:
            return
        self._failed.add((index, event))
        name = sanitize(type(error).__name__, MAX_NAME_CHARACTERS)
        log_event(HookFailed(event=event.__name__, error=name))


class CallTrace:
    """Traces one call: entered when it starts, left when it ends."""

    def __init__(
        self,
        instrumentation: Instrumentation,
        form: Mapping[str, str],
        now_s: Callable[[], float],
    ) -> None:
        self.call_id = secrets.token_hex(CALL_ID_BYTES)
        self.action = form["action"]
        self.id_count = _count_ids(form)
        self.instrumentation = instrumentation
        self.now_s = now_s
        self._attempts = 0
        self._started_s = 0.0

    def __enter__(self) -> Self:
        self._started_s = self.now_s()
        self.instrumentation.emit(
            CallStarted(
                call_id=self.call_id,
                action=self.action,
                id_count=self.id_count,
                url=self.instrumentation.url,
            )
        )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.finish(exc)

    def attempt(self) -> "AttemptTrace":
        """Return a trace for the next attempt."""
        self._attempts += 1
        return AttemptTrace(self, self._attempts)

    def finish(self, error: BaseException | None) -> None:
        """Emit the end of the call."""
        self.instrumentation.emit(
            CallFinished(
                call_id=self.call_id,
                action=self.action,
                attempts=self._attempts,
                duration_s=self.now_s() - self._started_s,
                error=_name(error),
                kind=_kind(error),
            )
        )


class AttemptTrace:
    """Traces one attempt: entered before it is sent, left when its response was decoded."""

    def __init__(self, call: CallTrace, number: int) -> None:
        self.reply: Response | None = None
        """The response, set when there is one."""
        self._call = call
        self._number = number
        self._started_s = 0.0

    def __enter__(self) -> Self:
        self._started_s = self._call.now_s()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        call, reply = self._call, self.reply
        event = AttemptFinished(
            call_id=call.call_id,
            action=call.action,
            id_count=call.id_count,
            attempt=self._number,
            duration_s=call.now_s() - self._started_s,
            http_status=_http_status(exc) if reply is None else reply.status,
            body_bytes=None if reply is None else len(reply.body),
            error=_name(exc),
            kind=_kind(exc),
        )
        call.instrumentation.emit(event, exc)


def _flatten(hook: Hook | None) -> Iterator[Hook]:
    """Yield the single hooks, so that the failures of each are logged separately."""
    if hook is None:
        return
    if isinstance(hook, CombinedHooks):
        for each in hook.hooks:
            yield from _flatten(each)
        return
    if not callable(hook):
        raise InvalidSettingsError("on_event", "must be callable")
    if iscoroutinefunction(hook) or iscoroutinefunction(type(hook).__call__):
        raise InvalidSettingsError("on_event", "must be a plain function: it is not awaited")
    yield hook


def _order_event(
    call_id: str,
    service: str | None,
    result: AddedOrder | BaseException,
    outcome: PlacementOutcome | None,
    duration_s: float,
) -> OrderSettled | OutcomeUnknown:
    error = result if isinstance(result, BaseException) else None
    order = result.order if isinstance(result, AddedOrder) else getattr(result, "order", None)
    if outcome is not None:
        return OrderSettled(
            call_id=call_id,
            outcome=outcome,
            service=service,
            order=order,
            duration_s=duration_s,
            error=_name(error),
            kind=_kind(error),
        )
    cause = getattr(error, "__cause__", None) or error
    return OutcomeUnknown(
        call_id=call_id,
        service=service,
        order=order,
        sent_at=error.sent_at if isinstance(error, OutcomeUnknownError) else None,
        http_status=_http_status(error),
        error=type(cause).__name__,
        duration_s=duration_s,
    )


def _outcome(error: BaseException | None, *, was_in_flight: bool) -> PlacementOutcome | None:
    """Return the outcome of an `add` by its error, if any; None if it is unknown."""
    if error is None:
        return PlacementOutcome.PLACED
    if not isinstance(error, PanelError):
        return None if was_in_flight else PlacementOutcome.NOT_SENT
    if not error.maybe_sent:
        return PlacementOutcome.NOT_SENT
    return None if error.maybe_placed else PlacementOutcome.REFUSED


def _count_ids(form: Mapping[str, str]) -> int:
    """Count the ids that a form asks about."""
    return next((form[name].count(",") + 1 for name in _ID_FIELDS if name in form), 0)


def _kind(error: BaseException | None) -> ErrorKind | None:
    return error.kind if isinstance(error, PanelError) else None


def _name(error: BaseException | None) -> str | None:
    return None if error is None else type(error).__name__


def _http_status(error: BaseException | None) -> int | None:
    return error.http_status if isinstance(error, PanelError) else None
