"""From the words of the command line to an order."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from ..errors import InvalidOrderError
from ..orders import API_V2_ORDER_TYPES, Order

__all__ = ["order_of", "parse_expiry", "parse_extra", "parse_lines"]


def order_of(order_type: str, options: dict[str, Any]) -> Order:
    """Build an order of a type from the options that were given.

    Raises `InvalidOrderError` for a type there is none of, an option its form has no field for,
    and a field that it needs and was not given.
    """
    if order_type not in API_V2_ORDER_TYPES:
        reason = f"is no order type; there are {', '.join(API_V2_ORDER_TYPES)}"
        raise InvalidOrderError("add", "TYPE", order_type, reason)
    cls = API_V2_ORDER_TYPES[order_type]
    given = {name: value for name, value in options.items() if value is not None}
    fields = {field.name: field for field in attrs.fields(cls)}
    for name, value in given.items():
        if name not in fields:
            known = ", ".join(
                known for known in fields if known not in {"extra", "allowed_delays_minutes"}
            )
            raise InvalidOrderError(cls.__name__, name, value, f"is no field of it; it has {known}")
    for name, field in fields.items():
        if field.default is attrs.NOTHING and name not in given:
            raise InvalidOrderError(
                cls.__name__, name, None, f"is missing: give --{name.replace('_', '-')}"
            )
    return cls(**given)


def parse_expiry(text: str | None) -> Any:
    """Read a day written as on the panel (31/12/2030) or as a program would (2030-12-31)."""
    if text is None:
        return None
    for form in ("%d/%m/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007  # a day has no time zone
        except ValueError:
            continue
    raise InvalidOrderError("SubscriptionsOrder", "expiry", text, "is no day as d/m/Y or Y-m-d")


def parse_extra(pairs: list[str] | None) -> dict[str, str] | None:
    """Read `name=value` pairs."""
    if not pairs:
        return None
    extra: dict[str, str] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign:
            raise InvalidOrderError("add", "extra", pair, "is no name=value")
        extra[name] = value
    return extra


def parse_lines(items: list[str] | None) -> list[str] | None:
    """Give the items of a list option; `@path` stands for the lines of a file."""
    if not items:
        return None
    lines: list[str] = []
    for item in items:
        if item.startswith("@") and len(items) == 1 and _is_path(item[1:]):
            lines += _lines_of(Path(item[1:]))
        else:
            lines.append(item)
    return lines


def _is_path(text: str) -> bool:
    """Whether a text is a file's path; a user's name or a comment has neither slash nor ending."""
    # Not by pathlib, which raises for a text that is too long for a name.
    is_file = os.path.isfile(text)  # noqa: PTH113
    return is_file or (" " not in text and ("/" in text or text.endswith((".txt", ".csv"))))


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        reason = f"can't be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "can't be read: it is not in UTF-8"
    raise InvalidOrderError("add", "file", str(path), reason)
