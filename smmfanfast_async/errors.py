"""Every exception of the library.

Each error answers three questions, as attributes:

- ``maybe_sent``: may a byte of the request have left this machine? False is a proof, True is not.
- ``maybe_placed``: may an order exist because of this call?
- ``safe_to_retry``: is making the same call again harmless, and may it succeed?

::

    PanelError
    ├── InvalidOrderError      (also ValueError) a value of an order that must not be sent
    ├── InvalidSettingsError   (also ValueError) a key, address or number a client cannot work with
    ├── UnsupportedActionError this panel has no such action; nothing was sent
    ├── ClosedError            (also RuntimeError) closed, or used from another event loop
    ├── RefConflictError       the ref already belongs to a different order
    ├── SpendingLimitError     above `max_charge` or the daily budget; nothing was sent
    ├── JournalError           the journal of orders cannot be written or read; nothing was sent
    │   └── StaleEventError        another worker has, or had, this event; roll back
    ├── NotSentError           proved: no byte of the request left
    │   └── PausedError        (also RateLimitError) the panel asked for a longer pause
    ├── NoResponseError        the request may have left, no complete response came back
    ├── InvalidResponseError   a response came back that has no certain meaning
    ├── ServerError            HTTP 5xx: the panel, or a proxy in front of it, failed
    ├── WaitTimeoutError       (also TimeoutError) the order was not final in time
    ├── RateLimitError         too many requests; `retry_after_s` says when, if the panel did
    ├── RefusedError           the panel refused and did nothing
    │   ├── AuthenticationError    wrong key, or a blocked account
    │   ├── InsufficientFundsError the balance is too low
    │   ├── OrderNotFoundError     the panel does not know this id as one of this account
    │   └── BlockedError           stopped by a challenge page before it reached the panel
    └── OutcomeUnknownError    `add` only: an order may exist; never repeat the call blindly

The panel's answer is kept in `raw`, sanitised and truncated. No error contains the key: a response
that echoes it has `***` in its place, and forms are kept without it. All errors can be copied and
pickled.
"""

import copy
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, Self

from ._text import format_value

__all__ = [
    "AuthenticationError",
    "BlockedError",
    "ClosedError",
    "ErrorKind",
    "InsufficientFundsError",
    "InvalidCode",
    "InvalidOrderError",
    "InvalidResponseError",
    "InvalidSettingsError",
    "JournalError",
    "NoResponseError",
    "NotSentError",
    "OrderNotFoundError",
    "OutcomeUnknownError",
    "PanelError",
    "PausedError",
    "RateLimitError",
    "RefConflictError",
    "RefusedError",
    "ServerError",
    "SpendingLimitError",
    "StaleEventError",
    "UnsupportedActionError",
    "WaitTimeoutError",
]

READS = frozenset({"status", "services", "balance", "refill_status"})
"""Actions that change nothing at the panel, so that repeating them is harmless (document: status,
services, balance; refill_status is from API v2)."""

CANNOT_CREATE_ORDER = READS | {"refill", "cancel"}
"""Actions that cannot create an order, whatever happens to the response."""


class ErrorKind(StrEnum):
    """What went wrong, as a word for tables, metrics and `match`."""

    INVALID = "invalid"
    UNSUPPORTED = "unsupported"
    CLOSED = "closed"
    CONFLICT = "conflict"
    BUDGET = "budget"
    JOURNAL = "journal"
    TIMEOUT = "timeout"
    NETWORK = "network"
    MALFORMED = "malformed"
    SERVER = "server"
    RATE_LIMIT = "rate_limit"
    AUTH = "auth"
    FUNDS = "funds"
    NOT_FOUND = "not_found"
    VALIDATION = "validation"
    SERVICE = "service"
    DUPLICATE = "duplicate"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


