"""When may we say it again. Pure: time and randomness are arguments."""

from http import HTTPStatus

from attrs import define, frozen

from .errors import NotSentError, PanelError, RateLimitedError, RefusedError, UnreadableReplyError

__all__ = ["RetryPolicy", "RetryQuota"]

QUOTA_TOKENS = 500
"""Tokens of a client's quota: a hundred retries in a row, then only as many as successes earn."""

RETRY_COST = 5
"""Tokens that a retry costs."""

TIMEOUT_COST = 10
"""Tokens that a retry costs when no answer came: it held a connection for the whole wait."""


@frozen(kw_only=True)
class RetryPolicy:
    """How often, and after which pause, a call that may be repeated is.

    Only calls that change nothing are repeated, and an `add` of which it is proved that nothing
    was sent. The pause before repeat `i`, counted from 0, is `random × min(2^i × base_s, cap_s)`
    (full jitter). All times are seconds.
    """

    attempts: int = 3
    """Attempts in all; 1 repeats nothing."""
    base_s: float = 0.5
    """The longest pause before the first repeat."""
    cap_s: float = 20.0
    """The longest pause before any repeat that the panel did not ask for."""
    max_wait_s: float = 30.0
    """The longest wait a panel may ask for (Retry-After); above it the error is raised at once."""

    def pause_s(self, error: PanelError, repeats: int, random: float) -> float | None:
        """Say how long to wait before the next attempt, None for none.

        `repeats` is how many there were already, `random` a number from 0 up to 1.
        """
        if repeats + 1 >= self.attempts or not _may_help(error):
            return None
        if error.retry_after_s is not None:
            return error.retry_after_s if error.retry_after_s <= self.max_wait_s else None
        return random * min(self.base_s * 2.0**repeats, self.cap_s)


def _may_help(error: PanelError) -> bool:
    """Whether the same call can end in another way: not after a refusal, nor for bad input."""
    if isinstance(error, RefusedError) or not error.safe_to_repeat:
        return False
    if isinstance(error, NotSentError | RateLimitedError):
        return True
    if isinstance(error, UnreadableReplyError):
        # A redirect and a body over the cap come again just so.
        return error.http_status is None or error.http_status == HTTPStatus.OK
    return error.sent


@define
class RetryQuota:
    """A purse that retries are paid from, shared by all callers of a client.

    While a panel is down, every caller repeating on its own would triple the load; the purse
    empties, and then each call is made once.
    """

    tokens: int = QUOTA_TOKENS

    def take(self, error: PanelError) -> bool:
        """Pay for a retry after this error; False where the purse does not hold it."""
        cost = TIMEOUT_COST if error.http_status is None else RETRY_COST
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True

    def earn(self) -> None:
        """Put a token back, for a call that went well at once."""
        self.tokens = min(self.tokens + 1, QUOTA_TOKENS)
