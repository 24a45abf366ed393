"""Profiles by name, or from a TOML file that describes a panel.

Every key is optional; what is left out is as in the profile that `like` names::

    name = "mine"                            # the name of the file by default
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
    refusal_grammar = true
    final_statuses = ["Fail"]
    languages = ["es", "tr"]                 # known refusals in these languages
    request_format = "json"                  # or "form", the default, or "get"
    single_id_actions = ["cancel"]
    replay_window_s = 60

    [action_names]                           # where the panel's own differ
    statuses = "multi_status"

    [field_names]                            # for all calls, or for one
    key = "token"
    refill.order = "refill"

    [refusals]                               # error texts of the panel, by kind of refusal
    funds = ["Saldo insuficiente"]
"""

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

import attrs
import msgspec
from msgspec import UNSET, Meta, UnsetType

from .._text import format_value
from .._wire.transport import parse_url
from ..errors import ErrorKind, InvalidSettingsError
from ..orders import API_V2_ORDER_TYPES, MAX_WHOLE_NUMBER
from ..profile import (
    API_V2,
    MAX_CALLS_PER_MINUTE,
    MAX_CONCURRENCY,
    MAX_IDS_PER_CALL,
    MAX_REPLAY_WINDOW_S,
    SINGLE_ID_ACTIONS,
    SMMFANFAST,
    Profile,
    Refusal,
    RequestFormat,
)
from ..refusal_texts import LANGUAGES

__all__ = [
    "PROFILES",
    "SECRET_KEYS",
    "OrderType",
    "ProfileName",
    "load_profile",
    "parse_base_url",
    "read_toml",
]

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
"""Kinds of refusal that prove that the panel created no order."""

SECRET_KEYS = {"key", "api_key", "apikey", "token"}
"""Keys that may contain a secret: their value is never shown."""

_CHOICES: dict[str, list[str]] = {
    "languages": list(LANGUAGES),
    "like": list(PROFILES),
    "order_types": list(API_V2_ORDER_TYPES),
    "request_format": list(get_args(RequestFormat)),
    "single_id_actions": sorted(SINGLE_ID_ACTIONS),
    "refusals": list(REFUSAL_KINDS),
}
"""The accepted values of a key, for error messages."""

ProfileName = Literal["smmfanfast", "api-v2"]
"""The keys of `PROFILES`, as a type that shells can complete."""

if TYPE_CHECKING:
    OrderType: TypeAlias = str
    _Language: TypeAlias = str
    _RefusalKind: TypeAlias = str
    _SingleIdAction: TypeAlias = str
else:
    OrderType = Literal[tuple(API_V2_ORDER_TYPES)]
    _Language = Literal[tuple(LANGUAGES)]
    _RefusalKind = Literal[tuple(REFUSAL_KINDS)]
    _SingleIdAction = Literal[tuple(sorted(SINGLE_ID_ACTIONS))]
"""The keys of `API_V2_ORDER_TYPES` and `REFUSAL_KINDS`, and `SINGLE_ID_ACTIONS`, as types."""

_Text = Annotated[str, Meta(pattern=r"\S")]
_IdsPerCall = Annotated[int, Meta(ge=1, le=MAX_IDS_PER_CALL)]
_Concurrency = Annotated[int, Meta(ge=1, le=MAX_CONCURRENCY)]
_CallsPerMinute = Annotated[int, Meta(ge=1, le=MAX_CALLS_PER_MINUTE)]
_Seconds = Annotated[float, Meta(gt=0, le=MAX_REPLAY_WINDOW_S)]
_Minutes = Annotated[int, Meta(ge=0, le=MAX_WHOLE_NUMBER)]


class _ProfileFile(msgspec.Struct, kw_only=True):
    """The keys of a file, those of `Profile` and `like`; UNSET if a key is left out."""

    like: ProfileName = "smmfanfast"
    name: _Text | UnsetType = UNSET
    base_url: _Text | UnsetType = UNSET
    actions: frozenset[_Text] | UnsetType = UNSET
    order_types: frozenset[OrderType] | UnsetType = UNSET
    ignored_fields: frozenset[_Text] | UnsetType = UNSET
    ids_per_call: _IdsPerCall | UnsetType = UNSET
    concurrency: _Concurrency | UnsetType = UNSET
    add_concurrency: _Concurrency | UnsetType = UNSET
    calls_per_minute: _CallsPerMinute | UnsetType = UNSET
    delays_minutes: frozenset[_Minutes] | UnsetType = UNSET
    double_decodes: bool | UnsetType = UNSET
    refusal_grammar: bool | UnsetType = UNSET
    final_statuses: frozenset[_Text] | UnsetType = UNSET
    final_refill_statuses: frozenset[_Text] | UnsetType = UNSET
    languages: list[_Language] = []
    request_format: RequestFormat | UnsetType = UNSET
    action_names: dict[str, str] | UnsetType = UNSET
    field_names: dict[str, str | dict[str, str]] | UnsetType = UNSET
    single_id_actions: frozenset[_SingleIdAction] | UnsetType = UNSET
    replay_window_s: _Seconds | UnsetType = UNSET
    refusals: dict[_RefusalKind, list[_Text]] | UnsetType = UNSET


