"""Texts: normalized for comparison, checked before sending, sanitized for display."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async._text import (
    format_value,
    line_flaw,
    normalize_text,
    normalize_word,
    sanitize,
    text_flaw,
)

# Every code point, including the lone surrogates that Hypothesis omits by default.
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
    "zero-width space": "\u200b",
    "right-to-left mark": "\u200f",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "bidirectional override": "\u202e",
    "word joiner": "\u2060",
    "isolate": "\u2066",
    "deprecated shaping character": "\u206f",
    "byte order mark": "\ufeff",
    "annotation": "\ufff9",
    "high surrogate": "\ud800",
    "low surrogate": "\udfff",
    "tag": "\U000e0041",
}


@pytest.mark.parametrize("word", [
    "In progress", "in_progress", "IN-PROGRESS", "Inprogress", " in\tprogress\r\n",
    "In\u00a0progress",
])  # fmt: skip
def test_word_ignores_case_spaces_and_separators(word: str) -> None:
    assert normalize_word(word) == "inprogress"


def test_other_punctuation_distinguishes_words() -> None:
    assert normalize_word("in.progress") != normalize_word("in progress")


@given(TEXTS)
def test_normalizing_a_word_twice_changes_nothing(word: str) -> None:
    once = normalize_word(word)

    assert normalize_word(once) == once


@pytest.mark.parametrize(("text", "words"), [
    ("  Not enough   funds, on balance!\n", "not enough funds on balance"),
    ("error.incorrect_service_id", "error incorrect_service_id"),
    ("رصيد غير كافٍ!", "رصيد غير كافٍ"),
    ("अमान्य लिंक।", "अमान्य लिंक"),
    ("লিংক ভুল!", "লিংক ভুল"),
    ("ลิงก์ไม่ถูกต้อง…", "ลิงก์ไม่ถูกต้อง"),
    ("GEÇERSİZ BAĞLANTI", "geçersiz bağlanti"),
    ("Geçersiz bağlantı", "geçersiz bağlanti"),
    ("YETERSIZ BAKIYE", "yetersiz bakiye"),
    ("Straße", "strasse"),
    ("ﬁeld　１２", "field 12"),
    ("Cafe\u0301", "café"),
    ("…", ""),
    ("", ""),
])  # fmt: skip
def test_normalized_text_has_no_case_or_punctuation(text: str, words: str) -> None:
    assert normalize_text(text) == words


@given(TEXTS)
def test_normalized_words_are_separated_by_one_space(text: str) -> None:
    words = normalize_text(text)

    assert words == " ".join(words.split())


@pytest.mark.parametrize("character", HARMFUL.values(), ids=HARMFUL)
def test_harmful_characters_become_one_space(character: str) -> None:
    assert sanitize(f"a{character}b") == "a b"
    assert sanitize(f"a{character}{character}b") == "a b"
    assert sanitize(f"{character}ab{character}") == "ab"


@pytest.mark.parametrize("text", ["طلب رقم ٣٢", "⭐ 15K – 30K/day", "é", "[b]not markup[/b]"])
def test_visible_characters_are_kept(text: str) -> None:
    assert sanitize(text) == text


@pytest.mark.parametrize(("length", "kept"), [(9, 9), (10, 10), (11, 10), (10_000_000, 10)])
def test_text_is_truncated_to_the_maximum(length: int, kept: int) -> None:
    assert sanitize("x" * length, 10) == "x" * kept


def test_removed_characters_do_not_count() -> None:
    assert sanitize("a" + "\0" * 20 + "b" * 100, 10) == "a bbbbbbbb"


def test_text_is_not_truncated_without_a_maximum() -> None:
    assert sanitize("x" * 10_000) == "x" * 10_000


@given(TEXTS, st.none() | st.integers(0, 20))
def test_sanitized_text_is_one_encodable_line(text: str, max_characters: int | None) -> None:
    result = sanitize(text, max_characters)

    assert result.encode("utf-8") is not None
    assert len(result.splitlines()) <= 1
    assert not any(character in result for character in HARMFUL.values())
    assert max_characters is None or len(result) <= max_characters


@pytest.mark.parametrize(
    "character",
    ["\r", "\n", "\0", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"],
)
def test_line_break_is_a_flaw_only_of_a_line(character: str) -> None:
    text = f"a{character}b"

    assert line_flaw(text) == "contains a line break or NUL"
    assert text_flaw(text) is None


@pytest.mark.parametrize("code_point", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_lone_surrogate_is_a_flaw_of_any_text(code_point: int) -> None:
    text = f"a{chr(code_point)}b"

    assert (
        text_flaw(text) == line_flaw(text) == "contains a lone surrogate, which UTF-8 cannot encode"
    )


@pytest.mark.parametrize(
    "character", ["\ud7ff", "\ue000", "\U0001f600", "\x1f", "\x84", "\u2027", " "]
)
def test_neighbouring_code_points_are_accepted(character: str) -> None:
    assert line_flaw(f"a{character}b") is None


@given(TEXTS)
def test_line_without_flaw_is_one_line_in_utf_8(text: str) -> None:
    if line_flaw(text) is None:
        assert len(text.splitlines()) <= 1
        assert text.encode().decode() == text
    if text_flaw(text) is None:
        assert text.encode().decode() == text


@given(st.text())
def test_text_that_utf_8_encodes_has_no_flaw(text: str) -> None:
    assert text_flaw(text) is None


def test_value_without_a_repr_is_shown_by_its_type() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]

    assert format_value(nested).startswith("<list object at ")
    assert format_value(10**5000).startswith("<int object at ")
