"""Write a profile as the TOML file that `_profiles` reads."""

import json
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, cast

import attrs

from .._text import sanitize
from ..orders import API_V2_ORDER_TYPES
from ..profile import Profile
from ._profiles import PROFILES

__all__ = ["TomlTable", "format_toml", "to_table"]

MAX_COMMENT_CHARACTERS = 500
"""The longest comment, in characters: it may be a panel's text."""

WIDTH = 100
"""Columns of a comment or a list on one line."""

TomlTable = dict[str, Any]
"""The keys of a profile file and their values, as `tomllib` reads them."""

_PAIRS = ("action_names", "field_names")


def to_table(profile: Profile) -> TomlTable:
    """Return the keys of a file that describes a profile, without its name and address.

    It is like that profile of this library from which it differs least. TOML has no None: a field
    that is None is left out, which is right if it is None there too.
    """
    by_base = {base.name: _differences(profile, base) for base in PROFILES.values()}

    def distance(name: str) -> tuple[int, int]:
        values = list(by_base[name].values())
        return values.count(None), len(values)

    like = min(by_base, key=distance)
    table = {key: value for key, value in by_base[like].items() if value is not None}
    return {"like": like} | table


def _differences(profile: Profile, base: Profile) -> TomlTable:
    table: TomlTable = {}
    for each in attrs.fields(Profile):
        value = getattr(profile, each.name)
        if each.name in {"name", "base_url"} or value == getattr(base, each.name):
            continue
        if each.name == "refusals":
            if texts := _group(profile, base):
                table[each.name] = texts
        elif each.name in _PAIRS:
            table[each.name] = dict(value)
        else:
            is_set = type(value) is frozenset
            table[each.name] = _to_list(cast("Iterable[Any]", value)) if is_set else value
    return table


def _group(profile: Profile, base: Profile) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for refusal in profile.refusals:
        if refusal not in base.refusals:
            texts.setdefault(refusal.kind.value, []).append(refusal.text)
    return texts


def _to_list(values: Iterable[Any]) -> list[Any]:
    """Return values in the order of the document's order types, others sorted."""
    known = list(API_V2_ORDER_TYPES)
    return sorted(values, key=lambda each: (known.index(each) if each in known else 0, each))


def format_toml(
    table: Mapping[str, Any], head: Iterable[str], notes: Mapping[str, str], tail: Iterable[str]
) -> str:
    """Return a file: comments, keys and tables, and lines of a file that are commented out.

    `notes` are comments above a key, `tail` the lines at the end. Comments are sanitized.
    """
    lines = [*map(_comment, head), ""]
    for key, value in table.items():
        if not isinstance(value, Mapping):
            lines += map(_comment, [notes[key]] if key in notes else [])
            lines += _assign(key, value)
    for key, value in table.items():
        if isinstance(value, Mapping):
            pairs = cast("Mapping[str, Any]", value)  # isinstance cannot narrow them
            lines += ["", f"[{key}]"]
            lines += (line for name, each in pairs.items() for line in _assign(_key(name), each))
    ends = [f"# {sanitize(line)}" for line in tail]
    return "\n".join([*lines, *([""] if ends else []), *ends, ""])


def _comment(text: str) -> str:
    """Return a text as the lines of a comment; an empty one separates two others."""
    cleaned = sanitize(text, MAX_COMMENT_CHARACTERS)
    return textwrap.fill(f"# {cleaned}", WIDTH, subsequent_indent="#   ") if cleaned else "#"


def _assign(key: str, value: Any) -> list[str]:
    """Return the lines of a key and its value; a long list has one item per line."""
    line = f"{key} = {_format(value)}"
    if len(line) <= WIDTH or not isinstance(value, list):
        return [line]
    items = cast("Iterable[Any]", value)
    return [f"{key} = [", *(f"    {_format(each)}," for each in items), "]"]


def _key(name: str) -> str:
    is_bare = name.replace("_", "").replace("-", "").isalnum() and name.isascii()
    return name if is_bare else _format(name)


def _format(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # Like a basic string of TOML, which also escapes DEL and no characters beyond ASCII.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            items = cast("Iterable[Any]", value)
            return f"[{', '.join(map(_format, items))}]"
        case _:
            return str(value)
