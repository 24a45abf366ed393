"""The address of a journal's database: which are supported, and the options in it."""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ...errors import InvalidSettingsError

__all__ = ["Address", "parse_address"]

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
"""The driver for each scheme; other drivers are not tested. Hosters write `postgres://`."""

CONNECT_TIMEOUT_S = 10.0
"""Seconds to connect to PostgreSQL, if the address does not say."""

MAX_CONNECT_TIMEOUT_S = 60
"""Seconds, the most that an address may say: every wait has an end."""

MAX_NAME_CHARACTERS = 63
"""The longest `application_name`: PostgreSQL cuts it off there."""

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""What `sslmode` may be, as for libpq."""

WRITABLE_TARGETS = ("any", "primary", "read-write")
"""What `target_session_attrs` may be: a journal is written."""


@frozen
class Address:
    """The address of a database, with its options taken out and checked."""

    url: URL
    """Driver, user, password, database, and the server, or several of them."""
    options: Mapping[str, str]
    """The options of a PostgreSQL address."""

    @property
    def is_sqlite(self) -> bool:
        """Whether it is the address of a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    def connect_args(self) -> dict[str, Any]:
        """Return the arguments of `asyncpg.connect` that the options stand for.

        Raises `InvalidSettingsError` for a certificate file that cannot be read.
        """
        options = self.options
        arguments: dict[str, Any] = {
            "timeout": float(options.get("connect_timeout", CONNECT_TIMEOUT_S)),
            "server_settings": {
                "application_name": options.get("application_name", "smmfanfast_async")
            },
        }
        mode, root = options.get("sslmode"), options.get("sslrootcert")
        if mode is not None:
            arguments["ssl"] = mode if root is None else _ssl_context(mode, root)
        if "target_session_attrs" in options:
            arguments["target_session_attrs"] = options["target_session_attrs"]
        return arguments


def parse_address(address: str | Path) -> Address | str:
    """Return the address of a database, or what is wrong with it.

    An error of this function would show its frames, and a password in them.
    """
    try:
        if isinstance(address, Path):
            return _supported(URL.create(DRIVERS["sqlite"], database=str(address)))
        url = make_url(address)
        if url.get_backend_name() == "sqlite" and "?" in address:
            return "has a `?`: SQLite has no options; pass a file of such a name as a pathlib.Path"
        return _supported(url)
    except (ArgumentError, ValueError) as error:
        reason = error.reason if isinstance(error, InvalidSettingsError) else None
        return reason or "is not the address of a database; a file is given as a pathlib.Path"


def _supported(url: URL) -> Address:
    """Return an address that a journal supports, or raise `InvalidSettingsError`."""
    driver = DRIVERS.get(url.drivername)
    if driver is None:
        reason = f"has driver {url.drivername!r}; use sqlite+aiosqlite or postgresql+asyncpg"
        raise InvalidSettingsError("journal", reason)
    given, url = url.query, url.set(drivername=driver, query={})
    if url.get_backend_name() == "sqlite":
        _check_file(url)
        return Address(url, {})
    servers = {name: value for name, value in given.items() if name in ("host", "port")}
    options = {
        SYNONYMS.get(name, name): value for name, value in given.items() if name not in servers
    }
    for name, value in options.items():
        _check_option(name, value)
    if "sslrootcert" in options and "sslmode" not in options:
        raise InvalidSettingsError("journal", "has the option sslrootcert, but no sslmode")
    followed = {name: str(value) for name, value in options.items() if name in CHECKS}
    return Address(url.set(query=servers), followed)


def _check_file(url: URL) -> None:
    path = url.database or ":memory:"
    if path == ":memory:":
        raise InvalidSettingsError("journal", "needs a file: memory is lost in a crash")
    if path.startswith("file:"):
        raise InvalidSettingsError("journal", "needs the path of a file, not a file: address")


def _check_option(name: str, value: str | tuple[str, ...]) -> None:
    """Raise `InvalidSettingsError` for an option that cannot be followed; its value is not shown.

    An option may hold a password.
    """
    if not isinstance(value, str):
        raise InvalidSettingsError("journal", f"has the option {name} more than once")
    if name in ACCEPTED_VALUES:
        if value not in ACCEPTED_VALUES[name]:
            raise InvalidSettingsError("journal", f"has the option {name}: {UNSUPPORTED[name]}")
    elif name not in CHECKS:
        reason = UNSUPPORTED.get(name, "it is not supported; remove it")
        raise InvalidSettingsError("journal", f"has the option {name}: {reason}")
    else:
        is_valid, wanted = CHECKS[name]
        if not is_valid(value):
            raise InvalidSettingsError("journal", f"has the option {name}, which must be {wanted}")


def _is_timeout(value: str) -> bool:
    return value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= MAX_CONNECT_TIMEOUT_S


SYNONYMS = {"ssl": "sslmode"}
"""Other names of options: `ssl` is the driver's own."""

CHECKS: dict[str, tuple[Callable[[str], bool], str]] = {
    "sslmode": (SSL_MODES.__contains__, f"one of {', '.join(SSL_MODES)}"),
    "sslrootcert": (bool, "the path of a file, or `system`"),
    "connect_timeout": (_is_timeout, f"1 to {MAX_CONNECT_TIMEOUT_S} whole seconds"),
    "application_name": (
        lambda value: 0 < len(value) <= MAX_NAME_CHARACTERS and value.isprintable(),
        f"1 to {MAX_NAME_CHARACTERS} printable characters",
    ),
    "target_session_attrs": (
        WRITABLE_TARGETS.__contains__,
        f"one of {', '.join(WRITABLE_TARGETS)}: the journal is written",
    ),
}
"""The options that are followed: how their values are checked, and what they must be."""

ACCEPTED_VALUES = {
    "channel_binding": ("disable", "prefer"),
    "statement_cache_size": ("0",),
    "prepared_statement_cache_size": ("0",),
}
"""The options that ask for nothing beyond what is done anyway if they have one of these values."""

UNSUPPORTED = {
    "channel_binding": "the driver cannot bind channels; remove it and use sslmode=verify-full",
    "statement_cache_size": "a journal keeps no prepared statements; remove it",
    "prepared_statement_cache_size": "a journal keeps no prepared statements; remove it",
    "options": "set such defaults for the role or the database (ALTER ROLE … SET …)",
    "pgbouncer": "a journal works through poolers without it; remove it",
}
"""Why options that hosters write into addresses are not followed, and what to do."""


def _ssl_context(mode: str, root: str) -> ssl.SSLContext | str:
    """Return a context that trusts the certificates of a file, or of the system."""
    if not mode.startswith("verify"):
        return mode
    try:
        context = ssl.create_default_context(cafile=None if root == "system" else Path(root))
    except (OSError, ValueError) as error:
        reason = f"has the option sslrootcert: the file cannot be read ({type(error).__name__})"
        raise InvalidSettingsError("journal", reason) from None
    context.check_hostname = mode == "verify-full"
    return context
