"""What a client may be made with: the key, shown by no error, and numbers that make sense."""

import hashlib
import hmac
import os
from pathlib import Path
from typing import NoReturn

from .errors import InvalidSettingsError

__all__ = ["Secret", "account_of", "check_above_0", "check_key", "key_of_environment"]

MAX_KEY_CHARACTERS = 512
"""The longest key: this panel's have below 64 characters (assumed)."""


class Secret:
    """The API key, shown by nothing: not by repr, str, format, copies or pickles."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled or copied")

    def reveal(self) -> str:
        """Give the key; for `_transport` and for what makes the short account name."""
        return self._key


def account_of(secret: Secret, url: str) -> str:
    """Give a short name of the account that a key opens at an address; the key can't be told of it.

    64 bits of an HMAC: enough to tell a user's accounts apart, too few to try keys against.
    """
    about = f"smmfanfast_async account {url}".encode()
    return hmac.new(secret.reveal().encode(), about, hashlib.sha256).hexdigest()[:16]


def check_key(secret: Secret, *, for_this_machine: bool) -> None:
    """Raise `InvalidSettingsError` for a key that no panel gives, or a sandbox's for a real one.

    The key itself is in none of the frames that the error leaves through.
    """
    fault = _fault(secret.reveal(), for_this_machine=for_this_machine)
    if fault is not None:
        raise InvalidSettingsError("api_key", fault)


def _fault(key: str, *, for_this_machine: bool) -> str | None:
    if not isinstance(key, str) or not key:
        return "is empty or not a text"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "holds blanks, line ends or signs beyond ASCII"
    if len(key) > MAX_KEY_CHARACTERS:
        return f"is longer than {MAX_KEY_CHARACTERS} characters"
    if key.startswith("test-") and not for_this_machine:
        return "is one for a sandbox, and base_url is not this machine"
    return None


def check_above_0(name: str, number: float) -> None:
    """Raise `InvalidSettingsError` for a number that bounds nothing."""
    if not number > 0:
        raise InvalidSettingsError(name, f"{number} is not above 0")


def key_of_environment() -> str:
    """Give the key of SMMFANFAST_API_KEY, or of the file that SMMFANFAST_API_KEY_FILE names."""
    key, path = os.environ.get("SMMFANFAST_API_KEY"), os.environ.get("SMMFANFAST_API_KEY_FILE")
    if key:
        return key.strip()
    if not path:
        text = "set SMMFANFAST_API_KEY, or SMMFANFAST_API_KEY_FILE to the path of a file with it"
        raise InvalidSettingsError("api_key", f"is missing: {text}")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = f"can't be read from the file {path!r}: {type(error).__name__}"
        raise InvalidSettingsError("api_key", reason) from error
