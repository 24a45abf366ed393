"""Tells the hook and the log what a client does. Decides nothing, and harms no call.

How this works. `Instrumentation` belongs to a client and calls its hook. While somebody listens (a hook, or
a log at DEBUG), each call has a `CallTrace` and each attempt an `AttemptTrace`, which measure and
tell; while nobody does, there is none of them.
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
from .policy import BalanceThresholds

__all__ = ["AttemptTrace", "CallTrace", "Instrumentation"]

MAX_NAME_CHARACTERS = 100
"""How much of the name of a foreign class the log shows."""

CALL_ID_BYTES = 8
"""Random bytes in a call's name: among a million calls two share one by a chance of 1 in 30
million."""

_ID_FIELDS = ("orders", "order", "refills", "refill")
_LOG = logging.getLogger("smmfanfast_async")


class Instrumentation:
    """Tells one hook what its client does.

    `url` is where the client's calls go, `levels` are those of the balance that are told. Raises
    `InvalidSettingsError` for a hook that can't be called or would have to be awaited, and for a
    level that is none.
    """

    def __init__(
        self, hook: Hook | None = None, *, url: str = "", thresholds: Iterable[Decimal] = ()
    ) -> None:
        self.hook = hook
        """Who is told; None for nobody, so that whoever asks needs to make no event."""
        self.url = url
        self._hooks = tuple(_parts(hook))
        self._levels = BalanceThresholds.create(thresholds)
        self._failed: set[tuple[int, type[Event]]] = set()

    def emit(self, event: Event) -> None:
        """Tell the hook; what it raises is logged, once for each class of event."""
        for place, hook in enumerate(self._hooks):
            try:
                hook(event)
            # Whatever it raises, the call goes on. A result of a task that was cancelled raises
            # `CancelledError`; nobody has cancelled the call.
            except (Exception, CancelledError) as error:  # noqa: BLE001
                self._hook_failed(place, type(event), error)

    def trace(self, form: Mapping[str, str], now_s: Callable[[], float]) -> "CallTrace | None":
        """Give what traces a call; None while nobody listens."""
        if self.hook is None and not _LOG.isEnabledFor(logging.DEBUG):
            return None
        return CallTrace(self, form, now_s)

    def retry_scheduled(
        self, error: PanelError, pause_s: float, repeats: int, trace: "CallTrace | None"
    ) -> None:
        """Tell that a call is attempted again; `repeats` is how many there were already."""
        attempt = repeats + 2
        _log(
            logging.INFO,
            f"{error}{'' if error.maybe_sent else '; nothing was sent'}; again in {pause_s:.1f} s",
            action=error.action,
            attempt=attempt,
            call=None if trace is None else trace.call_id,
            pause_s=pause_s,
            **_about(error),
        )
        if trace is not None:
            trace.retry_scheduled(error, pause_s, attempt)

    def throttled(self, action: str, pause_s: float, concurrency: int) -> None:
        """Tell that the panel asked all calls to wait."""
        text = f"{action}: asked too often; all calls wait {pause_s:.1f} s"
        _log(logging.INFO, text, action=action, pause_s=pause_s)
        if self.hook is not None:
            self.emit(Throttled(action=action, delay_s=pause_s, concurrency=concurrency))

    def batch_bisected(self, error: PanelError, ids: int) -> None:
        """Log that a batch of so many ids, which failed whole, is asked again in halves."""
        text = f"{error}; {ids} ids are asked again in halves"
        _log(logging.INFO, text, action="status", ids=ids, **_about(error))

    def unexpected_ids(self, ids: int) -> None:
        """Log that so many ids came back that nobody asked for."""
        text = f"status: {ids} ids came back that nobody asked for"
        _log(logging.WARNING, text, action="status", ids=ids)

    def order_settled(
        self,
        form: Mapping[str, str],
        ended: AddedOrder | BaseException,
        seconds: float,
        trace: "CallTrace | None",
        *,
        was_under_way: bool,
    ) -> None:
        """Tell what became of an order; `was_under_way` says whether it may have left."""
        error = ended if isinstance(ended, BaseException) else None
        outcome = _outcome(error, was_under_way=was_under_way)
        order = ended.order if isinstance(ended, AddedOrder) else getattr(error, "order", None)
        _log(
            _LEVELS[outcome],
            f"order {order} placed" if error is None else _words(error),
            action="add",
            call=None if trace is None else trace.call_id,
            order=order,
            outcome="unknown" if outcome is None else outcome.value,
            seconds=seconds,
            service=form.get("service"),
            **_about(error),
        )
        if trace is not None:
            trace.order_settled(form.get("service"), order, outcome, error)
            trace.finished(error)

    def balance_checked(self, found: Balance) -> None:
        """Tell a balance, and whether it crossed one of the levels."""
        amount, currency = found.balance, found.currency
        if self.hook is not None:
            self.emit(BalanceChecked(balance=amount, currency=currency))
        if (level := self._levels.on_decrease(amount)) is not None:
            _log_balance(logging.WARNING, "below", found, level)
            self.emit(BalanceBelowThreshold(threshold=level, balance=amount, currency=currency))
        elif (level := self._levels.on_recovery(amount)) is not None:
            _log_balance(logging.INFO, "above", found, level)
            self.emit(BalanceRecovered(threshold=level, balance=amount, currency=currency))

    def _hook_failed(self, place: int, event: type[Event], error: BaseException) -> None:
        if (place, event) in self._failed:
            return
        self._failed.add((place, event))
        name = sanitize(type(error).__name__, MAX_NAME_CHARACTERS)
        text = f"on_event raised {name} at {event.__name__}; that is not said again"
        _log(logging.WARNING, text, event=event.__name__, error=name)


class CallTrace:
    """One call as it is told: entered when it is taken on, left when it ended."""

    def __init__(
        self, teller: Instrumentation, form: Mapping[str, str], now_s: Callable[[], float]
    ) -> None:
        self.call_id = secrets.token_hex(CALL_ID_BYTES)
        self.action = form["action"]
        self.id_count = _ids_in(form)
        self.instrumentation = teller
        self.now_s = now_s
        self._attempts = 0
        self._begun_s = 0.0

    def __enter__(self) -> Self:
        self._begun_s = self.now_s()
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
        self.finished(exc)

    def attempt(self) -> "AttemptTrace":
        """Give what traces the next attempt."""
        self._attempts += 1
        return AttemptTrace(self, self._attempts)

    def retry_scheduled(self, error: PanelError, pause_s: float, attempt: int) -> None:
        """Tell that it is attempted again."""
        self.instrumentation.emit(
            RetryScheduled(
                call_id=self.call_id,
                action=self.action,
                attempt=attempt,
                delay_s=pause_s,
                error=type(error).__name__,
                kind=error.kind,
            )
        )

    def order_settled(
        self,
        service: str | None,
        order: str | None,
        outcome: PlacementOutcome | None,
        error: BaseException | None,
    ) -> None:
        """Tell the outcome of an order; None for one that nobody knows."""
        if outcome is None:
            self._order_unknown(service, order, error)
            return
        self.instrumentation.emit(
            OrderSettled(
                call_id=self.call_id,
                outcome=outcome,
                service=service,
                order=order,
                duration_s=self.now_s() - self._begun_s,
                error=_name(error),
                kind=_kind(error),
            )
        )

    def _order_unknown(
        self, service: str | None, order: str | None, error: BaseException | None
    ) -> None:
        cause = getattr(error, "__cause__", None) or error
        self.instrumentation.emit(
            OutcomeUnknown(
                call_id=self.call_id,
                service=service,
                order=order,
                sent_at=error.sent_at if isinstance(error, OutcomeUnknownError) else None,
                http_status=_http_status(error),
                error=type(cause).__name__,
                duration_s=self.now_s() - self._begun_s,
            )
        )

    def finished(self, error: BaseException | None) -> None:
        """Tell that it ended."""
        self.instrumentation.emit(
            CallFinished(
                call_id=self.call_id,
                action=self.action,
                attempts=self._attempts,
                duration_s=self.now_s() - self._begun_s,
                error=_name(error),
                kind=_kind(error),
            )
        )


class AttemptTrace:
    """One attempt as it is told: entered before it is sent, left when its answer was read."""

    def __init__(self, call: CallTrace, number: int) -> None:
        self.reply: Response | None = None
        """The answer, set when there is one."""
        self._call = call
        self._number = number
        self._begun_s = 0.0

    def __enter__(self) -> Self:
        self._begun_s = self._call.now_s()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        seconds = self._call.now_s() - self._begun_s
        status = _http_status(exc) if self.reply is None else self.reply.status
        call = self._call
        if _LOG.isEnabledFor(logging.DEBUG):
            ended = "answered" if exc is None else type(exc).__name__
            text = f"{call.action}: {ended} after {seconds:.3f} s"
            fields = _about(exc) | {"http_status": status}
            _log(
                logging.DEBUG, text, action=call.action, attempt=self._number, call=call.call_id,
                ids=call.id_count, seconds=seconds, **fields,
            )  # fmt: skip
        call.instrumentation.emit(
            AttemptFinished(
                call_id=call.call_id,
                action=call.action,
                id_count=call.id_count,
                attempt=self._number,
                duration_s=seconds,
                http_status=status,
                body_bytes=None if self.reply is None else len(self.reply.body),
                error=_name(exc),
                kind=_kind(exc),
            )
        )


_LEVELS: dict[PlacementOutcome | None, int] = {
    PlacementOutcome.PLACED: logging.DEBUG,
    PlacementOutcome.REFUSED: logging.INFO,
    PlacementOutcome.NOT_SENT: logging.INFO,
    None: logging.WARNING,
}
"""How loudly the log tells an outcome; None for one that nobody knows."""


def _parts(hook: Hook | None) -> Iterator[Hook]:
    """Give the single hooks, so that each is told and blamed by itself."""
    if hook is None:
        return
    if isinstance(hook, CombinedHooks):
        for each in hook.hooks:
            yield from _parts(each)
        return
    if not callable(hook):
        raise InvalidSettingsError("on_event", "is nothing that can be called")
    if iscoroutinefunction(hook) or iscoroutinefunction(type(hook).__call__):
        raise InvalidSettingsError("on_event", "is a coroutine function; nobody awaits it")
    yield hook


def _outcome(error: BaseException | None, *, was_under_way: bool) -> PlacementOutcome | None:
    """Say how an `add` ended that raised this, or nothing; None where nobody knows."""
    if error is None:
        return PlacementOutcome.PLACED
    if not isinstance(error, PanelError):
        return None if was_under_way else PlacementOutcome.NOT_SENT
    if not error.maybe_sent:
        return PlacementOutcome.NOT_SENT
    return None if error.maybe_placed else PlacementOutcome.REFUSED


def _ids_in(form: Mapping[str, str]) -> int:
    """Count the ids that a form asks about."""
    return next((form[name].count(",") + 1 for name in _ID_FIELDS if name in form), 0)


# --- words ---------------------------------------------------------------------------------------


def _log(level: int, text: str, /, **fields: object) -> None:
    """Write a line: `text` cleaned, and as attributes `smm_…` the fields that are known."""
    if _LOG.isEnabledFor(level):
        known = {f"smm_{name}": each for name, each in fields.items() if each is not None}
        _LOG.log(level, "%s", sanitize(text), extra=known, stacklevel=3)


def _log_balance(level: int, where: str, found: Balance, crossed: Decimal) -> None:
    currency = sanitize(found.currency or "")
    text = " ".join(f"the balance {found.balance:f} {currency} is {where} {crossed:f}".split())
    amounts = {"balance": f"{found.balance:f}", "level": f"{crossed:f}"}
    _log(level, text, currency=currency or None, **amounts)


def _words(error: BaseException) -> str:
    return str(error) if isinstance(error, PanelError) else type(error).__name__


def _about(error: BaseException | None) -> dict[str, object]:
    """Give the fields of the log that tell of an error."""
    kind = _kind(error)
    return {
        "error": _name(error),
        "http_status": _http_status(error),
        "kind": None if kind is None else kind.value,
    }


def _kind(error: BaseException | None) -> ErrorKind | None:
    return error.kind if isinstance(error, PanelError) else None


def _name(error: BaseException | None) -> str | None:
    return None if error is None else type(error).__name__


def _http_status(error: BaseException | None) -> int | None:
    return error.http_status if isinstance(error, PanelError) else None
