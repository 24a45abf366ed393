"""When may we speak, and when again. Pure: time and randomness are arguments."""

from collections import deque
from http import HTTPStatus

from attrs import define, field, frozen

from .errors import (
    NoReplyError,
    NotSentError,
    PanelError,
    RateLimitedError,
    RefusedError,
    UnreadableReplyError,
)

__all__ = ["Pacer", "RetryPolicy", "RetryQuota"]

QUOTA_TOKENS = 500
"""Tokens of a client's quota: a hundred retries in a row, then only as many as successes earn."""

RETRY_COST = 5
"""Tokens that a retry costs."""

TIMEOUT_COST = 10
"""Tokens that a retry costs when no answer came: it held a connection for the whole wait."""

PAUSE_S = 1.0
"""Seconds that all calls pause after a 429 that names no wait (assumed)."""

MAX_PAUSE_S = 900.0
"""The longest pause of all calls: a panel that asks for more is asked again after that, rather than
never, should the number have been a mistake."""

PACE_WINDOW_S = 60.0
"""Seconds that a pace is counted over: panels document calls a minute."""

MAX_DOUBLINGS = 64
"""Doublings of a pause: any cap is reached before, and a float overflows at 1024."""


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
        return random * min(self.base_s * 2.0 ** min(repeats, MAX_DOUBLINGS), self.cap_s)


def _may_help(error: PanelError) -> bool:
    """Whether the same call can end in another way: not after a refusal, nor for bad input."""
    if isinstance(error, RefusedError) or not error.safe_to_repeat:
        return False
    if isinstance(error, NotSentError | RateLimitedError):
        return True
    if isinstance(error, UnreadableReplyError):
        # A redirect comes again just so.
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
        cost = TIMEOUT_COST if isinstance(error, NoReplyError) else RETRY_COST
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True

    def earn(self) -> None:
        """Put a token back, for a call that went well at once."""
        self.tokens = min(self.tokens + 1, QUOTA_TOKENS)


@define
class Pacer:
    """How many requests may be under way, and when the next may leave, on one account.

    A panel that says "too often" pauses every call of the account and halves what may be under
    way; each success after that lets one more through, up to `most`.
    """

    most: int
    """Requests under way at once, at most."""
    per_minute: int | None = None
    """Requests a minute, at most; None for no pace."""
    allowed: int = field(init=False)
    """Requests that may be under way now."""
    paused_until_s: float = 0.0
    """Nothing leaves before this moment of the clock."""
    _left_at_s: deque[float] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin with all that is allowed."""
        self.allowed = self.most
        # The latest alone: the oldest of them has to be a window ago before another leaves.
        self._left_at_s = deque(maxlen=self.per_minute)

    def pause_s(self, now_s: float) -> float:
        """Say how long the pause still is that the panel asked for; 0 if there is none."""
        return max(self.paused_until_s - now_s, 0.0)

    def wait_s(self, now_s: float) -> float:
        """Say how long the next request has to wait; 0 if it may leave."""
        wait_s = self.pause_s(now_s)
        if self.per_minute is None or len(self._left_at_s) < self.per_minute:
            return wait_s
        return max(wait_s, self._left_at_s[0] + PACE_WINDOW_S - now_s)

    def left(self, now_s: float) -> None:
        """Take note of a request that leaves."""
        if self.per_minute is not None:
            self._left_at_s.append(now_s)

    def limited(self, now_s: float, asked_s: float | None) -> None:
        """Pause after a 429 or a "wait N seconds"; `asked_s` is the wait it named."""
        wait_s = PAUSE_S if asked_s is None else min(asked_s, MAX_PAUSE_S)
        self.paused_until_s = max(self.paused_until_s, now_s + wait_s)
        self.allowed = max(self.allowed // 2, 1)

    def succeeded(self) -> None:
        """Let one more through, up to what was allowed at first."""
        self.allowed = min(self.allowed + 1, self.most)