class InvalidCode(StrEnum):
    """What is wrong with a value, as a word to translate: `InvalidOrderError.code`.

    Within a major version no code is removed or changes its meaning; one that a program does not
    know is to be shown as `INVALID`.
    """

    MISSING = "missing"
    """There is no value, or it is empty."""
    NOT_A_NUMBER = "not_a_number"
    """Not an integer, or not a finite amount of money."""
    NOT_A_TEXT = "not_a_text"
    NOT_A_DATE = "not_a_date"
    NOT_A_LIST = "not_a_list"
    """Not a list of texts or ids, or not a mapping."""
    INVALID_ID = "invalid_id"
    """Neither a positive integer nor a text that can be an id."""
    INVALID_CHARACTERS = "invalid_characters"
    """A line break, NUL, or another character that cannot be sent there."""
    TOO_LONG = "too_long"
    """`limit` is the maximum length, in characters."""
    BELOW_MIN = "below_min"
    """`limit` is the lowest valid number."""
    ABOVE_MAX = "above_max"
    """`limit` is the highest valid number."""
    IN_THE_PAST = "in_the_past"
    NOT_ALLOWED = "not_allowed"
    """Not one of the values that are allowed; `reason` lists them."""
    INCOMPLETE = "incomplete"
    """The field requires another one; `reason` names it."""
    UNKNOWN_FIELD = "unknown_field"
    """The order or call has no field of this name."""
    RESERVED = "reserved"
    """A name that the client uses itself."""
    UNSUPPORTED_TYPE = "unsupported_type"
    """The panel has no orders of this type."""
    UNSUPPORTED_FIELD = "unsupported_field"
    """The panel or the service ignores this field, or does not accept it."""
    UNKNOWN_SERVICE = "unknown_service"
    """The catalogue has no such service."""
    WRONG_TYPE = "wrong_type"
    """The service accepts only orders of another type; `reason` names the class."""
    UNKNOWN_PRICE = "unknown_price"
    """The price is not known in advance, so the limit cannot be enforced."""
    UNKNOWN_REF = "unknown_ref"
    """The journal has no such ref."""
    WRONG_STATE = "wrong_state"
    """The state of the order forbids this; `reason` says which states allow it."""
    INVALID = "invalid"
    """Anything else; `reason` says what."""


class PanelError(Exception):
    """Base class of every exception that this library raises on purpose."""

    kind: ErrorKind = ErrorKind.UNKNOWN
    """The kind of error; a `RefusedError` carries the finer one found from the panel's text."""

    is_about_order: bool = False
    """Whether the error is known to concern this order alone: the panel answers other calls. An
    `AuthenticationError` with it does not concern the key. False does not say the opposite."""

    def __init__(
        self,
        text: str = "",
        *,
        kind: ErrorKind | None = None,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        action: str | None = None,
        order: str | None = None,
    ) -> None:
        super().__init__(text)
        self.text = text
        """The panel's own message, unabridged; ours if the panel sent none."""
        self.http_status = http_status
        """The HTTP status of the response; None if there was none."""
        self.retry_after_s = retry_after_s
        """Seconds the panel asks to wait; None if it did not say."""
        self.action = action
        """The action that was called, as in the form (`"status"`); None outside a call."""
        self.order = order
        """The id of the order concerned; None if there is none, or more than one."""
        self.raw: str | None = None
        """The response as received, sanitised, its first 2,000 characters; for one id of a batch,
        the part that concerns it. None if no response came."""
        if kind is not None:
            self.kind = kind

    def __str__(self) -> str:
        subject = f"{self.action or 'call'}" + (f" of order {self.order}" if self.order else "")
        status = f" (HTTP {self.http_status})" if self.http_status else ""
        return f"{subject}: {self.text or self.kind.value}{status}"

    def __reduce__(self) -> tuple[object, ...]:
        # Not by calling the class: most arguments are keyword-only.
        return _restore, (type(self), self.args), dict(vars(self))

    def for_order(self, order: str) -> Self:
        """Return a copy of this error for one order, so that each waiter has its own object."""
        clone = copy.copy(self)
        clone.order = order
        return clone

    def with_raw(self, raw: str | None) -> Self:
        """Set `raw` and return this error."""
        self.raw = raw
        return self

    @property
    def maybe_sent(self) -> bool:
        """Whether a byte of the request may have left; False is a proof."""
        return True

    @property
    def maybe_placed(self) -> bool:
        """Whether an order may exist because of this call."""
        return False

    @property
    def safe_to_retry(self) -> bool:
        """Whether repeating the same call does nothing twice and is not bound to fail again."""
        return True


class _NothingSentError(PanelError):
    """Base of the errors that are raised before the first byte is sent."""

    @property
    def maybe_sent(self) -> bool:
        """Nothing was sent."""
        return False


class _UncertainError(PanelError):
    """Base of the errors after which a change may or may not have happened."""

    @property
    def maybe_placed(self) -> bool:
        """An order may exist, unless the action cannot create one."""
        return self.action not in CANNOT_CREATE_ORDER

    @property
    def safe_to_retry(self) -> bool:
        """Only actions that change nothing may be repeated."""
        return self.action in READS


class _InvalidError(_NothingSentError, ValueError):
    """Base of the errors about a value that the caller passed."""

    kind = ErrorKind.INVALID

    def __str__(self) -> str:
        return self.text

    @property
    def safe_to_retry(self) -> bool:
        """The same value is invalid again: correct it first."""
        return False


# --- nothing was sent ----------------------------------------------------------------------------


