"""The API key: never shown, and masked in every response."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import NoReturn
from urllib.parse import quote_plus

from .errors import InvalidSettingsError

__all__ = ["MASK", "Key", "RotatingKey", "Secret", "check_key", "wrap_key"]

MAX_KEY_CHARACTERS = 512
"""The longest valid key; keys of this panel have fewer than 64 characters (assumed)."""

MIN_MASKED_KEY_CHARACTERS = 12
"""Shorter keys are not masked in responses: "1" is part of any number, "test-key" of any text about
tests, and masking them would change the response. Keys of panels have 32 characters (seen)."""

MAX_ENTITY_CHARACTERS = 8
"""The longest encoding of a character that is masked, as in `&percnt;`: HTML has longer names, but
no program writes them."""

MAX_ENCODED_KEY_BYTES = MAX_ENTITY_CHARACTERS * MAX_KEY_CHARACTERS
"""The longest encoding of a key in a response, in bytes."""

MASK = b"***"
"""Replaces the key in a response."""


class Secret:
    """An API key that no repr, str, format, copy or pickle shows."""

    __slots__ = ("_alphanumerics", "_core", "_form_value", "_key", "_pattern")

    def __init__(self, key: str) -> None:
        self._key = key
        self._form_value: str | None = None
        self._alphanumerics: tuple[bytes, ...] = ()
        self._core = b""
        self._pattern: re.Pattern[bytes] | None = None

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

    def json_encoded(self) -> str:
        """Return the key as it is encoded in JSON."""
        return json.dumps(self._key)

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
        self._find_core()
        start = max(start - MAX_ENCODED_KEY_BYTES, 0)
        if self._is_masked and body.find(self._core, start) >= 0:
            body[start:] = self._mask(body[start:])

    def mask_bytes(self, body: bytes) -> bytes:
        """Return a complete response with `***` in place of the key.

        Usually one character of the key does not occur in the response at all. Detecting that takes
        half a microsecond on 100 statuses; searching for the whole key takes 5, parsing them 50.
        """
        self._find_core()
        for character in self._alphanumerics:
            if character not in body:
                return body
        return self._mask(body) if self._is_masked and self._core in body else body

    @property
    def _is_masked(self) -> bool:
        return len(self._key) >= MIN_MASKED_KEY_CHARACTERS

    def mask_text(self, text: str) -> str:
        """Return a text with `***` in place of the key."""
        return self.mask_bytes(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")

    def _find_core(self) -> None:
        """Set the core of the key: its longest run of letters and digits.

        These are unchanged in every encoding, so the core is found by a fast search, and most keys
        consist of nothing else.
        """
        if not self._alphanumerics:
            runs = re.findall("[A-Za-z0-9]+", self._key)
            self._core = max(runs, key=len, default="").encode()
            self._alphanumerics = tuple(each.encode() for each in dict.fromkeys("".join(runs)))

    def _mask(self, body: bytes | bytearray) -> bytes:
        """Replace every encoding of the key that a response may contain.

        Each character may be encoded in its own way, since programs differ in what they leave as it
        is. The pattern is compiled when the core has been found, as a rotating key is used once.
        """
        if self._pattern is None:
            self._pattern = re.compile("".join(map(_encodings_of, self._key)).encode())
        return self._pattern.sub(MASK, body)


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


@cache
def _encodings_of(character: str) -> str:
    r"""Return a pattern of the encodings of an ASCII character, the longest first.

    Unchanged; percent-encoded, once or twice; in JSON as `\u002f` or after a backslash, which
    aiohttp doubles when it quotes a response; in HTML by number or by name.
    """
    if character.isalnum():
        return character
    code = ord(character)
    either_case = "".join(
        f"[{each}{each.upper()}]" if each > "9" else each for each in f"{code:02x}"
    )
    # Imported here, because most programs never find the key in a response.
    from html.entities import html5  # noqa: PLC0415

    names = (name for name, text in html5.items() if text == character and name.endswith(";"))
    ways = [f"&{name}" for name in names if len(name) < MAX_ENTITY_CHARACTERS]
    ways += [f"&#0{{0,2}}{code};", f"&#[xX]0{{0,2}}{either_case};", f"%(?:25)?{either_case}"]
    ways += [rf"\\{{1,2}}u00{either_case}", rf"\\{{0,2}}{re.escape(character)}"]
    return f"(?:{'|'.join(ways)})"
