"""Every exception of the library.

Each answers three questions, as attributes:

- ``sent``: may a byte of the request have left this machine? False is a proof, True is not.
- ``maybe_placed``: may an order exist because of this call?
- ``safe_to_repeat``: can the same call again do harm? True says that it can not.

::

    PanelError
    ├── InvalidOrderError      (also ValueError) refused when built, nothing sent
    ├── InvalidSettingsError   (also ValueError) a key, address or number a client can't work with
    ├── UnsupportedActionError this panel has no such verb, nothing sent
    ├── ClosedError            (also RuntimeError) closed, or used from another event loop
    ├── RefConflictError       the ref belongs to an order of other content
    ├── SpendingLimitError     dearer than `max_charge`, or more than the day's budget; nothing sent
    ├── JournalError           the journal of orders can't be written or read; nothing was sent
    ├── NotSentError           proved: no byte of the request left
    │   └── PausedError        (also RateLimitedError) held back: the panel asked for a longer wait
    ├── NoReplyError           it may have left, no whole answer came back
    ├── UnreadableReplyError   an answer came back that means nothing sure
    ├── ServerError            HTTP 5xx: the panel, or what stands before it, failed
    ├── WaitTimeoutError       (also TimeoutError) the order was not final in time
    ├── RateLimitedError       asked too often; `retry_after_s` says when, if the panel did
    ├── RefusedError           the panel said no and did nothing
    │   ├── AuthError          wrong key, or an account that is blocked
    │   ├── FundsError         the balance is too low
    │   ├── OrderNotFoundError the panel does not know this id as yours
    │   └── BlockedError       stopped at the edge, before the panel
    └── OutcomeUnknownError    `add` alone: an order may exist; never repeat it blindly

No error holds the key: what the panel said is cleaned before it gets here, and forms are kept
without it. All of them copy and pickle.
"""

import copy
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Protocol, Self

from ._text import shown_value
from .kinds import ErrorKind

__all__ = [
    "AuthError",
    "BlockedError",
    "ClosedError",
    "ErrorKind",
    "FundsError",
    "InvalidOrderError",
    "InvalidSettingsError",
    "JournalError",
    "NoReplyError",
    "NotSentError",
    "OrderNotFoundError",
    "OutcomeUnknownError",
    "PanelError",
    "PausedError",
    "RateLimitedError",
    "RefConflictError",
    "RefusedError",
    "ServerError",
    "SpendingLimitError",
    "UnreadableReplyError",
    "UnsupportedActionError",
    "WaitTimeoutError",
]

# Actions that change nothing at the panel, so that asking again is harmless (document: status,
# services, balance; refill_status is from API v2).
_READS = frozenset({"status", "services", "balance", "refill_status"})

# Actions that can't bring an order into being, whatever becomes of the answer.
_PLACES_NOTHING = _READS | {"refill", "cancel"}


def without_frames(error: BaseException) -> BaseException:
    """Take the frames off a foreign error and its causes: they may hold a key or a password."""
    each: BaseException | None = error
    while each is not None:
        each.__traceback__ = None
        each = each.__cause__ or each.__context__
    return error


class PanelError(Exception):
    """Anything that a call of this library raises on purpose."""

    kind: ErrorKind = ErrorKind.UNKNOWN
    """The word for it; a `RefusedError` carries the finer one of the panel's text."""

    def __init__(
        self,
        text: str = "",
        kind: ErrorKind | None = None,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        action: str | None = None,
        order: str | None = None,
    ) -> None:
        # Positional, so that copy and pickle can build the error again.
        super().__init__(text, kind, http_status, retry_after_s, action, order)
        self.text = text
        """The panel's own words, whole; ours where the panel said nothing."""
        self.http_status = http_status
        """The HTTP status of the answer; None where there was none."""
        self.retry_after_s = retry_after_s
        """Seconds the panel asks us to wait; None where it did not say."""
        self.action = action
        """The action that was called, as in the form (`"status"`); None outside a call."""
        self.order = order
        """The order id that this is about; None where it is about none, or about many."""
        if kind is not None:
            self.kind = kind

    def __str__(self) -> str:
        about = f"{self.action or 'call'}" + (f" of order {self.order}" if self.order else "")
        status = f" (HTTP {self.http_status})" if self.http_status else ""
        return f"{about}: {self.text or self.kind.value}{status}"

    def about(self, order: str) -> Self:
        """Give a copy of this error that is about one order: each waiter has its own object."""
        twin = copy.copy(self)
        twin.order = order
        return twin

    @property
    def sent(self) -> bool:
        """Whether a byte of the request may have left; False is a proof."""
        return True

    @property
    def maybe_placed(self) -> bool:
        """Whether an order may exist because of this call."""
        return False

    @property
    def safe_to_repeat(self) -> bool:
        """Whether the same call again can't order twice or otherwise do a thing twice."""
        return True


class _NothingSentError(PanelError):
    """What the errors have in common that arise before the first byte."""

    @property
    def sent(self) -> bool:
        """Nothing was sent."""
        return False


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


class WaitTimeoutError(PanelError, TimeoutError):
    """`Client.wait` came to its `timeout_s` before the order was final; it goes on at the panel.

    `raw_status` is the panel's last word on it, None where there was none yet.
    """

    kind = ErrorKind.TIMEOUT

    def __init__(
        self, text: str = "", order: str | None = None, raw_status: str | None = None
    ) -> None:
        PanelError.__init__(self, text, None, None, None, "status", order)
        self.args = (text, order, raw_status)
        self.raw_status = raw_status