class InvalidOrderError(_InvalidError):
    """A value of an order or a call is invalid; nothing was sent.

    `owner` is the class or method that the field belongs to (`"DefaultOrder"`, `"Client.call"`),
    `field` the field, `value` the invalid value as text (at most 200 characters), `reason` what is
    wrong with it, `code` the same as a word that a program can translate. `limit` is the bound that
    the value breaks, of `BELOW_MIN`, `ABOVE_MAX` and `TOO_LONG`; None for the other codes.
    """

    def __init__(
        self,
        owner: str,
        field: str,
        value: object,
        reason: str,
        *,
        code: InvalidCode = InvalidCode.INVALID,
        limit: int | None = None,
    ) -> None:
        shown = format_value(value)
        super().__init__(f"{field} {shown} {reason}")
        self.owner = owner
        self.field = field
        self.value: str = shown
        self.reason = reason
        self.code = code
        self.limit = limit


class InvalidSettingsError(_InvalidError):
    """A setting that a client cannot work with. The key itself is never shown.

    `name` is the setting (`"base_url"`), `reason` what is wrong with it.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}")
        self.name = name
        self.reason = reason


class UnsupportedActionError(_NothingSentError):
    """The profile of this panel has no such action; nothing was sent."""

    kind = ErrorKind.UNSUPPORTED


class ClosedError(_NothingSentError, RuntimeError):
    """The client is closed, or used from another event loop; nothing was sent."""

    kind = ErrorKind.CLOSED


class RefConflictError(_NothingSentError):
    """The ref already names an order with different content; nothing was sent."""

    kind = ErrorKind.CONFLICT


class SpendingLimitError(_NothingSentError):
    """An order would cost more than its limit allows; nothing was sent.

    `limit_name` is `"max_charge"` or `"budget_per_day"`, `limit` its amount, `price` the order's
    cost, `spent` what was spent under the same limit before; all in the account's currency.
    """

    kind = ErrorKind.BUDGET

    def __init__(
        self, limit_name: str, price: Decimal, limit: Decimal, spent: Decimal = Decimal(0)
    ) -> None:
        on_top = f" on top of {spent:f} already spent" if spent else ""
        super().__init__(
            f"a price of {price:f}{on_top} exceeds {limit_name} {limit:f}", action="add"
        )
        self.limit_name = limit_name
        self.price = price
        self.limit = limit
        self.spent = spent


class JournalError(_NothingSentError):
    """The journal of orders cannot be opened, written or read: disk, database or schema.

    Nothing was sent because of this call, and the journal still holds what it held before.
    """

    kind = ErrorKind.JOURNAL

    def __str__(self) -> str:
        return f"journal: {self.text}"


class StaleEventError(JournalError):
    """Another worker has, or had, this event of a consumer.

    Let it roll your transaction back: what that did for the event is done, or will be, by the other
    worker. The stream continues after what is acknowledged by then.
    """


class NotSentError(_NothingSentError):
    """Proved: no byte of the request left this machine. Retrying is safe."""

    kind = ErrorKind.NETWORK


# --- the request may have been sent --------------------------------------------------------------


class WaitTimeoutError(PanelError, TimeoutError):
    """`Client.wait` reached its `timeout_s` before the order was final; the order itself goes on.

    `raw_status` is the last status the panel reported, None if there was none yet.
    """

    kind = ErrorKind.TIMEOUT

    def __init__(
        self, text: str = "", *, order: str | None = None, raw_status: str | None = None
    ) -> None:
        super().__init__(text, action="status", order=order)
        self.raw_status = raw_status


class NoResponseError(_UncertainError):
    """The request may have left, and no complete response came back.

    `was_written` says whether the whole body was handed to the connection; False does not prove
    that the panel received nothing of it.
    """

    kind = ErrorKind.NETWORK

    def __init__(
        self,
        text: str = "",
        *,
        was_written: bool = False,
        action: str | None = None,
        order: str | None = None,
    ) -> None:
        super().__init__(text, action=action, order=order)
        self.was_written = was_written


class InvalidResponseError(_UncertainError):
    """A response came back that has no certain meaning.

    `text` says what is wrong, `excerpt` holds the first 500 characters of the response, sanitised.
    """

    kind = ErrorKind.MALFORMED

    def __init__(
        self,
        text: str = "",
        *,
        excerpt: str = "",
        http_status: int | None = None,
        action: str | None = None,
        order: str | None = None,
    ) -> None:
        super().__init__(text, http_status=http_status, action=action, order=order)
        self.excerpt = excerpt
        self.raw = excerpt or None

    def __str__(self) -> str:
        return super().__str__() + (f": {self.excerpt!r}" if self.excerpt else "")


class ServerError(_UncertainError):
    """HTTP 5xx: the panel, or a proxy in front of it, failed."""

    kind = ErrorKind.SERVER


class RateLimitError(PanelError):
    """Too many requests: the panel rejected the call without carrying it out."""

    kind = ErrorKind.RATE_LIMIT


class PausedError(NotSentError, RateLimitError):
    """Held back here: the panel asked all calls to pause for longer than this call may wait.

    `retry_after_s` is the time that remains. Nothing was sent.
    """

    kind = ErrorKind.RATE_LIMIT


class RefusedError(PanelError):
    """The panel refused, giving its reason in `text`, and did nothing."""


class AuthenticationError(RefusedError):
    """The key is wrong or the account is blocked: this panel sends one text for both (seen)."""

    kind = ErrorKind.AUTH


class InsufficientFundsError(RefusedError):
    """The balance does not cover the order."""

    kind = ErrorKind.FUNDS


class OrderNotFoundError(RefusedError):
    """The panel does not know this order id as one of this account."""

    kind = ErrorKind.NOT_FOUND


class BlockedError(RefusedError):
    """Stopped by a challenge page at the edge, before the panel received the call."""

    kind = ErrorKind.BLOCKED


# --- the outcome is unknown ----------------------------------------------------------------------


class _Added(Protocol):
    """The part of `AddedOrder` that this module needs."""

    @property
    def order(self) -> str:
        """The panel's id of the order."""
        ...


