"""The commands and readings of the control API: names and JSON values in, JSON values out. Pure.

A command is a method of `Sandbox`, called with arguments of the same names. This table only says
how a JSON value becomes an argument; the method decides everything else.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import cast

from .reading import Reading, ReadingError
from .rows import Json
from .services import SandboxService
from .traffic import MASKED

__all__ = ["COMMANDS", "READINGS", "Control", "ControlError"]

MAX_NUMBER_CHARACTERS = 100
"""The longest amount: more digits than any balance has."""

Parse = Callable[[object], object]


class ControlError(Exception):
    """A command or reading cannot be carried out; nothing was changed."""

    def __init__(self, http_status: int, text: str) -> None:
        """Keep the HTTP status of the answer and its text."""
        super().__init__(http_status, text)
        self.http_status = http_status
        self.text = text


def _parse_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {value!r}")
    return value


def _parse_id(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"must be an id, not {value!r}")
    return str(value)


def _parse_whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"must be a whole number, not {value!r}")
    return value


def _parse_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError(f"must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"must be a finite number, not {value!r}")
    return number


def _parse_amount(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"must be an amount, not {value!r}")
    text = str(value)
    try:
        amount = Decimal(text if len(text) <= MAX_NUMBER_CHARACTERS else "too long")
    except InvalidOperation:
        raise ValueError(f"must be an amount, not {text[:MAX_NUMBER_CHARACTERS]!r}") from None
    return amount


def _parse_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")
    return value


_SERVICE: Mapping[str, Parse] = {
    "service": _parse_id,
    "name": _parse_text,
    "category": _parse_text,
    "rate": _parse_amount,
    "min": _parse_whole,
    "max": _parse_whole,
    "type": _parse_text,
    "desc": _parse_text,
    "dripfeed": _parse_flag,
    "refill": _parse_flag,
    "cancel": _parse_flag,
}


def _parse_service(value: object) -> SandboxService:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object with the fields of a service, not {value!r}")
    fields = _parse_arguments(_SERVICE, cast("Mapping[str, object]", value))
    try:
        return SandboxService(**fields)  # type: ignore[arg-type]  # parsed above, by name
    except TypeError:
        raise ValueError("needs service, name, category and rate") from None


_FAULT: Mapping[str, Parse] = {
    "fault": _parse_text,
    "action": _parse_text,
    "delay_s": _parse_number,
    "retry_after_s": _parse_whole,
    "location": _parse_text,
    "applied": _parse_flag,
}

COMMANDS: Mapping[str, Mapping[str, Parse]] = {
    "add_service": {"service": _parse_service},
    "advance": {"seconds": _parse_number},
    "change_limits": {"service": _parse_id, "min": _parse_whole, "max": _parse_whole},
    "change_rate": {"service": _parse_id, "rate": _parse_amount},
    "clear_faults": {},
    "fail_at_rate": {**_FAULT, "rate": _parse_number},
    "fail_next": {**_FAULT, "times": _parse_whole},
    "finish_all": {},
    "remove_service": {"service": _parse_id},
    "set_available": {"service": _parse_id, "available": _parse_flag},
    "set_refill_status": {"refill": _parse_id, "status": _parse_text},
    "set_speed": {"speed": _parse_number},
    "set_status": {"order": _parse_id, "status": _parse_text, "remains": _parse_whole},
    "top_up": {"amount": _parse_amount},
}
"""Methods of `Sandbox`, and how each argument is read; null is the default of the method."""

READINGS = ("account", "faults", "orders", "requests", "services", "state", "test")
"""What can be read, by name; a method of `Reading` each."""


class Control:
    """Carry out commands on a sandbox and read what is in it."""

    def __init__(self, sandbox: object, reading: Reading, api_key: str) -> None:
        """`sandbox` has the methods of `COMMANDS`; nothing that is read shows `api_key`."""
        self._sandbox = sandbox
        self._reading = reading
        self._api_key = api_key

    def describe(self) -> Json:
        """Return the names of everything that can be called, with the arguments of commands."""
        commands: dict[str, Json] = {name: list(fields) for name, fields in COMMANDS.items()}
        return {"version": 1, "commands": commands, "readings": list(READINGS)}

    def run(self, command: str, arguments: Mapping[str, object]) -> Json:
        """Carry out a command and return the state after it; ControlError if it is refused."""
        fields = COMMANDS.get(command)
        if fields is None:
            raise ControlError(404, f"there is no command {command!r}; use one of {_names()}")
        method = getattr(self._sandbox, command)
        try:
            parsed = _parse_arguments(fields, arguments)
            inspect.signature(method).bind(**parsed)
        except (TypeError, ValueError) as error:
            raise ControlError(400, f"{command}: {error}") from None
        try:
            method(**parsed)
        except KeyError as error:
            raise ControlError(404, f"{command}: {error.args[0]!r} is unknown") from None
        except (ValueError, OverflowError) as error:
            raise ControlError(400, f"{command}: {error}") from None
        return self.read("state", None, {})

    def read(self, name: str, item: str | None, query: Mapping[str, str]) -> Json:
        """Return one of `READINGS`, or one item of it by id; ControlError if there is none."""
        if name not in READINGS or (item is not None and name not in ("orders", "requests")):
            raise ControlError(
                404, f"there is no {name!r} to read; use one of {', '.join(READINGS)}"
            )
        try:
            if item is not None:
                value = (
                    self._reading.order(item) if name == "orders" else self._reading.request(item)
                )
            else:
                value = getattr(self._reading, name)(query)
        except ReadingError as error:
            raise ControlError(400, str(error)) from None
        except KeyError as error:
            raise ControlError(404, f"{error.args[0]!r} is unknown in {name}") from None
        return _mask(value, self._api_key)

    @property
    def revision(self) -> int:
        """A number that changes with every request and command."""
        return self._reading.revision


def _names() -> str:
    return ", ".join(COMMANDS)


def _parse_arguments(
    fields: Mapping[str, Parse], arguments: Mapping[str, object]
) -> dict[str, object]:
    """Return parsed arguments; ValueError that names the argument if one is unknown or invalid."""
    parsed: dict[str, object] = {}
    for name, value in arguments.items():
        if name not in fields:
            raise ValueError(f"has no argument {name!r}; use {', '.join(fields) or 'none'}")
        if value is not None:
            try:
                parsed[name] = fields[name](value)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
    return parsed


def _mask(value: Json, secret: str) -> Json:
    """Replace a secret in all texts of a value."""
    if isinstance(value, str):
        return value.replace(secret, MASKED)
    if isinstance(value, Sequence):
        return [_mask(each, secret) for each in value]
    if isinstance(value, Mapping):
        return {name.replace(secret, MASKED): _mask(each, secret) for name, each in value.items()}
    return value
