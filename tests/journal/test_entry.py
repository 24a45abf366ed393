"""States, transitions and values of a journal, without a database."""

import pydoc
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs
import pytest

from smmfanfast_async import (
    AuthenticationError,
    BlockedError,
    ErrorKind,
    InsufficientFundsError,
    InvalidOrderError,
    NotSentError,
    OutcomeUnknownError,
    RefusedError,
    Status,
)
from smmfanfast_async.journal import (
    MAX_REF_CHARACTERS,
    OPEN_STATES,
    SPENDING_STATES,
    TRANSITIONS,
    Claim,
    Entry,
    EntryState,
    JournalEvent,
    NewEntry,
    Observation,
    Outcome,
    Summary,
    UnknownOrder,
    parse_ref,
)
from smmfanfast_async.journal.entry import refused_error

S = EntryState
AT = datetime(2030, 5, 17, tzinfo=UTC)


def entry(**values: Any) -> Entry:
    defaults: dict[str, Any] = {"ref": "a", "state": S.PREPARED, "created_at": AT} | values
    return Entry(**defaults)


def test_every_state_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(EntryState)


def test_only_prepared_is_ever_sent() -> None:
    assert {state for state, to in TRANSITIONS.items() if S.SENDING in to} == {S.PREPARED}


def test_unknown_leads_back_to_sending_only_by_a_person() -> None:
    assert TRANSITIONS[S.UNKNOWN] == {S.ACCEPTED, S.REFUSED, S.WITHDRAWN}


def test_accepted_order_can_only_finish() -> None:
    assert TRANSITIONS[S.ACCEPTED] == {S.FINISHED}
    assert TRANSITIONS[S.FINISHED] == set()


def test_every_state_but_refused_and_withdrawn_counts_as_spending() -> None:
    assert set(EntryState) - SPENDING_STATES == {S.REFUSED, S.WITHDRAWN}


def test_closed_states_are_refused_withdrawn_and_finished() -> None:
    assert set(EntryState) - OPEN_STATES == {S.REFUSED, S.WITHDRAWN, S.FINISHED}
    assert [entry(state=each).is_open for each in (S.UNKNOWN, S.FINISHED)] == [True, False]


@pytest.mark.parametrize("ref", ["a", "invoice-771", "ü 7", "x" * MAX_REF_CHARACTERS])
def test_ref_of_printable_characters_is_accepted(ref: str) -> None:
    assert parse_ref(ref) == ref


@pytest.mark.parametrize("ref", ["", "  ", "a\nb", "a\0", 7, None, "x" * 201, "\ud800"])
def test_any_other_ref_is_refused(ref: object) -> None:
    with pytest.raises(InvalidOrderError):
        parse_ref(ref)


@pytest.mark.parametrize("state", [S.ACCEPTED, S.FINISHED])
def test_order_id_of_a_placed_order_is_returned(state: EntryState) -> None:
    assert entry(state=state, order="32").order_id() == "32"


@pytest.mark.parametrize(("kind", "error"), [
    (ErrorKind.FUNDS, InsufficientFundsError),
    (ErrorKind.AUTH, AuthenticationError),
    (ErrorKind.BLOCKED, BlockedError),
    (ErrorKind.VALIDATION, RefusedError),
    (None, RefusedError),
])  # fmt: skip
def test_order_id_of_a_refused_order_raises_its_error_class(
    kind: ErrorKind | None, error: type[Exception]
) -> None:
    with pytest.raises(RefusedError, match="no money") as caught:
        entry(state=S.REFUSED, kind=kind, reason="no money").order_id()

    assert type(caught.value) is error
    assert type(refused_error("no money", kind)) is error


@pytest.mark.parametrize("state", [S.UNKNOWN, S.SENDING])
def test_order_id_of_an_unknown_order_raises_outcome_unknown(state: EntryState) -> None:
    with pytest.raises(OutcomeUnknownError) as caught:
        entry(state=state, order="32", sent_at=AT, form={"service": "5"}).order_id()

    assert caught.value.maybe_placed
    assert caught.value.order == "32"


@pytest.mark.parametrize("state", [S.PREPARED, S.HELD, S.WITHDRAWN])
def test_order_id_of_an_unsent_order_raises_not_sent(state: EntryState) -> None:
    with pytest.raises(NotSentError, match=state.value):
        entry(state=state).order_id()


def test_raw_status_is_parsed_as_a_known_status() -> None:
    assert entry().status is None
    assert entry(raw_status="In progress").status is Status.IN_PROGRESS


def test_refund_share_needs_a_status_an_id_and_a_quantity() -> None:
    values = {"order": "32", "raw_status": "Partial", "remains": 250, "quantity": 1000}

    assert entry(**values).refund_share == Decimal("0.25")
    assert all(
        entry(**values | {missing: None}).refund_share is None
        for missing in ("order", "raw_status", "quantity")
    )