class OutcomeUnknownError(PanelError):
    """An `add` whose outcome is unknown: an order may exist.

    It is neither a `TimeoutError` nor an `OSError`, so that a decorator that retries on those does
    not catch it. Check the panel before sending the same order again.

    `form` is what was sent, under the document's names and without the key. `sent_at` is the aware
    UTC time of sending. `excerpt` is what came back, sanitised, at most 500 characters; empty if
    nothing did. `order` is an id that the panel sent beside an error, or None. `was_written` says
    whether the whole body was handed to the connection; False does not prove that the panel
    received nothing of it. `is_error_answer` says whether the panel answered, completely, with an
    error that names no order and that the profile does not recognize: True proves nothing.
    """

    kind = ErrorKind.UNKNOWN

    def __init__(
        self,
        text: str = "",
        *,
        form: Mapping[str, str] | None = None,
        sent_at: datetime | None = None,
        excerpt: str = "",
        http_status: int | None = None,
        order: str | None = None,
        was_written: bool = True,
        is_error_answer: bool = False,
    ) -> None:
        super().__init__(text, http_status=http_status, action="add", order=order)
        self.is_error_answer = is_error_answer
        self.form: dict[str, str] = dict(form or {})
        self.sent_at = sent_at
        self.excerpt = excerpt
        self.raw = excerpt or None
        self.was_written = was_written
        self._pending: Callable[[], Awaitable[_Added]] | None = None

    def _with_pending(self, await_outcome: "Callable[[], Awaitable[_Added]]") -> Self:
        """Mark the request as still being sent; `await_outcome` waits for its outcome."""
        self._pending = await_outcome
        return self

    async def wait_for_outcome(self) -> "_Added":
        """Wait for the outcome of a request that is still being sent, after `Client.add(wait_s=…)`.

        Returns the `AddedOrder`, or raises what `add` would have raised. If nothing is being sent
        any more, and in a copy of the error, it raises this error itself.
        """
        if self._pending is None:
            raise self
        try:
            return await self._pending()
        except PanelError as error:
            # Each caller gets an error object of its own.
            raise copy.copy(error) from error

    def __reduce__(self) -> tuple[object, ...]:
        # What is being sent cannot be copied.
        return _restore, (type(self), self.args), {**vars(self), "_pending": None}

    def __str__(self) -> str:
        order = f", but the panel named order {self.order}" if self.order else ""
        status = f" (HTTP {self.http_status})" if self.http_status else ""
        return (
            f"add: outcome unknown{order}: {self.text}{status}; "
            "the order may have been placed: check the panel before ordering again"
        )

    @property
    def maybe_placed(self) -> bool:
        """An order may exist."""
        return True

    @property
    def safe_to_retry(self) -> bool:
        """Sending it again may order twice."""
        return False


def _restore(cls: type[PanelError], args: tuple[object, ...]) -> PanelError:
    """Create an error without calling its `__init__`, for `copy` and `pickle`."""
    error = cls.__new__(cls, *args)
    error.args = args  # an OSError sets them in its own `__init__`
    return error


def strip_frames(error: BaseException) -> BaseException:
    """Remove the frames of a foreign error and its causes: they may hold a key or a password."""
    current: BaseException | None = error
    while current is not None:
        current.__traceback__ = None
        current = current.__cause__ or current.__context__
    return error
