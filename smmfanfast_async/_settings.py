"""Settings of a client: account names, number checks, and what comes from the environment."""

import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._secrets import Key, RotatingKey
from ._text import shown_value
from .errors import InvalidSettingsError

__all__ = [
    "account_name",
    "check_above_0",
    "check_numbers",
    "key_from_env",
    "options_from_env",
    "require_account",
]

_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")


def account_name(key: Key, url: str, name: str | None = None) -> str | None:
    """Give the name of an account: the given one, checked, or one made of its key and address.

    The key can't be told of it. 64 bits of an HMAC: enough to tell a user's accounts apart, too few
    to try keys against. None for a key that changes, since the name would change with it.
    """
    if name is not None:
        if not isinstance(name, str) or not _ACCOUNT.fullmatch(name):
            reason = f"{shown_value(name)} is not made of 1 to 64 letters, digits and . _ -"
            raise InvalidSettingsError("account", reason)
        return name
    if isinstance(key, RotatingKey):
        return None
    message = f"smmfanfast_async account {url}".encode()
    return hmac.new(key.reveal().encode(), message, hashlib.sha256).hexdigest()[:16]


def require_account(name: str | None) -> str:
    """Give the name of an account, or raise `InvalidSettingsError` where it has none."""
    if name is None:
        how = "a name made of the key would change with it; give one: Client(…, account='main')"
        raise InvalidSettingsError("account", f"is missing, and the key changes: {how}")
    return name


def check_above_0(name: str, number: float) -> None:
    """Raise `InvalidSettingsError` for a number that bounds nothing."""
    if not number > 0:
        raise InvalidSettingsError(name, f"{number} is not above 0")


def check_numbers(**numbers: float | None) -> None:
    """Raise `InvalidSettingsError` for the first that bounds nothing; None is no bound at all."""
    for name, number in numbers.items():
        if number is not None:
            check_above_0(name, number)


def key_from_env() -> str:
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
        fault = type(error).__name__
    # Out here, without it for a context: what was read is in a `UnicodeDecodeError`, and in the
    # frames below it.
    raise InvalidSettingsError("api_key", f"can't be read from the file {path!r}: {fault}")


def options_from_env(options: Mapping[str, Any]) -> dict[str, Any]:
    """Give a client's options with what the environment says where they say nothing.

    A new mapping, in no frame of ours: a proxy's address may hold a password.
    """
    from_environment = {
        "base_url": os.environ.get("SMMFANFAST_BASE_URL") or None,
        "proxy": os.environ.get("SMMFANFAST_PROXY") or None,
    }
    return from_environment | dict(options)
