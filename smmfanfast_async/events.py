"""What a client tells its hook of: a frozen value for each thing that happens. Pure.

`Client(on_event=hook)` calls the hook with each event at the moment it happens, in the event loop
and between the steps of the call: a hook has to be quick, and hands on what takes time. What it
raises harms no call: the log names the exception's class, once for each class of event, and the
call goes on. `KeyboardInterrupt` and `SystemExit` pass. Match on the classes:

    def hook(event: Event) -> None:
        match event:
            case OutcomeUnknown(service=service):
                print("look after an order of service", service)

One call is told in this order: `CallStarted`; for each attempt a `AttemptFinished`, between two of them
a `RetryScheduled`; for an order `OrderSettled` or `OutcomeUnknown`; `CallFinished`. They share `call`, its
name. What a call refuses before it is taken on (a closed client, a wrong field) is not told.

No event holds the key, a link, comments, user names, or words of the panel, which may quote them.
Moments are aware UTC; `seconds` and `pause_s` are seconds of a monotonic clock.

The log tells the same under the logger `smmfanfast_async`, cleaned to one line each: requests and
placed orders at DEBUG; retries, halved batches, pauses, and orders that were refused or not sent at
INFO; unknown outcomes, ids that nobody asked for, a balance below a level and a hook that fails at
WARNING. Its records carry as attributes, where they are known: `smm_action`, `smm_attempt`,
`smm_call` (while there is a hook, or DEBUG is on), `smm_error` (class), `smm_http_status`,
`smm_ids` (how many), `smm_kind` (`ErrorKind`), `smm_order`, `smm_outcome` (`PlacementOutcome`, or
"unknown"), `smm_pause_s`, `smm_seconds`, `smm_service`.
Those about the balance carry `smm_balance`, `smm_currency` and `smm_level`, as text; those about a
hook that fails `smm_event` (class) and `smm_error`.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from attrs import frozen

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


@frozen(kw_only=True)
class CallStarted:
    """A call was taken on: one of the verbs, or a batch of statuses for all who asked.

    The hook is called in the context (`contextvars`) of whoever called; for a batch, of whoever
    asked first; for the looks of `wait` and `watch`, which are everybody's, in an empty one.
    """

    call_id: str
    """Name of the call, unlike that of any other call of any client."""
    action: str
    """The action, as in the form: "status"."""
    id_count: int
    """How many ids it asks about; 0 where the action takes none."""
    url: str
    """Where it goes: `Client.base_url`, which holds no user name, password or query."""


@frozen(kw_only=True)
class AttemptFinished:
    """An attempt ended, well or not."""

    call_id: str
    """Name of the call that it is an attempt of."""
    action: str
    """The action, as in the form."""
    id_count: int
    """How many ids it asked about; 0 where the action takes none."""
    attempt: int
    """The number of the attempt, from 1."""
    duration_s: float
    """From the first step of sending to the end of reading; the waiting for a place is no part."""
    http_status: int | None
    """The HTTP status of the answer; None where none came."""
    body_bytes: int | None
    """Length of the answer's body, unpacked; None where none came whole."""
    error: str | None
    """Class of the error, such as "ServerError", or "CancelledError"; None where it went well."""
    kind: ErrorKind | None
    """The word for the error; None where it went well, or the error is none of ours."""


@frozen(kw_only=True)
class RetryScheduled:
    """A call will be attempted again."""

    call_id: str
    """Name of the call."""
    action: str
    """The action, as in the form."""
    attempt: int
    """The number of the attempt that is to come, so 2 or more."""
    delay_s: float
    """How long it waits before."""
    error: str
    """Class of the error that ended the attempt before."""
    kind: ErrorKind
    """The word for that error."""


@frozen(kw_only=True)
class CallFinished:
    """A call ended, well or not; an `add` when its outcome stands, whoever still waits for it."""

    call_id: str
    """Name of the call."""
    action: str
    """The action, as in the form."""
    attempts: int
    """How many attempts there were; 0 where it never got a place."""
    duration_s: float
    """From the begin of the call, all waiting and all pauses included."""
    error: str | None
    """Class of the error, or "CancelledError"; None where it went well."""
    kind: ErrorKind | None
    """The word for the error; None where it went well, or the error is none of ours."""


@frozen(kw_only=True)
class Throttled:
    """The panel said "too often", so that all calls of the account wait."""

    action: str
    """The action that the panel said it to."""
    delay_s: float
    """How long all wait from now on."""
    concurrency: int
    """How many requests may be under way at once from now on; each success lets one more."""


