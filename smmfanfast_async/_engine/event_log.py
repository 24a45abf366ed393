"""Render events as log records. The texts and the `smm_*` fields of the log are made here only."""

import logging
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from .._text import sanitize
from ..errors import PanelError
from ..events import (
    AttemptFinished,
    BalanceBelowThreshold,
    BalanceRecovered,
    Event,
    OrderSettled,
    OutcomeUnknown,
    PlacementOutcome,
    RetryScheduled,
    Throttled,
)

__all__ = ["BatchBisected", "HookFailed", "LogEvent", "UnexpectedIds", "is_logged", "log_event"]

_LOG = logging.getLogger("smmfanfast_async")

_STACK_LEVEL = 5
"""Frames between the logger and the code that the event is about."""


class BatchBisected(NamedTuple):
    """A batch failed as a whole and is fetched again in halves. Logged only."""

    id_count: int


class UnexpectedIds(NamedTuple):
    """A response held ids that were not requested. Logged only."""

    id_count: int


class HookFailed(NamedTuple):
    """A hook raised. Logged only."""

    event: str
    error: str


LogEvent: TypeAlias = Event | BatchBisected | UnexpectedIds | HookFailed
"""Everything that may be logged; classes without a record here are for hooks alone."""


def is_logged(level: int) -> bool:
    """Return whether the log is on at a level."""
    return _LOG.isEnabledFor(level)


def log_event(event: LogEvent, error: BaseException | None = None) -> None:
    """Write the record of an event; `error` is what it is about.

    The text of an error may quote the panel, so it stands in the log but in no event.
    """
    # The other events are not logged.
    match event:  # pyright: ignore[reportMatchNotExhaustive]
        case RetryScheduled():
            text = f"{error}{'' if _maybe_sent(error) else '; nothing was sent'}"
            _log(
                logging.INFO, f"{text}; retrying in {event.delay_s:.1f} s", error,
                action=event.action, attempt=event.attempt, call_id=event.call_id or None,
                delay_s=event.delay_s,
            )  # fmt: skip
        case Throttled(action=action, delay_s=delay_s):
            text = f"{action}: too many requests; all calls wait {delay_s:.1f} s"
            _log(logging.INFO, text, action=action, delay_s=delay_s)
        case AttemptFinished():
            result = "answered" if error is None else type(error).__name__
            _log(
                logging.DEBUG, f"{event.action}: {result} after {event.duration_s:.3f} s", error,
                action=event.action, attempt=event.attempt, call_id=event.call_id,
                duration_s=event.duration_s, http_status=event.http_status,
                id_count=event.id_count,
            )  # fmt: skip
        case OrderSettled() | OutcomeUnknown():
            _log_order(event, error)
        case BalanceBelowThreshold() | BalanceRecovered():
            _log_balance(event)
        case BatchBisected(id_count=id_count):
            text = f"{error}; {id_count} ids are fetched again in halves"
            _log(logging.INFO, text, error, action="status", id_count=id_count)
        case UnexpectedIds(id_count=id_count):
            text = f"status: the response held {id_count} ids that were not requested"
            _log(logging.WARNING, text, action="status", id_count=id_count)
        case HookFailed(event=name, error=raised):
            text = f"on_event raised {raised} at {name}; logged once"
            _log(logging.WARNING, text, event=name, error=raised)


def _log_order(event: OrderSettled | OutcomeUnknown, error: BaseException | None) -> None:
    level, outcome = logging.WARNING, "unknown"
    if isinstance(event, OrderSettled):
        is_placed = event.outcome is PlacementOutcome.PLACED
        level, outcome = logging.DEBUG if is_placed else logging.INFO, event.outcome.value
    if error is None:
        text = f"order {event.order} placed"
    elif isinstance(error, PanelError):
        text = str(error)
    else:
        # Of a caller's own error, or a cancellation, only the name: its text may hold anything.
        is_settled = isinstance(event, OrderSettled)
        end = "nothing was sent" if is_settled else "the order may have been placed"
        text = f"add: {type(error).__name__}; {end}"
    _log(
        level, text, error, action="add", call_id=event.call_id or None, order=event.order,
        outcome=outcome, duration_s=event.duration_s, service=event.service, stacklevel=1,
    )  # fmt: skip


def _log_balance(event: BalanceBelowThreshold | BalanceRecovered) -> None:
    is_below = isinstance(event, BalanceBelowThreshold)
    level, side = (logging.WARNING, "below") if is_below else (logging.INFO, "above")
    currency = sanitize(event.currency or "")
    balance, threshold = _format(event.balance), _format(event.threshold)
    text = " ".join(f"the balance {balance} {currency} is {side} {threshold}".split())
    _log(level, text, balance=balance, currency=currency or None, threshold=threshold, stacklevel=1)


def _log(
    level: int,
    text: str,
    about: BaseException | None = None,
    /,
    *,
    stacklevel: int = 0,
    **fields: object,
) -> None:
    """Write one line: `text` sanitized, and as attributes `smm_…` the fields that are not None."""
    if _LOG.isEnabledFor(level):
        known = {
            f"smm_{name}": each
            for name, each in (_error_fields(about) | fields).items()
            if each is not None
        }
        _LOG.log(level, "%s", sanitize(text), extra=known, stacklevel=_STACK_LEVEL + stacklevel)


def _error_fields(error: BaseException | None) -> dict[str, object]:
    if error is None:
        return {}
    fields: dict[str, object] = {"error": type(error).__name__}
    if isinstance(error, PanelError):
        fields |= {
            "http_status": error.http_status,
            "kind": None if error.kind is None else error.kind.value,
        }
    return fields


def _maybe_sent(error: BaseException | None) -> bool:
    return isinstance(error, PanelError) and error.maybe_sent


def _format(amount: Decimal) -> str:
    return f"{amount:f}"
