"""Where each setting comes from: an option, the environment, the profile, or nowhere.

What was typed goes before the environment, and that before the profile. The key is never an option:
arguments stand in the list of processes and in the history of the shell.
"""

import os
import re
import stat
from pathlib import Path
from shlex import quote

from attrs import field, frozen

from ..errors import InvalidSettingsError
from ..profile import API_V2, SMMFANFAST, Profile
from ._profiles import load_profile

__all__ = ["Kind", "Setting", "address", "api_key", "journal", "masked", "profile", "proxy"]

MAX_KEY_FILE_BYTES = 4096
"""How much of a key file is read: a key has below 512 characters."""

FOR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
"""Rights that the file of a key gives to nobody but its owner."""

KEY, KEY_FILE = "SMMFANFAST_API_KEY", "SMMFANFAST_API_KEY_FILE"

_PASSWORD = re.compile(r"(?<=://)[^/?#]*@")


@frozen
class Setting:
    """A value, and who gave it."""

    value: str = field(repr=False)
    """The value; it may be a secret."""
    source: str
    """The option, the variable or the file that it comes from."""
    warning: str = ""
    """What is not as it should be, though it can be used."""


@frozen
class Kind:
    """A profile, and who named it."""

    profile: Profile
    source: str
    """The option or the variable, or what there is without."""


def masked(url: str) -> str:
    """Give an address for people, without user name and password."""
    return _PASSWORD.sub("***@", url)


def _first(*found: tuple[str | None, str]) -> Setting | None:
    return next((Setting(value, source) for value, source in found if value), None)


def _of_environment(name: str) -> tuple[str | None, str]:
    return os.environ.get(name), name


# --- panel ---------------------------------------------------------------------------------------


def profile(option: str | None) -> Kind:
    """Give the profile, and who named it."""
    found = _first((option, "--profile"), _of_environment("SMMFANFAST_PROFILE"))
    if found is None:
        return Kind(SMMFANFAST, "not said otherwise")
    return Kind(load_profile(found.value), found.source)


def address(option: str | None, known: Profile) -> Setting:
    """Give the address, and where it comes from."""
    found = _first((option, "--base-url"), _of_environment("SMMFANFAST_BASE_URL"))
    if found is not None:
        return found
    if known.base_url == API_V2.base_url:
        # An example's address: the key must not go looking for it.
        how = "give --base-url, or set SMMFANFAST_BASE_URL"
        reason = f"is missing: the profile {known.name} has no address of its own; {how}"
        raise InvalidSettingsError("base_url", reason)
    return Setting(known.base_url, f"the profile {known.name}")


def proxy() -> Setting | None:
    """Give the address of a proxy; it may hold a password, so there is no option for it."""
    return _first(_of_environment("SMMFANFAST_PROXY"))


def journal(option: str | None) -> Setting | None:
    """Give the journal's address, None where nobody says; it may hold a password."""
    return _first((option, "--journal"), _of_environment("SMMFANFAST_JOURNAL"))


# --- key -----------------------------------------------------------------------------------------


def api_key(option: str | Path | None) -> Setting:
    """Give the key, and where it comes from, with a warning of a file that others can read."""
    if option is not None:
        return _key_of_file(str(option), "--key-file")
    if key := os.environ.get(KEY):
        return Setting(key.strip(), KEY)
    if path := os.environ.get(KEY_FILE):
        return _key_of_file(path, KEY_FILE)
    how = f"set {KEY}, or give --key-file or {KEY_FILE}, the path of a file with it"
    raise InvalidSettingsError("api_key", f"is missing: {how}")


def _key_of_file(path: str, source: str) -> Setting:
    try:
        # Not by pathlib, which raises where there is no home.
        with Path(os.path.expanduser(path)).open("rb") as file:  # noqa: PTH111
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(MAX_KEY_FILE_BYTES).decode()
    except OSError as error:
        reason = f"can't be read from the file {path!r}: {error.strerror}"
        raise InvalidSettingsError("api_key", reason) from error
    except UnicodeDecodeError:
        # Not `from`: that error holds what was read.
        reason = f"can't be read from the file {path!r}: it is not in UTF-8"
        raise InvalidSettingsError("api_key", reason) from None
    is_open = os.name == "posix" and stat.S_ISREG(mode) and mode & FOR_OTHERS
    warning = f"the key file {path} can be read by others: chmod 600 {quote(path)}"
    key = text.removeprefix("\ufeff").strip()
    return Setting(key, f"the file {path} ({source})", warning if is_open else "")