def load_profile(name_or_path: str) -> Profile:
    """Return a profile by its name or from the path of its file.

    Raises `InvalidSettingsError`, naming the key, for a file that does not describe a panel.
    """
    if name_or_path in PROFILES:
        return PROFILES[name_or_path]
    # Not by pathlib, which raises without a home directory and for a name that is too long.
    path = Path(os.path.expanduser(name_or_path))  # noqa: PTH111
    exists = os.path.exists(path)  # noqa: PTH110
    if not exists and path.suffix != ".toml" and len(path.parts) == 1:
        known = ", ".join(PROFILES)
        reason = f"{name_or_path!r} is neither a file nor one of {known}"
        raise InvalidSettingsError("profile", reason)
    where = f"profile {str(path)!r}"
    return _parse(where, path.stem, read_toml(path, where))


def read_toml(
    path: Path, where: str, *, parse_float: Callable[[str], Any] = float
) -> dict[str, Any]:
    """Read a TOML file; `where` names it in errors."""
    try:
        with path.open("rb") as file:
            return tomllib.loads(file.read(MAX_FILE_BYTES).decode(), parse_float=parse_float)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "cannot be read: it is not in UTF-8"
    except tomllib.TOMLDecodeError as error:
        reason = f"is not TOML: {error}"
    except RecursionError:
        reason = "is nested too deep"
    except ValueError:
        # The only other one: Python does not convert more than 4300 digits.
        reason = "has a number that is too long"
    raise InvalidSettingsError(where, reason)


def _parse(where: str, default_name: str, table: dict[str, Any]) -> Profile:
    """Create a profile from the keys of a file; `where` names the file in errors."""
    for key in table:
        if key in SECRET_KEYS:
            reason = f"has {key}: put the key into a file for --key-file"
            raise InvalidSettingsError(where, reason)
        if key not in _ProfileFile.__struct_fields__:
            known = ", ".join(_ProfileFile.__struct_fields__)
            raise InvalidSettingsError(where, f"has an unknown key {key!r}; known are {known}")
    try:
        content = msgspec.convert(table, _ProfileFile)
    except msgspec.ValidationError as error:
        raise InvalidSettingsError(where, _explain(error, table)) from error
    fields = msgspec.structs.asdict(content)
    base = PROFILES[fields.pop("like")]
    changes: dict[str, Any] = {"name": default_name} | {
        name: value for name, value in fields.items() if value is not UNSET
    }
    if "base_url" in changes:
        changes["base_url"] = parse_base_url(where, changes["base_url"])
    languages = changes.pop("languages")
    # The first match counts, so the texts of the file come before the known ones.
    changes["refusals"] = (
        *_parse_refusals(where, changes.get("refusals", {})),
        *base.refusals,
        *(text for language in languages for text in LANGUAGES[language]),
    )
    if "field_names" in changes:
        changes["field_names"] = _flatten(changes["field_names"])
    try:
        return attrs.evolve(base, **changes)
    except InvalidSettingsError as error:
        reason = f"has an invalid {error.name.partition('.')[2]}: {error.reason}"
        raise InvalidSettingsError(where, reason) from error


def _flatten(names: dict[str, str | dict[str, str]]) -> dict[str, str]:
    """Return names such as `refill.order`, which TOML reads as a table, as one text each."""
    flat: dict[str, str] = {}
    for key, value in names.items():
        if isinstance(value, str):
            flat[key] = value
        else:
            flat |= {f"{key}.{name}": text for name, text in value.items()}
    return flat


def _explain(error: msgspec.ValidationError, table: dict[str, Any]) -> str:
    """Return what is wrong with which key, with its value and the choices if there are any."""
    message, _, path = str(error).partition(" - at ")
    # The path is `$.name`, `$.actions[...]`, or "`key` in `$.refusals`".
    key = path.partition("$.")[2].strip("`").partition("[")[0]
    choices = f", expected {', '.join(_CHOICES[key])}" if "enum" in message else ""
    # An address with a user name may contain a password.
    shown = "…" if key == "base_url" and "@" in str(table[key]) else format_value(table[key])
    return f"has {key} = {shown}: {message[:1].lower()}{message[1:]}{choices}"


def parse_base_url(where: str, address: str, name: str = "base_url") -> str:
    """Return an address that is valid; `where` and `name` name file and field in errors.

    They do not show it: it may contain a key, as `?key=` does in the examples of some panels.
    """
    try:
        return str(parse_url(address))
    except InvalidSettingsError as error:
        raise InvalidSettingsError(where, f"has {name}, which {error.reason}") from error


def _parse_refusals(where: str, texts_by_kind: dict[str, list[str]]) -> list[Refusal]:
    refusals: list[Refusal] = []
    for kind, texts in texts_by_kind.items():
        for text in texts:
            try:
                refusals.append(Refusal(text, REFUSAL_KINDS[kind]))
            except InvalidSettingsError as error:
                reason = f"has refusals.{kind} = {error.reason}"
                raise InvalidSettingsError(where, reason) from error
    return refusals
