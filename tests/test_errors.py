"""Exceptions: the tree in the docstring, the three properties, copies and messages."""

import asyncio
import copy
import pickle
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn

import pytest
from attrs import frozen

from smmfanfast_async import errors
from smmfanfast_async.errors import (
    AuthenticationError,
    BlockedError,
    ClosedError,
    ErrorKind,
    InsufficientFundsError,
    InvalidCode,
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

FORM = {"action": "add", "service": "5", "link": "https://example.com/p"}
SENT_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
FIELDS: dict[str, Any] = {
    "http_status": 403,
    "retry_after_s": 2.5,
    "action": "status",
    "order": "32",
}

EXAMPLES: list[PanelError] = [
    PanelError(),
    PanelError("a text", kind=ErrorKind.SERVICE, **FIELDS),
    InvalidOrderError("DefaultOrder", "quantity", 0, "must be between 1 and 10"),
    InvalidOrderError(
        "DefaultOrder",
        "quantity",
        11,
        "must be between 1 and 10",
        code=InvalidCode.ABOVE_MAX,
        limit=10,
    ),
    InvalidSettingsError("base_url", "is not an address"),
    UnsupportedActionError("no such verb", **FIELDS),
    ClosedError("closed", **FIELDS),
    RefConflictError("another order", **FIELDS),
    StaleEventError("another worker has it", **FIELDS),
    SpendingLimitError("max_charge", Decimal("1.5"), Decimal(1)),
    SpendingLimitError("budget_per_day", Decimal("1.5"), Decimal(9), Decimal("8.1")),
    JournalError("the disk is full"),
    WaitTimeoutError("not final within 5 s", order="32", raw_status="Pending"),
    WaitTimeoutError(),
    NotSentError("refused by the host", **FIELDS),
    PausedError("all calls wait another 90 s", **FIELDS),
    NoResponseError("no answer within 60 s", was_written=True, action="status", order="32"),
    NoResponseError(),
    InvalidResponseError(
        "not JSON", excerpt="<html>", http_status=200, action="status", order="32"
    ),
    InvalidResponseError("empty"),
    ServerError("bad gateway", **FIELDS),
    RateLimitError("slower", **FIELDS),
    RefusedError("Bad Link", kind=ErrorKind.VALIDATION, **FIELDS),
    AuthenticationError("Invalid API key", **FIELDS),
    InsufficientFundsError("Not enough funds on balance", **FIELDS),
    OrderNotFoundError("Incorrect order ID", **FIELDS),
    BlockedError("challenged", **FIELDS),
    OutcomeUnknownError(
        "no answer",
        form=FORM,
        sent_at=SENT_AT,
        excerpt="<html>",
        http_status=502,
        order="32",
        was_written=False,
        is_error_answer=True,
    ),
    OutcomeUnknownError(),
]
CLASSES = [
    vars(errors)[name] for name in errors.__all__ if name not in {"ErrorKind", "InvalidCode"}
]

COPIES: dict[str, Callable[[PanelError], PanelError]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda error, protocol=protocol: pickle.loads(  # noqa: S301  # ours
            pickle.dumps(error, protocol)
        )
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}


def snapshot(error: PanelError) -> tuple[object, ...]:
    """Return everything that a user can see of an error."""
    values = (error.maybe_sent, error.maybe_placed, error.safe_to_retry, error.kind)
    return type(error), str(error), repr(error), vars(error), values


def public_parent(cls: type[BaseException]) -> str | None:
    """Return the nearest public base class of this package."""
    above = [each.__name__ for each in cls.__mro__[1:] if each.__name__ in errors.__all__]
    return above[0] if above else None


def other_bases(cls: type[BaseException]) -> set[str]:
    """Return the public base classes of a class besides its parent, ours and built-in ones."""
    parent = public_parent(cls)
    known = {each.__name__ for each in vars(errors)[parent].__mro__} if parent else set()
    names = {each.__name__ for each in cls.__mro__[1:] if not each.__name__.startswith("_")}
    # A TimeoutError is always an OSError.
    known |= {"OSError"} if "TimeoutError" in names else set()
    return names - known - {each.__name__ for each in Exception.__mro__}


def tree_in_docstring() -> dict[str, tuple[str | None, set[str]]]:
    """Parse the tree of the docstring: class → its parent, and its "also" class."""
    tree: dict[str, tuple[str | None, set[str]]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ((?:[│├└─ ]{4})*)(\w+Error)\b(?: +\(also (\w+)\))?", line):
            depth = len(match[1]) // 4
            path[depth:] = [match[2]]
            tree[match[2]] = (path[depth - 1] if depth else None, set(filter(None, [match[3]])))
    return tree


def test_tree_in_the_docstring_matches_the_classes() -> None:
    real = {cls.__name__: (public_parent(cls), other_bases(cls)) for cls in CLASSES}

    assert tree_in_docstring() == real


def test_every_class_has_an_example() -> None:
    assert {type(error) for error in EXAMPLES} == set(CLASSES)


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_copy_has_the_same_fields_and_text(error: PanelError) -> None:
    for original in (error, error.for_order("77")):
        for way, copied in COPIES.items():
            clone = copied(original)

            assert clone is not original, way
            assert snapshot(clone) == snapshot(original), way


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_for_order_changes_only_the_order_of_a_copy(error: PanelError) -> None:
    before = copy.deepcopy(vars(error))

    named = error.for_order("77")

    assert named is not error
    assert vars(named) == before | {"order": "77"}
    assert vars(error) == before


def test_each_waiter_gets_its_own_traceback() -> None:
    shared = ServerError("bad gateway")

    with pytest.raises(ServerError) as raised:
        raise shared.for_order("12")

    assert raised.value.__traceback__ is not None
    assert shared.__traceback__ is None


def test_foreign_error_and_its_causes_lose_their_frames() -> None:
    def fail(cause: BaseException | None) -> BaseException:
        with pytest.raises(LookupError) as caught:
            raise LookupError from cause
        return caught.value

    error = fail(fail(None))

    assert errors.strip_frames(error) is error
    assert error.__traceback__ is None
    assert error.__cause__ is not None
    assert error.__cause__.__traceback__ is None


# --- the three properties ------------------------------------------------------------------------

NOTHING_SENT = (False, False, True)
INVALID = (False, False, False)
NOTHING_DONE = (True, False, True)
MAY_HAVE_ORDERED = (True, True, False)
MAY_HAVE_CHANGED = (True, False, False)

ANSWERS: dict[type[PanelError], tuple[tuple[bool, bool, bool] | None, ErrorKind]] = {
    PanelError: (NOTHING_DONE, ErrorKind.UNKNOWN),
    InvalidOrderError: (INVALID, ErrorKind.INVALID),
    InvalidSettingsError: (INVALID, ErrorKind.INVALID),
    UnsupportedActionError: (NOTHING_SENT, ErrorKind.UNSUPPORTED),
    ClosedError: (NOTHING_SENT, ErrorKind.CLOSED),
    RefConflictError: (NOTHING_SENT, ErrorKind.CONFLICT),
    SpendingLimitError: (NOTHING_SENT, ErrorKind.BUDGET),
    JournalError: (NOTHING_SENT, ErrorKind.JOURNAL),
    StaleEventError: (NOTHING_SENT, ErrorKind.JOURNAL),
    WaitTimeoutError: (NOTHING_DONE, ErrorKind.TIMEOUT),
    NotSentError: (NOTHING_SENT, ErrorKind.NETWORK),
    PausedError: (NOTHING_SENT, ErrorKind.RATE_LIMIT),
    NoResponseError: (None, ErrorKind.NETWORK),
    InvalidResponseError: (None, ErrorKind.MALFORMED),
    ServerError: (None, ErrorKind.SERVER),
    RateLimitError: (NOTHING_DONE, ErrorKind.RATE_LIMIT),
    RefusedError: (NOTHING_DONE, ErrorKind.UNKNOWN),
    AuthenticationError: (NOTHING_DONE, ErrorKind.AUTH),
    InsufficientFundsError: (NOTHING_DONE, ErrorKind.FUNDS),
    OrderNotFoundError: (NOTHING_DONE, ErrorKind.NOT_FOUND),
    BlockedError: (NOTHING_DONE, ErrorKind.BLOCKED),
    OutcomeUnknownError: (MAY_HAVE_ORDERED, ErrorKind.UNKNOWN),
}
"""Properties of each class (None: they depend on the action, see `BY_ACTION`), and its kind."""

BY_ACTION = {
    "status": NOTHING_DONE,
    "services": NOTHING_DONE,
    "balance": NOTHING_DONE,
    "refill_status": NOTHING_DONE,
    "refill": MAY_HAVE_CHANGED,
    "cancel": MAY_HAVE_CHANGED,
    "add": MAY_HAVE_ORDERED,
    "an_action_of_another_panel": MAY_HAVE_ORDERED,
    None: MAY_HAVE_ORDERED,
}
WITHOUT_ACTION = {
    InvalidOrderError,
    InvalidSettingsError,
    OutcomeUnknownError,
    SpendingLimitError,
    WaitTimeoutError,
}
"""Classes of a single action, or of none: their examples are checked."""


def properties(error: PanelError) -> tuple[bool, bool, bool]:
    return error.maybe_sent, error.maybe_placed, error.safe_to_retry


@pytest.mark.parametrize("cls", [each for each in CLASSES if each not in WITHOUT_ACTION])
def test_properties_follow_from_class_and_action(cls: Any) -> None:
    for action, by_action in BY_ACTION.items():
        assert properties(cls("a text", action=action)) == (ANSWERS[cls][0] or by_action), action


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_properties_of_each_example(error: PanelError) -> None:
    assert properties(error) == (ANSWERS[type(error)][0] or BY_ACTION[error.action])


@pytest.mark.parametrize("cls", CLASSES)
def test_each_class_has_its_kind(cls: type[PanelError]) -> None:
    assert cls.kind is ANSWERS[cls][1]


def test_unknown_outcome_is_not_caught_by_retry_decorators() -> None:
    """TimeoutError is an OSError, and asyncio.TimeoutError is the built-in one."""
    assert not issubclass(OutcomeUnknownError, OSError | TimeoutError | ConnectionError)
    assert not issubclass(OutcomeUnknownError, RefusedError | NoResponseError | NotSentError)


def test_refusal_has_the_kind_of_its_text() -> None:
    error = RefusedError("You have an active order with this link", kind=ErrorKind.DUPLICATE)

    assert error.kind is ErrorKind.DUPLICATE
    assert RefusedError.kind is ErrorKind.UNKNOWN


# --- messages ------------------------------------------------------------------------------------

CHECK_FIRST = "; the order may have been placed: check the panel before ordering again"


@pytest.mark.parametrize(("error", "message"), [
    (PanelError(), "call: unknown"),
    (ServerError(), "call: server"),
    (NoResponseError("no answer within 60 s", action="status"), "status: no answer within 60 s"),
    (OrderNotFoundError("Incorrect order ID", http_status=200, action="status", order="2"),
        "status of order 2: Incorrect order ID (HTTP 200)"),
    (InvalidOrderError("DefaultOrder", "quantity", 3, "is below the minimum of service 5 (10)"),
        "quantity 3 is below the minimum of service 5 (10)"),
    (InvalidOrderError("DefaultOrder", "link", "a\nb", "contains a line break or NUL"),
        r"link 'a\nb' contains a line break or NUL"),
    (InvalidSettingsError("timeout_s", "0 must be greater than 0"),
        "timeout_s 0 must be greater than 0"),
    (SpendingLimitError("max_charge", Decimal("1.50"), Decimal(1)),
        "add: a price of 1.50 exceeds max_charge 1"),
    (SpendingLimitError("budget_per_day", Decimal(2), Decimal(9), Decimal("8.1")),
        "add: a price of 2 on top of 8.1 already spent exceeds budget_per_day 9"),
    (JournalError("the disk is full"), "journal: the disk is full"),
    (WaitTimeoutError("not final within 5 s", order="32"),
        "status of order 32: not final within 5 s"),
    (InvalidResponseError("not JSON", excerpt="<html>", http_status=200, action="balance"),
        "balance: not JSON (HTTP 200): '<html>'"),
    (InvalidResponseError("empty", http_status=200, action="balance"), "balance: empty (HTTP 200)"),
    (OutcomeUnknownError("no answer"),
        "add: outcome unknown: no answer" + CHECK_FIRST),
    (OutcomeUnknownError("x", form=FORM, excerpt="{}", http_status=200, order="32"),
        "add: outcome unknown, but the panel named order 32: x (HTTP 200)" + CHECK_FIRST),
])  # fmt: skip
def test_message_names_the_call_the_value_and_the_reason(error: PanelError, message: str) -> None:
    assert str(error) == message


def test_invalid_value_is_shown_as_its_repr_of_200_characters() -> None:
    error = InvalidOrderError("CustomCommentsOrder", "comments", "x" * 1000, "is too long")

    assert error.value == "'" + "x" * 199
    assert (error.owner, error.field) == ("CustomCommentsOrder", "comments")
    assert error.reason == "is too long"


def test_number_too_long_to_print_is_shown_by_its_type() -> None:
    error = InvalidOrderError("DefaultOrder", "quantity", 10**5000, "is too large")

    assert error.value.startswith("<int object at ")


def test_unknown_outcome_keeps_its_evidence() -> None:
    error = OutcomeUnknownError(
        "cut", form=FORM, sent_at=SENT_AT, excerpt='{"ord', http_status=200, order="32"
    )

    assert error.form == FORM
    assert error.form is not FORM
    assert error.sent_at == SENT_AT
    assert error.excerpt == '{"ord'
    assert (error.http_status, error.order, error.action) == (200, "32", "add")
    assert error.retry_after_s is None


# --- an order that is still being sent -----------------------------------------------------------


@frozen
class Placed:
    order: str


def pending(order: str) -> Callable[[], Awaitable[Placed]]:
    async def outcome() -> Placed:
        return Placed(order)

    return outcome


@pytest.mark.asyncio
async def test_wait_for_outcome_returns_the_order_being_sent() -> None:
    error = OutcomeUnknownError("the sending goes on")._with_pending(pending("32"))

    assert (await error.wait_for_outcome()).order == "32"
    assert (await error.wait_for_outcome()).order == "32"


@pytest.mark.asyncio
async def test_wait_for_outcome_raises_itself_if_nothing_is_sent() -> None:
    error = OutcomeUnknownError("no answer")

    with pytest.raises(OutcomeUnknownError) as raised:
        await error.wait_for_outcome()

    assert raised.value is error


@pytest.mark.asyncio
@pytest.mark.parametrize("way", COPIES)
async def test_copy_of_unknown_outcome_has_nothing_to_wait_for(way: str) -> None:
    error = OutcomeUnknownError("the sending goes on", form=FORM, sent_at=SENT_AT)._with_pending(
        pending("32")
    )

    clone = COPIES[way](error.for_order("77"))

    assert isinstance(clone, OutcomeUnknownError)
    assert (clone.order, clone.form, clone.sent_at) == ("77", FORM, SENT_AT)
    with pytest.raises(OutcomeUnknownError):
        await clone.wait_for_outcome()


def test_each_waiter_for_a_refusal_gets_its_own_error() -> None:
    refusal = InsufficientFundsError(
        "Not enough funds", kind=ErrorKind.FUNDS, http_status=200, action="add"
    )

    async def settle() -> NoReturn:
        raise refusal

    async def ask() -> PanelError:
        with pytest.raises(InsufficientFundsError) as caught:
            await OutcomeUnknownError("slow")._with_pending(settle).wait_for_outcome()
        return caught.value

    first, second = asyncio.run(ask()), asyncio.run(ask())
    assert (str(first), str(second)) == (str(refusal), str(refusal))
    assert len({id(first), id(second), id(refusal)}) == 3
