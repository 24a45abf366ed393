"""The API key: kept out of every text and masked in every response."""

import html
import re
from collections.abc import Callable, Iterator
from itertools import product
from typing import NoReturn
from urllib.parse import quote, quote_plus

from .errors import InvalidSettingsError

__all__ = ["MASK", "Key", "RotatingKey", "Secret", "check_key", "wrap_key"]

MAX_KEY_CHARACTERS = 512
"""The longest key: this panel's have below 64 characters (assumed)."""

MIN_MASKED_KEY_CHARACTERS = 12
"""A shorter key is not looked for in answers: "1" is in any number, "test-key" in any text about
tests, and an answer without them would be another one. Panels' keys have 32 (seen)."""

MAX_ENCODED_KEY_BYTES = 6 * MAX_KEY_CHARACTERS
"""The longest spelling of a key in an answer, in bytes: six for each sign, as in `&quot;`."""

MASK = b"***"
"""Stands in an answer where the key was."""


class Secret:
    """The API key, shown by nothing: not by repr, str, format, copies or pickles."""

    __slots__ = ("_alphanumerics", "_encodings", "_form_value", "_key")

    def __init__(self, key: str) -> None:
        self._key = key
        self._form_value: str | None = None
        self._alphanumerics: tuple[bytes, ...] = ()
        self._encodings: tuple[bytes, ...] | None = None

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied")

    def reveal(self) -> str:
        """Give the key; for `_transport` and for what makes the short account name."""
        return self._key

    def form_encoded(self) -> str:
        """Give the key as a form holds it."""
        if self._form_value is None:
            self._form_value = quote_plus(self._key)
        return self._form_value

    def current(self) -> "Secret":
        """Give the key for one request: always the same one."""
        return self

    def check(self, *, for_this_machine: bool) -> None:
        """Raise `InvalidSettingsError` for what can't be a key."""
        check_key(self, for_this_machine=for_this_machine)

    def mask_in_place(self, body: bytearray, start: int = 0) -> None:
        """Put `***` for the key wherever it stands in an answer, from the byte `since` on.

        `since` is where the last look ended: a key that begins before it and ends behind it is
        found too.
        """
        for spelling in self._encode_variants():
            at = body.find(spelling, max(start - MAX_ENCODED_KEY_BYTES, 0))
            while at >= 0:
                body[at : at + len(spelling)] = MASK
                at = body.find(spelling, at)

    def mask_bytes(self, body: bytes) -> bytes:
        """Give a whole answer with `***` for the key.

        Mostly one of its signs is not in the answer at all. That is found in half a microsecond on
        100 statuses; looking for the whole of it takes 5, and reading them 50.
        """
        spellings = self._encode_variants()
        for sign in self._alphanumerics:
            if sign not in body:
                return body
        for spelling in spellings:
            if spelling in body:
                body = body.replace(spelling, MASK)
        return body

    def mask_text(self, text: str) -> str:
        """Give a text with `***` for the key."""
        return self.mask_bytes(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")

    def _encode_variants(self) -> tuple[bytes, ...]:
        r"""Give the ways in which an answer may spell the key, the plain one first.

        As it is; as it was sent, percent-encoded, in either case; in JSON, with PHP's `\/` too, and
        with `\u0026` for what HTML has signs for; in HTML, by Python and by PHP.
        """
        if self._encodings is None:
            key = self._key
            coded = [quote_plus(key), quote(key, safe="")]
            ways = [key, *coded, *(_lower_percent_codes(each) for each in coded)]
            ways += [html.escape(key), html.escape(key).replace("&#x27;", "&#039;")]
            ways += _json_encodings(key)
            plain = dict.fromkeys(each.encode() for each in ways)
            self._encodings = tuple(plain) if len(key) >= MIN_MASKED_KEY_CHARACTERS else ()
            # Letters and digits stand for themselves in each of them.
            self._alphanumerics = tuple(
                each.encode() for each in dict.fromkeys(key) if each.isalnum()
            )
        return self._encodings


class RotatingKey:
    """A key that is asked for anew for each request, for those who rotate it; shown by nothing."""

    __slots__ = ("_get_key", "_for_this_machine")

    def __init__(self, get_key: Callable[[], str]) -> None:
        self._get_key = get_key
        self._for_this_machine = False

    def __repr__(self) -> str:
        return "RotatingKey(***)"

    def check(self, *, for_this_machine: bool) -> None:
        """Keep in mind what each key has to be fit for; none is asked for yet."""
        self._for_this_machine = for_this_machine

    def current(self) -> Secret:
        """Ask for the key of one request; `InvalidSettingsError` where there is none to be had.

        What the asking raised is named by its class alone: its text and frames may hold a key.
        """
        try:
            secret = Secret(self._get_key())
        except Exception as error:  # noqa: BLE001  # whatever it is, there is no key to send
            fault = f"can't be had: {type(error).__name__} where it was asked for"
        else:
            check_key(secret, for_this_machine=self._for_this_machine)
            return secret
        raise InvalidSettingsError("api_key", fault)


Key = Secret | RotatingKey
"""What gives the key of a request."""


def wrap_key(api_key: str | Callable[[], str]) -> Key:
    """Hold a key, or what gives one, so that nothing shows it; `check` says whether it is one."""
    return RotatingKey(api_key) if callable(api_key) else Secret(api_key)


def check_key(secret: Secret, *, for_this_machine: bool) -> None:
    """Raise `InvalidSettingsError` for a key that no panel gives, or a sandbox's for a real one.

    The key itself is in none of the frames that the error leaves through.
    """
    fault = _find_fault(secret.reveal(), for_this_machine=for_this_machine)
    if fault is not None:
        raise InvalidSettingsError("api_key", fault)


def _find_fault(key: str, *, for_this_machine: bool) -> str | None:
    if not isinstance(key, str) or not key:
        return "is empty or not a text"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "holds blanks, line ends or signs beyond ASCII"
    if len(key) > MAX_KEY_CHARACTERS:
        return f"is longer than {MAX_KEY_CHARACTERS} characters"
    if key.startswith("test-") and not for_this_machine:
        return "is one for a sandbox, and base_url is not this machine"
    return None


def _json_encodings(key: str) -> Iterator[str]:
    r"""Give a key as JSON may hold it; `\u0026` is written for no sign, for three or for five."""
    for signs, digits in product(("", "<>&", "<>&'\""), "xX"):
        text = key.replace("\\", "\\\\")
        for sign in signs:
            text = text.replace(sign, f"\\u{ord(sign):04{digits}}")
        text = text.replace('"', '\\"')
        yield from (text, text.replace("/", "\\/"))


def _lower_percent_codes(coded: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), coded)
