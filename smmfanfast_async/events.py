"""The events that a client passes to its hook: a frozen value for each thing that happens. Pure.

`Client(on_event=hook)` calls the hook with each event at the moment it happens, in the event loop
and between the steps of the call: a hook has to be quick, and must hand over what takes time. An
exception in a hook never affects the call: the log names its class, once for each class of event.
`KeyboardInterrupt` and `SystemExit` are not caught. Match on the classes:

    def hook(event: Event) -> None:
        match event:
            case OutcomeUnknown(service=service):
                print("check the panel for an order of service", service)

The events of one call come in this order: `CallStarted`; for each attempt an `AttemptFinished`,
with a `RetryScheduled` between two attempts; for an order `OrderSettled` or `OutcomeUnknown`;
`CallFinished`. They share `call_id`. A call that is rejected before it starts (a closed client, an
invalid field) emits no events.

They are `msgspec.Struct`s, as the results are: a class of its own takes a fortieth of the time that
attrs needs to generate one, and every import of the client would pay for that.

Events hold no key, link, comments, user names, or texts of the panel, which may quote them. Moments
are aware UTC; `duration_s` and `delay_s` are seconds of a monotonic clock.

The log reports the same under the logger `smmfanfast_async`, sanitized to one line each: requests
and placed orders at DEBUG; retries, bisected batches, pauses, recovered balances, and orders that
were refused or not sent at INFO; unknown outcomes, ids that were not requested, a balance below a
threshold and a hook that fails at WARNING. Its records carry as attributes, if known: `smm_action`,
`smm_attempt`, `smm_call_id` (if there is a hook, or DEBUG is on), `smm_delay_s`, `smm_duration_s`,
`smm_error` (class), `smm_http_status`, `smm_id_count`, `smm_kind` (`ErrorKind`), `smm_order`,
`smm_outcome` (`PlacementOutcome`, or "unknown"), `smm_service`.
Records about the balance carry `smm_balance`, `smm_currency` and `smm_threshold`, as text; those
about a hook that fails `smm_event` (class) and `smm_error`.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

import msgspec

from .changes import ChangeKind
from .errors import ErrorKind
from .results import Status

__all__ = [
    "AttemptFinished",
    "BalanceBelowThreshold",
    "BalanceChecked",
    "BalanceRecovered",
    "BatchFinished",
    "CallFinished",
    "CallStarted",
    "CombinedHooks",
    "Event",
    "Hook",
    "OrderChanged",
    "OrderSettled",
    "OrdersTracked",
    "OutcomeUnknown",
    "PlacementOutcome",
    "RetryScheduled",
    "Throttled",
    "combine_hooks",
]


# --- calls ---------------------------------------------------------------------------------------


class CallStarted(msgspec.Struct, frozen=True, kw_only=True):
    """A call started: a call of the client, or a batch of statuses for several callers.

    The hook runs in the context (`contextvars`) of the caller; for a batch, of its first caller;
    for the polls of `wait` and `watch`, which are shared, in an empty one.
    """

    call_id: str
    """Id of the call, unique among all clients."""
    action: str
    """The action as in the form, such as "status"."""
    id_count: int
    """How many ids it asks about; 0 if the action takes none."""
    url: str
    """Its address: `Client.base_url`, which holds no user name, password or query."""


class AttemptFinished(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt ended, successfully or not."""

    call_id: str
    """Id of the call that the attempt belongs to."""
    action: str
    """The action as in the form."""
    id_count: int
    """How many ids it asked about; 0 if the action takes none."""
    attempt: int
    """Number of the attempt, from 1."""
    duration_s: float
    """Seconds from the start of sending to the end of decoding, without the wait for a slot."""
    http_status: int | None
    """HTTP status of the response; None if there was none."""
    body_bytes: int | None
    """Length of the response body, decompressed; None if it did not arrive completely."""
    error: str | None
    """Class of the error, such as "ServerError", or "CancelledError"; None on success."""
    kind: ErrorKind | None
    """Kind of the error; None on success, or if the error is not a `PanelError`."""


class RetryScheduled(msgspec.Struct, frozen=True, kw_only=True):
    """A call will be retried."""

    call_id: str
    """Id of the call."""
    action: str
    """The action as in the form."""
    attempt: int
    """Number of the next attempt, so 2 or more."""
    delay_s: float
    """Seconds until the next attempt."""
    error: str
    """Class of the error of the last attempt."""
    kind: ErrorKind
    """Kind of that error."""


class CallFinished(msgspec.Struct, frozen=True, kw_only=True):
    """A call ended, successfully or not.

    An `add` ends when its outcome is settled, even if its caller was cancelled before.
    """

    call_id: str
    """Id of the call."""
    action: str
    """The action as in the form."""
    attempts: int
    """How many attempts there were; 0 if it never got a slot."""
    duration_s: float
    """Seconds since the start of the call, including all waiting and delays."""
    error: str | None
    """Class of the error, or "CancelledError"; None on success."""
    kind: ErrorKind | None
    """Kind of the error; None on success, or if the error is not a `PanelError`."""


class Throttled(msgspec.Struct, frozen=True, kw_only=True):
    """The panel reported too many requests, so all calls of the account wait."""

    action: str
    """The action that was answered in this way."""
    delay_s: float
    """Seconds for which all calls wait."""
    concurrency: int
    """How many requests may be in flight from here on; each success raises it by one."""


