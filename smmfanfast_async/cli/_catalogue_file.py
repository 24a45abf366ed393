"""A catalogue in a file, with the address of its panel: written atomically, read strictly."""

import json
import os
from contextlib import suppress
from pathlib import Path

import msgspec
from attrs import frozen

from ..catalogue import Catalogue
from ..errors import InvalidSettingsError

__all__ = ["SavedCatalogue", "load", "save"]

MAX_FILE_BYTES = 256 * 1024 * 1024
"""The longest file that is read: 10,000 services take about 5 MB."""


@frozen
class SavedCatalogue:
    """A catalogue and the address it was fetched from."""

    base_url: str
    catalogue: Catalogue


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of the file; the catalogue in it is read by `Catalogue.from_json`."""

    base_url: str
    catalogue: msgspec.Raw


def save(path: Path, saved: SavedCatalogue) -> None:
    """Write a catalogue to a temporary file, then rename it: an interruption keeps the old file."""
    target = Path(os.path.realpath(path))
    # Not by pathlib, which raises for a name that is too long.
    if os.path.lexists(target) and not os.path.isfile(target):  # noqa: PTH113
        raise InvalidSettingsError("save", f"{str(path)!r} is not a file")
    temporary = target.with_name(f".{target.name}.{os.getpid()}.new")
    base_url = json.dumps(saved.base_url)
    try:
        with temporary.open("x", encoding="ascii") as file:
            file.write(f'{{"base_url": {base_url}, "catalogue": {saved.catalogue.to_json()}}}\n')
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        reason = f"{str(path)!r} cannot be written: {error.strerror}"
        raise InvalidSettingsError("save", reason) from error


def load(path: Path) -> SavedCatalogue:
    """Read a catalogue; raise `InvalidSettingsError` if the file does not contain one."""
    try:
        with path.open("rb") as file:
            content = msgspec.json.decode(file.read(MAX_FILE_BYTES), type=_File)
        return SavedCatalogue(content.base_url, Catalogue.from_json(bytes(content.catalogue)))
    except FileNotFoundError:
        reason = f"{str(path)!r} does not exist; create it with `smmfanfast services --save`"
    except OSError as error:
        reason = f"{str(path)!r} cannot be read: {error.strerror}"
    except RecursionError:
        reason = f"{str(path)!r} is not a saved catalogue: it is nested too deeply"
    except InvalidSettingsError as error:
        reason = f"{str(path)!r} is not a saved catalogue: it {error.reason}"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = f"{str(path)!r} is not a saved catalogue: {error}"
    raise InvalidSettingsError("diff", reason)
