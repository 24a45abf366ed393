"""How texts are compared, found unfit to send, and made harmless to show. Pure."""

import re

__all__ = [
    "line_flaw",
    "normalize_text",
    "normalize_word",
    "raw_text",
    "sanitize",
    "shown_value",
    "text_flaw",
]

MAX_SHOWN_CHARACTERS = 200
"""How much of a wrong value an error shows, in characters: enough to know it again."""

MAX_RAW_CHARACTERS = 2000
"""How much of an answer is kept beside what was read from it, in characters: real ones to a single
question have below 200, and 100 of the longest errors together are below a megabyte."""

_SEPARATORS = str.maketrans("", "", "_-")

# Every sign that some reader takes for the end of a line, and NUL, which ends a text in C.
_LINE_ENDS = re.compile("[\r\n\0\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")

# C0 and C1 controls, line and paragraph separators, bidirectional overrides, zero-width signs and
# tags, lone surrogates: they forge log lines, drive terminals or hide text.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]+"
)


def normalize_word(word: str) -> str:
    """Bring a word of the panel into one spelling: lower case, without blanks, `_` and `-`."""
    return "".join(word.lower().split()).translate(_SEPARATORS)


def normalize_text(text: str) -> str:
    """Bring a text to its bare words: lower case, one blank between, no punctuation but `_`.

    An underscore belongs to its word: the code `error.link_duplicate` does not begin with
    `error.link`.
    """
    characters = (sign if sign.isalnum() or sign == "_" else " " for sign in text.lower())
    return " ".join("".join(characters).split())


def text_flaw(text: str) -> str | None:
    """Say why a text can't be sent, None if it can."""
    return (
        "holds half a surrogate pair, which no UTF-8 has" if _LONE_SURROGATES.search(text) else None
    )


def line_flaw(text: str) -> str | None:
    """Say why a text can't be sent as one line, None if it can."""
    return "holds a line end or NUL" if _LINE_ENDS.search(text) else text_flaw(text)


def sanitize(text: str, max_characters: int | None = None) -> str:
    """Give a text for logs, terminals and errors: one line, no sign that hides or commands.

    `most` cuts it to so many characters; None leaves it whole.
    """
    # Cut first with room to spare, so that a text of megabytes costs no more than a short one.
    start = text if max_characters is None else text[: max_characters * 4]
    return _HARMFUL.sub(" ", start).strip()[:max_characters]


def raw_text(body: bytes) -> str:
    """Give an answer as `raw` keeps it: its text, cleaned, as far as `MAX_RAW_CHARACTERS`."""
    # A sign has four bytes at most; as much again for what is cleaned away.
    start = body[: MAX_RAW_CHARACTERS * 8].decode(errors="replace")
    return sanitize(start, MAX_RAW_CHARACTERS)


class _Shown(str):
    """The repr of a value, marked so that a copy of an error does not quote it again."""

    __slots__ = ()


def shown_value(value: object) -> str:
    """Give a wrong value as an error shows it; what was given by this stays as it is."""
    if isinstance(value, _Shown):
        return value
    try:
        text = repr(value)
    except ValueError:
        # Python does not write a whole number of more than 4300 digits.
        text = object.__repr__(value)
    return _Shown(text[:MAX_SHOWN_CHARACTERS])
