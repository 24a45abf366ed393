from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async.sandbox.lifecycle import MAX_LIFE_S
from smmfanfast_async.sandbox.refills import RefillBook, RefillState, refill_state_of

ORDER = list(RefillState)


@pytest.fixture
def book() -> RefillBook:
    return RefillBook(seed=0, most=100)


def test_ids_count_up_and_a_new_refill_is_pending(book: RefillBook) -> None:
    assert [book.insert(order, 5) for order in ("7", "9")] == ["1", "2"]
    assert list(book) == ["1", "2"]
    assert "2" in book
    assert "3" not in book

    stored = book.stored("2", 5)

    assert (stored.refill, stored.order, stored.status, stored.created_s) == (
        "2",
        "9",
        "Pending",
        5,
    )
    assert not stored.is_final


@given(st.integers(0, 10_000), st.lists(st.floats(0, MAX_LIFE_S), max_size=20))
def test_a_refill_goes_forward_alone_and_is_final_in_time(seed: int, moments: list[float]) -> None:
    book = RefillBook(seed=seed, most=1)
    book.insert("1", 0)

    states = [book.stored("1", moment).status for moment in [0, *sorted(moments), MAX_LIFE_S]]

    places = [ORDER.index(state) for state in states]
    assert places == sorted(places)
    assert states[0] == "Pending"
    assert states[-1] in ("Completed", "Rejected")


def test_most_refills_complete_and_some_are_rejected() -> None:
    book = RefillBook(seed=3, most=500)
    for _ in range(500):
        book.insert("1", 0)

    ends = Counter(book.stored(refill, MAX_LIFE_S).status for refill in book)

    assert set(ends) == {"Completed", "Rejected"}
    assert 40 <= ends[RefillState.REJECTED] <= 120


def test_equal_seeds_give_equal_refills() -> None:
    books = [RefillBook(seed=seed, most=1) for seed in (4, 4, 5)]
    for book in books:
        book.insert("1", 0)
    moments = range(0, 10_000, 50)

    lives = [[book.stored("1", moment).status for moment in moments] for book in books]

    assert lives[0] == lives[1] != lives[2]


def test_an_order_has_an_open_refill_until_the_last_one_is_final(book: RefillBook) -> None:
    assert not book.has_open("7", 0)
    book.insert("7", 0)

    assert book.has_open("7", 0)
    assert not book.has_open("8", 0)
    assert not book.has_open("7", MAX_LIFE_S)

    book.insert("7", MAX_LIFE_S)
    assert book.has_open("7", MAX_LIFE_S)


def test_a_full_book_stores_nothing_more() -> None:
    book = RefillBook(seed=0, most=1)

    assert book.insert("7", 0) == "1"
    assert book.insert("8", 0) is None
    assert list(book) == ["1"]


@pytest.mark.parametrize("state", [RefillState.COMPLETED, RefillState.REJECTED])
def test_a_final_state_set_by_hand_stays(book: RefillBook, state: RefillState) -> None:
    book.insert("7", 0)

    book.set_state("1", state, 10)

    assert book.stored("1", 10).status == book.stored("1", MAX_LIFE_S).status == state
    assert not book.has_open("7", 10)


@pytest.mark.parametrize("state", [RefillState.PENDING, RefillState.IN_PROGRESS])
def test_any_other_state_goes_on_from_there(book: RefillBook, state: RefillState) -> None:
    book.insert("7", 0)
    book.set_state("1", RefillState.REJECTED, 0)

    book.set_state("1", state, 9000)

    assert book.stored("1", 9000).status == state
    assert book.stored("1", 9000 + MAX_LIFE_S).is_final
    assert book.stored("1", 9000).created_s == 0


def test_an_unknown_refill_is_a_key_error(book: RefillBook) -> None:
    with pytest.raises(KeyError):
        book.set_state("1", RefillState.PENDING, 0)
    with pytest.raises(KeyError):
        book.stored("1", 0)


@pytest.mark.parametrize("word", ["in progress", "In progress", "IN_PROGRESS", " in_progress "])
def test_a_word_is_read_in_any_spelling(word: str) -> None:
    assert refill_state_of(word) is RefillState.IN_PROGRESS


def test_an_unknown_word_is_told_the_known_ones() -> None:
    with pytest.raises(ValueError, match="'canceled' is no status of a refill; there are: Pending"):
        refill_state_of("canceled")
