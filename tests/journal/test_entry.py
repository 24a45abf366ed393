"""States, moves and values of a journal, without any database."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

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
    Entry,
    EntryState,
    UnknownOrder,
    parse_ref,
)
from smmfanfast_async.journal.entry import refused_error

S = EntryState
AT = datetime(2030, 5, 17, tzinfo=UTC)


def entry(**values: Any) -> Entry:
    given: dict[str, Any] = {"ref": "a", "state": S.PREPARED, "created_at": AT} | values
    return Entry(**given)


def test_every_state_has_its_moves() -> None:
    assert set(TRANSITIONS) == set(EntryState)


def test_only_prepared_is_ever_sent() -> None:
    assert {since for since, to in TRANSITIONS.items() if S.SENDING in to} == {S.PREPARED}


def test_nothing_leads_from_unknown_back_to_sending_but_a_person() -> None:
    assert TRANSITIONS[S.UNKNOWN] == {S.ACCEPTED, S.REFUSED, S.WITHDRAWN}


def test_an_id_is_never_given_back() -> None:
    assert TRANSITIONS[S.ACCEPTED] == {S.FINISHED}
    assert TRANSITIONS[S.FINISHED] == set()


def test_money_is_bound_in_every_state_but_the_two_that_ordered_nothing() -> None:
    assert set(EntryState) - SPENDING_STATES == {S.REFUSED, S.WITHDRAWN}


def test_what_is_over_is_refused_withdrawn_or_finished() -> None:
    assert set(EntryState) - OPEN_STATES == {S.REFUSED, S.WITHDRAWN, S.FINISHED}
    assert [entry(state=each).is_open for each in (S.UNKNOWN, S.FINISHED)] == [True, False]


@pytest.mark.parametrize("ref", ["a", "invoice-771", "ü 7", "x" * MAX_REF_CHARACTERS])
def test_a_ref_is_a_text_of_printable_characters(ref: str) -> None:
    assert parse_ref(ref) == ref


@pytest.mark.parametrize("ref", ["", "  ", "a\nb", "a\0", 7, None, "x" * 201, "\ud800"])
def test_any_other_ref_is_refused(ref: object) -> None:
    with pytest.raises(InvalidOrderError):
        parse_ref(ref)


@pytest.mark.parametrize("state", [S.ACCEPTED, S.FINISHED])
def test_placed_gives_the_id(state: EntryState) -> None:
    assert entry(state=state, order="32").order_id() == "32"


@pytest.mark.parametrize(("kind", "error"), [
    (ErrorKind.FUNDS, InsufficientFundsError),
    (ErrorKind.AUTH, AuthenticationError),
    (ErrorKind.BLOCKED, BlockedError),
    (ErrorKind.VALIDATION, RefusedError),
    (None, RefusedError),
])  # fmt: skip
def test_placed_raises_a_refusal_as_it_was(kind: ErrorKind | None, error: type[Exception]) -> None:
    with pytest.raises(RefusedError, match="no money") as caught:
        entry(state=S.REFUSED, kind=kind, reason="no money").order_id()

    assert type(caught.value) is error
    assert type(refused_error("no money", kind)) is error


@pytest.mark.parametrize("state", [S.UNKNOWN, S.SENDING])
def test_placed_raises_what_is_not_known(state: EntryState) -> None:
    with pytest.raises(OutcomeUnknownError) as caught:
        entry(state=state, order="32", sent_at=AT, form={"service": "5"}).order_id()

    assert caught.value.maybe_placed
    assert caught.value.order == "32"


@pytest.mark.parametrize("state", [S.PREPARED, S.HELD, S.WITHDRAWN])
def test_placed_says_that_nothing_is_on_its_way(state: EntryState) -> None:
    with pytest.raises(NotSentError, match=state.value):
        entry(state=state).order_id()


def test_a_status_word_is_read_as_one_of_the_known_ones() -> None:
    assert entry().status is None
    assert entry(raw_status="In progress").status is Status.IN_PROGRESS


def test_the_share_that_came_back_needs_a_look_an_id_and_a_quantity() -> None:
    seen = {"order": "32", "raw_status": "Partial", "remains": 250, "quantity": 1000}

    assert entry(**seen).refund_share == Decimal("0.25")
    assert all(
        entry(**seen | {gone: None}).refund_share is None
        for gone in ("order", "raw_status", "quantity")
    )


@pytest.mark.parametrize(("drop", "price", "fits"), [
    ("1.25", "1.25", True),
    ("1.250", "1.25", True),
    ("1.24", "1.25", False),
    (None, "1.25", None),
    ("1.25", None, None),
])  # fmt: skip
def test_a_drop_fits_only_where_it_is_just_the_price(
    drop: str | None, price: str | None, *, fits: bool | None
) -> None:
    found = UnknownOrder(
        entry=entry(price=None if price is None else Decimal(price)),
        balance_drop=None if drop is None else Decimal(drop),
        link_reported_active=False,
        other_refs=(),
    )

    assert found.drop_matches_price is fits
