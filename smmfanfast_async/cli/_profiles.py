"""Panels by name, or from a TOML file that describes one.

Every key may be left out; what is not said is as in the panel that `like` names::

    name = "mine"                            # the name of the file, if not said
    base_url = "https://panel.example/api/v2"
    like = "api-v2"                          # or "smmfanfast", the default
    actions = ["add", "status", "services", "balance"]
    order_types = ["default", "package"]
    ignored_fields = ["expiry"]
    ids_per_call = 50
    concurrency = 4
    add_concurrency = 1
    calls_per_minute = 60
    delays_minutes = [0, 5, 10]
    double_decodes = false
    final_statuses = ["Fail"]

    [refusals]                               # texts of the panel, by what kind of no they are
    funds = ["Saldo insuficiente"]
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import attrs

from .._text import normalize_text
from .._wire.transport import parse_url
from ..errors import ErrorKind, InvalidSettingsError
from ..orders import API_V2_ORDER_TYPES
from ..profile import API_V2, SMMFANFAST, Profile, Refusal

__all__ = ["PROFILES", "profile_of"]

PROFILES = {profile.name: profile for profile in (SMMFANFAST, API_V2)}

MAX_FILE_BYTES = 1024 * 1024
"""The longest file that is read: a description has some hundred bytes."""

REFUSAL_KINDS = {
    kind.value: kind
    for kind in (
        ErrorKind.AUTH,
        ErrorKind.DUPLICATE,
        ErrorKind.FUNDS,
        ErrorKind.NOT_FOUND,
        ErrorKind.SERVICE,
        ErrorKind.VALIDATION,
    )
}
"""Kinds of no that a panel says before it makes an order."""

SECRETS = {"key", "api_key", "apikey", "token"}
"""Keys under which someone may have written what must not be shown."""


def profile_of(word: str) -> Profile:
    """Give a panel by its name or by the path of its file."""
    if word in PROFILES:
        return PROFILES[word]
    path = Path(os.path.expanduser(word))  # noqa: PTH111  # pathlib raises where there is no home
    # Nor does pathlib look for a name that is too long.
    is_there = os.path.exists(path)  # noqa: PTH110
    if not is_there and path.suffix != ".toml" and len(path.parts) == 1:
        known = ", ".join(PROFILES)
        raise InvalidSettingsError("profile", f"{word!r} is none of {known}, and no file")
    return _of_table(f"profile {str(path)!r}", path.stem, _table_of(path))


def _table_of(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.loads(file.read(MAX_FILE_BYTES).decode())
    except OSError as error:
        reason = f"can't be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "can't be read: it is not in UTF-8"
    except tomllib.TOMLDecodeError as error:
        reason = f"is no TOML: {error}"
    raise InvalidSettingsError(f"profile {str(path)!r}", reason)


def _of_table(where: str, name: str, table: dict[str, Any]) -> Profile:
    """Make a profile of what a file says; `where` names the file in errors."""
    like = table.pop("like", SMMFANFAST.name)
    if like not in list(PROFILES):
        raise InvalidSettingsError(where, f"has like = {like!r}, none of {', '.join(PROFILES)}")
    base = PROFILES[like]
    found: dict[str, Any] = {"name": name}
    for key, value in table.items():
        if key in SECRETS:
            raise InvalidSettingsError(
                where, f"has {key}: a key belongs into a file for --key-file"
            )
        if key not in _READERS:
            known = ", ".join(("like", *_READERS))
            raise InvalidSettingsError(where, f"has {key!r}, which is none of {known}")
        try:
            found[key] = _READERS[key](value)
        except ValueError as error:
            shown = "…" if "@" in str(value) and key == "base_url" else repr(value)
            raise InvalidSettingsError(where, f"has {key} = {shown}, which {error}") from error
    if "refusals" in found:
        # The first that fits counts: what the file says goes before what is known.
        found["refusals"] += base.refusals
    return attrs.evolve(base, **found)


# --- values: each reader gives the value, or raises ValueError that goes on after "which" --------


def _word(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is no text")
    return value


def _address(value: object) -> str:
    try:
        return str(parse_url(_word(value)))
    except InvalidSettingsError as error:
        raise ValueError(error.reason) from error


def _above_0(value: object) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("is not a whole number above 0")
    return value


def _yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError("is no list")
    return cast("list[object]", value)  # of what, is looked at next


def _words(value: object) -> frozenset[str]:
    return frozenset(_word(each) for each in _list(value))


def _order_types(value: object) -> frozenset[str]:
    found = _words(value)
    if odd := sorted(word for word in found if word not in API_V2_ORDER_TYPES):
        raise ValueError(f"has {odd[0]!r}, none of {', '.join(API_V2_ORDER_TYPES)}")
    return found


def _minutes(value: object) -> frozenset[int]:
    found = _list(value)
    numbers = [each for each in found if type(each) is int and each >= 0]
    if len(numbers) != len(found):
        raise ValueError("is no list of minutes")
    return frozenset(numbers)


def _refusals(value: object) -> tuple[Refusal, ...]:
    if not isinstance(value, dict):
        raise ValueError("is no table such as [refusals]")
    table = cast("Mapping[str, object]", value)  # the keys of TOML are texts
    found: list[Refusal] = []
    for kind, texts in table.items():
        if kind not in REFUSAL_KINDS:
            raise ValueError(f"has {kind!r}, none of {', '.join(REFUSAL_KINDS)}")
        for text in _list(texts):
            if not normalize_text(_word(text)):
                raise ValueError(f"has {text!r}, which has no letter or digit")
            found.append(Refusal(_word(text), REFUSAL_KINDS[kind]))
    return tuple(found)


_READERS: dict[str, Callable[[object], Any]] = {
    "name": _word,
    "base_url": _address,
    "actions": _words,
    "order_types": _order_types,
    "ignored_fields": _words,
    "ids_per_call": _above_0,
    "concurrency": _above_0,
    "add_concurrency": _above_0,
    "calls_per_minute": _above_0,
    "delays_minutes": _minutes,
    "double_decodes": _yes_or_no,
    "final_statuses": _words,
    "refusals": _refusals,
}
