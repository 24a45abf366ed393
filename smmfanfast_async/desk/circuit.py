"""When orders to a panel stop, and when they go on. Pure: circuit and time are arguments.

How this works. The circuit opens when calls fail, so that an outage makes one unknown order and not
hundreds. An `add` that ends unknown without a response, or by HTTP 5xx, opens it at once; other
failures of any call open it when there are several in a row. After a time one desk probes the panel
by reading the balance, which orders nothing: success closes the circuit, failure opens it for twice
as long. Missing funds open it until the balance rises. A rejected key opens it until a probe, which
may be made at once, since a panel may refuse a single order in those words. While it is open, only
probes and readings of the balance change it.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, auto

import attrs
from attrs import Attribute, field, frozen

from .._settings import require_counts, require_number
from ..errors import (
    BlockedError,
    ErrorKind,
    InvalidResponseError,
    NoResponseError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    RateLimitError,
    RefusedError,
    ServerError,
)
from ..journal import MAX_OPEN, PROBE_LEASE, Circuit, CircuitState, Entry
from ..results import Balance

__all__ = [
    "DEFAULT_CIRCUIT",
    "CircuitPolicy",
    "Signal",
    "claim_probe",
    "covers",
    "on_balance",
    "on_call",
    "on_probe",
    "reason_of",
    "signal_of",
]

MAX_THRESHOLD = 1000
"""The highest `failure_threshold`: with more, the circuit would in effect never open."""

MAX_DOUBLINGS = 20
"""Doublings of the open time: the longest is reached before, and a float has an end."""

SERVER_FAILURE = 500
"""The lowest HTTP status that says that the panel, or a proxy in front of it, failed."""


def _check_open_s(_policy: object, attribute: "Attribute[float]", value: object) -> None:
    name = f"CircuitPolicy.{attribute.name}"
    require_number(name, value, MAX_OPEN.total_seconds(), may_be_zero=False)


def _check_threshold(_policy: object, attribute: "Attribute[int]", value: object) -> None:
    require_counts(MAX_THRESHOLD, **{f"CircuitPolicy.{attribute.name}": value})


@frozen(kw_only=True)
class CircuitPolicy:
    """When no orders are sent to a panel that fails, and for how long.

    Attributes:
        failure_threshold: How many calls in a row must fail, orders, checks and readings of the
            balance together, 1 to 1,000. An order without a response opens the circuit alone.
        open_s: Seconds until the panel is probed, doubling with each probe that fails.
        max_open_s: The longest time between two probes, in seconds, at most 3,600.

    Raises:
        InvalidSettingsError: A value is out of bounds.
    """

    failure_threshold: int = field(default=3, validator=_check_threshold)
    open_s: float = field(default=30.0, validator=_check_open_s)
    max_open_s: float = field(default=600.0, validator=_check_open_s)

    def open_for(self, failure_count: int) -> timedelta:
        """Return how long the circuit is open after so many failures."""
        doublings = min(max(failure_count - self.failure_threshold, 0), MAX_DOUBLINGS)
        return timedelta(seconds=min(self.open_s * 2.0**doublings, self.max_open_s))


DEFAULT_CIRCUIT = CircuitPolicy()
"""The policy of a desk that is given none."""


class Signal(Enum):
    """What the result of a call says about the panel."""

    NONE = auto()
    """Nothing: the call was held back here, or the panel asked for a pause."""
    SUCCESS = auto()
    """It works, even if it refused the order itself."""
    FAILURE = auto()
    OUTAGE = auto()
    """An order may exist that got no response: the next ones must not follow it."""
    FUNDS = auto()
    AUTH = auto()


def signal_of(error: PanelError | None) -> Signal:
    """Return what the error of a call says about the panel; None is a call that succeeded."""
    if error is None or error.is_about_order:
        return Signal.SUCCESS
    if isinstance(error, OutcomeUnknownError):
        return _signal_of_unknown(error)
    if isinstance(error, RateLimitError):
        return Signal.NONE
    if isinstance(error, RefusedError) and not isinstance(error, BlockedError):
        return _REFUSALS.get(error.kind, Signal.SUCCESS)
    return Signal.FAILURE if isinstance(error, _FAILURES) else Signal.NONE


def _signal_of_unknown(error: OutcomeUnknownError) -> Signal:
    cause = error.__cause__
    if isinstance(cause, NoResponseError) or (error.http_status or 0) >= SERVER_FAILURE:
        return Signal.OUTAGE
    # Any other cause is the cancellation of a call whose client was closed.
    return Signal.FAILURE if cause is None or isinstance(cause, PanelError) else Signal.NONE


_FAILURES = (BlockedError, NotSentError, NoResponseError, InvalidResponseError, ServerError)
_REFUSALS = {ErrorKind.FUNDS: Signal.FUNDS, ErrorKind.AUTH: Signal.AUTH}


def reason_of(error: PanelError) -> ErrorKind:
    """Return the kind of failure that opens a circuit."""
    if isinstance(error, OutcomeUnknownError):
        if isinstance(error.__cause__, PanelError):
            return error.__cause__.kind
        if (error.http_status or 0) >= SERVER_FAILURE:
            return ErrorKind.SERVER
    return error.kind


def on_call(
    circuit: Circuit,
    error: PanelError | None,
    policy: CircuitPolicy,
    now: datetime,
    too_low: Decimal | None = None,
) -> Circuit:
    """Return the circuit after an order or a status check.

    `too_low` is the balance that did not cover the order; None if it is not known.
    """
    signal = signal_of(error)
    is_open = circuit.open_until is not None
    is_funds = signal is Signal.FUNDS
    if is_funds and circuit.reason in (None, ErrorKind.FUNDS):
        circuit = attrs.evolve(circuit, balance=too_low, balance_at=now)
    if is_open or signal is Signal.NONE:
        return circuit
    if error is None or signal is Signal.SUCCESS:
        return attrs.evolve(circuit, failure_count=0)
    count, threshold = circuit.failure_count, policy.failure_threshold
    if signal is Signal.AUTH:
        # Due for a probe at once; if that fails, it counts as the failure that opened the circuit.
        return _opened(circuit, max(count, threshold - 1), ErrorKind.AUTH, now)
    count = count + 1 if signal is Signal.FAILURE else max(count + 1, threshold)
    if count < threshold:
        return attrs.evolve(circuit, failure_count=count)
    return _opened(circuit, count, reason_of(error), now + policy.open_for(count))


def on_balance(circuit: Circuit, balance: Balance, now: datetime) -> Circuit:
    """Return the circuit after a reading of the balance: one that rose ends a lack of funds."""
    if circuit.reason is ErrorKind.FUNDS:
        before = circuit.balance
        if before is None or balance.balance > before:
            circuit = _closed(circuit)
    return attrs.evolve(circuit, balance=balance.balance, currency=balance.currency, balance_at=now)


def claim_probe(circuit: Circuit, now: datetime, *, is_awaited: bool) -> Circuit:
    """Return the circuit with the right to probe taken, or unchanged if that is not possible.

    `is_awaited`: whether a caller waits for an order. A person may have topped up the account or
    replaced the key, so a circuit that is open for that is probed before its time.
    """
    state = circuit.state(now)
    is_cured_by_person = circuit.reason in (ErrorKind.FUNDS, ErrorKind.AUTH)
    is_early = state is CircuitState.OPEN and is_awaited and is_cured_by_person
    if circuit.is_probed(now) or not (state is CircuitState.HALF_OPEN or is_early):
        return circuit
    return attrs.evolve(circuit, probe_until=now + PROBE_LEASE)


def on_probe(
    circuit: Circuit,
    result: Balance | PanelError | None,
    claimed: Circuit,
    policy: CircuitPolicy,
    now: datetime,
) -> Circuit:
    """Return the circuit after a probe by the desk that has claimed it.

    `result` is None for a panel that has no action to probe it with: its circuit closes by time
    alone, and the next failure opens it again, for longer.
    """
    if circuit.probe_until != claimed.probe_until or circuit.open_until is None:
        return circuit  # the lease was over, and another desk has probed since
    is_early = circuit.state(now) is CircuitState.OPEN
    is_down = isinstance(result, PanelError) and result.kind is not ErrorKind.AUTH
    if is_early and is_down:
        # The lease stays, so that callers do not wait one after the other for a panel that is down.
        return circuit
    circuit = attrs.evolve(circuit, probe_until=None)
    is_lacking = circuit.reason is ErrorKind.FUNDS
    if result is None:
        return attrs.evolve(_closed(circuit), failure_count=circuit.failure_count)
    if isinstance(result, Balance):
        circuit = on_balance(circuit, result, now)
        if not is_lacking or circuit.open_until is None:
            return _closed(circuit)
    if is_early:
        return circuit
    reason = result.kind if isinstance(result, PanelError) and not is_lacking else ErrorKind.FUNDS
    count = circuit.failure_count + 1
    return _opened(circuit, count, reason, now + policy.open_for(count))


def covers(circuit: Circuit, entry: Entry) -> bool:
    """Return whether the balance covers an order, though it was too low for another one.

    An order that one buyer cannot be served must not keep those of the others waiting.
    """
    if circuit.reason is not ErrorKind.FUNDS or circuit.balance is None or entry.price is None:
        return False
    return entry.price <= circuit.balance


def _opened(circuit: Circuit, count: int, reason: ErrorKind, until: datetime) -> Circuit:
    return attrs.evolve(circuit, failure_count=count, reason=reason, open_until=until)


def _closed(circuit: Circuit) -> Circuit:
    return attrs.evolve(circuit, failure_count=0, reason=None, open_until=None, probe_until=None)
