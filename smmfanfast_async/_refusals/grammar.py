"""Recognize a refusal by its words, whatever the panel. Pure.

How this works. A text is a refusal only if every word of it belongs to sentences of a closed
grammar (`families`), so whatever else a panel adds makes it unknown again. A code such as
`neworder.error.service_not_found` is read as its words. Several sentences are a refusal if each of
them is one, or a hint such as "contact support"; the first decides the kind.

Left out on purpose, because some panels send them after an order was created: "unavailable", "not
available", "disabled by provider", "maintenance", "provider", "try again", "later", "temporarily",
"error processing", and a second free sentence.
"""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from ..errors import ErrorKind
from .families import HINTS, PREFIX, READ_SENTENCES, SENTENCES
from .words import simplify

__all__ = ["find_kind", "find_kind_of_read"]

MAX_CHARACTERS = 160
"""The longest text that is examined. The longest refusal seen has 105 characters."""

_SENTENCE_END = re.compile(r"[.!?](?=\s|\Z)|[;\n|()\[\]]|,? (?=please )", re.IGNORECASE)


def find_kind(text: str) -> ErrorKind | None:
    """Return the kind of a refusal that says that no order was created; None if it may not be."""
    return _find_kind(text, _compile_add())


def find_kind_of_read(text: str) -> ErrorKind | None:
    """Return the kind of the error of a call that cannot create an order; None if not known."""
    return _find_kind(text, _compile_read())


def _find_kind(text: str, pattern: re.Pattern[str]) -> ErrorKind | None:
    if len(text) > MAX_CHARACTERS:
        return None
    found = pattern.fullmatch(simplify(text))
    if found is None:
        first, *others = _split_sentences(text)
        found = pattern.fullmatch(first)
        hint = _compile_hints()
        if not all(hint.fullmatch(each) or pattern.fullmatch(each) for each in others):
            return None
    # The only named groups are those of the kinds.
    return ErrorKind(found.lastgroup.partition("__")[0]) if found and found.lastgroup else None


def _split_sentences(text: str) -> list[str]:
    sentences = map(simplify, _SENTENCE_END.split(text))
    return [each for each in sentences if each] or [""]


@cache
def _compile_hints() -> re.Pattern[str]:
    return re.compile("|".join(HINTS))


@cache
def _compile_add() -> re.Pattern[str]:
    return _compile(SENTENCES)


@cache
def _compile_read() -> re.Pattern[str]:
    return _compile(READ_SENTENCES, SENTENCES)


def _compile(*families: Mapping[ErrorKind, Sequence[str]]) -> re.Pattern[str]:
    """Return the pattern of a sentence; compiled when it is first needed: it takes 50 ms."""
    groups = (
        f"(?P<{kind}__{index}>{'|'.join(sentences)})"
        for index, family in enumerate(families)
        for kind, sentences in family.items()
    )
    return re.compile(f"{PREFIX}(?:{'|'.join(groups)})")
