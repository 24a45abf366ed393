"""Refills: lifecycles, manual states, bounds."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smmfanfast_async.sandbox.lifecycle import MAX_LIFECYCLE_S
from smmfanfast_async.sandbox.refills import RefillBook, RefillState, parse_refill_state

STATES = list(RefillState)


@pytest.fixture
def book() -> RefillBook:
    return RefillBook(seed=0, max_refills=100)


def test_ids_count_up_and_a_new_refill_is_pending(book: RefillBook) -> None:
    assert [book.insert(order, 5) for order in ("7", "9")] == ["1", "2"]
    assert list(book) == ["1", "2"]
    assert "2" in book
    assert "3" not in book

    stored = book.snapshot("2", 5)

    assert (stored.refill, stored.order, stored.status, stored.created_s) == (
        "2",
        "9",
        "Pending",
        5,
    )
    assert not stored.is_final


@settings(deadline=None)
@given(st.integers(0, 10_000), st.lists(st.floats(0, MAX_LIFECYCLE_S), max_size=20))
def test_refill_only_moves_forward_and_becomes_final(seed: int, moments: list[float]) -> None:
    book = RefillBook(seed=seed, max_refills=1)
    book.insert("1", 0)

    states = [
        book.snapshot("1", moment).status for moment in [0, *sorted(moments), MAX_LIFECYCLE_S]
    ]

    ranks = [STATES.index(state) for state in states]
    assert ranks == sorted(ranks)
    assert states[0] == "Pending"
    assert states[-1] in ("Completed", "Rejected")


def test_most_refills_complete_and_some_are_rejected() -> None:
    book = RefillBook(seed=3, max_refills=500)
    for _ in range(500):
        book.insert("1", 0)

    outcomes = Counter(book.snapshot(refill, MAX_LIFECYCLE_S).status for refill in book)

    assert set(outcomes) == {"Completed", "Rejected"}
    assert 40 <= outcomes[RefillState.REJECTED] <= 120


def test_equal_seeds_give_equal_refills() -> None:
    books = [RefillBook(seed=seed, max_refills=1) for seed in (4, 4, 5)]
    for book in books:
        book.insert("1", 0)
    moments = range(0, 10_000, 50)

    histories = [[book.snapshot("1", moment).status for moment in moments] for book in books]

    assert histories[0] == histories[1] != histories[2]


def test_refill_is_open_until_the_last_one_is_final(book: RefillBook) -> None:
    assert not book.has_open("7", 0)
    book.insert("7", 0)

    assert book.has_open("7", 0)
    assert not book.has_open("8", 0)
    assert not book.has_open("7", MAX_LIFECYCLE_S)

    book.insert("7", MAX_LIFECYCLE_S)
    assert book.has_open("7", MAX_LIFECYCLE_S)


def test_full_book_stores_no_more_refills() -> None:
    book = RefillBook(seed=0, max_refills=1)

    assert book.insert("7", 0) == "1"
    assert book.insert("8", 0) is None
    assert list(book) == ["1"]


@pytest.mark.parametrize("state", [RefillState.COMPLETED, RefillState.REJECTED])
def test_manually_set_final_state_stays(book: RefillBook, state: RefillState) -> None:
    book.insert("7", 0)

    book.set_state("1", state, 10)

    assert book.snapshot("1", 10).status == book.snapshot("1", MAX_LIFECYCLE_S).status == state
    assert not book.has_open("7", 10)


@pytest.mark.parametrize("state", [RefillState.PENDING, RefillState.IN_PROGRESS])
def test_manually_set_open_state_continues(book: RefillBook, state: RefillState) -> None:
    book.insert("7", 0)
    book.set_state("1", RefillState.REJECTED, 0)

    book.set_state("1", state, 9000)

    assert book.snapshot("1", 9000).status == state
    assert book.snapshot("1", 9000 + MAX_LIFECYCLE_S).is_final
    assert book.snapshot("1", 9000).created_s == 0


def test_unknown_refill_raises_key_error(book: RefillBook) -> None:
    with pytest.raises(KeyError):
        book.set_state("1", RefillState.PENDING, 0)
    with pytest.raises(KeyError):
        book.snapshot("1", 0)


@pytest.mark.parametrize("word", ["in progress", "In progress", "IN_PROGRESS", " in_progress "])
def test_refill_state_is_parsed_in_any_spelling(word: str) -> None:
    assert parse_refill_state(word) is RefillState.IN_PROGRESS


def test_unknown_refill_state_error_lists_the_known_states() -> None:
    with pytest.raises(ValueError, match="'canceled' is not a refill status; use one of Pending"):
        parse_refill_state("canceled")
