"""Read requests in the form of a panel that differs from the document's: names and formats. Pure.

The data is that of a client's profile, but nothing here is imported from the client: which field
belongs to which call is written a second time.
"""

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["FORMATS", "FormNames", "PanelProfile"]

FORMATS = ("form", "json", "get")
"""How a request is read: as PHP's `$_REQUEST` has it, a JSON object by POST only, a query string by
GET only."""

_CALLS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "status": ("status", ("order",)),
    "statuses": ("status", ("orders",)),
    "services": ("services", ()),
    "balance": ("balance", ()),
    "refill": ("refill", ("order",)),
    "refills": ("refill", ("orders",)),
    "refill_status": ("refill_status", ("refill",)),
    "refill_statuses": ("refill_status", ("refills",)),
    "cancel": ("cancel", ("order", "orders")),
}
"""Calls, their actions in the document or in API v2, and their fields."""


class PanelProfile(Protocol):
    """The data of a profile that a sandbox reads.

    `Any` stands for what a client's profile converts: the type checkers disagree about its type.
    """

    @property
    def actions(self) -> frozenset[str]:
        """The actions of the panel, in the words of the document and of API v2."""
        ...

    @property
    def request_format(self) -> str:
        """One of `FORMATS`."""
        ...

    @property
    def action_names(self) -> Any:
        """Pairs of a call and the panel's action, where they differ."""
        ...

    @property
    def field_names(self) -> Any:
        """Pairs of a field, or `call.field`, and the panel's name, where they differ."""
        ...

    @property
    def single_id_actions(self) -> Any:
        """The set of the actions that take one id in a call."""
        ...

    @property
    def replay_window_s(self) -> float | None:
        """Seconds for which an equal order is answered with the id of the earlier one."""
        ...


class FormNames:
    """The names of one panel."""

    def __init__(self, profile: PanelProfile) -> None:
        """Read the names of a profile."""
        self._actions: dict[str, str] = dict(profile.action_names)
        self._fields: dict[str, str] = dict(profile.field_names)
        self._single: frozenset[str] = profile.single_id_actions

    def to_standard(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Return the fields of a request under the document's names.

        A field is read only under the panel's name for it: under another, as the document's, it is
        an unknown one, which only orders keep.
        """
        form = {
            name: fields[shown]
            for name in ("key", "action")
            if (shown := self._fields.get(name, name)) in fields
        }
        word = form.get("action", "")
        if word == self._actions.get("add", "add"):
            return form | {"action": "add"} | self._order_fields(fields)
        calls = [call for call in _CALLS if self._action(call) == word]
        if not calls:
            # The word may be an action of the document that this panel calls otherwise.
            return form | ({"action": "unknown"} if word else {})
        action = _CALLS[calls[0]][0]
        for call in calls:
            for name in _CALLS[call][1]:
                is_taken = action not in self._single or not name.endswith("s")
                shown = self._fields.get(f"{call}.{name}") or self._fields.get(name, name)
                if is_taken and shown in fields:
                    form[name] = fields[shown]
        return form | {"action": action}

    def _action(self, call: str) -> str:
        single = _CALLS[call][0]
        return self._actions.get(call) or self._actions.get(single, single)

    def _order_fields(self, fields: Mapping[str, str]) -> dict[str, str]:
        shown_by_name = {key: name for key, name in self._fields.items() if "." not in key}
        shown_by_name |= {
            key.partition(".")[2]: name
            for key, name in self._fields.items()
            if key.startswith("add.")
        }
        names = {shown: name for name, shown in shown_by_name.items()}
        reserved = {"key", "action", *(self._fields.get(each, each) for each in ("key", "action"))}
        return {
            names.get(shown, shown): value
            for shown, value in fields.items()
            if shown not in reserved and (shown in names or shown not in shown_by_name)
        }
