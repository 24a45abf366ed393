"""The settings of the command line, each with its source.

Options take precedence over the environment, and that over the profile. The key is never an option:
arguments are visible in the process list and the shell history.
"""

import os
import re
import stat
from pathlib import Path
from shlex import quote
from typing import Any

from attrs import field, frozen

from ..client import Client
from ..errors import InvalidSettingsError
from ..profile import API_V2, SMMFANFAST, Profile
from ._profiles import load_profile

__all__ = [
    "Kind",
    "ResolvedSettings",
    "Setting",
    "address",
    "api_key",
    "has_key",
    "journal",
    "key_of_file",
    "mask_password",
    "panels",
    "profile",
    "proxy",
]

MAX_KEY_FILE_BYTES = 4096
"""The most bytes read from a key file: a key has fewer than 512 characters."""

OTHER_USERS = stat.S_IRWXG | stat.S_IRWXO
"""Permissions that a key file should not have: those of other users."""

KEY, KEY_FILE = "SMMFANFAST_API_KEY", "SMMFANFAST_API_KEY_FILE"

_PASSWORD = re.compile(r"(?<=://)[^/?#]*@")


@frozen
class Setting:
    """A value and its source."""

    value: str = field(repr=False)
    """The value; it may be a secret."""
    source: str
    """The option, the variable or the file that it comes from."""
    warning: str = ""
    """What is wrong with the source, although the value can be used."""


@frozen
class Kind:
    """A profile and its source."""

    profile: Profile
    source: str
    """The option or the variable, or that it is the default."""


@frozen(kw_only=True)
class ResolvedSettings:
    """The settings of a client."""

    profile: Profile
    base_url: Setting
    api_key: Setting
    proxy: Setting | None

    def client(self, **options: Any) -> Client:
        """Create a client."""
        proxy = None if self.proxy is None else self.proxy.value
        base_url = self.base_url.value
        return Client(
            self.api_key.value, profile=self.profile, base_url=base_url, proxy=proxy, **options
        )


def mask_password(url: str) -> str:
    """Return an address for display, without user name and password."""
    return _PASSWORD.sub("***@", url)


def _first(*candidates: tuple[str | None, str]) -> Setting | None:
    return next((Setting(value, source) for value, source in candidates if value), None)


def _of_environment(name: str) -> tuple[str | None, str]:
    return os.environ.get(name), name


# --- panel ---------------------------------------------------------------------------------------


def profile(option: str | None) -> Kind:
    """Return the profile and its source."""
    setting = _first((option, "--profile"), _of_environment("SMMFANFAST_PROFILE"))
    if setting is None:
        return Kind(SMMFANFAST, "the default")
    return Kind(load_profile(setting.value), setting.source)


def address(option: str | None, known: Profile) -> Setting:
    """Return the address of the panel and its source."""
    setting = _first((option, "--base-url"), _of_environment("SMMFANFAST_BASE_URL"))
    if setting is not None:
        return setting
    if known.base_url == API_V2.base_url:
        # That address is an example: the key must not be sent there.
        how = "use --base-url or set SMMFANFAST_BASE_URL"
        reason = f"is missing: the profile {known.name} has no address of its own; {how}"
        raise InvalidSettingsError("base_url", reason)
    return Setting(known.base_url, f"the profile {known.name}")


def proxy() -> Setting | None:
    """Return the address of a proxy; it may contain a password, so it has no option."""
    return _first(_of_environment("SMMFANFAST_PROXY"))


def journal(option: str | None) -> Setting | None:
    """Return the address of the journal, None if none is set; it may contain a password."""
    return _first((option, "--journal"), _of_environment("SMMFANFAST_JOURNAL"))


def panels(option: str | None) -> Setting | None:
    """Return the file that names several panels, None if there is none."""
    return _first((option, "--panels"), _of_environment("SMMFANFAST_PANELS"))


# --- key -----------------------------------------------------------------------------------------


def api_key(option: str | Path | None) -> Setting:
    """Return the key and its source, with a warning if other users can read the file."""
    if option is not None:
        return key_of_file(str(option), "--key-file")
    if key := os.environ.get(KEY):
        return Setting(key.strip(), KEY)
    if path := os.environ.get(KEY_FILE):
        return key_of_file(path, KEY_FILE)
    how = f"set {KEY}, or use --key-file or {KEY_FILE}, the path of a file with it"
    raise InvalidSettingsError("api_key", f"is missing: {how}")


def has_key(option: str | Path | None) -> bool:
    """Return whether a key, or a file with one, is set."""
    return option is not None or any(map(os.environ.get, (KEY, KEY_FILE)))


def key_of_file(path: str, source: str) -> Setting:
    """Return the key in a file, with a warning if other users can read it."""
    try:
        # Not by pathlib, which raises without a home directory.
        with Path(os.path.expanduser(path)).open("rb") as file:  # noqa: PTH111
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(MAX_KEY_FILE_BYTES).decode()
    except OSError as error:
        reason = f"cannot be read from the file {path!r}: {error.strerror}"
        raise InvalidSettingsError("api_key", reason) from error
    except UnicodeDecodeError:
        # Not `from`: that error contains what was read.
        reason = f"cannot be read from the file {path!r}: it is not in UTF-8"
        raise InvalidSettingsError("api_key", reason) from None
    is_open = os.name == "posix" and stat.S_ISREG(mode) and mode & OTHER_USERS
    warning = f"the key file {path} can be read by other users: chmod 600 {quote(path)}"
    key = text.removeprefix("\ufeff").strip()
    return Setting(key, f"the file {path} ({source})", warning if is_open else "")
