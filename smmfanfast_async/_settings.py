"""Settings of a client: account names, number checks and environment variables."""

import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ._secrets import Key, RotatingKey
from ._text import format_value
from .errors import InvalidSettingsError

__all__ = [
    "account_name",
    "canonical_address",
    "key_from_env",
    "options_from_env",
    "require_account",
    "require_counts",
    "require_number",
    "require_seconds",
]

MAX_SECONDS = 366 * 24 * 3600
"""The longest time limit, wait or interval, a year in seconds: times in the database, and timers of
operating systems, have an end."""

DEFAULT_PORTS = {"http": 80, "https": 443}
"""The port of a URL that names none."""

IPV6 = 6
"""The version of an address that a URL writes in brackets."""

_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,64}")


def account_name(key: Key, url: str, name: str | None = None) -> str | None:
    """Return the account name: the given one after validation, or one made of key and address.

    The key cannot be recovered from it: 64 bits of an HMAC distinguish the accounts of a user, but
    are too few to verify guessed keys. None for a rotating key: the name would change with it.
    """
    if name is not None:
        if not isinstance(name, str) or not _ACCOUNT.fullmatch(name):
            reason = f"{format_value(name)} must have 1 to 64 characters: letters, digits and . _ -"
            raise InvalidSettingsError("account", reason)
        return name
    if isinstance(key, RotatingKey):
        return None
    message = f"smmfanfast_async account {canonical_address(url)}".encode()
    return hmac.new(key.reveal().encode(), message, hashlib.sha256).hexdigest()[:16]


def canonical_address(url: str) -> str:
    """Return one spelling of the address of a panel, so that each spelling is the same account.

    Upper case, the final dot of a host, a default port and slashes at the end make no difference;
    every loopback host is `localhost`.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    with suppress(ValueError):
        address = ip_address(host)
        host = f"[{address}]" if address.version == IPV6 else f"{address}"
        host = "localhost" if address.is_loopback else host
    port = "" if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def require_account(name: str | None) -> str:
    """Return the account name, or raise `InvalidSettingsError` if there is none."""
    if name is None:
        reason = "is required with a rotating key: pass a name, Client(…, account='main')"
        raise InvalidSettingsError("account", reason)
    return name


def require_counts(max_value: int, **numbers: object) -> None:
    """Raise `InvalidSettingsError` for the first that is not an integer from 1 to `max_value`.

    None is skipped.
    """
    for name, number in numbers.items():
        if number is None:
            continue
        if type(number) is not int or number < 1:
            raise InvalidSettingsError(name, f"{format_value(number)} must be a positive integer")
        if number > max_value:
            raise InvalidSettingsError(name, f"{format_value(number)} must be at most {max_value}")


def require_number(
    name: str, number: object, max_value: float, *, may_be_zero: bool = True
) -> None:
    """Raise `InvalidSettingsError` unless it is a number from 0, or above 0, to `max_value`."""
    if (
        not isinstance(number, int | float)
        or isinstance(number, bool)
        or not (number > 0 or (may_be_zero and number == 0))  # NaN is neither
    ):
        least = "at least 0" if may_be_zero else "greater than 0"
        raise InvalidSettingsError(name, f"{format_value(number)} must be {least}")
    if number > max_value:
        raise InvalidSettingsError(name, f"{format_value(number)} must be at most {max_value}")


def require_seconds(*, may_be_zero: bool = False, **numbers: object) -> None:
    """Raise `InvalidSettingsError` for the first that is not a number of seconds; None is skipped.

    Seconds are above 0, or from 0, and at most `MAX_SECONDS`.
    """
    for name, number in numbers.items():
        if number is not None:
            require_number(name, number, MAX_SECONDS, may_be_zero=may_be_zero)


def key_from_env() -> str:
    """Return the key from SMMFANFAST_API_KEY, or from the file named by SMMFANFAST_API_KEY_FILE."""
    key, path = os.environ.get("SMMFANFAST_API_KEY"), os.environ.get("SMMFANFAST_API_KEY_FILE")
    if key:
        return key.strip()
    if not path:
        text = "set SMMFANFAST_API_KEY, or SMMFANFAST_API_KEY_FILE to the path of a key file"
        raise InvalidSettingsError("api_key", f"is missing: {text}")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        fault = type(error).__name__
    # Raised here, without a context: a `UnicodeDecodeError` and its frames contain what was read.
    raise InvalidSettingsError("api_key", f"cannot be read from the file {path!r}: {fault}")


def options_from_env(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a client, completed by those of the environment.

    A new mapping, so that no frame of this package contains it: a proxy URL may contain a password.
    """
    from_environment = {
        "base_url": os.environ.get("SMMFANFAST_BASE_URL") or None,
        "proxy": os.environ.get("SMMFANFAST_PROXY") or None,
    }
    return from_environment | dict(options)