class NotSentError(_NothingSentError):
    """Proved: no byte of the request left this machine. The same call may be made again."""

    kind = ErrorKind.NETWORK


class _DoubtfulError(PanelError):
    """What the errors have in common after which a change may or may not have happened."""

    @property
    def maybe_placed(self) -> bool:
        """An order may exist unless the action can't make one."""
        return self.action not in _PLACES_NOTHING

    @property
    def safe_to_repeat(self) -> bool:
        """Only what changes nothing may be asked again."""
        return self.action in _READS


class NoReplyError(_DoubtfulError):
    """The request may have left and no whole answer came back.

    `was_written` tells whether the body was handed over whole to the connection; False is no
    proof that the panel got nothing of it.
    """

    kind = ErrorKind.NETWORK

    def __init__(
        self,
        text: str = "",
        was_written: bool = False,  # noqa: FBT001, FBT002  # by position, for copy and pickle
        action: str | None = None,
        order: str | None = None,
    ) -> None:
        PanelError.__init__(self, text, None, None, None, action, order)
        self.args = (text, was_written, action, order)
        self.was_written = was_written


class UnreadableReplyError(_DoubtfulError):
    """An answer came back that says nothing sure.

    `text` says what is wrong, `excerpt` holds the first 500 characters of the answer, cleaned.
    """

    kind = ErrorKind.MALFORMED

    def __init__(
        self,
        text: str = "",
        excerpt: str = "",
        http_status: int | None = None,
        action: str | None = None,
        order: str | None = None,
    ) -> None:
        PanelError.__init__(self, text, None, http_status, None, action, order)
        self.args = (text, excerpt, http_status, action, order)
        self.excerpt = excerpt

    def __str__(self) -> str:
        return super().__str__() + (f": {self.excerpt!r}" if self.excerpt else "")


class ServerError(_DoubtfulError):
    """HTTP 5xx: the panel, or a proxy before it, failed."""

    kind = ErrorKind.SERVER


class RateLimitedError(PanelError):
    """Asked too often: the panel turned the call away undone."""

    kind = ErrorKind.RATE_LIMIT


class PausedError(NotSentError, RateLimitedError):
    """Held back here: the panel asked all calls to wait, and longer than this call may.

    `retry_after_s` says how long it still is. Nothing was sent.
    """

    kind = ErrorKind.RATE_LIMIT


class RefusedError(PanelError):
    """The panel said no, in `text`, and did nothing."""


class AuthError(RefusedError):
    """The key is wrong or the account is blocked: this panel says one text for both (seen)."""

    kind = ErrorKind.AUTH


class FundsError(RefusedError):
    """The balance does not cover the order."""

    kind = ErrorKind.FUNDS


class OrderNotFoundError(RefusedError):
    """The panel does not know this order id as one of this account."""

    kind = ErrorKind.NOT_FOUND


class BlockedError(RefusedError):
    """Stopped at the edge by a challenge page, before the panel saw the call."""

    kind = ErrorKind.BLOCKED


class _Added(Protocol):
    """An `AddedOrder`, as far as this room knows it."""

    @property
    def order(self) -> str:
        """The panel's id of the order."""
        ...


class OutcomeUnknownError(PanelError):
    """An `add` whose outcome nobody knows: an order may exist.

    It is no `TimeoutError` and no `OSError`, so that a decorator which repeats on those does not
    catch it. Never send the same order again before someone has looked.

    `form` is what was sent, without the key. `sent_at` is the aware UTC time of sending. `excerpt`
    is what came back, cleaned, at most 500 characters; empty if nothing did. `order` is an id that
    stood beside an error, or None. `was_written` tells whether the body was handed over whole to
    the connection; False is no proof that the panel got nothing of it.
    """

    kind = ErrorKind.UNKNOWN

    def __init__(
        self,
        text: str = "",
        form: Mapping[str, str] | None = None,
        sent_at: datetime | None = None,
        excerpt: str = "",
        http_status: int | None = None,
        order: str | None = None,
        was_written: bool = True,  # noqa: FBT001, FBT002  # by position, for copy and pickle
    ) -> None:
        PanelError.__init__(self, text, None, http_status, None, "add", order)
        self.form: dict[str, str] = dict(form or {})
        self.args = (text, self.form, sent_at, excerpt, http_status, order, was_written)
        self.sent_at = sent_at
        self.excerpt = excerpt
        self.was_written = was_written
        self._settling: Callable[[], Awaitable[_Added]] | None = None

    def still(self, settling: "Callable[[], Awaitable[_Added]]") -> Self:
        """Say that the sending still goes on; `settling` awaits its end."""
        self._settling = settling
        return self

    async def settled(self) -> "_Added":
        """Await the outcome of a sending that still goes on, after `Client.add(wait_s=…)`.

        Gives the `AddedOrder`, or raises what `add` would have raised. Where nothing is on its way
        any more, and in a copy, it raises this error itself.
        """
        if self._settling is None:
            raise self
        try:
            return await self._settling()
        except PanelError as error:
            # Whoever awaits it gets an error object of their own.
            raise copy.copy(error) from error

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...], dict[str, object]]:
        # What is on its way can't be copied.
        state: dict[str, object] = {**vars(self), "_settling": None}
        return type(self), self.args, state

    def __str__(self) -> str:
        beside = f" beside order {self.order}" if self.order else ""
        status = f" (HTTP {self.http_status})" if self.http_status else ""
        return f"add: outcome unknown{beside}: {self.text}{status}; do not send it again unseen"

    @property
    def maybe_placed(self) -> bool:
        """An order may exist."""
        return True

    @property
    def safe_to_repeat(self) -> bool:
        """Sending it again may order twice."""
        return False
