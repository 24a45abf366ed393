"""The pure decisions about a circuit: what opens it, what closes it, and for how long."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest

from smmfanfast_async.desk.circuit import (
    CircuitPolicy,
    Signal,
    claim_probe,
    covers,
    on_balance,
    on_call,
    on_probe,
    signal_of,
)
from smmfanfast_async.errors import (
    AuthenticationError,
    BlockedError,
    ClosedError,
    ErrorKind,
    InsufficientFundsError,
    InvalidResponseError,
    InvalidSettingsError,
    NoResponseError,
    NotSentError,
    OrderNotFoundError,
    OutcomeUnknownError,
    PanelError,
    PausedError,
    RateLimitError,
    RefusedError,
    ServerError,
)
from smmfanfast_async.journal import Circuit, CircuitState, Entry, EntryState
from smmfanfast_async.results import Balance

NOW = datetime(2030, 5, 17, 12, tzinfo=UTC)
POLICY = CircuitPolicy()
FUNDS = InsufficientFundsError("Not enough funds", action="add")
AUTH = AuthenticationError("Invalid API key", action="add")


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def unknown(cause: BaseException | None = None, **options: Any) -> OutcomeUnknownError:
    error = OutcomeUnknownError("lost", **options)
    error.__cause__ = cause
    return error


def about_order(error: PanelError) -> PanelError:
    error.is_about_order = True
    return error


def opened(reason: ErrorKind = ErrorKind.NETWORK, **changes: Any) -> Circuit:
    """Return a circuit that has opened for the first time, and whose time is over in 30 s."""
    values: dict[str, Any] = {"failure_count": 3, "reason": reason, "open_until": after(30)}
    return Circuit(**values | changes)


def probed(
    circuit: Circuit, result: Balance | PanelError | None, now: datetime, *, is_awaited: bool = True
) -> Circuit:
    """Return a circuit after a probe at that time."""
    claimed = claim_probe(circuit, now, is_awaited=is_awaited)
    assert claimed != circuit
    return on_probe(claimed, result, claimed, POLICY, now)


def test_state_follows_from_times() -> None:
    assert Circuit(failure_count=2).state(NOW) is CircuitState.CLOSED
    assert opened().state(after(29.9)) is CircuitState.OPEN
    assert opened().state(after(30)) is CircuitState.HALF_OPEN
    # The clock was set back since it opened.
    assert opened().state(NOW - timedelta(hours=2)) is CircuitState.HALF_OPEN


def test_probe_of_a_desk_that_was_killed_ends_with_its_lease() -> None:
    claimed = claim_probe(opened(), after(30), is_awaited=False)

    assert not opened().is_probed(after(30))
    assert claimed.is_probed(after(59.9))
    assert not claimed.is_probed(after(60))
    assert not claimed.is_probed(NOW - timedelta(hours=2))


@pytest.mark.parametrize(
    ("error", "signal"),
    [
        (None, Signal.SUCCESS),
        (unknown(NoResponseError("reset")), Signal.OUTAGE),
        (unknown(http_status=500), Signal.OUTAGE),
        (unknown(http_status=499), Signal.FAILURE),
        (unknown(), Signal.FAILURE),  # a text that is not listed
        (unknown(InvalidResponseError("cut")), Signal.FAILURE),
        (unknown(asyncio.CancelledError()), Signal.NONE),  # the client was closed
        (NotSentError("refused"), Signal.FAILURE),
        (NoResponseError("reset"), Signal.FAILURE),
        (InvalidResponseError("<html>"), Signal.FAILURE),
        (ServerError("", http_status=503), Signal.FAILURE),
        (BlockedError("challenge"), Signal.FAILURE),
        (RateLimitError("slow down"), Signal.NONE),
        (PausedError("paused"), Signal.NONE),
        (ClosedError("closed"), Signal.NONE),
        (FUNDS, Signal.FUNDS),
        (AUTH, Signal.AUTH),
        (about_order(AuthenticationError("Invalid API key")), Signal.SUCCESS),
        (OrderNotFoundError("no such order"), Signal.SUCCESS),
        (RefusedError("bad link", kind=ErrorKind.VALIDATION), Signal.SUCCESS),
        (RefusedError("no service", kind=ErrorKind.SERVICE), Signal.SUCCESS),
        (RefusedError("active order", kind=ErrorKind.DUPLICATE), Signal.SUCCESS),
    ],
)
def test_each_result_says_something_of_the_panel(error: PanelError | None, signal: Signal) -> None:
    assert signal_of(error) is signal


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (unknown(NoResponseError("reset")), ErrorKind.NETWORK),
        (unknown(http_status=502), ErrorKind.SERVER),
    ],
)
def test_order_without_a_response_opens_at_once(error: PanelError, reason: ErrorKind) -> None:
    circuit = on_call(Circuit(), error, POLICY, NOW)

    assert circuit == opened(reason)


def test_failures_open_only_in_a_row() -> None:
    circuit = Circuit()
    for error in (unknown(), ServerError(""), None, unknown(), NotSentError("")):
        circuit = on_call(circuit, error, POLICY, NOW)
        assert circuit.open_until is None

    assert circuit.failure_count == 2
    assert on_call(circuit, RateLimitError(""), POLICY, NOW) == circuit
    assert on_call(circuit, unknown(), POLICY, NOW) == opened(ErrorKind.UNKNOWN)


def test_open_circuit_changes_only_by_probes() -> None:
    for error in (None, unknown(), unknown(http_status=500), AUTH, FUNDS):
        assert on_call(opened(), error, POLICY, after(9)) == opened()


def test_successful_probe_closes() -> None:
    circuit = probed(opened(), Balance(balance=Decimal(7), currency="USD"), after(31))

    assert circuit == Circuit(balance=Decimal(7), currency="USD", balance_at=after(31))


def test_failed_probes_double_the_time_up_to_the_maximum() -> None:
    circuit, now, waits = opened(), after(30), []
    for _ in range(7):
        circuit = probed(circuit, ServerError(""), now)
        assert circuit.open_until is not None
        waits.append((circuit.open_until - now).total_seconds())
        now = circuit.open_until

    assert waits == [60, 120, 240, 480, 600, 600, 600]
    assert (circuit.reason, circuit.failure_count) == (ErrorKind.SERVER, 10)
    assert CircuitPolicy().open_for(10**9) == timedelta(seconds=600)


def test_one_desk_probes_at_a_time() -> None:
    claimed = claim_probe(opened(), after(30), is_awaited=False)

    assert claim_probe(opened(), after(29), is_awaited=False) == opened()
    assert claim_probe(claimed, after(31), is_awaited=False) == claimed
    taken_over = claim_probe(claimed, after(60), is_awaited=False)
    assert taken_over.probe_until == after(90)
    # What the first one found is of no use any more.
    assert on_probe(taken_over, Balance(balance=Decimal(7)), claimed, POLICY, after(61)) == (
        taken_over
    )


def test_lack_of_funds_ends_when_the_balance_rises() -> None:
    circuit = on_call(Circuit(), FUNDS, POLICY, NOW, Decimal(5))
    assert circuit == opened(ErrorKind.FUNDS, balance=Decimal(5), balance_at=NOW)

    for amount in ("5", "4.99"):
        after_probe = probed(circuit, Balance(balance=Decimal(amount)), after(30))
        assert after_probe.open_until == after(90)
        assert (after_probe.reason, after_probe.balance) == (ErrorKind.FUNDS, Decimal(amount))
    assert probed(circuit, ServerError(""), after(30)).reason is ErrorKind.FUNDS
    risen = probed(circuit, Balance(balance=Decimal("5.01")), after(30))
    assert (risen.state(after(30)), risen.failure_count) == (CircuitState.CLOSED, 0)


def test_balance_that_rises_closes_without_a_probe() -> None:
    circuit = on_call(Circuit(), FUNDS, POLICY, NOW, Decimal(5))

    assert on_balance(circuit, Balance(balance=Decimal(4)), after(1)).reason is ErrorKind.FUNDS
    assert on_balance(circuit, Balance(balance=Decimal(6)), after(1)).open_until is None
    assert on_balance(opened(), Balance(balance=Decimal(6)), after(1)).open_until == after(30)


def test_lack_of_funds_with_an_unknown_balance_ends_with_any() -> None:
    circuit = on_call(Circuit(), FUNDS, POLICY, NOW)

    assert probed(circuit, Balance(balance=Decimal(0)), after(30)).open_until is None


def test_lower_balance_replaces_the_one_that_was_too_low() -> None:
    circuit = on_call(Circuit(), FUNDS, POLICY, NOW, Decimal(5))

    again = on_call(circuit, FUNDS, POLICY, after(1), Decimal(2))

    assert again == attrs.evolve(circuit, balance=Decimal(2), balance_at=after(1))


def test_rejected_key_is_probed_at_once() -> None:
    circuit = on_call(Circuit(), AUTH, POLICY, NOW)
    assert (circuit.state(NOW), circuit.reason) == (CircuitState.HALF_OPEN, ErrorKind.AUTH)

    assert probed(circuit, Balance(balance=Decimal(5)), NOW).state(NOW) is CircuitState.CLOSED
    rejected = probed(circuit, AUTH, NOW)
    assert (rejected.open_until, rejected.reason) == (after(30), ErrorKind.AUTH)


@pytest.mark.parametrize(
    ("reason", "may_probe"),
    [(ErrorKind.FUNDS, True), (ErrorKind.AUTH, True), (ErrorKind.NETWORK, False)],
)
def test_waiting_caller_probes_early_what_a_person_cures(
    reason: ErrorKind, *, may_probe: bool
) -> None:
    circuit = opened(reason)

    claimed = claim_probe(circuit, after(1), is_awaited=True)

    assert (claimed != circuit) is may_probe
    assert claim_probe(circuit, after(1), is_awaited=False) == circuit


def test_early_probe_that_fails_does_not_lengthen_the_time() -> None:
    circuit = opened(ErrorKind.FUNDS, balance=Decimal(5))

    same = probed(circuit, Balance(balance=Decimal(5)), after(1))
    assert (same.open_until, same.failure_count, same.probe_until) == (after(30), 3, None)
    # Nobody waits for a panel that is down after one has.
    down = probed(circuit, NoResponseError("reset"), after(1))
    assert down == attrs.evolve(circuit, probe_until=after(31))
    # The next one may have another key.
    assert probed(opened(ErrorKind.AUTH), AUTH, after(1)) == opened(ErrorKind.AUTH)


def test_circuit_of_a_panel_that_cannot_be_probed_closes_by_time() -> None:
    circuit = probed(opened(), None, after(30))
    assert circuit == Circuit(failure_count=3)

    again = on_call(circuit, unknown(), POLICY, after(31))

    assert again.open_until == after(31 + 60)


@pytest.mark.parametrize(
    ("circuit", "price", "is_covered"),
    [
        (opened(ErrorKind.FUNDS, balance=Decimal(5)), Decimal(5), True),
        (opened(ErrorKind.FUNDS, balance=Decimal(5)), Decimal("5.01"), False),
        (opened(ErrorKind.FUNDS, balance=Decimal(5)), None, False),
        (opened(ErrorKind.FUNDS), Decimal(1), False),
        (opened(ErrorKind.NETWORK, balance=Decimal(5)), Decimal(1), False),
    ],
)
def test_cheap_orders_do_not_wait_for_funds(
    circuit: Circuit, price: Decimal | None, *, is_covered: bool
) -> None:
    entry = Entry(ref="a", state=EntryState.PREPARED, created_at=NOW, price=price)

    assert covers(circuit, entry) is is_covered


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_threshold": 0},
        {"failure_threshold": 1001},
        {"failure_threshold": 2.5},
        {"open_s": 0},
        {"open_s": float("nan")},
        {"max_open_s": 3601},
    ],
)
def test_policy_out_of_bounds_is_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingsError, match=f"CircuitPolicy.{next(iter(wrong))}"):
        CircuitPolicy(**wrong)


def test_lowest_and_highest_policies_are_accepted() -> None:
    assert CircuitPolicy(failure_threshold=1, open_s=0.1, max_open_s=3600).open_for(1) == (
        timedelta(seconds=0.1)
    )
    assert on_call(Circuit(), AUTH, CircuitPolicy(failure_threshold=1), NOW).failure_count == 0
