"""The names that a panel gives to the actions and fields of a form. Pure.

A form is built, kept in a journal and reported in the names of the document. They are replaced by
the panel's own only when it is sent, so that a recorded order stays the same order when a profile
changes. `RawForm` is the exception: its names are the panel's already.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from .._text import format_value, normalize_word
from ..errors import InvalidOrderError

__all__ = ["CALLS", "CALL_FIELDS", "READ_CALLS", "FormNames", "RawForm", "find_flaw"]

MAX_NAME_CHARACTERS = 64
"""The longest name: those seen have below 20."""

_PLURALS = {
    ("status", "orders"): "statuses",
    ("refill", "orders"): "refills",
    ("refill_status", "refills"): "refill_statuses",
}
"""The calls for several ids that some panels give another action than the call for one (seen)."""

CALL_FIELDS: Mapping[str, frozenset[str]] = {
    "status": frozenset({"order"}),
    "statuses": frozenset({"orders"}),
    "services": frozenset[str](),
    "balance": frozenset[str](),
    "refill": frozenset({"order"}),
    "refills": frozenset({"orders"}),
    "refill_status": frozenset({"refill"}),
    "refill_statuses": frozenset({"refills"}),
    "cancel": frozenset({"order", "orders"}),
}
"""Calls and their fields. Those of `add` are the fields of the order classes."""

CALLS = ("add", *CALL_FIELDS)
"""The calls that a panel may name otherwise: the names of the methods of `Client`."""

READ_CALLS = frozenset(
    {"status", "statuses", "services", "balance", "refill_status", "refill_statuses"}
)
"""Calls that change nothing and are repeated after a failure."""

_COMMON_FIELDS = ("key", "action")
_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_NAME_CHARACTERS}}}")

F = TypeVar("F", bound=Mapping[str, str])


class RawForm(dict[str, str]):
    """A form in the panel's own words: its names are sent as they are."""


class FormNames:
    """The panel's names, by the document's; a name that is not given is the document's."""

    def __init__(
        self, action_names: Iterable[tuple[str, str]], field_names: Iterable[tuple[str, str]]
    ) -> None:
        self._actions = dict(action_names)
        self._fields = dict(field_names)
        self.key = self._fields.get("key", "key")
        """The name of the field with the API key."""
        self._is_standard = not self._actions and not self._fields

    def action(self, call: str) -> str:
        """Return the panel's action for a call, such as "statuses"."""
        # The calls for several ids have the action of the call for one unless it is given.
        single = _SINGLE_CALLS.get(call, call)
        return self._actions.get(call) or self._actions.get(single, single)

    def field(self, call: str, name: str) -> str:
        """Return the panel's name of a field of a call."""
        return self._fields.get(f"{call}.{name}") or self._fields.get(name, name)

    def rename(self, form: F, owner: str = "Client") -> F | dict[str, str]:
        """Return a form with the panel's names, in the same order.

        Raises `InvalidOrderError` if two fields would have one name, as one in `Order.extra` may.
        """
        if self._is_standard:
            return form
        call = None if isinstance(form, RawForm) else find_call(form)
        renamed: dict[str, str] = {}
        used = {_spelling(self.key)}
        for name, text in form.items():
            is_raw = call is None and name != "action"
            shown = name if is_raw else self.field(call or "", name)
            if _spelling(shown) in used:
                reason = f"cannot be sent: {shown!r} is the panel's name of another field"
                raise InvalidOrderError(owner, name, text, reason)
            used.add(_spelling(shown))
            renamed[shown] = text if call is None or name != "action" else self.action(call)
        return renamed

    def is_add(self, action: str) -> bool:
        """Return whether the panel might take an action for an order, ignoring case and `_`."""
        return normalize_word(action) in {"add", normalize_word(self.action("add"))}

    def is_reserved(self, name: str) -> bool:
        """Return whether a field is set by the client in every form."""
        reserved = {*_COMMON_FIELDS, self.key, self.field("", "action")}
        return _spelling(name) in map(_spelling, reserved)


_SINGLE_CALLS = {call: action for (action, _), call in _PLURALS.items()}


def _spelling(name: str) -> str:
    """Return a name as PHP reads it: `key[]` and ` key` are both `key` to it."""
    return name.partition("[")[0].strip().lower()


def find_call(form: Mapping[str, str]) -> str:
    """Return the call of a form: its action, or that for several ids."""
    action = form["action"]
    plurals = (call for (each, name), call in _PLURALS.items() if each == action and name in form)
    return next(plurals, action)


def find_flaw(
    action_names: Mapping[str, str], field_names: Mapping[str, str], order_fields: frozenset[str]
) -> tuple[str, str] | None:
    """Return which of the two mappings is invalid and why; None if both can be used."""
    calls = {"add": order_fields, **CALL_FIELDS}
    for call, action in action_names.items():
        if call not in calls:
            return "action_names", f"{format_value(call)} is not one of {', '.join(CALLS)}"
        if flaw := _name_flaw(action):
            return "action_names", f"{call} = {flaw}"
    for key, name in field_names.items():
        if flaw := _field_flaw(key, calls) or _name_flaw(name, f"{key} = "):
            return "field_names", flaw
    names = FormNames(action_names.items(), field_names.items())
    if flaw := _find_same_action(names):
        return "action_names", flaw
    flaw = next(filter(None, (_find_same_field(names, call, calls[call]) for call in calls)), None)
    return None if flaw is None else ("field_names", flaw)


def _name_flaw(name: object, shown: str = "") -> str | None:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return None
    return (
        f"{shown}{format_value(name)} must have 1 to {MAX_NAME_CHARACTERS} letters, digits, _ and -"
    )


def _field_flaw(key: str, calls: Mapping[str, frozenset[str]]) -> str | None:
    call, dot, name = key.partition(".") if isinstance(key, str) else ("", "", "")
    if not dot:
        known = set(_COMMON_FIELDS).union(*calls.values())
        return None if key in known else f"{format_value(key)} is not a field of a form"
    if call not in calls:
        return f"{format_value(key)} must start with one of {', '.join(CALLS)}"
    return None if name in calls[call] else f"{format_value(key)}: {call} has no field {name!r}"


def _find_same_action(names: FormNames) -> str | None:
    """Return why two calls must not have the same action.

    A read is repeated, and several reads may share an action; a call that changes something must
    never be sent in place of another call.
    """
    seen: dict[str, str] = {}
    for call in CALLS:
        kind = call if call not in READ_CALLS else "a read"
        kind = _SINGLE_CALLS.get(kind, kind)
        action = names.action(call)
        other = seen.setdefault(normalize_word(action), kind)
        if other != kind:
            return f"{call} = {action!r} is also the action of {other}"
    return None


def _find_same_field(names: FormNames, call: str, fields: frozenset[str]) -> str | None:
    seen: dict[str, str] = {}
    for each in (*_COMMON_FIELDS, *sorted(fields)):
        name = names.field("" if each in _COMMON_FIELDS else call, each)
        other = seen.setdefault(_spelling(name), each)
        if other != each:
            return f"{call}: {each} and {other} have the same name {name!r}"
    return None