class BatchFinished(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of statuses was answered, in one request or, after failures, in several."""

    id_count: int
    """How many ids were in the batch."""
    found_count: int
    """How many of them have a status."""
    failed_count: int
    """How many of them have an error instead."""


# --- orders --------------------------------------------------------------------------------------


class PlacementOutcome(StrEnum):
    """How an `add` ended, if that is known."""

    PLACED = "placed"
    """The panel created the order."""
    REFUSED = "refused"
    """The panel refused, and created no order."""
    NOT_SENT = "not_sent"
    """It is proved that no byte of it left this machine."""


class OrderSettled(msgspec.Struct, frozen=True, kw_only=True):
    """An `add` ended with a known outcome."""

    call_id: str
    """Id of the call."""
    outcome: PlacementOutcome
    """The outcome."""
    service: str | None
    """The service that was ordered."""
    order: str | None
    """The panel's id of the order; None unless it was placed."""
    duration_s: float
    """Seconds since the start of the call, including the wait to be sent."""
    error: str | None
    """Class of the error; None if it was placed."""
    kind: ErrorKind | None
    """Kind of the error; None if it was placed, or if the error is not a `PanelError`."""


class OutcomeUnknown(msgspec.Struct, frozen=True, kw_only=True):
    """An `add` ended with an unknown outcome: an order may exist; check the panel.

    The form and the text of the panel are in the `OutcomeUnknownError` of the caller.
    """

    call_id: str
    """Id of the call."""
    service: str | None
    """The service that was ordered."""
    order: str | None
    """An id that the panel returned together with an error; None without one."""
    sent_at: datetime | None
    """When it was sent, aware UTC; None if that is not known."""
    http_status: int | None
    """HTTP status of the response; None if there was none."""
    error: str
    """Class of the cause: "NoResponseError", "InvalidResponseError", "CancelledError" if
    the client was closed meanwhile, "OutcomeUnknownError" for a response that proves nothing."""
    duration_s: float
    """Seconds since the start of the call, including the wait to be sent."""


class OrderChanged(msgspec.Struct, frozen=True, kw_only=True):
    """`Client.wait` or `Client.watch` yields a `StatusChange`: one event for each of their callers.

    It holds only enum values, since the panel's own fields may hold anything.
    """

    order: str
    """The panel's id."""
    kind: ChangeKind
    """What happened."""
    before: Status | None
    """The status that this caller received last; None for the first one."""
    after: Status | None
    """The status after the change; None if the order is missing."""


class OrdersTracked(msgspec.Struct, frozen=True, kw_only=True):
    """The number of orders that are waited for or watched changed."""

    order_count: int
    """How many there are; an order with several watchers counts once."""


# --- money ---------------------------------------------------------------------------------------


class BalanceChecked(msgspec.Struct, frozen=True, kw_only=True):
    """`Client.balance` received an answer."""

    balance: Decimal
    """The amount, in `currency`."""
    currency: str | None
    """Such as "USD"; None if the panel does not tell."""


class BalanceBelowThreshold(msgspec.Struct, frozen=True, kw_only=True):
    """The balance fell below one of `balance_thresholds`; the lowest one is reported, once."""

    threshold: Decimal
    """The threshold."""
    balance: Decimal
    """The amount, below the threshold."""
    currency: str | None
    """Such as "USD"; None if the panel does not tell."""


class BalanceRecovered(msgspec.Struct, frozen=True, kw_only=True):
    """The balance rose clearly above a crossed threshold; the highest one is reported."""

    threshold: Decimal
    """The threshold; falling below it is reported again."""
    balance: Decimal
    """The amount, at least a tenth above the threshold."""
    currency: str | None
    """Such as "USD"; None if the panel does not tell."""


Event: TypeAlias = (
    CallStarted
    | AttemptFinished
    | RetryScheduled
    | CallFinished
    | Throttled
    | BatchFinished
    | OrderSettled
    | OutcomeUnknown
    | OrderChanged
    | OrdersTracked
    | BalanceChecked
    | BalanceBelowThreshold
    | BalanceRecovered
)
"""Any event. More classes may be added: a hook must ignore those that it does not know."""

Hook: TypeAlias = Callable[[Event], None]
"""The type of `Client(on_event=…)`: a plain function, called in the event loop."""


class CombinedHooks(msgspec.Struct, frozen=True):
    """Several hooks as one; see `combine_hooks`."""

    hooks: tuple[Hook, ...]
    """The hooks, called in this order."""

    def __call__(self, event: Event) -> None:
        """Call every hook. Exceptions are raised afterwards, as one `ExceptionGroup`."""
        errors: list[Exception] = []
        for hook in self.hooks:
            try:
                hook(event)
            except Exception as error:  # noqa: BLE001  # raised below, after all hooks were called
                errors.append(error)
        if errors:
            raise ExceptionGroup("hooks failed", errors)


def combine_hooks(*hooks: Hook) -> CombinedHooks:
    """Combine several hooks: `Client(on_event=combine_hooks(TracingHook(), metrics.hook()))`.

    They are called in this order; an exception in one does not affect the others.
    """
    return CombinedHooks(hooks)
