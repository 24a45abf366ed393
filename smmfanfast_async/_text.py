"""How texts are compared and made harmless to show. Pure."""

import re

__all__ = ["bare_words", "cleaned", "same_word"]

_JOINTS = str.maketrans("", "", " _-\t")

# C0 and C1 controls, line and paragraph separators, bidirectional overrides, zero-width signs,
# lone surrogates: they forge log lines, drive terminals or hide text.
_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+"
)


def same_word(word: str) -> str:
    """Bring a word of the panel into one spelling: lower case, without blanks, `_` and `-`."""
    return word.lower().translate(_JOINTS)


def bare_words(text: str) -> str:
    """Bring a text to its bare words: lower case, one blank between, no punctuation."""
    return " ".join("".join(sign if sign.isalnum() else " " for sign in text.lower()).split())


def cleaned(text: str, most: int | None = None) -> str:
    """Give a text for logs, terminals and errors: one line, no sign that hides or commands.

    `most` cuts it to so many characters; None leaves it whole.
    """
    # Cut first with room to spare, so that a text of megabytes costs no more than a short one.
    short = text if most is None else text[: most * 4]
    return _HARMFUL.sub(" ", short).strip()[:most]
