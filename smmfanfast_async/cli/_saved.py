"""A catalogue in a file: written whole or not at all, and read strictly.

Money is text in it, so that no digit is lost.
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, cast

from attrs import frozen

from ..catalogue import Catalogue
from ..errors import InvalidSettingsError
from ..results import Service
from ._output import plain

__all__ = ["Saved", "load", "save", "saved"]

FORMAT = "smmfanfast catalogue 1"
"""What the file says it is; another number stands for another form."""

MAX_FILE_BYTES = 256 * 1024 * 1024
"""The longest file that is read: 10,000 services take about 5 MB."""


@frozen
class Saved:
    """A catalogue, and the address it is from."""

    base_url: str
    catalogue: Catalogue


def saved(catalogue: Catalogue, base_url: str) -> Saved:
    """Give a catalogue as it would be after it was saved and read again."""
    return _of_json(json.loads(_text(catalogue, base_url)))


def save(path: Path, catalogue: Catalogue, base_url: str) -> None:
    """Write a catalogue beside the file and put it into its place: a cut leaves the older one."""
    target = Path(os.path.realpath(path))
    # Not by pathlib, which raises for a name that is too long.
    if os.path.lexists(target) and not os.path.isfile(target):  # noqa: PTH113
        raise InvalidSettingsError("save", f"{str(path)!r} is no file")
    beside = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(_text(catalogue, base_url))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        reason = f"{str(path)!r} can't be written: {error.strerror}"
        raise InvalidSettingsError("save", reason) from error


def load(path: Path) -> Saved:
    """Read a catalogue, or raise `InvalidSettingsError` for a file that holds none."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES)
        return _of_json(json.loads(text))
    except FileNotFoundError:
        reason = f"{str(path)!r} is not there: `smmfanfast services --save` makes it"
    except OSError as error:
        reason = f"{str(path)!r} can't be read: {error.strerror}"
    except RecursionError:
        reason = f"{str(path)!r} is no saved catalogue: it is nested too deep"
    except ValueError as error:
        # What is no UTF-8 and what is no JSON are ValueErrors too.
        reason = f"{str(path)!r} is no saved catalogue: {error}"
    raise InvalidSettingsError("diff", reason)


def _text(catalogue: Catalogue, base_url: str) -> str:
    rows = [
        {name: plain(getattr(service, name)) for name in _FIELDS} for service in catalogue.values()
    ]
    head = {
        "format": FORMAT,
        "base_url": base_url,
        "fetched_at": catalogue.fetched_at.isoformat(),
        "unreadable": list(catalogue.unreadable),
    }
    # A service a line: whoever keeps the file in git sees what changed.
    lines = ",\n".join(json.dumps(row) for row in rows)
    return f'{json.dumps(head)[:-1]}, "services": [\n{lines}\n]}}\n'


# --- reading -------------------------------------------------------------------------------------


def _of_json(found: object) -> Saved:
    if not isinstance(found, dict):
        raise ValueError("it holds no object")
    file = cast("Mapping[str, object]", found)  # the keys of JSON are texts
    if file.get("format") != FORMAT:
        raise ValueError(f"its format is {file.get('format')!r}, not {FORMAT!r}")
    try:
        rows = cast("list[object]", _as(list)(file["services"]))
        catalogue = Catalogue.from_services(
            [_service(row) for row in rows],
            datetime.fromisoformat(_as(str)(file["fetched_at"])),
            tuple(map(_as(str), cast("list[object]", _as(list)(file["unreadable"])))),
        )
        return Saved(_as(str)(file["base_url"]), catalogue)
    except KeyError as error:
        raise ValueError(f"{error} is missing") from error


def _service(row: object) -> Service:
    fields = cast("Mapping[str, object]", _as(dict)(row))
    if odd := fields.keys() - _FIELDS.keys():
        raise ValueError(f"a service has {min(odd)!r}")
    values: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            values[name] = _FIELDS[name](value)
        except ValueError as error:
            about = f"service {fields.get('service')!r}"
            raise ValueError(f"{about} has {name} = {value!r}, which {error}") from error
    if "service" not in values:
        raise ValueError("a service has no id")
    rate: Decimal | None = values.pop("rate", None)
    return Service(raw_rate=None if rate is None else f"{rate:f}", **values)


def _as(kind: type) -> Callable[[object], Any]:
    """Give what lets a value of a kind pass."""

    def of(value: object) -> Any:
        if type(value) is not kind:
            raise ValueError(f"is no {kind.__name__}")
        return value

    return of


def _or_none(read: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else read(value)


def _amount(value: object) -> Decimal:
    try:
        found = Decimal(_as(str)(value))
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise ValueError("is no amount")
    return found


_FIELDS: dict[str, Callable[[object], Any]] = {
    "service": _as(str),
    "name": _as(str),
    "category": _as(str),
    "rate": _or_none(_amount),
    "min": _or_none(_as(int)),
    "max": _or_none(_as(int)),
    "type": _or_none(_as(str)),
    "desc": _or_none(_as(str)),
    "dripfeed": _or_none(_as(bool)),
    "refill": _or_none(_as(bool)),
    "cancel": _or_none(_as(bool)),
    "extra": _or_none(_as(dict)),
}