def test_refund_is_the_share_of_the_price() -> None:
    values = {
        "order": "32", "raw_status": "Partial", "remains": 250, "quantity": 1000,
        "price": Decimal("1.0202"),
    }  # fmt: skip

    assert entry(**values).refund == Decimal("0.25505")
    assert all(
        entry(**values | {missing: None}).refund is None
        for missing in ("order", "raw_status", "quantity", "price")
    )


@pytest.mark.parametrize("fields", [{"runs": "4", "interval": "10"}, {"posts": "3"}])
def test_refund_of_an_order_with_children_is_not_known(fields: dict[str, str]) -> None:
    """A drip-feed canceled after two of four runs is refunded by half."""
    canceled = entry(
        order="32", raw_status="Canceled", quantity=1000, price=Decimal("2.04"),
        form={"service": "5", **fields},
    )  # fmt: skip

    assert (canceled.refund_share, canceled.refund) == (None, None)


def test_refund_after_purge_needs_a_sign_that_there_are_no_children() -> None:
    values = {"order": "32", "raw_status": "Canceled", "quantity": 1000}

    assert entry(**values).refund_share is None
    assert entry(**values, charge=Decimal(0)).refund_share == 1
    assert entry(**values, remains=1000).refund_share == 1
    assert entry(**values, form={"service": "5"}).refund_share == 1


@pytest.mark.parametrize(("drop", "price", "matches"), [
    ("1.25", "1.25", True),
    ("1.250", "1.25", True),
    ("1.24", "1.25", False),
    (None, "1.25", None),
    ("1.25", None, None),
])  # fmt: skip
def test_drop_matches_price_only_if_equal(
    drop: str | None, price: str | None, *, matches: bool | None
) -> None:
    unknown = UnknownOrder(
        entry=entry(price=None if price is None else Decimal(price)),
        balance_drop=None if drop is None else Decimal(drop),
        link_reported_active=False,
        other_refs=(),
    )

    assert unknown.drop_matches_price is matches


@pytest.mark.parametrize(("before", "after", "price", "matches", "difference"), [
    ("100.0000", "99.4890", "0.51102", True, "-0.00002"),
    ("100.0000", "99.4889", "0.51102", True, "0.00008"),
    ("100.0000", "99.4888", "0.51102", False, "0.00018"),
    ("100.0000", "99.4891", "0.51102", False, "-0.00012"),
    # The balance with fewer decimals counts: 99.5 may be anything from 99.45 to 99.55.
    ("100.0000", "99.5", "0.51102", True, "-0.01102"),
    ("100.0", "99.4890", "0.51102", True, "-0.00002"),
    # A JSON number loses its zeros: an exact drop is one all the same.
    ("100", "99.49", "0.51", True, "0"),
    # Such balances show no order of that price.
    ("100", "100", "0.51", None, "-0.51"),
    ("100", "99", "0.51", None, "0.49"),
    ("1E+2", "98", "0.51", False, "1.49"),
    ("100.00", "100.00", "0.51", False, "-0.51"),
    ("99", "100", "0.51", False, "-1.51"),
])  # fmt: skip
def test_drop_is_compared_within_the_coarser_decimals_of_the_balances(
    before: str, after: str, price: str, *, matches: bool | None, difference: str
) -> None:
    unknown = UnknownOrder(
        entry=entry(
            price=Decimal(price), balance_before=Decimal(before), balance_after=Decimal(after)
        ),
        balance_drop=Decimal(before) - Decimal(after),
        link_reported_active=False,
        other_refs=(),
    )

    assert unknown.drop_matches_price is matches
    assert unknown.drop_difference == Decimal(difference)


def test_drop_without_a_price_has_no_difference() -> None:
    unknown = UnknownOrder(
        entry=entry(), balance_drop=Decimal(1), link_reported_active=False, other_refs=()
    )

    assert unknown.drop_difference is None


@pytest.mark.parametrize(
    "cls", [Claim, Entry, JournalEvent, NewEntry, Observation, Outcome, Summary, UnknownOrder]
)
def test_help_of_a_class_describes_each_of_its_fields(cls: type[attrs.AttrsInstance]) -> None:
    text = pydoc.render_doc(cls, renderer=pydoc.plaintext)
    # What is before the docstring may be a signature with a line for each parameter.
    docstring = text.partition(str(cls.__doc__).splitlines()[0])[2]
    described = set(re.findall(r"^ \|      (\w+): \w", docstring, re.MULTILINE))

    assert {each.name for each in attrs.fields(cls)} <= described
