"""Normalize texts for comparison, check them before sending, sanitize them for display. Pure."""

import re
import unicodedata

__all__ = [
    "format_value",
    "line_flaw",
    "normalize_text",
    "normalize_word",
    "raw_text",
    "sanitize",
    "strip_line",
    "strip_text",
    "text_flaw",
]

MAX_SHOWN_CHARACTERS = 200
"""How much of an invalid value an error shows, in characters: enough to recognize it."""

MAX_RAW_CHARACTERS = 2000
"""How much of a response `raw` keeps, in characters: one about a single id has below 200 (seen),
and 100 errors of the maximum length take less than a megabyte."""

_ASCII_WORDS = re.compile("[a-z0-9_]+")
_SEPARATORS = str.maketrans("", "", "_-")

# Every character that some parser treats as a line break, and NUL, which ends a text in C.
_LINE_ENDS = frozenset("\r\n\0\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")

# C0 and C1 controls, line and paragraph separators, bidirectional overrides, zero-width characters
# and tags, lone surrogates: they forge log lines, control terminals or hide text. `re` compiles it
# when it is first needed, since compiling it would be a fifth of the time of importing this module.
_HARMFUL = (
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]+"
)

# Characters that show nothing at the ends of a text: white space, soft hyphen, joiners, marks of
# direction, byte order mark, fillers. Inside a text a joiner belongs to its word.
_SPACES = "\t \xa0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_INVISIBLE = (
    "\xad\u034f\u061c\u115f\u1160\u180e\u2800\u3164\ufeff\uffa0\ufff9\ufffa\ufffb"
    + "".join(map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070))))
)
_LINE_BLANKS = f"\r\n{_SPACES}{_INVISIBLE}"
_TEXT_BLANKS = f"{_LINE_BLANKS}\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029"

# Variation selectors and tags end many emoji, and alone they show nothing.
_MODIFIERS = "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0000, 0xE0080))))


def normalize_word(word: str) -> str:
    """Return a word of the panel in lower case, without whitespace, `_` and `-`."""
    return "".join(word.lower().split()).translate(_SEPARATORS)


def normalize_text(text: str) -> str:
    """Return the words of a text in lower case, separated by one space, no punctuation but `_`.

    An underscore is part of its word: the code `error.link_duplicate` does not start with
    `error.link`. So is a combining mark, such as a vowel in Hindi or Thai. The four letters i of
    Turkish are one, since İ and I are written for both of the small ones.
    """
    if text.isascii():
        return " ".join(_ASCII_WORDS.findall(text.lower()))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    folded = folded.replace("i\u0307", "i").replace("\u0131", "i")
    return " ".join("".join(each if _is_in_word(each) else " " for each in folded).split())


def _is_in_word(character: str) -> bool:
    return (
        character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")
    )


def strip_text(text: str) -> str:
    """Return a text without white space and invisible characters at its ends."""
    return _strip(text, _TEXT_BLANKS)


def strip_line(text: str) -> str:
    """Return one item of a list without white space and invisible characters at its ends.

    Of the line ends only CR and LF are removed: the others may be a part of the item.
    """
    return _strip(text, _LINE_BLANKS)


def _strip(text: str, blanks: str) -> str:
    stripped = text.strip(blanks)
    return stripped if stripped.strip(blanks + _MODIFIERS) else ""


def text_flaw(text: str) -> str | None:
    """Return why a text cannot be sent; None if it can."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return "contains a lone surrogate, which UTF-8 cannot encode"
    return None


def line_flaw(text: str) -> str | None:
    """Return why a text cannot be sent as one line; None if it can."""
    return "contains a line break or NUL" if not _LINE_ENDS.isdisjoint(text) else text_flaw(text)


def sanitize(text: str, max_characters: int | None = None) -> str:
    """Return a text for logs, terminals and errors: one line without harmful characters.

    The result is truncated to `max_characters`; None keeps all of it.
    """
    # Truncated before cleaning too, with a margin, to keep the cost of huge texts low.
    start = text if max_characters is None else text[: max_characters * 4]
    if start.isprintable():  # then it has none of them: the usual text of a refusal, read faster
        return start.strip()[:max_characters]
    return re.sub(_HARMFUL, " ", start).strip()[:max_characters]


def raw_text(body: bytes) -> str:
    """Return a response as `raw` keeps it: sanitized text of at most `MAX_RAW_CHARACTERS`."""
    # A character has at most four bytes; the same again allows for characters that are removed.
    start = body[: MAX_RAW_CHARACTERS * 8].decode(errors="replace")
    return sanitize(start, MAX_RAW_CHARACTERS)


def format_value(value: object) -> str:
    """Return an invalid value as an error shows it."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # Python does not convert an integer of more than 4300 digits, or deeply nested lists.
        text = object.__repr__(value)
    return text[:MAX_SHOWN_CHARACTERS]
