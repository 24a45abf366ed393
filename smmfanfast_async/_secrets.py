"""The API key: never shown, and masked in every response."""

import html
import re
from collections.abc import Callable, Iterator
from itertools import product
from typing import NoReturn
from urllib.parse import quote, quote_plus

from .errors import InvalidSettingsError

__all__ = ["MASK", "Key", "RotatingKey", "Secret", "check_key", "wrap_key"]

MAX_KEY_CHARACTERS = 512
"""The longest valid key; keys of this panel have fewer than 64 characters (assumed)."""

MIN_MASKED_KEY_CHARACTERS = 12
"""Shorter keys are not masked in responses: "1" is part of any number, "test-key" of any text about
tests, and masking them would change the response. Keys of panels have 32 characters (seen)."""

MAX_ENCODED_KEY_BYTES = 6 * MAX_KEY_CHARACTERS
"""The longest encoding of a key in a response, in bytes: six per character, as in `&quot;`."""

MASK = b"***"
"""Replaces the key in a response."""


class Secret:
    """An API key that no repr, str, format, copy or pickle shows."""

    __slots__ = ("_alphanumerics", "_encodings", "_form_value", "_key")

    def __init__(self, key: str) -> None:
        self._key = key
        self._form_value: str | None = None
        self._alphanumerics: tuple[bytes, ...] = ()
        self._encodings: tuple[bytes, ...] | None = None

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")

    def reveal(self) -> str:
        """Return the key, for `_wire.transport` and for deriving the account name."""
        return self._key

    def form_encoded(self) -> str:
        """Return the key as it is encoded in a form."""
        if self._form_value is None:
            self._form_value = quote_plus(self._key)
        return self._form_value

    def current(self) -> "Secret":
        """Return the key for one request: always this one."""
        return self

    def check(self, *, for_this_machine: bool) -> None:
        """Raise `InvalidSettingsError` unless this is a valid key."""
        check_key(self, for_this_machine=for_this_machine)

    def mask_in_place(self, body: bytearray, start: int = 0) -> None:
        """Replace every occurrence of the key in a partial response by `***`, from byte `start` on.

        `start` is where the previous call ended: a key that starts before it and ends after it is
        found too.
        """
        for encoding in self._encode_variants():
            at = body.find(encoding, max(start - MAX_ENCODED_KEY_BYTES, 0))
            while at >= 0:
                body[at : at + len(encoding)] = MASK
                at = body.find(encoding, at)

    def mask_bytes(self, body: bytes) -> bytes:
        """Return a complete response with `***` in place of the key.

        Usually one character of the key does not occur in the response at all. Detecting that takes
        half a microsecond on 100 statuses; searching for the whole key takes 5, parsing them 50.
        """
        encodings = self._encode_variants()
        for character in self._alphanumerics:
            if character not in body:
                return body
        for encoding in encodings:
            if encoding in body:
                body = body.replace(encoding, MASK)
        return body

    def mask_text(self, text: str) -> str:
        """Return a text with `***` in place of the key."""
        return self.mask_bytes(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")

    def _encode_variants(self) -> tuple[bytes, ...]:
        r"""Return every encoding of the key that a response may contain, the plain one first.

        Unchanged; percent-encoded as it was sent, in upper and lower case; in JSON, also with PHP's
        `\/`, and with `\u0026` for characters special in HTML; in HTML, as Python and PHP write it.
        """
        if self._encodings is None:
            key = self._key
            coded = [quote_plus(key), quote(key, safe="")]
            ways = [key, *coded, *(_lower_percent_codes(each) for each in coded)]
            ways += [html.escape(key), html.escape(key).replace("&#x27;", "&#039;")]
            ways += _json_encodings(key)
            plain = dict.fromkeys(each.encode() for each in ways)
            self._encodings = tuple(plain) if len(key) >= MIN_MASKED_KEY_CHARACTERS else ()
            # Letters and digits are unchanged in every encoding.
            self._alphanumerics = tuple(
                each.encode() for each in dict.fromkeys(key) if each.isalnum()
            )
        return self._encodings


class RotatingKey:
    """A key that a callable returns anew for each request, for rotating keys; never shown."""

    __slots__ = ("_for_this_machine", "_get_key")

    def __init__(self, get_key: Callable[[], str]) -> None:
        self._get_key = get_key
        self._for_this_machine = False

    def __repr__(self) -> str:
        return "RotatingKey(***)"

    def check(self, *, for_this_machine: bool) -> None:
        """Remember which host each key must be valid for; no key is requested yet."""
        self._for_this_machine = for_this_machine

    def current(self) -> Secret:
        """Return the key for one request, or raise `InvalidSettingsError` if there is none.

        An error of the callable is named only by its class: its text and frames may contain a key.
        """
        try:
            secret = Secret(self._get_key())
        except Exception as error:  # noqa: BLE001  # any error means that there is no key
            fault = f"is not available: the callable raised {type(error).__name__}"
        else:
            check_key(secret, for_this_machine=self._for_this_machine)
            return secret
        raise InvalidSettingsError("api_key", fault)


Key = Secret | RotatingKey
"""Either source of the key of a request."""


def wrap_key(api_key: str | Callable[[], str]) -> Key:
    """Wrap a key, or a callable that returns one, so that it is never shown."""
    return RotatingKey(api_key) if callable(api_key) else Secret(api_key)


def check_key(secret: Secret, *, for_this_machine: bool) -> None:
    """Raise `InvalidSettingsError` for an invalid key, or a sandbox key for a real panel.

    No frame of the traceback contains the key.
    """
    fault = _find_fault(secret.reveal(), for_this_machine=for_this_machine)
    if fault is not None:
        raise InvalidSettingsError("api_key", fault)


def _find_fault(key: str, *, for_this_machine: bool) -> str | None:
    if not isinstance(key, str) or not key:
        return "must be a non-empty text"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "must not contain spaces, line breaks or characters outside ASCII"
    if len(key) > MAX_KEY_CHARACTERS:
        return f"is longer than {MAX_KEY_CHARACTERS} characters"
    if key.startswith("test-") and not for_this_machine:
        return "is a sandbox key, but base_url is not this machine"
    return None


def _json_encodings(key: str) -> Iterator[str]:
    r"""Yield the encodings of a key in JSON, with `\u0026` for zero, three or five characters."""
    for escaped, digits in product(("", "<>&", "<>&'\""), "xX"):
        text = key.replace("\\", "\\\\")
        for character in escaped:
            text = text.replace(character, f"\\u{ord(character):04{digits}}")
        text = text.replace('"', '\\"')
        yield from (text, text.replace("/", "\\/"))


def _lower_percent_codes(coded: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), coded)
