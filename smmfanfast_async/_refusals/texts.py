"""Recognize a panel's refusal by its text. Pure.

How this works. A text is one that is listed if all of its words are: those of the listed text, and
after them only what the tails of this module allow for its kind. So whatever else a panel adds
makes it another text: "Not enough funds on provider account" is not about the caller. A list of
texts, joined by ";", is a refusal if each of them is.

A listed text is a template: `{n}` in it is a number, and `{a|b|}` one of several words, or none.
All variants are written out when the texts are created, so that a text is found by its words in one
dict. Measured: 3 µs, 30 µs if the grammar has to be asked too, 0.3 µs if the text was seen before.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from itertools import product

from .._text import normalize_text
from ..errors import ErrorKind

__all__ = ["RefusalTexts", "count_variants", "template_flaw"]

MAX_TEXT_CHARACTERS = 500
"""A text of this many characters is not recognized: an error keeps no more, so its end may be
missing. The longest text seen has 82."""

MAX_REMEMBERED_TEXTS = 1024
"""How many answers are remembered, of at most 500 characters each: a panel has about 30 texts, some
with numbers, and two megabytes are the most that they can take."""

MAX_VARIANTS = 500
"""How many variants one template may have: five choices among three words have 243."""

NUMBER = "{n}"
"""In a listed text: a number of any size, as in "Minimum quantity is {n}"."""

_CHOICE = re.compile(r"\{([^{}]*)\}")

# Normalized texts: digits are words of their own, "10,000" and "0.03" are two.
_N = "[0-9]++(?: [0-9]++)*+"
_CURRENCY = (
    "(?:usd|usdt|usdc|eur|gbp|aed|bdt|brl|dzd|egp|idr|inr|kwd|mad|ngn|php|pkr|rub|sar|tnd|try|uah"
    "|vnd)"
)
_ORDER = "(?:it|order|(?:the|this|your|that|previous|your previous|the previous) order)"
_ENDS = "(?:ends|completes|completed|finished|done)"

_HINTS = (
    "(?:please )?(?:check|read|see) (?:your |the |our )?(?:api )?(?:manual|documentation|docs)",
    "(?:please )?contact (?:the |our )?(?:support|administrator|admin)",
)
"""Sentences after any refusal that only say where to read or whom to ask (seen)."""

_TAILS: dict[ErrorKind, tuple[str, ...]] = {
    ErrorKind.FUNDS: (
        "(?:on|in) (?:your |the )?(?:balance|account|wallet|account balance|wallet balance)",
        "to place (?:this|the|an|your) order",
        # An amount: with a fraction, a currency, or a word that says what it is.
        f"[0-9]+ [0-9]+|{_N} {_CURRENCY}|{_CURRENCY} {_N}",
        (
            f"(?:you )?(?:need|needed|needs|require|required|requires)(?: {_CURRENCY})? {_N}"
            f"(?: {_CURRENCY})?"
        ),
        f"(?:{_CURRENCY} )?{_N}(?: {_CURRENCY})? (?:is )?(?:needed|required)",
    ),
    ErrorKind.DUPLICATE: (
        (
            f"(?:please )?wait(?: (?:until|for|till) {_ORDER}"
            f"(?: (?:to be |to |is |gets |being |has been |will be )?{_ENDS})?)?"
        ),
    ),
    ErrorKind.RATE_LIMIT: (
        "(?:please )?slow down",
        (
            f"(?:please )?(?:wait|retry after|retry in|try again in|try again after)(?: for)? {_N}"
            " ?(?:s|sec|secs|second|seconds|m|min|mins|minute|minutes)"
        ),
    ),
}
"""What may follow a listed text of a kind, in any order, until nothing is left (seen)."""

MAX_TAILS = 3
"""How many tails may follow one text: "on balance. Required: 1.50 USD. Contact support" has
three."""

_LIMIT_WORDS = frozenset({"minimum", "minimal", "maximum", "min", "max"}) | {
    "min_quantity",
    "max_quantity",
}
"""Words at the end of a listed text after which the limit itself may follow."""

# `re` compiles it when it is first needed.
_LIMIT_TAIL = f"(?:(?:amount|quantity|value|number|order|of|is)(?: |\\Z))*+(?:{_N})?"


@cache
def _compile_tails(kind: ErrorKind) -> re.Pattern[str]:
    """Return the pattern of the tails of a kind, compiled when it is first needed."""
    tails = (*_TAILS.get(kind, ()), *_HINTS)
    return re.compile(rf"(?:(?:{'|'.join(tails)})(?: |\Z)){{1,{MAX_TAILS}}}")


_NUMBERS = re.compile(f"(?<![^ ]){_N}(?![^ ])")


class RefusalTexts:
    """The texts that a profile recognizes, by their words."""

    __slots__ = ("_find_other", "_has_numbers", "_kinds", "_remember")

    def __init__(
        self,
        texts: Iterable[tuple[str, ErrorKind]],
        find_other: Callable[[str], ErrorKind | None] | None = None,
    ) -> None:
        """Create it from texts and kinds; `find_other` examines a text that is not listed."""
        # The first of two equal texts counts.
        self._kinds = {
            _normalize_listed(variant): kind
            for text, kind in reversed([*texts])
            for variant in _expand_template(text)
        }
        self._find_other = find_other
        self._has_numbers = any(NUMBER in text for text in self._kinds)
        self._remember = lru_cache(MAX_REMEMBERED_TEXTS)(self._find_kind)

    def find_kind(self, text: str) -> ErrorKind | None:
        """Return the kind of a text; None if it is not listed. Answers are remembered."""
        # A long text is not remembered either, so that the memory is bounded.
        return None if len(text) >= MAX_TEXT_CHARACTERS else self._remember(text)

    def _find_kind(self, text: str) -> ErrorKind | None:
        kind = self._find_one(text)
        if kind is not None or ";" not in text:
            return kind
        kinds = [self._find_one(part) for part in text.split(";")]
        return kinds[0] if all(kinds) else None

    def _find_one(self, text: str) -> ErrorKind | None:
        kind = self._match(normalize_text(text))
        return self._find_other(text) if kind is None and self._find_other else kind

    def _match(self, words: str) -> ErrorKind | None:
        for listed, rest in _split_at_words(words):
            kind = self._kinds.get(listed)
            if kind is None and self._has_numbers:
                kind = self._kinds.get(_NUMBERS.sub(NUMBER, listed))
            if kind is not None and _is_allowed(rest, listed, kind):
                return kind
        return None


def _expand_template(text: str) -> Iterator[str]:
    """Yield every variant of a template, with `{n}` as it is."""
    parts = _CHOICE.split(text)
    # Every second part is the content of a pair of braces.
    choices = [
        [part] if index % 2 == 0 else _parse_choice(part) for index, part in enumerate(parts)
    ]
    return map("".join, product(*choices))


def _parse_choice(content: str) -> list[str]:
    return [NUMBER] if content == NUMBER[1:-1] else content.split("|")


def count_variants(text: str) -> int:
    """Return how many variants a template has."""
    return math.prod(len(_parse_choice(each)) for each in _CHOICE.findall(text))


def template_flaw(text: object) -> str | None:
    """Return why a text cannot be listed; None if it can."""
    if not isinstance(text, str):
        return "must be a text"
    if len(text) >= MAX_TEXT_CHARACTERS:
        return f"must be shorter than {MAX_TEXT_CHARACTERS} characters"
    if re.search("[{}]", _CHOICE.sub("", text)):
        return "has a brace without its counterpart"
    if count_variants(text) > MAX_VARIANTS:
        return f"must have at most {MAX_VARIANTS} variants"
    if not all(normalize_text(each.replace(NUMBER, "")) for each in _expand_template(text)):
        return "has a variant without a letter or digit"
    return None


def _normalize_listed(text: str) -> str:
    """Return the words of a listed text, with `NUMBER` as a word."""
    return f" {NUMBER} ".join(normalize_text(part) for part in text.split(NUMBER)).strip()


def _split_at_words(words: str) -> Iterator[tuple[str, str]]:
    """Yield every start of a text that ends at a word, and the rest; the longest start first."""
    yield words, ""
    end = words.rfind(" ")
    while end > 0:
        yield words[:end], words[end + 1 :]
        end = words.rfind(" ", 0, end)


def _is_allowed(rest: str, listed: str, kind: ErrorKind) -> bool:
    """Return whether the words after a listed text leave its meaning as it is."""
    if not rest or _compile_tails(kind).fullmatch(rest):
        return True
    is_limit = listed.rpartition(" ")[2] in _LIMIT_WORDS
    return is_limit and re.fullmatch(_LIMIT_TAIL, rest) is not None
