"""How texts are compared, found unfit to send, and cleaned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async._text import line_flaw, normalize_text, normalize_word, sanitize, text_flaw

# Every code point, the lone surrogates too, which Hypothesis leaves out unless told.
TEXTS = st.text(st.characters(categories=["L", "M", "N", "P", "S", "Z", "C"]))

HARMFUL = {
    "NUL": "\0",
    "escape": "\x1b",
    "line feed": "\n",
    "carriage return": "\r",
    "delete": "\x7f",
    "next line": "\x85",
    "end of C1": "\x9f",
    "soft hyphen": "\xad",
    "Arabic letter mark": "\u061c",
    "Mongolian vowel separator": "\u180e",
    "zero-width blank": "\u200b",
    "right-to-left mark": "\u200f",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "bidirectional override": "\u202e",
    "word joiner": "\u2060",
    "isolate": "\u2066",
    "old shaping sign": "\u206f",
    "byte order mark": "\ufeff",
    "annotation": "\ufff9",
    "first half of a pair": "\ud800",
    "last half of a pair": "\udfff",
    "tag": "\U000e0041",
}


@pytest.mark.parametrize("word", [
    "In progress", "in_progress", "IN-PROGRESS", "Inprogress", " in\tprogress\r\n",
    "In\u00a0progress",
])  # fmt: skip
def test_a_word_is_the_same_in_any_case_with_any_blanks_and_joints(word: str) -> None:
    assert normalize_word(word) == "inprogress"


def test_other_punctuation_keeps_words_apart() -> None:
    assert normalize_word("in.progress") != normalize_word("in progress")


@given(TEXTS)
def test_the_spelling_of_a_word_is_final(word: str) -> None:
    once = normalize_word(word)

    assert normalize_word(once) == once


@pytest.mark.parametrize(("text", "words"), [
    ("  Not enough   funds, on balance!\n", "not enough funds on balance"),
    ("error.incorrect_service_id", "error incorrect_service_id"),
    ("رصيد غير كافٍ", "رصيد غير كاف"),
    ("…", ""),
    ("", ""),
])  # fmt: skip
def test_bare_words_are_without_case_and_punctuation(text: str, words: str) -> None:
    assert normalize_text(text) == words


@given(TEXTS)
def test_bare_words_are_parted_by_one_blank(text: str) -> None:
    words = normalize_text(text)

    assert words == " ".join(words.split())


@pytest.mark.parametrize("sign", HARMFUL.values(), ids=HARMFUL)
def test_signs_that_hide_or_command_become_one_blank(sign: str) -> None:
    assert sanitize(f"a{sign}b") == "a b"
    assert sanitize(f"a{sign}{sign}b") == "a b"
    assert sanitize(f"{sign}ab{sign}") == "ab"


@pytest.mark.parametrize("text", ["طلب رقم ٣٢", "⭐ 15K – 30K/day", "é", "[b]not markup[/b]"])
def test_visible_signs_stay(text: str) -> None:
    assert sanitize(text) == text


@pytest.mark.parametrize(("length", "kept"), [(9, 9), (10, 10), (11, 10), (10_000_000, 10)])
def test_a_text_is_cut_to_the_most_characters(length: int, kept: int) -> None:
    assert sanitize("x" * length, 10) == "x" * kept


def test_signs_that_are_left_out_do_not_use_up_the_room() -> None:
    assert sanitize("a" + "\0" * 20 + "b" * 100, 10) == "a bbbbbbbb"


def test_without_a_bound_a_text_stays_whole() -> None:
    assert sanitize("x" * 10_000) == "x" * 10_000


@given(TEXTS, st.none() | st.integers(0, 20))
def test_a_cleaned_text_is_one_line_that_any_log_takes(text: str, most: int | None) -> None:
    result = sanitize(text, most)

    assert result.encode("utf-8") is not None
    assert len(result.splitlines()) <= 1
    assert not any(sign in result for sign in HARMFUL.values())
    assert most is None or len(result) <= most


@pytest.mark.parametrize(
    "sign", ["\r", "\n", "\0", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
)
def test_what_some_reader_takes_for_a_line_end_is_a_flaw_of_a_line_alone(sign: str) -> None:
    text = f"a{sign}b"

    assert line_flaw(text) == "contains a line break or NUL"
    assert text_flaw(text) is None


@pytest.mark.parametrize("code_point", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_half_a_surrogate_pair_is_a_flaw_of_any_text(code_point: int) -> None:
    text = f"a{chr(code_point)}b"

    assert text_flaw(text) == line_flaw(text) == "contains a lone surrogate, which UTF-8 cannot encode"


@pytest.mark.parametrize("sign", ["\ud7ff", "\ue000", "\U0001f600", "\x1f", "\x84", "\u2027", " "])
def test_their_neighbours_are_no_flaw(sign: str) -> None:
    assert line_flaw(f"a{sign}b") is None


@given(TEXTS)
def test_a_line_without_flaw_is_one_line_in_utf_8(text: str) -> None:
    if line_flaw(text) is None:
        assert len(text.splitlines()) <= 1
        assert text.encode().decode() == text
    if text_flaw(text) is None:
        assert text.encode().decode() == text


@given(st.text())
def test_what_utf_8_takes_has_no_flaw(text: str) -> None:
    assert text_flaw(text) is None