@frozen(kw_only=True)
class BatchFinished:
    """A batch of statuses was answered, in one request or, after failures, in several."""

    id_count: int
    """How many ids it held."""
    found: int
    """How many of them have a status."""
    failed: int
    """How many have an error of their own instead."""


# --- orders --------------------------------------------------------------------------------------


class PlacementOutcome(StrEnum):
    """How an `add` ended, where that is known."""

    PLACED = "placed"
    """The panel gave an id."""
    REFUSED = "refused"
    """The panel said no, and made no order."""
    NOT_SENT = "not_sent"
    """Proved: no byte of it left this machine."""


@frozen(kw_only=True)
class OrderSettled:
    """An `add` ended, and it is known how."""

    call_id: str
    """Name of the call."""
    outcome: PlacementOutcome
    """How it ended."""
    service: str | None
    """The service that was ordered."""
    order: str | None
    """The panel's id of the order; None unless it was placed."""
    duration_s: float
    """From the begin of the call, the waiting for its turn included."""
    error: str | None
    """Class of the error; None where it was placed."""
    kind: ErrorKind | None
    """The word for the error; None where it was placed, or the error is none of ours."""


@frozen(kw_only=True)
class OutcomeUnknown:
    """An `add` whose outcome nobody knows: an order may exist, and somebody has to look.

    The form and the panel's words are in the `OutcomeUnknownError` that the caller has.
    """

    call_id: str
    """Name of the call."""
    service: str | None
    """The service that was ordered."""
    order: str | None
    """An id that stood beside an error; None without."""
    sent_at: datetime | None
    """When it was sent, aware UTC."""
    http_status: int | None
    """The HTTP status of the answer; None where none came."""
    error: str
    """Class of what left it open: "NoResponseError", "InvalidResponseError", "CancelledError" for a
    client that was closed over it, "OutcomeUnknownError" for an answer that says nothing sure."""
    duration_s: float
    """From the begin of the call, the waiting for its turn included."""


@frozen(kw_only=True)
class OrderChanged:
    """`Client.wait` or `Client.watch` gives a `StatusChange`: once for each who watches.

    Only words of it, since the panel's own fields may hold anything.
    """

    order: str
    """The panel's id."""
    kind: ChangeKind
    """What happened."""
    before: Status | None
    """The word for how it stood when this watcher was last told; None at the first time."""
    after: Status | None
    """The word for how it stands; None where it is missing."""


@frozen(kw_only=True)
class OrdersTracked:
    """The number of orders changed that somebody waits for or watches."""

    order_count: int
    """How many there are now, each counted once however many watch it."""


# --- money ---------------------------------------------------------------------------------------


@frozen(kw_only=True)
class BalanceChecked:
    """`Client.balance` was answered."""

    balance: Decimal
    """The amount, in `currency`."""
    currency: str | None
    """Such as "USD"; None where the panel does not say."""


@frozen(kw_only=True)
class BalanceBelowThreshold:
    """The balance was found below one of `balance_thresholds`; the lowest one is told, and once."""

    threshold: Decimal
    """The level."""
    balance: Decimal
    """The amount, below the level."""
    currency: str | None
    """Such as "USD"; None where the panel does not say."""


@frozen(kw_only=True)
class BalanceRecovered:
    """The balance rose clearly above a level that it had fallen below; the highest one is told."""

    threshold: Decimal
    """The level; below it, it is told again."""
    balance: Decimal
    """The amount, at least a tenth above the level."""
    currency: str | None
    """Such as "USD"; None where the panel does not say."""


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
"""Anything that a hook is told of. More classes may come: a hook leaves alone what it does not
know."""

Hook: TypeAlias = Callable[[Event], None]
"""What `Client(on_event=…)` takes: a plain function, called in the event loop."""


@frozen
class CombinedHooks:
    """Several hooks as one; see `together`."""

    hooks: tuple[Hook, ...]
    """Who is told, in this order."""

    def __call__(self, event: Event) -> None:
        """Tell each hook, whatever the others raise; that comes as one `ExceptionGroup`."""
        errors: list[Exception] = []
        for hook in self.hooks:
            try:
                hook(event)
            except Exception as error:  # noqa: BLE001  # raised below, when all have been told
                errors.append(error)
        if errors:
            raise ExceptionGroup("hooks failed", errors)


def combine_hooks(*hooks: Hook) -> CombinedHooks:
    """Make one hook of several: `Client(on_event=together(TracingHook(), metrics.hook()))`.

    Each is told, in this order, and none suffers from what another raises.
    """
    return CombinedHooks(hooks)
