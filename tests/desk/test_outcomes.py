"""What each error class of `errors` means for an order, case by case."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from smmfanfast_async import errors as all_errors
from smmfanfast_async.desk.outcomes import HELD_RETRY_S, NOT_SENT_RETRY_S, outcome_of_error
from smmfanfast_async.desk.rate_limit import MAX_WAIT_S
from smmfanfast_async.errors import (
    AuthenticationError,
    BlockedError,
    ClosedError,
    ErrorKind,
    InsufficientFundsError,
    InvalidOrderError,
    InvalidResponseError,
    InvalidSettingsError,
    JournalError,
    NoResponseError,
    NotSentError,
    OrderNotFoundError,
    OutcomeUnknownError,
    PanelError,
    PausedError,
    RateLimitError,
    RefConflictError,
    RefusedError,
    ServerError,
    SpendingLimitError,
    StaleEventError,
    UnsupportedActionError,
    WaitTimeoutError,
)
from smmfanfast_async.journal import Entry, EntryState, Outcome

S = EntryState
NOW = datetime(2030, 5, 17, tzinfo=UTC)
DUPLICATE = RefusedError(
    "active order with this link", kind=ErrorKind.DUPLICATE, http_status=200, action="add"
)

CASES: list[tuple[PanelError, EntryState]] = [
    (RefusedError("no", kind=ErrorKind.VALIDATION, http_status=200, action="add"), S.REFUSED),
    (AuthenticationError("no", http_status=200, action="add"), S.REFUSED),
    (InsufficientFundsError("no", http_status=200, action="add"), S.REFUSED),
    (BlockedError("no", http_status=403, action="add"), S.REFUSED),
    (OrderNotFoundError("no", http_status=200, action="add"), S.REFUSED),
    (DUPLICATE, S.REFUSED),
    (NotSentError("no", action="add"), S.PREPARED),
    (PausedError("no", retry_after_s=100.0, action="add"), S.PREPARED),
    (RateLimitError("no", http_status=429, retry_after_s=100.0, action="add"), S.PREPARED),
    (ClosedError("no", action="add"), S.PREPARED),
    (InvalidSettingsError("api_key", "could not be fetched"), S.PREPARED),
    (OutcomeUnknownError("gone"), S.UNKNOWN),
    # No attempt raises one of these; if one ever does, an order may exist.
    (PanelError("broken"), S.UNKNOWN),
    (NoResponseError("gone"), S.UNKNOWN),
    (ServerError("gone"), S.UNKNOWN),
    (InvalidResponseError("broken"), S.UNKNOWN),
    (WaitTimeoutError("late"), S.UNKNOWN),
    (InvalidOrderError("A", "b", 1, "is broken"), S.UNKNOWN),
    (JournalError("broken"), S.UNKNOWN),
    (StaleEventError("broken"), S.UNKNOWN),
    (RefConflictError("broken"), S.UNKNOWN),
    (SpendingLimitError("max_charge", Decimal(2), Decimal(1)), S.UNKNOWN),
    (UnsupportedActionError("broken"), S.UNKNOWN),
]


def started_entry(*, was_unknown: bool = False) -> Entry:
    return Entry(ref="a", state=S.SENDING, attempt=1, created_at=NOW, was_unknown=was_unknown)


def outcome_for(
    error: PanelError, *, was_unknown: bool = False, queue: bool = False, **values: Decimal
) -> Outcome:
    entry = started_entry(was_unknown=was_unknown)
    return outcome_of_error(error, entry, NOW, queue_active_links=queue, **values)


@pytest.mark.parametrize(("error", "state"), CASES, ids=lambda value: type(value).__name__)
def test_each_error_has_its_state(error: PanelError, state: EntryState) -> None:
    outcome = outcome_for(error)

    assert outcome.state is state
    assert outcome.kind is error.kind
    assert outcome.order is None
    assert outcome.decided_by is None


def test_every_error_class_has_a_case() -> None:
    names = [name for name in all_errors.__all__ if name.endswith("Error")]
    public = {getattr(all_errors, name) for name in names}

    assert {type(error) for error, _ in CASES} == public


@pytest.mark.parametrize("queue", [False, True])
def test_duplicate_after_unknown_attempt_is_unknown(*, queue: bool) -> None:
    outcome = outcome_for(DUPLICATE, was_unknown=True, queue=queue)

    assert (outcome.state, outcome.kind) == (S.UNKNOWN, ErrorKind.DUPLICATE)


def test_duplicate_is_held_if_queueing_is_enabled() -> None:
    outcome = outcome_for(DUPLICATE, queue=True)

    assert (outcome.state, outcome.due_at) == (S.HELD, NOW + timedelta(seconds=HELD_RETRY_S))


def test_other_refusals_are_not_held() -> None:
    assert outcome_for(InsufficientFundsError("no"), queue=True).state is S.REFUSED


@pytest.mark.parametrize(
    ("asked_s", "wait_s"),
    [
        (None, NOT_SENT_RETRY_S),
        (NOT_SENT_RETRY_S - 1, NOT_SENT_RETRY_S),
        (NOT_SENT_RETRY_S + 1, NOT_SENT_RETRY_S + 1),
        (1e12, MAX_WAIT_S),
    ],
)
def test_retry_after_is_respected_within_bounds(asked_s: float | None, wait_s: float) -> None:
    outcome = outcome_for(
        RateLimitError("no", http_status=429, retry_after_s=asked_s, action="add")
    )

    assert outcome.due_at == NOW + timedelta(seconds=wait_s)


def test_unknown_outcome_keeps_the_answer() -> None:
    error = OutcomeUnknownError(
        "no usable order id", form={}, sent_at=NOW, excerpt="<html>", http_status=200, order="77"
    )

    outcome = outcome_for(error, balance_after=Decimal(5))

    assert outcome.order == "77"
    assert outcome.reason == "no usable order id: <html>"
    assert outcome.balance_after == 5
    assert outcome.due_at is None


def test_unknown_outcome_without_an_answer_keeps_the_message() -> None:
    assert outcome_for(OutcomeUnknownError("reset")).reason == "reset"


@pytest.mark.parametrize("is_error_answer", [True, False])
def test_outcome_says_whether_the_answer_was_an_error(is_error_answer: bool) -> None:  # noqa: FBT001
    error = OutcomeUnknownError("no", is_error_answer=is_error_answer)

    assert outcome_for(error).is_error_answer is is_error_answer
