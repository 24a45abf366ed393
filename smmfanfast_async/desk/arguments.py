"""Validation of what callers pass to `OrderDesk`."""

from collections.abc import Collection, Mapping

from .._settings import require_counts, require_number
from ..client import Client
from ..errors import InvalidOrderError, InvalidSettingsError
from ..journal import EntryState
from ..profile import MAX_CALLS_PER_MINUTE, Profile
from .admission import is_amount
from .rechecks import MAX_RECHECK_DAYS
from .replay_rules import MIN_WINDOW_S

__all__ = ["check_filters", "check_replays", "check_settings", "check_settling", "parse_decided_by"]

MAX_ACCOUNT_CHARACTERS = 64
"""The longest name of an account, in characters: what a journal's rows hold."""

MAX_DECIDED_BY_CHARACTERS = 200
"""The longest name of who decides, in characters."""


def check_settings(
    budget: object, calls_per_minute: int | None, account: str | None, recheck_days: object
) -> None:
    """Raise `InvalidSettingsError` for settings that no desk can work with."""
    if budget is not None and not is_amount(budget):
        reason = f"must be a finite Decimal of at least 0, not {budget!r}"
        raise InvalidSettingsError("budget_per_day", reason)
    require_counts(MAX_CALLS_PER_MINUTE, calls_per_minute=calls_per_minute)
    require_number("recheck_days", recheck_days, MAX_RECHECK_DAYS)
    if account is not None and not 0 < len(account) <= MAX_ACCOUNT_CHARACTERS:
        reason = f"must have 1 to {MAX_ACCOUNT_CHARACTERS} characters, not {account!r}"
        raise InvalidSettingsError("account", reason)


def check_settling(
    profile: Profile, *, is_asked_for: bool, has_balances: bool, is_routed: bool
) -> None:
    """Raise `InvalidSettingsError` if the balance would have to settle orders, and is not read."""
    if is_asked_for and is_routed:
        reason = "is for a desk whose orders name the services of one panel, without products="
        raise InvalidSettingsError("settle_by_balance", reason)
    if is_asked_for and not has_balances:
        raise InvalidSettingsError("settle_by_balance", "needs record_balance=True")
    if is_asked_for and "balance" not in profile.actions:
        reason = f"needs the action 'balance', which profile {profile.name!r} does not have"
        raise InvalidSettingsError("settle_by_balance", reason)


def check_filters(
    *, states: Collection[object], statuses: Collection[object], panels: Collection[object]
) -> None:
    """Raise `InvalidSettingsError` for a filter that could match nothing."""
    for name, values in (("states", states), ("statuses", statuses), ("panels", panels)):
        if isinstance(values, str):
            raise InvalidSettingsError(name, f"must be several in a tuple or list, not {values!r}")
    known: tuple[object, ...] = tuple(EntryState)
    if unknown := [state for state in states if state not in known]:
        reason = f"has {unknown[0]!r}, which is none of {', '.join(EntryState)}"
        raise InvalidSettingsError("states", reason)


def check_replays(clients: Mapping[str, Client], *, is_asked_for: bool) -> None:
    """Raise `InvalidSettingsError` if no panel repeats orders, and one would have to."""
    windows = [each.profile.replay_window_s or 0.0 for each in clients.values()]
    if is_asked_for and max(windows) < MIN_WINDOW_S:
        reason = f"needs a panel whose Profile.replay_window_s is at least {MIN_WINDOW_S:g}"
        raise InvalidSettingsError("settle_by_replay", reason)


def parse_decided_by(name: object) -> str:
    """Return the name of who decides, stripped; raise `InvalidOrderError` if it is not a name."""
    if (
        isinstance(name, str)
        and name.strip()
        and name.isprintable()
        and len(name) <= MAX_DECIDED_BY_CHARACTERS
    ):
        return name.strip()
    reason = f"is not a name of 1 to {MAX_DECIDED_BY_CHARACTERS} printable characters"
    raise InvalidOrderError("OrderDesk", "decided_by", name, reason)
