"""Errors of what was sent: no answer, one that says nothing sure, or one that says no."""

from ..kinds import ErrorKind
from .root import PanelError, _DoubtfulError

__all__ = [
    "AuthError",
    "BlockedError",
    "FundsError",
    "NoReplyError",
    "OrderNotFoundError",
    "RateLimitedError",
    "RefusedError",
    "ServerError",
    "UnreadableReplyError",
    "WaitTimeoutError",
]


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
        self.raw = excerpt or None

    def __str__(self) -> str:
        return super().__str__() + (f": {self.excerpt!r}" if self.excerpt else "")


class ServerError(_DoubtfulError):
    """HTTP 5xx: the panel, or a proxy before it, failed."""

    kind = ErrorKind.SERVER


class RateLimitedError(PanelError):
    """Asked too often: the panel turned the call away undone."""

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
