"""Several panels from one TOML file.

A desk over them sells products, each of which is a service at one panel or more::

    account = "shop"                 # the name under which the journal keeps the orders
    router = "cheapest_first"        # or "in_order"; which panel is tried first

    [panels.alpha]
    base_url = "https://alpha.example/api/v2"
    profile = "api-v2"               # a name or a file, beside this one; "smmfanfast" by default
    key_env = "ALPHA_API_KEY"        # the variable that has the key

    [panels.beta]
    base_url = "https://beta.example/api/v2"
    profile = "beta.toml"
    key_file = "~/.beta-key"         # or the file that has it

    [products.followers]
    alpha = "101"
    beta = "7"

    [exchange_rates]                 # a unit of the panel's currency, in the desk's; 1 by default
    beta = "1.08"

The key itself is never in this file, and no value that could be one is ever shown.
"""

import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

import msgspec
from attrs import field, frozen
from msgspec import UNSET, Meta, UnsetType

from .._text import sanitize
from ..errors import InvalidSettingsError
from ..profile import API_V2, Profile
from . import _settings as settings
from ._profiles import PROFILES, SECRET_KEYS, load_profile, parse_base_url, read_toml

__all__ = ["PanelsFile", "load_panels", "named"]

T = TypeVar("T")

RouterName = Literal["cheapest_first", "in_order"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_Text = Annotated[str, Meta(pattern=r"^[^\0]*[^\s\0][^\0]*$")]
"""Text that is not blank. Without NUL, which no path and no variable can contain."""


class _Top(msgspec.Struct, kw_only=True):
    """The keys beside the tables."""

    account: _Text
    router: RouterName = "cheapest_first"


class _Table(msgspec.Struct, kw_only=True):
    """The keys of one panel."""

    profile: _Text = "smmfanfast"
    base_url: _Text | UnsetType = UNSET
    key_env: _Text | UnsetType = UNSET
    key_file: _Text | UnsetType = UNSET


TABLES = ("panels", "products", "exchange_rates")


@frozen(kw_only=True)
class Panel:
    """One panel of the file; its key is read when a client is opened."""

    name: str
    where: str
    """The file, for errors."""
    folder: Path
    table: _Table = field(repr=False)

    def resolve(self) -> settings.ResolvedSettings:
        """Return the settings of a client; raise `InvalidSettingsError`, which names the field."""
        profile = self._profile()
        with named(self.where, f"panels.{self.name}"):
            address = settings.Setting(self._address(profile), f"{self.where}")
        return settings.ResolvedSettings(
            profile=profile, base_url=address, api_key=self._key(), proxy=settings.proxy()
        )

    def _profile(self) -> Profile:
        value, at = self.table.profile, f"panels.{self.name}.profile"
        if value in PROFILES:
            return PROFILES[value]
        path = str(self._path(value))
        # Not by pathlib, which raises for a name that is too long.
        if not os.path.exists(path):  # noqa: PTH110
            # The value is not shown: it may be the key, in the wrong line.
            reason = f"has {at}, which is neither a file nor one of {', '.join(PROFILES)}"
            raise InvalidSettingsError(self.where, reason)
        with named(self.where, at):
            return load_profile(path)

    def _address(self, profile: Profile) -> str:
        if self.table.base_url is not UNSET:
            return parse_base_url(self.where, self.table.base_url, f"panels.{self.name}.base_url")
        if profile.base_url == API_V2.base_url:
            # That address is an example: the key must not be sent there.
            raise InvalidSettingsError("base_url", f"is missing: {profile.name} has none")
        return profile.base_url

    def _key(self) -> settings.Setting:
        table, at = self.table, f"panels.{self.name}"
        if table.key_env is not UNSET:
            key = os.environ.get(table.key_env, "").strip()
            if not key:
                raise InvalidSettingsError(self.where, f"has {at}.key_env: it is not set")
            return settings.Setting(key, f"{at}.key_env of the file")
        path = str(self._path(cast("str", table.key_file)))
        try:
            return settings.key_of_file(path, f"{at}.key_file")
        except InvalidSettingsError as error:
            # Not its text: the path may be the key itself.
            cause = error.__cause__
            why = cause.strerror if isinstance(cause, OSError) else "it is not in UTF-8"
            reason = f"has {at}.key_file, which cannot be read: {why}"
            raise InvalidSettingsError(self.where, reason) from None

    def _path(self, text: str) -> Path:
        # Not by pathlib, which raises without a home directory.
        return self.folder / os.path.expanduser(text)  # noqa: PTH111


@frozen(kw_only=True)
class PanelsFile:
    """What a file says about the panels of a desk."""

    where: str
    """The file, for errors."""
    account: str
    router: RouterName
    panels: Mapping[str, Panel]
    products: Mapping[str, Mapping[str, str]]
    exchange_rates: Mapping[str, Decimal]

    def choose(self, name: str | None) -> Panel:
        """Return a panel by name; the only one if no name is given."""
        known = ", ".join(map(sanitize, self.panels))
        if name is None:
            if len(self.panels) == 1:
                return next(iter(self.panels.values()))
            raise InvalidSettingsError("panel", f"is missing: add --panel NAME, one of {known}")
        if name not in self.panels:
            raise InvalidSettingsError("panel", f"{name!r} is not in the file: it has {known}")
        return self.panels[name]


@contextmanager
def named(where: str, at: str) -> Generator[None, None, None]:
    """Add the file, and the table or field that it is in, to an error about a setting."""
    try:
        yield
    except InvalidSettingsError as error:
        if error.name == where:
            raise
        raise InvalidSettingsError(where, f"has an invalid {at}: {error}") from error


def load_panels(path: str) -> PanelsFile:
    """Return the panels of a file.

    Raises `InvalidSettingsError`, which names the file, the table and the field, and no value.
    """
    file = Path(os.path.expanduser(path))  # noqa: PTH111
    where = f"panels {str(file)!r}"
    content = read_toml(file, where, parse_float=Decimal)
    top = {key: value for key, value in content.items() if key not in TABLES}
    _check_keys(where, top, "", (*_Top.__struct_fields__, *TABLES))
    chosen = _convert(where, top, _Top, "")
    panels = {
        name: Panel(
            name=name,
            where=where,
            folder=file.parent,
            table=_parse_panel(where, name, table),
        )
        for name, table in _table(where, content.get("panels"), "panels").items()
    }
    if not panels:
        raise InvalidSettingsError(where, "has no panels: add a table such as [panels.alpha]")
    return PanelsFile(
        where=where,
        account=chosen.account,
        router=chosen.router,
        panels=panels,
        products=_parse_products(where, content, panels),
        exchange_rates=_parse_rates(where, content, panels),
    )


def _table(where: str, value: object, at: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidSettingsError(where, f"has {at}, which is not a table")
    return cast("dict[str, Any]", value)


def _check_keys(where: str, table: Mapping[str, Any], at: str, known: tuple[str, ...]) -> None:
    for key in table:
        if key.lower().replace("-", "_") in SECRET_KEYS:
            reason = f"has {at}{key}: keys do not belong into it; name where it is by key_env"
            raise InvalidSettingsError(where, f"{reason} or key_file")
        if key not in known:
            reason = f"has an unknown {at}{key}; known are {', '.join(known)}"
            raise InvalidSettingsError(where, reason)


def _convert(where: str, value: object, kind: type[T], at: str) -> T:
    """Convert a value; its errors name the field and the expected type, never what was there."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        name = f"{at}{path.strip('`').removeprefix('$').removeprefix('.')}".rstrip(".")
        # The value of an enumeration is in the message; it is not the place of a key, but may be.
        shown = "Invalid value" if message.startswith("Invalid enum") else message
        place = f"{name}: " if name else ""
        reason = f"has {place}{shown[:1].lower()}{shown[1:]}"
        raise InvalidSettingsError(where, reason) from None


def _parse_panel(where: str, name: str, value: object) -> _Table:
    at = f"panels.{name}"
    table = _table(where, value, at)
    _check_keys(where, table, f"{at}.", _Table.__struct_fields__)
    parsed = _convert(where, table, _Table, f"{at}.")
    if (parsed.key_env is UNSET) == (parsed.key_file is UNSET):
        reason = f"has {at} without a key: it needs key_env or key_file, and only one of the two"
        raise InvalidSettingsError(where, reason)
    if parsed.key_env is not UNSET and not _VARIABLE.fullmatch(parsed.key_env):
        raise InvalidSettingsError(where, f"has {at}.key_env: it is no name of a variable")
    return parsed


def _parse_products(
    where: str, content: Mapping[str, Any], panels: Mapping[str, Panel]
) -> dict[str, dict[str, str]]:
    products: dict[str, dict[str, str]] = {}
    for name, value in _table(where, content.get("products"), "products").items():
        at = f"products.{name}"
        table = _table(where, value, at)
        _check_panels(where, table, at, panels)
        products[name] = {
            panel: str(
                _convert(where, service, cast("type[str | int]", str | int), f"{at}.{panel}")
            )
            for panel, service in table.items()
        }
    return products


def _parse_rates(
    where: str, content: Mapping[str, Any], panels: Mapping[str, Panel]
) -> dict[str, Decimal]:
    at = "exchange_rates"
    table = _table(where, content.get(at), at)
    _check_panels(where, table, at, panels)
    rates: dict[str, Decimal] = {}
    for panel, value in table.items():
        rate = _convert(where, value, Decimal, f"{at}.{panel}")
        if not rate.is_finite() or rate <= 0:
            raise InvalidSettingsError(where, f"has {at}.{panel}: it must be above 0")
        rates[panel] = rate
    return rates


def _check_panels(
    where: str, table: Mapping[str, Any], at: str, panels: Mapping[str, Panel]
) -> None:
    for panel in table:
        if panel not in panels:
            reason = f"has {at}.{panel}, but no such panel: it has {', '.join(panels)}"
            raise InvalidSettingsError(where, reason)
