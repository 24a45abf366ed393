"""What a client may be made with: the key, shown by no error, and numbers that make sense."""

import os
from pathlib import Path

from .errors import InvalidSettingsError

__all__ = ["check_above_0", "check_key", "key_of_environment"]

MAX_KEY_CHARACTERS = 512
"""The longest key: this panel's have below 64 characters (assumed)."""


def check_key(api_key: str, *, for_this_machine: bool) -> None:
    """Raise `InvalidSettingsError` for a key that no panel gives, or a sandbox's for a real one."""
    if not isinstance(api_key, str) or not api_key:
        raise InvalidSettingsError("api_key", "is empty or not a text")
    if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise InvalidSettingsError("api_key", "holds blanks, line ends or signs beyond ASCII")
    if len(api_key) > MAX_KEY_CHARACTERS:
        raise InvalidSettingsError("api_key", f"is longer than {MAX_KEY_CHARACTERS} characters")
    if api_key.startswith("test-") and not for_this_machine:
        raise InvalidSettingsError(
            "api_key", "is one for a sandbox, and base_url is not this machine"
        )


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
