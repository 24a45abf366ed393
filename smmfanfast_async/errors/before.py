"""Errors that arise before the first byte: nothing was sent."""

from decimal import Decimal

from .._text import shown_value
from ..kinds import ErrorKind
from .answered import RateLimitedError
from .root import PanelError, _NothingSentError

__all__ = [
    "ClosedError",
    "InvalidOrderError",
    "InvalidSettingsError",
    "JournalError",
    "NotSentError",
    "PausedError",
    "RefConflictError",
    "SpendingLimitError",
    "UnsupportedActionError",
]


class _InvalidError(_NothingSentError, ValueError):
    """What the errors have in common that are about a value of the caller's."""

    kind = ErrorKind.INVALID

    def __str__(self) -> str:
        return self.text


class InvalidOrderError(_InvalidError):
    """A value that must not be sent; nothing was.

    `where` is the class (`"DefaultOrder"`), `field` the field, `value` the wrong value as text
    (at most 200 characters), `reason` what is wrong with it.
    """

    def __init__(self, where: str, field: str, value: object, reason: str) -> None:
        shown = shown_value(value)
        PanelError.__init__(self, f"{where}.{field}: {shown} {reason}")
        self.args = (where, field, shown, reason)
        self.where = where
        self.field = field
        self.value: str = shown
        self.reason = reason


class InvalidSettingsError(_InvalidError):
    """A setting that no client can work with; the key itself is never shown.

    `name` is the setting (`"base_url"`), `reason` what is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        PanelError.__init__(self, f"{name} {reason}")
        self.args = (name, reason)
        self.name = name
        self.reason = reason


class UnsupportedActionError(_NothingSentError):
    """The profile of this panel has no such action; nothing was sent."""

    kind = ErrorKind.UNSUPPORTED


class ClosedError(_NothingSentError, RuntimeError):
    """The client is closed, or used where it can't work; nothing was sent."""

    kind = ErrorKind.CLOSED


class RefConflictError(_NothingSentError):
    """The ref names an order of other content already; nothing was sent."""

    kind = ErrorKind.CONFLICT


class SpendingLimitError(_NothingSentError):
    """An order would cost more than it may; nothing was sent.

    `limit_name` is `"max_charge"` or `"budget_per_day"`, `limit` its amount, `price` what the order
    would cost, `spent` what was spent under the same limit before; all in the account's currency.
    """

    kind = ErrorKind.BUDGET

    def __init__(
        self, limit_name: str, price: Decimal, limit: Decimal, spent: Decimal = Decimal(0)
    ) -> None:
        beside = f" beside {spent:f} spent" if spent else ""
        text = f"a price of {price:f}{beside} is above {limit_name} {limit:f}"
        PanelError.__init__(self, text, None, None, None, "add")
        self.args = (limit_name, price, limit, spent)
        self.limit_name = limit_name
        self.price = price
        self.limit = limit
        self.spent = spent


class JournalError(_NothingSentError):
    """The journal of orders can't be opened, written or read: disk, database, schema.

    Where it is raised, nothing was sent because of this call; what the journal held it still holds.
    """

    kind = ErrorKind.JOURNAL

    def __str__(self) -> str:
        return f"journal: {self.text}"


class NotSentError(_NothingSentError):
    """Proved: no byte of the request left this machine. The same call may be made again."""

    kind = ErrorKind.NETWORK


class PausedError(NotSentError, RateLimitedError):
    """Held back here: the panel asked all calls to wait, and longer than this call may.

    `retry_after_s` says how long it still is. Nothing was sent.
    """

    kind = ErrorKind.RATE_LIMIT
